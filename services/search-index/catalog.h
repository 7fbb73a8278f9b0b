/* What filters, counts, boosts and the visibility rule need of every unit, in memory: some 120 bytes each. */
#ifndef SEARCH_CATALOG_H
#define SEARCH_CATALOG_H

#include "libcommon/rpc.h"
#include "services/search-index/epoch.h"

/* Entries never change: the writer swaps them as a whole, and readers take no lock. What a reader got is valid
 * between its epoch_enter and epoch_leave (index_view_enter and index_view_leave do that).
 *
 * A unit is what is ranked: an article, or a part of a file of an article. Units are numbered by slots, from 1. */
struct catalog;

#define CATALOG_SLOTS_MAX (1u << 26)
#define CATALOG_TAGS_MAX  50 /* of an article */

struct catalog_entry {
    int64_t id; /* of the article, also of a file's part */
    int64_t owner_id;
    int64_t space_id;
    int64_t group_id;
    int64_t updated_at;
    int64_t attachment_id; /* 0: the article itself */
    uint32_t version;      /* of the unit's text: segments hold (slot, version) */
    uint32_t parent; /* slot of the article that a file's part belongs to: its entry tells the visibility and
                              all that is filtered by; 0: the article itself */
    uint32_t page;   /* of the file, from 1; 0: none */
    uint8_t type;    /* enum mirai_itsm_type */
    uint8_t status;  /* enum mirai_article_status */
    uint8_t visibility; /* enum mirai_visibility */
    uint8_t tags_len;
    uint32_t tags[]; /* numbers of tags */
};

/* What the ranking knows beside the text. */
struct catalog_signals {
    uint32_t views;  /* in 30 days */
    uint32_t clicks; /* from searches in 30 days */
    uint32_t ratings;
    float rating; /* mean of 1 to 5; 0 without ratings */
};

struct catalog *catalog_new(void);
void catalog_free(struct catalog *catalog);
struct epoch *catalog_epoch(const struct catalog *catalog);

/* ---- writer thread */

/* `tags` are names, at most CATALOG_TAGS_MAX are kept; owner: name of the user owner_id, or empty. */
void catalog_put(struct catalog *catalog, uint32_t slot, const struct catalog_entry *entry,
                 const struct mirai_str *tags, size_t tags_len, struct mirai_str owner);
void catalog_remove(struct catalog *catalog, uint32_t slot);
uint32_t catalog_slot(const struct catalog *catalog, int64_t id); /* of an article; 0: unknown */
uint32_t
catalog_take_slot(struct catalog *catalog); /* for a new unit; 0: all are taken. catalog_put follows, or */
void catalog_untake_slot(struct catalog *catalog, uint32_t slot);

/* Nothing happens when the article is unknown. */
void catalog_set_signals(struct catalog *catalog, int64_t id, const struct catalog_signals *signals);

/* ---- readers */

uint32_t catalog_limit(const struct catalog *catalog); /* all slots are below */
const struct catalog_entry *catalog_get(const struct catalog *catalog, uint32_t slot); /* NULL: none */
/* The entry of an article's slot, or of the article to which a file's part belongs; NULL: gone. */
const struct catalog_entry *catalog_article(const struct catalog *catalog, const struct catalog_entry *entry);
size_t catalog_count(const struct catalog *catalog); /* articles */
size_t catalog_units(const struct catalog *catalog);
struct catalog_signals catalog_signals(const struct catalog *catalog,
                                       uint32_t slot); /* of an article's slot */
/* Slot of an article, for readers; 0: unknown. */
uint32_t catalog_find(const struct catalog *catalog, int64_t id);

uint32_t catalog_tag_limit(const struct catalog *catalog); /* all tags are below */
struct mirai_str catalog_tag_name(const struct catalog *catalog, uint32_t tag);
/* Number of the tag whose normalised name is `key`; UINT32_MAX: none. */
uint32_t catalog_tag_find(const struct catalog *catalog, struct mirai_str key);

/* Ids of the owners whose normalised name is `key`; returns how many, at most `max`. */
size_t catalog_owner_find(const struct catalog *catalog, struct mirai_str key, int64_t *ids, size_t max);
/* Name of an owner of some article; empty: unknown. */
struct mirai_str catalog_owner_name(const struct catalog *catalog, int64_t id);

/* The one rule of who may see an article (the entry of the article, not of a file's part). */
bool catalog_visible(const struct catalog_entry *entry, const struct mirai_principal *principal);

#endif
