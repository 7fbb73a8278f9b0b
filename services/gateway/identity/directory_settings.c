#include "services/gateway/identity/directory_settings.h"

#include "libcommon/config.h"
#include "libcommon/log.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <strings.h>

/* ------------------------------------------------------------------ names */

static bool same(struct mirai_str a, struct mirai_str b)
{
    return a.len == b.len && a.len > 0 && strncasecmp(a.data, b.data, a.len) == 0;
}

static bool split(struct mirai_str s, char at, struct mirai_str *before, struct mirai_str *after)
{
    const char *found = s.len > 0 ? memchr(s.data, at, s.len) : NULL;
    if (found == NULL) {
        return false;
    }
    *before = (struct mirai_str){s.data, (size_t)(found - s.data)};
    *after = (struct mirai_str){found + 1, s.len - before->len - 1};
    return true;
}

bool directory_name_has_domain(struct mirai_str name)
{
    return name.len > 0 &&
           (memchr(name.data, '@', name.len) != NULL || memchr(name.data, '\\', name.len) != NULL);
}

struct directory_name directory_name_parse(const struct directory_settings *settings, struct mirai_str name)
{
    struct mirai_str before, after;
    if (split(name, '\\', &before, &after) && after.len > 0 &&
        (same(before, settings->netbios) || same(before, settings->domain))) {
        return (struct directory_name){.account = after};
    }
    if (!split(name, '@', &before, &after) || before.len == 0) {
        return (struct directory_name){.account = name};
    }
    bool ours = same(after, settings->domain);
    if (settings->type == DIRECTORY_ACTIVE_DIRECTORY) { /* people may have principal names of other domains */
        return (struct directory_name){.account = ours ? before : (struct mirai_str){0}, .upn = name};
    }
    return (struct directory_name){.account = ours ? before : name};
}

/* ------------------------------------------------------------------ groups */

static struct mirai_str lower(struct mirai_arena *arena, struct mirai_str s)
{
    struct mirai_str copy = mirai_arena_copy(arena, s);
    char *at = (char *)copy.data;
    for (size_t i = 0; i < copy.len; i++) {
        at[i] = at[i] >= 'A' && at[i] <= 'Z' ? (char)(at[i] + 'a' - 'A') : at[i];
    }
    return copy;
}

enum mirai_role directory_role_of_group(const struct directory_settings *settings, struct mirai_str key,
                                        struct mirai_str name)
{
    enum mirai_role role = MIRAI_ROLE_NONE;
    for (size_t i = 0; i < settings->rules_count; i++) {
        const struct directory_group_rule *rule = &settings->rules[i];
        bool fits = !rule->everyone && (rule->is_dn ? same(rule->key, key) : same(rule->key, name));
        role = fits && rule->role > role ? rule->role : role;
    }
    return role;
}

enum mirai_role directory_role_of_all(const struct directory_settings *settings)
{
    enum mirai_role role = MIRAI_ROLE_NONE;
    for (size_t i = 0; i < settings->rules_count; i++) {
        const struct directory_group_rule *rule = &settings->rules[i];
        role = rule->everyone && rule->role > role ? rule->role : role;
    }
    return role;
}

static struct mirai_str trim(struct mirai_str s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\n')) {
        s = (struct mirai_str){s.data + 1, s.len - 1};
    }
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\n')) {
        s.len--;
    }
    return s;
}

/* Up to the next semicolon, which a DN has only escaped (RFC 4514 §2.4); *rest is what follows. */
static struct mirai_str next_group(struct mirai_str *rest)
{
    size_t at = 0;
    while (at < rest->len && rest->data[at] != ';') {
        at += rest->data[at] == '\\' && at + 1 < rest->len ? 2 : 1;
    }
    struct mirai_str group = {rest->data, at};
    size_t used = at < rest->len ? at + 1 : at;
    *rest = (struct mirai_str){rest->data + used, rest->len - used};
    return trim(group);
}

/* ------------------------------------------------------------------ reading */

static int fault(const char *variable, const char *value, const char *why)
{
    mirai_log(ERROR, "the directory's configuration is not right", MIRAI_LOG_Z("variable", variable),
              MIRAI_LOG_Z("value", value), MIRAI_LOG_Z("reason", why));
    return MIRAI_E_INVALID;
}

static int read_groups(struct directory_settings *settings, enum mirai_config_key key, const char *variable,
                       enum mirai_role role)
{
    struct mirai_str rest = mirai_str(mirai_config_str(key));
    int err = 0;
    while (rest.len > 0) {
        struct mirai_str group = next_group(&rest);
        if (group.len == 0) {
            continue;
        }
        settings->rules =
            mirai_realloc(settings->rules, (settings->rules_count + 1) * sizeof(settings->rules[0]));
        struct directory_group_rule *rule = &settings->rules[settings->rules_count++];
        *rule = (struct directory_group_rule){.role = role, .everyone = mirai_str_eq(group, MIRAI_STR("*"))};
        rule->is_dn = memchr(group.data, '=', group.len) != NULL;
        rule->key = rule->is_dn ? ldap_dn_key(&settings->arena, group) : lower(&settings->arena, group);
        if (rule->is_dn && rule->key.len == 0) {
            err = fault(variable, mirai_config_str(key),
                        "a group is not a distinguished name (RFC 4514); groups "
                        "are separated by semicolons");
        }
        if (rule->everyone && role != MIRAI_ROLE_VIEWER) {
            err = fault(variable, "*", "everyone may only be a Viewer");
        }
    }
    return err;
}

/* HOST, HOST:PORT or [IPV6]:PORT. */
static bool read_authority(struct directory_server *server, struct mirai_arena *arena, struct mirai_str s,
                           int default_port)
{
    struct mirai_str host = s, port = {0};
    if (s.len > 0 && s.data[0] == '[') {
        struct mirai_str after;
        if (!split((struct mirai_str){s.data + 1, s.len - 1}, ']', &host, &after) ||
            (after.len > 0 && after.data[0] != ':')) {
            return false;
        }
        port = after.len > 0 ? (struct mirai_str){after.data + 1, after.len - 1} : after;
        if (after.len > 0 && port.len == 0) {
            return false;
        }
    } else if (split(s, ':', &host, &port) && port.len == 0) {
        return false;
    }
    int64_t number = default_port;
    if (host.len == 0 || host.len > 253 || memchr(host.data, '/', host.len) != NULL ||
        memchr(host.data, '@', host.len) != NULL ||
        (port.len > 0 && mirai_parse_int(port, 1, 65535, &number) != 0)) {
        return false;
    }
    server->host = mirai_arena_copy(arena, host);
    server->port = (int)number;
    return true;
}

/* An address of this host itself; a name could lead anywhere. */
static bool is_loopback(struct mirai_str host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host.data, &v4) == 1) {
        return (ntohl(v4.s_addr) >> 24) == 127;
    }
    return inet_pton(AF_INET6, host.data, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static int read_server(struct directory_settings *settings, struct mirai_str url)
{
    static const char variable[] = "MIRAI_LDAP_SERVERS";
    bool plain = mirai_config_int(MIRAI_CONFIG_LDAP_PLAINTEXT) != 0;
    const char *text = mirai_arena_copy(&settings->arena, url).data;
    bool tls = strncasecmp(text, "ldaps://", 8) == 0;
    if (settings->servers_count == DIRECTORY_SERVERS_MAX) {
        return fault(variable, text, "too many servers");
    }
    struct directory_server *server = &settings->servers[settings->servers_count];
    size_t skip = tls ? 8 : 7;
    if (!tls && strncasecmp(text, "ldap://", 7) != 0) {
        return fault(variable, text, "a server is ldaps://HOST[:PORT] or ldap://HOST[:PORT]");
    }
    struct mirai_str authority = {text + skip, url.len - skip};
    if (authority.len > 0 && authority.data[authority.len - 1] == '/') {
        authority.len--;
    }
    if (!read_authority(server, &settings->arena, authority, tls ? 636 : 389)) {
        return fault(variable, text, "a server is ldaps://HOST[:PORT] or ldap://HOST[:PORT]");
    }
    server->url = text;
    server->security = tls ? LDAP_LINK_TLS : plain ? LDAP_LINK_PLAIN : LDAP_LINK_START_TLS;
    if (server->security == LDAP_LINK_PLAIN && !is_loopback(server->host)) {
        return fault("MIRAI_LDAP_PLAINTEXT", text, "without TLS only to a loopback address of this host");
    }
    settings->servers_count++;
    return 0;
}

static int read_servers(struct directory_settings *settings)
{
    struct mirai_str rest = mirai_str(mirai_config_str(MIRAI_CONFIG_LDAP_SERVERS)), url;
    int err = 0;
    while (rest.len > 0) {
        if (!split(rest, ',', &url, &rest)) {
            url = rest;
            rest.len = 0;
        }
        url = trim(url);
        if (url.len > 0 && read_server(settings, url) != 0) {
            err = MIRAI_E_INVALID;
        }
    }
    return err;
}

static const char *or_default(enum mirai_config_key key, const char *otherwise)
{
    const char *value = mirai_config_str(key);
    return value[0] != '\0' ? value : otherwise;
}

static bool is_attribute(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
    return len > 0 && name[len] == '\0' && (name[0] < '0' || name[0] > '9') && name[0] != '-';
}

static int check(struct directory_settings *settings)
{
    bool ad = settings->type == DIRECTORY_ACTIVE_DIRECTORY;
    int err = 0;
    if (settings->base[0] == '\0' || ldap_dn_key(&settings->arena, mirai_str(settings->base)).len == 0) {
        err = fault("MIRAI_LDAP_BASE", settings->base,
                    "must be a distinguished name such as dc=example,dc=com");
    }
    if (ldap_dn_key(&settings->arena, mirai_str(settings->group_base)).len == 0) {
        err = fault("MIRAI_LDAP_GROUP_BASE", settings->group_base, "must be a distinguished name");
    }
    if (!is_attribute(settings->user_attribute)) {
        err =
            fault("MIRAI_LDAP_USER_ATTRIBUTE", settings->user_attribute, "must be the name of an attribute");
    }
    if (!ldap_filter_valid(settings->user_filter)) {
        err = fault("MIRAI_LDAP_USER_FILTER", settings->user_filter,
                    "must be a filter (RFC 4515) in parentheses");
    }
    if (settings->bind_dn[0] != '\0' && settings->bind_password.len == 0) {
        err = fault("MIRAI_LDAP_BIND_PASSWORD", "", "the service account needs its password");
    }
    if (ad && settings->bind_dn[0] == '\0') {
        err = fault("MIRAI_LDAP_BIND_DN", "", "Active Directory is searched only with a service account");
    }
    SSL_CTX *tls = stream_tls_new(settings->ca_file);
    if (tls == NULL) {
        err = fault("MIRAI_LDAP_CA_FILE", settings->ca_file, "cannot be read");
    }
    SSL_CTX_free(tls);
    if (settings->rules_count == 0) {
        err = fault("MIRAI_LDAP_VIEWER_GROUPS", "",
                    "no group gives a role: no one could log in; * lets all in");
    }
    return err;
}

int directory_settings_new(struct directory_settings **out)
{
    *out = NULL;
    if (mirai_config_str(MIRAI_CONFIG_LDAP_SERVERS)[0] == '\0') {
        return 0;
    }
    struct directory_settings *settings = mirai_alloc(sizeof(*settings));
    bool ad = strcmp(mirai_config_str(MIRAI_CONFIG_LDAP_TYPE), "active-directory") == 0;
    ldap_link_init();
    settings->type = ad ? DIRECTORY_ACTIVE_DIRECTORY : DIRECTORY_OPENLDAP;
    settings->ca_file = mirai_config_str(MIRAI_CONFIG_LDAP_CA_FILE);
    settings->base = mirai_config_str(MIRAI_CONFIG_LDAP_BASE);
    settings->group_base = or_default(MIRAI_CONFIG_LDAP_GROUP_BASE, settings->base);
    settings->bind_dn = mirai_config_str(MIRAI_CONFIG_LDAP_BIND_DN);
    settings->bind_password = mirai_str(mirai_config_str(MIRAI_CONFIG_LDAP_BIND_PASSWORD));
    settings->user_attribute = or_default(MIRAI_CONFIG_LDAP_USER_ATTRIBUTE, ad ? "sAMAccountName" : "uid");
    settings->user_filter =
        or_default(MIRAI_CONFIG_LDAP_USER_FILTER,
                   ad ? "(&(objectCategory=person)(objectClass=user))" : "(objectClass=person)");
    settings->domain = mirai_str(mirai_config_str(MIRAI_CONFIG_LDAP_DOMAIN));
    settings->netbios = mirai_str(mirai_config_str(MIRAI_CONFIG_LDAP_NETBIOS_NAME));
    settings->login_ms = (uint64_t)mirai_config_int(MIRAI_CONFIG_LDAP_DEADLINE_MS);
    settings->server_ms = (uint64_t)mirai_config_int(MIRAI_CONFIG_LDAP_SERVER_MS);
    settings->logins_max = mirai_config_size(MIRAI_CONFIG_LDAP_LOGINS_MAX);
    int errs[] = {
        read_servers(settings),
        read_groups(settings, MIRAI_CONFIG_LDAP_ADMIN_GROUPS, "MIRAI_LDAP_ADMIN_GROUPS", MIRAI_ROLE_ADMIN),
        read_groups(settings, MIRAI_CONFIG_LDAP_EDITOR_GROUPS, "MIRAI_LDAP_EDITOR_GROUPS", MIRAI_ROLE_EDITOR),
        read_groups(settings, MIRAI_CONFIG_LDAP_VIEWER_GROUPS, "MIRAI_LDAP_VIEWER_GROUPS", MIRAI_ROLE_VIEWER),
        check(settings),
    };
    for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
        if (errs[i] != 0) {
            directory_settings_free(settings);
            return errs[i];
        }
    }
    *out = settings;
    return 0;
}

void directory_settings_free(struct directory_settings *settings)
{
    if (settings != NULL) {
        mirai_arena_free(&settings->arena);
        free(settings->rules);
        free(settings);
    }
}
