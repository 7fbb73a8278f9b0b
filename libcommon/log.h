/* Structured logging: one JSON object a line, to standard output or a file, with secrets masked. */
#ifndef MIRAI_LOG_H
#define MIRAI_LOG_H

#include "libcommon/str.h"

enum mirai_log_level {
    MIRAI_LOG_DEBUG,
    MIRAI_LOG_INFO,
    MIRAI_LOG_WARNING,
    MIRAI_LOG_ERROR,
    MIRAI_LOG_FATAL,
};

/* One extra member of the line. Ends a list when key is NULL. */
struct mirai_log_field {
    const char *key;
    enum { MIRAI_LOG_FIELD_STR, MIRAI_LOG_FIELD_INT, MIRAI_LOG_FIELD_DOUBLE } type;
    struct mirai_str str;
    int64_t integer;
    double real;
};

#define MIRAI_LOG_S(k, s)                                                                                    \
    {                                                                                                        \
        .key = (k), .type = MIRAI_LOG_FIELD_STR, .str = (s)                                                  \
    } /* struct mirai_str */
#define MIRAI_LOG_Z(k, z)                                                                                    \
    {                                                                                                        \
        .key = (k), .type = MIRAI_LOG_FIELD_STR, .str = mirai_str(z)                                         \
    } /* const char * */
#define MIRAI_LOG_I(k, i)                                                                                    \
    {                                                                                                        \
        .key = (k), .type = MIRAI_LOG_FIELD_INT, .integer = (i)                                              \
    }
#define MIRAI_LOG_D(k, d)                                                                                    \
    {                                                                                                        \
        .key = (k), .type = MIRAI_LOG_FIELD_DOUBLE, .real = (d)                                              \
    }

/* mirai_log(INFO, "listening", MIRAI_LOG_Z("address", a), MIRAI_LOG_I("port", p)); any thread.
 * Members named request_id, trace_id, principal take their usual places. */
#define mirai_log(level, message, ...)                                                                       \
    do {                                                                                                     \
        if (mirai_log_enabled(MIRAI_LOG_##level)) {                                                          \
            mirai_log_write(MIRAI_LOG_##level, __FILE__, __func__, (message),                                \
                            (const struct mirai_log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}});      \
        }                                                                                                    \
    } while (0)

/* `service` and `instance` stand in every line. file: path to append to, NULL or "" = standard output. 0 or an
 * error when the file cannot be opened. Call once before threads start. */
int mirai_log_open(const char *service, const char *instance, const char *file);
void mirai_log_set_level(enum mirai_log_level level);                          /* any thread, at once */
int mirai_log_parse_level(struct mirai_str name, enum mirai_log_level *level); /* "debug" … "fatal" */
bool mirai_log_enabled(enum mirai_log_level level);
int mirai_log_reopen(void); /* after logrotate (SIGHUP) */

/* Values of keys that name secrets (password, token, secret, authorization, cookie, key …) are written as "***", and so
 * is what looks like a secret in any other value or in the message (libcommon/mask.h). One write(2) a line: lines never
 * interleave. */
void mirai_log_write(enum mirai_log_level level, const char *file, const char *function, const char *message,
                     const struct mirai_log_field *fields);

#endif
