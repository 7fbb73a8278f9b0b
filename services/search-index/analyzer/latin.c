#include "services/search-index/analyzer/latin.h"

#include "services/search-index/analyzer/stopwords.h"

/* Longest word whose letters and digits are also indexed apart; longer mixtures are keys and hashes. */
#define PIECES_WORD_MAX 24

struct emitter {
    struct mirai_str text;
    analyzer_token_cb callback;
    void *data;
};

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

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* Plural endings of English (the S stemmer; Harman 1991, "How effective is suffixing?"). The place for a
 * better one. */
static struct mirai_str stem(struct mirai_str word, char out[ANALYZER_TERM_MAX])
{
    size_t n = word.len;
    if (n < 4 || n > ANALYZER_TERM_MAX || word.data[n - 1] != 's') {
        return word;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_lower(word.data[i])) {
            return word;
        }
    }
    char b = word.data[n - 2];
    char a = word.data[n - 3];
    if (b == 'e' && a == 'i' && n > 4 && word.data[n - 4] != 'e' && word.data[n - 4] != 'a') {
        memcpy(out, word.data, n - 3);
        out[n - 3] = 'y';
        return (struct mirai_str){out, n - 2};
    }
    if (b == 'u' || b == 's' || (b == 'e' && (a == 'a' || a == 'e' || a == 'o'))) {
        return word;
    }
    return (struct mirai_str){word.data, n - 1};
}

/* The letters and the digits of a mixed word: kb5034441 -> kb, 5034441; 0x8007000e -> 8007000e. */
static void emit_pieces(const struct emitter *e, size_t start, size_t end)
{
    const char *s = e->text.data;
    if (end - start > PIECES_WORD_MAX) {
        return;
    }
    if (end - start > 3 && s[start] == '0' && s[start + 1] == 'x') {
        emit(e, start + 2, end);
        return;
    }
    for (size_t i = start; i < end;) {
        size_t from = i;
        bool digits = is_digit(s[i]);
        while (i < end && is_digit(s[i]) == digits) {
            i++;
        }
        if (i - from >= 2 && i - from < end - start) {
            emit(e, from, i);
        }
    }
}

static void emit_word(const struct emitter *e, size_t start, size_t end)
{
    struct mirai_str word = {e->text.data + start, end - start};
    char stemmed[ANALYZER_TERM_MAX];
    if (is_stopword(word)) {
        return;
    }
    emit_term(e, stem(word, stemmed), start, end);
    emit_pieces(e, start, end);
    /* c#, c++: a sign that makes another name of a short one */
    size_t room = e->text.len - end;
    size_t sign = room >= 1 && e->text.data[end] == '#'                   ? 1
                  : room >= 2 && memcmp(e->text.data + end, "++", 2) == 0 ? 2
                                                                          : 0;
    if (sign != 0 && end - start == 1) {
        emit(e, start, end + sign);
    }
}

/* Split [start, end) at the bytes of `joiners`. */
static void split(const struct emitter *e, size_t start, size_t end, const char *joiners,
                  void (*part)(const struct emitter *, size_t, size_t))
{
    size_t from = start;
    for (size_t i = start; i <= end; i++) {
        if (i == end || (e->text.data[i] != '\0' && strchr(joiners, e->text.data[i]) != NULL)) {
            if (i > from) {
                part(e, from, i);
            }
            from = i + 1;
        }
    }
}

/* A host or file name inside of an address or a path. */
static void emit_segment(const struct emitter *e, size_t start, size_t end)
{
    for (size_t i = start; i < end; i++) {
        if (strchr("._-", e->text.data[i]) != NULL && end - start <= ANALYZER_TERM_MAX) {
            emit(e, start, end);
            return;
        }
    }
}

static bool latin_at(struct mirai_str text, size_t at, unsigned *len)
{
    return at < text.len && char_class(utf8_decode(text.data + at, text.data + text.len, len)) == CHAR_LATIN;
}

size_t latin_run(struct mirai_str text, size_t at, analyzer_token_cb callback, void *data)
{
    const struct emitter e = {text, callback, data};
    bool joined = false;
    bool path = false;
    size_t end = at;
    for (unsigned len = 0; latin_at(text, end, &len); end += len) {
        size_t next = end + len;
        unsigned ignored;
        if (next + 1 >= text.len || strchr("._-/\\:@", text.data[next]) == NULL || text.data[next] == '\0') {
            continue;
        }
        bool drive = text.data[next] == ':' && text.data[next + 1] == '\\'; /* c:\users */
        if (latin_at(text, next + (drive ? 2 : 1), &ignored)) {
            joined = true;
            path = path || strchr("/\\:@", text.data[next]) != NULL;
            len += drive ? 2 : 1;
        }
    }
    if (joined && end - at <= ANALYZER_TERM_MAX) {
        emit(&e, at, end);
        if (text.data[at] == 'v' && is_digit(text.data[at + 1])) {
            emit(&e, at + 1, end);
        }
    }
    if (path) {
        split(&e, at, end, "/\\:@", emit_segment);
    }
    split(&e, at, end, "._-/\\:@", emit_word);
    return end;
}
