#include "services/knowledge-store/clamd.h"

#include "libcommon/config.h"
#include "libcommon/time.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CHUNK_BYTES  65536
#define HEAD_BYTES   4    /* length of a chunk, big endian */
#define ANSWER_BYTES 1024 /* clamd's are far shorter */
#define LOOK_MS      100  /* how often *stop is looked at */

struct scan {
    const char *target;
    int content;
    int socket;
    uint64_t deadline_ms;
    const atomic_bool *stop;
    char *reason;
    bool complete; /* it was given the whole content */
};

static bool give_up(const struct scan *scan, const char *why)
{
    snprintf(scan->reason, CLAMD_REASON_SIZE, "%s", why);
    return false;
}

static bool is_over(const struct scan *scan)
{
    return atomic_load(scan->stop) || mirai_monotonic_ms() >= scan->deadline_ms;
}

/* Wait for any of the events. Those that came; 0: the time is over. */
static int wait_for(const struct scan *scan, int events)
{
    struct pollfd poller = {.fd = scan->socket, .events = (short)events};
    while (!is_over(scan)) {
        if (poll(&poller, 1, LOOK_MS) > 0) {
            return poller.revents;
        }
    }
    give_up(scan, "no answer in time");
    return 0;
}

/* ------------------------------------------------------------------ connecting */

union address {
    struct sockaddr any;
    struct sockaddr_un path;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
};

/* Length of the address; 0 when the target is none (the configuration has been checked). */
static socklen_t parse_target(const char *target, union address *address)
{
    char host[64];
    int port;
    memset(address, 0, sizeof(*address));
    if (strncmp(target, "unix:", 5) == 0) {
        address->path.sun_family = AF_UNIX;
        snprintf(address->path.sun_path, sizeof(address->path.sun_path), "%s", target + 5);
        return sizeof(address->path);
    }
    if (strncmp(target, "tcp://", 6) != 0 ||
        !mirai_config_parse_address(mirai_str(target + 6), host, &port)) {
        return 0;
    }
    if (inet_pton(AF_INET, host, &address->ip4.sin_addr) == 1) {
        address->ip4.sin_family = AF_INET;
        address->ip4.sin_port = htons((uint16_t)port);
        return sizeof(address->ip4);
    }
    address->ip6.sin6_family = AF_INET6;
    address->ip6.sin6_port = htons((uint16_t)port);
    return inet_pton(AF_INET6, host, &address->ip6.sin6_addr) == 1 ? sizeof(address->ip6) : 0;
}

/* A connection under way has been made, or not. */
static bool is_connected(const struct scan *scan)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (wait_for(scan, POLLOUT) == 0) {
        return false;
    }
    if (getsockopt(scan->socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        return give_up(scan, strerror(error != 0 ? error : errno));
    }
    return true;
}

/* EAGAIN of a UNIX socket (connect(2)): its queue is full, and nothing tells when it no longer is. */
static bool make_connection(struct scan *scan)
{
    union address address;
    socklen_t len = parse_target(scan->target, &address);
    scan->socket = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (len == 0 || scan->socket < 0) {
        return give_up(scan, len == 0 ? "no address" : strerror(errno));
    }
    while (connect(scan->socket, &address.any, len) != 0) {
        if (errno == EINPROGRESS) {
            return is_connected(scan);
        }
        if (errno != EAGAIN && errno != EINTR) {
            return give_up(scan, strerror(errno));
        }
        if (is_over(scan)) {
            return give_up(scan, "its queue is full");
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
    return true;
}

/* ------------------------------------------------------------------ the conversation */

/* False when the time is over, or when clamd has spoken (or left) before it has all: then its answer counts. */
static bool send_all(const struct scan *scan, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(scan->socket, data, len, MSG_NOSIGNAL);
        if (sent > 0) {
            data += sent;
            len -= (size_t)sent;
        } else if (sent < 0 && errno == EINTR) {
            continue;
        } else if (sent < 0 && errno != EAGAIN) {
            return give_up(scan, strerror(errno));
        } else if ((wait_for(scan, POLLIN | POLLOUT) & POLLOUT) == 0) {
            return false;
        }
    }
    return true;
}

static ssize_t read_content(const struct scan *scan, char *data)
{
    ssize_t got;
    do {
        got = read(scan->content, data, CHUNK_BYTES);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* Each chunk with its length before it, and the length 0 at the end. False when the content cannot be read: then no
 * answer counts. */
static bool send_content(struct scan *scan)
{
    char *chunk = mirai_alloc(HEAD_BYTES + CHUNK_BYTES);
    bool goes_on = send_all(scan, "zINSTREAM", sizeof("zINSTREAM")); /* with its NUL */
    ssize_t got = 1;
    while (goes_on && got > 0 && !is_over(scan)) {
        got = read_content(scan, chunk + HEAD_BYTES);
        if (got < 0) {
            break;
        }
        uint32_t length = htonl((uint32_t)got);
        memcpy(chunk, &length, HEAD_BYTES);
        goes_on = send_all(scan, chunk, HEAD_BYTES + (size_t)got);
    }
    free(chunk);
    scan->complete = goes_on && got == 0;
    return got >= 0 || give_up(scan, "the content cannot be read");
}

/* Up to the NUL; what comes without one is no answer. */
static enum clamd_verdict read_answer(const struct scan *scan)
{
    char answer[ANSWER_BYTES];
    size_t len = 0;
    while (len < sizeof(answer) && wait_for(scan, POLLIN) != 0) {
        ssize_t got = recv(scan->socket, answer + len, sizeof(answer) - len, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            continue;
        }
        if (got <= 0) {
            give_up(scan, got < 0 ? strerror(errno) : "it has closed the connection");
            return CLAMD_NO_ANSWER;
        }
        const char *end = memchr(answer + len, '\0', (size_t)got);
        len += (size_t)got;
        if (end != NULL) {
            return clamd_parse((struct mirai_str){answer, (size_t)(end - answer)}, scan->reason);
        }
    }
    if (len == sizeof(answer)) {
        give_up(scan, "its answer has no end");
    }
    return CLAMD_NO_ANSWER;
}

enum clamd_verdict clamd_scan(const char *target, int fd, uint64_t deadline_ms, const atomic_bool *stop,
                              char reason[CLAMD_REASON_SIZE])
{
    struct scan scan = {.target = target,
                        .content = fd,
                        .socket = -1,
                        .deadline_ms = deadline_ms,
                        .stop = stop,
                        .reason = reason};
    enum clamd_verdict verdict = CLAMD_NO_ANSWER;
    reason[0] = '\0';
    if (make_connection(&scan) && send_content(&scan)) {
        verdict = read_answer(&scan);
    }
    if (scan.socket >= 0) {
        close(scan.socket);
    }
    if (verdict == CLAMD_CLEAN && !scan.complete) {
        give_up(&scan, "a verdict before the end of the content");
        verdict = CLAMD_NO_ANSWER;
    }
    return verdict;
}
