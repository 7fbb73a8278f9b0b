/* Words that say nothing about what a text is about. */
#ifndef SEARCH_STOPWORDS_H
#define SEARCH_STOPWORDS_H

#include "libcommon/str.h"

/* `word`: a base form (Japanese) or a lower-case word (English). Any thread. */
bool is_stopword(struct mirai_str word);

#endif
