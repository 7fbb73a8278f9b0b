/* miraictl audit …: the audit log, its signed heads, and the proof that nothing in it was changed. */
#include "services/ctl/audit_source.h"
#include "services/ctl/commands.h"
#include "services/ctl/ctl.h"
#include "services/ctl/new_file.h"

#include <stdio.h>
#include <unistd.h>

int command_audit_list(struct ctl *ctl)
{
    static const struct table_column columns[] = {
        {"at", "日時", "TIME", TABLE_LEFT},
        {"user", "利用者", "USER", TABLE_LEFT},
        {"action", "操作", "ACTION", TABLE_LEFT},
        {"object", "対象", "OBJECT", TABLE_LEFT},
        {"result", "結果", "RESULT", TABLE_LEFT},
        {"address", "接続元", "ADDRESS", TABLE_LEFT},
        {"name", "名前", "NAME", TABLE_LEFT},
        {"count", "回数", "COUNT", TABLE_RIGHT},
        {"request_id", "要求", "REQUEST", TABLE_LEFT},
        {0},
    };
    struct mirai_audit_list which = {0};
    struct mirai_objects entries;
    struct mirai_user user;
    const char *name = cli_value(&ctl->cli, "--user");
    long limit;
    if (!cli_integer(&ctl->cli, "--limit", 1, 1000000, 50, &limit) ||
        !ctl_set(ctl, &mirai_message_audit_list, &which, "action", "--action") ||
        !ctl_set(ctl, &mirai_message_audit_list, &which, "object", "--object") ||
        !ctl_set(ctl, &mirai_message_audit_list, &which, "result", "--result") ||
        !ctl_set(ctl, &mirai_message_audit_list, &which, "after", "--after") ||
        !ctl_set(ctl, &mirai_message_audit_list, &which, "before", "--before")) {
        return CTL_USAGE;
    }
    int err = name != NULL ? ctl_find_user(ctl, name, &user) : 0;
    if (err == 0 && name != NULL) {
        mirai_set(audit_list, &which, user_id, user.id);
    }
    err = err == 0 ? ctl_list(ctl, MIRAI_METHOD_ID_audit_list, &which, (size_t)limit, &entries) : err;
    if (err == 0) {
        ctl_print_list(ctl, columns, &mirai_message_audit_entry, &entries);
    }
    return ctl_exit_of(err);
}

/* ------------------------------------------------------------------ files of lines */

static void write_line(FILE *file, const struct mirai_message *message, const void *in)
{
    struct mirai_buf mp = {0}, json = {0};
    mirai_message_encode(message, in, &mp);
    mirai_mp_to_json(mirai_buf_str(&mp), &json);
    mirai_buf_append_char(&json, '\n');
    fwrite(json.data, 1, json.len, file);
    mirai_buf_free(&mp);
    mirai_buf_free(&json);
}

struct exporting {
    FILE *file;
    int64_t count;
};

static bool export_entry(void *data, const struct mirai_audit_entry *entry)
{
    struct exporting *exporting = data;
    write_line(exporting->file, &mirai_message_audit_entry, entry);
    exporting->count++;
    return ferror(exporting->file) == 0;
}

int command_audit_export(struct ctl *ctl)
{
    const char *path = ctl_argument(ctl, 0);
    struct exporting exporting = {.file = new_file_open(ctl, path)};
    if (exporting.file == NULL) {
        return CTL_FAILED;
    }
    int code = audit_each_entry(ctl, export_entry, &exporting);
    bool disk = ferror(exporting.file) != 0;
    int closed = new_file_close(ctl, exporting.file, path);
    code = closed != CTL_OK ? closed : code;
    if (code != CTL_OK || disk) {
        if (strcmp(path, "-") != 0) {
            unlink(path); /* half an export looks like a cut one */
        }
        return code != CTL_OK ? code : CTL_FAILED;
    }
    if (strcmp(path, "-") != 0 && ctl->cli.json) {
        printf("{\"entries\": %lld}\n", (long long)exporting.count);
    } else if (strcmp(path, "-") != 0) {
        ctl_say(ctl,
                text("監査ログ %lld 件を %s に書き出しました",
                     "%lld entries of the audit log were written to %s"),
                (long long)exporting.count, path);
    }
    return CTL_OK;
}

int command_audit_heads(struct ctl *ctl)
{
    static const struct table_column columns[] = {
        {"at", "署名日時", "SIGNED", TABLE_LEFT},   {"id", "番号", "ENTRY", TABLE_RIGHT},
        {"epoch", "系列", "EPOCH", TABLE_LEFT},     {"hash", "ハッシュ", "HASH", TABLE_LEFT},
        {"signer", "署名者", "SIGNER", TABLE_LEFT}, {0},
    };
    struct mirai_page_request request = {0};
    struct mirai_objects heads;
    int err = ctl_list(ctl, MIRAI_METHOD_ID_audit_heads, &request, SIZE_MAX, &heads);
    if (err != 0) {
        return ctl_exit_of(err);
    }
    if (ctl->cli.count == 0) {
        ctl_print_list(ctl, columns, &mirai_message_audit_head, &heads);
        return CTL_OK;
    }
    FILE *file = new_file_open(ctl, ctl_argument(ctl, 0));
    if (file == NULL) {
        return CTL_FAILED;
    }
    for (size_t i = heads.count; i-- > 0;) { /* oldest first, as files of lines are */
        write_line(file, &mirai_message_audit_head, &MIRAI_ITEMS(audit_head, &heads)[i]);
    }
    return new_file_close(ctl, file, ctl_argument(ctl, 0));
}

int command_audit_key(struct ctl *ctl)
{
    struct mirai_audit_signer key;
    int err = ctl_call(ctl, MIRAI_METHOD_ID_audit_key, NULL, CTL_DEADLINE_MS, &key);
    if (err == 0 && ctl->cli.json) {
        ctl_print_json(&mirai_message_audit_signer, &key);
    } else if (err == 0) {
        ctl_say(ctl, "%.*s", MIRAI_STR_ARG(key.signer));
    }
    return ctl_exit_of(err);
}

/* ------------------------------------------------------------------ verify */

static const char *const kind_names[] = {
    [VERIFY_GAP] = "missing-entries",
    [VERIFY_ORDER] = "order",
    [VERIFY_HASH] = "hash",
    [VERIFY_HEAD] = "signed-hash-differs",
    [VERIFY_FORGED] = "forged-head",
    [VERIFY_OTHER_KEY] = "other-key",
    [VERIFY_CUT] = "missing-at-the-end",
    [VERIFY_UNREADABLE] = "unreadable",
};

static void say_finding(struct ctl *ctl, const struct verify_finding *finding)
{
    char at[32];
    long long id = (long long)finding->id, other = (long long)finding->other;
    text_time(at, finding->at);
    switch (finding->kind) {
    case VERIFY_GAP:
        ctl_say(ctl, text("#%lld から #%lld がありません", "#%lld to #%lld are missing"), id, other);
        break;
    case VERIFY_ORDER:
        ctl_say(ctl, text("#%lld が #%lld の後にあります", "#%lld stands behind #%lld"), id, other);
        break;
    case VERIFY_HASH:
        ctl_say(ctl,
                text("#%lld: ハッシュが一致しません（この行か、直前の行が変更されています）",
                     "#%lld: the hash does not fit (this entry, or the one before it, was changed)"),
                id);
        break;
    case VERIFY_HEAD:
        ctl_say(
            ctl,
            text("#%lld: %s に署名されたハッシュと違います（ここまでの行が書き直されています）",
                 "#%lld: the hash that was signed at %s is another one (entries up to here were rewritten)"),
            id, at);
        break;
    case VERIFY_FORGED:
        ctl_say(ctl,
                text("ヘッド #%lld（%s）: 署名が正しくありません", "head #%lld (%s): the signature is wrong"),
                id, at);
        break;
    case VERIFY_OTHER_KEY:
        ctl_say(
            ctl,
            text("ヘッド #%lld（%s）: 別の鍵で署名されています", "head #%lld (%s): signed by another key"),
            id, at);
        break;
    case VERIFY_CUT:
        ctl_say(ctl,
                text("#%lld から #%lld（系列 %s）は %s に署名されていますが、ありません",
                     "#%lld to #%lld (epoch %s), signed at %s, are missing"),
                id, other, finding->epoch, at);
        break;
    case VERIFY_UNREADABLE:
        ctl_say(ctl, text("%lld 行目は監査ログの行ではありません", "line %lld is no entry of an audit log"),
                id);
        break;
    }
}

static void say_result(struct ctl *ctl, const struct verify *verify, bool valid)
{
    char hash[2 * MIRAI_AUDIT_HASH_SIZE + 1];
    for (size_t i = 0; i < verify->findings_len; i++) {
        say_finding(ctl, &verify->findings[i]);
    }
    for (size_t i = 0; i < verify->losses_len; i++) {
        const struct verify_loss *loss = &verify->losses[i];
        char at[32];
        text_time(at, loss->restored_at);
        ctl_say(ctl,
                text("系列 %s の #%lld から #%lld は、%s の復元（#%lld）で失われました",
                     "#%2$lld to #%3$lld of epoch %1$s went with the restore of %4$s (#%5$lld)"),
                loss->epoch, (long long)loss->from, (long long)loss->to, at, (long long)loss->restore_id);
    }
    mirai_hex(hash, verify->hash, sizeof(verify->hash));
    if (!valid) {
        ctl_say(ctl, "%s",
                text("監査ログは書かれたままではありません", "The audit log is not what was written"));
        return;
    }
    ctl_say(ctl, text("%lld 件、最後は #%lld %s", "%lld entries, head #%lld %s"), (long long)verify->entries,
            (long long)verify->id, hash);
    if (verify->confirmed == 0) {
        ctl_say(ctl, "%s",
                text("署名付きヘッドとは比べていません。末尾が切られていても分かりません",
                     "No signed head was compared: that the end was cut off would not show"));
    } else {
        ctl_say(ctl, text("署名付きヘッド %zu 件と一致、署名者 %s", "%zu signed heads fit, signed by %s"),
                verify->confirmed, verify->signer);
    }
}

static void print_result(const struct verify *verify, bool valid)
{
    char hash[2 * MIRAI_AUDIT_HASH_SIZE + 1];
    mirai_hex(hash, verify->hash, sizeof(verify->hash));
    printf("{\"valid\": %s, \"entries\": %lld, \"id\": %lld, \"hash\": \"%s\", \"heads\": %zu, \"signer\": "
           "\"%s\", "
           "\"findings\": [",
           valid ? "true" : "false", (long long)verify->entries, (long long)verify->id, hash,
           verify->confirmed, verify->signer);
    for (size_t i = 0; i < verify->findings_len; i++) {
        const struct verify_finding *finding = &verify->findings[i];
        printf("%s{\"problem\": \"%s\", \"id\": %lld", i > 0 ? ", " : "", kind_names[finding->kind],
               (long long)finding->id);
        printf(finding->other > 0 ? ", \"other\": %lld}" : "}", (long long)finding->other);
    }
    printf("], \"restored\": [");
    for (size_t i = 0; i < verify->losses_len; i++) {
        const struct verify_loss *loss = &verify->losses[i];
        printf("%s{\"from\": %lld, \"to\": %lld, \"restore\": %lld}", i > 0 ? ", " : "",
               (long long)loss->from, (long long)loss->to, (long long)loss->restore_id);
    }
    printf("]}\n");
}

static bool check_entry(void *data, const struct mirai_audit_entry *entry)
{
    verify_entry(data, entry);
    return true;
}

/* Keys first: an anchor is judged when it comes. */
static int read_all(struct ctl *ctl, struct verify *verify)
{
    const char *file = cli_value(&ctl->cli, "--file"), *key = cli_value(&ctl->cli, "--key");
    const char *heads = cli_value(&ctl->cli, "--heads");
    int code = file == NULL ? ctl_exit_of(ctl_identify(ctl)) : CTL_OK;
    code = code == CTL_OK && key != NULL ? audit_keys_of_file(ctl, key, verify) : code;
    code = code == CTL_OK && file == NULL ? audit_anchors_of_store(ctl, verify) : code;
    code = code == CTL_OK && heads != NULL ? audit_anchors_of_file(ctl, heads, verify) : code;
    for (int i = 0; code == CTL_OK && i < ctl->cli.count; i++) {
        code = audit_anchors_of_file(ctl, ctl_argument(ctl, i), verify);
    }
    if (code != CTL_OK) {
        return code;
    }
    return file != NULL ? audit_verify_file(ctl, file, verify) : audit_each_entry(ctl, check_entry, verify);
}

int command_audit_verify(struct ctl *ctl)
{
    struct verify verify = {0};
    int code = read_all(ctl, &verify);
    if (code == CTL_OK) {
        bool valid = verify_end(&verify);
        if (ctl->cli.json) {
            print_result(&verify, valid);
        } else {
            say_result(ctl, &verify, valid);
        }
        code = valid ? CTL_OK : CTL_FAILED;
    }
    verify_free(&verify);
    return code;
}
