/* Files that a command writes for people: new ones, or standard output. */
#ifndef CTL_NEW_FILE_H
#define CTL_NEW_FILE_H

#include "services/ctl/ctl.h"

/* A new file ("-": standard output) of mode 0640; never one that is there. NULL with the reason on stderr. */
FILE *new_file_open(struct ctl *ctl, const char *path);
/* Close it. CTL_OK when everything has reached the disk, else the exit code with the reason on stderr. */
int new_file_close(struct ctl *ctl, FILE *file, const char *path);

#endif
