#include "services/metrics/http.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/service.h"

#include <h2o.h>
#include <stdlib.h>

#define CONNECTIONS_MAX 64 /* scrapers, not the public */

struct http {
    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    uv_tcp_t listener;
    struct collector *collector;
    size_t connections;
    bool closing;
};

/* Our handler finds its daemon behind h2o's. */
struct metrics_handler {
    h2o_handler_t super;
    struct http *http;
};

/* A scrape that waits for its round; lives in the request's pool and dies with it. */
struct scrape {
    struct collect_wait wait;
    struct http *http;
    h2o_req_t *request;
    enum exposition_format format;
    bool waiting;
};

enum exposition_format http_format(struct mirai_str accept)
{
    static const char wanted[] = "application/openmetrics-text";
    return accept.len > 0 && memmem(accept.data, accept.len, wanted, sizeof(wanted) - 1) != NULL
               ? EXPOSITION_OPENMETRICS
               : EXPOSITION_PROMETHEUS;
}

bool http_authorized(struct mirai_str authorization, struct mirai_str token)
{
    static const char scheme[] = "Bearer ";
    const size_t skip = sizeof(scheme) - 1;
    return authorization.len > skip && strncasecmp(authorization.data, scheme, skip) == 0 &&
           mirai_equal_constant_time(authorization.data + skip, authorization.len - skip, token.data,
                                     token.len);
}

static struct mirai_str header(h2o_req_t *request, const h2o_token_t *token)
{
    ssize_t at = h2o_find_header(&request->headers, token, -1);
    if (at == -1) {
        return (struct mirai_str){0};
    }
    h2o_iovec_t value = request->headers.entries[at].value;
    return (struct mirai_str){value.base, value.len};
}

static void refuse(h2o_req_t *request, int status, const char *reason)
{
    request->res.status = status;
    request->res.reason = reason;
    h2o_add_header(&request->pool, &request->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                   H2O_STRLIT("text/plain; charset=utf-8"));
    if (status == 401) {
        h2o_add_header(&request->pool, &request->res.headers, H2O_TOKEN_WWW_AUTHENTICATE, NULL,
                       H2O_STRLIT("Bearer"));
    }
    h2o_send_inline(request, reason, strlen(reason));
}

static void on_sources(void *data, const struct exposition_source *sources, size_t count)
{
    struct scrape *scrape = data;
    h2o_req_t *request = scrape->request;
    struct mirai_buf text = {0};
    scrape->waiting = false;
    exposition_render(&text, scrape->format, sources, count);
    const char *type = exposition_content_type(scrape->format);
    request->res.status = 200;
    request->res.reason = "OK";
    h2o_add_header(&request->pool, &request->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, type, strlen(type));
    h2o_send_inline(request, text.data, text.len);
    mirai_buf_free(&text);
}

/* The request's pool goes: the client left, or the answer is out. */
static void dispose_scrape(void *data)
{
    struct scrape *scrape = data;
    if (scrape->waiting) {
        collect_cancel(scrape->http->collector, &scrape->wait);
    }
}

static int on_metrics(h2o_handler_t *self, h2o_req_t *request)
{
    struct http *http = ((struct metrics_handler *)self)->http;
    struct mirai_str token = mirai_str(mirai_config_str(MIRAI_CONFIG_METRICS_TOKEN));
    if (!h2o_memis(request->path_normalized.base, request->path_normalized.len, H2O_STRLIT("/metrics"))) {
        refuse(request, 404, "Not Found");
    } else if (!h2o_memis(request->method.base, request->method.len, H2O_STRLIT("GET")) &&
               !h2o_memis(request->method.base, request->method.len, H2O_STRLIT("HEAD"))) {
        refuse(request, 405, "Method Not Allowed");
    } else if (token.len > 0 && !http_authorized(header(request, H2O_TOKEN_AUTHORIZATION), token)) {
        refuse(request, 401, "Unauthorized");
    } else {
        struct scrape *scrape = h2o_mem_alloc_shared(&request->pool, sizeof(*scrape), dispose_scrape);
        *scrape = (struct scrape){.http = http,
                                  .request = request,
                                  .format = http_format(header(request, H2O_TOKEN_ACCEPT)),
                                  .waiting = true};
        scrape->wait = (struct collect_wait){.callback = on_sources, .data = scrape};
        collect(http->collector, &scrape->wait);
    }
    return 0;
}

/* One scraper. */
struct connection {
    uv_tcp_t tcp; /* its data is h2o's, and gone when on_connection_closed runs */
    struct http *http;
};

static void on_connection_closed(uv_handle_t *handle)
{
    struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, tcp, handle);
    connection->http->connections--;
    free(connection);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct http *http = listener->data;
    struct connection *connection = mirai_alloc(sizeof(*connection));
    if (status != 0 || uv_tcp_init(listener->loop, &connection->tcp) != 0) {
        free(connection);
        return;
    }
    connection->http = http;
    http->connections++;
    if (uv_accept(listener, (uv_stream_t *)&connection->tcp) != 0 || http->connections > CONNECTIONS_MAX) {
        uv_close((uv_handle_t *)&connection->tcp, on_connection_closed);
        return;
    }
    h2o_accept(&http->accept, h2o_uv_socket_create((uv_stream_t *)&connection->tcp, on_connection_closed));
}

static int listen_at(struct http *http, uv_loop_t *loop)
{
    char host[64];
    int port;
    struct sockaddr_storage address;
    mirai_config_address(MIRAI_CONFIG_METRICS_LISTEN, host, &port);
    int err = uv_ip4_addr(host, port, (struct sockaddr_in *)&address);
    if (err != 0) {
        err = uv_ip6_addr(host, port, (struct sockaddr_in6 *)&address);
    }
    uv_tcp_init(loop, &http->listener);
    http->listener.data = http;
    if (err == 0) {
        err = uv_tcp_bind(&http->listener, (struct sockaddr *)&address, 0);
    }
    if (err == 0) {
        err = uv_listen((uv_stream_t *)&http->listener, 128, on_connection);
    }
    mirai_log(INFO, err == 0 ? "listening" : "cannot listen",
              MIRAI_LOG_Z("address", mirai_config_str(MIRAI_CONFIG_METRICS_LISTEN)),
              MIRAI_LOG_Z("reason", err == 0 ? "" : uv_strerror(err)));
    return err;
}

struct http *http_new(uv_loop_t *loop, struct collector *collector)
{
    struct http *http = mirai_alloc(sizeof(*http));
    http->collector = collector;
    h2o_config_init(&http->config);
    http->config.server_name = h2o_iovec_init(NULL, 0);
    http->config.max_request_entity_size = 1024;
    h2o_hostconf_t *host =
        h2o_config_register_host(&http->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
    struct metrics_handler *handler = (struct metrics_handler *)h2o_create_handler(path, sizeof(*handler));
    handler->super.on_req = on_metrics;
    handler->http = http;
    h2o_context_init(&http->context, loop, &http->config);
    http->accept = (h2o_accept_ctx_t){.ctx = &http->context, .hosts = http->config.hosts};
    if (listen_at(http, loop) != 0) {
        http_free(http);
        return NULL;
    }
    return http;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct http *http = handle->data;
    free(http);
}

void http_free(struct http *http)
{
    /* h2o's context is left to the end of the process: its timers belong to the loop that is about to end. */
    uv_close((uv_handle_t *)&http->listener, on_listener_closed);
}
