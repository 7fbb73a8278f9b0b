#include "services/search-index/postings/pack.h"

#include <string.h>

void pack_block(const uint32_t values[128], unsigned bits, uint8_t *out)
{
    uint32_t words[4 * PACK_BITS_MAX] = {0};
    for (unsigned i = 0; i < 128; i++) {
        unsigned at = i / 4 * bits;
        unsigned word = at / 32 * 4 + i % 4;
        unsigned shift = at % 32;
        if (bits > 0) {
            words[word] |= values[i] << shift;
        }
        if (shift + bits > 32) {
            words[word + 4] |= values[i] >> (32 - shift);
        }
    }
    memcpy(out, words, PACK_BLOCK_BYTES(bits));
}

/* With `bits` known, all shifts are constants and the four lanes one vector. */
static inline __attribute__((always_inline)) void unpack_lanes(const uint8_t *in, const unsigned bits,
                                                               uint32_t *values)
{
    const uint32_t mask = (1u << bits) - 1;
    uint32_t words[4 * PACK_BITS_MAX];
    memcpy(words, in, PACK_BLOCK_BYTES(bits));
#pragma GCC unroll 32
    for (unsigned i = 0; i < 32; i++) {
        const unsigned word = i * bits / 32 * 4;
        const unsigned shift = i * bits % 32;
        for (unsigned lane = 0; lane < 4; lane++) {
            uint32_t value = words[word + lane] >> shift;
            if (shift + bits > 32) {
                value |= words[word + 4 + lane] << (32 - shift);
            }
            values[i * 4 + lane] = value & mask;
        }
    }
}

void unpack_block(const uint8_t *in, unsigned bits, uint32_t values[128])
{
#define WIDTH(n)                                                                                             \
    case n:                                                                                                  \
        unpack_lanes(in, n, values);                                                                         \
        break;
    switch (bits) {
        WIDTH(1)
        WIDTH(2)
        WIDTH(3)
        WIDTH(4)
        WIDTH(5)
        WIDTH(6)
        WIDTH(7)
        WIDTH(8)
        WIDTH(9)
        WIDTH(10)
        WIDTH(11)
        WIDTH(12)
        WIDTH(13)
        WIDTH(14)
        WIDTH(15)
        WIDTH(16)
        WIDTH(17)
        WIDTH(18)
        WIDTH(19)
        WIDTH(20)
        WIDTH(21)
        WIDTH(22)
        WIDTH(23)
        WIDTH(24)
    default:
        memset(values, 0, 128 * sizeof(values[0]));
    }
#undef WIDTH
}

void pack_tail(const uint32_t *values, unsigned count, unsigned bits, uint8_t *out)
{
    uint64_t held = 0;
    unsigned len = 0;
    for (unsigned i = 0; i < count; i++) {
        held |= (uint64_t)values[i] << len;
        for (len += bits; len >= 8; len -= 8) {
            *out++ = (uint8_t)held;
            held >>= 8;
        }
    }
    if (len > 0) {
        *out = (uint8_t)held;
    }
}

void unpack_tail(const uint8_t *in, unsigned count, unsigned bits, uint32_t *values)
{
    const uint32_t mask = (1u << bits) - 1;
    uint64_t held = 0;
    unsigned len = 0;
    for (unsigned i = 0; i < count; i++) {
        for (; len < bits; len += 8) {
            held |= (uint64_t)*in++ << len;
        }
        values[i] = (uint32_t)held & mask;
        held >>= bits;
        len -= bits;
    }
}
