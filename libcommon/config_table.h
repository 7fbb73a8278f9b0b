/* Every configuration variable, once: parser, --help, --check-config and the documents come from these rows. */
#ifndef MIRAI_CONFIG_TABLE_H
#define MIRAI_CONFIG_TABLE_H

/* S(KEY, default, flags, help)            string; flags: 0 or MIRAI_CONFIG_SECRET (also read from MIRAI_KEY_FILE;
 *                                         may be sealed, see libcommon/sealed.h)
 * I(KEY, default, min, max, unit, help)   integer
 * B(KEY, default, help)                   boolean: true|false|1|0|yes|no|on|off
 * E(KEY, default, "a|b|c", help)          one of a list
 * A(KEY, default, help)                   ADDRESS:PORT; IPv6 in brackets; port 1..65535
 * The environment variable is MIRAI_ followed by KEY. Empty values mean the default. */
#define MIRAI_CONFIG_TABLE(S, I, B, E, A)                                                                    \
    E(ENVIRONMENT, "production", "production|development", "kind of installation; development logs more")    \
    S(INSTANCE, "1", 0, "instance name of this daemon; part of its socket's name")                           \
    S(RUN_DIR, "/run/mirai", 0, "directory of the daemons' sockets")                                         \
    S(DATA_DIR, "/var/lib/mirai", 0, "directory of databases and attachments")                               \
    S(BACKUP_DIR, "/backups/mirai-knowledge", 0, "directory of snapshots")                                   \
    E(LOCALE, "ja", "ja|en", "language where the client does not ask for one")                               \
    E(LOG_LEVEL, "info", "debug|info|warning|error|fatal", "lowest level that is logged")                    \
    S(LOG_FILE, "", 0, "file to append log lines to; empty: standard output")                                \
    I(DRAIN_MS, 5000, 0, 60000, "ms", "longest time between SIGTERM and exit")                               \
    I(RPC_DEADLINE_MS, 2000, 10, 60000, "ms", "deadline of a call between daemons")                          \
    I(RPC_OUTSTANDING_MAX, 4096, 1, 65536, "calls",                                                          \
      "calls in flight to one upstream before it counts as overloaded")                                      \
    I(RPC_QUEUE_MAX, 8192, 16, 65536, "calls", "calls that a daemon holds before it answers overloaded")     \
    S(STORE_ENDPOINTS, "", 0,                                                                                \
      "nng URLs of knowledge-store, comma-separated, URL or URL#WEIGHT; empty: found in RUN_DIR")            \
    S(SEARCH_ENDPOINTS, "", 0, "nng URLs of search-index; empty: found in RUN_DIR")                          \
    S(BACKUP_ENDPOINTS, "", 0, "nng URLs of backup; empty: found in RUN_DIR")                                \
    S(METRICS_ENDPOINTS, "", 0, "nng URLs of metrics; empty: found in RUN_DIR")                              \
    S(GATEWAY_ENDPOINTS, "", 0, "nng URLs of gateway (for metrics and status); empty: found in RUN_DIR")     \
    S(RPC_PEERS, "", 0,                                                                                      \
      "UNIX users of the daemons that may call this one, NAME=USER, comma-separated; the others keep "       \
      "theirs "                                                                                              \
      "(gateway=mirai-gateway, search-index=mirai-search, backup=mirai-backup, metrics=mirai-metrics, "      \
      "knowledge-store=mirai-store)")                                                                        \
    S(RPC_LISTEN, "", 0, "tls+tcp://ADDRESS:PORT on which daemons of other hosts are answered; empty: none") \
    S(RPC_TLS_CERTIFICATE, "/etc/mirai/rpc/daemon.pem", 0,                                                   \
      "PEM file with this daemon's certificate for other hosts; its common name is the daemon's name")       \
    S(RPC_TLS_PRIVATE_KEY, "/etc/mirai/rpc/daemon.key", 0, "PEM file with its private key")                  \
    S(RPC_TLS_CA, "/etc/mirai/rpc/ca.pem", 0, "PEM file with the authority that signs for all daemons")      \
    S(FEED_LISTEN, "", 0,                                                                                    \
      "tls+tcp://ADDRESS:PORT on which the store tells other hosts of changes; empty: none")                 \
    S(FEED_ENDPOINTS, "", 0, "tls+tcp URLs of the stores' FEED_LISTEN; empty: found in RUN_DIR")             \
    A(GATEWAY_LISTEN, "127.0.0.1:8888", "address and port of HTTPS")                                         \
    I(GATEWAY_THREADS, 0, 0, 64, "threads", "event loops; 0: one per core")                                  \
    S(TLS_CERTIFICATE, "/etc/mirai/tls/server.pem", 0,                                                       \
      "PEM file with the certificate chain; read again when it changes")                                     \
    S(TLS_PRIVATE_KEY, "/etc/mirai/tls/server.key", 0, "PEM file with the private key")                      \
    I(TLS_TICKET_SECONDS, 3600, 1, 86400, "s",                                                               \
      "how long a TLS session can be resumed, and how often the key of its tickets changes")                 \
    I(HSTS_SECONDS, -1, -1, 315360000, "s",                                                                  \
      "max-age of Strict-Transport-Security; 0: not sent; -1: a year, or not sent on a loopback address")    \
    I(BODY_MAX_BYTES, 4194304, 1024, 1073741824, "bytes", "largest JSON request body")                       \
    I(ATTACHMENT_MAX_BYTES, 52428800, 1024, 1073741824, "bytes", "largest attachment")                       \
    I(UPLOADS_MAX, 8, 1, 1024, "uploads", "attachment uploads in flight at once")                            \
    I(BODIES_MAX_BYTES, 268435456, 1048576, INT64_C(68719476736), "bytes",                                   \
      "unfinished requests and unread answers of all clients; above it who holds most is cut off")           \
    I(CONNECTIONS_MAX, 4096, 8, 65536, "connections", "open client connections")                             \
    I(CONNECTIONS_PER_ADDRESS, 1024, 1, 65536, "connections",                                                \
      "open connections of one client address or IPv6 /64; raise it where a proxy speaks for all")           \
    I(HTTP2_RESETS_PER_SECOND, 20, 1, 10000000, "resets",                                                    \
      "streams that one HTTP/2 connection may cancel, five seconds' worth at once; above it, it is ended")   \
    I(HTTP2_FRAMES_PER_SECOND, 100, 1, 10000000, "frames",                                                   \
      "PING, SETTINGS, PRIORITY and the like that one HTTP/2 connection may send beside its requests")       \
    I(REQUEST_TIMEOUT_MS, 10000, 100, 600000, "ms",                                                          \
      "longest time to receive a request's head or the next part of its body")                               \
    I(IDLE_TIMEOUT_MS, 60000, 1000, 3600000, "ms", "longest idle time of a kept-alive connection")           \
    S(TRUSTED_PROXIES, "", 0,                                                                                \
      "addresses and networks (CIDR) of proxies, comma-separated, whose X-Forwarded-For or PROXY header is " \
      "believed")                                                                                            \
    B(PROXY_PROTOCOL, false,                                                                                 \
      "every connection comes from a trusted proxy and begins with a PROXY header, version 1 or 2")          \
    I(RATE_WINDOW_S, 10, 1, 3600, "s",                                                                       \
      "what an idle client may ask for at once: so many seconds of its rate")                                \
    I(RATE_READS, 200, 0, 1000000, "requests/s", "reads of one account; 0: no limit, as for all rates")      \
    I(RATE_WRITES, 50, 0, 1000000, "requests/s", "changes by one account")                                   \
    I(RATE_SEARCHES, 50, 0, 1000000, "requests/s", "searches and suggestions of one account")                \
    I(RATE_UPLOADS, 10, 0, 1000000, "requests/s", "uploads of one account")                                  \
    I(RATE_LOGINS, 10, 0, 1000000, "requests/s", "login attempts from one address (IPv6: /64)")              \
    I(RATE_ANONYMOUS, 100, 0, 1000000, "requests/s", "other requests without credentials from one address")  \
    I(RATE_UNAUTHENTICATED, 20, 0, 1000000, "requests/s",                                                    \
      "requests with credentials that nobody knows from one address")                                        \
    I(LOGIN_FAILURES, 5, 0, 1000000, "failures",                                                             \
      "failed logins of one account from one address before further ones must wait; four times as many for " \
      "all of an account or of an address; 0: none waits")                                                   \
    I(LOGIN_WAIT_S, 300, 1, 3600, "s",                                                                       \
      "longest wait before the next login of one account from one address; a tenth of it for all of an "     \
      "account or of an address")                                                                            \
    I(AUTH_CACHE_MS, 500, 0, 10000, "ms",                                                                    \
      "how long a verified token or session is trusted without asking the store again, where its stamps do " \
      "not say that nothing has changed (another host); 0: always ask")                                      \
    S(CORS_ORIGINS, "", 0,                                                                                   \
      "origins whose pages may call the API with a bearer token, https://HOST[:PORT], comma-separated; "     \
      "empty: none")                                                                                         \
    I(GATEWAY_CACHE_BYTES, 8388608, 0, 1073741824, "bytes",                                                  \
      "answers that a gateway keeps and gives again while the store says that nothing has changed")          \
    I(SESSION_HOURS, 12, 1, 720, "hours", "lifetime of a browser login")                                     \
    I(LOGIN_FAILURE_MS, 250, 0, 10000, "ms",                                                                 \
      "a login that fails is answered no earlier than this after it came, so that its time tells nothing")   \
    S(LDAP_SERVERS, "", 0,                                                                                   \
      "directory servers in order of preference, comma-separated: ldaps://HOST[:PORT], or "                  \
      "ldap://HOST[:PORT] with StartTLS; empty: no directory")                                               \
    E(LDAP_TYPE, "openldap", "openldap|active-directory", "kind of directory")                               \
    S(LDAP_CA_FILE, "", 0,                                                                                   \
      "PEM file of the authorities that sign the directory's certificates; empty: the system's")             \
    B(LDAP_PLAINTEXT, false, "ldap:// without TLS; only to a loopback address")                              \
    S(LDAP_BASE, "", 0, "DN under which people are searched")                                                \
    S(LDAP_GROUP_BASE, "", 0, "DN under which groups are searched; empty: as LDAP_BASE")                     \
    S(LDAP_BIND_DN, "", 0,                                                                                   \
      "DN of the service account that searches; empty: anonymous (not with active-directory)")               \
    S(LDAP_BIND_PASSWORD, "", MIRAI_CONFIG_SECRET, "password of the service account")                        \
    S(LDAP_USER_ATTRIBUTE, "", 0, "attribute with the login name; empty: uid, or sAMAccountName")            \
    S(LDAP_USER_FILTER, "", 0,                                                                               \
      "filter that people must match; empty: (objectClass=person), or "                                      \
      "(&(objectCategory=person)(objectClass=user))")                                                        \
    S(LDAP_DOMAIN, "", 0, "domain in NAME@DOMAIN at login")                                                  \
    S(LDAP_NETBIOS_NAME, "", 0, "domain in DOMAIN\\NAME at login")                                           \
    S(LDAP_ADMIN_GROUPS, "", 0, "groups whose members are Admins: DNs or names, separated by semicolons")    \
    S(LDAP_EDITOR_GROUPS, "", 0, "groups whose members are Editors")                                         \
    S(LDAP_VIEWER_GROUPS, "", 0, "groups whose members are Viewers; *: everyone in the directory")           \
    I(LDAP_DEADLINE_MS, 5000, 100, 60000, "ms", "longest time of a directory login, over all servers")       \
    I(LDAP_SERVER_MS, 2000, 50, 60000, "ms", "longest time that one directory server may take to answer")    \
    I(LDAP_LOGINS_MAX, 32, 1, 1024, "logins",                                                                \
      "directory logins at work at once on one event loop; eight times as many wait")                        \
    I(DIRECTORY_CHECK_SECONDS, 300, 1, 86400, "seconds",                                                     \
      "who is logged in with a directory account is looked up again so often; one who has left it, is "      \
      "disabled, or has lost the groups loses access")                                                       \
    S(SESSION_URL, "", MIRAI_CONFIG_SECRET,                                                                  \
      "Redis that keeps browser logins and what gateways share: "                                            \
      "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], "                                                         \
      "rediss:// (TLS), unix://[[USER]:PASSWORD@]/PATH[?db=DB]; empty: knowledge-store keeps them")          \
    S(SESSION_CA_FILE, "", 0,                                                                                \
      "PEM file with the certificates that sign the one of a rediss:// server; "                             \
      "empty: those of the system")                                                                          \
    S(SESSION_KEY, "", MIRAI_CONFIG_SECRET,                                                                  \
      "signs what is kept in Redis: at least 32 characters, the same in all gateways that share sessions")   \
    S(INSTALLATION, "", 0,                                                                                   \
      "name of the installation, the same in all gateways that share sessions; part of the "                 \
      "cookie's name; empty: made of DATA_DIR and GATEWAY_LISTEN")                                           \
    I(SESSION_IDLE_MINUTES, 60, 0, 43200, "minutes",                                                         \
      "a browser login ends when it is not used for as long; 0: never")                                      \
    I(STORE_READERS, 2, 1, 64, "threads", "read-only database connections")                                  \
    I(STORE_CACHE_BYTES, 8388608, 0, 1073741824, "bytes", "encoded articles kept in memory")                 \
    I(STORE_GROUP_MAX, 256, 1, 4096, "writes", "writes in one transaction")                                  \
    I(PASSWORD_MIN_LENGTH, 8, 8, 64, "characters", "shortest password (NIST SP 800-63B)")                    \
    I(PASSWORD_MEMORY_KIB, 19456, 8192, 1048576, "KiB", "Argon2id memory for one password hash")             \
    I(PASSWORD_PASSES, 2, 1, 16, "passes", "Argon2id passes")                                                \
    I(PASSWORD_WORKERS, 2, 1, 16, "threads", "passwords hashed at once; the rest wait in a bounded queue")   \
    S(CLAMD, "", 0,                                                                                          \
      "virus scanner that looks at every upload before anybody sees it: unix:/PATH or tcp://ADDRESS:PORT "   \
      "of clamd; the same for knowledge-store and gateway; empty: none")                                     \
    I(CLAMD_TIMEOUT_MS, 30000, 100, 60000, "ms", "longest time that it may take over one file")              \
    I(FEED_KEEP_DAYS, 30, 1, 3650, "days", "how long change feed rows are kept")                             \
    I(IDEMPOTENCY_HOURS, 24, 1, 720, "hours", "how long idempotency keys are remembered")                    \
    S(AUDIT_KEY, "", MIRAI_CONFIG_SECRET,                                                                    \
      "seed of the Ed25519 key that signs the audit log, 64 hexadecimal digits; empty: DATA_DIR/audit.key, " \
      "made at the first start")                                                                             \
    I(AUDIT_HEAD_SECONDS, 60, 1, 86400, "s",                                                                 \
      "how often the newest state of the audit log is signed, when there is something new")                  \
    S(AUDIT_SYSLOG, "off", 0,                                                                                \
      "where signed states of the audit log are sent as well: off, the path of a syslog socket such as "     \
      "/dev/log, or udp://ADDRESS:PORT")                                                                     \
    I(SEARCH_READERS, 2, 1, 64, "threads", "searches that run at once")                                      \
    I(SEARCH_TIMEOUT_MS, 1000, 10, 60000, "ms", "longest time of one search")                                \
    I(SEARCH_BOOST_FRESHNESS, 3, 0, 50, "%", "what an article saved today adds to its score; 0: nothing")    \
    I(SEARCH_FRESHNESS_DAYS, 180, 1, 10000, "days", "age at which half of that is left")                     \
    I(SEARCH_BOOST_RATING, 3, 0, 50, "%", "what five stars of many readers add to the score; 0: nothing")    \
    I(SEARCH_BOOST_VIEWS, 3, 0, 50, "%",                                                                     \
      "what being opened very often in the last 30 days adds to the score; 0: nothing")                      \
    I(SEARCH_BOOST_TITLE, 15, 0, 50, "%",                                                                    \
      "what a title that is just the query adds to the score; 0: nothing")                                   \
    I(SEARCH_BOOST_PROXIMITY, 100, 0, 300, "%",                                                              \
      "weight of how near the query's words are to each other in a text; 100: as tuned, 0: none")            \
    B(EXTRACT, true, "the text of attachments is read and searched")                                         \
    I(EXTRACT_WORKERS, 1, 1, 16, "processes", "attachments that are read at once")                           \
    I(EXTRACT_MAX_BYTES, 67108864, 1024, 1073741824, "bytes", "largest attachment whose text is read")       \
    I(EXTRACT_TIMEOUT_MS, 60000, 2000, 600000, "ms",                                                         \
      "longest time to read one attachment; half of it may be processor time")                               \
    I(EXTRACT_MEMORY_BYTES, 536870912, 134217728, INT64_C(68719476736), "bytes",                             \
      "address space of the process that reads an attachment")                                               \
    I(EXTRACT_CACHE_BYTES, 1073741824, 1048576, INT64_C(1099511627776), "bytes",                             \
      "compressed texts of attachments that are kept")                                                       \
    I(SEARCH_LOG_DAYS, 90, 0, 366, "days",                                                                   \
      "how long it is kept what was searched for and which hits were opened; 0: not noted at all")           \
    S(BACKUP_DAILY, "03:00", 0, "local time of the daily snapshot, HH:MM; off: none")                        \
    S(BACKUP_WEEKLY, "Sun 04:00", 0, "local time of the weekly snapshot, DAY HH:MM; off: none")              \
    I(BACKUP_KEEP_DAYS, 30, 1, 3650, "days", "how long daily and manual snapshots are kept")                 \
    I(BACKUP_KEEP_WEEKS, 52, 1, 1040, "weeks", "how long weekly snapshots are kept")                         \
    A(METRICS_LISTEN, "127.0.0.1:9464", "address and port of the Prometheus exposition")                     \
    S(SECRET_KEY_FILE, "/etc/mirai/secret.key", 0,                                                           \
      "file with the key that opens values of secrets that begin with sealed: (miraictl secret init)")       \
    S(METRICS_TOKEN, "", MIRAI_CONFIG_SECRET, "bearer token that a scraper must send; empty: none")          \
    S(TOKEN, "", MIRAI_CONFIG_SECRET, "API token that miraictl acts with; empty: the operator of this host")

#define MIRAI_CONFIG_SECRET 1

#endif
