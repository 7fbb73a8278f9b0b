#include "libcommon/config.h"

#include "libcommon/error.h"
#include "libcommon/sealed.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#define PREFIX          "MIRAI_"
#define FILE_SUFFIX     "_FILE"
#define SECRET_MAX      65536
#define VALUE_SHOWN_MAX 200 /* bytes of a bad value in an error line */

enum kind {
    KIND_STR,
    KIND_INT,
    KIND_BOOL,
    KIND_ENUM,
    KIND_ADDRESS,
};

enum source {
    SOURCE_DEFAULT,
    SOURCE_ENVIRONMENT,
    SOURCE_FILE,
};

/* A row of config_table.h. */
struct row {
    const char *name; /* without MIRAI_ */
    enum kind kind;
    unsigned flags;       /* KIND_STR */
    const char *fallback; /* default, as text */
    int64_t min, max;     /* KIND_INT */
    const char *unit;     /* KIND_INT */
    const char *choices;  /* KIND_ENUM: "a|b|c" */
    const char *help;
};

static const struct row rows[MIRAI_CONFIG_COUNT] = {
#define S(key, fallback_, flags_, help_)                                                                     \
    {.name = #key, .kind = KIND_STR, .fallback = fallback_, .flags = flags_, .help = help_},
#define I(key, fallback_, min_, max_, unit_, help_)                                                          \
    {.name = #key,                                                                                           \
     .kind = KIND_INT,                                                                                       \
     .fallback = #fallback_,                                                                                 \
     .min = min_,                                                                                            \
     .max = max_,                                                                                            \
     .unit = unit_,                                                                                          \
     .help = help_},
#define B(key, fallback_, help_) {.name = #key, .kind = KIND_BOOL, .fallback = #fallback_, .help = help_},
#define E(key, fallback_, choices_, help_)                                                                   \
    {.name = #key, .kind = KIND_ENUM, .fallback = fallback_, .choices = choices_, .help = help_},
#define A(key, fallback_, help_) {.name = #key, .kind = KIND_ADDRESS, .fallback = fallback_, .help = help_},
    MIRAI_CONFIG_TABLE(S, I, B, E, A)
#undef S
#undef I
#undef B
#undef E
#undef A
};

/* Effective values; before mirai_config_load the defaults. */
static struct value {
    const char *text;
    int64_t number; /* KIND_INT, KIND_BOOL */
    enum source source;
} values[MIRAI_CONFIG_COUNT] = {
#define S(key, fallback, ...) {.text = fallback},
#define I(key, fallback, ...) {.text = #fallback, .number = fallback},
#define B(key, fallback, ...) {.text = #fallback, .number = fallback},
    MIRAI_CONFIG_TABLE(S, I, B, S, S)
#undef S
#undef I
#undef B
};

/* ------------------------------------------------------------------ checks of one value */

static bool choice_of(const char *choices, struct mirai_str text)
{
    while (*choices != '\0') {
        size_t len = strcspn(choices, "|");
        if (mirai_str_eq((struct mirai_str){choices, len}, text)) {
            return true;
        }
        choices += len + (choices[len] == '|');
    }
    return false;
}

static bool parse_bool(struct mirai_str text, int64_t *number)
{
    *number = choice_of("true|1|yes|on", text);
    return *number != 0 || choice_of("false|0|no|off", text);
}

bool mirai_config_parse_address(struct mirai_str text, char host[64], int *port)
{
    unsigned char ip[sizeof(struct in6_addr)];
    int64_t number;
    const char *colon = memrchr(text.data, ':', text.len);
    if (colon == NULL) {
        return false;
    }
    struct mirai_str name = {text.data, (size_t)(colon - text.data)};
    struct mirai_str digits = {colon + 1, text.len - name.len - 1};
    int family = AF_INET;
    if (name.len >= 2 && name.data[0] == '[' && name.data[name.len - 1] == ']') {
        name = (struct mirai_str){name.data + 1, name.len - 2};
        family = AF_INET6;
    }
    if (name.len == 0 || name.len >= 64 || mirai_parse_int(digits, 1, 65535, &number) != 0) {
        return false;
    }
    memcpy(host, name.data, name.len);
    host[name.len] = '\0';
    *port = (int)number;
    return inet_pton(family, host, ip) == 1;
}

/* Text without control characters: values go into paths, URLs and log lines. */
static bool printable(struct mirai_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (iscntrl((unsigned char)text.data[i])) {
            return false;
        }
    }
    return mirai_utf8_valid(text);
}

static bool check_instance(struct mirai_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!isalnum((unsigned char)text.data[i]) && strchr("._-", text.data[i]) == NULL) {
            return false;
        }
    }
    return text.len <= 32 && text.data[0] != '.';
}

/* HOST:PORT; a literal IPv6 address stands in brackets. */
static bool check_host_port(struct mirai_str text)
{
    int64_t port;
    const char *colon = memrchr(text.data, ':', text.len);
    if (colon == NULL || colon == text.data) {
        return false;
    }
    struct mirai_str digits = {colon + 1, text.len - (size_t)(colon + 1 - text.data)};
    return mirai_parse_int(digits, 1, 65535, &port) == 0;
}

/* ADDRESS:PORT of this host: what goes there is on no wire. Names are not believed, they may lead elsewhere. */
static bool is_loopback(struct mirai_str text)
{
    char host[64];
    int port;
    return mirai_config_parse_address(text, host, &port) &&
           (strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0);
}

/* Bytes of a URL that the RPC client takes, and of a path that fits sockaddr_un (unix(7)). */
#define URL_MAX       255
#define PATH_MAX_UNIX 107

static bool check_endpoint(struct mirai_str url)
{
    static const struct mirai_str ipc = {"ipc://", 6}, tcp = {"tcp://", 6}, tls = {"tls+tcp://", 10};
    int64_t weight;
    const char *hash = memrchr(url.data, '#', url.len);
    if (hash != NULL) {
        struct mirai_str digits = {hash + 1, url.len - (size_t)(hash + 1 - url.data)};
        if (mirai_parse_int(digits, 1, 1000, &weight) != 0) {
            return false;
        }
        url.len = (size_t)(hash - url.data);
    }
    if (url.len <= ipc.len || url.len > URL_MAX) {
        return false;
    }
    struct mirai_str rest = {url.data + ipc.len, url.len - ipc.len};
    if (memcmp(url.data, ipc.data, ipc.len) == 0) {
        return rest.data[0] == '/' && rest.len <= PATH_MAX_UNIX;
    }
    if (url.len > tls.len && memcmp(url.data, tls.data, tls.len) == 0) {
        return check_host_port((struct mirai_str){url.data + tls.len, url.len - tls.len});
    }
    return memcmp(url.data, tcp.data, tcp.len) == 0 && check_host_port(rest) && is_loopback(rest);
}

/* tls+tcp:// and an address of this host. */
static bool check_listen(struct mirai_str url)
{
    static const struct mirai_str tls = {"tls+tcp://", 10};
    char host[64];
    int port;
    return url.len > tls.len && memcmp(url.data, tls.data, tls.len) == 0 &&
           mirai_config_parse_address((struct mirai_str){url.data + tls.len, url.len - tls.len}, host, &port);
}

static bool check_peers(struct mirai_str text)
{
    for (;;) {
        const char *comma = memchr(text.data, ',', text.len);
        size_t len = comma != NULL ? (size_t)(comma - text.data) : text.len;
        const char *equals = memchr(text.data, '=', len);
        if (equals == NULL || equals == text.data || equals + 1 == text.data + len) {
            return false;
        }
        if (comma == NULL) {
            return true;
        }
        text = (struct mirai_str){comma + 1, text.len - len - 1};
    }
}

static bool check_endpoints(struct mirai_str text)
{
    for (;;) {
        const char *comma = memchr(text.data, ',', text.len);
        size_t len = comma != NULL ? (size_t)(comma - text.data) : text.len;
        if (!check_endpoint((struct mirai_str){text.data, len})) {
            return false;
        }
        if (comma == NULL) {
            return true;
        }
        text = (struct mirai_str){comma + 1, text.len - len - 1};
    }
}

/* An origin as browsers write it (RFC 6454 §6.2): https, in lower case, without the default port; never "*" or "null". */
static bool check_origin(struct mirai_str text)
{
    static const struct mirai_str scheme = {"https://", 8};
    int64_t port;
    if (text.len <= scheme.len || text.len > URL_MAX || memcmp(text.data, scheme.data, scheme.len) != 0) {
        return false;
    }
    struct mirai_str host = {text.data + scheme.len, text.len - scheme.len};
    bool bracketed = host.data[0] == '[';
    const char *end = bracketed ? memchr(host.data, ']', host.len) : memchr(host.data, ':', host.len);
    if (bracketed && end == NULL) {
        return false;
    }
    size_t len = end == NULL ? host.len : (size_t)(end - host.data) + (bracketed ? 1 : 0);
    struct mirai_str rest = {host.data + len, host.len - len};
    host.len = len;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!plain && !(bracketed && (c == '[' || c == ':' || c == ']'))) {
            return false;
        }
    }
    if (rest.len == 0) {
        return host.len > 0;
    }
    return host.len > 0 && rest.data[0] == ':' &&
           mirai_parse_int((struct mirai_str){rest.data + 1, rest.len - 1}, 1, 65535, &port) == 0 &&
           port != 443 && rest.data[1] != '0' && rest.data[1] != '+';
}

static bool check_origins(struct mirai_str text)
{
    for (;;) {
        const char *comma = memchr(text.data, ',', text.len);
        size_t len = comma != NULL ? (size_t)(comma - text.data) : text.len;
        if (!check_origin((struct mirai_str){text.data, len})) {
            return false;
        }
        if (comma == NULL) {
            return true;
        }
        text = (struct mirai_str){comma + 1, text.len - len - 1};
    }
}

static bool check_daily(struct mirai_str text)
{
    int64_t hour, minute;
    return mirai_str_eq(text, MIRAI_STR("off")) ||
           (text.len == 5 && text.data[2] == ':' && isdigit((unsigned char)text.data[0]) &&
            isdigit((unsigned char)text.data[3]) &&
            mirai_parse_int((struct mirai_str){text.data, 2}, 0, 23, &hour) == 0 &&
            mirai_parse_int((struct mirai_str){text.data + 3, 2}, 0, 59, &minute) == 0);
}

static bool check_weekly(struct mirai_str text)
{
    return mirai_str_eq(text, MIRAI_STR("off")) ||
           (text.len == 9 && text.data[3] == ' ' &&
            choice_of("Mon|Tue|Wed|Thu|Fri|Sat|Sun", (struct mirai_str){text.data, 3}) &&
            text.data[4] != 'o' && check_daily((struct mirai_str){text.data + 4, 5}));
}

static bool check_syslog(struct mirai_str text)
{
    static const struct mirai_str udp = {"udp://", 6};
    char host[64];
    int port;
    if (mirai_str_eq(text, MIRAI_STR("off")) || text.data[0] == '/') {
        return text.len <= PATH_MAX_UNIX;
    }
    return text.len > udp.len && memcmp(text.data, udp.data, udp.len) == 0 &&
           mirai_config_parse_address((struct mirai_str){text.data + udp.len, text.len - udp.len}, host,
                                      &port);
}

static bool check_clamd(struct mirai_str text)
{
    static const struct mirai_str path = {"unix:/", 6}, tcp = {"tcp://", 6};
    char host[64];
    int port;
    if (text.len <= path.len) {
        return false;
    }
    if (memcmp(text.data, path.data, path.len) == 0) {
        return text.len - (path.len - 1) <= PATH_MAX_UNIX;
    }
    return memcmp(text.data, tcp.data, tcp.len) == 0 &&
           mirai_config_parse_address((struct mirai_str){text.data + tcp.len, text.len - tcp.len}, host,
                                      &port);
}

static bool check_seed(struct mirai_str text)
{
    unsigned char seed[32];
    bool sound = mirai_unhex(seed, sizeof(seed), text) == 0;
    explicit_bzero(seed, sizeof(seed));
    return sound;
}

/* Strings with a form of their own. */
static const struct {
    bool (*check)(struct mirai_str text); /* text is not empty */
    const char *allowed;
} forms[MIRAI_CONFIG_COUNT] = {
#define ENDPOINTS                                                                                            \
    {                                                                                                        \
        check_endpoints, "ipc://PATH, tls+tcp://HOST:PORT or (loopback only) tcp://HOST:PORT, each with "    \
                         "#WEIGHT 1..1000 or without, comma-separated"                                       \
    }
    [MIRAI_CONFIG_INSTANCE] = {check_instance,
                               "1 to 32 letters, digits, '.', '_' or '-', not beginning with '.'"},
    [MIRAI_CONFIG_INSTALLATION] = {check_instance,
                                   "1 to 32 letters, digits, '.', '_' or '-', not beginning with '.'"},
    [MIRAI_CONFIG_STORE_ENDPOINTS] = ENDPOINTS,
    [MIRAI_CONFIG_SEARCH_ENDPOINTS] = ENDPOINTS,
    [MIRAI_CONFIG_BACKUP_ENDPOINTS] = ENDPOINTS,
    [MIRAI_CONFIG_METRICS_ENDPOINTS] = ENDPOINTS,
    [MIRAI_CONFIG_GATEWAY_ENDPOINTS] = ENDPOINTS,
    [MIRAI_CONFIG_FEED_ENDPOINTS] = ENDPOINTS,
    [MIRAI_CONFIG_RPC_LISTEN] = {check_listen, "tls+tcp://ADDRESS:PORT"},
    [MIRAI_CONFIG_FEED_LISTEN] = {check_listen, "tls+tcp://ADDRESS:PORT"},
    [MIRAI_CONFIG_RPC_PEERS] = {check_peers, "NAME=USER, comma-separated"},
    [MIRAI_CONFIG_AUDIT_KEY] = {check_seed, "64 hexadecimal digits"},
    [MIRAI_CONFIG_AUDIT_SYSLOG] = {check_syslog, "off, /PATH, udp://IPV4:PORT or udp://[IPV6]:PORT"},
    [MIRAI_CONFIG_CLAMD] = {check_clamd, "unix:/PATH, tcp://IPV4:PORT or tcp://[IPV6]:PORT"},
    [MIRAI_CONFIG_CORS_ORIGINS] = {check_origins,
                                   "https://HOST or https://HOST:PORT in lower case, without the port "
                                   "443, comma-separated without spaces; no *"},
    [MIRAI_CONFIG_BACKUP_DAILY] = {check_daily, "HH:MM or off"},
    [MIRAI_CONFIG_BACKUP_WEEKLY] = {check_weekly, "Mon|Tue|Wed|Thu|Fri|Sat|Sun HH:MM or off"},
#undef ENDPOINTS
};

static bool row_accepts(size_t key, struct mirai_str text, int64_t *number)
{
    const struct row *row = &rows[key];
    char host[64];
    int port;
    switch (row->kind) {
    case KIND_INT:
        return mirai_parse_int(text, row->min, row->max, number) == 0;
    case KIND_BOOL:
        return parse_bool(text, number);
    case KIND_ENUM:
        return choice_of(row->choices, text);
    case KIND_ADDRESS:
        return mirai_config_parse_address(text, host, &port);
    case KIND_STR:
        break;
    }
    return printable(text) && (forms[key].check == NULL || forms[key].check(text));
}

/* What a variable may be, for people: "10..60000 ms", "ja|en". */
static void print_allowed(FILE *out, size_t key)
{
    const struct row *row = &rows[key];
    switch (row->kind) {
    case KIND_INT:
        fprintf(out, "%lld..%lld %s", (long long)row->min, (long long)row->max, row->unit);
        break;
    case KIND_BOOL:
        fputs("true|false|1|0|yes|no|on|off", out);
        break;
    case KIND_ENUM:
        fputs(row->choices, out);
        break;
    case KIND_ADDRESS:
        fputs("IPV4:PORT or [IPV6]:PORT", out);
        break;
    case KIND_STR:
        fputs(forms[key].allowed != NULL ? forms[key].allowed : "text in UTF-8 without control characters",
              out);
        break;
    }
}

/* ------------------------------------------------------------------ load */

/* Values of the last load that were copied, by key. */
static char *copies[MIRAI_CONFIG_COUNT];

static size_t find_row(struct mirai_str name)
{
    size_t key = 0;
    while (key < MIRAI_CONFIG_COUNT && !mirai_str_eq(mirai_str(rows[key].name), name)) {
        key++;
    }
    return key;
}

static bool is_secret(size_t key)
{
    return key < MIRAI_CONFIG_COUNT && (rows[key].flags & MIRAI_CONFIG_SECRET) != 0;
}

/* As much of a text from outside as is shown. */
static struct mirai_str shown(struct mirai_str text)
{
    return (struct mirai_str){text.data, text.len < VALUE_SHOWN_MAX ? text.len : VALUE_SHOWN_MAX};
}

/* Without what a terminal would obey. */
static void print_plain(FILE *out, struct mirai_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        fputc(iscntrl((unsigned char)text.data[i]) ? '?' : text.data[i], out);
    }
}

static int report_bad(FILE *errors, size_t key, struct mirai_str text)
{
    if (is_secret(key)) {
        fprintf(errors, PREFIX "%s: the value is not allowed; allowed: ", rows[key].name);
    } else {
        struct mirai_buf quoted = {0};
        mirai_buf_append_json(&quoted, shown(text));
        fprintf(errors, PREFIX "%s: ", rows[key].name);
        print_plain(errors, mirai_buf_str(&quoted));
        fputs(" is not allowed; allowed: ", errors);
        mirai_buf_free(&quoted);
    }
    print_allowed(errors, key);
    fputc('\n', errors);
    return MIRAI_E_INVALID;
}

/* The keys that open sealed values; read at the first one, wiped when all are open. */
static struct {
    struct mirai_sealed_keys keys;
    const char *path;
    const char *problem;
    bool read;
} seal;

static void seal_init(char *const *environment)
{
    static const char name[] = PREFIX "SECRET_KEY_FILE=";
    seal.path = rows[MIRAI_CONFIG_SECRET_KEY_FILE].fallback;
    seal.read = false;
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, sizeof(name) - 1) == 0 && (*environment)[sizeof(name) - 1] != '\0') {
            seal.path = *environment + sizeof(name) - 1;
        }
    }
}

static void seal_end(void)
{
    if (seal.read) {
        mirai_sealed_keys_wipe(&seal.keys);
        seal.read = false;
    }
}

/* Open the value of a secret into *plain. The reason why not never says what the value is. */
static int unseal(FILE *errors, size_t key, struct mirai_str text, struct mirai_buf *plain)
{
    char name[sizeof(PREFIX) + 64];
    if (!seal.read) {
        seal.problem =
            sodium_init() < 0 ? "libsodium does not start" : mirai_sealed_keys_read(seal.path, &seal.keys);
        seal.read = true;
    }
    if (seal.problem != NULL) {
        fprintf(errors, PREFIX "%s: the sealed value cannot be opened: key file \"", rows[key].name);
        print_plain(errors, shown(mirai_str(seal.path)));
        fprintf(errors, "\": %s\n", seal.problem);
        return MIRAI_E_INVALID;
    }
    snprintf(name, sizeof(name), PREFIX "%s", rows[key].name);
    if (mirai_unseal(&seal.keys, mirai_str(name), text, plain) != 0) {
        fprintf(errors,
                PREFIX
                "%s: the sealed value cannot be opened: it was changed, or sealed with another key or for "
                "another variable\n",
                rows[key].name);
        return MIRAI_E_INVALID;
    }
    return 0;
}

/* Memory of secrets is locked where the system lets it, and wiped before it goes. */
static char *copy_value(size_t key, struct mirai_str text)
{
    char *copy = mirai_str_dup(text);
    if (is_secret(key)) {
        sodium_mlock(copy, text.len + 1);
    }
    return copy;
}

static void free_value(size_t key)
{
    if (copies[key] != NULL && is_secret(key)) {
        sodium_munlock(copies[key], strlen(copies[key]) + 1);
    }
    free(copies[key]);
    copies[key] = NULL;
}

static int set_plain(FILE *errors, size_t key, struct mirai_str text, enum source source)
{
    int64_t number = 0;
    if (!row_accepts(key, text, &number)) {
        return report_bad(errors, key, text);
    }
    copies[key] = copy_value(key, text);
    values[key] = (struct value){copies[key], number, source};
    return 0;
}

static int set_sealed(FILE *errors, size_t key, struct mirai_str text, enum source source)
{
    struct mirai_buf plain = {0};
    int err = unseal(errors, key, text, &plain);
    if (err == 0) {
        err = set_plain(errors, key, mirai_buf_str(&plain), source);
    }
    if (plain.cap > 0) {
        explicit_bzero(plain.data, plain.cap);
    }
    mirai_buf_free(&plain);
    return err;
}

static int set_value(FILE *errors, size_t key, struct mirai_str text, enum source source)
{
    if (text.len == 0) { /* empty: the default */
        return 0;
    }
    if (values[key].source != SOURCE_DEFAULT) {
        fprintf(errors, PREFIX "%s: set more than once (in the environment or by a file); keep one\n",
                rows[key].name);
        return MIRAI_E_INVALID;
    }
    return is_secret(key) && mirai_sealed(text) ? set_sealed(errors, key, text, source)
                                                : set_plain(errors, key, text, source);
}

static int set_from_file(FILE *errors, size_t key, const char *path)
{
    char bytes[SECRET_MAX + 1];
    size_t len = 0;
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO must not hang the start */
    while (fd >= 0 && len < sizeof(bytes) && (n = read(fd, bytes + len, sizeof(bytes) - len)) > 0) {
        len += (size_t)n;
    }
    int reason = fd < 0 || n < 0 ? errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    if (reason != 0) {
        fprintf(errors, PREFIX "%s" FILE_SUFFIX ": cannot read \"", rows[key].name);
        print_plain(errors, shown(mirai_str(path)));
        fprintf(errors, "\": %s\n", strerror(reason));
        return MIRAI_E_INVALID;
    }
    if (len > SECRET_MAX) {
        fprintf(errors, PREFIX "%s" FILE_SUFFIX ": the file is longer than %d bytes\n", rows[key].name,
                SECRET_MAX);
        return MIRAI_E_INVALID;
    }
    len -= len > 0 && bytes[len - 1] == '\n';
    int err = set_value(errors, key, (struct mirai_str){bytes, len}, SOURCE_FILE);
    explicit_bzero(bytes, sizeof(bytes));
    return err;
}

static int load_variable(FILE *errors, struct mirai_str name, const char *text)
{
    const size_t suffix = sizeof(FILE_SUFFIX) - 1;
    size_t key = find_row(name);
    if (key < MIRAI_CONFIG_COUNT) {
        return set_value(errors, key, mirai_str(text), SOURCE_ENVIRONMENT);
    }
    if (name.len > suffix && memcmp(name.data + name.len - suffix, FILE_SUFFIX, suffix) == 0) {
        key = find_row((struct mirai_str){name.data, name.len - suffix});
        if (is_secret(key)) {
            return *text != '\0' ? set_from_file(errors, key, text) : 0;
        }
    }
    /* The value is not shown: a misspelt name may carry a secret. */
    fputs(PREFIX, errors);
    print_plain(errors, shown(name));
    fputs(": no such variable; --help lists them all\n", errors);
    return MIRAI_E_INVALID;
}

int mirai_config_load(char *const *environment, FILE *errors)
{
    int result = 0;
    for (size_t key = 0; key < MIRAI_CONFIG_COUNT; key++) {
        free_value(key);
        int64_t number = 0;
        row_accepts(key, mirai_str(rows[key].fallback), &number);
        values[key] = (struct value){rows[key].fallback, number, SOURCE_DEFAULT};
    }
    seal_init(environment);
    for (; *environment != NULL; environment++) {
        const char *entry = *environment;
        const char *equals = strchr(entry, '=');
        if (strncmp(entry, PREFIX, sizeof(PREFIX) - 1) != 0 || equals == NULL) {
            continue;
        }
        entry += sizeof(PREFIX) - 1;
        if (load_variable(errors, (struct mirai_str){entry, (size_t)(equals - entry)}, equals + 1) != 0) {
            result = MIRAI_E_INVALID;
        }
    }
    seal_end();
    return result;
}

/* The row of a secret by its whole name; MIRAI_CONFIG_COUNT when there is none. */
static size_t find_secret(struct mirai_str name)
{
    const size_t prefix = sizeof(PREFIX) - 1;
    size_t key = MIRAI_CONFIG_COUNT;
    if (name.len > prefix && memcmp(name.data, PREFIX, prefix) == 0) {
        key = find_row((struct mirai_str){name.data + prefix, name.len - prefix});
    }
    return is_secret(key) ? key : MIRAI_CONFIG_COUNT;
}

void mirai_config_wipe(char **environment, bool keep)
{
    for (; *environment != NULL; environment++) {
        char *equals = strchr(*environment, '=');
        if (equals != NULL && find_secret((struct mirai_str){*environment, (size_t)(equals - *environment)}) <
                                  MIRAI_CONFIG_COUNT) {
            *environment = keep ? mirai_str_dup(mirai_str(*environment)) : *environment;
            explicit_bzero(equals + 1, strlen(equals + 1));
        }
    }
}

int mirai_config_check_secret(struct mirai_str name, struct mirai_str value)
{
    int64_t number;
    size_t key = find_secret(name);
    if (key == MIRAI_CONFIG_COUNT) {
        return MIRAI_E_NOT_FOUND;
    }
    return value.len > 0 && row_accepts(key, value, &number) ? 0 : MIRAI_E_INVALID;
}

/* ------------------------------------------------------------------ use */

const char *mirai_config_str(enum mirai_config_key key)
{
    return values[key].text;
}

int64_t mirai_config_int(enum mirai_config_key key)
{
    return values[key].number;
}

bool mirai_config_is_set(enum mirai_config_key key)
{
    return values[key].source != SOURCE_DEFAULT;
}

void mirai_config_address(enum mirai_config_key key, char host[64], int *port)
{
    mirai_config_parse_address(mirai_str(values[key].text), host, port);
}

/* ------------------------------------------------------------------ the table for people */

void mirai_config_help(FILE *out)
{
    for (size_t key = 0; key < MIRAI_CONFIG_COUNT; key++) {
        const struct row *row = &rows[key];
        fprintf(out, "  " PREFIX "%s\n        %s\n        ", row->name, row->help);
        if (is_secret(key)) {
            fprintf(out,
                    "secret, may be sealed; or " PREFIX "%s" FILE_SUFFIX
                    ": the path of a file that holds it\n",
                    row->name);
            continue;
        }
        print_allowed(out, key);
        fprintf(out, "; default: %s\n", *row->fallback != '\0' ? row->fallback : "empty");
    }
}

/* A cell of a Markdown table: '|' would end it. */
static void print_cell(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            fputc('\\', out);
        }
        fputc(*text, out);
    }
}

void mirai_config_markdown(FILE *out)
{
    fputs("| Variable | Type | Default | Allowed | Meaning |\n| --- | --- | --- | --- | --- |\n", out);
    for (size_t key = 0; key < MIRAI_CONFIG_COUNT; key++) {
        static const char *const kinds[] = {"text", "integer", "boolean", "choice", "address"};
        const struct row *row = &rows[key];
        char *allowed = NULL;
        size_t len;
        FILE *memory = open_memstream(&allowed, &len);
        if (memory == NULL) {
            return;
        }
        print_allowed(memory, key);
        fclose(memory);
        fprintf(out, "| `" PREFIX "%s`%s | %s | ", row->name,
                is_secret(key) ? " (or `…" FILE_SUFFIX "`)" : "",
                is_secret(key) ? "secret" : kinds[row->kind]);
        fprintf(out, *row->fallback != '\0' ? "`%s` | " : "%s | ", row->fallback);
        print_cell(out, allowed);
        fputs(" | ", out);
        print_cell(out, row->help);
        fputs(" |\n", out);
        free(allowed);
    }
}

static void print_json_value(FILE *out, size_t key, const char *shown)
{
    struct mirai_buf quoted = {0};
    switch (rows[key].kind) {
    case KIND_INT:
        fprintf(out, "%lld", (long long)values[key].number);
        return;
    case KIND_BOOL:
        fputs(values[key].number != 0 ? "true" : "false", out);
        return;
    default:
        mirai_buf_append_json(&quoted, mirai_str(shown));
        fwrite(quoted.data, 1, quoted.len, out);
        mirai_buf_free(&quoted);
    }
}

void mirai_config_print(FILE *out, bool json)
{
    static const char *const sources[] = {"default", "environment", "file"};
    for (size_t key = 0; key < MIRAI_CONFIG_COUNT; key++) {
        const struct value *value = &values[key];
        const char *shown = is_secret(key) && *value->text != '\0' ? "***" : value->text;
        if (json) {
            fprintf(out, "%s\"" PREFIX "%s\": {\"value\": ", key == 0 ? "{\n  " : ",\n  ", rows[key].name);
            print_json_value(out, key, shown);
            fprintf(out, ", \"source\": \"%s\"}", sources[value->source]);
        } else {
            fprintf(out, PREFIX "%s=%s  (%s)\n", rows[key].name, shown, sources[value->source]);
        }
    }
    if (json) {
        fputs("\n}\n", out);
    }
}
