// Squared distances and the k nearest for every kernel set. A vector set's file includes this after
// f32_gemm.h, whose vectors it uses, and after it has defined
//     vf_sub(a, b) vf_mul(a, b) vf_add(a, b)    each rounded by itself
//     vf_min(a, b)       a < b ? a : b, so b when one of them is NaN
// Portable C has no F32_LANES. Every distance is one chain over the channels in order and every list
// is in the order of (distance, index), so all sets agree in every bit.
#ifndef XNOR_KERNELS_NEAREST_H
#define XNOR_KERNELS_NEAREST_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernels/inline.h"
#include "kernels/kernels.h"

#if defined(F32_LANES)

// Tile: NEAREST_ROWS queries x NEAREST_VECTORS vectors of points. Per channel and vector a
// subtraction, a product and a sum; every other difference is taken as q + x·(-1), the same number,
// because adders and multipliers are different pipes on some machines. Limited by the vector pipes.
#define NEAREST_VECTORS (F32_LANES == 8 ? 2 : 4)
#define NEAREST_ROWS (F32_LANES == 16 ? 6 : 4)
#define NEAREST_MAX_ROWS 6
#define NEAREST_MAX_VECTORS 4

ALWAYS_INLINE void distance_tile(size_t rows, size_t channels, const float *query,
                                 size_t query_stride, const float *points, float *d,
                                 size_t d_stride) {
    const vf minus_one = vf_set1(-1.0f);
    const vf infinite = vf_set1(INFINITY);
    vf sum[NEAREST_MAX_ROWS][NEAREST_MAX_VECTORS];
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t v = 0; v < NEAREST_VECTORS; v++) sum[r][v] = vf_zero();
    }
    for (size_t c = 0; c < channels; c++) {
        vf x[NEAREST_MAX_VECTORS];
        UNROLL for (size_t v = 0; v < NEAREST_VECTORS; v++) {
            x[v] = vf_load(points + c * XNOR_PANEL + v * F32_LANES);
        }
        UNROLL for (size_t r = 0; r < rows; r++) {
            const vf q = vf_set1(query[r * query_stride + c]);
            UNROLL for (size_t v = 0; v < NEAREST_VECTORS; v++) {
                const vf difference = v % 2 ? vf_sub(q, x[v]) : vf_fma(x[v], minus_one, q);
                sum[r][v] = vf_add(sum[r][v], vf_mul(difference, difference));
            }
        }
    }
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t v = 0; v < NEAREST_VECTORS; v++) {
            vf_store(d + r * d_stride + v * F32_LANES, vf_min(sum[r][v], infinite));
        }
    }
}

static void distances_f32(size_t rows, size_t panels, size_t channels, const float *query,
                          size_t query_stride, const float *points, float *d, size_t d_stride) {
    for (size_t panel = 0; panel < panels; panel++) {
        for (size_t j = 0; j < XNOR_PANEL; j += NEAREST_VECTORS * F32_LANES) {
            const float *x = points + panel * XNOR_PANEL * channels + j;
            float *out = d + panel * XNOR_PANEL + j;
            size_t row = 0;
            for (; row + NEAREST_ROWS <= rows; row += NEAREST_ROWS) {
                distance_tile(NEAREST_ROWS, channels, query + row * query_stride, query_stride, x,
                              out + row * d_stride, d_stride);
            }
            for (; row < rows; row++) {
                distance_tile(1, channels, query + row * query_stride, query_stride, x,
                              out + row * d_stride, d_stride);
            }
        }
    }
}

#define MAX_MINIMA 256

ALWAYS_INLINE size_t count_up_to(size_t n, const float *d, float limit) {
    const vf largest = vf_set1(limit);
    size_t count = 0;
    for (size_t j = 0; j < n; j += F32_LANES) {
        count +=
            (size_t)__builtin_popcountll(vf_ge0(vf_fma(vf_load(d + j), vf_set1(-1.0f), largest)));
    }
    return count;
}

// A number that at least k of d[n] do not exceed, and not many more: the minima of disjoint sets of
// elements are taken, of which k must be as small. Infinite when n is too small for that.
static float upper_bound(size_t n, const float *d, size_t k) {
    _Alignas(64) float minima[MAX_MINIMA];
    const size_t count = k <= 32 ? 64 : MAX_MINIMA;
    if (k > count / 2 || n < 2 * count) return INFINITY;
    for (size_t i = 0; i < count; i += F32_LANES) {
        vf least = vf_load(d + i);
        for (size_t j = count + i; j + F32_LANES <= n; j += count) {
            least = vf_min(least, vf_load(d + j));
        }
        vf_store(minima + i, least);
    }
    // Bisection over the bits of floats that are not negative, which are in the order of the floats.
    uint32_t low = 0;
    uint32_t high = 0x7F800000u;
    for (size_t step = 0; step < 16; step++) {
        const uint32_t middle = low + (high - low) / 2;
        float limit;
        memcpy(&limit, &middle, sizeof limit);
        const size_t found = count_up_to(count, minima, limit);
        if (found < k) {
            low = middle;
            continue;
        }
        high = middle;
        if (found == k) break;
    }
    float bound;
    memcpy(&bound, &high, sizeof bound);
    return bound;
}

#endif

// Puts point `index` behind all that are as near.
ALWAYS_INLINE void insert_nearest(float value, int64_t index, size_t k, size_t *found,
                                  float *values, int64_t *nearest) {
    size_t at = *found < k ? (*found)++ : k - 1;
    for (; at > 0 && values[at - 1] > value; at--) {
        values[at] = values[at - 1];
        nearest[at] = nearest[at - 1];
    }
    values[at] = value;
    nearest[at] = index;
}

#if defined(F32_LANES)

#define MAX_CANDIDATES 128
typedef int64_t vi64 __attribute__((vector_size(F32_LANES * 4)));
#define I64_LANES (F32_LANES / 2)

// Fills an empty list from `count` >= k candidates in the order of their indices. Each one's place
// is the number of those before it: compared with all others, without a branch to mispredict.
static void sort_candidates(size_t count, const float *d, const int64_t *indices, size_t k,
                            float *values, int64_t *nearest) {
    _Alignas(64) int64_t keys[MAX_CANDIDATES];
    _Alignas(64) int64_t places[MAX_CANDIDATES];
    float sorted[MAX_CANDIDATES];
    int64_t names[MAX_CANDIDATES];
    // Floats that are not negative are in the order of their bits; the index decides among equals.
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, d + i, sizeof bits);
        keys[i] = (int64_t)((uint64_t)bits << 32 | i);
    }
    for (size_t i = count; i % I64_LANES; i++) keys[i] = INT64_MAX;
    for (size_t i = 0; i < count; i += I64_LANES) {
        vi64 own;
        vi64 before = {0};
        memcpy(&own, keys + i, sizeof own);
        for (size_t j = 0; j < count; j++) before -= keys[j] < own;
        memcpy(places + i, &before, sizeof before);
    }
    for (size_t i = 0; i < count; i++) {
        sorted[places[i]] = d[i];
        names[places[i]] = indices[i];
    }
    memcpy(values, sorted, k * sizeof *values);
    memcpy(nearest, names, k * sizeof *nearest);
}

ALWAYS_INLINE uint64_t not_above(const float *d, float limit) {
    const vf largest = vf_set1(limit);
    uint64_t mask = 0;
    UNROLL for (size_t i = 0; i < 64; i += F32_LANES) {
        mask |= vf_ge0(vf_fma(vf_load(d + i), vf_set1(-1.0f), largest)) << i;
    }
    return mask;
}

// Begins the list with what the bound leaves of d[n]; false when that is too much to be sorted at
// once.
static bool begin_list(size_t n, const float *d, size_t k, float *values, int64_t *nearest) {
    const float limit = upper_bound(n, d, k);
    float candidates[MAX_CANDIDATES];
    int64_t indices[MAX_CANDIDATES];
    size_t count = 0;
    if (!(limit < INFINITY)) return false;
    for (size_t j = 0; j < n; j += 64) {
        uint64_t mask = 0;
        if (j + 64 <= n)
            mask = not_above(d + j, limit);
        else
            for (size_t i = j; i < n; i++) mask |= (uint64_t)(d[i] <= limit) << (i - j);
        if (count + (size_t)__builtin_popcountll(mask) > MAX_CANDIDATES) return false;
        for (; mask; mask &= mask - 1) {
            const size_t at = j + (size_t)__builtin_ctzll(mask);
            candidates[count] = d[at];
            indices[count++] = (int64_t)at;
        }
    }
    sort_candidates(count, candidates, indices, k, values, nearest);
    return true;
}

#endif

static void nearest_f32(size_t n, const float *d, size_t first, size_t k, float *values,
                        int64_t *nearest) {
    size_t found = first < k ? first : k;
    size_t j = 0;
#if defined(F32_LANES)
    if (first == 0 && begin_list(n, d, k, values, nearest)) return;
    for (; j + 64 <= n; j += 64) {
        const bool full = found == k && values[k - 1] < INFINITY; // inf - inf would be no number
        uint64_t mask = full ? not_above(d + j, values[k - 1]) : ~UINT64_C(0);
        for (; mask; mask &= mask - 1) {
            const size_t at = j + (size_t)__builtin_ctzll(mask);
            if (found < k || d[at] < values[k - 1])
                insert_nearest(d[at], (int64_t)(first + at), k, &found, values, nearest);
        }
    }
#endif
    for (; j < n; j++)
        if (found < k || d[j] < values[k - 1])
            insert_nearest(d[j], (int64_t)(first + j), k, &found, values, nearest);
}

#if !defined(F32_LANES)

static void distances_f32(size_t rows, size_t panels, size_t channels, const float *query,
                          size_t query_stride, const float *points, float *d, size_t d_stride) {
    for (size_t row = 0; row < rows; row++) {
        for (size_t j = 0; j < panels * XNOR_PANEL; j++) {
            const float *x = points + j / XNOR_PANEL * XNOR_PANEL * channels + j % XNOR_PANEL;
            float sum = 0;
            for (size_t c = 0; c < channels; c++) {
                const float difference = query[row * query_stride + c] - x[c * XNOR_PANEL];
                const float square = difference * difference;
                sum = sum + square;
            }
            d[row * d_stride + j] = isnan(sum) ? INFINITY : sum;
        }
    }
}

#endif

#endif
