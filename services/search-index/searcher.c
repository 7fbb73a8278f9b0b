#include "services/search-index/searcher.h"

#include "libcommon/log.h"
#include "libcommon/metrics.h"
#include "libcommon/time.h"
#include "services/search-index/help/suggest.h"
#include "services/search-index/insight/insight.h"
#include "services/search-index/query/query.h"

#include <stdlib.h>

static const char *const labels[SEARCH_KIND_COUNT] = {[SEARCH_QUERY] = "kind=\"query\"",
                                                      [SEARCH_SUGGEST] = "kind=\"suggest\"",
                                                      [SEARCH_SIMILAR] = "kind=\"similar\"",
                                                      [SEARCH_CHECK] = "kind=\"check\""};

/* How long an idle thread keeps the connection to a file that is no longer current. */
#define IDLE_MS 1000

struct searcher {
    struct searcher_options options;
    struct mirai_pool *pool;
    struct mirai_histogram *seconds[SEARCH_KIND_COUNT];
};

static void let_go(struct search_thread *thread)
{
    index_reader_close(thread->reader);
    generation_release(thread->generation);
    thread->reader = NULL;
    thread->generation = NULL;
}

static void *thread_start(void *data)
{
    struct searcher *searcher = data;
    struct search_thread *thread = mirai_alloc(sizeof(*thread));
    thread->searcher = searcher;
    thread->analyzer = analyzer_new(searcher->options.model);
    thread->workspace = query_workspace_new();
    query_workspace_boost(thread->workspace, &searcher->options.boosts);
    thread->insight = insight_workspace_new();
    return thread;
}

static void thread_stop(void *data)
{
    struct search_thread *thread = data;
    let_go(thread);
    query_workspace_free(thread->workspace);
    insight_workspace_free(thread->insight);
    analyzer_free(thread->analyzer);
    free(thread);
}

static void thread_idle(void *data)
{
    struct search_thread *thread = data;
    if (thread->generation != NULL && generation_retired(thread->generation)) {
        let_go(thread);
    }
}

/* A reader of the current file. */
static int attach(struct search_thread *thread)
{
    if (thread->analyzer == NULL) {
        return MIRAI_E_INTERNAL;
    }
    if (thread->generation != NULL && generation_retired(thread->generation)) {
        let_go(thread);
    }
    if (thread->reader != NULL) {
        return 0;
    }
    thread->generation = generations_acquire(thread->searcher->options.generations);
    int err = index_reader_open(generation_index(thread->generation), &thread->reader);
    if (err != 0) {
        let_go(thread);
    }
    return err;
}

int search_work_query(struct search_job *job, struct search_thread *thread)
{
    struct mirai_search_result result = {0};
    job->invalid = "bad cursor";
    struct help *help = thread->searcher->options.help;
    struct vocabulary *vocabulary = thread->searcher->options.vocabulary;
    struct lexicon *lexicon = help_lexicon(help);
    const struct query_help with = {vocabulary_acquire(vocabulary), lexicon};
    query_workspace_help(thread->workspace, &with);
    int err = query_run(thread->reader, thread->workspace, thread->analyzer, &job->params.query,
                        &job->request->context.principal, job->deadline_us, &job->arena, &result);
    if (err == 0) {
        mirai_set(search_result, &result, took_ms, (double)(mirai_monotonic_us() - job->start_us) / 1000);
        mirai_message_encode(&mirai_message_search_result, &result, &job->answer);
    }
    vocabulary_release(vocabulary, with.vocabulary);
    lexicon_release(lexicon);
    return err;
}

int search_work_suggest(struct search_job *job, struct search_thread *thread)
{
    struct mirai_suggest_result result = {0};
    struct asked *asked = help_asked(thread->searcher->options.help);
    const struct suggest_request request = {.reader = thread->reader,
                                            .analyzer = thread->analyzer,
                                            .asked = asked,
                                            .principal = &job->request->context.principal,
                                            .query = &job->params.suggestion};
    int err = suggest_run(&request, &job->arena, &result);
    if (err == 0) {
        mirai_message_encode(&mirai_message_suggest_result, &result, &job->answer);
    }
    asked_release(asked);
    return err;
}

static struct source source_of(struct search_job *job, struct search_thread *thread)
{
    return (struct source){.reader = thread->reader,
                           .workspace = thread->workspace,
                           .analyzer = thread->analyzer,
                           .principal = &job->request->context.principal,
                           .deadline_us = job->deadline_us,
                           .arena = &job->arena};
}

int search_work_similar(struct search_job *job, struct search_thread *thread)
{
    struct source source = source_of(job, thread);
    struct mirai_similar_result result = {0};
    int err = insight_similar(thread->insight, &source, &job->params.similar, &result);
    if (err == 0) {
        mirai_message_encode(&mirai_message_similar_result, &result, &job->answer);
    }
    return err;
}

int search_work_check(struct search_job *job, struct search_thread *thread)
{
    struct source source = source_of(job, thread);
    struct mirai_draft_report report = {0};
    bool english = mirai_str_eq(job->request->context.locale, MIRAI_STR("en"));
    int err = insight_check(thread->insight, &source, &job->params.draft,
                            english ? MIRAI_LOCALE_EN : MIRAI_LOCALE_JA, &report);
    if (err == 0) {
        mirai_message_encode(&mirai_message_draft_report, &report, &job->answer);
    }
    return err;
}

static void on_work(struct mirai_job *base, void *data)
{
    struct search_job *job = (struct search_job *)base; /* its first member */
    struct search_thread *thread = data;
    if (mirai_monotonic_us() >= job->deadline_us) {
        job->err = MIRAI_E_DEADLINE; /* no one waits any more */
        return;
    }
    job->err = attach(thread);
    if (job->err == 0) {
        job->start_us = mirai_monotonic_us();
        job->err = job->work(job, thread);
        mirai_histogram_observe(thread->searcher->seconds[job->kind], mirai_monotonic_us() - job->start_us);
        job->damaged = index_damaged(thread->reader->index);
    }
}

static void on_done(struct mirai_job *base)
{
    struct search_job *job = (struct search_job *)base;
    const struct searcher_options *options = &job->searcher->options;
    if (job->err == 0) {
        mirai_rpc_reply_buf(job->request, &job->answer);
    } else if (job->damaged) {
        mirai_rpc_decline(job->request, "the index is being rebuilt");
    } else {
        mirai_rpc_fail(job->request, job->err, job->err == MIRAI_E_INVALID ? job->invalid : NULL);
    }
    if (job->damaged) {
        options->damaged(options->data);
    }
    search_job_free(job);
}

struct search_job *search_job_new(struct searcher *searcher, struct mirai_rpc_request *request)
{
    struct search_job *job = mirai_alloc(sizeof(*job));
    job->searcher = searcher;
    job->request = request;
    return job;
}

void search_job_free(struct search_job *job)
{
    mirai_buf_free(&job->answer);
    mirai_arena_free(&job->arena);
    free(job);
}

void searcher_submit(struct search_job *job)
{
    uint64_t own = mirai_monotonic_us() + job->searcher->options.timeout_ms * 1000;
    uint64_t asked = job->request->context.deadline_ms * 1000;
    job->deadline_us = asked != 0 && asked < own ? asked : own;
    job->job = (struct mirai_job){.work = on_work, .done = on_done};
    int err = mirai_pool_submit(job->searcher->pool, &job->job);
    if (err != 0) {
        mirai_rpc_fail(job->request, err, NULL);
        search_job_free(job);
    }
}

struct searcher *searcher_new(const struct searcher_options *options)
{
    struct searcher *searcher = mirai_alloc(sizeof(*searcher));
    searcher->options = *options;
    for (int kind = 0; kind < SEARCH_KIND_COUNT; kind++) {
        searcher->seconds[kind] =
            mirai_metric_histogram("mirai_search_seconds", "Time of a search in the daemon", labels[kind]);
    }
    const struct mirai_pool_options pool = {.name = "search-reader",
                                            .threads = options->threads,
                                            .queue_max = options->queue_max,
                                            .batch_max = 1,
                                            .data = searcher,
                                            .thread_start = thread_start,
                                            .thread_stop = thread_stop,
                                            .idle_ms = IDLE_MS,
                                            .idle = thread_idle};
    searcher->pool = mirai_pool_new(options->loop, &pool);
    if (searcher->pool == NULL) {
        free(searcher);
        return NULL;
    }
    return searcher;
}

void searcher_free(struct searcher *searcher)
{
    if (searcher != NULL) {
        mirai_pool_free(searcher->pool);
        free(searcher);
    }
}
