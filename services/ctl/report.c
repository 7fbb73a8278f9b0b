/* What a command says: results on standard output, failures on standard error. */
#include "services/ctl/ctl.h"

#include <stdarg.h>
#include <stdlib.h>

int ctl_exit_of(int err)
{
    switch (err) {
    case 0:
        return CTL_OK;
    case MIRAI_E_UNAVAILABLE:
    case MIRAI_E_OVERLOADED:
    case MIRAI_E_DEADLINE:
        return CTL_UNAVAILABLE;
    default:
        return CTL_FAILED;
    }
}

/* The string of a key in a map; empty when there is none. */
static struct mirai_str find_str(struct mirai_str map, const char *key)
{
    struct mirai_str raw, value;
    struct mirai_mp mp;
    if (map.len == 0 || mirai_mp_find(map, key, &raw) != 0 ||
        (mp = mirai_mp(raw), mirai_mp_read_str(&mp, &value)) != 0) {
        return (struct mirai_str){0};
    }
    return value;
}

/* "errors": [{path, problem}, …] as "; title is too long; …". */
static void append_faults(struct mirai_buf *out, struct mirai_str error)
{
    struct mirai_str raw, one;
    uint32_t count;
    if (error.len == 0 || mirai_mp_find(error, "errors", &raw) != 0) {
        return;
    }
    struct mirai_mp mp = mirai_mp(raw);
    if (mirai_mp_read_array(&mp, &count) != 0) {
        return;
    }
    for (uint32_t i = 0; i < count && mirai_mp_raw(&mp, &one) == 0; i++) {
        struct mirai_str path = find_str(one, "path");
        struct mirai_str problem = text_problem(find_str(one, "problem"));
        mirai_buf_append_str(out, MIRAI_STR("; "));
        text_append_safe(out, path.len > 0 && path.data[0] == '/'
                                  ? (struct mirai_str){path.data + 1, path.len - 1}
                                  : path);
        mirai_buf_append_char(out, ' ');
        text_append_safe(out, problem);
    }
}

void ctl_reason(struct mirai_buf *out, int err, struct mirai_str error)
{
    struct mirai_str message = find_str(error, "message");
    mirai_buf_append_str(out, mirai_str(text_error(err)));
    if (message.len > 0) {
        mirai_buf_append_str(out, MIRAI_STR(" ("));
        text_append_safe(out, message);
        mirai_buf_append_char(out, ')');
    }
    append_faults(out, error);
}

static void print_error(struct ctl *ctl, const char *code, struct mirai_str what, struct mirai_str reason)
{
    struct mirai_buf line = {0};
    if (ctl->cli.json) {
        mirai_buf_printf(&line, "{\"error\": {\"code\": \"%s\", \"message\": ", code);
        mirai_buf_append_json(&line, reason);
        if (what.len > 0) {
            mirai_buf_append_str(&line, MIRAI_STR(", \"service\": "));
            mirai_buf_append_json(&line, what);
        }
        mirai_buf_append_str(&line, MIRAI_STR("}}\n"));
    } else {
        mirai_buf_printf(&line, "miraictl: %.*s%s%.*s\n", MIRAI_STR_ARG(what), what.len > 0 ? ": " : "",
                         MIRAI_STR_ARG(reason));
    }
    fwrite(line.data, 1, line.len, stderr);
    mirai_buf_free(&line);
}

int ctl_report(struct ctl *ctl, const char *what, int err, struct mirai_str error)
{
    struct mirai_buf reason = {0};
    ctl_reason(&reason, err, error);
    print_error(ctl, mirai_error_slug(err), mirai_str(what), mirai_buf_str(&reason));
    mirai_buf_free(&reason);
    return ctl_exit_of(err);
}

int ctl_fail(struct ctl *ctl, int code, const char *format, ...)
{
    static const char *const codes[] = {"ok", "failed", "usage", "unavailable", "partly"};
    char *reason = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&reason, format, args);
    va_end(args);
    if (n >= 0) {
        struct mirai_buf safe = {0};
        text_append_safe(&safe, mirai_str(reason));
        print_error(ctl, codes[code], (struct mirai_str){0}, mirai_buf_str(&safe));
        mirai_buf_free(&safe);
        free(reason);
    }
    return code;
}

void ctl_say(struct ctl *ctl, const char *format, ...)
{
    char *line = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&line, format, args);
    va_end(args);
    if (n < 0) {
        return;
    }
    if (!ctl->cli.json) {
        puts(line);
    }
    free(line);
}

void ctl_print_raw(struct mirai_str mp)
{
    struct mirai_buf json = {0};
    if (mirai_mp_to_json(mp, &json) == 0) {
        fwrite(json.data, 1, json.len, stdout);
        putchar('\n');
    }
    mirai_buf_free(&json);
}

void ctl_print_json(const struct mirai_message *message, const void *in)
{
    struct mirai_buf mp = {0};
    mirai_message_encode(message, in, &mp);
    ctl_print_raw(mirai_buf_str(&mp));
    mirai_buf_free(&mp);
}

void ctl_print_list(struct ctl *ctl, const struct table_column *columns, const struct mirai_message *message,
                    const struct mirai_objects *items)
{
    if (!ctl->cli.json) {
        table_print_messages(columns, message, items, stdout);
        return;
    }
    struct mirai_buf mp = {0};
    mirai_mp_write_map(&mp, 1);
    mirai_mp_write_cstr(&mp, "items");
    mirai_mp_write_array(&mp, items->count);
    for (size_t i = 0; i < items->count; i++) {
        mirai_message_encode(message, (const char *)items->items + i * message->size, &mp);
    }
    ctl_print_raw(mirai_buf_str(&mp));
    mirai_buf_free(&mp);
}
