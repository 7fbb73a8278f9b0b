#include "services/search-index/insight/summary.h"

#include "services/search-index/insight/sentence.h"

#include <math.h>
#include <stdlib.h>

/* The rest of a longer text does not take part. */
#define SENTENCES_MAX 400

#define COUNTS        4096 /* a power of two */
#define PAIRS_MAX     400  /* of a sentence */

/* Sentences that share so much of their pairs say the same. */
#define SAME 0.6

struct sentence {
    struct mirai_str text; /* as written */
    size_t start;          /* bytes of workspace.text, normalised */
    size_t len;
    size_t characters;
    size_t identifiers; /* Latin words with digits or signs */
    size_t latin;       /* Latin letters */
    uint32_t concepts;
    uint32_t section; /* concepts of its heading */
    double central;   /* how much of it the rest of the text and the title speak of, 0..1 */
    double place;     /* 1: at the beginning, falling */
    enum markdown_kind kind;
};

/* What makes a sentence worth telling: `about` in it, `under` such a heading. */
static const struct {
    enum summary_kind kind;
    uint32_t concepts;
    double about;
    double under;
} worth[] = {
    {SUMMARY_TECHNICAL, CONCEPT_BIT(CAUSE) | CONCEPT_BIT(ROOT_CAUSE), 1.0, 1.0},
    {SUMMARY_TECHNICAL, CONCEPT_BIT(RESOLUTION) | CONCEPT_BIT(WORKAROUND) | CONCEPT_BIT(PERMANENT_FIX), 0.6,
     0.5},
    {SUMMARY_TECHNICAL, CONCEPT_BIT(CONTENTS) | CONCEPT_BIT(PURPOSE), 0.6, 0.7},
    {SUMMARY_TECHNICAL, CONCEPT_BIT(ROLLBACK) | CONCEPT_BIT(VERSION), 0.3, 0.1},
    {SUMMARY_NON_TECHNICAL, CONCEPT_BIT(IMPACT), 0.9, 0.9},
    {SUMMARY_NON_TECHNICAL, CONCEPT_BIT(USERS), 0.9, 0.6},
    {SUMMARY_NON_TECHNICAL, CONCEPT_BIT(SYMPTOM), 0.3, 0.4},
    {SUMMARY_NON_TECHNICAL, CONCEPT_BIT(PURPOSE) | CONCEPT_BIT(SCHEDULE) | CONCEPT_BIT(DUE), 0.4, 0.4},
    {SUMMARY_NON_TECHNICAL, CONCEPT_BIT(RISK), -0.3, -0.3},
};

/* ------------------------------------------------------------------ sentences */

static size_t hash_pair(uint32_t a, uint32_t b)
{
    uint32_t h = a * 0x9E3779B1u ^ b * 0x85EBCA77u;
    return (h ^ h >> 15) % COUNTS;
}

typedef void (*pair_cb)(void *data, size_t hash);

/* Neighbouring characters; of Latin words that means their letters. */
static void each_pair(struct mirai_str s, pair_cb callback, void *data)
{
    uint32_t before = 0;
    size_t pairs = 0;
    for (size_t at = 0; at < s.len && pairs < PAIRS_MAX;) {
        unsigned len;
        uint32_t cp = utf8_decode(s.data + at, s.data + s.len, &len);
        enum char_class class = char_class(cp);
        if (class == CHAR_BREAK) {
            before = 0;
        } else {
            if (before != 0 && !(class == CHAR_HIRAGANA && char_class(before) == CHAR_HIRAGANA)) {
                callback(data, hash_pair(before, cp));
                pairs++;
            }
            before = cp;
        }
        at += len;
    }
}

static void count_pair(void *data, size_t hash)
{
    uint16_t *counts = data;
    counts[hash] = (uint16_t)(counts[hash] + (counts[hash] < UINT16_MAX));
}

static void count_title_pair(void *data, size_t hash)
{
    uint16_t *counts = data;
    counts[hash] = (uint16_t)(counts[hash] + 4); /* the title is what it is about */
}

struct mean {
    const uint16_t *counts;
    double sum;
    size_t pairs;
};

static void add_mean(void *data, size_t hash)
{
    struct mean *mean = data;
    mean->sum += fmin(mean->counts[hash] - 1, 5) / 5;
    mean->pairs++;
}

static void on_concept(void *data, const struct phrase_match *match)
{
    uint32_t *concepts = data;
    if ((match->id & CONCEPT_HEADED) == 0) {
        *concepts |= UINT32_C(1) << CONCEPT_OF(match->id);
    }
}

static void count_letters(struct mirai_str s, struct sentence *sentence)
{
    bool sign = false;
    size_t word = 0;
    for (size_t i = 0; i <= s.len; i++) {
        char c = i < s.len ? s.data[i] : ' ';
        bool letter = c >= 'a' && c <= 'z';
        bool joint = (c >= '0' && c <= '9') || (word > 0 && strchr("_-./\\:=", c) != NULL && c != '\0');
        sentence->latin += letter;
        sentence->characters += i < s.len && ((unsigned char)c & 0xC0) != 0x80;
        if (letter || joint) {
            sign |= joint;
            word += letter;
        } else {
            sentence->identifiers += word > 0 && sign;
            sign = false;
            word = 0;
        }
    }
}

/* A sentence that can stand alone: no code, no fragment, no head of a list. */
static bool stands(struct mirai_str text, enum markdown_kind kind, size_t characters)
{
    bool opens =
        text.len >= 3 && (text.data[text.len - 1] == ':' || memcmp(text.data + text.len - 3, "：", 3) == 0 ||
                          memcmp(text.data + text.len - 3, "、", 3) == 0);
    size_t least = kind == MARKDOWN_PARAGRAPH ? 8 : 12;
    return !opens && characters >= least && characters <= SUMMARY_LONGEST;
}

static void add_sentence(struct summary_workspace *workspace, size_t *count, struct mirai_str text,
                         enum markdown_kind kind, uint32_t section)
{
    while (text.len > 0 && text.data[text.len - 1] == ' ') {
        text.len--;
    }
    if (text.len > SUMMARY_LONGEST * UINT64_C(4)) {
        return; /* longer than any that stands() lets pass */
    }
    struct sentence sentence = {.text = text, .section = section, .kind = kind, .start = workspace->text.len};
    normalize(&workspace->key, text, false);
    mirai_buf_append_str(&workspace->text, mirai_buf_str(&workspace->key.text));
    sentence.len = workspace->text.len - sentence.start;
    struct mirai_str normalised = {workspace->text.data + sentence.start, sentence.len};
    count_letters(normalised, &sentence);
    if (*count == SENTENCES_MAX || !stands(text, kind, sentence.characters)) {
        return;
    }
    phrase_set_find(concept_phrases(), normalised, on_concept, &sentence.concepts);
    if (*count == workspace->cap) {
        workspace->cap = workspace->cap == 0 ? 64 : workspace->cap * 2;
        workspace->sentences =
            mirai_realloc(workspace->sentences, workspace->cap * sizeof(workspace->sentences[0]));
    }
    workspace->sentences[(*count)++] = sentence;
}

/* A row of two cells tells as "label: content" does; wider ones are data. */
static struct mirai_str row_text(struct mirai_str row, struct mirai_arena *arena)
{
    size_t mark_len = strlen(MARKDOWN_CELL);
    const char *mark = memmem(row.data, row.len, MARKDOWN_CELL, mark_len);
    size_t rest = mark != NULL ? row.len - (size_t)(mark - row.data) - mark_len : 0;
    if (mark == NULL || rest == 0 || memmem(mark + mark_len, rest, MARKDOWN_CELL, mark_len) != NULL) {
        return (struct mirai_str){0};
    }
    return mirai_arena_printf(arena, "%.*s: %.*s", (int)(mark - row.data), row.data, (int)rest,
                              mark + mark_len);
}

static size_t gather(struct summary_workspace *workspace, const struct reading *reading,
                     struct mirai_arena *arena)
{
    size_t count = 0;
    workspace->text.len = 0;
    for (size_t i = 0; i < reading->markdown.count && count < SENTENCES_MAX; i++) {
        enum markdown_kind kind = reading->markdown.blocks[i].kind;
        size_t section = reading->blocks[i].section;
        uint32_t heading = section > 0 ? reading->blocks[section - 1].concepts : 0;
        struct mirai_str text = markdown_text(&reading->markdown, i);
        if (kind == MARKDOWN_HEADING || kind == MARKDOWN_CODE) {
            continue;
        }
        text = kind == MARKDOWN_ROW ? row_text(text, arena) : text;
        while (text.len > 0 && count < SENTENCES_MAX) {
            size_t len = sentence_length(text);
            add_sentence(workspace, &count, (struct mirai_str){text.data, len}, kind, heading);
            text = (struct mirai_str){text.data + len, text.len - len};
        }
    }
    return count;
}

static void weigh(struct summary_workspace *workspace, size_t count, struct mirai_str title)
{
    if (workspace->counts == NULL) {
        workspace->counts = mirai_alloc(COUNTS * sizeof(workspace->counts[0]));
    }
    memset(workspace->counts, 0, COUNTS * sizeof(workspace->counts[0]));
    for (size_t i = 0; i < count; i++) {
        struct sentence *sentence = &workspace->sentences[i];
        each_pair((struct mirai_str){workspace->text.data + sentence->start, sentence->len}, count_pair,
                  workspace->counts);
    }
    each_pair(title, count_title_pair, workspace->counts);
    for (size_t i = 0; i < count; i++) {
        struct sentence *sentence = &workspace->sentences[i];
        struct mean mean = {.counts = workspace->counts};
        each_pair((struct mirai_str){workspace->text.data + sentence->start, sentence->len}, add_mean, &mean);
        sentence->central = mean.pairs > 0 ? mean.sum / (double)mean.pairs : 0;
        sentence->place = 1 / (1 + (double)i / 4);
    }
}

/* ------------------------------------------------------------------ choice */

static double value(const struct sentence *sentence, enum summary_kind kind)
{
    double value = sentence->central + 0.5 * sentence->place;
    for (size_t i = 0; i < sizeof(worth) / sizeof(worth[0]); i++) {
        if (worth[i].kind == kind) {
            value += (sentence->concepts & worth[i].concepts) != 0 ? worth[i].about : 0;
            value += (sentence->section & worth[i].concepts) != 0 ? worth[i].under : 0;
        }
    }
    double identifiers = fmin((double)sentence->identifiers, 3) / 3;
    value += kind == SUMMARY_TECHNICAL ? 0.4 * identifiers : -1.2 * identifiers;
    value -= sentence->kind == MARKDOWN_ROW ? 0.4 : 0;
    value -= (sentence->concepts & CONCEPT_BIT(PENDING)) != 0 ? 0.8 : 0;
    value -= sentence->characters > 120 ? 0.5 : sentence->characters < 15 ? 0.3 : 0;
    return value;
}

struct shared {
    uint8_t seen[COUNTS / 8];
    size_t common;
    size_t pairs;
};

static void see(void *data, size_t hash)
{
    struct shared *shared = data;
    shared->seen[hash / 8] = (uint8_t)(shared->seen[hash / 8] | 1u << hash % 8);
}

static void meet(void *data, size_t hash)
{
    struct shared *shared = data;
    shared->common += shared->seen[hash / 8] >> hash % 8 & 1u;
    shared->pairs++;
}

static bool same(const struct summary_workspace *workspace, const struct sentence *a,
                 const struct sentence *b)
{
    struct shared shared = {.common = 0};
    each_pair((struct mirai_str){workspace->text.data + a->start, a->len}, see, &shared);
    each_pair((struct mirai_str){workspace->text.data + b->start, b->len}, meet, &shared);
    return shared.pairs > 0 && (double)shared.common >= SAME * (double)shared.pairs;
}

/* The best sentence that fits and says something else than those chosen; `count`: none. */
static size_t choose(const struct summary_workspace *workspace, size_t count, enum summary_kind kind,
                     const size_t *chosen, size_t chosen_len, size_t room)
{
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
        const struct sentence *sentence = &workspace->sentences[i];
        bool fits = chosen_len == 0 || sentence->characters <= room;
        if (!fits || (best < count && value(sentence, kind) <= value(&workspace->sentences[best], kind))) {
            continue;
        }
        bool taken = false;
        for (size_t j = 0; j < chosen_len && !taken; j++) {
            taken = chosen[j] == i || same(workspace, &workspace->sentences[chosen[j]], sentence);
        }
        best = taken ? best : i;
    }
    return best;
}

static struct mirai_str join(const struct summary_workspace *workspace, size_t *chosen, size_t len,
                             struct mirai_arena *arena)
{
    struct mirai_buf out = {0};
    for (size_t i = 1; i < len; i++) {
        for (size_t j = i; j > 0 && chosen[j - 1] > chosen[j]; j--) {
            size_t swap = chosen[j];
            chosen[j] = chosen[j - 1];
            chosen[j - 1] = swap;
        }
    }
    for (size_t i = 0; i < len; i++) {
        const struct sentence *sentence = &workspace->sentences[chosen[i]];
        bool japanese = sentence->text.len > 0 && sentence->latin * 3 < sentence->characters * 2;
        bool ended = sentence_length(sentence->text) == sentence->text.len && sentence->text.len >= 3 &&
                     (strchr(".!?)\"", sentence->text.data[sentence->text.len - 1]) != NULL ||
                      memcmp(sentence->text.data + sentence->text.len - 3, "。", 3) == 0 ||
                      memcmp(sentence->text.data + sentence->text.len - 3, "！", 3) == 0 ||
                      memcmp(sentence->text.data + sentence->text.len - 3, "？", 3) == 0);
        mirai_buf_append_str(&out, sentence->text);
        if (!ended) {
            mirai_buf_append_str(&out, japanese ? MIRAI_STR("。") : MIRAI_STR("."));
        }
        if (i + 1 < len && !japanese) {
            mirai_buf_append_char(&out, ' ');
        }
    }
    struct mirai_str copy = mirai_arena_copy(arena, mirai_buf_str(&out));
    mirai_buf_free(&out);
    return copy;
}

/* A text whose every sentence is longer than a summary may be: its beginning. */
static struct mirai_str beginning(const struct reading *reading, struct mirai_arena *arena)
{
    for (size_t i = 0; i < reading->markdown.count; i++) {
        enum markdown_kind kind = reading->markdown.blocks[i].kind;
        if (kind == MARKDOWN_PARAGRAPH || kind == MARKDOWN_ITEM) {
            struct mirai_str text = markdown_text(&reading->markdown, i);
            struct mirai_str cut = mirai_utf8_prefix(text, SUMMARY_CHARS * UINT64_C(2));
            return cut.len < text.len ? mirai_arena_printf(arena, "%.*s…", MIRAI_STR_ARG(cut))
                                      : mirai_arena_copy(arena, cut);
        }
    }
    return (struct mirai_str){0};
}

void summary_make(struct summary_workspace *workspace, const struct reading *reading,
                  struct mirai_arena *arena, struct mirai_str out[SUMMARY_KINDS])
{
    size_t count = gather(workspace, reading, arena);
    weigh(workspace, count, reading_title(reading));
    for (int kind = 0; kind < SUMMARY_KINDS; kind++) {
        size_t chosen[SUMMARY_SENTENCES];
        size_t len = 0;
        size_t room = SUMMARY_CHARS;
        while (len < SUMMARY_SENTENCES && room > 0) {
            size_t best = choose(workspace, count, (enum summary_kind)kind, chosen, len, room);
            if (best == count) {
                break;
            }
            size_t used = workspace->sentences[best].characters;
            room = used < room ? room - used : 0;
            chosen[len++] = best;
        }
        out[kind] = len > 0 ? join(workspace, chosen, len, arena) : beginning(reading, arena);
    }
}

void summary_workspace_free(struct summary_workspace *workspace)
{
    free(workspace->sentences);
    mirai_buf_free(&workspace->text);
    normalized_free(&workspace->key);
    free(workspace->counts);
    *workspace = (struct summary_workspace){0};
}
