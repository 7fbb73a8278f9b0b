/* A term of the vocabulary as phrases of the index's terms. */
#ifndef SEARCH_VOCABULARY_PHRASES_H
#define SEARCH_VOCABULARY_PHRASES_H

#include "libcommon/arena.h"
#include "services/search-index/vocabulary/snapshot.h"

#define VOCABULARY_PHRASES_OF_TERM 2

/* How `text` (normalised; must live as long as the arena) stands in texts: as words where MeCab finds words in it and, when
 * these are several, as bigrams, too, because it may cut otherwise among other words. Returns how many. */
size_t phrases_make(struct analyzer *analyzer, struct mirai_arena *arena, struct mirai_str text,
                    struct vocabulary_phrase out[VOCABULARY_PHRASES_OF_TERM]);

/* The same for a word that MeCab need not know: always as bigrams, too. */
size_t phrases_make_word(struct analyzer *analyzer, struct mirai_arena *arena, struct mirai_str text,
                         struct vocabulary_phrase out[VOCABULARY_PHRASES_OF_TERM]);

#endif
