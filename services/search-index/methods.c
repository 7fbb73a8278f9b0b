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

static void search_query(struct mirai_rpc_request *request)
{
    struct search_index *state = request->data;
    if (decline(request)) {
        return;
    }
    struct search_job *job = search_job_new(state->searcher, request);
    if (!mirai_method_accept(request, MIRAI_METHOD_ID_search_query, &job->arena, &job->params.query)) {
        search_job_free(job);
        return;
    }
    searcher_submit(job);
}

static void search_suggest(struct mirai_rpc_request *request)
{
    struct search_index *state = request->data;
    if (decline(request)) {
        return;
    }
    struct search_job *job = search_job_new(state->searcher, request);
    job->suggest = true;
    if (!mirai_method_accept(request, MIRAI_METHOD_ID_search_suggest, &job->arena, &job->params.suggestion)) {
        search_job_free(job);
        return;
    }
    searcher_submit(job);
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
    {"search.reindex", search_reindex},
    {NULL, NULL},
};
