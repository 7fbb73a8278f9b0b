/* Searches on reader threads: each with its own connection, analyzer and workspace; replies return on the
 * loop. */
#ifndef SEARCH_SEARCHER_H
#define SEARCH_SEARCHER_H

#include "libcommon/pool.h"
#include "libcommon/rpc.h"
#include "proto/messages.h"
#include "services/search-index/generations.h"
#include "services/search-index/help/help.h"
#include "services/search-index/query/query.h"
#include "services/search-index/vocabulary/vocabulary.h"

struct searcher_options {
    uv_loop_t *loop;
    struct generations *generations;
    struct analyzer_model *model;
    struct vocabulary *vocabulary;
    struct help *help;
    size_t threads;
    size_t queue_max;
    uint64_t timeout_ms; /* longest time of one search */
    struct query_boosts boosts;
    void (*damaged)(void *data); /* on the loop: a search met a corrupt page */
    void *data;
};

struct searcher;

/* Loop thread, as all of this. NULL when a thread cannot be made. */
struct searcher *searcher_new(const struct searcher_options *options);
void searcher_free(struct searcher *searcher);

/* One reader thread, as its jobs see it. */
struct search_thread {
    struct searcher *searcher;
    struct analyzer *analyzer;
    struct query_workspace *workspace;
    struct insight_workspace *insight;
    struct generation *generation;
    struct index_reader *reader;
};

enum search_kind {
    SEARCH_QUERY,
    SEARCH_SUGGEST,
    SEARCH_SIMILAR,
    SEARCH_CHECK,
    SEARCH_KIND_COUNT,
};

struct search_job;

/* On a reader thread: append the answer's bytes to job->answer. 0 or an error; MIRAI_E_INVALID: job->invalid says
 * what of the request. */
typedef int (*search_work_cb)(struct search_job *job, struct search_thread *thread);

/* A request being answered. `work`, `kind`, `params` and `arena` are filled by the method's handler. */
struct search_job {
    struct mirai_job job;
    struct searcher *searcher;
    struct mirai_rpc_request *request;
    struct mirai_arena arena;
    search_work_cb work;
    enum search_kind kind; /* for the metrics */
    union {
        struct mirai_search_query query;
        struct mirai_suggest_query suggestion;
        struct mirai_similar_query similar;
        struct mirai_draft draft;
    } params;
    uint64_t start_us; /* when the work began */
    uint64_t deadline_us;
    int err;
    const char *invalid; /* a constant */
    bool damaged;
    struct mirai_buf answer;
};

struct search_job *search_job_new(struct searcher *searcher, struct mirai_rpc_request *request);
void search_job_free(struct search_job *job);

/* Takes the job over and answers its request. */
void searcher_submit(struct search_job *job);

/* The work of search.query, search.suggest, search.similar and search.check. */
int search_work_query(struct search_job *job, struct search_thread *thread);
int search_work_suggest(struct search_job *job, struct search_thread *thread);
int search_work_similar(struct search_job *job, struct search_thread *thread);
int search_work_check(struct search_job *job, struct search_thread *thread);

#endif
