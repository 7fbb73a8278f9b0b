/* The YAML block at the head of a Markdown file: flat keys with scalars or lists of scalars, all of it
 * bounded. */
#ifndef CTL_FRONTMATTER_H
#define CTL_FRONTMATTER_H

#include "libcommon/arena.h"

#define FRONT_MATTER_MAX  65536 /* bytes of the block */
#define FRONT_KEY_MAX     200   /* bytes of a key */
#define FRONT_PAIRS_MAX   256
#define FRONT_ITEMS_MAX   256 /* of one list */
#define FRONT_REASON_SIZE 200

/* One key. */
struct front_pair {
    struct mirai_str key;
    struct mirai_str value;
    const struct mirai_str *items;
    size_t count;
    bool is_list;
    bool is_null;
};

struct front_matter {
    struct front_pair *pairs;
    size_t count;
    struct mirai_str
        body; /* what follows the block and one empty line; all of the text when there is no block */
};

/* Take a file's text (UTF-8, a byte order mark is dropped) apart. Nested values are skipped; anchors and
 * aliases are refused, so are duplicate keys and broken YAML. Memory from `arena`, the body points into
 * `text`. 0, or MIRAI_E_INVALID with the reason in English. */
int front_matter_parse(struct mirai_str text, struct mirai_arena *arena, struct front_matter *out,
                       char reason[FRONT_REASON_SIZE]);

/* The pair of a key; NULL when there is none. */
const struct front_pair *front_matter_find(const struct front_matter *front, const char *key);

/* Append `value` as a double-quoted YAML scalar. */
void front_matter_quote(struct mirai_buf *out, struct mirai_str value);

#endif
