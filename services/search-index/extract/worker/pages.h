/* Collects the text of a file page by page and hands it on in frames: cleaned, valid UTF-8, within the bounds. */
#ifndef EXTRACT_PAGES_H
#define EXTRACT_PAGES_H

#include "services/search-index/extract/frames.h"

/* One thread. Zero-initialise, set `write`. */
struct pages {
    void (*write)(void *data, struct mirai_str bytes); /* gets frames, whole ones */
    void *data;
    struct mirai_buf text; /* of the current page, not yet written */
    uint32_t page;
    size_t total;   /* bytes written */
    bool cut;       /* something did not fit: no need to read on */
    bool blank;     /* a blank is due before the next character */
    unsigned lines; /* line ends that are due */
    bool begun;     /* the page has a character */
};

/* What follows is on `page`, from 1; 0: the file has no pages. Behind EXTRACT_PAGES_MAX: cut. */
void pages_begin(struct pages *pages, uint32_t page);

/* More text. Control characters, runs of blanks and of empty lines are dropped; bytes that are no UTF-8 become U+FFFD.
 * A piece ends on a character's border. */
void pages_text(struct pages *pages, struct mirai_str text);

/* What follows stands apart: one more line end, a new line if it is none yet, a blank. */
void pages_line(struct pages *pages);
void pages_new_line(struct pages *pages);
void pages_blank(struct pages *pages);

/* Write what is left, and how it ended: `outcome`, or CUT in place of DONE. */
void pages_end(struct pages *pages, enum extract_outcome outcome);
void pages_free(struct pages *pages);

#endif
