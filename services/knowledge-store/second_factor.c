#include "services/knowledge-store/second_factor.h"

#include "libcommon/log.h"
#include "services/knowledge-store/auth.h"
#include "services/knowledge-store/seal.h"
#include "services/knowledge-store/sessions.h"
#include "services/knowledge-store/store.h"
#include "services/knowledge-store/totp.h"

#include <sodium.h>
#include <stdlib.h>

#define SEALED_SIZE    (TOTP_SECRET_SIZE + SEAL_EXTRA)
#define RECOVERY_CODES 10
#define ISSUER         "Mirai%20Knowledge"
#define LABEL_MAX      300 /* bytes of the name in the URI, whose bound is 600 */

/* ------------------------------------------------------------------ wrong codes */

/* Of three codes that are right among a million, somebody who has the password may try 30 in an hour: after a day the
 * chance is 0.2 %. Recovery codes are not limited, because nobody guesses one: so nobody can lock the owner out. */
#define BURST_MS  TOTP_STEP_MS
#define BURST_MAX 5
#define HOUR_MS   INT64_C(3600000)
#define HOUR_MAX  30

#define SLOTS     (size_t)4096 /* accounts that share one share its limits */

struct code_limits {
    struct {
        int64_t burst, hour;
        unsigned in_burst, in_hour;
    } slots[SLOTS];
};

struct code_limits *code_limits_new(void)
{
    return mirai_alloc(sizeof(struct code_limits));
}

void code_limits_free(struct code_limits *limits)
{
    free(limits);
}

static bool may_try(struct code_limits *limits, int64_t user_id, int64_t now_ms)
{
    size_t slot = (size_t)user_id % SLOTS;
    if (limits->slots[slot].burst != now_ms / BURST_MS) {
        limits->slots[slot].burst = now_ms / BURST_MS;
        limits->slots[slot].in_burst = 0;
    }
    if (limits->slots[slot].hour != now_ms / HOUR_MS) {
        limits->slots[slot].hour = now_ms / HOUR_MS;
        limits->slots[slot].in_hour = 0;
    }
    return limits->slots[slot].in_burst < BURST_MAX && limits->slots[slot].in_hour < HOUR_MAX;
}

static void note_wrong(struct code_limits *limits, int64_t user_id)
{
    limits->slots[(size_t)user_id % SLOTS].in_burst++;
    limits->slots[(size_t)user_id % SLOTS].in_hour++;
}

/* ------------------------------------------------------------------ rows */

struct factor {
    bool found, active;
    bool readable; /* sealed with the key that is here */
    unsigned char secret[TOTP_SECRET_SIZE];
    int64_t last_step;
};

static int find_factor(struct op *op, int64_t user_id, struct factor *factor)
{
    *factor = (struct factor){0};
    struct db_rows *rows = db_query(
        op->db, "SELECT secret, active, last_step FROM second_factors WHERE user_id = ?1", DB_I(user_id));
    if (db_next(rows)) {
        factor->found = true;
        factor->readable =
            unseal(op->store->seal_key, user_id, db_text(rows, 0), factor->secret, sizeof(factor->secret));
        factor->active = db_int(rows, 1) != 0;
        factor->last_step = db_int(rows, 2);
    }
    if (factor->found && !factor->readable) {
        mirai_log(ERROR, "a second factor is sealed with another key: only recovery codes work",
                  MIRAI_LOG_I("user", user_id));
    }
    return db_end(rows);
}

static void hash_code(unsigned char sha256[32], int64_t user_id, const char plain[RECOVERY_PLAIN_SIZE])
{
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const unsigned char *)&user_id, sizeof(user_id));
    crypto_hash_sha256_update(&state, (const unsigned char *)plain, RECOVERY_PLAIN_SIZE - 1);
    crypto_hash_sha256_final(&state, sha256);
}

/* ------------------------------------------------------------------ codes */

/* Use a recovery code up. 0, MIRAI_E_UNAUTHENTICATED or a database error. */
static int use_recovery_code(struct op *op, int64_t user_id, const char plain[RECOVERY_PLAIN_SIZE])
{
    unsigned char sha256[32];
    hash_code(sha256, user_id, plain);
    int err = db_exec(op->db, "DELETE FROM recovery_codes WHERE user_id = ?1 AND sha256 = ?2", DB_I(user_id),
                      DB_B(((struct mirai_str){(const char *)sha256, sizeof(sha256)})));
    return err == 0 && db_rows_changed(op->db) == 0 ? MIRAI_E_UNAUTHENTICATED : err;
}

/* Use a one-time code up. 0, MIRAI_E_UNAUTHENTICATED, MIRAI_E_THROTTLED or a database error. */
static int use_code(struct op *op, int64_t user_id, const struct factor *factor, struct mirai_str otp)
{
    unsigned code;
    int64_t step = 0;
    if (!may_try(op->store->code_limits, user_id, op->now_ms)) {
        return op_fail(op, MIRAI_E_THROTTLED, "too many wrong one-time codes; a recovery code still works");
    }
    if (totp_parse(otp, &code) && factor->readable) {
        step = totp_step(factor->secret, op->now_ms, factor->last_step, code);
    }
    if (step == 0) {
        note_wrong(op->store->code_limits, user_id);
        return MIRAI_E_UNAUTHENTICATED;
    }
    return db_exec(op->db, "UPDATE second_factors SET last_step = ?2 WHERE user_id = ?1", DB_I(user_id),
                   DB_I(step));
}

static int use_either(struct op *op, int64_t user_id, const struct factor *factor, struct mirai_str otp)
{
    char plain[RECOVERY_PLAIN_SIZE];
    int err = recovery_parse(otp, plain) ? use_recovery_code(op, user_id, plain)
                                         : use_code(op, user_id, factor, otp);
    sodium_memzero(plain, sizeof(plain));
    return err;
}

int second_factor_check(struct op *op, int64_t user_id, struct mirai_str otp)
{
    struct factor factor;
    int err = find_factor(op, user_id, &factor);
    if (err == 0 && factor.active) {
        err = otp.data == NULL ? op_fail_with(op, MIRAI_E_UNAUTHENTICATED, "a one-time code is needed",
                                              "need", MIRAI_STR("otp"))
                               : use_either(op, user_id, &factor, otp);
    }
    sodium_memzero(&factor, sizeof(factor));
    return err;
}

int second_factor_remove(struct op *op, int64_t user_id, bool *had)
{
    int64_t found;
    int err = db_find_int(op->db, &found, "SELECT 1 FROM second_factors WHERE user_id = ?1 AND active",
                          DB_I(user_id));
    *had = err == 0;
    if (err == 0 || err == MIRAI_E_NOT_FOUND) {
        err = db_exec(op->db, "DELETE FROM second_factors WHERE user_id = ?1", DB_I(user_id));
    }
    return err == 0 ? db_exec(op->db, "DELETE FROM recovery_codes WHERE user_id = ?1", DB_I(user_id)) : err;
}

/* ------------------------------------------------------------------ begin */

int second_factor_find(struct op *op)
{
    return auth_find_own(op);
}

/* Of an account of the directory the gateway says that its password was found right there. */
static int verify(struct op *op, struct mirai_str password, bool checked)
{
    const struct account *account = op->state;
    op_object(op, "user", op->principal->user_id);
    if (account->source == MIRAI_ACCOUNT_DIRECTORY) {
        return checked ? 0
                       : op_fail(op, MIRAI_E_CONFLICT, "the directory keeps the password of this account");
    }
    return auth_verify_own(op, password);
}

int second_factor_begin_verify(struct op *op)
{
    const struct mirai_second_factor_begin *params = op->params;
    return verify(op, params->password, params->checked);
}

/* otpauth://totp/ISSUER:NAME?…: the format of the Google Authenticator, which all others read. */
static struct mirai_str make_uri(struct op *op, struct mirai_str name, const char *secret)
{
    struct mirai_buf uri = {0};
    mirai_buf_printf(&uri, "otpauth://totp/%s:", ISSUER);
    struct mirai_str label = mirai_utf8_prefix(name, LABEL_MAX / 3);
    for (size_t i = 0; i < label.len; i++) {
        unsigned char c = (unsigned char)label.data[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '.' ||
                     c == '-' || c == '_' || c == '~';
        mirai_buf_printf(&uri, plain ? "%c" : "%%%02X", c);
    }
    mirai_buf_printf(&uri, "?secret=%s&issuer=%s&algorithm=SHA1&digits=%d&period=%d", secret, ISSUER,
                     TOTP_DIGITS, TOTP_STEP_MS / 1000);
    struct mirai_str copy = mirai_arena_copy(&op->arena, mirai_buf_str(&uri));
    sodium_memzero(uri.data, uri.len);
    mirai_buf_free(&uri);
    return copy;
}

static int reply_secret(struct op *op, struct mirai_str name, const unsigned char secret[TOTP_SECRET_SIZE])
{
    struct mirai_second_factor_secret result = {0};
    char text[TOTP_BASE32_SIZE];
    totp_base32(text, secret);
    mirai_set(second_factor_secret, &result, secret, mirai_str(text));
    mirai_set(second_factor_secret, &result, uri, make_uri(op, name, text));
    int err = op_result(op, &result);
    sodium_memzero(text, sizeof(text));
    return err;
}

int second_factor_begin(struct op *op)
{
    const struct account *account = op->state;
    unsigned char secret[TOTP_SECRET_SIZE], sealed[SEALED_SIZE];
    struct factor factor;
    int err = auth_check_unchanged(op, account);
    if (err == 0) {
        err = find_factor(op, account->id, &factor);
    }
    if (err != 0) {
        return err;
    }
    sodium_memzero(factor.secret, sizeof(factor.secret));
    if (factor.active) {
        return op_fail(op, MIRAI_E_CONFLICT, "there is a second factor; end it first");
    }
    randombytes_buf(secret, sizeof(secret));
    seal(op->store->seal_key, account->id, secret, sizeof(secret), sealed);
    err = db_exec(op->db,
                  "INSERT OR REPLACE INTO second_factors (user_id, secret, created_at) VALUES (?1, ?2, ?3)",
                  DB_I(account->id), DB_B(((struct mirai_str){(const char *)sealed, sizeof(sealed)})),
                  DB_I(op->now_ms));
    if (err == 0) {
        err = reply_secret(op, account->name, secret);
    }
    sodium_memzero(secret, sizeof(secret));
    return err;
}

/* ------------------------------------------------------------------ confirm */

static int make_recovery_codes(struct op *op, int64_t user_id)
{
    struct mirai_recovery_codes result = {0};
    char codes[RECOVERY_CODES][RECOVERY_SIZE], plain[RECOVERY_PLAIN_SIZE];
    struct mirai_str items[RECOVERY_CODES];
    unsigned char sha256[32];
    int err = db_exec(op->db, "DELETE FROM recovery_codes WHERE user_id = ?1", DB_I(user_id));
    for (size_t i = 0; err == 0 && i < RECOVERY_CODES; i++) {
        recovery_make(codes[i]);
        items[i] = mirai_str(codes[i]);
        recovery_parse(items[i], plain);
        hash_code(sha256, user_id, plain);
        err = db_exec(op->db, "INSERT INTO recovery_codes (user_id, sha256) VALUES (?1, ?2)", DB_I(user_id),
                      DB_B(((struct mirai_str){(const char *)sha256, sizeof(sha256)})));
    }
    if (err == 0) {
        mirai_set(recovery_codes, &result, codes, ((struct mirai_strs){items, RECOVERY_CODES}));
        err = op_result(op, &result);
    }
    sodium_memzero(codes, sizeof(codes));
    sodium_memzero(plain, sizeof(plain));
    return err;
}

/* Here who asks is known: a wrong code is forbidden, not unauthenticated, so that the session goes on. */
static int forbid(struct op *op, int err)
{
    return err == MIRAI_E_UNAUTHENTICATED ? op_fail(op, MIRAI_E_FORBIDDEN, "the code is wrong") : err;
}

int second_factor_confirm(struct op *op)
{
    const struct mirai_second_factor_confirm *params = op->params;
    int64_t user_id = op->principal->user_id;
    struct factor factor;
    op_object(op, "user", user_id);
    int err = find_factor(op, user_id, &factor);
    if (err == 0 && (!factor.found || factor.active)) {
        return op_fail(op, MIRAI_E_CONFLICT, "no second factor waits to be confirmed");
    }
    if (err == 0) {
        err = forbid(op, use_code(op, user_id, &factor, params->otp));
    }
    sodium_memzero(&factor, sizeof(factor));
    if (err == 0) {
        err = db_exec(op->db, "UPDATE second_factors SET active = 1 WHERE user_id = ?1", DB_I(user_id));
    }
    if (err == 0) {
        err = sessions_end(op, user_id, SESSIONS_OTHERS, NULL);
    }
    return err == 0 ? make_recovery_codes(op, user_id) : err;
}

/* ------------------------------------------------------------------ end */

int second_factor_end_verify(struct op *op)
{
    const struct mirai_second_factor_end *params = op->params;
    return verify(op, params->password, params->checked);
}

int second_factor_end(struct op *op)
{
    const struct mirai_second_factor_end *params = op->params;
    const struct account *account = op->state;
    struct factor factor = {0};
    bool had;
    int err = auth_check_unchanged(op, account);
    if (err == 0) {
        err = find_factor(op, account->id, &factor);
    }
    if (err == 0 && !factor.active) {
        return op_fail(op, MIRAI_E_CONFLICT, "there is no second factor");
    }
    if (err == 0) {
        err = forbid(op, use_either(op, account->id, &factor, params->otp));
    }
    sodium_memzero(&factor, sizeof(factor));
    if (err == 0) {
        err = second_factor_remove(op, account->id, &had);
    }
    return err == 0 ? sessions_end(op, account->id, SESSIONS_OTHERS, NULL) : err;
}
