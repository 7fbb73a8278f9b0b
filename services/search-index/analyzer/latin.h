/* Words written with spaces and identifiers (KB5034441, 0x80070005, dc01.corp.local, v2.3.1): whole and in
 * parts. */
#ifndef SEARCH_LATIN_H
#define SEARCH_LATIN_H

#include "services/search-index/analyzer/analyzer.h"

/* Emit the tokens of the run that starts at `at` (a CHAR_LATIN character); returns where the run ends. */
size_t latin_run(struct mirai_str text, size_t at, analyzer_token_cb callback, void *data);

#endif
