#include "services/gateway/gateway.h"
#include "services/gateway/h2_guard.h"
#include "tests/fuzz/fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

/* Any bytes on an HTTP/2 connection of the real library with the guard in front, as they come from TLS: in pieces, the
 * first bytes of the input say how long. Nothing crashes, every connection ends with its client, and a connection that the
 * guard has ended takes no byte more. */

#define RESETS  20
#define CONTROL 100

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static h2o_globalconf_t config;
static h2o_context_t context;
static h2o_accept_ctx_t accept_context;
static uv_loop_t loop;

struct client {
    uv_tcp_t tcp; /* the server's end; its data is h2o's */
    struct h2_guard guard;
    bool closed;
};

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
    (void)self;
    req->res.status = 200;
    req->res.reason = "OK";
    h2o_send_inline(req, H2O_STRLIT("answer"));
    return 0;
}

static void init(void)
{
    if (accept_context.ctx != NULL) {
        return;
    }
    uv_loop_init(&loop);
    h2o_config_init(&config);
    h2o_hostconf_t *host = h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_create_handler(&host->fallback_path, sizeof(h2o_handler_t))->on_req = on_request;
    h2o_context_init(&context, &loop, &config);
    accept_context = (h2o_accept_ctx_t){.ctx = &context, .hosts = config.hosts};
}

static void on_closed(uv_handle_t *handle)
{
    H2O_STRUCT_FROM_MEMBER(struct client, tcp, handle)->closed = true;
}

static void turn(int turns)
{
    for (int i = 0; i < turns; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
    }
}

static void send_all(struct client *client, int fd, const uint8_t *data, size_t size)
{
    while (size > 0 && !client->closed) {
        ssize_t sent = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        data += sent;
        size -= (size_t)sent;
        turn(2);
        char answer[4096];
        while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0) {
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    init();
    if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0) {
        return 0;
    }
    size_t piece = (size_t)1 + data[0] * 16;
    struct client *client = calloc(1, sizeof(*client));
    uv_tcp_init(&loop, &client->tcp);
    uv_tcp_open(&client->tcp, fds[0]);
    h2o_socket_t *sock = h2o_uv_socket_create((uv_stream_t *)&client->tcp, on_closed);
    h2_guard_accept(&client->guard, &accept_context, sock, (struct timeval){0}, RESETS, CONTROL);
    send_all(client, fds[1], (const uint8_t *)preface, data[1] == 'x' ? 3 : sizeof(preface) - 1);
    for (size_t at = 2; at < size; at += piece) {
        send_all(client, fds[1], data + at, size - at < piece ? size - at : piece);
        expect(client->closed || client->guard.verdict == H2_FINE || sock->_cb.read == NULL ||
               uv_is_closing((uv_handle_t *)&client->tcp));
    }
    close(fds[1]);
    for (int i = 0; i < 50 && !client->closed; i++) {
        turn(1);
    }
    expect(client->closed);
    free(client);
    return 0;
}
