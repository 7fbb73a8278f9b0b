/* The kinds of packages, and what they share: paragraphs, relationships between parts. */
#ifndef EXTRACT_FORMATS_H
#define EXTRACT_FORMATS_H

#include "services/search-index/extract/worker/package.h"
#include "services/search-index/extract/worker/pages.h"

/* Office Open XML (ECMA-376) */
void read_word(struct package *package, struct pages *pages);   /* docx: pages where Word has laid them out */
void read_sheets(struct package *package, struct pages *pages); /* xlsx: sheets in their order */
void read_slides(struct package *package,
                 struct pages *pages); /* pptx: slides in their order, with their notes */

/* OpenDocument (ISO/IEC 26300) */
enum open_document { OPEN_TEXT, OPEN_SHEETS, OPEN_SLIDES };
void read_open_document(struct package *package, enum open_document kind, struct pages *pages);

/* ------------------------------------------------------------------ paragraphs of DrawingML and WordprocessingML */

struct flow {
    struct pages *pages;
    unsigned text;   /* open elements whose text counts */
    unsigned hidden; /* open elements in which none does */
    bool breaks;     /* page breaks of the last layout count */
};
extern const struct xml_events flow_events; /* data: struct flow */

/* ------------------------------------------------------------------ parts by number */

struct numbered_part {
    char *name;
    uint32_t page;
};

/* Which parts are which page. */
struct numbering {
    struct numbered_part *parts;
    size_t count;
};
void numbering_add(struct numbering *numbering, const char *name, uint32_t page);
uint32_t numbering_find(const struct numbering *numbering, const char *name); /* 0: none */
void numbering_free(struct numbering *numbering);

/* A list in a main part (sheets, slides) that names relationships, and the relationships: ECMA-376 part 2 §9.3. */
struct relations {
    struct mirai_buf names; /* all strings, each with its NUL */
    struct relation *list;  /* offsets into names */
    size_t count;
};
struct relation {
    uint32_t id;
    uint32_t target;
    uint32_t title;
};
/* Take a Relationship element. */
void relations_take(struct relations *relations, const struct xml_attributes *attributes);
/* Add a row of a list: id, and a title or nothing. */
void relations_add(struct relations *relations, struct mirai_str id, struct mirai_str target,
                   struct mirai_str title);
const char *relations_text(const struct relations *relations, uint32_t offset);
const char *relations_target(const struct relations *relations, const char *id); /* NULL: none */
/* The part that `target` means in a part of `folder` ("ppt/slides/"). False: too long, or outside. */
bool relations_resolve(const char *folder, const char *target, char out[256]);
void relations_free(struct relations *relations);

#endif
