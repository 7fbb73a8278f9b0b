#include "libcommon/config.h"
#include "libcommon/log.h"
#include "services/gateway/gateway.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/stat.h>

#define LOOK_MS   2000
#define CHAIN_MAX 10

struct tls {
    struct gateway *gateway;
    uv_timer_t look; /* for changed files */
    uv_signal_t hangup;
    int open_handles;
    struct timespec seen[2]; /* modification times */
    pthread_mutex_t lock;    /* guards the following: loops make their contexts when told to */
    EVP_PKEY *key;
    X509 *chain[CHAIN_MAX]; /* the server's own first */
    size_t chain_len;
    unsigned char ticket_keys[80]; /* common to all loops, so that a session can be resumed at any */
};

static void log_openssl(const char *message, const char *file)
{
    char reason[200];
    ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
    ERR_clear_error();
    mirai_log(ERROR, message, MIRAI_LOG_Z("file", file), MIRAI_LOG_Z("reason", reason));
}

/* ------------------------------------------------------------------ files */

static size_t read_chain(const char *file, X509 *chain[CHAIN_MAX])
{
    size_t n = 0;
    BIO *bio = BIO_new_file(file, "r");
    while (bio != NULL && n < CHAIN_MAX && (chain[n] = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        n++;
    }
    BIO_free(bio);
    if (n == 0) {
        log_openssl("cannot read the certificate", file);
    }
    ERR_clear_error(); /* "no start line" at the end of the file */
    return n;
}

/* A key with a password would wait for a terminal. */
static int no_password(char *buf, int size, int writing, void *data)
{
    (void)buf, (void)size, (void)writing, (void)data;
    return -1;
}

static EVP_PKEY *read_key(const char *file)
{
    BIO *bio = BIO_new_file(file, "r");
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    BIO_free(bio);
    if (key == NULL) {
        log_openssl("cannot read the private key", file);
    }
    return key;
}

static void free_chain(X509 **chain, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        X509_free(chain[i]);
    }
}

/* Read both files; what was there stays when they do not fit. 0 or MIRAI_E_INVALID, logged. */
static int load(struct tls *tls)
{
    const char *key_file = mirai_config_str(MIRAI_CONFIG_TLS_PRIVATE_KEY);
    X509 *chain[CHAIN_MAX];
    size_t chain_len = read_chain(mirai_config_str(MIRAI_CONFIG_TLS_CERTIFICATE), chain);
    EVP_PKEY *key = chain_len > 0 ? read_key(key_file) : NULL;
    if (key == NULL || X509_check_private_key(chain[0], key) != 1) {
        if (key != NULL) {
            log_openssl("the private key is not that of the certificate", key_file);
        }
        EVP_PKEY_free(key);
        free_chain(chain, chain_len);
        return MIRAI_E_INVALID;
    }
    pthread_mutex_lock(&tls->lock);
    EVP_PKEY_free(tls->key);
    free_chain(tls->chain, tls->chain_len);
    tls->key = key;
    tls->chain_len = chain_len;
    memcpy(tls->chain, chain, chain_len * sizeof(chain[0]));
    pthread_mutex_unlock(&tls->lock);
    return 0;
}

/* Whether a file's time has changed since the last look. */
static bool look(struct tls *tls)
{
    const char *files[2] = {mirai_config_str(MIRAI_CONFIG_TLS_CERTIFICATE),
                            mirai_config_str(MIRAI_CONFIG_TLS_PRIVATE_KEY)};
    bool changed = false;
    for (size_t i = 0; i < 2; i++) {
        struct stat now;
        if (stat(files[i], &now) == 0 &&
            (now.st_mtim.tv_sec != tls->seen[i].tv_sec || now.st_mtim.tv_nsec != tls->seen[i].tv_nsec)) {
            tls->seen[i] = now.st_mtim;
            changed = true;
        }
    }
    return changed;
}

static void reload(struct tls *tls)
{
    if (load(tls) == 0) {
        listener_set_tls(tls->gateway);
        mirai_log(INFO, "certificate read again");
    }
}

static void on_look(uv_timer_t *timer)
{
    struct tls *tls = timer->data;
    if (look(tls)) {
        reload(tls);
    }
}

static void on_hangup(uv_signal_t *signal, int number)
{
    (void)number;
    struct tls *tls = signal->data;
    look(tls);
    reload(tls);
}

/* ------------------------------------------------------------------ contexts */

SSL_CTX *tls_context_new(struct tls *tls)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL) {
        return NULL;
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_ciphersuites(context,
                             "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets instead: no lock, no memory */
    SSL_CTX_set_num_tickets(context, 1);
    h2o_ssl_register_alpn_protocols(context, h2o_alpn_protocols);
    pthread_mutex_lock(&tls->lock);
    bool ok = SSL_CTX_set_tlsext_ticket_keys(context, tls->ticket_keys, sizeof(tls->ticket_keys)) == 1 &&
              SSL_CTX_use_certificate(context, tls->chain[0]) == 1 &&
              SSL_CTX_use_PrivateKey(context, tls->key) == 1;
    for (size_t i = 1; ok && i < tls->chain_len; i++) {
        ok = SSL_CTX_add1_chain_cert(context, tls->chain[i]) == 1;
    }
    pthread_mutex_unlock(&tls->lock);
    if (!ok) {
        log_openssl("cannot use the certificate", mirai_config_str(MIRAI_CONFIG_TLS_CERTIFICATE));
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

struct tls *tls_new(struct gateway *gateway, uv_loop_t *loop)
{
    struct tls *tls = mirai_alloc(sizeof(*tls));
    tls->gateway = gateway;
    pthread_mutex_init(&tls->lock, NULL);
    look(tls);
    if (RAND_bytes(tls->ticket_keys, sizeof(tls->ticket_keys)) != 1 || load(tls) != 0) {
        free(tls);
        return NULL;
    }
    uv_timer_init(loop, &tls->look);
    tls->look.data = tls;
    uv_timer_start(&tls->look, on_look, LOOK_MS, LOOK_MS);
    uv_unref((uv_handle_t *)&tls->look);
    uv_signal_init(loop, &tls->hangup);
    tls->hangup.data = tls;
    uv_signal_start(&tls->hangup, on_hangup, SIGHUP);
    uv_unref((uv_handle_t *)&tls->hangup);
    return tls;
}

static void on_closed(uv_handle_t *handle)
{
    struct tls *tls = handle->data;
    if (--tls->open_handles > 0) {
        return;
    }
    EVP_PKEY_free(tls->key);
    free_chain(tls->chain, tls->chain_len);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

void tls_free(struct tls *tls)
{
    if (tls != NULL) {
        tls->open_handles = 2;
        uv_close((uv_handle_t *)&tls->hangup, on_closed);
        uv_close((uv_handle_t *)&tls->look, on_closed);
    }
}
