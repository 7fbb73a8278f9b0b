/* What the kernel knows of a connection; apart, because <linux/tcp.h> and <netinet/tcp.h> exclude each other.
 */
#ifndef GATEWAY_TCP_H
#define GATEWAY_TCP_H

#include <stdint.h>

/* Bytes received and bytes acknowledged by the peer since it was opened, in one sum; 0 when unknown. */
uint64_t tcp_bytes_moved(int fd);

#endif
