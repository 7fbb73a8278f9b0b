#include "services/search-index/extract/worker/formats.h"
#include "services/search-index/extract/worker/readers.h"

#include <strings.h>

#define PDF_HEAD_MAX  1024 /* Acrobat finds the header within it; so do all others */
#define HTML_HEAD_MAX 1024

static bool begins(struct mirai_str file, const char *bytes, size_t len)
{
    return file.len >= len && memcmp(file.data, bytes, len) == 0;
}

static struct mirai_str head(struct mirai_str file, size_t max)
{
    return (struct mirai_str){file.data, file.len < max ? file.len : max};
}

static bool contains(struct mirai_str where, const char *bytes, size_t len)
{
    return where.len >= len && memmem(where.data, where.len, bytes, len) != NULL;
}

static bool ends_with(struct mirai_str name, const char *ending)
{
    size_t len = strlen(ending);
    return name.len >= len && strncasecmp(name.data + name.len - len, ending, len) == 0;
}

static bool is_type(const struct file_hints *hints, const char *type)
{
    size_t len = strlen(type);
    return hints->media_type.len >= len && strncasecmp(hints->media_type.data, type, len) == 0;
}

/* ------------------------------------------------------------------ packages */

struct seen {
    bool word;
    bool book;
    bool deck;
    bool content;
};

static const struct xml_events *note(void *data, const char *name)
{
    struct seen *seen = data;
    seen->word |= strncmp(name, "word/document", 13) == 0;
    seen->book |= strcmp(name, "xl/workbook.xml") == 0;
    seen->deck |= strcmp(name, "ppt/presentation.xml") == 0;
    seen->content |= strcmp(name, "content.xml") == 0;
    return NULL;
}

static enum extract_outcome read_by_mimetype(struct package *package, struct pages *pages)
{
    static const struct {
        const char *type;
        enum open_document kind;
    } kinds[] = {{"application/vnd.oasis.opendocument.text", OPEN_TEXT},
                 {"application/vnd.oasis.opendocument.spreadsheet", OPEN_SHEETS},
                 {"application/vnd.oasis.opendocument.presentation", OPEN_SLIDES}};
    char type[100];
    size_t len = package_peek(package, "mimetype", type, sizeof(type));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (len >= strlen(kinds[i].type) && memcmp(type, kinds[i].type, strlen(kinds[i].type)) == 0) {
            if (package_has_element(package, "META-INF/manifest.xml", "encryption-data")) {
                return EXTRACT_ENCRYPTED;
            }
            read_open_document(package, kinds[i].kind, pages);
            return package_outcome(package);
        }
    }
    return EXTRACT_UNSUPPORTED;
}

enum extract_outcome read_package(struct mirai_str file, struct pages *pages)
{
    struct package package = {.file = file};
    struct seen seen = {0};
    const struct package_pass pass = {.visit = note, .data = &seen};
    package_walk(&package, &pass);
    if (seen.word) {
        read_word(&package, pages);
    } else if (seen.book) {
        read_sheets(&package, pages);
    } else if (seen.deck) {
        read_slides(&package, pages);
    } else if (seen.content) {
        return read_by_mimetype(&package, pages);
    } else {
        return package.bomb || package.damaged ? package_outcome(&package) : EXTRACT_UNSUPPORTED;
    }
    return package_outcome(&package);
}

/* ------------------------------------------------------------------ the file */

/* Compound files (MS-CFB): Office before 2007, and newer files with a password, which have a stream of this name. */
static enum extract_outcome read_compound(struct mirai_str file)
{
    static const char name[] = "E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e";
    return contains(file, name, sizeof(name)) ? EXTRACT_ENCRYPTED : EXTRACT_LEGACY;
}

static bool looks_like_html(struct mirai_str file)
{
    struct mirai_str start = head(file, HTML_HEAD_MAX);
    static const char *const signs[] = {"<!doctype html", "<html", "<head", "<body"};
    for (size_t i = 0; i < start.len; i++) {
        for (size_t k = 0; start.data[i] == '<' && k < sizeof(signs) / sizeof(signs[0]); k++) {
            size_t len = strlen(signs[k]);
            if (start.len - i >= len && strncasecmp(start.data + i, signs[k], len) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool is_html(struct mirai_str file, const struct file_hints *hints)
{
    bool named = is_type(hints, "text/html") || is_type(hints, "application/xhtml+xml") ||
                 ends_with(hints->name, ".html") || ends_with(hints->name, ".htm");
    return named ||
           (looks_like_html(file) && !ends_with(hints->name, ".md") && !ends_with(hints->name, ".log"));
}

/* Bytes before the header are tolerated where the name says what the file should be: a log may quote a header. */
static bool is_pdf(struct mirai_str file, const struct file_hints *hints)
{
    bool named = is_type(hints, "application/pdf") || ends_with(hints->name, ".pdf");
    return begins(file, "%PDF-", 5) || (named && contains(head(file, PDF_HEAD_MAX), "%PDF-", 5));
}

static bool is_mail(const struct file_hints *hints)
{
    return is_type(hints, "message/rfc822") || ends_with(hints->name, ".eml");
}

enum extract_outcome read_file(struct mirai_str file, const struct file_hints *hints, struct pages *pages)
{
    if (file.len == 0) {
        return EXTRACT_DONE;
    }
    if (begins(file, "PK\3\4", 4)) {
        return read_package(file, pages);
    }
    if (begins(file, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8)) {
        return read_compound(file);
    }
    if (begins(file, "{\\rtf", 5)) {
        return EXTRACT_UNSUPPORTED;
    }
    if (is_pdf(file, hints)) {
        return read_pdf(file, pages);
    }
    if (is_mail(hints)) {
        return read_mail(file, pages);
    }
    return is_html(file, hints) ? read_html(file, (struct mirai_str){NULL, 0}, pages)
                                : read_text(file, pages);
}
