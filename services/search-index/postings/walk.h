/* Inside of segments: what merging reads that answering does not need. */
#ifndef SEARCH_SEGMENT_WALK_H
#define SEARCH_SEGMENT_WALK_H

#include "services/search-index/postings/segment.h"

/* Walks over the dictionary in order. */
struct segment_walk {
    const struct segment *segment;
    const uint8_t *at;
    size_t group;   /* the next one */
    unsigned left;  /* entries of the group */
    uint64_t lists; /* where the next entry's lists begin */
    size_t key_len;
    char key[SEGMENT_KEY_MAX];
    struct segment_term term;
};

/* Before the first term. */
void segment_walk_begin(struct segment_walk *walk, const struct segment *segment);
/* False: behind the end, or damaged. */
bool segment_walk_next(struct segment_walk *walk);

/* The positions of posting `at` of the decoded block as they are stored. */
bool segment_cursor_stored_positions(struct segment_cursor *cursor, unsigned at, struct mirai_str *out);

#endif
