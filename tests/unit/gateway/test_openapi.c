#include "services/gateway/gateway.h"
#include "tests/unit/gateway/test.h"

#include <jansson.h>

static json_t *root;

static int init(void **state)
{
    (void)state;
    if (routes_init() != 0) {
        return -1;
    }
    openapi_init(MIRAI_STR("__Host-mirai-0123abcd"));
    struct mirai_str text = openapi_text();
    root = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    return root != NULL ? 0 : -1;
}

static int finish(void **state)
{
    (void)state;
    json_decref(root);
    return 0;
}

static json_t *operation(const char *path, const char *method)
{
    return json_object_get(json_object_get(json_object_get(root, "paths"), path), method);
}

static json_t *parameter(json_t *operation, const char *name)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(operation, "parameters"), i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0) {
            return one;
        }
    }
    return NULL;
}

static void every_route_is_described(void **state)
{
    (void)state;
    assert_string_equal(json_string_value(json_object_get(root, "openapi")), "3.1.0");
    for (size_t i = 0; i < routes_count; i++) {
        char method[8] = "";
        for (size_t n = 0; route_method_names[routes[i].method][n] != '\0'; n++) {
            method[n] = (char)(route_method_names[routes[i].method][n] | 0x20);
        }
        json_t *found = operation(routes[i].pattern, method);
        if ((routes[i].flags & ROUTE_HIDDEN) != 0) {
            assert_null(found);
            continue;
        }
        assert_non_null(found);
        for (size_t n = 0; n < route_plan(&routes[i])->params_count; n++) {
            char name[64];
            snprintf(name, sizeof(name), "%.*s", MIRAI_STR_ARG(route_plan(&routes[i])->params[n]));
            json_t *path = parameter(found, name);
            assert_non_null(path);
            assert_string_equal(json_string_value(json_object_get(path, "in")), "path");
        }
    }
}

static void operations_have_different_names(void **state)
{
    (void)state;
    const char *path, *method;
    json_t *methods, *one, *seen = json_object();
    json_object_foreach(json_object_get(root, "paths"), path, methods)
    {
        json_object_foreach(methods, method, one)
        {
            const char *id = json_string_value(json_object_get(one, "operationId"));
            assert_non_null(id);
            assert_null(json_object_get(seen, id));
            json_object_set_new(seen, id, json_true());
        }
    }
    json_decref(seen);
}

static void check_references(json_t *node)
{
    const char *key;
    size_t i;
    json_t *child, *reference = json_object_get(node, "$ref");
    if (json_is_string(reference)) {
        char path[128];
        snprintf(path, sizeof(path), "%s", json_string_value(reference));
        json_t *target = root;
        for (char *part = strtok(path + 2, "/"); part != NULL; part = strtok(NULL, "/")) {
            target = json_object_get(target, part);
        }
        assert_non_null(target);
    }
    json_object_foreach(node, key, child)
    {
        check_references(child);
    }
    json_array_foreach(node, i, child)
    {
        check_references(child);
    }
}

static void all_references_lead_somewhere(void **state)
{
    (void)state;
    check_references(root);
}

static void bodies_leave_out_what_travels_elsewhere(void **state)
{
    (void)state;
    json_t *put = operation("/api/v1/articles/{id}", "put");
    json_t *schema = json_object_get(
        json_object_get(json_object_get(json_object_get(put, "requestBody"), "content"), "application/json"),
        "schema");
    json_t *properties = json_object_get(schema, "properties");
    assert_non_null(json_object_get(properties, "title"));
    assert_null(json_object_get(properties, "id"));
    assert_null(json_object_get(properties, "if_match"));
    assert_true(json_is_true(json_object_get(parameter(put, "If-Match"), "required")));
    assert_non_null(parameter(operation("/api/v1/search", "get"), "q"));
    assert_null(json_object_get(operation("/api/v1/search", "get"), "requestBody"));
}

static void only_what_the_store_writes_takes_a_key(void **state)
{
    (void)state;
    assert_non_null(parameter(operation("/api/v1/articles", "post"), "Idempotency-Key"));
    assert_null(parameter(operation("/api/v1/backups", "post"), "Idempotency-Key"));
    assert_null(parameter(operation("/api/v1/articles", "get"), "Idempotency-Key"));
}

static void the_session_has_its_cookie(void **state)
{
    (void)state;
    json_t *schemes = json_object_get(json_object_get(root, "components"), "securitySchemes");
    assert_string_equal(json_string_value(json_object_get(json_object_get(schemes, "session"), "name")),
                        "__Host-mirai-0123abcd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(operations_have_different_names),
        cmocka_unit_test(all_references_lead_somewhere),
        cmocka_unit_test(bodies_leave_out_what_travels_elsewhere),
        cmocka_unit_test(only_what_the_store_writes_takes_a_key),
        cmocka_unit_test(the_session_has_its_cookie),
    };
    return cmocka_run_group_tests(tests, init, finish);
}
