#include "services/search-index/help/help.h"

#include "libcommon/log.h"
#include "libcommon/pool.h"
#include "libcommon/time.h"
#include "proto/methods.h"

#include <pthread.h>
#include <stdlib.h>

#define LEXICON_PERIOD_MS 1000
/* Times what it took that a lexicon is left as it is. */
#define LEXICON_REST    50
#define ASKED_PERIOD_MS 60000
#define ASKED_RETRY_MS  2000 /* until the first answer */
#define ASKED_DAYS      30
#define CALL_MS         10000

struct help {
    struct help_options options;
    struct mirai_pool *pool;
    uv_timer_t lexicon_timer;
    uv_timer_t asked_timer;
    size_t open_handles;
    struct mirai_rpc_call *call;
    struct mirai_job lexicon_job;
    struct mirai_job asked_job;
    bool lexicon_busy;
    bool asked_busy;
    bool stopping;
    atomic_bool stop;
    struct mirai_buf page; /* as the store sent it */
    /* the thread's */
    uint64_t seen;       /* of which segments the lexicon is */
    uint64_t rest_until; /* µs */
    /* what others take */
    pthread_mutex_t lock;
    struct lexicon *lexicon;
    struct asked *asked;
};

/* ------------------------------------------------------------------ any thread */

struct lexicon *help_lexicon(struct help *help)
{
    pthread_mutex_lock(&help->lock);
    struct lexicon *lexicon = help->lexicon != NULL ? lexicon_retain(help->lexicon) : NULL;
    pthread_mutex_unlock(&help->lock);
    return lexicon;
}

struct asked *help_asked(struct help *help)
{
    pthread_mutex_lock(&help->lock);
    struct asked *asked = asked_retain(help->asked);
    pthread_mutex_unlock(&help->lock);
    return asked;
}

/* ------------------------------------------------------------------ the thread */

/* The segments of now, counted: the view itself is not held while they are read. */
static struct segment **take_segments(struct help *help, size_t *count, uint64_t *mark)
{
    struct generation *generation = generations_acquire(help->options.generations);
    struct index_reader *reader = NULL;
    struct segment **segments = NULL;
    *count = 0;
    *mark = 0;
    if (index_reader_open(generation_index(generation), &reader) == 0) {
        const struct index_view *view = index_view_enter(reader);
        segments = mirai_alloc((view->count + 1) * sizeof(segments[0]));
        for (; *count < view->count; (*count)++) {
            segments[*count] = segment_retain(view->segments[*count]);
            *mark = (*mark ^ (uintptr_t)segments[*count] ^ segment_bytes(segments[*count])) * 1099511628211u;
        }
        index_view_leave(reader);
    }
    index_reader_close(reader);
    generation_release(generation);
    return segments;
}

static void make_lexicon(struct mirai_job *job, void *thread)
{
    struct help *help = (struct help *)((char *)job - offsetof(struct help, lexicon_job));
    uint64_t start = mirai_monotonic_us();
    if (thread == NULL || start < help->rest_until) {
        return;
    }
    size_t count;
    uint64_t mark;
    struct segment **segments = take_segments(help, &count, &mark);
    struct lexicon *lexicon = NULL;
    if (mark != help->seen) {
        lexicon = lexicon_build(segments, count, thread, &help->stop);
    }
    for (size_t i = 0; i < count; i++) {
        segment_release(segments[i]);
    }
    free(segments);
    if (lexicon != NULL) {
        pthread_mutex_lock(&help->lock);
        struct lexicon *before = help->lexicon;
        help->lexicon = lexicon;
        pthread_mutex_unlock(&help->lock);
        lexicon_release(before);
        help->seen = mark;
        uint64_t end = mirai_monotonic_us();
        help->rest_until = end + (end - start) * LEXICON_REST;
    }
}

static void make_asked(struct mirai_job *job, void *thread)
{
    struct help *help = (struct help *)((char *)job - offsetof(struct help, asked_job));
    struct mirai_arena arena = {0};
    struct mirai_asked_query_page page;
    struct mirai_faults faults = {0};
    if (thread != NULL && mirai_message_decode(&mirai_message_asked_query_page, mirai_buf_str(&help->page),
                                               MIRAI_INNER, &arena, &page, &faults) == 0) {
        struct asked *asked = asked_new(thread, &page);
        pthread_mutex_lock(&help->lock);
        struct asked *before = help->asked;
        help->asked = asked;
        pthread_mutex_unlock(&help->lock);
        asked_release(before);
    }
    mirai_arena_free(&arena);
}

static void *thread_start(void *data)
{
    return analyzer_new(data);
}

static void thread_stop(void *thread)
{
    analyzer_free(thread);
}

/* ------------------------------------------------------------------ loop thread */

static void on_lexicon(struct mirai_job *job)
{
    struct help *help = (struct help *)((char *)job - offsetof(struct help, lexicon_job));
    help->lexicon_busy = false;
}

static void on_lexicon_timer(uv_timer_t *timer)
{
    struct help *help = timer->data;
    if (!help->lexicon_busy) {
        help->lexicon_job = (struct mirai_job){.work = make_lexicon, .done = on_lexicon};
        help->lexicon_busy = mirai_pool_submit(help->pool, &help->lexicon_job) == 0;
    }
}

static void on_asked(struct mirai_job *job)
{
    struct help *help = (struct help *)((char *)job - offsetof(struct help, asked_job));
    help->asked_busy = false;
}

static void on_page(void *data, const struct mirai_rpc_reply *reply)
{
    struct help *help = data;
    help->call = NULL;
    if (reply->status != 0) {
        mirai_log(DEBUG, "no popular queries", MIRAI_LOG_Z("reason", mirai_error_slug(reply->status)));
        return;
    }
    if (!help->asked_busy) {
        help->page.len = 0;
        mirai_buf_append_str(&help->page, reply->result);
        help->asked_job = (struct mirai_job){.work = make_asked, .done = on_asked};
        help->asked_busy = mirai_pool_submit(help->pool, &help->asked_job) == 0;
    }
    uv_timer_set_repeat(&help->asked_timer, ASKED_PERIOD_MS);
}

static void on_asked_timer(uv_timer_t *timer)
{
    struct help *help = timer->data;
    struct mirai_context context = mirai_context_system();
    struct mirai_asked_query_list list = {0};
    if (help->call != NULL || help->stopping) {
        return;
    }
    mirai_set(asked_query_list, &list, days, ASKED_DAYS);
    mirai_set(asked_query_list, &list, min_users, ASKED_USERS_MIN);
    mirai_set(asked_query_list, &list, limit, ASKED_QUERIES_MAX);
    context.deadline_ms = mirai_monotonic_ms() + CALL_MS;
    help->call =
        mirai_method_call(help->options.store, MIRAI_METHOD_ID_asked_list, &context, &list, on_page, help);
}

struct help *help_new(const struct help_options *options)
{
    struct help *help = mirai_alloc(sizeof(*help));
    const struct mirai_pool_options pool = {.name = "search-help",
                                            .threads = 1,
                                            .queue_max = 2,
                                            .batch_max = 1,
                                            .data = options->model,
                                            .thread_start = thread_start,
                                            .thread_stop = thread_stop};
    help->options = *options;
    help->pool = mirai_pool_new(options->loop, &pool);
    if (help->pool == NULL) {
        free(help);
        return NULL;
    }
    pthread_mutex_init(&help->lock, NULL);
    uv_timer_init(options->loop, &help->lexicon_timer);
    uv_timer_init(options->loop, &help->asked_timer);
    help->lexicon_timer.data = help;
    help->asked_timer.data = help;
    help->open_handles = 2;
    uv_timer_start(&help->lexicon_timer, on_lexicon_timer, 0, LEXICON_PERIOD_MS);
    uv_timer_start(&help->asked_timer, on_asked_timer, 0, ASKED_RETRY_MS);
    return help;
}

static void on_closed(uv_handle_t *handle)
{
    struct help *help = handle->data;
    if (--help->open_handles == 0) {
        free(help);
    }
}

void help_free(struct help *help)
{
    if (help == NULL) {
        return;
    }
    help->stopping = true;
    atomic_store(&help->stop, true);
    if (help->call != NULL) {
        mirai_rpc_cancel(help->call);
    }
    mirai_pool_free(help->pool);
    lexicon_release(help->lexicon);
    asked_release(help->asked);
    mirai_buf_free(&help->page);
    pthread_mutex_destroy(&help->lock);
    uv_close((uv_handle_t *)&help->lexicon_timer, on_closed);
    uv_close((uv_handle_t *)&help->asked_timer, on_closed);
}
