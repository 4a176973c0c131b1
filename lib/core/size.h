// Checked arithmetic for sizes that come from outside. Each returns false on overflow.
#ifndef XNOR_CORE_SIZE_H
#define XNOR_CORE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool xnor_size_mul(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool xnor_size_add(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

static inline size_t xnor_align_up(size_t value, size_t alignment) {
    return (value + alignment - 1) / alignment * alignment;
}

// 64-bit words that hold `bits` bits.
static inline size_t xnor_words(size_t bits) {
    return (bits + 63) / 64;
}

#endif
