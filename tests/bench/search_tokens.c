/* Words for the baseline of tests/bench/search, by MeCab alone and with nothing of the product's analyzer: for each
 * line of the input a line of base forms of nouns, verbs, adjectives and adverbs, separated by spaces. */
#include <mecab.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Part-of-speech numbers of ipadic (pos-id.def). */
static bool is_content(unsigned pos)
{
    return pos == 10 || pos == 31 || pos == 34 || (pos >= 36 && pos <= 48) || (pos >= 50 && pos <= 58) ||
           pos == 67;
}

/* Field 6 of the feature, the base form, or the surface where there is none. */
static void print_base(const mecab_node_t *node)
{
    const char *base = node->feature;
    for (int field = 0; field < 6 && base != NULL; field++) {
        base = strchr(base, ',');
        base = base != NULL ? base + 1 : NULL;
    }
    size_t len = base != NULL ? strcspn(base, ",") : 0;
    if (len == 0 || (len == 1 && base[0] == '*')) {
        base = node->surface;
        len = node->length;
    }
    printf("%.*s ", (int)len, base);
}

int main(void)
{
    mecab_model_t *model = mecab_model_new2("-C -r /dev/null -d /var/lib/mecab/dic/ipadic-utf8");
    if (model == NULL) {
        fprintf(stderr, "bench-tokens: no dictionary (package mecab-ipadic-utf8)\n");
        return 1;
    }
    mecab_t *tagger = mecab_model_new_tagger(model);
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t len; (len = getline(&line, &cap, stdin)) > 0;) {
        const mecab_node_t *node = mecab_sparse_tonode2(tagger, line, (size_t)len - (line[len - 1] == '\n'));
        for (; node != NULL; node = node->next) {
            if ((node->stat == MECAB_NOR_NODE || node->stat == MECAB_UNK_NODE) && is_content(node->posid)) {
                print_base(node);
            }
        }
        putchar('\n');
    }
    free(line);
    mecab_destroy(tagger);
    mecab_model_destroy(model);
    return 0;
}
