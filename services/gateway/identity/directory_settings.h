/* How the directory is used: MIRAI_LDAP_* read and checked once at start, then shared by all loops, unchanged. */
#ifndef GATEWAY_DIRECTORY_SETTINGS_H
#define GATEWAY_DIRECTORY_SETTINGS_H

#include "libcommon/arena.h"
#include "libcommon/rpc.h"
#include "services/gateway/identity/ldap.h"

#define DIRECTORY_SERVERS_MAX 16

enum directory_type {
    DIRECTORY_OPENLDAP,
    DIRECTORY_ACTIVE_DIRECTORY,
};

struct directory_server {
    const char *url; /* as configured, for the log */
    struct mirai_str host;
    int port;
    enum ldap_link_security security;
};

/* A group that gives a role: by DN, or by name. */
struct directory_group_rule {
    enum mirai_role role;
    bool everyone; /* "*" */
    bool is_dn;
    struct mirai_str key; /* ldap_dn_key() of the DN, or the name in lower case */
};

struct directory_settings {
    struct mirai_arena arena; /* owns all below but what the configuration owns */
    struct directory_server servers[DIRECTORY_SERVERS_MAX];
    size_t servers_count;
    enum directory_type type;
    const char *ca_file;
    const char *base;
    const char *group_base;
    const char *bind_dn; /* empty: anonymous */
    struct mirai_str bind_password;
    const char *user_attribute;
    const char *user_filter;
    struct mirai_str domain;  /* empty: none */
    struct mirai_str netbios; /* empty: none */
    struct directory_group_rule *rules;
    size_t rules_count;
    uint64_t login_ms;  /* a whole login, all servers */
    uint64_t server_ms; /* one server's answer */
    size_t logins_max;  /* at work at once on one loop */
};

/* Read MIRAI_LDAP_*. 0, with *settings NULL when no directory is configured; MIRAI_E_INVALID with all reasons logged. */
int directory_settings_new(struct directory_settings **settings);
void directory_settings_free(struct directory_settings *settings);

/* The highest role that the group gives. key: ldap_dn_key() of its DN (may be empty); name: as the directory spells it. */
enum mirai_role directory_role_of_group(const struct directory_settings *settings, struct mirai_str key,
                                        struct mirai_str name);
/* The role of everyone in the directory. */
enum mirai_role directory_role_of_all(const struct directory_settings *settings);

/* How a person may be called at login. */
struct directory_name {
    struct mirai_str account; /* value of the user attribute; empty: look for upn alone */
    struct mirai_str upn;     /* userPrincipalName to look for; empty: none */
};

/* NAME@DOMAIN or DOMAIN\NAME: not a name of a local account. */
bool directory_name_has_domain(struct mirai_str name);
/* Lent from `name`. Of another domain than the configured one it is taken as it stands: mail addresses can be login names. */
struct directory_name directory_name_parse(const struct directory_settings *settings, struct mirai_str name);

#endif
