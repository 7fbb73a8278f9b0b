/* Old and variant kanji mapped to the forms in use today. */
#ifndef SEARCH_VARIANTS_H
#define SEARCH_VARIANTS_H

#include <stdint.h>

/* The form in use of a code point, or the code point itself. Any thread. */
uint32_t kanji_variant(uint32_t cp);

#endif
