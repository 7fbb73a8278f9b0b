#include "services/gateway/gateway.h"

#include "services/gateway/schema.h"

#include <ctype.h>
#include <sodium.h>

/* The OpenAPI 3.1 description of the API, made once from the route table and the messages' declarations. */

static struct mirai_buf document;
static char etag[17];

static void append(const char *text)
{
    mirai_buf_append_str(&document, mirai_str(text));
}

/* ------------------------------------------------------------------ parameters and bodies */

static bool is_path_parameter(const struct route *route, const char *name)
{
    const struct route_plan *plan = route_plan(route);
    for (size_t i = 0; i < plan->params_count; i++) {
        if (mirai_str_eq(plan->params[i], mirai_str(name))) {
            return true;
        }
    }
    return false;
}

/* Where a member of the params travels. */
enum place {
    IN_PATH,
    IN_QUERY,
    IN_BODY,
    IN_NOTHING, /* the gateway fills it in by itself */
};

static bool takes_json(const struct route *route)
{
    return route->method != ROUTE_GET &&
           (route->method != ROUTE_DELETE || (route->flags & ROUTE_BODY) != 0) &&
           (route->flags & ROUTE_ANY_BODY) == 0;
}

static enum place place_of(const struct route *route, const struct mirai_field *field)
{
    if (is_path_parameter(route, field->name)) {
        return IN_PATH;
    }
    if ((field->flags & MIRAI_INTERNAL) != 0 || strcmp(field->name, "if_match") == 0 ||
        strcmp(field->name, "sha256") == 0 ||
        ((route->flags & ROUTE_IN_BIN) != 0 && strcmp(field->name, "deleted") == 0) ||
        ((route->flags & ROUTE_ANY_BODY) != 0 && strcmp(field->name, "size") == 0)) {
        return IN_NOTHING;
    }
    if (route->rpc == MIRAI_METHOD_ID_article_get && strcmp(field->name, "count_view") != 0) {
        return IN_NOTHING; /* id or slug: whichever the path does not name */
    }
    if (route->handle == handle_download) {
        return IN_NOTHING;
    }
    return takes_json(route) ? IN_BODY : IN_QUERY;
}

static void add_parameter(const char *name, const char *in, bool required, const char *doc,
                          const char *schema, const struct mirai_field *field, bool *first)
{
    append(*first ? "" : ",");
    *first = false;
    mirai_buf_printf(&document, "{\"name\":\"%s\",\"in\":\"%s\",\"required\":%s,\"description\":", name, in,
                     required ? "true" : "false");
    mirai_buf_append_json(&document, mirai_str(doc));
    append(",\"schema\":");
    if (field != NULL) {
        schema_of_field(field, &document);
    } else {
        append(schema);
    }
    append("}");
}

static void add_header(const char *name, bool required, const char *doc, bool *first)
{
    add_parameter(name, "header", required, doc, "{\"type\":\"string\"}", NULL, first);
}

static void add_parameters(const struct route *route, const struct mirai_message *params)
{
    bool first = true;
    append(",\"parameters\":[");
    for (size_t i = 0; params != NULL && i < params->count; i++) {
        const struct mirai_field *field = &params->fields[i];
        enum place place = place_of(route, field);
        if (place == IN_PATH || place == IN_QUERY) {
            bool required = place == IN_PATH || (field->flags & MIRAI_REQUIRED) != 0;
            add_parameter(field->name, place == IN_PATH ? "path" : "query", required, field->doc, NULL, field,
                          &first);
        }
    }
    if ((route->flags & ROUTE_IF_MATCH) != 0) {
        add_header("If-Match", (route->flags & ROUTE_MUST_MATCH) != 0, "ETag that it must still have, or *",
                   &first);
    }
    if ((route->flags & ROUTE_ETAG) != 0 && route->method == ROUTE_GET) {
        add_header("If-None-Match", false, "ETags that the client has: 304 when one is the present one",
                   &first);
    }
    if (route->rpc >= 0 && mirai_methods[route->rpc].kind == MIRAI_RPC_WRITE && route->handle == handle_rpc &&
        strcmp(mirai_methods[route->rpc].service, "knowledge-store") == 0) { /* it alone remembers keys */
        add_header("Idempotency-Key", false, "repeating a request with the same key does nothing twice",
                   &first);
    }
    if (route->method != ROUTE_GET && route->role > MIRAI_ROLE_NONE) {
        add_header("X-CSRF-Token", false,
                   "the session's csrf_token: required with the session cookie, together with Sec-Fetch-Site "
                   "or Origin",
                   &first);
    }
    append("]");
}

static void add_required(const struct route *route, const struct mirai_message *params)
{
    bool first = true;
    for (size_t i = 0; i < params->count; i++) {
        if (place_of(route, &params->fields[i]) == IN_BODY &&
            (params->fields[i].flags & MIRAI_REQUIRED) != 0) {
            mirai_buf_printf(&document, "%s\"%s\"", first ? ",\"required\":[" : ",", params->fields[i].name);
            first = false;
        }
    }
    append(first ? "" : "]");
}

static void add_body(const struct route *route, const struct mirai_message *params)
{
    if ((route->flags & ROUTE_ANY_BODY) != 0) {
        append(",\"requestBody\":{\"required\":true,\"content\":{\"*/*\":{}}}");
        return;
    }
    bool first = true;
    for (size_t i = 0; takes_json(route) && params != NULL && i < params->count; i++) {
        if (place_of(route, &params->fields[i]) != IN_BODY) {
            continue;
        }
        if (first) {
            mirai_buf_printf(&document,
                             ",\"requestBody\":{\"content\":{\"%s\":{\"schema\":{\"type\":\"object\","
                             "\"additionalProperties\":false,\"properties\":{",
                             route->method == ROUTE_PATCH ? "application/merge-patch+json"
                                                          : "application/json");
        }
        mirai_buf_printf(&document, "%s\"%s\":", first ? "" : ",", params->fields[i].name);
        schema_of_field(&params->fields[i], &document);
        first = false;
    }
    if (!first) {
        append("}");
        add_required(route, params);
        append("}}}}");
    }
}

/* ------------------------------------------------------------------ answers */

/* Results that are not the method's own: by handler. */
static const char *special_content(const struct route *route)
{
    static const struct {
        void (*handle)(struct exchange *exchange);
        const char *content;
    } specials[] = {
        {handle_render, "\"text/html\":{\"schema\":{\"type\":\"string\"}}"},
        {handle_download, "\"*/*\":{}"},
        {handle_audit_export,
         "\"application/jsonl\":{\"schema\":{\"$ref\":\"#/components/schemas/audit_entry\"}}"},
        {handle_status,
         "\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/system_status\"}}"},
        {handle_upload, "\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/attachment\"}}"},
        {handle_login, "\"application/json\":{\"schema\":{\"type\":\"object\",\"properties\":{\"user\":"
                       "{\"$ref\":\"#/components/schemas/user\"},\"expires_at\":{\"type\":\"string\","
                       "\"format\":\"date-time\"},\"csrf_token\":{\"type\":\"string\"}}}}"},
        {handle_session,
         "\"application/json\":{\"schema\":{\"allOf\":[{\"$ref\":\"#/components/schemas/user\"},"
         "{\"type\":\"object\",\"properties\":{\"csrf_token\":{\"type\":\"string\"}}}]}}"},
        {handle_openapi, "\"application/json\":{\"schema\":{\"type\":\"object\"}}"},
        {handle_health, "\"application/json\":{\"schema\":{\"type\":\"object\"}}"},
        {handle_ready, "\"application/json\":{\"schema\":{\"type\":\"object\"}}"},
    };
    for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
        if (specials[i].handle == route->handle) {
            return specials[i].content;
        }
    }
    return NULL;
}

static void add_responses(const struct route *route)
{
    const char *special = special_content(route);
    mirai_buf_printf(&document, ",\"responses\":{\"%d\":{\"description\":\"success\"", route->status);
    if (special != NULL) {
        mirai_buf_printf(&document, ",\"content\":{%s}", special);
    } else if (route->status != 204) {
        mirai_buf_printf(
            &document,
            ",\"content\":{\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/%s\"}}}",
            mirai_methods[route->rpc].result->name);
    }
    append("},\"default\":{\"$ref\":\"#/components/responses/problem\"}}");
}

/* ------------------------------------------------------------------ operations */

/* "get_articles_id_revisions" of GET /api/v1/articles/{id}/revisions. */
static void add_operation_id(const struct route *route)
{
    const char *at = strncmp(route->pattern, "/api/v1/", 8) == 0 ? route->pattern + 7 : route->pattern;
    append("\"operationId\":\"");
    for (const char *c = route_method_names[route->method]; *c != '\0'; c++) {
        mirai_buf_append_char(&document, (char)tolower(*c));
    }
    for (; *at != '\0'; at++) {
        if (*at == '/' || isalnum((unsigned char)*at)) {
            mirai_buf_append_char(&document, *at == '/' ? '_' : *at);
        } else if (*at == '_' || *at == '-' || *at == '.') {
            mirai_buf_append_char(&document, '_');
        }
    }
    append("\"");
}

static const char *role_name(enum mirai_role role)
{
    return mirai_enum_role.values[role];
}

static void add_operation(const struct route *route)
{
    const struct mirai_method *method = route->rpc >= 0 ? &mirai_methods[route->rpc] : NULL;
    const char *summary = route->summary != NULL ? route->summary : method != NULL ? method->doc : "";
    mirai_buf_append_char(&document, '"');
    for (const char *c = route_method_names[route->method]; *c != '\0'; c++) {
        mirai_buf_append_char(&document, (char)tolower(*c));
    }
    append("\":{");
    add_operation_id(route);
    append(",\"summary\":");
    mirai_buf_append_json(&document, mirai_str(summary));
    mirai_buf_printf(&document, ",\"x-role\":\"%s\"", role_name(route->role));
    if (route->role == MIRAI_ROLE_NONE) {
        append(",\"security\":[]");
    }
    const struct mirai_message *params = route->handle == handle_logout ? NULL
                                         : method != NULL               ? method->params
                                                                        : NULL;
    if (route->handle == handle_download) {
        params = &mirai_message_attachment_ref;
    }
    add_parameters(route, params);
    add_body(route, params);
    add_responses(route);
    append("}");
}

static bool was_before(size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(routes[i].pattern, routes[index].pattern) == 0) {
            return true;
        }
    }
    return false;
}

static void add_paths(void)
{
    bool first_path = true;
    for (size_t i = 0; i < routes_count; i++) {
        if ((routes[i].flags & ROUTE_HIDDEN) != 0 || was_before(i)) {
            continue;
        }
        bool first = true;
        mirai_buf_printf(&document, "%s\"%s\":{", first_path ? "" : ",", routes[i].pattern);
        first_path = false;
        for (size_t n = i; n < routes_count; n++) {
            if (strcmp(routes[n].pattern, routes[i].pattern) == 0) {
                append(first ? "" : ",");
                first = false;
                add_operation(&routes[n]);
            }
        }
        append("}");
    }
}

static void add_schemas(void)
{
    for (size_t i = 0; mirai_messages[i] != NULL; i++) {
        mirai_buf_printf(&document, "%s\"%s\":", i > 0 ? "," : "", mirai_messages[i]->name);
        schema_of_message(mirai_messages[i], &document);
    }
}

void openapi_init(struct mirai_str cookie)
{
    document.len = 0;
    append("{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Mirai Knowledge\",\"version\":\"");
    append(mirai_version());
    append("\"},\"servers\":[{\"url\":\"/\"}],\"security\":[{\"token\":[]},{\"session\":[]}],\"paths\":{");
    add_paths();
    append("},\"components\":{\"securitySchemes\":{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
           "\"session\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":");
    mirai_buf_append_json(&document, cookie);
    append(
        "}},"
        "\"responses\":{\"problem\":{\"description\":\"what went wrong (RFC 9457)\",\"content\":"
        "{\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/problem\"}}}}},"
        "\"schemas\":{\"problem\":{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\"},"
        "\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":\"string\"},"
        "\"instance\":{\"type\":\"string\"},\"errors\":{\"type\":\"array\",\"items\":"
        "{\"$ref\":\"#/components/schemas/fault_info\"}}}},");
    add_schemas();
    append("}}}");
    unsigned char hash[32];
    crypto_hash_sha256(hash, (const unsigned char *)document.data, document.len);
    mirai_hex(etag, hash, 8);
}

void handle_openapi(struct exchange *exchange)
{
    static const h2o_mime_attributes_t compressible = {.is_compressible = 1};
    enum response_cache cache = RESPONSE_NO_STORE;
    if (response_etag_of(exchange, mirai_str(etag), &cache)) {
        return;
    }
    response_header(exchange, H2O_TOKEN_CONTENT_TYPE, MIRAI_STR("application/json"));
    response_common_headers(exchange, cache, false);
    exchange->req->res.mime_attr = (h2o_mime_attributes_t *)&compressible;
    response_send(exchange, 200, mirai_buf_str(&document));
}

struct mirai_str openapi_text(void)
{
    return mirai_buf_str(&document);
}
