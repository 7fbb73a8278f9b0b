/* miraictl status: every instance of every daemon, asked by itself. */
#include "services/ctl/commands.h"
#include "services/ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>

#define CONNECT_MS  1000
#define ANSWER_MS   2000
#define UNIX_MS_MIN 1000000000000 /* larger numbers of ms are times, not durations */

/* What a daemon says of itself that has a column already. */
static const char *const common[] = {"service",    "instance",  "version",   "status",  "pid",
                                     "started_at", "uptime_ms", "rss_bytes", "pending", "draining"};

struct answers {
    struct ctl *ctl;
    struct mirai_daemon_status rows[64];
    size_t count;
    enum ctl_service service;
    bool done;
};

static struct mirai_daemon_status *add_row(struct answers *answers, struct mirai_str instance,
                                           const char *state)
{
    struct mirai_daemon_status *row = &answers->rows[answers->count++];
    *row = (struct mirai_daemon_status){0};
    mirai_set(daemon_status, row, service, mirai_str(ctl_services[answers->service]));
    mirai_set(daemon_status, row, instance, mirai_arena_copy(&answers->ctl->arena, instance));
    mirai_set(daemon_status, row, state, mirai_str(state));
    return row;
}

/* A MessagePack value as text for people: JSON, a string without its quotes. */
static struct mirai_str readable(struct ctl *ctl, struct mirai_str raw)
{
    struct mirai_buf json = {0};
    struct mirai_str s = {0};
    if (mirai_mp_to_json(raw, &json) == 0) {
        s = mirai_buf_str(&json);
    }
    if (s.len >= 2 && s.data[0] == '"') {
        s = (struct mirai_str){s.data + 1, s.len - 2};
    }
    s = mirai_arena_copy(&ctl->arena, s);
    mirai_buf_free(&json);
    return s;
}

/* The member of a map as text for people; empty when there is none. */
static struct mirai_str member(struct ctl *ctl, struct mirai_str map, const char *key)
{
    struct mirai_str raw;
    return map.len > 0 && mirai_mp_find(map, key, &raw) == 0 ? readable(ctl, raw) : (struct mirai_str){0};
}

static bool ends_with(struct mirai_str s, struct mirai_str ending)
{
    return s.len > ending.len && memcmp(s.data + s.len - ending.len, ending.data, ending.len) == 0;
}

static void on_answer(void *data, struct mirai_str instance, const struct mirai_rpc_reply *reply)
{
    struct answers *answers = data;
    if (instance.len == 0) {
        answers->done = true;
        return;
    }
    if (answers->count == sizeof(answers->rows) / sizeof(answers->rows[0])) {
        return;
    }
    struct mirai_daemon_status *row = add_row(answers, instance, mirai_error_slug(reply->status));
    if (reply->status == 0) {
        mirai_set(daemon_status, row, details, mirai_arena_copy(&answers->ctl->arena, reply->result));
        struct mirai_str state = member(answers->ctl, row->details, "status");
        row->state = state.len > 0 ? state : row->state;
    }
}

static bool has_row(const struct answers *answers, const char *instance)
{
    for (size_t i = 0; i < answers->count; i++) {
        if (mirai_str_eq(answers->rows[i].instance, mirai_str(instance))) {
            return true;
        }
    }
    return false;
}

/* Instances that did not even connect; and the service itself when it has none. */
static void add_missing(struct answers *answers, const struct mirai_rpc_client *client)
{
    struct mirai_rpc_instance_info known[64];
    size_t count = mirai_rpc_client_instances(client, known, 64);
    for (size_t i = 0; i < count && i < 64 && answers->count < 64; i++) {
        if (!has_row(answers, known[i].name)) {
            add_row(answers, mirai_str(known[i].name), mirai_error_slug(MIRAI_E_UNAVAILABLE));
        }
    }
    if (answers->count == 0) {
        add_row(answers, MIRAI_STR("1"), mirai_error_slug(MIRAI_E_UNAVAILABLE));
    }
}

static bool is_common(struct mirai_str key)
{
    for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
        if (mirai_str_eq(key, mirai_str(common[i]))) {
            return true;
        }
    }
    return false;
}

/* "wal_bytes" 4096 as "wal 4.0 KiB", "lag_ms" 12 as "lag 12 ms", a Unix time in "…_ms" as that time. */
static void append_detail(struct mirai_buf *out, struct mirai_str key, struct mirai_str value)
{
    static const struct mirai_str bytes = MIRAI_STR("_bytes"), ms = MIRAI_STR("_ms");
    char shown[32];
    int64_t number;
    bool is_number = mirai_parse_int(value, 0, INT64_MAX, &number) == 0;
    mirai_buf_append_str(out, out->len > 0 ? MIRAI_STR(", ") : (struct mirai_str){0});
    if (is_number && ends_with(key, bytes)) {
        key.len -= bytes.len;
        text_size(shown, number);
        value = mirai_str(shown);
    } else if (is_number && ends_with(key, ms)) {
        key.len -= ms.len;
        if (number > UNIX_MS_MIN) {
            text_time(shown, number);
        } else {
            text_duration(shown, number);
        }
        value = mirai_str(shown);
    }
    mirai_buf_append_str(out, key);
    mirai_buf_append_char(out, ' ');
    mirai_buf_append_str(out, value);
}

/* "articles 2007, wal 4.0 KiB": the daemon's own members. */
static struct mirai_str own_details(struct ctl *ctl, struct mirai_str map)
{
    struct mirai_buf out = {0};
    struct mirai_mp mp = mirai_mp(map);
    uint32_t pairs = 0;
    struct mirai_str key, raw;
    mirai_mp_read_map(&mp, &pairs);
    for (uint32_t i = 0; i < pairs && mirai_mp_read_str(&mp, &key) == 0 && mirai_mp_raw(&mp, &raw) == 0;
         i++) {
        struct mirai_str value = is_common(key) ? (struct mirai_str){0} : readable(ctl, raw);
        if (value.len > 0) {
            append_detail(&out, key, value);
        }
    }
    struct mirai_str details = mirai_arena_copy(&ctl->arena, mirai_buf_str(&out));
    mirai_buf_free(&out);
    return details;
}

static void add_to_table(struct ctl *ctl, struct table *table, const struct mirai_daemon_status *row)
{
    struct mirai_str details = mirai_has(daemon_status, row, details) ? row->details : (struct mirai_str){0};
    char uptime[32] = "", rss[32] = "";
    int64_t number;
    if (details.len > 0 && mirai_parse_int(member(ctl, details, "uptime_ms"), 0, INT64_MAX, &number) == 0) {
        text_duration(uptime, number);
    }
    if (details.len > 0 && mirai_parse_int(member(ctl, details, "rss_bytes"), 0, INT64_MAX, &number) == 0) {
        text_size(rss, number);
    }
    table_add(table, row->service);
    table_add(table, row->instance);
    table_add(table, row->state);
    table_add(table, member(ctl, details, "version"));
    table_add(table, member(ctl, details, "pid"));
    table_add(table, mirai_str(uptime));
    table_add(table, mirai_str(rss));
    table_add(table, member(ctl, details, "pending"));
    table_add(table, own_details(ctl, details));
}

static void print_table(struct ctl *ctl, const struct mirai_daemon_status *rows, size_t count)
{
    static const struct table_column columns[] = {
        {"service", "デーモン", "DAEMON", TABLE_LEFT},
        {"instance", "番号", "INSTANCE", TABLE_LEFT},
        {"state", "状態", "STATE", TABLE_LEFT},
        {"version", "版", "VERSION", TABLE_LEFT},
        {"pid", "PID", "PID", TABLE_RIGHT},
        {"uptime_ms", "稼働時間", "UPTIME", TABLE_RIGHT},
        {"rss_bytes", "メモリ", "MEMORY", TABLE_RIGHT},
        {"pending", "処理中", "PENDING", TABLE_RIGHT},
        {"details", "詳細", "DETAILS", TABLE_LEFT},
        {0},
    };
    struct table table;
    table_init(&table, columns);
    for (size_t i = 0; i < count; i++) {
        add_to_table(ctl, &table, &rows[i]);
    }
    table_print(&table, stdout);
    table_free(&table);
}

static void print_json(const struct mirai_daemon_status *rows, size_t count)
{
    struct mirai_buf mp = {0};
    mirai_mp_write_map(&mp, 1);
    mirai_mp_write_cstr(&mp, "daemons");
    mirai_mp_write_array(&mp, count);
    for (size_t i = 0; i < count; i++) {
        mirai_message_encode(&mirai_message_daemon_status, &rows[i], &mp);
    }
    ctl_print_raw(mirai_buf_str(&mp));
    mirai_buf_free(&mp);
}

int command_status(struct ctl *ctl)
{
    static struct answers answers[CTL_SERVICE_COUNT];
    struct mirai_daemon_status rows[CTL_SERVICE_COUNT * 64];
    size_t count = 0;
    int code = CTL_OK;
    for (int i = 0; i < CTL_SERVICE_COUNT; i++) {
        ctl_client(ctl, (enum ctl_service)i); /* all begin to connect at once */
    }
    for (int i = 0; i < CTL_SERVICE_COUNT; i++) {
        struct mirai_context context = ctl_context(ctl, ANSWER_MS);
        struct mirai_rpc_client *client = ctl_client(ctl, (enum ctl_service)i);
        ctl_connect(ctl, (enum ctl_service)i, CONNECT_MS);
        answers[i] = (struct answers){.ctl = ctl, .service = (enum ctl_service)i};
        mirai_rpc_call_each(client, "service.status", &context, (struct mirai_str){0}, on_answer,
                            &answers[i]);
    }
    for (int i = 0; i < CTL_SERVICE_COUNT; i++) {
        ctl_wait(ctl, &answers[i].done);
        add_missing(&answers[i], ctl_client(ctl, (enum ctl_service)i));
        bool answered = false;
        for (size_t k = 0; k < answers[i].count; k++) {
            answered = answered || mirai_has(daemon_status, &answers[i].rows[k], details);
            rows[count++] = answers[i].rows[k];
        }
        code = answered ? code : CTL_UNAVAILABLE;
    }
    if (ctl->cli.json) {
        print_json(rows, count);
    } else {
        print_table(ctl, rows, count);
    }
    return code;
}
