#include "services/knowledge-store/snapshot.h"

#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/knowledge-store/attachments.h"
#include "services/knowledge-store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SNAPSHOTS_MAX 4
#define LIFE_MS       600000
#define NAME_SIZE     33
#define HASH_BLOCK    (256 << 10)

struct snapshot {
    char name[NAME_SIZE]; /* "": free */
    int fd;
    int64_t size;
    uint64_t used_at_ms; /* monotonic */
};

/* Copies are made on a thread of their own, read and ended on the file thread, and expire on the loop. */
struct snapshots {
    pthread_mutex_t lock;
    char directory[PATH_MAX];
    bool making; /* a copy, which is not in the list yet */
    bool held;   /* a content had to stay */
    struct snapshot list[SNAPSHOTS_MAX];
};

static void path_of(const struct snapshots *snapshots, const char *name, char out[PATH_MAX + 64])
{
    snprintf(out, PATH_MAX + 64, "%s/%s.db", snapshots->directory, name);
}

static void remove_file(const struct snapshots *snapshots, const char *name)
{
    static const char *const suffixes[] = {"", "-journal", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char path[PATH_MAX + 64], whole[PATH_MAX + 80];
        path_of(snapshots, name, path);
        snprintf(whole, sizeof(whole), "%s%s", path, suffixes[i]);
        unlink(whole);
    }
}

/* With the lock. */
static void drop(struct snapshots *snapshots, struct snapshot *snapshot)
{
    close(snapshot->fd);
    remove_file(snapshots, snapshot->name);
    snapshot->name[0] = '\0';
}

/* With the lock. */
static struct snapshot *find(struct snapshots *snapshots, struct mirai_str name)
{
    for (size_t i = 0; i < SNAPSHOTS_MAX; i++) {
        if (snapshots->list[i].name[0] != '\0' && mirai_str_eq(name, mirai_str(snapshots->list[i].name))) {
            return &snapshots->list[i];
        }
    }
    return NULL;
}

static void remove_leftovers(const char *directory)
{
    DIR *dir = opendir(directory);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') {
            unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

struct snapshots *snapshots_new(const char *data_dir)
{
    struct snapshots *snapshots = mirai_alloc(sizeof(*snapshots));
    pthread_mutex_init(&snapshots->lock, NULL);
    snprintf(snapshots->directory, sizeof(snapshots->directory), "%.*s/snapshots", PATH_MAX - 16, data_dir);
    remove_leftovers(snapshots->directory);
    return snapshots;
}

static void drop_unused_since(struct snapshots *snapshots, uint64_t monotonic_ms)
{
    pthread_mutex_lock(&snapshots->lock);
    for (size_t i = 0; i < SNAPSHOTS_MAX; i++) {
        if (snapshots->list[i].name[0] != '\0' && snapshots->list[i].used_at_ms <= monotonic_ms) {
            drop(snapshots, &snapshots->list[i]);
        }
    }
    pthread_mutex_unlock(&snapshots->lock);
}

void snapshots_expire(struct snapshots *snapshots)
{
    uint64_t now = mirai_monotonic_ms();
    if (now > LIFE_MS) {
        drop_unused_since(snapshots, now - LIFE_MS);
    }
}

void snapshots_free(struct snapshots *snapshots)
{
    if (snapshots != NULL) {
        drop_unused_since(snapshots, UINT64_MAX);
        pthread_mutex_destroy(&snapshots->lock);
        free(snapshots);
    }
}

/* ------------------------------------------------------------------ what they hold */

/* With the lock. */
static bool any_open(const struct snapshots *snapshots)
{
    bool open = snapshots->making;
    for (size_t i = 0; i < SNAPSHOTS_MAX; i++) {
        open = open || snapshots->list[i].name[0] != '\0';
    }
    return open;
}

bool snapshots_hold_contents(struct snapshots *snapshots)
{
    pthread_mutex_lock(&snapshots->lock);
    bool hold = any_open(snapshots);
    snapshots->held = snapshots->held || hold;
    pthread_mutex_unlock(&snapshots->lock);
    return hold;
}

bool snapshots_released(struct snapshots *snapshots)
{
    pthread_mutex_lock(&snapshots->lock);
    bool released = snapshots->held && !any_open(snapshots);
    snapshots->held = snapshots->held && !released;
    pthread_mutex_unlock(&snapshots->lock);
    return released;
}

static void set_making(struct snapshots *snapshots, bool making)
{
    pthread_mutex_lock(&snapshots->lock);
    snapshots->making = making;
    pthread_mutex_unlock(&snapshots->lock);
}

/* ------------------------------------------------------------------ make one */

/* A read transaction holds the state while it is copied: a copy in slices outside one starts anew at each
 * write and never ends. */
static int copy_database(struct op *op, const char *path, struct mirai_snapshot_begin_result *result)
{
    struct db *db;
    int64_t seq = 0, articles = 0;
    int err = db_open(op->store->db_path, DB_READ, &db);
    if (err != 0) {
        return err;
    }
    err = db_begin_read(db);
    if (err == 0) {
        err = db_find_int(db, &seq, "SELECT ifnull(max(seq), 0) FROM changes");
    }
    if (err == 0) {
        err = db_find_int(db, &articles, "SELECT count(*) FROM articles WHERE deleted_at IS NULL");
    }
    if (err == 0) {
        err = db_copy(db, path);
    }
    db_rollback(db);
    db_close(db);
    mirai_set(snapshot_begin_result, result, seq, seq);
    mirai_set(snapshot_begin_result, result, articles, articles);
    return err;
}

static int hash_file(int fd, int64_t *size, char hex[65])
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char *block = mirai_alloc(HASH_BLOCK);
    crypto_hash_sha256_state state;
    ssize_t len;
    *size = 0;
    crypto_hash_sha256_init(&state);
    while ((len = pread(fd, block, HASH_BLOCK, *size)) > 0) {
        crypto_hash_sha256_update(&state, (const unsigned char *)block, (unsigned long long)len);
        *size += len;
    }
    crypto_hash_sha256_final(&state, hash);
    mirai_hex(hex, hash, sizeof(hash));
    free(block);
    return len == 0 ? 0 : MIRAI_E_INTERNAL;
}

static struct snapshot *free_place(struct snapshots *snapshots)
{
    struct snapshot *place = NULL;
    pthread_mutex_lock(&snapshots->lock);
    for (size_t i = 0; i < SNAPSHOTS_MAX && place == NULL; i++) {
        place = snapshots->list[i].name[0] == '\0' ? &snapshots->list[i] : NULL;
    }
    pthread_mutex_unlock(&snapshots->lock);
    return place; /* only this thread fills it */
}

static int make_snapshot(struct op *op)
{
    struct snapshots *snapshots = op->store->snapshots;
    struct snapshot *place = free_place(snapshots);
    struct mirai_snapshot_begin_result result = {0};
    struct snapshot made = {.fd = -1};
    unsigned char random[(NAME_SIZE - 1) / 2];
    char path[PATH_MAX + 64], hex[65];
    if (place == NULL) {
        return op_fail(op, MIRAI_E_CONFLICT, "there are as many snapshots as may be; end one");
    }
    if (mkdir(snapshots->directory, 0750) != 0 && errno != EEXIST) {
        return errno == ENOSPC ? MIRAI_E_NO_SPACE : MIRAI_E_INTERNAL;
    }
    randombytes_buf(random, sizeof(random));
    mirai_hex(made.name, random, sizeof(random));
    path_of(snapshots, made.name, path);
    int err = copy_database(op, path, &result);
    if (err == 0) {
        made.fd = open(path, O_RDONLY | O_CLOEXEC);
        err = made.fd >= 0 ? hash_file(made.fd, &made.size, hex) : MIRAI_E_INTERNAL;
    }
    if (err != 0) {
        if (made.fd >= 0) {
            close(made.fd);
        }
        remove_file(snapshots, made.name);
        return err;
    }
    made.used_at_ms = mirai_monotonic_ms();
    pthread_mutex_lock(&snapshots->lock);
    *place = made;
    pthread_mutex_unlock(&snapshots->lock);
    mirai_set(snapshot_begin_result, &result, snapshot, mirai_str(made.name));
    mirai_set(snapshot_begin_result, &result, size, made.size);
    mirai_set(snapshot_begin_result, &result, sha256, mirai_str(hex));
    mirai_set(snapshot_begin_result, &result, epoch, mirai_str(op->store->epoch));
    return op_result(op, &result);
}

int snapshot_begin(struct op *op)
{
    /* Before the copy sees anything: what it names must be there when it is done. */
    set_making(op->store->snapshots, true);
    int err = make_snapshot(op);
    set_making(op->store->snapshots, false);
    return err;
}

void snapshot_finish(struct op *op)
{
    attachments_collect_held(op->store);
}

/* ------------------------------------------------------------------ read and end */

int snapshot_read(struct op *op)
{
    const struct mirai_snapshot_read *params = op->params;
    struct snapshots *snapshots = op->store->snapshots;
    struct mirai_bytes result = {0};
    char *data = mirai_arena_alloc(&op->arena, (size_t)params->length);
    ssize_t len = -1;
    pthread_mutex_lock(&snapshots->lock);
    struct snapshot *snapshot = find(snapshots, params->snapshot);
    if (snapshot != NULL) {
        snapshot->used_at_ms = mirai_monotonic_ms();
        len = pread(snapshot->fd, data, (size_t)params->length, params->offset);
        mirai_set(bytes, &result, total, snapshot->size);
    }
    pthread_mutex_unlock(&snapshots->lock);
    if (len < 0) {
        return snapshot == NULL ? MIRAI_E_NOT_FOUND : MIRAI_E_INTERNAL;
    }
    const struct mirai_str content = {data, (size_t)len};
    mirai_set(bytes, &result, data, content);
    return op_result(op, &result);
}

int snapshot_end(struct op *op)
{
    const struct mirai_snapshot_ref *params = op->params;
    struct snapshots *snapshots = op->store->snapshots;
    pthread_mutex_lock(&snapshots->lock);
    struct snapshot *snapshot = find(snapshots, params->snapshot);
    if (snapshot != NULL) {
        drop(snapshots, snapshot);
    }
    pthread_mutex_unlock(&snapshots->lock);
    return snapshot != NULL ? 0 : MIRAI_E_NOT_FOUND;
}
