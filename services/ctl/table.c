#include "services/ctl/table.h"

#include "services/ctl/text.h"

#include <stdlib.h>

void table_init(struct table *table, const struct table_column *columns)
{
    *table = (struct table){.columns = columns};
    while (columns[table->width].en != NULL) {
        table->width++;
    }
}

void table_add(struct table *table, struct mirai_str cell)
{
    struct mirai_buf safe = {0};
    if (table->count == table->cap) {
        table->cap = table->cap > 0 ? 2 * table->cap : 64;
        table->cells = mirai_realloc(table->cells, table->cap * sizeof(*table->cells));
    }
    text_append_safe(&safe, cell);
    table->cells[table->count++] = mirai_arena_copy(&table->arena, mirai_buf_str(&safe));
    mirai_buf_free(&safe);
}

static void print_cell(const struct table *table, size_t column, size_t width, struct mirai_str cell,
                       FILE *out)
{
    size_t own = text_width(cell);
    int pad = own < width ? (int)(width - own) : 0;
    bool right = table->columns[column].align == TABLE_RIGHT;
    bool last = column + 1 == table->width;
    fprintf(out, "%*s%.*s%*s%s", right ? pad : 0, "", MIRAI_STR_ARG(cell), right || last ? 0 : pad, "",
            last ? "\n" : "  ");
}

void table_print(const struct table *table, FILE *out)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t column = 0; column < table->width; column++) {
        widths[column] = text_width(mirai_str(text(table->columns[column].ja, table->columns[column].en)));
    }
    for (size_t row = 0; row < table->count; row += table->width) {
        for (size_t column = 0; column < table->width; column++) {
            size_t own = text_width(table->cells[row + column]);
            widths[column] = own > widths[column] ? own : widths[column];
        }
    }
    for (size_t column = 0; column < table->width; column++) {
        const struct table_column *head = &table->columns[column];
        print_cell(table, column, widths[column], mirai_str(text(head->ja, head->en)), out);
    }
    for (size_t row = 0; row < table->count; row += table->width) {
        for (size_t column = 0; column < table->width; column++) {
            print_cell(table, column, widths[column], table->cells[row + column], out);
        }
    }
}

void table_free(struct table *table)
{
    free(table->cells);
    mirai_arena_free(&table->arena);
    *table = (struct table){0};
}

/* ------------------------------------------------------------------ messages as rows */

static void append_list(struct mirai_buf *out, const struct mirai_strs *list)
{
    for (size_t i = 0; i < list->count; i++) {
        mirai_buf_append_str(out, i == 0 ? (struct mirai_str){0} : MIRAI_STR(", "));
        mirai_buf_append_str(out, list->items[i]);
    }
}

/* The field's value for people; nothing when it is not present. */
static void format_field(const struct mirai_message *message, size_t index, const void *row,
                         struct mirai_buf *out)
{
    const struct mirai_field *field = &message->fields[index];
    const void *at = (const char *)row + field->offset;
    char time[32];
    if ((((const struct mirai_message_head *)row)->present & (UINT64_C(1) << index)) == 0) {
        return;
    }
    switch (field->kind) {
    case MIRAI_FIELD_BOOL:
        mirai_buf_append_str(out, mirai_str(*(const bool *)at ? text("はい", "yes") : text("いいえ", "no")));
        break;
    case MIRAI_FIELD_INT:
        mirai_buf_printf(out, "%lld", (long long)*(const int64_t *)at);
        break;
    case MIRAI_FIELD_DOUBLE:
        mirai_buf_printf(out, "%.2f", *(const double *)at);
        break;
    case MIRAI_FIELD_STR:
    case MIRAI_FIELD_DATE:
        mirai_buf_append_str(out, *(const struct mirai_str *)at);
        break;
    case MIRAI_FIELD_ENUM:
        mirai_buf_append_str(out, mirai_str(field->enumeration->values[*(const int *)at]));
        break;
    case MIRAI_FIELD_TIME:
        text_time(time, *(const int64_t *)at);
        mirai_buf_append_str(out, mirai_str(time));
        break;
    case MIRAI_FIELD_STRS:
        append_list(out, at);
        break;
    default: /* nothing that fits a cell */
        break;
    }
}

void table_print_messages(const struct table_column *columns, const struct mirai_message *message,
                          const struct mirai_objects *items, FILE *out)
{
    struct table table;
    table_init(&table, columns);
    for (size_t i = 0; i < items->count; i++) {
        const char *row = (const char *)items->items + i * message->size;
        for (size_t column = 0; column < table.width; column++) {
            struct mirai_buf cell = {0};
            for (size_t field = 0; field < message->count; field++) {
                if (strcmp(message->fields[field].name, columns[column].field) == 0) {
                    format_field(message, field, row, &cell);
                }
            }
            table_add(&table, mirai_buf_str(&cell));
            mirai_buf_free(&cell);
        }
    }
    table_print(&table, out);
    table_free(&table);
}
