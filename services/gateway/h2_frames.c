#include "services/gateway/h2_frames.h"

/* Flags (RFC 9113 §6). */
#define END_STREAM      0x1
#define ACK             0x1
#define END_HEADERS     0x4
#define PADDED          0x8
#define PRIORITY        0x20

#define EIGHTHS         INT64_C(8)
#define BUDGET_MS       (UINT64_C(1000) * H2_BUDGET_SECONDS)
#define REQUEST_CONTROL (2 * EIGHTHS) /* what each request adds: a window or two, a priority */
#define REQUEST_RESETS  1             /* one in eight may be cancelled at any rate: a proxy speaks for many */
#define LARGE_BLOCK     4096          /* so many bytes of header block cost a frame more */
#define SMALL_WINDOW    1024          /* increments below this are asked for to make answers come in crumbs */

/* ------------------------------------------------------------------ budgets */

static struct h2_budget budget(int64_t per_second, uint64_t now_ms)
{
    return (struct h2_budget){
        .left = per_second * H2_BUDGET_SECONDS * EIGHTHS, .per_second = per_second, .filled_ms = now_ms};
}

static void add(struct h2_budget *budget, int64_t eighths)
{
    int64_t most = budget->per_second * H2_BUDGET_SECONDS * EIGHTHS;
    budget->left = budget->left + eighths < most ? budget->left + eighths : most;
}

/* Looks at the clock only when nothing is left. */
static bool spend(struct h2_budget *budget, uint64_t now_ms)
{
    if (budget->left < EIGHTHS) {
        uint64_t elapsed = now_ms - budget->filled_ms;
        elapsed = elapsed < BUDGET_MS ? elapsed : BUDGET_MS;
        int64_t earned = (int64_t)elapsed * budget->per_second * EIGHTHS / 1000;
        if (earned > 0) {
            budget->filled_ms = now_ms;
            add(budget, earned);
        }
    }
    budget->left -= EIGHTHS;
    return budget->left >= 0;
}

/* ------------------------------------------------------------------ header blocks */

/* The first byte of a field's representation: bits of its index, and what follows. */
static unsigned begin_field(struct h2_block *block, uint8_t byte)
{
    if (byte >= 0x80) { /* indexed */
        block->literal = false;
        block->fields++;
        return 7;
    }
    if (byte >= 0x20 && byte < 0x40) { /* table size */
        block->literal = false;
        block->updates++;
        return 5;
    }
    block->literal = true;
    block->fields++;
    return byte >= 0x40 ? 6 : 4;
}

/* What comes after the integer that has just been read. */
static void after_integer(struct h2_block *block)
{
    switch (block->at) {
    case H2_AT_NAME_LENGTH:
    case H2_IN_NAME_LENGTH:
        block->skip = block->length;
        block->at = H2_AT_VALUE_LENGTH;
        return;
    case H2_AT_VALUE_LENGTH:
    case H2_IN_VALUE_LENGTH:
        block->skip = block->length;
        block->at = H2_AT_FIELD;
        return;
    default:
        block->at = !block->literal ? H2_AT_FIELD : block->named ? H2_AT_NAME_LENGTH : H2_AT_VALUE_LENGTH;
    }
}

/* The first byte of an integer with a prefix of `bits`; `more`: where its further bytes are read. */
static void begin_integer(struct h2_block *block, uint8_t byte, unsigned bits, int more)
{
    uint32_t most = (UINT32_C(1) << bits) - 1;
    block->length = byte & most;
    if (block->length < most) {
        after_integer(block);
    } else {
        block->shift = 0;
        block->at = more;
    }
}

/* A further byte. False: longer than h2o takes, or than any block may be. */
static bool go_on_integer(struct h2_block *block, uint8_t byte)
{
    if (block->shift > 21) {
        return false;
    }
    block->length += (uint32_t)(byte & 0x7f) << block->shift;
    block->shift += 7;
    if ((byte & 0x80) == 0) {
        after_integer(block);
    }
    return true;
}

static bool walk_byte(struct h2_block *block, uint8_t byte)
{
    unsigned bits;
    switch (block->at) {
    case H2_AT_FIELD:
        bits = begin_field(block, byte);
        block->named = block->literal && (byte & ((1u << bits) - 1)) == 0;
        begin_integer(block, byte, bits, H2_IN_INDEX);
        return true;
    case H2_AT_NAME_LENGTH:
        begin_integer(block, byte, 7, H2_IN_NAME_LENGTH);
        return true;
    case H2_AT_VALUE_LENGTH:
        begin_integer(block, byte, 7, H2_IN_VALUE_LENGTH);
        return true;
    default:
        return go_on_integer(block, byte);
    }
}

/* A part of a block. False: no request is like this. */
static bool walk(struct h2_block *block, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len;) {
        if (block->skip > 0) {
            size_t left = len - i, step = block->skip < left ? block->skip : left;
            block->skip -= (uint32_t)step;
            i += step;
        } else if (!walk_byte(block, data[i++])) {
            return false;
        }
        if (block->fields > H2_FIELDS_MAX || block->updates > 2) { /* two: RFC 7541 §4.2 */
            return false;
        }
    }
    return true;
}

static enum h2_verdict count_block(struct h2_frames *frames, const uint8_t *data, size_t len, bool ends,
                                   uint64_t now_ms)
{
    size_t before = frames->block_bytes / LARGE_BLOCK;
    frames->block_bytes += len;
    for (size_t i = before; i < frames->block_bytes / LARGE_BLOCK; i++) {
        if (!spend(&frames->control, now_ms)) {
            return H2_CONTROL;
        }
    }
    frames->block_parts++;
    frames->in_block = !ends;
    if (ends && frames->block_parts == 1 && len <= H2_FIELDS_MAX) { /* a field takes a byte at least */
        return H2_FINE;
    }
    bool fine = frames->block_bytes <= H2_BLOCK_MAX && frames->block_parts <= H2_BLOCK_PARTS &&
                walk(&frames->block, data, len);
    return fine ? H2_FINE : H2_BLOCK;
}

/* ------------------------------------------------------------------ frames */

/* What h2o will refuse anyway is not looked into. */
static enum h2_verdict count_headers(struct h2_frames *frames, uint8_t flags, const uint8_t *payload,
                                     size_t length, uint64_t now_ms)
{
    size_t padding = 0, priority = (flags & PRIORITY) != 0 ? 5 : 0;
    if ((flags & PADDED) != 0) {
        if (length == 0) {
            return H2_FINE;
        }
        padding = *payload++;
        length--;
    }
    if (padding + priority > length) {
        return H2_FINE;
    }
    add(&frames->control, REQUEST_CONTROL);
    add(&frames->resets, REQUEST_RESETS);
    frames->block = (struct h2_block){0};
    frames->block_bytes = 0;
    frames->block_parts = 0;
    return count_block(frames, payload + priority, length - priority - padding, (flags & END_HEADERS) != 0,
                       now_ms);
}

static bool is_empty_data(uint8_t flags, const uint8_t *payload, size_t length)
{
    size_t padding = (flags & PADDED) != 0 && length > 0 ? (size_t)payload[0] + 1 : 0;
    return (flags & END_STREAM) == 0 && length <= padding;
}

enum h2_verdict h2_frames_count(struct h2_frames *frames, const uint8_t *frame, size_t length,
                                uint64_t now_ms)
{
    uint8_t type = frame[3], flags = frame[4];
    const uint8_t *payload = frame + H2_FRAME_HEAD;
    bool control = true;
    switch (type) {
    case H2_DATA:
        control = is_empty_data(flags, payload, length);
        break;
    case H2_HEADERS:
        return frames->in_block ? H2_FINE : count_headers(frames, flags, payload, length, now_ms);
    case H2_CONTINUATION:
        return frames->in_block ? count_block(frames, payload, length, (flags & END_HEADERS) != 0, now_ms)
                                : H2_FINE;
    case H2_RST_STREAM:
        return spend(&frames->resets, now_ms) ? H2_FINE : H2_RESETS;
    case H2_WINDOW_UPDATE:
        control = length != 4 || (h2_frame_u32(payload) & 0x7fffffff) < SMALL_WINDOW;
        break;
    default:
        break;
    }
    return !control || spend(&frames->control, now_ms) ? H2_FINE : H2_CONTROL;
}

enum h2_verdict h2_frames_made_reset(struct h2_frames *frames, bool live, uint64_t now_ms)
{
    if (live) {
        return spend(&frames->resets, now_ms) ? H2_FINE : H2_RESETS;
    }
    return spend(&frames->control, now_ms) ? H2_FINE : H2_CONTROL;
}

const char *h2_verdict_name(enum h2_verdict verdict)
{
    static const char *const names[H2_VERDICTS] = {
        [H2_FINE] = "fine", [H2_RESETS] = "resets", [H2_CONTROL] = "control", [H2_BLOCK] = "headers"};
    return names[verdict];
}

void h2_frames_init(struct h2_frames *frames, int64_t resets, int64_t control, uint64_t now_ms)
{
    *frames = (struct h2_frames){.resets = budget(resets, now_ms), .control = budget(control, now_ms)};
}
