#include "services/knowledge-store/articles.h"

#include "services/knowledge-store/store.h"

/* The names in a text with one a line. */
static struct mirai_strs split_tags(struct mirai_arena *arena, struct mirai_str text)
{
    struct mirai_strs tags = {0};
    size_t count = text.len > 0 ? 1 : 0;
    for (size_t i = 0; i < text.len; i++) {
        count += text.data[i] == '\n';
    }
    tags.items = mirai_arena_alloc(arena, (count > 0 ? count : 1) * sizeof(*tags.items));
    for (size_t start = 0; tags.count < count;) {
        const char *newline = memchr(text.data + start, '\n', text.len - start);
        size_t end = newline != NULL ? (size_t)(newline - text.data) : text.len;
        tags.items[tags.count++] = (struct mirai_str){text.data + start, end - start};
        start = end + 1;
    }
    return tags;
}

struct mirai_str article_etag(struct op *op, int64_t version)
{
    return mirai_arena_printf(&op->arena, "%s-%lld", op->store->epoch, (long long)version);
}

/* The name behind a user column, and the system's where the number is its own. */
static struct mirai_str user_name(struct op *op, struct db_rows *rows, int id_column, int name_column)
{
    return db_int(rows, id_column) == MIRAI_USER_SYSTEM ? MIRAI_STR("system")
                                                        : db_text_copy(rows, name_column, &op->arena);
}

/* Set and mark when the column is not NULL. */
#define LOAD_INT(field, column)                                                                              \
    if (!db_is_null(rows, column)) {                                                                         \
        mirai_set(article, out, field, db_int(rows, column));                                                \
    }
#define LOAD_ENUM(field, column)                                                                             \
    if (!db_is_null(rows, column)) {                                                                         \
        mirai_set(article, out, field, (int)db_int(rows, column));                                           \
    }
/* Set and mark when the text is not empty. */
#define LOAD_TEXT(field, column)                                                                             \
    if (!db_is_null(rows, column) && db_text(rows, column).len > 0) {                                        \
        mirai_set(article, out, field, db_text_copy(rows, column, &op->arena));                              \
    }

void article_load(struct op *op, struct db_rows *rows, bool with_body, struct mirai_article *out)
{
    *out = (struct mirai_article){0};
    mirai_set(article, out, id, db_int(rows, 0));
    mirai_set(article, out, slug, db_text_copy(rows, 1, &op->arena));
    mirai_set(article, out, title, db_text_copy(rows, 2, &op->arena));
    mirai_set(article, out, type, (int)db_int(rows, 3));
    mirai_set(article, out, status, (int)db_int(rows, 4));
    LOAD_TEXT(summary_technical, 5)
    LOAD_TEXT(summary_non_technical, 6)
    mirai_set(article, out, tags, split_tags(&op->arena, db_text_copy(rows, 7, &op->arena)));
    LOAD_ENUM(language, 8)
    if (!db_is_null(rows, 9)) {
        mirai_set(article, out, owner_id, db_int(rows, 9));
        mirai_set(article, out, owner, user_name(op, rows, 9, 10));
    }
    LOAD_TEXT(review_by, 11)
    mirai_set(article, out, space_id, db_int(rows, 12));
    mirai_set(article, out, visibility, (int)db_int(rows, 13));
    LOAD_INT(group_id, 14)
    mirai_set(article, out, created_at, db_int(rows, 15));
    if (!db_is_null(rows, 16)) {
        mirai_set(article, out, created_by, user_name(op, rows, 16, 17));
    }
    mirai_set(article, out, updated_at, db_int(rows, 18));
    if (!db_is_null(rows, 19)) {
        mirai_set(article, out, updated_by, user_name(op, rows, 19, 20));
    }
    mirai_set(article, out, version, db_int(rows, 21));
    mirai_set(article, out, etag, article_etag(op, out->version));
    LOAD_INT(deleted_at, 22)
    if (with_body) {
        mirai_set(article, out, body, db_text_copy(rows, ARTICLE_COLUMN_BODY, &op->arena));
    }
}

struct access_fields article_access(const struct mirai_article *article)
{
    return (struct access_fields){article->owner_id, article->space_id, article->group_id,
                                  article->visibility};
}

int article_find(struct op *op, int64_t id, struct mirai_article *article)
{
    struct db_rows *rows = db_query(
        op->db, "SELECT " ARTICLE_COLUMNS ", r.body FROM articles a" ARTICLE_BODY_JOIN " WHERE a.id = ?1",
        DB_I(id));
    bool found = db_next(rows);
    if (found) {
        article_load(op, rows, true, article);
    }
    int err = db_end(rows);
    return err == 0 && !found ? MIRAI_E_NOT_FOUND : err;
}
