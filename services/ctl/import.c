/* miraictl import: Markdown files become articles, many calls in flight, each file's fate told at the end. */
#include "libcommon/time.h"
#include "services/ctl/commands.h"
#include "services/ctl/ctl.h"
#include "services/ctl/document.h"
#include "services/ctl/naming.h"
#include "services/ctl/source.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define IN_FLIGHT_MAX  64
#define BYTES_MAX      (16u << 20) /* of documents in flight */
#define RETRY_DELAY_MS 200
#define RETRY_MS       20000 /* how long a store that is away is waited for */
#define PROGRESS_MS    100

struct refusal {
    struct mirai_str path;
    struct mirai_str reason;
};

/* Spaces, groups and users by name. */
struct names {
    struct mirai_objects users;
    struct mirai_space_page spaces;
    struct mirai_group_page groups;
};

struct import {
    struct ctl *ctl;
    struct source *source;
    struct names names;
    int status;
    int type;
    int64_t owner_id; /* 0: as the front matter says, or who imports */
    int64_t space_id; /* 0: as the front matter says */
    bool dry_run;
    bool ended; /* nothing is left to read */
    size_t in_flight;
    size_t bytes; /* in flight */
    int64_t outcomes[3];
    int64_t checked; /* --dry-run */
    struct refusal *refusals;
    size_t refused;
    size_t refused_cap;
    void *slugs; /* tree of those that this run has used (tsearch) */
    int lost;    /* the error with which the store went away for good */
    uint64_t started_ms;
    uint64_t drawn_ms;
};

/* One document on its way. */
struct item {
    struct import *import;
    char *shown;
    struct mirai_buf params;
    uint64_t failing_since_ms;
    uv_timer_t retry;
};

static void refuse(struct import *import, struct mirai_str path, struct mirai_str reason)
{
    struct mirai_arena *arena = &import->ctl->arena;
    struct mirai_buf safe = {0};
    if (import->refused == import->refused_cap) {
        import->refused_cap = import->refused_cap > 0 ? 2 * import->refused_cap : 64;
        import->refusals = mirai_realloc(import->refusals, import->refused_cap * sizeof(*import->refusals));
    }
    text_append_safe(&safe, reason);
    import->refusals[import->refused++] =
        (struct refusal){mirai_arena_copy(arena, path), mirai_arena_copy(arena, mirai_buf_str(&safe))};
    mirai_buf_free(&safe);
}

/* ------------------------------------------------------------------ progress */

static int64_t done_count(const struct import *import)
{
    return import->checked + import->outcomes[0] + import->outcomes[1] + import->outcomes[2] +
           (int64_t)import->refused;
}

static void draw(struct import *import, bool last)
{
    uint64_t now = mirai_monotonic_ms();
    if (import->ctl->cli.json || !isatty(STDERR_FILENO) || (!last && now < import->drawn_ms + PROGRESS_MS)) {
        return;
    }
    import->drawn_ms = now;
    if (last) {
        fputs("\r\033[K", stderr);
        return;
    }
    double part = source_progress(import->source);
    double seconds = (double)(now - import->started_ms + 1) / 1000;
    char bar[31] = "                              ", left[32] = "";
    for (int i = 0; i < 30 && i < part * 30; i++) {
        bar[i] = '#';
    }
    if (part > 0) {
        text_duration(left, (int64_t)(seconds * 1000 * (1 - part) / part));
    }
    fprintf(stderr,
            text("\r[%s] %3.0f%%  %lld 件  %.0f 件/秒  残り %s\033[K",
                 "\r[%s] %3.0f%%  %lld files  %.0f/s  %s left\033[K"),
            bar, part > 0 ? part * 100 : 0, (long long)done_count(import),
            (double)done_count(import) / seconds, left);
}

/* ------------------------------------------------------------------ one call */

static void send_item(struct item *item);

static void on_retry_closed(uv_handle_t *handle)
{
    struct item *item = handle->data;
    free(item->shown);
    mirai_buf_free(&item->params);
    free(item);
}

static void end_item(struct item *item)
{
    item->import->in_flight--;
    item->import->bytes -= item->params.len;
    uv_close((uv_handle_t *)&item->retry, on_retry_closed);
}

static void on_retry(uv_timer_t *timer)
{
    send_item(timer->data);
}

static void take_outcome(struct import *import, struct mirai_str bytes)
{
    struct mirai_article_import_result result;
    struct mirai_arena arena = {0};
    if (mirai_message_decode(&mirai_message_article_import_result, bytes, MIRAI_INNER, &arena, &result,
                             NULL) == 0) {
        import->outcomes[result.outcome]++;
    }
    mirai_arena_free(&arena);
}

/* An import may be repeated: the second time nothing differs. So a store that is away for a while is waited
 * for. */
static void on_reply(void *data, const struct mirai_rpc_reply *reply)
{
    struct item *item = data;
    struct import *import = item->import;
    uint64_t now = mirai_monotonic_ms();
    draw(import, false);
    if (reply->status == 0) {
        take_outcome(import, reply->result);
        end_item(item);
        return;
    }
    if (ctl_exit_of(reply->status) != CTL_UNAVAILABLE) {
        struct mirai_buf reason = {0};
        ctl_reason(&reason, reply->status, reply->error);
        refuse(import, mirai_str(item->shown), mirai_buf_str(&reason));
        mirai_buf_free(&reason);
        end_item(item);
        return;
    }
    item->failing_since_ms = item->failing_since_ms > 0 ? item->failing_since_ms : now;
    if (now - item->failing_since_ms > RETRY_MS || import->lost != 0) {
        import->lost = reply->status;
        end_item(item);
        return;
    }
    uv_timer_start(&item->retry, on_retry, RETRY_DELAY_MS, 0);
}

static void send_item(struct item *item)
{
    struct ctl *ctl = item->import->ctl;
    struct mirai_context context = ctl_context(ctl, CTL_DEADLINE_MS);
    mirai_rpc_call(ctl_client(ctl, CTL_STORE), mirai_methods[MIRAI_METHOD_ID_article_import].name,
                   MIRAI_RPC_WRITE, &context, mirai_buf_str(&item->params), on_reply, item);
}

static void start_item(struct import *import, const struct source_item *file,
                       const struct mirai_article_import *article)
{
    struct item *item = mirai_alloc(sizeof(*item));
    item->import = import;
    item->shown = mirai_str_dup(file->shown);
    mirai_message_encode(&mirai_message_article_import, article, &item->params);
    uv_timer_init(&import->ctl->loop, &item->retry);
    item->retry.data = item;
    import->in_flight++;
    import->bytes += item->params.len;
    send_item(item);
}

/* ------------------------------------------------------------------ one file */

static int compare_slugs(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Whether this run has used the slug already; now it has. */
static bool slug_used(struct import *import, struct mirai_str slug)
{
    char *copy = mirai_str_dup(slug);
    char **found = (char **)tsearch(copy, &import->slugs, compare_slugs);
    bool used = *found != copy;
    if (used) {
        free(copy);
    }
    return used;
}

/* Files that claim the same slug stay distinct: the later one gets its path's slug, or one with the path's
 * hash. */
static void choose_slug(struct import *import, const struct source_item *file, struct mirai_arena *arena,
                        struct document *document)
{
    struct mirai_article_import *article = &document->article;
    if (!slug_used(import, article->slug)) {
        return;
    }
    if (document->own_slug) {
        article->slug = naming_slug(file->path, arena);
        if (!slug_used(import, article->slug)) {
            return;
        }
    }
    article->slug = naming_slug_hashed(file->path, arena);
    slug_used(import, article->slug);
}

static bool find_space(const struct import *import, struct mirai_str name,
                       struct mirai_article_import *article)
{
    for (size_t i = 0; i < import->names.spaces.items.count; i++) {
        const struct mirai_space *space = &MIRAI_ITEMS(space, &import->names.spaces.items)[i];
        if (mirai_str_eq(space->name, name)) {
            mirai_set(article_import, article, space_id, space->id);
            return true;
        }
    }
    return false;
}

static bool find_group(const struct import *import, struct mirai_str name,
                       struct mirai_article_import *article)
{
    for (size_t i = 0; i < import->names.groups.items.count; i++) {
        const struct mirai_group *group = &MIRAI_ITEMS(group, &import->names.groups.items)[i];
        if (mirai_str_eq(group->name, name)) {
            mirai_set(article_import, article, group_id, group->id);
            return true;
        }
    }
    return false;
}

/* An owner whom this installation does not know is left to the default; an unknown space or group is refused,
 * for it decides who may read. */
static bool set_names(const struct import *import, struct document *document, char reason[FRONT_REASON_SIZE])
{
    struct mirai_article_import *article = &document->article;
    for (size_t i = 0; i < import->names.users.count; i++) {
        const struct mirai_user *user = &MIRAI_ITEMS(user, &import->names.users)[i];
        if (mirai_str_eq(user->name, document->owner)) {
            mirai_set(article_import, article, owner_id, user->id);
        }
    }
    if (import->owner_id != 0) {
        mirai_set(article_import, article, owner_id, import->owner_id);
    }
    if (import->space_id != 0) {
        mirai_set(article_import, article, space_id, import->space_id);
    } else if (document->space.len > 0 && !import->dry_run && !find_space(import, document->space, article)) {
        snprintf(reason, FRONT_REASON_SIZE,
                 text("space: \"%.*s\" は存在しません", "space: there is no \"%.*s\""),
                 (int)(document->space.len < 100 ? document->space.len : 100), document->space.data);
        return false;
    }
    if (document->group.len > 0 && !import->dry_run && !find_group(import, document->group, article)) {
        snprintf(reason, FRONT_REASON_SIZE,
                 text("group: \"%.*s\" は存在しません", "group: there is no \"%.*s\""),
                 (int)(document->group.len < 100 ? document->group.len : 100), document->group.data);
        return false;
    }
    return true;
}

static void take_file(struct import *import, const struct source_item *file)
{
    struct mirai_arena arena = {0};
    struct document document;
    char reason[FRONT_REASON_SIZE] = "";
    if (file->reason != NULL) {
        refuse(import, file->shown, mirai_str(file->reason));
        return;
    }
    if (document_read(file->path, file->root, file->text, import->status, import->type, &arena, &document,
                      reason) != 0 ||
        !set_names(import, &document, reason)) {
        refuse(import, file->shown, mirai_str(reason));
    } else {
        choose_slug(import, file, &arena, &document);
        if (document_check(&document.article, &arena, reason) != 0) {
            refuse(import, file->shown, mirai_str(reason));
        } else if (import->dry_run) {
            import->checked++;
        } else {
            start_item(import, file, &document.article);
        }
    }
    mirai_arena_free(&arena);
}

/* Read and send until enough is in flight. */
static void fill(struct import *import)
{
    while (!import->ended && import->lost == 0 && import->in_flight < IN_FLIGHT_MAX &&
           import->bytes < BYTES_MAX) {
        struct source_item file;
        if (source_next(import->source, &file)) {
            take_file(import, &file);
        } else {
            import->ended = true;
        }
        draw(import, false);
    }
}

/* ------------------------------------------------------------------ report */

static void print_json(const struct import *import, double seconds)
{
    struct mirai_buf mp = {0};
    mirai_mp_write_map(&mp, 7);
    for (int i = 0; i < 3; i++) {
        mirai_mp_write_cstr(&mp, mirai_enum_import_outcome.values[i]);
        mirai_mp_write_int(&mp, import->outcomes[i]);
    }
    mirai_mp_write_cstr(&mp, "checked");
    mirai_mp_write_int(&mp, import->checked);
    mirai_mp_write_cstr(&mp, "refused");
    mirai_mp_write_array(&mp, import->refused);
    for (size_t i = 0; i < import->refused; i++) {
        mirai_mp_write_map(&mp, 2);
        mirai_mp_write_cstr(&mp, "path");
        mirai_mp_write_str(&mp, import->refusals[i].path);
        mirai_mp_write_cstr(&mp, "reason");
        mirai_mp_write_str(&mp, import->refusals[i].reason);
    }
    mirai_mp_write_cstr(&mp, "complete");
    mirai_mp_write_bool(&mp, import->lost == 0);
    mirai_mp_write_cstr(&mp, "seconds");
    mirai_mp_write_double(&mp, seconds);
    ctl_print_raw(mirai_buf_str(&mp));
    mirai_buf_free(&mp);
}

static void print_text(const struct import *import, double seconds)
{
    struct mirai_buf out = {0};
    for (size_t i = 0; i < import->refused; i++) {
        mirai_buf_append_str(&out, mirai_str(text("拒否: ", "refused: ")));
        text_append_safe(&out, import->refusals[i].path);
        mirai_buf_printf(&out, ": %.*s\n", MIRAI_STR_ARG(import->refusals[i].reason));
    }
    if (import->dry_run) {
        mirai_buf_printf(&out, text("検査: 正常 %lld 件、拒否 %zu 件", "Checked: %lld sound, %zu refused"),
                         (long long)import->checked, import->refused);
    } else {
        mirai_buf_printf(&out,
                         text("取り込み: 作成 %lld 件、更新 %lld 件、変更なし %lld 件、拒否 %zu 件",
                              "Imported: %lld created, %lld updated, %lld unchanged, %zu refused"),
                         (long long)import->outcomes[MIRAI_IMPORT_CREATED],
                         (long long)import->outcomes[MIRAI_IMPORT_UPDATED],
                         (long long)import->outcomes[MIRAI_IMPORT_UNCHANGED], import->refused);
    }
    mirai_buf_printf(&out, text("（%.1f 秒、%.0f 件/秒）\n", " (%.1f s, %.0f/s)\n"), seconds,
                     (double)done_count(import) / seconds);
    fwrite(out.data, 1, out.len, stdout);
    mirai_buf_free(&out);
}

static int report(struct import *import)
{
    double seconds = (double)(mirai_monotonic_ms() - import->started_ms + 1) / 1000;
    draw(import, true);
    if (import->ctl->cli.json) {
        print_json(import, seconds);
    } else {
        print_text(import, seconds);
    }
    if (import->lost != 0) {
        return ctl_report(import->ctl, ctl_services[CTL_STORE], import->lost, (struct mirai_str){0});
    }
    return import->refused > 0 ? CTL_PARTLY : CTL_OK;
}

/* ------------------------------------------------------------------ life */

/* The number of a word of an option that was checked against its choices; `fallback` when it was not given.
 */
static int enum_option(const struct ctl *ctl, const char *option, const struct mirai_enum *words,
                       int fallback)
{
    const char *value = cli_value(&ctl->cli, option);
    for (int i = 0; value != NULL && words->values[i] != NULL; i++) {
        if (strcmp(words->values[i], value) == 0) {
            return i;
        }
    }
    return fallback;
}

/* Names are looked up once; who may not list users or groups does without. */
static int load_names(struct import *import)
{
    struct ctl *ctl = import->ctl;
    const char *owner = cli_value(&ctl->cli, "--owner");
    const char *space = cli_value(&ctl->cli, "--space");
    struct mirai_user user;
    if (import->dry_run) {
        return 0;
    }
    int err = ctl_call(ctl, MIRAI_METHOD_ID_space_list, NULL, CTL_DEADLINE_MS, &import->names.spaces);
    if (err == 0 && ctl->context.principal.role == MIRAI_ROLE_ADMIN) {
        struct mirai_page_request request = {0};
        err = ctl_list(ctl, MIRAI_METHOD_ID_user_list, &request, 10000, &import->names.users);
        err = err == 0
                  ? ctl_call(ctl, MIRAI_METHOD_ID_group_list, NULL, CTL_DEADLINE_MS, &import->names.groups)
                  : err;
    }
    if (err == 0 && owner != NULL) {
        err = ctl_find_user(ctl, owner, &user);
        import->owner_id = err == 0 ? user.id : 0;
    }
    return err == 0 && space != NULL ? ctl_find_space(ctl, space, &import->space_id) : err;
}

int command_import(struct ctl *ctl)
{
    struct import import = {
        .ctl = ctl,
        .status = enum_option(ctl, "--status", &mirai_enum_article_status, MIRAI_ARTICLE_STATUS_PUBLISHED),
        .type = enum_option(ctl, "--type", &mirai_enum_itsm_type, MIRAI_ITSM_TYPE_OTHER),
        .dry_run = cli_value(&ctl->cli, "--dry-run") != NULL,
        .started_ms = mirai_monotonic_ms(),
    };
    int err = load_names(&import);
    if (err != 0) {
        return ctl_exit_of(err);
    }
    import.source = source_open(ctl->cli.arguments, ctl->cli.count, DOCUMENT_BYTES_MAX);
    for (;;) {
        fill(&import);
        if (import.in_flight == 0) {
            break;
        }
        uv_run(&ctl->loop, UV_RUN_ONCE);
    }
    uv_run(&ctl->loop, UV_RUN_NOWAIT);
    int code = report(&import);
    source_close(import.source);
    tdestroy(import.slugs, free);
    free(import.refusals);
    return code;
}
