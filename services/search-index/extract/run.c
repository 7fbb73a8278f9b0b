#include "services/search-index/extract/run.h"

#include "libcommon/log.h"
#include "libcommon/time.h"
#include "proto/methods.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define CHUNK     (1u << 20) /* bytes asked of the store at once; one is in memory */
#define READ_ROOM (64u << 10)
#define PULL_MS   10000 /* deadline of one chunk */
#define NICE      10
#define TEXT_MAX  256 /* bytes of a name or media type that the program is told */

struct run {
    struct run_options options;
    run_cb callback; /* NULL: cancelled */
    void *data;
    uv_process_t process;
    uv_pipe_t in;
    uv_pipe_t out;
    uv_timer_t timer;
    unsigned open; /* handles that are not closed yet */
    char sha256[65];
    char name[TEXT_MAX];
    char media_type[TEXT_MAX];
    /* feeding */
    struct mirai_rpc_call *call;
    uv_write_t write;
    struct mirai_buf chunk;
    int64_t offset;
    bool fed; /* all is sent, or no more is wanted */
    /* hearing */
    struct frames_reader frames;
    char room[READ_ROOM];
    bool exited;
    bool heard; /* its output has ended */
    bool ended; /* why is known: `outcome` counts, not how it exits */
    bool gone;
    int64_t status;
    int signal;
    enum extract_outcome outcome;
};

/* ------------------------------------------------------------------ the end */

static void on_closed(uv_handle_t *handle)
{
    struct run *run = handle->data;
    if (--run->open > 0) {
        return;
    }
    if (run->callback != NULL) {
        const struct run_result result = {run->outcome, run->gone, &run->frames};
        run->callback(run->data, &result);
    }
    frames_reader_free(&run->frames);
    mirai_buf_free(&run->chunk);
    free(run);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, on_closed);
    }
}

static void close_all(struct run *run)
{
    if (run->call != NULL) {
        mirai_rpc_cancel(run->call);
        run->call = NULL;
    }
    close_handle((uv_handle_t *)&run->process);
    close_handle((uv_handle_t *)&run->in);
    close_handle((uv_handle_t *)&run->out);
    close_handle((uv_handle_t *)&run->timer);
}

static enum extract_outcome outcome_of_exit(const struct run *run)
{
    if (run->frames.ended && run->status == 0 && run->signal == 0) {
        return run->frames.outcome;
    }
    if (run->signal == SIGXCPU) {
        return EXTRACT_TIMEOUT;
    }
    return run->signal != 0 ? EXTRACT_CRASHED : EXTRACT_PROTOCOL;
}

/* Once it has exited and all it said is read. */
static void finish(struct run *run)
{
    if (!run->exited || !run->heard) {
        return;
    }
    if (!run->ended) {
        run->outcome = outcome_of_exit(run);
    }
    close_all(run);
}

/* End it for this reason; its exit follows. */
static void stop(struct run *run, enum extract_outcome outcome)
{
    if (!run->ended) {
        run->ended = true;
        run->outcome = outcome;
    }
    if (!run->exited) {
        uv_process_kill(&run->process, SIGKILL);
    }
}

static void on_exit_of(uv_process_t *process, int64_t status, int signal)
{
    struct run *run = process->data;
    run->exited = true;
    run->status = status;
    run->signal = signal;
    finish(run);
}

static void on_deadline(uv_timer_t *timer)
{
    stop(timer->data, EXTRACT_TIMEOUT);
}

/* ------------------------------------------------------------------ what it says */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct run *run = handle->data;
    (void)suggested;
    *buf = uv_buf_init(run->room, READ_ROOM);
}

static void on_output(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct run *run = stream->data;
    if (len < 0) {
        run->heard = true;
        uv_read_stop(stream);
        finish(run);
    } else if (len > 0 && frames_read(&run->frames, (struct mirai_str){buf->base, (size_t)len}) != 0) {
        mirai_log(WARNING, "mirai-extract wrote what is no text", MIRAI_LOG_Z("sha256", run->sha256));
        run->heard = true; /* not a byte more */
        uv_read_stop(stream);
        stop(run, EXTRACT_PROTOCOL);
        finish(run);
    }
}

/* ------------------------------------------------------------------ what it is told */

static void pull(struct run *run);

static void close_input(struct run *run)
{
    run->fed = true;
    close_handle((uv_handle_t *)&run->in);
}

/* A failure is no fault: it has seen enough and closed its end, which its exit explains. */
static void on_written(uv_write_t *request, int status)
{
    struct run *run = request->data;
    if (status != 0 || run->fed || uv_is_closing((uv_handle_t *)&run->in)) {
        if (!uv_is_closing((uv_handle_t *)&run->in)) {
            close_input(run);
        }
        return;
    }
    pull(run);
}

static void on_chunk(void *data, const struct mirai_rpc_reply *reply)
{
    struct run *run = data;
    struct mirai_arena arena = {0};
    struct mirai_bytes bytes;
    struct mirai_faults faults = {0};
    run->call = NULL;
    int err = reply->status;
    if (err == 0) {
        err = mirai_message_decode(&mirai_message_bytes, reply->result, MIRAI_INNER, &arena, &bytes, &faults);
    }
    if (err != 0) {
        run->gone = reply->status == MIRAI_E_NOT_FOUND;
        stop(run, EXTRACT_UNREADABLE);
    } else if (bytes.total > run->options.size_max) {
        stop(run, EXTRACT_TOO_LARGE);
    } else if (bytes.data.len == 0) {
        close_input(run);
    } else {
        run->chunk.len = 0;
        mirai_buf_append_str(&run->chunk, bytes.data);
        run->offset += (int64_t)bytes.data.len;
        uv_buf_t buf = uv_buf_init(run->chunk.data, (unsigned)run->chunk.len);
        run->write.data = run;
        run->fed = run->offset >= bytes.total;
        if (uv_write(&run->write, (uv_stream_t *)&run->in, &buf, 1, on_written) != 0) {
            close_input(run);
        }
    }
    mirai_arena_free(&arena);
}

static void pull(struct run *run)
{
    struct mirai_attachment_read params = {0};
    struct mirai_context context = mirai_context_system();
    context.deadline_ms = mirai_monotonic_ms() + PULL_MS;
    mirai_set(attachment_read, &params, sha256, mirai_str(run->sha256));
    mirai_set(attachment_read, &params, offset, run->offset);
    mirai_set(attachment_read, &params, length, CHUNK);
    run->call = mirai_method_call(run->options.store, MIRAI_METHOD_ID_attachment_read, &context, &params,
                                  on_chunk, run);
}

/* ------------------------------------------------------------------ start */

static int spawn(struct run *run)
{
    char size_max[24];
    char memory[24];
    char seconds[24];
    int64_t cpu_ms = run->options.timeout_ms / 2;
    snprintf(size_max, sizeof(size_max), "%lld", (long long)run->options.size_max);
    snprintf(memory, sizeof(memory), "%lld", (long long)run->options.memory_bytes);
    snprintf(seconds, sizeof(seconds), "%lld", (long long)(cpu_ms < 1000 ? 1 : cpu_ms / 1000));
    char *arguments[] = {"mirai-extract", "--type",   run->media_type, "--name",    run->name, "--size-max",
                         size_max,        "--memory", memory,          "--seconds", seconds,   NULL};
    char *environment[] = {"LC_ALL=C.UTF-8", NULL}; /* ours has secrets */
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&run->in},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&run->out},
        {.flags = UV_IGNORE}};
    uv_process_options_t options = {.exit_cb = on_exit_of,
                                    .file = run->options.program,
                                    .args = arguments,
                                    .env = environment,
                                    .cwd = "/",
                                    .stdio_count = 3,
                                    .stdio = stdio};
    return uv_spawn(run->options.loop, &run->process, &options);
}

/* Not within run_start. */
static void on_no_program(uv_timer_t *timer)
{
    close_all(timer->data);
}

static void copy_text(char out[TEXT_MAX], struct mirai_str text)
{
    struct mirai_str cut = mirai_utf8_prefix(text, TEXT_MAX - 1);
    memcpy(out, cut.data != NULL ? cut.data : "", cut.len);
    out[cut.len] = '\0';
}

struct run *run_start(const struct run_options *options, struct mirai_str sha256, struct mirai_str name,
                      struct mirai_str media_type, run_cb callback, void *data)
{
    struct run *run = mirai_alloc(sizeof(*run));
    run->options = *options;
    run->callback = callback;
    run->data = data;
    snprintf(run->sha256, sizeof(run->sha256), "%.*s", MIRAI_STR_ARG(sha256));
    copy_text(run->name, name);
    copy_text(run->media_type, media_type);
    uv_pipe_init(options->loop, &run->in, 0);
    uv_pipe_init(options->loop, &run->out, 0);
    uv_timer_init(options->loop, &run->timer);
    run->open = 4;
    run->process.data = run->in.data = run->out.data = run->timer.data = run;
    int err = spawn(run);
    if (err != 0) {
        mirai_log(ERROR, "mirai-extract cannot be started", MIRAI_LOG_Z("program", options->program),
                  MIRAI_LOG_Z("reason", uv_strerror(err)));
        run->exited = run->heard = run->ended = true;
        run->outcome = EXTRACT_NO_PROGRAM;
        uv_timer_start(&run->timer, on_no_program, 0, 0);
        return run;
    }
    /* Answers come before attachments when the machine is full. */
    setpriority(PRIO_PROCESS, (id_t)run->process.pid, NICE);
    uv_timer_start(&run->timer, on_deadline, (uint64_t)options->timeout_ms, 0);
    uv_read_start((uv_stream_t *)&run->out, on_room, on_output);
    pull(run);
    return run;
}

void run_cancel(struct run *run)
{
    run->callback = NULL;
    stop(run, EXTRACT_TIMEOUT);
    close_all(run);
}
