/* What search-index answers, and its state. */
#ifndef SEARCH_METHODS_H
#define SEARCH_METHODS_H

#include "libcommon/pubsub.h"
#include "libcommon/service.h"
#include "services/search-index/extract/attachments.h"
#include "services/search-index/follower.h"
#include "services/search-index/searcher.h"

struct search_index {
    struct analyzer_model *model;
    struct generations *generations;
    struct mirai_rpc_client *store;
    struct vocabulary *vocabulary;
    struct help *help;
    struct mirai_subscriber *feed;
    struct attachments *attachments; /* NULL: not read */
    struct follower *follower;
    struct searcher *searcher;
};

/* Whether there is an index to answer from: without one an answer would be wrong, not merely old. */
bool search_ready(const struct search_index *state);

extern const struct mirai_rpc_method search_methods[];

#endif
