#define _DEFAULT_SOURCE // MAP_ANONYMOUS
#include "harness.h"

#include "core/size.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOT_BYTES ((size_t)8 << 20)
#define PAGE_BYTES ((size_t)65536) // the largest page size of the platforms we run on
#define OUTPUT_BYTES ((size_t)8 << 20)
#define GUARD_BYTES ((size_t)256)
#define GUARD_PATTERN 0xA5

static uint64_t random_state = 1;

void random_seed(uint64_t seed) {
    random_state = seed * 0x9E3779B97F4A7C15u | 1;
}

uint64_t random_u64(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545F4914F6CDD1Du;
}

size_t random_below(size_t bound) {
    return (size_t)(random_u64() >> 33) % bound;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

void *input(input_slot slot, size_t bytes) {
    static char *regions[SLOT_COUNT];
    if (bytes > SLOT_BYTES) {
        fprintf(stderr, "input of %zu bytes is larger than a slot\n", bytes);
        exit(1);
    }
    if (!regions[slot]) {
        char *region = mmap(NULL, SLOT_BYTES + PAGE_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (region == MAP_FAILED) die("mmap");
        if (mprotect(region + SLOT_BYTES, PAGE_BYTES, PROT_NONE) != 0) die("mprotect");
        regions[slot] = region;
    }
    return regions[slot] + SLOT_BYTES - bytes;
}

static uint8_t *sides[SIDE_COUNT];

void *output(output_side side, size_t bytes) {
    if (bytes > OUTPUT_BYTES) {
        fprintf(stderr, "output of %zu bytes is larger than its buffer\n", bytes);
        exit(1);
    }
    if (!sides[side]) {
        sides[side] = malloc(OUTPUT_BYTES + 2 * GUARD_BYTES);
        if (!sides[side]) die("malloc");
    }
    memset(sides[side], GUARD_PATTERN, bytes + 2 * GUARD_BYTES);
    return sides[side] + GUARD_BYTES;
}

static bool both_nan(size_t float_index) {
    float values[SIDE_COUNT];
    for (int side = 0; side < SIDE_COUNT; side++) {
        memcpy(&values[side], sides[side] + GUARD_BYTES + float_index * sizeof(float),
               sizeof(float));
    }
    return isnan(values[SIDE_EXPECTED]) && isnan(values[SIDE_FOUND]);
}

bool outputs_equal(size_t bytes, bool floats, ptrdiff_t *offset) {
    const size_t total = bytes + 2 * GUARD_BYTES;
    for (int side = 0; side < SIDE_COUNT; side++) {
        for (size_t i = 0; i < total; i++) {
            if (i == GUARD_BYTES) i += bytes;
            if (sides[side][i] == GUARD_PATTERN) continue;
            *offset = (ptrdiff_t)i - (ptrdiff_t)GUARD_BYTES;
            return false;
        }
    }
    if (memcmp(sides[SIDE_EXPECTED], sides[SIDE_FOUND], total) == 0) return true;
    for (size_t i = 0; i < bytes; i++) {
        if (sides[SIDE_EXPECTED][GUARD_BYTES + i] == sides[SIDE_FOUND][GUARD_BYTES + i]) continue;
        if (floats && both_nan(i / sizeof(float))) continue;
        *offset = (ptrdiff_t)i;
        return false;
    }
    return true;
}

size_t strided(size_t rows, size_t used, size_t stride) {
    return (rows - 1) * stride + used;
}

void fill_bits(uint64_t *bits, size_t rows, size_t cols, size_t stride, bit_pattern pattern) {
    const size_t words = xnor_words(cols);
    const uint64_t last = cols % 64 ? (1ull << cols % 64) - 1 : ~0ull;
    for (size_t i = 0; i < strided(rows, words, stride); i++) bits[i] = random_u64();
    for (size_t r = 0; r < rows; r++) {
        uint64_t *row = bits + r * stride;
        const size_t single = random_below(cols);
        for (size_t j = 0; j < words; j++) {
            if (pattern == PATTERN_ZERO) row[j] = 0;
            if (pattern == PATTERN_ONE) row[j] = ~0ull;
            if (pattern == PATTERN_SINGLE) row[j] = j == single / 64 ? 1ull << single % 64 : 0;
            if (pattern == PATTERN_SPARSE) row[j] &= random_u64() & random_u64();
        }
        row[words - 1] &= last;
    }
}

float random_float(bool special) {
    static const float specials[] = {0.0f,  -0.0f,    1e-45f,    -1e-45f,    1e-38f,
                                     3e38f, -3.3e38f, 1.0f,      -1.0f,      0.0f,
                                     -0.0f, 0.0f,     HUGE_VALF, -HUGE_VALF, NAN};
    if (special && random_below(4) == 0) {
        return specials[random_below(sizeof specials / sizeof specials[0])];
    }
    const float unit = (float)(random_u64() >> 40) / 16777216.0f;
    return (unit - 0.5f) * (random_below(2) ? 1.0f : 16.0f);
}
