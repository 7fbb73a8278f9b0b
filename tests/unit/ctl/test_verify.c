/* What a check of the audit log finds, and how it tells a restore from a cut. (Whole programs: tests/e2e/test_audit.py.) */
#include "services/ctl/verify.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A log as the store writes it, and heads of it as the store signs them. */
struct log {
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];
    struct mirai_audit_entry entries[40];
    char hashes[40][65];
    struct mirai_audit_head heads[8];
    char head_text[8][3][129];
    size_t len, heads_len;
    struct verify verify;
};

static void hash_last(struct log *log)
{
    unsigned char previous[MIRAI_AUDIT_HASH_SIZE] = {0}, hash[MIRAI_AUDIT_HASH_SIZE];
    struct mirai_buf scratch = {0};
    size_t last = log->len - 1;
    if (last > 0) {
        assert_int_equal(mirai_unhex(previous, sizeof(previous), mirai_str(log->hashes[last - 1])), 0);
    }
    mirai_audit_hash(hash, previous, &log->entries[last], &scratch);
    mirai_hex(log->hashes[last], hash, sizeof(hash));
    mirai_set(audit_entry, &log->entries[last], hash, mirai_str(log->hashes[last]));
    mirai_buf_free(&scratch);
}

static void append(struct log *log, const char *epoch, int64_t at, const char *action)
{
    struct mirai_audit_entry *entry = &log->entries[log->len++];
    *entry = (struct mirai_audit_entry){0};
    mirai_set(audit_entry, entry, id, (int64_t)log->len);
    mirai_set(audit_entry, entry, epoch, mirai_str(epoch));
    mirai_set(audit_entry, entry, at, at);
    mirai_set(audit_entry, entry, user_id, -1);
    mirai_set(audit_entry, entry, action, mirai_str(action));
    mirai_set(audit_entry, entry, result, MIRAI_STR("ok"));
    hash_last(log);
}

/* Sign the newest entry. */
static void sign(struct log *log, int64_t at)
{
    const struct mirai_audit_entry *entry = &log->entries[log->len - 1];
    struct mirai_audit_head *head = &log->heads[log->heads_len];
    char(*text)[129] = log->head_text[log->heads_len++];
    unsigned char hash[MIRAI_AUDIT_HASH_SIZE], signature[crypto_sign_BYTES];
    struct mirai_buf bytes = {0};
    assert_int_equal(mirai_unhex(hash, sizeof(hash), entry->hash), 0);
    mirai_audit_head_bytes(&bytes, entry->epoch, entry->id, hash, at);
    crypto_sign_detached(signature, NULL, (const unsigned char *)bytes.data, bytes.len, log->secret_key);
    mirai_buf_free(&bytes);
    snprintf(text[0], sizeof(text[0]), "%s", log->hashes[log->len - 1]);
    mirai_hex(text[1], log->public_key, sizeof(log->public_key));
    mirai_hex(text[2], signature, sizeof(signature));
    mirai_set(audit_head, head, epoch, entry->epoch);
    mirai_set(audit_head, head, id, entry->id);
    mirai_set(audit_head, head, at, at);
    mirai_set(audit_head, head, hash, mirai_str(text[0]));
    mirai_set(audit_head, head, signer, mirai_str(text[1]));
    mirai_set(audit_head, head, signature, mirai_str(text[2]));
}

static struct log *new_log(void)
{
    struct log *log = calloc(1, sizeof(*log));
    crypto_sign_keypair(log->public_key, log->secret_key);
    return log;
}

/* Ten entries of the first history, signed at 5 and at 10. */
static struct log *ten_entries(void)
{
    struct log *log = new_log();
    for (int64_t i = 1; i <= 10; i++) {
        append(log, "first", i * 10, "article.create");
        if (i % 5 == 0) {
            sign(log, i * 10 + 1);
        }
    }
    return log;
}

static bool check(struct log *log)
{
    verify_free(&log->verify);
    for (size_t i = 0; i < log->heads_len; i++) {
        assert_true(verify_anchor(&log->verify, &log->heads[i]));
    }
    for (size_t i = 0; i < log->len; i++) {
        verify_entry(&log->verify, &log->entries[i]);
    }
    return verify_end(&log->verify);
}

static void free_log(struct log *log)
{
    verify_free(&log->verify);
    free(log);
}

static void a_sound_log(void **state)
{
    (void)state;
    struct log *log = ten_entries();
    assert_true(check(log));
    assert_int_equal(log->verify.entries, 10);
    assert_int_equal(log->verify.confirmed, 2);
    assert_string_equal(log->verify.signer, log->head_text[0][1]);
    free_log(log);
}

static void a_cut_is_no_restore(void **state)
{
    (void)state;
    struct log *log = ten_entries();
    log->len = 7;
    assert_false(check(log));
    assert_int_equal(log->verify.findings[0].kind, VERIFY_CUT);
    assert_int_equal(log->verify.findings[0].id, 8);
    assert_int_equal(log->verify.findings[0].other, 10);
    assert_int_equal(log->verify.losses_len, 0);
    free_log(log);
}

static void a_restore_explains_what_is_missing(void **state)
{
    (void)state;
    struct log *log = ten_entries();
    log->len = 7;
    append(log, "second", 120, MIRAI_AUDIT_RESTORED);
    append(log, "second", 130, "article.create");
    sign(log, 131);
    assert_true(check(log));
    assert_int_equal(log->verify.losses_len, 1);
    assert_int_equal(log->verify.losses[0].from, 8);
    assert_int_equal(log->verify.losses[0].to, 10);
    assert_int_equal(log->verify.losses[0].restore_id, 8);
    assert_int_equal(log->verify.confirmed, 2);
    /* Restored again, further back: the entry that told of the first restore is gone itself. */
    log->len = 3;
    append(log, "third", 200, MIRAI_AUDIT_RESTORED);
    for (int i = 0; i < 12; i++) {
        append(log, "third", 210 + i, "article.create");
    }
    sign(log, 300);
    assert_true(check(log));
    assert_int_equal(log->verify.losses_len, 2);
    free_log(log);
}

/* A restore that was made up before the head was signed, or one that others than the store wrote, explains nothing. */
static void not_every_restore_explains(void **state)
{
    (void)state;
    struct log *log = ten_entries();
    log->len = 7;
    append(log, "second", 100, MIRAI_AUDIT_RESTORED); /* the head of 10 was signed at 101 */
    assert_false(check(log));
    log->len = 7;
    append(log, "second", 120, MIRAI_AUDIT_RESTORED);
    mirai_set(audit_entry, &log->entries[7], user_id, 3);
    hash_last(log);
    assert_false(check(log));
    log->len = 7;
    append(log, "first", 120, MIRAI_AUDIT_RESTORED); /* in the same history */
    assert_false(check(log));
    free_log(log);
}

static void keys(void **state)
{
    (void)state;
    struct log *log = ten_entries(), *other = ten_entries();
    log->heads[log->heads_len++] = other->heads[0];
    assert_false(check(log));
    assert_int_equal(log->verify.findings[0].kind, VERIFY_OTHER_KEY);
    assert_false(verify_trust(&log->verify, MIRAI_STR("short")));
    assert_false(verify_trust(&log->verify, MIRAI_STR("")));
    log->heads[2].id = 4;
    assert_false(check(log));
    assert_int_equal(log->verify.findings[0].kind, VERIFY_FORGED);
    free_log(log);
    free_log(other);
}

static void findings_are_bounded(void **state)
{
    (void)state;
    struct log *log = ten_entries();
    for (int64_t i = 0; i < 1000; i++) {
        verify_unreadable(&log->verify, i);
    }
    assert_int_equal(log->verify.findings_len, VERIFY_FINDINGS_MAX);
    free_log(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_log),
        cmocka_unit_test(a_cut_is_no_restore),
        cmocka_unit_test(a_restore_explains_what_is_missing),
        cmocka_unit_test(not_every_restore_explains),
        cmocka_unit_test(keys),
        cmocka_unit_test(findings_are_bounded),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
