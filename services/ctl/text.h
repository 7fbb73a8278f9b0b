/* Words for people: the language of the output, errors, sizes, times, and safe printing on terminals. */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include "libcommon/str.h"

/* Choose the language: MIRAI_LOCALE where it is set, otherwise LC_ALL, LC_MESSAGES or LANG, otherwise
 * MIRAI_LOCALE's default. Call after the configuration was read. */
void text_init(void);
bool text_japanese(void);

/* The text in the language of the output. */
const char *text(const char *ja, const char *en);

/* What a mirai_error means, for people. */
const char *text_error(int err);

/* What is wrong with a field ("too-long"), for people; the slug itself when it is unknown. */
struct mirai_str text_problem(struct mirai_str problem);

/* "1.4 MiB"; "3 d 4 h", "250 ms". */
void text_size(char out[32], int64_t bytes);
void text_duration(char out[32], int64_t ms);
/* "2026-01-31 23:59:59" in local time. */
void text_time(char out[32], int64_t unix_ms);

/* Columns that the text takes on a terminal (East Asian wide characters take two). */
size_t text_width(struct mirai_str s);
/* Append text from outside without what could steer a terminal: control characters become U+FFFD. */
void text_append_safe(struct mirai_buf *buf, struct mirai_str s);

#endif
