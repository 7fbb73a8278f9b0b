/* Answers to reads that are given again without asking the store, as long as its stamps say that nothing has changed.
 * The store alone decides who may read what: an answer is kept for the rights that it was given to. */
#ifndef GATEWAY_ANSWERS_H
#define GATEWAY_ANSWERS_H

#include "libcommon/rpc.h"

#define ANSWERS_RIGHTS_SIZE 16

/* What decides what a principal may see, as a hash (BLAKE2b). */
void answers_rights(unsigned char rights[ANSWERS_RIGHTS_SIZE], const struct mirai_principal *principal);

/* An answer: one block of h2o's counted memory (h2o_mem_link_shared). */
struct answer {
    struct mirai_str etag;
    struct mirai_str json;
};

struct answers;

/* A table for one thread, bounded by the bytes of its answers (0: it keeps nothing). */
struct answers *answers_new(size_t bytes_max);
void answers_free(struct answers *answers);

/* Find the answer that `rights` got for the object; NULL when there is none or `stamp` is no longer the one that it was
 * kept under. Lent until the next answers_put. */
struct answer *answers_find(struct answers *answers, const unsigned char rights[ANSWERS_RIGHTS_SIZE],
                            int64_t id, uint64_t stamp);

/* Keep a copy under the stamp that was read before the store was asked. Returns the copy, lent as by answers_find, or
 * NULL when it is too large to keep. */
struct answer *answers_put(struct answers *answers, const unsigned char rights[ANSWERS_RIGHTS_SIZE],
                           int64_t id, uint64_t stamp, struct mirai_str etag, struct mirai_str json);

size_t answers_bytes(const struct answers *answers);

#endif
