/* Values open with their key and under their name, and in no other way. */
#include "libcommon/sealed.h"

#include "libcommon/config.h"
#include "libcommon/error.h"
#include "tests/unit/libcommon/test.h"

#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/mirai-test-sealed-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    if (sodium_init() < 0 || mkdtemp(directory) == NULL) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/key", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static void write_file(const char *content, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

#define KEY_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_B "f00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct mirai_sealed_keys read_keys(const char *content)
{
    struct mirai_sealed_keys keys;
    write_file(content, 0600);
    assert_null(mirai_sealed_keys_read(path, &keys));
    return keys;
}

static void assert_opens(const struct mirai_sealed_keys *keys, const char *name, struct mirai_str sealed,
                         const char *expected)
{
    struct mirai_buf plain = {0};
    assert_int_equal(mirai_unseal(keys, mirai_str(name), sealed, &plain),
                     expected != NULL ? 0 : MIRAI_E_INVALID);
    assert_int_equal(plain.len, expected != NULL ? strlen(expected) : 0);
    assert_memory_equal(plain.len > 0 ? plain.data : "", expected != NULL ? expected : "", plain.len);
    mirai_buf_free(&plain);
}

static void test_a_value_opens_with_its_key_under_its_name(void **state)
{
    static const char *const values[] = {"", "x", "correct horse", "ひみつ 🔑", "sealed:1:x"};
    (void)state;
    struct mirai_sealed_keys a = read_keys(KEY_A), b = read_keys(KEY_B "\n"),
                             both = read_keys(KEY_B "\n" KEY_A "\n");
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct mirai_buf sealed = {0}, again = {0};
        mirai_seal(&a, MIRAI_STR("MIRAI_TOKEN"), mirai_str(values[i]), &sealed);
        mirai_seal(&a, MIRAI_STR("MIRAI_TOKEN"), mirai_str(values[i]), &again);
        assert_true(mirai_sealed(mirai_buf_str(&sealed)));
        assert_false(
            mirai_str_eq(mirai_buf_str(&sealed), mirai_buf_str(&again))); /* equal values do not show */
        assert_opens(&a, "MIRAI_TOKEN", mirai_buf_str(&sealed), values[i]);
        assert_opens(&both, "MIRAI_TOKEN", mirai_buf_str(&sealed), values[i]);
        assert_opens(&b, "MIRAI_TOKEN", mirai_buf_str(&sealed), NULL);
        assert_opens(&a, "MIRAI_METRICS_TOKEN", mirai_buf_str(&sealed), NULL);
        mirai_buf_free(&sealed);
        mirai_buf_free(&again);
    }
}

static void test_every_change_is_noticed(void **state)
{
    (void)state;
    struct mirai_sealed_keys keys = read_keys(KEY_A);
    struct mirai_buf sealed = {0};
    mirai_seal(&keys, MIRAI_STR("MIRAI_TOKEN"), MIRAI_STR("hunter2"), &sealed);
    for (size_t i = 0; i < sealed.len; i++) {
        char before = sealed.data[i];
        sealed.data[i] = before == 'A' ? 'B' : 'A';
        assert_opens(&keys, "MIRAI_TOKEN", mirai_buf_str(&sealed), NULL);
        sealed.data[i] = before;
        assert_opens(&keys, "MIRAI_TOKEN", (struct mirai_str){sealed.data, i}, NULL);
    }
    mirai_buf_append_char(&sealed, 'A');
    assert_opens(&keys, "MIRAI_TOKEN", mirai_buf_str(&sealed), NULL);
    mirai_buf_free(&sealed);
    assert_opens(&keys, "MIRAI_TOKEN", MIRAI_STR("sealed:"), NULL);
    assert_opens(&keys, "MIRAI_TOKEN", MIRAI_STR("sealed:2:AAAA"), NULL);
    assert_opens(&keys, "MIRAI_TOKEN", MIRAI_STR("sealed:1:"), NULL);
    assert_opens(&keys, "MIRAI_TOKEN", MIRAI_STR("sealed:1:ひみつ"), NULL);
}

static void test_key_files(void **state)
{
    struct mirai_sealed_keys keys;
    (void)state;
    static const char *const bad[] = {"",         "\n", "abc", (KEY_A "0"), (KEY_A "\n\n"), (KEY_A "\nx"),
                                      ("x" KEY_A)};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        write_file(bad[i], 0600);
        assert_non_null(mirai_sealed_keys_read(path, &keys));
        assert_int_equal(keys.count, 0);
    }
    write_file(KEY_A "\n" KEY_A "\n" KEY_A "\n" KEY_A "\n" KEY_A "\n" KEY_A "\n" KEY_A "\n" KEY_A "\n" KEY_A
                     "\n",
               0600);
    assert_non_null(mirai_sealed_keys_read(path, &keys));
    write_file(KEY_A "\n", 0604);
    assert_non_null(mirai_sealed_keys_read(path, &keys));
    write_file(KEY_A "\n", 0640);
    assert_null(mirai_sealed_keys_read(path, &keys));
    assert_non_null(mirai_sealed_keys_read("/nonexistent/key", &keys));
}

/* ------------------------------------------------------------------ in the configuration */

static int load(char *text, size_t size, const char *first, const char *second)
{
    char key_file[96];
    snprintf(key_file, sizeof(key_file), "MIRAI_SECRET_KEY_FILE=%s", path);
    char *environment[] = {(char *)(uintptr_t)first, key_file, (char *)(uintptr_t)second, NULL};
    FILE *errors = fmemopen(text, size, "w");
    int err = mirai_config_load(environment, errors);
    fclose(errors);
    return err;
}

static char *variable(const char *name, const char *bound_to, const char *value,
                      const struct mirai_sealed_keys *keys)
{
    struct mirai_buf text = {0};
    mirai_buf_printf(&text, "%s=", name);
    mirai_seal(keys, mirai_str(bound_to), mirai_str(value), &text);
    mirai_buf_append_char(&text, '\0');
    return text.data;
}

static void test_secrets_of_the_configuration(void **state)
{
    char text[1000] = "";
    (void)state;
    struct mirai_sealed_keys keys = read_keys(KEY_A);
    char *token = variable("MIRAI_TOKEN", "MIRAI_TOKEN", "top-secret", &keys);
    char *swapped = variable("MIRAI_METRICS_TOKEN", "MIRAI_TOKEN", "top-secret", &keys);
    char *control = variable("MIRAI_TOKEN", "MIRAI_TOKEN", "top\nsecret", &keys);
    assert_int_equal(load(text, sizeof(text), token, NULL), 0);
    assert_string_equal(mirai_config_str(MIRAI_CONFIG_TOKEN), "top-secret");
    assert_string_equal(text, "");
    const struct {
        const char *given, *named;
    } refused[] = {{swapped, "MIRAI_METRICS_TOKEN: "},
                   {control, "MIRAI_TOKEN: "},
                   {"MIRAI_TOKEN=sealed:1:top-secret", "MIRAI_TOKEN: "}};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        assert_int_equal(load(text, sizeof(text), refused[i].given, NULL), MIRAI_E_INVALID);
        assert_non_null(strstr(text, refused[i].named));
        assert_null(strstr(text, "top-secret"));
    }
    write_file(KEY_B "\n", 0600);
    assert_int_equal(load(text, sizeof(text), token, NULL), MIRAI_E_INVALID);
    assert_non_null(strstr(text, "MIRAI_TOKEN: "));
    unlink(path);
    assert_int_equal(load(text, sizeof(text), token, NULL), MIRAI_E_INVALID);
    assert_non_null(strstr(text, path));
    /* A variable that is no secret keeps such a value as it is. */
    assert_int_equal(load(text, sizeof(text), "MIRAI_BACKUP_DIR=sealed:1:x", NULL), 0);
    assert_string_equal(mirai_config_str(MIRAI_CONFIG_BACKUP_DIR), "sealed:1:x");
    free(token);
    free(swapped);
    free(control);
}

static void test_the_environment_is_wiped(void **state)
{
    char secret[] = "MIRAI_TOKEN=top-secret", plain[] = "MIRAI_LOCALE=ja", other[] = "TOKEN=not-ours";
    char *environment[] = {secret, plain, other, NULL};
    (void)state;
    mirai_config_wipe(environment, true);
    assert_string_equal(environment[0], "MIRAI_TOKEN=top-secret");
    assert_ptr_not_equal(environment[0], secret);
    assert_string_equal(secret, "MIRAI_TOKEN=");
    assert_memory_equal(secret + 12, "\0\0\0\0\0\0\0\0\0\0", 11);
    free(environment[0]);
    strcpy(secret, "MIRAI_TOKEN=top-secret");
    environment[0] = secret;
    mirai_config_wipe(environment, false);
    assert_string_equal(environment[0], "MIRAI_TOKEN=");
    assert_string_equal(plain, "MIRAI_LOCALE=ja");
    assert_string_equal(other, "TOKEN=not-ours");
    assert_int_equal(mirai_config_check_secret(MIRAI_STR("MIRAI_TOKEN"), MIRAI_STR("x")), 0);
    assert_int_equal(mirai_config_check_secret(MIRAI_STR("MIRAI_TOKEN"), MIRAI_STR("a\nb")), MIRAI_E_INVALID);
    assert_int_equal(mirai_config_check_secret(MIRAI_STR("MIRAI_AUDIT_KEY"), MIRAI_STR("short")),
                     MIRAI_E_INVALID);
    assert_int_equal(mirai_config_check_secret(MIRAI_STR("MIRAI_LOCALE"), MIRAI_STR("ja")),
                     MIRAI_E_NOT_FOUND);
    assert_int_equal(mirai_config_check_secret(MIRAI_STR("TOKEN"), MIRAI_STR("ja")), MIRAI_E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_opens_with_its_key_under_its_name),
        cmocka_unit_test(test_every_change_is_noticed),
        cmocka_unit_test(test_key_files),
        cmocka_unit_test(test_secrets_of_the_configuration),
        cmocka_unit_test(test_the_environment_is_wiped),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
