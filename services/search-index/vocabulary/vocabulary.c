#include "services/search-index/vocabulary/vocabulary.h"

#include "libcommon/log.h"
#include "libcommon/pool.h"
#include "libcommon/time.h"
#include "proto/methods.h"

#include <pthread.h>
#include <stdlib.h>

#define CALL_MS          10000
#define RETRY_FIRST_MS   200
#define RETRY_LONGEST_MS 10000

enum vocabulary_state {
    VOCABULARY_IDLE,
    VOCABULARY_SYNONYMS,   /* synonyms.list is on its way */
    VOCABULARY_DICTIONARY, /* dictionary.list is */
    VOCABULARY_BUILDING,   /* on the loading thread */
    VOCABULARY_WAITING,    /* after a failure */
};

/* A snapshot with those who hold it. */
struct held {
    struct vocabulary_snapshot *snapshot;
    unsigned refs; /* the vocabulary's own is one */
    struct held *next;
};

struct vocabulary {
    uv_loop_t *loop;
    struct mirai_rpc_client *store;
    struct analyzer_model *model;
    struct mirai_pool *loader;
    uv_timer_t timer;
    struct mirai_rpc_call *call;
    enum vocabulary_state state;
    bool again;    /* something changed while loading */
    bool stopping; /* ask no more */
    uint64_t retry_ms;
    uint64_t loads;
    struct mirai_job job;
    struct mirai_buf synonyms; /* pages as they came */
    struct mirai_buf dictionary;
    struct vocabulary_snapshot *built; /* NULL: a page could not be read */
    pthread_mutex_t lock;
    struct held *held; /* the first is the current one */
};

/* ------------------------------------------------------------------ any thread */

const struct vocabulary_snapshot *vocabulary_acquire(struct vocabulary *vocabulary)
{
    pthread_mutex_lock(&vocabulary->lock);
    struct held *current = vocabulary->held;
    current->refs++;
    pthread_mutex_unlock(&vocabulary->lock);
    return current->snapshot;
}

void vocabulary_release(struct vocabulary *vocabulary, const struct vocabulary_snapshot *snapshot)
{
    struct held *dead = NULL;
    pthread_mutex_lock(&vocabulary->lock);
    for (struct held **at = &vocabulary->held; *at != NULL; at = &(*at)->next) {
        if ((*at)->snapshot == snapshot) {
            if (--(*at)->refs == 0) {
                dead = *at;
                *at = dead->next;
            }
            break;
        }
    }
    pthread_mutex_unlock(&vocabulary->lock);
    if (dead != NULL) {
        vocabulary_snapshot_free(dead->snapshot);
        free(dead);
    }
}

static void swap(struct vocabulary *vocabulary, struct vocabulary_snapshot *snapshot)
{
    struct held *held = mirai_alloc(sizeof(*held));
    held->snapshot = snapshot;
    held->refs = 1;
    pthread_mutex_lock(&vocabulary->lock);
    struct held *before = vocabulary->held;
    held->next = before;
    vocabulary->held = held;
    pthread_mutex_unlock(&vocabulary->lock);
    if (before != NULL) {
        vocabulary_release(vocabulary, before->snapshot);
    }
}

/* ------------------------------------------------------------------ loading thread */

static int decode(const struct mirai_message *message, const struct mirai_buf *page,
                  struct mirai_arena *arena, void *out)
{
    struct mirai_faults faults = {0};
    int err = mirai_message_decode(message, mirai_buf_str(page), MIRAI_INNER, arena, out, &faults);
    if (err != 0) {
        mirai_log(ERROR, "unreadable vocabulary from the store", MIRAI_LOG_Z("message", message->name),
                  MIRAI_LOG_Z("path", faults.count > 0 ? faults.list[0].path : ""),
                  MIRAI_LOG_Z("problem", faults.count > 0 ? faults.list[0].problem : ""));
    }
    return err;
}

static void build(struct mirai_job *job, void *thread)
{
    struct vocabulary *vocabulary = (struct vocabulary *)((char *)job - offsetof(struct vocabulary, job));
    struct mirai_arena arena = {0};
    struct mirai_synonyms_page synonyms;
    struct mirai_dictionary_page dictionary;
    struct analyzer *analyzer = thread;
    vocabulary->built = NULL;
    if (analyzer != NULL &&
        decode(&mirai_message_synonyms_page, &vocabulary->synonyms, &arena, &synonyms) == 0 &&
        decode(&mirai_message_dictionary_page, &vocabulary->dictionary, &arena, &dictionary) == 0) {
        vocabulary->built = vocabulary_snapshot_new(analyzer, &synonyms, &dictionary);
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

static void ask(struct vocabulary *vocabulary, enum vocabulary_state state);

static void on_timer(uv_timer_t *timer)
{
    struct vocabulary *vocabulary = timer->data;
    if (vocabulary->state == VOCABULARY_WAITING) {
        ask(vocabulary, VOCABULARY_SYNONYMS);
    }
}

static void retry(struct vocabulary *vocabulary, const char *reason)
{
    if (vocabulary->retry_ms == RETRY_FIRST_MS) {
        mirai_log(WARNING, "the vocabulary cannot be loaded; trying again", MIRAI_LOG_Z("reason", reason));
    }
    vocabulary->state = VOCABULARY_WAITING;
    uv_timer_start(&vocabulary->timer, on_timer, vocabulary->retry_ms, 0);
    vocabulary->retry_ms =
        vocabulary->retry_ms * 2 > RETRY_LONGEST_MS ? RETRY_LONGEST_MS : vocabulary->retry_ms * 2;
}

static void on_built(struct mirai_job *job)
{
    struct vocabulary *vocabulary = (struct vocabulary *)((char *)job - offsetof(struct vocabulary, job));
    if (vocabulary->built == NULL) {
        retry(vocabulary, "unreadable");
        return;
    }
    mirai_log(INFO, "vocabulary loaded", MIRAI_LOG_I("synonyms", (int64_t)vocabulary_sets(vocabulary->built)),
              MIRAI_LOG_I("words", (int64_t)vocabulary_words(vocabulary->built)));
    swap(vocabulary, vocabulary->built);
    vocabulary->built = NULL;
    vocabulary->loads++;
    vocabulary->retry_ms = RETRY_FIRST_MS;
    vocabulary->state = VOCABULARY_IDLE;
    if (vocabulary->again) {
        vocabulary_refresh(vocabulary);
    }
}

static void on_page(void *data, const struct mirai_rpc_reply *reply)
{
    struct vocabulary *vocabulary = data;
    bool first = vocabulary->state == VOCABULARY_SYNONYMS;
    vocabulary->call = NULL;
    if (reply->status != 0) {
        retry(vocabulary, mirai_error_slug(reply->status));
        return;
    }
    struct mirai_buf *page = first ? &vocabulary->synonyms : &vocabulary->dictionary;
    page->len = 0;
    mirai_buf_append_str(page, reply->result);
    if (first) {
        ask(vocabulary, VOCABULARY_DICTIONARY);
        return;
    }
    vocabulary->state = VOCABULARY_BUILDING;
    vocabulary->job = (struct mirai_job){.work = build, .done = on_built};
    mirai_pool_submit(vocabulary->loader, &vocabulary->job); /* its queue has room: there is one job */
}

static void ask(struct vocabulary *vocabulary, enum vocabulary_state state)
{
    struct mirai_context context = mirai_context_system();
    bool first = state == VOCABULARY_SYNONYMS;
    context.deadline_ms = mirai_monotonic_ms() + CALL_MS;
    vocabulary->state = state;
    if (vocabulary->stopping) {
        return;
    }
    if (first) {
        vocabulary->again = false;
    }
    vocabulary->call = mirai_method_call(
        vocabulary->store, first ? MIRAI_METHOD_ID_synonyms_list : MIRAI_METHOD_ID_dictionary_list, &context,
        NULL, on_page, vocabulary);
}

void vocabulary_refresh(struct vocabulary *vocabulary)
{
    if (vocabulary->state == VOCABULARY_IDLE || vocabulary->state == VOCABULARY_WAITING) {
        ask(vocabulary, VOCABULARY_SYNONYMS);
    } else {
        vocabulary->again = true;
    }
}

struct vocabulary *vocabulary_new(uv_loop_t *loop, struct analyzer_model *model,
                                  struct mirai_rpc_client *store)
{
    struct vocabulary *vocabulary = mirai_alloc(sizeof(*vocabulary));
    const struct mirai_pool_options options = {.name = "vocabulary",
                                               .threads = 1,
                                               .queue_max = 1,
                                               .batch_max = 1,
                                               .data = model,
                                               .thread_start = thread_start,
                                               .thread_stop = thread_stop};
    vocabulary->loader = mirai_pool_new(loop, &options);
    if (vocabulary->loader == NULL) {
        free(vocabulary);
        return NULL;
    }
    vocabulary->loop = loop;
    vocabulary->model = model;
    vocabulary->store = store;
    vocabulary->retry_ms = RETRY_FIRST_MS;
    pthread_mutex_init(&vocabulary->lock, NULL);
    uv_timer_init(loop, &vocabulary->timer);
    vocabulary->timer.data = vocabulary;
    swap(vocabulary, vocabulary_snapshot_new(NULL, NULL, NULL));
    vocabulary_refresh(vocabulary);
    return vocabulary;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void vocabulary_free(struct vocabulary *vocabulary)
{
    if (vocabulary == NULL) {
        return;
    }
    vocabulary->stopping = true;
    if (vocabulary->call != NULL) {
        mirai_rpc_cancel(vocabulary->call);
    }
    mirai_pool_free(vocabulary->loader);
    uv_timer_stop(&vocabulary->timer);
    vocabulary_release(vocabulary, vocabulary->held->snapshot);
    pthread_mutex_destroy(&vocabulary->lock);
    mirai_buf_free(&vocabulary->synonyms);
    mirai_buf_free(&vocabulary->dictionary);
    uv_close((uv_handle_t *)&vocabulary->timer, on_closed);
}

uint64_t vocabulary_loads(const struct vocabulary *vocabulary)
{
    return vocabulary->loads;
}
