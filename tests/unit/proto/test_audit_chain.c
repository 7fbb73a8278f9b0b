/* The form of an entry and of a head is a promise to whoever checks an old log: these bytes never change. */
#include "proto/audit_chain.h"

#include "tests/unit/proto/fixture.h"

#include <sodium.h>

static struct mirai_audit_entry example(void)
{
    struct mirai_audit_entry entry = {0};
    mirai_set(audit_entry, &entry, epoch, MIRAI_STR("0123456789ab"));
    mirai_set(audit_entry, &entry, id, 1);
    mirai_set(audit_entry, &entry, at, 1700000000000);
    mirai_set(audit_entry, &entry, user_id, 7);
    mirai_set(audit_entry, &entry, action, MIRAI_STR("article.create"));
    mirai_set(audit_entry, &entry, object, MIRAI_STR("article/1"));
    mirai_set(audit_entry, &entry, result, MIRAI_STR("ok"));
    mirai_set(audit_entry, &entry, address, MIRAI_STR("192.0.2.7"));
    mirai_set(audit_entry, &entry, request_id, MIRAI_STR("0af7651916cd43dd8448eb211c80319c"));
    return entry;
}

static void hash_hex(const struct mirai_audit_entry *entry, char hex[65])
{
    static const unsigned char none[MIRAI_AUDIT_HASH_SIZE];
    unsigned char hash[MIRAI_AUDIT_HASH_SIZE];
    struct mirai_buf scratch = {0};
    mirai_audit_hash(hash, none, entry, &scratch);
    mirai_hex(hex, hash, sizeof(hash));
    mirai_buf_free(&scratch);
}

static void the_vector_of_the_header(void **state)
{
    (void)state;
    struct mirai_audit_entry entry = example();
    struct mirai_buf bytes = {0};
    char hex[400];
    mirai_audit_canonical(&bytes, &entry);
    mirai_hex(hex, bytes.data, bytes.len);
    assert_string_equal(
        hex,
        "9c01ac30313233343536373839616201cf0000018bcfe5680007ae61727469636c652e637265617465a961727469636c"
        "652f31a26f6ba93139322e302e322e37d9203061663736353139313663643433646438343438656232313163383033313963"
        "a001");
    mirai_buf_free(&bytes);
    hash_hex(&entry, hex);
    assert_string_equal(hex, "8d7da32f68d1ac819436028a9e31cc978e8717e88a13ade4a2ac81b5f00da4cb");
}

/* Each member counts, and none can be moved into its neighbour. */
static void every_member_changes_the_hash(void **state)
{
    (void)state;
    char hex[12][65];
    struct mirai_audit_entry entries[12];
    for (size_t i = 0; i < 12; i++) {
        entries[i] = example();
    }
    entries[1].epoch = MIRAI_STR("0123456789ac");
    entries[2].id = 2;
    entries[3].at++;
    entries[4].user_id = -1;
    entries[5].action = MIRAI_STR("article.createa");
    entries[5].object = MIRAI_STR("rticle/1");
    entries[6].object = MIRAI_STR("");
    entries[7].result = MIRAI_STR("forbidden");
    entries[8].address = MIRAI_STR("192.0.2.70");
    entries[9].request_id = MIRAI_STR("");
    entries[10].name = MIRAI_STR("山田 太郎");
    mirai_set(audit_entry, &entries[11], count, 2);
    for (size_t i = 0; i < 12; i++) {
        hash_hex(&entries[i], hex[i]);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(hex[i], hex[j]);
        }
    }
    /* What is looked up for people is no part of it. */
    entries[0].user = MIRAI_STR("renamed");
    hash_hex(&entries[0], hex[1]);
    assert_string_equal(hex[0], hex[1]);
}

static void a_head_is_its_signers(void **state)
{
    (void)state;
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];
    unsigned char hash[MIRAI_AUDIT_HASH_SIZE] = {1, 2, 3}, signature[crypto_sign_BYTES];
    char hash_text[65], signer[65], signature_text[129];
    struct mirai_audit_head head = {0};
    struct mirai_buf bytes = {0};
    crypto_sign_keypair(public_key, secret_key);
    mirai_audit_head_bytes(&bytes, MIRAI_STR("0123456789ab"), 9, hash, 1700000000000);
    crypto_sign_detached(signature, NULL, (const unsigned char *)bytes.data, bytes.len, secret_key);
    mirai_buf_free(&bytes);
    mirai_hex(hash_text, hash, sizeof(hash));
    mirai_hex(signer, public_key, sizeof(public_key));
    mirai_hex(signature_text, signature, sizeof(signature));
    mirai_set(audit_head, &head, epoch, MIRAI_STR("0123456789ab"));
    mirai_set(audit_head, &head, id, 9);
    mirai_set(audit_head, &head, hash, mirai_str(hash_text));
    mirai_set(audit_head, &head, at, 1700000000000);
    mirai_set(audit_head, &head, signer, mirai_str(signer));
    mirai_set(audit_head, &head, signature, mirai_str(signature_text));
    assert_true(mirai_audit_head_valid(&head));
    head.id = 8;
    assert_false(mirai_audit_head_valid(&head));
    head.id = 9;
    head.at++;
    assert_false(mirai_audit_head_valid(&head));
    head.at--;
    head.epoch = MIRAI_STR("0123456789ac");
    assert_false(mirai_audit_head_valid(&head));
    head.epoch = MIRAI_STR("0123456789ab");
    hash_text[0] = hash_text[0] == '0' ? '1' : '0';
    assert_false(mirai_audit_head_valid(&head));
    hash_text[0] = 'x';
    assert_false(mirai_audit_head_valid(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vector_of_the_header),
        cmocka_unit_test(every_member_changes_the_hash),
        cmocka_unit_test(a_head_is_its_signers),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
