/* Problem details (RFC 9457): slugs, statuses and titles in Japanese and English. */
#ifndef GATEWAY_PROBLEM_H
#define GATEWAY_PROBLEM_H

#include "libcommon/error.h"
#include "libcommon/str.h"

/* The errors of libcommon, and some that only HTTP has. */
enum problem {
    PROBLEM_NONE,
#define PROBLEM_OF_ERROR(name, slug, http) PROBLEM_##name,
    MIRAI_ERRORS(PROBLEM_OF_ERROR)
#undef PROBLEM_OF_ERROR
        PROBLEM_LENGTH_REQUIRED,
    PROBLEM_RANGE,
    PROBLEM_EXPECTATION,
    PROBLEM_CROSS_SITE,
    PROBLEM_CSRF,
    PROBLEM_SECOND_FACTOR,
    PROBLEM_MUST_CHANGE_PASSWORD,
    PROBLEM_HEAD_TOO_LARGE,
    PROBLEM_SEARCH_REBUILDING,
    PROBLEM_COUNT
};

struct problem_text {
    const char *slug; /* type is "urn:mirai:problem:" and this */
    int status;
    const char *ja;
    const char *en;
};

extern const struct problem_text problem_texts[PROBLEM_COUNT];

/* Of a negative enum mirai_error. */
enum problem problem_of_error(int err);
/* Of an HTTP status that h2o chose. */
enum problem problem_of_status(int status);

/* The document as JSON. detail may be empty; errors: MessagePack array of {path, problem}, or empty. */
void problem_write(struct mirai_buf *out, enum problem problem, struct mirai_str locale,
                   struct mirai_str instance, struct mirai_str detail, struct mirai_str errors);

#endif
