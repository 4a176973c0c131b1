// Squared distances and the k nearest for every kernel set. A vector set's file includes this after
// f32_gemm.h, whose vectors it uses, and after it has defined
//     vf_sub(a, b), vf_mul(a, b)
//     vi, vi_zero()      F32_LANES sums in int32
//     vpairs             as many pairs of int16; vpairs_load(p), vpairs_same(p): the same pair in all lanes
//     vi_dot(sum, a, b)  plus the products of both halves of the pairs
//     vi_norms_minus_twice(norm, norms, sum): norm + norms[] - 2·sum in float32
//     vf_lt(a, b)        bit i: lane i of a is less than that of b
//     vf_min(a, b)       a < b ? a : b, so b when one of them is NaN
// and, where it can, vf_append_not_above as append_candidates below, vd8_widen(x): x[8] in double, and
// vi64_count_below(counts, key, keys): counts, one more where key is less than that of keys.
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
// not above that of a point whose distance in float32 is `value`. All distances are squared.
//
// With u = 2^-24, n channels and d the true distance, the float32 one is within d·(1 ± g), g = (n + 2)·u
// / (1 - (n + 2)·u): a difference counts twice in its square, then n fma round once each. Terms too small
// for a normal number add at most n·2^-150. The order of exact distances is also that of the rounded
// ones, up to u. So from `value` to another point's distance in float32 it is at most a factor of
// (1 + g) / (1 - g)·(1 + u)² <= 1 + (4n + 32)·u for n < 2^20, some of which is for the rounding here.
// slack: how far the root of a distance in float32 may be from that of the true one besides; from one
// point's to another's it counts twice.
static inline float filter_limit(float value, size_t channels, float slack) {
    const double count = (double)channels;
    const double root = slack > 0 ? sqrt((double)value) + 2 * (double)slack : 0;
    const double moved = slack > 0 ? root * root : (double)value;
    const double limit = moved * (1 + (2 * count + 16) * 0x1p-23) + count * 0x1p-145;
    // What is beyond FLT_MAX in float32 may not be in double.
    return channels < 1 << 20 && limit < 0.5 * (double)FLT_MAX ? (float)limit : INFINITY;
}

#if defined(F32_LANES)

// Tile: NEAREST_ROWS queries x NEAREST_VECTORS vectors of points. Per channel and vector a
// subtraction and an fma, for which some machines have different pipes. Limited by the vector pipes.
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

// The same tile of codes: per pair of channels and vector one multiply-add of pairs.
ALWAYS_INLINE void code_tile(size_t rows, size_t pairs, const int16_t *query,
                             const int32_t *query_norm, const int16_t *points,
                             const int32_t *point_norm, float scale, float *d, size_t d_stride) {
    vi sum[NEAREST_MAX_ROWS][NEAREST_MAX_VECTORS];
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t v = 0; v < NEAREST_VECTORS; v++) sum[r][v] = vi_zero();
    }
    for (size_t p = 0; p < pairs; p++) {
        vpairs x[NEAREST_MAX_VECTORS];
        UNROLL for (size_t v = 0; v < NEAREST_VECTORS; v++) {
            x[v] = vpairs_load(points + 2 * (p * XNOR_PANEL + v * F32_LANES));
        }
        UNROLL for (size_t r = 0; r < rows; r++) {
            const vpairs q = vpairs_same(query + 2 * (r * pairs + p));
            UNROLL for (size_t v = 0; v < NEAREST_VECTORS; v++) {
                sum[r][v] = vi_dot(sum[r][v], x[v], q);
            }
        }
    }
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t v = 0; v < NEAREST_VECTORS; v++) {
            const vf integer =
                vi_norms_minus_twice(query_norm[r], point_norm + v * F32_LANES, sum[r][v]);
            vf_store(d + r * d_stride + v * F32_LANES, vf_mul(integer, vf_set1(scale)));
        }
    }
}

static void code_distances(size_t rows, size_t panels, size_t pairs, const int16_t *query,
                           const int32_t *query_norm, const int16_t *points,
                           const int32_t *point_norm, float scale, float *d, size_t d_stride) {
    for (size_t panel = 0; panel < panels; panel++) {
        for (size_t j = 0; j < XNOR_PANEL; j += NEAREST_VECTORS * F32_LANES) {
            const int16_t *x = points + 2 * (panel * XNOR_PANEL * pairs + j);
            const int32_t *norm = point_norm + panel * XNOR_PANEL + j;
            float *out = d + panel * XNOR_PANEL + j;
            size_t row = 0;
            for (; row + NEAREST_ROWS <= rows; row += NEAREST_ROWS) {
                code_tile(NEAREST_ROWS, pairs, query + 2 * row * pairs, query_norm + row, x, norm,
                          scale, out + row * d_stride, d_stride);
            }
            for (; row < rows; row++) {
                code_tile(1, pairs, query + 2 * row * pairs, query_norm + row, x, norm, scale,
                          out + row * d_stride, d_stride);
            }
        }
    }
}

#define MAX_MINIMA 256

ALWAYS_INLINE size_t count_up_to(size_t n, const float *d, float limit) {
    size_t above = 0;
    size_t j = 0;
    for (; j + F32_LANES <= n; j += F32_LANES) {
        above += (size_t)__builtin_popcountll(vf_lt(vf_set1(limit), vf_load(d + j)));
    }
    for (; j < n; j++) above += d[j] > limit;
    return n - above;
}

// A number that at least k of d[n] do not exceed, and not many more, to one part in 256: by quartering
// the bits of floats that are not negative, which are in the order of the floats. Without a branch that
// depends on what is found.
ALWAYS_INLINE float quarter(size_t n, const float *d, size_t k) {
    uint32_t high = 0x7F800000u; // at least k do not exceed it
    for (uint32_t part = 0x20000000u; part >= 0x8000; part /= 4) {
        uint32_t next = high;
        UNROLL for (uint32_t i = 1; i < 4; i++) {
            const uint32_t bits = high > i * part ? high - i * part : 0;
            float limit;
            memcpy(&limit, &bits, sizeof limit);
            next = count_up_to(n, d, limit) >= k ? bits : next;
        }
        high = next;
    }
    float bound;
    memcpy(&bound, &high, sizeof bound);
    return bound;
}

// The same number from less work for few of many: the minima of `count` disjoint sets of elements are
// taken, of which k must be as small. 2·count <= n.
ALWAYS_INLINE float quarter_minima(size_t n, const float *d, size_t k, size_t count) {
    _Alignas(64) float minima[MAX_MINIMA];
    for (size_t i = 0; i < count; i += F32_LANES) {
        vf least = vf_load(d + i);
        for (size_t j = count + i; j + F32_LANES <= n; j += count) {
            least = vf_min(least, vf_load(d + j));
        }
        vf_store(minima + i, least);
    }
    return quarter(count, minima, k);
}

// Infinite when there are fewer than k.
static float upper_bound(size_t n, const float *d, size_t k) {
    if (k > n) return INFINITY;
    if (k <= 32 && n >= 128) return quarter_minima(n, d, k, 64);
    if (k <= MAX_MINIMA / 2 && n >= 2 * MAX_MINIMA) return quarter_minima(n, d, k, MAX_MINIMA);
    return quarter(n, d, k);
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
static void sort_candidates(size_t count, const float *d, const int32_t *indices, int64_t first,
                            size_t k, float *values, int64_t *nearest) {
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
#if defined(vi64_count_below)
        for (size_t j = 0; j < count; j++) before = vi64_count_below(before, keys[j], own);
#else
        for (size_t j = 0; j < count; j++) before -= keys[j] < own;
#endif
        memcpy(places + i, &before, sizeof before);
    }
    for (size_t i = 0; i < count; i++) {
        sorted[places[i]] = d[i];
        names[places[i]] = first + indices[i];
    }
    memcpy(values, sorted, k * sizeof *values);
    memcpy(nearest, names, k * sizeof *nearest);
}

#if !defined(vf_append_not_above)
ALWAYS_INLINE uint64_t not_above(const float *d, float limit) {
    const vf largest = vf_set1(limit);
    uint64_t mask = 0;
    UNROLL for (size_t i = 0; i < 64; i += F32_LANES) {
        mask |= vf_lt(largest, vf_load(d + i)) << i;
    }
    return ~mask;
}
#endif

#endif

typedef double vd8 __attribute__((vector_size(64)));
typedef double vd4 __attribute__((vector_size(32)));
typedef double vd2 __attribute__((vector_size(16)));
typedef float vf8 __attribute__((vector_size(32)));

ALWAYS_INLINE void widen(const float *x, vd8 *out) {
#if defined(vd8_widen)
    *out = vd8_widen(x);
#else
    vf8 narrow;
    memcpy(&narrow, x, sizeof narrow);
    *out = __builtin_convertvector(narrow, vd8);
#endif
}

// ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))
ALWAYS_INLINE double sum_of(const vd8 *s) {
    vd4 low;
    vd4 high;
    vd2 even;
    vd2 odd;
    memcpy(&low, s, sizeof low);
    memcpy(&high, (const char *)s + sizeof low, sizeof high);
    low += high;
    memcpy(&even, &low, sizeof even);
    memcpy(&odd, (const char *)&low + sizeof even, sizeof odd);
    even += odd;
    return even[0] + even[1];
}

// The distances that lists are ordered by: channel c is added to sum c mod 8, in double. Per row and 8
// channels a load that widens, a subtraction, a product and a sum; limited by the vector pipes.
ALWAYS_INLINE void exact_rows(size_t rows, size_t channels, const float *query, const float *points,
                              const int32_t *indices, float *exact) {
    vd8 sums[4];
    const float *x[4];
    size_t c = 0;
    UNROLL for (size_t r = 0; r < rows; r++) {
        sums[r] = (vd8){0};
        x[r] = points + (size_t)indices[r] * channels;
    }
    for (; c + 8 <= channels; c += 8) {
        vd8 q;
        widen(query + c, &q);
        UNROLL for (size_t r = 0; r < rows; r++) {
            vd8 p;
            widen(x[r] + c, &p);
            sums[r] += (q - p) * (q - p);
        }
    }
    UNROLL for (size_t r = 0; r < rows; r++) {
        if (c < channels) { // through memory
            double s[8];
            memcpy(s, &sums[r], sizeof s);
            for (size_t i = c; i < channels; i++) {
                const double difference = (double)query[i] - (double)x[r][i];
                s[i - c] += difference * difference;
            }
            const double sum = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
            exact[r] = isnan(sum) ? INFINITY : (float)sum;
            continue;
        }
        const double sum = sum_of(&sums[r]);
        exact[r] = isnan(sum) ? INFINITY : (float)sum;
    }
}

// A query's list and the points that are offered to it, of which x[0] is number `first`.
typedef struct nearest_list {
    size_t channels, first, k, found;
    float slack;
    const float *query, *x; // [channels], [..][channels]
    float *values;          // [k]
    int64_t *nearest;       // [k]
} nearest_list;

// Offers x[indices[i]], in rising order.
static void offer(nearest_list *list, size_t count, const int32_t *indices) {
    float exact[MAX_CANDIDATES];
    size_t i = 0;
    for (; list->channels == 3 && i + 4 <= count; i += 4) // loops that are unrolled
        exact_rows(4, 3, list->query, list->x, indices + i, exact + i);
    for (; i + 4 <= count; i += 4)
        exact_rows(4, list->channels, list->query, list->x, indices + i, exact + i);
    for (; i < count; i++)
        exact_rows(1, list->channels, list->query, list->x, indices + i, exact + i);
    const int64_t first = (int64_t)list->first;
#if defined(F32_LANES)
    if (list->found == 0 && count >= list->k) {
        sort_candidates(count, exact, indices, first, list->k, list->values, list->nearest);
        list->found = list->k;
        return;
    }
#endif
    for (i = 0; i < count; i++)
        if (list->found < list->k || exact[i] < list->values[list->k - 1])
            insert_nearest(exact[i], first + indices[i], list->k, &list->found, list->values,
                           list->nearest);
}

// The limit that points have to keep to enter the list.
static float list_limit(const nearest_list *list) {
    if (list->found < list->k) return INFINITY;
    return filter_limit(list->values[list->k - 1], list->channels, list->slack);
}

// Bit i: d[i] <= limit.
ALWAYS_INLINE uint64_t candidates_of(size_t n, const float *d, float limit) {
    uint64_t mask = 0;
#if defined(F32_LANES) && !defined(vf_append_not_above)
    if (n >= 64) return not_above(d, limit);
#endif
    for (size_t i = 0; i < n && i < 64; i++) mask |= (uint64_t)(d[i] <= limit) << i;
    return mask;
}

// Appends `at` + i for every i of the next 64 with d[i] <= limit; returns how many there are then. What is
// behind them, up to 64 places on, is overwritten.
ALWAYS_INLINE size_t append_candidates(size_t n, const float *d, float limit, size_t at,
                                       int32_t *indices, size_t count) {
#if defined(vf_append_not_above)
    if (n >= 64) return vf_append_not_above(d, limit, (int32_t)at, indices, count);
#endif
    const uint64_t guard = (uint64_t)1 << 63; // no bit left: some place, which is overwritten
    uint64_t mask = candidates_of(n, d, limit);
    const size_t stop = count + (size_t)__builtin_popcountll(mask);
    // Four at a time, so that their number is guessed wrongly less often.
    for (; count < stop; count += 4) {
        UNROLL for (size_t i = 0; i < 4; i++) {
            indices[count + i] = (int32_t)at + __builtin_ctzll(mask | guard);
            mask &= mask - 1;
        }
    }
    return stop;
}

static void nearest_f32(size_t n, size_t channels, const float *query, const float *x,
                        const float *d, float slack, size_t first, size_t k, float *values,
                        int64_t *nearest) {
    nearest_list list = {channels, first,  k,      first < k ? first : k, slack, query,
                         x,        values, nearest};
    int32_t indices[MAX_CANDIDATES + 16];
    size_t count = 0;
    float limit = list_limit(&list);
#if defined(F32_LANES)
    if (list.found < k) limit = filter_limit(upper_bound(n, d, k), channels, slack);
#endif
    for (size_t j = 0; j < n; j += 64) {
        count = append_candidates(n - j, d + j, limit, j, indices, count);
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

static void code_distances(size_t rows, size_t panels, size_t pairs, const int16_t *query,
                           const int32_t *query_norm, const int16_t *points,
                           const int32_t *point_norm, float scale, float *d, size_t d_stride) {
    for (size_t row = 0; row < rows; row++) {
        for (size_t j = 0; j < panels * XNOR_PANEL; j++) {
            const int16_t *x = points + 2 * (j / XNOR_PANEL * XNOR_PANEL * pairs + j % XNOR_PANEL);
            int32_t sum = 0;
            for (size_t p = 0; p < pairs; p++)
                for (size_t i = 0; i < 2; i++)
                    sum += query[2 * (row * pairs + p) + i] * x[2 * p * XNOR_PANEL + i];
            d[row * d_stride + j] = (float)(query_norm[row] + point_norm[j] - 2 * sum) * scale;
        }
    }
}

#endif

#endif
