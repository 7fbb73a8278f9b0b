/* What one HTTP/2 connection may ask for, counted frame by frame before h2o sees the frame. Knows bytes, not h2o. */
#ifndef GATEWAY_H2_FRAMES_H
#define GATEWAY_H2_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define H2_FRAME_HEAD     9
#define H2_FRAME_MAX      16384  /* SETTINGS_MAX_FRAME_SIZE of h2o: a longer frame is an error of its own */
#define H2_FIELDS_MAX     200    /* header fields of one request; browsers send each cookie as one */
#define H2_BLOCK_MAX      131072 /* bytes of one header block; handler.c answers 431 long before */
#define H2_BLOCK_PARTS    16     /* frames of one header block */
#define H2_BUDGET_SECONDS 5      /* a budget holds so many seconds' worth, after a rest twice */

/* RFC 9113 §6. */
enum h2_frame_type {
    H2_DATA,
    H2_HEADERS,
    H2_PRIORITY,
    H2_RST_STREAM,
    H2_SETTINGS,
    H2_PUSH_PROMISE,
    H2_PING,
    H2_GOAWAY,
    H2_WINDOW_UPDATE,
    H2_CONTINUATION,
    H2_FRAME_TYPES,
};

/* Why a connection is ended. */
enum h2_verdict {
    H2_FINE,
    H2_RESETS, /* streams are cancelled too often (CVE-2023-44487), or the server is made to (CVE-2025-8671) */
    H2_CONTROL, /* too many frames beside requests and bodies (CVE-2019-9511 to 9518) */
    H2_BLOCK,   /* a header block in too many parts, too long, or of too many fields */
    H2_VERDICTS,
};

/* A token bucket in eighths. */
struct h2_budget {
    int64_t left;
    int64_t per_second;
    uint64_t filled_ms;
};

/* Walks through a header block that comes in parts (RFC 7541 §6), without decoding it. */
struct h2_block {
    enum {
        H2_AT_FIELD,
        H2_IN_INDEX,       /* the rest of an index or of a table size … */
        H2_AT_NAME_LENGTH, /* … of a literal, before its name … */
        H2_IN_NAME_LENGTH,
        H2_AT_VALUE_LENGTH,
        H2_IN_VALUE_LENGTH,
    } at;
    bool literal;    /* a value follows the index */
    bool named;      /* a name comes before the value */
    unsigned shift;  /* of the integer that is being read */
    uint32_t length; /* … and what there is of it */
    uint32_t skip;   /* bytes of a string that are still to come */
    unsigned fields;
    unsigned updates; /* of the table's size */
};

struct h2_frames {
    struct h2_budget resets;
    struct h2_budget control;
    struct h2_block block;
    size_t block_bytes;
    unsigned block_parts;
    bool in_block; /* only CONTINUATION may come */
};

/* resets and control: per second; H2_BUDGET_SECONDS' worth at once. now_ms: any clock that does not go back. */
void h2_frames_init(struct h2_frames *frames, int64_t resets, int64_t control, uint64_t now_ms);

/* A whole frame, its head of H2_FRAME_HEAD bytes first; length: of its payload, at most H2_FRAME_MAX. */
enum h2_verdict h2_frames_count(struct h2_frames *frames, const uint8_t *frame, size_t length,
                                uint64_t now_ms);

/* The frame that was counted last made the server reset a stream; `live`: that was not over. */
enum h2_verdict h2_frames_made_reset(struct h2_frames *frames, bool live, uint64_t now_ms);

/* For metrics and log lines. */
const char *h2_verdict_name(enum h2_verdict verdict);

/* Big-endian numbers of a frame. */
static inline size_t h2_frame_length(const uint8_t *frame)
{
    return (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];
}
static inline uint32_t h2_frame_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

#endif
