/* Names that are numbered, found by their normalised form: tags, owners. One writer, readers without locks. */
#ifndef SEARCH_NAMES_H
#define SEARCH_NAMES_H

#include "libcommon/str.h"
#include "services/search-index/epoch.h"

#define NAMES_MAX  (1u << 24)
#define NAMES_NONE UINT32_MAX

struct names;

struct names *names_new(struct epoch *epoch);
void names_free(struct names *names);

/* Writer: number of the name whose normalised form this one has; the first spelling stays. NAMES_NONE: full. */
uint32_t names_add(struct names *names, struct mirai_str name);

/* Readers, inside of the epoch. */
uint32_t names_count(const struct names *names);
struct mirai_str names_get(const struct names *names, uint32_t number); /* number < count */
uint32_t names_find(const struct names *names, struct mirai_str key);   /* normalised; NAMES_NONE: none */

#endif
