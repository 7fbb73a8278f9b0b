#include "services/search-index/analyzer/stopwords.h"

#include <stdlib.h>

/* Sorted by bytes. */
static const char *const words[] = {
    "a",      "am",       "an",     "and",  "any",   "are",    "as",   "at",    "be",    "been",   "but",
    "by",     "can",      "could",  "did",  "do",    "does",   "for",  "from",  "had",   "has",    "have",
    "he",     "her",      "his",    "how",  "i",     "if",     "in",   "into",  "is",    "it",     "its",
    "me",     "my",       "no",     "not",  "of",    "on",     "or",   "our",   "she",   "should", "so",
    "some",   "than",     "that",   "the",  "their", "them",   "then", "there", "these", "they",   "this",
    "those",  "to",       "was",    "we",   "were",  "what",   "when", "where", "which", "who",    "why",
    "will",   "with",     "would",  "you",  "your",  "ある",   "いう", "いく",  "いる",  "うち",   "おく",
    "おる",   "くださる", "くる",   "こと", "ご覧",  "しまう", "する", "せる",  "そう",  "ため",   "つく",
    "できる", "とき",     "ところ", "とる", "どう",  "なぜ",   "なる", "はず",  "ほか",  "ほど",   "まま",
    "みる",   "もつ",     "もと",   "もの", "やる",  "よい",   "よう", "よる",  "れる",  "わけ",   "何",
    "出来る", "場合",     "居る",   "後",   "時",    "有る",   "為",   "無い",  "的",    "行う",   "言う",
    "頂く",
};

static int compare(const void *key, const void *element)
{
    const struct mirai_str *word = key;
    const char *other = *(const char *const *)element;
    size_t len = strlen(other);
    int order = memcmp(word->data, other, word->len < len ? word->len : len);
    return order != 0 ? order : (word->len > len) - (word->len < len);
}

bool is_stopword(struct mirai_str word)
{
    return word.len != 0 &&
           bsearch(&word, words, sizeof(words) / sizeof(words[0]), sizeof(words[0]), compare) != NULL;
}
