/* mirai-knowledge-store: the one source of truth. What it can do is in methods.c, how it does it in op.h. */
#include "libcommon/config.h"
#include "libcommon/service.h"
#include "proto/peers.h"
#include "services/knowledge-store/methods.h"
#include "services/knowledge-store/store.h"

static int start(struct mirai_runtime *runtime)
{
    struct store *store = runtime->state;
    int err = store_open(store, mirai_config_str(MIRAI_CONFIG_DATA_DIR));
    if (err != 0) {
        return err;
    }
    err = store_start(store, runtime);
    if (err != 0) {
        store_close(store);
    }
    return err;
}

static bool busy(struct mirai_runtime *runtime)
{
    const struct store *store = runtime->state;
    return store->ops > 0;
}

static void stop(struct mirai_runtime *runtime)
{
    store_stop(runtime->state);
    store_close(runtime->state);
}

static size_t status(struct mirai_runtime *runtime, struct mirai_buf *pairs)
{
    const struct store *store = runtime->state;
    mirai_mp_write_cstr(pairs, "epoch");
    mirai_mp_write_cstr(pairs, store->epoch);
    mirai_mp_write_cstr(pairs, "seq");
    mirai_mp_write_int(pairs, store->feed_seq);
    mirai_mp_write_cstr(pairs, "articles");
    mirai_mp_write_int(pairs, store->articles);
    mirai_mp_write_cstr(pairs, "wal_bytes");
    mirai_mp_write_int(pairs, store->writer.wal_bytes);
    mirai_mp_write_cstr(pairs, "writer_queue");
    mirai_mp_write_int(pairs, (int64_t)mirai_pool_queued(store->writers));
    return 5;
}

static const struct mirai_service knowledge_store = {
    .name = "knowledge-store",
    .summary = "keeps articles, users and everything that must not be lost",
    .methods = store_rpc_methods,
    .peers = mirai_peer_table,
    .start = start,
    .busy = busy,
    .stop = stop,
    .status = status,
};

int main(int argc, char **argv)
{
    static struct store store;
    return mirai_service_run(&knowledge_store, argc, argv, &store);
}
