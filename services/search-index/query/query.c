#include "services/search-index/query/internal.h"

#include "libcommon/time.h"
#include "services/search-index/terms.h"

#include <math.h>
#include <stdlib.h>

#define HITS_DEFAULT 20

/* Documents, and bytes of their texts, that are looked through for quoted phrases; beyond it the words alone
 * decide. */
#define PHRASE_CHECKS_MAX 2000
#define PHRASE_BYTES_MAX  (16u << 20)

/* Saturation of BM25, as in terms.c. */
#define K1 0.6

struct query_workspace *query_workspace_new(void)
{
    return mirai_alloc(sizeof(struct query_workspace));
}

void query_workspace_free(struct query_workspace *workspace)
{
    if (workspace != NULL) {
        free(workspace->slots);
        free(workspace->touched);
        free(workspace->list);
        free(workspace->tag_counts);
        normalized_free(&workspace->text);
        mirai_buf_free(&workspace->buf);
        free(workspace);
    }
}

static bool past_deadline(const struct search *search)
{
    return mirai_monotonic_us() > search->deadline_us;
}

/* ------------------------------------------------------------------ postings */

static struct slot *touch(struct search *search, uint32_t doc)
{
    struct query_workspace *space = search->space;
    struct slot *slot = &space->slots[doc];
    if (!slot->touched) {
        slot->touched = true;
        if (space->touched_len == space->touched_cap) {
            space->touched_cap = space->touched_cap == 0 ? 1024 : space->touched_cap * 2;
            space->touched = mirai_realloc(space->touched, space->touched_cap * sizeof(space->touched[0]));
        }
        space->touched[space->touched_len++] = doc;
    }
    return slot;
}

/* A term's postings are complete: its document frequency is known, so they can be scored. */
static void score_list(struct search *search)
{
    struct query_workspace *space = search->space;
    if (space->list_len == 0) {
        return;
    }
    double n = (double)catalog_count(search->catalog);
    double df = (double)space->list_len;
    double idf = log(1 + fmax(n - df + 0.5, 0) / (df + 0.5));
    double weight = search->query.terms[search->term].weight * idf * (K1 + 1);
    for (size_t i = 0; i < space->list_len; i++) {
        touch(search, space->list[i].doc)->score += (float)(weight * terms_impact(space->list[i].level));
    }
    space->list_len = 0;
}

/* Looks at the clock now and then, for what is done for each document. */
static bool out_of_time(struct search *search)
{
    return (++search->seen & 1023) == 0 && past_deadline(search);
}

/* The slot of a document that lives; 0: it was replaced. */
static uint32_t live_slot(const struct search *search, const struct segment_doc *doc)
{
    const struct catalog_entry *entry = catalog_get(search->catalog, doc->slot);
    bool live = entry != NULL && entry->version == doc->version && entry->parent == 0;
    return live && doc->slot < search->limit ? doc->slot : 0;
}

struct scan {
    struct search *search;
    const struct segment *segment;
};

static bool scan_list(void *data, struct mirai_str key, const struct segment_term *term)
{
    struct scan *scan = data;
    struct query_workspace *space = scan->search->space;
    const struct segment_doc *docs = segment_docs(scan->segment);
    struct segment_cursor cursor;
    (void)key;
    segment_cursor_open(&cursor, scan->segment, term);
    for (bool more = cursor.block_last != SEGMENT_END; more; more = segment_cursor_next(&cursor)) {
        segment_cursor_decode(&cursor);
        for (unsigned i = 0; i < cursor.len; i++) {
            uint32_t slot = live_slot(scan->search, &docs[cursor.docs[i]]);
            if (slot == 0) {
                continue;
            }
            if (space->list_len == space->list_cap) {
                space->list_cap = space->list_cap == 0 ? 1024 : space->list_cap * 2;
                space->list = mirai_realloc(space->list, space->list_cap * sizeof(space->list[0]));
            }
            space->list[space->list_len++] = (struct posting){slot, cursor.levels[i]};
        }
        if (past_deadline(scan->search)) {
            scan->search->late = true;
            return false;
        }
    }
    return true;
}

/* All postings of a part into space->list. */
static void scan_part(struct search *search, const struct query_part *part)
{
    search->space->list_len = 0;
    for (size_t i = 0; i < search->view->count && !search->late; i++) {
        struct scan scan = {search, search->view->segments[i]};
        struct segment_term term;
        if (part->prefix) {
            segment_each_term(scan.segment, part->key, scan_list, &scan);
        } else if (segment_find(scan.segment, part->key, &term)) {
            scan_list(&scan, part->key, &term);
        }
    }
}

static int score_terms(struct search *search)
{
    for (search->term = 0; search->term < search->query.terms_len && !search->late; search->term++) {
        scan_part(search, &search->query.terms[search->term].alternatives[0].parts[0]);
        score_list(search);
    }
    return search->late ? MIRAI_E_DEADLINE : 0;
}

/* Flag the documents that have all the terms of a group. */
static int flag_group(struct search *search, const struct query_group *group)
{
    struct query_workspace *space = search->space;
    const struct query_phrase *phrase = &group->phrases[0];
    for (size_t i = 0; i < phrase->parts_len; i++) {
        scan_part(search, &phrase->parts[i]);
        for (size_t j = 0; j < space->list_len; j++) {
            struct slot *slot = touch(search, space->list[j].doc);
            slot->parts = (uint16_t)(slot->parts + (slot->parts == i)); /* once, when all parts before were there */
        }
    }
    space->list_len = 0;
    for (size_t i = 0; i < space->touched_len; i++) {
        struct slot *slot = &space->slots[space->touched[i]];
        bool all = slot->parts == phrase->parts_len;
        slot->excluded |= all && group->excluded;
        slot->phrases = (uint8_t)(slot->phrases + (all && !group->excluded));
        slot->parts = 0;
    }
    return search->late ? MIRAI_E_DEADLINE : 0;
}

/* ------------------------------------------------------------------ filters */

static void add_tag(struct search *search, struct mirai_str key)
{
    uint32_t tag = catalog_tag_find(search->catalog, key);
    search->impossible |= tag == UINT32_MAX;
    if (search->tags_len < sizeof(search->tags) / sizeof(search->tags[0])) {
        search->tags[search->tags_len++] = tag;
    }
}

static void resolve_filters(struct search *search)
{
    const struct mirai_search_query *request = search->request;
    search->type = -1;
    search->status = -1;
    for (size_t i = 0; i < search->query.filters_len; i++) {
        const struct query_filter *filter = &search->query.filters[i];
        if (filter->kind == QUERY_FILTER_TAG) {
            add_tag(search, filter->text);
        } else if (filter->kind == QUERY_FILTER_TYPE) {
            search->type = (int)filter->value;
            search->impossible |= filter->value < 0;
        } else if (filter->kind == QUERY_FILTER_STATUS) {
            search->status = (int)filter->value;
            search->impossible |= filter->value < 0;
        }
    }
    for (size_t i = 0; mirai_has(search_query, request, tag) && i < request->tag.count && i < 10; i++) {
        normalize(&search->space->text, request->tag.items[i], false);
        add_tag(search, mirai_buf_str(&search->space->text.text));
    }
    for (size_t i = 0; i < search->query.groups_len; i++) {
        search->phrases += !search->query.groups[i].excluded;
    }
}

static bool has_tags(const struct search *search, const struct catalog_entry *entry)
{
    for (size_t i = 0; i < search->tags_len; i++) {
        bool found = false;
        for (size_t j = 0; !found && j < entry->tags_len; j++) {
            found = entry->tags[j] == search->tags[i];
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bool passes(const struct search *search, const struct catalog_entry *entry)
{
    const struct mirai_search_query *request = search->request;
    return catalog_visible(entry, search->principal) && (search->type < 0 || entry->type == search->type) &&
           (search->status < 0 || entry->status == search->status) &&
           (!mirai_has(search_query, request, type) || entry->type == request->type) &&
           (!mirai_has(search_query, request, status) || entry->status == request->status) &&
           (!mirai_has(search_query, request, owner_id) || entry->owner_id == request->owner_id) &&
           (!mirai_has(search_query, request, space_id) || entry->space_id == request->space_id) &&
           (!mirai_has(search_query, request, after) || entry->updated_at >= request->after) &&
           (!mirai_has(search_query, request, before) || entry->updated_at < request->before) &&
           has_tags(search, entry);
}

/* Whether every quoted phrase stands somewhere in the document's texts as it was quoted. After the deadline:
 * false, with search->late set. */
static bool has_phrases(struct search *search, uint32_t doc)
{
    if (search->phrases == 0) {
        return true;
    }
    if (search->space->slots[doc].phrases < search->phrases) {
        return false;
    }
    if (search->phrase_checks >= PHRASE_CHECKS_MAX || search->phrase_bytes >= PHRASE_BYTES_MAX) {
        return true;
    }
    if (past_deadline(search)) { /* each time: a text may be long */
        search->late = true;
        return false;
    }
    search->phrase_checks++;
    struct mirai_buf *all = &search->space->buf;
    struct index_text text;
    all->len = 0;
    if (index_text(search->reader, doc, catalog_get(search->catalog, doc)->version, &text) == 0) {
        const struct mirai_str parts[] = {text.title, text.summary, text.tags, text.body};
        for (size_t i = 0; i < 4; i++) {
            search->phrase_bytes += parts[i].len;
            normalize(&search->space->text, parts[i], false);
            mirai_buf_append_str(all, mirai_buf_str(&search->space->text.text));
            mirai_buf_append_char(all, '\n');
        }
    }
    for (size_t i = 0; i < search->query.groups_len; i++) {
        const struct query_group *group = &search->query.groups[i];
        if (!group->excluded &&
            memmem(all->data, all->len, group->phrases[0].text.data, group->phrases[0].text.len) == NULL) {
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------ ranking */

bool query_better(const struct candidate *a, const struct candidate *b)
{
    return a->score != b->score ? a->score > b->score : a->id > b->id;
}

static void sift_down(struct candidate *heap, size_t len, size_t at)
{
    for (;;) {
        size_t worst = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < len; child++) {
            worst = query_better(&heap[worst], &heap[child]) ? child : worst;
        }
        if (worst == at) {
            return;
        }
        struct candidate swap = heap[at];
        heap[at] = heap[worst];
        heap[worst] = swap;
        at = worst;
    }
}

static void offer(struct search *search, const struct candidate *candidate)
{
    struct candidate *heap = search->heap;
    if (search->has_cursor && !query_better(&search->cursor, candidate)) {
        return; /* on an earlier page */
    }
    if (search->heap_len < search->heap_max) {
        size_t at = search->heap_len++;
        heap[at] = *candidate;
        while (at > 0 && query_better(&heap[(at - 1) / 2], &heap[at])) {
            struct candidate swap = heap[at];
            heap[at] = heap[(at - 1) / 2];
            heap[(at - 1) / 2] = swap;
            at = (at - 1) / 2;
        }
    } else if (query_better(candidate, &heap[0])) {
        heap[0] = *candidate;
        sift_down(heap, search->heap_len, 0);
    }
}

static void consider(struct search *search, uint32_t doc, bool scored)
{
    const struct catalog_entry *entry = catalog_get(search->catalog, doc);
    const struct slot *slot = &search->space->slots[doc];
    if (entry == NULL || entry->parent != 0 || slot->excluded || (scored && slot->score <= 0) ||
        !passes(search, entry) || !has_phrases(search, doc)) {
        return;
    }
    search->total++;
    search->types[entry->type % FACET_ENUM_MAX]++;
    search->statuses[entry->status % FACET_ENUM_MAX]++;
    for (size_t i = 0; i < entry->tags_len; i++) {
        search->space->tag_counts[entry->tags[i]]++;
    }
    const struct candidate candidate = {scored ? (double)slot->score : (double)entry->updated_at, entry->id,
                                        doc};
    offer(search, &candidate);
}

static int rank(struct search *search)
{
    bool scored = search->query.terms_len > 0;
    struct query_workspace *space = search->space;
    int err = 0;
    for (size_t i = 0; err == 0 && i < search->query.groups_len; i++) {
        err = flag_group(search, &search->query.groups[i]);
    }
    if (err == 0 && scored) {
        err = score_terms(search);
    }
    if (err != 0) {
        return err;
    }
    if (scored) {
        for (size_t i = 0; i < space->touched_len && !search->late; i++) {
            consider(search, space->touched[i], true);
            search->late |= out_of_time(search);
        }
    } else {
        for (uint32_t doc = 1; doc < search->limit && !search->late; doc++) {
            consider(search, doc, false);
            search->late |= out_of_time(search);
        }
    }
    return search->late ? MIRAI_E_DEADLINE : 0;
}

static void reserve(struct search *search)
{
    struct query_workspace *space = search->space;
    uint32_t tags = catalog_tag_limit(search->catalog);
    if (search->limit > space->slots_cap) {
        space->slots_cap = search->limit + search->limit / 4 + 256;
        free(space->slots);
        space->slots = mirai_alloc(space->slots_cap * sizeof(space->slots[0]));
    }
    if (tags > space->tag_counts_cap) {
        space->tag_counts_cap = tags + tags / 4 + 64;
        free(space->tag_counts);
        space->tag_counts = mirai_alloc(space->tag_counts_cap * sizeof(space->tag_counts[0]));
    }
    if (tags > 0) {
        memset(space->tag_counts, 0, tags * sizeof(space->tag_counts[0]));
    }
}

static void wipe(struct query_workspace *space)
{
    for (size_t i = 0; i < space->touched_len; i++) {
        space->slots[space->touched[i]] = (struct slot){0};
    }
    space->touched_len = 0;
    space->list_len = 0;
}

static int run_in_view(struct search *search, struct mirai_arena *arena, struct mirai_search_result *result)
{
    search->limit = catalog_limit(search->catalog);
    reserve(search);
    resolve_filters(search);
    int err = search->impossible ? 0 : rank(search);
    if (err == 0) {
        err = query_answer(search, arena, result);
    }
    wipe(search->space);
    return err;
}

int query_run(struct index_reader *reader, struct query_workspace *workspace, struct analyzer *analyzer,
              const struct mirai_search_query *request, const struct mirai_principal *principal,
              uint64_t deadline_us, struct mirai_arena *arena, struct mirai_search_result *result)
{
    struct search *search = mirai_arena_alloc(arena, sizeof(*search));
    search->reader = reader;
    search->catalog = index_catalog(reader->index);
    search->space = workspace;
    search->request = request;
    search->principal = principal;
    search->deadline_us = deadline_us;
    int64_t limit = mirai_has(search_query, request, limit) ? request->limit : HITS_DEFAULT;
    search->heap_max = (size_t)(limit < 1 ? 1 : limit > HITS_MAX ? HITS_MAX : limit) + 1;
    query_parse(analyzer, NULL, mirai_has(search_query, request, q) ? request->q : (struct mirai_str){0},
                arena, &search->query);
    if (mirai_has(search_query, request, cursor)) {
        search->has_cursor = true;
        int err = query_cursor_decode(request->cursor, search->query.terms_len > 0, &search->cursor);
        if (err != 0) {
            return err;
        }
    }
    search->view = index_view_enter(reader);
    int err = run_in_view(search, arena, result);
    index_view_leave(reader);
    return err == 0 && index_damaged(reader->index) ? MIRAI_E_INVALID : err;
}
