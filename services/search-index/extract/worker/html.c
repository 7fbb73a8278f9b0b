#include "services/search-index/extract/worker/encoding.h"
#include "services/search-index/extract/worker/readers.h"

#include <libxml/HTMLparser.h>
#include <strings.h>

#define HEAD_MAX  4096 /* bytes in which a charset is looked for (the standard says 1024) */
#define DEPTH_MAX 250  /* of elements; deeper text is left out */

/* Elements whose text does not flow on from what is before them. Sorted as they are in the standard. */
static const char *const blocks[] = {
    "title",      "p",       "div",     "br",     "hr",      "h1",      "h2",         "h3",
    "h4",         "h5",      "h6",      "ul",     "ol",      "li",      "dl",         "dt",
    "dd",         "table",   "caption", "tr",     "pre",     "form",    "main",       "section",
    "nav",        "article", "aside",   "header", "footer",  "address", "blockquote", "figure",
    "figcaption", "details", "summary", "option", "textarea"};
static const char *const hidden[] = {"script", "style", "noscript", "template", "object", "svg", "iframe"};

struct walk {
    htmlParserCtxtPtr parser;
    struct pages *pages;
    unsigned hidden; /* open elements that are not shown */
    unsigned depth;
};

static bool is_one_of(const char *const *names, size_t count, const xmlChar *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(names[i], (const char *)name) == 0) {
            return true;
        }
    }
    return false;
}
#define IS_ONE_OF(names, name) is_one_of(names, sizeof(names) / sizeof((names)[0]), name)

static void separate(struct walk *walk, const xmlChar *name)
{
    if (IS_ONE_OF(blocks, name)) {
        pages_new_line(walk->pages);
    } else if (strcasecmp((const char *)name, "td") == 0 || strcasecmp((const char *)name, "th") == 0) {
        pages_blank(walk->pages);
    }
}

static void on_start(void *data, const xmlChar *name, const xmlChar **attributes)
{
    struct walk *walk = data;
    walk->hidden += IS_ONE_OF(hidden, name);
    walk->depth++;
    separate(walk, name);
    for (; attributes != NULL && attributes[0] != NULL; attributes += 2) {
        if (strcasecmp((const char *)attributes[0], "alt") == 0 && attributes[1] != NULL &&
            walk->hidden == 0) {
            pages_blank(walk->pages);
            pages_text(walk->pages, mirai_str((const char *)attributes[1]));
            pages_blank(walk->pages);
        }
    }
}

static void on_end(void *data, const xmlChar *name)
{
    struct walk *walk = data;
    walk->hidden -= walk->hidden > 0 && IS_ONE_OF(hidden, name);
    walk->depth -= walk->depth > 0;
    separate(walk, name);
}

static void on_text(void *data, const xmlChar *text, int len)
{
    struct walk *walk = data;
    if (walk->hidden == 0 && walk->depth < DEPTH_MAX) {
        pages_text(walk->pages, (struct mirai_str){(const char *)text, (size_t)len});
    }
}

static bool take(void *data, struct mirai_str utf8)
{
    struct walk *walk = data;
    htmlParseChunk(walk->parser, utf8.data, (int)utf8.len, 0);
    return !walk->pages->cut;
}

/* The name behind "charset=" in the file's head (https://html.spec.whatwg.org/#prescan-a-byte-stream-to-determine-its-encoding,
 * without its corners). */
static struct mirai_str declared(struct mirai_str file)
{
    static const char key[] = "charset=";
    size_t end = file.len < HEAD_MAX ? file.len : HEAD_MAX;
    for (size_t i = 0; i + sizeof(key) < end; i++) {
        if (strncasecmp(file.data + i, key, sizeof(key) - 1) == 0) {
            size_t from = i + sizeof(key) - 1;
            from += file.data[from] == '"' || file.data[from] == '\'';
            size_t to = from;
            while (to < end && strchr(" \t\r\n\"'/>;", file.data[to]) == NULL) {
                to++;
            }
            return (struct mirai_str){file.data + from, to - from};
        }
    }
    return (struct mirai_str){NULL, 0};
}

/* What the bytes are beats what they say they are: pages saved from a browser often keep a stale declaration. */
static const char *encoding_of(struct mirai_str file, struct mirai_str charset, char *room)
{
    const char *detected = encoding_detect(file);
    if (detected == NULL || strncmp(detected, "UTF-", 4) == 0) {
        return detected;
    }
    const char *named = encoding_named(charset.len > 0 ? charset : declared(file), room);
    return named != NULL && strncasecmp(named, "utf", 3) != 0 ? named : detected;
}

enum extract_outcome read_html(struct mirai_str file, struct mirai_str charset, struct pages *pages)
{
    char room[64];
    const char *encoding = encoding_of(file, charset, room);
    htmlSAXHandler handler = {.startElement = on_start,
                              .endElement = on_end,
                              .characters = on_text,
                              .ignorableWhitespace = on_text};
    struct walk walk = {.pages = pages};
    if (encoding == NULL) {
        return EXTRACT_UNSUPPORTED;
    }
    walk.parser = htmlCreatePushParserCtxt(&handler, &walk, NULL, 0, NULL, XML_CHAR_ENCODING_UTF8);
    if (walk.parser == NULL) {
        return EXTRACT_CRASHED;
    }
    htmlCtxtUseOptions(walk.parser,
                       HTML_PARSE_NONET | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_IGNORE_ENC);
    encoding_convert(encoding, file, take, &walk);
    htmlParseChunk(walk.parser, "", 0, 1);
    if (walk.parser->myDoc != NULL) {
        xmlFreeDoc(walk.parser->myDoc);
    }
    htmlFreeParserCtxt(walk.parser);
    return EXTRACT_DONE;
}
