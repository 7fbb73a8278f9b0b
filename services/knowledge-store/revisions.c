#include "services/knowledge-store/revisions.h"

#include "services/knowledge-store/article_state.h"
#include "services/knowledge-store/articles.h"
#include "services/knowledge-store/diff.h"
#include "services/knowledge-store/page.h"

#include <stdlib.h>

#define DIFF_BYTES_MAX (6 << 20) /* a frame between daemons has 8 MiB */

/* r.version … of revisions AS r, then what only some need: body and the other texts. */
#define REVISION_COLUMNS                                                                                     \
    "r.version, r.created_at, r.created_by, " ARTICLE_USER("r.created_by") ", r.reason, r.title, r.type, "   \
                                                                           "r.status, r.tags"
#define REVISION_TEXTS "r.body, r.summary_technical, r.summary_non_technical, r.language, r.review_by"

/* A revision with everything that was saved. */
struct saved {
    struct mirai_revision revision;
    struct mirai_str tags; /* one a line */
    struct mirai_str summary_technical;
    struct mirai_str summary_non_technical;
    int language; /* -1: none */
    struct mirai_str review_by;
};

static struct mirai_strs split_tags(struct mirai_arena *arena, struct mirai_str text)
{
    struct mirai_strs tags = {0};
    size_t max = 1;
    for (size_t i = 0; i < text.len; i++) {
        max += text.data[i] == '\n';
    }
    tags.items = mirai_arena_alloc(arena, max * sizeof(*tags.items));
    while (text.len > 0) {
        const char *newline = memchr(text.data, '\n', text.len);
        size_t len = newline != NULL ? (size_t)(newline - text.data) : text.len;
        tags.items[tags.count++] = (struct mirai_str){text.data, len};
        size_t skip = newline != NULL ? len + 1 : len;
        text.data += skip;
        text.len -= skip;
    }
    return tags;
}

static void load(struct op *op, struct db_rows *rows, struct mirai_revision *out)
{
    *out = (struct mirai_revision){0};
    mirai_set(revision, out, version, db_int(rows, 0));
    mirai_set(revision, out, created_at, db_int(rows, 1));
    if (db_int(rows, 2) == MIRAI_USER_SYSTEM) {
        mirai_set(revision, out, created_by, MIRAI_STR("system"));
    } else if (!db_is_null(rows, 3)) {
        mirai_set(revision, out, created_by, db_text_copy(rows, 3, &op->arena));
    }
    if (db_text(rows, 4).len > 0) {
        mirai_set(revision, out, reason, db_text_copy(rows, 4, &op->arena));
    }
    mirai_set(revision, out, title, db_text_copy(rows, 5, &op->arena));
    mirai_set(revision, out, type, (int)db_int(rows, 6));
    mirai_set(revision, out, status, (int)db_int(rows, 7));
    mirai_set(revision, out, tags, split_tags(&op->arena, db_text_copy(rows, 8, &op->arena)));
}

/* One revision of an article that was found visible: 0, MIRAI_E_NOT_FOUND or a database error. */
static int find(struct op *op, int64_t article_id, int64_t version, struct saved *saved)
{
    struct db_rows *rows = db_query(op->db,
                                    "SELECT " REVISION_COLUMNS ", " REVISION_TEXTS
                                    " FROM revisions r WHERE r.article_id = ?1 AND r.version = ?2",
                                    DB_I(article_id), DB_I(version));
    bool found = db_next(rows);
    if (found) {
        load(op, rows, &saved->revision);
        saved->tags = db_text_copy(rows, 8, &op->arena);
        mirai_set(revision, &saved->revision, body, db_text_copy(rows, 9, &op->arena));
        saved->summary_technical = db_text_copy(rows, 10, &op->arena);
        saved->summary_non_technical = db_text_copy(rows, 11, &op->arena);
        saved->language = db_is_null(rows, 12) ? -1 : (int)db_int(rows, 12);
        saved->review_by = db_text_copy(rows, 13, &op->arena);
    }
    int err = db_end(rows);
    return err == 0 && !found ? MIRAI_E_NOT_FOUND : err;
}

int revision_list(struct op *op)
{
    const struct mirai_revision_list *params = op->params;
    int64_t limit = mirai_has(revision_list, params, limit) ? params->limit : PAGE_LIMIT_DEFAULT;
    int64_t before = INT64_MAX;
    struct mirai_revision_page page = {0};
    bool more = false;
    int err = access_find_article(op, params->id, NULL);
    if (err == 0 && mirai_has(revision_list, params, cursor)) {
        err = page_position(params->cursor, "revision", &before);
    }
    if (err != 0) {
        return err;
    }
    struct mirai_revision *items = mirai_arena_alloc(&op->arena, (size_t)limit * sizeof(*items));
    struct db_rows *rows = db_query(op->db,
                                    "SELECT " REVISION_COLUMNS " FROM revisions r WHERE r.article_id = ?1"
                                    " AND r.version < ?2 ORDER BY r.version DESC LIMIT ?3",
                                    DB_I(params->id), DB_I(before), DB_I(limit + 1));
    while (!more && db_next(rows)) {
        more = page.items.count == (size_t)limit;
        if (!more) {
            load(op, rows, &items[page.items.count++]);
        }
    }
    err = db_end(rows);
    page.items.items = items;
    mirai_mark(revision_page, &page, items);
    if (more) {
        mirai_set(revision_page, &page, next_cursor,
                  page_cursor(&op->arena, "revision", items[limit - 1].version));
    }
    return err == 0 ? op_result(op, &page) : err;
}

int revision_get(struct op *op)
{
    const struct mirai_revision_get *params = op->params;
    struct saved saved;
    int err = access_find_article(op, params->id, NULL);
    if (err == 0) {
        err = find(op, params->id, params->version, &saved);
    }
    return err == 0 ? op_result(op, &saved.revision) : err;
}

/* ------------------------------------------------------------------ compare */

static void write_member(struct mirai_buf *text, const char *name, struct mirai_str value)
{
    if (value.len > 0) {
        mirai_buf_printf(text, "%s: ", name);
        mirai_buf_append_str(text, value);
        mirai_buf_append_char(text, '\n');
    }
}

/* The whole of a revision as lines. */
static void write_text(const struct saved *saved, struct mirai_buf *text)
{
    const struct mirai_revision *revision = &saved->revision;
    char *tags = mirai_str_dup(saved->tags);
    for (char *c = tags; *c != '\0'; c++) {
        *c = *c == '\n' ? ',' : *c;
    }
    write_member(text, "title", revision->title);
    write_member(text, "type", mirai_str(mirai_enum_itsm_type.values[revision->type]));
    write_member(text, "status", mirai_str(mirai_enum_article_status.values[revision->status]));
    write_member(text, "tags", mirai_str(tags));
    if (saved->language >= 0) {
        write_member(text, "language", mirai_str(mirai_enum_locale.values[saved->language]));
    }
    write_member(text, "review_by", saved->review_by);
    write_member(text, "summary_technical", saved->summary_technical);
    write_member(text, "summary_non_technical", saved->summary_non_technical);
    mirai_buf_append_char(text, '\n');
    mirai_buf_append_str(text, revision->body);
    free(tags);
}

int revision_diff(struct op *op)
{
    const struct mirai_revision_diff *params = op->params;
    int64_t from = mirai_has(revision_diff, params, from) ? params->from : params->version - 1;
    struct mirai_buf before = {0}, after = {0}, diff = {0};
    struct saved saved;
    int err = access_find_article(op, params->id, NULL);
    if (err == 0) {
        err = find(op, params->id, params->version, &saved);
    }
    if (err == 0) {
        write_text(&saved, &after);
        err = from > 0 ? find(op, params->id, from, &saved) : 0;
    }
    if (err == 0 && from > 0) {
        write_text(&saved, &before);
    }
    if (err == 0) {
        struct mirai_revision_diff_result result = {0};
        mirai_buf_printf(&diff, "--- version %lld\n+++ version %lld\n", (long long)from,
                         (long long)params->version);
        diff_unified(&diff, mirai_buf_str(&before), mirai_buf_str(&after));
        mirai_set(revision_diff_result, &result, from, from);
        mirai_set(revision_diff_result, &result, to, params->version);
        mirai_set(revision_diff_result, &result, diff, mirai_buf_str(&diff));
        err = diff.len > DIFF_BYTES_MAX
                  ? op_fail(op, MIRAI_E_TOO_LARGE, "the differences are too large to be sent")
                  : op_result(op, &result);
    }
    mirai_buf_free(&before);
    mirai_buf_free(&after);
    mirai_buf_free(&diff);
    return err;
}

/* ------------------------------------------------------------------ bring back */

/* What was written comes back; where the article stands, who sees it and its status stay as they are. */
int revision_restore(struct op *op)
{
    const struct mirai_revision_restore *params = op->params;
    struct mirai_article current;
    struct article_state state;
    struct saved saved;
    bool changed;
    int err = article_find_for_write(op, params->id, params->if_match, &current);
    if (err == 0) {
        err = find(op, params->id, params->version, &saved);
    }
    if (err != 0) {
        return err;
    }
    article_state_of(&current, &state);
    state.title = saved.revision.title;
    state.type = saved.revision.type;
    state.body = saved.revision.body;
    state.tags = saved.revision.tags;
    state.summary_technical = saved.summary_technical;
    state.summary_non_technical = saved.summary_non_technical;
    state.language = saved.language;
    state.reason = mirai_arena_printf(&op->arena, "restored version %lld", (long long)params->version);
    err = article_state_check(op, &state, &current);
    if (err == 0) {
        err = article_save(op, &current, &state, &changed);
    }
    return err == 0 ? article_answer(op, params->id) : err;
}
