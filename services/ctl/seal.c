/* miraictl secret …: encrypted values of the configuration (libcommon/sealed.h). */
#include "libcommon/config.h"
#include "libcommon/sealed.h"
#include "services/ctl/commands.h"
#include "services/ctl/ctl.h"
#include "services/ctl/secret.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (1 << 20) /* of a file of variables */

static const char *key_path(void)
{
    return mirai_config_str(MIRAI_CONFIG_SECRET_KEY_FILE);
}

static bool read_keys(struct ctl *ctl, struct mirai_sealed_keys *keys)
{
    const char *problem = mirai_sealed_keys_read(key_path(), keys);
    if (problem != NULL) {
        ctl_fail(ctl, CTL_FAILED, "%s: %s", key_path(), problem);
    }
    return problem == NULL;
}

/* All keys into their file, the first one first. */
static bool write_keys(struct ctl *ctl, const struct mirai_sealed_keys *keys)
{
    char lines[MIRAI_SEALED_KEYS_MAX * (2 * MIRAI_SEALED_KEY_SIZE + 1) + 1];
    struct secret_file file;
    size_t len = 0;
    for (size_t i = 0; i < keys->count; i++) {
        mirai_hex(lines + len, keys->keys[i], MIRAI_SEALED_KEY_SIZE);
        len += 2 * MIRAI_SEALED_KEY_SIZE;
        lines[len++] = '\n';
    }
    bool written = secret_file_open(ctl, &file, key_path()) &&
                   secret_file_write(ctl, &file, (struct mirai_str){lines, len - 1});
    sodium_memzero(lines, sizeof(lines));
    return written;
}

int command_secret_init(struct ctl *ctl)
{
    struct mirai_sealed_keys keys = {.count = 1};
    if (access(key_path(), F_OK) == 0) {
        return ctl_fail(ctl, CTL_FAILED, text("%s: すでにあります", "%s: there is one already"), key_path());
    }
    randombytes_buf(keys.keys[0], sizeof(keys.keys[0]));
    bool written = write_keys(ctl, &keys);
    mirai_sealed_keys_wipe(&keys);
    if (!written) {
        return CTL_FAILED;
    }
    if (ctl->cli.json) {
        puts("{\"made\": true}");
    }
    ctl_say(ctl, text("鍵を %s に作りました", "The key was written to %s"), key_path());
    return CTL_OK;
}

/* ------------------------------------------------------------------ seal */

/* "TOKEN" or "MIRAI_TOKEN" */
static struct mirai_str whole_name(struct ctl *ctl, const char *given)
{
    return strncmp(given, "MIRAI_", 6) == 0 ? mirai_str(given)
                                            : mirai_arena_printf(&ctl->arena, "MIRAI_%s", given);
}

static void print_sealed(struct ctl *ctl, struct mirai_str name, const struct mirai_buf *sealed)
{
    if (ctl->cli.json) {
        printf("{\"variable\": \"%.*s\", \"value\": \"%.*s\"}\n", MIRAI_STR_ARG(name),
               MIRAI_STR_ARG(mirai_buf_str(sealed)));
    } else {
        printf("%.*s=%.*s\n", MIRAI_STR_ARG(name), MIRAI_STR_ARG(mirai_buf_str(sealed)));
    }
}

static int seal(struct ctl *ctl, const struct mirai_sealed_keys *keys, struct mirai_str name)
{
    char value[SECRET_SIZE] = "";
    struct mirai_buf sealed = {0};
    int code = CTL_FAILED;
    if (secret_value(ctl, text("値: ", "Value: "), value)) {
        code = mirai_config_check_secret(name, mirai_str(value)) == 0
                   ? CTL_OK
                   : ctl_fail(ctl, CTL_FAILED,
                              text("%.*s に使える値ではありません", "the value is not allowed for %.*s"),
                              MIRAI_STR_ARG(name));
    }
    if (code == CTL_OK) {
        mirai_seal(keys, name, mirai_str(value), &sealed);
        print_sealed(ctl, name, &sealed);
    }
    sodium_memzero(value, sizeof(value));
    mirai_buf_free(&sealed);
    return code;
}

int command_secret_seal(struct ctl *ctl)
{
    struct mirai_sealed_keys keys;
    struct mirai_str name = whole_name(ctl, ctl_argument(ctl, 0));
    if (mirai_config_check_secret(name, MIRAI_STR("")) == MIRAI_E_NOT_FOUND) {
        return ctl_fail(ctl, CTL_USAGE,
                        text("%.*s は秘密の変数ではありません", "%.*s is no variable for a secret"),
                        MIRAI_STR_ARG(name));
    }
    if (!read_keys(ctl, &keys)) {
        return CTL_FAILED;
    }
    int code = seal(ctl, &keys, name);
    mirai_sealed_keys_wipe(&keys);
    return code;
}

/* ------------------------------------------------------------------ rotate */

struct rotation {
    struct ctl *ctl;
    struct mirai_sealed_keys keys; /* the new one, and those of before */
    int64_t values;
};

static bool read_file(struct ctl *ctl, const char *path, struct mirai_buf *content, struct stat *status)
{
    ssize_t n = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, status) != 0) {
        n = -1;
    }
    while (n > 0 && content->len <= FILE_MAX) {
        mirai_buf_reserve(content, 65536);
        n = read(fd, content->data + content->len, 65536);
        content->len += n > 0 ? (size_t)n : 0;
    }
    if (n < 0 || content->len > FILE_MAX) {
        ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(n < 0 ? errno : EFBIG));
    }
    if (fd >= 0) {
        close(fd);
    }
    return n == 0 && content->len <= FILE_MAX;
}

/* Owner and mode stay. */
static bool replace_file(struct ctl *ctl, const char *path, struct mirai_str content,
                         const struct stat *status)
{
    char temporary[PATH_MAX];
    int fd = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) < (int)sizeof(temporary)
                 ? mkostemp(temporary, O_CLOEXEC)
                 : -1;
    bool written = fd >= 0 && write(fd, content.data, content.len) == (ssize_t)content.len &&
                   fchown(fd, status->st_uid, status->st_gid) == 0 &&
                   fchmod(fd, status->st_mode & 07777) == 0 && fsync(fd) == 0 && rename(temporary, path) == 0;
    if (!written) {
        ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
        unlink(temporary); /* nothing when it has its name */
    }
    return written;
}

/* "MIRAI_NAME=" at the start of a line, perhaps behind "export ", and where its value stands. False when this is no
 * sealed value. */
static bool find_value(struct mirai_str line, struct mirai_str *name, struct mirai_str *value)
{
    const char *equals = memchr(line.data, '=', line.len);
    const char *start = equals != NULL ? memmem(line.data, (size_t)(equals - line.data), "MIRAI_", 6) : NULL;
    if (start == NULL) {
        return false;
    }
    *name = (struct mirai_str){start, (size_t)(equals - start)};
    size_t at = (size_t)(equals + 1 - line.data);
    at += at < line.len && (line.data[at] == '"' || line.data[at] == '\'');
    size_t end = at;
    while (end < line.len &&
           (isalnum((unsigned char)line.data[end]) || strchr(":_-", line.data[end]) != NULL)) {
        end++;
    }
    *value = (struct mirai_str){line.data + at, end - at};
    return line.data[0] != '#' && mirai_sealed(*value);
}

/* One line, its value sealed with the new key. */
static bool rotate_line(struct rotation *rotation, const char *path, struct mirai_str line,
                        struct mirai_buf *out)
{
    struct mirai_str name, value;
    struct mirai_buf plain = {0};
    if (!find_value(line, &name, &value)) {
        mirai_buf_append_str(out, line);
        return true;
    }
    bool opened = mirai_unseal(&rotation->keys, name, value, &plain) == 0;
    if (opened) {
        size_t at = (size_t)(value.data - line.data);
        mirai_buf_append(out, line.data, at);
        mirai_seal(&rotation->keys, name, mirai_buf_str(&plain), out);
        mirai_buf_append(out, value.data + value.len, line.len - at - value.len);
        rotation->values++;
    } else {
        ctl_fail(rotation->ctl, CTL_FAILED,
                 text("%s: %.*s の値を開けません", "%s: the value of %.*s cannot be opened"), path,
                 MIRAI_STR_ARG(name));
    }
    if (plain.cap > 0) {
        sodium_memzero(plain.data, plain.cap);
    }
    mirai_buf_free(&plain);
    return opened;
}

static bool rotate_file(struct rotation *rotation, const char *path)
{
    struct mirai_buf content = {0}, changed = {0};
    struct stat status;
    bool sound = read_file(rotation->ctl, path, &content, &status);
    for (size_t at = 0; sound && at < content.len;) {
        const char *end = memchr(content.data + at, '\n', content.len - at);
        size_t len = end != NULL ? (size_t)(end - content.data) + 1 - at : content.len - at;
        sound = rotate_line(rotation, path, (struct mirai_str){content.data + at, len}, &changed);
        at += len;
    }
    sound = sound && replace_file(rotation->ctl, path, mirai_buf_str(&changed), &status);
    mirai_buf_free(&content);
    mirai_buf_free(&changed);
    return sound;
}

/* The new key is in the file beside the old ones until all values are sealed with it: whenever this ends, values open. */
static bool rotate(struct rotation *rotation)
{
    struct ctl *ctl = rotation->ctl;
    struct mirai_sealed_keys *keys = &rotation->keys;
    if (keys->count == MIRAI_SEALED_KEYS_MAX) {
        ctl_fail(ctl, CTL_FAILED, text("%s: 鍵が多すぎます", "%s: too many keys"), key_path());
        return false;
    }
    memmove(keys->keys[1], keys->keys[0], keys->count * sizeof(keys->keys[0]));
    randombytes_buf(keys->keys[0], sizeof(keys->keys[0]));
    keys->count++;
    bool sound = write_keys(ctl, keys);
    for (int i = 0; sound && i < ctl->cli.count; i++) {
        sound = rotate_file(rotation, ctl_argument(ctl, i));
    }
    if (!sound) {
        return false;
    }
    keys->count = 1;
    return write_keys(ctl, keys);
}

int command_secret_rotate(struct ctl *ctl)
{
    struct rotation rotation = {.ctl = ctl};
    if (!read_keys(ctl, &rotation.keys)) {
        return CTL_FAILED;
    }
    bool rotated = rotate(&rotation);
    mirai_sealed_keys_wipe(&rotation.keys);
    if (!rotated) {
        return CTL_FAILED;
    }
    if (ctl->cli.json) {
        printf("{\"values\": %lld}\n", (long long)rotation.values);
    }
    ctl_say(ctl,
            text("鍵を替え、%lld 個の値を書き換えました", "The key was changed, and %lld value(s) with it"),
            (long long)rotation.values);
    return CTL_OK;
}
