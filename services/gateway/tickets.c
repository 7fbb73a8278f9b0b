#include "services/gateway/tickets.h"

#include "libcommon/str.h"

#include <openssl/core_names.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#define KEYS 2 /* the one that encrypts, and the one before */

struct key {
    unsigned char name[16];
    unsigned char aes[32];
    unsigned char hmac[32];
};

struct tickets {
    pthread_mutex_t lock;
    uint64_t seconds;
    uint64_t changed_ms;
    struct key keys[KEYS]; /* the newest first */
};

static void new_key(struct key *key)
{
    randombytes_buf(key, sizeof(*key));
}

struct tickets *tickets_new(uint64_t seconds, uint64_t now_ms)
{
    struct tickets *tickets = mirai_alloc(sizeof(*tickets));
    pthread_mutex_init(&tickets->lock, NULL);
    tickets->seconds = seconds;
    tickets->changed_ms = now_ms;
    tickets_forget(tickets);
    return tickets;
}

void tickets_free(struct tickets *tickets)
{
    if (tickets != NULL) {
        pthread_mutex_destroy(&tickets->lock);
        sodium_memzero(tickets, sizeof(*tickets));
        free(tickets);
    }
}

void tickets_rotate(struct tickets *tickets, uint64_t now_ms)
{
    pthread_mutex_lock(&tickets->lock);
    if (now_ms - tickets->changed_ms >= tickets->seconds * 1000) {
        tickets->keys[1] = tickets->keys[0];
        new_key(&tickets->keys[0]);
        tickets->changed_ms = now_ms;
    }
    pthread_mutex_unlock(&tickets->lock);
}

void tickets_forget(struct tickets *tickets)
{
    pthread_mutex_lock(&tickets->lock);
    for (size_t i = 0; i < KEYS; i++) {
        new_key(&tickets->keys[i]);
    }
    pthread_mutex_unlock(&tickets->lock);
}

/* The newest key, or the one of this name. Its number, -1: none. */
static int copy_key(struct tickets *tickets, const unsigned char *name, struct key *key)
{
    int found = -1;
    pthread_mutex_lock(&tickets->lock);
    for (int i = 0; i < KEYS && found < 0; i++) {
        if (name == NULL || sodium_memcmp(tickets->keys[i].name, name, sizeof(key->name)) == 0) {
            *key = tickets->keys[i];
            found = i;
        }
    }
    pthread_mutex_unlock(&tickets->lock);
    return found;
}

/* Where a context keeps its tickets. */
static int slot;

static void make_slot(void)
{
    slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

/* https://docs.openssl.org/3.0/man3/SSL_CTX_set_tlsext_ticket_key_cb/ */
static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt)
{
    struct tickets *tickets = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), slot);
    struct key key;
    int found = copy_key(tickets, encrypt ? NULL : name, &key);
    if (found < 0) {
        return 0; /* a full handshake */
    }
    if (encrypt) {
        memcpy(name, key.name, sizeof(key.name));
        randombytes_buf(iv, (size_t)EVP_CIPHER_get_iv_length(EVP_aes_256_cbc()));
    }
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.hmac, sizeof(key.hmac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    bool ok = EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.aes, iv, encrypt) == 1 &&
              EVP_MAC_CTX_set_params(mac, params) == 1;
    sodium_memzero(&key, sizeof(key));
    return !ok ? -1 : found == 0 ? 1 : 2; /* 2: and give the client a new one */
}

bool tickets_use(struct tickets *tickets, SSL_CTX *context)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_slot);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets instead: no lock, no memory */
    SSL_CTX_set_timeout(context, (long)tickets->seconds);
    return SSL_CTX_set_num_tickets(context, 1) == 1 && SSL_CTX_set_ex_data(context, slot, tickets) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket) == 1;
}
