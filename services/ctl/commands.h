/* The commands, each in the file of its subject; the table of all is in commands.c. */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include "services/ctl/cli.h"

extern const struct cli_command ctl_commands[];

int command_run(struct ctl *ctl);
int command_status(struct ctl *ctl);
int command_import(struct ctl *ctl);
int command_export(struct ctl *ctl);
int command_user_list(struct ctl *ctl);
int command_user_create(struct ctl *ctl);
int command_user_set_role(struct ctl *ctl);
int command_user_disable(struct ctl *ctl);
int command_user_enable(struct ctl *ctl);
int command_user_password(struct ctl *ctl);
int command_user_sessions(struct ctl *ctl);
int command_user_end_sessions(struct ctl *ctl);
int command_user_reset_second_factor(struct ctl *ctl);
int command_user_hand_over(struct ctl *ctl);
int command_token_list(struct ctl *ctl);
int command_token_create(struct ctl *ctl);
int command_token_revoke(struct ctl *ctl);
int command_tag_list(struct ctl *ctl);
int command_synonyms_list(struct ctl *ctl);
int command_synonyms_add(struct ctl *ctl);
int command_synonyms_remove(struct ctl *ctl);
int command_synonyms_import(struct ctl *ctl);
int command_synonyms_export(struct ctl *ctl);
int command_words_list(struct ctl *ctl);
int command_words_add(struct ctl *ctl);
int command_words_remove(struct ctl *ctl);
int command_words_import(struct ctl *ctl);
int command_words_export(struct ctl *ctl);
int command_queries_list(struct ctl *ctl);
int command_audit_list(struct ctl *ctl);
int command_audit_export(struct ctl *ctl);
int command_audit_heads(struct ctl *ctl);
int command_audit_key(struct ctl *ctl);
int command_audit_verify(struct ctl *ctl);
int command_search(struct ctl *ctl);
int command_reindex(struct ctl *ctl);
int command_log_level(struct ctl *ctl);
int command_backup_now(struct ctl *ctl);
int command_backup_list(struct ctl *ctl);
int command_backup_verify(struct ctl *ctl);
int command_restore(struct ctl *ctl);
int command_secret_init(struct ctl *ctl);
int command_secret_seal(struct ctl *ctl);
int command_secret_rotate(struct ctl *ctl);
int command_config_show(struct ctl *ctl);
int command_config_help(struct ctl *ctl);
int command_config_check(struct ctl *ctl);
int command_completion_bash(struct ctl *ctl);

#endif
