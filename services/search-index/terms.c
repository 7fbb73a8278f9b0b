#include "services/search-index/terms.h"

#include "services/search-index/postings/format.h"

#include <stdlib.h>

/* BM25 (Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", with weighted
 * fields: 3.6).
 * Tuned on a twelfth of JaQuAD's questions: a term that is there says more than how often it is there. */
#define K1 0.6

struct field_rule {
    double weight;
    double b;        /* how much long fields are discounted */
    double usual[2]; /* usual number of tokens, by view */
};

/* The usual lengths are constants: a document's bytes in the index must not depend on the others. */
static const struct field_rule rules[TERMS_FIELD_COUNT] = {
    [TERMS_TITLE] = {3.0, 0.5, {6, 10}},
    [TERMS_TAGS] = {2.5, 0.3, {3, 6}},
    [TERMS_HEADINGS] = {1.5, 0.5, {15, 25}},
    [TERMS_BODY] = {1.0, 0.75, {180, 300}},
};

/* Where the positions of each field begin. */
static const uint32_t bases[TERMS_FIELD_COUNT] = {
    [TERMS_TITLE] = TERMS_POSITIONS_TITLE,
    [TERMS_TAGS] = TERMS_POSITIONS_TAGS,
    [TERMS_HEADINGS] = TERMS_POSITIONS_HEADINGS,
    [TERMS_BODY] = TERMS_POSITIONS_BODY,
};

struct entry {
    uint32_t hash;
    uint32_t offset; /* of the key in `keys` */
    uint16_t len;
    uint8_t view;
    bool title;      /* a term of TERMS_TITLE_MARK */
    uint32_t places; /* number of its positions */
    uint32_t place;  /* the last one: index into places + 1 */
    uint16_t counts[TERMS_FIELD_COUNT];
};

/* A position, and the one of the same term that was met before it. */
struct place {
    uint32_t position;
    uint32_t before; /* index + 1 */
};

struct terms {
    struct analyzer *analyzer;
    struct normalized text;
    struct mirai_buf keys;
    struct entry *entries;
    size_t entries_len;
    size_t entries_cap;
    uint32_t *slots;  /* open addressing: index into entries + 1 */
    size_t slots_len; /* a power of two */
    struct place *places;
    size_t places_len;
    size_t places_cap;
    uint32_t lengths[TERMS_FIELD_COUNT][2];
    uint32_t chars[TERMS_FIELD_COUNT]; /* that are no breaks, of the pieces added before */
    enum terms_field field;            /* being added */
    uint32_t *counted;                 /* for each byte of the piece: characters before it */
    size_t counted_cap;
    uint32_t *sorted; /* positions of one term */
    size_t sorted_cap;
};

struct terms *terms_new(struct analyzer *analyzer)
{
    struct terms *terms = mirai_alloc(sizeof(*terms));
    terms->analyzer = analyzer;
    terms->slots_len = 1024;
    terms->slots = mirai_alloc(terms->slots_len * sizeof(terms->slots[0]));
    return terms;
}

void terms_free(struct terms *terms)
{
    if (terms != NULL) {
        normalized_free(&terms->text);
        mirai_buf_free(&terms->keys);
        free(terms->entries);
        free(terms->slots);
        free(terms->places);
        free(terms->counted);
        free(terms->sorted);
        free(terms);
    }
}

/* Memory of an unusually large document is given back. */
#define SLOTS_KEPT   8192
#define COUNTED_KEPT (64u << 10)

void terms_clear(struct terms *terms)
{
    if (terms->slots_len > SLOTS_KEPT || terms->counted_cap > COUNTED_KEPT) {
        struct analyzer *analyzer = terms->analyzer;
        normalized_free(&terms->text);
        mirai_buf_free(&terms->keys);
        free(terms->entries);
        free(terms->slots);
        free(terms->places);
        free(terms->counted);
        free(terms->sorted);
        *terms = (struct terms){.analyzer = analyzer, .slots_len = 1024};
        terms->slots = mirai_alloc(terms->slots_len * sizeof(terms->slots[0]));
        return;
    }
    memset(terms->slots, 0, terms->slots_len * sizeof(terms->slots[0]));
    memset(terms->lengths, 0, sizeof(terms->lengths));
    memset(terms->chars, 0, sizeof(terms->chars));
    terms->places_len = 0;
    terms->keys.len = 0;
    terms->entries_len = 0;
}

/* FNV-1a. Texts are written by colleagues; a crafted one costs its own indexing time, bounded by the text's
 * length. */
static uint32_t hash_bytes(const char *data, size_t len)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char)data[i]) * 16777619u;
    }
    return hash ^ hash >> 15;
}

static void grow_slots(struct terms *terms)
{
    free(terms->slots);
    terms->slots_len *= 2;
    terms->slots = mirai_alloc(terms->slots_len * sizeof(terms->slots[0]));
    for (size_t i = 0; i < terms->entries_len; i++) {
        size_t at = terms->entries[i].hash & (terms->slots_len - 1);
        while (terms->slots[at] != 0) {
            at = (at + 1) & (terms->slots_len - 1);
        }
        terms->slots[at] = (uint32_t)i + 1;
    }
}

void terms_append_key(struct mirai_buf *out, const struct analyzer_token *token)
{
    if (token->view == ANALYZER_BIGRAM) {
        mirai_buf_append_char(out, TERMS_BIGRAM_MARK);
    }
    mirai_buf_append_str(out, token->term);
}

static struct entry *find_entry(struct terms *terms, const struct analyzer_token *token, bool title)
{
    size_t offset = terms->keys.len;
    if (title) {
        mirai_buf_append_char(&terms->keys, TERMS_TITLE_MARK);
    }
    terms_append_key(&terms->keys, token);
    size_t len = terms->keys.len - offset;
    uint32_t hash = hash_bytes(terms->keys.data + offset, len);
    size_t at = hash & (terms->slots_len - 1);
    for (; terms->slots[at] != 0; at = (at + 1) & (terms->slots_len - 1)) {
        struct entry *entry = &terms->entries[terms->slots[at] - 1];
        if (entry->hash == hash && entry->len == len &&
            memcmp(terms->keys.data + entry->offset, terms->keys.data + offset, len) == 0) {
            terms->keys.len = offset;
            return entry;
        }
    }
    if (terms->entries_len == terms->entries_cap) {
        terms->entries_cap = terms->entries_cap == 0 ? 512 : terms->entries_cap * 2;
        terms->entries = mirai_realloc(terms->entries, terms->entries_cap * sizeof(terms->entries[0]));
    }
    struct entry *entry = &terms->entries[terms->entries_len++];
    *entry = (struct entry){.hash = hash,
                            .offset = (uint32_t)offset,
                            .len = (uint16_t)len,
                            .view = (uint8_t)token->view,
                            .title = title};
    terms->slots[at] = (uint32_t)terms->entries_len;
    if (terms->entries_len * 2 > terms->slots_len) {
        grow_slots(terms);
        entry = &terms->entries[terms->entries_len - 1];
    }
    return entry;
}

/* A position once: an identifier's only part is the whole. */
static void add_place(struct terms *terms, struct entry *entry, uint32_t position)
{
    if (entry->place != 0 && terms->places[entry->place - 1].position == position) {
        return;
    }
    if (terms->places_len == terms->places_cap) {
        terms->places_cap = terms->places_cap == 0 ? 1024 : terms->places_cap * 2;
        terms->places = mirai_realloc(terms->places, terms->places_cap * sizeof(terms->places[0]));
    }
    terms->places[terms->places_len++] = (struct place){position, entry->place};
    entry->place = (uint32_t)terms->places_len;
    entry->places++;
}

static void add_token(void *data, const struct analyzer_token *token)
{
    struct terms *terms = data;
    uint32_t offset = terms->chars[terms->field] + terms->counted[token->start];
    uint32_t position = bases[terms->field] + (offset < TERMS_FIELD_GAP ? offset : TERMS_FIELD_GAP - 1);
    struct entry *entry = find_entry(terms, token, false);
    if (entry->counts[terms->field] != UINT16_MAX) {
        entry->counts[terms->field]++;
    }
    terms->lengths[terms->field][token->view]++;
    add_place(terms, entry, position);
    if (terms->field == TERMS_TITLE) {
        add_place(terms, find_entry(terms, token, true), position);
    }
}

/* Number the characters that are no breaks; how many there are. */
static uint32_t count_chars(struct terms *terms, struct mirai_str text)
{
    uint32_t count = 0;
    if (text.len > terms->counted_cap) {
        free(terms->counted);
        terms->counted_cap = text.len + text.len / 2;
        terms->counted = mirai_alloc(terms->counted_cap * sizeof(terms->counted[0]));
    }
    for (size_t at = 0; at < text.len;) {
        unsigned len;
        bool counts = char_class(utf8_decode(text.data + at, text.data + text.len, &len)) != CHAR_BREAK;
        for (size_t end = at + len; at < end; at++) {
            terms->counted[at] = count;
        }
        count += counts;
    }
    return count;
}

void terms_add(struct terms *terms, enum terms_field field, struct mirai_str text)
{
    terms->field = field;
    normalize(&terms->text, text, false);
    struct mirai_str normal = mirai_buf_str(&terms->text.text);
    uint32_t chars = count_chars(terms, normal);
    analyzer_run_text(terms->analyzer, &terms->text, add_token, terms);
    terms->chars[field] += chars;
}

static bool is_heading(const char *line, const char *end)
{
    const char *p = line;
    while (p < end && *p == '#') {
        p++;
    }
    return p > line && p - line <= 6 && p < end && *p == ' ';
}

void terms_add_markdown(struct terms *terms, struct mirai_str markdown)
{
    if (markdown.len == 0) {
        return;
    }
    const char *end = markdown.data + markdown.len;
    const char *pending = markdown.data; /* body lines not yet added */
    for (const char *line = markdown.data; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *next = newline != NULL ? newline + 1 : end;
        if (is_heading(line, next)) {
            terms_add(terms, TERMS_BODY, (struct mirai_str){pending, (size_t)(line - pending)});
            terms_add(terms, TERMS_HEADINGS, (struct mirai_str){line, (size_t)(next - line)});
            pending = next;
        }
        line = next;
    }
    terms_add(terms, TERMS_BODY, (struct mirai_str){pending, (size_t)(end - pending)});
}

static unsigned entry_level(const struct entry *entry, const double (*scales)[2])
{
    double tf = entry->title ? 1 : 0;
    for (int field = 0; field < TERMS_FIELD_COUNT; field++) {
        tf += entry->counts[field] * scales[field][entry->view];
    }
    unsigned level = (unsigned)(tf / (tf + K1) * TERMS_LEVELS + 0.5);
    return level < 1 ? 1 : level > TERMS_LEVELS ? TERMS_LEVELS : level;
}

static int compare_positions(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Fill terms->sorted with an entry's positions, ascending, each once; returns how many. Fields may come in any
 * order. */
static uint32_t sort_positions(struct terms *terms, const struct entry *entry)
{
    uint32_t len = entry->places;
    bool ascending = true;
    if (len > terms->sorted_cap) {
        free(terms->sorted);
        terms->sorted_cap = (size_t)len * 2;
        terms->sorted = mirai_alloc(terms->sorted_cap * sizeof(terms->sorted[0]));
    }
    uint32_t at = len;
    for (uint32_t i = entry->place; i != 0; i = terms->places[i - 1].before) {
        terms->sorted[--at] = terms->places[i - 1].position;
        ascending &= at + 1 == len || terms->sorted[at] < terms->sorted[at + 1];
    }
    if (ascending) {
        return len;
    }
    qsort(terms->sorted, len, sizeof(terms->sorted[0]), compare_positions);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < len; i++) {
        if (terms->sorted[i] != terms->sorted[kept - 1]) {
            terms->sorted[kept++] = terms->sorted[i];
        }
    }
    return kept;
}

static size_t varint_len(uint32_t value)
{
    size_t len = 1;
    for (; value >= 0x80; value >>= 7) {
        len++;
    }
    return len;
}

static void append_positions(struct mirai_buf *out, const uint32_t *positions, uint32_t count)
{
    uint32_t first = positions[0] << 1 | (count > 1);
    size_t len = varint_len(first) + (count > 1 ? varint_len(count - 1) : 0);
    for (uint32_t i = 1; i < count; i++) {
        len += varint_len(positions[i] - positions[i - 1]);
    }
    varint_append(out, (uint32_t)len);
    varint_append(out, first);
    if (count > 1) {
        varint_append(out, count - 1);
    }
    for (uint32_t i = 1; i < count; i++) {
        varint_append(out, positions[i] - positions[i - 1]);
    }
}

void terms_encode(struct terms *terms, struct mirai_buf *out)
{
    double scales[TERMS_FIELD_COUNT][2];
    for (int field = 0; field < TERMS_FIELD_COUNT; field++) {
        const struct field_rule *rule = &rules[field];
        for (int view = 0; view < 2; view++) {
            scales[field][view] =
                rule->weight / (1 - rule->b + rule->b * terms->lengths[field][view] / rule->usual[view]);
        }
    }
    for (size_t i = 0; i < terms->entries_len; i++) {
        const struct entry *entry = &terms->entries[i];
        uint32_t count = sort_positions(terms, entry);
        varint_append(out, entry->len);
        mirai_buf_append(out, terms->keys.data + entry->offset, entry->len);
        mirai_buf_append_char(out, (char)entry_level(entry, (const double(*)[2])scales));
        append_positions(out, terms->sorted, count);
    }
}
