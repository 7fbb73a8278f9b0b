#include "services/gateway/addresses.h"

#include "libcommon/str.h"
#include "services/gateway/address.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define PLACES         4096  /* addresses that share one are counted together */
#define FLOODS_MAX     3     /* so many within FLOOD_MS are no accident … */
#define FLOOD_MS       10000 /* … and for so long after the last one … */
#define RETURNS_SECOND 5 /* … no more new connections than these: others may sit behind the same address */

struct place {
    int open;
    unsigned floods;
    uint64_t flooded_ms; /* the last one */
    unsigned returns;    /* in the second that began … */
    uint64_t second_ms;  /* … here */
};

struct addresses {
    int connections_max;
    unsigned char key[crypto_shorthash_KEYBYTES]; /* nobody can choose whom to be counted with */
    pthread_mutex_t lock;
    struct place places[PLACES];
};

struct addresses *addresses_new(int connections_max)
{
    struct addresses *addresses = mirai_alloc(sizeof(*addresses));
    addresses->connections_max = connections_max;
    randombytes_buf(addresses->key, sizeof(addresses->key));
    pthread_mutex_init(&addresses->lock, NULL);
    return addresses;
}

void addresses_free(struct addresses *addresses)
{
    if (addresses != NULL) {
        pthread_mutex_destroy(&addresses->lock);
        free(addresses);
    }
}

static int place_of(const struct addresses *addresses, const struct sockaddr *peer)
{
    unsigned char hash[crypto_shorthash_BYTES];
    struct address address = address_of_socket(peer), client = address_client(&address);
    crypto_shorthash(hash, client.bytes, sizeof(client.bytes), addresses->key);
    return (hash[0] | hash[1] << 8) % PLACES;
}

/* Whether one that has flooded comes back too fast. */
static bool is_too_fast(struct place *place, uint64_t now_ms)
{
    if (place->floods < FLOODS_MAX || now_ms - place->flooded_ms > FLOOD_MS) {
        return false;
    }
    if (now_ms - place->second_ms >= 1000) {
        place->second_ms = now_ms;
        place->returns = 0;
    }
    return ++place->returns > RETURNS_SECOND;
}

int addresses_enter(struct addresses *addresses, const struct sockaddr *peer, uint64_t now_ms)
{
    int at = place_of(addresses, peer);
    struct place *place = &addresses->places[at];
    pthread_mutex_lock(&addresses->lock);
    bool fine = place->open < addresses->connections_max && !is_too_fast(place, now_ms);
    place->open += fine;
    pthread_mutex_unlock(&addresses->lock);
    return fine ? at : -1;
}

void addresses_leave(struct addresses *addresses, int place)
{
    pthread_mutex_lock(&addresses->lock);
    addresses->places[place].open--;
    pthread_mutex_unlock(&addresses->lock);
}

void addresses_flooded(struct addresses *addresses, int place, uint64_t now_ms)
{
    pthread_mutex_lock(&addresses->lock);
    struct place *flooded = &addresses->places[place];
    flooded->floods = now_ms - flooded->flooded_ms > FLOOD_MS ? 1 : flooded->floods + 1;
    flooded->flooded_ms = now_ms;
    pthread_mutex_unlock(&addresses->lock);
}
