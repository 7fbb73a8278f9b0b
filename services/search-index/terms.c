#include "services/search-index/terms.h"

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
    [TERMS_TITLE] = {4.0, 0.5, {6, 10}},
    [TERMS_TAGS] = {2.5, 0.3, {3, 6}},
    [TERMS_HEADINGS] = {1.5, 0.5, {15, 25}},
    [TERMS_BODY] = {1.0, 0.75, {120, 250}},
};

struct entry {
    uint32_t hash;
    uint32_t offset; /* of the key in `keys` */
    uint16_t len;
    uint8_t view;
    uint16_t counts[TERMS_FIELD_COUNT];
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
    uint32_t lengths[TERMS_FIELD_COUNT][2];
    enum terms_field field; /* being added */
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
        free(terms);
    }
}

/* Memory of an unusually large document is given back. */
#define SLOTS_KEPT 8192

void terms_clear(struct terms *terms)
{
    if (terms->slots_len > SLOTS_KEPT) {
        struct analyzer *analyzer = terms->analyzer;
        normalized_free(&terms->text);
        mirai_buf_free(&terms->keys);
        free(terms->entries);
        free(terms->slots);
        *terms = (struct terms){.analyzer = analyzer, .slots_len = 1024};
        terms->slots = mirai_alloc(terms->slots_len * sizeof(terms->slots[0]));
        return;
    }
    memset(terms->slots, 0, terms->slots_len * sizeof(terms->slots[0]));
    memset(terms->lengths, 0, sizeof(terms->lengths));
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

static struct entry *find_entry(struct terms *terms, const struct analyzer_token *token)
{
    size_t offset = terms->keys.len;
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
    *entry = (struct entry){
        .hash = hash, .offset = (uint32_t)offset, .len = (uint16_t)len, .view = (uint8_t)token->view};
    terms->slots[at] = (uint32_t)terms->entries_len;
    if (terms->entries_len * 2 > terms->slots_len) {
        grow_slots(terms);
        entry = &terms->entries[terms->entries_len - 1];
    }
    return entry;
}

static void add_token(void *data, const struct analyzer_token *token)
{
    struct terms *terms = data;
    struct entry *entry = find_entry(terms, token);
    if (entry->counts[terms->field] != UINT16_MAX) {
        entry->counts[terms->field]++;
    }
    terms->lengths[terms->field][token->view]++;
}

void terms_add(struct terms *terms, enum terms_field field, struct mirai_str text)
{
    terms->field = field;
    normalize(&terms->text, text, false);
    analyzer_run_text(terms->analyzer, &terms->text, add_token, terms);
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
    double tf = 0;
    for (int field = 0; field < TERMS_FIELD_COUNT; field++) {
        tf += entry->counts[field] * scales[field][entry->view];
    }
    unsigned level = (unsigned)(tf / (tf + K1) * TERMS_LEVELS + 0.5);
    return level < 1 ? 1 : level > TERMS_LEVELS ? TERMS_LEVELS : level;
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
    uint32_t heads[TERMS_LEVELS + 1] = {
        0}; /* lists by level, linked through `hash`, which has done its work */
    unsigned top = 0;
    for (size_t i = terms->entries_len; i > 0; i--) {
        struct entry *entry = &terms->entries[i - 1];
        unsigned level = entry_level(entry, (const double(*)[2])scales);
        entry->hash = heads[level];
        heads[level] = (uint32_t)i;
        top = level > top ? level : top;
    }
    for (unsigned level = 1; level <= top; level++) {
        for (uint32_t i = heads[level]; i != 0; i = terms->entries[i - 1].hash) {
            const struct entry *entry = &terms->entries[i - 1];
            mirai_buf_append(out, terms->keys.data + entry->offset, entry->len);
            mirai_buf_append_char(out, ' ');
        }
        mirai_buf_append_char(out, '\n');
    }
}
