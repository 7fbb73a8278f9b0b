#include "services/search-index/insight/classify.h"

#include "services/search-index/insight/cues.h"

#include <math.h>
#include <stdlib.h>

/* How often a cue counts where it stands. */
#define COUNT_TITLE   4.0
#define COUNT_HEADING 2.0
#define COUNT_BODY    1.0

/* A word that is repeated says little more. */
#define COUNT_MOST 8.0

/* What speaks for OTHER when nothing speaks for anything. */
#define OTHER_BASE 1.6

/* How decided the answer is: so that the mean confidence stays somewhat below the share of right answers on
 * the texts of test_insight_draft, because those who wrote the table wrote these, too. */
#define SHARPNESS   1.4

#define REASONS_MAX 5
#define CUES_MAX    160

struct evidence {
    double counts[CUES_MAX];
    double weight; /* of the place that is being looked at */
    uint8_t best_place[CUES_MAX];
    uint8_t place;
    struct mirai_str words[CUES_MAX]; /* as it stood, normalised: where it counted most */
    struct mirai_str text;
};

enum place { PLACE_NONE, PLACE_BODY, PLACE_HEADING, PLACE_TITLE };

static void on_cue(void *data, const struct phrase_match *match)
{
    struct evidence *evidence = data;
    if (match->id >= CUES_MAX) {
        return;
    }
    evidence->counts[match->id] += evidence->weight;
    if (evidence->place > evidence->best_place[match->id]) {
        evidence->best_place[match->id] = evidence->place;
        evidence->words[match->id] = (struct mirai_str){evidence->text.data + match->start, match->len};
    }
}

static void look(struct evidence *evidence, struct mirai_str text, enum place place)
{
    static const double weights[] = {
        [PLACE_BODY] = COUNT_BODY, [PLACE_HEADING] = COUNT_HEADING, [PLACE_TITLE] = COUNT_TITLE};
    evidence->place = (uint8_t)place;
    evidence->weight = weights[place];
    evidence->text = text;
    phrase_set_find(cue_phrases(), text, on_cue, evidence);
}

static double contribution(const struct evidence *evidence, size_t cue)
{
    return cue_table[cue].weight * log2(1 + fmin(evidence->counts[cue], COUNT_MOST));
}

static struct mirai_str reason(const struct evidence *evidence, size_t cue, enum mirai_locale locale,
                               struct mirai_arena *arena)
{
    static const char *const places[][4] = {
        [MIRAI_LOCALE_JA] = {"", "本文", "見出し", "タイトル"},
        [MIRAI_LOCALE_EN] = {"", "text", "heading", "title"},
    };
    const char *place =
        places[locale == MIRAI_LOCALE_JA ? MIRAI_LOCALE_JA : MIRAI_LOCALE_EN][evidence->best_place[cue]];
    const char *format = locale == MIRAI_LOCALE_JA ? "%s「%.*s」" : "%s: %.*s";
    return mirai_arena_printf(arena, format, place, MIRAI_STR_ARG(evidence->words[cue]));
}

/* The cues that speak most for `type`. */
static struct mirai_strs reasons(const struct evidence *evidence, int type, enum mirai_locale locale,
                                 struct mirai_arena *arena)
{
    size_t best[REASONS_MAX + 1];
    size_t count = 0;
    for (size_t cue = 0; cue < cue_count && cue < CUES_MAX; cue++) {
        if (cue_table[cue].type != type || evidence->counts[cue] <= 0) {
            continue;
        }
        size_t at = count;
        while (at > 0 && contribution(evidence, best[at - 1]) < contribution(evidence, cue)) {
            at--;
        }
        if (at < REASONS_MAX) {
            memmove(&best[at + 1], &best[at], (count - at) * sizeof(best[0]));
            best[at] = cue;
            count += count < REASONS_MAX;
        }
    }
    struct mirai_strs out = {mirai_arena_alloc(arena, (count + 1) * sizeof(out.items[0])), count};
    for (size_t i = 0; i < count; i++) {
        out.items[i] = reason(evidence, best[i], locale, arena);
    }
    return out;
}

static int compare_proposals(const void *a, const void *b)
{
    const struct mirai_type_proposal *x = a;
    const struct mirai_type_proposal *y = b;
    return x->confidence != y->confidence ? (x->confidence < y->confidence ? 1 : -1) : x->type - y->type;
}

static void gather(const struct reading *reading, struct evidence *evidence)
{
    look(evidence, reading_title(reading), PLACE_TITLE);
    for (size_t i = 0; i < reading->markdown.count; i++) {
        struct mirai_str text = reading_text(reading, i);
        size_t label = reading->blocks[i].label;
        if (reading->markdown.blocks[i].kind != MARKDOWN_CODE) {
            look(evidence, (struct mirai_str){text.data, label}, PLACE_HEADING);
            look(evidence, (struct mirai_str){text.data + label, text.len - label}, PLACE_BODY);
        }
    }
}

void classify(const struct reading *reading, enum mirai_locale locale, struct mirai_arena *arena,
              struct mirai_type_proposal out[CLASSIFY_TYPES])
{
    struct evidence *evidence = mirai_arena_alloc(arena, sizeof(*evidence));
    double scores[CLASSIFY_TYPES] = {[MIRAI_ITSM_TYPE_OTHER] = OTHER_BASE};
    double all = OTHER_BASE;
    gather(reading, evidence);
    for (size_t cue = 0; cue < cue_count && cue < CUES_MAX; cue++) {
        scores[cue_table[cue].type] += contribution(evidence, cue);
        all += contribution(evidence, cue);
    }
    double sum = 0;
    for (int type = 0; type < CLASSIFY_TYPES; type++) {
        scores[type] = exp(SHARPNESS * scores[type] / sqrt(all)); /* long texts have more of everything */
        sum += scores[type];
    }
    for (int type = 0; type < CLASSIFY_TYPES; type++) {
        out[type] = (struct mirai_type_proposal){0};
        mirai_set(type_proposal, &out[type], type, type);
        mirai_set(type_proposal, &out[type], confidence, scores[type] / sum);
        mirai_set(type_proposal, &out[type], reasons, reasons(evidence, type, locale, arena));
    }
    qsort(out, CLASSIFY_TYPES, sizeof(out[0]), compare_proposals);
}
