#include "services/search-index/query/query.h"
#include "services/search-index/terms.h"

#include <stdlib.h>

struct parser {
    struct analyzer *analyzer;
    struct mirai_arena *arena;
    struct query *query;
    struct mirai_str text;       /* being analysed */
    struct query_phrase *phrase; /* NULL: free text */
    bool excluded;
    size_t counts[2]; /* free terms by view */
    size_t counted;   /* bytes of text up to which positions are counted */
    uint32_t position;
};

/* Summing the views. Tuned as the numbers in terms.c. */
static const double view_weights[] = {[ANALYZER_WORD] = 1.0, [ANALYZER_BIGRAM] = 0.35};

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t';
}

/* Characters before `at` that are not breaks: a position as texts have them. */
static uint32_t position_at(struct parser *parser, size_t at)
{
    if (at < parser->counted) {
        parser->counted = 0;
        parser->position = 0;
    }
    while (parser->counted < at) {
        unsigned len;
        uint32_t cp =
            utf8_decode(parser->text.data + parser->counted, parser->text.data + parser->text.len, &len);
        parser->position += char_class(cp) != CHAR_BREAK;
        parser->counted += len;
    }
    return parser->position;
}

static struct query_part make_part(struct parser *parser, const struct analyzer_token *token)
{
    struct mirai_buf key = {0};
    terms_append_key(&key, token);
    struct query_part part = {.key = mirai_arena_copy(parser->arena, mirai_buf_str(&key)),
                              .offset = position_at(parser, token->start)};
    mirai_buf_free(&key);
    unsigned len;
    utf8_decode(token->term.data, token->term.data + token->term.len, &len);
    part.prefix =
        token->view == ANALYZER_BIGRAM && len == token->term.len; /* one character: any pair that it begins */
    return part;
}

static void add_mark(struct query *query, struct mirai_str mark)
{
    for (size_t i = 0; i < query->marks_len; i++) {
        if (mirai_str_eq(query->marks[i], mark)) {
            return;
        }
    }
    if (query->marks_len < QUERY_MARKS_MAX) {
        query->marks[query->marks_len++] = mark;
    }
}

static enum char_class class_before(struct mirai_str text, size_t at)
{
    unsigned len;
    do {
        at--;
    } while (at > 0 && ((unsigned char)text.data[at] & 0xC0) == 0x80);
    return char_class(utf8_decode(text.data + at, text.data + text.len, &len));
}

/* The last character of a longer run: anything may follow it in a text, and the pair before it has said as
 * much. */
static bool is_run_end(const struct parser *parser, const struct analyzer_token *token, bool single)
{
    return single && token->start > 0 && class_before(parser->text, token->start) >= CHAR_HIRAGANA;
}

static void add_free_term(struct parser *parser, const struct analyzer_token *token)
{
    struct query *query = parser->query;
    struct query_part *part = mirai_arena_alloc(parser->arena, sizeof(*part));
    *part = make_part(parser, token);
    if (parser->counts[token->view] == QUERY_TERMS_MAX || is_run_end(parser, token, part->prefix)) {
        return;
    }
    for (size_t i = 0; i < query->terms_len; i++) {
        if (mirai_str_eq(query->terms[i].alternatives[0].parts[0].key, part->key)) {
            return;
        }
    }
    struct mirai_str text = mirai_arena_copy(
        parser->arena, (struct mirai_str){parser->text.data + token->start, token->end - token->start});
    struct query_alternative *alternative = mirai_arena_alloc(parser->arena, sizeof(*alternative));
    *alternative = (struct query_alternative){.parts = part, .parts_len = 1, .weight = 1, .text = text};
    parser->counts[token->view]++;
    query->terms[query->terms_len++] = (struct query_term){.alternatives = alternative,
                                                           .alternatives_len = 1,
                                                           .view = token->view,
                                                           .weight = view_weights[token->view],
                                                           .position = part->offset,
                                                           .text = text};
    part->offset = 0;
    if (token->view == ANALYZER_WORD) {
        struct mirai_str typed = {parser->text.data + token->start, token->end - token->start};
        add_mark(query, typed);
        if (!mirai_str_eq(typed, token->term)) {
            add_mark(query, mirai_arena_copy(parser->arena, token->term));
        }
    }
}

/* Groups look for strings, and where MeCab cuts depends on what stands around: bigrams are surer than words,
 * where there are any. */
static bool fits_group(const struct parser *parser, const struct analyzer_token *token, bool single)
{
    unsigned len;
    const char *start = parser->text.data + token->start;
    enum char_class class = char_class(utf8_decode(start, parser->text.data + parser->text.len, &len));
    if (token->view == ANALYZER_WORD) {
        return class == CHAR_LATIN || class == CHAR_HIRAGANA;
    }
    /* the last character of a run is followed by anything in a text: it says nothing that the pair before did
     * not */
    return !single || token->start == 0 || class_before(parser->text, token->start) < CHAR_HIRAGANA;
}

static void add_group_term(struct parser *parser, const struct analyzer_token *token)
{
    struct query_phrase *phrase = parser->phrase;
    struct query_part part = make_part(parser, token);
    if (phrase->parts_len < QUERY_PARTS_MAX && fits_group(parser, token, part.prefix)) {
        part.offset -= phrase->parts_len > 0 ? phrase->parts[0].offset : 0;
        phrase->parts[phrase->parts_len++] = part;
    }
}

static void on_token(void *data, const struct analyzer_token *token)
{
    struct parser *parser = data;
    if (parser->phrase == NULL) {
        add_free_term(parser, token);
        return;
    }
    add_group_term(parser, token);
    if (!parser->excluded) {
        add_free_term(parser, token);
    }
}

static void analyze(struct parser *parser, struct mirai_str text, struct query_phrase *phrase)
{
    parser->text = text;
    parser->phrase = phrase;
    parser->counted = 0;
    parser->position = 0;
    analyzer_run(parser->analyzer, text, on_token, parser);
}

static void add_group(struct parser *parser, struct mirai_str text, bool excluded)
{
    struct query *query = parser->query;
    if (query->groups_len == QUERY_GROUPS_MAX || text.len == 0) {
        return;
    }
    struct query_phrase *phrase = mirai_arena_alloc(parser->arena, sizeof(*phrase));
    *phrase = (struct query_phrase){.text = text};
    phrase->parts = mirai_arena_alloc(parser->arena, QUERY_PARTS_MAX * sizeof(phrase->parts[0]));
    parser->excluded = excluded;
    analyze(parser, text, phrase);
    if (phrase->parts_len > 0) { /* a phrase of particles alone says nothing */
        phrase->parts[0].offset = 0;
        query->groups[query->groups_len++] = (struct query_group){excluded, phrase, 1};
    }
}

/* Index of a wire string; -1: none. */
static int enum_value(const struct mirai_enum *enumeration, struct mirai_str value)
{
    for (int i = 0; enumeration->values[i] != NULL; i++) {
        if (mirai_str_eq(mirai_str(enumeration->values[i]), value)) {
            return i;
        }
    }
    return -1;
}

static bool take_filter(struct query *query, struct mirai_str chunk)
{
    const char *colon = memchr(chunk.data, ':', chunk.len);
    if (colon == NULL || colon + 1 == chunk.data + chunk.len) {
        return false;
    }
    struct mirai_str key = {chunk.data, (size_t)(colon - chunk.data)};
    struct mirai_str value = {colon + 1, chunk.len - key.len - 1};
    struct query_filter filter = {.set = (unsigned)query->filters_len, .text = value};
    if (mirai_str_eq(key, MIRAI_STR("tag"))) {
        filter.kind = QUERY_FILTER_TAG;
    } else if (mirai_str_eq(key, MIRAI_STR("type"))) {
        filter.kind = QUERY_FILTER_TYPE;
        filter.value = enum_value(&mirai_enum_itsm_type, value);
    } else if (mirai_str_eq(key, MIRAI_STR("status"))) {
        filter.kind = QUERY_FILTER_STATUS;
        filter.value = enum_value(&mirai_enum_article_status, value);
    } else {
        return false;
    }
    if (query->filters_len < QUERY_FILTERS_MAX) {
        query->filters[query->filters_len++] = filter;
    }
    return true;
}

/* Take one chunk from the front of `rest`: -chunk, "quoted", key:value, or free text. */
static struct mirai_str take_chunk(struct parser *parser, struct mirai_str rest, struct mirai_buf *free_text)
{
    const char *end = rest.data + rest.len;
    const char *p = rest.data;
    bool excluded = p + 1 < end && *p == '-' && !is_space(p[1]) && p[1] != '-';
    p += excluded;
    if (*p == '"') {
        const char *close = memchr(p + 1, '"', (size_t)(end - p - 1));
        const char *stop = close != NULL ? close : end;
        add_group(parser, (struct mirai_str){p + 1, (size_t)(stop - p - 1)}, excluded);
        p = close != NULL ? close + 1 : end;
        return (struct mirai_str){p, (size_t)(end - p)};
    }
    const char *stop = p;
    while (stop < end && !is_space(*stop) && *stop != '"') {
        stop++;
    }
    struct mirai_str chunk = {p, (size_t)(stop - p)};
    if (excluded) {
        add_group(parser, chunk, true);
    } else if (!take_filter(parser->query, chunk)) {
        mirai_buf_append_str(free_text, chunk);
        mirai_buf_append_char(free_text, ' ');
    }
    return (struct mirai_str){stop, (size_t)(end - stop)};
}

/* “ and ” are quotation marks of phrases, too. */
static void straighten_quotes(struct mirai_str text, struct mirai_buf *out)
{
    for (size_t i = 0; i < text.len;) {
        bool curly =
            text.len - i >= 3 && (memcmp(text.data + i, "“", 3) == 0 || memcmp(text.data + i, "”", 3) == 0);
        mirai_buf_append_char(out, curly ? '"' : text.data[i]);
        i += curly ? 3 : 1;
    }
}

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

void query_parse(struct analyzer *analyzer, struct mirai_str text, struct mirai_arena *arena,
                 struct query *query)
{
    *query =
        (struct query){.terms = mirai_arena_alloc(arena, 2 * QUERY_TERMS_MAX * sizeof(query->terms[0])),
                       .groups = mirai_arena_alloc(arena, QUERY_GROUPS_MAX * sizeof(query->groups[0])),
                       .filters = mirai_arena_alloc(arena, QUERY_FILTERS_MAX * sizeof(query->filters[0])),
                       .marks = mirai_arena_alloc(arena, QUERY_MARKS_MAX * sizeof(query->marks[0]))};
    struct parser parser = {.analyzer = analyzer, .arena = arena, .query = query};
    struct normalized normal = {0};
    struct mirai_buf straight = {0};
    struct mirai_buf free_text = {0};
    normalize(&normal, cut_chars(text, QUERY_CHARS_MAX), false);
    straighten_quotes(mirai_buf_str(&normal.text), &straight);
    struct mirai_str rest = mirai_arena_copy(arena, mirai_buf_str(&straight));
    while (rest.len > 0) {
        if (is_space(rest.data[0])) {
            rest = (struct mirai_str){rest.data + 1, rest.len - 1};
        } else {
            rest = take_chunk(&parser, rest, &free_text);
        }
    }
    analyze(&parser, mirai_arena_copy(arena, mirai_buf_str(&free_text)), NULL);
    normalized_free(&normal);
    mirai_buf_free(&straight);
    mirai_buf_free(&free_text);
}
