#include "services/knowledge-store/slug.h"

/* One code point of valid UTF-8 at *at, which moves past it. */
static uint32_t next_point(const unsigned char **at)
{
    const unsigned char *p = *at;
    if (p[0] < 0x80) {
        *at += 1;
        return p[0];
    }
    if (p[0] < 0xe0) {
        *at += 2;
        return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3fu);
    }
    if (p[0] < 0xf0) {
        *at += 3;
        return (uint32_t)(p[0] & 0x0f) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    }
    *at += 4;
    return (uint32_t)(p[0] & 0x07) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
}

/* Above ASCII: what is no letter and no digit, by Unicode's blocks. Unknown things count as letters, so that
 * no script is left out. */
static bool is_separator(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } blocks[] = {
        {0x0080, 0x00a9},    {0x00ab, 0x00b1},   {0x00b4, 0x00b4}, {0x00b6, 0x00b8}, {0x00bb, 0x00bf},
        {0x00d7, 0x00d7},    {0x00f7, 0x00f7},   {0x1680, 0x1680}, {0x2000, 0x206f}, /* punctuation, spaces */
        {0x20a0, 0x20cf},    {0x2190, 0x2bff}, /* signs, arrows, symbols */
        {0x2e00, 0x2e7f},    {0x2ff0, 0x3004},   {0x3008, 0x3020}, {0x3030, 0x3030}, /* CJK punctuation */
        {0x303d, 0x303f},    {0x30fb, 0x30fb},   {0xd800, 0xf8ff},                   /* private use */
        {0xfe00, 0xfe6f},    {0xfeff, 0xff0f},   {0xff1a, 0xff20}, {0xff3b, 0xff40}, {0xff5b, 0xff65},
        {0xffe0, 0xffff},    {0x1f000, 0x1faff}, /* pictures */
        {0xe0000, 0x10ffff},
    };
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        if (c >= blocks[i].first && c <= blocks[i].last) {
            return true;
        }
    }
    return false;
}

static bool is_word(uint32_t c)
{
    if (c < 0x80) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    }
    return !is_separator(c);
}

static bool only_digits(struct mirai_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') {
            return false;
        }
    }
    return true;
}

bool slug_valid(struct mirai_str slug)
{
    const unsigned char *at = (const unsigned char *)slug.data;
    const unsigned char *end = at + slug.len;
    if (slug.len == 0 || only_digits(slug) || strchr("-.", slug.data[0]) != NULL ||
        strchr("-.", slug.data[slug.len - 1]) != NULL) {
        return false;
    }
    while (at < end) {
        uint32_t c = next_point(&at);
        if (!is_word(c) && c != '-' && c != '_' && c != '.') {
            return false;
        }
    }
    return true;
}

struct mirai_str slug_from_title(struct mirai_arena *arena, struct mirai_str title)
{
    struct mirai_buf slug = {0};
    const unsigned char *at = (const unsigned char *)title.data;
    const unsigned char *end = at + title.len;
    size_t points = 0;
    bool gap = false;
    while (at < end && points < SLUG_LENGTH_MAX) {
        const unsigned char *start = at;
        uint32_t c = next_point(&at);
        if (!is_word(c)) {
            gap = slug.len > 0;
            continue;
        }
        if (gap && points + 1 == SLUG_LENGTH_MAX) {
            break; /* no room for '-' and what follows it */
        }
        if (gap) {
            mirai_buf_append_char(&slug, '-');
            points++;
        }
        gap = false;
        if (c >= 'A' && c <= 'Z') {
            mirai_buf_append_char(&slug, (char)(c - 'A' + 'a'));
        } else {
            mirai_buf_append(&slug, start, (size_t)(at - start));
        }
        points++;
    }
    struct mirai_str made =
        slug.len == 0 ? MIRAI_STR("article")
        : only_digits(mirai_buf_str(&slug))
            ? mirai_arena_printf(arena, "article-%.*s", MIRAI_STR_ARG(mirai_buf_str(&slug)))
            : mirai_arena_copy(arena, mirai_buf_str(&slug));
    mirai_buf_free(&slug);
    return made;
}
