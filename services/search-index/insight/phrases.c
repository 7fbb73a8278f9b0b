#include "services/search-index/insight/phrases.h"

#include <stdlib.h>

#define BUCKETS 1024 /* a power of two */

struct phrase {
    struct mirai_str text;
    uint32_t id;
    bool prefix;   /* may go on */
    uint32_t next; /* of the bucket: index + 1; longer ones come first */
};

struct phrase_set {
    struct phrase *phrases;
    size_t count;
    size_t cap;
    uint32_t buckets[BUCKETS];
    struct normalized key;
};

/* By the first three bytes: a kana, a kanji, or three Latin letters. */
static size_t bucket_of(const char *p)
{
    uint32_t hash = (uint32_t)(unsigned char)p[0] * 0x9E3779B1u ^
                    (uint32_t)(unsigned char)p[1] * 0x85EBCA77u ^ (uint32_t)(unsigned char)p[2] * 0xC2B2AE3Du;
    return (hash ^ hash >> 15) % BUCKETS;
}

struct phrase_set *phrase_set_new(void)
{
    return mirai_alloc(sizeof(struct phrase_set));
}

void phrase_set_free(struct phrase_set *set)
{
    if (set != NULL) {
        for (size_t i = 0; i < set->count; i++) {
            free((void *)(uintptr_t)set->phrases[i].text.data);
        }
        free(set->phrases);
        normalized_free(&set->key);
        free(set);
    }
}

static void add_one(struct phrase_set *set, struct mirai_str written, uint32_t id)
{
    bool prefix = written.len > 0 && written.data[written.len - 1] == '*';
    written.len -= prefix;
    normalize(&set->key, written, false);
    struct mirai_str text = mirai_buf_str(&set->key.text);
    if (text.len < 3) {
        return;
    }
    if (set->count == set->cap) {
        set->cap = set->cap == 0 ? 256 : set->cap * 2;
        set->phrases = mirai_realloc(set->phrases, set->cap * sizeof(set->phrases[0]));
    }
    uint32_t *link = &set->buckets[bucket_of(text.data)];
    while (*link != 0 && set->phrases[*link - 1].text.len >= text.len) {
        link = &set->phrases[*link - 1].next;
    }
    struct phrase *phrase = &set->phrases[set->count++];
    *phrase = (struct phrase){{mirai_str_dup(text), text.len}, id, prefix, *link};
    *link = (uint32_t)set->count;
}

void phrase_set_add(struct phrase_set *set, const char *phrases, uint32_t id)
{
    for (;;) {
        size_t len = strcspn(phrases, "|");
        add_one(set, (struct mirai_str){phrases, len}, id);
        if (phrases[len] == '\0') {
            return;
        }
        phrases += len + 1;
    }
}

static bool is_latin(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool stands(const struct phrase *phrase, struct mirai_str text, size_t at)
{
    size_t end = at + phrase->text.len;
    if (end > text.len || memcmp(text.data + at, phrase->text.data, phrase->text.len) != 0) {
        return false;
    }
    bool before = at > 0 && is_latin(text.data[at]) && is_latin(text.data[at - 1]);
    bool after =
        !phrase->prefix && end < text.len && is_latin(text.data[end - 1]) && is_latin(text.data[end]);
    return !before && !after;
}

void phrase_set_find(const struct phrase_set *set, struct mirai_str normalised, phrase_cb callback,
                     void *data)
{
    for (size_t at = 0; at + 3 <= normalised.len;) {
        size_t found = 0;
        uint32_t i = set->buckets[bucket_of(normalised.data + at)];
        for (; i != 0; i = set->phrases[i - 1].next) {
            const struct phrase *phrase = &set->phrases[i - 1];
            if (phrase->text.len < found) {
                break;
            }
            if (stands(phrase, normalised, at)) {
                found = phrase->text.len;
                const struct phrase_match match = {phrase->id, at, found};
                callback(data, &match);
            }
        }
        at += found > 0 ? found : 1;
    }
}
