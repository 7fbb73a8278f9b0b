/* What the index can tell of an article: others like it, and of a draft: its type, what it lacks, summaries, tags,
 * duplicates. */
#ifndef SEARCH_INSIGHT_H
#define SEARCH_INSIGHT_H

#include "services/search-index/insight/source.h"

/* What a thread needs; kept between requests. */
struct insight_workspace;
struct insight_workspace *insight_workspace_new(void);
void insight_workspace_free(struct insight_workspace *workspace);

/* Articles like this one. Memory of source->arena. 0; MIRAI_E_NOT_FOUND: there is no such article that the principal
 * may see; MIRAI_E_DEADLINE; or what index_fault says. */
int insight_similar(struct insight_workspace *workspace, const struct source *source,
                    const struct mirai_similar_query *query, struct mirai_similar_result *result);

/* `locale`: of the request, where the draft names no language. 0 or an error as above. */
int insight_check(struct insight_workspace *workspace, const struct source *source,
                  const struct mirai_draft *draft, enum mirai_locale locale,
                  struct mirai_draft_report *report);

#endif
