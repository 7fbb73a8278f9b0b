#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/gateway/gateway.h"
#include "services/gateway/tickets.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>

#define LOOK_MS   2000
#define CHAIN_MAX 10

struct tls {
    struct gateway *gateway;
    uv_timer_t look; /* for changed files, and for ticket keys that are due */
    uv_signal_t hangup;
    int open_handles;
    struct timespec seen[2]; /* modification times */
    pthread_mutex_t lock;    /* guards the following: loops make their contexts when told to */
    EVP_PKEY *key;
    X509 *chain[CHAIN_MAX]; /* the server's own first */
    size_t chain_len;
    struct tickets *tickets; /* common to all loops, so that a session can be resumed at any */
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

/* Others must not be able to change the key, nor everyone to read it; a group may (such as Debian's ssl-cert). */
static bool is_key_private(const char *file)
{
    struct stat info;
    if (stat(file, &info) == 0 && (info.st_mode & (S_IWGRP | S_IRWXO)) != 0) {
        mirai_log(ERROR, "the private key's file is open to others: chmod 600 or 640",
                  MIRAI_LOG_Z("file", file));
        return false;
    }
    return true;
}

static EVP_PKEY *read_key(const char *file)
{
    if (!is_key_private(file)) {
        return NULL;
    }
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

/* Keys below 112 bits of strength (RSA 2048, P-224) and signatures by SHA-1 or MD5 are refused: no client of today takes
 * them. A root's own signature does not matter. */
static const char *weakness_of(X509 *certificate)
{
    int digest = NID_undef, bits = 0;
    const EVP_PKEY *key = X509_get0_pubkey(certificate);
    bool is_root = X509_check_issued(certificate, certificate) == X509_V_OK;
    if (key == NULL || EVP_PKEY_get_security_bits(key) < 112) {
        return "its key is too short: RSA needs 2048 bits, ECDSA 256";
    }
    if (!is_root && X509_get_signature_info(certificate, &digest, NULL, &bits, NULL) == 1 &&
        (digest == NID_sha1 || digest == NID_md5 || digest == NID_md5_sha1)) {
        return "it is signed with SHA-1 or MD5";
    }
    return NULL;
}

static bool are_strong(X509 *const *chain, size_t len, const char *file)
{
    for (size_t i = 0; i < len; i++) {
        const char *weakness = weakness_of(chain[i]);
        if (weakness != NULL) {
            mirai_log(ERROR, "a certificate is too weak", MIRAI_LOG_Z("file", file),
                      MIRAI_LOG_I("number", (int64_t)i + 1), MIRAI_LOG_Z("reason", weakness));
            return false;
        }
    }
    return true;
}

static int64_t unix_time_of(const ASN1_TIME *time)
{
    int days = 0, seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    ASN1_TIME_diff(&days, &seconds, epoch, time);
    ASN1_TIME_free(epoch);
    return INT64_C(86400) * days + seconds;
}

/* Clients refuse it, but those who can only ask whether the gateway lives do not: it serves, and says so. */
static void warn_of_dates(const X509 *certificate, const char *file)
{
    if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
        mirai_log(WARNING, "the certificate is not valid yet: is the clock right?",
                  MIRAI_LOG_Z("file", file));
    }
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
        mirai_log(WARNING, "the certificate has expired", MIRAI_LOG_Z("file", file));
    }
}

/* Read both files; what was there stays when they do not fit. 0 or MIRAI_E_INVALID, logged. */
static int load(struct tls *tls)
{
    const char *key_file = mirai_config_str(MIRAI_CONFIG_TLS_PRIVATE_KEY);
    const char *chain_file = mirai_config_str(MIRAI_CONFIG_TLS_CERTIFICATE);
    X509 *chain[CHAIN_MAX];
    size_t chain_len = read_chain(chain_file, chain);
    EVP_PKEY *key = chain_len > 0 && are_strong(chain, chain_len, chain_file) ? read_key(key_file) : NULL;
    if (key == NULL || X509_check_private_key(chain[0], key) != 1) {
        if (key != NULL) {
            log_openssl("the private key is not that of the certificate", key_file);
        }
        EVP_PKEY_free(key);
        free_chain(chain, chain_len);
        return MIRAI_E_INVALID;
    }
    warn_of_dates(chain[0], chain_file);
    atomic_store(&tls->gateway->certificate_expires_s, unix_time_of(X509_get0_notAfter(chain[0])));
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
        tickets_forget(tls->tickets); /* whoever has a session from the old certificate shakes hands anew */
        listener_set_tls(tls->gateway);
        mirai_log(INFO, "certificate read again");
    }
}

static void on_look(uv_timer_t *timer)
{
    struct tls *tls = timer->data;
    tickets_rotate(tls->tickets, mirai_monotonic_ms());
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

/* Who speaks other protocols only is told so (RFC 7301 §3.2): bytes meant for them never reach HTTP. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *data)
{
    static const unsigned char served[] = "\x02h2\x08http/1.1\x08http/1.0";
    unsigned char *selected;
    (void)ssl, (void)data;
    if (SSL_select_next_proto(&selected, out_len, served, sizeof(served) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = selected;
    return SSL_TLSEXT_ERR_OK;
}

/* Mozilla's "intermediate" without finite-field Diffie-Hellman (Server Side TLS 5.7): TLS 1.2 and 1.3, forward secrecy
 * and AEAD only. The server chooses, ChaCha20 for those who have no AES in hardware. No early data: it can be replayed. */
static bool restrict_context(SSL_CTX *context)
{
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
           SSL_CTX_set_ciphersuites(
               context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1 &&
           SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1 &&
           SSL_CTX_set_max_early_data(context, 0) == 1;
}

SSL_CTX *tls_context_new(struct tls *tls)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL) {
        return NULL;
    }
    bool ok = restrict_context(context) && tickets_use(tls->tickets, context);
    pthread_mutex_lock(&tls->lock);
    ok = ok && SSL_CTX_use_certificate(context, tls->chain[0]) == 1 &&
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

static double read_expiry(void *data)
{
    const struct gateway *gateway = data;
    return (double)atomic_load(&gateway->certificate_expires_s);
}

struct tls *tls_new(struct gateway *gateway, uv_loop_t *loop)
{
    struct tls *tls = mirai_alloc(sizeof(*tls));
    tls->gateway = gateway;
    pthread_mutex_init(&tls->lock, NULL);
    look(tls);
    if (load(tls) != 0) {
        free(tls);
        return NULL;
    }
    tls->tickets =
        tickets_new((uint64_t)mirai_config_int(MIRAI_CONFIG_TLS_TICKET_SECONDS), mirai_monotonic_ms());
    mirai_metric_gauge_from("mirai_tls_certificate_expiry_timestamp_seconds",
                            "When the certificate in use expires, Unix time", NULL, read_expiry, gateway);
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
    tickets_free(tls->tickets);
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
