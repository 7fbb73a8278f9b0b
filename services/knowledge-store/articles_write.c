#include "services/knowledge-store/articles.h"

#include "services/knowledge-store/article_state.h"
#include "services/knowledge-store/slug.h"
#include "services/knowledge-store/store.h"

static bool is_edge(char c)
{
    return c == ' ' || c == '\t' || c == '"';
}

/* One of the tags in a list as If-Match has it, with or without quotes. */
static bool etag_matches(struct mirai_str if_match, struct mirai_str etag)
{
    while (if_match.len > 0) {
        const char *comma = memchr(if_match.data, ',', if_match.len);
        size_t len = comma != NULL ? (size_t)(comma - if_match.data) : if_match.len;
        struct mirai_str one = {if_match.data, len};
        while (one.len > 0 && is_edge(one.data[0])) {
            one.data++;
            one.len--;
        }
        while (one.len > 0 && is_edge(one.data[one.len - 1])) {
            one.len--;
        }
        if (mirai_str_eq(one, etag) || mirai_str_eq(one, MIRAI_STR("*"))) {
            return true;
        }
        size_t skip = comma != NULL ? len + 1 : len;
        if_match.data += skip;
        if_match.len -= skip;
    }
    return false;
}

int article_find_for_write(struct op *op, int64_t id, struct mirai_str if_match,
                           struct mirai_article *current)
{
    int err = article_find(op, id, current);
    if (err != 0) {
        return err;
    }
    op_object(op, "article", id);
    struct access_fields fields = article_access(current);
    err = access_check_write(op, &fields);
    if (err == 0 && mirai_has(article, current, deleted_at)) {
        err = MIRAI_E_NOT_FOUND;
    }
    if (err != 0) {
        return err;
    }
    if (if_match.len == 0) {
        return op_fail_with(op, MIRAI_E_PRECONDITION_REQUIRED, "If-Match is required", "etag", current->etag);
    }
    if (!etag_matches(if_match, current->etag)) {
        return op_fail_with(op, MIRAI_E_PRECONDITION, "the article was changed meanwhile", "etag",
                            current->etag);
    }
    return 0;
}

int article_answer(struct op *op, int64_t id)
{
    struct mirai_article article;
    int err = article_find(op, id, &article);
    return err == 0 ? op_result(op, &article) : err;
}

int article_create(struct op *op)
{
    const struct mirai_article_create *params = op->params;
    struct article_state state;
    int64_t id;
    article_state_new(op, &state);
    ARTICLE_TAKE(article_create, params, &state);
    int err = article_state_check(op, &state, NULL);
    if (err == 0) {
        err = article_insert(op, &state, &id);
    }
    return err == 0 ? article_answer(op, id) : err;
}

static int save_and_answer(struct op *op, const struct mirai_article *current, struct article_state *state)
{
    bool changed;
    int err = article_state_check(op, state, current);
    if (err == 0) {
        err = article_save(op, current, state, &changed);
    }
    return err == 0 ? article_answer(op, current->id) : err;
}

/* The content is replaced whole. Where the article stands and who sees it stays unless it is named: leaving
 * `visibility` out must not publish a private article. */
static void clear_content(struct article_state *state)
{
    state->summary_technical = state->summary_non_technical = state->review_by = (struct mirai_str){NULL, 0};
    state->tags = (struct mirai_strs){NULL, 0};
    state->language = -1;
}

int article_replace(struct op *op)
{
    const struct mirai_article_replace *params = op->params;
    struct mirai_article current;
    struct article_state state;
    int err = article_find_for_write(op, params->id, params->if_match, &current);
    if (err != 0) {
        return err;
    }
    article_state_of(&current, &state);
    clear_content(&state);
    ARTICLE_TAKE(article_replace, params, &state);
    return save_and_answer(op, &current, &state);
}

int article_patch(struct op *op)
{
    const struct mirai_article_patch *params = op->params;
    struct mirai_article current;
    struct article_state state;
    int err = article_find_for_write(op, params->id, params->if_match, &current);
    if (err != 0) {
        return err;
    }
    article_state_of(&current, &state);
    ARTICLE_TAKE(article_patch, params, &state);
    return save_and_answer(op, &current, &state);
}

/* ------------------------------------------------------------------ import */

static int answer_import(struct op *op, int64_t id, int64_t version, enum mirai_import_outcome outcome)
{
    struct mirai_article_import_result result = {0};
    mirai_set(article_import_result, &result, id, id);
    mirai_set(article_import_result, &result, version, version);
    mirai_set(article_import_result, &result, outcome, (int)outcome);
    return op_result(op, &result);
}

/* Dates of an original are facts that only an Admin may state; from others they are left out. */
static void take_dates(struct op *op, const struct mirai_article_import *params, struct article_state *state)
{
    if (op_is_admin(op)) {
        state->created_at = params->created_at;
        state->updated_at = params->updated_at;
    }
}

static int import_new(struct op *op, const struct mirai_article_import *params, struct mirai_str slug)
{
    struct article_state state;
    int64_t id;
    article_state_new(op, &state);
    ARTICLE_TAKE(article_import, params, &state);
    take_dates(op, params, &state);
    state.slug = slug;
    int err = article_state_check(op, &state, NULL);
    if (err == 0) {
        err = article_insert(op, &state, &id);
    }
    return err == 0 ? answer_import(op, id, 1, MIRAI_IMPORT_CREATED) : err;
}

static int import_over(struct op *op, const struct mirai_article_import *params, int64_t id)
{
    struct mirai_article current;
    struct article_state state;
    bool changed = false;
    int err = article_find_for_write(op, id, MIRAI_STR("*"), &current);
    if (err == MIRAI_E_NOT_FOUND) {
        return op_fail(op, MIRAI_E_CONFLICT,
                       "the slug belongs to an article that is in the bin or not visible");
    }
    if (err != 0) {
        return err;
    }
    article_state_of(&current, &state);
    clear_content(&state);
    ARTICLE_TAKE(article_import, params, &state);
    take_dates(op, params, &state);
    state.reason = (struct mirai_str){NULL, 0}; /* a reason alone is no difference */
    err = article_state_check(op, &state, &current);
    if (err == 0) {
        struct article_state before;
        article_state_of(&current, &before);
        if (!article_state_same(&before, &state)) {
            state.reason = params->reason;
            err = article_save(op, &current, &state, &changed);
        }
    }
    return err == 0 ? answer_import(op, id, current.version + changed,
                                    changed ? MIRAI_IMPORT_UPDATED : MIRAI_IMPORT_UNCHANGED)
                    : err;
}

int article_import(struct op *op)
{
    const struct mirai_article_import *params = op->params;
    struct mirai_str slug =
        mirai_has(article_import, params, slug) ? params->slug : slug_from_title(&op->arena, params->title);
    int64_t id;
    int err = db_find_int(op->db, &id, "SELECT id FROM articles WHERE slug = ?1", DB_S(slug));
    return err == 0                   ? import_over(op, params, id)
           : err == MIRAI_E_NOT_FOUND ? import_new(op, params, slug)
                                      : err;
}
