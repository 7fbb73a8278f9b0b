#include "services/search-index/analyzer/latin.h"

#include "services/search-index/analyzer/stopwords.h"

#include <libstemmer.h>
#include <stdlib.h>

/* Longest word whose letters and digits, and whose humps, are also indexed apart; longer mixtures are keys and hashes. */
#define PIECES_WORD_MAX 24
#define HUMPS_WORD_MAX  48

/* Most bytes and parts of what is also indexed without its hyphens. */
#define CLOSED_MAX       40
#define CLOSED_PARTS_MAX 8

struct latin {
    struct sb_stemmer *stemmer; /* Porter2; NULL: words stay as they are */
};

struct emitter {
    struct latin *latin;
    struct mirai_str text;
    struct mirai_str upper;
    analyzer_token_cb callback;
    void *data;
};

/* A run: words joined by signs. */
struct run {
    size_t start;
    size_t end;
    bool joined; /* has a sign */
    bool path;   /* has one of / \ : @ */
};

struct latin *latin_new(void)
{
    struct latin *latin = mirai_alloc(sizeof(*latin));
    latin->stemmer = sb_stemmer_new("english", "UTF_8");
    return latin;
}

void latin_free(struct latin *latin)
{
    if (latin != NULL) {
        sb_stemmer_delete(latin->stemmer);
        free(latin);
    }
}

/* ------------------------------------------------------------------ characters */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool is_one_of(char c, const char *signs)
{
    return c != '\0' && strchr(signs, c) != NULL;
}

static bool latin_at(struct mirai_str text, size_t at, unsigned *len)
{
    return at < text.len && char_class(utf8_decode(text.data + at, text.data + text.len, len)) == CHAR_LATIN;
}

static bool was_upper(const struct emitter *e, size_t at)
{
    return at / 8 < e->upper.len && ((unsigned char)e->upper.data[at / 8] >> at % 8 & 1) != 0;
}

/* ------------------------------------------------------------------ emitting */

static void emit_term(const struct emitter *e, struct mirai_str term, size_t start, size_t end)
{
    const struct analyzer_token token = {ANALYZER_WORD, mirai_utf8_prefix(term, ANALYZER_TERM_MAX), start,
                                         end};
    e->callback(e->data, &token);
}

static void emit(const struct emitter *e, size_t start, size_t end)
{
    emit_term(e, (struct mirai_str){e->text.data + start, end - start}, start, end);
}

/* A word that is letters alone by its stem, unless it says nothing. */
static void emit_stem(const struct emitter *e, size_t start, size_t end)
{
    struct mirai_str word = {e->text.data + start, end - start};
    bool letters = word.len >= 3 && word.len <= ANALYZER_TERM_MAX && e->latin->stemmer != NULL;
    if (is_stopword(word)) {
        return;
    }
    for (size_t i = 0; letters && i < word.len; i++) {
        letters = is_lower(word.data[i]);
    }
    if (letters) {
        const sb_symbol *stem =
            sb_stemmer_stem(e->latin->stemmer, (const sb_symbol *)word.data, (int)word.len);
        int len = sb_stemmer_length(e->latin->stemmer);
        if (stem != NULL && len > 0) {
            word = (struct mirai_str){(const char *)stem, (size_t)len};
        }
    }
    emit_term(e, word, start, end);
}

/* [start, end) without its signs: wi-fi as wifi. */
static void emit_closed(const struct emitter *e, size_t start, size_t end, const char *signs)
{
    char closed[ANALYZER_TERM_MAX];
    size_t len = 0;
    for (size_t i = start; i < end; i++) {
        if (!is_one_of(e->text.data[i], signs)) {
            closed[len++] = e->text.data[i];
        }
    }
    emit_term(e, (struct mirai_str){closed, len}, start, end);
}

/* ------------------------------------------------------------------ inside of a word */

/* Whether a hump of camelCase begins: connectionReset, XMLHttp. */
static bool hump_at(const struct emitter *e, size_t at, size_t start, size_t end)
{
    const char *s = e->text.data;
    if (at == start || !was_upper(e, at) || !is_lower(s[at - 1])) {
        return false;
    }
    return !was_upper(e, at - 1) || (at + 1 < end && is_lower(s[at + 1]) && !was_upper(e, at + 1));
}

/* PCs, URLs: the plural of an abbreviation, where stems do not help. */
static bool is_plural_of_capitals(const struct emitter *e, size_t start, size_t end)
{
    if (end - start < 3 || e->text.data[end - 1] != 's' || was_upper(e, end - 1)) {
        return false;
    }
    for (size_t i = start; i < end - 1; i++) {
        if (!was_upper(e, i)) {
            return false;
        }
    }
    return true;
}

static void emit_digits(const struct emitter *e, size_t start, size_t end)
{
    size_t zeros = start;
    emit(e, start, end);
    while (zeros < end && e->text.data[zeros] == '0') {
        zeros++;
    }
    if (zeros > start && end - zeros >= 3) { /* INC0012345 is asked for as INC12345, too */
        emit(e, zeros, end);
    }
}

/* The piece that begins at `at`: letters or digits of a mixed word (kb5034441: kb, 5034441). */
static void emit_piece(const struct emitter *e, size_t at, size_t start, size_t end)
{
    const char *s = e->text.data;
    bool digits = is_digit(s[at]);
    size_t stop = at;
    if (at > start && is_digit(s[at - 1]) == digits) {
        return;
    }
    while (stop < end && is_digit(s[stop]) == digits) {
        stop++;
    }
    if (stop - at >= 2 && stop - at < end - start) {
        if (digits) {
            emit_digits(e, at, stop);
        } else {
            emit(e, at, stop);
        }
    }
}

/* The hump that begins at `at`. */
static void emit_hump(const struct emitter *e, size_t at, size_t start, size_t end)
{
    size_t stop = at + 1;
    if (at > start && !hump_at(e, at, start, end)) {
        return;
    }
    while (stop < end && is_lower(e->text.data[stop]) && !hump_at(e, stop, start, end)) {
        stop++;
    }
    bool hump = at > start || (stop < end && is_lower(e->text.data[stop]));
    if (hump && stop - at >= 2) {
        emit_stem(e, at, stop);
    }
}

static void emit_parts(const struct emitter *e, size_t start, size_t end)
{
    const char *s = e->text.data;
    size_t len = end - start;
    bool humps = len <= HUMPS_WORD_MAX && start / 8 < e->upper.len;
    if (is_plural_of_capitals(e, start, end)) {
        emit(e, start, end - 1);
        return;
    }
    if (len > 3 && len <= PIECES_WORD_MAX && s[start] == '0' &&
        s[start + 1] == 'x') { /* 0x8007000e: 8007000e */
        emit(e, start + 2, end);
        return;
    }
    for (size_t i = start; len <= HUMPS_WORD_MAX && i < end; i++) {
        if (len <= PIECES_WORD_MAX) {
            emit_piece(e, i, start, end);
        }
        if (humps) {
            emit_hump(e, i, start, end);
        }
    }
}

/* c#, c++: a sign that makes another name of a short one. */
static void emit_signed(const struct emitter *e, size_t start, size_t end)
{
    size_t room = e->text.len - end;
    size_t sign = room >= 1 && e->text.data[end] == '#'                   ? 1
                  : room >= 2 && memcmp(e->text.data + end, "++", 2) == 0 ? 2
                                                                          : 0;
    if (sign != 0 && end - start == 1) {
        emit(e, start, end + sign);
    }
}

/* ------------------------------------------------------------------ inside of a run */

/* Where digits with dots between them end, at the end or before a suffix (2.3.1-beta); `start` when there are none. */
static size_t dotted_number_end(const struct emitter *e, size_t start, size_t end)
{
    const char *s = e->text.data;
    bool dots = false;
    size_t at = start;
    while (at < end && (is_digit(s[at]) || s[at] == '.')) {
        dots = dots || s[at] == '.';
        at++;
    }
    return dots && (at == end || s[at] == '-') ? at : start;
}

/* 192.168.0.1: also as 192.168 and 192.168.0. */
static void emit_beginnings(const struct emitter *e, size_t start, size_t end)
{
    unsigned dots = 0;
    for (size_t i = start; i < end; i++) {
        if (e->text.data[i] == '.' && dots++ > 0) {
            emit(e, start, i);
        }
    }
}

/* Where the segment of a path, an address or a URL ends that begins at `at`. */
static size_t segment_end(const struct emitter *e, const struct run *run, size_t at)
{
    while (at < run->end && !is_one_of(e->text.data[at], "/\\:@")) {
        at++;
    }
    return at;
}

/* A host or file name inside of an address or a path. */
static void emit_segment(const struct emitter *e, const struct run *run, size_t start, size_t end)
{
    bool joined = false;
    for (size_t i = start; i < end && !joined; i++) {
        joined = is_one_of(e->text.data[i], "._-");
    }
    if (!joined || end - start > ANALYZER_TERM_MAX) {
        return;
    }
    if (start != run->start || end != run->end) {
        emit(e, start, end);
    }
    size_t number_end = dotted_number_end(e, start, end);
    if (number_end != start) {
        emit_beginnings(e, start, number_end);
        if (number_end != end) {
            emit(e, start, number_end);
        }
    }
}

/* The domain of a host (dc01.corp.local: corp.local) that begins inside of its name. */
static void emit_domain(const struct emitter *e, size_t segment, size_t start, size_t end)
{
    bool dot = false;
    if (start == segment || end - segment > ANALYZER_TERM_MAX || e->text.data[start - 1] != '.' ||
        is_digit(e->text.data[end - 1])) { /* 192.168.0.1 */
        return;
    }
    for (size_t i = start; i < end; i++) {
        if (is_one_of(e->text.data[i], "_-")) {
            return;
        }
        dot = dot || e->text.data[i] == '.';
    }
    if (dot) {
        emit(e, start, end);
    }
}

/* The run without its hyphens (e-mail, 2024-01-31) or, of an address of hardware, colons. */
static void emit_run_closed(const struct emitter *e, const struct run *run)
{
    unsigned hyphens = 0;
    unsigned colons = 0;
    bool hex = true;
    for (size_t i = run->start; i < run->end; i++) {
        char c = e->text.data[i];
        hyphens += c == '-';
        colons += c == ':';
        hex = hex && (c == ':' || is_hex(c));
        if (is_one_of(c, "._/\\@")) {
            return;
        }
    }
    if (hyphens > 0 && hyphens < CLOSED_PARTS_MAX && colons == 0) {
        emit_closed(e, run->start, run->end, "-");
    } else if (colons == 5 && hyphens == 0 && hex && run->end - run->start == 17) {
        emit_closed(e, run->start, run->end, ":");
    }
}

static void emit_whole(const struct emitter *e, const struct run *run)
{
    size_t len = run->end - run->start;
    if (run->joined && len <= ANALYZER_TERM_MAX) {
        emit(e, run->start, run->end);
    }
    if (run->joined && len <= CLOSED_MAX) {
        emit_run_closed(e, run);
    }
}

static void emit_words(const struct emitter *e, const struct run *run)
{
    const char *s = e->text.data;
    size_t segment = run->start; /* that the word is in */
    size_t segment_stop = segment_end(e, run, segment);
    emit_segment(e, run, segment, segment_stop);
    for (size_t start = run->start; start < run->end;) {
        size_t end = start;
        while (end < run->end && !is_one_of(s[end], "._-/\\:@")) {
            end++;
        }
        if (start >= segment_stop) {
            segment = start;
            segment_stop = segment_end(e, run, start);
            emit_segment(e, run, segment, segment_stop);
        }
        emit_domain(e, segment, start, segment_stop);
        if (end > start && (end - start > 1 || !run->joined)) { /* one letter or digit of many says nothing */
            emit_stem(e, start, end);
        }
        if (start == run->start && run->joined && s[start] == 'v' &&
            segment_stop - start <= ANALYZER_TERM_MAX) { /* v2.3.1: 2.3.1 */
            size_t number_end = dotted_number_end(e, start + 1, segment_stop);
            if (number_end != start + 1) {
                emit_beginnings(e, start + 1, number_end);
                emit(e, start + 1, number_end);
            }
        }
        struct mirai_str word = {s + start, end - start};
        if (end - start > 1 && !is_stopword(word)) {
            emit_parts(e, start, end);
        }
        emit_signed(e, start, end);
        start = end + 1;
    }
}

/* 12,345: one number. Returns where it ends; `at` when it is none. */
static size_t emit_grouped_number(const struct emitter *e, size_t at)
{
    struct mirai_str text = e->text;
    size_t end = at;
    unsigned len;
    while (end < text.len && end - at < 4 && is_digit(text.data[end])) {
        end++;
    }
    size_t first = end;
    while (end + 3 < text.len && end - at < CLOSED_MAX && text.data[end] == ',' &&
           is_digit(text.data[end + 1]) && is_digit(text.data[end + 2]) && is_digit(text.data[end + 3])) {
        end += 4;
    }
    if (first == at || first - at > 3 || end == first || latin_at(text, end, &len) ||
        (end + 1 < text.len && is_one_of(text.data[end], ".,-/:") && is_digit(text.data[end + 1]))) {
        return at;
    }
    emit_closed(e, at, end, ",");
    return end;
}

/* Bytes of the sign that joins what stands before `at` to what follows; 0: none does. */
static unsigned sign_at(struct mirai_str text, size_t at)
{
    unsigned len;
    if (at + 1 >= text.len || !is_one_of(text.data[at], "._-/\\:@")) {
        return 0;
    }
    bool two = text.data[at] == ':' &&
               (text.data[at + 1] == '\\' || text.data[at + 1] == ':'); /* c:\users, fe80::1 */
    return latin_at(text, at + (two ? 2 : 1), &len) ? (two ? 2 : 1) : 0;
}

size_t latin_run(struct latin *latin, struct mirai_str text, struct mirai_str upper, size_t at,
                 analyzer_token_cb callback, void *data)
{
    const struct emitter e = {latin, text, upper, callback, data};
    struct run run = {.start = at, .end = at};
    size_t number_end = emit_grouped_number(&e, at);
    if (number_end != at) {
        return number_end;
    }
    for (unsigned len = 0; latin_at(text, run.end, &len); run.end += len) {
        size_t next = run.end + len;
        unsigned sign = sign_at(text, next);
        run.joined = run.joined || sign != 0;
        run.path = run.path || (sign != 0 && is_one_of(text.data[next], "/\\:@"));
        len += sign;
    }
    emit_whole(&e, &run);
    emit_words(&e, &run);
    return run.end;
}
