#include "services/knowledge-store/article_state.h"

#include "services/knowledge-store/articles.h"
#include "services/knowledge-store/checks.h"
#include "services/knowledge-store/slug.h"
#include "services/knowledge-store/store.h"
#include "services/knowledge-store/tags.h"

#include <sodium.h>
#include <stdio.h>

#define TAG_LENGTH_MAX 50
#define SLUG_TRIES     5

void article_state_new(struct op *op, struct article_state *state)
{
    *state = (struct article_state){
        .type = MIRAI_ITSM_TYPE_OTHER,
        .status = MIRAI_ARTICLE_STATUS_DRAFT,
        .language = -1,
        .owner_id = op->principal->user_id > 0 ? op->principal->user_id : 0,
        .space_id = SPACE_GENERAL,
        .visibility = MIRAI_VISIBILITY_SPACE,
    };
}

void article_state_of(const struct mirai_article *article, struct article_state *state)
{
    *state = (struct article_state){
        .slug = article->slug,
        .title = article->title,
        .type = article->type,
        .status = article->status,
        .language = mirai_has(article, article, language) ? article->language : -1,
        .summary_technical = article->summary_technical,
        .summary_non_technical = article->summary_non_technical,
        .tags = article->tags,
        .owner_id = article->owner_id,
        .review_by = article->review_by,
        .space_id = article->space_id,
        .visibility = article->visibility,
        .group_id = article->group_id,
        .body = article->body,
    };
}

/* ------------------------------------------------------------------ checks */

static struct mirai_str trim(struct mirai_str s)
{
    while (s.len > 0 && strchr(" \t\r\n", s.data[0]) != NULL) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && strchr(" \t\r\n", s.data[s.len - 1]) != NULL) {
        s.len--;
    }
    return s;
}

static bool has_tag(const struct mirai_strs *tags, struct mirai_str name)
{
    for (size_t i = 0; i < tags->count; i++) {
        if (mirai_str_eq(tags->items[i], name)) {
            return true;
        }
    }
    return false;
}

/* Trim each, drop doubles. */
static int check_tags(struct op *op, struct mirai_strs *tags)
{
    struct mirai_strs kept = {mirai_arena_alloc(&op->arena, (tags->count + 1) * sizeof(*kept.items)), 0};
    for (size_t i = 0; i < tags->count; i++) {
        struct mirai_str name = trim(tags->items[i]);
        char path[32];
        snprintf(path, sizeof(path), "/tags/%zu", i);
        if (!check_name(name)) {
            return op_fault(op, path, "format");
        }
        if (mirai_utf8_length(name) > TAG_LENGTH_MAX) {
            return op_fault(op, path, "too-long");
        }
        if (!has_tag(&kept, name)) {
            kept.items[kept.count++] = name;
        }
    }
    *tags = kept;
    return 0;
}

static int check_exists(struct op *op, const char *sql, int64_t id, const char *path)
{
    int64_t found;
    int err = db_find_int(op->db, &found, sql, DB_I(id));
    return err == MIRAI_E_NOT_FOUND ? op_fault(op, path, "not-found") : err;
}

/* Whoever may write an article may not thereby take it away from those who read it: to whom it belongs, and that
 * only its owner sees it, is for its owner to say, or for an Admin (also of one without an owner). */
static int check_owner(struct op *op, const struct article_state *state, const struct mirai_article *current)
{
    if (current == NULL || op_is_admin(op) || current->owner_id == op->principal->user_id) {
        return 0;
    }
    if (state->owner_id != current->owner_id) {
        return op_fail(op, MIRAI_E_FORBIDDEN, "only the owner or an Admin gives an article to another owner");
    }
    return state->visibility == MIRAI_VISIBILITY_PRIVATE && current->visibility != MIRAI_VISIBILITY_PRIVATE
               ? op_fail(op, MIRAI_E_FORBIDDEN, "only the owner or an Admin makes an article private")
               : 0;
}

static int check_place(struct op *op, struct article_state *state, const struct mirai_article *current)
{
    int err = check_owner(op, state, current);
    if (err != 0) {
        return err;
    }
    if (current == NULL || current->space_id != state->space_id) {
        err = access_check_space(op, state->space_id);
        err = err == MIRAI_E_NOT_FOUND ? op_fault(op, "/space_id", "not-found") : err;
    }
    if (err == 0 && state->owner_id != 0 && (current == NULL || current->owner_id != state->owner_id)) {
        err = check_exists(op, "SELECT 1 FROM users WHERE id = ?1", state->owner_id, "/owner_id");
    }
    if (err != 0) {
        return err;
    }
    if (state->visibility != MIRAI_VISIBILITY_GROUP) {
        state->group_id = 0;
    } else if (state->group_id == 0) {
        return op_fault(op, "/group_id", "required");
    } else if (current == NULL || current->group_id != state->group_id) {
        err = check_exists(op, "SELECT 1 FROM groups WHERE id = ?1", state->group_id, "/group_id");
        if (err == 0 && !op_is_admin(op) && !access_in_group(op->principal, state->group_id)) {
            err = op_fail(op, MIRAI_E_FORBIDDEN, "only members of a group may show articles to it");
        }
    }
    /* Nobody may hide from themselves what belongs to others. */
    const struct access_fields fields = {state->owner_id, state->space_id, state->group_id,
                                         state->visibility};
    if (err == 0 && !access_may_read(op->principal, &fields)) {
        err = op_fail(op, MIRAI_E_FORBIDDEN, "the article would be invisible to who saves it");
    }
    return err;
}

int article_state_check(struct op *op, struct article_state *state, const struct mirai_article *current)
{
    state->title = trim(state->title);
    if (!check_name(state->title)) {
        return op_fault(op, "/title", "format");
    }
    if (state->slug.len > 0 && !slug_valid(state->slug) &&
        (current == NULL || !mirai_str_eq(current->slug, state->slug))) {
        return op_fault(op, "/slug", "format");
    }
    int err = check_tags(op, &state->tags);
    return err == 0 ? check_place(op, state, current) : err;
}

/* ------------------------------------------------------------------ rows */

static bool slug_is_taken(struct op *op, struct mirai_str slug, int *err)
{
    int64_t found;
    *err = db_find_int(op->db, &found, "SELECT 1 FROM articles WHERE slug = ?1", DB_S(slug));
    if (*err == MIRAI_E_NOT_FOUND) {
        *err = 0;
        return false;
    }
    return *err == 0;
}

/* The title's slug, with -2, -3, … and in the end with the number that the article is about to get, so that
 * the ten thousandth "Meeting" costs as little as the sixth. */
static int make_slug(struct op *op, struct article_state *state)
{
    struct mirai_str base = slug_from_title(&op->arena, state->title);
    int64_t next_id = 0;
    int err;
    state->slug = base;
    for (int i = 2; slug_is_taken(op, state->slug, &err); i++) {
        if (i <= SLUG_TRIES) {
            state->slug = mirai_arena_printf(&op->arena, "%.*s-%d", MIRAI_STR_ARG(base), i);
        } else if (next_id == 0) {
            err = db_find_int(op->db, &next_id, "SELECT ifnull(max(id), 0) + 1 FROM articles");
            state->slug =
                mirai_arena_printf(&op->arena, "%.*s-%lld", MIRAI_STR_ARG(base), (long long)next_id);
        } else {
            state->slug =
                mirai_arena_printf(&op->arena, "%.*s-%08x", MIRAI_STR_ARG(base), randombytes_random());
        }
        if (err != 0) {
            break;
        }
    }
    return err;
}

static struct mirai_str join_tags(struct op *op, const struct mirai_strs *tags)
{
    struct mirai_buf text = {0};
    for (size_t i = 0; i < tags->count; i++) {
        if (i > 0) {
            mirai_buf_append_char(&text, '\n');
        }
        mirai_buf_append_str(&text, tags->items[i]);
    }
    struct mirai_str joined = mirai_arena_copy(&op->arena, mirai_buf_str(&text));
    mirai_buf_free(&text);
    return joined;
}

static int tag_id(struct op *op, struct mirai_str name, int64_t *id)
{
    int err = db_find_int(op->db, id, "SELECT id FROM tags WHERE name = ?1", DB_S(name));
    if (err != MIRAI_E_NOT_FOUND) {
        return err;
    }
    err = tags_check_room(op);
    if (err == 0) {
        err = db_exec(op->db, "INSERT INTO tags (name, created_at) VALUES (?1, ?2)", DB_S(name),
                      DB_I(op->now_ms));
        *id = db_last_id(op->db);
    }
    return err;
}

static int write_tags(struct op *op, int64_t article_id, const struct mirai_strs *tags)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < tags->count; i++) {
        int64_t id;
        err = tag_id(op, tags->items[i], &id);
        if (err == 0) {
            err = db_exec(op->db, "INSERT INTO article_tags (article_id, tag_id) VALUES (?1, ?2)",
                          DB_I(article_id), DB_I(id));
        }
    }
    return err;
}

static int write_revision(struct op *op, int64_t id, int64_t version, const struct article_state *state,
                          struct mirai_str tags)
{
    return db_exec(
        op->db,
        "INSERT INTO revisions (article_id, version, created_at, created_by, reason, title, type, status,"
        " language, summary_technical, summary_non_technical, tags, review_by, body)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        DB_I(id), DB_I(version), DB_I(state->updated_at), DB_I(op->principal->user_id), DB_S(state->reason),
        DB_S(state->title), DB_I(state->type), DB_I(state->status),
        DB_I_IF(state->language >= 0, state->language), DB_S(state->summary_technical),
        DB_S(state->summary_non_technical), DB_S(tags), DB_S_IF(state->review_by.len > 0, state->review_by),
        DB_S(state->body));
}

static int conflict_to_slug(struct op *op, int err)
{
    return err == MIRAI_E_CONFLICT ? op_fail(op, err, "the slug is taken") : err;
}

int article_insert(struct op *op, struct article_state *state, int64_t *id)
{
    int err = state->slug.len == 0 ? make_slug(op, state) : 0;
    struct mirai_str tags = join_tags(op, &state->tags);
    state->created_at = state->created_at != 0 ? state->created_at : op->now_ms;
    state->updated_at = state->updated_at != 0 ? state->updated_at : op->now_ms;
    if (err == 0) {
        err = conflict_to_slug(
            op,
            db_exec(op->db,
                    "INSERT INTO articles (slug, title, type, status, language, summary_technical,"
                    " summary_non_technical, tags, owner_id, space_id, visibility, group_id, review_by,"
                    " created_at, created_by, updated_at, updated_by, version)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?15, 1)",
                    DB_S(state->slug), DB_S(state->title), DB_I(state->type), DB_I(state->status),
                    DB_I_IF(state->language >= 0, state->language), DB_S(state->summary_technical),
                    DB_S(state->summary_non_technical), DB_S(tags),
                    DB_I_IF(state->owner_id != 0, state->owner_id), DB_I(state->space_id),
                    DB_I(state->visibility), DB_I_IF(state->group_id != 0, state->group_id),
                    DB_S_IF(state->review_by.len > 0, state->review_by), DB_I(state->created_at),
                    DB_I(op->principal->user_id), DB_I(state->updated_at)));
    }
    if (err != 0) {
        return err;
    }
    *id = db_last_id(op->db);
    op_object(op, "article", *id);
    op->articles_delta++;
    err = write_revision(op, *id, 1, state, tags);
    if (err == 0) {
        err = write_tags(op, *id, &state->tags);
    }
    return err == 0 ? op_change(op, MIRAI_CHANGE_ARTICLE, *id) : err;
}

static bool same_tags(const struct mirai_strs *a, const struct mirai_strs *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = mirai_str_eq(a->items[i], b->items[i]);
    }
    return same;
}

bool article_state_same(const struct article_state *a, const struct article_state *b)
{
    return a->type == b->type && a->status == b->status && a->language == b->language &&
           a->owner_id == b->owner_id && a->space_id == b->space_id && a->visibility == b->visibility &&
           a->group_id == b->group_id && mirai_str_eq(a->slug, b->slug) && mirai_str_eq(a->title, b->title) &&
           mirai_str_eq(a->summary_technical, b->summary_technical) &&
           mirai_str_eq(a->summary_non_technical, b->summary_non_technical) &&
           mirai_str_eq(a->review_by, b->review_by) && mirai_str_eq(a->body, b->body) &&
           same_tags(&a->tags, &b->tags);
}

static int update_row(struct op *op, const struct mirai_article *current, const struct article_state *state,
                      struct mirai_str tags)
{
    return db_exec(
        op->db,
        "UPDATE articles SET slug = ?2, title = ?3, type = ?4, status = ?5, language = ?6,"
        " summary_technical = ?7, summary_non_technical = ?8, tags = ?9, owner_id = ?10, space_id = ?11,"
        " visibility = ?12, group_id = ?13, review_by = ?14, created_at = ?15, updated_at = ?16,"
        " updated_by = ?17, version = ?18 WHERE id = ?1",
        DB_I(current->id), DB_S(state->slug), DB_S(state->title), DB_I(state->type), DB_I(state->status),
        DB_I_IF(state->language >= 0, state->language), DB_S(state->summary_technical),
        DB_S(state->summary_non_technical), DB_S(tags), DB_I_IF(state->owner_id != 0, state->owner_id),
        DB_I(state->space_id), DB_I(state->visibility), DB_I_IF(state->group_id != 0, state->group_id),
        DB_S_IF(state->review_by.len > 0, state->review_by), DB_I(state->created_at), DB_I(state->updated_at),
        DB_I(op->principal->user_id), DB_I(current->version + 1));
}

int article_save(struct op *op, const struct mirai_article *current, struct article_state *state,
                 bool *changed)
{
    struct article_state before;
    article_state_of(current, &before);
    if (state->slug.len == 0) {
        state->slug = current->slug;
    }
    op_object(op, "article", current->id);
    *changed = !article_state_same(&before, state) || state->reason.len > 0;
    if (!*changed) {
        return 0;
    }
    struct mirai_str tags = join_tags(op, &state->tags);
    state->created_at = state->created_at != 0 ? state->created_at : current->created_at;
    state->updated_at = state->updated_at != 0 ? state->updated_at : op->now_ms;
    int err = conflict_to_slug(op, update_row(op, current, state, tags));
    if (err == 0) {
        err = write_revision(op, current->id, current->version + 1, state, tags);
    }
    if (err == 0 && !same_tags(&before.tags, &state->tags)) {
        err = db_exec(op->db, "DELETE FROM article_tags WHERE article_id = ?1", DB_I(current->id));
        err = err == 0 ? write_tags(op, current->id, &state->tags) : err;
    }
    return err == 0 ? op_change(op, MIRAI_CHANGE_ARTICLE, current->id) : err;
}
