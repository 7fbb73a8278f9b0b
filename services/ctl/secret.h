/* Secrets on their way between people and daemons: they never pass through arguments. */
#ifndef CTL_SECRET_H
#define CTL_SECRET_H

#include "services/ctl/ctl.h"

#define SECRET_SIZE 1026

/* A new password: from the file of --password-file ("-": standard input), or asked for twice on a terminal,
 * or made up (*generated). False with the reason on stderr. */
bool secret_password(struct ctl *ctl, char password[SECRET_SIZE], bool *generated);

/* A secret of one line: from the terminal without showing it, or from standard input. False with the reason on stderr. */
bool secret_value(struct ctl *ctl, const char *prompt, char value[SECRET_SIZE]);

/* A file of mode 0600 that appears under its name only when it is complete. */
struct secret_file {
    const char *path;
    char temporary[4096];
    int fd;
};
/* Open before the secret is made, so that it is not lost. False with the reason on stderr. */
bool secret_file_open(struct ctl *ctl, struct secret_file *file, const char *path);
/* Write the secret and a newline, sync, rename. False with the reason on stderr. */
bool secret_file_write(struct ctl *ctl, struct secret_file *file, struct mirai_str secret);
/* Give it up. */
void secret_file_remove(struct secret_file *file);

#endif
