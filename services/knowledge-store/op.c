#include "services/knowledge-store/op.h"

#include "libcommon/time.h"
#include "services/knowledge-store/cache.h"
#include "services/knowledge-store/store.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------ life */

struct op *op_new(struct store *store, enum mirai_method_id id, const struct mirai_context *context)
{
    struct op *op = mirai_alloc(sizeof(*op));
    op->store = store;
    op->context = context;
    op->principal = &context->principal;
    op->declared = &mirai_methods[id];
    op->method = &op_methods[id];
    op->params = mirai_arena_alloc(&op->arena, op->declared->params->size);
    op->now_ms = mirai_now_ms();
    op->cache_ticket = cache_ticket(store->cache);
    store->ops++;
    return op;
}

struct op *op_new_internal(struct store *store, const struct op_method *method)
{
    static const struct mirai_context system = {
        .principal = {.user_id = MIRAI_USER_SYSTEM, .role = MIRAI_ROLE_ADMIN}};
    struct op *op = mirai_alloc(sizeof(*op));
    op->store = store;
    op->context = &system;
    op->principal = &system.principal;
    op->method = method;
    op->now_ms = mirai_now_ms();
    store->ops++;
    return op;
}

void op_free(struct op *op)
{
    op->store->ops--;
    mirai_buf_free(&op->result);
    mirai_buf_free(&op->error_extra);
    mirai_arena_free(&op->arena);
    free(op);
}

/* ------------------------------------------------------------------ on the workers */

static void prepare(struct op *op)
{
    if (op->access.spaces.data == NULL) {
        access_make(&op->access, op->principal, &op->arena);
    }
}

/* The log of the database starts anew only when nobody reads an older state: no read may last longer than this,
 * whatever its caller would wait for. */
#define READ_LIFE_MS 30000

static uint64_t read_until(const struct op *op)
{
    uint64_t end = mirai_monotonic_ms() + READ_LIFE_MS;
    return op->context->deadline_ms != 0 && op->context->deadline_ms < end ? op->context->deadline_ms : end;
}

static bool too_late(const struct op *op)
{
    return op->context->deadline_ms != 0 && mirai_monotonic_ms() >= op->context->deadline_ms;
}

static int run_step(struct op *op)
{
    return op->err != 0 ? op->err : too_late(op) ? MIRAI_E_DEADLINE : op->method->steps[op->step].run(op);
}

static void work_read(struct mirai_job *job, void *thread)
{
    struct op *op = op_of_job(job);
    struct db *db = thread;
    if (db == NULL) {
        op->err = MIRAI_E_INTERNAL;
        return;
    }
    prepare(op);
    op->db = db;
    db_interrupt_after(db, read_until(op));
    op->err = run_step(op);
    db_interrupt_after(db, 0);
    op->db = NULL;
}

static void work_write(struct mirai_job *job, void *thread)
{
    struct op *op = op_of_job(job);
    prepare(op);
    if (op->err == 0 && too_late(op)) {
        op->err = MIRAI_E_DEADLINE;
        return;
    }
    writer_work(job, thread);
}

static void work_alone(struct mirai_job *job, void *thread)
{
    struct op *op = op_of_job(job);
    (void)thread;
    prepare(op);
    op->err = run_step(op);
}

/* ------------------------------------------------------------------ on the loop */

static void reply(struct op *op)
{
    if (op->request == NULL) {
        return;
    }
    if (op_has_secrets(op) && op->request->params.len > 0) {
        sodium_memzero((char *)op->request->params.data, op->request->params.len); /* the request is ours */
    }
    if (op->err != 0) {
        mirai_rpc_fail_with(op->request, op->err, op->detail, mirai_buf_str(&op->error_extra));
        return;
    }
    if (op->result.len == 0) {
        mirai_mp_write_map(&op->result, 0);
    }
    mirai_rpc_reply_buf(op->request, &op->result);
}

static void finish(struct op *op)
{
    if (op->touched_all) {
        store_forget_all(op->store);
    }
    for (size_t i = 0; i < op->touched_len; i++) {
        store_forget(op->store, op->touched[i]);
    }
    if (op->access_changed) {
        store_forget_access(op->store);
    }
    if (op->method->finish != NULL) {
        op->method->finish(op);
    }
    reply(op);
    op_free(op);
}

static bool is_last_step(const struct op *op)
{
    return op->step + 1 >= OP_STEPS_MAX || op->method->steps[op->step + 1].run == NULL;
}

static void on_done(struct mirai_job *job)
{
    struct op *op = op_of_job(job);
    bool audit_failure = op->err != 0 && op_audits_failure(op, op->err);
    if (is_last_step(op) || (op->err != 0 && !audit_failure)) {
        finish(op);
        return;
    }
    op->step++;
    op_advance(op);
}

void op_advance(struct op *op)
{
    enum op_pool pool = op->method->steps[op->step].pool;
    op->job.done = on_done;
    if (pool == OP_LOOP) {
        work_alone(&op->job, NULL);
        on_done(&op->job);
        return;
    }
    op->job.work = pool == OP_WRITE                     ? work_write
                   : pool == OP_READ || pool == OP_BULK ? work_read
                                                        : work_alone;
    struct mirai_pool *threads = store_pool(op->store, pool); /* NULL while the store stops */
    int err = threads != NULL ? mirai_pool_submit(threads, &op->job) : MIRAI_E_UNAVAILABLE;
    if (err != 0) {
        op->err = op->err != 0 ? op->err : err;
        finish(op);
    }
}

void op_accept(struct mirai_rpc_request *request, enum mirai_method_id id)
{
    struct store *store = request->data;
    const struct op_method *method = &op_methods[id];
    if (method->quick != NULL && method->quick(store, request)) {
        return;
    }
    if (method->steps[0].run == NULL) {
        mirai_rpc_fail(request, MIRAI_E_METHOD, "not implemented");
        return;
    }
    struct op *op = op_new(store, id, &request->context);
    if (!mirai_method_accept(request, id, &op->arena, op->params)) {
        op_free(op);
        return;
    }
    op->request = request;
    op_advance(op);
}

/* ------------------------------------------------------------------ for steps */

int op_result(struct op *op, const void *message)
{
    op->result.len = 0;
    mirai_message_encode(op->declared->result, message, &op->result);
    return 0;
}

int op_fail(struct op *op, int err, const char *detail)
{
    op->detail = detail;
    return err;
}

int op_fault(struct op *op, const char *path, const char *problem)
{
    struct mirai_faults faults = {.count = 1};
    snprintf(faults.list[0].path, sizeof(faults.list[0].path), "%s", path);
    faults.list[0].problem = problem;
    op->error_extra.len = 0;
    mirai_mp_write_map(&op->error_extra, 1);
    mirai_mp_write_cstr(&op->error_extra, "errors");
    mirai_faults_encode(&faults, &op->error_extra);
    return MIRAI_E_UNPROCESSABLE;
}

int op_fail_with(struct op *op, int err, const char *detail, const char *key, struct mirai_str value)
{
    op->error_extra.len = 0;
    mirai_mp_write_map(&op->error_extra, 1);
    mirai_mp_write_cstr(&op->error_extra, key);
    mirai_mp_write_str(&op->error_extra, value);
    return op_fail(op, err, detail);
}

void op_object(struct op *op, const char *kind, int64_t id)
{
    snprintf(op->object, sizeof(op->object), "%s/%lld", kind, (long long)id);
}

void op_touch(struct op *op, int64_t article_id)
{
    if (op->touched_len == op->touched_cap) {
        size_t cap = op->touched_cap == 0 ? 4 : op->touched_cap * 2;
        int64_t *grown = mirai_arena_alloc(&op->arena, cap * sizeof(*grown));
        if (op->touched_len > 0) {
            memcpy(grown, op->touched, op->touched_len * sizeof(*grown));
        }
        op->touched = grown;
        op->touched_cap = cap;
    }
    op->touched[op->touched_len++] = article_id;
}

int op_change(struct op *op, enum mirai_change_kind kind, int64_t id)
{
    int err = db_exec(op->db, "INSERT INTO changes (kind, object_id, at) VALUES (?1, ?2, ?3)", DB_I(kind),
                      DB_I(id), DB_I(op->now_ms));
    if (err == 0) {
        op->last_seq = db_last_id(op->db);
        op->changed = true;
        op->access_changed |= kind == MIRAI_CHANGE_ACCESS;
        if (kind == MIRAI_CHANGE_ARTICLE || kind == MIRAI_CHANGE_ARTICLE_GONE) {
            op_touch(op, id);
        }
    }
    return err;
}
