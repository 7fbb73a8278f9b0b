/* What every fuzz target has: its entry point, and a check that ends the run when it does not hold. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* https://llvm.org/docs/LibFuzzer.html#fuzz-target */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void expect(bool holds)
{
    if (!holds) {
        abort();
    }
}

#endif
