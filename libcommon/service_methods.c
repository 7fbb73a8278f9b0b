#include "libcommon/service_internal.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/metrics.h"
#include "libcommon/time.h"

#include <unistd.h>

static struct mirai_runtime *runtime;

void service_methods_set(struct mirai_runtime *the_runtime)
{
    runtime = the_runtime;
}

static void write_pair(struct mirai_buf *buf, const char *key, const char *value)
{
    mirai_mp_write_cstr(buf, key);
    mirai_mp_write_cstr(buf, value);
}

static void write_pair_int(struct mirai_buf *buf, const char *key, int64_t value)
{
    mirai_mp_write_cstr(buf, key);
    mirai_mp_write_int(buf, value);
}

static int health(void)
{
    if (runtime->draining) {
        return MIRAI_E_UNAVAILABLE;
    }
    return runtime->service->health != NULL ? runtime->service->health(runtime) : 0;
}

static void handle_health(struct mirai_rpc_request *request)
{
    struct mirai_buf result = {0};
    mirai_mp_write_map(&result, 3);
    write_pair(&result, "status", mirai_error_slug(health()));
    write_pair(&result, "service", runtime->service->name);
    write_pair(&result, "instance", mirai_config_str(MIRAI_CONFIG_INSTANCE));
    mirai_rpc_reply_buf(request, &result);
    mirai_buf_free(&result);
}

static void handle_metrics(struct mirai_rpc_request *request)
{
    struct mirai_buf result = {0};
    mirai_metrics_encode(&result);
    mirai_rpc_reply_buf(request, &result);
    mirai_buf_free(&result);
}

static void handle_log_level(struct mirai_rpc_request *request)
{
    struct mirai_str raw, name;
    struct mirai_mp mp;
    enum mirai_log_level level;
    if (request->context.principal.role < MIRAI_ROLE_ADMIN && request->context.principal.user_id != -1) {
        mirai_rpc_fail(request, MIRAI_E_FORBIDDEN, NULL);
        return;
    }
    if (mirai_mp_find(request->params, "level", &raw) != 0 ||
        (mp = mirai_mp(raw), mirai_mp_read_str(&mp, &name)) != 0 ||
        mirai_log_parse_level(name, &level) != 0) {
        mirai_rpc_fail(request, MIRAI_E_UNPROCESSABLE, "level: debug|info|warning|error|fatal");
        return;
    }
    mirai_log_set_level(level);
    mirai_log(INFO, "log level changed", MIRAI_LOG_S("to", name),
              MIRAI_LOG_S("by", request->context.principal.name));
    struct mirai_buf result = {0};
    mirai_mp_write_map(&result, 1);
    mirai_mp_write_cstr(&result, "level");
    mirai_mp_write_str(&result, name);
    mirai_rpc_reply_buf(request, &result);
    mirai_buf_free(&result);
}

static void handle_status(struct mirai_rpc_request *request)
{
    struct mirai_buf result = {0};
    char started_at[MIRAI_RFC3339_SIZE];
    mirai_rfc3339_format(started_at, runtime->started_at_ms);
    size_t map = mirai_mp_begin_map(&result);
    write_pair(&result, "service", runtime->service->name);
    write_pair(&result, "instance", mirai_config_str(MIRAI_CONFIG_INSTANCE));
    write_pair(&result, "version", mirai_version());
    write_pair(&result, "status", mirai_error_slug(health()));
    write_pair_int(&result, "pid", getpid());
    write_pair(&result, "started_at", started_at);
    write_pair_int(&result, "uptime_ms", mirai_now_ms() - runtime->started_at_ms);
    write_pair_int(&result, "rss_bytes", mirai_process_rss());
    write_pair_int(&result, "pending", (int64_t)service_pending(runtime) - 1); /* but this one */
    mirai_mp_write_cstr(&result, "draining");
    mirai_mp_write_bool(&result, runtime->draining);
    size_t own = runtime->service->status != NULL ? runtime->service->status(runtime, &result) : 0;
    mirai_mp_end(&result, map, 10 + own);
    mirai_rpc_reply_buf(request, &result);
    mirai_buf_free(&result);
}

const struct mirai_rpc_method service_methods[] = {
    {"service.health", handle_health},
    {"service.metrics", handle_metrics},
    {"service.log_level", handle_log_level},
    {"service.status", handle_status},
    {NULL, NULL},
};
