/* A process has one log, so each test logs in a child of its own and looks at what came out. */
#include "libcommon/log.h"

#include "libcommon/time.h"
#include "tests/unit/libcommon/test.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/mirai-test-log-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static void in_directory(char path[128], const char *name)
{
    snprintf(path, 128, "%s/%s", directory, name);
}

static void wait_for(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The JSON objects of a file, one a line; removes it. */
static json_t *read_lines(const char *path)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    json_t *lines = json_array();
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while ((len = getline(&line, &cap, file)) > 0) {
        assert_int_equal(line[len - 1], '\n');
        assert_true(len <= 65536);
        json_t *object = json_loadb(line, (size_t)len, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(object);
        json_array_append_new(lines, object);
    }
    free(line);
    fclose(file);
    unlink(path);
    return lines;
}

/* Run `body` in a child whose log is open, and give back its lines. */
static json_t *lines_of(void (*body)(void))
{
    char path[128];
    in_directory(path, "log");
    pid_t child = fork();
    if (child == 0) {
        if (mirai_log_open("test-service", "7", path) != 0) {
            exit(1);
        }
        body();
        exit(0);
    }
    wait_for(child);
    return read_lines(path);
}

static const char *text(const json_t *lines, size_t line, const char *key)
{
    return json_string_value(json_object_get(json_array_get(lines, line), key));
}

/* ------------------------------------------------------------------ members */

static void log_members(void)
{
    mirai_log(WARNING, "こんにちは \"quoted\"\n", MIRAI_LOG_S("part", ((struct mirai_str){"abcdef", 3})),
              MIRAI_LOG_Z("request_id", "r-1"), MIRAI_LOG_I("count", INT64_MIN), MIRAI_LOG_D("ratio", 0.1),
              MIRAI_LOG_D("nan", (double)NAN), MIRAI_LOG_Z("none", NULL), MIRAI_LOG_Z("broken", "\xff"));
    mirai_log(ERROR, "no fields");
}

static void test_members(void **state)
{
    (void)state;
    int64_t before = mirai_now_ms(), when;
    json_t *lines = lines_of(log_members);
    assert_int_equal(json_array_size(lines), 2);
    assert_int_equal(mirai_rfc3339_parse(mirai_str(text(lines, 0, "timestamp")), &when), 0);
    assert_in_range(when, before, mirai_now_ms());
    assert_int_equal(strlen(text(lines, 0, "timestamp")), 24);
    assert_string_equal(text(lines, 0, "level"), "warning");
    assert_string_equal(text(lines, 0, "message"), "こんにちは \"quoted\"\n");
    assert_string_equal(text(lines, 0, "module"), "test_log");
    assert_string_equal(text(lines, 0, "function"), "log_members");
    assert_string_equal(text(lines, 0, "service"), "test-service");
    assert_string_equal(text(lines, 0, "instance"), "7");
    assert_string_equal(text(lines, 0, "part"), "abc");
    assert_string_equal(text(lines, 0, "request_id"), "r-1");
    assert_string_equal(text(lines, 0, "none"), "");
    assert_string_equal(text(lines, 0, "broken"), "\xEF\xBF\xBD");
    json_t *line = json_array_get(lines, 0);
    assert_int_equal(json_integer_value(json_object_get(line, "count")), INT64_MIN);
    assert_true(json_real_value(json_object_get(line, "ratio")) == 0.1);
    assert_true(json_is_null(json_object_get(line, "nan")));
    assert_string_equal(text(lines, 1, "level"), "error");
    json_decref(lines);
}

static void log_levels(void)
{
    mirai_log(DEBUG, "hidden");
    mirai_log(INFO, "shown 1");
    mirai_log_set_level(MIRAI_LOG_ERROR);
    mirai_log(WARNING, "hidden");
    mirai_log(ERROR, "shown 2");
    mirai_log_set_level(MIRAI_LOG_DEBUG);
    mirai_log(DEBUG, "shown 3");
}

static void test_levels(void **state)
{
    (void)state;
    json_t *lines = lines_of(log_levels);
    assert_int_equal(json_array_size(lines), 3);
    assert_string_equal(text(lines, 0, "message"), "shown 1");
    assert_string_equal(text(lines, 2, "message"), "shown 3");
    json_decref(lines);

    enum mirai_log_level level = MIRAI_LOG_INFO;
    assert_int_equal(mirai_log_parse_level(MIRAI_STR("fatal"), &level), 0);
    assert_int_equal(level, MIRAI_LOG_FATAL);
    assert_int_not_equal(mirai_log_parse_level(MIRAI_STR("FATAL"), &level), 0);
    assert_int_not_equal(mirai_log_parse_level(MIRAI_STR(""), &level), 0);
    assert_int_not_equal(mirai_log_parse_level(MIRAI_STR("info "), &level), 0);
}

/* ------------------------------------------------------------------ masking */

#define JWT "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"

static const struct {
    const char *key;
    const char *value;
    const char *shown;
} secrets[] = {
    {"password", "x", "***"},
    {"Password", "x", "***"},
    {"new_password", "x", "***"},
    {"token", "x", "***"},
    {"api_token", "x", "***"},
    {"client_secret", "x", "***"},
    {"authorization", "x", "***"},
    {"set-cookie", "x", "***"},
    {"session", "x", "***"},
    {"otp", "123456", "***"},
    {"key", "x", "***"},
    {"api_key", "x", "***"},
    {"apikey", "x", "***"},
    {"private-key", "x", "***"},
    {"a5", "token was " JWT " in the log", "token was *** in the log"}, /* the rest: test_mask.c */
    {"a6", "to yamada@example.co.jp", "to ***@example.co.jp"},
    {"monkey", "banana", "banana"},
    {"path", "/api/v1/tokens", "/api/v1/tokens"},
    {"k", "key", "key"},
};

static void log_secrets(void)
{
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        mirai_log(INFO, "secret", MIRAI_LOG_Z(secrets[i].key, secrets[i].value));
    }
    mirai_log(INFO, "sent Bearer abcdefghijklmnop", MIRAI_LOG_I("tokens", 3));
}

static void test_masking(void **state)
{
    (void)state;
    json_t *lines = lines_of(log_secrets);
    assert_int_equal(json_array_size(lines), ARRAY_LEN(secrets) + 1);
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        assert_string_equal(text(lines, i, secrets[i].key), secrets[i].shown);
    }
    assert_string_equal(text(lines, ARRAY_LEN(secrets), "message"), "sent Bearer ***");
    json_t *last = json_array_get(lines, ARRAY_LEN(secrets));
    assert_int_equal(json_integer_value(json_object_get(last, "tokens")), 3);
    json_decref(lines);
}

/* ------------------------------------------------------------------ bounds */

static void log_long_values(void)
{
    char *big = malloc(1000001);
    memset(big, 1, 1000000); /* six bytes each as JSON */
    big[1000000] = '\0';
    mirai_log(INFO, big, MIRAI_LOG_Z("first", "1"), MIRAI_LOG_Z("big", big), MIRAI_LOG_Z("last", "3"));
    memset(big, 'x', 1000000);
    mirai_log(INFO, "cut", MIRAI_LOG_Z("big", big), MIRAI_LOG_Z("last", "3"));
    memcpy(big + 8190, "日本", 6); /* the cut falls into a character */
    mirai_log(INFO, "cut", MIRAI_LOG_Z("big", big));
    free(big);
}

static void test_long_lines_are_cut(void **state)
{
    (void)state;
    json_t *lines = lines_of(log_long_values); /* checks each line's length and that it is JSON */
    assert_int_equal(json_array_size(lines), 3);
    assert_string_equal(text(lines, 0, "first"), "1");
    assert_true(json_is_true(json_object_get(json_array_get(lines, 0), "truncated")));
    assert_null(text(lines, 0, "last"));
    assert_int_equal(strlen(text(lines, 1, "big")), 8192 + strlen("…"));
    assert_string_equal(text(lines, 1, "last"), "3");
    assert_string_equal(text(lines, 2, "big") + 8189, "x…");
    json_decref(lines);
}

static void *log_many(void *thread)
{
    for (int i = 0; i < 2000; i++) {
        mirai_log(INFO, "a line of some length that must not be mixed with another one",
                  MIRAI_LOG_I("thread", (int64_t)(intptr_t)thread), MIRAI_LOG_I("number", i));
    }
    return NULL;
}

static void log_from_threads(void)
{
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        pthread_create(&threads[i], NULL, log_many, (void *)(intptr_t)i);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        pthread_join(threads[i], NULL);
    }
}

static void test_threads_do_not_mix_lines(void **state)
{
    (void)state;
    json_t *lines = lines_of(log_from_threads);
    json_int_t next[4] = {0};
    assert_int_equal(json_array_size(lines), 4 * 2000);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        json_t *line = json_array_get(lines, i);
        json_int_t thread = json_integer_value(json_object_get(line, "thread"));
        assert_int_equal(json_integer_value(json_object_get(line, "number")), next[thread]++);
    }
    json_decref(lines);
}

/* ------------------------------------------------------------------ where lines go */

static void log_fatal_and_die(void)
{
    mirai_log(INFO, "before");
    mirai_log(FATAL, "the end");
    _exit(0); /* no exit handler runs */
}

static void test_fatal_is_on_disk_when_it_returns(void **state)
{
    (void)state;
    json_t *lines = lines_of(log_fatal_and_die);
    assert_int_equal(json_array_size(lines), 2);
    assert_string_equal(text(lines, 1, "level"), "fatal");
    json_decref(lines);
}

static void log_around_a_rotation(void)
{
    char path[128], rotated[128];
    in_directory(path, "log");
    in_directory(rotated, "log.1");
    mirai_log(FATAL, "old file"); /* flushed */
    if (rename(path, rotated) != 0 || mirai_log_reopen() != 0) {
        _exit(1);
    }
    mirai_log(INFO, "new file");
}

static void test_reopen(void **state)
{
    (void)state;
    char rotated[128];
    in_directory(rotated, "log.1");
    json_t *lines = lines_of(log_around_a_rotation);
    assert_int_equal(json_array_size(lines), 1);
    assert_string_equal(text(lines, 0, "message"), "new file");
    json_decref(lines);
    lines = read_lines(rotated);
    assert_int_equal(json_array_size(lines), 1);
    assert_string_equal(text(lines, 0, "message"), "old file");
    json_decref(lines);
}

static void test_file_that_cannot_be_opened(void **state)
{
    (void)state;
    assert_int_not_equal(mirai_log_open("x", "1", "/nonexistent/log"), 0);
}

/* Nobody reads the pipe while 20 MB are logged: the child must go on, and what is missing must be counted. */
static void test_stuck_reader_does_not_stop_the_program(void **state)
{
    (void)state;
    enum { LINES = 20000 };
    int out[2], finished[2];
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(finished), 0);
    pid_t child = fork();
    if (child == 0) {
        char padding[1000];
        memset(padding, 'x', sizeof(padding));
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        if (mirai_log_open("test", "1", "") != 0) {
            _exit(1);
        }
        for (int i = 0; i < LINES; i++) {
            mirai_log(INFO, "line", MIRAI_LOG_S("padding", ((struct mirai_str){padding, sizeof(padding)})));
        }
        (void)!write(finished[1], "x", 1);
        exit(0);
    }
    close(out[1]);
    char c;
    assert_int_equal(read(finished[0], &c, 1), 1); /* it got through although we have read nothing */

    char *line = NULL;
    size_t cap = 0;
    json_int_t seen = 0, lost = 0;
    FILE *reader = fdopen(out[0], "r");
    while (getline(&line, &cap, reader) > 0) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        seen += json_object_get(object, "padding") != NULL;
        lost += json_integer_value(json_object_get(object, "lines"));
        json_decref(object);
    }
    free(line);
    fclose(reader);
    close(finished[0]);
    close(finished[1]);
    wait_for(child);
    assert_true(lost > 0);
    assert_true(seen > 1000);
    assert_int_equal(seen + lost, LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_masking),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_threads_do_not_mix_lines),
        cmocka_unit_test(test_fatal_is_on_disk_when_it_returns),
        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_file_that_cannot_be_opened),
        cmocka_unit_test(test_stuck_reader_does_not_stop_the_program),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
