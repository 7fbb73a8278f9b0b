#include "services/search-index/help/viewer.h"

const struct catalog_entry *viewer_sees(const struct viewer *viewer, const struct segment_doc *doc)
{
    const struct catalog_entry *entry = catalog_get(viewer->catalog, doc->slot);
    if (entry == NULL || entry->version != doc->version) {
        return NULL;
    }
    const struct catalog_entry *article = catalog_article(viewer->catalog, entry);
    return article != NULL && catalog_visible(article, viewer->principal) ? article : NULL;
}

uint64_t viewer_df(const struct viewer *viewer, struct mirai_str key)
{
    uint64_t df = 0;
    struct segment_term term;
    for (size_t i = 0; i < viewer->segments_len; i++) {
        df += segment_find(viewer->segments[i], key, &term) ? term.df : 0;
    }
    return df;
}

/* Whether the cursor's term stands in `doc`; documents are asked for in ascending order. */
static bool has(struct segment_cursor *cursor, uint32_t doc)
{
    if (!segment_cursor_seek(cursor, doc)) {
        return false;
    }
    segment_cursor_decode(cursor);
    for (unsigned i = 0; i < cursor->len && cursor->docs[i] <= doc; i++) {
        if (cursor->docs[i] == doc) {
            return true;
        }
    }
    return false;
}

/* What is found: as many as fit. */
struct finding {
    size_t budget;
    struct segment_doc *out;
    size_t len;
    size_t max;
};

static void find_in(const struct viewer *viewer, const struct segment *segment,
                    const struct segment_term *terms, size_t count, struct finding *finding)
{
    struct segment_cursor cursors[VIEWER_KEYS_MAX];
    const struct segment_doc *docs = segment_docs(segment);
    for (size_t i = 0; i < count; i++) {
        segment_cursor_open(&cursors[i], segment, &terms[i]);
    }
    for (bool more = cursors[0].block_last != SEGMENT_END; more; more = segment_cursor_next(&cursors[0])) {
        segment_cursor_decode(&cursors[0]);
        for (unsigned at = 0; at < cursors[0].len; at++) {
            uint32_t doc = cursors[0].docs[at];
            if (finding->budget == 0 || finding->len == finding->max) {
                return;
            }
            finding->budget--;
            bool all = viewer_sees(viewer, &docs[doc]) != NULL;
            for (size_t i = 1; all && i < count; i++) {
                all = has(&cursors[i], doc);
            }
            if (all) {
                finding->out[finding->len++] = docs[doc];
            }
        }
    }
}

size_t viewer_find(const struct viewer *viewer, const struct mirai_str *keys, size_t count, size_t budget,
                   struct segment_doc *out, size_t max)
{
    struct finding finding = {.budget = budget, .out = out, .max = max};
    count = count < VIEWER_KEYS_MAX ? count : VIEWER_KEYS_MAX;
    for (size_t s = 0; s < viewer->segments_len && count > 0; s++) {
        struct segment_term terms[VIEWER_KEYS_MAX];
        size_t found = 0;
        while (found < count && segment_find(viewer->segments[s], keys[found], &terms[found])) {
            if (terms[found].df < terms[0].df) { /* the rarest first */
                struct segment_term swap = terms[0];
                terms[0] = terms[found];
                terms[found] = swap;
            }
            found++;
        }
        if (found == count) {
            find_in(viewer, viewer->segments[s], terms, count, &finding);
        }
    }
    return finding.len;
}

bool viewer_finds(const struct viewer *viewer, const struct mirai_str *keys, size_t count, size_t budget)
{
    struct segment_doc first;
    return viewer_find(viewer, keys, count, budget, &first, 1) > 0;
}
