#include "services/gateway/answers.h"

#include <h2o.h>
#include <sodium.h>
#include <stdlib.h>

#define SETS  (size_t)1024 /* a power of two */
#define WAYS  (size_t)4
#define SLOTS (SETS * WAYS)

struct slot {
    unsigned char rights[ANSWERS_RIGHTS_SIZE];
    int64_t id;
    uint64_t stamp;
    size_t bytes;
    struct answer *answer; /* NULL: empty */
    bool used;             /* since room was last wanted here */
};

/* Set-associative: bounded, no lists. When bytes run short a hand goes round all slots (second chance). */
struct answers {
    size_t bytes_max;
    size_t bytes;
    size_t hand;
    struct slot slots[SLOTS];
};

void answers_rights(unsigned char rights[ANSWERS_RIGHTS_SIZE], const struct mirai_principal *principal)
{
    const int64_t head[] = {principal->user_id, principal->role, (int64_t)principal->spaces_len};
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, ANSWERS_RIGHTS_SIZE);
    crypto_generichash_update(&state, (const unsigned char *)head, sizeof(head));
    crypto_generichash_update(&state, (const unsigned char *)principal->spaces,
                              principal->spaces_len * sizeof(*principal->spaces));
    crypto_generichash_update(&state, (const unsigned char *)principal->groups,
                              principal->groups_len * sizeof(*principal->groups));
    crypto_generichash_final(&state, rights, ANSWERS_RIGHTS_SIZE);
}

struct answers *answers_new(size_t bytes_max)
{
    struct answers *answers = mirai_alloc(sizeof(*answers));
    answers->bytes_max = bytes_max;
    return answers;
}

static void empty(struct answers *answers, struct slot *slot)
{
    if (slot->answer != NULL) {
        answers->bytes -= slot->bytes;
        h2o_mem_release_shared(slot->answer);
        slot->answer = NULL;
    }
}

void answers_free(struct answers *answers)
{
    for (size_t i = 0; answers != NULL && i < SLOTS; i++) {
        empty(answers, &answers->slots[i]);
    }
    free(answers);
}

static bool holds(const struct slot *slot, const unsigned char rights[ANSWERS_RIGHTS_SIZE], int64_t id)
{
    return slot->answer != NULL && slot->id == id && memcmp(slot->rights, rights, ANSWERS_RIGHTS_SIZE) == 0;
}

/* The slot that holds the answer, or else the one of its set to put it in. */
static struct slot *find_slot(struct answers *answers, const unsigned char rights[ANSWERS_RIGHTS_SIZE],
                              int64_t id)
{
    uint64_t mix;
    memcpy(&mix, rights, sizeof(mix));
    mix = (mix ^ (uint64_t)id) * UINT64_C(0x9e3779b97f4a7c15);
    struct slot *set = &answers->slots[(mix >> 32) % SETS * WAYS];
    struct slot *place = NULL;
    for (size_t i = 0; i < WAYS; i++) {
        if (holds(&set[i], rights, id)) {
            return &set[i];
        }
        if (place == NULL || set[i].answer == NULL ||
            (place->answer != NULL && place->used && !set[i].used)) {
            place = &set[i];
        }
    }
    return place;
}

struct answer *answers_find(struct answers *answers, const unsigned char rights[ANSWERS_RIGHTS_SIZE],
                            int64_t id, uint64_t stamp)
{
    struct slot *slot = find_slot(answers, rights, id);
    if (!holds(slot, rights, id) || slot->stamp != stamp) {
        return NULL;
    }
    slot->used = true;
    return slot->answer;
}

static void make_room(struct answers *answers, size_t bytes)
{
    while (answers->bytes + bytes > answers->bytes_max) {
        struct slot *slot = &answers->slots[answers->hand++ % SLOTS];
        if (slot->used) {
            slot->used = false;
        } else {
            empty(answers, slot);
        }
    }
}

struct answer *answers_put(struct answers *answers, const unsigned char rights[ANSWERS_RIGHTS_SIZE],
                           int64_t id, uint64_t stamp, struct mirai_str etag, struct mirai_str json)
{
    size_t bytes = sizeof(struct answer) + etag.len + json.len;
    struct slot *slot = find_slot(answers, rights, id);
    if (bytes > answers->bytes_max / 8) {
        return NULL;
    }
    empty(answers, slot);
    make_room(answers, bytes);
    struct answer *answer = h2o_mem_alloc_shared(NULL, bytes, NULL);
    char *at = (char *)(answer + 1);
    answer->etag = (struct mirai_str){h2o_memcpy(at, etag.data, etag.len), etag.len};
    answer->json = (struct mirai_str){h2o_memcpy(at + etag.len, json.data, json.len), json.len};
    memcpy(slot->rights, rights, ANSWERS_RIGHTS_SIZE);
    slot->id = id;
    slot->stamp = stamp;
    slot->bytes = bytes;
    slot->answer = answer;
    slot->used = false;
    answers->bytes += bytes;
    return answer;
}

size_t answers_bytes(const struct answers *answers)
{
    return answers->bytes;
}
