/* What decoder, encoder and JSON side share, and no one else needs. */
#ifndef MIRAI_PROTO_CODEC_H
#define MIRAI_PROTO_CODEC_H

#include "proto/message.h"

/* Where a value stands: a chain on the stack, made into text only when there is a fault to report. */
struct mirai_path {
    const struct mirai_path *up; /* NULL: member of the whole */
    struct mirai_str name;       /* of a member; data NULL: item `index` of a list */
    uint32_t index;
};

/* Note that the value at `path` (NULL: the whole) has `problem`. faults may be NULL; past the 16th it is
 * dropped. */
void mirai_fault_add(struct mirai_faults *faults, const struct mirai_path *path, const char *problem);

/* Decode one field's value, all of `bytes`, into *member, with MIRAI_EDGE's checks. Memory as in
 * mirai_message_decode. 0, MIRAI_E_UNPROCESSABLE or MIRAI_E_INVALID. */
int mirai_field_decode(const struct mirai_field *field, struct mirai_str bytes, struct mirai_arena *arena,
                       void *member, struct mirai_faults *faults);

/* Append one field as a pair: its name and its value. */
void mirai_field_encode(const struct mirai_field *field, const void *member, struct mirai_buf *buf);

/* Base64 with padding (RFC 4648 §4). */
void mirai_base64_encode(struct mirai_str bytes, struct mirai_buf *buf);
/* Back: appends the bytes. 0, or MIRAI_E_INVALID (and nothing appended) unless the text is the canonical one.
 */
int mirai_base64_decode(struct mirai_str text, struct mirai_buf *buf);

#endif
