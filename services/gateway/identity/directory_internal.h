/* What the files of the directory share: one job, and the steps that find a person's groups. */
#ifndef GATEWAY_DIRECTORY_INTERNAL_H
#define GATEWAY_DIRECTORY_INTERNAL_H

#include "services/gateway/identity/directory.h"

enum job_state {
    JOB_QUEUED,    /* too many are at work */
    JOB_WAITING,   /* for the service link */
    JOB_SEARCHING, /* for the person */
    JOB_BINDING,   /* with the password, on a link of its own */
    JOB_GROUPS,    /* looking for groups */
    JOB_DONE,      /* its callback is due */
};

struct job_group {
    struct mirai_str dn;
    struct mirai_str key; /* ldap_dn_key() of it */
    struct mirai_str name;
};

struct directory_job {
    struct directory_job *next;
    struct directory *directory;
    enum job_state state;
    bool lookup;    /* of a DN, not of a name */
    bool cancelled; /* no callback; it goes at the next turn */
    char *given;    /* name, or the DN of a lookup */
    size_t given_len;
    char *account;  /* of a lookup: login name */
    char *password; /* NULL: none is checked */
    size_t password_len;
    uint64_t deadline_ms;
    directory_cb callback;
    void *data;
    unsigned tries; /* times that it began anew */
    /* This try; the arena ends with it. */
    struct mirai_arena arena;
    size_t server;
    struct ldap_link *link; /* for the password */
    struct ldap_link_op *op;
    bool found;
    struct directory_person person;
    struct mirai_str sid;         /* objectSid (Active Directory) */
    struct mirai_str primary_rid; /* primaryGroupID */
    struct job_group groups[DIRECTORY_GROUPS_MAX];
    size_t groups_count;
    size_t expanded; /* of groups: their own groups were asked for */
    unsigned searches;
    const struct mirai_str *sids; /* tokenGroups that are not yet resolved */
    size_t sids_count;
    enum directory_outcome outcome; /* when finished */
};

/* directory.c */
const struct directory_settings *job_settings(const struct directory_job *job);
/* Search on the service link; when that is not possible the job begins anew by itself. */
void job_search(struct directory_job *job, const struct ldap_link_search *search, ldap_link_cb callback);
/* All groups are known. */
void job_groups_done(struct directory_job *job);
/* This server cannot be used: begin anew with another. */
void job_server_failed(struct directory_job *job, const char *reason);

/* directory_groups.c */
/* Begin with what the person's own entry says. */
void groups_of_entry(struct directory_job *job, const struct ldap_link_entry *entry);
/* Find the rest; ends with job_groups_done() or job_server_failed(). */
void groups_find(struct directory_job *job);

#endif
