#include "services/search-index/insight/markdown.h"

#include <stdlib.h>

/* Longest link target or tag that is looked through for its end: keeps the time linear in hostile texts. */
#define TARGET_MAX 2048

/* A block while its lines are collected. */
struct reading {
    struct markdown *out;
    bool open;
    struct markdown_block block;
};

static struct mirai_str trim(struct mirai_str s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 &&
           (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t' || s.data[s.len - 1] == '\r')) {
        s.len--;
    }
    return s;
}

static struct mirai_str skip(struct mirai_str s, size_t n)
{
    return (struct mirai_str){s.data + n, s.len - n};
}

static bool starts(struct mirai_str s, const char *with)
{
    size_t len = strlen(with);
    return s.len >= len && memcmp(s.data, with, len) == 0;
}

static bool ends(struct mirai_str s, const char *with)
{
    size_t len = strlen(with);
    return s.len >= len && memcmp(s.data + s.len - len, with, len) == 0;
}

/* ------------------------------------------------------------------ inline */

/* Bytes of the target that follows "](", with its parenthesis; 0: it is none. */
static size_t target_len(struct mirai_str s)
{
    const char *end = memchr(s.data, ')', s.len < TARGET_MAX ? s.len : TARGET_MAX);
    return end != NULL ? (size_t)(end - s.data) + 1 : 0;
}

/* Bytes of an HTML tag or <address> at '<'; 0: it is none. */
static size_t tag_len(struct mirai_str s)
{
    bool named =
        s.len > 1 && ((s.data[1] >= 'a' && s.data[1] <= 'z') || (s.data[1] >= 'A' && s.data[1] <= 'Z') ||
                      s.data[1] == '/' || s.data[1] == '!');
    size_t max = s.len < TARGET_MAX ? s.len : TARGET_MAX;
    const char *end = named ? memchr(s.data, '>', max) : NULL;
    return end != NULL ? (size_t)(end - s.data) + 1 : 0;
}

/* Append a line without its marks. Underscores stay: they are part of names more often than emphasis. */
static void append_inline(struct mirai_buf *out, struct mirai_str s)
{
    static const char escapable[] = "\\`*_{}[]()#+-.!|<>~";
    bool code = false;
    for (size_t i = 0; i < s.len; i++) {
        size_t plain = i;
        while (plain < s.len && strchr("`\\*~![]<", s.data[plain]) == NULL) {
            plain++;
        }
        mirai_buf_append(out, s.data + i, plain - i);
        if (plain == s.len) {
            return;
        }
        i = plain;
        char c = s.data[i];
        if (c == '`') {
            code = !code;
        } else if (code) {
            mirai_buf_append_char(out, c);
        } else if (c == '\\' && i + 1 < s.len &&
                   memchr(escapable, s.data[i + 1], sizeof(escapable) - 1) != NULL) {
            mirai_buf_append_char(out, s.data[++i]);
        } else if (c == '*' || (c == '~' && i + 1 < s.len && s.data[i + 1] == '~')) {
            i += c == '~';
        } else if (c == '!' && i + 1 < s.len && s.data[i + 1] == '[') {
            continue;
        } else if (c == '[') {
            continue;
        } else if (c == ']') {
            bool target = i + 1 < s.len && s.data[i + 1] == '(';
            size_t len = target ? target_len(skip(s, i + 2)) : 0;
            i += len > 0 ? len + 1 : 0;
        } else if (c == '<' && tag_len(skip(s, i)) > 0) {
            i += tag_len(skip(s, i)) - 1;
        } else {
            mirai_buf_append_char(out, c);
        }
    }
}

/* ------------------------------------------------------------------ blocks */

static void finish(struct reading *reading)
{
    struct markdown *out = reading->out;
    if (!reading->open) {
        return;
    }
    reading->open = false;
    struct mirai_str text = {out->text.data + reading->block.start, out->text.len - reading->block.start};
    struct mirai_str trimmed = trim(text);
    if (trimmed.len == 0 || out->count == MARKDOWN_BLOCKS_MAX) {
        out->text.len = reading->block.start;
        return;
    }
    reading->block.start += (size_t)(trimmed.data - text.data);
    reading->block.len = trimmed.len;
    if (out->count == out->cap) {
        out->cap = out->cap == 0 ? 64 : out->cap * 2;
        out->blocks = mirai_realloc(out->blocks, out->cap * sizeof(out->blocks[0]));
    }
    out->blocks[out->count++] = reading->block;
    mirai_buf_append_char(&out->text, '\n');
}

static void begin(struct reading *reading, enum markdown_kind kind, unsigned level)
{
    finish(reading);
    reading->open = true;
    reading->block = (struct markdown_block){kind, level, reading->out->text.len, 0};
}

/* One line as a block of its own. */
static void whole(struct reading *reading, enum markdown_kind kind, unsigned level, struct mirai_str text)
{
    begin(reading, kind, level);
    append_inline(&reading->out->text, text);
    finish(reading);
}

/* A line continues the block before it: Latin words need a space between, Japanese must not have one. */
static void more(struct reading *reading, struct mirai_str text)
{
    struct mirai_buf *out = &reading->out->text;
    if (!reading->open) {
        begin(reading, MARKDOWN_PARAGRAPH, 0);
    } else if (out->len > reading->block.start && text.len > 0 &&
               ((signed char)out->data[out->len - 1] >= 0 || (signed char)text.data[0] >= 0)) {
        mirai_buf_append_char(out, ' ');
    }
    append_inline(out, text);
}

/* Level of "## x", with its text; 0: it is none. */
static unsigned heading_level(struct mirai_str line, struct mirai_str *text)
{
    unsigned level = 0;
    while (level < line.len && line.data[level] == '#') {
        level++;
    }
    if (level == 0 || level > 6 ||
        (level < line.len && line.data[level] != ' ' && line.data[level] != '\t')) {
        return 0;
    }
    *text = trim(skip(line, level));
    while (text->len > 0 && text->data[text->len - 1] == '#') {
        text->len--;
    }
    return level;
}

/* What is written for a heading in mails and forms, where there are none: 【影響】, ■ 影響, **影響**. */
static bool stands_for_heading(struct mirai_str line, struct mirai_str *text)
{
    static const char *const marks[] = {"■", "□", "●", "◆", "◇", "▼", "▶", "◎"};
    size_t max = 90; /* longer ones are sentences */
    if (line.len > max) {
        return false;
    }
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (starts(line, marks[i]) && line.len > strlen(marks[i])) {
            *text = trim(skip(line, strlen(marks[i])));
            return true;
        }
    }
    if (starts(line, "【") && ends(line, "】") && line.len > 6) {
        *text = (struct mirai_str){line.data + 3, line.len - 6};
        return true;
    }
    if (starts(line, "**") && ends(line, "**") && line.len > 4 &&
        memmem(line.data + 2, line.len - 4, "**", 2) == NULL) {
        *text = (struct mirai_str){line.data + 2, line.len - 4};
        return true;
    }
    return false;
}

/* Bytes of a list's mark with its space; 0: none. */
static size_t item_mark(struct mirai_str line)
{
    if (line.len >= 2 && (line.data[0] == '-' || line.data[0] == '*' || line.data[0] == '+') &&
        line.data[1] == ' ') {
        return starts(line, "- [ ] ") || starts(line, "- [x] ") ? 6 : 2;
    }
    size_t digits = 0;
    while (digits < line.len && digits < 9 && line.data[digits] >= '0' && line.data[digits] <= '9') {
        digits++;
    }
    bool mark = digits > 0 && digits + 1 < line.len &&
                (line.data[digits] == '.' || line.data[digits] == ')') && line.data[digits + 1] == ' ';
    if (mark) {
        return digits + 2;
    }
    return starts(line, "・") ? strlen("・") : 0;
}

/* Only of these characters: a rule, an underline, the line below a table's head. */
static bool only(struct mirai_str line, const char *characters)
{
    for (size_t i = 0; i < line.len; i++) {
        if (strchr(characters, line.data[i]) == NULL || line.data[i] == '\0') {
            return false;
        }
    }
    return line.len > 0;
}

static void add_row(struct reading *reading, struct mirai_str line)
{
    begin(reading, MARKDOWN_ROW, 0);
    struct mirai_buf *out = &reading->out->text;
    size_t from = 1;
    for (size_t i = 1; i <= line.len; i++) {
        if (i < line.len && (line.data[i] != '|' || line.data[i - 1] == '\\')) {
            continue;
        }
        struct mirai_str cell = trim((struct mirai_str){line.data + from, i - from});
        from = i + 1;
        if (i == line.len && cell.len == 0) {
            break;
        }
        if (cell.len > 0 && out->len > reading->block.start) {
            mirai_buf_append_str(out, MIRAI_STR(MARKDOWN_CELL));
        }
        append_inline(out, cell);
    }
    finish(reading);
}

/* A line of text outside of code. */
static void add_line(struct reading *reading, struct mirai_str line)
{
    struct mirai_str text = {0};
    while (line.len > 0 && line.data[0] == '>') {
        line = trim(skip(line, 1));
    }
    unsigned level = heading_level(line, &text);
    size_t mark = item_mark(line);
    if (line.len == 0) {
        finish(reading);
    } else if (level > 0) {
        whole(reading, MARKDOWN_HEADING, level, text);
    } else if (only(line, "=-") && line.len >= 2 && reading->open &&
               reading->block.kind == MARKDOWN_PARAGRAPH) {
        reading->block.kind = MARKDOWN_HEADING;
        reading->block.level = line.data[0] == '=' ? 1 : 2;
        finish(reading);
    } else if (only(line, "-*_= |:") && line.len >= 3) {
        finish(reading);
    } else if (line.data[0] == '|') {
        add_row(reading, line);
    } else if (stands_for_heading(line, &text)) {
        whole(reading, MARKDOWN_HEADING, 6, text);
    } else if (mark > 0) {
        bool numbered = line.data[0] >= '0' && line.data[0] <= '9';
        begin(reading, MARKDOWN_ITEM, numbered);
        append_inline(&reading->out->text, trim(skip(line, mark)));
    } else {
        more(reading, line);
    }
}

static struct mirai_str next_line(struct mirai_str *rest)
{
    const char *newline = memchr(rest->data, '\n', rest->len);
    size_t len = newline != NULL ? (size_t)(newline - rest->data) : rest->len;
    struct mirai_str line = {rest->data, len};
    *rest = skip(*rest, newline != NULL ? len + 1 : len);
    return line;
}

/* Length of the run of ` or ~ that opens or closes a code block, or 0. */
static size_t fence_len(struct mirai_str line)
{
    size_t len = 0;
    while (len < line.len && line.data[len] == line.data[0]) {
        len++;
    }
    return len >= 3 && (line.data[0] == '`' || line.data[0] == '~') ? len : 0;
}

void markdown_read(struct markdown *out, struct mirai_str source)
{
    struct reading reading = {.out = out};
    struct mirai_str fence = {0};
    out->text.len = 0;
    out->count = 0;
    mirai_buf_reserve(&out->text, source.len + 16);
    while (source.len > 0) {
        struct mirai_str raw = next_line(&source);
        struct mirai_str line = trim(raw);
        size_t run = fence_len(line);
        if (fence.len > 0) {
            if (run >= fence.len && run == line.len && line.data[0] == fence.data[0]) {
                fence.len = 0;
                finish(&reading);
            } else {
                mirai_buf_append_str(&out->text, raw);
                mirai_buf_append_char(&out->text, '\n');
            }
        } else if (run > 0) {
            begin(&reading, MARKDOWN_CODE, 0);
            fence = (struct mirai_str){line.data, run};
        } else {
            add_line(&reading, line);
        }
    }
    finish(&reading);
}

/* Longest label in bytes. */
#define LABEL_MAX 48

size_t markdown_label(struct mirai_str text, enum markdown_kind kind)
{
    static const char *const marks[] = {": ", "："};
    if (kind == MARKDOWN_ROW) {
        const char *cell = memmem(text.data, text.len, MARKDOWN_CELL, strlen(MARKDOWN_CELL));
        return cell != NULL ? (size_t)(cell - text.data) + strlen(MARKDOWN_CELL) : text.len;
    }
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        size_t max = text.len < LABEL_MAX ? text.len : LABEL_MAX;
        const char *mark = memmem(text.data, max, marks[i], strlen(marks[i]));
        if (mark != NULL) {
            return (size_t)(mark - text.data) + strlen(marks[i]);
        }
    }
    return 0;
}

void markdown_free(struct markdown *markdown)
{
    mirai_buf_free(&markdown->text);
    free(markdown->blocks);
    *markdown = (struct markdown){0};
}
