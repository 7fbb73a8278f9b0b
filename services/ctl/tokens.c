/* miraictl token …: API tokens. */
#include "services/ctl/commands.h"
#include "services/ctl/ctl.h"
#include "services/ctl/secret.h"

#include <stdio.h>

int command_token_list(struct ctl *ctl)
{
    static const struct table_column columns[] = {
        {"id", "ID", "ID", TABLE_RIGHT},
        {"name", "名前", "NAME", TABLE_LEFT},
        {"user", "利用者", "USER", TABLE_LEFT},
        {"role", "役割", "ROLE", TABLE_LEFT},
        {"kind", "種類", "KIND", TABLE_LEFT},
        {"created_at", "作成", "CREATED", TABLE_LEFT},
        {"expires_at", "期限", "EXPIRES", TABLE_LEFT},
        {"last_used_at", "最終使用", "LAST USED", TABLE_LEFT},
        {0},
    };
    struct mirai_page_request request = {0};
    struct mirai_objects tokens;
    int err = ctl_list(ctl, MIRAI_METHOD_ID_token_list, &request, SIZE_MAX, &tokens);
    if (err == 0) {
        ctl_print_list(ctl, columns, &mirai_message_token, &tokens);
    }
    return ctl_exit_of(err);
}

/* The new token as JSON; its secret is left out when it went into a file. */
static void print_token(struct ctl *ctl, struct mirai_token_created *token, const char *path)
{
    char until[32];
    if (ctl->cli.json) {
        if (path != NULL) {
            mirai_clear(token_created, token, token);
        }
        ctl_print_json(&mirai_message_token_created, token);
        return;
    }
    text_time(until, token->expires_at);
    if (path != NULL) {
        ctl_say(ctl,
                text("トークンを %s に書きました（期限 %s）", "The token was written to %s (expires %s)"),
                path, until);
    } else {
        ctl_say(ctl, "%.*s", MIRAI_STR_ARG(token->token));
        fprintf(stderr, text("期限 %s。二度と表示されません。\n", "Expires %s; it is not shown again.\n"),
                until);
    }
}

int command_token_create(struct ctl *ctl)
{
    const char *user_name = cli_value(&ctl->cli, "--user");
    const char *path = cli_value(&ctl->cli, "--output-file");
    struct mirai_token_create create = {0};
    struct mirai_token_created token;
    struct mirai_user user;
    struct secret_file file = {.fd = -1};
    mirai_set(token_create, &create, name, mirai_str(ctl_argument(ctl, 0)));
    if (user_name == NULL && ctl->context.principal.user_id == MIRAI_USER_SYSTEM) {
        return ctl_fail(ctl, CTL_USAGE, "%s", text("--user が必要です", "--user is needed"));
    }
    if (!ctl_set(ctl, &mirai_message_token_create, &create, "role", "--role") ||
        !ctl_set(ctl, &mirai_message_token_create, &create, "days", "--days")) {
        return CTL_USAGE;
    }
    int err = user_name != NULL ? ctl_find_user(ctl, user_name, &user) : 0;
    if (err != 0) {
        return ctl_exit_of(err);
    }
    if (user_name != NULL) {
        mirai_set(token_create, &create, user_id, user.id);
    }
    if (path != NULL && !secret_file_open(ctl, &file, path)) {
        return CTL_FAILED;
    }
    err = ctl_call(ctl, MIRAI_METHOD_ID_token_create, &create, CTL_DEADLINE_MS, &token);
    if (err != 0) {
        secret_file_remove(&file);
        return ctl_exit_of(err);
    }
    if (path != NULL && !secret_file_write(ctl, &file, token.token)) {
        return CTL_FAILED;
    }
    print_token(ctl, &token, path);
    return CTL_OK;
}

int command_token_revoke(struct ctl *ctl)
{
    struct mirai_by_id which = {0};
    int64_t id;
    if (mirai_parse_int(mirai_str(ctl_argument(ctl, 0)), 1, INT64_MAX, &id) != 0) {
        return ctl_fail(ctl, CTL_USAGE, text("\"%s\" は ID ではありません", "\"%s\" is no id"),
                        ctl_argument(ctl, 0));
    }
    mirai_set(by_id, &which, id, id);
    int err = ctl_call(ctl, MIRAI_METHOD_ID_token_delete, &which, CTL_DEADLINE_MS, NULL);
    if (err == 0 && ctl->cli.json) {
        ctl_print_json(&mirai_message_by_id, &which);
    } else if (err == 0) {
        ctl_say(ctl, text("トークン %lld を失効させました", "Token %lld was revoked"), (long long)id);
    }
    return ctl_exit_of(err);
}
