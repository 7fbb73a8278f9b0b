/* Rules for values that their declared type and length do not express. */
#ifndef STORE_CHECKS_H
#define STORE_CHECKS_H

#include "libcommon/str.h"

/* Each: whether valid UTF-8 `s` keeps the rule. Any thread. */

/* A name for people: not empty, no white space at its ends, nothing invisible (control, bidirectional
 * override). */
bool check_name(struct mirai_str s);
/* A term of the vocabulary: a name as above that a line of terms separated by " = " can hold, and that is no comment
 * ("# …"). */
bool check_term(struct mirai_str s);
/* A file name without a folder: a name as above without slashes, and not "." or "..". */
bool check_file_name(struct mirai_str s);
/* "#rrggbb" */
bool check_color(struct mirai_str s);
/* type/subtype and parameters in printable ASCII (RFC 6838 §4.2): it becomes a header. */
bool check_media_type(struct mirai_str s);
/* Empty, or something@something without spaces. */
bool check_email(struct mirai_str s);

#endif
