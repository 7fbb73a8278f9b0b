/* Commands that ask a daemon one thing: tags, search, reindex, log level, backups. */
#include "services/ctl/commands.h"
#include "services/ctl/ctl.h"

#include <stdio.h>
#include <unistd.h>

#define CONNECT_MS 1000

int command_tag_list(struct ctl *ctl)
{
    static const struct table_column columns[] = {
        {"id", "ID", "ID", TABLE_RIGHT},
        {"name", "名前", "NAME", TABLE_LEFT},
        {"color", "色", "COLOR", TABLE_LEFT},
        {"category", "分類", "CATEGORY", TABLE_LEFT},
        {"article_count", "記事数", "ARTICLES", TABLE_RIGHT},
        {0},
    };
    struct mirai_tag_page page;
    int err = ctl_call(ctl, MIRAI_METHOD_ID_tag_list, NULL, CTL_DEADLINE_MS, &page);
    if (err == 0) {
        ctl_print_list(ctl, columns, &mirai_message_tag, &page.items);
    }
    return ctl_exit_of(err);
}

/* ------------------------------------------------------------------ search */

/* A snippet (escaped text with <mark>) as plain text; on a terminal what was found is bold. */
static void append_snippet(struct mirai_buf *out, struct mirai_str snippet)
{
    static const struct {
        struct mirai_str html;
        const char *plain;
        const char *terminal;
    } pieces[] = {
        {{"<mark>", 6}, "", "\033[1m"}, {{"</mark>", 7}, "", "\033[0m"}, {{"&lt;", 4}, "<", "<"},
        {{"&gt;", 4}, ">", ">"},        {{"&quot;", 6}, "\"", "\""},     {{"&#39;", 5}, "'", "'"},
        {{"&amp;", 5}, "&", "&"},
    };
    bool terminal = isatty(STDOUT_FILENO);
    for (size_t i = 0; i < snippet.len;) {
        size_t piece = 0;
        while (piece < sizeof(pieces) / sizeof(pieces[0]) &&
               (snippet.len - i < pieces[piece].html.len ||
                memcmp(snippet.data + i, pieces[piece].html.data, pieces[piece].html.len) != 0)) {
            piece++;
        }
        if (piece < sizeof(pieces) / sizeof(pieces[0])) {
            mirai_buf_append_str(out, mirai_str(terminal ? pieces[piece].terminal : pieces[piece].plain));
            i += pieces[piece].html.len;
        } else {
            size_t n = 1;
            while (i + n < snippet.len && snippet.data[i + n] != '<' && snippet.data[i + n] != '&') {
                n++;
            }
            text_append_safe(out, (struct mirai_str){snippet.data + i, n});
            i += n;
        }
    }
}

static void print_hits(const struct mirai_search_result *result)
{
    struct mirai_buf out = {0};
    for (size_t i = 0; i < result->hits.count; i++) {
        const struct mirai_search_hit *hit = &MIRAI_ITEMS(search_hit, &result->hits)[i];
        mirai_buf_printf(&out, "%6lld  ", (long long)hit->id);
        text_append_safe(&out, hit->title);
        mirai_buf_printf(&out, "  [%s, %s]\n        ", mirai_enum_itsm_type.values[hit->type],
                         mirai_enum_article_status.values[hit->status]);
        append_snippet(&out, hit->snippet);
        mirai_buf_append_char(&out, '\n');
    }
    mirai_buf_printf(&out, text("%lld 件、%.1f ms\n", "%lld found, %.1f ms\n"), (long long)result->total,
                     result->took_ms);
    fwrite(out.data, 1, out.len, stdout);
    mirai_buf_free(&out);
}

int command_search(struct ctl *ctl)
{
    struct mirai_search_query query = {0};
    struct mirai_search_result result;
    struct mirai_buf words = {0};
    for (int i = 0; i < ctl->cli.count; i++) {
        mirai_buf_printf(&words, "%s%s", i > 0 ? " " : "", ctl_argument(ctl, i));
    }
    mirai_set(search_query, &query, q, mirai_arena_copy(&ctl->arena, mirai_buf_str(&words)));
    mirai_buf_free(&words);
    if (!ctl_set(ctl, &mirai_message_search_query, &query, "type", "--type") ||
        !ctl_set(ctl, &mirai_message_search_query, &query, "status", "--status") ||
        !ctl_set(ctl, &mirai_message_search_query, &query, "tag", "--tag") ||
        !ctl_set(ctl, &mirai_message_search_query, &query, "limit", "--limit")) {
        return CTL_USAGE;
    }
    int err = ctl_call(ctl, MIRAI_METHOD_ID_search_query, &query, CTL_DEADLINE_MS, &result);
    if (err == 0 && ctl->cli.json) {
        ctl_print_json(&mirai_message_search_result, &result);
    } else if (err == 0) {
        print_hits(&result);
    }
    return ctl_exit_of(err);
}

/* ------------------------------------------------------------------ every instance of a service */

struct each {
    struct ctl *ctl;
    struct mirai_buf instances; /* MessagePack: those that obeyed */
    size_t obeyed;
    int worst;
    const char *service;
    bool done;
};

static void on_each(void *data, struct mirai_str instance, const struct mirai_rpc_reply *reply)
{
    struct each *each = data;
    if (instance.len == 0) {
        each->done = true;
    } else if (reply->status != 0) {
        each->worst = reply->status;
        ctl_report(each->ctl, each->service, reply->status, reply->error);
    } else {
        mirai_mp_write_str(&each->instances, instance);
        each->obeyed++;
    }
}

/* Tell all instances of a service the same, and say which obeyed. */
static int tell_each(struct ctl *ctl, enum ctl_service service, const char *method, struct mirai_str params,
                     const char *said)
{
    struct each each = {.ctl = ctl, .service = ctl_services[service]};
    struct mirai_context context = ctl_context(ctl, CTL_DEADLINE_MS);
    ctl_connect(ctl, service, CONNECT_MS);
    mirai_rpc_call_each(ctl_client(ctl, service), method, &context, params, on_each, &each);
    ctl_wait(ctl, &each.done);
    if (each.obeyed == 0 && each.worst == 0) {
        each.worst = MIRAI_E_UNAVAILABLE;
        ctl_report(ctl, each.service, each.worst, (struct mirai_str){0});
    }
    if (each.obeyed > 0 && ctl->cli.json) {
        struct mirai_buf mp = {0};
        mirai_mp_write_map(&mp, 2);
        mirai_mp_write_cstr(&mp, "service");
        mirai_mp_write_cstr(&mp, each.service);
        mirai_mp_write_cstr(&mp, "instances");
        mirai_mp_write_array(&mp, each.obeyed);
        mirai_buf_append_str(&mp, mirai_buf_str(&each.instances));
        ctl_print_raw(mirai_buf_str(&mp));
        mirai_buf_free(&mp);
    } else if (each.obeyed > 0) {
        ctl_say(ctl, said, each.service, each.obeyed);
    }
    mirai_buf_free(&each.instances);
    return ctl_exit_of(each.worst);
}

int command_reindex(struct ctl *ctl)
{
    return tell_each(ctl, CTL_SEARCH, "search.reindex", (struct mirai_str){0},
                     text("%s: %zu 個のインスタンスが索引を作り直しています",
                          "%s: %zu instance(s) began to rebuild the index"));
}

int command_log_level(struct ctl *ctl)
{
    enum ctl_service service = ctl_service_find(ctl_argument(ctl, 0));
    struct mirai_buf params = {0};
    if (service == CTL_SERVICE_COUNT) {
        return ctl_fail(ctl, CTL_USAGE, text("デーモン \"%s\" はありません", "there is no daemon \"%s\""),
                        ctl_argument(ctl, 0));
    }
    mirai_mp_write_map(&params, 1);
    mirai_mp_write_cstr(&params, "level");
    mirai_mp_write_cstr(&params, ctl_argument(ctl, 1));
    int code = tell_each(ctl, service, "service.log_level", mirai_buf_str(&params),
                         text("%s: %zu 個のインスタンスのログレベルを変更しました",
                              "%s: the log level of %zu instance(s) was changed"));
    mirai_buf_free(&params);
    return code;
}

/* ------------------------------------------------------------------ backups */

static const struct table_column snapshot_columns[] = {
    {"name", "名前", "NAME", TABLE_LEFT},
    {"kind", "種類", "KIND", TABLE_LEFT},
    {"created_at", "作成", "CREATED", TABLE_LEFT},
    {"size", "バイト", "BYTES", TABLE_RIGHT},
    {"articles", "記事数", "ARTICLES", TABLE_RIGHT},
    {"attachments", "添付", "ATTACHMENTS", TABLE_RIGHT},
    {"verified_at", "検証", "VERIFIED", TABLE_LEFT},
    {"fault", "異常", "FAULT", TABLE_LEFT},
    {0},
};

static void print_snapshot(struct ctl *ctl, struct mirai_snapshot_info *info)
{
    if (ctl->cli.json) {
        ctl_print_json(&mirai_message_snapshot_info, info);
    } else {
        table_print_messages(snapshot_columns, &mirai_message_snapshot_info, &(struct mirai_objects){info, 1},
                             stdout);
    }
}

int command_backup_now(struct ctl *ctl)
{
    struct mirai_snapshot_info info;
    int err = ctl_call(ctl, MIRAI_METHOD_ID_backup_run, NULL, CTL_DEADLINE_LONG_MS, &info);
    if (err == 0) {
        print_snapshot(ctl, &info);
    }
    return ctl_exit_of(err);
}

int command_backup_list(struct ctl *ctl)
{
    struct mirai_snapshot_list list;
    int err = ctl_call(ctl, MIRAI_METHOD_ID_backup_list, NULL, CTL_DEADLINE_MS, &list);
    if (err == 0) {
        ctl_print_list(ctl, snapshot_columns, &mirai_message_snapshot_info, &list.items);
    }
    return ctl_exit_of(err);
}

int command_backup_verify(struct ctl *ctl)
{
    struct mirai_snapshot_name which = {0};
    struct mirai_snapshot_info info;
    if (ctl->cli.count > 0) {
        mirai_set(snapshot_name, &which, name, mirai_str(ctl_argument(ctl, 0)));
    }
    int err = ctl_call(ctl, MIRAI_METHOD_ID_backup_verify, &which, CTL_DEADLINE_LONG_MS, &info);
    if (err != 0) {
        return ctl_exit_of(err);
    }
    print_snapshot(ctl, &info);
    return mirai_has(snapshot_info, &info, fault) ? CTL_FAILED : CTL_OK;
}
