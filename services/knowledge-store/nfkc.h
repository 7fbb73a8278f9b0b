/* The compatibility form of a text, which may be a secret: Unicode NFKC (UAX #15). */
#ifndef STORE_NFKC_H
#define STORE_NFKC_H

#include "libcommon/str.h"

/* The NFKC form of valid UTF-8 (of any other bytes: the bytes themselves), NUL-terminated, to be given to nfkc_free.
 * Any thread. */
struct mirai_str nfkc_new(struct mirai_str text);
/* The same without regard to case and to characters that nobody sees: NFKC_Casefold (Unicode 3.13). */
struct mirai_str nfkc_casefold_new(struct mirai_str text);
/* Wipe and free. */
void nfkc_free(struct mirai_str text);

#endif
