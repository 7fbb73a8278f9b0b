/* mirai-search-index: full-text search over the articles, rebuilt from the store at any time. */
#include "libcommon/config.h"
#include "libcommon/log.h"
#include "proto/peers.h"
#include "services/search-index/methods.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Between pulls when the store is configured by address and its feed is not. */
#define REMOTE_PERIOD_MS 100

static void on_hint(void *data, struct mirai_str message)
{
    (void)message; /* the position in it is not needed: the pull tells */
    follower_hint(((struct search_index *)data)->follower);
}

static void on_damage(void *data)
{
    follower_rebuild(((struct search_index *)data)->follower);
}

static unsigned percent(enum mirai_config_key key)
{
    return (unsigned)mirai_config_int(key);
}

static struct query_boosts boosts(void)
{
    return (struct query_boosts){.freshness = percent(MIRAI_CONFIG_SEARCH_BOOST_FRESHNESS),
                                 .half_life_days =
                                     (unsigned)mirai_config_int(MIRAI_CONFIG_SEARCH_FRESHNESS_DAYS),
                                 .rating = percent(MIRAI_CONFIG_SEARCH_BOOST_RATING),
                                 .views = percent(MIRAI_CONFIG_SEARCH_BOOST_VIEWS),
                                 .title = percent(MIRAI_CONFIG_SEARCH_BOOST_TITLE),
                                 .proximity = percent(MIRAI_CONFIG_SEARCH_BOOST_PROXIMITY)};
}

/* mirai-extract lies beside this program. */
static struct attachments *open_attachments(struct mirai_runtime *runtime, const char *dir)
{
    struct search_index *state = runtime->state;
    char program[PATH_MAX];
    size_t len = sizeof(program);
    if (mirai_config_int(MIRAI_CONFIG_EXTRACT) == 0 || uv_exepath(program, &len) != 0) {
        return NULL;
    }
    char *name = strrchr(program, '/');
    snprintf(name != NULL ? name : program, sizeof(program) - (size_t)(name != NULL ? name - program : 0),
             "/mirai-extract");
    if (access(program, X_OK) != 0) {
        mirai_log(WARNING, "the text of attachments is not searched: no such program",
                  MIRAI_LOG_Z("program", program));
        return NULL;
    }
    const struct attachments_options options = {
        .loop = runtime->loop,
        .store = state->store,
        .dir = dir,
        .program = program,
        .workers = mirai_config_size(MIRAI_CONFIG_EXTRACT_WORKERS),
        .cache_bytes = mirai_config_int(MIRAI_CONFIG_EXTRACT_CACHE_BYTES),
        .size_max = mirai_config_int(MIRAI_CONFIG_EXTRACT_MAX_BYTES),
        .memory_bytes = mirai_config_int(MIRAI_CONFIG_EXTRACT_MEMORY_BYTES),
        .timeout_ms = mirai_config_int(MIRAI_CONFIG_EXTRACT_TIMEOUT_MS)};
    return attachments_new(&options); /* search without them is better than none */
}

static bool files_of(void *data, const struct mirai_article *article, struct mirai_arena *arena,
                     const struct index_file **files, size_t *files_len)
{
    struct search_index *state = data;
    struct index_change change = {.id = article->id, .article = article};
    attachments_fill(state->attachments, &change, arena);
    *files = change.files;
    *files_len = change.files_len;
    return change.has_files;
}

static void on_written(void *data)
{
    attachments_ask(((struct search_index *)data)->attachments);
}

static void on_rebuilt(void *data, int64_t ms)
{
    attachments_all_filled(((struct search_index *)data)->attachments, ms);
}

static void on_texts(void *data, int64_t article_id)
{
    struct search_index *state = data;
    if (article_id == 0) {
        follower_rebuild(state->follower);
    } else {
        follower_again(state->follower, article_id);
    }
}

static void on_vocabulary(void *data)
{
    vocabulary_refresh(((struct search_index *)data)->vocabulary);
}

static void connect_follower(struct search_index *state)
{
    const struct follower_hooks hooks = {.vocabulary = on_vocabulary,
                                         .files = files_of,
                                         .written = on_written,
                                         .rebuilt = on_rebuilt,
                                         .data = state};
    follower_set_hooks(state->follower, &hooks);
    if (state->attachments != NULL) {
        attachments_on_ready(state->attachments, on_texts, state);
    }
}

static int search_start(struct mirai_runtime *runtime)
{
    struct search_index *state = runtime->state;
    char dir[PATH_MAX];
    snprintf(dir, sizeof(dir), "%s/search-index@%s", mirai_config_str(MIRAI_CONFIG_DATA_DIR),
             mirai_config_str(MIRAI_CONFIG_INSTANCE));
    mkdir(mirai_config_str(MIRAI_CONFIG_DATA_DIR), 0750); /* may be there */
    state->model = analyzer_model_open();
    state->generations = state->model != NULL ? generations_open(dir, state->model) : NULL;
    if (state->generations == NULL) {
        analyzer_model_close(state->model);
        return MIRAI_E_INTERNAL;
    }
    state->store = mirai_service_client(runtime->loop, "knowledge-store");
    state->vocabulary = vocabulary_new(runtime->loop, state->model, state->store);
    const struct help_options help = {.loop = runtime->loop,
                                      .generations = state->generations,
                                      .model = state->model,
                                      .store = state->store};
    state->help = help_new(&help);
    if (state->vocabulary == NULL || state->help == NULL) {
        return MIRAI_E_INTERNAL;
    }
    state->attachments = open_attachments(runtime, dir);
    state->follower = follower_new(runtime->loop, state->generations, state->store);
    const struct searcher_options options = {.loop = runtime->loop,
                                             .generations = state->generations,
                                             .model = state->model,
                                             .vocabulary = state->vocabulary,
                                             .help = state->help,
                                             .threads = mirai_config_size(MIRAI_CONFIG_SEARCH_READERS),
                                             .queue_max = mirai_config_size(MIRAI_CONFIG_RPC_QUEUE_MAX),
                                             .timeout_ms =
                                                 (uint64_t)mirai_config_int(MIRAI_CONFIG_SEARCH_TIMEOUT_MS),
                                             .boosts = boosts(),
                                             .damaged = on_damage,
                                             .data = state};
    state->searcher = searcher_new(&options);
    if (state->follower == NULL || state->searcher == NULL) {
        return MIRAI_E_INTERNAL;
    }
    connect_follower(state);
    if (mirai_config_str(MIRAI_CONFIG_STORE_ENDPOINTS)[0] != '\0' &&
        mirai_config_str(MIRAI_CONFIG_FEED_ENDPOINTS)[0] == '\0') {
        follower_set_period(state->follower, REMOTE_PERIOD_MS);
    }
    state->feed = mirai_service_subscriber(runtime->loop, on_hint, state);
    return 0;
}

static void search_drain(struct mirai_runtime *runtime)
{
    struct search_index *state = runtime->state;
    attachments_stop(state->attachments);
    follower_stop(state->follower);
}

static bool search_busy(struct mirai_runtime *runtime)
{
    return follower_busy(((struct search_index *)runtime->state)->follower);
}

static void search_stop(struct mirai_runtime *runtime)
{
    struct search_index *state = runtime->state;
    if (state->feed != NULL) {
        mirai_subscriber_free(state->feed);
    }
    searcher_free(state->searcher);
    follower_free(state->follower);
    help_free(state->help);
    vocabulary_free(state->vocabulary);
    attachments_free(state->attachments);
    mirai_rpc_client_free(state->store);
    generations_close(state->generations);
    analyzer_model_close(state->model);
}

static size_t search_status(struct mirai_runtime *runtime, struct mirai_buf *pairs)
{
    struct follower_status status = follower_status(((struct search_index *)runtime->state)->follower);
    mirai_mp_write_cstr(pairs, "documents");
    mirai_mp_write_int(pairs, (int64_t)status.documents);
    mirai_mp_write_cstr(pairs, "epoch");
    mirai_mp_write_cstr(pairs, status.position.epoch);
    mirai_mp_write_cstr(pairs, "seq");
    mirai_mp_write_int(pairs, status.position.seq);
    mirai_mp_write_cstr(pairs, "rebuilding");
    mirai_mp_write_bool(pairs, status.rebuilding);
    mirai_mp_write_cstr(pairs, "attachments_pending");
    mirai_mp_write_int(pairs,
                       (int64_t)attachments_pending(((struct search_index *)runtime->state)->attachments));
    return 5;
}

static int search_health(struct mirai_runtime *runtime)
{
    return search_ready(runtime->state) ? 0 : MIRAI_E_UNAVAILABLE;
}

static const struct mirai_service search_service = {
    .name = "search-index",
    .summary = "full-text search over the articles",
    .methods = search_methods,
    .peers = mirai_peer_table,
    .start = search_start,
    .drain = search_drain,
    .busy = search_busy,
    .stop = search_stop,
    .status = search_status,
    .health = search_health,
};

int main(int argc, char **argv)
{
    struct search_index state = {0};
    return mirai_service_run(&search_service, argc, argv, &state);
}
