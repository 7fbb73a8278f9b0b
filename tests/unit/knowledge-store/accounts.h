/* What tests of accounts share: making users, logging in, asking whose a secret is. */
#ifndef STORE_ACCOUNTS_H
#define STORE_ACCOUNTS_H

#include "libcommon/stamps.h"
#include "tests/unit/knowledge-store/fixture.h"

#include <sodium.h>

static const struct mirai_principal nobody = {0};

#define PASSWORD "correct horse battery"

static inline struct mirai_user make_user(struct fixture *f, const char *name, int role)
{
    struct mirai_user_create params = {0};
    struct mirai_user user;
    mirai_set(user_create, &params, name, mirai_str(name));
    mirai_set(user_create, &params, password, MIRAI_STR(PASSWORD));
    mirai_set(user_create, &params, role, role);
    assert_int_equal(CALL(f, &admin, user_create, &params, &user), 0);
    return user;
}

static inline struct mirai_login credentials(const char *name, const char *password)
{
    struct mirai_login params = {0};
    mirai_set(login, &params, name, mirai_str(name));
    mirai_set(login, &params, password, mirai_str(password));
    return params;
}

static inline struct mirai_login_result log_in(struct fixture *f, const char *name)
{
    struct mirai_login params = credentials(name, PASSWORD);
    struct mirai_login_result result;
    assert_int_equal(CALL(f, &nobody, auth_login, &params, &result), 0);
    return result;
}

static inline struct mirai_str sha256_of(struct fixture *f, struct mirai_str token)
{
    unsigned char *sha256 = mirai_arena_alloc(&f->arena, 32);
    crypto_hash_sha256(sha256, (const unsigned char *)token.data, token.len);
    return (struct mirai_str){(const char *)sha256, 32};
}

static inline int whose(struct fixture *f, struct mirai_str token, struct mirai_identity *identity)
{
    struct mirai_token_check params = {0};
    mirai_set(token_check, &params, sha256, sha256_of(f, token));
    int status = CALL(f, &daemon_, auth_token, &params, identity);
    settle(f); /* its last use is noted */
    return status;
}

/* The user as the gateway would present it, by this session. */
static inline struct mirai_principal principal_of(struct fixture *f, struct mirai_str token)
{
    struct mirai_identity identity;
    assert_int_equal(whose(f, token, &identity), 0);
    return (struct mirai_principal){
        .user_id = identity.user_id, .role = (enum mirai_role)identity.role, .token_id = identity.token_id};
}

static inline struct mirai_user get_user(struct fixture *f, int64_t id)
{
    struct mirai_by_id params = {0};
    struct mirai_user user;
    mirai_set(by_id, &params, id, id);
    assert_int_equal(CALL(f, &admin, user_get, &params, &user), 0);
    return user;
}

/* Statements that a client cannot make; the writer is idle while the loop is in the test. */
static inline void change_database(struct fixture *f, const char *sql)
{
    struct db *db;
    assert_int_equal(db_open(f->store.db_path, DB_WRITE, &db), 0);
    assert_int_equal(db_run_script(db, sql), 0);
    db_close(db);
}

static inline int64_t find_int(struct fixture *f, const char *sql)
{
    struct db *db;
    int64_t found = 0;
    assert_int_equal(db_open(f->store.db_path, DB_READ, &db), 0);
    assert_int_equal(db_find_int(db, &found, sql), 0);
    db_close(db);
    return found;
}

/* What gateways look at before they use what they know of a secret. */
static inline uint64_t access_stamp(const struct fixture *f)
{
    return mirai_stamps_read(f->store.stamps, MIRAI_STAMPS_ACCESS);
}

/* Whether a login was refused because it lacks this. */
static inline bool needs(const struct answer *answer, const char *what)
{
    struct mirai_str value, text;
    if (mirai_mp_find(answer->error, "need", &value) != 0) {
        return false;
    }
    struct mirai_mp mp = mirai_mp(value);
    return mirai_mp_read_str(&mp, &text) == 0 && mirai_str_eq(text, mirai_str(what));
}

#endif
