/* Aligned tables on a terminal. */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include "proto/message.h"

#include <stdio.h>

#define TABLE_COLUMNS_MAX 12

/* A column; `field` is the name of a message's field where rows are messages. */
struct table_column {
    const char *field;
    const char *ja;
    const char *en;
    enum { TABLE_LEFT, TABLE_RIGHT } align;
};

struct table {
    const struct table_column *columns; /* ends with {NULL} */
    size_t width;                       /* number of columns */
    struct mirai_str *cells;
    size_t count; /* cells in use: a multiple of `width` between rows */
    size_t cap;
    struct mirai_arena arena;
};

void table_init(struct table *table, const struct table_column *columns);
/* The next cell of the row, from outside: control characters are made harmless. */
void table_add(struct table *table, struct mirai_str cell);
void table_print(const struct table *table, FILE *out);
void table_free(struct table *table);

/* One row for each item of the list: the fields named by `columns`. */
void table_print_messages(const struct table_column *columns, const struct mirai_message *message,
                          const struct mirai_objects *items, FILE *out);

#endif
