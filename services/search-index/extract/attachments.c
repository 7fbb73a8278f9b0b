#include "services/search-index/extract/attachments.h"

#include "libcommon/log.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* Texts in memory at once, and those of one article; what is beyond is not searched. An article that would go over the
 * first is applied again, alone. */
#define BATCH_BYTES   (64u << 20)
#define ARTICLE_BYTES (32u << 20)

/* A file that was not known when its article was applied. */
struct wanted {
    int64_t article_id;
    struct mirai_attachment file; /* its strings live in `memory` */
};

struct attachments {
    struct extracts *extracts;
    struct extractor *extractor;
    char *program;
    void (*ready)(void *data, int64_t article_id);
    void *data;
    /* the writer's, and the loop's while that does nothing */
    struct wanted *wanted;
    size_t wanted_len;
    size_t wanted_room;
    struct mirai_arena memory;
    size_t bytes;      /* texts given since attachments_ask */
    int64_t *deferred; /* articles to be applied again */
    size_t deferred_len;
    size_t deferred_room;
};

/* ------------------------------------------------------------------ writer thread */

/* *found: whether the text is known. */
static struct index_file known_file(struct attachments *attachments,
                                    const struct mirai_attachment *attachment, struct mirai_arena *arena,
                                    bool *found)
{
    struct extracts_text text = {0};
    struct index_file file = {.id = attachment->id, .name = attachment->name};
    *found = extracts_find(attachments->extracts, attachment->sha256, arena, &text) == 0;
    if (!*found) {
        return file;
    }
    struct mirai_str rest = text.packed;
    uint32_t number;
    struct mirai_str one;
    size_t count = 0;
    while (frames_next(&rest, &number, &one) == 0) {
        count++;
    }
    struct index_page *pages = mirai_arena_alloc(arena, (count + 1) * sizeof(*pages));
    for (rest = text.packed; file.pages_len < count && frames_next(&rest, &number, &one) == 0;) {
        pages[file.pages_len++] = (struct index_page){number, one};
    }
    file.pages = pages;
    attachments->bytes += text.packed.len;
    return file;
}

static void note(struct attachments *attachments, int64_t article_id, const struct mirai_attachment *file)
{
    if (attachments->wanted_len == attachments->wanted_room) {
        attachments->wanted_room = attachments->wanted_room == 0 ? 64 : attachments->wanted_room * 2;
        attachments->wanted =
            mirai_realloc(attachments->wanted, attachments->wanted_room * sizeof(*attachments->wanted));
    }
    struct wanted *wanted = &attachments->wanted[attachments->wanted_len++];
    *wanted = (struct wanted){article_id, *file};
    wanted->file.sha256 = mirai_arena_copy(&attachments->memory, file->sha256);
    wanted->file.name = mirai_arena_copy(&attachments->memory, file->name);
    wanted->file.media_type = mirai_arena_copy(&attachments->memory, file->media_type);
}

static void defer(struct attachments *attachments, int64_t article_id)
{
    if (attachments->deferred_len == attachments->deferred_room) {
        attachments->deferred_room = attachments->deferred_room == 0 ? 16 : attachments->deferred_room * 2;
        attachments->deferred =
            mirai_realloc(attachments->deferred, attachments->deferred_room * sizeof(*attachments->deferred));
    }
    attachments->deferred[attachments->deferred_len++] = article_id;
}

void attachments_fill(struct attachments *attachments, struct index_change *change, struct mirai_arena *arena)
{
    if (change->article == NULL) {
        return;
    }
    const struct mirai_attachment *list = MIRAI_ITEMS(attachment, &change->article->attachments);
    size_t count = attachments != NULL ? change->article->attachments.count : 0;
    struct index_file *files = mirai_arena_alloc(arena, (count + 1) * sizeof(*files));
    if (count > 0 && attachments->bytes > BATCH_BYTES) {
        defer(attachments, change->id);
        return;
    }
    size_t before = count > 0 ? attachments->bytes : 0;
    change->has_files = true;
    change->files = files;
    change->files_len = 0;
    for (size_t i = 0; i < count && attachments->bytes - before < ARTICLE_BYTES; i++) {
        bool found;
        struct index_file file = known_file(attachments, &list[i], arena, &found);
        if (!found) {
            note(attachments, change->id, &list[i]);
        } else if (file.pages_len > 0) {
            files[change->files_len++] = file;
        }
    }
}

void attachments_all_filled(struct attachments *attachments, int64_t ms)
{
    if (attachments != NULL) {
        extracts_expire(attachments->extracts, ms); /* logged; the next time is as good */
    }
}

/* ------------------------------------------------------------------ loop thread */

static void on_ready(void *data, int64_t article_id)
{
    struct attachments *attachments = data;
    if (attachments->ready != NULL) {
        attachments->ready(attachments->data, article_id);
    }
}

void attachments_ask(struct attachments *attachments)
{
    if (attachments == NULL) {
        return;
    }
    for (size_t i = 0; i < attachments->wanted_len; i++) {
        extractor_ask(attachments->extractor, attachments->wanted[i].article_id,
                      &attachments->wanted[i].file);
    }
    attachments->wanted_len = 0;
    mirai_arena_free(&attachments->memory);
    for (size_t i = 0; i < attachments->deferred_len; i++) {
        on_ready(attachments, attachments->deferred[i]);
    }
    attachments->deferred_len = 0;
    attachments->bytes = 0;
}

void attachments_on_ready(struct attachments *attachments, void (*ready)(void *data, int64_t article_id),
                          void *data)
{
    attachments->ready = ready;
    attachments->data = data;
}

size_t attachments_pending(const struct attachments *attachments)
{
    return attachments != NULL ? extractor_pending(attachments->extractor) : 0;
}

void attachments_stop(struct attachments *attachments)
{
    if (attachments != NULL) {
        extractor_stop(attachments->extractor);
    }
}

void attachments_free(struct attachments *attachments)
{
    if (attachments == NULL) {
        return;
    }
    extractor_free(attachments->extractor);
    extracts_close(attachments->extracts);
    mirai_arena_free(&attachments->memory);
    free(attachments->wanted);
    free(attachments->deferred);
    free(attachments->program);
    free(attachments);
}

struct attachments *attachments_new(const struct attachments_options *options)
{
    char path[PATH_MAX];
    char limits[100];
    struct attachments *attachments = mirai_alloc(sizeof(*attachments));
    snprintf(path, sizeof(path), "%s/extracts.db", options->dir);
    snprintf(limits, sizeof(limits), "%lld %lld %lld", (long long)options->size_max,
             (long long)options->memory_bytes, (long long)options->timeout_ms);
    attachments->program = mirai_str_dup(mirai_str(options->program));
    if (extracts_open(path, options->cache_bytes, limits, &attachments->extracts) == 0) {
        const struct extractor_options extractor = {.loop = options->loop,
                                                    .store = options->store,
                                                    .extracts = attachments->extracts,
                                                    .program = attachments->program,
                                                    .workers = options->workers,
                                                    .size_max = options->size_max,
                                                    .memory_bytes = options->memory_bytes,
                                                    .timeout_ms = options->timeout_ms,
                                                    .ready = on_ready,
                                                    .data = attachments};
        attachments->extractor = extractor_new(&extractor);
    }
    if (attachments->extractor == NULL) {
        attachments_free(attachments);
        return NULL;
    }
    return attachments;
}
