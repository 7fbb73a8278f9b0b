#include "proto/audit_chain.h"

#include <sodium.h>

#define FORM_VERSION 1
#define FORM_FIELDS  12

void mirai_audit_canonical(struct mirai_buf *out, const struct mirai_audit_entry *entry)
{
    mirai_mp_write_array(out, FORM_FIELDS);
    mirai_mp_write_int(out, FORM_VERSION);
    mirai_mp_write_str(out, entry->epoch);
    mirai_mp_write_int(out, entry->id);
    mirai_mp_write_int(out, entry->at);
    mirai_mp_write_int(out, entry->user_id);
    mirai_mp_write_str(out, entry->action);
    mirai_mp_write_str(out, entry->object);
    mirai_mp_write_str(out, entry->result);
    mirai_mp_write_str(out, entry->address);
    mirai_mp_write_str(out, entry->request_id);
    mirai_mp_write_str(out, entry->name);
    mirai_mp_write_int(out, mirai_has(audit_entry, entry, count) ? entry->count : 1);
}

void mirai_audit_hash(unsigned char hash[MIRAI_AUDIT_HASH_SIZE],
                      const unsigned char previous[MIRAI_AUDIT_HASH_SIZE],
                      const struct mirai_audit_entry *entry, struct mirai_buf *scratch)
{
    scratch->len = 0;
    mirai_buf_append(scratch, previous, MIRAI_AUDIT_HASH_SIZE);
    mirai_audit_canonical(scratch, entry);
    crypto_hash_sha256(hash, (const unsigned char *)scratch->data, scratch->len);
}

void mirai_audit_head_bytes(struct mirai_buf *out, struct mirai_str epoch, int64_t id,
                            const unsigned char hash[MIRAI_AUDIT_HASH_SIZE], int64_t at)
{
    mirai_mp_write_array(out, 5);
    mirai_mp_write_cstr(out, "mirai audit head 1");
    mirai_mp_write_str(out, epoch);
    mirai_mp_write_int(out, id);
    mirai_mp_write_bin(out, (struct mirai_str){(const char *)hash, MIRAI_AUDIT_HASH_SIZE});
    mirai_mp_write_int(out, at);
}

bool mirai_audit_head_valid(const struct mirai_audit_head *head)
{
    unsigned char hash[MIRAI_AUDIT_HASH_SIZE];
    unsigned char signer[MIRAI_AUDIT_SIGNER_SIZE];
    unsigned char signature[MIRAI_AUDIT_SIGNATURE_SIZE];
    struct mirai_buf bytes = {0};
    if (mirai_unhex(hash, sizeof(hash), head->hash) != 0 ||
        mirai_unhex(signer, sizeof(signer), head->signer) != 0 ||
        mirai_unhex(signature, sizeof(signature), head->signature) != 0) {
        return false;
    }
    mirai_audit_head_bytes(&bytes, head->epoch, head->id, hash, head->at);
    bool valid =
        crypto_sign_verify_detached(signature, (const unsigned char *)bytes.data, bytes.len, signer) == 0;
    mirai_buf_free(&bytes);
    return valid;
}
