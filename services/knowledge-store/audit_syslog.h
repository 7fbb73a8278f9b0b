/* Sends the audit log's signed heads to syslog, so that they leave the host. */
#ifndef STORE_AUDIT_SYSLOG_H
#define STORE_AUDIT_SYSLOG_H

#include "libcommon/str.h"

/* One datagram (RFC 5424, facility 13 "log audit", severity notice) to `target`: "off", the path of a socket such as
 * /dev/log, or udp://ADDRESS:PORT. Never waits: what the receiver does not take at once is lost, and that is logged. */
void audit_syslog_send(const char *target, struct mirai_str message, int64_t at_ms);

#endif
