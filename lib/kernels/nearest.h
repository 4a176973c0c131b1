// Squared distances and the k nearest for every kernel set. A vector set's file includes this after
// f32_gemm.h, whose vectors it uses, and after it has defined
//     vf_sub(a, b)
//     vf_min(a, b)       a < b ? a : b, so b when one of them is NaN
// Portable C has no F32_LANES. Distances in float32 are one chain of fma over the channels in order;
// they only say which points are worth a look. Lists are in the order of (distance, index) by distances
// in double that are rounded once, so all sets agree in every bit.
#ifndef XNOR_KERNELS_NEAREST_H
#define XNOR_KERNELS_NEAREST_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernels/inline.h"
#include "kernels/kernels.h"

// What a distance in float32 may be at most while the one rounded from double is not above `value`, or
// not above that of a point whose distance in float32 is `value`.
//
// With u = 2^-24, n channels and d the true distance, the float32 one is within d·(1 ± g), g = (n + 2)·u
// / (1 - (n + 2)·u): a difference counts twice in its square, then n fma round once each. Terms too small
// for a normal number add at most n·2^-150. The order of exact distances is also that of the rounded
// ones, up to u. So from `value` to another point's distance in float32 it is at most a factor of
// (1 + g) / (1 - g)·(1 + u)² <= 1 + (4n + 32)·u for n < 2^20, some of which is for the rounding here.
static inline float filter_limit(float value, size_t channels) {
    const double count = (double)channels;
    const double limit = (double)value * (1 + (2 * count + 16) * 0x1p-23) + count * 0x1p-145;
    // What is beyond FLT_MAX in float32 may not be in double.
    return channels < 1 << 20 && limit < 0.5 * (double)FLT_MAX ? (float)limit : INFINITY;
}

#if defined(F32_LANES)

// Tile: NEAREST_ROWS queries x NEAREST_VECTORS vectors of points. Per channel and vector a
// subtraction and an fma, for which some machines have different pipes. Limited by the vector pipes.
// An fma alone would do for |p|² - 2·qp, but that loses the distances of points far from the origin.
#define NEAREST_VECTORS (F32_LANES == 8 ? 2 : 4)
#define NEAREST_ROWS (F32_LANES == 16 ? 6 : 4)
#define NEAREST_MAX_ROWS 6
#define NEAREST_MAX_VECTORS 4

ALWAYS_INLINE void distance_tile(size_t rows, size_t channels, const float *query,
                                 size_t query_stride, const float *points, float *d,
                                 size_t d_stride) {
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
                const vf difference = vf_sub(q, x[v]);
                sum[r][v] = vf_fma(difference, difference, sum[r][v]);
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
    size_t count = 0, j = 0;
    for (; j + F32_LANES <= n; j += F32_LANES) {
        count +=
            (size_t)__builtin_popcountll(vf_ge0(vf_fma(vf_load(d + j), vf_set1(-1.0f), largest)));
    }
    for (; j < n; j++) count += d[j] <= limit;
    return count;
}

// A number that at least k of d[n] do not exceed, and not many more, by bisection over the bits of
// floats that are not negative, which are in the order of the floats.
ALWAYS_INLINE float bisect(size_t n, const float *d, size_t k) {
    uint32_t low = 0;
    uint32_t high = 0x7F800000u;
    for (size_t step = 0; step < 16; step++) {
        const uint32_t middle = low + (high - low) / 2;
        float limit;
        memcpy(&limit, &middle, sizeof limit);
        const size_t found = count_up_to(n, d, limit);
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

// The same number from less work for few of many: the minima of `count` disjoint sets of elements are
// taken, of which k must be as small. 2·count <= n.
ALWAYS_INLINE float bisect_minima(size_t n, const float *d, size_t k, size_t count) {
    _Alignas(64) float minima[MAX_MINIMA];
    for (size_t i = 0; i < count; i += F32_LANES) {
        vf least = vf_load(d + i);
        for (size_t j = count + i; j + F32_LANES <= n; j += count) {
            least = vf_min(least, vf_load(d + j));
        }
        vf_store(minima + i, least);
    }
    return bisect(count, minima, k);
}

// Infinite when there are fewer than k.
static float upper_bound(size_t n, const float *d, size_t k) {
    if (k > n) return INFINITY;
    if (k <= 32 && n >= 128) return bisect_minima(n, d, k, 64);
    if (k <= MAX_MINIMA / 2 && n >= 2 * MAX_MINIMA) return bisect_minima(n, d, k, MAX_MINIMA);
    return bisect(n, d, k);
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

#define MAX_CANDIDATES 256

#if defined(F32_LANES)

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

#endif

typedef double vd8 __attribute__((vector_size(64)));
typedef float vf8 __attribute__((vector_size(32)));

// The distances that lists are ordered by: channel c is added to sum c mod 8, in double. Per row and 8
// channels a load that widens, a subtraction, a product and a sum; limited by the vector pipes.
ALWAYS_INLINE void exact_rows(size_t rows, size_t channels, const float *query, const float *points,
                              const int64_t *indices, float *exact) {
    vd8 sums[4];
    const float *x[4];
    size_t c = 0;
    UNROLL for (size_t r = 0; r < rows; r++) {
        sums[r] = (vd8){0};
        x[r] = points + (size_t)indices[r] * channels;
    }
    for (; c + 8 <= channels; c += 8) {
        vf8 narrow;
        memcpy(&narrow, query + c, sizeof narrow);
        const vd8 q = __builtin_convertvector(narrow, vd8);
        UNROLL for (size_t r = 0; r < rows; r++) {
            memcpy(&narrow, x[r] + c, sizeof narrow);
            const vd8 difference = q - __builtin_convertvector(narrow, vd8);
            sums[r] += difference * difference;
        }
    }
    UNROLL for (size_t r = 0; r < rows; r++) {
        double s[8];
        memcpy(s, &sums[r], sizeof s);
        for (size_t i = c; i < channels; i++) {
            const double difference = (double)query[i] - (double)x[r][i];
            s[i - c] += difference * difference;
        }
        const double sum = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
        exact[r] = isnan(sum) ? INFINITY : (float)sum;
    }
}

// A query's list and the points that are offered to it, of which x[0] is number `first`.
typedef struct nearest_list {
    size_t channels, first, k, found;
    const float *query, *x; // [channels], [..][channels]
    float *values;          // [k]
    int64_t *nearest;       // [k]
} nearest_list;

// Offers x[indices[i]], in rising order; replaces `indices` by the points' numbers.
static void offer(nearest_list *list, size_t count, int64_t *indices) {
    float exact[MAX_CANDIDATES];
    size_t i = 0;
    for (; list->channels == 3 && i + 4 <= count; i += 4) // loops that are unrolled
        exact_rows(4, 3, list->query, list->x, indices + i, exact + i);
    for (; i + 4 <= count; i += 4)
        exact_rows(4, list->channels, list->query, list->x, indices + i, exact + i);
    for (; i < count; i++)
        exact_rows(1, list->channels, list->query, list->x, indices + i, exact + i);
    for (i = 0; i < count; i++) indices[i] += (int64_t)list->first;
#if defined(F32_LANES)
    if (list->found == 0 && count >= list->k) {
        sort_candidates(count, exact, indices, list->k, list->values, list->nearest);
        list->found = list->k;
        return;
    }
#endif
    for (i = 0; i < count; i++)
        if (list->found < list->k || exact[i] < list->values[list->k - 1])
            insert_nearest(exact[i], indices[i], list->k, &list->found, list->values,
                           list->nearest);
}

// The limit that points have to keep to enter the list.
static float list_limit(const nearest_list *list) {
    if (list->found < list->k) return INFINITY;
    return filter_limit(list->values[list->k - 1], list->channels);
}

// Bit i: d[i] <= limit.
ALWAYS_INLINE uint64_t candidates_of(size_t n, const float *d, float limit) {
    uint64_t mask = 0;
#if defined(F32_LANES)
    if (n >= 64 && limit < INFINITY) return not_above(d, limit); // inf - inf would be no number
#endif
    for (size_t i = 0; i < n && i < 64; i++) mask |= (uint64_t)(d[i] <= limit) << i;
    return mask;
}

static void nearest_f32(size_t n, size_t channels, const float *query, const float *x,
                        const float *d, size_t first, size_t k, float *values, int64_t *nearest) {
    nearest_list list = {channels, first, k, first < k ? first : k, query, x, values, nearest};
    const uint64_t guard = (uint64_t)1 << 63; // no bit left: some place, which is overwritten
    int64_t indices[MAX_CANDIDATES + 3];
    size_t count = 0;
    float limit = list_limit(&list);
#if defined(F32_LANES)
    if (list.found < k) limit = filter_limit(upper_bound(n, d, k), channels);
#endif
    for (size_t j = 0; j < n; j += 64) {
        uint64_t mask = candidates_of(n - j, d + j, limit);
        const size_t stop = count + (size_t)__builtin_popcountll(mask);
        // Four at a time, so that their number is guessed wrongly less often.
        for (; count < stop; count += 4) {
            UNROLL for (size_t i = 0; i < 4; i++) {
                indices[count + i] = (int64_t)j + __builtin_ctzll(mask | guard);
                mask &= mask - 1;
            }
        }
        count = stop;
        if (count + 64 <= MAX_CANDIDATES) continue;
        offer(&list, count, indices);
        count = 0;
        const float least = list_limit(&list);
        limit = least < limit ? least : limit;
    }
    offer(&list, count, indices);
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
                sum = fmaf(difference, difference, sum);
            }
            d[row * d_stride + j] = isnan(sum) ? INFINITY : sum;
        }
    }
}

#endif

#endif
