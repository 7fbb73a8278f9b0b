/* Prints API_REFERENCE.md from the tables that the daemons run on:
 *
 *   build/release/bin/mirai-reference >docs/API_REFERENCE.md
 *
 * or with --routes the route table as JSON, hidden routes too: tests walk it.
 */
#include "libcommon/config.h"
#include "services/gateway/gateway.h"
#include "services/gateway/problem.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static const char introduction[] =
    "# API reference\n"
    "\n"
    "> Made from the declarations by `mirai-reference` (docs/reference.c): change those, not this file.\n"
    "\n"
    "API の入口は `https://ホスト:ポート/api/v1` です。認証は API トークン（`Authorization: Bearer "
    "…`）か、`POST /api/v1/session` で得る\n"
    "セッション Cookie で行います。エラーは problem+json で、`Accept-Language` "
    "に応じて日本語か英語で返ります。機械で読む形は\n"
    "`/api/v1/openapi.json`（OpenAPI 3.1）にあります。\n"
    "\n"
    "The API lives under `https://HOST:PORT/api/v1`. Clients authenticate with an API token (`Authorization: "
    "Bearer …`) or with the session\n"
    "cookie of `POST /api/v1/session`. Errors are problem+json in Japanese or English, as `Accept-Language` "
    "asks. The same description for\n"
    "machines is `/api/v1/openapi.json` (OpenAPI 3.1).\n"
    "\n"
    "- **Roles**: `viewer` < `editor` < `admin`; `none` needs no credentials. What someone may not see "
    "answers 404.\n"
    "- **Bodies** are JSON in UTF-8 with a `Content-Length`; `PATCH` is a merge patch (RFC 7396). Unknown "
    "and repeated members are refused.\n"
    "- **Cookies**: a write with the session cookie must come from the same origin and carry `X-CSRF-Token`, "
    "the "
    "`csrf_token` of `POST` or `GET /api/v1/session`.\n"
    "- **Versions**: an article's `ETag` is its `etag` in quotation marks. `If-Match` takes it back: 412 "
    "when the article has changed since.\n"
    "- **Pages**: `limit` items; `next_cursor` and the `Link` header lead to the next page. A cursor is "
    "opaque.\n"
    "- **Repeating**: a write with an `Idempotency-Key` (1 to 200 visible ASCII characters) is done once, "
    "and its "
    "answer given again.\n"
    "- **Tracing**: `traceparent` is taken up; `X-Request-Id` of the answer is in the logs and in `miraictl "
    "audit list`.\n"
    "- `HEAD` works wherever `GET` does.\n"
    "\n"
    "Contents: [Routes](#routes) · [Problems](#problems) · [Messages](#messages) · [Methods between "
    "daemons](#methods-between-daemons) ·\n"
    "[Configuration](#configuration)\n";

/* ------------------------------------------------------------------ routes */

/* What OpenAPI says about a route. */
static const json_t *operation_of(const json_t *document, const struct route *route)
{
    char method[8] = "";
    for (size_t i = 0; route_method_names[route->method][i] != '\0'; i++) {
        method[i] = (char)(route_method_names[route->method][i] | 0x20);
    }
    return json_object_get(json_object_get(json_object_get(document, "paths"), route->pattern), method);
}

/* "query `limit`, `cursor`"; *any: whether the cell has something already. */
static void print_parameters(const json_t *operation, const char *place, bool *any)
{
    size_t i;
    json_t *parameter;
    bool first = true;
    json_array_foreach(json_object_get(operation, "parameters"), i, parameter)
    {
        if (strcmp(json_string_value(json_object_get(parameter, "in")), place) == 0) {
            first ? printf("%s%s ", *any ? "<br>" : "", place) : printf(", ");
            printf("`%s`%s", json_string_value(json_object_get(parameter, "name")),
                   json_is_true(json_object_get(parameter, "required")) ? "\\*" : "");
            first = false;
            *any = true;
        }
    }
}

static void print_body(const struct route *route, const json_t *operation, bool any)
{
    if ((route->flags & ROUTE_ANY_BODY) != 0) {
        printf("%sbody: the file", any ? "<br>" : "");
    } else if (json_object_get(operation, "requestBody") != NULL) {
        const char *message = mirai_methods[route->rpc].params->name;
        printf("%sbody [%s](#%s)", any ? "<br>" : "", message, message);
    }
}

/* What follows the last '/' of a reference. */
static const char *last_segment(const char *reference)
{
    return strrchr(reference, '/') + 1;
}

static void print_success(const struct route *route, const json_t *operation)
{
    char status[8];
    const char *type;
    json_t *content;
    snprintf(status, sizeof(status), "%d", route->status);
    printf("%s", status);
    json_object_foreach(
        json_object_get(json_object_get(json_object_get(operation, "responses"), status), "content"), type,
        content)
    {
        const char *reference =
            json_string_value(json_object_get(json_object_get(content, "schema"), "$ref"));
        if (reference != NULL) {
            printf(" [%s](#%s)", last_segment(reference), last_segment(reference));
        } else if (strcmp(type, "*/*") == 0) {
            printf(" the file");
        } else {
            printf(" `%s`", type);
        }
    }
}

static void print_routes(void)
{
    struct mirai_str text = openapi_text();
    json_t *document = json_loadb(text.data, text.len, 0, NULL);
    printf(
        "\n## Routes\n\nMembers of a body that the path or a header already gives are left out of it. \\*: "
        "required.\n\n"
        "| | Path | Role | What it does | Parameters | Success |\n| --- | --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < routes_count; i++) {
        const struct route *route = &routes[i];
        if ((route->flags & ROUTE_HIDDEN) != 0) {
            continue;
        }
        const json_t *operation = operation_of(document, route);
        printf("| %s | `%s` | %s | %s | ", route_method_names[route->method], route->pattern,
               mirai_enum_role.values[route->role], json_string_value(json_object_get(operation, "summary")));
        bool any = false;
        print_parameters(operation, "query", &any);
        print_parameters(operation, "header", &any);
        print_body(route, operation, any);
        printf(" | ");
        print_success(route, operation);
        printf(" |\n");
    }
    json_decref(document);
}

/* ------------------------------------------------------------------ problems */

static void print_problems(void)
{
    printf(
        "\n## Problems\n\n`type` is `urn:mirai:problem:` and the slug; `errors` lists the faults of an input "
        "([fault_info](#fault_info)).\n\n| Slug | Status | 日本語 | English |\n| --- | --- | --- | --- |\n");
    for (int i = PROBLEM_NONE + 1; i < PROBLEM_COUNT; i++) {
        const struct problem_text *text = &problem_texts[i];
        if (i == PROBLEM_CANCELLED) {
            continue; /* its client is gone */
        }
        printf("| `%s` | %d | %s | %s |\n", text->slug, text->status, text->ja, text->en);
    }
}

/* ------------------------------------------------------------------ messages */

static void print_range(const struct mirai_field *field, const char *unit)
{
    if (field->min > INT64_MIN) {
        printf("%" PRId64, field->min);
    }
    printf("…");
    if (field->max < INT64_MAX) {
        printf("%" PRId64, field->max);
    }
    printf("%s", unit);
}

/* "Type | Bounds": two cells. */
static void print_type(const struct mirai_field *field)
{
    static const char *const types[] = {
        [MIRAI_FIELD_BOOL] = "boolean",
        [MIRAI_FIELD_INT] = "integer",
        [MIRAI_FIELD_DOUBLE] = "number",
        [MIRAI_FIELD_STR] = "text",
        [MIRAI_FIELD_BIN] = "bytes (base64)",
        [MIRAI_FIELD_ENUM] = "choice",
        [MIRAI_FIELD_TIME] = "time",
        [MIRAI_FIELD_DATE] = "date",
        [MIRAI_FIELD_STRS] = "list of text",
        [MIRAI_FIELD_RAW] = "any",
        [MIRAI_FIELD_INTS] = "list of integer",
    };
    if (field->message != NULL) {
        printf("%s[%s](#%s) | ", field->kind == MIRAI_FIELD_OBJECTS ? "list of " : "", field->message->name,
               field->message->name);
    } else {
        printf("%s | ", types[field->kind]);
    }
    switch (field->kind) {
    case MIRAI_FIELD_INT:
        print_range(field, "");
        break;
    case MIRAI_FIELD_STR:
        print_range(field, " characters");
        break;
    case MIRAI_FIELD_BIN:
        print_range(field, " bytes");
        break;
    case MIRAI_FIELD_STRS:
    case MIRAI_FIELD_INTS:
    case MIRAI_FIELD_OBJECTS:
        print_range(field, " items");
        break;
    case MIRAI_FIELD_ENUM:
        for (size_t i = 0; field->enumeration->values[i] != NULL; i++) {
            printf("%s`%s`", i > 0 ? " " : "", field->enumeration->values[i]);
        }
        break;
    case MIRAI_FIELD_TIME:
        printf("RFC 3339");
        break;
    case MIRAI_FIELD_DATE:
        printf("`2026-01-31`");
        break;
    default:
        break;
    }
}

static void print_messages(void)
{
    printf("\n## Messages\n\nJSON objects at the edge, MessagePack maps between daemons. Members that have "
           "no value are left out; "
           "*or null* clears one; *by daemons*: refused from outside.\n");
    for (size_t i = 0; mirai_messages[i] != NULL; i++) {
        const struct mirai_message *message = mirai_messages[i];
        printf("\n### %s\n\n%s\n", message->name, message->doc);
        if (message->count > 0) {
            printf(
                "\n| Member | Type | Bounds | Required | Description |\n| --- | --- | --- | --- | --- |\n");
        }
        for (size_t k = 0; k < message->count; k++) {
            const struct mirai_field *field = &message->fields[k];
            printf("| `%s` | ", field->name);
            print_type(field);
            printf(" | %s | %s |\n",
                   (field->flags & MIRAI_INTERNAL) != 0   ? "by daemons"
                   : (field->flags & MIRAI_REQUIRED) != 0 ? "yes"
                   : (field->flags & MIRAI_NULLABLE) != 0 ? "or null"
                                                          : "",
                   field->doc);
        }
    }
}

/* ------------------------------------------------------------------ methods, configuration */

static void print_methods(void)
{
    static const char *const roles[] = {
        [MIRAI_METHOD_NONE] = "none",   [MIRAI_METHOD_VIEWER] = "viewer", [MIRAI_METHOD_EDITOR] = "editor",
        [MIRAI_METHOD_ADMIN] = "admin", [MIRAI_METHOD_SYSTEM] = "system",
    };
    const char *service = "";
    printf("\n## Methods between daemons\n\nMessagePack-RPC over UNIX sockets. A *read* may be tried again "
           "elsewhere, a *write* "
           "only with an idempotency key, what is sent *once* never, because it holds a secret; `system`: "
           "only daemons and the operator of the host.\n");
    for (int i = 0; i < MIRAI_METHOD_ID_COUNT; i++) {
        const struct mirai_method *method = &mirai_methods[i];
        if (strcmp(service, method->service) != 0) {
            service = method->service;
            printf("\n**%s**\n\n| Name | Kind | Role | Params | Result | What it does |\n"
                   "| --- | --- | --- | --- | --- | --- |\n",
                   service);
        }
        printf("| `%s` | %s | %s | [%s](#%s) | [%s](#%s) | %s |\n", method->name,
               method->kind == MIRAI_RPC_READ    ? "read"
               : method->kind == MIRAI_RPC_WRITE ? "write"
                                                 : "once",
               roles[method->role], method->params->name, method->params->name, method->result->name,
               method->result->name, method->doc);
    }
}

/* The table as it is, so that nothing is served that a test does not know of. */
static void print_route_table(void)
{
    printf("[");
    for (size_t i = 0; i < routes_count; i++) {
        const struct route *route = &routes[i];
        printf("%s\n{\"method\":\"%s\",\"path\":\"%s\",\"role\":\"%s\",\"status\":%d,\"flags\":%u,\"hidden\":"
               "%s,\"rpc\":\"%s\"}",
               i > 0 ? "," : "", route_method_names[route->method], route->pattern,
               mirai_enum_role.values[route->role], route->status, route->flags,
               (route->flags & ROUTE_HIDDEN) != 0 ? "true" : "false",
               route->rpc >= 0 ? mirai_methods[route->rpc].name : "");
    }
    printf("\n]\n");
}

int main(int argc, char **argv)
{
    if (routes_init() != 0) {
        return 1;
    }
    if (argc == 2 && strcmp(argv[1], "--routes") == 0) {
        print_route_table();
        return fflush(stdout) == 0 ? 0 : 1;
    }
    if (argc != 1) {
        fprintf(stderr, "usage: mirai-reference [--routes]\n");
        return 2;
    }
    openapi_init(MIRAI_STR("__Host-mirai"));
    fputs(introduction, stdout);
    print_routes();
    print_problems();
    print_messages();
    print_methods();
    printf("\n## Configuration\n\nEnvironment variables of all daemons and `miraictl`. An unknown `MIRAI_` "
           "variable or a value "
           "that is not allowed ends the start.\n\n");
    mirai_config_markdown(stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}
