/* Small integers in few bits. */
#ifndef SEARCH_PACK_H
#define SEARCH_PACK_H

#include <stddef.h>
#include <stdint.h>

#define PACK_BITS_MAX 24

/* Bits that hold `value`. */
static inline unsigned pack_bits(uint32_t value)
{
    return value == 0 ? 0 : 32 - (unsigned)__builtin_clz(value);
}

/* 128 values in four lanes of 32: value i lies in lane i % 4, so that a compiler makes vector code of plain C
 * (Lemire & Boytsov 2015, "Decoding billions of integers per second through vectorization"). 16 * bits bytes. */
#define PACK_BLOCK_BYTES(bits) (16 * (size_t)(bits))
void pack_block(const uint32_t values[128], unsigned bits, uint8_t *out);
void unpack_block(const uint8_t *in, unsigned bits, uint32_t values[128]);

/* Fewer than 128, one after the other, low bits first. */
#define PACK_TAIL_BYTES(count, bits) (((size_t)(count) * (bits) + 7) / 8)
void pack_tail(const uint32_t *values, unsigned count, unsigned bits, uint8_t *out);
void unpack_tail(const uint8_t *in, unsigned count, unsigned bits, uint32_t *values);

#endif
