/* The address of a Redis server, from the configuration. */
#ifndef GATEWAY_REDIS_URL_H
#define GATEWAY_REDIS_URL_H

#include "libcommon/str.h"

/* redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss:// the same over TLS, unix://[[USER]:PASSWORD@]/PATH[?db=DB]. USER and
 * PASSWORD are percent-encoded (RFC 3986 §2.1). Source: https://www.iana.org/assignments/uri-schemes/prov/redis */
struct redis_url {
    char host[256]; /* name, address without brackets, or path */
    int port;       /* 0: host is a path */
    int db;
    bool tls;
    char user[128];     /* empty: Redis' default user */
    char password[512]; /* empty: none */
};

/* 0, or MIRAI_E_INVALID: then *out is empty. */
int redis_url_parse(struct mirai_str text, struct redis_url *out);

#endif
