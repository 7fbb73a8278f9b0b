#include "services/search-index/extract/worker/formats.h"

struct document {
    struct pages *pages;
    enum open_document kind;
    bool breaks;     /* page breaks of the last layout count */
    uint32_t page;   /* sheets or slides so far */
    unsigned text;   /* open paragraphs and headings */
    unsigned hidden; /* open lists of deleted text */
};

static void on_start(void *data, const char *name, const struct xml_attributes *attributes)
{
    struct document *document = data;
    if (strcmp(name, "tracked-changes") == 0) {
        document->hidden++;
    } else if (strcmp(name, "p") == 0 || strcmp(name, "h") == 0) {
        document->text++;
    } else if (strcmp(name, "s") == 0 || strcmp(name, "tab") == 0 || strcmp(name, "table-cell") == 0) {
        pages_blank(document->pages);
    } else if (strcmp(name, "line-break") == 0) {
        pages_line(document->pages);
    } else if (strcmp(name, "soft-page-break") == 0 && document->breaks) {
        pages_begin(document->pages, document->pages->page + 1);
    } else if ((document->kind == OPEN_SHEETS && strcmp(name, "table") == 0) ||
               (document->kind == OPEN_SLIDES && strcmp(name, "page") == 0)) {
        pages_begin(document->pages, ++document->page);
        pages_text(document->pages,
                   document->kind == OPEN_SHEETS ? xml_attribute(attributes, "name", true) : MIRAI_STR(""));
        pages_line(document->pages);
    }
}

static void on_end(void *data, const char *name)
{
    struct document *document = data;
    bool is_paragraph = strcmp(name, "p") == 0 || strcmp(name, "h") == 0;
    if (strcmp(name, "tracked-changes") == 0) {
        document->hidden -= document->hidden > 0;
    } else if (is_paragraph) {
        document->text -= document->text > 0;
    }
    if (strcmp(name, "table-row") == 0 || (is_paragraph && document->kind != OPEN_SHEETS)) {
        pages_line(document->pages);
    } else if (is_paragraph) {
        pages_blank(document->pages);
    }
}

static void on_text(void *data, struct mirai_str text)
{
    struct document *document = data;
    if (document->text > 0 && document->hidden == 0) {
        pages_text(document->pages, text);
    }
}

static const struct xml_events *visit(void *data, const char *name)
{
    static const struct xml_events events = {on_start, on_end, on_text};
    struct document *document = data;
    if (strcmp(name, "content.xml") != 0) {
        return NULL;
    }
    pages_begin(document->pages, document->breaks ? 1 : 0);
    return &events;
}

static bool enough(void *data)
{
    return ((struct document *)data)->pages->cut;
}

void read_open_document(struct package *package, enum open_document kind, struct pages *pages)
{
    struct document document = {.pages = pages, .kind = kind};
    const struct package_pass pass = {.visit = visit, .enough = enough, .data = &document};
    document.breaks = kind == OPEN_TEXT && package_has_element(package, "content.xml", "soft-page-break");
    package_walk(package, &pass);
}
