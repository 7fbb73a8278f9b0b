/* The starter synonyms that ship with the product: each set is found by each of its terms, and no term is in two sets. */
#include "services/search-index/vocabulary/snapshot.h"

#include "tests/unit/search-index/fixture.h"

#define SETS_MAX  1000
#define TERMS_MAX 50 /* of message synonyms */

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    struct mirai_buf text = {0};
    char block[4096];
    for (size_t n; (n = fread(block, 1, sizeof(block), file)) > 0;) {
        mirai_buf_append(&text, block, n);
    }
    fclose(file);
    mirai_buf_append_char(&text, '\0');
    return text.data;
}

/* Cut a line at " = " into terms. */
static struct mirai_strs cut(struct mirai_arena *arena, char *line)
{
    struct mirai_strs terms = {mirai_arena_alloc(arena, TERMS_MAX * sizeof(struct mirai_str)), 0};
    for (char *term = line; term != NULL;) {
        char *sign = strstr(term, " = ");
        assert_true(terms.count < TERMS_MAX);
        if (sign != NULL) {
            *sign = '\0';
        }
        terms.items[terms.count++] = mirai_str(term);
        term = sign != NULL ? sign + 3 : NULL;
    }
    return terms;
}

static size_t parse(struct mirai_arena *arena, char *text, struct mirai_synonyms *sets)
{
    size_t count = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] != '#') {
            assert_true(count < SETS_MAX);
            mirai_set(synonyms, &sets[count], terms, cut(arena, line));
            count++;
        }
    }
    return count;
}

/* As the list is written it is normal: what a search sees differs in nothing but case. */
static void check_spelling(struct mirai_str term)
{
    struct normalized text = {0};
    assert_true(term.len > 0 && mirai_utf8_length(term) <= 60 && mirai_utf8_valid(term));
    normalize(&text, term, false);
    if (text.text.len != term.len || strncasecmp(text.text.data, term.data, term.len) != 0) {
        fail_msg("%.*s is not normalised", MIRAI_STR_ARG(term));
    }
    normalized_free(&text);
}

struct match {
    size_t len;
    size_t synonyms;
    bool phrases;
};

static void note(void *data, const struct vocabulary_match *found)
{
    struct match *match = data;
    struct mirai_str last = {0};
    if (match->len != 0 || found->start != 0) {
        return;
    }
    match->len = found->end;
    match->phrases = true;
    for (size_t i = 0; i < found->phrases_len; i++) {
        match->synonyms += !mirai_str_eq(found->phrases[i].text, last);
        match->phrases = match->phrases && found->phrases[i].parts_len > 0;
        last = found->phrases[i].text;
    }
}

static void test_each_term_finds_its_set(void **state)
{
    struct fixture *f = *state;
    static struct mirai_synonyms sets[SETS_MAX];
    char *text = read_file(STARTER_SYNONYMS);
    size_t count = parse(&f->arena, text, sets);
    struct mirai_synonyms_page page = {0};
    assert_true(count >= 250);
    mirai_set(synonyms_page, &page, items, ((struct mirai_objects){sets, count}));
    struct vocabulary_snapshot *snapshot = vocabulary_snapshot_new(f->analyzer, &page, NULL);
    struct normalized normal = {0};
    for (size_t i = 0; i < count; i++) {
        assert_true(sets[i].terms.count >= 2);
        for (size_t j = 0; j < sets[i].terms.count; j++) {
            struct mirai_str term = sets[i].terms.items[j];
            struct match match = {0};
            check_spelling(term);
            normalize(&normal, term, false);
            vocabulary_expand(snapshot, f->analyzer, mirai_buf_str(&normal.text), note, &match);
            if (match.len != normal.text.len || match.synonyms != sets[i].terms.count - 1 || !match.phrases) {
                fail_msg("%.*s: %zu of %zu bytes, %zu synonyms of %zu", MIRAI_STR_ARG(term), match.len,
                         normal.text.len, match.synonyms, sets[i].terms.count - 1);
            }
        }
    }
    normalized_free(&normal);
    vocabulary_snapshot_free(snapshot);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(test_each_term_finds_its_set),
    };
    return cmocka_run_group_tests_name("search starter synonyms", tests, NULL, NULL);
}
