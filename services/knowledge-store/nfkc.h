/* The compatibility form of a secret text: Unicode NFKC (UAX #15). */
#ifndef STORE_NFKC_H
#define STORE_NFKC_H

#include "libcommon/str.h"

/* The NFKC form of valid UTF-8 (of any other bytes: the bytes themselves), NUL-terminated, to be given to nfkc_free.
 * Any thread. */
struct mirai_str nfkc_new(struct mirai_str text);
/* Wipe and free. */
void nfkc_free(struct mirai_str text);

#endif
