#include "services/gateway/identity/directory.h"

#include "libcommon/log.h"
#include "libcommon/metrics.h"
#include "libcommon/time.h"
#include "services/gateway/identity/directory_internal.h"

#include <ldap.h>
#include <sodium.h>
#include <stdlib.h>
#include <strings.h>

/* Searches of all jobs share one link, which the service account has bound and which is kept. Each password is tried on a
 * link of its own: a link that was bound as someone is never used for anything else. Events only note what has
 * happened; advance() alone, from a timer, begins, ends and hands over, so nothing is called from within a call. */

#define QUEUE_FACTOR    8      /* as many wait as are at work */
#define BACKOFF_MS      1000   /* after the first failure of a server; doubled with each */
#define BACKOFF_MAX     3      /* doublings; */
#define BACKOFF_REFUSED 5      /* at once this many when the service account is refused: it may get locked */
#define SERVICE_AGE_MS  300000 /* then the service link is made anew, with the first server that can be used */

struct server_state {
    uint64_t dead_until_ms;
    unsigned failures; /* in a row */
};

struct directory {
    const struct directory_settings *settings;
    uv_loop_t *loop;
    uv_timer_t timer; /* at once when something is to be done, else the next deadline */
    SSL_CTX *tls;
    struct server_state servers[DIRECTORY_SERVERS_MAX];
    struct directory_job *jobs; /* oldest first */
    size_t queued, working;
    struct ldap_link *service; /* NULL: none */
    size_t service_server;
    bool service_ready;
    uint64_t service_since_ms;
    bool closing;
};

static void advance(struct directory *directory);

static void on_timer(uv_timer_t *timer)
{
    advance(timer->data);
}

static void wake(struct directory *directory)
{
    if (!directory->closing) {
        uv_timer_start(&directory->timer, on_timer, 0, 0);
    }
}

const char *directory_outcome_slug(enum directory_outcome outcome)
{
    static const char *const slugs[] = {
#define DIRECTORY_OUTCOME_SLUG(name, slug) slug,
        DIRECTORY_OUTCOMES(DIRECTORY_OUTCOME_SLUG)
#undef DIRECTORY_OUTCOME_SLUG
    };
    return slugs[outcome];
}

static struct mirai_counter *logins[DIRECTORY_OUTCOME_COUNT];

void directory_init(void)
{
    for (enum directory_outcome outcome = DIRECTORY_OK; outcome < DIRECTORY_OUTCOME_COUNT; outcome++) {
        char labels[48];
        snprintf(labels, sizeof(labels), "outcome=\"%s\"", directory_outcome_slug(outcome));
        logins[outcome] = mirai_metric_counter("mirai_gateway_directory_logins_total",
                                               "Logins that the directory decided", labels);
    }
}

void directory_count(enum directory_outcome outcome)
{
    mirai_counter_add(logins[outcome], 1);
}

/* ------------------------------------------------------------------ jobs */

const struct directory_settings *job_settings(const struct directory_job *job)
{
    return job->directory->settings;
}

static bool is_working(const struct directory_job *job)
{
    return job->state != JOB_QUEUED && job->state != JOB_DONE;
}

static void set_state(struct directory_job *job, enum job_state state)
{
    struct directory *directory = job->directory;
    directory->working -= is_working(job) ? 1 : 0;
    directory->queued -= job->state == JOB_QUEUED ? 1 : 0;
    job->state = state;
    directory->working += is_working(job) ? 1 : 0;
    directory->queued += state == JOB_QUEUED ? 1 : 0;
}

/* Let go of what it holds of the network. */
static void release(struct directory_job *job)
{
    ldap_link_forget(job->op);
    job->op = NULL;
    ldap_link_close(job->link);
    job->link = NULL;
}

static void finish(struct directory_job *job, enum directory_outcome outcome)
{
    if (job->state != JOB_DONE) {
        release(job);
        job->outcome = outcome;
        set_state(job, JOB_DONE);
        wake(job->directory);
    }
}

/* From the start, with whatever server there is then. */
static void begin_anew(struct directory_job *job)
{
    size_t keep = offsetof(struct directory_job, arena);
    if (job->state == JOB_DONE) {
        return;
    }
    release(job);
    mirai_arena_free(&job->arena);
    memset((char *)job + keep, 0, sizeof(*job) - keep);
    if (++job->tries > 2 * job_settings(job)->servers_count + 2) {
        finish(job, DIRECTORY_UNAVAILABLE);
        return;
    }
    set_state(job, JOB_WAITING);
    wake(job->directory);
}

static void free_job(struct directory_job *job)
{
    release(job);
    mirai_arena_free(&job->arena);
    sodium_memzero(job->password, job->password_len);
    free(job->password);
    free(job->given);
    free(job->account);
    free(job);
}

/* ------------------------------------------------------------------ servers */

static void close_service(struct directory *directory)
{
    ldap_link_close(directory->service);
    directory->service = NULL;
    directory->service_ready = false;
    for (struct directory_job *job = directory->jobs; job != NULL; job = job->next) {
        if (job->state == JOB_SEARCHING || job->state == JOB_GROUPS) {
            job->op = NULL; /* it went with the link */
            begin_anew(job);
        }
    }
}

/* Not to be asked for some time. */
static void note_failure(struct directory *directory, size_t server, bool refused, const char *reason)
{
    struct server_state *state = &directory->servers[server];
    unsigned most = refused ? BACKOFF_REFUSED : BACKOFF_MAX;
    unsigned doublings = refused || state->failures > most ? most : state->failures;
    uint64_t pause_ms = (uint64_t)BACKOFF_MS << doublings;
    state->failures++;
    state->dead_until_ms = mirai_monotonic_ms() + pause_ms;
    mirai_log(WARNING, "a directory server cannot be used",
              MIRAI_LOG_Z("server", directory->settings->servers[server].url), MIRAI_LOG_Z("reason", reason),
              MIRAI_LOG_I("pause_ms", (int64_t)pause_ms));
    if (directory->service != NULL && directory->service_server == server) {
        close_service(directory);
    }
    wake(directory);
}

void job_server_failed(struct directory_job *job, const char *reason)
{
    size_t server = job->server;
    struct directory *directory = job->directory;
    release(job);
    set_state(job, JOB_WAITING); /* so that close_service() leaves it alone */
    note_failure(directory, server, false, reason);
    begin_anew(job);
}

static struct ldap_link *open_link(struct directory *directory, size_t server, void (*ready)(void *),
                                   void (*ended)(void *, int, const char *), void *data)
{
    const struct directory_server *at = &directory->settings->servers[server];
    return ldap_link_open(&(struct ldap_link_options){
        .loop = directory->loop,
        .host = at->host,
        .port = at->port,
        .security = at->security,
        .tls = directory->tls,
        .deadline_ms = mirai_monotonic_ms() + directory->settings->server_ms,
        .ready = ready,
        .ended = ended,
        .data = data,
    });
}

/* ------------------------------------------------------------------ the service link */

static void on_service_ended(void *data, int err, const char *reason)
{
    struct directory *directory = data;
    if (directory->service_ready && err == MIRAI_E_UNAVAILABLE) {
        close_service(directory); /* servers close what is idle, and when they restart: try at once */
        wake(directory);
    } else {
        note_failure(directory, directory->service_server, false, reason);
    }
}

static void service_is_ready(struct directory *directory)
{
    struct server_state *state = &directory->servers[directory->service_server];
    if (state->failures > 0) {
        mirai_log(INFO, "a directory server can be used again",
                  MIRAI_LOG_Z("server", directory->settings->servers[directory->service_server].url));
    }
    *state = (struct server_state){0};
    directory->service_ready = true;
    wake(directory);
}

static void on_service_bound(void *data, const struct ldap_link_answer *answer)
{
    struct directory *directory = data;
    if (answer->code == LDAP_SUCCESS) {
        service_is_ready(directory);
        return;
    }
    mirai_log(ERROR, "the directory refuses the service account",
              MIRAI_LOG_Z("bind_dn", directory->settings->bind_dn),
              MIRAI_LOG_Z("reason", ldap_err2string(answer->code)),
              MIRAI_LOG_Z("diagnostic", answer->diagnostic));
    note_failure(directory, directory->service_server, true, "the service account is refused");
}

static void on_service_connected(void *data)
{
    struct directory *directory = data;
    const struct directory_settings *settings = directory->settings;
    if (settings->bind_dn[0] == '\0') {
        service_is_ready(directory);
    } else if (ldap_link_bind(directory->service, settings->bind_dn, settings->bind_password, false,
                              directory->service_since_ms + settings->server_ms, on_service_bound,
                              directory) == NULL) {
        note_failure(directory, directory->service_server, false, "cannot bind");
    }
}

/* Have a service link, or at least one on its way. False: no server can be used now. */
static bool want_service(struct directory *directory)
{
    uint64_t now_ms = mirai_monotonic_ms();
    if (directory->service != NULL && directory->service_ready &&
        directory->service_since_ms + SERVICE_AGE_MS < now_ms && ldap_link_pending(directory->service) == 0) {
        close_service(directory);
    }
    for (size_t i = 0; directory->service == NULL && i < directory->settings->servers_count; i++) {
        if (directory->servers[i].dead_until_ms <= now_ms) {
            directory->service_server = i;
            directory->service_since_ms = now_ms;
            directory->service = open_link(directory, i, on_service_connected, on_service_ended, directory);
        }
    }
    return directory->service != NULL;
}

void job_search(struct directory_job *job, const struct ldap_link_search *search, ldap_link_cb callback)
{
    struct directory *directory = job->directory;
    if (directory->service_ready && directory->service_server == job->server) {
        job->op = ldap_link_search(directory->service, search,
                                   mirai_monotonic_ms() + directory->settings->server_ms, callback, job);
    }
    if (job->op == NULL) {
        begin_anew(job);
    }
}

/* ------------------------------------------------------------------ password */

/* The reason that Active Directory gives in its text: "…, data 52e, v4563" (winerror.h). */
static enum directory_outcome reason_of(const char *diagnostic)
{
    static const struct {
        unsigned long code;
        enum directory_outcome outcome;
    } reasons[] = {
        {0x525, DIRECTORY_UNKNOWN},         {0x52e, DIRECTORY_BAD_PASSWORD},     {0x530, DIRECTORY_NOT_NOW},
        {0x531, DIRECTORY_NOT_NOW},         {0x532, DIRECTORY_PASSWORD_EXPIRED}, {0x533, DIRECTORY_DISABLED},
        {0x701, DIRECTORY_ACCOUNT_EXPIRED}, {0x773, DIRECTORY_MUST_CHANGE},      {0x775, DIRECTORY_LOCKED},
    };
    const char *data = strstr(diagnostic, "data ");
    unsigned long code = data != NULL ? strtoul(data + 5, NULL, 16) : 0;
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].code == code) {
            return reasons[i].outcome;
        }
    }
    return DIRECTORY_BAD_PASSWORD;
}

/* What a bind's answer says of the password. UNAVAILABLE: nothing. */
static enum directory_outcome judge(const struct directory_job *job, const struct ldap_link_answer *answer)
{
    switch (answer->policy) {
    case LDAP_LINK_POLICY_EXPIRED:
        return DIRECTORY_PASSWORD_EXPIRED;
    case LDAP_LINK_POLICY_LOCKED:
        return DIRECTORY_LOCKED;
    case LDAP_LINK_POLICY_MUST_CHANGE:
        return DIRECTORY_MUST_CHANGE;
    default:
        break;
    }
    switch (answer->code) {
    case LDAP_SUCCESS:
        return DIRECTORY_OK;
    case LDAP_INVALID_CREDENTIALS:
        return job_settings(job)->type == DIRECTORY_ACTIVE_DIRECTORY ? reason_of(answer->diagnostic)
                                                                     : DIRECTORY_BAD_PASSWORD;
    case LDAP_NO_SUCH_OBJECT:
    case LDAP_INAPPROPRIATE_AUTH:
    case LDAP_INSUFFICIENT_ACCESS:
    case LDAP_UNWILLING_TO_PERFORM:
    case LDAP_CONSTRAINT_VIOLATION:
    case LDAP_INVALID_DN_SYNTAX:
        return DIRECTORY_BAD_PASSWORD;
    default:
        return DIRECTORY_UNAVAILABLE;
    }
}

static void on_bound(void *data, const struct ldap_link_answer *answer)
{
    struct directory_job *job = data;
    enum directory_outcome outcome = judge(job, answer);
    job->op = NULL;
    if (outcome == DIRECTORY_UNAVAILABLE) {
        job_server_failed(job, ldap_err2string(answer->code));
        return;
    }
    release(job);
    if (!job->found) {
        finish(job, DIRECTORY_UNKNOWN); /* whatever the server says of a name that is not there */
    } else if (outcome != DIRECTORY_OK) {
        finish(job, outcome);
    } else if (job->outcome != DIRECTORY_OK) {
        finish(job, job->outcome); /* what its entry says */
    } else {
        set_state(job, JOB_GROUPS);
        groups_find(job);
    }
}

static void on_link_ended(void *data, int err, const char *reason)
{
    (void)err;
    ((struct directory_job *)data)->op = NULL;
    job_server_failed(data, reason);
}

static void on_link_ready(void *data)
{
    struct directory_job *job = data;
    struct mirai_str dn = job->person.dn;
    if (!job->found) { /* a name that can be no one's: an unknown person takes as long as a wrong password */
        unsigned char random[12];
        char hex[2 * sizeof(random) + 1];
        randombytes_buf(random, sizeof(random));
        mirai_hex(hex, random, sizeof(random));
        dn = mirai_arena_printf(&job->arena, "cn=%s,%s", hex, job_settings(job)->base);
    }
    job->op = ldap_link_bind(job->link, dn.data, (struct mirai_str){job->password, job->password_len},
                             job_settings(job)->type == DIRECTORY_OPENLDAP,
                             mirai_monotonic_ms() + job_settings(job)->server_ms, on_bound, job);
    if (job->op == NULL) {
        job_server_failed(job, "cannot bind");
    }
}

static void try_password(struct directory_job *job)
{
    set_state(job, JOB_BINDING);
    job->link = open_link(job->directory, job->server, on_link_ready, on_link_ended, job);
}

/* ------------------------------------------------------------------ person */

/* Value of a whole number in decimal, 0 when it is none. */
static int64_t number_of(const struct ldap_link_entry *entry, const char *attribute)
{
    int64_t number = 0;
    return mirai_parse_int(ldap_entry_text(entry, attribute), INT64_MIN, INT64_MAX, &number) == 0 ? number
                                                                                                  : 0;
}

/* What the entry says of the account: OK, DISABLED or ACCOUNT_EXPIRED. */
static enum directory_outcome account_state(const struct directory_job *job,
                                            const struct ldap_link_entry *entry)
{
    if (job_settings(job)->type == DIRECTORY_OPENLDAP) { /* locked for good by an administrator (ppolicy) */
        return mirai_str_eq(ldap_entry_text(entry, "pwdAccountLockedTime"), MIRAI_STR("000001010000Z"))
                   ? DIRECTORY_DISABLED
                   : DIRECTORY_OK;
    }
    /* ADS_UF_ACCOUNTDISABLE; 100 ns since 1601, 0 and INT64_MAX: never (MS-ADTS §2.2.16, MS-ADA1 accountExpires). */
    int64_t expires = number_of(entry, "accountExpires");
    int64_t now = (mirai_now_ms() + INT64_C(11644473600000)) * 10000;
    if ((number_of(entry, "userAccountControl") & 2) != 0) {
        return DIRECTORY_DISABLED;
    }
    return expires > 0 && expires != INT64_MAX && expires <= now ? DIRECTORY_ACCOUNT_EXPIRED : DIRECTORY_OK;
}

/* The login name: the attribute's value that was asked for, else its first. */
static struct mirai_str login_name(const struct directory_job *job, const struct ldap_link_entry *entry)
{
    const struct ldap_link_attribute *names = ldap_entry_attribute(entry, job_settings(job)->user_attribute);
    struct directory_name asked =
        directory_name_parse(job_settings(job), job->lookup ? mirai_str(job->account)
                                                            : (struct mirai_str){job->given, job->given_len});
    for (size_t i = 0; names != NULL && i < names->count; i++) {
        struct mirai_str value = names->values[i];
        if (value.len == asked.account.len && strncasecmp(value.data, asked.account.data, value.len) == 0 &&
            mirai_utf8_valid(value)) {
            return value;
        }
    }
    return ldap_entry_text(entry, job_settings(job)->user_attribute);
}

static struct mirai_str keep_text(struct directory_job *job, struct mirai_str text, size_t max)
{
    return mirai_utf8_length(text) <= max ? mirai_arena_copy(&job->arena, text) : (struct mirai_str){0};
}

/* False: an entry without what is needed. */
static bool read_person(struct directory_job *job, const struct ldap_link_entry *entry)
{
    struct directory_person *person = &job->person;
    struct mirai_str display = ldap_entry_text(entry, "displayName");
    bool dn_valid = mirai_utf8_valid(entry->dn) && memchr(entry->dn.data, '\0', entry->dn.len) == NULL;
    person->dn = dn_valid ? keep_text(job, entry->dn, 1000) : (struct mirai_str){0};
    person->name = keep_text(job, login_name(job, entry), 100);
    person->display_name = keep_text(job, display.len > 0 ? display : ldap_entry_text(entry, "cn"), 200);
    person->mail = keep_text(job, ldap_entry_text(entry, "mail"), 254);
    job->outcome = account_state(job, entry);
    groups_of_entry(job, entry);
    return person->dn.len > 0 && person->name.len > 0;
}

static void on_person(void *data, const struct ldap_link_answer *answer)
{
    struct directory_job *job = data;
    bool gone = job->lookup && answer->code == LDAP_NO_SUCH_OBJECT;
    bool too_large = answer->code == LDAP_RESULTS_TOO_LARGE;
    job->op = NULL;
    if (too_large) {
        mirai_log(WARNING, "an entry of the directory is too large: this person cannot log in",
                  MIRAI_LOG_S("name", ((struct mirai_str){job->given, job->given_len})));
        if (job->password == NULL) {
            finish(job, DIRECTORY_UNAVAILABLE); /* it tells nothing of the account */
            return;
        }
    }
    if (answer->code != LDAP_SUCCESS && answer->code != LDAP_SIZELIMIT_EXCEEDED && !gone && !too_large) {
        job_server_failed(job, answer->code == LDAP_NO_SUCH_OBJECT ? "MIRAI_LDAP_BASE is not there"
                                                                   : ldap_err2string(answer->code));
        return;
    }
    if (answer->count > 1 || answer->code == LDAP_SIZELIMIT_EXCEEDED) {
        mirai_log(WARNING, "a login name belongs to several people of the directory: none of them can log in",
                  MIRAI_LOG_S("name", ((struct mirai_str){job->given, job->given_len})));
    } else if (answer->count == 1 && !too_large) {
        job->found = read_person(job, answer->entries);
    }
    if (job->password != NULL) {
        try_password(job);
    } else if (!job->found) {
        finish(job, DIRECTORY_UNKNOWN);
    } else if (job->outcome != DIRECTORY_OK) {
        finish(job, job->outcome);
    } else {
        set_state(job, JOB_GROUPS);
        groups_find(job);
    }
}

static void add_condition(struct mirai_buf *filter, const char *attribute, struct mirai_str value)
{
    mirai_buf_printf(filter, "(%s=", attribute);
    ldap_escape_value(filter, value);
    mirai_buf_append_char(filter, ')');
}

static void make_filter(const struct directory_job *job, struct mirai_buf *filter)
{
    struct mirai_str given = {job->given, job->given_len};
    struct directory_name name = directory_name_parse(job_settings(job), given);
    mirai_buf_printf(filter, "(&%s(|", job_settings(job)->user_filter);
    if (name.account.len > 0) {
        add_condition(filter, job_settings(job)->user_attribute, name.account);
    }
    if (name.upn.len > 0) {
        add_condition(filter, "userPrincipalName", name.upn);
    }
    mirai_buf_append(filter, "))", 3); /* and its NUL */
}

static void search_person(struct directory_job *job)
{
    const struct directory_settings *settings = job_settings(job);
    bool ad = settings->type == DIRECTORY_ACTIVE_DIRECTORY;
    const char *const of_ad[] = {
        settings->user_attribute, "cn",        "displayName",    "mail", "userAccountControl",
        "accountExpires",         "objectSid", "primaryGroupID", NULL};
    const char *const of_openldap[] = {settings->user_attribute, "cn", "displayName", "mail", "memberOf",
                                       "pwdAccountLockedTime",   NULL};
    struct mirai_buf filter = {0};
    struct ldap_link_search search = {
        .base = settings->base, .subtree = true, .attributes = ad ? of_ad : of_openldap, .entries_max = 2};
    if (job->lookup) {
        search.base = job->given;
        search.subtree = false;
        search.filter = settings->user_filter;
    } else {
        make_filter(job, &filter);
        search.filter = filter.data;
    }
    job->server = job->directory->service_server;
    set_state(job, JOB_SEARCHING);
    job_search(job, &search, on_person);
    mirai_buf_free(&filter);
}

/* ------------------------------------------------------------------ role */

static void add_name(struct mirai_strs *groups, struct mirai_str name)
{
    if (name.len > 0 && mirai_utf8_length(name) <= MIRAI_LONG_ITEM_MAX) {
        groups->items[groups->count++] = name;
    }
}

void job_groups_done(struct directory_job *job)
{
    const struct directory_settings *settings = job_settings(job);
    struct directory_person *person = &job->person;
    person->role = directory_role_of_all(settings);
    person->groups.items =
        mirai_arena_alloc(&job->arena, (2 * job->groups_count + 1) * sizeof(person->groups.items[0]));
    for (size_t i = 0; i < job->groups_count; i++) {
        const struct job_group *group = &job->groups[i];
        enum mirai_role role = directory_role_of_group(settings, group->key, group->name);
        person->role = role > person->role ? role : person->role;
        add_name(&person->groups, group->dn);
        add_name(&person->groups, group->name);
    }
    finish(job, person->role == MIRAI_ROLE_NONE ? DIRECTORY_NO_ROLE : DIRECTORY_OK);
}

/* ------------------------------------------------------------------ the one place where things begin and end */

/* Take the first job out that is done or cancelled. */
static struct directory_job *take_done(struct directory *directory)
{
    struct directory_job **at = &directory->jobs;
    while (*at != NULL && (*at)->state != JOB_DONE) {
        at = &(*at)->next;
    }
    struct directory_job *job = *at;
    if (job != NULL) {
        *at = job->next;
    }
    return job;
}

static void hand_over(struct directory *directory)
{
    struct directory_job *job;
    while ((job = take_done(directory)) != NULL) {
        bool known = job->outcome == DIRECTORY_OK || job->outcome == DIRECTORY_NO_ROLE;
        if (!job->cancelled) {
            job->callback(job->data, job->outcome, known ? &job->person : NULL);
        }
        free_job(job);
    }
}

static void begin_jobs(struct directory *directory)
{
    uint64_t now_ms = mirai_monotonic_ms();
    for (struct directory_job *job = directory->jobs; job != NULL; job = job->next) {
        if (job->state != JOB_DONE && job->deadline_ms <= now_ms) {
            finish(job, DIRECTORY_UNAVAILABLE);
        }
        if (job->state == JOB_QUEUED && directory->working < directory->settings->logins_max) {
            set_state(job, JOB_WAITING);
        }
        if (job->state == JOB_WAITING && !want_service(directory)) {
            finish(job, DIRECTORY_UNAVAILABLE);
        }
        if (job->state == JOB_WAITING && directory->service_ready) {
            search_person(job);
        }
    }
}

static void advance(struct directory *directory)
{
    uint64_t earliest = 0, now_ms;
    begin_jobs(directory);
    hand_over(directory);
    for (const struct directory_job *job = directory->jobs; job != NULL; job = job->next) {
        if (job->state == JOB_DONE) {
            wake(directory);
            return;
        }
        earliest = earliest == 0 || job->deadline_ms < earliest ? job->deadline_ms : earliest;
    }
    now_ms = mirai_monotonic_ms();
    if (earliest != 0 && !directory->closing && !uv_is_active((uv_handle_t *)&directory->timer)) {
        uv_timer_start(&directory->timer, on_timer, earliest > now_ms ? earliest - now_ms : 0, 0);
    }
}

/* ------------------------------------------------------------------ interface */

static struct directory_job *add_job(struct directory *directory, struct mirai_str given,
                                     directory_cb callback, void *data)
{
    struct directory_job *job = mirai_alloc(sizeof(*job));
    struct directory_job **at = &directory->jobs;
    bool full = directory->queued >= QUEUE_FACTOR * directory->settings->logins_max;
    job->directory = directory;
    job->given = mirai_str_dup(given);
    job->given_len = given.len;
    job->callback = callback;
    job->data = data;
    job->deadline_ms = mirai_monotonic_ms() + directory->settings->login_ms;
    job->state = JOB_QUEUED;
    directory->queued++;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = job;
    if (full) {
        finish(job, DIRECTORY_OVERLOADED);
    }
    wake(directory);
    return job;
}

struct directory_job *directory_login(struct directory *directory, struct mirai_str name,
                                      struct mirai_str password, directory_cb callback, void *data)
{
    struct directory_job *job = add_job(directory, name, callback, data);
    job->password = mirai_str_dup(password);
    job->password_len = password.len;
    if (password.len == 0) {
        finish(job, DIRECTORY_BAD_PASSWORD);
    } else if (memchr(name.data, '\0', name.len) != NULL || name.len == 0) {
        finish(job, DIRECTORY_UNKNOWN);
    }
    return job;
}

struct directory_job *directory_lookup(struct directory *directory, struct mirai_str dn,
                                       struct mirai_str name, directory_cb callback, void *data)
{
    struct directory_job *job = add_job(directory, dn, callback, data);
    job->lookup = true;
    job->account = mirai_str_dup(name);
    return job;
}

struct directory_job *directory_check(struct directory *directory, struct mirai_str dn, struct mirai_str name,
                                      struct mirai_str password, directory_cb callback, void *data)
{
    struct directory_job *job = directory_lookup(directory, dn, name, callback, data);
    job->password = mirai_str_dup(password);
    job->password_len = password.len;
    if (password.len == 0) {
        finish(job,
               DIRECTORY_BAD_PASSWORD); /* a bind without a password succeeds for anyone (RFC 4513 §5.1.2) */
    } else if (dn.len == 0 || memchr(dn.data, '\0', dn.len) != NULL) {
        finish(job, DIRECTORY_UNKNOWN);
    }
    return job;
}

void directory_cancel(struct directory_job *job)
{
    if (job != NULL) {
        job->cancelled = true;
        finish(job, DIRECTORY_UNAVAILABLE);
    }
}

struct directory *directory_new(const struct directory_settings *settings, uv_loop_t *loop)
{
    SSL_CTX *tls = stream_tls_new(settings->ca_file);
    if (tls == NULL) {
        return NULL;
    }
    struct directory *directory = mirai_alloc(sizeof(*directory));
    directory->settings = settings;
    directory->loop = loop;
    directory->tls = tls;
    uv_timer_init(loop, &directory->timer);
    directory->timer.data = directory;
    return directory;
}

static void on_closed(uv_handle_t *timer)
{
    struct directory *directory = timer->data;
    SSL_CTX_free(directory->tls);
    free(directory);
}

void directory_free(struct directory *directory)
{
    if (directory == NULL) {
        return;
    }
    directory->closing = true;
    for (struct directory_job *job = directory->jobs; job != NULL; job = job->next) {
        finish(job, DIRECTORY_UNAVAILABLE);
    }
    hand_over(directory);
    ldap_link_close(directory->service);
    directory->service = NULL;
    uv_close((uv_handle_t *)&directory->timer, on_closed);
}
