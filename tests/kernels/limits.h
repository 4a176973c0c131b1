// Register-only loops that show what the machine can do at most; the benchmark divides by them.
#ifndef XNOR_TESTS_KERNELS_LIMITS_H
#define XNOR_TESTS_KERNELS_LIMITS_H

#include <stddef.h>

typedef struct limit_loops {
    const char *isa;
    void (*popcount)(size_t rounds);
    size_t bit_macs; // per round of the popcount loop
    void (*fma)(size_t rounds);
    size_t fmas; // scalar multiply-adds per round of the fma loop
} limit_loops;

// NULL when there is no limit loop for the set (portable C).
const limit_loops *limit_for(const char *isa);

#endif
