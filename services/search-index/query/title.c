/* A title that is just the query: in the second stage, because titles stand in the texts, and few candidates have the
 * query's rarest word in their title. */
#include "services/search-index/query/internal.h"

#include "services/search-index/terms.h"

/* Titles that are read for one query. */
#define TITLES_MAX 10

bool title_applies(const struct search *search)
{
    return search->boosts.title > 0 && search->query.title_key.len > 0 && search->plan.terms_len > 0;
}

/* The rarest term that can be looked up in titles; NULL: none. */
static const struct query_part *rarest(const struct search *search)
{
    const struct plan_alternative *best = NULL;
    for (size_t i = 0; i < search->plan.terms_len; i++) {
        const struct plan_alternative *one = &search->plan.terms[i].alternatives[0];
        if (!one->prefix && one->parts_len == 1 && !one->from->synonym &&
            (best == NULL || one->gain > best->gain)) {
            best = one;
        }
    }
    return best != NULL ? best->parts[0].part : NULL;
}

static bool has_in_title(struct search *search, struct mirai_str key, const struct candidate *candidate)
{
    const struct segment *segment = search->view->segments[candidate->segment];
    struct segment_term term;
    struct segment_cursor cursor;
    bool found = false;
    if (segment_find(segment, key, &term)) {
        segment_cursor_open(&cursor, segment, &term);
        if (segment_cursor_seek(&cursor, candidate->doc)) {
            segment_cursor_decode(&cursor);
            for (unsigned i = 0; i < cursor.len && !found; i++) {
                found = cursor.docs[i] == candidate->doc;
            }
        }
    }
    return found;
}

/* Whether `title` without what is CHAR_BREAK is `key`. */
static bool is_key(struct search *search, struct mirai_str title, struct mirai_str key)
{
    normalize(&search->space->text, title, false);
    struct mirai_str text = mirai_buf_str(&search->space->text.text);
    size_t matched = 0;
    for (size_t at = 0; at < text.len;) {
        unsigned len;
        uint32_t cp = utf8_decode(text.data + at, text.data + text.len, &len);
        if (char_class(cp) != CHAR_BREAK) {
            if (key.len - matched < len || memcmp(key.data + matched, text.data + at, len) != 0) {
                return false;
            }
            matched += len;
        }
        at += len;
    }
    return matched == key.len;
}

void title_add(struct search *search, struct candidate *candidates, size_t len)
{
    const struct query_part *part = title_applies(search) ? rarest(search) : NULL;
    size_t read = 0;
    if (part == NULL) {
        return;
    }
    struct mirai_str key =
        mirai_arena_printf(search->arena, "%c%.*s", TERMS_TITLE_MARK, MIRAI_STR_ARG(part->key));
    for (size_t i = 0; i < len && read < TITLES_MAX; i++) {
        struct candidate *candidate = &candidates[i];
        struct index_text text;
        const struct segment_doc *unit =
            &segment_docs(search->view->segments[candidate->segment])[candidate->doc];
        if (!has_in_title(search, key, candidate)) {
            continue;
        }
        read++;
        if (index_text(search->reader, unit->slot, unit->version, &text) == 0 &&
            is_key(search, text.title, search->query.title_key)) {
            candidate->title = (uint32_t)((uint64_t)candidate->words * search->boosts.title / 100);
            candidate->score += candidate->title;
        }
    }
}
