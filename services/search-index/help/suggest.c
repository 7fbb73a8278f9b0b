#include "services/search-index/query/query.h"

#include <stdlib.h>

#define SUGGEST_DEFAULT 8
#define SUGGEST_MAX     20
#define ROWS_MAX        500 /* suggestions looked at for one answer */

struct proposal {
    struct mirai_str text;
    enum index_suggestion kind;
    int64_t id;
    size_t rank; /* lower is better */
};

struct proposals {
    struct proposal list[SUGGEST_MAX];
    size_t len;
    size_t max;
};

static bool is_known(const struct proposals *proposals, const struct proposal *one)
{
    for (size_t i = 0; i < proposals->len; i++) {
        const struct proposal *other = &proposals->list[i];
        if (((one->kind == INDEX_SUGGEST_TAG) == (other->kind == INDEX_SUGGEST_TAG)) &&
            mirai_str_eq(one->text, other->text)) {
            return true;
        }
    }
    return false;
}

/* Titles that begin so, then tags, then titles with such a word; shorter ones first. */
static size_t rank_of(enum index_suggestion kind, size_t len)
{
    static const size_t order[] = {
        [INDEX_SUGGEST_TITLE] = 0, [INDEX_SUGGEST_TAG] = 1, [INDEX_SUGGEST_WORD] = 2};
    return order[kind] * 100000 + len;
}

static void insert(struct proposals *proposals, const struct proposal *one)
{
    size_t at = proposals->len;
    while (at > 0 && proposals->list[at - 1].rank > one->rank) {
        at--;
    }
    if (at == proposals->max) {
        return;
    }
    proposals->len += proposals->len < proposals->max;
    memmove(&proposals->list[at + 1], &proposals->list[at],
            (proposals->len - 1 - at) * sizeof(proposals->list[0]));
    proposals->list[at] = *one;
}

static struct mirai_str copy_column(sqlite3_stmt *statement, int at, struct mirai_arena *arena)
{
    const char *data = (const char *)sqlite3_column_text(statement, at);
    return mirai_arena_copy(arena, (struct mirai_str){data, (size_t)sqlite3_column_bytes(statement, at)});
}

static struct mirai_str title_of(struct index_reader *reader, uint32_t slot, uint32_t version,
                                 struct mirai_arena *arena)
{
    struct index_text text;
    return index_text(reader, slot, version, &text) == 0 ? mirai_arena_copy(arena, text.title)
                                                         : (struct mirai_str){0};
}

static int collect(struct index_reader *reader, struct mirai_str prefix,
                   const struct mirai_principal *principal, struct mirai_arena *arena,
                   struct proposals *proposals)
{
    struct catalog *catalog = index_catalog(reader->index);
    sqlite3_stmt *statement = reader->suggest;
    struct mirai_str after = mirai_arena_copy(arena, prefix);
    /* the first key that does not begin with the prefix: UTF-8 has no byte 0xFF, so prefix + 0xFF is above
     * all that do */
    char *bound = mirai_arena_alloc(arena, prefix.len + 1);
    memcpy(bound, prefix.data, prefix.len);
    bound[prefix.len] = '\xff';
    sqlite3_bind_text64(statement, 1, after.data, after.len, SQLITE_STATIC, SQLITE_UTF8);
    sqlite3_bind_text64(statement, 2, bound, prefix.len + 1, SQLITE_STATIC, SQLITE_UTF8);
    sqlite3_bind_int(statement, 3, ROWS_MAX);
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        uint32_t doc = (uint32_t)sqlite3_column_int64(statement, 1);
        const struct catalog_entry *entry = catalog_get(catalog, doc);
        if (entry == NULL || !catalog_visible(entry, principal)) {
            continue;
        }
        struct proposal one = {.kind = (enum index_suggestion)sqlite3_column_int(statement, 2),
                               .id = entry->id};
        one.rank = rank_of(one.kind, (size_t)sqlite3_column_bytes(statement, 0));
        if (proposals->len == proposals->max && proposals->list[proposals->len - 1].rank <= one.rank) {
            continue; /* too late to matter; its text need not be read */
        }
        one.text = one.kind == INDEX_SUGGEST_TAG ? copy_column(statement, 3, arena)
                                                 : title_of(reader, doc, entry->version, arena);
        if (one.text.len != 0 && !is_known(proposals, &one)) {
            insert(proposals, &one);
        }
    }
    sqlite3_reset(statement);
    return rc == SQLITE_DONE ? 0 : index_fault(reader->index, rc, "suggest");
}

static void fill(const struct proposals *proposals, struct mirai_arena *arena,
                 struct mirai_suggest_result *result)
{
    struct mirai_suggestion *items = mirai_arena_alloc(arena, (proposals->len + 1) * sizeof(*items));
    for (size_t i = 0; i < proposals->len; i++) {
        const struct proposal *one = &proposals->list[i];
        bool tag = one->kind == INDEX_SUGGEST_TAG;
        mirai_set(suggestion, &items[i], text, one->text);
        mirai_set(suggestion, &items[i], kind, tag ? MIRAI_STR("tag") : MIRAI_STR("title"));
        if (!tag) {
            mirai_set(suggestion, &items[i], id, one->id);
        }
    }
    mirai_set(suggest_result, result, items, ((struct mirai_objects){items, proposals->len}));
}

int query_suggest(struct index_reader *reader, const struct mirai_suggest_query *request,
                  const struct mirai_principal *principal, struct mirai_arena *arena,
                  struct mirai_suggest_result *result)
{
    int64_t limit = mirai_has(suggest_query, request, limit) ? request->limit : SUGGEST_DEFAULT;
    struct proposals proposals = {.max = (size_t)(limit < 1 ? 1 : limit > SUGGEST_MAX ? SUGGEST_MAX : limit)};
    struct normalized typed = {0};
    normalize(&typed, request->q, false);
    struct mirai_str prefix = mirai_buf_str(&typed.text);
    while (prefix.len > 0 && prefix.data[0] == ' ') {
        prefix = (struct mirai_str){prefix.data + 1, prefix.len - 1};
    }
    while (prefix.len > 0 && prefix.data[prefix.len - 1] == ' ') {
        prefix.len--;
    }
    prefix = mirai_utf8_prefix(prefix, INDEX_SUGGEST_KEY_MAX);
    int err = 0;
    if (prefix.len > 0) {
        index_view_enter(reader);
        err = collect(reader, prefix, principal, arena, &proposals);
        index_view_leave(reader);
    }
    fill(&proposals, arena, result);
    normalized_free(&typed);
    return err;
}
