/* Japanese words by MeCab: base forms of the parts of speech that carry meaning, in one spelling. */
#ifndef SEARCH_WORDS_H
#define SEARCH_WORDS_H

#include "services/search-index/analyzer/analyzer.h"

#include <mecab.h>

/* MeCab with ipadic in UTF-8 from where Debian puts it. NULL with the reason logged. */
mecab_model_t *words_model_open(void);

/* One thread's tagger with what it has met before; some 2 MiB. */
struct words;
/* The model must live longer. NULL when MeCab refuses. */
struct words *words_new(mecab_model_t *model);
void words_free(struct words *words);

/* Emit the words of [start, end), a run of characters without spaces. */
void words_run(struct words *words, struct mirai_str text, size_t start, size_t end,
               analyzer_token_cb callback, void *data);

/* Append the reading of [start, end) in katakana. */
void words_reading(struct words *words, struct mirai_str text, size_t start, size_t end,
                   struct mirai_buf *out);

/* Set marks[at] for each byte of [start, end) at which MeCab begins a word. */
void words_boundaries(struct words *words, struct mirai_str text, size_t start, size_t end, uint8_t *marks);

#endif
