/* What filters, counts and the visibility rule need of every article, in memory: some 70 bytes each. */
#ifndef SEARCH_CATALOG_H
#define SEARCH_CATALOG_H

#include "libcommon/rpc.h"

/* A reader holds the lock for a whole query, the writer around its commit and the change here: so the file's
 * state and the catalogue's are always seen together, and an article that was just made private cannot show
 * its new text. */
struct catalog;

struct catalog_entry {
    int64_t id; /* of the article; 0: this document number is free */
    int64_t owner_id;
    int64_t space_id;
    int64_t group_id;
    int64_t updated_at;
    uint8_t type;       /* enum mirai_itsm_type */
    uint8_t status;     /* enum mirai_article_status */
    uint8_t visibility; /* enum mirai_visibility */
    uint8_t tags_len;
    uint32_t *tags; /* numbers of tags, the catalogue's own copy */
};

struct catalog *catalog_new(void);
void catalog_free(struct catalog *catalog);

void catalog_read_lock(struct catalog *catalog);
void catalog_write_lock(struct catalog *catalog);
void catalog_unlock(struct catalog *catalog);

/* With the write lock (or before others know the catalogue). `entry->tags` is ignored; `tags` are names, at
 * most 50. Documents are numbered from 1, at most 2^31. */
void catalog_put(struct catalog *catalog, uint32_t doc, const struct catalog_entry *entry,
                 const struct mirai_str *tags, size_t tags_len);
void catalog_remove(struct catalog *catalog, uint32_t doc);

/* The writer's own view; no lock is needed in the writing thread. */
uint32_t catalog_doc(const struct catalog *catalog, int64_t id); /* 0: unknown */
uint32_t catalog_free_doc(struct catalog *catalog); /* a number for a new document; taken by this call */

/* With the read lock. */
uint32_t catalog_limit(const struct catalog *catalog);                                /* all docs are below */
const struct catalog_entry *catalog_get(const struct catalog *catalog, uint32_t doc); /* NULL: none */
size_t catalog_count(const struct catalog *catalog);                                  /* articles */
uint32_t catalog_tag_limit(const struct catalog *catalog);                            /* all tags are below */
struct mirai_str catalog_tag_name(const struct catalog *catalog, uint32_t tag);
/* Number of the tag whose normalised name is `key`; UINT32_MAX: none. */
uint32_t catalog_tag_find(const struct catalog *catalog, struct mirai_str key);

/* The one rule of who may see an article. */
bool catalog_visible(const struct catalog_entry *entry, const struct mirai_principal *principal);

#endif
