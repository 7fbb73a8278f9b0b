/* Words written with spaces and identifiers (KB5034441, 0x80070005, dc01.corp.local, v2.3.1, Get-ADUser): whole and in
 * parts. */
#ifndef SEARCH_LATIN_H
#define SEARCH_LATIN_H

#include "services/search-index/analyzer/analyzer.h"

/* One thread's stemmer. */
struct latin;
struct latin *latin_new(void);
void latin_free(struct latin *latin);

/* Emit the tokens of the run that starts at `at` (a CHAR_LATIN character), in the order of their start; returns where the
 * run ends. `upper`: which bytes were capital letters (normalize.h), as far as it goes. */
size_t latin_run(struct latin *latin, struct mirai_str text, struct mirai_str upper, size_t at,
                 analyzer_token_cb callback, void *data);

#endif
