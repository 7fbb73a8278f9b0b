#include "libcommon/config.h"

#include "libcommon/error.h"
#include "tests/unit/libcommon/test.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

/* What mirai_config_load wrote about the faults; free() it. */
static char *load(int expected, char *const *environment)
{
    char *text = NULL;
    size_t len;
    FILE *errors = open_memstream(&text, &len);
    assert_int_equal(mirai_config_load(environment, errors), expected);
    fclose(errors);
    if (expected == 0) {
        assert_string_equal(text, "");
    }
    return text;
}

#define ENVIRONMENT(...) ((char *const[]){__VA_ARGS__, NULL})

static void load_good(char *const *environment)
{
    free(load(0, environment));
}

/* One bad entry gives one line that holds both texts. */
static void load_bad(char *entry, const char *says, const char *also)
{
    char *text = load(MIRAI_E_INVALID, ENVIRONMENT("PATH=/bin", entry));
    const char *newline = strchr(text, '\n');
    assert_non_null(newline);
    assert_string_equal(newline, "\n");
    if (strstr(text, says) == NULL || strstr(text, also) == NULL) {
        fail_msg("%s -> %s", entry, text);
    }
    free(text);
}

static void test_defaults(void **state)
{
    (void)state;
    load_good(ENVIRONMENT("PATH=/bin", "MIRAIX=1", "MIRAI=2", "NOEQUALS"));
    assert_string_equal(mirai_config_str(MIRAI_CONFIG_LOCALE), "ja");
    assert_int_equal(mirai_config_int(MIRAI_CONFIG_DRAIN_MS), 5000);
    assert_int_equal(mirai_config_size(MIRAI_CONFIG_RPC_QUEUE_MAX), 8192);
    assert_string_equal(mirai_config_str(MIRAI_CONFIG_TOKEN), "");
    assert_false(mirai_config_is_set(MIRAI_CONFIG_LOCALE));
}

/* A default that its own row refuses would stop every start. */
static void test_every_default_is_allowed(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
#define TEXT(key, fallback, ...)   {#key, fallback},
#define NUMBER(key, fallback, ...) {#key, #fallback},
        MIRAI_CONFIG_TABLE(TEXT, NUMBER, NUMBER, TEXT, TEXT)
#undef TEXT
#undef NUMBER
    };
    assert_int_equal(ARRAY_LEN(rows), MIRAI_CONFIG_COUNT);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char entry[256];
        snprintf(entry, sizeof(entry), "MIRAI_%s=%s", rows[i][0], rows[i][1]);
        load_good(ENVIRONMENT(entry));
    }
}

static void test_values(void **state)
{
    (void)state;
    char host[64];
    int port;
    load_good(ENVIRONMENT("MIRAI_LOCALE=en", "MIRAI_DRAIN_MS=0", "MIRAI_GATEWAY_LISTEN=[::1]:65535",
                          "MIRAI_DATA_DIR=/データ", "MIRAI_INSTANCE=blue-2.x_1",
                          "MIRAI_TOKEN=s3cret=with=equals"));
    assert_string_equal(mirai_config_str(MIRAI_CONFIG_LOCALE), "en");
    assert_true(mirai_config_is_set(MIRAI_CONFIG_LOCALE));
    assert_int_equal(mirai_config_int(MIRAI_CONFIG_DRAIN_MS), 0);
    assert_string_equal(mirai_config_str(MIRAI_CONFIG_DATA_DIR), "/データ");
    assert_string_equal(mirai_config_str(MIRAI_CONFIG_TOKEN), "s3cret=with=equals");
    mirai_config_address(MIRAI_CONFIG_GATEWAY_LISTEN, host, &port);
    assert_string_equal(host, "::1");
    assert_int_equal(port, 65535);
    mirai_config_address(MIRAI_CONFIG_METRICS_LISTEN, host, &port);
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(port, 9464);
}

static void test_empty_means_default(void **state)
{
    (void)state;
    load_good(ENVIRONMENT("MIRAI_LOCALE=", "MIRAI_DRAIN_MS=", "MIRAI_GATEWAY_LISTEN=", "MIRAI_TOKEN_FILE="));
    assert_string_equal(mirai_config_str(MIRAI_CONFIG_LOCALE), "ja");
    assert_int_equal(mirai_config_int(MIRAI_CONFIG_DRAIN_MS), 5000);
}

static void test_endpoints_and_schedules(void **state)
{
    (void)state;
    load_good(
        ENVIRONMENT("MIRAI_STORE_ENDPOINTS=ipc:///run/a.sock,tcp://127.0.0.1:7000#10,tcp://[::1]:1#1000",
                    "MIRAI_BACKUP_DAILY=23:59", "MIRAI_BACKUP_WEEKLY=off"));
    load_good(ENVIRONMENT("MIRAI_CLAMD=unix:/run/clamav/clamd.ctl"));
    load_good(ENVIRONMENT("MIRAI_CLAMD=tcp://192.0.2.1:3310"));
    load_good(ENVIRONMENT("MIRAI_CLAMD=tcp://[2001:db8::1]:3310"));
    load_good(ENVIRONMENT("MIRAI_BACKUP_DAILY=off", "MIRAI_BACKUP_WEEKLY=Fri 00:00"));
    load_bad("MIRAI_STORE_ENDPOINTS=http://a", "MIRAI_STORE_ENDPOINTS: \"http://a\"", "tcp://HOST:PORT");
    load_bad("MIRAI_STORE_ENDPOINTS=tcp://nohost", "tcp://nohost", "tcp://HOST:PORT");
    load_bad("MIRAI_STORE_ENDPOINTS=tcp://:7000", "tcp://:7000", "tcp://HOST:PORT");
    load_bad("MIRAI_STORE_ENDPOINTS=tcp://host:70000", "70000", "tcp://HOST:PORT");
    load_bad("MIRAI_STORE_ENDPOINTS=ipc://relative", "ipc://relative", "ipc://PATH");
    load_bad("MIRAI_STORE_ENDPOINTS=ipc:///"
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
             "aaaa", "ipc://PATH"); /* longer than an address of a socket may be */
    load_bad("MIRAI_STORE_ENDPOINTS=ipc:///a,", "MIRAI_STORE_ENDPOINTS", "comma-separated");
    load_bad("MIRAI_STORE_ENDPOINTS=ipc://", "MIRAI_STORE_ENDPOINTS", "ipc://");
    load_bad("MIRAI_SEARCH_ENDPOINTS=ipc:///a#0", "MIRAI_SEARCH_ENDPOINTS", "1..1000");
    load_bad("MIRAI_SEARCH_ENDPOINTS=ipc:///a#", "MIRAI_SEARCH_ENDPOINTS", "1..1000");
    load_bad("MIRAI_BACKUP_DAILY=24:00", "24:00", "HH:MM or off");
    load_bad("MIRAI_BACKUP_DAILY=3:00", "3:00", "HH:MM or off");
    load_bad("MIRAI_BACKUP_DAILY=-1:00", "-1:00", "HH:MM or off");
    load_bad("MIRAI_CLAMD=/run/clamav/clamd.ctl", "/run/clamav", "unix:/PATH");
    load_bad("MIRAI_CLAMD=unix:clamd.ctl", "unix:clamd", "unix:/PATH");
    load_bad("MIRAI_CLAMD=tcp://localhost:3310", "localhost", "tcp://IPV4:PORT");
    load_bad("MIRAI_CLAMD=tcp://192.0.2.1", "192.0.2.1", "tcp://IPV4:PORT");
    load_bad("MIRAI_BACKUP_WEEKLY=sun 04:00", "sun", "Sun HH:MM");
    load_bad("MIRAI_BACKUP_WEEKLY=Sun off", "Sun off", "Sun HH:MM");
    load_bad("MIRAI_BACKUP_WEEKLY=Sun", "Sun", "Sun HH:MM");
}

static void test_bad_values(void **state)
{
    (void)state;
    load_bad("MIRAI_LOCALE=fr", "MIRAI_LOCALE: \"fr\" is not allowed", "ja|en");
    load_bad("MIRAI_LOCALE=j", "\"j\"", "ja|en");
    load_bad("MIRAI_LOCALE=ja|en", "\"ja|en\" is", "ja|en");
    load_bad("MIRAI_DRAIN_MS=60001", "MIRAI_DRAIN_MS: \"60001\"", "0..60000 ms");
    load_bad("MIRAI_DRAIN_MS=-1", "\"-1\"", "0..60000 ms");
    load_bad("MIRAI_DRAIN_MS=5s", "\"5s\"", "0..60000 ms");
    load_bad("MIRAI_DRAIN_MS=99999999999999999999", "MIRAI_DRAIN_MS", "0..60000 ms");
    load_bad("MIRAI_GATEWAY_LISTEN=8888", "\"8888\"", "IPV4:PORT or [IPV6]:PORT");
    load_bad("MIRAI_GATEWAY_LISTEN=:8888", "MIRAI_GATEWAY_LISTEN", "IPV4:PORT");
    load_bad("MIRAI_GATEWAY_LISTEN=127.0.0.1:0", "127.0.0.1:0", "IPV4:PORT");
    load_bad("MIRAI_GATEWAY_LISTEN=127.0.0.1:65536", "65536", "IPV4:PORT");
    load_bad("MIRAI_GATEWAY_LISTEN=::1:80", "::1:80", "IPV4:PORT");
    load_bad("MIRAI_GATEWAY_LISTEN=[127.0.0.1]:80", "[127", "IPV4:PORT");
    load_bad("MIRAI_GATEWAY_LISTEN=[::1:80", "[::1", "IPV4:PORT");
    load_bad("MIRAI_GATEWAY_LISTEN=]:80", "]:80", "IPV4:PORT");
    load_bad("MIRAI_INSTANCE=../x", "../x", "letters");
    load_bad("MIRAI_INSTANCE=.x", ".x", "letters");
    load_bad("MIRAI_INSTANCE=123456789012345678901234567890123", "123", "32");
    load_bad("MIRAI_DATA_DIR=/a\nb", "\"/a\\nb\"", "control characters");
    load_bad("MIRAI_DATA_DIR=/\xff", "MIRAI_DATA_DIR", "UTF-8");
}

static void test_unknown_variables(void **state)
{
    (void)state;
    load_bad("MIRAI_LOCAL=ja", "MIRAI_LOCAL: no such variable", "--help");
    load_bad("MIRAI_A\nB\x1b[2J=1", "MIRAI_A?B?[2J", "no such variable"); /* nothing that a terminal obeys */
    load_bad("MIRAI_INSTANCE=a\x7f\x1b[2J", "\"a?\\u001b[2J\"", "MIRAI_INSTANCE");
    load_bad("MIRAI_=1", "MIRAI_: no such variable", "--help");
    load_bad("MIRAI_locale=ja", "MIRAI_locale", "no such variable");
    load_bad("MIRAI_LOCALE_FILE=/etc/passwd", "MIRAI_LOCALE_FILE", "no such variable");
    load_bad("MIRAI__FILE=/etc/passwd", "MIRAI__FILE", "no such variable");
}

static void test_all_faults_are_reported(void **state)
{
    (void)state;
    char *text = load(MIRAI_E_INVALID, ENVIRONMENT("MIRAI_X=1", "MIRAI_LOCALE=fr", "MIRAI_LOG_LEVEL=debug",
                                                   "MIRAI_DRAIN_MS=x"));
    assert_non_null(strstr(text, "MIRAI_X"));
    assert_non_null(strstr(text, "MIRAI_LOCALE"));
    assert_non_null(strstr(text, "MIRAI_DRAIN_MS"));
    assert_null(strstr(text, "MIRAI_LOG_LEVEL"));
    free(text);
}

static void test_secrets_never_show(void **state)
{
    (void)state;
    char *text = load(MIRAI_E_INVALID, ENVIRONMENT("MIRAI_TOKEN=hidden\x01value", "MIRAI_TOKEM=hidden"));
    assert_non_null(strstr(text, "MIRAI_TOKEN"));
    assert_non_null(strstr(text, "MIRAI_TOKEM"));
    assert_null(strstr(text, "hidden"));
    free(text);

    load_good(ENVIRONMENT("MIRAI_TOKEN=hidden"));
    for (int json = 0; json <= 1; json++) {
        char *printed = NULL;
        size_t len;
        FILE *out = open_memstream(&printed, &len);
        mirai_config_print(out, json);
        fclose(out);
        assert_null(strstr(printed, "hidden"));
        assert_non_null(strstr(printed, "***"));
        free(printed);
    }
}

/* ------------------------------------------------------------------ secrets in files */

static char directory[] = "/tmp/mirai-test-config-XXXXXX";
static char secret_path[64];

static int make_directory(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(secret_path, sizeof(secret_path), "%s/secret", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(secret_path);
    return rmdir(directory);
}

static void write_secret(const char *bytes, size_t len)
{
    FILE *file = fopen(secret_path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

static void test_secret_from_file(void **state)
{
    (void)state;
    char entry[128];
    snprintf(entry, sizeof(entry), "MIRAI_TOKEN_FILE=%s", secret_path);
    write_secret("from file\n", 10);
    load_good(ENVIRONMENT(entry));
    assert_string_equal(mirai_config_str(MIRAI_CONFIG_TOKEN), "from file");
    load_good(ENVIRONMENT(entry, "MIRAI_TOKEN=")); /* empty: not set */
    assert_string_equal(mirai_config_str(MIRAI_CONFIG_TOKEN), "from file");
    write_secret("", 0);
    load_good(ENVIRONMENT(entry));
    assert_string_equal(mirai_config_str(MIRAI_CONFIG_TOKEN), "");
    write_secret("two\n\n", 5); /* only one newline is dropped, the other is not allowed */
    load_bad(entry, "MIRAI_TOKEN", "not allowed");
    write_secret("a\0b", 3);
    load_bad(entry, "MIRAI_TOKEN", "not allowed");
}

static void test_secret_from_both(void **state)
{
    (void)state;
    char entry[128];
    snprintf(entry, sizeof(entry), "MIRAI_TOKEN_FILE=%s", secret_path);
    write_secret("hidden", 6);
    char *text = load(MIRAI_E_INVALID, ENVIRONMENT("MIRAI_TOKEN=hidden", entry));
    assert_non_null(strstr(text, "more than once"));
    assert_null(strstr(text, "hidden"));
    free(text);
    free(load(MIRAI_E_INVALID, ENVIRONMENT(entry, "MIRAI_TOKEN=hidden")));
}

static void test_secret_file_size(void **state)
{
    (void)state;
    char entry[128];
    char *big = malloc(65537);
    memset(big, 'x', 65537);
    snprintf(entry, sizeof(entry), "MIRAI_TOKEN_FILE=%s", secret_path);
    write_secret(big, 65536);
    load_good(ENVIRONMENT(entry));
    assert_int_equal(strlen(mirai_config_str(MIRAI_CONFIG_TOKEN)), 65536);
    write_secret(big, 65537);
    load_bad(entry, "MIRAI_TOKEN_FILE", "65536");
    free(big);
}

static void test_secret_file_that_cannot_be_read(void **state)
{
    (void)state;
    char entry[128];
    load_bad("MIRAI_TOKEN_FILE=/nonexistent/secret", "MIRAI_TOKEN_FILE", "No such file");
    snprintf(entry, sizeof(entry), "MIRAI_TOKEN_FILE=%s", directory);
    load_bad(entry, "MIRAI_TOKEN_FILE", "directory");
    unlink(secret_path);
    assert_int_equal(mkfifo(secret_path, 0600), 0); /* must not wait for a writer */
    snprintf(entry, sizeof(entry), "MIRAI_TOKEN_FILE=%s", secret_path);
    load_good(ENVIRONMENT(entry));
    unlink(secret_path);
}

/* ------------------------------------------------------------------ the table for people */

static char *printed(void (*print)(FILE *out))
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    print(out);
    fclose(out);
    return text;
}

static void test_help_and_markdown_name_everything(void **state)
{
    (void)state;
    char *help = printed(mirai_config_help);
    char *markdown = printed(mirai_config_markdown);
#define CHECK(key, fallback, ...)                                                                            \
    assert_non_null(strstr(help, "MIRAI_" #key "\n"));                                                       \
    assert_non_null(strstr(markdown, "| `MIRAI_" #key "`"));
    MIRAI_CONFIG_TABLE(CHECK, CHECK, CHECK, CHECK, CHECK)
#undef CHECK
    for (const char *line = markdown; *line != '\0'; line = strchr(line, '\n') + 1) {
        int cells = 0;
        for (const char *c = line; *c != '\n'; c++) {
            cells += *c == '|' && (c == line || c[-1] != '\\');
        }
        assert_int_equal(cells, 6);
    }
    assert_non_null(strstr(help, "0..60000 ms; default: 5000"));
    assert_non_null(strstr(help, "MIRAI_TOKEN_FILE"));
    free(help);
    free(markdown);
}

static void print_json(FILE *out)
{
    mirai_config_print(out, true);
}

static void test_print_json(void **state)
{
    (void)state;
    load_good(ENVIRONMENT("MIRAI_DATA_DIR=/a\"b", "MIRAI_DRAIN_MS=7"));
    char *text = printed(print_json);
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    assert_int_equal(json_object_size(root), MIRAI_CONFIG_COUNT);
    json_t *dir = json_object_get(root, "MIRAI_DATA_DIR");
    assert_string_equal(json_string_value(json_object_get(dir, "value")), "/a\"b");
    assert_string_equal(json_string_value(json_object_get(dir, "source")), "environment");
    json_t *drain = json_object_get(root, "MIRAI_DRAIN_MS");
    assert_int_equal(json_integer_value(json_object_get(drain, "value")), 7);
    json_t *locale = json_object_get(root, "MIRAI_LOCALE");
    assert_string_equal(json_string_value(json_object_get(locale, "source")), "default");
    json_decref(root);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_default_is_allowed),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_empty_means_default),
        cmocka_unit_test(test_endpoints_and_schedules),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_unknown_variables),
        cmocka_unit_test(test_all_faults_are_reported),
        cmocka_unit_test(test_secrets_never_show),
        cmocka_unit_test(test_secret_from_file),
        cmocka_unit_test(test_secret_from_both),
        cmocka_unit_test(test_secret_file_size),
        cmocka_unit_test(test_secret_file_that_cannot_be_read),
        cmocka_unit_test(test_help_and_markdown_name_everything),
        cmocka_unit_test(test_print_json),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
