/* What mirai-extract writes to its standard output: pages of text, then one frame that says how it ended. */
#ifndef EXTRACT_FRAMES_H
#define EXTRACT_FRAMES_H

#include "libcommon/str.h"

/* Bounds that hold on both sides: the program keeps to them, its reader refuses what does not. */
#define EXTRACT_TEXT_MAX  (4u << 20)  /* bytes of text of one file */
#define EXTRACT_PAGES_MAX 5000        /* highest page number */
#define EXTRACT_FRAME_MAX (64u << 10) /* bytes of text in one frame */

/* A frame: 'P', page, length (32 bits each, little-endian), text in UTF-8. Page 0: the file has no pages; several frames
 * of one page are one text. Pages may come in any order. The last frame: 'E', an enum extract_outcome, length 0. Nothing
 * follows. */
#define EXTRACT_HEAD 9

/* How reading a file ended. Names are kept in the cache and shown in metrics: rows may be added, not changed.
 * O(NAME, name, has text, worth another try by the same program) */
#define EXTRACT_OUTCOMES(O)                                                                                  \
    O(DONE, "done", true, false)                                                                             \
    O(CUT, "cut", true, false)                  /* more text than is kept; what is there is its beginning */ \
    O(UNSUPPORTED, "unsupported", false, false) /* no text is read from files of this kind */                \
    O(LEGACY, "legacy", false, false)           /* .doc, .xls, .ppt of Office 97 to 2003 */                  \
    O(ENCRYPTED, "encrypted", false, false)     /* needs a password */                                       \
    O(DAMAGED, "damaged", true, false)       /* not what it begins as; what was readable before the fault */ \
    O(BOMB, "bomb", true, false)             /* unpacks to more than any honest file */                      \
    O(TOO_LARGE, "too-large", false, false)  /* over MIRAI_EXTRACT_MAX_BYTES: not read at all */             \
    O(TIMEOUT, "timeout", true, false)       /* over its processor time or the deadline */                   \
    O(CRASHED, "crashed", true, false)       /* ended by a signal, or out of memory */                       \
    O(PROTOCOL, "protocol", false, false)    /* wrote what is no frame */                                    \
    O(UNREADABLE, "unreadable", false, true) /* the store did not give the content */                        \
    O(NO_PROGRAM, "no-program", false, true) /* mirai-extract cannot be started */

enum extract_outcome {
#define EXTRACT_OUTCOME(id, ...) EXTRACT_##id,
    EXTRACT_OUTCOMES(EXTRACT_OUTCOME)
#undef EXTRACT_OUTCOME
        EXTRACT_OUTCOME_COUNT
};

const char *extract_outcome_name(enum extract_outcome outcome);
/* Whether text may have come with it. */
bool extract_outcome_has_text(enum extract_outcome outcome);
/* Whether the reason lies outside of the file and may pass. */
bool extract_outcome_passes(enum extract_outcome outcome);

/* ------------------------------------------------------------------ writing */

/* Append one frame. `text`: at most EXTRACT_FRAME_MAX bytes. */
void frames_write_page(struct mirai_buf *out, uint32_t page, struct mirai_str text);
void frames_write_end(struct mirai_buf *out, enum extract_outcome outcome);

/* ------------------------------------------------------------------ reading */

struct frames_page {
    uint32_t page;
    uint32_t order; /* in which it came */
    size_t at;      /* in the reader's text */
    size_t len;
};

/* Takes the program's output in pieces of any size and trusts none of it. Zero-initialised is valid. */
struct frames_reader {
    struct mirai_buf pending; /* the unfinished frame */
    struct mirai_buf text;    /* of all frames, in the order in which they came */
    struct frames_page *pages;
    size_t count;
    size_t room;
    bool ended; /* the last frame was read */
    enum extract_outcome outcome;
};

/* 0, or MIRAI_E_INVALID: over a bound, no UTF-8, an unknown frame, bytes behind the end. Then nothing more is taken. */
int frames_read(struct frames_reader *reader, struct mirai_str bytes);

/* All pages in their order, the frames of each joined by nothing, as one text of pages for the cache:
 * a frame for each page, no end. May be called once the output has ended, whole or not. */
void frames_pack(struct frames_reader *reader, struct mirai_buf *out);
void frames_reader_free(struct frames_reader *reader);

/* Walk over what frames_pack() made. 0 and *page, *text (lent); MIRAI_E_NOT_FOUND at its end; MIRAI_E_INVALID. */
int frames_next(struct mirai_str *packed, uint32_t *page, struct mirai_str *text);

#endif
