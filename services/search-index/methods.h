/* What search-index answers, and its state. */
#ifndef SEARCH_METHODS_H
#define SEARCH_METHODS_H

#include "libcommon/pubsub.h"
#include "libcommon/service.h"
#include "services/search-index/follower.h"
#include "services/search-index/searcher.h"

struct search_index {
    struct analyzer_model *model;
    struct generations *generations;
    struct mirai_rpc_client *store;
    struct mirai_subscriber *feed;
    struct follower *follower;
    struct searcher *searcher;
};

extern const struct mirai_rpc_method search_methods[];

#endif
