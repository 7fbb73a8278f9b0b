/* Groups: phrases that must stand in a document, or must not. Postings and positions decide, window by window; texts
 * only where they do not suffice, and only for documents that everything else lets through. */
#include "services/search-index/query/internal.h"

#include <stdlib.h>

/* Phrases of all groups of a query. */
#define PHRASES_MAX 64

/* When so few documents of a window are left, each is looked up instead of reading the phrase's list through it. */
#define SPARSE 128

struct phrase {
    struct source source;
    const struct plan_phrase *from;
    uint64_t has[WINDOW_WORDS]; /* documents of the window */
};

struct group {
    struct phrase *phrases;
    size_t len;
    const struct plan_group *from;
};

struct groups {
    struct phrase phrases[PHRASES_MAX];
    size_t phrases_len;
    struct group list[QUERY_GROUPS_MAX];
    size_t len;
    uint8_t levels[WINDOW]; /* not needed */
};

struct groups *groups_new(void)
{
    return mirai_alloc(sizeof(struct groups));
}

static void open_group(struct search *search, struct groups *groups, const struct plan_group *from)
{
    struct source_pool *pool = &search->space->pool;
    const struct segment *segment = search->view->segments[search->segment];
    struct group *group = &groups->list[groups->len++];
    *group = (struct group){.phrases = &groups->phrases[groups->phrases_len], .from = from};
    for (size_t i = 0; i < from->phrases_len; i++) {
        const struct plan_phrase *one = &from->phrases[i];
        if (groups->phrases_len == PHRASES_MAX) {
            pool->cut = true;
            return;
        }
        struct phrase *to = &groups->phrases[groups->phrases_len];
        to->from = one;
        if (one->anywhere || source_open(&to->source, pool, segment, search->segment, one->parts,
                                         one->parts_len, one->prefix)) {
            groups->phrases_len++;
            group->len++;
        }
    }
}

/* Groups that must stand first, so that the others are looked up for what is left. */
bool groups_open(struct search *search)
{
    struct groups *groups = search->space->groups;
    groups->phrases_len = 0;
    groups->len = 0;
    for (int excluded = 0; excluded < 2; excluded++) {
        for (size_t i = 0; i < search->plan.groups_len; i++) {
            const struct plan_group *from = &search->plan.groups[i];
            if (from->excluded != (excluded == 1)) {
                continue;
            }
            open_group(search, groups, from);
            if (groups->list[groups->len - 1].len == 0 && !from->excluded) {
                return false;
            }
        }
    }
    return true;
}

/* ------------------------------------------------------------------ windows */

static size_t count_bits(const uint64_t *bits)
{
    size_t count = 0;
    for (size_t word = 0; word < WINDOW_WORDS; word++) {
        count += (size_t)__builtin_popcountll(bits[word]);
    }
    return count;
}

static void find_in_window(struct search *search, struct phrase *phrase, uint32_t from, uint32_t to,
                           const uint64_t *mask, bool sparse)
{
    struct groups *groups = search->space->groups;
    struct source_pool *pool = &search->space->pool;
    if (phrase->from->anywhere) {
        memcpy(phrase->has, mask, sizeof(phrase->has));
        return;
    }
    memset(phrase->has, 0, sizeof(phrase->has));
    if (!sparse) {
        source_mark(&phrase->source, pool, from, to, groups->levels, phrase->has);
        return;
    }
    for (size_t word = 0; word < WINDOW_WORDS; word++) {
        for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
            uint32_t at = (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(bits);
            if (source_lookup(&phrase->source, pool, from + at, 0) != 0) {
                phrase->has[word] |= bits & -bits;
            }
        }
    }
}

/* What an excluded phrase may stand in is left to its text, if that decides. */
static void apply_group(struct search *search, struct group *group, uint32_t from, uint32_t to,
                        uint64_t *mask)
{
    bool sparse = count_bits(mask) <= SPARSE;
    uint64_t has[WINDOW_WORDS] = {0};
    for (size_t i = 0; i < group->len; i++) {
        struct phrase *phrase = &group->phrases[i];
        find_in_window(search, phrase, from, to, mask, sparse);
        for (size_t word = 0; word < WINDOW_WORDS; word++) {
            has[word] |= !group->from->excluded || phrase->from->exact ? phrase->has[word] : 0;
        }
    }
    for (size_t word = 0; word < WINDOW_WORDS; word++) {
        mask[word] &= group->from->excluded ? ~has[word] : has[word];
    }
}

bool groups_mask(struct search *search, uint32_t from, uint32_t to, uint64_t *mask)
{
    struct groups *groups = search->space->groups;
    memset(mask, 0, WINDOW_WORDS * sizeof(mask[0]));
    for (uint32_t at = 0; at < to - from; at += 64) {
        mask[at / 64] = to - from - at >= 64 ? UINT64_MAX : (UINT64_C(1) << (to - from - at)) - 1;
    }
    bool any = true;
    for (size_t i = 0; i < groups->len && any; i++) {
        apply_group(search, &groups->list[i], from, to, mask);
        any = count_bits(mask) > 0;
    }
    return any;
}

/* ------------------------------------------------------------------ texts */

/* Runs of spaces and line ends count as one space, in texts and phrases alike. */
static void append_squeezed(struct mirai_buf *out, struct mirai_str text)
{
    bool space = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == ' ' || c == '\n' || c == '\t') {
            space = true;
            continue;
        }
        if (space) {
            mirai_buf_append_char(out, ' ');
        }
        space = false;
        mirai_buf_append_char(out, c);
    }
}

static void append_field(struct search *search, struct mirai_str text)
{
    struct mirai_buf *all = &search->space->buf;
    search->texts_bytes += text.len;
    normalize(&search->space->text, text, false);
    append_squeezed(all, mirai_buf_str(&search->space->text.text));
    mirai_buf_append_char(all, '\n'); /* no phrase reaches over the end of a field */
}

static bool stands(struct mirai_str all, size_t title_len, const struct query_phrase *phrase)
{
    struct mirai_buf squeezed = {0};
    append_squeezed(&squeezed, phrase->text);
    size_t len = phrase->title_only ? title_len : all.len;
    bool found = squeezed.len > 0 && memmem(all.data, len, squeezed.data, squeezed.len) != NULL;
    mirai_buf_free(&squeezed);
    return found;
}

static bool group_passes(const struct group *group, uint32_t at, struct mirai_str all, size_t title_len)
{
    bool found = false;
    for (size_t i = 0; i < group->len && !found; i++) {
        const struct phrase *phrase = &group->phrases[i];
        found = (phrase->has[at / 64] >> at % 64 & 1) != 0 &&
                (phrase->from->exact || stands(all, title_len, phrase->from->from));
    }
    return found != group->from->excluded;
}

/* Whether any text can change the outcome for this document. */
static bool needs_text(const struct groups *groups, uint32_t at)
{
    bool needs = false;
    for (size_t i = 0; i < groups->len; i++) {
        const struct group *group = &groups->list[i];
        bool maybe = false;
        for (size_t j = 0; j < group->len && group->from->inexact; j++) {
            maybe |= !group->phrases[j].from->exact && (group->phrases[j].has[at / 64] >> at % 64 & 1) != 0;
        }
        needs |= maybe;
    }
    return needs;
}

/* Without a text (the document has just been replaced) nothing passes. */
bool groups_check_text(struct search *search, uint32_t doc, const struct segment_doc *unit)
{
    const struct groups *groups = search->space->groups;
    uint32_t at = doc - search->window;
    if (!search->plan.inexact || !needs_text(groups, at)) {
        return true;
    }
    struct index_text text;
    if (index_text(search->reader, unit->slot, unit->version, &text) != 0) {
        return false;
    }
    search->texts++;
    struct mirai_buf *all = &search->space->buf;
    all->len = 0;
    append_field(search, text.title);
    size_t title_len = all->len;
    append_field(search, text.summary);
    append_field(search, text.tags);
    append_field(search, text.body);
    bool passes = true;
    for (size_t i = 0; i < groups->len && passes; i++) {
        passes = !groups->list[i].from->inexact ||
                 group_passes(&groups->list[i], at, mirai_buf_str(all), title_len);
    }
    return passes;
}
