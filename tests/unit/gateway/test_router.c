#include "services/gateway/gateway.h"
#include "tests/unit/gateway/test.h"

static const struct mirai_str *values[ROUTE_PARAMS_MAX];
static unsigned allowed;

static const struct route *find(enum route_method method, const char *path)
{
    static char scratch[TARGET_BYTES_MAX];
    static struct target target;
    if (target_parse(mirai_str(path), scratch, &target) != 0) {
        return NULL;
    }
    return route_match(&target, method, values, &allowed);
}

static int init(void **state)
{
    (void)state;
    return routes_init();
}

static void every_route_is_found_by_its_pattern(void **state)
{
    (void)state;
    for (size_t i = 0; i < routes_count; i++) {
        assert_ptr_equal(find(routes[i].method, routes[i].pattern), &routes[i]);
    }
}

static void parameters_are_given_in_order(void **state)
{
    (void)state;
    const struct route *route = find(ROUTE_GET, "/api/v1/articles/12/revisions/3/diff");
    assert_non_null(route);
    assert_int_equal(route->rpc, MIRAI_METHOD_ID_revision_diff);
    assert_str(*values[0], "12");
    assert_str(*values[1], "3");
    assert_str(route_plan(route)->params[0], "id");
    assert_str(route_plan(route)->params[1], "version");
    assert_int_equal(route_plan(route)->params_count, 2);
}

static void literals_win_over_parameters(void **state)
{
    (void)state;
    assert_int_equal(find(ROUTE_GET, "/api/v1/users/me")->rpc, MIRAI_METHOD_ID_user_self);
    assert_int_equal(find(ROUTE_GET, "/api/v1/users/5")->rpc, MIRAI_METHOD_ID_user_get);
    assert_int_equal(find(ROUTE_GET, "/api/v1/articles/by-slug/x")->rpc, MIRAI_METHOD_ID_article_get);
}

static void unknown_paths_have_no_methods(void **state)
{
    (void)state;
    static const char *const unknown[] = {"/api",
                                          "/api/v1",
                                          "/api/v1/nothing",
                                          "/api/v1/articles/1/nothing",
                                          "/api/v1/articles/1/revisions/2/diff/x",
                                          "/assets"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        assert_null(find(ROUTE_GET, unknown[i]));
        assert_int_equal(allowed, 0);
    }
}

static void wrong_methods_learn_the_right_ones(void **state)
{
    (void)state;
    assert_null(find(ROUTE_PUT, "/api/v1/articles"));
    assert_int_equal(allowed, 1u << ROUTE_GET | 1u << ROUTE_POST);
    assert_null(find(ROUTE_METHODS, "/api/v1/articles/1"));
    assert_int_equal(allowed, 1u << ROUTE_GET | 1u << ROUTE_PUT | 1u << ROUTE_PATCH | 1u << ROUTE_DELETE);
}

static const struct mirai_field *field_of(const struct mirai_message *message, struct mirai_str name)
{
    for (size_t i = 0; i < message->count; i++) {
        if (mirai_str_eq(mirai_str(message->fields[i].name), name)) {
            return &message->fields[i];
        }
    }
    return NULL;
}

/* The table may not promise what the methods' declarations do not have, nor let in whom they refuse. */
static void the_table_agrees_with_the_declarations(void **state)
{
    (void)state;
    for (size_t i = 0; i < routes_count; i++) {
        const struct route *route = &routes[i];
        if (route->rpc < 0) {
            continue;
        }
        const struct mirai_method *method = &mirai_methods[route->rpc];
        const struct route_plan *plan = route_plan(route);
        assert_true((int)route->role >= (int)method->role || method->role == MIRAI_METHOD_NONE);
        assert_true(method->kind == MIRAI_RPC_READ || route->method != ROUTE_GET);
        for (size_t n = 0; n < plan->params_count && route->handle == handle_rpc; n++) {
            assert_non_null(field_of(method->params, plan->params[n]));
        }
        if ((route->flags & ROUTE_IF_MATCH) != 0) {
            assert_non_null(field_of(method->params, MIRAI_STR("if_match")));
        }
        if ((route->flags & ROUTE_ETAG) != 0) {
            assert_non_null(field_of(method->result, MIRAI_STR("etag")));
        }
    }
}

static void only_the_entrance_is_open(void **state)
{
    (void)state;
    static const char *const open[] = {
        "/health", "/ready", "/", "/assets/{name}", "/api/v1/openapi.json", "/api/v1/session"};
    for (size_t i = 0; i < routes_count; i++) {
        bool listed = false;
        for (size_t n = 0; n < sizeof(open) / sizeof(open[0]); n++) {
            listed = listed || strcmp(routes[i].pattern, open[n]) == 0;
        }
        assert_true(listed || routes[i].role > MIRAI_ROLE_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_found_by_its_pattern),
        cmocka_unit_test(parameters_are_given_in_order),
        cmocka_unit_test(literals_win_over_parameters),
        cmocka_unit_test(unknown_paths_have_no_methods),
        cmocka_unit_test(wrong_methods_learn_the_right_ones),
        cmocka_unit_test(the_table_agrees_with_the_declarations),
        cmocka_unit_test(only_the_entrance_is_open),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
