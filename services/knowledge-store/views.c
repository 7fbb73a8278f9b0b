#include "services/knowledge-store/views.h"

#include "services/knowledge-store/store.h"

#include <stdlib.h>

#define SLOTS_MIN 64
#define DAY_MS    86400000

struct views {
    size_t slots; /* a power of two; at most three quarters are used */
    size_t used;
    struct view {
        int64_t article_id; /* 0: free */
        int64_t count;
    } * table;
};

struct views *views_new(void)
{
    struct views *views = mirai_alloc(sizeof(*views));
    views->slots = SLOTS_MIN;
    views->table = mirai_alloc(SLOTS_MIN * sizeof(*views->table));
    return views;
}

void views_free(struct views *views)
{
    if (views != NULL) {
        free(views->table);
        free(views);
    }
}

static void add(struct views *views, int64_t article_id, int64_t count);

static void grow(struct views *views)
{
    struct view *old = views->table;
    size_t old_slots = views->slots;
    views->slots *= 2;
    views->used = 0;
    views->table = mirai_alloc(views->slots * sizeof(*views->table));
    for (size_t i = 0; i < old_slots; i++) {
        if (old[i].article_id != 0) {
            add(views, old[i].article_id, old[i].count);
        }
    }
    free(old);
}

static void add(struct views *views, int64_t article_id, int64_t count)
{
    size_t mask = views->slots - 1;
    size_t at = (size_t)(((uint64_t)article_id * 0x9e3779b97f4a7c15u) >> 20) & mask;
    while (views->table[at].article_id != 0 && views->table[at].article_id != article_id) {
        at = (at + 1) & mask;
    }
    if (views->table[at].article_id == 0) {
        views->table[at].article_id = article_id;
        views->used++;
    }
    views->table[at].count += count;
    if (views->used > views->slots / 4 * 3) {
        grow(views);
    }
}

void views_count(struct views *views, int64_t article_id)
{
    add(views, article_id, 1);
}

/* An article that was purged meanwhile has no views any more. */
static int write_views(struct op *op)
{
    const struct views *views = op->state;
    for (size_t i = 0; i < views->slots; i++) {
        const struct view *view = &views->table[i];
        int err = view->article_id == 0
                      ? 0
                      : db_exec(op->db,
                                "INSERT INTO views (article_id, day, count)"
                                " SELECT id, ?2, ?3 FROM articles WHERE id = ?1"
                                " ON CONFLICT (article_id, day) DO UPDATE SET count = count + excluded.count",
                                DB_I(view->article_id), DB_I(op->now_ms / DAY_MS), DB_I(view->count));
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static void finish_views(struct op *op)
{
    struct views *written = op->state;
    for (size_t i = 0; op->err != 0 && i < written->slots; i++) {
        if (written->table[i].article_id != 0) {
            add(op->store->views, written->table[i].article_id, written->table[i].count);
        }
    }
    views_free(written);
}

void views_flush(struct store *store)
{
    static const struct op_method method = {
        .steps = {{OP_WRITE, write_views}}, .flags = OP_NO_AUDIT, .finish = finish_views};
    if (store->views->used == 0) {
        return;
    }
    struct op *op = op_new_internal(store, &method);
    op->state = store->views;
    store->views = views_new();
    op_advance(op);
}
