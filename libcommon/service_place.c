#include "libcommon/service_internal.h"

#include "libcommon/config.h"
#include "libcommon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int service_place_init(struct service_place *place, const char *service, FILE *errors)
{
    const char *dir = mirai_config_str(MIRAI_CONFIG_RUN_DIR);
    int n = snprintf(place->socket, sizeof(place->socket), "%s/%s@%s.sock", dir, service,
                     mirai_config_str(MIRAI_CONFIG_INSTANCE));
    place->lock_fd = -1;
    if (n < 0 || (size_t)n >= sizeof(place->socket)) {
        fprintf(
            errors,
            "MIRAI_RUN_DIR: \"%s\" is not allowed; allowed: a path short enough that DIR/%s@%s.sock has at "
            "most %zu bytes\n",
            dir, service, mirai_config_str(MIRAI_CONFIG_INSTANCE), sizeof(place->socket) - 1);
        return MIRAI_E_INVALID;
    }
    snprintf(place->url, sizeof(place->url), "ipc://%s", place->socket);
    return 0;
}

/* The socket's path with another ending. */
static void sibling(const struct service_place *place, const char *ending, char path[108])
{
    snprintf(path, 108, "%.*s%s", (int)(strlen(place->socket) - strlen(".sock")), place->socket, ending);
}

/* Write our process id into the lock's file: the next one's error message names it. */
static void write_pid(int fd)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        mirai_log(WARNING, "cannot write the lock file", MIRAI_LOG_Z("reason", strerror(errno)));
    }
}

static int64_t read_pid(int fd)
{
    char text[16] = "";
    int64_t pid = 0;
    ssize_t n = pread(fd, text, sizeof(text), 0);
    if (n < 1 || mirai_parse_int((struct mirai_str){text, (size_t)n - 1}, 1, INT32_MAX, &pid) != 0) {
        return 0;
    }
    return pid;
}

static int lock_instance(struct service_place *place)
{
    char path[108];
    sibling(place, ".lock", path);
    place->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (place->lock_fd < 0) {
        mirai_log(FATAL, "cannot open the lock file", MIRAI_LOG_Z("path", path),
                  MIRAI_LOG_Z("reason", strerror(errno)));
        return MIRAI_E_INTERNAL;
    }
    if (flock(place->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        mirai_log(FATAL,
                  "another process of this instance is running; stop it, or set another MIRAI_INSTANCE",
                  MIRAI_LOG_Z("lock", path), MIRAI_LOG_I("pid", read_pid(place->lock_fd)));
        service_place_leave(place);
        return MIRAI_E_CONFLICT;
    }
    write_pid(place->lock_fd);
    return 0;
}

int service_place_take(struct service_place *place)
{
    static const char *const sockets[] = {".sock", ".pub"};
    const char *dir = mirai_config_str(MIRAI_CONFIG_RUN_DIR);
    if (mkdir(dir, 0750) != 0 && errno != EEXIST) {
        mirai_log(FATAL, "cannot make the run directory", MIRAI_LOG_Z("path", dir),
                  MIRAI_LOG_Z("reason", strerror(errno)));
        return MIRAI_E_INTERNAL;
    }
    int err = lock_instance(place);
    for (size_t i = 0; err == 0 && i < sizeof(sockets) / sizeof(sockets[0]); i++) {
        char path[108];
        sibling(place, sockets[i], path);
        if (unlink(path) != 0 && errno != ENOENT) {
            mirai_log(FATAL, "cannot remove a stale socket", MIRAI_LOG_Z("path", path),
                      MIRAI_LOG_Z("reason", strerror(errno)));
            service_place_leave(place);
            err = MIRAI_E_INTERNAL;
        }
    }
    return err;
}

/* The file stays: whoever removed it could remove the lock of a successor. */
void service_place_leave(struct service_place *place)
{
    if (place->lock_fd >= 0) {
        close(place->lock_fd);
        place->lock_fd = -1;
    }
}
