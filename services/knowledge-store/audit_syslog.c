#include "services/knowledge-store/audit_syslog.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/time.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PRIORITY (13 * 8 + 5) /* RFC 5424 §6.2.1 */

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
    if (target[0] == '/') {
        address->path.sun_family = AF_UNIX;
        snprintf(address->path.sun_path, sizeof(address->path.sun_path), "%s", target);
        return sizeof(address->path);
    }
    if (strncmp(target, "udp://", 6) != 0 ||
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

void audit_syslog_send(const char *target, struct mirai_str message, int64_t at_ms)
{
    char host[256] = "-", at[MIRAI_RFC3339_SIZE];
    union address address;
    socklen_t len = parse_target(target, &address);
    struct mirai_buf line = {0};
    if (len == 0) {
        return;
    }
    gethostname(host, sizeof(host) - 1);
    mirai_rfc3339_format(at, at_ms);
    mirai_buf_printf(&line, "<%d>1 %s %s mirai-knowledge-store %d audit-head - ", PRIORITY, at, host,
                     (int)getpid());
    mirai_buf_append_str(&line, message);
    int fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || sendto(fd, line.data, line.len, MSG_NOSIGNAL, &address.any, len) < 0) {
        mirai_log(WARNING, "syslog did not take the audit log's head", MIRAI_LOG_Z("target", target),
                  MIRAI_LOG_Z("reason", strerror(errno)));
    }
    if (fd >= 0) {
        close(fd);
    }
    mirai_buf_free(&line);
}
