#include "services/knowledge-store/fold.h"

#include "services/knowledge-store/nfkc.h"

/* Bytes of the white space character at `at` of valid UTF-8 (White_Space of UAX #44); 0: it is none. */
static size_t space_at(struct mirai_str s, size_t at)
{
    static const struct mirai_str spaces[] = {
        MIRAI_STR("\xc2\x85"),     MIRAI_STR("\xc2\xa0"),     MIRAI_STR("\xe1\x9a\x80"),
        MIRAI_STR("\xe2\x80\xa8"), MIRAI_STR("\xe2\x80\xa9"), MIRAI_STR("\xe2\x80\xaf"),
        MIRAI_STR("\xe2\x81\x9f"), MIRAI_STR("\xe3\x80\x80"),
    };
    unsigned char head = (unsigned char)s.data[at];
    if (head < 0x80) {
        return head == ' ' || (head >= '\t' && head <= '\r') ? 1 : 0;
    }
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        if (s.len - at >= spaces[i].len && memcmp(s.data + at, spaces[i].data, spaces[i].len) == 0) {
            return spaces[i].len;
        }
    }
    /* U+2000 … U+200A */
    bool wide = s.len - at >= 3 && head == 0xe2 && (unsigned char)s.data[at + 1] == 0x80 &&
                (unsigned char)s.data[at + 2] <= 0x8a;
    return wide ? 3 : 0;
}

struct mirai_str fold_tidy(struct mirai_arena *arena, struct mirai_str text)
{
    char *out = mirai_arena_alloc(arena, text.len + 1);
    size_t len = 0;
    bool gap = false;
    for (size_t at = 0; at < text.len;) {
        size_t space = space_at(text, at);
        if (space > 0) {
            gap = len > 0;
            at += space;
            continue;
        }
        if (gap) {
            out[len++] = ' ';
            gap = false;
        }
        out[len++] = text.data[at++];
    }
    return (struct mirai_str){out, len};
}

/* Folding may bring spaces (a spacing accent is a space and an accent): tidied again. */
struct mirai_str fold_key(struct mirai_arena *arena, struct mirai_str text)
{
    struct mirai_str folded = nfkc_casefold_new(text);
    struct mirai_str key = fold_tidy(arena, folded);
    nfkc_free(folded);
    return key;
}
