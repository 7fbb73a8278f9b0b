/* miraictl user …: accounts. */
#include "services/ctl/commands.h"
#include "services/ctl/ctl.h"
#include "services/ctl/secret.h"

#include <sodium.h>

int command_user_list(struct ctl *ctl)
{
    static const struct table_column columns[] = {
        {"id", "ID", "ID", TABLE_RIGHT},
        {"name", "名前", "NAME", TABLE_LEFT},
        {"display_name", "表示名", "DISPLAY NAME", TABLE_LEFT},
        {"role", "役割", "ROLE", TABLE_LEFT},
        {"source", "認証元", "SOURCE", TABLE_LEFT},
        {"second_factor", "第二要素", "SECOND FACTOR", TABLE_LEFT},
        {"disabled", "無効", "DISABLED", TABLE_LEFT},
        {"created_at", "作成", "CREATED", TABLE_LEFT},
        {"last_login_at", "最終ログイン", "LAST LOGIN", TABLE_LEFT},
        {0},
    };
    struct mirai_page_request request = {0};
    struct mirai_objects users;
    int err = ctl_list(ctl, MIRAI_METHOD_ID_user_list, &request, SIZE_MAX, &users);
    if (err == 0) {
        ctl_print_list(ctl, columns, &mirai_message_user, &users);
    }
    return ctl_exit_of(err);
}

/* Tell the result: the account, and the password if it was made up (shown once). */
static void print_user(struct ctl *ctl, const struct mirai_user *user, const char *password, const char *said)
{
    if (!ctl->cli.json) {
        ctl_say(ctl, said, MIRAI_STR_ARG(user->name));
        if (password != NULL) {
            ctl_say(ctl, "%s %s", text("パスワード:", "Password:"), password);
        }
        return;
    }
    struct mirai_buf mp = {0};
    mirai_mp_write_map(&mp, password != NULL ? 2 : 1);
    mirai_mp_write_cstr(&mp, "user");
    mirai_message_encode(&mirai_message_user, user, &mp);
    if (password != NULL) {
        mirai_mp_write_cstr(&mp, "password");
        mirai_mp_write_cstr(&mp, password);
    }
    ctl_print_raw(mirai_buf_str(&mp));
    if (mp.len > 0) {
        sodium_memzero(mp.data, mp.len);
    }
    mirai_buf_free(&mp);
}

int command_user_create(struct ctl *ctl)
{
    struct mirai_user_create create = {0};
    struct mirai_user user;
    char password[SECRET_SIZE];
    bool generated;
    mirai_set(user_create, &create, name, mirai_str(ctl_argument(ctl, 0)));
    if (!ctl_set(ctl, &mirai_message_user_create, &create, "role", "--role") ||
        !ctl_set(ctl, &mirai_message_user_create, &create, "display_name", "--display-name") ||
        !ctl_set(ctl, &mirai_message_user_create, &create, "email", "--email")) {
        return CTL_USAGE;
    }
    if (!mirai_has(user_create, &create, role)) {
        mirai_set(user_create, &create, role, MIRAI_ROLE_VIEWER);
    }
    if (cli_value(&ctl->cli, "--must-change-password") != NULL) {
        mirai_set(user_create, &create, must_change_password, true);
    }
    if (!secret_password(ctl, password, &generated)) {
        return CTL_FAILED;
    }
    mirai_set(user_create, &create, password, mirai_str(password));
    int err = ctl_call(ctl, MIRAI_METHOD_ID_user_create, &create, CTL_DEADLINE_MS, &user);
    if (err == 0) {
        print_user(ctl, &user, generated ? password : NULL,
                   text("利用者 %.*s を作成しました", "User %.*s was made"));
    }
    sodium_memzero(password, sizeof(password));
    return ctl_exit_of(err);
}

/* Find the user of the first argument and change it. */
static int patch_user(struct ctl *ctl, struct mirai_user_patch *patch, const char *password, const char *said)
{
    struct mirai_user user;
    int err = ctl_find_user(ctl, ctl_argument(ctl, 0), &user);
    if (err == 0) {
        mirai_set(user_patch, patch, id, user.id);
        err = ctl_call(ctl, MIRAI_METHOD_ID_user_patch, patch, CTL_DEADLINE_MS, &user);
    }
    if (err == 0) {
        print_user(ctl, &user, password, said);
    }
    return ctl_exit_of(err);
}

int command_user_set_role(struct ctl *ctl)
{
    struct mirai_user_patch patch = {0};
    struct mirai_faults faults = {0};
    if (mirai_message_set_text(&mirai_message_user_patch, MIRAI_STR("role"), mirai_str(ctl_argument(ctl, 1)),
                               &ctl->arena, &patch, &faults) != 0) {
        return ctl_fail(ctl, CTL_USAGE,
                        text("役割 \"%s\" は使えません。使える値: viewer, editor, admin",
                             "\"%s\" is no role; allowed: viewer, editor, admin"),
                        ctl_argument(ctl, 1));
    }
    return patch_user(ctl, &patch, NULL,
                      text("利用者 %.*s の役割を変更しました", "The role of %.*s was changed"));
}

static int set_disabled(struct ctl *ctl, bool disabled, const char *said)
{
    struct mirai_user_patch patch = {0};
    mirai_set(user_patch, &patch, disabled, disabled);
    return patch_user(ctl, &patch, NULL, said);
}

int command_user_disable(struct ctl *ctl)
{
    return set_disabled(ctl, true, text("利用者 %.*s を無効にしました", "User %.*s was disabled"));
}

int command_user_enable(struct ctl *ctl)
{
    return set_disabled(ctl, false, text("利用者 %.*s を有効にしました", "User %.*s was enabled"));
}

int command_user_password(struct ctl *ctl)
{
    struct mirai_user_patch patch = {0};
    char password[SECRET_SIZE];
    bool generated;
    if (!secret_password(ctl, password, &generated)) {
        return CTL_FAILED;
    }
    mirai_set(user_patch, &patch, password, mirai_str(password));
    if (cli_value(&ctl->cli, "--must-change-password") != NULL) {
        mirai_set(user_patch, &patch, must_change_password, true);
    }
    int code = patch_user(ctl, &patch, generated ? password : NULL,
                          text("利用者 %.*s のパスワードを変更しました", "The password of %.*s was changed"));
    sodium_memzero(password, sizeof(password));
    return code;
}

int command_user_reset_second_factor(struct ctl *ctl)
{
    struct mirai_user_patch patch = {0};
    mirai_set(user_patch, &patch, second_factor, false);
    return patch_user(ctl, &patch, NULL,
                      text("利用者 %.*s の第二要素を外しました", "The second factor of %.*s was taken away"));
}

/* ------------------------------------------------------------------ sessions */

int command_user_sessions(struct ctl *ctl)
{
    static const struct table_column columns[] = {
        {"id", "ID", "ID", TABLE_RIGHT},
        {"created_at", "ログイン", "LOGIN", TABLE_LEFT},
        {"last_used_at", "最終使用", "LAST USED", TABLE_LEFT},
        {"expires_at", "期限", "EXPIRES", TABLE_LEFT},
        {"address", "アドレス", "ADDRESS", TABLE_LEFT},
        {"agent", "ブラウザー", "AGENT", TABLE_LEFT},
        {0},
    };
    struct mirai_session_list list = {0};
    struct mirai_objects sessions;
    struct mirai_user user;
    int err = ctl_find_user(ctl, ctl_argument(ctl, 0), &user);
    if (err == 0) {
        mirai_set(session_list, &list, user_id, user.id);
        err = ctl_list(ctl, MIRAI_METHOD_ID_session_list, &list, SIZE_MAX, &sessions);
    }
    if (err == 0) {
        ctl_print_list(ctl, columns, &mirai_message_session, &sessions);
    }
    return ctl_exit_of(err);
}

int command_user_end_sessions(struct ctl *ctl)
{
    struct mirai_sessions_end end = {0};
    struct mirai_sessions_ended ended;
    struct mirai_user user;
    int err = ctl_find_user(ctl, ctl_argument(ctl, 0), &user);
    if (err == 0) {
        mirai_set(sessions_end, &end, user_id, user.id);
        err = ctl_call(ctl, MIRAI_METHOD_ID_session_end_all, &end, CTL_DEADLINE_MS, &ended);
    }
    if (err == 0 && ctl->cli.json) {
        ctl_print_json(&mirai_message_sessions_ended, &ended);
    } else if (err == 0) {
        ctl_say(ctl,
                text("利用者 %.*s のセッションをすべて終わらせました", "All sessions of %.*s have ended"),
                MIRAI_STR_ARG(user.name));
    }
    return ctl_exit_of(err);
}

/* ------------------------------------------------------------------ articles of who leaves */

int command_user_hand_over(struct ctl *ctl)
{
    const char *to = cli_value(&ctl->cli, "--to");
    struct mirai_hand_over params = {0};
    struct mirai_handed_over done;
    struct mirai_user from, heir;
    if (to == NULL) {
        return ctl_fail(ctl, CTL_USAGE, "%s", text("--to が必要です", "--to is needed"));
    }
    int err = ctl_find_user(ctl, ctl_argument(ctl, 0), &from);
    if (err == 0) {
        err = ctl_find_user(ctl, to, &heir);
    }
    if (err == 0) {
        mirai_set(hand_over, &params, id, from.id);
        mirai_set(hand_over, &params, to, heir.id);
        err = ctl_call(ctl, MIRAI_METHOD_ID_user_hand_over, &params, CTL_DEADLINE_MS, &done);
    }
    if (err == 0 && ctl->cli.json) {
        ctl_print_json(&mirai_message_handed_over, &done);
    } else if (err == 0) {
        ctl_say(ctl,
                text("%.*s の記事 %lld 件を %.*s に引き継ぎました", "%.*s: %lld articles now belong to %.*s"),
                MIRAI_STR_ARG(from.name), (long long)done.articles, MIRAI_STR_ARG(heir.name));
    }
    return ctl_exit_of(err);
}
