#include "libcommon/pool.h"
#include "libcommon/time.h"
#include "services/gateway/gateway.h"

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>
#include <stdlib.h>

#define QUEUE_MAX 64 /* texts that wait on each loop */

/* cmark-gfm's autolinks look, from each place where a link may begin, at the rest of the word: quadratic. Texts in
 * which that would be more bytes than this (some 20 ms) get none. */
#define AUTOLINK_COST_MAX (4u << 20)

/* GitHub's additions to CommonMark, but not "tagfilter": raw HTML is left out altogether. */
static const char *const extensions[] = {"table", "strikethrough", "autolink", "tasklist"};

/* While it parses, cmark-gfm keeps the special characters of its extensions in tables of the process. */
static uv_mutex_t cmark_lock;

void render_init(void)
{
    uv_mutex_init(&cmark_lock);
    cmark_gfm_core_extensions_ensure_registered();
}

/* Bytes that autolinks would look at in the worst case: in each word, its length for each ':', '@' and "www.". */
static uint64_t autolink_cost(struct mirai_str markdown)
{
    uint64_t cost = 0, starts = 0, length = 0;
    for (size_t i = 0; i < markdown.len; i++) {
        char c = markdown.data[i];
        if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
            cost += starts * length;
            starts = length = 0;
            continue;
        }
        length++;
        starts += c == ':' || c == '@' ||
                  (c == 'w' && markdown.len - i > 3 && memcmp(markdown.data + i, "www.", 4) == 0);
    }
    return cost + starts * length;
}

static void attach(cmark_parser *parser, struct mirai_str markdown)
{
    bool linked = autolink_cost(markdown) <= AUTOLINK_COST_MAX;
    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        cmark_syntax_extension *extension = cmark_find_syntax_extension(extensions[i]);
        if (extension != NULL && (linked || strcmp(extensions[i], "autolink") != 0)) {
            cmark_parser_attach_syntax_extension(parser, extension);
        }
    }
}

/* No raw HTML, no javascript: and such: that is cmark's default. */
char *render_html(struct mirai_str markdown)
{
    int options = CMARK_OPT_FOOTNOTES | CMARK_OPT_GITHUB_PRE_LANG | CMARK_OPT_STRIKETHROUGH_DOUBLE_TILDE;
    uv_mutex_lock(&cmark_lock);
    cmark_parser *parser = cmark_parser_new(options);
    attach(parser, markdown);
    cmark_parser_feed(parser, markdown.data, markdown.len);
    cmark_node *document = cmark_parser_finish(parser);
    char *html = cmark_render_html(document, options, cmark_parser_get_syntax_extensions(parser));
    cmark_node_free(document);
    cmark_parser_free(parser);
    uv_mutex_unlock(&cmark_lock);
    return html;
}

struct mirai_pool *render_pool_new(uv_loop_t *loop)
{
    const struct mirai_pool_options options = {
        .name = "render", .threads = 1, .queue_max = QUEUE_MAX, .batch_max = 1};
    return mirai_pool_new(loop, &options);
}

static void answer(struct exchange *exchange, const char *html)
{
    static const h2o_mime_attributes_t text = {.is_compressible = 1};
    response_header(exchange, H2O_TOKEN_CONTENT_TYPE, MIRAI_STR("text/html; charset=utf-8"));
    response_common_headers(exchange, RESPONSE_REVALIDATE, false);
    exchange->req->res.mime_attr = (h2o_mime_attributes_t *)&text;
    response_send(exchange, 200, exchange_keep(exchange, mirai_str(html)));
}

/* A text on its way through the worker; outlives a request that ends early. */
struct rendering {
    struct mirai_job job;
    struct exchange *exchange; /* NULL: the client is gone */
    _Atomic bool unwanted;     /* the same, for the worker */
    uint64_t deadline_ms;
    char *etag; /* to be sent with the HTML */
    char *markdown;
    size_t markdown_len;
    char *html; /* NULL: it came too late */
};

static struct rendering *rendering_of(struct mirai_job *job)
{
    return H2O_STRUCT_FROM_MEMBER(struct rendering, job, job);
}

static void work(struct mirai_job *job, void *thread)
{
    struct rendering *rendering = rendering_of(job);
    (void)thread;
    if (!atomic_load(&rendering->unwanted) && mirai_monotonic_ms() < rendering->deadline_ms) {
        rendering->html = render_html((struct mirai_str){rendering->markdown, rendering->markdown_len});
    }
}

static void rendering_free(struct rendering *rendering)
{
    free(rendering->html);
    free(rendering->markdown);
    free(rendering->etag);
    free(rendering);
}

static void on_done(struct mirai_job *job)
{
    struct rendering *rendering = rendering_of(job);
    struct exchange *exchange = rendering->exchange;
    if (exchange != NULL) {
        exchange->abandon = NULL;
        if (rendering->html != NULL) {
            response_etag(exchange, exchange_keep(exchange, mirai_str(rendering->etag)));
            answer(exchange, rendering->html);
        } else {
            response_fault(exchange, MIRAI_E_DEADLINE, NULL);
        }
    }
    rendering_free(rendering);
}

static void abandon(struct exchange *exchange)
{
    struct rendering *rendering = exchange->state;
    rendering->exchange = NULL;
    atomic_store(&rendering->unwanted, true);
}

static void render(struct exchange *exchange, struct mirai_str markdown, struct mirai_str etag)
{
    struct rendering *rendering = mirai_alloc(sizeof(*rendering));
    rendering->job = (struct mirai_job){.work = work, .done = on_done};
    rendering->exchange = exchange;
    rendering->deadline_ms = exchange->context.deadline_ms;
    rendering->etag = mirai_str_dup(etag);
    rendering->markdown = mirai_str_dup(markdown);
    rendering->markdown_len = markdown.len;
    if (mirai_pool_submit(exchange->loop->renderers, &rendering->job) != 0) {
        rendering_free(rendering);
        response_fault(exchange, MIRAI_E_OVERLOADED, NULL);
        return;
    }
    exchange->state = rendering;
    exchange->abandon = abandon;
}

static void on_article(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    if (reply->status != 0) {
        response_rpc_error(exchange, reply);
        return;
    }
    struct mirai_str etag = response_text_of(reply->result, "etag");
    if (!response_not_modified(exchange, etag)) {
        render(exchange, response_text_of(reply->result, "body"), etag);
    }
}

void handle_render(struct exchange *exchange)
{
    if (!header_accepts(exchange_header_list(exchange, H2O_TOKEN_ACCEPT), "text", "html")) {
        response_fault(exchange, MIRAI_E_NOT_ACCEPTABLE, NULL);
        return;
    }
    if (forward_params(exchange, &mirai_message_article_get) == 0) {
        exchange_call(exchange, MIRAI_METHOD_ID_article_get, mirai_buf_str(&exchange->loop->params),
                      on_article);
    }
    mirai_arena_free(&exchange->loop->arena);
}
