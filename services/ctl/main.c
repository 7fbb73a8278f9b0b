/* miraictl: the operator's command line. */
#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/service.h"
#include "services/ctl/commands.h"
#include "services/ctl/ctl.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

extern char **environ;

/* Run the command that ctl->cli names. */
static int run(struct ctl *ctl)
{
    if (ctl->cli.help) {
        cli_help_command(ctl->cli.command, stdout);
        return CTL_OK;
    }
    ctl_init(ctl);
    int err = ctl->cli.command->needs == CLI_NEEDS_IDENTITY ? ctl_identify(ctl) : 0;
    int code = err == 0 ? ctl->cli.command->run(ctl) : ctl_exit_of(err);
    ctl_close(ctl);
    return code;
}

int main(int argc, char **argv)
{
    struct ctl ctl = {0};
    char *faults = NULL;
    size_t faults_len = 0;
    signal(SIGPIPE, SIG_IGN);
    umask(0027);
    mirai_log_set_level(MIRAI_LOG_FATAL); /* standard output belongs to the command */
    FILE *errors = open_memstream(&faults, &faults_len);
    if (errors == NULL) {
        return CTL_FAILED;
    }
    bool configured = mirai_config_load(environ, errors) == 0;
    fclose(errors);
    mirai_config_wipe(environ, true); /* miraictl run hands them on to the daemons */
    text_init();
    int code = CTL_USAGE;
    switch (cli_parse(ctl_commands, argc, argv, &ctl.cli, stderr)) {
    case CLI_VERSION:
        printf("miraictl %s\n", mirai_version());
        code = CTL_OK;
        break;
    case CLI_HELP:
        cli_help_all(ctl_commands, ctl.cli.count == 1 ? ctl.cli.arguments[0] : NULL, stdout);
        code = CTL_OK;
        break;
    case CLI_RUN:
        if (configured || ctl.cli.command->needs == CLI_NEEDS_NOTHING || ctl.cli.help) {
            code = run(&ctl);
        } else {
            fputs(faults, stderr);
        }
        break;
    case CLI_FAULT:
        break;
    }
    free(faults);
    return fflush(stdout) == 0 || code != CTL_OK ? code : CTL_FAILED;
}
