/* Passwords, names of their owners and one-time codes, as they come in. Four texts, separated by zero bytes: the
 * password, login name, display name and mail address. */
#include "libcommon/config.h"
#include "services/knowledge-store/nfkc.h"
#include "services/knowledge-store/password_rules.h"
#include "services/knowledge-store/totp.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>

static struct mirai_str take_text(struct mirai_str *rest)
{
    const char *end = rest->len > 0 ? memchr(rest->data, '\0', rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - rest->data) : rest->len;
    struct mirai_str text = {rest->data, len};
    size_t skip = end != NULL ? len + 1 : len;
    *rest = (struct mirai_str){rest->data + skip, rest->len - skip};
    return text;
}

/* The form of a form is itself, and valid. */
static void check_form(struct mirai_str text)
{
    struct mirai_str once = nfkc_new(text), twice = nfkc_new(once);
    expect(mirai_utf8_valid(once) && mirai_str_eq(once, twice));
    nfkc_free(once);
    nfkc_free(twice);
}

static void check_codes(struct mirai_str text)
{
    unsigned code;
    char plain[RECOVERY_PLAIN_SIZE], again[RECOVERY_PLAIN_SIZE];
    bool otp = totp_parse(text, &code);
    expect(!otp || code <= 999999);
    if (recovery_parse(text, plain)) {
        expect(!otp && strlen(plain) == RECOVERY_PLAIN_SIZE - 1);
        expect(recovery_parse(mirai_str(plain), again) && strcmp(plain, again) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    if (!started) {
        char *environment[] = {NULL};
        expect(mirai_config_load(environment, stderr) == 0);
        password_rules_start();
        started = true;
    }
    char *copy = malloc(size > 0 ? size : 1);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    struct mirai_str rest = {copy, size};
    struct mirai_str password = take_text(&rest);
    struct password_owner owner = {.name = take_text(&rest)};
    owner.display_name = take_text(&rest);
    owner.email = take_text(&rest);
    check_codes(password);
    if (mirai_utf8_valid(password) && mirai_utf8_valid(owner.name) && mirai_utf8_valid(owner.display_name) &&
        mirai_utf8_valid(owner.email)) {
        const char *problem = password_problem(password, &owner);
        size_t length = mirai_utf8_length(password);
        expect(problem != NULL || (length >= 8 && length <= PASSWORD_LENGTH_MAX));
        check_form(password);
    }
    free(copy);
    return 0;
}
