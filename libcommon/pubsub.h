/* Hints from one daemon to many (nng PUB/SUB): "something changed"; may be lost, so whoever needs all pulls. */
#ifndef MIRAI_PUBSUB_H
#define MIRAI_PUBSUB_H

#include "libcommon/rpc.h"
#include "libcommon/str.h"

#include <uv.h>

struct mirai_publisher;
/* Listen at `url` ("ipc:///run/mirai/knowledge-store@1.pub") for those that `security` knows (NULL: everyone).
 * NULL with the reason logged. */
struct mirai_publisher *mirai_publisher_new(const char *url, const struct mirai_rpc_security *security);
/* Listen at a "tls+tcp://" URL too, once, on this loop. 0, or an error with its reason logged. */
int mirai_publisher_listen(struct mirai_publisher *publisher, uv_loop_t *loop, const char *url);
/* Never blocks; slow subscribers lose messages. Any thread. */
void mirai_publish(struct mirai_publisher *publisher, struct mirai_str message);
/* After mirai_publisher_listen: on the loop's thread; the loop then runs its close callbacks. */
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
