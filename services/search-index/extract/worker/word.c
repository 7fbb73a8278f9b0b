#include "services/search-index/extract/worker/formats.h"

/* Beside the text itself: notes and comments, which belong to no page that the file tells. */
static const char *const others[] = {"word/footnotes.xml", "word/endnotes.xml", "word/comments.xml"};

static bool is_document(const char *name)
{
    return strncmp(name, "word/document", 13) == 0 && strchr(name + 13, '/') == NULL;
}

static const struct xml_events *visit(void *data, const char *name)
{
    struct flow *flow = data;
    flow->text = flow->hidden = 0;
    if (is_document(name)) {
        pages_begin(flow->pages, flow->breaks ? 1 : 0);
        return &flow_events;
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(name, others[i]) == 0) {
            pages_begin(flow->pages, 0);
            return &flow_events;
        }
    }
    return NULL;
}

static bool enough(void *data)
{
    return ((struct flow *)data)->pages->cut;
}

void read_word(struct package *package, struct pages *pages)
{
    struct flow flow = {.pages = pages};
    const struct package_pass pass = {.visit = visit, .enough = enough, .data = &flow};
    flow.breaks = package_has_element(package, "word/document.xml", "lastRenderedPageBreak");
    package_walk(package, &pass);
}
