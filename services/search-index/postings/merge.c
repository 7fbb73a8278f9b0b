#include "libcommon/error.h"
#include "services/search-index/postings/walk.h"
#include "services/search-index/postings/writer.h"

#include <stdlib.h>

#define DEAD UINT32_MAX

struct input {
    struct segment_walk walk;
    struct segment_cursor cursor;
    uint32_t *numbers; /* old document -> new one, or DEAD */
    bool more;         /* walk.term is to come */
};

struct merge {
    struct input *inputs;
    size_t count;
    struct mirai_buf docs; /* struct segment_doc */
    uint32_t docs_len;
    struct segment_writer writer;
};

static int number_docs(struct merge *merge, struct input *input, const struct segment *segment,
                       segment_live_fn live, void *data)
{
    uint32_t count = segment_count(segment);
    const struct segment_doc *docs = segment_docs(segment);
    input->numbers = mirai_alloc((count + 1) * sizeof(input->numbers[0]));
    for (uint32_t i = 0; i < count; i++) {
        bool kept = live == NULL || live(data, &docs[i]);
        input->numbers[i] = kept ? merge->docs_len++ : DEAD;
        if (kept) {
            mirai_buf_append(&merge->docs, &docs[i], sizeof(docs[i]));
        }
    }
    segment_walk_begin(&input->walk, segment);
    input->more = segment_walk_next(&input->walk);
    return merge->docs_len <= SEGMENT_DOCS_MAX ? 0 : MIRAI_E_INVALID;
}

static int compare_walks(const struct segment_walk *a, const struct segment_walk *b)
{
    size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
    int order = memcmp(a->key, b->key, len);
    return order != 0 ? order : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static const struct segment_walk *least_key(const struct merge *merge)
{
    const struct segment_walk *least = NULL;
    for (size_t i = 0; i < merge->count; i++) {
        const struct input *input = &merge->inputs[i];
        if (input->more && (least == NULL || compare_walks(&input->walk, least) < 0)) {
            least = &input->walk;
        }
    }
    return least;
}

static void copy_list(struct merge *merge, struct input *input)
{
    struct segment_cursor *cursor = &input->cursor;
    segment_cursor_open(cursor, input->walk.segment, &input->walk.term);
    for (bool more = cursor->block_last != SEGMENT_END; more; more = segment_cursor_next(cursor)) {
        segment_cursor_decode(cursor);
        for (unsigned i = 0; i < cursor->len; i++) {
            uint32_t number = input->numbers[cursor->docs[i]];
            struct mirai_str positions;
            if (number != DEAD && segment_cursor_stored_positions(cursor, i, &positions)) {
                segment_writer_posting(&merge->writer, number, cursor->levels[i], positions);
            }
        }
    }
}

static void merge_term(struct merge *merge, struct mirai_str key)
{
    segment_writer_term(&merge->writer, key);
    for (size_t i = 0; i < merge->count; i++) {
        struct input *input = &merge->inputs[i];
        if (input->more && mirai_str_eq((struct mirai_str){input->walk.key, input->walk.key_len}, key)) {
            copy_list(merge, input);
            input->more = segment_walk_next(&input->walk);
        }
    }
    segment_writer_term_end(&merge->writer);
}

static int merge_terms(struct merge *merge, const atomic_bool *stop)
{
    const struct segment_walk *least;
    char key[SEGMENT_KEY_MAX];
    while (merge->writer.sink->err == 0 && (least = least_key(merge)) != NULL) {
        if (stop != NULL && atomic_load_explicit(stop, memory_order_relaxed)) {
            return MIRAI_E_CANCELLED;
        }
        size_t len = least->key_len;
        memcpy(key, least->key, len);
        merge_term(merge, (struct mirai_str){key, len});
    }
    return merge->writer.sink->err;
}

int segment_merge(struct segment *const *inputs, size_t count, segment_live_fn live, void *data,
                  const atomic_bool *stop, struct segment_sink *sink)
{
    struct merge merge = {.inputs = mirai_alloc((count + 1) * sizeof(merge.inputs[0])), .count = count};
    int err = 0;
    for (size_t i = 0; err == 0 && i < count; i++) {
        err = number_docs(&merge, &merge.inputs[i], inputs[i], live, data);
    }
    segment_writer_begin(&merge.writer, sink);
    err = err == 0 ? merge_terms(&merge, stop) : err;
    int end = segment_writer_end(&merge.writer, (const struct segment_doc *)merge.docs.data, merge.docs_len);
    err = err == 0 ? end : err;
    for (size_t i = 0; i < count; i++) {
        err = err == 0 && segment_damaged(inputs[i]) ? MIRAI_E_INVALID : err;
        free(merge.inputs[i].numbers);
    }
    mirai_buf_free(&merge.docs);
    free(merge.inputs);
    return err;
}
