/* The hash chain of the audit log: how an entry is written down for hashing, and how the state of the log is signed.
 * The store makes them, miraictl checks them, and so can anybody else from what stands here.
 *
 * Entry:  hash = SHA-256(hash of the entry before, 32 bytes; zeros for the first || canonical)
 *         canonical = MessagePack array of 12: 1 (version of this form), epoch, id, at, user_id, action, object,
 *         result, address, request_id, name, count. Integers and text in their shortest MessagePack form; at is
 *         in ms since 1970; a text that is absent is "", a count that is absent is 1, a user_id that is absent is 0.
 * Head:   Ed25519 signature over the MessagePack array of 5: "mirai audit head 1", epoch, id, hash (bin, 32 bytes),
 *         at (when it was signed).
 *
 * Test vector (tests/unit/proto/test_audit_chain.c): the first entry {epoch "0123456789ab", id 1, at 1700000000000,
 * user_id 7, action "article.create", object "article/1", result "ok", address "192.0.2.7",
 * request_id "0af7651916cd43dd8448eb211c80319c"} is written down as
 *   9c01ac30313233343536373839616201cf0000018bcfe5680007ae61727469636c652e637265617465a961727469636c652f31
 *   a26f6ba93139322e302e322e37d9203061663736353139313663643433646438343438656232313163383033313963a001
 * and its hash is
 *   8d7da32f68d1ac819436028a9e31cc978e8717e88a13ade4a2ac81b5f00da4cb */
#ifndef MIRAI_PROTO_AUDIT_CHAIN_H
#define MIRAI_PROTO_AUDIT_CHAIN_H

#include "proto/messages.h"

#define MIRAI_AUDIT_HASH_SIZE      32
#define MIRAI_AUDIT_SIGNER_SIZE    32 /* Ed25519 public key (RFC 8032) */
#define MIRAI_AUDIT_SIGNATURE_SIZE 64

/* The action of the first entry after a restore. Its object names the newest head of the history that was replaced:
 * "audit/<epoch>/<id>/<hash>"; empty when none is known. */
#define MIRAI_AUDIT_RESTORED "store.restore"

/* Append an entry in its canonical form. Its members user and hash are no part of it. */
void mirai_audit_canonical(struct mirai_buf *out, const struct mirai_audit_entry *entry);

/* The hash of an entry that follows one with the hash `previous`. scratch: emptied and used. */
void mirai_audit_hash(unsigned char hash[MIRAI_AUDIT_HASH_SIZE],
                      const unsigned char previous[MIRAI_AUDIT_HASH_SIZE],
                      const struct mirai_audit_entry *entry, struct mirai_buf *scratch);

/* Append what is signed of a head. */
void mirai_audit_head_bytes(struct mirai_buf *out, struct mirai_str epoch, int64_t id,
                            const unsigned char hash[MIRAI_AUDIT_HASH_SIZE], int64_t at);

/* Whether the head's signature is that of its signer. */
bool mirai_audit_head_valid(const struct mirai_audit_head *head);

#endif
