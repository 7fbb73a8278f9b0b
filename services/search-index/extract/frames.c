#include "services/search-index/extract/frames.h"

#include "libcommon/error.h"

#include <stdlib.h>

/* A file of many empty or one-byte frames must not cost more than its text. */
#define FRAMES_MAX (EXTRACT_PAGES_MAX * 4 + EXTRACT_TEXT_MAX / 1024)

static const struct {
    const char *name;
    bool has_text;
    bool passes;
} outcomes[] = {
#define EXTRACT_OUTCOME_ROW(id, name, has_text, passes) {name, has_text, passes},
    EXTRACT_OUTCOMES(EXTRACT_OUTCOME_ROW)
#undef EXTRACT_OUTCOME_ROW
};

const char *extract_outcome_name(enum extract_outcome outcome)
{
    return outcomes[outcome].name;
}

bool extract_outcome_has_text(enum extract_outcome outcome)
{
    return outcomes[outcome].has_text;
}

bool extract_outcome_passes(enum extract_outcome outcome)
{
    return outcomes[outcome].passes;
}

/* ------------------------------------------------------------------ writing */

static void put32(unsigned char *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (unsigned char)(value >> (8 * i));
    }
}

static uint32_t get32(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void write_head(struct mirai_buf *out, char kind, uint32_t value, size_t len)
{
    unsigned char head[EXTRACT_HEAD] = {(unsigned char)kind};
    put32(head + 1, value);
    put32(head + 5, (uint32_t)len);
    mirai_buf_append(out, head, sizeof(head));
}

void frames_write_page(struct mirai_buf *out, uint32_t page, struct mirai_str text)
{
    write_head(out, 'P', page, text.len);
    mirai_buf_append_str(out, text);
}

void frames_write_end(struct mirai_buf *out, enum extract_outcome outcome)
{
    write_head(out, 'E', (uint32_t)outcome, 0);
}

/* ------------------------------------------------------------------ reading */

static int take_page(struct frames_reader *reader, uint32_t page, struct mirai_str text)
{
    if (page > EXTRACT_PAGES_MAX || reader->count == FRAMES_MAX ||
        text.len > EXTRACT_TEXT_MAX - reader->text.len || !mirai_utf8_valid(text)) {
        return MIRAI_E_INVALID;
    }
    if (reader->count == reader->room) {
        reader->room = reader->room == 0 ? 16 : reader->room * 2;
        reader->pages = mirai_realloc(reader->pages, reader->room * sizeof(*reader->pages));
    }
    reader->pages[reader->count] =
        (struct frames_page){page, (uint32_t)reader->count, reader->text.len, text.len};
    reader->count++;
    mirai_buf_append_str(&reader->text, text);
    return 0;
}

static int take_end(struct frames_reader *reader, uint32_t outcome, size_t len)
{
    if (outcome >= EXTRACT_OUTCOME_COUNT || len != 0) {
        return MIRAI_E_INVALID;
    }
    reader->ended = true;
    reader->outcome = (enum extract_outcome)outcome;
    return 0;
}

/* Take the frame at the beginning of `bytes`. *used: its length, 0 when it is not yet whole. */
static int take_frame(struct frames_reader *reader, struct mirai_str bytes, size_t *used)
{
    *used = 0;
    if (bytes.len < EXTRACT_HEAD) {
        return 0;
    }
    const unsigned char *head = (const unsigned char *)bytes.data;
    uint32_t value = get32(head + 1);
    uint32_t len = get32(head + 5);
    if (reader->ended || len > EXTRACT_FRAME_MAX || (head[0] != 'P' && head[0] != 'E')) {
        return MIRAI_E_INVALID;
    }
    if (bytes.len - EXTRACT_HEAD < len) {
        return 0;
    }
    *used = EXTRACT_HEAD + len;
    struct mirai_str text = {bytes.data + EXTRACT_HEAD, len};
    return head[0] == 'P' ? take_page(reader, value, text) : take_end(reader, value, len);
}

int frames_read(struct frames_reader *reader, struct mirai_str bytes)
{
    if (bytes.len == 0) {
        return 0;
    }
    mirai_buf_append_str(&reader->pending, bytes);
    struct mirai_str rest = mirai_buf_str(&reader->pending);
    size_t used = 0;
    do {
        int err = take_frame(reader, rest, &used);
        if (err != 0) {
            return err;
        }
        rest.data += used;
        rest.len -= used;
    } while (used > 0);
    if (reader->ended && rest.len > 0) {
        return MIRAI_E_INVALID;
    }
    memmove(reader->pending.data, rest.data, rest.len);
    reader->pending.len = rest.len;
    return 0;
}

static int by_page(const void *a, const void *b)
{
    const struct frames_page *x = a;
    const struct frames_page *y = b;
    if (x->page != y->page) {
        return x->page < y->page ? -1 : 1;
    }
    return x->order < y->order ? -1 : 1;
}

void frames_pack(struct frames_reader *reader, struct mirai_buf *out)
{
    if (reader->count > 0) {
        qsort(reader->pages, reader->count, sizeof(*reader->pages), by_page);
    }
    for (size_t i = 0; i < reader->count;) {
        size_t head = out->len;
        uint32_t page = reader->pages[i].page;
        write_head(out, 'P', page, 0);
        for (; i < reader->count && reader->pages[i].page == page; i++) {
            if (reader->pages[i].len > 0) { /* otherwise there may be no text at all */
                mirai_buf_append(out, reader->text.data + reader->pages[i].at, reader->pages[i].len);
            }
        }
        put32((unsigned char *)out->data + head + 5, (uint32_t)(out->len - head - EXTRACT_HEAD));
    }
}

void frames_reader_free(struct frames_reader *reader)
{
    mirai_buf_free(&reader->pending);
    mirai_buf_free(&reader->text);
    free(reader->pages);
    *reader = (struct frames_reader){0};
}

int frames_next(struct mirai_str *packed, uint32_t *page, struct mirai_str *text)
{
    if (packed->len == 0) {
        return MIRAI_E_NOT_FOUND;
    }
    const unsigned char *head = (const unsigned char *)packed->data;
    if (packed->len < EXTRACT_HEAD || head[0] != 'P' || get32(head + 5) > packed->len - EXTRACT_HEAD) {
        return MIRAI_E_INVALID;
    }
    *page = get32(head + 1);
    *text = (struct mirai_str){packed->data + EXTRACT_HEAD, get32(head + 5)};
    packed->data += EXTRACT_HEAD + text->len;
    packed->len -= EXTRACT_HEAD + text->len;
    return 0;
}
