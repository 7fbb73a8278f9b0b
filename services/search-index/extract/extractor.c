#include "services/search-index/extract/extractor.h"

#include "libcommon/log.h"
#include "libcommon/metrics.h"
#include "libcommon/pool.h"
#include "services/search-index/extract/run.h"

#include <stdio.h>
#include <stdlib.h>

#define QUEUE_MAX    20000 /* files; each some hundred bytes */
#define BUCKETS      4096
#define ARTICLES_MAX 1000 /* that wait for one file */
#define TRIES_MAX    8    /* when the store does not give a content */
#define PAUSE_MS     250  /* before the first of them; doubled each time */
#define PAUSE_MAX_MS 30000

enum file_state {
    FILE_WAITING,
    FILE_LOOKING, /* the cache is asked */
    FILE_RUNNING,
    FILE_KEEPING, /* the cache is told */
};

/* A file that was asked for. */
struct file {
    struct extractor *extractor;
    struct file *next;  /* in the queue */
    struct file *chain; /* in the table */
    enum file_state state;
    unsigned tries;
    char sha256[65];
    char *name;
    char *media_type;
    int64_t size;
    int64_t *articles;
    size_t articles_len;
    struct run *run;
    struct mirai_job job;
    struct mirai_buf packed;
    enum extract_outcome outcome;
    bool known; /* the cache has it */
};

struct extractor {
    struct extractor_options options;
    struct mirai_pool *pool; /* one thread for the cache */
    uv_timer_t pause;
    bool pausing;
    bool stopping;
    bool left_out;
    uint64_t pause_ms;
    struct file *first;
    struct file *last;
    struct file *table[BUCKETS];
    size_t pending;
    size_t active;
    struct mirai_gauge *queue_gauge;
    struct mirai_counter *outcomes[EXTRACT_OUTCOME_COUNT];
};

static void go_on(struct extractor *extractor);

/* ------------------------------------------------------------------ files */

static struct file **bucket(struct extractor *extractor, const char *sha256)
{
    unsigned long at;
    char head[9] = {0};
    memcpy(head, sha256, 8);
    at = strtoul(head, NULL, 16);
    return &extractor->table[at % BUCKETS];
}

static struct file *find(struct extractor *extractor, const char *sha256)
{
    struct file *file = *bucket(extractor, sha256);
    while (file != NULL && strcmp(file->sha256, sha256) != 0) {
        file = file->chain;
    }
    return file;
}

static void enqueue(struct extractor *extractor, struct file *file)
{
    file->state = FILE_WAITING;
    file->next = NULL;
    if (extractor->last != NULL) {
        extractor->last->next = file;
    } else {
        extractor->first = file;
    }
    extractor->last = file;
}

static struct file *dequeue(struct extractor *extractor)
{
    struct file *file = extractor->first;
    if (file != NULL) {
        extractor->first = file->next;
        extractor->last = extractor->first != NULL ? extractor->last : NULL;
    }
    return file;
}

static void free_file(struct file *file)
{
    mirai_buf_free(&file->packed);
    free(file->name);
    free(file->media_type);
    free(file->articles);
    free(file);
}

static void remove_file(struct extractor *extractor, struct file *file)
{
    struct file **at = bucket(extractor, file->sha256);
    while (*at != file) {
        at = &(*at)->chain;
    }
    *at = file->chain;
    extractor->pending--;
    mirai_gauge_set(extractor->queue_gauge, (int64_t)extractor->pending);
    free_file(file);
}

/* ------------------------------------------------------------------ one file, step by step */

static void done_with(struct file *file)
{
    struct extractor *extractor = file->extractor;
    extractor->active--;
    if (!extractor->stopping) {
        for (size_t i = 0; i < file->articles_len && file->known; i++) {
            extractor->options.ready(extractor->options.data, file->articles[i]);
        }
    }
    remove_file(extractor, file);
    go_on(extractor);
}

static struct file *file_of(struct mirai_job *job)
{
    return (struct file *)(void *)((char *)job - offsetof(struct file, job));
}

static void submit(struct file *file, void (*work)(struct mirai_job *, void *),
                   void (*done)(struct mirai_job *))
{
    file->job = (struct mirai_job){.work = work, .done = done};
    mirai_pool_submit(file->extractor->pool, &file->job); /* its queue has room for all workers */
}

static void keep(struct mirai_job *job, void *thread)
{
    struct file *file = file_of(job);
    const struct extracts_text text = {file->outcome, mirai_buf_str(&file->packed)};
    (void)thread;
    file->known = extracts_put(file->extractor->options.extracts, mirai_str(file->sha256), &text) == 0;
}

static void on_kept(struct mirai_job *job)
{
    done_with(file_of(job));
}

static void end_file(struct file *file, enum extract_outcome outcome)
{
    struct extractor *extractor = file->extractor;
    mirai_counter_add(extractor->outcomes[outcome], 1);
    mirai_log(DEBUG, "attachment read", MIRAI_LOG_Z("sha256", file->sha256),
              MIRAI_LOG_Z("outcome", extract_outcome_name(outcome)),
              MIRAI_LOG_I("bytes", (int64_t)file->packed.len));
    extractor->pause_ms = PAUSE_MS;
    file->outcome = outcome;
    file->state = FILE_KEEPING;
    submit(file, keep, on_kept);
}

static void on_pause_over(uv_timer_t *timer)
{
    struct extractor *extractor = timer->data;
    extractor->pausing = false;
    go_on(extractor);
}

/* The reason lies elsewhere: the store is away, or the program. Later, again. */
static void try_later(struct file *file, enum extract_outcome outcome)
{
    struct extractor *extractor = file->extractor;
    extractor->active--;
    mirai_counter_add(extractor->outcomes[outcome], 1);
    if (++file->tries >= TRIES_MAX) {
        mirai_log(WARNING, "an attachment is not read", MIRAI_LOG_Z("sha256", file->sha256),
                  MIRAI_LOG_Z("reason", extract_outcome_name(outcome)));
        remove_file(extractor, file);
    } else {
        enqueue(extractor, file);
    }
    if (!extractor->pausing) {
        extractor->pausing = true;
        uv_timer_start(&extractor->pause, on_pause_over, extractor->pause_ms, 0);
        extractor->pause_ms = extractor->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : extractor->pause_ms * 2;
    }
}

static void on_run(void *data, const struct run_result *result)
{
    struct file *file = data;
    file->run = NULL;
    if (result->gone) { /* the article has changed meanwhile */
        file->known = false;
        done_with(file);
    } else if (extract_outcome_passes(result->outcome)) {
        try_later(file, result->outcome);
    } else {
        if (extract_outcome_has_text(result->outcome)) {
            frames_pack(result->frames, &file->packed);
        }
        end_file(file, result->outcome);
    }
}

static void run_file(struct file *file)
{
    struct extractor *extractor = file->extractor;
    const struct run_options options = {.loop = extractor->options.loop,
                                        .store = extractor->options.store,
                                        .program = extractor->options.program,
                                        .size_max = extractor->options.size_max,
                                        .memory_bytes = extractor->options.memory_bytes,
                                        .timeout_ms = extractor->options.timeout_ms};
    file->state = FILE_RUNNING;
    file->run = run_start(&options, mirai_str(file->sha256), mirai_str(file->name),
                          mirai_str(file->media_type), on_run, file);
}

static void look(struct mirai_job *job, void *thread)
{
    struct file *file = file_of(job);
    struct mirai_arena arena = {0};
    struct extracts_text text;
    (void)thread;
    file->known =
        extracts_find(file->extractor->options.extracts, mirai_str(file->sha256), &arena, &text) == 0;
    mirai_arena_free(&arena);
}

static void on_looked(struct mirai_job *job)
{
    struct file *file = file_of(job);
    if (file->known || file->extractor->stopping) {
        done_with(file);
    } else if (file->size > file->extractor->options.size_max) {
        end_file(file, EXTRACT_TOO_LARGE);
    } else {
        run_file(file);
    }
}

static void go_on(struct extractor *extractor)
{
    while (!extractor->stopping && !extractor->pausing && extractor->active < extractor->options.workers &&
           extractor->first != NULL) {
        struct file *file = dequeue(extractor);
        extractor->active++;
        file->state = FILE_LOOKING;
        submit(file, look, on_looked);
    }
    if (extractor->pending == 0 && extractor->left_out && !extractor->stopping) {
        extractor->left_out = false;
        extractor->options.ready(extractor->options.data, 0);
    }
}

/* ------------------------------------------------------------------ asking */

static void add_article(struct file *file, int64_t id)
{
    for (size_t i = 0; i < file->articles_len; i++) {
        if (file->articles[i] == id) {
            return;
        }
    }
    if (file->articles_len == ARTICLES_MAX) {
        file->extractor->left_out = true;
        return;
    }
    if ((file->articles_len & (file->articles_len - 1)) == 0) { /* a power of two, or none yet */
        size_t room = file->articles_len == 0 ? 1 : file->articles_len * 2;
        file->articles = mirai_realloc(file->articles, room * sizeof(*file->articles));
    }
    file->articles[file->articles_len++] = id;
}

void extractor_ask(struct extractor *extractor, int64_t article_id, const struct mirai_attachment *attachment)
{
    char sha256[65];
    if (extractor->stopping || attachment->sha256.len != 64) {
        return;
    }
    snprintf(sha256, sizeof(sha256), "%.*s", MIRAI_STR_ARG(attachment->sha256));
    struct file *file = find(extractor, sha256);
    if (file == NULL && extractor->pending == QUEUE_MAX) {
        extractor->left_out = true;
        return;
    }
    if (file == NULL) {
        struct file **at = bucket(extractor, sha256);
        file = mirai_alloc(sizeof(*file));
        file->extractor = extractor;
        memcpy(file->sha256, sha256, sizeof(sha256));
        file->name = mirai_str_dup(attachment->name);
        file->media_type = mirai_str_dup(attachment->media_type);
        file->size = attachment->size;
        file->chain = *at;
        *at = file;
        extractor->pending++;
        mirai_gauge_set(extractor->queue_gauge, (int64_t)extractor->pending);
        enqueue(extractor, file);
    }
    add_article(file, article_id);
    go_on(extractor);
}

size_t extractor_pending(const struct extractor *extractor)
{
    return extractor->pending;
}

/* ------------------------------------------------------------------ life */

void extractor_stop(struct extractor *extractor)
{
    extractor->stopping = true;
    uv_timer_stop(&extractor->pause);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct file *file = extractor->table[i]; file != NULL; file = file->chain) {
            if (file->run != NULL) {
                run_cancel(file->run);
                file->run = NULL;
            }
        }
    }
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void extractor_free(struct extractor *extractor)
{
    if (extractor == NULL) {
        return;
    }
    extractor_stop(extractor);
    if (extractor->pool != NULL) {
        mirai_pool_free(extractor->pool); /* ends what the cache is being asked and told */
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct file *file = extractor->table[i], *next; file != NULL; file = next) {
            next = file->chain;
            free_file(file);
        }
    }
    uv_close((uv_handle_t *)&extractor->pause, on_closed);
}

static void make_metrics(struct extractor *extractor)
{
    extractor->queue_gauge =
        mirai_metric_gauge("mirai_search_extract_pending", "Attachments whose text waits to be read", NULL);
    for (unsigned i = 0; i < EXTRACT_OUTCOME_COUNT; i++) {
        char labels[48];
        snprintf(labels, sizeof(labels), "outcome=\"%s\"", extract_outcome_name((enum extract_outcome)i));
        extractor->outcomes[i] =
            mirai_metric_counter("mirai_search_extracts_total", "Attachments read, by how it ended", labels);
    }
}

struct extractor *extractor_new(const struct extractor_options *options)
{
    struct extractor *extractor = mirai_alloc(sizeof(*extractor));
    const struct mirai_pool_options pool = {
        .name = "search-extract", .threads = 1, .queue_max = options->workers * 2, .batch_max = 1};
    extractor->options = *options;
    extractor->pause_ms = PAUSE_MS;
    make_metrics(extractor);
    uv_timer_init(options->loop, &extractor->pause);
    extractor->pause.data = extractor;
    extractor->pool = mirai_pool_new(options->loop, &pool);
    if (extractor->pool == NULL) {
        extractor_free(extractor);
        return NULL;
    }
    return extractor;
}
