/* Hints from one daemon to many (nng's PUB/SUB protocol): "something changed"; may be lost, so whoever needs all pulls. */
#ifndef MIRAI_PUBSUB_H
#define MIRAI_PUBSUB_H

#include "libcommon/rpc.h"
#include "libcommon/str.h"

#include <uv.h>

struct mirai_publisher;
/* For those that `security` knows (NULL: everyone). Loop thread. */
struct mirai_publisher *mirai_publisher_new(uv_loop_t *loop, const struct mirai_rpc_security *security);
/* Listen at `url` ("ipc:///run/mirai/knowledge-store@1.pub", "tls+tcp://…"), at most two. 0, or an error with its
 * reason logged; then the publisher can only be freed. Loop thread. */
int mirai_publisher_listen(struct mirai_publisher *publisher, const char *url);
/* Never blocks; slow subscribers lose messages. Any thread. */
void mirai_publish(struct mirai_publisher *publisher, struct mirai_str message);
/* No thread publishes any more. Loop thread; its memory goes when the loop has run the close callbacks. */
void mirai_publisher_free(struct mirai_publisher *publisher);

struct mirai_subscriber;
typedef void (*mirai_subscriber_cb)(void *data, struct mirai_str message);
/* Follow <run_dir>/<service>@*.pub, or the comma-separated `endpoints` when not empty; connects again by itself. security: NULL takes whoever listens there for the service.
 * Also calls back with an empty message when a connection was made (something may have been missed). Loop thread. */
struct mirai_subscriber *mirai_subscriber_new(uv_loop_t *loop, const char *service, const char *run_dir,
                                              const char *endpoints,
                                              const struct mirai_rpc_security *security,
                                              mirai_subscriber_cb callback, void *data);
void mirai_subscriber_free(struct mirai_subscriber *subscriber);

#endif
