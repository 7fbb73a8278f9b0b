#include "services/gateway/proxied.h"

#include "services/gateway/proxy_protocol.h"

#include <stdlib.h>

struct proxied {
    proxied_cb callback;
    void *data;
    bool broken;
    size_t len;
    char bytes[PROXY_PROTOCOL_MAX];
};

/* libuv is about to read. Look at what there is, and give it room for what belongs to the header: TLS comes after it,
 * and must find its own first byte. */
static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
    struct proxied *proxied = handle->data;
    struct address client;
    uv_os_fd_t fd;
    size_t left = sizeof(proxied->bytes) - proxied->len;
    char *at = proxied->bytes + proxied->len;
    (void)suggested;
    ssize_t seen = uv_fileno(handle, &fd) == 0 ? recv(fd, at, left, MSG_PEEK | MSG_DONTWAIT) : -1;
    if (seen <= 0) {
        *room = uv_buf_init(at, left > 0); /* the end of the stream, or an error: libuv will say which */
        return;
    }
    int size = proxy_protocol_read((struct mirai_str){proxied->bytes, proxied->len + (size_t)seen}, &client);
    proxied->broken = size < 0;
    *room = uv_buf_init(at, size > 0 ? (unsigned)((size_t)size - proxied->len) : (unsigned)seen);
}

static void on_bytes(uv_stream_t *stream, ssize_t count, const uv_buf_t *room)
{
    struct proxied *proxied = stream->data;
    struct address client;
    (void)room;
    if (count == 0) {
        return;
    }
    proxied->len += count > 0 ? (size_t)count : 0;
    int size = count < 0 || proxied->broken
                   ? -1
                   : proxy_protocol_read((struct mirai_str){proxied->bytes, proxied->len}, &client);
    if (size != 0) {
        uv_read_stop(stream);
        proxied->callback(proxied->data, size > 0 ? &client : NULL);
    }
}

struct proxied *proxied_read(uv_tcp_t *tcp, proxied_cb callback, void *data)
{
    struct proxied *proxied = mirai_alloc(sizeof(*proxied));
    proxied->callback = callback;
    proxied->data = data;
    tcp->data = proxied;
    if (uv_read_start((uv_stream_t *)tcp, on_room, on_bytes) != 0) {
        free(proxied);
        return NULL;
    }
    return proxied;
}

void proxied_free(struct proxied *proxied)
{
    free(proxied);
}
