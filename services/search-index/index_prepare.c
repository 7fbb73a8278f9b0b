#include "services/search-index/index_internal.h"

#include "libcommon/error.h"

#include <stdlib.h>

/* A body is packed from so many bytes on, when that saves an eighth. */
#define PACK_FROM  200
#define PACK_LEVEL 3

/* Starting points of a title in the suggestions. */
#define SUGGEST_WORDS_MAX 8

/* Below so many units one thread is quicker. */
#define TEAM_FROM 16

/* A worker's documents become a file of the new index from so much on. */
#define BUILDER_BYTES (48u << 20)

bool index_worker_open(struct index_worker *worker, struct analyzer_model *model)
{
    worker->analyzer = analyzer_new(model);
    worker->terms = worker->analyzer != NULL ? terms_new(worker->analyzer) : NULL;
    worker->builder = segment_builder_new();
    worker->zstd = ZSTD_createCCtx();
    return worker->terms != NULL && worker->zstd != NULL;
}

void index_worker_close(struct index_worker *worker)
{
    terms_free(worker->terms);
    analyzer_free(worker->analyzer);
    segment_builder_free(worker->builder);
    ZSTD_freeCCtx(worker->zstd);
    normalized_free(&worker->key);
    mirai_buf_free(&worker->scratch);
    *worker = (struct index_worker){0};
}

void index_unit_free(struct index_unit *unit)
{
    mirai_buf_free(&unit->encoded);
    mirai_buf_free(&unit->packed);
    mirai_buf_free(&unit->suggestions);
}

/* ------------------------------------------------------------------ suggestions */

static void suggest_put(struct mirai_buf *out, enum index_suggestion kind, struct mirai_str key,
                        struct mirai_str text)
{
    struct mirai_str cut = mirai_utf8_prefix(key, INDEX_SUGGEST_KEY_MAX);
    uint32_t lengths[2] = {(uint32_t)cut.len, (uint32_t)text.len};
    mirai_buf_append_char(out, (char)kind);
    mirai_buf_append(out, lengths, sizeof(lengths));
    mirai_buf_append_str(out, cut);
    mirai_buf_append_str(out, text);
}

struct word_starts {
    size_t at[SUGGEST_WORDS_MAX];
    size_t count;
};

static void note_start(void *data, const struct analyzer_token *token)
{
    struct word_starts *starts = data;
    bool known = starts->count > 0 && token->start <= starts->at[starts->count - 1];
    if (token->view == ANALYZER_WORD && token->start > 0 && !known && starts->count < SUGGEST_WORDS_MAX) {
        starts->at[starts->count++] = token->start;
    }
}

static void suggest_unit(struct index_worker *worker, struct index_unit *unit)
{
    struct word_starts starts = {0};
    normalize(&worker->key, unit->title, false);
    struct mirai_str key = mirai_buf_str(&worker->key.text);
    analyzer_run(worker->analyzer, key, note_start, &starts);
    /* only the rows of tags carry their text; the others are resolved through the unit */
    suggest_put(&unit->suggestions, INDEX_SUGGEST_TITLE, key, (struct mirai_str){0});
    for (size_t i = 0; i < starts.count; i++) {
        struct mirai_str rest = {key.data + starts.at[i], key.len - starts.at[i]};
        suggest_put(&unit->suggestions, INDEX_SUGGEST_WORD, rest, (struct mirai_str){0});
    }
    struct mirai_str tags[INDEX_TAGS_MAX];
    size_t count = index_split_tags(unit->tags, tags);
    for (size_t i = 0; i < count; i++) {
        normalize(&worker->key, tags[i], false);
        suggest_put(&unit->suggestions, INDEX_SUGGEST_TAG, mirai_buf_str(&worker->key.text), tags[i]);
    }
}

/* ------------------------------------------------------------------ a unit */

static void pack_body(struct index_worker *worker, struct index_unit *unit)
{
    if (unit->body.len < PACK_FROM) {
        return;
    }
    size_t most = unit->body.len - unit->body.len / 8;
    mirai_buf_reserve(&worker->scratch, most);
    size_t len = ZSTD_compressCCtx(worker->zstd, worker->scratch.data, most, unit->body.data, unit->body.len,
                                   PACK_LEVEL);
    if (!ZSTD_isError(len)) {
        mirai_buf_append(&unit->packed, worker->scratch.data, len);
    }
}

static int prepare_unit(struct index *index, struct index_worker *worker, struct index_unit *unit)
{
    struct terms *terms = worker->terms;
    terms_clear(terms);
    terms_add(terms, TERMS_TITLE, unit->title);
    if (unit->entry.parent == 0) {
        terms_add(terms, TERMS_TAGS, unit->tags);
        terms_add(terms, TERMS_HEADINGS, unit->summary);
        terms_add_markdown(terms, unit->body);
        suggest_unit(worker, unit);
    } else {
        terms_add(terms, TERMS_BODY, unit->body);
    }
    terms_encode(terms, &unit->encoded);
    pack_body(worker, unit);
    int err = segment_builder_add(worker->builder, (struct segment_doc){unit->slot, unit->version},
                                  mirai_buf_str(&unit->encoded));
    if (err == 0 && !index->published) {
        mirai_buf_free(&unit->encoded); /* nobody asks for it */
        if (segment_builder_bytes(worker->builder) > BUILDER_BYTES) {
            err = index_builder_flush(index, worker->builder);
        }
    }
    return err;
}

/* ------------------------------------------------------------------ many units */

struct team {
    struct index *index;
    struct index_unit *units;
    size_t count;
    atomic_size_t next;
};

struct member {
    struct team *team;
    struct index_worker *worker;
    pthread_t thread;
    bool started;
};

static void *work(void *data)
{
    struct member *member = data;
    struct team *team = member->team;
    size_t at;
    while ((at = atomic_fetch_add(&team->next, 1)) < team->count) {
        struct index_unit *unit = &team->units[at];
        if (!unit->unchanged) {
            unit->err = prepare_unit(team->index, member->worker, unit);
        }
    }
    return NULL;
}

int index_prepare(struct index *index, struct index_unit *units, size_t count)
{
    struct team team = {.index = index, .units = units, .count = count};
    struct member members[INDEX_WORKERS_MAX];
    size_t len = !index->published && count >= TEAM_FROM ? index->workers_len : 1;
    for (size_t i = 0; i < len; i++) {
        members[i] = (struct member){.team = &team, .worker = &index->workers[i]};
        members[i].started = i > 0 && pthread_create(&members[i].thread, NULL, work, &members[i]) == 0;
    }
    work(&members[0]);
    for (size_t i = 1; i < len; i++) {
        if (members[i].started) {
            pthread_join(members[i].thread, NULL);
        }
    }
    int err = 0;
    for (size_t i = 0; err == 0 && i < count; i++) {
        err = units[i].err;
    }
    return err;
}
