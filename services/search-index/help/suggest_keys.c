#include "services/search-index/help/suggest_keys.h"

#include "services/search-index/analyzer/romaji.h"
#include "services/search-index/postings/format.h"

#include <stdlib.h>

/* Most places of a title from which on it is found. */
#define STARTS_MAX 6

/* Most tags of an article whose terms are made; it may have 50. */
#define TAGS_MAX 50

/* Distinct terms of a document. */
#define TERMS_MAX 1024

/* Levels: the whole title, from a word on; and what a short one has more. */
#define LEVEL_WHOLE 40
#define LEVEL_WORD  10
#define LEVEL_SHORT 20

struct entry {
    uint32_t offset; /* of its key in `bytes` */
    uint16_t len;
    uint8_t level;
};

struct suggest_keys {
    struct analyzer *analyzer;
    struct normalized text;
    struct mirai_buf bytes; /* keys of the document, one after the other */
    struct entry entries[TERMS_MAX];
    size_t entries_len;
    size_t starts[STARTS_MAX + 1];
    size_t starts_len;
    struct mirai_buf key;     /* text of a suffix */
    struct mirai_buf reading; /* of one piece */
    struct mirai_buf readings;
};

struct suggest_keys *suggest_keys_new(struct analyzer *analyzer)
{
    struct suggest_keys *keys = mirai_alloc(sizeof(*keys));
    keys->analyzer = analyzer;
    return keys;
}

void suggest_keys_free(struct suggest_keys *keys)
{
    if (keys != NULL) {
        normalized_free(&keys->text);
        mirai_buf_free(&keys->bytes);
        mirai_buf_free(&keys->key);
        mirai_buf_free(&keys->reading);
        mirai_buf_free(&keys->readings);
        free(keys);
    }
}

struct mirai_str suggest_key_prefix(struct mirai_str key, size_t chars)
{
    size_t at = 0;
    for (; at < key.len && chars > 0; chars--) {
        do {
            at++;
        } while (at < key.len && ((unsigned char)key.data[at] & 0xC0) == 0x80);
    }
    return (struct mirai_str){key.data, at};
}

static void append_text(struct mirai_str normalised, struct mirai_buf *out)
{
    unsigned len;
    for (size_t at = 0; at < normalised.len; at += len) {
        uint32_t cp = utf8_decode(normalised.data + at, normalised.data + normalised.len, &len);
        if (char_class(cp) != CHAR_BREAK) {
            mirai_buf_append(out, normalised.data + at, len);
        }
    }
}

void suggest_key(struct analyzer *analyzer, enum suggest_form form, struct mirai_str normalised,
                 struct mirai_buf *out)
{
    if (form == SUGGEST_TEXT) {
        append_text(normalised, out);
        return;
    }
    struct mirai_buf reading = {0};
    analyzer_reading(analyzer, normalised, &reading);
    romaji_key(mirai_buf_str(&reading), out);
    mirai_buf_free(&reading);
}

/* One term of the document; the greatest of its levels counts. `tail`: what follows the key, or nothing. */
static void add(struct suggest_keys *keys, char mark, enum suggest_form form, struct mirai_str key,
                struct mirai_str tail, unsigned level)
{
    uint32_t offset = (uint32_t)keys->bytes.len;
    mirai_buf_append_char(&keys->bytes, mark);
    mirai_buf_append_char(&keys->bytes, (char)form);
    mirai_buf_append_str(&keys->bytes, key);
    if (tail.len > 0) {
        mirai_buf_append_char(&keys->bytes, '\x01');
        mirai_buf_append_str(&keys->bytes, tail);
    }
    struct mirai_str term = {keys->bytes.data + offset, keys->bytes.len - offset};
    for (size_t i = 0; i < keys->entries_len; i++) {
        struct entry *entry = &keys->entries[i];
        if (mirai_str_eq((struct mirai_str){keys->bytes.data + entry->offset, entry->len}, term)) {
            entry->level = (uint8_t)(entry->level > level ? entry->level : level);
            keys->bytes.len = offset;
            return;
        }
    }
    if (keys->entries_len < TERMS_MAX) {
        keys->entries[keys->entries_len++] = (struct entry){offset, (uint16_t)term.len, (uint8_t)level};
    }
}

static void note_start(void *data, const struct analyzer_token *token)
{
    struct suggest_keys *keys = data;
    bool known = token->start <= keys->starts[keys->starts_len - 1];
    if (token->view == ANALYZER_WORD && !known && keys->starts_len < STARTS_MAX) {
        keys->starts[keys->starts_len++] = token->start;
    }
}

static bool has_japanese(struct mirai_str text)
{
    unsigned len;
    for (size_t at = 0; at < text.len; at += len) {
        if (char_class(utf8_decode(text.data + at, text.data + text.len, &len)) >= CHAR_HIRAGANA) {
            return true;
        }
    }
    return false;
}

/* Readings of the pieces between the starts, joined: [ends[i - 1], ends[i]) is that of piece i. Each is read by
 * itself, so that the keys of a suffix need no further analysis. */
static void read_pieces(struct suggest_keys *keys, struct mirai_str text, size_t ends[STARTS_MAX])
{
    keys->readings.len = 0;
    for (size_t i = 0; i < keys->starts_len; i++) {
        struct mirai_str piece = {text.data + keys->starts[i], keys->starts[i + 1] - keys->starts[i]};
        keys->reading.len = 0;
        if (has_japanese(piece)) {
            analyzer_reading(keys->analyzer, piece, &keys->reading);
        } else {
            mirai_buf_append_str(&keys->reading, piece);
        }
        romaji_key(mirai_buf_str(&keys->reading), &keys->readings);
        ends[i] = keys->readings.len;
    }
}

static void add_edges(struct suggest_keys *keys, enum suggest_form form, struct mirai_str key, size_t edges,
                      unsigned level)
{
    size_t before = 0;
    for (size_t chars = 1; chars <= edges; chars++) {
        struct mirai_str edge = suggest_key_prefix(key, chars);
        if (edge.len == before) {
            return;
        }
        add(keys, SUGGEST_TITLE_MARK, form, edge, (struct mirai_str){0}, level);
        before = edge.len;
    }
}

static void add_title(struct suggest_keys *keys, struct mirai_str title)
{
    size_t ends[STARTS_MAX] = {0};
    normalize(&keys->text, title, false);
    struct mirai_str text = mirai_buf_str(&keys->text.text);
    keys->starts[0] = 0;
    keys->starts_len = 1;
    analyzer_run(keys->analyzer, text, note_start, keys);
    keys->starts[keys->starts_len] = text.len;
    read_pieces(keys, text, ends);
    size_t chars = mirai_utf8_length(text);
    unsigned shortness = chars < 2 * LEVEL_SHORT ? LEVEL_SHORT - (unsigned)(chars / 2) : 0;
    for (size_t i = 0; i < keys->starts_len; i++) {
        unsigned level = (i == 0 ? LEVEL_WHOLE : LEVEL_WORD) + shortness;
        struct mirai_str rest = {text.data + keys->starts[i], text.len - keys->starts[i]};
        keys->key.len = 0;
        append_text(rest, &keys->key);
        struct mirai_str key = mirai_utf8_prefix(mirai_buf_str(&keys->key), SUGGEST_TEXT_MAX);
        if (key.len == 0) {
            continue;
        }
        add(keys, SUGGEST_TITLE_MARK, SUGGEST_TEXT, key, (struct mirai_str){0}, level);
        add_edges(keys, SUGGEST_TEXT_EDGE, key, SUGGEST_TEXT_EDGES, level);
        size_t from = i == 0 ? 0 : ends[i - 1];
        struct mirai_str reading = mirai_utf8_prefix(
            (struct mirai_str){keys->readings.data + from, keys->readings.len - from}, SUGGEST_READING_MAX);
        if (reading.len > 0 && has_japanese(key)) {
            add(keys, SUGGEST_TITLE_MARK, SUGGEST_READING, reading, (struct mirai_str){0}, level);
            add_edges(keys, SUGGEST_READING_EDGE, reading, SUGGEST_READING_EDGES, level);
        }
    }
}

static void add_tag(struct suggest_keys *keys, struct mirai_str tag)
{
    normalize(&keys->text, tag, false);
    struct mirai_str text = mirai_buf_str(&keys->text.text);
    struct mirai_str name = mirai_utf8_prefix(text, SUGGEST_TAG_MAX);
    keys->key.len = 0;
    append_text(text, &keys->key);
    struct mirai_str key = mirai_utf8_prefix(mirai_buf_str(&keys->key), SUGGEST_TEXT_MAX);
    if (key.len == 0) {
        return;
    }
    add(keys, SUGGEST_TAG_MARK, SUGGEST_TEXT, key, name, LEVEL_WHOLE);
    if (has_japanese(key)) {
        keys->readings.len = 0;
        suggest_key(keys->analyzer, SUGGEST_READING, text, &keys->readings);
        struct mirai_str reading = mirai_utf8_prefix(mirai_buf_str(&keys->readings), SUGGEST_READING_MAX);
        add(keys, SUGGEST_TAG_MARK, SUGGEST_READING, reading, name, LEVEL_WHOLE);
    }
}

void suggest_keys_append(struct suggest_keys *keys, struct mirai_str title, struct mirai_str tags,
                         struct mirai_buf *encoded)
{
    keys->bytes.len = 0;
    keys->entries_len = 0;
    if (title.len > 0) {
        add_title(keys, title);
    }
    const char *end = tags.len > 0 ? tags.data + tags.len : tags.data;
    size_t count = 0;
    for (const char *p = tags.data; p < end && count < TAGS_MAX; count++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline != NULL ? newline : end;
        add_tag(keys, (struct mirai_str){p, (size_t)(stop - p)});
        p = stop + 1;
    }
    for (size_t i = 0; i < keys->entries_len; i++) {
        const struct entry *entry = &keys->entries[i];
        varint_append(encoded, entry->len);
        mirai_buf_append(encoded, keys->bytes.data + entry->offset, entry->len);
        mirai_buf_append_char(encoded, (char)entry->level);
        mirai_buf_append(encoded, "\x01\x00", 2); /* positions: one, and that is 0 */
    }
}
