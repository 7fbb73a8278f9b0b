#include "services/search-index/follower.h"

#include "libcommon/log.h"
#include "libcommon/metrics.h"
#include "libcommon/pool.h"
#include "libcommon/time.h"
#include "proto/methods.h"

#include <stdlib.h>
#include <sys/resource.h>

#define WRITER_NICE      10
#define CHANGES_MAX      200 /* in one pull, and so in one transaction */
#define EXPORT_MAX       200
#define PULL_MS          10000 /* deadline of a pull: a page of large articles takes time */
#define RETRY_FIRST_MS   100
#define RETRY_LONGEST_MS 1000
#define PERIOD_MS        1000 /* between pulls without a hint */

#define SIGNALS_MS       60000 /* between pulls of the use of articles */
#define SIGNALS_MAX      5000  /* in one pull */
#define AGAIN_MAX        10000 /* articles that wait for being applied again */

#define IDLE_MS          200 /* without a write, until the writer tidies up */

/* What is being done; one thing at a time. */
enum follower_state {
    FOLLOWER_IDLE,
    FOLLOWER_PULLING,   /* changes.since is on its way */
    FOLLOWER_EXPORTING, /* article.export or signal.list is on its way */
    FOLLOWER_WRITING,   /* the writer thread has a job */
    FOLLOWER_WAITING,   /* after a failure */
    FOLLOWER_STOPPED,
};

enum write_kind {
    WRITE_CHANGES, /* a page of changes into the current file */
    WRITE_BEGIN,   /* a new file */
    WRITE_EXPORT,  /* a page of articles into the new file */
    WRITE_MISSED,  /* a page of changes since the export began, into the new file */
    WRITE_SWAP,    /* make the new file current */
    WRITE_AGAIN,   /* one article whose files' texts have come */
    WRITE_SIGNALS, /* a page of the use of articles */
};

struct follower {
    uv_loop_t *loop;
    struct generations *generations;
    struct mirai_rpc_client *store;
    struct mirai_pool *writer;
    struct mirai_rpc_call *call;
    uv_timer_t timer;
    enum follower_state state;
    bool stopping;
    bool hinted;       /* since the last pull began */
    bool behind;       /* the last page was not the end */
    bool wanted;       /* a rebuild is wanted */
    bool changes_next; /* while building: changes and export pages take turns */
    bool lost;         /* the current file cannot follow any more */
    uint64_t retry_ms;
    uint64_t period_ms;
    struct follower_status status;
    struct follower_hooks hooks;
    int64_t *again; /* ids, a ring */
    size_t again_at;
    size_t again_len;
    uint64_t signals_ms;   /* when they are due */
    int64_t signals_after; /* id of the last one of the page before */
    /* the file being built */
    struct index *building;
    struct index_position built; /* of the feed: at first when the export began */
    int64_t begun_ms;            /* since 1970 */
    int64_t after_id;
    bool exported;    /* the last page has been seen */
    int64_t head_seq; /* of the feed, when it was */
    /* the writer's job */
    struct mirai_job job;
    enum write_kind kind;
    struct mirai_buf page;
    int err;
    int64_t last_id;
    size_t count;
    bool more;
    bool reset;
    bool vocabulary; /* the page says that it has changed */
    struct index_position reached;
    uint64_t documents;
    struct mirai_gauge *documents_gauge;
    struct mirai_gauge *seq_gauge;
    struct mirai_histogram *freshness;
    struct mirai_counter *failures;
    struct mirai_counter *rebuilds;
};

static void step(struct follower *follower);

/* ------------------------------------------------------------------ writer thread */

/* Decode the page; what is wrong with one that cannot be read goes to the log, because following stops there.
 */
static int decode_page(struct follower *follower, const struct mirai_message *message,
                       struct mirai_arena *arena, void *out)
{
    struct mirai_faults faults = {0};
    int err = mirai_message_decode(message, mirai_buf_str(&follower->page), MIRAI_INNER, arena, out, &faults);
    if (err != 0) {
        mirai_log(ERROR, "unreadable page from the store", MIRAI_LOG_Z("message", message->name),
                  MIRAI_LOG_Z("path", faults.count > 0 ? faults.list[0].path : ""),
                  MIRAI_LOG_Z("problem", faults.count > 0 ? faults.list[0].problem : ""));
    }
    return err == MIRAI_E_INVALID ? MIRAI_E_UNPROCESSABLE : err; /* INVALID is a damaged file */
}

/* An article with the texts of its files, as far as they are known. */
static struct index_change make_change(struct follower *follower, const struct mirai_article *article,
                                       struct mirai_arena *arena)
{
    struct index_change change = {.id = article->id, .article = article};
    if (!mirai_has(article, article, attachments)) {
        return change;
    }
    if (article->attachments.count == 0) {
        change.has_files = true;
    } else if (follower->hooks.files != NULL) {
        change.has_files =
            follower->hooks.files(follower->hooks.data, article, arena, &change.files, &change.files_len);
    }
    return change;
}

/* Apply a page of changes to `index`; *page lives in `arena`. */
static void apply_changes(struct follower *follower, struct index *index, struct mirai_arena *arena,
                          struct mirai_changes *page)
{
    follower->err = decode_page(follower, &mirai_message_changes, arena, page);
    if (follower->err == 0 && !page->reset && page->items.count > 0) {
        const struct mirai_change *items = MIRAI_ITEMS(change, &page->items);
        struct index_change *changes = mirai_arena_alloc(arena, page->items.count * sizeof(*changes));
        size_t count = 0;
        for (size_t i = 0; i < page->items.count; i++) {
            if (items[i].kind == MIRAI_CHANGE_ARTICLE || items[i].kind == MIRAI_CHANGE_ARTICLE_GONE) {
                bool text = mirai_has(change, &items[i], article);
                changes[count++] = text ? make_change(follower, &items[i].article, arena)
                                        : (struct index_change){.id = items[i].id};
            }
            follower->vocabulary |= items[i].kind == MIRAI_CHANGE_VOCABULARY;
        }
        struct index_position position = {.seq = items[page->items.count - 1].seq};
        memcpy(position.epoch, page->epoch.data, page->epoch.len < 40 ? page->epoch.len : 40);
        follower->err = index_apply(index, changes, count, &position);
    }
    if (follower->err == 0) {
        follower->reset = page->reset;
        follower->count = page->items.count;
        follower->reached = index_position(index);
        follower->more = page->last_seq > follower->reached.seq && page->items.count > 0;
    }
}

static void write_changes(struct follower *follower)
{
    struct mirai_arena arena = {0};
    struct mirai_changes page;
    struct generation *generation = generations_acquire(follower->generations);
    struct index *index = generation_index(generation);
    apply_changes(follower, index, &arena, &page);
    if (follower->err == 0 && !page.reset && page.items.count > 0) {
        const struct mirai_change *items = MIRAI_ITEMS(change, &page.items);
        index_checkpoint(index);
        for (size_t i = 0; i < page.items.count; i++) {
            int64_t age_ms = mirai_now_ms() - items[i].at;
            mirai_histogram_observe(follower->freshness, age_ms > 0 ? (uint64_t)age_ms * 1000 : 0);
        }
    }
    if (follower->err == 0 && index_damaged(index)) { /* a reader or a check has met it */
        follower->err = MIRAI_E_INVALID;
    }
    follower->documents = catalog_count(index_catalog(index));
    mirai_arena_free(&arena);
    generation_release(generation);
}

static void write_missed(struct follower *follower)
{
    struct mirai_arena arena = {0};
    struct mirai_changes page;
    apply_changes(follower, follower->building, &arena, &page);
    mirai_arena_free(&arena);
}

static void write_export(struct follower *follower)
{
    struct mirai_arena arena = {0};
    struct mirai_article_export_page page;
    follower->err = decode_page(follower, &mirai_message_article_export_page, &arena, &page);
    if (follower->err == 0) {
        const struct mirai_article *articles = MIRAI_ITEMS(article, &page.items);
        struct index_change *changes = mirai_arena_alloc(&arena, (page.items.count + 1) * sizeof(*changes));
        struct index_position position = {.seq = page.seq};
        memcpy(position.epoch, page.epoch.data, page.epoch.len < 40 ? page.epoch.len : 40);
        if (follower->after_id == 0) {
            follower->built =
                position; /* later pages are newer: what changed since is pulled before the swap */
        }
        follower->head_seq = page.seq;
        follower->reset = strcmp(position.epoch, follower->built.epoch) != 0;
        follower->count = page.items.count;
        for (size_t i = 0; i < page.items.count; i++) {
            changes[i] = make_change(follower, &articles[i], &arena);
            follower->last_id = articles[i].id;
        }
        follower->err = index_apply(follower->building, changes, page.items.count, &follower->built);
    }
    mirai_arena_free(&arena);
}

static uint32_t clamp32(int64_t value)
{
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void write_again(struct follower *follower)
{
    struct mirai_arena arena = {0};
    struct mirai_article_export_page page;
    follower->err = decode_page(follower, &mirai_message_article_export_page, &arena, &page);
    if (follower->err == 0 && page.items.count > 0) {
        const struct mirai_article *article = MIRAI_ITEMS(article, &page.items);
        struct generation *generation = generations_acquire(follower->generations);
        struct index *index = generation_index(generation);
        struct index_position position = index_position(index);
        /* only what is there: a page of the feed may be on its way that takes it out */
        if (article->id == follower->last_id && catalog_slot(index_catalog(index), article->id) != 0) {
            struct index_change change = make_change(follower, article, &arena);
            follower->err = index_apply(index, &change, 1, &position);
        }
        generation_release(generation);
    }
    mirai_arena_free(&arena);
}

static void write_signals(struct follower *follower)
{
    struct mirai_arena arena = {0};
    struct mirai_article_signals page;
    follower->err = decode_page(follower, &mirai_message_article_signals, &arena, &page);
    follower->count = 0;
    if (follower->err == 0) {
        const struct mirai_article_signal *items = MIRAI_ITEMS(article_signal, &page.items);
        struct generation *generation = generations_acquire(follower->generations);
        for (size_t i = 0; i < page.items.count; i++) {
            const struct catalog_signals signals = {.views = clamp32(items[i].views),
                                                    .clicks = clamp32(items[i].clicks),
                                                    .ratings = clamp32(items[i].rating_count),
                                                    .rating = (float)items[i].rating_average};
            catalog_set_signals(index_catalog(generation_index(generation)), items[i].id, &signals);
            follower->last_id = items[i].id;
        }
        follower->count = page.items.count;
        generation_release(generation);
    }
    mirai_arena_free(&arena);
}

static void write_swap(struct follower *follower)
{
    struct index *building = follower->building;
    follower->building = NULL;
    follower->documents = catalog_count(index_catalog(building));
    follower->reached = index_position(building);
    follower->err = generations_swap(follower->generations, building);
    if (follower->err == 0 && follower->hooks.rebuilt != NULL) {
        follower->hooks.rebuilt(follower->hooks.data, follower->begun_ms);
    }
}

static void on_work(struct mirai_job *job, void *thread)
{
    struct follower *follower = (struct follower *)((char *)job - offsetof(struct follower, job));
    (void)thread;
    switch (follower->kind) {
    case WRITE_CHANGES:
        write_changes(follower);
        break;
    case WRITE_BEGIN:
        follower->err = generations_build(follower->generations, &follower->building);
        break;
    case WRITE_EXPORT:
        write_export(follower);
        break;
    case WRITE_MISSED:
        write_missed(follower);
        break;
    case WRITE_SWAP:
        write_swap(follower);
        break;
    case WRITE_AGAIN:
        write_again(follower);
        break;
    case WRITE_SIGNALS:
        write_signals(follower);
        break;
    }
}

/* Nothing to write: tidy up. Changes wait for one turn at most. */
static void on_idle(void *thread)
{
    struct follower *follower = thread;
    struct generation *generation = generations_acquire(follower->generations);
    index_tidy(generation_index(generation));
    generation_release(generation);
}

static void *thread_start(void *data)
{
    /* Answers come before freshness when the machine is full; the nice value is the thread's own on Linux. */
    setpriority(PRIO_PROCESS, 0, WRITER_NICE);
    return data;
}

/* ------------------------------------------------------------------ loop thread */

static void on_timer(uv_timer_t *timer)
{
    struct follower *follower = timer->data;
    if (follower->state == FOLLOWER_IDLE || follower->state == FOLLOWER_WAITING) {
        follower->hinted = true;
        step(follower);
    }
}

static void rest(struct follower *follower, enum follower_state state, uint64_t ms)
{
    follower->state = state;
    uv_timer_start(&follower->timer, on_timer, ms, 0);
}

static void retry(struct follower *follower, const char *what, int err)
{
    mirai_counter_add(follower->failures, 1);
    if (follower->retry_ms == RETRY_FIRST_MS) {
        mirai_log(WARNING, "the index cannot follow the store; trying again", MIRAI_LOG_Z("what", what),
                  MIRAI_LOG_Z("reason", mirai_error_slug(err)));
    }
    rest(follower, FOLLOWER_WAITING, follower->retry_ms);
    follower->retry_ms =
        follower->retry_ms * 2 > RETRY_LONGEST_MS ? RETRY_LONGEST_MS : follower->retry_ms * 2;
}

static void begin_rebuild(struct follower *follower, const char *reason)
{
    mirai_log(INFO, "rebuilding the index", MIRAI_LOG_Z("reason", reason));
    mirai_counter_add(follower->rebuilds, 1);
    follower->wanted = false;
    follower->status.rebuilding = true;
    follower->begun_ms = mirai_now_ms();
    follower->after_id = 0;
    follower->exported = false;
    follower->changes_next = false;
}

static void end_rebuild(struct follower *follower)
{
    generations_abandon(follower->building);
    follower->building = NULL;
    follower->status.rebuilding = false;
}

static bool current_follows(const struct follower *follower)
{
    return follower->status.complete && !follower->lost;
}

/* How far the new file must reach before the swap: not behind what answers now, nor behind the end of its own
 * export. Otherwise the swap would take back changes that were seen, such as an article's becoming private. */
static int64_t seq_to_reach(const struct follower *follower)
{
    const struct index_position *current = &follower->status.position;
    bool comparable = current_follows(follower) && strcmp(follower->built.epoch, current->epoch) == 0;
    return comparable && current->seq > follower->head_seq ? current->seq : follower->head_seq;
}

static void after_changes(struct follower *follower)
{
    follower->status.position = follower->reached;
    follower->status.documents = follower->documents;
    mirai_gauge_set(follower->documents_gauge, (int64_t)follower->documents);
    mirai_gauge_set(follower->seq_gauge, follower->reached.seq);
    follower->behind = follower->more;
    if (follower->vocabulary && follower->hooks.vocabulary != NULL) {
        follower->hooks.vocabulary(follower->hooks.data);
    }
    follower->vocabulary = false;
    follower->status.caught_up |= !follower->more && !follower->reset;
    follower->lost |= follower->reset;
    if (follower->reset && !follower->status.rebuilding) {
        begin_rebuild(follower, follower->reached.epoch[0] == '\0' ? "no index yet"
                                                                   : "the store's feed has no such position");
    }
}

static void after_export(struct follower *follower)
{
    if (follower->reset) { /* the store was restored meanwhile */
        end_rebuild(follower);
        follower->wanted = true;
        return;
    }
    if (follower->count == 0) {
        follower->exported = true;
    } else {
        follower->after_id = follower->last_id;
    }
}

static void after_missed(struct follower *follower)
{
    if (follower->reset) {
        end_rebuild(follower);
        follower->wanted = true;
        return;
    }
    follower->built = follower->reached;
    if (follower->count == 0) { /* there is nothing more, whatever was said before */
        follower->built.seq = seq_to_reach(follower);
    }
}

static void after_swap(struct follower *follower)
{
    follower->status.rebuilding = false;
    follower->status.complete = true;
    follower->lost = false;
    follower->status.position = follower->reached;
    follower->status.documents = follower->documents;
    follower->behind = true;
    follower->signals_ms = 0; /* the new catalogue has none */
    follower->signals_after = 0;
    mirai_gauge_set(follower->documents_gauge, (int64_t)follower->documents);
    mirai_log(INFO, "new index in use", MIRAI_LOG_I("articles", (int64_t)follower->documents));
}

/* The next page at once, or the first one after a while. */
static void after_signals(struct follower *follower)
{
    if (follower->count == SIGNALS_MAX) {
        follower->signals_after = follower->last_id;
    } else {
        follower->signals_after = 0;
        follower->signals_ms = mirai_monotonic_ms() + SIGNALS_MS;
    }
}

static void on_written(struct mirai_job *job)
{
    struct follower *follower = (struct follower *)((char *)job - offsetof(struct follower, job));
    follower->state = FOLLOWER_IDLE;
    mirai_buf_free(&follower->page);
    if (follower->hooks.written != NULL) {
        follower->hooks.written(follower->hooks.data);
    }
    if (follower->err != 0) {
        bool current = follower->kind == WRITE_CHANGES || follower->kind == WRITE_AGAIN ||
                       follower->kind == WRITE_SIGNALS;
        follower->signals_ms = mirai_monotonic_ms() + SIGNALS_MS;
        if (current && follower->err == MIRAI_E_INVALID) {
            follower->wanted = !follower->status.rebuilding; /* the file is damaged */
            follower->lost = true;
        } else if (!current) {
            end_rebuild(follower);
            follower->wanted = true;
        }
        if (!follower->stopping) {
            retry(follower, "write", follower->err);
        }
        return;
    }
    if (follower->kind != WRITE_BEGIN) {
        follower->retry_ms = RETRY_FIRST_MS;
    }
    switch (follower->kind) {
    case WRITE_CHANGES:
        after_changes(follower);
        break;
    case WRITE_EXPORT:
        after_export(follower);
        break;
    case WRITE_MISSED:
        after_missed(follower);
        break;
    case WRITE_SWAP:
        after_swap(follower);
        break;
    case WRITE_SIGNALS:
        after_signals(follower);
        break;
    case WRITE_BEGIN:
    case WRITE_AGAIN:
        break;
    }
    step(follower);
}

static void write_page(struct follower *follower, enum write_kind kind)
{
    follower->kind = kind;
    follower->state = FOLLOWER_WRITING;
    follower->job = (struct mirai_job){.work = on_work, .done = on_written};
    mirai_pool_submit(follower->writer, &follower->job); /* its queue has room: there is one job */
}

static void on_page(struct follower *follower, const struct mirai_rpc_reply *reply, enum write_kind kind)
{
    follower->call = NULL;
    follower->state = FOLLOWER_IDLE;
    if (follower->stopping) {
        return;
    }
    if (reply->status != 0) {
        if (kind == WRITE_SIGNALS) { /* they only shift the ranking a little */
            follower->signals_ms = mirai_monotonic_ms() + SIGNALS_MS;
            step(follower);
            return;
        }
        follower->status.caught_up |= follower->status.complete && !follower->lost; /* old beats none */
        bool exporting = kind == WRITE_EXPORT || kind == WRITE_AGAIN;
        retry(follower, exporting ? "article.export" : "changes.since", reply->status);
        return;
    }
    follower->page.len = 0;
    mirai_buf_append_str(&follower->page, reply->result);
    write_page(follower, kind);
}

static void on_changes(void *data, const struct mirai_rpc_reply *reply)
{
    on_page(data, reply, WRITE_CHANGES);
}

static void on_missed(void *data, const struct mirai_rpc_reply *reply)
{
    on_page(data, reply, WRITE_MISSED);
}

static void on_export(void *data, const struct mirai_rpc_reply *reply)
{
    on_page(data, reply, WRITE_EXPORT);
}

static void on_again(void *data, const struct mirai_rpc_reply *reply)
{
    on_page(data, reply, WRITE_AGAIN);
}

static void on_signals(void *data, const struct mirai_rpc_reply *reply)
{
    on_page(data, reply, WRITE_SIGNALS);
}

static struct mirai_context pull_context(void)
{
    struct mirai_context context = mirai_context_system();
    context.deadline_ms = mirai_monotonic_ms() + PULL_MS;
    return context;
}

static void pull_since(struct follower *follower, const struct index_position *position,
                       mirai_rpc_cb callback)
{
    struct mirai_changes_since params = {0};
    struct mirai_context context = pull_context();
    mirai_set(changes_since, &params, epoch, mirai_str(position->epoch));
    mirai_set(changes_since, &params, seq, position->seq);
    mirai_set(changes_since, &params, limit, CHANGES_MAX);
    follower->state = FOLLOWER_PULLING;
    follower->call = mirai_method_call(follower->store, MIRAI_METHOD_ID_changes_since, &context, &params,
                                       callback, follower);
}

static void pull_changes(struct follower *follower)
{
    follower->hinted = false;
    follower->behind = false;
    pull_since(follower, &follower->status.position, on_changes);
}

static void pull_export(struct follower *follower)
{
    struct mirai_article_export params = {0};
    struct mirai_context context = pull_context();
    mirai_set(article_export, &params, after_id, follower->after_id);
    mirai_set(article_export, &params, limit, EXPORT_MAX);
    follower->state = FOLLOWER_EXPORTING;
    follower->call = mirai_method_call(follower->store, MIRAI_METHOD_ID_article_export, &context, &params,
                                       on_export, follower);
}

static void pull_again(struct follower *follower)
{
    struct mirai_article_export params = {0};
    struct mirai_context context = pull_context();
    follower->last_id = follower->again[follower->again_at];
    follower->again_at = (follower->again_at + 1) % AGAIN_MAX;
    follower->again_len--;
    mirai_set(article_export, &params, after_id, follower->last_id - 1);
    mirai_set(article_export, &params, limit, 1);
    follower->state = FOLLOWER_EXPORTING;
    follower->call = mirai_method_call(follower->store, MIRAI_METHOD_ID_article_export, &context, &params,
                                       on_again, follower);
}

static void pull_signals(struct follower *follower)
{
    struct mirai_article_signal_list params = {0};
    struct mirai_context context = pull_context();
    mirai_set(article_signal_list, &params, after_id, follower->signals_after);
    mirai_set(article_signal_list, &params, limit, SIGNALS_MAX);
    follower->state = FOLLOWER_EXPORTING;
    follower->call = mirai_method_call(follower->store, MIRAI_METHOD_ID_signal_list, &context, &params,
                                       on_signals, follower);
}

/* What is done beside following, when the index is as new as can be. True: something was begun. */
static bool step_beside(struct follower *follower)
{
    if (!current_follows(follower) || follower->hinted || follower->behind) {
        return false;
    }
    if (follower->again_len > 0) {
        pull_again(follower);
        return true;
    }
    if (mirai_monotonic_ms() >= follower->signals_ms) {
        pull_signals(follower);
        return true;
    }
    return false;
}

/* While building, pages for the new file and changes of the current file take turns. Once all is exported, a
 * current file that is behind waits: the new one must be able to overtake it. */
static void step_rebuild(struct follower *follower)
{
    bool due =
        follower->exported ? follower->hinted && !follower->behind : follower->hinted || follower->behind;
    if (current_follows(follower) && follower->changes_next && due) {
        follower->changes_next = false;
        pull_changes(follower);
        return;
    }
    follower->changes_next = true;
    if (follower->building == NULL) {
        write_page(follower, WRITE_BEGIN);
    } else if (!follower->exported) {
        pull_export(follower);
    } else if (follower->built.seq >= seq_to_reach(follower)) {
        write_page(follower, WRITE_SWAP);
    } else {
        pull_since(follower, &follower->built, on_missed);
    }
}

/* From idle: begin whatever is next. */
static void step(struct follower *follower)
{
    uv_timer_stop(&follower->timer);
    if (follower->stopping) {
        follower->state = FOLLOWER_STOPPED;
        return;
    }
    if (follower->wanted && !follower->status.rebuilding) {
        begin_rebuild(follower, "asked for");
    }
    if (follower->status.rebuilding) {
        step_rebuild(follower);
    } else if (follower->hinted || follower->behind) {
        pull_changes(follower);
    } else if (!step_beside(follower)) {
        rest(follower, FOLLOWER_IDLE, follower->period_ms);
    }
}

void follower_hint(struct follower *follower)
{
    follower->hinted = true;
    if (follower->state == FOLLOWER_IDLE && !follower->stopping) {
        step(follower);
    }
}

void follower_rebuild(struct follower *follower)
{
    follower->wanted |= !follower->status.rebuilding;
    follower_hint(follower);
}

void follower_set_hooks(struct follower *follower, const struct follower_hooks *hooks)
{
    follower->hooks = *hooks;
    follower->vocabulary = true;
}

void follower_again(struct follower *follower, int64_t id)
{
    if (follower->again == NULL) {
        follower->again = mirai_alloc(AGAIN_MAX * sizeof(follower->again[0]));
    }
    if (follower->again_len == AGAIN_MAX) {
        follower->again_at = (follower->again_at + 1) % AGAIN_MAX;
        follower->again_len--;
    }
    follower->again[(follower->again_at + follower->again_len++) % AGAIN_MAX] = id;
    if (follower->state == FOLLOWER_IDLE && !follower->stopping) {
        step(follower);
    }
}

void follower_set_period(struct follower *follower, uint64_t ms)
{
    follower->period_ms = ms;
}

struct follower_status follower_status(const struct follower *follower)
{
    return follower->status;
}

bool follower_busy(const struct follower *follower)
{
    return follower->state == FOLLOWER_WRITING;
}

void follower_stop(struct follower *follower)
{
    follower->stopping = true;
    if (follower->call != NULL) {
        mirai_rpc_cancel(follower->call);
        follower->call = NULL;
        follower->state = FOLLOWER_STOPPED;
    }
    uv_timer_stop(&follower->timer);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void follower_free(struct follower *follower)
{
    if (follower == NULL) {
        return;
    }
    follower_stop(follower);
    if (follower->writer != NULL) {
        mirai_pool_free(follower->writer);
    }
    generations_abandon(follower->building);
    mirai_buf_free(&follower->page);
    free(follower->again);
    uv_close((uv_handle_t *)&follower->timer, on_closed);
}

struct follower *follower_new(uv_loop_t *loop, struct generations *generations,
                              struct mirai_rpc_client *store)
{
    struct follower *follower = mirai_alloc(sizeof(*follower));
    struct generation *generation = generations_acquire(generations);
    *follower = (struct follower){.loop = loop,
                                  .generations = generations,
                                  .store = store,
                                  .retry_ms = RETRY_FIRST_MS,
                                  .period_ms = PERIOD_MS};
    follower->status.position = index_position(generation_index(generation));
    follower->status.documents = catalog_count(index_catalog(generation_index(generation)));
    follower->status.complete = follower->status.position.epoch[0] != '\0';
    generation_release(generation);
    follower->documents_gauge = mirai_metric_gauge("mirai_search_documents", "Articles in the index", NULL);
    follower->seq_gauge =
        mirai_metric_gauge("mirai_search_feed_seq", "Position in the store's change feed", NULL);
    follower->freshness = mirai_metric_histogram("mirai_search_freshness_seconds",
                                                 "Time from a change's commit until it can be found", NULL);
    follower->failures = mirai_metric_counter("mirai_search_follow_failures_total",
                                              "Pulls and writes that failed and were tried again", NULL);
    follower->rebuilds = mirai_metric_counter("mirai_search_rebuilds_total", "Rebuilds of the index", NULL);
    mirai_gauge_set(follower->documents_gauge, (int64_t)follower->status.documents);
    uv_timer_init(loop, &follower->timer);
    follower->timer.data = follower;
    const struct mirai_pool_options options = {.name = "search-writer",
                                               .threads = 1,
                                               .queue_max = 2,
                                               .batch_max = 1,
                                               .data = follower,
                                               .thread_start = thread_start,
                                               .idle_ms = IDLE_MS,
                                               .idle = on_idle};
    follower->writer = mirai_pool_new(loop, &options);
    if (follower->writer == NULL) {
        uv_close((uv_handle_t *)&follower->timer, on_closed);
        return NULL;
    }
    rest(follower, FOLLOWER_IDLE, 0);
    return follower;
}
