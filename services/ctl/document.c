#include "services/ctl/document.h"

#include "services/ctl/text.h"

#include <ctype.h>
#include <locale.h>
#include <sodium.h>
#include <stdio.h>
#include <wctype.h>

#define SLUG_POINTS_MAX 200
#define HEADING_MAX     2000 /* bytes of a heading that are looked at */
#define LANGUAGE_SAMPLE 4096 /* bytes of the text that are looked at */

/* ------------------------------------------------------------------ slug */

static struct mirai_str without_extension(struct mirai_str path)
{
    const char *slash = path.len > 0 ? memrchr(path.data, '/', path.len) : NULL;
    const char *dot = path.len > 0 ? memrchr(path.data, '.', path.len) : NULL;
    if (dot != NULL && dot > path.data && (slash == NULL || dot > slash + 1)) {
        path.len = (size_t)(dot - path.data);
    }
    return path;
}

/* The code point at the start of `s`, which may be no UTF-8; *len = its bytes. 0: none. */
static uint32_t code_point(struct mirai_str s, size_t *len)
{
    const unsigned char *at = (const unsigned char *)s.data;
    size_t n = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    uint32_t code = at[0];
    *len = 1;
    if (s.len < n || !mirai_utf8_valid((struct mirai_str){s.data, n})) {
        return 0;
    }
    code = n > 1 ? code & (0x7fu >> n) : code;
    for (size_t i = 1; i < n; i++) {
        code = code << 6 | (at[i] & 0x3fu);
    }
    *len = n;
    return code;
}

/* Letters and digits of any script, and '_'. Signs and symbols that Unicode counts as letters
 * (U+2000..U+2BFF) are left out: the store takes none in slugs. */
static bool is_word(uint32_t code)
{
    static locale_t unicode;
    if (code < 0x80) {
        return isalnum((int)code) || code == '_';
    }
    if (unicode == (locale_t)0) {
        unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    }
    return (code < 0x2000 || code > 0x2bff) && unicode != (locale_t)0 && iswalnum_l(code, unicode);
}

/* Append one folder's or file's name: lower case, one '-' between words. */
static void append_part(struct mirai_buf *out, const char *name, size_t len)
{
    size_t from = out->len;
    bool gap = false;
    size_t n;
    for (size_t i = 0; i < len; i += n) {
        uint32_t code = code_point((struct mirai_str){name + i, len - i}, &n);
        if (!is_word(code)) {
            gap = true;
            continue;
        }
        if (gap && out->len > from) {
            mirai_buf_append_char(out, '-');
        }
        gap = false;
        if (code < 0x80) {
            mirai_buf_append_char(out, (char)tolower((int)code));
        } else {
            mirai_buf_append(out, name + i, n);
        }
    }
}

static bool only_digits(struct mirai_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!isdigit((unsigned char)s.data[i])) {
            return false;
        }
    }
    return true;
}

static void path_hash(struct mirai_str path, char hex[9])
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)path.data, path.len);
    mirai_hex(hex, hash, 4);
}

static struct mirai_str finish_slug(struct mirai_buf *slug, struct mirai_str path, bool hashed,
                                    struct mirai_arena *arena)
{
    char hex[9];
    struct mirai_str name = mirai_buf_str(slug);
    size_t room = SLUG_POINTS_MAX - 9;
    path_hash(path, hex);
    if (only_digits(name)) { /* would be taken for an id */
        name = mirai_arena_printf(arena, "article%s%.*s", name.len > 0 ? "-" : "", MIRAI_STR_ARG(name));
        hashed = hashed || slug->len == 0;
    }
    if (hashed || mirai_utf8_length(name) > SLUG_POINTS_MAX) {
        while (mirai_utf8_length(name) > room) {
            name = mirai_utf8_prefix(name, name.len - 1);
        }
        name = mirai_arena_printf(arena, "%.*s-%s", MIRAI_STR_ARG(name), hex);
    } else {
        name = mirai_arena_copy(arena, name);
    }
    mirai_buf_free(slug);
    return name;
}

static struct mirai_str make_slug(struct mirai_str path, bool hashed, struct mirai_arena *arena)
{
    struct mirai_buf slug = {0};
    struct mirai_str rest = without_extension(path);
    while (rest.len > 0) {
        const char *slash = memchr(rest.data, '/', rest.len);
        size_t len = slash != NULL ? (size_t)(slash - rest.data) : rest.len;
        size_t before = slug.len;
        if (slug.len > 0) {
            mirai_buf_append_str(&slug, MIRAI_STR("--"));
        }
        size_t from = slug.len;
        append_part(&slug, rest.data, len);
        slug.len = slug.len == from ? before : slug.len;
        rest.data += len + (slash != NULL);
        rest.len -= len + (slash != NULL);
    }
    return finish_slug(&slug, path, hashed, arena);
}

struct mirai_str document_slug(struct mirai_str path, struct mirai_arena *arena)
{
    return make_slug(path, false, arena);
}

struct mirai_str document_slug_hashed(struct mirai_str path, struct mirai_arena *arena)
{
    return make_slug(path, true, arena);
}

/* ------------------------------------------------------------------ title */

static struct mirai_str trim(struct mirai_str s)
{
    while (s.len > 0 && isspace((unsigned char)s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && isspace((unsigned char)s.data[s.len - 1])) {
        s.len--;
    }
    return s;
}

/* The length of an HTML tag or a Markdown link's target at the start of `s`, which a plain title leaves out.
 */
static size_t markup_length(struct mirai_str s)
{
    const char *end = NULL;
    if (s.len > 1 && s.data[0] == '<' && (isalpha((unsigned char)s.data[1]) || s.data[1] == '/')) {
        end = memchr(s.data, '>', s.len);
    } else if (s.len > 1 && s.data[0] == ']' && s.data[1] == '(') {
        end = memchr(s.data, ')', s.len);
    }
    return end != NULL ? (size_t)(end - s.data) + 1 : 0;
}

/* A heading's text without tags, links, emphasis, code marks and the closing marks. */
static struct mirai_str plain_heading(struct mirai_str line, struct mirai_arena *arena)
{
    struct mirai_buf out = {0};
    while (line.len > 0 && line.data[line.len - 1] == '#') {
        line.len--;
    }
    for (size_t i = 0; i < line.len;) {
        struct mirai_str rest = {line.data + i, line.len - i};
        size_t markup = markup_length(rest);
        if (markup > 0) {
            i += markup;
        } else if (rest.data[0] == '\\' && rest.len > 1 && ispunct((unsigned char)rest.data[1])) {
            mirai_buf_append_char(&out, rest.data[1]);
            i += 2;
        } else {
            bool link = rest.data[0] == '[' && memmem(rest.data, rest.len, "](", 2) != NULL;
            bool emphasis = rest.data[0] == '`' || rest.data[0] == '*';
            if (!link && !emphasis) {
                mirai_buf_append_char(&out, rest.data[0]);
            }
            i++;
        }
    }
    struct mirai_str title = mirai_arena_copy(arena, trim(mirai_buf_str(&out)));
    mirai_buf_free(&out);
    return title;
}

struct mirai_str document_heading(struct mirai_str body, struct mirai_arena *arena)
{
    bool code = false;
    while (body.len > 0) {
        const char *end = memchr(body.data, '\n', body.len);
        struct mirai_str line = {body.data, end != NULL ? (size_t)(end - body.data) : body.len};
        body.data += line.len + (end != NULL);
        body.len -= line.len + (end != NULL);
        if (line.len >= 3 && (memcmp(line.data, "```", 3) == 0 || memcmp(line.data, "~~~", 3) == 0)) {
            code = !code;
        }
        if (!code && line.len > 2 && line.data[0] == '#' && isblank((unsigned char)line.data[1])) {
            struct mirai_str text = trim((struct mirai_str){line.data + 1, line.len - 1});
            struct mirai_str title = plain_heading(mirai_utf8_prefix(text, HEADING_MAX), arena);
            if (title.len > 0) {
                return title;
            }
        }
    }
    return (struct mirai_str){0};
}

/* ------------------------------------------------------------------ language */

enum mirai_locale document_language(struct mirai_str text)
{
    size_t letters = 0, japanese = 0;
    text = mirai_utf8_prefix(text, LANGUAGE_SAMPLE);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x80) {
            letters += isalpha(c) != 0;
        } else if (c >= 0xe3 && c <= 0xe9) { /* U+3000..U+9FFF: kana and kanji */
            japanese++;
        }
    }
    return japanese > 0 && japanese * 20 >= letters + japanese ? MIRAI_LOCALE_JA : MIRAI_LOCALE_EN;
}

/* ------------------------------------------------------------------ type */

static int type_of_word(const char *word, size_t len)
{
    for (int type = 0; mirai_enum_itsm_type.values[type] != NULL; type++) {
        const char *name = mirai_enum_itsm_type.values[type];
        if (strlen(name) == len && strncasecmp(name, word, len) == 0) {
            return type;
        }
    }
    return -1;
}

/* The nearest folder that is called like a type; -1 when none is. */
static int type_of_folder(struct mirai_str path, struct mirai_str root)
{
    const char *end = path.len > 0 ? memrchr(path.data, '/', path.len) : NULL;
    while (end != NULL) {
        size_t len = (size_t)(end - path.data);
        const char *slash = memrchr(path.data, '/', len);
        const char *name = slash != NULL ? slash + 1 : path.data;
        int type = type_of_word(name, (size_t)(end - name));
        if (type >= 0) {
            return type;
        }
        end = slash;
    }
    return type_of_word(root.data, root.len);
}

/* ------------------------------------------------------------------ the whole */

/* Keys that are fields of article.import. */
static const char *const field_keys[] = {
    "title",    "slug",      "type",       "status",     "summary_technical", "summary_non_technical",
    "language", "review_by", "visibility", "created_at", "updated_at",
};

static int refuse(char reason[FRONT_REASON_SIZE], struct mirai_str field, const char *problem)
{
    struct mirai_str words = text_problem(mirai_str(problem));
    snprintf(reason, FRONT_REASON_SIZE, "%.*s: %.*s", MIRAI_STR_ARG(field), MIRAI_STR_ARG(words));
    return MIRAI_E_UNPROCESSABLE;
}

static int take_fields(const struct front_matter *front, struct mirai_arena *arena,
                       struct mirai_article_import *article, char reason[FRONT_REASON_SIZE])
{
    for (size_t i = 0; i < sizeof(field_keys) / sizeof(field_keys[0]); i++) {
        struct mirai_faults faults = {0};
        const struct front_pair *pair = front_matter_find(front, field_keys[i]);
        if (pair == NULL) {
            continue;
        }
        struct mirai_str name = pair->key;
        if (pair->is_list) {
            return refuse(reason, name, "type");
        }
        if (mirai_message_set_text(&mirai_message_article_import, name, pair->value, arena, article,
                                   &faults) != 0) {
            return refuse(reason, name, faults.count > 0 ? faults.list[0].problem : "format");
        }
    }
    return 0;
}

/* `tags` as a list, or as one text with commas. */
static void take_tags(const struct front_matter *front, struct mirai_arena *arena,
                      struct mirai_article_import *article)
{
    const struct front_pair *pair = front_matter_find(front, "tags");
    if (pair == NULL) {
        return;
    }
    struct mirai_strs tags = {mirai_arena_alloc(arena, FRONT_ITEMS_MAX * sizeof(struct mirai_str)), 0};
    struct mirai_str rest = pair->value;
    for (size_t i = 0; pair->is_list && i < pair->count; i++) {
        tags.items[tags.count++] = trim(pair->items[i]);
    }
    while (!pair->is_list && rest.len > 0 && tags.count < FRONT_ITEMS_MAX) {
        const char *comma = memchr(rest.data, ',', rest.len);
        size_t len = comma != NULL ? (size_t)(comma - rest.data) : rest.len;
        struct mirai_str tag = trim((struct mirai_str){rest.data, len});
        rest.data += len + (comma != NULL);
        rest.len -= len + (comma != NULL);
        if (tag.len > 0) {
            tags.items[tags.count++] = tag;
        }
    }
    mirai_set(article_import, article, tags, tags);
}

static struct mirai_str take_name(const struct front_matter *front, const char *key)
{
    const struct front_pair *pair = front_matter_find(front, key);
    return pair != NULL && !pair->is_list ? pair->value : (struct mirai_str){0};
}

/* The file's name without folders and extension. */
static struct mirai_str file_name(struct mirai_str path)
{
    struct mirai_str name = without_extension(path);
    const char *slash = name.len > 0 ? memrchr(name.data, '/', name.len) : NULL;
    return slash != NULL ? (struct mirai_str){slash + 1, (size_t)(name.data + name.len - slash - 1)} : name;
}

static void fill_gaps(struct mirai_str path, struct mirai_str root, int status, int type,
                      struct mirai_arena *arena, struct document *out)
{
    struct mirai_article_import *article = &out->article;
    if (!mirai_has(article_import, article, title) || trim(article->title).len == 0) {
        struct mirai_str title = document_heading(article->body, arena);
        mirai_set(article_import, article, title, title.len > 0 ? title : file_name(path));
    }
    out->own_slug = mirai_has(article_import, article, slug);
    if (!out->own_slug) {
        mirai_set(article_import, article, slug, document_slug(path, arena));
    }
    if (!mirai_has(article_import, article, type)) {
        int of_folder = type_of_folder(path, root);
        mirai_set(article_import, article, type, of_folder >= 0 ? of_folder : type);
    }
    if (!mirai_has(article_import, article, status)) {
        mirai_set(article_import, article, status, status);
    }
    if (!mirai_has(article_import, article, language)) {
        mirai_set(article_import, article, language, (int)document_language(article->body));
    }
}

int document_read(struct mirai_str path, struct mirai_str root, struct mirai_str content, int status,
                  int type, struct mirai_arena *arena, struct document *out, char reason[FRONT_REASON_SIZE])
{
    struct front_matter front;
    *out = (struct document){0};
    if (!mirai_utf8_valid(content)) {
        snprintf(reason, FRONT_REASON_SIZE, "%s", text("UTF-8 ではありません", "not UTF-8"));
        return MIRAI_E_UNPROCESSABLE;
    }
    if (front_matter_parse(content, arena, &front, reason) != 0) {
        return MIRAI_E_UNPROCESSABLE;
    }
    int err = take_fields(&front, arena, &out->article, reason);
    if (err != 0) {
        return err;
    }
    take_tags(&front, arena, &out->article);
    out->owner = take_name(&front, "owner");
    out->space = take_name(&front, "space");
    out->group = take_name(&front, "group");
    mirai_set(article_import, &out->article, body, front.body);
    fill_gaps(path, root, status, type, arena, out);
    return 0;
}

int document_check(const struct mirai_article_import *article, struct mirai_arena *arena,
                   char reason[FRONT_REASON_SIZE])
{
    struct mirai_faults faults = {0};
    struct mirai_article_import copy;
    struct mirai_buf bytes = {0};
    mirai_message_encode(&mirai_message_article_import, article, &bytes);
    int err = mirai_message_decode(&mirai_message_article_import, mirai_buf_str(&bytes), MIRAI_EDGE, arena,
                                   &copy, &faults);
    mirai_buf_free(&bytes);
    if (err != 0) {
        const char *path = faults.count > 0 ? faults.list[0].path : "";
        refuse(reason, mirai_str(*path == '/' ? path + 1 : path),
               faults.count > 0 ? faults.list[0].problem : "format");
    }
    return err;
}
