/* What is masked in a text, and what must stay readable because people search logs for it. */
#include "libcommon/mask.h"

#include "tests/unit/libcommon/test.h"

#include <time.h>

#define JWT  "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
#define T43  "q3Zt0w-8Hq_Vb2N4xR7yLk5PmJ1sD6fGhA9cEuTiOoK"
#define HEX  "8d7da32f68d1ac819436028a9e31cc978e8717e88a13ade4a2ac81b5f00da4cb"
#define UUID "4539148c-0343-4467-8a50-0123456789ab"

static const struct {
    const char *text;
    const char *masked;
} positives[] = {
    /* name and value */
    {"password=hunter2", "password=***"},
    {"password = hunter2", "password = ***"},
    {"Password: hunter2 next", "Password: *** next"},
    {"db_password='a b c' host=x", "db_password='***' host=x"},
    {"{\"password\":\"hun\\\"ter2\",\"user\":\"x\"}", "{\"password\":\"***\",\"user\":\"x\"}"},
    {"body \\\"password\\\":\\\"hunter2\\\" end", "body \\\"password\\\":\\\"***\\\" end"},
    {"password=\"never closed", "password=\"***"},
    {"a&token=abc&b=1", "a&token=***&b=1"},
    {"?access_token=abc#x", "?access_token=***"},
    {"client_secret=abc,other", "client_secret=***,other"},
    {"api-key: abc", "api-key: ***"},
    {"X-Api-Key:abc", "X-Api-Key:***"},
    {"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AWS_SECRET_ACCESS_KEY=***"},
    {"MIRAI_METRICS_TOKEN=abc", "MIRAI_METRICS_TOKEN=***"},
    {"passphrase: correct", "passphrase: ***"},
    {"otp=123456", "otp=***"},
    {"パスワード：ひみつ123", "パスワード：***"},
    {"初期パスワード：「ひみつ」を使う", "初期パスワード：「***」を使う"},
    {"パスワード＝ｈｕｎｔｅｒ２。次に", "パスワード＝***。次に"},
    {"新しいパスワード: Abc123、確認", "新しいパスワード: ***、確認"},
    {"暗証番号：1234", "暗証番号：***"},
    {"認証コード：　987654　です", "認証コード：　***　です"},
    {"Cookie: a=b; __Host-mirai-1=xyz", "Cookie: ***"},
    {"< Set-Cookie: s=1; Path=/\nnext line", "< Set-Cookie: ***\nnext line"},
    {"Authorization: Digest username=\"u\", response=\"r\"", "Authorization: ***"},
    {"authorization=Bearer x", "authorization=***"},
    /* credentials */
    {"sent Bearer abcdefghijklmnop here", "sent Bearer *** here"},
    {"bearer 0123456789abcdef", "bearer ***"},
    {"BASIC YWRtaW46c2VjcmV0", "BASIC ***"},
    {"Basic w7w6cMO/cw/+/3Nz+g==", "Basic ***"},
    {"Bearer a.b-c~d.e_f.g/h+i", "Bearer ***"},
    {JWT, "***"},
    {"token was " JWT " in the log", "token was *** in the log"},
    {"「" JWT "」", "「***」"},
    {"mkt_" T43, "mkt_***"},
    {"id=mks_" T43 ";", "id=mks_***;"},
    {"ghp_0123456789abcdefghijABCDEFGHIJ456789", "ghp_***"},
    {"key AKIAIOSFODNN7EXAMPLE.", "key ***."},
    {"-----BEGIN PRIVATE KEY-----\nMIIE\nabc=\n-----END PRIVATE KEY-----\nrest",
     "-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----\nrest"},
    {"-----BEGIN RSA PRIVATE KEY-----\nMIIE", "-----BEGIN RSA PRIVATE KEY-----***"},
    {"x -----BEGIN OPENSSH PRIVATE KEY-----b3BlbnNz", "x -----BEGIN OPENSSH PRIVATE KEY-----***"},
    /* URLs */
    {"postgres://mirai:hunter2@db/kb", "postgres://mirai:***@db/kb"},
    {"redis://:secret@host:6379/0", "redis://:***@host:6379/0"},
    {"https://u:p@ss@w@host/x?y=z@w", "https://u:***@host/x?y=z@w"},
    {"clone https://0123456789abcdef0123456789abcdef01234567@git.example/x",
     "clone https://***@git.example/x"},
    {"ldaps://cn=x,dc=y:pw@dc1.example.jp", "ldaps://cn=x,dc=y:***@dc1.example.jp"},
    /* mail addresses */
    {"yamada@example.co.jp", "***@example.co.jp"},
    {"連絡先はt.yamada+kb@mail.example.jpまで", "連絡先は***@mail.example.jpまで"},
    {"<a@b.io>, c@d.org.", "<***@b.io>, ***@d.org."},
    {"mailto:admin@example.com?subject=x", "mailto:***@example.com?subject=x"},
    {"全角 yamada＠example.co.jp", "全角 ***＠example.co.jp"},
    {"qq 12345@163.com", "qq ***@163.com"},
    /* card numbers */
    {"4111111111111111", "***"},
    {"card 4111 1111 1111 1111 expired", "card *** expired"},
    {"card 4111-1111-1111-1111.", "card ***."},
    {"カード番号は5555555555554444です", "カード番号は***です"},
    {"４１１１１１１１１１１１１１１１", "***"},
    {"378282246310005", "***"},
    {"3782 822463 10005", "***"},
    {"3530111333300000 (JCB)", "*** (JCB)"},
    {"6011111111111117", "***"},
    {"30569309025904", "***"},
    {"2223003122003222", "***"},
    {"6212345678901232", "***"},
    {"no:4111111111111111,", "no:***,"},
    /* several at once */
    {"a@b.jp password=x 4111111111111111", "***@b.jp password=*** ***"},
};

static const char *const negatives[] = {
    "",
    "ready",
    "answered",
    "0af7651916cd43dd8448eb211c80319c", /* request id */
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    HEX,
    HEX HEX,
    UUID,
    "etag \"c0ffee123456-17\"",
    "KB5034441",
    "KB-4111111111111111",
    "0x80070005",
    "version 1.2.3-rc4",
    "2026-11-25T00:38:58.123Z",
    "1700000000000",
    "1764031138123456",
    "4102444800000",
    "192.0.2.7",
    "[2001:db8::1]:8888",
    "127.0.0.1:9464",
    "::ffff:192.0.2.1",
    "fe80::1%eth0",
    "4111111111111112",        /* wrong check digit */
    "41111111111111111111111", /* longer than any card */
    "1234567812345670",        /* right check digit, no issuer */
    "4111.1111.1111.1111",
    "x4111111111111111",
    "4111111111111111x",
    "a-4111111111111111",
    "4111111111111111.5",
    "4901234567894", /* JAN code */
    "03-1234-5678",
    "電話 090-1234-5678",
    "〒100-0001",
    "INC0012345",
    "postgres://db/kb",
    "https://example.org/a:b@c",
    "https://example.org/?q=a@b",
    "ssh://git@host.example/x",
    "ipc:///run/mirai/knowledge-store@1.sock",
    "/run/mirai/knowledge-store@1.sock",
    "mirai-search-index@2.service",
    "knowledge-store@1.stamps",
    "actions/checkout@v4",
    "npm left-pad@1.3.0",
    "user@host",
    "@example.com",
    "a@b.",
    "the bearer of news",
    "basic settings",
    "Basic authentication",
    "bearer authentication.",
    "Basic configuration",
    "eyJ.a.b",
    "keyJson.value.other",
    "heyJude.is.a",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "-----",
    "------ BEGIN",
    "mkt_total",
    "mkt_short-one",
    "xmkt_" T43,
    "AKIASHORT",
    "AKIAIOSFODNN7EXAMPLEX",
    "tokens=3",
    "token_id=5",
    "session: 3",
    "primary key: id",
    "cookies: 2",
    "password",
    "password_hash_ms=12",
    "パスワードを変更しました",
    "トークンの一覧",
    "secretary: x",
    "passwords: 3",
    "tokenizer=mecab",
    "http://localhost:8888/ready",
    "key=value",
    "a=b",
    "12:34:56",
    "日本語：本文",
    "🗾🔥 絵文字: はい",
    "\xff\xfe=\xef",
    "\xef\xbc",
    "password=",
    "password: ***",
    "token=***",
};

static void assert_masked(const char *text, const char *expected)
{
    struct mirai_buf out = {0};
    bool masked = mirai_mask(mirai_str(text), &out);
    mirai_buf_append_char(&out, '\0');
    if (masked != (expected != NULL) || strcmp(out.data, expected != NULL ? expected : "") != 0) {
        print_error("\"%s\" became \"%s\"\n", text, masked ? out.data : "(nothing masked)");
    }
    assert_int_equal(masked, expected != NULL);
    assert_string_equal(out.data, expected != NULL ? expected : "");
    mirai_buf_free(&out);
}

static void test_secrets_are_masked(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(positives); i++) {
        assert_masked(positives[i].text, positives[i].masked);
    }
}

static void test_the_rest_stays(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(negatives); i++) {
        assert_masked(negatives[i], NULL);
    }
}

/* Also when other text stands around it, in any script. */
static void test_surroundings(void **state)
{
    static const char *const around[][2] = {
        {"", ""}, {"前の文。", "。後の文"}, {"a ", " b"}, {"(", ")"}, {"\n", "\n"}, {"🗾", "🗾"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(around); i++) {
        static const char *const secrets[] = {JWT, "mkt_" T43, "4111111111111111", "5555 5555 5555 4444",
                                              "redis://:topsecret@h"};
        for (size_t j = 0; j < ARRAY_LEN(secrets); j++) {
            struct mirai_buf text = {0}, out = {0};
            mirai_buf_printf(&text, "%s%s%s", around[i][0], secrets[j], around[i][1]);
            assert_true(mirai_mask(mirai_buf_str(&text), &out));
            assert_true(mirai_utf8_valid(mirai_buf_str(&out)));
            assert_null(memmem(out.data, out.len, secrets[j] + 9, strlen(secrets[j] + 9) < 8 ? 4 : 8));
            mirai_buf_free(&text);
            mirai_buf_free(&out);
        }
    }
}

/* Hostile text takes no longer than its length demands: 100 kB in well under a second, even under a sanitizer. */
static void test_time_is_bounded(void **state)
{
    static const char *const units[] = {
        "eyJ", "eyJ.", "a@",          "://a@", "mkt_", "bearer ", "password=",       "=",        "：", "4 ",
        "４",  "-",    "-----BEGIN ", "x:@",   "://",  "AKIA",    "\"password\":\\", "token：「"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        struct mirai_buf text = {0}, out = {0};
        while (text.len < 100000) {
            mirai_buf_append_str(&text, mirai_str(units[i]));
        }
        clock_t begin = clock();
        mirai_mask(mirai_buf_str(&text), &out);
        double seconds =
            (double)(clock() - begin) / CLOCKS_PER_SEC; /* of the processor: others are busy, too */
        if (seconds >= 1) {
            print_error("\"%s\" again and again: %.1f s\n", units[i], seconds);
        }
        assert_true(seconds < 1);
        mirai_buf_free(&text);
        mirai_buf_free(&out);
    }
}

static void test_keys(void **state)
{
    static const char *const secret[] = {"password",          "X-CSRF-Token", "otp", "user_otp",
                                         "recovery_passcode", "Set-Cookie",   "key"};
    static const char *const plain[] = {"monkey", "signer",     "signature", "hash",
                                        "hotp2",  "request_id", "user",      "laptop"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(secret); i++) {
        assert_true(mirai_mask_key(mirai_str(secret[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        assert_false(mirai_mask_key(mirai_str(plain[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secrets_are_masked),
        cmocka_unit_test(test_the_rest_stays),
        cmocka_unit_test(test_surroundings),
        cmocka_unit_test(test_time_is_bounded),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
