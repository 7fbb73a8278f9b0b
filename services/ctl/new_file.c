#include "services/ctl/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

FILE *new_file_open(struct ctl *ctl, const char *path)
{
    int fd = strcmp(path, "-") == 0 ? dup(STDOUT_FILENO)
                                    : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL) {
        ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(errno));
    }
    return file;
}

int new_file_close(struct ctl *ctl, FILE *file, const char *path)
{
    bool written = fflush(file) == 0 && (fsync(fileno(file)) == 0 || errno == EINVAL || errno == EROFS);
    int reason = errno;
    written = fclose(file) == 0 && written;
    return written ? CTL_OK : ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(reason));
}
