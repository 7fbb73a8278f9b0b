/* Japanese words by MeCab: base forms of the parts of speech that carry meaning. */
#ifndef SEARCH_WORDS_H
#define SEARCH_WORDS_H

#include "services/search-index/analyzer/analyzer.h"

#include <mecab.h>

/* MeCab with ipadic in UTF-8 from where Debian puts it. NULL with the reason logged. */
mecab_model_t *words_model_open(void);

/* Emit the words of [start, end), a run of characters without spaces. */
void words_run(mecab_t *tagger, mecab_lattice_t *lattice, struct mirai_str text, size_t start, size_t end,
               analyzer_token_cb callback, void *data);

/* Append the reading of [start, end) in katakana. */
void words_reading(mecab_t *tagger, mecab_lattice_t *lattice, struct mirai_str text, size_t start, size_t end,
                   struct mirai_buf *out);

#endif
