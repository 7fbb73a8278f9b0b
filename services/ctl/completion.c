/* miraictl completion bash: a completion script made from the table of commands. */
#include "services/ctl/commands.h"
#include "services/ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>

/* The first words of all commands, each once. */
static void print_first_words(FILE *out)
{
    const char *last = "";
    for (const struct cli_command *command = ctl_commands; command->name != NULL; command++) {
        size_t len = strcspn(command->name, " ");
        if (strncmp(last, command->name, len) != 0 || strcspn(last, " ") != len) {
            fprintf(out, "%.*s ", (int)len, command->name);
        }
        last = command->name;
    }
}

/* The second words of the group that begins at `command`; returns the command after the group. */
static const struct cli_command *print_group(FILE *out, const struct cli_command *command)
{
    const char *group = command->name;
    size_t len = strcspn(group, " ");
    fprintf(out, "      %.*s) words='", (int)len, group);
    for (; command->name != NULL && strncmp(command->name, group, len + 1) == 0; command++) {
        fprintf(out, "%s ", command->name + len + 1);
    }
    fputs("' ;;\n", out);
    return command;
}

static void print_options(FILE *out, const struct cli_command *command)
{
    fprintf(out, "    '%s') options='--json --help", command->name);
    for (const struct cli_option *option = command->options; option != NULL && option->name != NULL;
         option++) {
        fprintf(out, " %s", option->name);
    }
    fputs("' ;;\n", out);
}

/* What may follow an option: one of its choices, or a file. */
static void print_values(FILE *out, const struct cli_command *command)
{
    for (const struct cli_option *option = command->options; option != NULL && option->name != NULL;
         option++) {
        if (option->choices != NULL) {
            fprintf(out, "    '%s %s') values='", command->name, option->name);
            for (const char *c = option->choices; *c != '\0'; c++) {
                fputc(*c == '|' ? ' ' : *c, out);
            }
            fputs("' ;;\n", out);
        } else if (option->value != NULL) {
            fprintf(out, "    '%s %s') values= files=%s ;;\n", command->name, option->name,
                    strcmp(option->value, "FILE") == 0 ? "1" : "");
        }
    }
}

static void print_bash(FILE *out)
{
    const struct cli_command *command;
    fputs("# bash completion for miraictl; made by `miraictl completion bash`\n"
          "_miraictl() {\n"
          "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "  local name=${COMP_WORDS[1]} words='' options='' values='' files='' found=1\n"
          "  COMPREPLY=()\n"
          "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "    COMPREPLY=($(compgen -W '",
          out);
    print_first_words(out);
    fputs("help --help --version' -- \"$current\"))\n"
          "    return\n"
          "  fi\n"
          "  case $name in\n",
          out);
    for (command = ctl_commands; command->name != NULL;) {
        command = strchr(command->name, ' ') != NULL ? print_group(out, command) : command + 1;
    }
    fputs("  esac\n"
          "  if [ -n \"$words\" ]; then\n"
          "    if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
          "      COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
          "      return\n"
          "    fi\n"
          "    name=\"$name ${COMP_WORDS[2]}\"\n"
          "  fi\n"
          "  case \"$name $previous\" in\n",
          out);
    for (command = ctl_commands; command->name != NULL; command++) {
        print_values(out, command);
    }
    fputs("    *) found= ;;\n"
          "  esac\n"
          "  if [ -n \"$found\" ]; then\n"
          "    COMPREPLY=($(compgen -W \"$values\" ${files:+-f} -- \"$current\"))\n"
          "    return\n"
          "  fi\n"
          "  case $name in\n",
          out);
    for (command = ctl_commands; command->name != NULL; command++) {
        print_options(out, command);
    }
    fputs("  esac\n"
          "  if [ \"${current:0:1}\" = - ]; then\n"
          "    COMPREPLY=($(compgen -W \"$options\" -- \"$current\"))\n"
          "  else\n"
          "    COMPREPLY=($(compgen -f -- \"$current\"))\n"
          "  fi\n"
          "}\n"
          "complete -o filenames -F _miraictl miraictl\n",
          out);
}

int command_completion_bash(struct ctl *ctl)
{
    char *script = NULL;
    size_t len = 0;
    if (!ctl->cli.json) {
        print_bash(stdout);
        return CTL_OK;
    }
    FILE *memory = open_memstream(&script, &len);
    if (memory == NULL) {
        return CTL_FAILED;
    }
    print_bash(memory);
    fclose(memory);
    struct mirai_buf json = {0};
    mirai_buf_append_str(&json, MIRAI_STR("{\"script\": "));
    mirai_buf_append_json(&json, (struct mirai_str){script, len});
    printf("%.*s}\n", MIRAI_STR_ARG(json));
    mirai_buf_free(&json);
    free(script);
    return CTL_OK;
}
