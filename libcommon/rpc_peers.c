#include "libcommon/rpc_peers.h"

#include "libcommon/error.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OVERFLOW_UID 65534 /* how the kernel shows users that have no number here */
#define TRUSTED_BIT  (UINT32_C(1) << MIRAI_PEERS_MAX)
#define GROUPS_MAX   256

struct mirai_peers {
    const struct mirai_peer *table;
    size_t count;
    int64_t users[MIRAI_PEERS_MAX]; /* -1: this host has no such user */
    int64_t operators;              /* gid; -1: this host has no such group */
};

/* ------------------------------------------------------------------ from names to numbers */

static int64_t user_id(const char *name)
{
    struct passwd *entry = name != NULL ? getpwnam(name) : NULL;
    return entry != NULL ? (int64_t)entry->pw_uid : -1;
}

static int64_t group_id(const char *name)
{
    struct group *entry = getgrnam(name);
    return entry != NULL ? (int64_t)entry->gr_gid : -1;
}

static size_t row_of(const struct mirai_peers *peers, struct mirai_str name)
{
    size_t row = 0;
    while (row < peers->count && !mirai_str_eq(mirai_str(peers->table[row].name), name)) {
        row++;
    }
    return row;
}

static bool set_user(struct mirai_peers *peers, struct mirai_str pair, FILE *errors)
{
    const char *equals = memchr(pair.data, '=', pair.len);
    struct mirai_str name = {pair.data, equals != NULL ? (size_t)(equals - pair.data) : 0};
    size_t row = row_of(peers, name);
    if (equals == NULL || row == peers->count) {
        fprintf(errors, "MIRAI_RPC_PEERS: \"%.*s\" is not allowed; allowed: NAME=USER with one of",
                MIRAI_STR_ARG(pair));
        for (size_t i = 0; i < peers->count; i++) {
            fprintf(errors, " %s", peers->table[i].name);
        }
        fputc('\n', errors);
        return false;
    }
    char *user = mirai_str_dup((struct mirai_str){equals + 1, (size_t)(pair.data + pair.len - equals - 1)});
    peers->users[row] = user_id(user);
    if (peers->users[row] < 0) {
        fprintf(errors, "MIRAI_RPC_PEERS: there is no user \"%s\"\n", user);
    }
    free(user);
    return peers->users[row] >= 0;
}

static bool set_users(struct mirai_peers *peers, const char *configured, FILE *errors)
{
    while (*configured != '\0') {
        size_t len = strcspn(configured, ",");
        if (!set_user(peers, (struct mirai_str){configured, len}, errors)) {
            return false;
        }
        configured += len + (configured[len] == ',');
    }
    return true;
}

struct mirai_peers *mirai_peers_new(const struct mirai_peer *table, const char *configured, FILE *errors)
{
    struct mirai_peers *peers = mirai_alloc(sizeof(*peers));
    peers->table = table;
    while (table[peers->count].name != NULL && peers->count < MIRAI_PEERS_MAX) {
        peers->users[peers->count] = user_id(table[peers->count].user);
        peers->count++;
    }
    peers->operators = group_id(MIRAI_OPERATOR_GROUP);
    if (!set_users(peers, configured, errors)) {
        mirai_peers_free(peers);
        return NULL;
    }
    return peers;
}

void mirai_peers_free(struct mirai_peers *peers)
{
    free(peers);
}

/* ------------------------------------------------------------------ who is it */

uint32_t mirai_peers_of_uid(const struct mirai_peers *peers, uid_t uid)
{
    uint32_t set = MIRAI_PEERS_NONE;
    if (uid == OVERFLOW_UID) {
        return MIRAI_PEERS_NONE;
    }
    if (uid == 0 || uid == geteuid()) {
        return MIRAI_PEERS_TRUSTED;
    }
    for (size_t i = 0; i < peers->count; i++) {
        if (peers->users[i] == (int64_t)uid) {
            set |= UINT32_C(1) << i;
        }
    }
    return set;
}

/* SO_PEERGROUPS: the groups that it had when it connected, not those that the user database gives it now. */
static bool is_operator(const struct mirai_peers *peers, int fd, gid_t own)
{
    gid_t groups[GROUPS_MAX];
    socklen_t size = sizeof(groups);
    if (peers->operators < 0) {
        return false;
    }
    if ((int64_t)own == peers->operators) {
        return true;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) != 0) {
        return false;
    }
    for (size_t i = 0; i < size / sizeof(groups[0]); i++) {
        if ((int64_t)groups[i] == peers->operators) {
            return true;
        }
    }
    return false;
}

uint32_t mirai_peers_of_socket(const struct mirai_peers *peers, int fd, int64_t *uid)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    *uid = -1;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return MIRAI_PEERS_NONE;
    }
    *uid = peer.uid;
    if (peer.uid != OVERFLOW_UID && is_operator(peers, fd, peer.gid)) {
        return MIRAI_PEERS_TRUSTED;
    }
    return mirai_peers_of_uid(peers, peer.uid);
}

uint32_t mirai_peers_of_name(const struct mirai_peers *peers, struct mirai_str name)
{
    size_t row = row_of(peers, name);
    return row < peers->count ? UINT32_C(1) << row : MIRAI_PEERS_NONE;
}

bool mirai_peers_is(const struct mirai_peers *peers, struct mirai_str service, uid_t uid)
{
    uint32_t set = mirai_peers_of_uid(peers, uid);
    return set == MIRAI_PEERS_TRUSTED || (set & mirai_peers_of_name(peers, service)) != 0;
}

bool mirai_peers_expects(const struct mirai_peers *peers, const char *service, int fd, int64_t *uid)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    *uid = -1;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return false;
    }
    *uid = peer.uid;
    return mirai_peers_is(peers, mirai_str(service), peer.uid);
}

/* ------------------------------------------------------------------ what may it do */

/* "article.get" matches "article.get", "article.*" and "*". */
static bool matches(struct mirai_str pattern, const char *method)
{
    if (pattern.len > 0 && pattern.data[pattern.len - 1] == '*') {
        return strncmp(method, pattern.data, pattern.len - 1) == 0;
    }
    return mirai_str_eq(pattern, mirai_str(method));
}

static bool listed(const char *list, const char *method)
{
    while (list != NULL && *list != '\0') {
        size_t len = strcspn(list, " ");
        if (len > 0 && matches((struct mirai_str){list, len}, method)) {
            return true;
        }
        list += len + (list[len] == ' ');
    }
    return false;
}

uint32_t mirai_peers_allowed(const struct mirai_peers *peers, const char *method, bool as_system)
{
    uint32_t set = TRUSTED_BIT;
    for (size_t i = 0; i < peers->count; i++) {
        const struct mirai_peer *peer = &peers->table[i];
        if (listed(as_system ? peer->as_system : peer->as_user, method)) {
            set |= UINT32_C(1) << i;
        }
    }
    return set;
}
