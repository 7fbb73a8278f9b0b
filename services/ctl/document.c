#include "services/ctl/document.h"

#include "services/ctl/naming.h"
#include "services/ctl/text.h"

#include <ctype.h>
#include <stdio.h>

#define LANGUAGE_SAMPLE 4096 /* bytes of the text that are looked at */

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
        if (pair == NULL || pair->is_null) {
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
    if (pair == NULL || pair->is_null) {
        return;
    }
    struct mirai_strs tags = {mirai_arena_alloc(arena, FRONT_ITEMS_MAX * sizeof(struct mirai_str)), 0};
    struct mirai_str rest = pair->value;
    for (size_t i = 0; pair->is_list && i < pair->count; i++) {
        tags.items[tags.count++] = naming_clean(pair->items[i], arena);
    }
    while (!pair->is_list && rest.len > 0 && tags.count < FRONT_ITEMS_MAX) {
        const char *comma = memchr(rest.data, ',', rest.len);
        size_t len = comma != NULL ? (size_t)(comma - rest.data) : rest.len;
        struct mirai_str tag = naming_clean((struct mirai_str){rest.data, len}, arena);
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
    struct mirai_str name = naming_stem(path);
    const char *slash = name.len > 0 ? memrchr(name.data, '/', name.len) : NULL;
    return slash != NULL ? (struct mirai_str){slash + 1, (size_t)(name.data + name.len - slash - 1)} : name;
}

static void fill_gaps(struct mirai_str path, struct mirai_str root, int status, int type,
                      struct mirai_arena *arena, struct document *out)
{
    struct mirai_article_import *article = &out->article;
    if (mirai_has(article_import, article, title)) {
        article->title = naming_clean(article->title, arena);
    }
    if (article->title.len == 0) {
        struct mirai_str title = naming_heading(article->body, arena);
        mirai_set(article_import, article, title,
                  title.len > 0 ? title : naming_clean(file_name(path), arena));
    }
    out->own_slug = mirai_has(article_import, article, slug);
    if (!out->own_slug) {
        mirai_set(article_import, article, slug, naming_slug(path, arena));
    }
    if (!mirai_has(article_import, article, type)) {
        int of_folder = type_of_folder(path, root);
        mirai_set(article_import, article, type, of_folder >= 0 ? of_folder : type);
    }
    if (!mirai_has(article_import, article, status)) {
        mirai_set(article_import, article, status, status);
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
    if (front_matter_find(&front, "language") == NULL) { /* `language: ~` says that there is none */
        mirai_set(article_import, &out->article, language, (int)document_language(front.body));
    }
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
