/* miraictl config …: the variables that all programs read. */
#include "libcommon/config.h"
#include "services/ctl/commands.h"
#include "services/ctl/ctl.h"

#include <stdio.h>

extern char **environ;

int command_config_show(struct ctl *ctl)
{
    mirai_config_print(stdout, ctl->cli.json);
    return CTL_OK;
}

int command_config_help(struct ctl *ctl)
{
    if (cli_value(&ctl->cli, "--markdown") != NULL) {
        mirai_config_markdown(stdout);
    } else {
        mirai_config_help(stdout);
    }
    return CTL_OK;
}

int command_config_check(struct ctl *ctl)
{
    bool sound = mirai_config_load(environ, stderr) == 0;
    if (ctl->cli.json) {
        printf("{\"valid\": %s}\n", sound ? "true" : "false");
    } else if (sound) {
        ctl_say(ctl, "%s", text("設定に誤りはありません", "The configuration is valid"));
    }
    return sound ? CTL_OK : CTL_USAGE;
}
