#include "services/search-index/insight/neighbours.h"

#include "libcommon/error.h"
#include "libcommon/time.h"

#include <math.h>

#define SHARED_MAX 8

/* Share of the texts' similarity in what `related` says; the rest is of the shared words. Hundredths only: what
 * stands in articles that may not be seen changes the words' weights a little. */
#define SHARE_OF_SAME 0.5

/* Most that related articles may have, which are no duplicates. */
#define RELATED_MOST (SIMILARITY_DUPLICATE - 0.01)

/* With less of the words in common the texts are not compared: they cannot be nearly the same. */
#define WORDS_LEAST 0.25

static int find_words(struct neighbours *neighbours, const struct source *source, struct keywords *keywords,
                      struct source_hit hits[SOURCE_HITS_MAX])
{
    struct source_term terms[SOURCE_TERMS_MAX];
    for (size_t i = 0; i < keywords->count; i++) {
        terms[i] = (struct source_term){keywords->list[i].term, keywords->list[i].weight};
    }
    int found = source_find(source, &neighbours->sums, terms, keywords->count, hits);
    for (size_t i = 0; i < keywords->count; i++) {
        keywords->list[i].weight = terms[i].weight;
    }
    return found;
}

/* The words that the other article has, too, the most telling first, and their share of all words' weight. */
static double share_words(const struct keywords *keywords, uint32_t has, struct mirai_arena *arena,
                          struct mirai_strs *shared)
{
    double common = 0;
    double all = 0;
    size_t best[SHARED_MAX + 1];
    size_t count = 0;
    for (size_t i = 0; i < keywords->count; i++) {
        double weight = keywords->list[i].weight;
        all += weight;
        if ((has >> i & 1) == 0) {
            continue;
        }
        common += weight;
        size_t at = count;
        while (at > 0 && keywords->list[best[at - 1]].weight < weight) {
            at--;
        }
        memmove(&best[at + 1], &best[at], (count - at) * sizeof(best[0]));
        best[at] = i;
        count += count < SHARED_MAX;
    }
    *shared = (struct mirai_strs){mirai_arena_alloc(arena, (count + 1) * sizeof(shared->items[0])), count};
    for (size_t i = 0; i < count; i++) {
        shared->items[i] = mirai_arena_copy(arena, keywords->list[best[i]].surface);
    }
    return all > 0 ? common / all : 0;
}

static int compare_with(struct neighbours *neighbours, const struct source *source,
                        const struct keywords *keywords, const struct source_hit *hit, size_t *bytes)
{
    struct neighbour *neighbour = &neighbours->list[neighbours->count];
    struct source_article *article = &neighbour->article;
    int err = source_article(source, hit->id, article);
    if (err != 0) {
        return err == MIRAI_E_NOT_FOUND ? 0 : err; /* it went, or was made private, this moment */
    }
    double words = share_words(keywords, hit->terms, source->arena, &neighbour->shared);
    neighbour->same = 0;
    if (words >= WORDS_LEAST) {
        *bytes += article->body.len < SIMILARITY_BODY_MAX ? article->body.len : SIMILARITY_BODY_MAX;
        similarity_profile_make(&neighbours->workspace, article->title, article->body, &neighbours->other);
        neighbour->same = similarity(&neighbours->own, &neighbours->other);
    }
    double related = round(100 * (SHARE_OF_SAME * neighbour->same + (1 - SHARE_OF_SAME) * words)) / 100;
    neighbour->related = neighbour->same >= SIMILARITY_DUPLICATE
                             ? neighbour->same
                             : fmin(fmax(related, neighbour->same), RELATED_MOST);
    neighbours->count++;
    return 0;
}

int neighbours_find(struct neighbours *neighbours, const struct source *source, struct keywords *keywords,
                    struct mirai_str title, struct mirai_str body, int64_t except)
{
    struct source_hit hits[SOURCE_HITS_MAX];
    size_t bytes = 0;
    neighbours->count = 0;
    int found = find_words(neighbours, source, keywords, hits);
    int err = found < 0 ? found : 0;
    similarity_profile_make(&neighbours->workspace, title, body, &neighbours->own);
    for (int i = 0; err == 0 && i < found; i++) {
        if (hits[i].id == except || neighbours->count == NEIGHBOURS_MAX || bytes >= NEIGHBOURS_BYTES_MAX) {
            continue;
        }
        err = mirai_monotonic_us() > source->deadline_us
                  ? MIRAI_E_DEADLINE
                  : compare_with(neighbours, source, keywords, &hits[i], &bytes);
    }
    return err;
}

void neighbours_free(struct neighbours *neighbours)
{
    similarity_workspace_free(&neighbours->workspace);
    similarity_profile_free(&neighbours->own);
    similarity_profile_free(&neighbours->other);
    source_sums_free(&neighbours->sums);
    *neighbours = (struct neighbours){0};
}
