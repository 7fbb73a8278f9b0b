/* An operation: one request being worked on, from its arrival on the loop through its steps to its reply.
 *
 * methods.c gives each method its steps: a function and the pool it runs on. Steps run one after the other;
 * the first that fails ends the operation. A WRITE step runs inside the writer's transaction with a savepoint
 * of its own: when it fails, nothing of it stays. The reply leaves after the commit. */
#ifndef STORE_OP_H
#define STORE_OP_H

#include "libcommon/arena.h"
#include "libcommon/pool.h"
#include "proto/methods.h"
#include "services/knowledge-store/access.h"
#include "services/knowledge-store/db.h"

struct store;
struct op;

enum op_pool {
    OP_READ,     /* a reader thread: op->db is a read-only connection in a read transaction */
    OP_BULK,     /* the same on a thread of its own, for what may take long: exports, feed, sums */
    OP_WRITE,    /* the writer thread: op->db is the one read-write connection in a transaction */
    OP_PASSWORD, /* few threads for Argon2id; op->db is NULL */
    OP_FILE,     /* one thread for files; op->db is NULL */
    OP_SCAN,     /* few threads that wait for the virus scanner; op->db is NULL */
    OP_SNAPSHOT, /* one thread that copies the database; op->db is NULL */
    OP_LOOP,     /* the loop thread; must not block; op->db is NULL */
};

struct op_step {
    enum op_pool pool;
    /* 0, or an error after op_fail_detail or without. Results by op_result. */
    int (*run)(struct op *op);
};

#define OP_STEPS_MAX 3

enum op_flag {
    OP_AUDIT_FAILURES = 1, /* write an audit row also when it fails (login) */
    OP_NO_AUDIT = 2,       /* internal traffic: no audit row */
    OP_SECRET_RESULT = 4,  /* its result is not kept for idempotency keys */
};

struct op_method {
    struct op_step steps[OP_STEPS_MAX]; /* ends early with run == NULL */
    unsigned flags;                     /* enum op_flag */
    /* On the loop before an op is made: true when it has answered. May be NULL. */
    bool (*quick)(struct store *store, struct mirai_rpc_request *request);
    /* On the loop after the last step (after the commit), before the reply; op->err tells the outcome. May be
     * NULL. */
    void (*finish)(struct op *op);
};

struct op {
    struct mirai_job job; /* first member: a job is its op */
    struct store *store;
    struct mirai_rpc_request *request; /* NULL for the store's own work */
    const struct mirai_context *context;
    const struct mirai_principal *principal;
    const struct mirai_method *declared; /* name, params, result */
    const struct op_method *method;
    size_t step;
    void *params;             /* struct of declared->params, in the arena */
    void *state;              /* what one step leaves for the next, in the arena */
    struct mirai_arena arena; /* lives until the reply has left */
    struct db *db;
    struct access access; /* what the principal may see: ACCESS_ARGS(op) */
    int64_t now_ms;       /* time of the operation */

    int err;
    const char *detail;           /* static English text for developers, or NULL */
    struct mirai_buf error_extra; /* MessagePack map whose pairs go into the error, or empty */
    struct mirai_buf result;      /* MessagePack; empty: an empty map */
    char object[64];              /* for the audit log: "article/12" */
    struct mirai_str audit_name;  /* for the audit log: login name that was given; lent */

    /* What the commit of a write makes known. */
    int64_t *touched; /* articles whose cached form is no longer right (arena) */
    size_t touched_len, touched_cap;
    bool touched_all;       /* any article may be affected (users, tags renamed) */
    bool changed;           /* has added rows to the change feed */
    bool access_changed;    /* who may do what: sessions, tokens, users, groups, spaces */
    bool unaudited;         /* it found nothing to do: no audit row */
    int64_t articles_delta; /* for the gauge app_knowledge_total */
    uint64_t cache_ticket;
    int64_t last_seq; /* of its rows in the change feed */
    bool replayed;    /* the answer of an earlier write with the same idempotency key */
};

/* The steps of each method (methods.c), by enum mirai_method_id. */
extern const struct op_method op_methods[MIRAI_METHOD_ID_COUNT];

/* Handler of every method (loop thread). */
void op_accept(struct mirai_rpc_request *request, enum mirai_method_id id);

/* A new op, not yet started. Its params are zeroed. `context` lives as long as the op. */
struct op *op_new(struct store *store, enum mirai_method_id id, const struct mirai_context *context);
/* The store's own work, as the system. */
struct op *op_new_internal(struct store *store, const struct op_method *method);
void op_free(struct op *op);
/* Send it to the pool of its present step, or finish it. Loop thread. */
void op_advance(struct op *op);

/* ------------------------------------------------------------------ for steps */

/* Encode a struct of op->declared->result as the result. Returns 0. */
int op_result(struct op *op, const void *message);
/* Return this error with a text for developers: `return op_fail(op, MIRAI_E_CONFLICT, "slug is taken");` */
int op_fail(struct op *op, int err, const char *detail);
/* MIRAI_E_UNPROCESSABLE that names the member ("/slug") and the problem ("duplicate"), as validation does. */
int op_fault(struct op *op, const char *path, const char *problem);
/* The error with one more member, such as the current etag. */
int op_fail_with(struct op *op, int err, const char *detail, const char *key, struct mirai_str value);
/* What the audit row says it was done on: "article/12". */
void op_object(struct op *op, const char *kind, int64_t id);
/* Add a row to the change feed. Of an article it also drops the cached form. Whatever ends or changes access (of the
 * user, group or space `id`) says so with MIRAI_CHANGE_ACCESS: gateways then forget whom they know before the reply
 * leaves. 0 or an error of the database. */
int op_change(struct op *op, enum mirai_change_kind kind, int64_t id);
/* The cached form of this article is no longer right (without a change that followers need). */
void op_touch(struct op *op, int64_t article_id);

static inline struct op *op_of_job(struct mirai_job *job)
{
    return (struct op *)job;
}
/* Whether its parameters may hold a secret: then nothing of them is kept, even a hash would let a password be guessed. */
static inline bool op_has_secrets(const struct op *op)
{
    return op->declared != NULL && op->declared->kind == MIRAI_RPC_ONCE;
}
/* Whether this failure is written into the audit log although it was found before the writer. */
static inline bool op_audits_failure(const struct op *op, int err)
{
    return (op->method->flags & OP_AUDIT_FAILURES) != 0 || err == MIRAI_E_INFECTED;
}
/* Whether this is the system or an Admin. */
static inline bool op_is_admin(const struct op *op)
{
    return op->principal->user_id == MIRAI_USER_SYSTEM || op->principal->role >= MIRAI_ROLE_ADMIN;
}

#endif
