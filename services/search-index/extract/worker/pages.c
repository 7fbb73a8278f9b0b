#include "services/search-index/extract/worker/pages.h"

#include <unicode/utf8.h>

#define LINES_MAX 2 /* line ends in a row: one empty line */

static void flush(struct pages *pages)
{
    if (pages->text.len == 0) {
        return;
    }
    struct mirai_str text = mirai_utf8_prefix(mirai_buf_str(&pages->text), EXTRACT_TEXT_MAX - pages->total);
    pages->cut |= text.len < pages->text.len;
    if (text.len > 0) {
        struct mirai_buf frame = {0};
        frames_write_page(&frame, pages->page, text);
        pages->write(pages->data, mirai_buf_str(&frame));
        mirai_buf_free(&frame);
    }
    pages->total += text.len;
    pages->text.len = 0;
}

void pages_begin(struct pages *pages, uint32_t page)
{
    flush(pages);
    pages->page = page <= EXTRACT_PAGES_MAX ? page : EXTRACT_PAGES_MAX;
    pages->cut |= page > EXTRACT_PAGES_MAX;
    pages->blank = false;
    pages->lines = 0;
    pages->begun = false;
}

void pages_line(struct pages *pages)
{
    pages->lines += pages->lines < LINES_MAX;
}

void pages_new_line(struct pages *pages)
{
    pages->lines += pages->lines == 0;
}

void pages_blank(struct pages *pages)
{
    pages->blank = true;
}

/* Blanks and line ends are written when something follows them. */
static void separate(struct pages *pages)
{
    if (pages->begun && pages->lines > 0) {
        mirai_buf_append(&pages->text, "\n\n", pages->lines);
    } else if (pages->begun && pages->blank) {
        mirai_buf_append_char(&pages->text, ' ');
    }
    pages->blank = false;
    pages->lines = 0;
    pages->begun = true;
}

/* C0, C1, soft hyphen, zero-width and direction marks, noncharacters: nobody searches for them, and they split words. */
static bool is_noise(UChar32 c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x2064) || c == 0xfeff ||
           U_IS_UNICODE_NONCHAR(c);
}

static void add(struct pages *pages, UChar32 c)
{
    char bytes[U8_MAX_LENGTH];
    size_t len = 0;
    separate(pages);
    U8_APPEND_UNSAFE(bytes, len, c);
    mirai_buf_append(&pages->text, bytes, len);
}

void pages_text(struct pages *pages, struct mirai_str text)
{
    const uint8_t *s = (const uint8_t *)text.data;
    for (size_t i = 0; i < text.len && !pages->cut;) {
        UChar32 c;
        U8_NEXT_OR_FFFD(s, i, text.len, c);
        if (c == '\n' || c == '\f' || c == 0x2028 || c == 0x2029) {
            pages_line(pages);
        } else if (c == ' ' || c == '\t' || c == '\r' || c == 0xa0) {
            pages_blank(pages);
        } else if (!is_noise(c)) {
            add(pages, c);
        }
        if (pages->text.len > EXTRACT_FRAME_MAX - 16) {
            flush(pages);
        }
    }
}

void pages_end(struct pages *pages, enum extract_outcome outcome)
{
    struct mirai_buf frame = {0};
    flush(pages);
    frames_write_end(&frame, outcome == EXTRACT_DONE && pages->cut ? EXTRACT_CUT : outcome);
    pages->write(pages->data, mirai_buf_str(&frame));
    mirai_buf_free(&frame);
}

void pages_free(struct pages *pages)
{
    mirai_buf_free(&pages->text);
}
