#include "libcommon/error.h"
#include "services/gateway/routes.h"
#include "services/gateway/target.h"

/* One segment of the patterns. Children are a list of literals and at most one parameter. */
struct node {
    struct mirai_str literal;
    struct node *first_child;
    struct node *next_sibling;
    struct node *parameter;
    const struct route *routes[ROUTE_METHODS];
    unsigned allowed; /* bit for each method that has a route */
};

#define NODES_MAX  160
#define ROUTES_MAX 128

static struct node nodes[NODES_MAX];
static size_t nodes_count;
static struct route_plan plans[ROUTES_MAX];

static struct node *node_new(void)
{
    return nodes_count < NODES_MAX ? &nodes[nodes_count++] : NULL;
}

static struct node *find_literal(const struct node *parent, struct mirai_str segment)
{
    struct node *child = parent->first_child;
    while (child != NULL && !mirai_str_eq(child->literal, segment)) {
        child = child->next_sibling;
    }
    return child;
}

static struct node *add_literal(struct node *parent, struct mirai_str segment)
{
    struct node **child =
        &parent->first_child; /* in the order of the table: what is asked for most stands first */
    while (*child != NULL && !mirai_str_eq((*child)->literal, segment)) {
        child = &(*child)->next_sibling;
    }
    if (*child == NULL && (*child = node_new()) != NULL) {
        (*child)->literal = segment;
    }
    return *child;
}

static struct node *add_parameter(struct node *parent, struct route_plan *plan, struct mirai_str name)
{
    if (plan->params_count == ROUTE_PARAMS_MAX) {
        return NULL;
    }
    plan->params[plan->params_count++] = name;
    if (parent->parameter == NULL) {
        parent->parameter = node_new();
    }
    return parent->parameter;
}

static int add_route(struct node *root, const struct route *route, struct route_plan *plan)
{
    struct node *node = root;
    const char *at = route->pattern;
    while (node != NULL && at[0] == '/' && at[1] != '\0') {
        size_t len = strcspn(++at, "/");
        bool is_parameter = len > 2 && at[0] == '{' && at[len - 1] == '}';
        node = is_parameter ? add_parameter(node, plan, (struct mirai_str){at + 1, len - 2})
                            : add_literal(node, (struct mirai_str){at, len});
        at += len;
    }
    if (node == NULL || node->routes[route->method] != NULL) {
        return MIRAI_E_INVALID;
    }
    node->routes[route->method] = route;
    node->allowed |= 1u << route->method;
    return 0;
}

int routes_init(void)
{
    memset(nodes, 0, sizeof(nodes));
    memset(plans, 0, sizeof(plans));
    nodes_count = 0;
    struct node *root = node_new();
    for (size_t i = 0; i < routes_count; i++) {
        if (i == ROUTES_MAX || add_route(root, &routes[i], &plans[i]) != 0) {
            return MIRAI_E_INVALID;
        }
    }
    return 0;
}

const struct route_plan *route_plan(const struct route *route)
{
    return &plans[route - routes];
}

const struct route *route_match(const struct target *target, enum route_method method,
                                const struct mirai_str *values[ROUTE_PARAMS_MAX], unsigned *allowed)
{
    const struct node *node = &nodes[0];
    size_t params = 0;
    *allowed = 0;
    for (size_t i = 0; i < target->segments_count; i++) {
        const struct node *next = find_literal(node, target->segments[i]);
        if (next == NULL && (next = node->parameter) != NULL) {
            if (params == ROUTE_PARAMS_MAX) {
                return NULL;
            }
            values[params++] = &target->segments[i];
        }
        if (next == NULL) {
            return NULL;
        }
        node = next;
    }
    *allowed = node->allowed;
    return method < ROUTE_METHODS ? node->routes[method] : NULL;
}
