#include "services/search-index/analyzer/stopwords.h"

#include "services/search-index/analyzer/stopwords.def.h"

#include <pthread.h>

#define STOPWORD(word) MIRAI_STR(word),
static const struct mirai_str list[] = {STOPWORDS_ENGLISH(STOPWORD) STOPWORDS_VERBS(STOPWORD)
                                            STOPWORDS_NOUNS(STOPWORD) STOPWORDS_OTHERS(STOPWORD)};
#undef STOPWORD

#define LIST_LEN (sizeof(list) / sizeof(list[0]))
#define SLOTS    512 /* a power of two, some four times LIST_LEN */
#define LONGEST  24

static uint8_t slots[SLOTS]; /* open addressing: index into list + 1 */
static pthread_once_t once = PTHREAD_ONCE_INIT;

_Static_assert(LIST_LEN < 255 && LIST_LEN * 2 < SLOTS, "room for all words");

static size_t slot_of(struct mirai_str word)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < word.len; i++) {
        hash = (hash ^ (unsigned char)word.data[i]) * 16777619u;
    }
    return (hash ^ hash >> 15) & (SLOTS - 1);
}

static void build(void)
{
    for (size_t i = 0; i < LIST_LEN; i++) {
        size_t at = slot_of(list[i]);
        while (slots[at] != 0) {
            at = (at + 1) & (SLOTS - 1);
        }
        slots[at] = (uint8_t)(i + 1);
    }
}

bool is_stopword(struct mirai_str word)
{
    if (word.len == 0 || word.len > LONGEST) {
        return false;
    }
    pthread_once(&once, build);
    for (size_t at = slot_of(word); slots[at] != 0; at = (at + 1) & (SLOTS - 1)) {
        if (mirai_str_eq(list[slots[at] - 1], word)) {
            return true;
        }
    }
    return false;
}
