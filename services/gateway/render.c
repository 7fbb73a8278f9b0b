#include "services/gateway/gateway.h"

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>
#include <stdlib.h>

/* Longer texts are rendered by another thread: the loop goes on. */
#define INLINE_MAX (16u << 10)

/* GitHub's additions to CommonMark, but not "tagfilter": raw HTML is left out altogether. */
static const char *const extensions[] = {"table", "strikethrough", "autolink", "tasklist"};

void render_init(void)
{
    cmark_gfm_core_extensions_ensure_registered();
}

/* No raw HTML, no javascript: and such: that is cmark's default. */
char *render_html(struct mirai_str markdown)
{
    int options = CMARK_OPT_FOOTNOTES | CMARK_OPT_GITHUB_PRE_LANG | CMARK_OPT_STRIKETHROUGH_DOUBLE_TILDE;
    cmark_parser *parser = cmark_parser_new(options);
    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        cmark_syntax_extension *extension = cmark_find_syntax_extension(extensions[i]);
        if (extension != NULL) {
            cmark_parser_attach_syntax_extension(parser, extension);
        }
    }
    cmark_parser_feed(parser, markdown.data, markdown.len);
    cmark_node *document = cmark_parser_finish(parser);
    char *html = cmark_render_html(document, options, cmark_parser_get_syntax_extensions(parser));
    cmark_node_free(document);
    cmark_parser_free(parser);
    return html;
}

static void answer(struct exchange *exchange, const char *html)
{
    static const h2o_mime_attributes_t text = {.is_compressible = 1};
    response_header(exchange, H2O_TOKEN_CONTENT_TYPE, MIRAI_STR("text/html; charset=utf-8"));
    response_common_headers(exchange, RESPONSE_REVALIDATE, false);
    exchange->req->res.mime_attr = (h2o_mime_attributes_t *)&text;
    response_send(exchange, 200, exchange_keep(exchange, mirai_str(html)));
}

/* A long text on its way through a worker; outlives a request that ends early. */
struct rendering {
    uv_work_t work;
    struct exchange *exchange; /* NULL: the client is gone */
    char *markdown;
    size_t markdown_len;
    char *html;
};

static void on_work(uv_work_t *work)
{
    struct rendering *rendering = work->data;
    rendering->html = render_html((struct mirai_str){rendering->markdown, rendering->markdown_len});
}

static void on_rendered(uv_work_t *work, int status)
{
    struct rendering *rendering = work->data;
    struct exchange *exchange = rendering->exchange;
    if (exchange != NULL) {
        exchange->abandon = NULL;
        if (status == 0) {
            answer(exchange, rendering->html);
        } else {
            response_fault(exchange, MIRAI_E_OVERLOADED, NULL);
        }
    }
    free(rendering->html);
    free(rendering->markdown);
    free(rendering);
}

static void abandon(struct exchange *exchange)
{
    struct rendering *rendering = exchange->state;
    rendering->exchange = NULL;
}

static void render_elsewhere(struct exchange *exchange, struct mirai_str markdown)
{
    struct rendering *rendering = mirai_alloc(sizeof(*rendering));
    rendering->exchange = exchange;
    rendering->markdown = mirai_str_dup(markdown);
    rendering->markdown_len = markdown.len;
    rendering->work.data = rendering;
    exchange->state = rendering;
    exchange->abandon = abandon;
    uv_queue_work(&exchange->loop->uv, &rendering->work, on_work, on_rendered);
}

static void on_article(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    enum response_cache cache;
    if (reply->status != 0) {
        response_rpc_error(exchange, reply);
        return;
    }
    if (response_etag_of(exchange, response_text_of(reply->result, "etag"), &cache)) {
        return;
    }
    struct mirai_str markdown = response_text_of(reply->result, "body");
    if (markdown.len > INLINE_MAX) {
        render_elsewhere(exchange, markdown);
        return;
    }
    char *html = render_html(markdown);
    answer(exchange, html);
    free(html);
}

void handle_render(struct exchange *exchange)
{
    if (!header_accepts(exchange_header(exchange, H2O_TOKEN_ACCEPT), "text", "html")) {
        response_fault(exchange, MIRAI_E_NOT_ACCEPTABLE, NULL);
        return;
    }
    if (forward_params(exchange, &mirai_message_article_get) == 0) {
        exchange_call(exchange, MIRAI_METHOD_ID_article_get, mirai_buf_str(&exchange->loop->params),
                      on_article);
    }
    mirai_arena_free(&exchange->loop->arena);
}
