/* The parts of a ZIP file, unpacked piece by piece within bounds. */
#ifndef EXTRACT_PACKAGE_H
#define EXTRACT_PACKAGE_H

#include "services/search-index/extract/frames.h"
#include "services/search-index/extract/worker/xml.h"

/* Bounds over all passes. An honest file of Office unpacks to some 5 to 50 times its size. */
#define PACKAGE_PARTS_MAX  20000
#define PACKAGE_BYTES_MAX  (256u << 20)
#define PACKAGE_RATIO_MAX  200
#define PACKAGE_RATIO_FROM (8u << 20) /* bytes below which any ratio is fine */

struct package {
    struct mirai_str file;
    uint64_t unpacked; /* bytes so far */
    bool bomb;
    bool damaged; /* a part or the file is not whole */
};

/* One pass over the parts in the file's order. For each `visit` is asked; NULL: not wanted, otherwise it is read as XML
 * with these events and the same data; `done` follows (may be NULL). Names are as they stand in the file and are never
 * used as paths. Stops at a bound. */
struct package_pass {
    const struct xml_events *(*visit)(void *data, const char *name);
    void (*done)(void *data, const char *name);
    bool (*enough)(void *data); /* nothing more is wanted; may be NULL */
    void *data;
};
void package_walk(struct package *package, const struct package_pass *pass);

/* The first bytes of a part as they are. `room` gets at most `max`; how many, or 0. */
size_t package_peek(struct package *package, const char *name, char *room, size_t max);

/* Whether the part has such an element. */
bool package_has_element(struct package *package, const char *part, const char *element);

/* What is to be said of the whole. */
enum extract_outcome package_outcome(const struct package *package);

#endif
