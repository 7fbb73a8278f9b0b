/* One data directory, one store. */
#include "tests/unit/knowledge-store/fixture.h"

#include <sys/stat.h>

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static bool exists(const struct fixture *f, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    return access(path, F_OK) == 0;
}

static void make_directory(const struct fixture *f, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* It touches nothing: neither uploads under way nor a restore that waits. */
static void a_second_store_leaves_the_directory_alone(void **state)
{
    struct fixture *f = *state;
    static struct store second;
    make_directory(f, "restore");
    write_file(f, "restore/READY", "");
    write_file(f, "restore/knowledge.db", "not yet");
    write_file(f, "uploads/under-way", "");
    mirai_log_set_level(MIRAI_LOG_FATAL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_open(&second, f->dir), MIRAI_E_CONFLICT);
    }
    assert_true(exists(f, "restore/knowledge.db"));
    assert_true(exists(f, "uploads/under-way"));
    create(f, &editor, "goes on");
}

static void the_directory_is_free_after_the_end(void **state)
{
    struct fixture *f = *state;
    create(f, &editor, "stays");
    restart(f);
    restart(f);
    assert_int_equal(f->store.articles, 1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(a_second_store_leaves_the_directory_alone),
        TEST(the_directory_is_free_after_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
