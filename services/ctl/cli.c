#include "services/ctl/cli.h"

#include "libcommon/str.h"
#include "services/ctl/text.h"

#include <stdlib.h>

/* Commands whose name begins with the words of argv; *words = how many of them were the name. */
static const struct cli_command *find_command(const struct cli_command *commands, int argc, char **argv,
                                              int *words)
{
    for (const struct cli_command *command = commands; command->name != NULL; command++) {
        size_t first = strcspn(command->name, " ");
        const char *second = command->name[first] != '\0' ? command->name + first + 1 : NULL;
        if (argc < 1 || strlen(argv[0]) != first || memcmp(argv[0], command->name, first) != 0) {
            continue;
        }
        if (second == NULL || (argc > 1 && strcmp(argv[1], second) == 0)) {
            *words = second == NULL ? 1 : 2;
            return command;
        }
    }
    return NULL;
}

static bool is_group(const struct cli_command *commands, const char *word)
{
    for (const struct cli_command *command = commands; command->name != NULL; command++) {
        size_t first = strcspn(command->name, " ");
        if (command->name[first] == ' ' && strlen(word) == first && memcmp(word, command->name, first) == 0) {
            return true;
        }
    }
    return false;
}

static int find_option(const struct cli_command *command, struct mirai_str name)
{
    for (int i = 0; command->options != NULL && command->options[i].name != NULL; i++) {
        if (mirai_str_eq(mirai_str(command->options[i].name), name)) {
            return i;
        }
    }
    return -1;
}

static bool one_of(const char *choices, const char *value)
{
    size_t len = strlen(value);
    while (*choices != '\0') {
        size_t n = strcspn(choices, "|");
        if (n == len && memcmp(choices, value, n) == 0) {
            return true;
        }
        choices += n + (choices[n] == '|');
    }
    return false;
}

/* Take the option at argv[0], and its value from argv[1] where it needs one. Returns how many were taken, 0
 * with the reason written. */
static int take_option(struct cli *cli, int argc, char **argv, FILE *errors)
{
    const char *equals = strchr(argv[0], '=');
    struct mirai_str name = {argv[0], equals != NULL ? (size_t)(equals - argv[0]) : strlen(argv[0])};
    int at = find_option(cli->command, name);
    if (at < 0) {
        fprintf(errors, text("miraictl %s: 不明なオプション %.*s\n", "miraictl %s: unknown option %.*s\n"),
                cli->command->name, MIRAI_STR_ARG(name));
        return 0;
    }
    const struct cli_option *option = &cli->command->options[at];
    const char *value = equals != NULL ? equals + 1 : option->value != NULL && argc > 1 ? argv[1] : NULL;
    if (option->value == NULL && equals != NULL) {
        fprintf(errors, text("miraictl: %s は値を取りません\n", "miraictl: %s takes no value\n"),
                option->name);
        return 0;
    }
    if (option->value == NULL) {
        cli->values[at] = "";
        return 1;
    }
    if (value == NULL || *value == '\0') {
        fprintf(errors, text("miraictl: %s には %s が必要です\n", "miraictl: %s needs %s\n"), option->name,
                option->value);
        return 0;
    }
    if (option->choices != NULL && !one_of(option->choices, value)) {
        fprintf(errors,
                text("miraictl: %s の値 \"%s\" は使えません。使える値: %s\n",
                     "miraictl: %s: \"%s\" is not allowed; allowed: %s\n"),
                option->name, value, option->choices);
        return 0;
    }
    cli->values[at] = value;
    return equals != NULL ? 1 : 2;
}

static enum cli_result parse_rest(int argc, char **argv, struct cli *cli, FILE *errors)
{
    bool options = true;
    cli->arguments = argv;
    for (int i = 0; i < argc;) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
            i++;
        } else if (options && strcmp(argv[i], "--json") == 0) {
            cli->json = true;
            i++;
        } else if (options && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            cli->help = true;
            i++;
        } else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
            int taken = take_option(cli, argc - i, argv + i, errors);
            if (taken == 0) {
                return CLI_FAULT;
            }
            i += taken;
        } else {
            cli->arguments[cli->count++] = argv[i++];
        }
    }
    if (!cli->help &&
        (cli->count < cli->command->min || (cli->command->max >= 0 && cli->count > cli->command->max))) {
        fprintf(errors, text("使い方: miraictl %s%s%s\n", "Usage: miraictl %s%s%s\n"), cli->command->name,
                cli->command->arguments[0] != '\0' ? " " : "", cli->command->arguments);
        return CLI_FAULT;
    }
    return CLI_RUN;
}

enum cli_result cli_parse(const struct cli_command *commands, int argc, char **argv, struct cli *cli,
                          FILE *errors)
{
    int words;
    argc--;
    argv++;
    *cli = (struct cli){0};
    while (argc > 0 && strcmp(argv[0], "--json") == 0) {
        cli->json = true;
        argc--;
        argv++;
    }
    if (argc > 0 && strcmp(argv[0], "--version") == 0) {
        return CLI_VERSION;
    }
    if (argc > 0 &&
        (strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        argc--;
        argv++;
        cli->help = true;
        if (argc == 0) {
            return CLI_HELP;
        }
    }
    cli->command = find_command(commands, argc, argv, &words);
    if (cli->command != NULL) {
        return parse_rest(argc - words, argv + words, cli, errors);
    }
    if (argc > 0 && is_group(commands, argv[0])) {
        cli->help = cli->help || (argc > 1 && strcmp(argv[1], "--help") == 0);
        cli->arguments = argv;
        cli->count = 1;
        if (cli->help) {
            return CLI_HELP;
        }
        cli_help_all(commands, argv[0], errors);
        return CLI_FAULT;
    }
    if (argc > 0) {
        fprintf(errors,
                text("miraictl: 不明なコマンド \"%s\"。一覧は miraictl --help\n",
                     "miraictl: unknown command \"%s\"; miraictl --help lists all\n"),
                argv[0]);
    } else {
        cli_help_all(commands, NULL, errors);
    }
    return CLI_FAULT;
}

const char *cli_value(const struct cli *cli, const char *name)
{
    int at = find_option(cli->command, mirai_str(name));
    return at >= 0 ? cli->values[at] : NULL;
}

bool cli_integer(const struct cli *cli, const char *name, long min, long max, long fallback, long *value)
{
    const char *given = cli_value(cli, name);
    int64_t number = fallback;
    if (given != NULL && mirai_parse_int(mirai_str(given), min, max, &number) != 0) {
        fprintf(stderr,
                text("miraictl: %s の値 \"%s\" は使えません。使える値: %ld..%ld\n",
                     "miraictl: %s: \"%s\" is not allowed; allowed: %ld..%ld\n"),
                name, given, min, max);
        return false;
    }
    *value = (long)number;
    return true;
}

/* ------------------------------------------------------------------ help */

/* Write `left`, spaces up to `column`, then `right`. */
static void print_row(FILE *out, const char *left, size_t column, const char *right)
{
    size_t width = text_width(mirai_str(left));
    fprintf(out, "  %s%*s%s\n", left, width + 2 < column ? (int)(column - width) : 2, "", right);
}

void cli_help_all(const struct cli_command *commands, const char *group, FILE *out)
{
    size_t len = group != NULL ? strlen(group) : 0;
    fprintf(out, "%s miraictl %s%s%s\n\n", text("使い方:", "Usage:"), group != NULL ? group : "",
            group != NULL ? " " : "",
            text("コマンド [引数…] [オプション…]", "COMMAND [ARGUMENT…] [OPTION…]"));
    for (const struct cli_command *command = commands; command->name != NULL; command++) {
        if (group != NULL && (strncmp(command->name, group, len) != 0 || command->name[len] != ' ')) {
            continue;
        }
        struct mirai_buf left = {0};
        mirai_buf_printf(&left, "%s%s%s", command->name, command->arguments[0] != '\0' ? " " : "",
                         command->arguments);
        mirai_buf_append_char(&left, '\0');
        print_row(out, left.data, 34, text(command->ja, command->en));
        mirai_buf_free(&left);
    }
    fputs(text("\nどのコマンドも --json と --help を受け付けます。設定は環境変数 MIRAI_*（miraictl config "
               "help）。\n"
               "終了コード: 0 成功、1 失敗、2 使い方または設定の誤り、3 デーモンが応答しない、4 一部を拒否\n",
               "\nEvery command takes --json and --help. Configuration: environment variables MIRAI_* "
               "(miraictl config "
               "help).\nExit codes: 0 done, 1 failed, 2 usage or configuration, 3 a daemon does not answer, "
               "4 done but "
               "for what was refused\n"),
          out);
}

void cli_help_command(const struct cli_command *command, FILE *out)
{
    fprintf(
        out,
        text("使い方: miraictl %s%s%s [オプション…]\n\n%s\n\n", "Usage: miraictl %s%s%s [OPTION…]\n\n%s\n\n"),
        command->name, command->arguments[0] != '\0' ? " " : "", command->arguments,
        text(command->ja, command->en));
    for (const struct cli_option *option = command->options; option != NULL && option->name != NULL;
         option++) {
        struct mirai_buf left = {0};
        mirai_buf_printf(&left, "%s%s%s", option->name, option->value != NULL ? " " : "",
                         option->choices != NULL ? option->choices
                         : option->value != NULL ? option->value
                                                 : "");
        mirai_buf_append_char(&left, '\0');
        print_row(out, left.data, 34, text(option->ja, option->en));
        mirai_buf_free(&left);
    }
    print_row(out, "--json", 34, text("結果を JSON で出力", "print the result as JSON"));
    print_row(out, "--help", 34, text("この説明を表示", "print this text"));
}
