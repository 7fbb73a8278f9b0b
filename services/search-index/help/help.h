/* What corrections and suggestions need and no single search can make: the lexicon of the index and the popular
 * queries, kept up to date in a thread of their own. */
#ifndef SEARCH_HELP_H
#define SEARCH_HELP_H

#include "libcommon/rpc.h"
#include "services/search-index/generations.h"
#include "services/search-index/help/asked.h"
#include "services/search-index/help/lexicon.h"

#include <uv.h>

struct help;

struct help_options {
    uv_loop_t *loop;
    struct generations *generations;
    struct analyzer_model *model;
    struct mirai_rpc_client *store;
};

/* Loop thread. Both come a moment later, and are made anew when the index or the queries have changed: the lexicon
 * after a second at the earliest and so seldom that a fiftieth of one core does it, the queries each minute. NULL when
 * the thread cannot be made. */
struct help *help_new(const struct help_options *options);

/* Before the generations and the store's client. Waits for the thread. */
void help_free(struct help *help);

/* Any thread: those of this moment, counted; NULL: none yet. */
struct lexicon *help_lexicon(struct help *help);
struct asked *help_asked(struct help *help);

#endif
