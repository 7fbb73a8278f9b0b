#include "libcommon/log.h"
#include "libcommon/rpc_internal.h"
#include "libcommon/time.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>

/* TLS 1.3 and nothing older: both ends are ours. Both show a certificate of the same private authority; its
 * common name is the daemon's name, whatever host it runs on. */

struct file_state {
    struct timespec changed;
    ino_t inode;
};

struct rpc_tls_context {
    const struct mirai_rpc_security *security;
    bool server;
    SSL_CTX *ctx;               /* NULL: not yet, or the files were broken */
    struct file_state files[3]; /* of which ctx was made */
    uint64_t complained_ms;     /* when a broken file was last logged */
};

#define COMPLAIN_MS 10000 /* between lines about broken files: connections are tried all the time */

struct rpc_tls {
    SSL *ssl;
    BIO *in;  /* ciphertext from the peer */
    BIO *out; /* ciphertext for the peer */
};

/* The reason of the last failure; empties OpenSSL's queue. */
static const char *reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return text != NULL ? text : "the connection ended";
}

/* ------------------------------------------------------------------ keys and certificates */

struct rpc_tls_context *rpc_tls_context_new(const struct mirai_rpc_security *security, bool server)
{
    struct rpc_tls_context *context = mirai_alloc(sizeof(*context));
    context->security = security;
    context->server = server;
    return context;
}

void rpc_tls_context_free(struct rpc_tls_context *context)
{
    if (context != NULL) {
        SSL_CTX_free(context->ctx);
        free(context);
    }
}

static void complain(struct rpc_tls_context *context, const char *path, const char *why)
{
    uint64_t now_ms = mirai_monotonic_ms();
    if (context->complained_ms == 0 || now_ms - context->complained_ms >= COMPLAIN_MS) {
        context->complained_ms = now_ms;
        mirai_log(ERROR, "no TLS between hosts: a file cannot be used", MIRAI_LOG_Z("path", path),
                  MIRAI_LOG_Z("reason", why));
    }
}

/* *broken names the file that could not be used. */
static SSL_CTX *load(const struct rpc_tls_context *context, const char **broken)
{
    const struct mirai_rpc_security *security = context->security;
    SSL_CTX *ctx = SSL_CTX_new(context->server ? TLS_server_method() : TLS_client_method());
    ERR_clear_error();
    *broken = "";
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_use_certificate_chain_file(ctx, security->certificate) != 1) {
        *broken = security->certificate;
    } else if (SSL_CTX_use_PrivateKey_file(ctx, security->private_key, SSL_FILETYPE_PEM) != 1) {
        *broken = security->private_key;
    } else if (SSL_CTX_load_verify_locations(ctx, security->authority, NULL) != 1) {
        *broken = security->authority;
    } else {
        return ctx;
    }
    SSL_CTX_free(ctx);
    return NULL;
}

static bool look(const char *path, struct file_state *state)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return false;
    }
    state->changed = st.st_mtim;
    state->inode = st.st_ino;
    return true;
}

/* Read renewed files again: they are looked at with each new connection. */
static bool refresh(struct rpc_tls_context *context)
{
    const struct mirai_rpc_security *security = context->security;
    const char *const paths[3] = {security->certificate, security->private_key, security->authority};
    struct file_state now[3] = {0};
    bool same = context->ctx != NULL;
    for (size_t i = 0; i < 3; i++) {
        if (paths[i] == NULL || !look(paths[i], &now[i])) {
            complain(context, paths[i] != NULL ? paths[i] : "", strerror(errno));
            return context->ctx != NULL;
        }
        same = same && now[i].inode == context->files[i].inode &&
               now[i].changed.tv_sec == context->files[i].changed.tv_sec &&
               now[i].changed.tv_nsec == context->files[i].changed.tv_nsec;
    }
    if (same) {
        return true;
    }
    const char *broken;
    SSL_CTX *ctx = load(context, &broken);
    if (ctx == NULL) { /* half a renewal: what is there goes on */
        complain(context, broken, reason());
        return context->ctx != NULL;
    }
    SSL_CTX_free(context->ctx);
    context->ctx = ctx;
    memcpy(context->files, now, sizeof(now));
    return true;
}

bool rpc_tls_context_usable(struct rpc_tls_context *context)
{
    return refresh(context);
}

/* ------------------------------------------------------------------ one connection */

struct rpc_tls *rpc_tls_new(struct rpc_tls_context *context)
{
    if (!refresh(context)) {
        return NULL;
    }
    struct rpc_tls *tls = mirai_alloc(sizeof(*tls));
    tls->ssl = SSL_new(context->ctx);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    if (tls->ssl == NULL || tls->in == NULL || tls->out == NULL) {
        abort(); /* as every allocation */
    }
    BIO_set_mem_eof_return(tls->in, -1);
    BIO_set_mem_eof_return(tls->out, -1);
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    if (context->server) {
        SSL_set_accept_state(tls->ssl);
    } else {
        SSL_set_connect_state(tls->ssl);
    }
    return tls;
}

void rpc_tls_free(struct rpc_tls *tls)
{
    if (tls != NULL) {
        SSL_free(tls->ssl); /* with both BIOs */
        free(tls);
    }
}

void rpc_tls_feed(struct rpc_tls *tls, const char *bytes, size_t len)
{
    if (BIO_write(tls->in, bytes, (int)len) != (int)len) {
        abort(); /* memory ran out */
    }
}

enum rpc_tls_result rpc_tls_handshake(struct rpc_tls *tls, const char **why)
{
    ERR_clear_error();
    int n = SSL_do_handshake(tls->ssl);
    if (n == 1) {
        return RPC_TLS_DONE;
    }
    if (SSL_get_error(tls->ssl, n) == SSL_ERROR_WANT_READ) {
        return RPC_TLS_MORE;
    }
    long verdict = SSL_get_verify_result(tls->ssl);
    *why = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : reason();
    ERR_clear_error();
    return RPC_TLS_FAILED;
}

enum rpc_tls_result rpc_tls_read(struct rpc_tls *tls, char *out, size_t size, size_t *len)
{
    ERR_clear_error();
    if (SSL_read_ex(tls->ssl, out, size, len) == 1) {
        return RPC_TLS_DONE;
    }
    return SSL_get_error(tls->ssl, 0) == SSL_ERROR_WANT_READ ? RPC_TLS_MORE : RPC_TLS_FAILED;
}

bool rpc_tls_write(struct rpc_tls *tls, const char *bytes, size_t len)
{
    size_t written;
    ERR_clear_error();
    return len == 0 || (SSL_write_ex(tls->ssl, bytes, len, &written) == 1 && written == len);
}

size_t rpc_tls_pending(const struct rpc_tls *tls)
{
    return BIO_ctrl_pending(tls->out);
}

void rpc_tls_take(struct rpc_tls *tls, char *out, size_t len)
{
    if (BIO_read(tls->out, out, (int)len) != (int)len) {
        abort(); /* less than is pending was asked for */
    }
}

void rpc_tls_peer(const struct rpc_tls *tls, char name[RPC_TLS_NAME_SIZE])
{
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    X509_NAME *subject = certificate != NULL ? X509_get_subject_name(certificate) : NULL;
    int at = subject != NULL ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;
    unsigned char *text = NULL;
    name[0] = '\0';
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) {
        return; /* none, or more than one */
    }
    int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (len > 0 && len < RPC_TLS_NAME_SIZE && memchr(text, '\0', (size_t)len) == NULL) {
        memcpy(name, text, (size_t)len);
        name[len] = '\0';
    }
    OPENSSL_free(text);
}
