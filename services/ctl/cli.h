/* Command lines: which commands there are, what each takes, and what the user gave. */
#ifndef CTL_CLI_H
#define CTL_CLI_H

#include <stdbool.h>
#include <stdio.h>

struct ctl;

struct cli_option {
    const char *name;    /* "--role" */
    const char *value;   /* "ROLE"; NULL: a switch */
    const char *choices; /* "viewer|editor|admin"; NULL: any text */
    const char *ja;
    const char *en;
};

/* What must be in order before a command runs. */
enum cli_needs {
    CLI_NEEDS_IDENTITY, /* a sound configuration, and who acts is known */
    CLI_NEEDS_CONFIG,
    CLI_NEEDS_NOTHING,
};

struct cli_command {
    const char *name;                 /* "user create": one or two words */
    const char *arguments;            /* "NAME [FILE]", for people */
    int min;                          /* positional arguments at least */
    int max;                          /* at most; -1: any number */
    const struct cli_option *options; /* ends with {NULL}; NULL: none but --json and --help */
    const char *ja;                   /* one line on what it does */
    const char *en;
    int (*run)(struct ctl *ctl); /* returns an enum ctl_exit */
    enum cli_needs needs;
};

#define CLI_OPTIONS_MAX 12

struct cli {
    const struct cli_command *command;
    const char *values[CLI_OPTIONS_MAX]; /* by place in command->options; a switch that was given: "" */
    char **arguments;                    /* positional ones: points into argv, which is reordered */
    int count;
    bool json;
    bool help;
};

enum cli_result {
    CLI_RUN,     /* cli->command is to be run (or explained: cli->help) */
    CLI_HELP,    /* help on everything, or on the group named by arguments[0] when count is 1 */
    CLI_VERSION, /* print the version */
    CLI_FAULT,   /* the reason was written to `errors` */
};

/* Take `argv` apart. `commands` ends with {NULL}. */
enum cli_result cli_parse(const struct cli_command *commands, int argc, char **argv, struct cli *cli,
                          FILE *errors);

/* Value of an option of the command; NULL when it was not given. */
const char *cli_value(const struct cli *cli, const char *name);
/* Value as an integer, `fallback` when not given. False with the reason on stderr when it is none or out of
 * bounds. */
bool cli_integer(const struct cli *cli, const char *name, long min, long max, long fallback, long *value);

/* All commands (group NULL) or those that begin with the word `group`. */
void cli_help_all(const struct cli_command *commands, const char *group, FILE *out);
void cli_help_command(const struct cli_command *command, FILE *out);

#endif
