// What the kernel check and the kernel benchmark share: repeatable random numbers, input buffers
// that end at an inaccessible page, output buffers between guard bytes, and designed bit patterns.
#ifndef XNOR_TESTS_KERNELS_HARNESS_H
#define XNOR_TESTS_KERNELS_HARNESS_H

#include "kernels/kernels.h"

// xorshift64*: the same sequence everywhere.
uint64_t random_u64(void);
void random_seed(uint64_t seed);
size_t random_below(size_t bound);

// Inputs. A slot is one buffer that ends where an inaccessible page begins: reading one byte too
// many is a crash. Taking a slot again invalidates its previous content.
typedef enum input_slot {
    SLOT_A,
    SLOT_MASK,
    SLOT_W,
    SLOT_LIMIT,
    SLOT_PACKED,
    SLOT_PACKED_REF,
    SLOT_X,
    SLOT_B,
    SLOT_BIAS,
    SLOT_COUNT
} input_slot;
void *input(input_slot slot, size_t bytes);

// Outputs. `bytes` bytes in the middle of guard bytes; everything holds the same pattern at first.
typedef enum output_side { SIDE_EXPECTED, SIDE_FOUND, SIDE_COUNT } output_side;
void *output(output_side side, size_t bytes);
// Compares both sides, guard bytes included. True if equal; else *offset is the first differing
// byte counted from the start of the output (negative: guard bytes before it). With `floats`, any
// two NaNs are equal.
bool outputs_equal(size_t bytes, bool floats, ptrdiff_t *offset);

// Fills [rows][stride] words with a pattern over `cols` bits; padding bits are 0 and the words
// between rows hold garbage, as they may in the engine.
typedef enum bit_pattern {
    PATTERN_RANDOM,
    PATTERN_ZERO,
    PATTERN_ONE,
    PATTERN_SINGLE,
    PATTERN_SPARSE,
    PATTERN_COUNT
} bit_pattern;
void fill_bits(uint64_t *bits, size_t rows, size_t cols, size_t stride, bit_pattern pattern);
// Words of a strided matrix of which the last row ends with its last used word.
size_t strided(size_t rows, size_t used, size_t stride);

// A float: mostly ordinary, sometimes 0, -0, infinite, NaN, denormal or huge when `special`.
float random_float(bool special);

// Bit by bit, from the definitions in kernels.h: what the C set is checked against.
extern const xnor_kernels naive_kernels;

// Runs the benchmark for every available set, or for `isa` alone, of the kernels whose names begin with
// `only`. Returns the exit status.
int run_benchmark(const char *isa, const char *only);
// Runs these kernels of one set `times` times and measures nothing: for counting instructions.
int run_kernels(const char *isa, const char *only, size_t times);

#endif
