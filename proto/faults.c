#include "proto/codec.h"

#include <stdio.h>

#define NAME_BYTES_MAX 40 /* of a member's name in a path: names come from outside */

/* One step of a JSON Pointer without its "/" (RFC 6901 §3: "~0" is "~", "~1" is "/"). */
static size_t step_text(const struct mirai_path *path, char out[2 * NAME_BYTES_MAX + 1])
{
    if (path->name.data == NULL) {
        return (size_t)snprintf(out, 2 * NAME_BYTES_MAX + 1, "%u", path->index);
    }
    struct mirai_str name = mirai_utf8_valid(path->name) ? path->name : MIRAI_STR("?");
    size_t len = 0;
    name = mirai_utf8_prefix(name, NAME_BYTES_MAX);
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c == '~' || c == '/') {
            out[len++] = '~';
            out[len++] = c == '~' ? '0' : '1';
        } else {
            out[len++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
        }
    }
    return len;
}

/* Bytes written, or room + 1 when a step did not fit: what is deeper is left out then, so that the pointer
 * names a parent. */
static size_t pointer_text(const struct mirai_path *path, char *out, size_t room)
{
    char step[2 * NAME_BYTES_MAX + 1];
    size_t len = path->up != NULL ? pointer_text(path->up, out, room) : 0;
    size_t step_len = step_text(path, step);
    if (len + 1 + step_len > room) {
        out[len <= room ? len : room] = '\0';
        return room + 1;
    }
    out[len] = '/';
    memcpy(out + len + 1, step, step_len);
    out[len + 1 + step_len] = '\0';
    return len + 1 + step_len;
}

void mirai_fault_add(struct mirai_faults *faults, const struct mirai_path *path, const char *problem)
{
    if (faults == NULL || faults->count >= sizeof(faults->list) / sizeof(faults->list[0])) {
        return;
    }
    struct mirai_fault *fault = &faults->list[faults->count++];
    fault->path[0] = '\0';
    fault->problem = problem;
    if (path != NULL) {
        pointer_text(path, fault->path, sizeof(fault->path) - 1);
    }
}

void mirai_faults_encode(const struct mirai_faults *faults, struct mirai_buf *buf)
{
    mirai_mp_write_array(buf, faults->count);
    for (size_t i = 0; i < faults->count; i++) {
        mirai_mp_write_map(buf, 2);
        mirai_mp_write_cstr(buf, "path");
        mirai_mp_write_cstr(buf, faults->list[i].path);
        mirai_mp_write_cstr(buf, "problem");
        mirai_mp_write_cstr(buf, faults->list[i].problem);
    }
}
