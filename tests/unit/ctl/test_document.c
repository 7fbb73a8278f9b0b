#include "services/ctl/document.h"

#include "services/ctl/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct mirai_arena arena;
static struct document document;
static char reason[FRONT_REASON_SIZE];

static int teardown(void **state)
{
    (void)state;
    mirai_arena_free(&arena);
    return 0;
}

static void assert_str(struct mirai_str s, const char *expected)
{
    char *copy = mirai_str_dup(s);
    assert_string_equal(copy, expected);
    free(copy);
}

static int read_document(const char *path, const char *root, const char *text)
{
    reason[0] = '\0';
    return document_read(mirai_str(path), mirai_str(root), mirai_str(text), MIRAI_ARTICLE_STATUS_PUBLISHED,
                         MIRAI_ITSM_TYPE_OTHER, &arena, &document, reason);
}

static void guesses_the_language(void **state)
{
    (void)state;
    assert_int_equal(document_language(MIRAI_STR("VPN が切れる場合は再接続してください。")), MIRAI_LOCALE_JA);
    assert_int_equal(document_language(MIRAI_STR("Reconnect the VPN client.")), MIRAI_LOCALE_EN);
    assert_int_equal(document_language(MIRAI_STR("")), MIRAI_LOCALE_EN);
}

static void takes_what_the_front_matter_says(void **state)
{
    const struct mirai_article_import *article = &document.article;
    (void)state;
    assert_int_equal(
        read_document(
            "x/y.md", "root",
            "---\ntitle: T\nslug: s-1\ntype: change\nstatus: draft\nlanguage: en\nreview_by: 2027-01-31\n"
            "tags: [a, \"b\"]\nsummary_technical: S\nowner: admin\nspace: IT\nms.date: 1\n---\nbody"),
        0);
    assert_str(article->title, "T");
    assert_str(article->slug, "s-1");
    assert_true(document.own_slug);
    assert_int_equal(article->type, MIRAI_ITSM_TYPE_CHANGE);
    assert_int_equal(article->status, MIRAI_ARTICLE_STATUS_DRAFT);
    assert_str(article->review_by, "2027-01-31");
    assert_int_equal(article->tags.count, 2);
    assert_str(article->body, "body");
    assert_str(document.owner, "admin");
    assert_str(document.space, "IT");
    assert_int_equal(document_check(article, &arena, reason), 0);
}

static void fills_what_it_does_not_say(void **state)
{
    const struct mirai_article_import *article = &document.article;
    (void)state;
    assert_int_equal(read_document("Incident/db down.md", "kb", "データベースが停止した"), 0);
    assert_str(article->title, "db down");
    assert_str(article->slug, "incident--db-down");
    assert_int_equal(article->type, MIRAI_ITSM_TYPE_INCIDENT);
    assert_int_equal(article->status, MIRAI_ARTICLE_STATUS_PUBLISHED);
    assert_int_equal(article->language, MIRAI_LOCALE_JA);
    assert_int_equal(read_document("a/b/c.md", "problem", "# H\n"), 0);
    assert_int_equal(article->type, MIRAI_ITSM_TYPE_PROBLEM);
    assert_str(article->title, "H");
    assert_int_equal(read_document("a.md", "b", "---\nlanguage: ~\ntitle:\ntags:\nreview_by:\n---\nx"), 0);
    assert_str(article->title, "a");
    assert_false(mirai_has(article_import, article, language));
    assert_false(mirai_has(article_import, article, tags));
    assert_int_equal(read_document("a/c.md", "b", "---\ntags: x, y ,\n---\n"), 0);
    assert_int_equal(article->type, MIRAI_ITSM_TYPE_OTHER);
    assert_int_equal(article->tags.count, 2);
    assert_str(article->tags.items[1], "y");
}

static void refuses(const char *text, const char *why)
{
    int err = read_document("a.md", "root", text);
    err = err == 0 ? document_check(&document.article, &arena, reason) : err;
    assert_int_equal(err, MIRAI_E_UNPROCESSABLE);
    if (strstr(reason, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", reason, why);
    }
}

static void refuses_with_a_reason(void **state)
{
    char title[1300];
    (void)state;
    refuses("---\ntype: tutorial\n---\n", "type");
    refuses("---\nreview_by: soon\n---\n", "review_by");
    refuses("---\ntitle: [a]\n---\n", "title");
    refuses("---\nslug: \"\"\ntags: [\"\"]\n---\n", "slug");
    refuses("---\na: b: c\n---\n", "front matter");
    refuses("caf\xe9", "UTF-8");
    memset(title, 'x', sizeof(title));
    memcpy(title, "---\ntitle: ", 11);
    strcpy(title + 1200, "\n---\n");
    refuses(title, "title");
}

static void refuses_a_body_that_is_too_long(void **state)
{
    const size_t len = (1u << 20) + 1;
    char *text = malloc(len + 1);
    (void)state;
    memset(text, 'x', len);
    text[len] = '\0';
    refuses(text, "body");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(guesses_the_language, teardown),
        cmocka_unit_test_teardown(takes_what_the_front_matter_says, teardown),
        cmocka_unit_test_teardown(fills_what_it_does_not_say, teardown),
        cmocka_unit_test_teardown(refuses_with_a_reason, teardown),
        cmocka_unit_test_teardown(refuses_a_body_that_is_too_long, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
