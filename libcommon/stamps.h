/* Stamps in shared memory: before a daemon acknowledges a change, it tells the other daemons of its host that what
 * they keep of the object is old. Looking costs two loads. */
#ifndef MIRAI_STAMPS_H
#define MIRAI_STAMPS_H

#include <stdbool.h>
#include <stdint.h>

/* One publisher writes a file that any number of readers map. The file holds counters that only grow: one for all
 * objects and one for each of some thousand groups of objects (by a hash of the id). A reader notes the stamp of an
 * object, then asks the publisher for it, and may use the answer as long as the stamp has not changed.
 *
 * A lease bounds how long a reader trusts a publisher that has died or stands still: the publisher says at least every
 * MIRAI_STAMPS_BEAT_MS that it lives, and after MIRAI_STAMPS_LEASE_MS of silence there are no stamps. Both look at
 * CLOCK_MONOTONIC, which is one for all processes of a host. A publisher that starts bumps everything. */

#define MIRAI_STAMPS_BEAT_MS  200
#define MIRAI_STAMPS_LEASE_MS 1000

/* The reserved id of who may do what: bumped before the end of a session or token, or a change of users, groups or
 * spaces, is acknowledged. (It may be bumped more often: it shares its group with some other objects.) */
#define MIRAI_STAMPS_ACCESS 0

struct mirai_stamps;

/* Publish at `path` (made, mode 0640, or taken over with all its readers). NULL with the reason logged. */
struct mirai_stamps *mirai_stamps_publish(const char *path);
/* What is kept of this object, or of every object, is old from now on. Any thread. */
void mirai_stamps_bump(struct mirai_stamps *stamps, int64_t id);
void mirai_stamps_bump_all(struct mirai_stamps *stamps);
/* The publisher lives: renew the lease. now_ms = mirai_monotonic_ms(). */
void mirai_stamps_beat(struct mirai_stamps *stamps, uint64_t now_ms);

/* Read what somebody publishes at `path`. NULL when there is nothing (yet) or it is of another version; not logged. */
struct mirai_stamps *mirai_stamps_open(const char *path);
/* Whether the publisher's lease still runs. Any thread. */
bool mirai_stamps_alive(const struct mirai_stamps *stamps, uint64_t now_ms);
/* The stamp of an object: equal to one read earlier if and only if neither the object's group nor everything was
 * bumped in between. Any thread. */
uint64_t mirai_stamps_read(const struct mirai_stamps *stamps, int64_t id);

/* Either side. A publisher ends its lease; the file stays. NULL is fine. */
void mirai_stamps_close(struct mirai_stamps *stamps);

#endif
