/* Any file: front matter, heading, slug and language; what is accepted must survive quoting and reading
 * again. */
#include "services/ctl/document.h"

#include <stdlib.h>

static void quote_and_read(const struct front_pair *pair, struct mirai_arena *arena)
{
    struct mirai_buf text = {0};
    struct front_matter again;
    char reason[FRONT_REASON_SIZE];
    mirai_buf_append_str(&text, MIRAI_STR("---\nkey: "));
    front_matter_quote(&text, pair->value);
    mirai_buf_append_str(&text, MIRAI_STR("\n---\n"));
    if (pair->value.len < FRONT_MATTER_MAX / 8 && memchr(pair->value.data, 0, pair->value.len) == NULL) {
        if (front_matter_parse(mirai_buf_str(&text), arena, &again, reason) != 0 || again.count != 1 ||
            !mirai_str_eq(again.pairs[0].value, pair->value)) {
            abort();
        }
    }
    mirai_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mirai_str bytes = {(const char *)data, size};
    struct mirai_arena arena = {0};
    struct front_matter front;
    struct document document;
    char reason[FRONT_REASON_SIZE];
    if (mirai_utf8_valid(bytes) && front_matter_parse(bytes, &arena, &front, reason) == 0) {
        for (size_t i = 0; i < front.count; i++) {
            if (!front.pairs[i].is_list && !front.pairs[i].is_null) {
                quote_and_read(&front.pairs[i], &arena);
            }
        }
    }
    struct mirai_str path = {bytes.data, size < 300 ? size : 300};
    if (document_read(path, MIRAI_STR("root"), bytes, MIRAI_ARTICLE_STATUS_PUBLISHED, MIRAI_ITSM_TYPE_OTHER,
                      &arena, &document, reason) == 0) {
        document_check(&document.article, &arena, reason);
    }
    mirai_arena_free(&arena);
    return 0;
}
