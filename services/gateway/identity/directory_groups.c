#include "services/gateway/identity/directory_internal.h"

#include "libcommon/log.h"

#include <ldap.h>
#include <stdlib.h>

/* A person's groups, nested ones too.
 *
 * OpenLDAP: memberOf (which the overlay dynlist fills with nested groups as well, the overlay memberof does not), then
 * upwards from the person and those groups by (member=DN) until nothing new is found.
 * Active Directory: tokenGroups, which holds the SIDs of all groups and of the primary group; when it may not be read,
 * the chain rule. Sources: RFC 4519, MS-ADTS §3.1.1.4.5.19 (tokenGroups), §3.1.1.3.4.4.3 (LDAP_MATCHING_RULE_TRANSITIVE_EVAL). */

#define STEP         ((size_t)48) /* groups or SIDs in one filter */
#define SEARCHES_MAX 24           /* for one person */
#define CHAIN_RULE   "1.2.840.113556.1.4.1941"

static void add_group(struct directory_job *job, struct mirai_str dn, struct mirai_str name)
{
    struct mirai_str key = ldap_dn_key(&job->arena, dn);
    if (key.len == 0 || !mirai_utf8_valid(dn) || memchr(dn.data, '\0', dn.len) != NULL) {
        return;
    }
    for (size_t i = 0; i < job->groups_count; i++) {
        if (mirai_str_eq(job->groups[i].key, key)) {
            job->groups[i].name = name.len > 0 ? mirai_arena_copy(&job->arena, name) : job->groups[i].name;
            return;
        }
    }
    if (job->groups_count == DIRECTORY_GROUPS_MAX) {
        mirai_log(WARNING, "a person of the directory is in too many groups; the rest is not looked at",
                  MIRAI_LOG_S("dn", job->person.dn), MIRAI_LOG_I("groups", DIRECTORY_GROUPS_MAX));
        job->expanded = job->groups_count;
        job->searches = SEARCHES_MAX;
        return;
    }
    job->groups[job->groups_count++] = (struct job_group){
        .dn = mirai_arena_copy(&job->arena, dn),
        .key = key,
        .name = name.len > 0 ? mirai_arena_copy(&job->arena, name) : ldap_dn_name(&job->arena, dn),
    };
}

static void add_entries(struct directory_job *job, const struct ldap_link_answer *answer, const char *name)
{
    for (const struct ldap_link_entry *entry = answer->entries; entry != NULL; entry = entry->next) {
        add_group(job, entry->dn, ldap_entry_text(entry, name));
    }
}

/* Whether an answer of groups can be used; then the search goes on. */
static bool usable(struct directory_job *job, const struct ldap_link_answer *answer)
{
    if (answer->code == LDAP_SUCCESS || answer->code == LDAP_SIZELIMIT_EXCEEDED) {
        return true;
    }
    if (answer->code == LDAP_RESULTS_TOO_LARGE) {
        mirai_log(WARNING, "groups of the directory are too large to be looked at",
                  MIRAI_LOG_S("dn", job->person.dn));
        return true;
    }
    job_server_failed(job, answer->code == LDAP_NO_SUCH_OBJECT ? "MIRAI_LDAP_GROUP_BASE is not there"
                                                               : ldap_err2string(answer->code));
    return false;
}

static void search_groups(struct directory_job *job, struct mirai_buf *filter, const char *name,
                          ldap_link_cb callback)
{
    const char *attributes[] = {name, NULL};
    mirai_buf_append_char(filter, ')');
    mirai_buf_append_char(filter, '\0');
    job->searches++;
    job_search(job,
               &(struct ldap_link_search){.base = job_settings(job)->group_base,
                                          .subtree = true,
                                          .filter = filter->data,
                                          .attributes = attributes,
                                          .entries_max = DIRECTORY_GROUPS_MAX},
               callback);
    mirai_buf_free(filter);
}

static void add_condition(struct mirai_buf *filter, const char *attribute, struct mirai_str value)
{
    mirai_buf_printf(filter, "(%s=", attribute);
    ldap_escape_value(filter, value);
    mirai_buf_append_char(filter, ')');
}

/* ------------------------------------------------------------------ OpenLDAP */

static void climb(struct directory_job *job);

static void on_climbed(void *data, const struct ldap_link_answer *answer)
{
    struct directory_job *job = data;
    job->op = NULL;
    if (usable(job, answer)) {
        add_entries(job, answer, "cn");
        climb(job);
    }
}

/* Ask for the groups of those whose groups were not asked for yet. */
static void climb(struct directory_job *job)
{
    struct mirai_buf filter = {0};
    bool first = job->searches == 0;
    if ((!first && job->expanded == job->groups_count) || job->searches >= SEARCHES_MAX) {
        job_groups_done(job);
        return;
    }
    mirai_buf_append_str(&filter, MIRAI_STR("(|"));
    if (first) {
        add_condition(&filter, "member", job->person.dn);
        add_condition(&filter, "uniqueMember", job->person.dn);
        add_condition(&filter, "memberUid", job->person.name);
    }
    for (size_t i = 0; i < STEP && job->expanded < job->groups_count; i++, job->expanded++) {
        add_condition(&filter, "member", job->groups[job->expanded].dn);
        add_condition(&filter, "uniqueMember", job->groups[job->expanded].dn);
    }
    search_groups(job, &filter, "cn", on_climbed);
}

/* ------------------------------------------------------------------ Active Directory */

static void resolve(struct directory_job *job);

static void on_resolved(void *data, const struct ldap_link_answer *answer)
{
    struct directory_job *job = data;
    job->op = NULL;
    if (usable(job, answer)) {
        add_entries(job, answer, "sAMAccountName");
        resolve(job);
    }
}

/* The next SIDs as DNs and names. */
static void resolve(struct directory_job *job)
{
    struct mirai_buf filter = {0};
    if (job->sids_count == 0 || job->searches >= SEARCHES_MAX) {
        job_groups_done(job);
        return;
    }
    mirai_buf_append_str(&filter, MIRAI_STR("(|"));
    for (size_t i = 0; i < STEP && job->sids_count > 0; i++, job->sids++, job->sids_count--) {
        add_condition(&filter, "objectSid", job->sids[0]);
    }
    search_groups(job, &filter, "sAMAccountName", on_resolved);
}

/* SID of the primary group: that of the person with another last part (MS-DTYP §2.4.2.2). False: not known. */
static bool primary_sid(const struct directory_job *job, unsigned char sid[68])
{
    int64_t rid;
    size_t len = job->sid.len;
    if (len < 12 || len > 68 || len != 8 + 4 * (size_t)(unsigned char)job->sid.data[1] ||
        mirai_parse_int(job->primary_rid, 1, UINT32_MAX, &rid) != 0) {
        return false;
    }
    memcpy(sid, job->sid.data, len);
    for (size_t i = 0; i < 4; i++) {
        sid[len - 4 + i] = (unsigned char)((uint64_t)rid >> (8 * i));
    }
    return true;
}

static void chain(struct directory_job *job)
{
    struct mirai_buf filter = {0};
    unsigned char sid[68];
    mirai_buf_append_str(&filter, MIRAI_STR("(|"));
    add_condition(&filter, "member:" CHAIN_RULE ":", job->person.dn);
    if (primary_sid(job, sid)) {
        add_condition(&filter, "objectSid", (struct mirai_str){(const char *)sid, job->sid.len});
    }
    search_groups(job, &filter, "sAMAccountName", on_resolved); /* which has no SIDs left to resolve */
}

static void on_token_groups(void *data, const struct ldap_link_answer *answer)
{
    struct directory_job *job = data;
    job->op = NULL;
    if (!usable(job, answer)) {
        return;
    }
    const struct ldap_link_attribute *found =
        answer->entries != NULL ? ldap_entry_attribute(answer->entries, "tokenGroups") : NULL;
    if (found == NULL || found->count == 0) {
        chain(job);
        return;
    }
    struct mirai_str *sids = mirai_arena_alloc(&job->arena, found->count * sizeof(*sids));
    for (size_t i = 0; i < found->count; i++) {
        if (found->values[i].len <= 68) {
            sids[job->sids_count++] = mirai_arena_copy(&job->arena, found->values[i]);
        }
    }
    job->sids = sids;
    resolve(job);
}

static void ask_token_groups(struct directory_job *job)
{
    static const char *const attributes[] = {"tokenGroups", NULL};
    const char *dn = mirai_arena_copy(&job->arena, job->person.dn).data;
    job_search(job,
               &(struct ldap_link_search){
                   .base = dn, .filter = "(objectClass=*)", .attributes = attributes, .entries_max = 1},
               on_token_groups);
}

/* ------------------------------------------------------------------ begin */

void groups_of_entry(struct directory_job *job, const struct ldap_link_entry *entry)
{
    /* Not of Active Directory: there it tells only direct groups, by names that others may have as well. */
    bool ad = job_settings(job)->type == DIRECTORY_ACTIVE_DIRECTORY;
    const struct ldap_link_attribute *member_of = ad ? NULL : ldap_entry_attribute(entry, "memberOf");
    const struct ldap_link_attribute *sid = ldap_entry_attribute(entry, "objectSid");
    if (sid != NULL && sid->count == 1) {
        job->sid = mirai_arena_copy(&job->arena, sid->values[0]);
    }
    job->primary_rid = mirai_arena_copy(&job->arena, ldap_entry_text(entry, "primaryGroupID"));
    for (size_t i = 0; member_of != NULL && i < member_of->count; i++) {
        add_group(job, member_of->values[i], (struct mirai_str){0});
    }
}

void groups_find(struct directory_job *job)
{
    if (job_settings(job)->type == DIRECTORY_ACTIVE_DIRECTORY) {
        ask_token_groups(job);
    } else {
        climb(job);
    }
}
