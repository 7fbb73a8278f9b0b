/* A server in a thread of its own, for tests of clients: it accepts one connection and behaves as told. */
#ifndef TEST_GATEWAY_PEER_H
#define TEST_GATEWAY_PEER_H

#include "tests/unit/gateway/test.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A certificate that signs itself, for the address or name of `san` ("IP:127.0.0.1"), and its key. */
struct peer_certificate {
    X509 *certificate;
    EVP_PKEY *key;
    char file[64]; /* PEM, to be trusted */
};

static inline struct peer_certificate peer_certificate_new(const char *san, long not_after_s)
{
    struct peer_certificate made = {.certificate = X509_new(), .key = EVP_EC_gen("P-256")};
    X509_set_version(made.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), -7200);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), not_after_s);
    X509_set_pubkey(made.certificate, made.key);
    X509_NAME *name = X509_get_subject_name(made.certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"peer", -1, -1, 0);
    X509_set_issuer_name(made.certificate, name);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    X509_add_ext(made.certificate, extension, -1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(made.certificate, made.key, EVP_sha256()) > 0);
    strcpy(made.file, "/tmp/mirai-peer-XXXXXX");
    FILE *file = fdopen(mkstemp(made.file), "w");
    PEM_write_X509(file, made.certificate);
    fclose(file);
    return made;
}

static inline void peer_certificate_free(struct peer_certificate *certificate)
{
    unlink(certificate->file);
    X509_free(certificate->certificate);
    EVP_PKEY_free(certificate->key);
}

struct peer {
    pthread_t thread;
    int listener;
    int port;
    int stop[2];
    void (*serve)(struct peer *peer, int fd);
    const struct peer_certificate *certificate; /* for peer_tls() */
    void *data;
};

/* Wait until the test ends, or the client hangs up: for a server that says nothing. */
static inline void peer_wait(struct peer *peer, int fd)
{
    char dropped[4096];
    struct pollfd wait[2] = {{.fd = peer->stop[0], .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    while (poll(wait, 2, 10000) > 0 && wait[0].revents == 0 && read(fd, dropped, sizeof(dropped)) > 0) {
    }
}

/* The server's side of TLS; NULL when the handshake failed. */
static inline SSL *peer_tls(struct peer *peer, int fd)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, peer->certificate->certificate);
    SSL_CTX_use_PrivateKey(context, peer->certificate->key);
    SSL *ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

static inline void *peer_run(void *data)
{
    struct peer *peer = data;
    struct pollfd wait[2] = {{.fd = peer->stop[0], .events = POLLIN},
                             {.fd = peer->listener, .events = POLLIN}};
    while (poll(wait, 2, -1) > 0 && wait[0].revents == 0) {
        int fd = accept(peer->listener, NULL, NULL);
        if (fd >= 0) {
            peer->serve(peer, fd);
            close(fd);
        }
    }
    return NULL;
}

static inline void peer_start(struct peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    signal(SIGPIPE, SIG_IGN);
    peer->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(peer->listener, 16), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &len), 0);
    peer->port = ntohs(address.sin_port);
    assert_int_equal(pipe(peer->stop), 0);
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_run, peer), 0);
}

static inline void peer_stop(struct peer *peer)
{
    assert_int_equal(write(peer->stop[1], "", 1), 1);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    close(peer->stop[0]);
    close(peer->stop[1]);
}

#endif
