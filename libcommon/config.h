/* Configuration from MIRAI_* environment variables, declared in one table (config_table.h). */
#ifndef MIRAI_CONFIG_H
#define MIRAI_CONFIG_H

#include "libcommon/config_table.h"
#include "libcommon/str.h"

#include <stdio.h>

enum mirai_config_key {
#define MIRAI_CONFIG_ENUM(key, ...) MIRAI_CONFIG_##key,
    MIRAI_CONFIG_TABLE(MIRAI_CONFIG_ENUM, MIRAI_CONFIG_ENUM, MIRAI_CONFIG_ENUM, MIRAI_CONFIG_ENUM,
                       MIRAI_CONFIG_ENUM)
#undef MIRAI_CONFIG_ENUM
        MIRAI_CONFIG_COUNT
};

/* Read and check the whole environment: every MIRAI_* variable must be in the table, every value in its bounds;
 * a secret may come from the file named by MIRAI_<KEY>_FILE (one trailing newline is dropped; at most 64 KiB) but not from both.
 * All faults are written to `errors`, one line each: variable, value (never a secret's), what is allowed.
 * 0 or MIRAI_E_INVALID. Call once at start, before threads. */
int mirai_config_load(char *const *environment, FILE *errors);

/* Values after load; strings live until the program ends. Any thread. */
const char *mirai_config_str(enum mirai_config_key key);
int64_t mirai_config_int(enum mirai_config_key key); /* integers and booleans (0, 1) */
static inline size_t mirai_config_size(enum mirai_config_key key)
{
    return (size_t)mirai_config_int(key);
}

/* Whether the value came from the environment or a file. */
bool mirai_config_is_set(enum mirai_config_key key);

/* Host and port of an ADDRESS:PORT value. host without brackets. */
void mirai_config_address(enum mirai_config_key key, char host[64], int *port);

/* The same of any text: false when it is none. */
bool mirai_config_parse_address(struct mirai_str text, char host[64], int *port);

/* The table for people: variable, type, default, bounds, help. */
void mirai_config_help(FILE *out);
/* The same as a Markdown table (for the documents). */
void mirai_config_markdown(FILE *out);
/* Name, effective value ("***" for secrets that are set) and source (default|environment|file), as JSON or text. */
void mirai_config_print(FILE *out, bool json);

#endif
