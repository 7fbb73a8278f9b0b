#include "services/search-index/extract/worker/formats.h"

#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------ paragraphs */

/* Second forms of what was already there, readings over characters. */
static bool hides(const char *name)
{
    return strcmp(name, "Fallback") == 0 || strcmp(name, "rPh") == 0;
}

static void flow_start(void *data, const char *name, const struct xml_attributes *attributes)
{
    struct flow *flow = data;
    (void)attributes;
    flow->hidden += hides(name);
    if (flow->hidden > 0) {
        return;
    }
    if (strcmp(name, "t") == 0) {
        flow->text++;
    } else if (strcmp(name, "tab") == 0 || strcmp(name, "tc") == 0) {
        pages_blank(flow->pages);
    } else if (strcmp(name, "br") == 0 || strcmp(name, "cr") == 0) {
        pages_line(flow->pages);
    } else if (strcmp(name, "lastRenderedPageBreak") == 0 && flow->breaks) {
        pages_begin(flow->pages, flow->pages->page + 1);
    }
}

static void flow_end(void *data, const char *name)
{
    struct flow *flow = data;
    if (hides(name)) {
        flow->hidden -= flow->hidden > 0;
    } else if (flow->hidden == 0 && strcmp(name, "t") == 0) {
        flow->text -= flow->text > 0;
    } else if (flow->hidden == 0 && strcmp(name, "p") == 0) {
        pages_line(flow->pages);
    }
}

static void flow_text(void *data, struct mirai_str text)
{
    struct flow *flow = data;
    if (flow->text > 0 && flow->hidden == 0) {
        pages_text(flow->pages, text);
    }
}

const struct xml_events flow_events = {flow_start, flow_end, flow_text};

/* ------------------------------------------------------------------ numbering */

void numbering_add(struct numbering *numbering, const char *name, uint32_t page)
{
    if (numbering->count == PACKAGE_PARTS_MAX) {
        return;
    }
    if (numbering->count % 64 == 0) {
        numbering->parts =
            mirai_realloc(numbering->parts, (numbering->count + 64) * sizeof(*numbering->parts));
    }
    numbering->parts[numbering->count++] = (struct numbered_part){mirai_str_dup(mirai_str(name)), page};
}

uint32_t numbering_find(const struct numbering *numbering, const char *name)
{
    for (size_t i = 0; i < numbering->count; i++) {
        if (strcmp(numbering->parts[i].name, name) == 0) {
            return numbering->parts[i].page;
        }
    }
    return 0;
}

void numbering_free(struct numbering *numbering)
{
    for (size_t i = 0; i < numbering->count; i++) {
        free(numbering->parts[i].name);
    }
    free(numbering->parts);
}

/* ------------------------------------------------------------------ relationships */

static uint32_t keep(struct relations *relations, struct mirai_str text)
{
    uint32_t at = (uint32_t)relations->names.len;
    mirai_buf_append_str(&relations->names, mirai_utf8_prefix(text, 255));
    mirai_buf_append_char(&relations->names, '\0');
    return at;
}

void relations_add(struct relations *relations, struct mirai_str id, struct mirai_str target,
                   struct mirai_str title)
{
    if (relations->count == PACKAGE_PARTS_MAX) {
        return;
    }
    if (relations->count % 64 == 0) {
        relations->list = mirai_realloc(relations->list, (relations->count + 64) * sizeof(*relations->list));
    }
    relations->list[relations->count++] =
        (struct relation){keep(relations, id), keep(relations, target), keep(relations, title)};
}

void relations_take(struct relations *relations, const struct xml_attributes *attributes)
{
    relations_add(relations, xml_attribute(attributes, "Id", false),
                  xml_attribute(attributes, "Target", false), MIRAI_STR(""));
}

const char *relations_text(const struct relations *relations, uint32_t offset)
{
    return relations->names.data + offset;
}

const char *relations_target(const struct relations *relations, const char *id)
{
    for (size_t i = 0; i < relations->count; i++) {
        if (strcmp(relations_text(relations, relations->list[i].id), id) == 0) {
            return relations_text(relations, relations->list[i].target);
        }
    }
    return NULL;
}

bool relations_resolve(const char *folder, const char *target, char out[256])
{
    size_t len = strlen(folder);
    if (target[0] == '/') {
        len = 0;
        target++;
    }
    while (strncmp(target, "../", 3) == 0 || strncmp(target, "./", 2) == 0) {
        bool up = target[1] == '.';
        target += up ? 3 : 2;
        if (up && len == 0) {
            return false;
        }
        len -= up; /* the slash at its end */
        while (up && len > 0 && folder[len - 1] != '/') {
            len--;
        }
    }
    return snprintf(out, 256, "%.*s%s", (int)len, folder, target) < 256;
}

void relations_free(struct relations *relations)
{
    mirai_buf_free(&relations->names);
    free(relations->list);
}
