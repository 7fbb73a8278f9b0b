/* What a call between two processes costs: calls a second, CPU per call on both sides, and the same exchange
 * over a plain pipe of libuv with 4-byte lengths and the same batching, which shows the price of nng's thread
 * hand-offs.
 *
 * bench_rpc [seconds per measurement] */
#include "libcommon/rpc.h"
#include "libcommon/log.h"
#include "libcommon/time.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define BODY_BYTES  1400
#define SAMPLES_MAX (1u << 20)

struct usage {
    double cpu_us;
    long switches;
};

static struct usage usage_now(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (struct usage){(double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 +
                              (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec),
                          r.ru_nvcsw + r.ru_nivcsw};
}

/* ------------------------------------------------------------------ measuring (client side) */

struct bench;

struct slot {
    struct bench *bench;
    uint64_t begun_us;
};

struct bench {
    uv_loop_t *loop;
    const char *transport;
    void (*begin)(struct slot *slot); /* one call; slot_done when it has ended */
    void (*usage)(struct bench *bench,
                  struct usage *usage); /* of the server, asked outside the measurement */
    void *transport_data;
    size_t concurrency;
    struct slot slots[512];
    uint64_t end_us;
    size_t running;
    uint64_t calls;
    uint32_t *samples;
    struct mirai_str body;
};

static void slot_begin(struct slot *slot)
{
    slot->begun_us = mirai_monotonic_us();
    slot->bench->begin(slot);
}

static void slot_done(struct slot *slot)
{
    struct bench *b = slot->bench;
    uint64_t now = mirai_monotonic_us();
    b->samples[b->calls++ % SAMPLES_MAX] = (uint32_t)(now - slot->begun_us);
    if (now < b->end_us) {
        slot_begin(slot);
    } else if (--b->running == 0) {
        uv_stop(b->loop);
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void measure(struct bench *b, size_t concurrency, double seconds, bool print)
{
    struct usage server_before;
    struct usage server_after;
    b->usage(b, &server_before);
    struct usage before = usage_now();
    uint64_t begun = mirai_monotonic_us();
    b->calls = 0;
    b->concurrency = concurrency;
    b->running = concurrency;
    b->end_us = begun + (uint64_t)(seconds * 1e6);
    for (size_t i = 0; i < concurrency; i++) {
        b->slots[i].bench = b;
        slot_begin(&b->slots[i]);
    }
    uv_run(b->loop, UV_RUN_DEFAULT);
    double elapsed = (double)(mirai_monotonic_us() - begun);
    struct usage after = usage_now();
    b->usage(b, &server_after);
    if (!print) {
        return;
    }
    size_t samples = b->calls < SAMPLES_MAX ? b->calls : SAMPLES_MAX;
    qsort(b->samples, samples, sizeof(*b->samples), compare);
    double client = (after.cpu_us - before.cpu_us) / (double)b->calls;
    double server = (server_after.cpu_us - server_before.cpu_us) / (double)b->calls;
    printf("%-6s %4zu concurrent  %8.0f calls/s  p50 %5u us  p99 %5u us  CPU/call client %6.2f + server "
           "%6.2f = %6.2f us"
           "  switches/call %.2f\n",
           b->transport, concurrency, (double)b->calls * 1e6 / elapsed, b->samples[samples / 2],
           b->samples[samples - 1 - samples / 100], client, server, client + server,
           (double)(after.switches - before.switches + server_after.switches - server_before.switches) /
               (double)b->calls);
    fflush(stdout);
}

/* ------------------------------------------------------------------ over libcommon/rpc.h */

static void handle_echo(struct mirai_rpc_request *request)
{
    mirai_rpc_reply(request, request->params);
}

static void handle_usage(struct mirai_rpc_request *request)
{
    struct usage usage = usage_now();
    mirai_rpc_reply(request, (struct mirai_str){(const char *)&usage, sizeof(usage)});
}

static const struct mirai_rpc_method methods[] = {
    {"article.get", handle_echo},
    {"usage", handle_usage},
    {"service.health", handle_echo},
    {NULL, NULL},
};

static void serve_rpc(const char *url)
{
    uv_loop_t *loop = uv_default_loop();
    if (mirai_rpc_server_new(&(struct mirai_rpc_server_options){
            .loop = loop, .url = url, .methods = methods, .queue_max = 8192}) == NULL) {
        exit(1);
    }
    uv_run(loop, UV_RUN_DEFAULT);
}

static void on_rpc_reply(void *data, const struct mirai_rpc_reply *reply)
{
    if (reply->status != 0) {
        fprintf(stderr, "call failed: %s\n", mirai_error_slug(reply->status));
        exit(1);
    }
    slot_done(data);
}

static void begin_rpc(struct slot *slot)
{
    static const int64_t spaces[] = {1, 2, 3};
    const struct mirai_context context = {
        .traceparent = MIRAI_STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        .principal = {.user_id = 7,
                      .role = MIRAI_ROLE_VIEWER,
                      .name = MIRAI_STR("user"),
                      .spaces = spaces,
                      .spaces_len = 3},
        .locale = MIRAI_STR("ja"),
    };
    mirai_rpc_call(slot->bench->transport_data, "article.get", MIRAI_RPC_READ, &context, slot->bench->body,
                   on_rpc_reply, slot);
}

static void on_usage(void *data, const struct mirai_rpc_reply *reply)
{
    memcpy(data, reply->result.data, sizeof(struct usage));
    uv_stop(uv_default_loop());
}

static void on_ready(void *data, const struct mirai_rpc_reply *reply)
{
    (void)data;
    (void)reply;
    uv_stop(uv_default_loop());
}

static void usage_rpc(struct bench *b, struct usage *usage)
{
    mirai_rpc_call(b->transport_data, "usage", MIRAI_RPC_READ, NULL, MIRAI_STR("\xc0"), on_usage, usage);
    uv_run(b->loop, UV_RUN_DEFAULT);
}

/* ------------------------------------------------------------------ over a plain stream */

/* Frames of [u32 bytes][u32 slot | usage flag][payload]…, everything of a loop turn in one write. */
struct stream {
    uv_pipe_t pipe;
    uv_prepare_t prepare;
    struct mirai_buf out;
    struct mirai_buf in;
    struct bench *bench; /* client */
    struct usage *usage;
};

#define STREAM_USAGE 0xffffffffu

static void stream_put(struct stream *s, uint32_t slot, struct mirai_str body)
{
    uint32_t head[2] = {(uint32_t)body.len, slot};
    mirai_buf_append(&s->out, head, sizeof(head));
    mirai_buf_append_str(&s->out, body);
}

static void on_written(uv_write_t *write, int status)
{
    if (status < 0) {
        exit(1);
    }
    free(write->data);
    free(write);
}

static void stream_flush(uv_prepare_t *prepare)
{
    struct stream *s = prepare->data;
    if (s->out.len == 0) {
        return;
    }
    uv_buf_t buf = uv_buf_init(s->out.data, (unsigned)s->out.len);
    int n = uv_try_write((uv_stream_t *)&s->pipe, &buf, 1);
    if (n == (int)s->out.len) {
        s->out.len = 0;
        return;
    }
    size_t done = n > 0 ? (size_t)n : 0;
    uv_write_t *write = mirai_alloc(sizeof(*write));
    write->data = s->out.data;
    buf = uv_buf_init(s->out.data + done, (unsigned)(s->out.len - done));
    s->out = (struct mirai_buf){0};
    uv_write(write, (uv_stream_t *)&s->pipe, &buf, 1, on_written);
}

static void stream_message(struct stream *s, uint32_t slot, struct mirai_str body)
{
    if (s->bench == NULL) {
        struct usage usage = usage_now();
        stream_put(s, slot,
                   slot == STREAM_USAGE ? (struct mirai_str){(const char *)&usage, sizeof(usage)} : body);
    } else if (slot == STREAM_USAGE) {
        memcpy(s->usage, body.data, sizeof(*s->usage));
        uv_stop(s->bench->loop);
    } else {
        slot_done(&s->bench->slots[slot]);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct stream *s = handle->data;
    (void)suggested;
    mirai_buf_reserve(&s->in, 256u << 10);
    *buf = uv_buf_init(s->in.data + s->in.len, (unsigned)(s->in.cap - s->in.len));
}

static void on_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf)
{
    struct stream *s = handle->data;
    size_t at = 0;
    (void)buf;
    if (n < 0) {
        exit(0);
    }
    s->in.len += (size_t)n;
    while (s->in.len - at >= 8) {
        uint32_t head[2];
        memcpy(head, s->in.data + at, sizeof(head));
        if (s->in.len - at - 8 < head[0]) {
            break;
        }
        stream_message(s, head[1], (struct mirai_str){s->in.data + at + 8, head[0]});
        at += 8 + head[0];
    }
    memmove(s->in.data, s->in.data + at, s->in.len - at);
    s->in.len -= at;
}

static void stream_start(struct stream *s, uv_loop_t *loop)
{
    s->pipe.data = s;
    uv_prepare_init(loop, &s->prepare);
    s->prepare.data = s;
    uv_prepare_start(&s->prepare, stream_flush);
    uv_read_start((uv_stream_t *)&s->pipe, on_alloc, on_read);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct stream *s = mirai_alloc(sizeof(*s));
    (void)status;
    uv_pipe_init(listener->loop, &s->pipe, 0);
    uv_accept(listener, (uv_stream_t *)&s->pipe);
    stream_start(s, listener->loop);
}

static void serve_stream(const char *path)
{
    uv_pipe_t listener;
    uv_loop_t *loop = uv_default_loop();
    uv_pipe_init(loop, &listener, 0);
    if (uv_pipe_bind(&listener, path) != 0 || uv_listen((uv_stream_t *)&listener, 8, on_connection) != 0) {
        exit(1);
    }
    uv_run(loop, UV_RUN_DEFAULT);
}

static void begin_stream(struct slot *slot)
{
    /* As many bytes as a call has: the context takes about 110. */
    struct stream *s = slot->bench->transport_data;
    stream_put(s, (uint32_t)(slot - slot->bench->slots), slot->bench->body);
}

static void usage_stream(struct bench *b, struct usage *usage)
{
    struct stream *s = b->transport_data;
    s->usage = usage;
    stream_put(s, STREAM_USAGE, (struct mirai_str){0});
    uv_run(b->loop, UV_RUN_DEFAULT);
}

static void on_connected(uv_connect_t *connect, int status)
{
    *(int *)connect->data = status;
    uv_stop(connect->handle->loop);
}

/* ------------------------------------------------------------------ main */

static pid_t spawn(const char *self, const char *mode, const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(self, self, mode, path, NULL);
        _exit(127);
    }
    return pid;
}

static void run_all(struct bench *b, double seconds)
{
    static const size_t levels[] = {1, 16, 64, 256};
    measure(b, 64, 0.3, false);
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        measure(b, levels[i], seconds, true);
    }
}

static void bench_rpc(struct bench *b, const char *name, const char *url, double seconds)
{
    struct mirai_rpc_client *client = mirai_rpc_client_new(&(struct mirai_rpc_client_options){
        .loop = b->loop, .service = "store", .endpoints = url, .outstanding_max = 4096, .deadline_ms = 5000});
    b->transport = name;
    b->begin = begin_rpc;
    b->usage = usage_rpc;
    b->transport_data = client;
    mirai_rpc_call(client, "service.health", MIRAI_RPC_READ, NULL, MIRAI_STR("\xc0"), on_ready, NULL);
    uv_run(b->loop, UV_RUN_DEFAULT);
    run_all(b, seconds);
    mirai_rpc_client_free(client);
    uv_run(b->loop, UV_RUN_NOWAIT);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/mirai-bench-XXXXXX";
    char ipc_url[64];
    char nng_url[64];
    char stream_path[64];
    char body[BODY_BYTES];
    if (argc == 3 && strcmp(argv[1], "serve-rpc") == 0) {
        serve_rpc(argv[2]);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "serve-stream") == 0) {
        serve_stream(argv[2]);
        return 0;
    }
    double seconds = argc > 1 ? atof(argv[1]) : 2;
    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    snprintf(ipc_url, sizeof(ipc_url), "ipc://%s/rpc.sock", dir);
    snprintf(nng_url, sizeof(nng_url), "abstract://mirai-bench-%d", (int)getpid());
    snprintf(stream_path, sizeof(stream_path), "%s/stream.sock", dir);
    pid_t pids[] = {
        spawn("/proc/self/exe", "serve-rpc", ipc_url),
        spawn("/proc/self/exe", "serve-rpc", nng_url),
        spawn("/proc/self/exe", "serve-stream", stream_path),
    };

    memset(body, 'x', sizeof(body));
    memcpy(body, "\xc5\x05\x75", 3); /* bin of 1397 bytes */
    struct bench b = {.loop = uv_default_loop(), .body = {body, sizeof(body)}};
    b.samples = mirai_alloc(SAMPLES_MAX * sizeof(*b.samples));

    bench_rpc(&b, "ipc", ipc_url, seconds);
    bench_rpc(&b, "libnng", nng_url, seconds);
    usleep(100000);
    struct stream stream = {.bench = &b};
    uv_connect_t connect;
    int status = -1;
    connect.data = &status;
    uv_pipe_init(b.loop, &stream.pipe, 0);
    uv_pipe_connect(&connect, &stream.pipe, stream_path, on_connected);
    uv_run(b.loop, UV_RUN_DEFAULT);
    if (status != 0) {
        return 1;
    }
    stream_start(&stream, b.loop);
    b.transport = "stream";
    b.begin = begin_stream;
    b.usage = usage_stream;
    b.transport_data = &stream;
    run_all(&b, seconds);

    for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    unlink(ipc_url + strlen("ipc://"));
    unlink(stream_path);
    rmdir(dir);
    return 0;
}
