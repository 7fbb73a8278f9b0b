#include "services/search-index/extract/worker/formats.h"

#include <stdio.h>
#include <stdlib.h>

#define SLIDES "ppt/slides/"

struct deck {
    struct flow flow;
    struct relations order; /* r:id of each slide */
    struct relations of_deck;
    struct relations of_slides; /* id: name of the slide's part, target: its notes */
    char slide[256];            /* whose relationships are read */
    struct numbering numbering;
};

/* ------------------------------------------------------------------ first pass: which part is which slide */

static void on_slide(void *data, const char *name, const struct xml_attributes *attributes)
{
    struct deck *deck = data;
    if (strcmp(name, "sldId") == 0) {
        relations_add(&deck->order, xml_attribute(attributes, "id", true), MIRAI_STR(""), MIRAI_STR(""));
    }
}

static void on_relation(void *data, const char *name, const struct xml_attributes *attributes)
{
    struct deck *deck = data;
    if (strcmp(name, "Relationship") == 0) {
        relations_take(&deck->of_deck, attributes);
    }
}

static void on_slide_relation(void *data, const char *name, const struct xml_attributes *attributes)
{
    struct deck *deck = data;
    struct mirai_str target = xml_attribute(attributes, "Target", false);
    if (strcmp(name, "Relationship") == 0 && memmem(target.data, target.len, "notesSlide", 10) != NULL) {
        relations_add(&deck->of_slides, mirai_str(deck->slide), target, MIRAI_STR(""));
    }
}

static const struct xml_events *visit_order(void *data, const char *name)
{
    static const struct xml_events order = {.start = on_slide};
    static const struct xml_events relation = {.start = on_relation};
    static const struct xml_events of_slide = {.start = on_slide_relation};
    struct deck *deck = data;
    const char *const folder = SLIDES "_rels/";
    size_t len = strlen(name);
    if (strcmp(name, "ppt/presentation.xml") == 0) {
        return &order;
    }
    if (strcmp(name, "ppt/_rels/presentation.xml.rels") == 0) {
        return &relation;
    }
    if (strncmp(name, folder, strlen(folder)) != 0 || len < strlen(folder) + 5 || len > 200 ||
        strcmp(name + len - 5, ".rels") != 0) {
        return NULL;
    }
    snprintf(deck->slide, sizeof(deck->slide), SLIDES "%.*s", (int)(len - strlen(folder) - 5),
             name + strlen(folder));
    return &of_slide;
}

static void number_slides(struct deck *deck)
{
    char part[256];
    for (size_t i = 0; i < deck->order.count; i++) {
        const char *target =
            relations_target(&deck->of_deck, relations_text(&deck->order, deck->order.list[i].id));
        if (target == NULL || !relations_resolve("ppt/", target, part)) {
            continue;
        }
        numbering_add(&deck->numbering, part, (uint32_t)i + 1);
        const char *notes = relations_target(&deck->of_slides, part);
        if (notes != NULL && relations_resolve(SLIDES, notes, part)) {
            numbering_add(&deck->numbering, part, (uint32_t)i + 1);
        }
    }
}

/* ------------------------------------------------------------------ second pass: their text */

static const struct xml_events *visit(void *data, const char *name)
{
    struct deck *deck = data;
    uint32_t page = numbering_find(&deck->numbering, name);
    if (page == 0) {
        return NULL;
    }
    deck->flow.text = deck->flow.hidden = 0;
    pages_begin(deck->flow.pages, page);
    return &flow_events;
}

static void done(void *data, const char *name)
{
    struct deck *deck = data;
    (void)name;
    if (deck->flow.pages->begun) {
        pages_line(deck->flow.pages);
    }
}

static bool enough(void *data)
{
    return ((struct deck *)data)->flow.pages->cut;
}

void read_slides(struct package *package, struct pages *pages)
{
    struct deck deck = {.flow.pages = pages};
    const struct package_pass first = {.visit = visit_order, .data = &deck};
    const struct package_pass second = {.visit = visit, .done = done, .enough = enough, .data = &deck};
    package_walk(package, &first);
    number_slides(&deck);
    package->damaged |= deck.numbering.count == 0 && deck.order.count > 0;
    package_walk(package, &second);
    relations_free(&deck.order);
    relations_free(&deck.of_deck);
    relations_free(&deck.of_slides);
    numbering_free(&deck.numbering);
}
