#include "libcommon/pool.h"
#include "libcommon/time.h"
#include "services/gateway/gateway.h"

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#define QUEUE_MAX 64 /* texts that wait on each loop */

/* cmark-gfm's autolinks look, from each place where a link may begin, at the rest of the word: quadratic. Texts in
 * which that would be more bytes than this (some 20 ms) get none. */
#define AUTOLINK_COST_MAX (4u << 20)

/* For each line cmark-gfm goes down all quotes and lists that are open: depth × lines. Texts in which that may be more
 * than this (some 200 ms) are shown as they were written. */
#define NESTING_COST_MAX (16u << 20)

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

/* Take a line without its end. False when there is none left. */
static bool next_line(struct mirai_str *rest, struct mirai_str *line)
{
    if (rest->len == 0) {
        return false;
    }
    size_t len = 0;
    while (len < rest->len && rest->data[len] != '\n' && rest->data[len] != '\r') {
        len++;
    }
    *line = (struct mirai_str){rest->data, len};
    size_t taken = len < rest->len ? len + 1 : len;
    rest->data += taken;
    rest->len -= taken;
    return true;
}

static bool is_space_at(struct mirai_str line, size_t at)
{
    return at >= line.len || line.data[at] == ' ' || line.data[at] == '\t';
}

/* Quotes and lists that the line may stand in: those that it opens, and those that its indentation goes on with. */
static uint64_t depth_of(struct mirai_str line)
{
    uint64_t depth = 0, columns = 0;
    size_t at = 0;
    while (at < line.len) {
        char c = line.data[at];
        size_t digits = at;
        while (digits < line.len && line.data[digits] >= '0' && line.data[digits] <= '9') {
            digits++;
        }
        bool numbered = digits > at && digits < line.len &&
                        (line.data[digits] == '.' || line.data[digits] == ')') &&
                        is_space_at(line, digits + 1);
        if (c == ' ' || c == '\t') {
            columns += c == ' ' ? 1 : 4;
        } else if (c == '>' || ((c == '-' || c == '*' || c == '+') && is_space_at(line, at + 1))) {
            depth++;
        } else if (numbered) {
            depth++;
            at = digits;
        } else {
            break;
        }
        at++;
    }
    return depth + columns / 2;
}

static uint64_t nesting_cost(struct mirai_str markdown)
{
    struct mirai_str line;
    uint64_t deepest = 0, lines = 0;
    while (next_line(&markdown, &line)) {
        uint64_t depth = depth_of(line);
        deepest = depth > deepest ? depth : deepest;
        lines++;
    }
    return deepest * (lines + deepest);
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

/* The text as it was written. */
static char *plain_html(struct mirai_str markdown)
{
    struct mirai_buf html = {0};
    mirai_buf_append_str(&html, MIRAI_STR("<pre>"));
    for (size_t i = 0; i < markdown.len; i++) {
        char c = markdown.data[i];
        struct mirai_str entity = c == '<'   ? MIRAI_STR("&lt;")
                                  : c == '>' ? MIRAI_STR("&gt;")
                                  : c == '&' ? MIRAI_STR("&amp;")
                                  : c == '"' ? MIRAI_STR("&quot;")
                                             : (struct mirai_str){&markdown.data[i], 1};
        mirai_buf_append_str(&html, entity);
    }
    mirai_buf_append_str(&html, MIRAI_STR("</pre>\n"));
    mirai_buf_append_char(&html, '\0');
    return html.data;
}

/* ------------------------------------------------------------------ what a text may cost */

/* There are texts of which a few kilobytes cost cmark-gfm minutes or gigabytes (CVE-2023-22483 … 22486, CVE-2023-24824,
 * CVE-2023-26485, CVE-2023-37463; a table's rows are filled up to the width of its head), and it cannot be stopped. But it
 * allocates at every step, and the allocator is ours: it leaves cmark-gfm when the text has cost too much. */
#define BUDGET_BYTES   (192u << 20) /* a megabyte of nothing but markup takes some 100 MiB */
#define BUDGET_CPU_MS  1000
#define CALLS_PER_LOOK 64 /* at the clock */

struct block {
    struct block *previous;
    struct block *next;
    size_t size;
    max_align_t bytes[];
};

/* Of the text that is being rendered: guarded by cmark_lock. */
static struct {
    struct block *blocks;
    size_t bytes;
    unsigned calls;
    int64_t end_ms; /* of this thread's CPU time */
    jmp_buf over;
} budget;

static int64_t cpu_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void charge(size_t size)
{
    if (size > BUDGET_BYTES - budget.bytes ||
        (++budget.calls % CALLS_PER_LOOK == 0 && cpu_ms() > budget.end_ms)) {
        longjmp(budget.over, 1);
    }
    budget.bytes += size;
}

static struct block *block_of(void *bytes)
{
    return H2O_STRUCT_FROM_MEMBER(struct block, bytes, bytes);
}

static void *allocate(size_t count, size_t size)
{
    if (size != 0 && count > BUDGET_BYTES / size) {
        longjmp(budget.over, 1);
    }
    size = sizeof(struct block) + count * size;
    charge(size);
    struct block *block = mirai_alloc(size);
    block->size = size;
    block->next = budget.blocks;
    if (block->next != NULL) {
        block->next->previous = block;
    }
    budget.blocks = block;
    return block->bytes;
}

static void release(void *bytes)
{
    if (bytes == NULL) {
        return;
    }
    struct block *block = block_of(bytes);
    *(block->previous != NULL ? &block->previous->next : &budget.blocks) = block->next;
    if (block->next != NULL) {
        block->next->previous = block->previous;
    }
    budget.bytes -= block->size;
    free(block);
}

static void *reallocate(void *bytes, size_t size)
{
    void *grown = allocate(1, size);
    if (bytes != NULL) {
        size_t old = block_of(bytes)->size - sizeof(struct block);
        memcpy(grown, bytes, old < size ? old : size);
        release(bytes);
    }
    return grown;
}

static cmark_mem memory = {allocate, reallocate, release};

/* No raw HTML, no javascript: and such: that is cmark's default. NULL: it would have cost too much. */
static char *render_within_budget(struct mirai_str markdown)
{
    int options = CMARK_OPT_FOOTNOTES | CMARK_OPT_GITHUB_PRE_LANG | CMARK_OPT_STRIKETHROUGH_DOUBLE_TILDE;
    budget.calls = 0;
    budget.end_ms = cpu_ms() + BUDGET_CPU_MS;
    if (setjmp(budget.over) != 0) {
        return NULL;
    }
    cmark_parser *parser = cmark_parser_new_with_mem(options, &memory);
    attach(parser, markdown);
    cmark_parser_feed(parser, markdown.data, markdown.len);
    cmark_node *document = cmark_parser_finish(parser);
    cmark_llist *attached = cmark_parser_get_syntax_extensions(parser);
    return mirai_str_dup(mirai_str(cmark_render_html_with_mem(document, options, attached, &memory)));
}

static void release_all(void)
{
    for (struct block *block = budget.blocks, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    budget.blocks = NULL;
    budget.bytes = 0;
}

/* cmark-gfm cuts references to footnotes that go over a line's end anywhere, also within a character. */
char *render_html(struct mirai_str markdown)
{
    char *html = NULL;
    if (nesting_cost(markdown) <= NESTING_COST_MAX) {
        uv_mutex_lock(&cmark_lock);
        html = render_within_budget(markdown);
        release_all();
        uv_mutex_unlock(&cmark_lock);
    }
    if (html == NULL || !mirai_utf8_valid(mirai_str(html))) {
        free(html);
        return plain_html(markdown);
    }
    return html;
}

/* ------------------------------------------------------------------ on a worker */

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
