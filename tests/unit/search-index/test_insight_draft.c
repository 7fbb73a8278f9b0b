/* What there is to say about a draft from its text alone: type, deviations, secrets, summaries. */
#include "insight_texts.h"
#include "services/search-index/insight/classify.h"
#include "services/search-index/insight/deviations.h"
#include "services/search-index/insight/secrets.h"
#include "services/search-index/insight/sentence.h"
#include "services/search-index/insight/summary.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ------------------------------------------------------------------ types */

struct score {
    size_t texts;
    size_t right;
    double confidence;
};

static void score_text(int type, const char *title, const char *body, struct score *score)
{
    struct reading reading = {0};
    struct mirai_arena arena = {0};
    struct mirai_type_proposal types[CLASSIFY_TYPES];
    double sum = 0;
    reading_make(&reading, mirai_str(title), mirai_str(body));
    classify(&reading, MIRAI_LOCALE_JA, &arena, types);
    for (int i = 0; i < CLASSIFY_TYPES; i++) {
        sum += types[i].confidence;
        assert_true(i == 0 || types[i].confidence <= types[i - 1].confidence);
    }
    assert_true(fabs(sum - 1) < 1e-9);
    if (types[0].type != type) {
        printf("%-10s taken for %-10s (%.2f): %s\n", mirai_enum_itsm_type.values[type],
               mirai_enum_itsm_type.values[types[0].type], types[0].confidence, title);
    }
    score->texts++;
    score->right += types[0].type == type;
    score->confidence += types[0].confidence;
    reading_free(&reading);
    mirai_arena_free(&arena);
}

static void score_file(int type, const char *path, struct score *score)
{
    static char text[1 << 17];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    char *title = strstr(text, "title:");
    char *body = strstr(text + 3, "\n---\n");
    assert_true(title != NULL && body != NULL && title < body);
    *body = '\0';
    title[strcspn(title, "\n")] = '\0';
    score_text(type, title + strlen("title:"), body + 5, score);
}

static void score_samples(struct score *score)
{
    char path[1024];
    for (int type = 0; type < CLASSIFY_TYPES; type++) {
        snprintf(path, sizeof(path), MIRAI_SOURCE_DIR "/ops/samples/%s", mirai_enum_itsm_type.values[type]);
        DIR *dir = opendir(path);
        assert_non_null(dir);
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
            if (strstr(entry->d_name, ".md") != NULL) {
                snprintf(path, sizeof(path), MIRAI_SOURCE_DIR "/ops/samples/%s/%s",
                         mirai_enum_itsm_type.values[type], entry->d_name);
                score_file(type, path, score);
            }
        }
        closedir(dir);
    }
}

static void print_score(const char *name, const struct score *score)
{
    printf("%s: %zu of %zu right (%.0f %%), mean confidence %.2f\n", name, score->right, score->texts,
           100.0 * (double)score->right / (double)score->texts, score->confidence / (double)score->texts);
}

static void types_are_recognised(void **state)
{
    struct score samples = {0};
    struct score tickets = {0};
    (void)state;
    score_samples(&samples);
    for (size_t i = 0; i < INSIGHT_TEXTS; i++) {
        score_text(insight_texts[i].type, insight_texts[i].title, insight_texts[i].body, &tickets);
    }
    print_score("samples", &samples);
    print_score("tickets", &tickets);
    assert_true(samples.right * 10 >= samples.texts * 9);
    assert_true(tickets.right * 10 >= tickets.texts * 8);
}

static void nothing_is_other(void **state)
{
    struct score score = {0};
    (void)state;
    score_text(MIRAI_ITSM_TYPE_OTHER, "", "", &score);
    assert_int_equal(score.right, 1);
    assert_true(score.confidence < 0.7);
}

static void types_have_reasons(void **state)
{
    struct reading reading = {0};
    struct mirai_arena arena = {0};
    struct mirai_type_proposal types[CLASSIFY_TYPES];
    (void)state;
    reading_make(&reading, MIRAI_STR("VPN 障害"), MIRAI_STR("## 影響\n\n復旧した。"));
    classify(&reading, MIRAI_LOCALE_JA, &arena, types);
    assert_int_equal(types[0].reasons.count, 3);
    struct mirai_str first = types[0].reasons.items[0];
    assert_memory_equal(first.data, "タイトル「障害」", first.len);
    reading_free(&reading);
    mirai_arena_free(&arena);
}

/* ------------------------------------------------------------------ deviations */

static bool has_five(void *data, int64_t id)
{
    (void)data;
    return id == 5;
}

/* Whether the rule speaks of this text. */
static bool deviates(const char *rule, int type, const char *title, const char *body)
{
    struct reading reading = {0};
    struct mirai_arena arena = {0};
    struct mirai_deviation list[DEVIATIONS_MAX];
    bool found = false;
    reading_make(&reading, mirai_str(title), mirai_str(body));
    const struct deviations_input input = {.reading = &reading,
                                           .title = mirai_str(title),
                                           .body = mirai_str(body),
                                           .type = type,
                                           .locale = MIRAI_LOCALE_JA,
                                           .exists = has_five};
    size_t count = deviations_find(&input, &arena, list);
    for (size_t i = 0; i < count; i++) {
        found |= mirai_str_eq(list[i].rule, mirai_str(rule));
        assert_true(list[i].message.len > 0 && mirai_utf8_valid(list[i].message));
    }
    reading_free(&reading);
    mirai_arena_free(&arena);
    return found;
}

#define INCIDENT MIRAI_ITSM_TYPE_INCIDENT
#define PROBLEM  MIRAI_ITSM_TYPE_PROBLEM
#define CHANGE   MIRAI_ITSM_TYPE_CHANGE
#define RELEASE  MIRAI_ITSM_TYPE_RELEASE
#define REQUEST  MIRAI_ITSM_TYPE_REQUEST
#define OTHER    MIRAI_ITSM_TYPE_OTHER

static const struct {
    bool deviates;
    const char *rule;
    int type;
    const char *title;
    const char *body;
} deviation_rows[] = {
    {true, "incident-without-impact", INCIDENT, "VPN", "再起動した。"},
    {false, "incident-without-impact", INCIDENT, "VPN", "影響なし。"},
    {false, "incident-without-impact", INCIDENT, "VPN", "利用者 30 名がログインできない。"},
    {false, "incident-without-impact", INCIDENT, "VPN", "## Impact\n\nNobody noticed."},
    {true, "incident-without-impact", INCIDENT, "VPN", "## 影響\n\n## 原因\n\n期限切れ。"},
    {true, "incident-without-impact", INCIDENT, "VPN", "## 影響\n\n未定\n\n## 原因\n\n期限切れ。"},
    {true, "incident-without-impact", INCIDENT, "VPN", "影響: TBD"},
    {true, "incident-without-impact", INCIDENT, "VPN", "| 影響 | |\n| --- | --- |\n| 影響 | 未記入 |"},
    {false, "incident-without-impact", INCIDENT, "VPN", "【影響】\n全社"},
    {false, "incident-without-impact", INCIDENT, "VPN", "# 影響\n\n## 範囲\n\n本社"},
    {true, "incident-without-time", INCIDENT, "VPN", "止まった。"},
    {false, "incident-without-time", INCIDENT, "VPN", "09:30 に止まった。"},
    {false, "incident-without-time", INCIDENT, "VPN", "２０２６年４月１日に止まった。"},
    {true, "incident-without-resolution", INCIDENT, "VPN", "止まった。"},
    {false, "incident-without-resolution", INCIDENT, "VPN", "再起動して復旧した。"},
    {false, "incident-without-resolution", INCIDENT, "VPN", "A workaround is to use the other gateway."},
    {true, "incident-without-cause", INCIDENT, "VPN", "止まった。"},
    {false, "incident-without-cause", INCIDENT, "VPN", "関連する問題に登録した。"},
    {true, "problem-without-root-cause", PROBLEM, "VPN", "## 根本原因\n\n調査中\n"},
    {false, "problem-without-root-cause", PROBLEM, "VPN", "## 根本原因\n\n台帳がない。"},
    {true, "problem-without-permanent-fix", PROBLEM, "VPN", "原因は台帳。"},
    {false, "problem-without-permanent-fix", PROBLEM, "VPN", "恒久対策は監視。"},
    {true, "change-without-rollback", CHANGE, "DNS", "10.0.0.1 に変更する。"},
    {false, "change-without-rollback", CHANGE, "DNS", "失敗したら切戻す。切戻し不可の場合は連絡する。"},
    {false, "change-without-rollback", CHANGE, "DNS", "本作業は切り戻し不可。"},
    {false, "change-without-rollback", CHANGE, "DNS", "If it fails, revert the record."},
    {true, "change-without-schedule", CHANGE, "DNS", "変更する。"},
    {false, "change-without-schedule", CHANGE, "DNS", "2026/04/01 に変更する。"},
    {true, "change-without-test", CHANGE, "DNS", "変更する。"},
    {false, "change-without-steps", CHANGE, "DNS", "1. 変更する。\n2. 見る。"},
    {true, "release-without-version", RELEASE, "ポータル", "新機能がある。192.168.10.1"},
    {false, "release-without-version", RELEASE, "ポータル 2.4.0", "新機能がある。"},
    {false, "release-without-version", RELEASE, "KB5034441 の展開", "更新する。"},
    {true, "release-without-contents", RELEASE, "ポータル 2.4.0", "配る。"},
    {true, "request-without-approval", REQUEST, "権限", "付ける。"},
    {false, "request-without-approval", REQUEST, "権限", "上長の承認が必要。"},
    {false, "request-without-steps", OTHER, "権限", "付ける。"},
    {true, "title-missing", OTHER, " ", "本文"},
    {true, "title-vague", OTHER, "エラーについて", "本文"},
    {true, "title-vague", OTHER, "Problem report", "text"},
    {false, "title-vague", OTHER, "Outlook のエラーについて", "本文"},
    {true, "text-too-short", OTHER, "VPN 接続", "直した。"},
    {true, "placeholder-left", OTHER, "VPN 接続", "担当: TODO"},
    {true, "dead-reference", OTHER, "VPN 接続", "[これ](/articles/6) を見る"},
    {false, "dead-reference", OTHER, "VPN 接続", "[これ](/articles/5) と [外](https://example.com/)"},
    {true, "dead-reference", OTHER, "VPN 接続", "[これ]() を見る"},
    {false, "dead-reference", OTHER, "VPN 接続", "```\n[x]()\n```"},
    {true, "secret-in-text", OTHER, "VPN 接続", "パスワード: Tr0ub4dor&3"},
    {true, "personal-data-in-text", OTHER, "VPN 接続", "連絡先 090-1234-5678"},
    {true, "no-tags", OTHER, "VPN 接続", "本文"},
};

static void deviations_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(deviation_rows); i++) {
        bool found = deviates(deviation_rows[i].rule, deviation_rows[i].type, deviation_rows[i].title,
                              deviation_rows[i].body);
        if (found != deviation_rows[i].deviates) {
            fail_msg("%s: %s / %s", deviation_rows[i].rule, deviation_rows[i].title, deviation_rows[i].body);
        }
    }
}

static void secrets_are_not_repeated(void **state)
{
    struct reading reading = {0};
    struct mirai_arena arena = {0};
    struct mirai_deviation list[DEVIATIONS_MAX];
    static const char body[] = "説明\n\n管理者のパスワードは「Tr0ub4dor&3」です。\n";
    (void)state;
    reading_make(&reading, MIRAI_STR("VPN 接続"), mirai_str(body));
    const struct deviations_input input = {.reading = &reading,
                                           .body = mirai_str(body),
                                           .title = MIRAI_STR("VPN 接続"),
                                           .locale = MIRAI_LOCALE_EN};
    size_t count = deviations_find(&input, &arena, list);
    assert_true(count > 0 && mirai_str_eq(list[0].severity, MIRAI_STR("error")));
    for (size_t i = 0; i < count; i++) {
        assert_null(memmem(list[i].message.data, list[i].message.len, "Tr0ub", 5));
        if (mirai_str_eq(list[i].rule, MIRAI_STR("secret-in-text"))) {
            assert_non_null(memmem(list[i].message.data, list[i].message.len, "line 3", 6));
        }
    }
    reading_free(&reading);
    mirai_arena_free(&arena);
}

static const struct {
    enum secret_kind kind;
    const char *line;
} secret_rows[] = {
    {SECRET_PRIVATE_KEY, "-----BEGIN OPENSSH PRIVATE KEY-----"},
    {SECRET_NONE, "-----BEGIN CERTIFICATE-----"},
    {SECRET_TOKEN, "export AWS_KEY=AKIAIOSFODNN7EXAMPLE1"},
    {SECRET_TOKEN, "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.sig"},
    {SECRET_NONE, "task-ghp_short と sk-1"},
    {SECRET_PASSWORD, "password=Summer2026!"},
    {SECRET_PASSWORD, "dbPassword: 'Kx9vQ2mz'"},
    {SECRET_PASSWORD, "DB_PASSWORD=Kx9vQ2mz"},
    {SECRET_PASSWORD,
     "| パスワード | `Kx9vQ2mz` |\xE3\x81\xAF\xE3\x80\x8CKx9vQ2mz\xE3\x80\x8D パスワード：Kx9vQ2mz"},
    {SECRET_PASSWORD, "curl https://admin:hunter2@db01/"},
    {SECRET_NONE, "curl https://$USER:$PASSWORD@db01/"},
    {SECRET_NONE, "password: <password>"},
    {SECRET_NONE, "Password: ********"},
    {SECRET_NONE, "password: required"},
    {SECRET_NONE, "パスワードは 12 文字以上にする"},
    {SECRET_NONE, "PasswordHistoryCount : 5"},
    {SECRET_NONE, "password_file: /etc/app/password.txt"},
    {SECRET_MY_NUMBER, "マイナンバー 1234-5678-9018"},
    {SECRET_NONE, "マイナンバー 1234-5678-9012"},
    {SECRET_NONE, "伝票 1234-5678-9018"},
    {SECRET_CARD, "4111 1111 1111 1111"},
    {SECRET_NONE, "4111 1111 1111 1112"},
    {SECRET_PHONE, "携帯 090-1234-5678"},
    {SECRET_NONE, "内線 03-1234-5678、2026-04-01 09:30、10.20.40.250"},
};

static void secrets_are_recognised(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(secret_rows); i++) {
        if (secret_in_line(mirai_str(secret_rows[i].line)) != secret_rows[i].kind) {
            fail_msg("%s: %d", secret_rows[i].line, (int)secret_in_line(mirai_str(secret_rows[i].line)));
        }
    }
}

/* ------------------------------------------------------------------ summaries */

static void summaries_are_sentences_in_order(void **state)
{
    static const char body[] =
        "## 影響\n\n在宅勤務の利用者 180 名が VPN に接続できず、業務ができなかった。\n\n"
        "## 原因\n\nvpn01.corp.local の証明書が期限切れになっていたことが原因である。`openssl x509` "
        "で確認した。\n\n"
        "## 対応\n\n新しい証明書を vpn01.corp.local に適用し、サービスを再起動して復旧した。\n\n"
        "```sh\nsystemctl restart vpn\n```\n\n| a | b | c |\n| --- | --- | --- |\n| 1 | 2 | 3 |\n\n- "
        "次を行う:\n";
    struct reading reading = {0};
    struct summary_workspace workspace = {0};
    struct mirai_arena arena = {0};
    struct mirai_str out[SUMMARY_KINDS];
    (void)state;
    reading_make(&reading, MIRAI_STR("VPN に接続できない"), mirai_str(body));
    summary_make(&workspace, &reading, &arena, out);
    const char *cause =
        memmem(out[SUMMARY_TECHNICAL].data, out[SUMMARY_TECHNICAL].len, "期限切れ", strlen("期限切れ"));
    const char *action =
        memmem(out[SUMMARY_TECHNICAL].data, out[SUMMARY_TECHNICAL].len, "復旧した。", strlen("復旧した。"));
    assert_true(cause != NULL && action != NULL && cause < action);
    assert_non_null(memmem(out[SUMMARY_NON_TECHNICAL].data, out[SUMMARY_NON_TECHNICAL].len, "利用者 180 名",
                           strlen("利用者 180 名")));
    assert_null(memmem(out[SUMMARY_TECHNICAL].data, out[SUMMARY_TECHNICAL].len, "systemctl", 9));
    for (int kind = 0; kind < SUMMARY_KINDS; kind++) {
        assert_true(mirai_utf8_length(out[kind]) <= SUMMARY_CHARS + 10);
        assert_memory_equal(out[kind].data + out[kind].len - 3, "。", 3);
    }
    reading_free(&reading);
    summary_workspace_free(&workspace);
    mirai_arena_free(&arena);
}

static void summaries_of_odd_texts_are_short(void **state)
{
    struct reading reading = {0};
    struct summary_workspace workspace = {0};
    struct mirai_arena arena = {0};
    struct mirai_str out[SUMMARY_KINDS];
    struct mirai_buf endless = {0};
    (void)state;
    reading_make(&reading, MIRAI_STR(""), MIRAI_STR(""));
    summary_make(&workspace, &reading, &arena, out);
    assert_int_equal(out[0].len + out[1].len, 0);
    for (int i = 0; i < 20000; i++) {
        mirai_buf_append_str(&endless, MIRAI_STR("句点のない"));
    }
    reading_make(&reading, MIRAI_STR("長い"), mirai_buf_str(&endless));
    summary_make(&workspace, &reading, &arena, out);
    for (int kind = 0; kind < SUMMARY_KINDS; kind++) {
        assert_true(out[kind].len > 0 && mirai_utf8_length(out[kind]) <= SUMMARY_CHARS &&
                    mirai_utf8_valid(out[kind]));
    }
    mirai_buf_free(&endless);
    reading_free(&reading);
    summary_workspace_free(&workspace);
    mirai_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_recognised),
        cmocka_unit_test(nothing_is_other),
        cmocka_unit_test(types_have_reasons),
        cmocka_unit_test(deviations_are_found),
        cmocka_unit_test(secrets_are_not_repeated),
        cmocka_unit_test(secrets_are_recognised),
        cmocka_unit_test(summaries_are_sentences_in_order),
        cmocka_unit_test(summaries_of_odd_texts_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
