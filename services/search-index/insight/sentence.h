/* Where sentences end, in Japanese and in languages with spaces. */
#ifndef SEARCH_INSIGHT_SENTENCE_H
#define SEARCH_INSIGHT_SENTENCE_H

#include "libcommon/str.h"

/* Length of the first sentence of `text`, with its end and spaces behind it; text.len when there is no end. Linear. */
size_t sentence_length(struct mirai_str text);

#endif
