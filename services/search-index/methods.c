#include "services/search-index/methods.h"

#include "proto/methods.h"

bool search_ready(const struct search_index *state)
{
    struct follower_status status = follower_status(state->follower);
    return status.complete && status.caught_up;
}

/* Replicas that have an index answer meanwhile. */
static bool decline(struct mirai_rpc_request *request)
{
    bool ready = search_ready(request->data);
    if (!ready) {
        mirai_rpc_decline(request, "the index is being built");
    }
    return !ready;
}

/* Have `work` done on a reader thread. */
static void submit(struct mirai_rpc_request *request, enum mirai_method_id method, enum search_kind kind,
                   search_work_cb work)
{
    struct search_index *state = request->data;
    if (decline(request)) {
        return;
    }
    struct search_job *job = search_job_new(state->searcher, request);
    job->kind = kind;
    job->work = work;
    if (!mirai_method_accept(request, method, &job->arena, &job->params)) {
        search_job_free(job);
        return;
    }
    searcher_submit(job);
}

static void search_query(struct mirai_rpc_request *request)
{
    submit(request, MIRAI_METHOD_ID_search_query, SEARCH_QUERY, search_work_query);
}

static void search_suggest(struct mirai_rpc_request *request)
{
    submit(request, MIRAI_METHOD_ID_search_suggest, SEARCH_SUGGEST, search_work_suggest);
}

static void search_similar(struct mirai_rpc_request *request)
{
    submit(request, MIRAI_METHOD_ID_search_similar, SEARCH_SIMILAR, search_work_similar);
}

static void search_check(struct mirai_rpc_request *request)
{
    submit(request, MIRAI_METHOD_ID_search_check, SEARCH_CHECK, search_work_check);
}

/* Answers at once: service.status tells when it is done. */
static void search_reindex(struct mirai_rpc_request *request)
{
    struct search_index *state = request->data;
    struct mirai_arena arena = {0};
    struct mirai_empty params;
    if (mirai_method_accept(request, MIRAI_METHOD_ID_search_reindex, &arena, &params)) {
        follower_rebuild(state->follower);
        mirai_reply_message(request, &mirai_message_empty, &params);
    }
    mirai_arena_free(&arena);
}

const struct mirai_rpc_method search_methods[] = {
    {"search.query", search_query},
    {"search.suggest", search_suggest},
    {"search.similar", search_similar},
    {"search.check", search_check},
    {"search.reindex", search_reindex},
    {NULL, NULL},
};
