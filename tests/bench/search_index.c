/* The search engine without its daemon: the same index_apply and query_run in one process and one thread.
 *
 * bench-search build INDEX < articles      make an index file
 * bench-search run INDEX LIMIT < queries   answer each query; a line each: qid, microseconds, total, ids ...
 * bench-search suggest INDEX < queries     the same for suggestions
 * bench-search page INDEX HITS < queries   page to so many hits; a line each: qid, microseconds of each page ...
 * bench-search bootstrap RESAMPLES < differences   two-sided p of the mean being 0 (Efron & Tibshirani 1993)
 *
 * An article is a line: id, title, text, and where they are wanted: tags (joined by ','), type, owner, space. A query is
 * a line: qid, text, and where they are wanted: tag, type, space of a reader who may see only that one. Fields are
 * separated by tabs; in texts \n is a new line and \\ a backslash. Ends with a line "# name value ..." of what was used.
 * Boosts are those of the environment (MIRAI_SEARCH_BOOST_*), corrections are made; synonyms live in the store and are not there. */
#include "libcommon/config.h"
#include "libcommon/time.h"
#include "services/search-index/help/lexicon.h"
#include "services/search-index/help/suggest.h"
#include "services/search-index/index.h"
#include "services/search-index/query/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIELDS     8
#define BATCH      256
#define TAGS_MAX   50
#define DEADLINE   UINT64_C(60000000)
#define PAGE_LIMIT 100

struct line {
    char *text;
    size_t cap;
    struct mirai_str fields[FIELDS]; /* absent ones are empty */
};

static void fail(const char *what, int err)
{
    fprintf(stderr, "bench-search: %s: error %d\n", what, err);
    exit(1);
}

/* \n and \\ in place. */
static size_t unescape(char *text, size_t len)
{
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\\' && i + 1 < len && (text[i + 1] == 'n' || text[i + 1] == '\\')) {
            i++;
            text[to++] = text[i] == 'n' ? '\n' : '\\';
        } else {
            text[to++] = text[i];
        }
    }
    return to;
}

static bool read_line(struct line *line)
{
    ssize_t got = getline(&line->text, &line->cap, stdin);
    if (got <= 0) {
        return false;
    }
    size_t len = (size_t)got - (line->text[got - 1] == '\n');
    char *at = line->text;
    char *end = line->text + len;
    for (size_t i = 0; i < FIELDS; i++) {
        char *tab = memchr(at, '\t', (size_t)(end - at));
        char *stop = tab != NULL ? tab : end;
        line->fields[i] = (struct mirai_str){at, unescape(at, (size_t)(stop - at))};
        at = tab != NULL ? tab + 1 : end;
    }
    return true;
}

static int64_t number(struct mirai_str s)
{
    char digits[24] = {0};
    memcpy(digits, s.data, s.len < sizeof(digits) - 1 ? s.len : sizeof(digits) - 1);
    return strtoll(digits, NULL, 10);
}

/* Value of a line of /proc/self/NAME in kB. */
static long proc_kb(const char *name, const char *key)
{
    char path[64];
    char text[256];
    long value = -1;
    snprintf(path, sizeof(path), "/proc/self/%s", name);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(text, sizeof(text), file) != NULL) {
        if (strncmp(text, key, strlen(key)) == 0 && text[strlen(key)] == ':') {
            value = strtol(text + strlen(key) + 1, NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return value;
}

static void print_usage(uint64_t count, uint64_t micros, uint64_t text_bytes)
{
    printf("# count %llu micros %llu text_bytes %llu rss_kb %ld pss_kb %ld anonymous_kb %ld\n",
           (unsigned long long)count, (unsigned long long)micros, (unsigned long long)text_bytes,
           proc_kb("status", "VmRSS"), proc_kb("smaps_rollup", "Pss"), proc_kb("smaps_rollup", "Anonymous"));
}

/* ------------------------------------------------------------------ building */

struct batch {
    struct mirai_arena arena;
    struct mirai_article articles[BATCH];
    struct index_change changes[BATCH];
    size_t len;
    int64_t seq;
};

static struct mirai_strs split_tags(struct mirai_arena *arena, struct mirai_str joined)
{
    struct mirai_str *tags = mirai_arena_alloc(arena, TAGS_MAX * sizeof(tags[0]));
    size_t count = 0;
    while (joined.len > 0 && count < TAGS_MAX) {
        const char *comma = memchr(joined.data, ',', joined.len);
        size_t len = comma != NULL ? (size_t)(comma - joined.data) : joined.len;
        tags[count++] = (struct mirai_str){joined.data, len};
        len += comma != NULL;
        joined = (struct mirai_str){joined.data + len, joined.len - len};
    }
    return (struct mirai_strs){tags, count};
}

static int type_number(struct mirai_str type)
{
    for (int i = 0; mirai_enum_itsm_type.values[i] != NULL; i++) {
        if (mirai_str_eq(mirai_str(mirai_enum_itsm_type.values[i]), type)) {
            return i;
        }
    }
    return 0;
}

static void add_article(struct batch *batch, const struct line *line)
{
    struct mirai_article *article = &batch->articles[batch->len];
    *article = (struct mirai_article){0};
    int64_t id = number(line->fields[0]);
    mirai_set(article, article, id, id);
    mirai_set(article, article, slug, mirai_arena_copy(&batch->arena, line->fields[0]));
    mirai_set(article, article, title, mirai_arena_copy(&batch->arena, line->fields[1]));
    mirai_set(article, article, body, mirai_arena_copy(&batch->arena, line->fields[2]));
    mirai_set(article, article, tags,
              split_tags(&batch->arena, mirai_arena_copy(&batch->arena, line->fields[3])));
    mirai_set(article, article, type, type_number(line->fields[4]));
    mirai_set(article, article, status, MIRAI_ARTICLE_STATUS_PUBLISHED);
    mirai_set(article, article, owner_id, line->fields[5].len > 0 ? number(line->fields[5]) : 1);
    mirai_set(article, article, space_id, line->fields[6].len > 0 ? number(line->fields[6]) : 1);
    mirai_set(article, article, updated_at, 1700000000000 + id);
    batch->changes[batch->len++] = (struct index_change){.id = id, .article = article};
}

static void apply(struct index *index, struct batch *batch)
{
    struct index_position position = {"bench", ++batch->seq};
    int err = index_apply(index, batch->changes, batch->len, &position);
    if (err != 0) {
        fail("apply", err);
    }
    batch->len = 0;
    mirai_arena_free(&batch->arena);
}

static void build(const char *path, struct analyzer_model *model)
{
    struct line line = {0};
    struct batch *batch = mirai_alloc(sizeof(*batch));
    struct index *index;
    char temporary[4096];
    uint64_t count = 0;
    uint64_t bytes = 0;
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    int err = index_create(temporary, model, &index);
    if (err != 0) {
        fail(temporary, err);
    }
    uint64_t start = mirai_monotonic_us();
    while (read_line(&line)) {
        add_article(batch, &line);
        count++;
        bytes += line.fields[1].len + line.fields[2].len + line.fields[3].len;
        if (batch->len == BATCH) {
            apply(index, batch);
        }
    }
    apply(index, batch);
    err = index_publish(index, path);
    if (err != 0) {
        fail(path, err);
    }
    while (index_tidy(index)) {
        usleep(1000); /* merges run beside */
    }
    print_usage(count, mirai_monotonic_us() - start, bytes);
    index_close(index);
    free(batch);
    free(line.text);
}

/* ------------------------------------------------------------------ asking */

struct asker {
    struct index *index;
    struct index_reader *reader;
    struct analyzer *analyzer;
    struct query_workspace *workspace;
    struct lexicon *lexicon;
    struct mirai_arena arena;
    struct mirai_str tag;
    int64_t space;
};

static void open_asker(struct asker *asker, const char *path, struct analyzer_model *model)
{
    int err = index_open(path, model, &asker->index);
    if (err != 0) {
        fail(path, err);
    }
    err = index_reader_open(asker->index, &asker->reader);
    if (err != 0) {
        fail(path, err);
    }
    asker->analyzer = analyzer_new(model);
    asker->workspace = query_workspace_new();
    const struct index_view *view = index_view_enter(asker->reader);
    asker->lexicon = lexicon_build(view->segments, view->count, asker->analyzer, NULL);
    index_view_leave(asker->reader);
    const struct query_help help = {.lexicon = asker->lexicon};
    const struct query_boosts boosts = {
        .freshness = (unsigned)mirai_config_int(MIRAI_CONFIG_SEARCH_BOOST_FRESHNESS),
        .half_life_days = (unsigned)mirai_config_int(MIRAI_CONFIG_SEARCH_FRESHNESS_DAYS),
        .rating = (unsigned)mirai_config_int(MIRAI_CONFIG_SEARCH_BOOST_RATING),
        .views = (unsigned)mirai_config_int(MIRAI_CONFIG_SEARCH_BOOST_VIEWS),
        .title = (unsigned)mirai_config_int(MIRAI_CONFIG_SEARCH_BOOST_TITLE),
        .proximity = (unsigned)mirai_config_int(MIRAI_CONFIG_SEARCH_BOOST_PROXIMITY),
    };
    query_workspace_help(asker->workspace, &help);
    query_workspace_boost(asker->workspace, &boosts);
}

static void close_asker(struct asker *asker)
{
    index_reader_close(asker->reader);
    index_close(asker->index);
    query_workspace_free(asker->workspace);
    lexicon_release(asker->lexicon);
    analyzer_free(asker->analyzer);
    mirai_arena_free(&asker->arena);
}

static struct mirai_principal principal_of(struct asker *asker, const struct line *line)
{
    if (line->fields[4].len == 0) {
        return (struct mirai_principal){.user_id = 1, .role = MIRAI_ROLE_ADMIN};
    }
    asker->space = number(line->fields[4]);
    return (struct mirai_principal){
        .user_id = 999999, .role = MIRAI_ROLE_VIEWER, .spaces = &asker->space, .spaces_len = 1};
}

static struct mirai_search_query query_of(struct asker *asker, const struct line *line, int64_t limit)
{
    struct mirai_search_query query = {0};
    mirai_set(search_query, &query, q, line->fields[1]);
    mirai_set(search_query, &query, limit, limit);
    if (line->fields[2].len > 0) {
        asker->tag = line->fields[2];
        mirai_set(search_query, &query, tag, ((struct mirai_strs){&asker->tag, 1}));
    }
    if (line->fields[3].len > 0) {
        mirai_set(search_query, &query, type, type_number(line->fields[3]));
    }
    return query;
}

static void search(struct asker *asker, const struct mirai_search_query *query,
                   const struct mirai_principal *principal, struct mirai_search_result *result)
{
    *result = (struct mirai_search_result){0};
    int err = query_run(asker->reader, asker->workspace, asker->analyzer, query, principal,
                        mirai_monotonic_us() + DEADLINE, &asker->arena, result);
    if (err != 0) {
        fail("query", err);
    }
}

static uint64_t run_one(struct asker *asker, const struct line *line, int64_t limit)
{
    const struct mirai_principal principal = principal_of(asker, line);
    const struct mirai_search_query query = query_of(asker, line, limit);
    struct mirai_search_result result;
    uint64_t start = mirai_monotonic_us();
    search(asker, &query, &principal, &result);
    uint64_t took = mirai_monotonic_us() - start;
    printf("%.*s\t%llu\t%lld", (int)line->fields[0].len, line->fields[0].data, (unsigned long long)took,
           (long long)result.total);
    for (size_t i = 0; i < result.hits.count; i++) {
        printf("\t%lld", (long long)MIRAI_ITEMS(search_hit, &result.hits)[i].id);
    }
    putchar('\n');
    return took;
}

static uint64_t suggest_one(struct asker *asker, const struct line *line)
{
    const struct mirai_principal principal = principal_of(asker, line);
    struct mirai_suggest_query query = {0};
    struct mirai_suggest_result result = {0};
    mirai_set(suggest_query, &query, q, line->fields[1]);
    uint64_t start = mirai_monotonic_us();
    const struct suggest_request request = {
        .reader = asker->reader, .analyzer = asker->analyzer, .principal = &principal, .query = &query};
    int err = suggest_run(&request, &asker->arena, &result);
    uint64_t took = mirai_monotonic_us() - start;
    if (err != 0) {
        fail("suggest", err);
    }
    printf("%.*s\t%llu\t%zu\n", (int)line->fields[0].len, line->fields[0].data, (unsigned long long)took,
           result.items.count);
    return took;
}

static uint64_t page_one(struct asker *asker, const struct line *line, int64_t hits)
{
    const struct mirai_principal principal = principal_of(asker, line);
    struct mirai_search_query query = query_of(asker, line, PAGE_LIMIT);
    uint64_t all = 0;
    printf("%.*s", (int)line->fields[0].len, line->fields[0].data);
    for (int64_t seen = 0; seen < hits;) {
        struct mirai_search_result result;
        uint64_t start = mirai_monotonic_us();
        search(asker, &query, &principal, &result);
        uint64_t took = mirai_monotonic_us() - start;
        printf("\t%llu", (unsigned long long)took);
        all += took;
        seen += (int64_t)result.hits.count;
        if (!mirai_has(search_result, &result, next_cursor)) {
            break;
        }
        mirai_set(search_query, &query, cursor, result.next_cursor);
    }
    putchar('\n');
    return all;
}

static void ask(const char *mode, const char *path, int64_t limit, struct analyzer_model *model)
{
    struct asker asker = {0};
    struct line line = {0};
    uint64_t count = 0;
    uint64_t micros = 0;
    open_asker(&asker, path, model);
    while (read_line(&line)) {
        count++;
        micros += strcmp(mode, "run") == 0    ? run_one(&asker, &line, limit)
                  : strcmp(mode, "page") == 0 ? page_one(&asker, &line, limit)
                                              : suggest_one(&asker, &line);
        mirai_arena_free(&asker.arena);
    }
    print_usage(count, micros, 0);
    close_asker(&asker);
    free(line.text);
}

/* ------------------------------------------------------------------ bootstrap */

/* xorshift64* (Vigna 2016): the same resamples in each run. */
static uint64_t draw(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static void bootstrap(long resamples)
{
    double *values = NULL;
    size_t len = 0;
    size_t cap = 0;
    double value;
    uint64_t state = UINT64_C(88172645463325252);
    while (scanf("%lf", &value) == 1) {
        if (len == cap) {
            cap = cap == 0 ? 1024 : cap * 2;
            values = mirai_realloc(values, cap * sizeof(values[0]));
        }
        values[len++] = value;
    }
    long below = 0;
    long above = 0;
    for (long i = 0; len > 0 && i < resamples; i++) {
        double sum = 0;
        for (size_t j = 0; j < len; j++) {
            sum += values[(size_t)(((draw(&state) >> 32) * len) >> 32)];
        }
        below += sum <= 0;
        above += sum >= 0;
    }
    long fewer = below < above ? below : above;
    double p = 2.0 * (double)(fewer + 1) / (double)(resamples + 1);
    printf("%.6f\n", p > 1 ? 1 : p);
    free(values);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (argc == 3 && strcmp(mode, "bootstrap") == 0) {
        bootstrap(strtol(argv[2], NULL, 10));
        return 0;
    }
    bool builds = argc == 3 && strcmp(mode, "build") == 0;
    bool suggests = argc == 3 && strcmp(mode, "suggest") == 0;
    bool asks = argc == 4 && (strcmp(mode, "run") == 0 || strcmp(mode, "page") == 0);
    if (!builds && !suggests && !asks) {
        fprintf(stderr, "usage: bench-search build|suggest INDEX, run INDEX LIMIT, page INDEX HITS, "
                        "bootstrap RESAMPLES\n");
        return 2;
    }
    if (mirai_config_load(environ, stderr) != 0) {
        return 2;
    }
    struct analyzer_model *model = analyzer_model_open();
    if (model == NULL) {
        return 1;
    }
    if (builds) {
        build(argv[2], model);
    } else {
        ask(mode, argv[2], asks ? strtoll(argv[3], NULL, 10) : 0, model);
    }
    analyzer_model_close(model);
    return 0;
}
