/* Checks an audit log: its chain, and that every signed head (an anchor, kept where the log cannot be changed) is in it.
 *
 * First all anchors and trusted keys, then all entries in order, then verify_end. What is wrong is collected as
 * findings; the first one says where the log stops being what was written. */
#ifndef CTL_VERIFY_H
#define CTL_VERIFY_H

#include "proto/audit_chain.h"

#define VERIFY_ANCHORS_MAX  1000000
#define VERIFY_FINDINGS_MAX 20
#define VERIFY_KEYS_MAX     16

enum verify_kind {
    VERIFY_GAP,        /* entries from `id` to `other` are missing in the middle */
    VERIFY_ORDER,      /* entry `id` stands after one of a greater or the same number (`other`) */
    VERIFY_HASH,       /* entry `id` is not what its hash says */
    VERIFY_HEAD,       /* entry `id` is not the one whose hash was signed at `at` */
    VERIFY_FORGED,     /* the signature of a head of entry `id` is wrong */
    VERIFY_OTHER_KEY,  /* a head of entry `id` was signed by another key */
    VERIFY_CUT,        /* entries from `id` to `other` of `epoch` were there at `at` and are missing */
    VERIFY_UNREADABLE, /* line `id` of the input is no entry */
};

struct verify_finding {
    enum verify_kind kind;
    int64_t id;
    int64_t other;
    int64_t at;
    char epoch[48];
};

/* Entries that a restore took away: they are missing, and the log says why. */
struct verify_loss {
    char epoch[48];
    int64_t from, to;    /* numbers; `to`: the newest that an anchor tells of */
    int64_t restore_id;  /* the entry that says so */
    int64_t restored_at; /* its time */
};

struct verify {
    struct verify_anchor *anchors; /* sorted by id at the first entry */
    size_t anchors_len, anchors_cap;
    size_t next_anchor;
    size_t confirmed; /* anchors that were found in the chain */
    bool sorted;

    char keys[VERIFY_KEYS_MAX][65]; /* trusted; none: all anchors must have one and the same */
    size_t keys_len;
    char signer[65]; /* of the anchors; "" when there are none */

    struct verify_restore *restores;
    size_t restores_len, restores_cap;

    unsigned char hash[MIRAI_AUDIT_HASH_SIZE]; /* of the newest entry */
    int64_t id;                                /* its number, 0: none yet */
    char epoch[48];
    int64_t entries;

    struct verify_finding findings[VERIFY_FINDINGS_MAX];
    size_t findings_len; /* the first ones */
    struct verify_loss losses[VERIFY_FINDINGS_MAX];
    size_t losses_len;

    struct mirai_buf scratch;
};

/* Zero-initialised is empty. */
void verify_free(struct verify *verify);

/* A key whose signatures are trusted: 64 hexadecimal digits. False when it is none or there are too many. */
bool verify_trust(struct verify *verify, struct mirai_str key);

/* Before the first entry. Heads are outside input: everything about them is checked. False when there are too many. */
bool verify_anchor(struct verify *verify, const struct mirai_audit_head *head);

/* The next entry. */
void verify_entry(struct verify *verify, const struct mirai_audit_entry *entry);
/* Line `number` should have been one. */
void verify_unreadable(struct verify *verify, int64_t number);

/* After the last entry. Whether the log is whole; losses that a restore explains do not speak against it. */
bool verify_end(struct verify *verify);

#endif
