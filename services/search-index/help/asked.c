#include "services/search-index/help/asked.h"

#include "services/search-index/help/suggest_keys.h"
#include "services/search-index/terms.h"

#include <stdlib.h>

struct words {
    struct asked *asked;
    struct asked_query *query;
};

static void add_word(void *data, const struct analyzer_token *token)
{
    struct words *words = data;
    if (token->view == ANALYZER_WORD && words->query->keys_len < ASKED_KEYS_MAX) {
        words->query->keys[words->query->keys_len++] = mirai_arena_copy(&words->asked->arena, token->term);
    }
}

static struct mirai_str make_key(struct asked *asked, struct analyzer *analyzer, enum suggest_form form,
                                 struct mirai_str normalised)
{
    struct mirai_buf key = {0};
    suggest_key(analyzer, form, normalised, &key);
    struct mirai_str made = mirai_arena_copy(&asked->arena, mirai_buf_str(&key));
    mirai_buf_free(&key);
    return made;
}

struct asked *asked_new(struct analyzer *analyzer, const struct mirai_asked_query_page *page)
{
    struct asked *asked = mirai_alloc(sizeof(*asked));
    struct normalized normal = {0};
    atomic_init(&asked->references, 1);
    asked->queries = mirai_arena_alloc(&asked->arena, (page->items.count + 1) * sizeof(asked->queries[0]));
    for (size_t i = 0; i < page->items.count; i++) {
        const struct mirai_asked_query *from = &MIRAI_ITEMS(asked_query, &page->items)[i];
        struct asked_query *to = &asked->queries[asked->count];
        if (from->users < ASKED_USERS_MIN || from->zero_count == from->count) {
            continue; /* proposing what never finds anything helps nobody */
        }
        normalize(&normal, from->q, false);
        struct mirai_str text = mirai_buf_str(&normal.text);
        to->q = mirai_arena_copy(&asked->arena, from->q);
        to->text = make_key(asked, analyzer, SUGGEST_TEXT, text);
        to->reading = make_key(asked, analyzer, SUGGEST_READING, text);
        to->keys = mirai_arena_alloc(&asked->arena, ASKED_KEYS_MAX * sizeof(to->keys[0]));
        struct words words = {asked, to};
        analyzer_run(analyzer, text, add_word, &words);
        asked->count += to->keys_len > 0; /* one without words could not be checked */
    }
    normalized_free(&normal);
    return asked;
}

struct asked *asked_retain(struct asked *asked)
{
    if (asked != NULL) {
        atomic_fetch_add_explicit(&asked->references, 1, memory_order_relaxed);
    }
    return asked;
}

void asked_release(struct asked *asked)
{
    if (asked != NULL && atomic_fetch_sub_explicit(&asked->references, 1, memory_order_acq_rel) == 1) {
        mirai_arena_free(&asked->arena);
        free(asked);
    }
}
