#include "services/gateway/static.h"

#include "services/gateway/gateway.h"

#include <sodium.h>

#define ASSETS_MAX 64

static const struct media {
    const char *suffix;
    const char *type;
    bool compressible;
} medias[] = {
    {".html", "text/html; charset=utf-8", true},
    {".js", "text/javascript; charset=utf-8", true},
    {".css", "text/css; charset=utf-8", true},
    {".svg", "image/svg+xml", true},
    {".json", "application/json", true},
    {".txt", "text/plain; charset=utf-8", true},
    {".webmanifest", "application/manifest+json", true},
    {".png", "image/png", false},
    {".ico", "image/x-icon", false},
    {".woff2", "font/woff2", false},
    {"", "application/octet-stream", false},
};

static char etags[ASSETS_MAX][17]; /* hash of the content */

static const struct media *media_of(const char *name)
{
    const struct media *media = medias;
    for (size_t len = strlen(name);; media++) {
        size_t suffix = strlen(media->suffix);
        if (suffix == 0 || (len > suffix && strcmp(name + len - suffix, media->suffix) == 0)) {
            return media;
        }
    }
}

void static_init(void)
{
    for (size_t i = 0; static_assets[i].name != NULL && i < ASSETS_MAX; i++) {
        unsigned char hash[crypto_hash_sha256_BYTES];
        crypto_hash_sha256(hash, (const unsigned char *)static_assets[i].begin,
                           (unsigned long long)(static_assets[i].end - static_assets[i].begin));
        mirai_hex(etags[i], hash, 8);
    }
}

static const h2o_mime_attributes_t attributes[2] = {{.is_compressible = 0}, {.is_compressible = 1}};

void handle_page(struct exchange *exchange)
{
    struct mirai_str name =
        exchange->target.segments_count == 0 ? MIRAI_STR("index.html") : *exchange->path_values[0];
    size_t i = 0;
    while (static_assets[i].name != NULL && !mirai_str_eq(name, mirai_str(static_assets[i].name))) {
        i++;
    }
    if (static_assets[i].name == NULL || i >= ASSETS_MAX) {
        response_fault(exchange, MIRAI_E_NOT_FOUND, NULL);
        return;
    }
    const struct media *media = media_of(static_assets[i].name);
    enum response_cache cache = RESPONSE_NO_STORE;
    if (response_etag_of(exchange, mirai_str(etags[i]), &cache)) {
        return;
    }
    response_header(exchange, H2O_TOKEN_CONTENT_TYPE, mirai_str(media->type));
    response_common_headers(exchange, cache, true);
    exchange->req->res.mime_attr = (h2o_mime_attributes_t *)&attributes[media->compressible];
    response_send(
        exchange, 200,
        (struct mirai_str){static_assets[i].begin, (size_t)(static_assets[i].end - static_assets[i].begin)});
}
