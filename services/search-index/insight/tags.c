#include "services/search-index/insight/tags.h"

#include <math.h>
#include <stdlib.h>

#define VOTERS_MAX       12  /* similar articles whose tags count */
#define KNOWN_MAX        256 /* different tags that are looked at */
#define NEW_MAX          4   /* proposals that no article carries */
#define NEW_CHARS_MAX    20  /* of a new tag */
#define CONFIDENCE_LEAST 0.25
#define VOTE_TRUST       0.8 /* of what all similar articles carry */

/* By where the tag's name stands. */
#define TRUST_TITLE     0.85
#define TRUST_HEADING   0.7
#define TRUST_BODY      0.45
#define TRUST_BODY_MORE 0.65 /* three times and more */

struct known {
    struct mirai_str name;
    struct mirai_str key; /* normalised */
    double votes;
    unsigned articles;
};

struct proposing {
    const struct tags_input *input;
    struct mirai_arena *arena;
    struct known known[KNOWN_MAX];
    size_t known_len;
    struct normalized key;
    struct mirai_tag_proposal *out;
    size_t count;
};

struct standing {
    bool title;
    bool heading;
    unsigned times;
};

/* ------------------------------------------------------------------ where a name stands */

static bool is_latin(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static struct standing where(const struct reading *reading, struct mirai_str key)
{
    struct standing standing = {0};
    struct mirai_str text = mirai_utf8_prefix(mirai_buf_str(&reading->text), SIMILARITY_BODY_MAX);
    const char *end = text.data + text.len;
    size_t block = 0;
    for (const char *p = text.data; key.len > 0 && p < end; p += key.len) {
        p = memmem(p, (size_t)(end - p), key.data, key.len);
        if (p == NULL) {
            break;
        }
        bool before = p > text.data && is_latin(p[-1]) && is_latin(key.data[0]);
        bool after = p + key.len < end && is_latin(p[key.len]) && is_latin(key.data[key.len - 1]);
        if (before || after) {
            continue;
        }
        size_t at = (size_t)(p - text.data);
        while (block < reading->markdown.count &&
               reading->blocks[block].start + reading->blocks[block].len <= at) {
            block++;
        }
        standing.times++;
        standing.title |= at < reading->title_len;
        standing.heading |= at >= reading->title_len && block < reading->markdown.count &&
                            reading->markdown.blocks[block].kind == MARKDOWN_HEADING;
    }
    return standing;
}

static double trust(const struct standing *standing)
{
    return standing->title        ? TRUST_TITLE
           : standing->heading    ? TRUST_HEADING
           : standing->times >= 3 ? TRUST_BODY_MORE
           : standing->times > 0  ? TRUST_BODY
                                  : 0;
}

/* ------------------------------------------------------------------ tags that there are */

static struct mirai_str normalised(struct proposing *proposing, struct mirai_str name)
{
    normalize(&proposing->key, name, false);
    return mirai_arena_copy(proposing->arena, mirai_buf_str(&proposing->key.text));
}

static struct known *know(struct proposing *proposing, struct mirai_str name)
{
    struct mirai_str key = normalised(proposing, name);
    for (size_t i = 0; i < proposing->known_len; i++) {
        if (mirai_str_eq(proposing->known[i].key, key)) {
            return &proposing->known[i];
        }
    }
    if (proposing->known_len == KNOWN_MAX) {
        return NULL;
    }
    proposing->known[proposing->known_len] = (struct known){.name = name, .key = key};
    return &proposing->known[proposing->known_len++];
}

/* Similar articles vote as much as they are similar; the others only tell which tags there are. */
static void learn(struct proposing *proposing)
{
    const struct neighbours *neighbours = proposing->input->neighbours;
    double all = 0;
    for (size_t i = 0; i < neighbours->count && i < VOTERS_MAX; i++) {
        all += neighbours->list[i].related;
    }
    for (size_t i = 0; i < neighbours->count; i++) {
        const struct mirai_strs *tags = &neighbours->list[i].article.tags;
        for (size_t j = 0; j < tags->count; j++) {
            struct known *known = know(proposing, tags->items[j]);
            if (known != NULL && i < VOTERS_MAX && all > 0) {
                known->votes += neighbours->list[i].related / fmax(all, 1);
                known->articles++;
            }
        }
    }
}

static bool is_own(struct proposing *proposing, struct mirai_str key)
{
    const struct mirai_strs *own = proposing->input->own;
    for (size_t i = 0; i < own->count; i++) {
        normalize(&proposing->key, own->items[i], false);
        if (mirai_str_eq(mirai_buf_str(&proposing->key.text), key)) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ proposals */

static struct mirai_str why(const struct proposing *proposing, const struct standing *standing,
                            unsigned articles)
{
    bool ja = proposing->input->locale == MIRAI_LOCALE_JA;
    struct mirai_arena *arena = proposing->arena;
    struct mirai_str place = {0};
    if (standing->title) {
        place = ja ? MIRAI_STR("タイトルにあります") : MIRAI_STR("stands in the title");
    } else if (standing->heading) {
        place = ja ? MIRAI_STR("見出しにあります") : MIRAI_STR("stands in a heading");
    } else if (standing->times > 0) {
        place = mirai_arena_printf(arena, ja ? "本文に %u 回あります" : "stands in the text, times: %u",
                                   standing->times);
    }
    if (articles == 0) {
        return place;
    }
    struct mirai_str voters =
        mirai_arena_printf(arena, ja ? "似た記事 %u 件に付いています" : "on %u similar articles", articles);
    return place.len == 0 ? voters
                          : mirai_arena_printf(arena, ja ? "%.*s。%.*s" : "%.*s; %.*s", MIRAI_STR_ARG(place),
                                               MIRAI_STR_ARG(voters));
}

static void propose(struct proposing *proposing, struct mirai_str name, bool exists, double confidence,
                    struct mirai_str reason)
{
    size_t at = proposing->count;
    while (at > 0 && proposing->out[at - 1].confidence < confidence) {
        at--;
    }
    if (at == TAGS_MAX || confidence < CONFIDENCE_LEAST) {
        return;
    }
    proposing->count += proposing->count < TAGS_MAX;
    memmove(&proposing->out[at + 1], &proposing->out[at],
            (proposing->count - 1 - at) * sizeof(proposing->out[0]));
    struct mirai_tag_proposal *proposal = &proposing->out[at];
    *proposal = (struct mirai_tag_proposal){0};
    mirai_set(tag_proposal, proposal, name, name);
    mirai_set(tag_proposal, proposal, exists, exists);
    mirai_set(tag_proposal, proposal, confidence, confidence);
    mirai_set(tag_proposal, proposal, reason, reason);
}

static void propose_known(struct proposing *proposing)
{
    for (size_t i = 0; i < proposing->known_len; i++) {
        const struct known *known = &proposing->known[i];
        struct standing standing = where(proposing->input->reading, known->key);
        double confidence = 1 - (1 - trust(&standing)) * (1 - VOTE_TRUST * fmin(known->votes, 1));
        if (!is_own(proposing, known->key)) {
            propose(proposing, known->name, true, confidence, why(proposing, &standing, known->articles));
        }
    }
}

static bool one_word(uint32_t cp)
{
    enum char_class class = char_class(cp);
    return class == CHAR_HAN || class == CHAR_KATAKANA;
}

/* The compound around a word: 証明書 for 証明. The word itself when it is Latin or the compound is long. */
static struct mirai_str compound(const struct reading *reading, struct mirai_str surface)
{
    const char *begin = reading->text.data;
    const char *end = begin + reading->text.len;
    const char *from = surface.data;
    const char *to = surface.data + surface.len;
    unsigned len;
    if (!one_word(utf8_decode(from, end, &len))) {
        return surface;
    }
    while (from - begin >= 3 && one_word(utf8_decode(from - 3, from, &len)) && len == 3) {
        from -= 3;
    }
    while (to < end && one_word(utf8_decode(to, end, &len))) {
        to += len;
    }
    return to - from <= 30 ? (struct mirai_str){from, (size_t)(to - from)} : surface;
}

/* As it was written: Latin names have capitals. */
static struct mirai_str as_written(const struct proposing *proposing, struct mirai_str key)
{
    const struct reading *reading = proposing->input->reading;
    struct mirai_str text = mirai_utf8_prefix(mirai_buf_str(&reading->markdown.text), KEYWORDS_BYTES_MAX);
    for (size_t at = 0; key.len > 0 && at + key.len <= text.len; at++) {
        if (strncasecmp(text.data + at, key.data, key.len) == 0) {
            return mirai_arena_copy(proposing->arena, (struct mirai_str){text.data + at, key.len});
        }
    }
    return mirai_arena_copy(proposing->arena, key);
}

/* A name for a subject: katakana or Latin of some length, a compound of kanji. */
static bool may_name(struct mirai_str key)
{
    unsigned len;
    enum char_class class = char_class(utf8_decode(key.data, key.data + key.len, &len));
    size_t characters = mirai_utf8_length(key);
    bool letters = class == CHAR_LATIN && len == 1 && (key.data[0] < '0' || key.data[0] > '9');
    return characters <= NEW_CHARS_MAX &&
           ((letters && characters >= 2) || (class == CHAR_KATAKANA && characters >= 3) ||
            (class == CHAR_HAN && characters >= 2));
}

static void propose_new(struct proposing *proposing)
{
    const struct keywords *keywords = proposing->input->keywords;
    size_t tried = 0;
    for (size_t i = 0; i < keywords->count && tried < NEW_MAX; i++) {
        struct mirai_str key = compound(proposing->input->reading, keywords->list[i].surface);
        if (!may_name(key) || is_own(proposing, key)) {
            continue;
        }
        struct standing standing = where(proposing->input->reading, key);
        size_t before = proposing->known_len;
        struct mirai_str name = as_written(proposing, key);
        if ((!standing.title && standing.times < 3) || know(proposing, name) == NULL ||
            proposing->known_len == before) {
            continue;
        }
        tried++;
        bool exists = source_has_tag(proposing->input->source, name);
        double confidence = trust(&standing) * (exists ? 0.9 : 0.6);
        propose(proposing, name, exists, confidence, why(proposing, &standing, 0));
    }
}

size_t tags_propose(const struct tags_input *input, struct mirai_tag_proposal out[TAGS_MAX])
{
    struct proposing *proposing = mirai_arena_alloc(input->source->arena, sizeof(*proposing));
    proposing->input = input;
    proposing->arena = input->source->arena;
    proposing->out = out;
    learn(proposing);
    propose_known(proposing);
    propose_new(proposing);
    normalized_free(&proposing->key);
    return proposing->count;
}
