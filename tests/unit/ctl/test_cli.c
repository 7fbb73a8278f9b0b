#include "services/ctl/cli.h"

#include "services/ctl/commands.h"
#include "services/ctl/supervisor.h"
#include "services/ctl/table.h"
#include "services/ctl/text.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARGS_MAX 16

static struct cli cli;
static char *errors;

/* Parse the words of a command line. */
static enum cli_result parse(const char *line)
{
    static char words[512];
    static char *argv[ARGS_MAX];
    int argc = 0;
    size_t len;
    strcpy(words, line);
    for (char *word = strtok(words, " "); word != NULL && argc < ARGS_MAX; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    free(errors);
    FILE *out = open_memstream(&errors, &len);
    enum cli_result result = cli_parse(ctl_commands, argc, argv, &cli, out);
    fclose(out);
    return result;
}

static int teardown(void **state)
{
    (void)state;
    free(errors);
    errors = NULL;
    return 0;
}

static void finds_commands_and_arguments(void **state)
{
    (void)state;
    assert_int_equal(parse("miraictl user create admin --role admin --password-file=/x --json"), CLI_RUN);
    assert_string_equal(cli.command->name, "user create");
    assert_int_equal(cli.count, 1);
    assert_string_equal(cli.arguments[0], "admin");
    assert_string_equal(cli_value(&cli, "--role"), "admin");
    assert_string_equal(cli_value(&cli, "--password-file"), "/x");
    assert_null(cli_value(&cli, "--email"));
    assert_true(cli.json);
    assert_int_equal(parse("miraictl --json status"), CLI_RUN);
    assert_true(cli.json);
    assert_int_equal(parse("miraictl import a --owner admin b"), CLI_RUN);
    assert_int_equal(cli.count, 2);
    assert_string_equal(cli.arguments[1], "b");
    assert_int_equal(parse("miraictl search -- --json"), CLI_RUN);
    assert_string_equal(cli.arguments[0], "--json");
    assert_false(cli.json);
}

static void assert_fault(const char *line, const char *word)
{
    assert_int_equal(parse(line), CLI_FAULT);
    if (strstr(errors, word) == NULL) {
        fail_msg("\"%s\" does not name \"%s\"", errors, word);
    }
}

static void refuses_what_it_does_not_know(void **state)
{
    (void)state;
    assert_fault("miraictl", "status");
    assert_fault("miraictl nothing", "nothing");
    assert_fault("miraictl user", "user create");
    assert_fault("miraictl user nothing", "user create");
    assert_fault("miraictl status --wrong", "--wrong");
    assert_fault("miraictl user create a --role king", "viewer|editor|admin");
    assert_fault("miraictl user create a --role", "--role");
    assert_fault("miraictl user create", "NAME");
    assert_fault("miraictl user create a b", "NAME");
    assert_fault("miraictl restore x --yes=1", "--yes");
    assert_fault("miraictl stat", "stat");
}

static void helps(void **state)
{
    (void)state;
    assert_int_equal(parse("miraictl --help"), CLI_HELP);
    assert_int_equal(cli.count, 0);
    assert_int_equal(parse("miraictl help user"), CLI_HELP);
    assert_string_equal(cli.arguments[0], "user");
    assert_int_equal(parse("miraictl user --help"), CLI_HELP);
    assert_int_equal(parse("miraictl user create --help"), CLI_RUN);
    assert_true(cli.help);
    assert_int_equal(parse("miraictl help import"), CLI_RUN);
    assert_true(cli.help);
    assert_int_equal(parse("miraictl --version"), CLI_VERSION);
}

static void bounds_integers(void **state)
{
    long value;
    (void)state;
    assert_int_equal(parse("miraictl audit list --limit 7"), CLI_RUN);
    assert_true(cli_integer(&cli, "--limit", 1, 10, 50, &value));
    assert_int_equal(value, 7);
    assert_false(cli_integer(&cli, "--limit", 8, 10, 50, &value));
    assert_int_equal(parse("miraictl audit list"), CLI_RUN);
    assert_true(cli_integer(&cli, "--limit", 1, 10, 5, &value));
    assert_int_equal(value, 5);
    assert_int_equal(parse("miraictl audit list --limit x"), CLI_RUN);
    assert_false(cli_integer(&cli, "--limit", 1, 10, 5, &value));
}

static void has_room_for_every_option(void **state)
{
    (void)state;
    for (const struct cli_command *command = ctl_commands; command->name != NULL; command++) {
        size_t count = 0;
        while (command->options != NULL && command->options[count].name != NULL) {
            assert_non_null(command->options[count].ja);
            assert_non_null(command->options[count].en);
            count++;
        }
        assert_true(count <= CLI_OPTIONS_MAX);
        assert_non_null(command->run);
    }
}

static void aligns_wide_and_hides_controls(void **state)
{
    static const struct table_column columns[] = {
        {"a", "名前", "NAME", TABLE_LEFT}, {"b", "数", "N", TABLE_RIGHT}, {0}};
    struct table table;
    char *text_out;
    size_t len;
    (void)state;
    setlocale(LC_CTYPE, "C.UTF-8");
    table_init(&table, columns);
    table_add(&table, MIRAI_STR("日本語"));
    table_add(&table, MIRAI_STR("7"));
    table_add(&table, MIRAI_STR("\033[31mx"));
    table_add(&table, MIRAI_STR("12"));
    FILE *out = open_memstream(&text_out, &len);
    table_print(&table, out);
    fclose(out);
    assert_string_equal(text_out, "名前    数\n日本語   7\n\xef\xbf\xbd[31mx  12\n");
    free(text_out);
    table_free(&table);
}

static void writes_sizes_and_durations(void **state)
{
    char out[32];
    (void)state;
    text_size(out, 1023);
    assert_string_equal(out, "1023 B");
    text_size(out, 1536);
    assert_string_equal(out, "1.5 KiB");
    text_duration(out, 999);
    assert_string_equal(out, "999 ms");
    text_duration(out, 61000);
    assert_string_equal(out, "1 min 1 s");
    text_duration(out, 90061000);
    assert_string_equal(out, "1 d 1 h");
}

static void restarts_at_once_then_slower(void **state)
{
    static const uint64_t expected[] = {0, 50, 100, 200, 400, 800, 1000, 1000};
    uint64_t memory = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(supervisor_delay(5, &memory), expected[i]);
    }
    assert_int_equal(supervisor_delay(SUPERVISOR_STABLE_MS, &memory), 0);
    assert_int_equal(supervisor_delay(5, &memory), 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(finds_commands_and_arguments, teardown),
        cmocka_unit_test_teardown(refuses_what_it_does_not_know, teardown),
        cmocka_unit_test_teardown(helps, teardown),
        cmocka_unit_test_teardown(bounds_integers, teardown),
        cmocka_unit_test(has_room_for_every_option),
        cmocka_unit_test(aligns_wide_and_hides_controls),
        cmocka_unit_test(writes_sizes_and_durations),
        cmocka_unit_test(restarts_at_once_then_slower),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
