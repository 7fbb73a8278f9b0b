#include "libcommon/log.h"
#include "libcommon/rpc_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define RESCAN_MS      1000
#define WEIGHT_DEFAULT 100
#define WEIGHT_MAX     1000
#define ENDPOINTS_MAX  64

struct rpc_discovery {
    struct rpc_discovery_options options;
    char *prefix; /* "search-index@" */
    char *run_dir;
    char *suffix;
    uv_fs_event_t watch;
    uv_timer_t rescan;
    bool watching;
    bool closing;
    int open_handles;
    struct rpc_endpoint known[ENDPOINTS_MAX];
    size_t known_len;
};

/* The instance's name in "search-index@2.sock"; false for other files. */
static bool instance_name(const struct rpc_discovery *d, const char *file, char name[64])
{
    size_t len = strlen(file);
    size_t prefix = strlen(d->prefix);
    size_t suffix = strlen(d->suffix);
    if (len <= prefix + suffix || len - prefix - suffix >= 64 || strncmp(file, d->prefix, prefix) != 0 ||
        strcmp(file + len - suffix, d->suffix) != 0) {
        return false;
    }
    memcpy(name, file + prefix, len - prefix - suffix);
    name[len - prefix - suffix] = '\0';
    return true;
}

static bool contains(const struct rpc_endpoint *endpoints, size_t len, const char *url)
{
    for (size_t i = 0; i < len; i++) {
        if (strcmp(endpoints[i].url, url) == 0) {
            return true;
        }
    }
    return false;
}

/* Read the directory. False when it cannot be read: what is known stays. */
static bool list(const struct rpc_discovery *d, struct rpc_endpoint *found, size_t *len)
{
    DIR *dir = opendir(d->run_dir);
    *len = 0;
    if (dir == NULL) {
        return errno == ENOENT;
    }
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL && *len < ENDPOINTS_MAX) {
        struct rpc_endpoint *endpoint = &found[*len];
        if (!instance_name(d, entry->d_name, endpoint->name)) {
            continue;
        }
        int n = snprintf(endpoint->url, sizeof(endpoint->url), "ipc://%s/%s", d->run_dir, entry->d_name);
        if (n < (int)sizeof(endpoint->url)) {
            endpoint->weight = WEIGHT_DEFAULT;
            (*len)++;
        }
    }
    closedir(dir);
    return true;
}

static void scan(struct rpc_discovery *d)
{
    struct rpc_endpoint found[ENDPOINTS_MAX];
    struct rpc_endpoint before[ENDPOINTS_MAX];
    size_t before_len = d->known_len;
    size_t len;
    if (!list(d, found, &len)) {
        return;
    }
    memcpy(before, d->known, sizeof(before));
    memcpy(d->known, found, sizeof(found));
    d->known_len = len;
    for (size_t i = 0; i < before_len && !d->closing; i++) {
        if (!contains(found, len, before[i].url)) {
            d->options.vanished(d->options.data, before[i].url);
        }
    }
    for (size_t i = 0; i < len && !d->closing; i++) {
        if (!contains(before, before_len, found[i].url)) {
            d->options.appeared(d->options.data, &found[i]);
        }
    }
}

static void on_watch(uv_fs_event_t *handle, const char *file, int events, int status)
{
    struct rpc_discovery *d = handle->data;
    (void)file;
    (void)events;
    if (status < 0) {
        uv_fs_event_stop(handle);
        d->watching = false;
    }
    scan(d);
}

/* The directory may be made later, or again. */
static void watch(struct rpc_discovery *d)
{
    if (!d->watching) {
        d->watching = uv_fs_event_start(&d->watch, on_watch, d->run_dir, 0) == 0;
    }
}

static void on_rescan(uv_timer_t *timer)
{
    struct rpc_discovery *d = timer->data;
    watch(d);
    scan(d);
}

/* "URL" or "URL#WEIGHT". */
static bool parse_endpoint(struct mirai_str text, struct rpc_endpoint *endpoint)
{
    const char *hash = memchr(text.data, '#', text.len);
    int64_t weight = WEIGHT_DEFAULT;
    if (hash != NULL) {
        struct mirai_str digits = {hash + 1, (size_t)(text.data + text.len - hash - 1)};
        if (mirai_parse_int(digits, 1, WEIGHT_MAX, &weight) != 0) {
            return false;
        }
        text.len = (size_t)(hash - text.data);
    }
    if (text.len == 0 || text.len >= sizeof(endpoint->url)) {
        return false;
    }
    snprintf(endpoint->url, sizeof(endpoint->url), "%.*s", MIRAI_STR_ARG(text));
    snprintf(endpoint->name, sizeof(endpoint->name), "%.*s", (int)sizeof(endpoint->name) - 1, endpoint->url);
    endpoint->weight = (unsigned)weight;
    return true;
}

static void use_endpoints(struct rpc_discovery *d, const char *list_text)
{
    while (*list_text != '\0') {
        size_t len = strcspn(list_text, ",");
        struct rpc_endpoint endpoint;
        struct mirai_str text = {list_text, len};
        list_text += len + (list_text[len] == ',');
        while (text.len > 0 && text.data[0] == ' ') {
            text.data++;
            text.len--;
        }
        while (text.len > 0 && text.data[text.len - 1] == ' ') {
            text.len--;
        }
        if (text.len == 0) {
            continue;
        }
        if (!parse_endpoint(text, &endpoint)) {
            mirai_log(ERROR, "endpoint cannot be used", MIRAI_LOG_S("endpoint", text));
            continue;
        }
        d->options.appeared(d->options.data, &endpoint);
    }
}

struct rpc_discovery *rpc_discovery_new(const struct rpc_discovery_options *options)
{
    struct rpc_discovery *d = mirai_alloc(sizeof(*d));
    size_t prefix_size = strlen(options->service) + 2;
    d->options = *options;
    d->prefix = mirai_alloc(prefix_size);
    snprintf(d->prefix, prefix_size, "%s@", options->service);
    d->run_dir = mirai_str_dup(mirai_str(options->run_dir));
    d->suffix = mirai_str_dup(mirai_str(options->suffix));
    uv_timer_init(options->loop, &d->rescan);
    uv_fs_event_init(options->loop, &d->watch);
    d->rescan.data = d;
    d->watch.data = d;
    d->open_handles = 2;
    if (options->endpoints != NULL && options->endpoints[0] != '\0') {
        use_endpoints(d, options->endpoints);
    } else if (d->run_dir[0] != '\0') {
        watch(d);
        scan(d);
        uv_timer_start(&d->rescan, on_rescan, RESCAN_MS, RESCAN_MS);
    }
    return d;
}

static void on_closed(uv_handle_t *handle)
{
    struct rpc_discovery *d = handle->data;
    if (--d->open_handles > 0) {
        return;
    }
    struct rpc_discovery_options options = d->options;
    free(d->prefix);
    free(d->run_dir);
    free(d->suffix);
    free(d);
    options.closed(options.data);
}

void rpc_discovery_free(struct rpc_discovery *discovery)
{
    discovery->closing = true;
    uv_close((uv_handle_t *)&discovery->rescan, on_closed);
    uv_close((uv_handle_t *)&discovery->watch, on_closed);
}
