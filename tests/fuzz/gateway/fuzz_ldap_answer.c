/* What a directory server sends, whole: through libldap, our reading of entries, the judgement of passwords, the search for
 * groups. The stream is this file's own, so that no socket is needed: the input is a list of chunks (2 bytes: which of the
 * open streams, how many bytes), each handed to a stream as if it had come over the network; an empty one ends it. */
#include "libcommon/log.h"
#include "services/gateway/identity/directory.h"
#include "tests/fuzz/fuzz.h"

struct stream {
    struct stream *next;
    struct stream_options options;
    bool ready;
};

static struct stream *streams; /* newest first */
static size_t streams_count;

SSL_CTX *stream_tls_new(const char *ca_file)
{
    (void)ca_file;
    return SSL_CTX_new(TLS_client_method());
}

struct stream *stream_open(const struct stream_options *options)
{
    struct stream *stream = mirai_alloc(sizeof(*stream));
    stream->options = *options;
    stream->next = streams;
    streams = stream;
    streams_count++;
    return stream;
}

int stream_write(struct stream *stream, struct mirai_str bytes)
{
    expect(bytes.len > 0);
    return stream->ready ? 0 : MIRAI_E_UNAVAILABLE;
}

void stream_start_tls(struct stream *stream)
{
    expect(stream->options.tls_later);
    stream->options.tls_later = false;
    stream->ready = false;
}

void stream_set_deadline(struct stream *stream, uint64_t deadline_ms)
{
    (void)stream, (void)deadline_ms;
}

void stream_close(struct stream *stream)
{
    struct stream **at = &streams;
    if (stream == NULL) {
        return;
    }
    while (*at != stream) {
        at = &(*at)->next;
    }
    *at = stream->next;
    streams_count--;
    free(stream);
}

/* ------------------------------------------------------------------ input */

static void hand_over(struct stream *stream, const uint8_t *data, size_t len)
{
    const struct stream_options options = stream->options;
    if (!stream->ready) {
        stream->ready = true;
        options.ready(options.data);
    } else if (len == 0) {
        options.ended(options.data, MIRAI_E_UNAVAILABLE, "closed");
    } else {
        char *copy = malloc(len);
        memcpy(copy, data, len);
        options.received(options.data, (struct mirai_str){copy, len});
        free(copy);
    }
}

static void on_done(void *data, enum directory_outcome outcome, const struct directory_person *person)
{
    ++*(int *)data;
    expect(outcome < DIRECTORY_OUTCOME_COUNT);
    if (outcome == DIRECTORY_OK) {
        expect(person->role != MIRAI_ROLE_NONE && person->name.len > 0 && person->dn.len > 0);
        expect(mirai_utf8_valid(person->name) && mirai_utf8_length(person->name) <= 100);
        expect(mirai_utf8_valid(person->display_name) && mirai_utf8_valid(person->mail));
        expect(person->groups.count <= (size_t)2 * DIRECTORY_GROUPS_MAX);
        for (size_t i = 0; i < person->groups.count; i++) {
            expect(mirai_utf8_valid(person->groups.items[i]));
        }
    }
}

static void run(struct directory *directory, uv_loop_t *loop, const uint8_t *data, size_t size)
{
    int done[3] = {0};
    directory_login(directory, MIRAI_STR("ana"), MIRAI_STR("password"), on_done, &done[0]);
    directory_login(directory, MIRAI_STR("KB\\ben"), MIRAI_STR("password"), on_done, &done[1]);
    directory_lookup(directory, MIRAI_STR("uid=ana,dc=kb"), MIRAI_STR("ana"), on_done, &done[2]);
    uv_run(loop, UV_RUN_NOWAIT);
    while (size >= 2 && streams_count > 0) {
        struct stream *stream = streams;
        for (size_t i = data[0] % streams_count; i > 0; i--) {
            stream = stream->next;
        }
        size_t len = data[1] < size - 2 ? data[1] : size - 2;
        hand_over(stream, data + 2, len);
        data += 2 + len;
        size -= 2 + len;
        uv_run(loop, UV_RUN_NOWAIT);
        uv_run(loop, UV_RUN_NOWAIT);
    }
    directory_free(directory);
    uv_run(loop, UV_RUN_DEFAULT);
    expect(done[0] == 1 && done[1] == 1 && done[2] == 1 && streams_count == 0);
}

/* The first byte: kind of directory, and whether StartTLS comes first. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool prepared;
    static struct directory_group_rule rules[] = {
        {.role = MIRAI_ROLE_ADMIN, .is_dn = true, .key = {"cn=admins,dc=kb", 15}},
        {.role = MIRAI_ROLE_EDITOR, .key = {"editors", 7}},
    };
    uv_loop_t loop;
    if (!prepared) {
        ldap_link_init();
        mirai_log_set_level(MIRAI_LOG_FATAL);
        prepared = true;
    }
    if (size < 1) {
        return 0;
    }
    bool ad = (data[0] & 1) != 0;
    struct directory_settings settings = {
        .servers = {{.url = "ldap://a", .host = MIRAI_STR("a"), .port = 389}},
        .servers_count = 1,
        .type = ad ? DIRECTORY_ACTIVE_DIRECTORY : DIRECTORY_OPENLDAP,
        .base = "dc=kb",
        .group_base = "dc=kb",
        .bind_dn = (data[0] & 4) != 0 ? "" : "cn=reader,dc=kb",
        .bind_password = MIRAI_STR("secret"),
        .user_attribute = ad ? "sAMAccountName" : "uid",
        .user_filter = "(objectClass=person)",
        .domain = MIRAI_STR("kb.test"),
        .netbios = MIRAI_STR("KB"),
        .rules = rules,
        .rules_count = 2,
        .login_ms = 60000,
        .server_ms = 60000,
        .logins_max = 2,
    };
    settings.servers[0].security = (data[0] & 2) != 0 ? LDAP_LINK_START_TLS : LDAP_LINK_PLAIN;
    expect(uv_loop_init(&loop) == 0);
    run(directory_new(&settings, &loop), &loop, data + 1, size - 1);
    expect(uv_loop_close(&loop) == 0);
    return 0;
}
