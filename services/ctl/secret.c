#include "services/ctl/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

/* Read to the end or `size - 1` bytes. Returns the length, -1 with errno set. */
static ssize_t read_all(int fd, char *bytes, size_t size)
{
    size_t len = 0;
    ssize_t n = 1;
    while (len < size - 1 && n != 0) {
        n = read(fd, bytes + len, size - 1 - len);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        len += n > 0 ? (size_t)n : 0;
    }
    bytes[len] = '\0';
    return (ssize_t)len;
}

static bool from_file(struct ctl *ctl, const char *path, char password[SECRET_SIZE])
{
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t len = fd >= 0 ? read_all(fd, password, SECRET_SIZE) : -1;
    int reason = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (len < 0) {
        ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(reason));
        return false;
    }
    if (len > 0 && password[len - 1] == '\n') {
        password[--len] = '\0';
    }
    if (len == SECRET_SIZE - 1 || memchr(password, '\0', (size_t)len) != NULL ||
        memchr(password, '\n', (size_t)len) != NULL) {
        ctl_fail(ctl, CTL_FAILED, text("%s: 1 行の秘密の値ではありません", "%s: not one line with a secret"),
                 path);
        return false;
    }
    return true;
}

/* One line from the terminal without showing it. */
static bool ask(const char *prompt, char line[SECRET_SIZE])
{
    struct termios before, quiet;
    bool got = false;
    fputs(prompt, stderr);
    if (tcgetattr(STDIN_FILENO, &before) == 0) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
        ssize_t n = read(STDIN_FILENO, line, SECRET_SIZE - 1);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        if (n > 0) {
            line[n - (line[n - 1] == '\n')] = '\0';
            got = true;
        }
    }
    fputc('\n', stderr);
    return got;
}

static bool from_terminal(struct ctl *ctl, char password[SECRET_SIZE])
{
    char again[SECRET_SIZE] = "";
    bool same = ask(text("新しいパスワード: ", "New password: "), password) &&
                ask(text("もう一度: ", "Again: "), again) && strcmp(password, again) == 0;
    sodium_memzero(again, sizeof(again));
    if (!same) {
        ctl_fail(ctl, CTL_FAILED, "%s", text("2 回の入力が一致しません", "the two entries differ"));
    }
    return same;
}

bool secret_password(struct ctl *ctl, char password[SECRET_SIZE], bool *generated)
{
    const char *path = cli_value(&ctl->cli, "--password-file");
    unsigned char random[18];
    *generated = false;
    if (path != NULL) {
        return from_file(ctl, path, password);
    }
    if (cli_value(&ctl->cli, "--generate") == NULL && isatty(STDIN_FILENO)) {
        return from_terminal(ctl, password);
    }
    randombytes_buf(random, sizeof(random));
    sodium_bin2base64(password, SECRET_SIZE, random, sizeof(random),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    *generated = true;
    return true;
}

bool secret_value(struct ctl *ctl, const char *prompt, char value[SECRET_SIZE])
{
    if (!isatty(STDIN_FILENO)) {
        return from_file(ctl, "-", value);
    }
    if (!ask(prompt, value)) {
        ctl_fail(ctl, CTL_FAILED, "%s", text("入力がありません", "nothing was entered"));
        return false;
    }
    return true;
}

bool secret_file_open(struct ctl *ctl, struct secret_file *file, const char *path)
{
    *file = (struct secret_file){.path = path, .fd = -1};
    if (snprintf(file->temporary, sizeof(file->temporary), "%s.XXXXXX", path) <
        (int)sizeof(file->temporary)) {
        file->fd = mkostemp(file->temporary, O_CLOEXEC); /* mode 0600 */
    }
    if (file->fd < 0) {
        ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(errno));
    }
    return file->fd >= 0;
}

bool secret_file_write(struct ctl *ctl, struct secret_file *file, struct mirai_str secret)
{
    bool written = write(file->fd, secret.data, secret.len) == (ssize_t)secret.len &&
                   write(file->fd, "\n", 1) == 1 && fsync(file->fd) == 0 &&
                   rename(file->temporary, file->path) == 0;
    if (!written) {
        ctl_fail(ctl, CTL_FAILED, "%s: %s", file->path, strerror(errno));
        unlink(file->temporary);
    }
    close(file->fd);
    file->fd = -1;
    return written;
}

void secret_file_remove(struct secret_file *file)
{
    if (file->fd >= 0) {
        close(file->fd);
        unlink(file->temporary);
    }
}
