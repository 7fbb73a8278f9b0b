#include "services/gateway/identity/attempts.h"

#include <pthread.h>
#include <sodium.h>

/* ------------------------------------------------------------------ tables */

#define WAYS 8

/* Failures of one name, address, or both. */
struct brake {
    uint64_t key;        /* 0: none */
    uint64_t changed_ms; /* when failures last rose or fell */
    uint64_t due_ms;     /* the next attempt waits until then */
    unsigned failures;
    bool told; /* the wait was refused since the last failure */
};

/* Where an account has logged in. */
struct good {
    uint64_t key; /* of the pair; 0: none */
    uint64_t until_ms;
};

/* Fixed memory: some 770 KiB once all of it has been used. A set that is full forgets whom the fewest failures are known
 * of, so nobody gets rid of their own by adding those of random names: that takes WAYS names in the same set, which a
 * secret hash chooses, with more failures each. */
#define PAIR_SETS    (size_t)1024
#define ACCOUNT_SETS (size_t)1024
#define ADDRESS_SETS (size_t)512
#define GOOD_SETS    (size_t)1024

static struct brake pairs[PAIR_SETS][WAYS], names[ACCOUNT_SETS][WAYS], addresses[ADDRESS_SETS][WAYS];
static struct good known[GOOD_SETS][WAYS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that stands here; logins are rare */

static struct attempt_rule rules[ATTEMPTS_BRAKES];
static bool enabled;
static unsigned char hash_key[crypto_shorthash_KEYBYTES];

void attempts_configure(uint64_t failures, uint64_t wait_ms)
{
    uint64_t wide_wait_ms = wait_ms / 10 < 1000 ? 1000 : wait_ms / 10;
    pthread_mutex_lock(&lock);
    memset(pairs, 0, sizeof(pairs));
    memset(names, 0, sizeof(names));
    memset(addresses, 0, sizeof(addresses));
    memset(known, 0, sizeof(known));
    enabled = failures > 0;
    rules[ATTEMPTS_PAIR] = (struct attempt_rule){failures, wait_ms, 3 * wait_ms};
    rules[ATTEMPTS_ADDRESS] = (struct attempt_rule){4 * failures, wide_wait_ms, 2 * wide_wait_ms};
    rules[ATTEMPTS_ACCOUNT] = (struct attempt_rule){4 * failures, wide_wait_ms, 2 * wide_wait_ms};
    crypto_shorthash_keygen(hash_key);
    pthread_mutex_unlock(&lock);
}

bool attempts_rule(enum attempt_brake brake, struct attempt_rule *rule)
{
    *rule = rules[brake];
    return enabled;
}

/* 0 up to the rule's number of failures, then 1 s, 2 s, 4 s … */
static uint64_t wait_after(const struct attempt_rule *rule, unsigned failures)
{
    uint64_t beyond = failures > rule->free ? failures - rule->free : 0;
    uint64_t wait = beyond == 0                   ? 0
                    : beyond > ATTEMPTS_COUNT_MAX ? rule->wait_ms
                                                  : UINT64_C(1000) << (beyond - 1);
    return wait < rule->wait_ms ? wait : rule->wait_ms;
}

static void forget_old(struct brake *brake, const struct attempt_rule *rule, uint64_t now_ms)
{
    uint64_t gone = now_ms > brake->changed_ms ? (now_ms - brake->changed_ms) / rule->decay_ms : 0;
    if (gone > 0) {
        brake->failures -= gone < brake->failures ? (unsigned)gone : brake->failures;
        brake->changed_ms += gone * rule->decay_ms;
    }
}

/* The brake of `key`, empty where nothing is known. It may take another's place. */
static struct brake *find(struct brake (*table)[WAYS], size_t sets, const struct attempt_rule *rule,
                          uint64_t key, uint64_t now_ms)
{
    struct brake *set = table[key % sets], *least = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        forget_old(&set[i], rule, now_ms);
        if (set[i].key == key) {
            return &set[i];
        }
        if (set[i].failures < least->failures ||
            (set[i].failures == least->failures && set[i].changed_ms < least->changed_ms)) {
            least = &set[i];
        }
    }
    *least = (struct brake){.key = key, .changed_ms = now_ms};
    return least;
}

static struct brake *find_pair(const struct attempt *attempt, uint64_t now_ms)
{
    return find(pairs, PAIR_SETS, &rules[ATTEMPTS_PAIR], attempt->pair, now_ms);
}

static struct brake *find_address(const struct attempt *attempt, uint64_t now_ms)
{
    return find(addresses, ADDRESS_SETS, &rules[ATTEMPTS_ADDRESS], attempt->address, now_ms);
}

static struct brake *find_account(const struct attempt *attempt, uint64_t now_ms)
{
    return find(names, ACCOUNT_SETS, &rules[ATTEMPTS_ACCOUNT], attempt->account, now_ms);
}

static void add_failure(struct brake *brake, const struct attempt_rule *rule, uint64_t now_ms)
{
    if (brake->failures < rule->free + ATTEMPTS_COUNT_MAX) {
        brake->failures++;
    }
    brake->changed_ms = now_ms;
    uint64_t wait_ms = wait_after(rule, brake->failures);
    brake->due_ms = wait_ms > 0 ? now_ms + wait_ms : 0; /* others may have begun before now */
    brake->told = false;
}

/* It was none after all: others wait as long as they had to before it began. */
static void take_back(struct brake *brake, uint64_t due_ms)
{
    brake->failures -= brake->failures > 0;
    brake->due_ms = brake->failures > 0 ? due_ms : 0;
}

/* ------------------------------------------------------------------ known addresses */

static bool is_known(uint64_t pair, uint64_t now_ms)
{
    const struct good *set = known[pair % GOOD_SETS];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == pair && set[i].until_ms > now_ms) {
            return true;
        }
    }
    return false;
}

static void remember(uint64_t pair, uint64_t now_ms)
{
    struct good *set = known[pair % GOOD_SETS], *place = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == pair) {
            place = &set[i];
            break;
        }
        if (set[i].until_ms < place->until_ms) {
            place = &set[i];
        }
    }
    *place = (struct good){pair, now_ms + ATTEMPTS_GOOD_MS};
}

/* ------------------------------------------------------------------ names */

/* Base letters of U+00C0 … U+017F. */
static const char latin[] = "aaaaaaaceeeeiiiidnoooooxouuuuytsaaaaaaaceeeeiiiidnooooo/ouuuuyty"
                            "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllll"
                            "lllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

static uint32_t fold_point(uint32_t point)
{
    if (point >= 0xff01 && point <= 0xff5e) { /* full width */
        point -= 0xfee0;
    }
    if (point >= 0xc0 && point < 0xc0 + sizeof(latin) - 1) {
        point = (unsigned char)latin[point - 0xc0];
    }
    if (point >= 'A' && point <= 'Z') {
        point += 'a' - 'A';
    }
    bool is_blank = point <= ' ' || point == 0x7f || point == 0xa0 || point == 0x3000;
    bool is_invisible = point == 0xad || (point >= 0x200b && point <= 0x200f) || point == 0x2060 ||
                        (point >= 0xfe00 && point <= 0xfe0f) || point == 0xfeff;
    bool is_mark = point >= 0x300 && point <= 0x36f;
    return is_blank || is_invisible || is_mark ? 0 : point;
}

/* One code point of valid UTF-8. */
static size_t read_point(struct mirai_str text, uint32_t *point)
{
    unsigned char first = (unsigned char)text.data[0];
    size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (len > text.len) {
        len = text.len;
    }
    *point = len == 1 ? first : first & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        *point = *point << 6 | ((unsigned char)text.data[i] & 0x3f);
    }
    return len;
}

static void drop_domain(struct mirai_buf *out, size_t start)
{
    char *name = out->data + start;
    size_t len = out->len - start;
    const char *backslash = memrchr(name, '\\', len);
    if (backslash != NULL && backslash + 1 < name + len) {
        size_t domain = (size_t)(backslash + 1 - name);
        memmove(name, name + domain, len - domain);
        len -= domain;
    }
    const char *at = memchr(name, '@', len);
    out->len = start + (at != NULL && at > name ? (size_t)(at - name) : len);
}

void attempts_fold(struct mirai_str name, bool bare, struct mirai_buf *out)
{
    size_t start = out->len;
    uint32_t point;
    while (name.len > 0) {
        size_t len = read_point(name, &point);
        uint32_t folded = fold_point(point);
        if (folded != 0 && folded < 0x80) {
            mirai_buf_append_char(out, (char)folded);
        } else if (folded != 0) {
            mirai_buf_append(out, name.data, len);
        }
        name.data += len;
        name.len -= len;
    }
    if (bare && out->len > start) {
        drop_domain(out, start);
    }
}

void attempts_describe(enum attempt_brake brake, struct mirai_str name, const struct address *client,
                       struct mirai_buf *out)
{
    if (brake != ATTEMPTS_ACCOUNT) {
        struct address place = address_client(client);
        mirai_buf_append(out, place.bytes, sizeof(place.bytes));
    }
    if (brake != ATTEMPTS_ADDRESS) {
        attempts_fold(name, brake == ATTEMPTS_ACCOUNT, out);
    }
    mirai_buf_append_char(out, (char)('0' + brake));
}

static uint64_t hash(struct mirai_str bytes)
{
    unsigned char sum[crypto_shorthash_BYTES];
    uint64_t key;
    crypto_shorthash(sum, (const unsigned char *)bytes.data, bytes.len, hash_key);
    memcpy(&key, sum, sizeof(key));
    return key != 0 ? key : 1;
}

static uint64_t key_of(enum attempt_brake brake, struct mirai_str name, const struct address *client)
{
    struct mirai_buf text = {0};
    attempts_describe(brake, name, client, &text);
    uint64_t key = hash(mirai_buf_str(&text));
    mirai_buf_free(&text);
    return key;
}

static struct attempt identify(struct mirai_str name, const struct address *client)
{
    return (struct attempt){
        .pair = key_of(ATTEMPTS_PAIR, name, client),
        .address = key_of(ATTEMPTS_ADDRESS, name, client),
        .account = key_of(ATTEMPTS_ACCOUNT, name, client),
    };
}

/* ------------------------------------------------------------------ attempts */

static void look(struct attempt_wait *wait, enum attempt_brake kind, struct brake *brake, uint64_t now_ms)
{
    if (brake->due_ms > now_ms && brake->due_ms - now_ms > wait->ms) {
        *wait = (struct attempt_wait){.brake = kind, .ms = brake->due_ms - now_ms, .is_news = !brake->told};
        brake->told = true;
    }
}

struct attempt_wait attempts_begin(struct attempt *attempt, struct mirai_str name,
                                   const struct address *client, uint64_t now_ms)
{
    struct attempt_wait wait = {.brake = ATTEMPTS_NO_BRAKE};
    *attempt = identify(name, client);
    if (!enabled) {
        return wait;
    }
    pthread_mutex_lock(&lock);
    struct brake *pair = find_pair(attempt, now_ms), *account = find_account(attempt, now_ms);
    look(&wait, ATTEMPTS_PAIR, pair, now_ms);
    if (!is_known(attempt->pair, now_ms)) { /* strangers neither keep those who belong here out */
        look(&wait, ATTEMPTS_ADDRESS, find_address(attempt, now_ms), now_ms);
        look(&wait, ATTEMPTS_ACCOUNT, account, now_ms);
    }
    if (wait.ms == 0) {
        attempt->due_ms = account->due_ms;
        add_failure(pair, &rules[ATTEMPTS_PAIR], now_ms);
        add_failure(account, &rules[ATTEMPTS_ACCOUNT], now_ms);
    }
    pthread_mutex_unlock(&lock);
    return wait;
}

void attempts_begin_allowed(struct attempt *attempt, struct mirai_str name, const struct address *client,
                            uint64_t now_ms)
{
    *attempt = identify(name, client);
    if (enabled) {
        pthread_mutex_lock(&lock);
        add_failure(find_pair(attempt, now_ms), &rules[ATTEMPTS_PAIR], now_ms);
        struct brake *account = find_account(attempt, now_ms);
        attempt->due_ms = account->due_ms;
        add_failure(account, &rules[ATTEMPTS_ACCOUNT], now_ms);
        pthread_mutex_unlock(&lock);
    }
}

void attempts_end(const struct attempt *attempt, enum attempt_outcome outcome, uint64_t now_ms)
{
    if (!enabled) {
        return;
    }
    pthread_mutex_lock(&lock);
    struct brake *pair = find_pair(attempt, now_ms);
    switch (outcome) {
    case ATTEMPT_FAILED: /* counted for the others when it began */
        add_failure(find_address(attempt, now_ms), &rules[ATTEMPTS_ADDRESS], now_ms);
        break;
    case ATTEMPT_GOOD:
        *pair = (struct brake){.key = attempt->pair, .changed_ms = now_ms};
        take_back(find_account(attempt, now_ms), attempt->due_ms);
        remember(attempt->pair, now_ms);
        break;
    case ATTEMPT_OPEN:
        take_back(pair, 0);
        take_back(find_account(attempt, now_ms), attempt->due_ms);
        break;
    }
    pthread_mutex_unlock(&lock);
}
