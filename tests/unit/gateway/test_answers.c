#include "services/gateway/answers.h"

#include <h2o.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const int64_t spaces[] = {1, 2, 3};
static const struct mirai_principal viewer = {.user_id = 7,
                                              .role = MIRAI_ROLE_VIEWER,
                                              .spaces = spaces,
                                              .spaces_len = 2,
                                              .groups = spaces + 2,
                                              .groups_len = 1};

static void rights_differ_where_principals_do(void **state)
{
    struct mirai_principal others[6];
    unsigned char rights[ANSWERS_RIGHTS_SIZE], other[ANSWERS_RIGHTS_SIZE];
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        others[i] = viewer;
    }
    others[0].user_id = 8;
    others[1].role = MIRAI_ROLE_EDITOR;
    others[2].spaces_len = 1;
    others[3].groups_len = 0;
    others[4].spaces_len = 3; /* the same numbers, but the last one is a space and no group */
    others[4].groups_len = 0;
    others[5].spaces = spaces + 1;
    answers_rights(rights, &viewer);
    for (size_t i = 0; i < 6; i++) {
        answers_rights(other, &others[i]);
        assert_memory_not_equal(rights, other, sizeof(rights));
    }
    struct mirai_principal renamed = viewer;
    renamed.name = MIRAI_STR("new name");
    answers_rights(other, &renamed);
    assert_memory_equal(rights, other, sizeof(rights));
}

static void an_answer_is_given_only_to_its_rights_and_stamp(void **state)
{
    struct answers *answers = answers_new(1 << 20);
    unsigned char mine[ANSWERS_RIGHTS_SIZE] = {1}, theirs[ANSWERS_RIGHTS_SIZE] = {2};
    (void)state;
    assert_null(answers_find(answers, mine, 5, 100));
    struct answer *answer = answers_put(answers, mine, 5, 100, MIRAI_STR("e-1"), MIRAI_STR("{\"id\":5}"));
    assert_non_null(answer);
    assert_ptr_equal(answers_find(answers, mine, 5, 100), answer);
    assert_true(mirai_str_eq(answer->etag, MIRAI_STR("e-1")));
    assert_true(mirai_str_eq(answer->json, MIRAI_STR("{\"id\":5}")));
    assert_null(answers_find(answers, theirs, 5, 100));
    assert_null(answers_find(answers, mine, 6, 100));
    assert_null(answers_find(answers, mine, 5, 101));
    answers_put(answers, mine, 5, 101, MIRAI_STR("e-2"), MIRAI_STR("{}"));
    assert_true(mirai_str_eq(answers_find(answers, mine, 5, 101)->etag, MIRAI_STR("e-2")));
    assert_null(answers_find(answers, mine, 5, 100));
    answers_free(answers);
}

/* A request holds on to its answer, whatever happens to the table. */
static void what_is_being_sent_stays(void **state)
{
    struct answers *answers = answers_new(1 << 20);
    unsigned char rights[ANSWERS_RIGHTS_SIZE] = {0};
    h2o_mem_pool_t pool;
    (void)state;
    h2o_mem_init_pool(&pool);
    struct answer *answer = answers_put(answers, rights, 1, 1, MIRAI_STR("e"), MIRAI_STR("first"));
    h2o_mem_link_shared(&pool, answer);
    answers_put(answers, rights, 1, 2, MIRAI_STR("e"), MIRAI_STR("second"));
    answers_free(answers);
    assert_true(mirai_str_eq(answer->json, MIRAI_STR("first")));
    h2o_mem_clear_pool(&pool);
}

static void bytes_are_bounded(void **state)
{
    static char bytes[3000];
    struct answers *answers = answers_new(100000);
    unsigned char rights[ANSWERS_RIGHTS_SIZE] = {0};
    const struct mirai_str json = {bytes, sizeof(bytes)};
    (void)state;
    for (int64_t id = 1; id < 5000; id++) {
        assert_non_null(answers_put(answers, rights, id, 1, MIRAI_STR("e"), json));
        assert_true(answers_bytes(answers) <= 100000);
        assert_non_null(answers_find(answers, rights, id, 1));
    }
    assert_null(answers_find(answers, rights, 1, 1));
    answers_free(answers);
    answers = answers_new(0);
    assert_null(answers_put(answers, rights, 1, 1, MIRAI_STR("e"), MIRAI_STR("x")));
    answers_free(answers);
    answers = answers_new(20000);
    assert_null(answers_put(answers, rights, 1, 1, MIRAI_STR("e"), json)); /* one must not push out all */
    answers_free(answers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rights_differ_where_principals_do),
        cmocka_unit_test(an_answer_is_given_only_to_its_rights_and_stamp),
        cmocka_unit_test(what_is_being_sent_stays),
        cmocka_unit_test(bytes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
