#include "services/search-index/help/suggest.h"

#include "libcommon/time.h"
#include "services/search-index/help/suggest_keys.h"
#include "services/search-index/help/viewer.h"

#define SUGGEST_DEFAULT 8
#define SUGGEST_MAX     20

/* Candidates of titles: some say the same, some are gone when their text is read. */
#define TITLES_MAX 40

/* Tags and queries that have a place beside titles when there are few places. */
#define RESERVED     2
#define RESERVE_FROM 6

/* An answer takes no longer: what was found until then is shown. */
#define BUDGET_US 3000

/* Documents looked at for one term. */
#define POSTINGS_TITLE 256
#define POSTINGS_TAG   500
#define POSTINGS_QUERY 5000

/* Levels from here on are titles that begin so (suggest_keys.c). */
#define LEVEL_WHOLE 40

struct title {
    int64_t id;
    uint32_t slot;
    uint32_t version;
    uint8_t level;
};

struct suggest {
    const struct suggest_request *request;
    struct viewer viewer;
    struct mirai_arena *arena;
    uint64_t until_us;
    size_t steps;
    bool late;
    struct mirai_str text;           /* keys of what was typed */
    struct mirai_str reading;        /* empty: nothing that is read */
    struct title titles[TITLES_MAX]; /* best first */
    size_t titles_len;
    struct mirai_str tags[SUGGEST_MAX];
    size_t tags_len;
    struct mirai_str queries[SUGGEST_MAX];
    size_t queries_len;
    const struct segment *segment; /* being walked */
};

static bool out_of_time(struct suggest *suggest)
{
    suggest->late =
        suggest->late || ((++suggest->steps & 255) == 0 && mirai_monotonic_us() > suggest->until_us);
    return suggest->late;
}

/* ------------------------------------------------------------------ titles */

/* Whether a title of this level would be kept. */
static bool is_wanted(const struct suggest *suggest, unsigned level)
{
    return suggest->titles_len < TITLES_MAX || level > suggest->titles[TITLES_MAX - 1].level;
}

static void offer(struct suggest *suggest, const struct title *title)
{
    struct title *titles = suggest->titles;
    size_t at = suggest->titles_len;
    for (size_t i = 0; i < suggest->titles_len; i++) {
        if (titles[i].id == title->id) {
            if (titles[i].level >= title->level) {
                return;
            }
            memmove(&titles[i], &titles[i + 1], (suggest->titles_len - i - 1) * sizeof(titles[0]));
            at = --suggest->titles_len;
            break;
        }
    }
    at = at == TITLES_MAX ? TITLES_MAX - 1 : at;
    suggest->titles_len = at + 1;
    for (; at > 0 && (titles[at - 1].level < title->level ||
                      (titles[at - 1].level == title->level && titles[at - 1].id < title->id));
         at--) {
        titles[at] = titles[at - 1];
    }
    titles[at] = *title;
}

/* The postings of one term, best blocks only: a block whose greatest level is not wanted is passed over undecoded. */
static void take_list(struct suggest *suggest, const struct segment *segment, const struct segment_term *term,
                      size_t most)
{
    struct segment_cursor cursor;
    const struct segment_doc *docs = segment_docs(segment);
    segment_cursor_open(&cursor, segment, term);
    for (bool more = cursor.block_last != SEGMENT_END; more && most > 0;
         more = segment_cursor_next(&cursor)) {
        if (out_of_time(suggest)) {
            return;
        }
        if (!is_wanted(suggest, cursor.block_max)) {
            continue;
        }
        segment_cursor_decode(&cursor);
        for (unsigned at = 0; at < cursor.len && most > 0; at++) {
            const struct segment_doc *doc = &docs[cursor.docs[at]];
            if (!is_wanted(suggest, cursor.levels[at])) {
                continue;
            }
            most--;
            const struct catalog_entry *article = viewer_sees(&suggest->viewer, doc);
            if (article != NULL) {
                const struct title title = {article->id, doc->slot, doc->version, cursor.levels[at]};
                offer(suggest, &title);
            }
        }
    }
}

static bool on_title(void *data, struct mirai_str key, const struct segment_term *term)
{
    struct suggest *suggest = data;
    (void)key;
    if (is_wanted(suggest, term->max_level)) {
        take_list(suggest, suggest->segment, term, POSTINGS_TITLE);
    }
    return !out_of_time(suggest);
}

static struct mirai_str make_term(struct suggest *suggest, char mark, enum suggest_form form,
                                  struct mirai_str key)
{
    const char head[] = {mark, (char)form, '\0'};
    return mirai_arena_printf(suggest->arena, "%s%.*s", head, MIRAI_STR_ARG(key));
}

/* So few characters begin so many titles that they have a list of their own; more are looked up among all. */
static void find_titles(struct suggest *suggest, enum suggest_form form, struct mirai_str key)
{
    bool text = form == SUGGEST_TEXT;
    size_t edges = text ? SUGGEST_TEXT_EDGES : SUGGEST_READING_EDGES;
    bool edge = suggest_key_prefix(key, edges).len == key.len;
    struct mirai_str term = make_term(suggest, SUGGEST_TITLE_MARK,
                                      !edge  ? form
                                      : text ? SUGGEST_TEXT_EDGE
                                             : SUGGEST_READING_EDGE,
                                      key);
    const struct viewer *viewer = &suggest->viewer;
    for (size_t i = 0; i < viewer->segments_len && key.len > 0 && !suggest->late; i++) {
        struct segment_term list;
        suggest->segment = viewer->segments[i];
        if (!edge) {
            segment_each_term(suggest->segment, term, on_title, suggest);
        } else if (segment_find(suggest->segment, term, &list)) {
            take_list(suggest, suggest->segment, &list, SIZE_MAX);
        }
    }
}

/* ------------------------------------------------------------------ tags */

static bool is_known(const struct mirai_str *list, size_t count, struct mirai_str text)
{
    for (size_t i = 0; i < count; i++) {
        if (mirai_str_eq(list[i], text)) {
            return true;
        }
    }
    return false;
}

/* The name of the article's tag whose normalised name begins with `name`. */
static struct mirai_str tag_name(const struct suggest *suggest, const struct catalog_entry *article,
                                 struct mirai_str name)
{
    struct mirai_str found = {0};
    struct normalized normal = {0};
    for (size_t i = 0; found.len == 0 && i < article->tags_len; i++) {
        struct mirai_str tag = catalog_tag_name(suggest->viewer.catalog, article->tags[i]);
        normalize(&normal, tag, false);
        struct mirai_str text = mirai_buf_str(&normal.text);
        if (text.len >= name.len && memcmp(text.data, name.data, name.len) == 0) {
            found = mirai_arena_copy(suggest->arena, tag);
        }
    }
    normalized_free(&normal);
    return found;
}

static bool on_tag(void *data, struct mirai_str key, const struct segment_term *term)
{
    struct suggest *suggest = data;
    const char *mark = memchr(key.data, '\x01', key.len);
    const struct segment_doc *docs = segment_docs(suggest->segment);
    struct segment_cursor cursor;
    size_t left = POSTINGS_TAG;
    bool found = mark == NULL;
    segment_cursor_open(&cursor, suggest->segment, term);
    for (bool more = cursor.block_last != SEGMENT_END; more && !found && left > 0;
         more = segment_cursor_next(&cursor)) {
        segment_cursor_decode(&cursor);
        for (unsigned at = 0; at < cursor.len && !found && left > 0; at++, left--) {
            const struct catalog_entry *article = viewer_sees(&suggest->viewer, &docs[cursor.docs[at]]);
            if (article == NULL) {
                continue;
            }
            struct mirai_str name = {mark + 1, key.len - (size_t)(mark + 1 - key.data)};
            struct mirai_str tag = tag_name(suggest, article, name);
            found = tag.len > 0;
            if (found && !is_known(suggest->tags, suggest->tags_len, tag)) {
                suggest->tags[suggest->tags_len++] = tag;
            }
        }
    }
    return suggest->tags_len < SUGGEST_MAX && !out_of_time(suggest);
}

static void find_tags(struct suggest *suggest, enum suggest_form form, struct mirai_str key)
{
    const struct viewer *viewer = &suggest->viewer;
    struct mirai_str term = make_term(suggest, SUGGEST_TAG_MARK, form, key);
    for (size_t i = 0; i < viewer->segments_len && key.len > 0 && suggest->tags_len < SUGGEST_MAX; i++) {
        suggest->segment = viewer->segments[i];
        segment_each_term(suggest->segment, term, on_tag, suggest);
    }
}

/* ------------------------------------------------------------------ queries that many ask */

static bool begins_with(struct mirai_str text, struct mirai_str prefix)
{
    return prefix.len > 0 && text.len >= prefix.len && memcmp(text.data, prefix.data, prefix.len) == 0;
}

/* Only what has all its words in one document that the principal may see: a query may tell of what others see. */
static void find_queries(struct suggest *suggest)
{
    const struct asked *asked = suggest->request->asked;
    for (size_t i = 0; asked != NULL && i < asked->count && suggest->queries_len < SUGGEST_MAX; i++) {
        const struct asked_query *query = &asked->queries[i];
        bool fits = begins_with(query->text, suggest->text) || begins_with(query->reading, suggest->reading);
        if (fits && !out_of_time(suggest) &&
            viewer_finds(&suggest->viewer, query->keys, query->keys_len, POSTINGS_QUERY)) {
            suggest->queries[suggest->queries_len++] = query->q;
        }
    }
}

/* ------------------------------------------------------------------ the answer */

struct items {
    struct mirai_suggestion *list;
    size_t len;
    size_t max;
};

static void add_item(struct items *items, struct mirai_str text, const char *kind, int64_t id)
{
    for (size_t i = 0; i < items->len; i++) {
        bool same = mirai_str_eq(items->list[i].kind, mirai_str(kind));
        if (same && mirai_str_eq(items->list[i].text, text)) {
            return;
        }
    }
    if (items->len == items->max || text.len == 0) {
        return;
    }
    struct mirai_suggestion *item = &items->list[items->len++];
    mirai_set(suggestion, item, text, text);
    mirai_set(suggestion, item, kind, mirai_str(kind));
    if (id != 0) {
        mirai_set(suggestion, item, id, id);
    }
}

/* Titles from `*at` on down to `level`, until the items are `most`. */
static int add_titles(struct suggest *suggest, size_t *at, unsigned level, size_t most, struct items *items)
{
    for (; *at < suggest->titles_len && suggest->titles[*at].level >= level && items->len < most; (*at)++) {
        const struct title *title = &suggest->titles[*at];
        struct index_text text;
        int err = index_text(suggest->request->reader, title->slot, title->version, &text);
        if (err != 0 && err != MIRAI_E_NOT_FOUND) {
            return err;
        }
        if (err == 0) {
            add_item(items, mirai_arena_copy(suggest->arena, text.title), "title", title->id);
        }
    }
    return 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Titles that begin so, with places left for tags and queries; these; titles with such a word; what is left. */
static int fill(struct suggest *suggest, struct items *items)
{
    size_t reserved = items->max < RESERVE_FROM
                          ? 0
                          : least(suggest->tags_len, RESERVED) + least(suggest->queries_len, RESERVED);
    size_t at = 0;
    int err = add_titles(suggest, &at, LEVEL_WHOLE, items->max - reserved, items);
    for (size_t i = 0; i < suggest->tags_len && i < RESERVED; i++) {
        add_item(items, suggest->tags[i], "tag", 0);
    }
    for (size_t i = 0; i < suggest->queries_len && i < RESERVED; i++) {
        add_item(items, suggest->queries[i], "query", 0);
    }
    err = err == 0 ? add_titles(suggest, &at, 0, items->max, items) : err;
    for (size_t i = RESERVED; i < suggest->tags_len; i++) {
        add_item(items, suggest->tags[i], "tag", 0);
    }
    for (size_t i = RESERVED; i < suggest->queries_len; i++) {
        add_item(items, suggest->queries[i], "query", 0);
    }
    return err;
}

static bool has_kanji(struct mirai_str text)
{
    unsigned len;
    for (size_t at = 0; at < text.len; at += len) {
        enum char_class class = char_class(utf8_decode(text.data + at, text.data + text.len, &len));
        if (class == CHAR_HAN || class == CHAR_OTHER) {
            return true;
        }
    }
    return false;
}

static struct mirai_str typed_key(struct suggest *suggest, enum suggest_form form,
                                  struct mirai_str normalised, size_t max)
{
    struct mirai_buf key = {0};
    suggest_key(suggest->request->analyzer, form, normalised, &key);
    struct mirai_str made = mirai_arena_copy(suggest->arena, mirai_utf8_prefix(mirai_buf_str(&key), max));
    mirai_buf_free(&key);
    return made;
}

static int run_in_view(struct suggest *suggest, struct items *items)
{
    find_titles(suggest, SUGGEST_TEXT, suggest->text);
    find_titles(suggest, SUGGEST_READING, suggest->reading);
    find_tags(suggest, SUGGEST_TEXT, suggest->text);
    find_tags(suggest, SUGGEST_READING, suggest->reading);
    find_queries(suggest);
    return fill(suggest, items);
}

static void read_typed(struct suggest *suggest)
{
    struct normalized typed = {0};
    normalize(&typed, suggest->request->query->q, false);
    struct mirai_str text = mirai_buf_str(&typed.text);
    suggest->text = typed_key(suggest, SUGGEST_TEXT, text, SUGGEST_TEXT_MAX);
    if (!has_kanji(text)) { /* kanji say more than their reading */
        suggest->reading = typed_key(suggest, SUGGEST_READING, text, SUGGEST_READING_MAX);
    }
    normalized_free(&typed);
}

int suggest_run(const struct suggest_request *request, struct mirai_arena *arena,
                struct mirai_suggest_result *result)
{
    struct suggest *suggest = mirai_arena_alloc(arena, sizeof(*suggest));
    int64_t limit = mirai_has(suggest_query, request->query, limit) ? request->query->limit : SUGGEST_DEFAULT;
    struct items items = {.list = mirai_arena_alloc(arena, SUGGEST_MAX * sizeof(items.list[0])),
                          .max = (size_t)(limit < 1             ? 1
                                          : limit > SUGGEST_MAX ? SUGGEST_MAX
                                                                : limit)};
    suggest->request = request;
    suggest->arena = arena;
    suggest->until_us = mirai_monotonic_us() + BUDGET_US;
    read_typed(suggest);
    int err = 0;
    if (suggest->text.len > 0) {
        const struct index_view *view = index_view_enter(request->reader);
        suggest->viewer = (struct viewer){view->segments, view->count, index_catalog(request->reader->index),
                                          request->principal};
        err = run_in_view(suggest, &items);
        index_view_leave(request->reader);
        err = err == 0 && index_damaged(request->reader->index) ? MIRAI_E_INVALID : err;
    }
    mirai_set(suggest_result, result, items, ((struct mirai_objects){items.list, items.len}));
    return err;
}
