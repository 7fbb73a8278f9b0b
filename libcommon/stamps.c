#include "libcommon/stamps.h"

#include "libcommon/log.h"
#include "libcommon/rpc_peers.h"
#include "libcommon/service.h"
#include "libcommon/str.h"
#include "libcommon/time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC  UINT64_C(0x315f7370746d7473) /* of this layout */
#define GROUPS 4096                         /* a power of two */

/* The file. Counters are 64 bits wide and never come round. */
struct region {
    _Atomic uint64_t magic;     /* set last, when the rest is sound */
    _Atomic uint64_t beaten_ms; /* CLOCK_MONOTONIC; 0: nobody publishes */
    _Atomic uint64_t all;
    _Atomic uint64_t groups[GROUPS];
};

struct mirai_stamps {
    struct region *region;
    bool publisher;
};

static size_t group_of(int64_t id)
{
    return (size_t)((uint64_t)id * UINT64_C(0x9e3779b97f4a7c15) >> 52) & (GROUPS - 1);
}

/* The file mapped, or NULL with errno. */
static struct region *map(int fd, int protection)
{
    void *at = mmap(NULL, sizeof(struct region), protection, MAP_SHARED, fd, 0);
    return at != MAP_FAILED ? at : NULL;
}

static struct mirai_stamps *stamps_new(struct region *region, bool publisher)
{
    struct mirai_stamps *stamps = mirai_alloc(sizeof(*stamps));
    stamps->region = region;
    stamps->publisher = publisher;
    return stamps;
}

struct mirai_stamps *mirai_stamps_publish(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    struct region *region = NULL;
    struct stat stat;
    /* A file that someone else has laid there could be written by them. */
    if (fd >= 0 && fstat(fd, &stat) == 0 && stat.st_uid != geteuid()) {
        errno = EPERM;
        mirai_log(WARNING, "the stamps' file belongs to someone else", MIRAI_LOG_Z("path", path),
                  MIRAI_LOG_I("uid", stat.st_uid));
        close(fd);
        return NULL;
    }
    /* Allocated now: a write into a hole of a full tmpfs would be a SIGBUS. */
    if (fd >= 0 && (errno = posix_fallocate(fd, 0, sizeof(*region))) == 0) {
        region = map(fd, PROT_READ | PROT_WRITE);
    }
    if (region == NULL) {
        mirai_log(WARNING, "cannot publish stamps; readers will ask for everything",
                  MIRAI_LOG_Z("path", path), MIRAI_LOG_Z("reason", strerror(errno)));
    }
    if (fd >= 0) {
        close(fd);
    }
    if (region == NULL) {
        return NULL;
    }
    struct mirai_stamps *stamps = stamps_new(region, true);
    mirai_stamps_bump_all(stamps);
    atomic_store_explicit(&region->magic, MAGIC, memory_order_release);
    mirai_stamps_beat(stamps, mirai_monotonic_ms());
    return stamps;
}

void mirai_stamps_bump(struct mirai_stamps *stamps, int64_t id)
{
    atomic_fetch_add_explicit(&stamps->region->groups[group_of(id)], 1, memory_order_acq_rel);
}

void mirai_stamps_bump_all(struct mirai_stamps *stamps)
{
    atomic_fetch_add_explicit(&stamps->region->all, 1, memory_order_acq_rel);
}

void mirai_stamps_beat(struct mirai_stamps *stamps, uint64_t now_ms)
{
    atomic_store_explicit(&stamps->region->beaten_ms, now_ms, memory_order_release);
}

/* Whether the owner may be the daemon that the file is named after ("knowledge-store@1.stamps"): what is
 * written there decides which answers are given again. */
static bool is_publishers(const char *path, uid_t owner)
{
    const struct mirai_rpc_security *security = mirai_service_security();
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    return security == NULL ||
           mirai_peers_is(security->peers, (struct mirai_str){name, strcspn(name, "@")}, owner);
}

struct mirai_stamps *mirai_stamps_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct region *region = NULL;
    struct stat stat;
    if (fd >= 0 && fstat(fd, &stat) == 0 && stat.st_size >= (off_t)sizeof(*region) &&
        is_publishers(path, stat.st_uid)) {
        region = map(fd, PROT_READ);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (region != NULL && atomic_load_explicit(&region->magic, memory_order_acquire) != MAGIC) {
        munmap(region, sizeof(*region));
        region = NULL;
    }
    return region != NULL ? stamps_new(region, false) : NULL;
}

bool mirai_stamps_alive(const struct mirai_stamps *stamps, uint64_t now_ms)
{
    uint64_t beaten = atomic_load_explicit(&stamps->region->beaten_ms, memory_order_acquire);
    /* Neither long ago nor, since the clock begins anew with the machine, before its last start. */
    return beaten != 0 && now_ms < beaten + MIRAI_STAMPS_LEASE_MS && beaten < now_ms + MIRAI_STAMPS_LEASE_MS;
}

uint64_t mirai_stamps_read(const struct mirai_stamps *stamps, int64_t id)
{
    /* Both only grow, so their sum is the same only when both are. */
    return atomic_load_explicit(&stamps->region->all, memory_order_acquire) +
           atomic_load_explicit(&stamps->region->groups[group_of(id)], memory_order_acquire);
}

void mirai_stamps_close(struct mirai_stamps *stamps)
{
    if (stamps == NULL) {
        return;
    }
    if (stamps->publisher) {
        atomic_store_explicit(&stamps->region->beaten_ms, 0, memory_order_release);
    }
    munmap(stamps->region, sizeof(*stamps->region));
    free(stamps);
}
