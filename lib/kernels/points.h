// Farthest point sampling and ball query for every kernel set. A vector set's file includes this
// after it has defined the vectors of f32_gemm.h and
//     vf_sub(a, b) vf_mul(a, b) vf_add(a, b)
//     vf_min(a, b)       a < b ? a : b, lane by lane: b where a is not a number
//     vf_max(a, b)       of lanes that are numbers
//     vf_lt(a, b)        bit i = lane i of a is below that of b
// portable C has no F32_LANES. A squared distance is ((dx² + dy²) + dz²), each operation rounded, so
// all sets agree in every bit, and with numpy or PyTorch.
//
// Per point: 3 loads and 8 operations; limited by the vector pipes while the coordinates are in L1.
#ifndef XNOR_KERNELS_POINTS_H
#define XNOR_KERNELS_POINTS_H

#include "kernels/inline.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

static float point_distance(const float *x, size_t stride, const float *query, size_t j) {
    const float dx = query[0] - x[j], dy = query[1] - x[stride + j],
                dz = query[2] - x[2 * stride + j];
    const float xx = dx * dx, yy = dy * dy, zz = dz * dz;
    return (xx + yy) + zz;
}

#if defined(F32_LANES)
ALWAYS_INLINE vf vf_point_distance(const float *x, size_t stride, const vf *query, size_t j) {
    const vf dx = vf_sub(query[0], vf_load(x + j));
    const vf dy = vf_sub(query[1], vf_load(x + stride + j));
    const vf dz = vf_sub(query[2], vf_load(x + 2 * stride + j));
    return vf_add(vf_add(vf_mul(dx, dx), vf_mul(dy, dy)), vf_mul(dz, dz));
}
#endif

// nearest[j] = min(nearest[j], squared distance of point j to the query); returns the lowest j with
// the largest nearest[j]. x: [3][stride].
static size_t farthest_f32(size_t n, const float *x, size_t stride, const float *query,
                           float *nearest) {
    float largest = -1;
    size_t j = 0;
#if defined(F32_LANES)
    enum { WIDE = 2 * F32_LANES };
    const vf q[3] = {vf_set1(query[0]), vf_set1(query[1]), vf_set1(query[2])};
    vf most[2] = {vf_set1(-1.0f), vf_set1(-1.0f)};
    for (; j + WIDE <= n; j += WIDE) {
        UNROLL for (size_t v = 0; v < 2; v++) {
            const size_t at = j + v * F32_LANES;
            const vf d = vf_min(vf_point_distance(x, stride, q, at), vf_load(nearest + at));
            vf_store(nearest + at, d);
            most[v] = vf_max(most[v], d);
        }
    }
    float lanes[F32_LANES];
    vf_store(lanes, vf_max(most[0], most[1]));
    UNROLL for (size_t i = 0; i < F32_LANES; i++) {
        largest = lanes[i] > largest ? lanes[i] : largest;
    }
#endif
    for (; j < n; j++) {
        const float d = point_distance(x, stride, query, j);
        if (d < nearest[j]) nearest[j] = d;
        if (nearest[j] > largest) largest = nearest[j];
    }
    size_t i = 0;
#if defined(F32_LANES)
    const vf all = vf_set1(largest);
    for (; i + WIDE <= n; i += WIDE) {
        const uint64_t below = vf_lt(vf_load(nearest + i), all) |
                               vf_lt(vf_load(nearest + i + F32_LANES), all) << F32_LANES;
        const uint64_t at = ~below & (((uint64_t)1 << WIDE) - 1);
        if (at) return i + (size_t)__builtin_ctzll(at);
    }
#endif
    while (i < n && nearest[i] < largest) i++;
    return i;
}

// Appends the places of the bits set in `near`, at most k in all; returns the new count. Four at a
// time, so that the number of bits is guessed wrongly less often.
ALWAYS_INLINE size_t append_places(uint64_t near, int64_t first, size_t k, int64_t *found,
                                   size_t count) {
    const size_t stop = count + (size_t)__builtin_popcountll(near);
    const uint64_t guard = (uint64_t)1 << 63; // no bit left: some place, which is overwritten
    for (; count < stop && count + 4 <= k; count += 4) {
        UNROLL for (size_t i = 0; i < 4; i++) {
            found[count + i] = first + __builtin_ctzll(near | guard);
            near &= near - 1;
        }
    }
    if (count >= stop) return stop;
    for (; near && count < k; near &= near - 1) found[count++] = first + __builtin_ctzll(near);
    return count;
}

// Writes the first k points, in index order, whose squared distance to the query is below the limit;
// returns how many there are. What is behind them in found[k] is undefined. x: [3][stride].
static size_t within_f32(size_t n, const float *x, size_t stride, const float *query, float limit,
                         size_t k, int64_t *found) {
    size_t j = 0, count = 0;
#if defined(F32_LANES)
    const vf q[3] = {vf_set1(query[0]), vf_set1(query[1]), vf_set1(query[2])};
    const vf most = vf_set1(limit);
    for (; j + 64 <= n && count < k; j += 64) {
        uint64_t near = 0;
        UNROLL for (size_t v = 0; v < 64; v += F32_LANES) {
            near |= vf_lt(vf_point_distance(x, stride, q, j + v), most) << v;
        }
        count = append_places(near, (int64_t)j, k, found, count);
    }
#endif
    while (j < n && count < k) {
        uint64_t near = 0;
        const size_t block = n - j < 64 ? n - j : 64;
        for (size_t i = 0; i < block; i++)
            near |= (uint64_t)(point_distance(x, stride, query, j + i) < limit) << i;
        count = append_places(near, (int64_t)j, k, found, count);
        j += block;
    }
    return count;
}

#endif
