#include "services/gateway/identity/directory_settings.h"

#include "libcommon/config.h"
#include "tests/unit/gateway/test.h"

#include <stdio.h>
#include <stdlib.h>

#define GOOD                                                                                                 \
    "MIRAI_LDAP_BASE=dc=kb,dc=test", "MIRAI_LDAP_DOMAIN=kb.test", "MIRAI_LDAP_NETBIOS_NAME=KB",              \
        "MIRAI_LDAP_VIEWER_GROUPS=*"

static int load(struct directory_settings **settings, char *const *environment)
{
    assert_int_equal(mirai_config_load(environment, stderr), 0);
    return directory_settings_new(settings);
}

static void test_none_is_fine(void **state)
{
    (void)state;
    struct directory_settings *settings;
    assert_int_equal(load(&settings, (char *const[]){"PATH=/bin", NULL}), 0);
    assert_null(settings);
}

static void test_reads_servers_in_order(void **state)
{
    (void)state;
    struct directory_settings *settings;
    assert_int_equal(
        load(&settings, (char *const[]){"MIRAI_LDAP_SERVERS=ldaps://dc1.kb.test, LDAP://dc2.kb.test:3389/ "
                                        ",ldaps://[2001:db8::1]:3636,ldap://[::1]",
                                        GOOD, NULL}),
        0);
    static const struct {
        const char *host;
        int port;
        enum ldap_link_security security;
    } expected[] = {{"dc1.kb.test", 636, LDAP_LINK_TLS},
                    {"dc2.kb.test", 3389, LDAP_LINK_START_TLS},
                    {"2001:db8::1", 3636, LDAP_LINK_TLS},
                    {"::1", 389, LDAP_LINK_START_TLS}};
    assert_int_equal(settings->servers_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_str(settings->servers[i].host, expected[i].host);
        assert_int_equal(settings->servers[i].port, expected[i].port);
        assert_int_equal(settings->servers[i].security, expected[i].security);
    }
    directory_settings_free(settings);
}

static void test_plaintext_only_on_this_host(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        int err;
    } rows[] = {{"ldap://127.0.0.1", 0},
                {"ldap://127.1.2.3:3389", 0},
                {"ldap://[::1]:389", 0},
                {"ldap://localhost", MIRAI_E_INVALID},
                {"ldap://10.0.0.1", MIRAI_E_INVALID},
                {"ldap://127.0.0.1.example.com", MIRAI_E_INVALID},
                {"ldap://[::ffff:10.0.0.1]", MIRAI_E_INVALID},
                {"ldap://127.0.0.1,ldap://10.0.0.1", MIRAI_E_INVALID}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct directory_settings *settings;
        char servers[100];
        snprintf(servers, sizeof(servers), "MIRAI_LDAP_SERVERS=%s", rows[i].url);
        assert_int_equal(load(&settings, (char *const[]){servers, "MIRAI_LDAP_PLAINTEXT=true", GOOD, NULL}),
                         rows[i].err);
        directory_settings_free(settings);
    }
}

static struct directory_name parse(enum directory_type type, const char *name)
{
    const struct directory_settings settings = {
        .type = type, .domain = MIRAI_STR("kb.test"), .netbios = MIRAI_STR("KB")};
    return directory_name_parse(&settings, mirai_str(name));
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *given, *openldap, *ad, *upn;
    } rows[] = {
        {"ana", "ana", "ana", ""},
        {"KB\\ana", "ana", "ana", ""},
        {"kb.TEST\\ana", "ana", "ana", ""},
        {"ana@KB.test", "ana", "ana", "ana@KB.test"},
        {"ana@mail.example", "ana@mail.example", "", "ana@mail.example"},
        {"OTHER\\ana", "OTHER\\ana", "OTHER\\ana", ""},
        {"KB\\", "KB\\", "KB\\", ""},
        {"\\ana", "\\ana", "\\ana", ""},
        {"@kb.test", "@kb.test", "@kb.test", ""},
        {"花子@kb.test", "花子", "花子", "花子@kb.test"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct directory_name openldap = parse(DIRECTORY_OPENLDAP, rows[i].given);
        struct directory_name ad = parse(DIRECTORY_ACTIVE_DIRECTORY, rows[i].given);
        assert_str(openldap.account, rows[i].openldap);
        assert_int_equal(openldap.upn.len, 0);
        assert_str(ad.account, rows[i].ad);
        assert_str(ad.upn, rows[i].upn);
    }
    assert_true(directory_name_has_domain(MIRAI_STR("KB\\ana")));
    assert_true(directory_name_has_domain(MIRAI_STR("ana@kb.test")));
    assert_false(directory_name_has_domain(MIRAI_STR("ana")));
}

static enum mirai_role role(const struct directory_settings *settings, const char *dn, const char *name)
{
    struct mirai_arena arena = {0};
    enum mirai_role found =
        directory_role_of_group(settings, ldap_dn_key(&arena, mirai_str(dn)), mirai_str(name));
    mirai_arena_free(&arena);
    return found;
}

static void test_groups_give_roles(void **state)
{
    (void)state;
    struct directory_settings *settings;
    assert_int_equal(
        load(&settings,
             (char *const[]){"MIRAI_LDAP_SERVERS=ldaps://a", "MIRAI_LDAP_BASE=dc=kb",
                             "MIRAI_LDAP_ADMIN_GROUPS=cn=a\\;b,dc=kb; CN=Admins, DC=kb ;",
                             "MIRAI_LDAP_EDITOR_GROUPS=運用;Kb-Editors", "MIRAI_LDAP_VIEWER_GROUPS=*", NULL}),
        0);
    assert_int_equal(settings->rules_count, 5);
    assert_int_equal(role(settings, "cn=admins,dc=kb", "admins"), MIRAI_ROLE_ADMIN);
    assert_int_equal(role(settings, "cn=a\\;b,dc=kb", "x"), MIRAI_ROLE_ADMIN);
    assert_int_equal(role(settings, "cn=admins,ou=mine,dc=kb", "admins"), MIRAI_ROLE_NONE); /* another's DN */
    assert_int_equal(role(settings, "cn=x,dc=kb", "KB-EDITORS"), MIRAI_ROLE_EDITOR);
    assert_int_equal(role(settings, "cn=x,dc=kb", "運用"), MIRAI_ROLE_EDITOR);
    assert_int_equal(role(settings, "cn=x,dc=kb", "*"), MIRAI_ROLE_NONE);
    assert_int_equal(role(settings, "", ""), MIRAI_ROLE_NONE);
    assert_int_equal(directory_role_of_all(settings), MIRAI_ROLE_VIEWER);
    directory_settings_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_is_fine),
        cmocka_unit_test(test_reads_servers_in_order),
        cmocka_unit_test(test_plaintext_only_on_this_host),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_groups_give_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
