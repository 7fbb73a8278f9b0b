#include "services/ctl/verify.h"

#include <stdio.h>
#include <stdlib.h>

struct verify_anchor {
    int64_t id;
    int64_t at;
    unsigned char hash[MIRAI_AUDIT_HASH_SIZE];
    char epoch[48];
    bool seen;
};

/* The first entry of a history that began with a restore. */
struct verify_restore {
    int64_t id;
    int64_t at;
    char epoch[48];
};

void verify_free(struct verify *verify)
{
    free(verify->anchors);
    free(verify->restores);
    mirai_buf_free(&verify->scratch);
    *verify = (struct verify){0};
}

static void find(struct verify *verify, struct verify_finding finding)
{
    if (verify->findings_len < VERIFY_FINDINGS_MAX) {
        verify->findings[verify->findings_len++] = finding;
    }
}

static void copy_epoch(char out[48], struct mirai_str epoch)
{
    snprintf(out, 48, "%.*s", MIRAI_STR_ARG(epoch));
}

/* ------------------------------------------------------------------ anchors */

bool verify_trust(struct verify *verify, struct mirai_str key)
{
    unsigned char bytes[MIRAI_AUDIT_SIGNER_SIZE];
    if (verify->keys_len == VERIFY_KEYS_MAX || mirai_unhex(bytes, sizeof(bytes), key) != 0) {
        return false;
    }
    mirai_hex(verify->keys[verify->keys_len++], bytes, sizeof(bytes));
    return true;
}

static bool trusted(struct verify *verify, struct mirai_str signer)
{
    for (size_t i = 0; i < verify->keys_len; i++) {
        if (mirai_str_eq(signer, mirai_str(verify->keys[i]))) {
            return true;
        }
    }
    return verify->keys_len == 0 &&
           (verify->signer[0] == '\0' || mirai_str_eq(signer, mirai_str(verify->signer)));
}

bool verify_anchor(struct verify *verify, const struct mirai_audit_head *head)
{
    struct verify_anchor anchor = {.id = head->id, .at = head->at};
    struct verify_finding wrong = {.kind = VERIFY_FORGED, .id = head->id, .at = head->at};
    copy_epoch(wrong.epoch, head->epoch);
    copy_epoch(anchor.epoch, head->epoch);
    if (!mirai_audit_head_valid(head) || mirai_unhex(anchor.hash, sizeof(anchor.hash), head->hash) != 0) {
        find(verify, wrong);
        return true;
    }
    if (!trusted(verify, head->signer)) {
        wrong.kind = VERIFY_OTHER_KEY;
        find(verify, wrong);
        return true;
    }
    if (verify->anchors_len == VERIFY_ANCHORS_MAX) {
        return false;
    }
    snprintf(verify->signer, sizeof(verify->signer), "%.*s", MIRAI_STR_ARG(head->signer));
    if (verify->anchors_len == verify->anchors_cap) {
        verify->anchors_cap = verify->anchors_cap == 0 ? 64 : verify->anchors_cap * 2;
        verify->anchors = mirai_realloc(verify->anchors, verify->anchors_cap * sizeof(anchor));
    }
    verify->anchors[verify->anchors_len++] = anchor;
    return true;
}

static int by_id(const void *a, const void *b)
{
    const struct verify_anchor *left = a, *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

static void sort_anchors(struct verify *verify)
{
    if (!verify->sorted && verify->anchors_len > 0) {
        qsort(verify->anchors, verify->anchors_len, sizeof(verify->anchors[0]), by_id);
    }
    verify->sorted = true;
}

/* The anchors of the entry that has just been read. Those of another history are looked at in the end. */
static void compare_anchors(struct verify *verify)
{
    while (verify->next_anchor < verify->anchors_len &&
           verify->anchors[verify->next_anchor].id <= verify->id) {
        struct verify_anchor *anchor = &verify->anchors[verify->next_anchor++];
        if (anchor->id != verify->id || strcmp(anchor->epoch, verify->epoch) != 0) {
            continue;
        }
        anchor->seen = true;
        if (memcmp(anchor->hash, verify->hash, sizeof(anchor->hash)) == 0) {
            verify->confirmed++;
            continue;
        }
        struct verify_finding finding = {.kind = VERIFY_HEAD, .id = anchor->id, .at = anchor->at};
        memcpy(finding.epoch, anchor->epoch, sizeof(finding.epoch));
        find(verify, finding);
    }
}

/* ------------------------------------------------------------------ entries */

static void note_restore(struct verify *verify, const struct mirai_audit_entry *entry)
{
    struct verify_restore restore = {.id = entry->id, .at = entry->at};
    copy_epoch(restore.epoch, entry->epoch);
    if (verify->restores_len == verify->restores_cap) {
        verify->restores_cap = verify->restores_cap == 0 ? 8 : verify->restores_cap * 2;
        verify->restores = mirai_realloc(verify->restores, verify->restores_cap * sizeof(restore));
    }
    verify->restores[verify->restores_len++] = restore;
}

void verify_entry(struct verify *verify, const struct mirai_audit_entry *entry)
{
    unsigned char stored[MIRAI_AUDIT_HASH_SIZE], computed[MIRAI_AUDIT_HASH_SIZE];
    sort_anchors(verify);
    if (entry->id <= verify->id) {
        find(verify, (struct verify_finding){.kind = VERIFY_ORDER, .id = entry->id, .other = verify->id});
    } else if (entry->id > verify->id + 1) {
        find(verify,
             (struct verify_finding){.kind = VERIFY_GAP, .id = verify->id + 1, .other = entry->id - 1});
    }
    mirai_audit_hash(computed, verify->hash, entry, &verify->scratch);
    bool has_hash = mirai_unhex(stored, sizeof(stored), entry->hash) == 0;
    if (!has_hash || memcmp(stored, computed, sizeof(stored)) != 0) {
        find(verify, (struct verify_finding){.kind = VERIFY_HASH, .id = entry->id});
    }
    /* Go on from what is stored: one change is one finding. */
    memcpy(verify->hash, has_hash ? stored : computed, sizeof(verify->hash));
    verify->id = entry->id;
    copy_epoch(verify->epoch, entry->epoch);
    verify->entries++;
    if (mirai_str_eq(entry->action, MIRAI_STR(MIRAI_AUDIT_RESTORED)) && entry->user_id == -1) {
        note_restore(verify, entry);
    }
    compare_anchors(verify);
}

void verify_unreadable(struct verify *verify, int64_t number)
{
    find(verify, (struct verify_finding){.kind = VERIFY_UNREADABLE, .id = number});
}

/* ------------------------------------------------------------------ what is missing at the end */

/* The restore that took the anchor's entry away: it began another history at or before the entry's number, after the
 * anchor was signed. Such an entry cannot be made up unseen: it stands in the log. */
static const struct verify_restore *restore_of(const struct verify *verify,
                                               const struct verify_anchor *anchor)
{
    for (size_t i = 0; i < verify->restores_len; i++) {
        const struct verify_restore *restore = &verify->restores[i];
        if (restore->id <= anchor->id && restore->at >= anchor->at &&
            strcmp(restore->epoch, anchor->epoch) != 0) {
            return restore;
        }
    }
    return NULL;
}

static void lose(struct verify *verify, const struct verify_anchor *anchor,
                 const struct verify_restore *restore)
{
    struct verify_loss *loss = verify->losses;
    while (loss < verify->losses + verify->losses_len && strcmp(loss->epoch, anchor->epoch) != 0) {
        loss++;
    }
    if (loss == verify->losses + VERIFY_FINDINGS_MAX) {
        return;
    }
    if (loss == verify->losses + verify->losses_len) {
        verify->losses_len++;
        *loss =
            (struct verify_loss){.from = restore->id, .restore_id = restore->id, .restored_at = restore->at};
        memcpy(loss->epoch, anchor->epoch, sizeof(loss->epoch));
    }
    loss->to = anchor->id > loss->to ? anchor->id : loss->to;
}

bool verify_end(struct verify *verify)
{
    struct verify_finding cut = {.kind = VERIFY_CUT};
    sort_anchors(verify);
    for (size_t i = 0; i < verify->anchors_len; i++) {
        const struct verify_anchor *anchor = &verify->anchors[i];
        const struct verify_restore *restore = anchor->seen ? NULL : restore_of(verify, anchor);
        if (restore != NULL) {
            lose(verify, anchor, restore);
        } else if (!anchor->seen) { /* sorted: the last one tells of most */
            cut.id = anchor->id > verify->id ? verify->id + 1 : anchor->id;
            cut.other = anchor->id;
            cut.at = anchor->at;
            memcpy(cut.epoch, anchor->epoch, sizeof(cut.epoch));
        }
    }
    if (cut.other > 0) {
        find(verify, cut);
    }
    return verify->findings_len == 0;
}
