/* What an article's own merits add: small shares of what the words give, so that they put like answers in order and
 * never lift a bad one over a good one; and as the greatest share is known, the bounds of the ranking stay true (a
 * document that lacks more than that share is not looked at). */
#include "services/search-index/query/internal.h"

#include <math.h>

/* Days to which the age is kept exactly; older is as old. */
#define AGE_MAX INT64_C(36600)

#define DAY_MS  (INT64_C(24) * 3600 * 1000)

/* Opened so often in 30 days, an article cannot rise any more. */
#define VIEWS_FULL 1000

/* Ratings that count half: one of five stars says little. */
#define RATINGS_HALF 4

static uint32_t share(unsigned percent, double part)
{
    return (uint32_t)(SCORE_ONE * (double)percent / 100 * part);
}

void boosts_prepare(struct search *search)
{
    struct query_boosts *boosts = &search->boosts;
    *boosts = search->space->boosts;
    if (mirai_has(search_query, search->request, boosts) && !search->request->boosts) {
        boosts->freshness = 0;
        boosts->rating = 0;
        boosts->views = 0;
        boosts->title = 0; /* added in the second stage (title.c) */
    }
    search->boost_max = share(boosts->freshness, 1) + share(boosts->rating, 1) + share(boosts->views, 1);
}

static double freshness(const struct search *search, const struct catalog_entry *entry)
{
    int64_t age = search->page.day - entry->updated_at / DAY_MS;
    age = age < 0 ? 0 : age > AGE_MAX ? AGE_MAX : age;
    unsigned half_life = search->boosts.half_life_days;
    return half_life > 0 ? exp2(-(double)age / half_life) : 0;
}

static double rating(const struct catalog_signals *signals)
{
    double count = signals->ratings;
    return signals->rating > 1 ? fmin((signals->rating - 1) / 4, 1) * count / (count + RATINGS_HALF) : 0;
}

/* A click in a list of hits says more than a view. */
static double use(const struct catalog_signals *signals)
{
    return fmin(log1p(signals->views + 3.0 * signals->clicks) / log1p(VIEWS_FULL), 1);
}

uint32_t boosts_add(const struct search *search, const struct catalog_entry *article, uint32_t article_slot,
                    uint32_t words, uint32_t parts[BOOST_COUNT])
{
    const struct query_boosts *boosts = &search->boosts;
    uint32_t shares[BOOST_COUNT] = {0};
    uint32_t score = words;
    if (boosts->freshness > 0) {
        shares[BOOST_FRESHNESS] = share(boosts->freshness, freshness(search, article));
    }
    if (boosts->rating > 0 || boosts->views > 0) {
        const struct catalog_signals signals = catalog_signals(search->catalog, article_slot);
        shares[BOOST_RATING] = share(boosts->rating, rating(&signals));
        shares[BOOST_VIEWS] = share(boosts->views, use(&signals));
    }
    for (int i = 0; i < BOOST_COUNT; i++) {
        uint32_t added = (uint32_t)((uint64_t)words * shares[i] / SCORE_ONE);
        score += added;
        if (parts != NULL) {
            parts[i] = added;
        }
    }
    return score;
}
