#include "services/gateway/identity/ldap.h"

#include "libcommon/arena.h"
#include "libcommon/time.h"

#include <errno.h>
#include <malloc.h>
#include <openldap.h>
#include <sodium.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* libldap holds one end of a socket pair and believes it to be the server. After each of its calls what it wrote is moved
 * to the stream; what the stream brings is written into the pair and read at once. No one ever waits on the pair. */

enum op_kind {
    OP_START_TLS,
    OP_BIND,
    OP_SEARCH,
};

struct ldap_link_op {
    struct ldap_link_op *next;
    enum op_kind kind;
    int msgid;
    uint64_t deadline_ms;
    ldap_link_cb callback; /* NULL: forgotten */
    void *data;
    size_t entries_max;
    size_t values, bytes; /* so far */
    size_t dropped;       /* entries that were too large */
    struct mirai_arena arena;
    struct ldap_link_answer answer;
    const struct ldap_link_entry **last; /* where the next entry goes */
};

/* Where the bytes that come stand in their message (RFC 4511 §4.1.1, X.690 §8.1): 30 LENGTH 02 LENGTH NUMBER TAG LENGTH … */
struct frame {
    unsigned char head[24]; /* 1 + 5, 1 + 5 + 4, 1 + 5 at most */
    size_t head_len;
    size_t left;     /* bytes of the message after its head */
    unsigned number; /* the message's */
    bool dropped;    /* it does not reach libldap */
};

struct ldap_link {
    struct ldap_link_options options;
    struct frame frame;
    struct stream *stream;
    LDAP *ld;
    int ours;   /* our end of the pair */
    int theirs; /* libldap's; it closes it */
    struct ldap_link_op *ops;
    bool follows; /* what has come goes on after the message that is read */
    bool ready;
    bool reading; /* the pump runs: memory must stay */
    bool ended;
    bool closed;
};

/* ------------------------------------------------------------------ libldap */

static void *wiping_malloc(ber_len_t size, void *context)
{
    (void)context;
    return malloc(size);
}

static void *wiping_calloc(ber_len_t count, ber_len_t size, void *context)
{
    (void)context;
    return calloc(count, size);
}

static void wiping_free(void *memory, void *context)
{
    (void)context;
    if (memory != NULL) {
        sodium_memzero(memory, malloc_usable_size(memory));
        free(memory);
    }
}

static void *wiping_realloc(void *memory, ber_len_t size, void *context)
{
    size_t old = memory != NULL ? malloc_usable_size(memory) : 0;
    void *larger = malloc(size);
    if (larger != NULL && memory != NULL) {
        memcpy(larger, memory, old < size ? old : size);
        wiping_free(memory, context);
    }
    return larger;
}

void ldap_link_init(void)
{
    static BerMemoryFunctions wiping = {wiping_malloc, wiping_calloc, wiping_realloc, wiping_free};
    int version = LDAP_VERSION3;
    setenv("LDAPNOINIT", "1", 1); /* no ldap.conf, no .ldaprc: the configuration is ours alone */
    ber_set_option(NULL, LBER_OPT_MEMORY_FNS, &wiping);
    ldap_set_option(NULL, LDAP_OPT_PROTOCOL_VERSION, &version); /* what it looks up once, it looks up now */
}

static bool open_library(struct ldap_link *link)
{
    int pair[2], version = LDAP_VERSION3, never = LDAP_DEREF_NEVER;
    ber_len_t largest = LDAP_LINK_PDU_MAX;
    Sockbuf *sockbuf = NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        return false;
    }
    link->ours = pair[0];
    link->theirs = pair[1];
    if (ldap_init_fd(pair[1], LDAP_PROTO_TCP, NULL, &link->ld) != LDAP_SUCCESS) {
        close(pair[1]);
        link->ld = NULL;
        return false;
    }
    ldap_set_option(link->ld, LDAP_OPT_PROTOCOL_VERSION, &version);
    ldap_set_option(link->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF); /* to follow one means to block */
    ldap_set_option(link->ld, LDAP_OPT_RESTART, LDAP_OPT_OFF);
    ldap_set_option(link->ld, LDAP_OPT_DEREF, &never);
    return ldap_get_option(link->ld, LDAP_OPT_SOCKBUF, &sockbuf) == LDAP_OPT_SUCCESS &&
           ber_sockbuf_ctrl(sockbuf, LBER_SB_OPT_SET_MAX_INCOMING, &largest) == 1;
}

/* ------------------------------------------------------------------ requests in flight */

static void free_op(struct ldap_link_op *op)
{
    mirai_arena_free(&op->arena);
    free(op);
}

static void free_ops(struct ldap_link *link)
{
    while (link->ops != NULL) {
        struct ldap_link_op *op = link->ops;
        link->ops = op->next;
        free_op(op);
    }
}

static void unlink_op(struct ldap_link *link, const struct ldap_link_op *op)
{
    struct ldap_link_op **at = &link->ops;
    while (*at != op) {
        at = &(*at)->next;
    }
    *at = op->next;
}

/* The stream ends when the most urgent request has got no answer in time. */
static void set_deadline(struct ldap_link *link)
{
    uint64_t earliest = link->ready ? 0 : link->options.deadline_ms;
    for (const struct ldap_link_op *op = link->ops; op != NULL; op = op->next) {
        if (earliest == 0 || op->deadline_ms < earliest) {
            earliest = op->deadline_ms;
        }
    }
    stream_set_deadline(link->stream, earliest);
}

void ldap_link_forget(struct ldap_link_op *op)
{
    if (op != NULL) {
        op->callback = NULL;
    }
}

size_t ldap_link_pending(const struct ldap_link *link)
{
    size_t count = 0;
    for (const struct ldap_link_op *op = link->ops; op != NULL; op = op->next) {
        count++;
    }
    return count;
}

/* Move what libldap has written to the stream. */
static void send_requests(struct ldap_link *link)
{
    char bytes[4096];
    ssize_t len;
    while ((len = recv(link->ours, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        if (stream_write(link->stream, (struct mirai_str){bytes, (size_t)len}) == MIRAI_E_OVERLOADED) {
            stream_set_deadline(link->stream, 1); /* a server that does not read does not answer either */
        }
        sodium_memzero(bytes, (size_t)len);
    }
}

static struct ldap_link_op *add_op(struct ldap_link *link, enum op_kind kind, int msgid, uint64_t deadline_ms,
                                   ldap_link_cb callback, void *data)
{
    struct ldap_link_op *op = mirai_alloc(sizeof(*op));
    op->kind = kind;
    op->msgid = msgid;
    op->deadline_ms = deadline_ms;
    op->callback = callback;
    op->data = data;
    op->last = &op->answer.entries;
    op->next = link->ops;
    link->ops = op;
    set_deadline(link);
    send_requests(link);
    return op;
}

struct ldap_link_op *ldap_link_bind(struct ldap_link *link, const char *dn, struct mirai_str password,
                                    bool policy, uint64_t deadline_ms, ldap_link_cb callback, void *data)
{
    struct berval credentials = {.bv_len = password.len, .bv_val = (char *)password.data};
    LDAPControl *controls[2] = {NULL, NULL};
    int msgid;
    if (!link->ready || link->ended || password.len == 0 || dn[0] == '\0') {
        return NULL;
    }
    if (policy && ldap_create_passwordpolicy_control(link->ld, &controls[0]) != LDAP_SUCCESS) {
        controls[0] = NULL;
    }
    int err = ldap_sasl_bind(link->ld, dn, LDAP_SASL_SIMPLE, &credentials, controls, NULL, &msgid);
    ldap_control_free(controls[0]);
    return err == LDAP_SUCCESS ? add_op(link, OP_BIND, msgid, deadline_ms, callback, data) : NULL;
}

struct ldap_link_op *ldap_link_search(struct ldap_link *link, const struct ldap_link_search *search,
                                      uint64_t deadline_ms, ldap_link_cb callback, void *data)
{
    int msgid;
    if (!link->ready || link->ended ||
        ldap_search_ext(link->ld, search->base, search->subtree ? LDAP_SCOPE_SUBTREE : LDAP_SCOPE_BASE,
                        search->filter, (char **)search->attributes, 0, NULL, NULL, NULL,
                        (int)search->entries_max, &msgid) != LDAP_SUCCESS) {
        return NULL;
    }
    struct ldap_link_op *op = add_op(link, OP_SEARCH, msgid, deadline_ms, callback, data);
    op->entries_max = search->entries_max;
    return op;
}

/* ------------------------------------------------------------------ answers */

static void on_ended(void *data, int err, const char *reason)
{
    struct ldap_link *link = data;
    if (!link->ended && !link->closed) {
        link->ended = true;
        free_ops(link);
        stream_close(link->stream);
        link->stream = NULL;
        link->options.ended(link->options.data, err, reason);
    }
}

/* Keep one value. False when the answer grows too large. */
static bool keep(struct ldap_link_op *op, const struct berval *from, struct mirai_str *to)
{
    op->bytes += from->bv_len + sizeof(*to);
    op->values++;
    if (op->bytes > LDAP_LINK_ANSWER_MAX || op->values > LDAP_LINK_VALUES_MAX) {
        return false;
    }
    *to = mirai_arena_copy(&op->arena, (struct mirai_str){from->bv_val, from->bv_len});
    return true;
}

static bool keep_attribute(struct ldap_link_op *op, struct ldap_link_entry *entry, const struct berval *name,
                           const struct berval *values)
{
    struct ldap_link_attribute *attribute = mirai_arena_alloc(&op->arena, sizeof(*attribute));
    size_t count = 0;
    while (values != NULL && values[count].bv_val != NULL) {
        count++;
    }
    if (count > LDAP_LINK_VALUES_MAX || !keep(op, name, &attribute->name)) {
        return false;
    }
    struct mirai_str *kept = mirai_arena_alloc(&op->arena, (count + 1) * sizeof(*kept));
    for (size_t i = 0; i < count; i++) {
        if (!keep(op, &values[i], &kept[i])) {
            return false;
        }
    }
    attribute->values = kept;
    attribute->count = count;
    attribute->next = entry->attributes;
    entry->attributes = attribute;
    return true;
}

/* The attributes that `ber` goes on with. False: too large, or *err says why they cannot be read. */
static bool keep_attributes(struct ldap_link *link, struct ldap_link_op *op, LDAPMessage *message,
                            BerElement *ber, struct ldap_link_entry *entry, int *err)
{
    struct berval name, *values = NULL;
    bool kept = true;
    while (kept) {
        *err = ldap_get_attribute_ber(link->ld, message, ber, &name, &values);
        if (*err != LDAP_SUCCESS || name.bv_val == NULL) {
            return *err == LDAP_SUCCESS;
        }
        kept = keep_attribute(op, entry, &name, values);
        ldap_memfree(values);
        values = NULL;
    }
    return false;
}

/* False: more than was asked for, or not to be read. */
static bool add_entry(struct ldap_link *link, struct ldap_link_op *op, LDAPMessage *message)
{
    BerElement *ber = NULL;
    struct berval dn;
    struct ldap_link_entry *entry = mirai_arena_alloc(&op->arena, sizeof(*entry));
    int err = ldap_get_dn_ber(link->ld, message, &ber, &dn);
    if (err != LDAP_SUCCESS || op->answer.count + op->dropped >= op->entries_max) {
        ber_free(ber, 0);
        return false;
    }
    if (keep(op, &dn, &entry->dn) && keep_attributes(link, op, message, ber, entry, &err)) {
        *op->last = entry;
        op->last = &entry->next;
        op->answer.count++;
    } else {
        op->dropped++;
    }
    ber_free(ber, 0);
    return err == LDAP_SUCCESS;
}

static enum ldap_link_policy policy_of(struct ldap_link *link, LDAPControl **controls)
{
    LDAPControl *control = ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, controls, NULL);
    LDAPPasswordPolicyError error = PP_noError;
    ber_int_t expire, grace;
    if (control == NULL || control->ldctl_value.bv_val == NULL ||
        ldap_parse_passwordpolicy_control(link->ld, control, &expire, &grace, &error) != LDAP_SUCCESS) {
        return LDAP_LINK_POLICY_NONE;
    }
    return error == PP_passwordExpired    ? LDAP_LINK_POLICY_EXPIRED
           : error == PP_accountLocked    ? LDAP_LINK_POLICY_LOCKED
           : error == PP_changeAfterReset ? LDAP_LINK_POLICY_MUST_CHANGE
                                          : LDAP_LINK_POLICY_NONE;
}

static void become_ready(struct ldap_link *link)
{
    link->ready = true;
    set_deadline(link);
    link->options.ready(link->options.data);
}

/* Nothing may have been said before TLS but the consent: what else came could be anyone's. */
static void begin_tls(struct ldap_link *link, int code)
{
    if (code != LDAP_SUCCESS) {
        on_ended(link, MIRAI_E_INVALID, "the server refuses StartTLS");
    } else if (link->follows) {
        on_ended(link, MIRAI_E_INVALID, "the server talks between StartTLS and TLS");
    } else {
        stream_start_tls(link->stream);
    }
}

/* The last message of an answer. False: not to be read. */
static bool finish(struct ldap_link *link, struct ldap_link_op *op, LDAPMessage *message)
{
    char *diagnostic = NULL;
    LDAPControl **controls = NULL;
    if (ldap_parse_result(link->ld, message, &op->answer.code, NULL, &diagnostic, NULL, &controls, 0) !=
        LDAP_SUCCESS) {
        return false;
    }
    if (op->answer.code == LDAP_SUCCESS && op->dropped > 0) {
        op->answer.code = LDAP_RESULTS_TOO_LARGE;
    }
    op->answer.diagnostic = diagnostic != NULL ? diagnostic : "";
    op->answer.policy =
        op->kind == OP_BIND && controls != NULL ? policy_of(link, controls) : LDAP_LINK_POLICY_NONE;
    unlink_op(link, op);
    set_deadline(link);
    if (op->kind == OP_START_TLS) {
        begin_tls(link, op->answer.code);
    } else if (op->callback != NULL) {
        op->callback(op->data, &op->answer);
    }
    ldap_controls_free(controls);
    ldap_memfree(diagnostic);
    free_op(op);
    return true;
}

static bool read_message(struct ldap_link *link, LDAPMessage *message)
{
    struct ldap_link_op *op = link->ops;
    while (op != NULL && op->msgid != ldap_msgid(message)) {
        op = op->next;
    }
    if (op == NULL) {
        return true;
    }
    switch (ldap_msgtype(message)) {
    case LDAP_RES_SEARCH_ENTRY:
        return op->kind == OP_SEARCH && add_entry(link, op, message);
    case LDAP_RES_SEARCH_REFERENCE: /* other servers' parts of the tree are not ours */
    case LDAP_RES_INTERMEDIATE:
        return true;
    case LDAP_RES_SEARCH_RESULT:
        return op->kind == OP_SEARCH && finish(link, op, message);
    case LDAP_RES_BIND:
        return op->kind == OP_BIND && finish(link, op, message);
    case LDAP_RES_EXTENDED:
        return op->kind == OP_START_TLS && finish(link, op, message);
    default:
        return false;
    }
}

/* Have libldap read all that is in the pair. False: the link is over. */
static bool read_messages(struct ldap_link *link)
{
    struct timeval now = {0, 0};
    int before = -1, left = 0;
    /* One call may pass over a message that nobody waits for and come back with nothing: ask until it reads no more. */
    while (ioctl(link->theirs, FIONREAD, &left) == 0 && left != before) {
        LDAPMessage *message = NULL;
        int type = ldap_result(link->ld, LDAP_RES_ANY, LDAP_MSG_ONE, &now, &message);
        before = left;
        if (type < 0 || (type > 0 && !read_message(link, message))) {
            on_ended(link, MIRAI_E_INVALID, "the server speaks no proper LDAP");
        }
        ldap_msgfree(message);
        if (link->ended || link->closed) {
            return false;
        }
        before = type > 0 ? -1 : before;
    }
    return true;
}

/* ------------------------------------------------------------------ the stream */

static void free_link(struct ldap_link *link)
{
    free_ops(link);
    free(link);
}

enum head_state {
    HEAD_SHORT, /* more bytes are needed */
    HEAD_GOOD,
    HEAD_NOTICE, /* message 0: the server says that it closes (RFC 4511 §4.4.1) */
    HEAD_BAD,
};

/* A length at *at, which moves past it. */
static enum head_state read_length(const struct frame *frame, size_t *at, size_t *len)
{
    if (*at >= frame->head_len) {
        return HEAD_SHORT;
    }
    size_t more = frame->head[(*at)++];
    if (more < 0x80) {
        *len = more;
        return HEAD_GOOD;
    }
    if (more == 0x80 || more > 0x84) {
        return HEAD_BAD;
    }
    for (*len = 0; more > 0x80 && *at < frame->head_len; more--) {
        *len = *len << 8 | frame->head[(*at)++];
    }
    return more > 0x80 ? HEAD_SHORT : *len <= LDAP_LINK_SKIP_MAX ? HEAD_GOOD : HEAD_BAD;
}

/* The message's number at *at. GOOD, or NOTICE when it is 0. */
static enum head_state read_number(const struct frame *frame, size_t *at, unsigned *out)
{
    size_t len;
    unsigned number = 0;
    if (*at >= frame->head_len) {
        return HEAD_SHORT;
    }
    if (frame->head[(*at)++] != 0x02) {
        return HEAD_BAD;
    }
    enum head_state state = read_length(frame, at, &len);
    if (state != HEAD_GOOD || len == 0 || len > 4) {
        return state != HEAD_GOOD ? state : HEAD_BAD;
    }
    if (frame->head_len - *at < len) {
        return HEAD_SHORT;
    }
    while (len-- > 0) {
        number = number << 8 | frame->head[(*at)++];
    }
    *out = number;
    return number != 0 ? HEAD_GOOD : HEAD_NOTICE;
}

/* Read as much of the head as there is: length, number, and the operation's tag and length. GOOD: then the frame knows what
 * is left of the message after it, and whether it is an entry that is too large. All else that is outside of these bounds
 * libldap would refuse as well, but it leaks memory then. */
static enum head_state read_head(struct frame *frame)
{
    size_t at = 1, len = 0, operation_len = 0;
    if (frame->head[0] != 0x30) {
        return HEAD_BAD;
    }
    enum head_state state = read_length(frame, &at, &len);
    size_t end = at + len;
    if (state == HEAD_GOOD) {
        state = read_number(frame, &at, &frame->number);
    }
    if (state != HEAD_GOOD) {
        return state;
    }
    if (at >= frame->head_len) {
        return at < end ? HEAD_SHORT : HEAD_BAD;
    }
    unsigned char tag = frame->head[at++];
    if ((tag & 0xe0) != 0x60 || (tag & 0x1f) == 0x1f) { /* of LDAP, constructed */
        return HEAD_BAD;
    }
    state = read_length(frame, &at, &operation_len);
    if (state != HEAD_GOOD) {
        return state;
    }
    if (at > end || operation_len > end - at) {
        return HEAD_BAD;
    }
    frame->left = end - at;
    frame->dropped = end > LDAP_LINK_PDU_MAX;
    return !frame->dropped || tag == LDAP_RES_SEARCH_ENTRY ? HEAD_GOOD : HEAD_BAD;
}

/* Let libldap have bytes of a message. False: the link is over. */
static bool give(struct ldap_link *link, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t sent = send(link->ours, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent <= 0) { /* it reads all each time, so there is room unless it is broken */
            on_ended(link, MIRAI_E_INVALID, "the server speaks no proper LDAP");
            return false;
        }
        at += sent;
        len -= (size_t)sent;
        if (!read_messages(link)) {
            return false;
        }
    }
    return true;
}

/* An entry that is too large: whoever asked for it hears so with the rest of the answer. */
static void drop_entry(struct ldap_link *link)
{
    link->frame.head_len = 0;
    for (struct ldap_link_op *op = link->ops; op != NULL; op = op->next) {
        if (op->msgid == (int)link->frame.number) {
            op->dropped++;
        }
    }
}

/* The next byte of a head. False: the link is over. */
static bool take_head(struct ldap_link *link, unsigned char byte)
{
    struct frame *frame = &link->frame;
    frame->head[frame->head_len++] = byte;
    switch (read_head(frame)) {
    case HEAD_SHORT:
        return true;
    case HEAD_GOOD: {
        if (frame->dropped) {
            drop_entry(link);
            return true;
        }
        size_t len = frame->head_len;
        frame->head_len = 0;
        return give(link, frame->head, len);
    }
    case HEAD_NOTICE:
        on_ended(link, MIRAI_E_UNAVAILABLE, "the server says that it closes the connection");
        return false;
    default:
        on_ended(link, MIRAI_E_INVALID, "the server speaks no proper LDAP");
        return false;
    }
}

/* Message by message; what answers no request of ours, and what is too large, does not reach libldap. */
static void on_received(void *data, struct mirai_str bytes)
{
    struct ldap_link *link = data;
    bool goes_on = true;
    link->reading = true;
    while (goes_on && bytes.len > 0) {
        size_t len = link->frame.left < bytes.len ? link->frame.left : bytes.len;
        if (len == 0) {
            goes_on = take_head(link, (unsigned char)bytes.data[0]);
            len = 1;
        } else {
            link->frame.left -= len;
            link->follows = bytes.len > len;
            goes_on = link->frame.dropped || give(link, bytes.data, len);
        }
        bytes = (struct mirai_str){bytes.data + len, bytes.len - len};
    }
    link->reading = false;
    if (link->closed) {
        free_link(link);
    }
}

static void on_ready(void *data)
{
    struct ldap_link *link = data;
    int msgid;
    bool first = link->ld == NULL;
    link->reading = true;
    if (first && !open_library(link)) {
        on_ended(link, MIRAI_E_UNAVAILABLE, "no more memory or descriptors");
    } else if (!first || link->options.security != LDAP_LINK_START_TLS) {
        become_ready(link);
    } else if (ldap_extended_operation(link->ld, LDAP_EXOP_START_TLS, NULL, NULL, NULL, &msgid) ==
               LDAP_SUCCESS) {
        add_op(link, OP_START_TLS, msgid, link->options.deadline_ms, NULL, NULL);
    } else {
        on_ended(link, MIRAI_E_UNAVAILABLE, "StartTLS cannot be asked for");
    }
    link->reading = false;
    if (link->closed) {
        free_link(link);
    }
}

struct ldap_link *ldap_link_open(const struct ldap_link_options *options)
{
    struct ldap_link *link = mirai_alloc(sizeof(*link));
    bool plain = options->security == LDAP_LINK_PLAIN;
    link->options = *options;
    link->ours = -1;
    link->stream = stream_open(&(struct stream_options){
        .loop = options->loop,
        .host = options->host,
        .port = options->port,
        .tls = plain ? NULL : options->tls,
        .tls_later = options->security == LDAP_LINK_START_TLS,
        .deadline_ms = options->deadline_ms,
        .ready = on_ready,
        .received = on_received,
        .ended = on_ended,
        .data = link,
    });
    return link;
}

void ldap_link_close(struct ldap_link *link)
{
    if (link == NULL || link->closed) {
        return;
    }
    link->closed = true;
    if (link->ld != NULL) {
        ldap_unbind_ext(link->ld, NULL, NULL); /* closes its end of the pair */
        link->ld = NULL;
        if (link->stream != NULL) {
            send_requests(link);
        }
    }
    if (link->ours >= 0) {
        close(link->ours);
    }
    stream_close(link->stream);
    link->stream = NULL;
    if (!link->reading) {
        free_link(link);
    }
}

/* ------------------------------------------------------------------ entries */

const struct ldap_link_attribute *ldap_entry_attribute(const struct ldap_link_entry *entry, const char *name)
{
    size_t len = strlen(name);
    for (const struct ldap_link_attribute *at = entry->attributes; at != NULL; at = at->next) {
        if (at->name.len == len && strncasecmp(at->name.data, name, len) == 0) {
            return at;
        }
    }
    return NULL;
}

struct mirai_str ldap_entry_text(const struct ldap_link_entry *entry, const char *name)
{
    const struct ldap_link_attribute *attribute = ldap_entry_attribute(entry, name);
    if (attribute == NULL || attribute->count == 0 || !mirai_utf8_valid(attribute->values[0]) ||
        memchr(attribute->values[0].data, '\0', attribute->values[0].len) != NULL) {
        return (struct mirai_str){0};
    }
    return attribute->values[0];
}

void ldap_escape_value(struct mirai_buf *filter, struct mirai_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                     c == '-' || c == '_' || c == '@' || c == ',' || c == '=';
        if (plain) {
            mirai_buf_append_char(filter, (char)c);
        } else {
            mirai_buf_printf(filter, "\\%02x", c);
        }
    }
}

bool ldap_filter_valid(const char *filter)
{
    struct ldap_link link = {.ours = -1};
    int msgid;
    bool valid = open_library(&link) && ldap_search_ext(link.ld, "", LDAP_SCOPE_BASE, filter, NULL, 0, NULL,
                                                        NULL, NULL, 1, &msgid) == LDAP_SUCCESS;
    if (link.ld != NULL) {
        ldap_unbind_ext(link.ld, NULL, NULL);
    }
    if (link.ours >= 0) {
        close(link.ours);
    }
    return valid;
}

static LDAPDN parse_dn(struct mirai_str dn)
{
    LDAPDN parsed = NULL;
    struct berval value = {.bv_len = dn.len, .bv_val = (char *)dn.data};
    if (dn.len == 0 || memchr(dn.data, '\0', dn.len) != NULL ||
        ldap_bv2dn(&value, &parsed, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS) {
        return NULL;
    }
    return parsed;
}

struct mirai_str ldap_dn_key(struct mirai_arena *arena, struct mirai_str dn)
{
    LDAPDN parsed = parse_dn(dn);
    char *text = NULL;
    struct mirai_str key = {0};
    if (parsed != NULL && ldap_dn2str(parsed, &text, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS) {
        for (char *at = text; *at != '\0'; at++) {
            *at = *at >= 'A' && *at <= 'Z' ? (char)(*at + 'a' - 'A') : *at;
        }
        key = mirai_arena_copy(arena, mirai_str(text));
    }
    ldap_memfree(text);
    ldap_dnfree(parsed);
    return key;
}

struct mirai_str ldap_dn_name(struct mirai_arena *arena, struct mirai_str dn)
{
    LDAPDN parsed = parse_dn(dn);
    struct mirai_str name = {0};
    if (parsed != NULL && parsed[0] != NULL && parsed[0][0] != NULL) {
        const struct berval *value = &parsed[0][0]->la_value;
        name = mirai_arena_copy(arena, (struct mirai_str){value->bv_val, value->bv_len});
    }
    ldap_dnfree(parsed);
    return mirai_utf8_valid(name) && (name.len == 0 || memchr(name.data, '\0', name.len) == NULL)
               ? name
               : (struct mirai_str){0};
}
