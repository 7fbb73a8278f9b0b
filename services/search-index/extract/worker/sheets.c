#include "services/search-index/extract/worker/formats.h"

#include <stdlib.h>

#define VALUE_MAX  (32u << 10) /* bytes of one cell: Excel's own bound is 32,767 characters */
#define SHARED_MAX (64u << 20) /* bytes of all shared strings */

enum cell { CELL_PLAIN, CELL_SHARED, CELL_SKIPPED };

struct book {
    struct pages *pages;
    struct relations sheets; /* r:id and name of each, in order */
    struct relations of_book;
    struct numbering numbering;
    struct mirai_buf shared; /* all shared strings, one after the other */
    size_t *ends;            /* of each */
    size_t ends_len;
    struct flow flow; /* of drawings and comments */
    unsigned text;    /* open elements whose text counts */
    unsigned hidden;  /* open readings (furigana) */
    enum cell cell;
    struct mirai_buf value;
};

/* ------------------------------------------------------------------ first pass: names, order, shared strings */

static void on_sheet(void *data, const char *name, const struct xml_attributes *attributes)
{
    struct book *book = data;
    if (strcmp(name, "sheet") == 0) {
        relations_add(&book->sheets, xml_attribute(attributes, "id", true), MIRAI_STR(""),
                      xml_attribute(attributes, "name", false));
    }
}

static void on_relation(void *data, const char *name, const struct xml_attributes *attributes)
{
    struct book *book = data;
    if (strcmp(name, "Relationship") == 0) {
        relations_take(&book->of_book, attributes);
    }
}

static void shared_start(void *data, const char *name, const struct xml_attributes *attributes)
{
    struct book *book = data;
    (void)attributes;
    book->hidden += strcmp(name, "rPh") == 0;
    book->text += strcmp(name, "t") == 0;
}

static void shared_end(void *data, const char *name)
{
    struct book *book = data;
    book->hidden -= book->hidden > 0 && strcmp(name, "rPh") == 0;
    book->text -= book->text > 0 && strcmp(name, "t") == 0;
    if (strcmp(name, "si") == 0) {
        if (book->ends_len % 256 == 0) {
            book->ends = mirai_realloc(book->ends, (book->ends_len + 256) * sizeof(*book->ends));
        }
        book->ends[book->ends_len++] = book->shared.len;
    }
}

static void shared_text(void *data, struct mirai_str text)
{
    struct book *book = data;
    if (book->text > 0 && book->hidden == 0 && text.len <= SHARED_MAX - book->shared.len) {
        mirai_buf_append_str(&book->shared, text);
    }
}

static const struct xml_events *visit_book(void *data, const char *name)
{
    static const struct xml_events sheets = {.start = on_sheet};
    static const struct xml_events relation = {.start = on_relation};
    static const struct xml_events shared = {shared_start, shared_end, shared_text};
    struct book *book = data;
    book->text = book->hidden = 0;
    if (strcmp(name, "xl/workbook.xml") == 0) {
        return &sheets;
    }
    if (strcmp(name, "xl/_rels/workbook.xml.rels") == 0) {
        return &relation;
    }
    return strcmp(name, "xl/sharedStrings.xml") == 0 ? &shared : NULL;
}

static void number_sheets(struct book *book)
{
    char part[256];
    for (size_t i = 0; i < book->sheets.count; i++) {
        const char *target =
            relations_target(&book->of_book, relations_text(&book->sheets, book->sheets.list[i].id));
        if (target != NULL && relations_resolve("xl/", target, part)) {
            numbering_add(&book->numbering, part, (uint32_t)i + 1);
        }
    }
}

/* ------------------------------------------------------------------ second pass: cells */

static enum cell cell_kind(struct mirai_str type)
{
    if (mirai_str_eq(type, MIRAI_STR("s"))) {
        return CELL_SHARED;
    }
    return mirai_str_eq(type, MIRAI_STR("b")) ? CELL_SKIPPED : CELL_PLAIN;
}

static void cell_start(void *data, const char *name, const struct xml_attributes *attributes)
{
    struct book *book = data;
    if (strcmp(name, "c") == 0) {
        book->cell = cell_kind(xml_attribute(attributes, "t", false));
        book->value.len = 0;
    } else if (strcmp(name, "v") == 0 || strcmp(name, "t") == 0) {
        book->text++;
    } else if (strcmp(name, "rPh") == 0) {
        book->hidden++;
    }
}

static void put_value(struct book *book)
{
    int64_t at;
    struct mirai_str value = mirai_buf_str(&book->value);
    if (book->cell == CELL_SHARED) {
        if (book->ends_len == 0 || mirai_parse_int(value, 0, (int64_t)book->ends_len - 1, &at) != 0) {
            return;
        }
        size_t from = at > 0 ? book->ends[at - 1] : 0;
        if (book->ends[at] == from) { /* of an empty one, where there may be no text at all */
            return;
        }
        value = (struct mirai_str){book->shared.data + from, book->ends[at] - from};
    }
    if (book->cell != CELL_SKIPPED && value.len > 0) {
        pages_text(book->pages, value);
    }
    pages_blank(book->pages);
}

static void cell_end(void *data, const char *name)
{
    struct book *book = data;
    if (strcmp(name, "c") == 0) {
        put_value(book);
    } else if (strcmp(name, "v") == 0 || strcmp(name, "t") == 0) {
        book->text -= book->text > 0;
    } else if (strcmp(name, "rPh") == 0) {
        book->hidden -= book->hidden > 0;
    } else if (strcmp(name, "row") == 0) {
        pages_line(book->pages);
    }
}

static void cell_text(void *data, struct mirai_str text)
{
    struct book *book = data;
    if (book->text > 0 && book->hidden == 0 && text.len <= VALUE_MAX - book->value.len) {
        mirai_buf_append_str(&book->value, text);
    }
}

/* Drawings and comments have a file of their own, for which the same functions are called with another state. */
static void other_start(void *data, const char *name, const struct xml_attributes *attributes)
{
    flow_events.start(&((struct book *)data)->flow, name, attributes);
}

static void other_end(void *data, const char *name)
{
    struct book *book = data;
    flow_events.end(&book->flow, name);
    if (strcmp(name, "comment") == 0) {
        pages_line(book->pages);
    }
}

static void other_text(void *data, struct mirai_str text)
{
    flow_events.text(&((struct book *)data)->flow, text);
}

static const struct xml_events *visit(void *data, const char *name)
{
    static const struct xml_events cells = {cell_start, cell_end, cell_text};
    static const struct xml_events other = {other_start, other_end, other_text};
    struct book *book = data;
    uint32_t page = numbering_find(&book->numbering, name);
    book->text = book->hidden = 0;
    if (page > 0) {
        pages_begin(book->pages, page);
        pages_text(book->pages, mirai_str(relations_text(&book->sheets, book->sheets.list[page - 1].title)));
        pages_line(book->pages);
        return &cells;
    }
    if (strncmp(name, "xl/comments", 11) == 0 || strncmp(name, "xl/drawings/drawing", 19) == 0) {
        book->flow = (struct flow){.pages = book->pages};
        pages_begin(book->pages, 0);
        return &other;
    }
    return NULL;
}

static bool enough(void *data)
{
    return ((struct book *)data)->pages->cut;
}

void read_sheets(struct package *package, struct pages *pages)
{
    struct book book = {.pages = pages};
    const struct package_pass first = {.visit = visit_book, .data = &book};
    const struct package_pass second = {.visit = visit, .enough = enough, .data = &book};
    package_walk(package, &first);
    number_sheets(&book);
    package->damaged |= book.numbering.count == 0 && book.sheets.count > 0;
    package_walk(package, &second);
    relations_free(&book.sheets);
    relations_free(&book.of_book);
    numbering_free(&book.numbering);
    mirai_buf_free(&book.shared);
    mirai_buf_free(&book.value);
    free(book.ends);
}
