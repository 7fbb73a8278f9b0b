#include "libcommon/log.h"

#include "libcommon/error.h"
#include "libcommon/mask.h"
#include "libcommon/thread.h"
#include "libcommon/time.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_MAX_BYTES  65536
#define VALUE_MAX_BYTES ((size_t)8192) /* of one string; six times as long when every byte is escaped */
#define QUEUE_MAX_BYTES (4u << 20)     /* lines that wait for a slow reader; more are dropped and counted */
#define FLUSH_MS        2000           /* longest wait for the writer after a fatal line and at exit */

static const char *const level_names[] = {"debug", "info", "warning", "error", "fatal"};

/* A finished line on its way to the writer. */
struct line {
    struct line *next;
    size_t len;
    char bytes[];
};

/* The process has one log. A thread of its own writes, so that a full pipe or a slow disk never stops a loop.
 */
static struct {
    _Atomic int level;
    int fd;
    char *path;           /* NULL: standard output */
    struct mirai_buf who; /* "service" and "instance" members, as JSON */

    pthread_mutex_t lock;
    pthread_cond_t filled;  /* the writer waits: lines, or stop */
    pthread_cond_t written; /* flush waits: seq_written moved on, or the writer ended */
    pthread_t writer;
    bool running; /* the writer takes lines; before and after it, lines are written by their caller */
    bool waiting; /* the writer sleeps */
    bool stop;
    struct line *head;
    struct line **tail;
    size_t queued;        /* bytes in the list */
    uint64_t dropped;     /* lines since the last report */
    uint64_t seq_queued;  /* lines ever queued */
    uint64_t seq_written; /* lines ever written or given up */
} logger = {
    .level = MIRAI_LOG_INFO,
    .fd = STDOUT_FILENO,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .tail = &logger.head,
};

/* ------------------------------------------------------------------ one line */

static void append_text(struct mirai_buf *buf, struct mirai_str text)
{
    struct mirai_buf masked = {0};
    /* A little more than is shown, so that a secret at the cut is still whole. */
    struct mirai_str seen = {text.data, text.len < 2 * VALUE_MAX_BYTES ? text.len : 2 * VALUE_MAX_BYTES};
    struct mirai_str shown = mirai_mask(seen, &masked) ? mirai_buf_str(&masked) : seen;
    mirai_buf_append_json(buf, mirai_utf8_prefix(shown, VALUE_MAX_BYTES));
    if (shown.len > VALUE_MAX_BYTES || text.len > seen.len) {
        buf->len--; /* the closing quote moves behind the mark that says so */
        mirai_buf_append_str(buf, MIRAI_STR("…\""));
    }
    mirai_buf_free(&masked);
}

static void append_member(struct mirai_buf *buf, const char *key, struct mirai_str text)
{
    mirai_buf_append_char(buf, ',');
    mirai_buf_append_json(buf, mirai_str(key));
    mirai_buf_append_char(buf, ':');
    append_text(buf, text);
}

static void append_field(struct mirai_buf *buf, const struct mirai_log_field *field)
{
    struct mirai_str key = mirai_str(field->key);
    if (field->type == MIRAI_LOG_FIELD_STR) {
        append_member(buf, field->key,
                      mirai_mask_key(key) && field->str.len > 0 ? MIRAI_STR("***") : field->str);
        return;
    }
    mirai_buf_append_char(buf, ',');
    mirai_buf_append_json(buf, key);
    if (field->type == MIRAI_LOG_FIELD_INT) {
        mirai_buf_printf(buf, ":%lld", (long long)field->integer);
    } else if (isfinite(field->real)) {
        mirai_buf_printf(buf, ":%.15g", field->real);
    } else { /* JSON has no word for it (RFC 8259 §6) */
        mirai_buf_append_str(buf, MIRAI_STR(":null"));
    }
}

/* "services/gateway/routes.c" -> "routes" */
static struct mirai_str module_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    struct mirai_str name = mirai_str(slash != NULL ? slash + 1 : file);
    const char *dot = memchr(name.data, '.', name.len);
    return (struct mirai_str){name.data, dot != NULL ? (size_t)(dot - name.data) : name.len};
}

static void append_line(struct mirai_buf *buf, enum mirai_log_level level, const char *file,
                        const char *function, const char *message, const struct mirai_log_field *fields)
{
    static const struct mirai_str cut = MIRAI_STR(",\"truncated\":true");
    char now[MIRAI_RFC3339_SIZE];
    mirai_rfc3339_format(now, mirai_now_ms());
    mirai_buf_printf(buf, "{\"timestamp\":\"%s\",\"level\":\"%s\",\"message\":", now, level_names[level]);
    append_text(buf, mirai_str(message));
    append_member(buf, "module", module_of(file));
    append_member(buf, "function", mirai_str(function));
    mirai_buf_append_str(buf, mirai_buf_str(&logger.who));
    for (; fields != NULL && fields->key != NULL; fields++) {
        size_t before = buf->len;
        append_field(buf, fields);
        if (buf->len + cut.len + 2 > LINE_MAX_BYTES) {
            buf->len = before;
            mirai_buf_append_str(buf, cut);
            break;
        }
    }
    mirai_buf_append_str(buf, MIRAI_STR("}\n"));
}

/* ------------------------------------------------------------------ the writer */

/* The whole line in one write(2), unless the descriptor takes less. False when it takes nothing any more. */
static bool write_bytes(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(logger.fd, bytes, len);
        if (n >= 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            poll(&(struct pollfd){.fd = logger.fd, .events = POLLOUT}, 1, 1000);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static bool write_dropped(uint64_t lines)
{
    struct mirai_buf buf = {0};
    const struct mirai_log_field fields[] = {MIRAI_LOG_I("lines", (int64_t)lines), {.key = NULL}};
    append_line(&buf, MIRAI_LOG_WARNING, __FILE__, __func__,
                "log lines were lost: their reader is too slow or full", fields);
    bool written = write_bytes(buf.data, buf.len);
    mirai_buf_free(&buf);
    return written;
}

/* Write what is queued, and then how much is missing. False when something could not be written. Called with
 * the lock, which is free while bytes are on their way. */
static bool write_queue(void)
{
    struct line *line = logger.head;
    uint64_t dropped = logger.dropped;
    uint64_t lines = 0;
    uint64_t lost = 0;
    size_t bytes = 0;
    logger.head = NULL;
    logger.tail = &logger.head;
    logger.dropped = 0;
    pthread_mutex_unlock(&logger.lock);
    while (line != NULL) {
        struct line *next = line->next;
        lost += !write_bytes(line->bytes, line->len);
        bytes += line->len;
        lines++;
        free(line);
        line = next;
    }
    if (dropped > 0 && !write_dropped(dropped)) {
        lost += dropped;
    }
    pthread_mutex_lock(&logger.lock);
    logger.queued -= bytes;
    logger.seq_written += lines;
    logger.dropped += lost;
    pthread_cond_broadcast(&logger.written);
    return lost == 0;
}

static void *writer_main(void *unused)
{
    (void)unused;
    bool healthy =
        true; /* the last write went well: no use in reporting losses to a full disk again and again */
    pthread_mutex_lock(&logger.lock);
    for (;;) {
        if (logger.head != NULL || (logger.dropped > 0 && healthy)) {
            healthy = write_queue();
        } else if (logger.stop) {
            break;
        } else {
            logger.waiting = true;
            pthread_cond_wait(&logger.filled, &logger.lock);
            logger.waiting = false;
        }
    }
    logger.running = false;
    pthread_cond_broadcast(&logger.written);
    pthread_mutex_unlock(&logger.lock);
    return NULL;
}

/* Wait until everything that is queued now has been written, FLUSH_MS at most. Called with the lock. */
static void flush_locked(void)
{
    uint64_t until = logger.seq_queued;
    struct timespec deadline = mirai_cond_deadline(FLUSH_MS);
    while (logger.running && logger.seq_written < until &&
           pthread_cond_timedwait(&logger.written, &logger.lock, &deadline) == 0) {
    }
}

static void enqueue(const struct mirai_buf *text, bool flush)
{
    struct line *line = mirai_alloc(sizeof(*line) + text->len);
    line->len = text->len;
    memcpy(line->bytes, text->data, text->len);
    pthread_mutex_lock(&logger.lock);
    if (!logger.running) {
        write_bytes(line->bytes, line->len);
        free(line);
    } else if (logger.queued + line->len > QUEUE_MAX_BYTES) {
        logger.dropped++;
        free(line);
    } else {
        *logger.tail = line;
        logger.tail = &line->next;
        logger.queued += line->len;
        logger.seq_queued++;
        if (logger.waiting) {
            pthread_cond_signal(&logger.filled);
        }
        if (flush) {
            flush_locked();
        }
    }
    pthread_mutex_unlock(&logger.lock);
}

void mirai_log_write(enum mirai_log_level level, const char *file, const char *function, const char *message,
                     const struct mirai_log_field *fields)
{
    struct mirai_buf buf = {0};
    append_line(&buf, level, file, function, message, fields);
    enqueue(&buf, level == MIRAI_LOG_FATAL);
    mirai_buf_free(&buf);
}

/* ------------------------------------------------------------------ life */

/* At exit: the last lines, unless their reader is stuck. */
static void log_close(void)
{
    struct timespec deadline = mirai_cond_deadline(FLUSH_MS);
    bool ended;
    pthread_mutex_lock(&logger.lock);
    logger.stop = true;
    pthread_cond_signal(&logger.filled);
    while (logger.running && pthread_cond_timedwait(&logger.written, &logger.lock, &deadline) == 0) {
    }
    ended = !logger.running;
    pthread_mutex_unlock(&logger.lock);
    if (ended) {
        pthread_join(logger.writer, NULL);
    }
}

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

int mirai_log_open(const char *service, const char *instance, const char *file)
{
    logger.who.len = 0;
    append_member(&logger.who, "service", mirai_str(service));
    append_member(&logger.who, "instance", mirai_str(instance));
    if (file != NULL && *file != '\0') {
        int fd = open_file(file);
        if (fd < 0) {
            return MIRAI_E_INTERNAL;
        }
        logger.fd = fd;
        logger.path = mirai_str_dup(mirai_str(file));
    }
    mirai_cond_init(&logger.filled);
    mirai_cond_init(&logger.written);
    logger.running = true;
    int err = mirai_thread_start(&logger.writer, "log", writer_main, NULL);
    if (err != 0) {
        logger.running = false;
        return err;
    }
    atexit(log_close);
    return 0;
}

int mirai_log_reopen(void)
{
    if (logger.path == NULL) {
        return 0;
    }
    int fd = open_file(logger.path);
    /* dup3 puts the new file under the old number in one step: the writer needs no lock. */
    int moved = fd >= 0 ? dup3(fd, logger.fd, O_CLOEXEC) : -1;
    if (fd >= 0) {
        close(fd);
    }
    return moved >= 0 ? 0 : MIRAI_E_INTERNAL;
}

void mirai_log_set_level(enum mirai_log_level level)
{
    atomic_store_explicit(&logger.level, level, memory_order_relaxed);
}

bool mirai_log_enabled(enum mirai_log_level level)
{
    return (int)level >= atomic_load_explicit(&logger.level, memory_order_relaxed);
}

int mirai_log_parse_level(struct mirai_str name, enum mirai_log_level *level)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (mirai_str_eq(mirai_str(level_names[i]), name)) {
            *level = (enum mirai_log_level)i;
            return 0;
        }
    }
    return MIRAI_E_INVALID;
}
