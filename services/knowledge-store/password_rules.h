/* What makes a password acceptable: NIST SP 800-63B §5.1.1.2. Long enough, and not among those that are tried first. No
 * rules on which kinds of characters it has. */
#ifndef STORE_PASSWORD_RULES_H
#define STORE_PASSWORD_RULES_H

#include "libcommon/str.h"

#define PASSWORD_LENGTH_MAX 1024 /* code points; nothing is cut off */

/* What guessing programs know of the owner. Empty: nothing. */
struct password_owner {
    struct mirai_str name, display_name, email;
};

/* Read the list of common passwords. Call once at start, before threads. */
void password_rules_start(void);

/* NULL when the owner may use `password` (valid UTF-8), otherwise the slug of what is wrong with it:
 * "too-short" (PASSWORD_MIN_LENGTH, counted in code points), "too-long", "same-as-name" (little more than the owner's
 * or the product's name), "too-common" (in the list, perhaps with digits around it or letters replaced as in p@ssw0rd;
 * repeats, sequences, walks over a keyboard). Any thread. */
const char *password_problem(struct mirai_str password, const struct password_owner *owner);

#endif
