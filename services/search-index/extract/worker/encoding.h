/* Which encoding bytes are in, and the same text in UTF-8. */
#ifndef EXTRACT_ENCODING_H
#define EXTRACT_ENCODING_H

#include "libcommon/str.h"

/* ICU's name of the encoding, or NULL: no text. Looks at the first 64 KiB. */
const char *encoding_detect(struct mirai_str bytes);

/* ICU's name for the name of a charset in HTML or MIME, or NULL when it is unknown. "shift_jis" is what it is in
 * practice: windows-31j. `room`: of at least 64 bytes, holds it. */
const char *encoding_named(struct mirai_str name, char *room);

/* Convert to UTF-8 piece by piece; what is no character becomes U+FFFD. Stops when `take` says false. */
typedef bool (*encoding_take)(void *data, struct mirai_str utf8);
void encoding_convert(const char *encoding, struct mirai_str bytes, encoding_take take, void *data);

#endif
