// The counting loops of neon_bits.h, for tiles of 4 rows x 4 vectors of 8 channels, 4 x 3 and 8 x 2. In
// assembly, as gcc 12 spills counts and computes addresses it need not.
//
// Unit of work: two vectors, 8 channels x 32 bits of k: 2 eor, 2 cnt, then the sum of both is folded into
// 16-bit lanes (add, uadalp), so nothing ever overflows. Registers: up to 16 counts, 8 weights of two
// steps, 4 activations, 4 temporaries of 32. Two steps of the 4 x 4 tile, 4096 bit-MAC: 96 vector
// operations, 4 ldp of weights, 4 ldp of expanded rows or 8 ld1r of rows as they are, 2 for the loop.
// Limited by the vector pipes: two of them end at 85 bit-MAC per cycle.
#ifndef XNOR_KERNELS_NEON_COUNT_H
#define XNOR_KERNELS_NEON_COUNT_H

#include "kernels/inline.h"

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__clang__) // C99 promises 4095 characters of a string; a loop here has up to 6637
#pragma clang diagnostic ignored "-Woverlength-strings"
#endif

#define MAX_TILE_ROWS 8

// Rows to count: as they are, `stride` bytes apart, or four of them expanded: [pairs of steps][4][2][8]
// lanes, behind them [4][8] of a last single step.
typedef struct count_rows {
    const uint8_t *a;
    size_t stride;
    const uint64_t *mask; // ternary only; of the first row
    bool expanded;
} count_rows;

// v0-v3: weights of a step, v4-v7 of the next; v12, v13: an activation's two steps; v8-v11 temporaries.
// FIRST sets a count, NEXT adds to it.
#define FIRST(count, x) "uaddlp %" count ".8h, " x ".16b\n\t"
#define NEXT(count, x) "uadalp %" count ".8h, " x ".16b\n\t"
#define XOR(x, w, a) "eor " x ".16b, " w ".16b, " a ".16b\n\t"
#define COUNT(x) "cnt " x ".16b, " x ".16b\n\t"
#define COUNT4 COUNT("v8") COUNT("v9") COUNT("v10") COUNT("v11")
#define SUM(x, y) "add " x ".16b, " x ".16b, " y ".16b\n\t"
// Two vectors of two steps, one vector of two, two or one of a single step.
#define DO22(fold, w0, w1, w4, w5, c0, c1)                                                         \
    XOR("v8", w0, "v12")                                                                           \
    XOR("v9", w1, "v12")                                                                           \
    XOR("v10", w4, "v13")                                                                          \
    XOR("v11", w5, "v13") COUNT4 SUM("v8", "v10") SUM("v9", "v11") fold(c0, "v8") fold(c1, "v9")
#define DO12(fold, w0, w4, c0)                                                                     \
    XOR("v8", w0, "v12")                                                                           \
    XOR("v10", w4, "v13") COUNT("v8") COUNT("v10") SUM("v8", "v10") fold(c0, "v8")
#define DO21(fold, w0, w1, c0, c1)                                                                 \
    XOR("v8", w0, "v12")                                                                           \
    XOR("v9", w1, "v12") COUNT("v8") COUNT("v9") fold(c0, "v8") fold(c1, "v9")
#define DO11(fold, w0, c0) XOR("v8", w0, "v12") COUNT("v8") fold(c0, "v8")

#define ROW4(f, a, b, c, d)                                                                        \
    DO22(f, "v0", "v1", "v4", "v5", a, b) DO22(f, "v2", "v3", "v6", "v7", c, d)
#define ROW3(f, a, b, c) DO22(f, "v0", "v1", "v4", "v5", a, b) DO12(f, "v2", "v6", c)
#define ROW2(f, a, b) DO22(f, "v0", "v1", "v4", "v5", a, b)
#define SINGLE4(f, a, b, c, d) DO21(f, "v0", "v1", a, b) DO21(f, "v2", "v3", c, d)
#define SINGLE3(f, a, b, c) DO21(f, "v0", "v1", a, b) DO11(f, "v2", c)
#define SINGLE2(f, a, b) DO21(f, "v0", "v1", a, b)

#define WEIGHTS4                                                                                   \
    "ldp q0, q1, [%[w]], #128\n\tldp q2, q3, [%[w], #-96]\n\t"                                     \
    "ldp q4, q5, [%[w], #-64]\n\tldp q6, q7, [%[w], #-32]\n\t"
#define WEIGHTS3                                                                                   \
    "ldp q0, q1, [%[w]], #96\n\tldr q2, [%[w], #-64]\n\t"                                          \
    "ldp q4, q5, [%[w], #-48]\n\tldr q6, [%[w], #-16]\n\t"
#define WEIGHTS2 "ldp q0, q1, [%[w]], #64\n\tldp q4, q5, [%[w], #-32]\n\t"
#define LAST_WEIGHTS4 "ldp q0, q1, [%[w]]\n\tldp q2, q3, [%[w], #32]\n\t"
#define LAST_WEIGHTS3 "ldp q0, q1, [%[w]]\n\tldr q2, [%[w], #32]\n\t"
#define LAST_WEIGHTS2 "ldp q0, q1, [%[w]]\n\t"

// Loads one row's activations and goes on to the next row, or back to the first one's next steps.
#define PLAIN_ROW "ld1r {v12.8h}, [%[a]], #2\n\tld1r {v13.8h}, [%[a]], %[down]\n\t"
#define PLAIN_BACK "ld1r {v12.8h}, [%[a]], #2\n\tld1r {v13.8h}, [%[a]], %[back]\n\t"
#define PLAIN_SINGLE "ld1r {v12.8h}, [%[a]], %[stride]\n\t"
#define EXPANDED_ROW "ldp q12, q13, [%[a]], #32\n\t"
#define EXPANDED_SINGLE "ldr q12, [%[a]], #16\n\t"

#define STEPS4X4(f, row, back)                                                                     \
    WEIGHTS4 row ROW4(f, "0", "1", "2", "3") row ROW4(f, "4", "5", "6", "7") row ROW4(             \
        f, "8", "9", "10", "11") back                                                              \
    ROW4(f, "12", "13", "14", "15")
#define LAST4X4(row)                                                                               \
    LAST_WEIGHTS4 row SINGLE4(NEXT, "0", "1", "2", "3") row SINGLE4(NEXT, "4", "5", "6", "7") row  \
    SINGLE4(NEXT, "8", "9", "10", "11") row                                                        \
    SINGLE4(NEXT, "12", "13", "14", "15")
#define STEPS4X3(f, row, back)                                                                     \
    WEIGHTS3 row ROW3(f, "0", "1", "2") row ROW3(f, "3", "4", "5") row ROW3(f, "6", "7", "8") back \
    ROW3(f, "9", "10", "11")
#define LAST4X3(row)                                                                               \
    LAST_WEIGHTS3 row SINGLE3(NEXT, "0", "1", "2") row SINGLE3(NEXT, "3", "4", "5") row SINGLE3(   \
        NEXT, "6", "7", "8") row                                                                   \
    SINGLE3(NEXT, "9", "10", "11")
#define STEPS8X2(f, row, back)                                                                     \
    WEIGHTS2 row ROW2(f, "0", "1") row ROW2(f, "2", "3") row ROW2(f, "4", "5") row ROW2(f, "6",    \
                                                                                        "7") row   \
    ROW2(f, "8", "9") row                                                                          \
    ROW2(f, "10", "11") row                                                                        \
    ROW2(f, "12", "13") back                                                                       \
    ROW2(f, "14", "15")
#define LAST8X2(row)                                                                               \
    LAST_WEIGHTS2 row SINGLE2(NEXT, "0", "1") row SINGLE2(NEXT, "2", "3") row SINGLE2(NEXT, "4",   \
                                                                                      "5") row     \
    SINGLE2(NEXT, "6", "7") row                                                                    \
    SINGLE2(NEXT, "8", "9") row                                                                    \
    SINGLE2(NEXT, "10", "11") row                                                                  \
    SINGLE2(NEXT, "12", "13") row                                                                  \
    SINGLE2(NEXT, "14", "15")

#define LOOP(TILE, ROW, BACK, LAST, ...)                                                           \
    __asm__(TILE(FIRST, ROW, BACK) "b 2f\n\t"                                                      \
                                   "1:\n\t" TILE(NEXT, ROW, BACK) "2:\n\t"                         \
                                                                  "cmp %[w], %[end]\n\t"           \
                                                                  "b.ne 1b\n\t"                    \
                                                                  "cbz %[single], 3f\n\t" LAST     \
                                                                  "3:"                             \
            : __VA_ARGS__, [w] "+r"(w), [a] "+r"(a)                                                \
            : [end] "r"(end), [stride] "r"(stride), [down] "r"(stride - 2), [back] "r"(back),      \
              [single] "r"(steps % 2)                                                              \
            : "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",   \
              "v11", "v12", "v13")
#define OUT2(r) "=&w"(count[r][0]), "=&w"(count[r][1])
#define OUT3(r) OUT2(r), "=&w"(count[r][2])
#define OUT4(r) OUT3(r), "=&w"(count[r][3])

typedef uint16_t __attribute__((may_alias)) row_lane; // a quarter of a row's word

// Ternary rows, and tiles that have no loop of their own.
ALWAYS_INLINE void count_plain(bool ternary, size_t rows, size_t vectors, size_t steps,
                               const count_rows *from, const uint8_t *w,
                               uint16x8_t count[MAX_TILE_ROWS][4]) {
    const size_t stride = from->stride / sizeof(row_lane);
    const row_lane *a = (const row_lane *)(const void *)from->a;
    const row_lane *mask = (const row_lane *)(const void *)from->mask;
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t v = 0; v < vectors; v++) count[r][v] = vdupq_n_u16(0);
    }
    for (size_t i = 0; i < steps; i++, w += 16 * vectors) {
        uint8x16_t weight[4];
        UNROLL for (size_t v = 0; v < vectors; v++) weight[v] = vld1q_u8(w + 16 * v);
        UNROLL for (size_t r = 0; r < rows; r++) {
            const uint8x16_t code = vreinterpretq_u8_u16(vdupq_n_u16(a[r * stride + i]));
            const uint8x16_t used = vreinterpretq_u8_u16(
                vdupq_n_u16(ternary ? mask[r * stride + i] : (uint16_t)UINT16_MAX));
            UNROLL for (size_t v = 0; v < vectors; v++) {
                const uint8x16_t x = ternary ? vandq_u8(weight[v], used) : weight[v];
                count[r][v] = vpadalq_u8(count[r][v], vcntq_u8(veorq_u8(x, code)));
            }
        }
    }
}

// count[r][v] = popcount(a[r] XOR w) of 8 channels, of ternary rows inside the mask. A step is 16 bits of
// k; w: [steps][vectors][8] lanes.
ALWAYS_INLINE void count_tile(bool ternary, size_t rows, size_t vectors, size_t steps,
                              const count_rows *from, const uint8_t *w,
                              uint16x8_t count[MAX_TILE_ROWS][4]) {
    const uint8_t *const end = w + steps / 2 * vectors * 32;
    const uint8_t *a = from->a;
    const size_t stride = from->stride;
    const size_t back = 2 - (rows - 1) * stride;
    if (ternary || steps < 2) {
        count_plain(ternary, rows, vectors, steps, from, w, count);
    } else if (rows == 4 && vectors == 4 && from->expanded) {
        LOOP(STEPS4X4, EXPANDED_ROW, EXPANDED_ROW, LAST4X4(EXPANDED_SINGLE), OUT4(0), OUT4(1),
             OUT4(2), OUT4(3));
    } else if (rows == 4 && vectors == 4) {
        LOOP(STEPS4X4, PLAIN_ROW, PLAIN_BACK, LAST4X4(PLAIN_SINGLE), OUT4(0), OUT4(1), OUT4(2),
             OUT4(3));
    } else if (rows == 4 && vectors == 3) {
        LOOP(STEPS4X3, PLAIN_ROW, PLAIN_BACK, LAST4X3(PLAIN_SINGLE), OUT3(0), OUT3(1), OUT3(2),
             OUT3(3));
    } else if (rows == 8 && vectors == 2) {
        LOOP(STEPS8X2, PLAIN_ROW, PLAIN_BACK, LAST8X2(PLAIN_SINGLE), OUT2(0), OUT2(1), OUT2(2),
             OUT2(3), OUT2(4), OUT2(5), OUT2(6), OUT2(7));
    } else {
        count_plain(false, rows, vectors, steps, from, w, count);
    }
}

#endif
