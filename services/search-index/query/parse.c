#include "libcommon/time.h"
#include "services/search-index/query/build.h"
#include "services/search-index/query/filters.h"
#include "services/search-index/query/lexer.h"

/* Most lexemes of a query: QUERY_CHARS_MAX characters and a space between. */
#define LEXEMES_MAX (QUERY_CHARS_MAX / 2 + 1)

/* As the message has room for. */
#define UNDERSTOOD_WORDS   200
#define UNDERSTOOD_PHRASES 20
#define UNDERSTOOD_FILTERS 40
#define UNDERSTOOD_NOTICES 10

/* Sets of filters whose members are alternatives wherever they stand. Others count on from here. */
enum filter_set {
    SET_TYPE,
    SET_STATUS,
    SET_AUTHOR,
    SET_OTHERS,
};

struct parser {
    struct build build;
    struct mirai_arena *arena;
    struct query *query;
    const struct vocabulary_snapshot *vocabulary; /* NULL: none */
    struct lexeme *lexemes;
    size_t lexemes_len;
    struct mirai_buf words; /* all that is scored, as it was typed */
    struct normalized normal;
    unsigned next_set;
    int64_t now;
};

/* ------------------------------------------------------------------ what was understood */

static void add_string(struct parser *parser, struct mirai_strs *to, size_t max, struct mirai_str text)
{
    if (to->items == NULL) {
        to->items = mirai_arena_alloc(parser->arena, max * sizeof(to->items[0]));
    }
    for (size_t i = 0; i < to->count; i++) {
        if (mirai_str_eq(to->items[i], text)) {
            return;
        }
    }
    if (to->count < max) {
        to->items[to->count++] = text;
    }
}

static void notice(struct parser *parser, const char *name)
{
    add_string(parser, &parser->query->understood.notices, UNDERSTOOD_NOTICES, mirai_str(name));
    mirai_mark(search_understood, &parser->query->understood, notices);
}

static void tell_filter(struct parser *parser, const struct lexeme *lexeme, struct mirai_str value)
{
    struct mirai_objects *filters = &parser->query->understood.filters;
    if (filters->items == NULL) {
        filters->items =
            mirai_arena_alloc(parser->arena, UNDERSTOOD_FILTERS * sizeof(struct mirai_search_filter));
    }
    if (filters->count < UNDERSTOOD_FILTERS) {
        struct mirai_search_filter *filter = &MIRAI_ITEMS(search_filter, filters)[filters->count++];
        mirai_set(search_filter, filter, name, mirai_str(query_key_name(lexeme->key)));
        mirai_set(search_filter, filter, value, value);
        if (lexeme->excluded) {
            mirai_set(search_filter, filter, excluded, true);
        }
    }
}

/* ------------------------------------------------------------------ text */

static struct mirai_str trim(struct mirai_str text)
{
    while (text.len > 0 && text.data[0] == ' ') {
        text = (struct mirai_str){text.data + 1, text.len - 1};
    }
    while (text.len > 0 && text.data[text.len - 1] == ' ') {
        text.len--;
    }
    return text;
}

static struct mirai_str normal(struct parser *parser, struct mirai_str text)
{
    normalize(&parser->normal, text, false);
    return trim(mirai_arena_copy(parser->arena, mirai_buf_str(&parser->normal.text)));
}

static void add_words(struct parser *parser, struct mirai_str text)
{
    mirai_buf_append_str(&parser->words, text);
    mirai_buf_append_char(&parser->words, ' ');
}

/* ------------------------------------------------------------------ filters */

static void add_filter(struct parser *parser, const struct query_filter *filter)
{
    struct query *query = parser->query;
    if (query->filters_len == QUERY_FILTERS_MAX) {
        notice(parser, "filters-cut");
        return;
    }
    size_t at = query->filters_len++;
    for (; at > 0 && query->filters[at - 1].set > filter->set; at--) {
        query->filters[at] = query->filters[at - 1];
    }
    query->filters[at] = *filter;
}

/* type:incident,problem: one of several values; only if all are known. */
static bool add_enums(struct parser *parser, const struct lexeme *lexeme, struct mirai_str values,
                      unsigned set)
{
    bool type = lexeme->key == QUERY_KEY_TYPE;
    struct query_filter found[QUERY_FILTERS_MAX];
    size_t count = 0;
    for (size_t at = 0; at <= values.len;) {
        size_t end = at;
        while (end < values.len && values.data[end] != ',') {
            end++;
        }
        struct mirai_str value = trim((struct mirai_str){values.data + at, end - at});
        int number = type ? filter_type(value) : filter_status(value);
        if (number < 0 || count == QUERY_FILTERS_MAX) {
            return false;
        }
        found[count++] = (struct query_filter){.kind = type ? QUERY_FILTER_TYPE : QUERY_FILTER_STATUS,
                                               .excluded = lexeme->excluded,
                                               .set = set,
                                               .value = number};
        at = end + 1;
    }
    for (size_t i = 0; i < count; i++) {
        const struct mirai_enum *names = type ? &mirai_enum_itsm_type : &mirai_enum_article_status;
        found[i].set =
            lexeme->excluded ? parser->next_set++ : set; /* excluded ones do not relieve each other */
        add_filter(parser, &found[i]);
        tell_filter(parser, lexeme, mirai_str(names->values[found[i].value]));
    }
    return true;
}

/* A moment; leaving out what is before it keeps what is after. */
static bool add_moment(struct parser *parser, const struct lexeme *lexeme, struct mirai_str value,
                       unsigned set)
{
    struct filter_period period;
    char text[MIRAI_RFC3339_SIZE];
    if (!filter_period(value, parser->now, &period)) {
        return false;
    }
    bool after = (lexeme->key == QUERY_KEY_AFTER) != lexeme->excluded;
    const struct query_filter filter = {.kind = after ? QUERY_FILTER_AFTER : QUERY_FILTER_BEFORE,
                                        .set = set,
                                        .value = lexeme->key == QUERY_KEY_UNTIL ? period.to : period.from};
    const struct lexeme plain = {.key = after ? QUERY_KEY_AFTER : QUERY_KEY_BEFORE};
    add_filter(parser, &filter);
    mirai_rfc3339_format(text, filter.value);
    tell_filter(parser, &plain, mirai_arena_copy(parser->arena, mirai_str(text)));
    return true;
}

static unsigned set_of(const struct lexeme *lexeme, unsigned set)
{
    if (lexeme->excluded) {
        return set;
    }
    switch (lexeme->key) {
    case QUERY_KEY_TYPE:
        return SET_TYPE;
    case QUERY_KEY_STATUS:
        return SET_STATUS;
    case QUERY_KEY_AUTHOR:
        return SET_AUTHOR;
    default:
        return set;
    }
}

/* False: its value is not understood. */
static bool take_filter(struct parser *parser, const struct lexeme *lexeme, unsigned set)
{
    struct mirai_str value = normal(parser, lexeme->text);
    struct query_filter filter = {.excluded = lexeme->excluded, .set = set_of(lexeme, set), .text = value};
    if (value.len == 0) {
        return false;
    }
    switch (lexeme->key) {
    case QUERY_KEY_TYPE:
    case QUERY_KEY_STATUS:
        return add_enums(parser, lexeme, value, filter.set);
    case QUERY_KEY_BEFORE:
    case QUERY_KEY_UNTIL:
    case QUERY_KEY_AFTER:
        return add_moment(parser, lexeme, value, filter.set);
    default:
        filter.kind = lexeme->key == QUERY_KEY_TAG ? QUERY_FILTER_TAG : QUERY_FILTER_AUTHOR;
        add_filter(parser, &filter);
        tell_filter(parser, lexeme, lexeme->text);
        return true;
    }
}

/* ------------------------------------------------------------------ phrases */

static bool is_title(const struct lexeme *lexeme)
{
    return lexeme->kind == LEXEME_FILTER && lexeme->key == QUERY_KEY_TITLE;
}

static bool says_something(struct mirai_str text)
{
    unsigned len;
    for (size_t at = 0; at < text.len; at += len) {
        if (char_class(utf8_decode(text.data + at, text.data + text.len, &len)) != CHAR_BREAK) {
            return true;
        }
    }
    return false;
}

static void tell_phrase(struct parser *parser, const struct lexeme *lexeme, struct mirai_str text)
{
    struct mirai_search_understood *understood = &parser->query->understood;
    if (is_title(lexeme)) {
        tell_filter(parser, lexeme, lexeme->text);
    } else if (lexeme->excluded) {
        add_string(parser, &understood->excluded, UNDERSTOOD_PHRASES, text);
    } else {
        add_string(parser, &understood->phrases, UNDERSTOOD_PHRASES, text);
    }
}

/* The lexemes [from, to) as one group: any of them stands (or, excluded, none). */
static void add_group(struct parser *parser, size_t from, size_t to)
{
    struct query *query = parser->query;
    struct query_group group = {.excluded = parser->lexemes[from].excluded};
    if (query->groups_len == QUERY_GROUPS_MAX) {
        notice(parser, "phrases-cut");
        return;
    }
    group.phrases = mirai_arena_alloc(parser->arena, QUERY_PHRASES_MAX * sizeof(group.phrases[0]));
    for (size_t i = from; i < to && group.phrases_len < QUERY_PHRASES_MAX; i++) {
        const struct lexeme *lexeme = &parser->lexemes[i];
        struct mirai_str text = normal(parser, lexeme->text);
        if (!says_something(text)) {
            continue;
        }
        struct query_phrase phrase = build_phrase(&parser->build, text);
        if (phrase.parts_len == 0) {
            notice(parser, "only-common-words"); /* a phrase of particles alone asks for nothing */
            continue;
        }
        phrase.title_only = is_title(lexeme);
        group.phrases[group.phrases_len++] = phrase;
        tell_phrase(parser, lexeme, text);
        if (!lexeme->excluded) {
            build_mark(&parser->build, text);
        }
    }
    if (group.phrases_len > 0) {
        query->groups[query->groups_len++] = group;
    }
}

/* ------------------------------------------------------------------ runs of alternatives */

enum run_kind {
    RUN_WORDS,   /* any of them is looked for, as always */
    RUN_FILTERS, /* of one key */
    RUN_GROUP,   /* words, phrases and titles of which one must stand */
    RUN_MIXED,   /* cannot be said in one breath: each stands for itself */
};

static enum run_kind run_kind(const struct parser *parser, size_t from, size_t to)
{
    const struct lexeme *first = &parser->lexemes[from];
    bool words = true;
    bool filters = true;
    bool group = true;
    for (size_t i = from; i < to; i++) {
        const struct lexeme *lexeme = &parser->lexemes[i];
        bool alone = lexeme->excluded && to - from > 1;
        bool filter = lexeme->kind == LEXEME_FILTER && !is_title(lexeme);
        words &= lexeme->kind == LEXEME_WORD && !lexeme->excluded;
        filters &= filter && lexeme->key == first->key && !alone;
        group &= !filter && !alone;
    }
    return words ? RUN_WORDS : filters ? RUN_FILTERS : group ? RUN_GROUP : RUN_MIXED;
}

static void take_run(struct parser *parser, size_t from, size_t to)
{
    enum run_kind kind = run_kind(parser, from, to);
    if (kind == RUN_MIXED) {
        notice(parser, "alternatives-not-understood");
        for (size_t i = from; i < to; i++) {
            take_run(parser, i, i + 1);
        }
        return;
    }
    unsigned set = kind == RUN_FILTERS ? parser->next_set++ : 0;
    for (size_t i = from; i < to; i++) {
        struct lexeme *lexeme = &parser->lexemes[i];
        if (kind == RUN_FILTERS) {
            if (!take_filter(parser, lexeme, set)) {
                notice(parser, "value-not-understood");
                add_words(parser, lexeme->whole);
            }
        } else if (!lexeme->excluded) {
            add_words(parser, lexeme->text);
        }
    }
    if (kind == RUN_GROUP) {
        add_group(parser, from, to);
    }
}

static void take_all(struct parser *parser)
{
    for (size_t from = 0; from < parser->lexemes_len;) {
        size_t to = from + 1;
        while (to < parser->lexemes_len && parser->lexemes[to].alternative) {
            to++;
        }
        take_run(parser, from, to);
        from = to;
    }
}

/* ------------------------------------------------------------------ the whole query */

static struct mirai_str cut_chars(struct mirai_str text, size_t chars)
{
    size_t at = 0;
    for (; at < text.len && chars > 0; chars--) {
        do {
            at++;
        } while (at < text.len && ((unsigned char)text.data[at] & 0xC0) == 0x80);
    }
    return (struct mirai_str){text.data, at};
}

/* The words without spaces and signs: a title that is just that is the one. */
static struct mirai_str title_key(struct parser *parser, struct mirai_str words)
{
    char *key = mirai_arena_alloc(parser->arena, words.len + 1);
    size_t len = 0;
    unsigned bytes;
    for (size_t at = 0; at < words.len; at += bytes) {
        if (char_class(utf8_decode(words.data + at, words.data + words.len, &bytes)) != CHAR_BREAK) {
            memcpy(key + len, words.data + at, bytes);
            len += bytes;
        }
    }
    return (struct mirai_str){key, len};
}

/* The index has no terms for words as common as these: then what the filters let through is listed, newest first, and
 * the answer says why. */
static void take_common_words(struct parser *parser, struct mirai_str words)
{
    struct query *query = parser->query;
    if (words.len == 0 || query->terms_len > 0 || query->groups_len > 0) {
        return;
    }
    notice(parser, says_something(words) ? "only-common-words" : "only-signs");
    add_string(parser, &query->understood.words, UNDERSTOOD_WORDS, words);
    build_mark(&parser->build, words);
}

static void tell_synonyms(struct parser *parser)
{
    struct query *query = parser->query;
    for (size_t i = 0; i < query->terms_len; i++) {
        for (size_t j = 0; j < query->terms[i].alternatives_len; j++) {
            const struct query_alternative *alternative = &query->terms[i].alternatives[j];
            if (alternative->synonym) {
                add_string(parser, &query->understood.synonyms, UNDERSTOOD_WORDS, alternative->text);
                mirai_mark(search_understood, &query->understood, synonyms);
            }
        }
    }
}

static void take_words(struct parser *parser)
{
    struct query *query = parser->query;
    struct mirai_str words = normal(parser, mirai_buf_str(&parser->words));
    query->title_key = title_key(parser, words);
    build_terms(&parser->build, words);
    for (size_t i = 0; i < query->terms_len; i++) {
        if (query->terms[i].view == ANALYZER_WORD) {
            add_string(parser, &query->understood.words, UNDERSTOOD_WORDS, query->terms[i].text);
        }
    }
    if (query->understood.words.count == 0 && query->terms_len > 0) {
        add_string(parser, &query->understood.words, UNDERSTOOD_WORDS, words);
    }
    build_vocabulary(&parser->build, parser->vocabulary, words);
    tell_synonyms(parser);
    if (parser->build.cut) {
        notice(parser, "terms-cut");
    }
    take_common_words(parser, words);
}

static void read_lexemes(struct parser *parser, struct mirai_str text)
{
    struct lexer lexer;
    lexer_begin(&lexer, text);
    parser->lexemes = mirai_arena_alloc(parser->arena, LEXEMES_MAX * sizeof(parser->lexemes[0]));
    while (parser->lexemes_len < LEXEMES_MAX && lexer_next(&lexer, &parser->lexemes[parser->lexemes_len])) {
        parser->lexemes_len++;
    }
    if (lexer.unclosed) {
        notice(parser, "quote-not-closed");
    }
    if (parser->lexemes_len == 0) {
        add_words(parser, text); /* OR, NOT: nothing but operators are words */
    }
}

static void allot(struct query *query, struct mirai_arena *arena)
{
    *query =
        (struct query){.terms = mirai_arena_alloc(arena, 2 * QUERY_TERMS_MAX * sizeof(query->terms[0])),
                       .groups = mirai_arena_alloc(arena, QUERY_GROUPS_MAX * sizeof(query->groups[0])),
                       .filters = mirai_arena_alloc(arena, QUERY_FILTERS_MAX * sizeof(query->filters[0])),
                       .marks = mirai_arena_alloc(arena, QUERY_MARKS_MAX * sizeof(query->marks[0]))};
}

void query_parse(struct analyzer *analyzer, const struct vocabulary_snapshot *vocabulary,
                 struct mirai_str text, struct mirai_arena *arena, struct query *query)
{
    allot(query, arena);
    struct parser parser = {.build = {.analyzer = analyzer, .arena = arena, .query = query},
                            .arena = arena,
                            .query = query,
                            .vocabulary = vocabulary,
                            .next_set = SET_OTHERS,
                            .now = mirai_now_ms()};
    struct mirai_str cut = mirai_arena_copy(arena, cut_chars(text, QUERY_CHARS_MAX));
    if (cut.len < text.len) {
        notice(&parser, "query-cut");
    }
    read_lexemes(&parser, cut);
    take_all(&parser);
    take_words(&parser);
    mirai_mark(search_understood, &query->understood, words);
    mirai_mark(search_understood, &query->understood, phrases);
    mirai_mark(search_understood, &query->understood, excluded);
    mirai_mark(search_understood, &query->understood, filters);
    mirai_buf_free(&parser.words);
    normalized_free(&parser.normal);
}
