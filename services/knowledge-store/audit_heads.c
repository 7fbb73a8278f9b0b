#include "services/knowledge-store/audit_heads.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/knowledge-store/audit_syslog.h"
#include "services/knowledge-store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEED_DIGITS   ((size_t)2 * crypto_sign_SEEDBYTES)
#define HEAD_FILE_MAX 4096
#define FIRST_MS      1000 /* after the start */

/* A head that was signed, as text. */
struct head {
    int64_t id; /* 0: nothing new */
    int64_t at;
    int64_t summed; /* notes of daemons that have become a row with it */
    char hash[2 * MIRAI_AUDIT_HASH_SIZE + 1];
    char signature[2 * MIRAI_AUDIT_SIGNATURE_SIZE + 1];
};

struct audit_heads {
    struct store *store;
    bool started;
    bool signing;      /* an op is under way; loop thread */
    int64_t signed_id; /* newest row that has a signed head; writer thread */
    char signer[2 * MIRAI_AUDIT_SIGNER_SIZE + 1];
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret_key[crypto_sign_SECRETKEYBYTES];
};

/* ------------------------------------------------------------------ key */

static int fail(const char *what, const char *path)
{
    mirai_log(ERROR, what, MIRAI_LOG_Z("path", path), MIRAI_LOG_Z("reason", strerror(errno)));
    return errno == ENOSPC ? MIRAI_E_NO_SPACE : MIRAI_E_INTERNAL;
}

/* Written whole and durable under its name, or not at all. */
static int write_file(const struct store *store, const char *path, struct mirai_str content, mode_t mode)
{
    char temporary[PATH_MAX + 8];
    snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    unlink(temporary); /* of a crash */
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    bool written = fd >= 0 && write(fd, content.data, content.len) == (ssize_t)content.len &&
                   fsync(fd) == 0 && rename(temporary, path) == 0;
    int err = written ? 0 : fail("cannot write a file", path);
    if (fd >= 0) {
        close(fd);
    }
    int directory = err == 0 ? open(store->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (directory >= 0) {
        err = fsync(directory) == 0 ? 0 : fail("cannot make a directory durable", store->data_dir);
        close(directory);
    }
    return err;
}

static int make_key(const struct store *store, const char *path, char digits[SEED_DIGITS + 2])
{
    unsigned char seed[crypto_sign_SEEDBYTES];
    randombytes_buf(seed, sizeof(seed));
    mirai_hex(digits, seed, sizeof(seed));
    sodium_memzero(seed, sizeof(seed));
    digits[SEED_DIGITS] = '\n';
    int err = write_file(store, path, (struct mirai_str){digits, SEED_DIGITS + 1}, 0600);
    if (err == 0) {
        mirai_log(INFO, "made the key that signs the audit log", MIRAI_LOG_Z("path", path));
    }
    return err;
}

static int read_key(const struct store *store, char digits[SEED_DIGITS + 2])
{
    char path[PATH_MAX];
    struct stat status;
    snprintf(path, sizeof(path), "%s/audit.key", store->data_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? make_key(store, path, digits)
                               : fail("cannot read the audit log's key", path);
    }
    ssize_t n = fstat(fd, &status) == 0 ? read(fd, digits, SEED_DIGITS + 1) : -1;
    int err = n < 0 ? fail("cannot read the audit log's key", path) : 0;
    if (err == 0 && (status.st_mode & 077) != 0) {
        mirai_log(ERROR, "others may read the audit log's key: chmod 600", MIRAI_LOG_Z("path", path));
        err = MIRAI_E_INVALID;
    }
    if (err == 0 && n < (ssize_t)SEED_DIGITS) {
        mirai_log(ERROR, "the audit log's key is damaged", MIRAI_LOG_Z("path", path));
        err = MIRAI_E_INVALID;
    }
    close(fd);
    return err;
}

static int load_key(struct audit_heads *heads)
{
    char digits[SEED_DIGITS + 2];
    unsigned char seed[crypto_sign_SEEDBYTES];
    struct mirai_str configured = mirai_str(mirai_config_str(MIRAI_CONFIG_AUDIT_KEY));
    int err = configured.len > 0 ? 0 : read_key(heads->store, digits);
    struct mirai_str key = configured.len > 0 ? configured : (struct mirai_str){digits, SEED_DIGITS};
    if (err == 0 && mirai_unhex(seed, sizeof(seed), key) != 0) {
        mirai_log(ERROR, "the audit log's key is not 64 hexadecimal digits");
        err = MIRAI_E_INVALID;
    }
    if (err == 0) {
        sodium_mlock(heads->secret_key, sizeof(heads->secret_key)); /* best effort */
        crypto_sign_seed_keypair(heads->public_key, heads->secret_key, seed);
        mirai_hex(heads->signer, heads->public_key, sizeof(heads->public_key));
    }
    sodium_memzero(digits, sizeof(digits));
    sodium_memzero(seed, sizeof(seed));
    return err;
}

struct audit_heads *audit_heads_open(struct store *store)
{
    struct audit_heads *heads = mirai_alloc(sizeof(*heads));
    heads->store = store;
    int err = load_key(heads);
    if (err == 0) {
        err = db_find_int(store->writer.db, &heads->signed_id,
                          "SELECT ifnull((SELECT audit_id FROM audit_heads WHERE epoch = ?1 "
                          "ORDER BY id DESC LIMIT 1), 0)",
                          DB_S(mirai_str(store->epoch)));
    }
    if (err != 0) {
        audit_heads_close(heads);
        return NULL;
    }
    return heads;
}

void audit_heads_close(struct audit_heads *heads)
{
    if (heads != NULL) {
        sodium_munlock(heads->secret_key, sizeof(heads->secret_key)); /* wipes it */
        free(heads);
    }
}

struct mirai_str audit_heads_signer(const struct audit_heads *heads)
{
    return mirai_str(heads->signer);
}

/* ------------------------------------------------------------------ one head */

/* Sign what the newest row is, within a transaction. */
static int sign(struct audit_heads *heads, struct db *db, int64_t now_ms, struct head *head)
{
    struct store *store = heads->store;
    const struct audit_tail *tail = &store->audit.present;
    unsigned char signature[crypto_sign_BYTES];
    struct mirai_buf bytes = {0};
    head->summed = atomic_load(&store->audit.summed);
    int err = audit_log_sum(store, db, now_ms, head->summed);
    if (err != 0 || tail->id == 0 || tail->id == heads->signed_id) {
        return err;
    }
    mirai_audit_head_bytes(&bytes, mirai_str(store->epoch), tail->id, tail->hash, now_ms);
    crypto_sign_detached(signature, NULL, (const unsigned char *)bytes.data, bytes.len, heads->secret_key);
    mirai_buf_free(&bytes);
    err = db_exec(db,
                  "INSERT INTO audit_heads (epoch, audit_id, hash, at, signer, signature)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                  DB_S(mirai_str(store->epoch)), DB_I(tail->id),
                  DB_B(((struct mirai_str){(const char *)tail->hash, sizeof(tail->hash)})), DB_I(now_ms),
                  DB_B(((struct mirai_str){(const char *)heads->public_key, sizeof(heads->public_key)})),
                  DB_B(((struct mirai_str){(const char *)signature, sizeof(signature)})));
    if (err == 0) {
        err = db_exec(db, "DELETE FROM audit_heads WHERE id <= ?1", DB_I(db_last_id(db) - AUDIT_HEADS_KEPT));
    }
    if (err == 0) {
        head->id = tail->id;
        head->at = now_ms;
        mirai_hex(head->hash, tail->hash, sizeof(tail->hash));
        mirai_hex(head->signature, signature, sizeof(signature));
    }
    return err;
}

static void head_json(const struct audit_heads *heads, const struct head *head, struct mirai_buf *json)
{
    struct mirai_audit_head message = {0};
    struct mirai_buf mp = {0};
    mirai_set(audit_head, &message, epoch, mirai_str(heads->store->epoch));
    mirai_set(audit_head, &message, id, head->id);
    mirai_set(audit_head, &message, hash, mirai_str(head->hash));
    mirai_set(audit_head, &message, at, head->at);
    mirai_set(audit_head, &message, signer, mirai_str(heads->signer));
    mirai_set(audit_head, &message, signature, mirai_str(head->signature));
    mirai_message_encode(&mirai_message_audit_head, &message, &mp);
    mirai_mp_to_json(mirai_buf_str(&mp), json);
    mirai_buf_free(&mp);
}

/* DATA_DIR/audit.head */
static int keep(const struct audit_heads *heads, const struct head *head)
{
    char path[PATH_MAX];
    struct mirai_buf json = {0};
    snprintf(path, sizeof(path), "%s/audit.head", heads->store->data_dir);
    head_json(heads, head, &json);
    mirai_buf_append_char(&json, '\n');
    int err = write_file(heads->store, path, mirai_buf_str(&json), 0640);
    mirai_buf_free(&json);
    return err;
}

/* It is committed: off the host with it. */
static void publish(struct audit_heads *heads, const struct head *head)
{
    char at[MIRAI_RFC3339_SIZE];
    struct mirai_buf json = {0};
    atomic_fetch_sub(&heads->store->audit.summed, head->summed);
    if (head->id == 0) {
        return;
    }
    mirai_rfc3339_format(at, head->at);
    mirai_log(INFO, "audit head", MIRAI_LOG_Z("epoch", heads->store->epoch), MIRAI_LOG_I("id", head->id),
              MIRAI_LOG_Z("hash", head->hash), MIRAI_LOG_Z("at", at), MIRAI_LOG_Z("signer", heads->signer),
              MIRAI_LOG_Z("signature", head->signature));
    head_json(heads, head, &json);
    audit_syslog_send(mirai_config_str(MIRAI_CONFIG_AUDIT_SYSLOG), mirai_buf_str(&json), head->at);
    mirai_buf_free(&json);
}

/* ------------------------------------------------------------------ now and then */

static int sign_step(struct op *op)
{
    struct head *head = mirai_arena_alloc(&op->arena, sizeof(*head));
    op->state = head;
    return sign(op->store->audit_heads, op->db, op->now_ms, head);
}

/* After the commit, and before the next signature: only one op is under way. */
static int keep_step(struct op *op)
{
    const struct head *head = op->state;
    struct audit_heads *heads = op->store->audit_heads;
    publish(heads, head);
    if (head->id == 0) {
        return 0;
    }
    heads->signed_id = head->id;
    return keep(heads, head);
}

static void sign_finish(struct op *op)
{
    op->store->audit_heads->signing = false;
    if (op->err != 0) {
        mirai_log(WARNING, "the audit log's head could not be signed",
                  MIRAI_LOG_Z("error", mirai_error_slug(op->err)));
    }
}

static void on_timer(uv_timer_t *timer)
{
    static const struct op_method method = {
        .steps = {{OP_WRITE, sign_step}, {OP_FILE, keep_step}}, .flags = OP_NO_AUDIT, .finish = sign_finish};
    struct audit_heads *heads = timer->data;
    if (!heads->signing) {
        heads->signing = true;
        op_advance(op_new_internal(heads->store, &method));
    }
}

void audit_heads_start(struct audit_heads *heads)
{
    uint64_t period = (uint64_t)mirai_config_int(MIRAI_CONFIG_AUDIT_HEAD_SECONDS) * 1000;
    uv_timer_t *timer = &heads->store->heads_timer;
    uv_timer_init(heads->store->loop, timer);
    timer->data = heads;
    heads->started = true;
    uv_timer_start(timer, on_timer, FIRST_MS, period);
}

void audit_heads_stop(struct audit_heads *heads)
{
    if (heads->started) {
        heads->started = false;
        uv_close((uv_handle_t *)&heads->store->heads_timer, NULL);
    }
}

void audit_heads_last(struct audit_heads *heads)
{
    struct store *store = heads->store;
    struct head head = {0};
    int err = db_begin_write(store->writer.db);
    if (err == 0) {
        err = audit_log_begin(&store->audit, store->writer.db);
    }
    if (err == 0) {
        err = sign(heads, store->writer.db, mirai_now_ms(), &head);
    }
    if (err == 0) {
        err = db_commit(store->writer.db);
    }
    db_rollback(store->writer.db);
    if (err == 0) {
        publish(heads, &head);
    }
    if (err == 0 && head.id != 0) {
        heads->signed_id = head.id;
        err = keep(heads, &head);
    }
    if (err != 0) {
        mirai_log(WARNING, "the audit log's last head could not be signed",
                  MIRAI_LOG_Z("error", mirai_error_slug(err)));
    }
}

/* ------------------------------------------------------------------ what a restore remembers */

bool audit_heads_read_last(const struct store *store, struct mirai_arena *arena,
                           struct mirai_audit_head *head)
{
    char path[PATH_MAX], text[HEAD_FILE_MAX];
    struct mirai_buf mp = {0};
    snprintf(path, sizeof(path), "%s/audit.head", store->data_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : 0;
    if (fd >= 0) {
        close(fd);
    }
    bool valid = n > 0 &&
                 mirai_message_from_json(&mirai_message_audit_head, (struct mirai_str){text, (size_t)n}, NULL,
                                         &mp, &(struct mirai_faults){0}) == 0 &&
                 mirai_message_decode(&mirai_message_audit_head, mirai_arena_copy(arena, mirai_buf_str(&mp)),
                                      MIRAI_EDGE, arena, head, NULL) == 0 &&
                 mirai_audit_head_valid(head);
    mirai_buf_free(&mp);
    return valid;
}
