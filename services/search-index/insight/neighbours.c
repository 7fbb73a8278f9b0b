#include "services/search-index/insight/neighbours.h"

#include "libcommon/error.h"
#include "libcommon/time.h"

#include <math.h>

#define SHARED_MAX  8
#define QUERY_BYTES 900 /* below what a query is cut at */

/* Share of the texts' similarity in what `related` says; the rest is of the shared words. */
#define SHARE_OF_SAME 0.5

/* Most that related articles may have, which are no duplicates. */
#define RELATED_MOST (SIMILARITY_DUPLICATE - 0.01)

/* A word that the query language would read as more than a word is left out. */
static bool is_plain_word(struct mirai_str word)
{
    static const char *const operators[] = {"or", "and", "not"};
    for (size_t i = 0; i < word.len; i++) {
        if (strchr("\":()|", word.data[i]) != NULL) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        if (mirai_str_eq(word, mirai_str(operators[i]))) {
            return false;
        }
    }
    return word.len > 0 && word.data[0] != '-';
}

static struct mirai_str query_words(const struct keywords *keywords, struct mirai_arena *arena)
{
    char *words = mirai_arena_alloc(arena, QUERY_BYTES);
    size_t len = 0;
    for (size_t i = 0; i < keywords->count; i++) {
        struct mirai_str word = keywords->list[i].surface;
        if (is_plain_word(word) && len + word.len + 1 <= QUERY_BYTES) {
            memcpy(words + len, word.data, word.len);
            len += word.len;
            words[len++] = ' ';
        }
    }
    return (struct mirai_str){words, len > 0 ? len - 1 : 0};
}

static bool is_latin(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Whether a normalised text has the word; a Latin one stands alone. */
static bool has_word(struct mirai_str text, struct mirai_str word)
{
    const char *p = text.data;
    const char *end = text.data + text.len;
    while (word.len > 0 && p < end && (p = memmem(p, (size_t)(end - p), word.data, word.len)) != NULL) {
        bool before = p > text.data && is_latin(p[-1]) && is_latin(word.data[0]);
        bool after = p + word.len < end && is_latin(p[word.len]) && is_latin(word.data[word.len - 1]);
        if (!before && !after) {
            return true;
        }
        p += word.len;
    }
    return false;
}

/* The words of the text that the other one has, too, and their share of all words' weight. */
static double share_words(struct neighbours *neighbours, const struct keywords *keywords,
                          const struct source_article *article, struct mirai_arena *arena,
                          struct mirai_strs *shared)
{
    double common = 0;
    double all = 0;
    struct mirai_buf joined = {0};
    mirai_buf_append_str(&joined, article->title);
    mirai_buf_append_char(&joined, '\n');
    mirai_buf_append_str(&joined, mirai_utf8_prefix(article->body, SIMILARITY_BODY_MAX));
    normalize(&neighbours->text, mirai_buf_str(&joined), false);
    mirai_buf_free(&joined);
    *shared = (struct mirai_strs){mirai_arena_alloc(arena, SHARED_MAX * sizeof(shared->items[0])), 0};
    for (size_t i = 0; i < keywords->count; i++) {
        const struct keyword *keyword = &keywords->list[i];
        all += keyword->weight;
        if (has_word(mirai_buf_str(&neighbours->text.text), keyword->surface)) {
            common += keyword->weight;
            if (shared->count < SHARED_MAX) {
                shared->items[shared->count++] = mirai_arena_copy(arena, keyword->surface);
            }
        }
    }
    return all > 0 ? common / all : 0;
}

static int compare_with(struct neighbours *neighbours, const struct source *source,
                        const struct keywords *keywords, const struct mirai_search_hit *hit, size_t *bytes)
{
    struct source_article article;
    int err = source_article(source, hit->id, &article);
    if (err != 0) {
        return err == MIRAI_E_NOT_FOUND ? 0 : err; /* it went, or was made private, this moment */
    }
    struct neighbour *neighbour = &neighbours->list[neighbours->count++];
    size_t len = article.body.len < SIMILARITY_BODY_MAX ? article.body.len : SIMILARITY_BODY_MAX;
    *bytes += len;
    similarity_profile_make(&neighbours->workspace, article.title, article.body, &neighbours->other);
    neighbour->hit = hit;
    neighbour->same = similarity(&neighbours->own, &neighbours->other);
    double words = share_words(neighbours, keywords, &article, source->arena, &neighbour->shared);
    double related = SHARE_OF_SAME * neighbour->same + (1 - SHARE_OF_SAME) * words;
    neighbour->related = neighbour->same >= SIMILARITY_DUPLICATE
                             ? neighbour->same
                             : fmin(fmax(related, neighbour->same), RELATED_MOST);
    return 0;
}

/* An article is found by itself and by its files. */
static bool is_known(const struct neighbours *neighbours, int64_t id)
{
    for (size_t i = 0; i < neighbours->count; i++) {
        if (neighbours->list[i].hit->id == id) {
            return true;
        }
    }
    return false;
}

int neighbours_find(struct neighbours *neighbours, const struct source *source,
                    const struct keywords *keywords, struct mirai_str title, struct mirai_str body,
                    int64_t except)
{
    neighbours->count = 0;
    int err =
        source_find(source, query_words(keywords, source->arena), NEIGHBOURS_MAX + 1, &neighbours->found);
    similarity_profile_make(&neighbours->workspace, title, body, &neighbours->own);
    size_t bytes = 0;
    for (size_t i = 0; err == 0 && i < neighbours->found.hits.count; i++) {
        const struct mirai_search_hit *hit = &MIRAI_ITEMS(search_hit, &neighbours->found.hits)[i];
        if (hit->id == except || is_known(neighbours, hit->id) || neighbours->count == NEIGHBOURS_MAX ||
            bytes >= NEIGHBOURS_BYTES_MAX) {
            continue;
        }
        err = mirai_monotonic_us() > source->deadline_us
                  ? MIRAI_E_DEADLINE
                  : compare_with(neighbours, source, keywords, hit, &bytes);
    }
    return err;
}

void neighbours_free(struct neighbours *neighbours)
{
    similarity_workspace_free(&neighbours->workspace);
    similarity_profile_free(&neighbours->own);
    similarity_profile_free(&neighbours->other);
    normalized_free(&neighbours->text);
    *neighbours = (struct neighbours){0};
}
