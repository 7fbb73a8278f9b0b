#include "services/gateway/problem.h"

#include "proto/message.h"
#include "tests/unit/gateway/test.h"

#include <jansson.h>

static bool is_ascii(const char *s)
{
    while (*s != '\0' && (unsigned char)*s < 0x80) {
        s++;
    }
    return *s == '\0';
}

static void every_problem_has_both_languages(void **state)
{
    (void)state;
    for (enum problem problem = PROBLEM_NONE; problem < PROBLEM_COUNT; problem++) {
        const struct problem_text *text = &problem_texts[problem];
        assert_non_null(text->slug);
        assert_non_null(text->ja);
        assert_non_null(text->en);
        assert_true(text->status >= 200 && text->status < 600);
        assert_false(is_ascii(text->ja));
        assert_true(is_ascii(text->en));
        assert_true(mirai_utf8_valid(mirai_str(text->ja)));
    }
}

static void errors_keep_their_slug_and_status(void **state)
{
    (void)state;
    for (int index = 1; index < MIRAI_ERROR_COUNT; index++) {
        const struct problem_text *text = &problem_texts[problem_of_error(-index)];
        assert_string_equal(text->slug, mirai_error_slug(-index));
        assert_int_equal(text->status, mirai_error_http(-index));
    }
    assert_int_equal(problem_of_error(-9999), PROBLEM_INTERNAL);
    assert_int_equal(problem_of_error(1), PROBLEM_INTERNAL);
}

static void statuses_of_h2o_are_known(void **state)
{
    (void)state;
    assert_int_equal(problem_of_status(400), PROBLEM_INVALID);
    assert_int_equal(problem_of_status(413), PROBLEM_TOO_LARGE);
    assert_int_equal(problem_of_status(417), PROBLEM_EXPECTATION);
    assert_int_equal(problem_of_status(502), PROBLEM_INTERNAL);
    assert_int_equal(problem_of_status(418), PROBLEM_INVALID);
}

static void the_document_is_json_whatever_the_texts(void **state)
{
    (void)state;
    struct mirai_buf out = {0}, errors = {0};
    struct mirai_faults faults = {.count = 1, .list = {{.path = "/title", .problem = "required"}}};
    mirai_faults_encode(&faults, &errors);
    problem_write(&out, PROBLEM_UNPROCESSABLE, MIRAI_STR("en"), MIRAI_STR("id\"1"),
                  MIRAI_STR("a \"b\"\n\xff"), mirai_buf_str(&errors));
    json_t *root = json_loadb(out.data, out.len, 0, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "type")),
                        "urn:mirai:problem:validation-failed");
    assert_int_equal(json_integer_value(json_object_get(root, "status")), 422);
    assert_string_equal(json_string_value(json_object_get(root, "instance")), "id\"1");
    assert_string_equal(json_string_value(json_object_get(root, "title")), "Some of the input is not valid");
    json_t *first = json_array_get(json_object_get(root, "errors"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "path")), "/title");
    json_decref(root);
    mirai_buf_free(&out);
    mirai_buf_free(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_problem_has_both_languages),
        cmocka_unit_test(errors_keep_their_slug_and_status),
        cmocka_unit_test(statuses_of_h2o_are_known),
        cmocka_unit_test(the_document_is_json_whatever_the_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
