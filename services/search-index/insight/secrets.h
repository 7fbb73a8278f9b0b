/* Secrets and personal data that were left in a text. */
#ifndef SEARCH_INSIGHT_SECRETS_H
#define SEARCH_INSIGHT_SECRETS_H

#include "libcommon/str.h"

enum secret_kind {
    SECRET_NONE,
    SECRET_PRIVATE_KEY, /* PEM */
    SECRET_TOKEN,       /* of a known issuer, or a JWT */
    SECRET_PASSWORD,    /* "password: ...", https://user:password@host */
    SECRET_MY_NUMBER,   /* Japan's individual number, with its check digit */
    SECRET_CARD,        /* credit card, with its check digit */
    SECRET_PHONE,       /* Japanese mobile phone */
    SECRET_KINDS,
};

/* What a line of `text` holds first; the text is as it was written, or normalised. Linear. */
enum secret_kind secret_in_line(struct mirai_str line);

#endif
