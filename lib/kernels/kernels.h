// The table of compute kernels. xnor_kernels_select fills it with portable C first, then overwrites
// entries with what the CPU offers. Kernels know bits and floats, nothing about graphs.
//
// Bits matrices are [rows][words] of uint64_t, LSB first, bit 1 = +1, bit 0 = -1; the padding bits
// of the last word of a row are 0 in activations and in weights. Strides count elements of the type
// pointed to. Kernels never read or write outside the given ranges and never allocate.
#ifndef XNOR_KERNELS_H
#define XNOR_KERNELS_H

#include "core/status.h"

// Channel ranges given to the gemm family start at a multiple of this and end at one, or at n.
#define XNOR_GEMM_BLOCK 64
// Points whose channels lie side by side for distances_f32.
#define XNOR_PANEL 64

// acc[m][c] = sum over k of ±1 · ±1 = k - 2·popcount(a[m] XOR w[c]).
typedef struct xnor_gemm_args {
    size_t rows;
    size_t k;       // bits per row
    size_t n;       // output channels of the whole layer
    size_t n_begin; // channel range to compute
    size_t n_end;
    const uint64_t *a;    // [rows][a_stride] activation bits
    const uint64_t *mask; // ternary only: non-zero plane, same stride; sign bits outside it are 0
    size_t a_stride;      // in words
    const void *packed;   // from gemm_pack, 64-byte aligned
} xnor_gemm_args;

// The windows of a convolution over a plane of bits. Output pixel (y, x) looks at the taps (ky, kx), input
// pixels (y·stride_h + ky·dilation_h - pad_top, x·stride_w + kx·dilation_w - pad_left), and at the channels
// channel_begin .. channel_begin + channels of each.
typedef struct xnor_patch_args {
    size_t height, width;
    size_t pixel_stride; // words from one pixel to the next
    size_t channel_begin, channels;
    size_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    size_t pad_top, pad_left;
    const uint64_t *plane; // [height][width][pixel_stride]
} xnor_patch_args;

// A binary convolution, and what a set that multiplies maps without unfolding them to rows has prepared for it.
// Bits of a word of an input pixel that go to one word of a window's row, turned to the left.
typedef struct xnor_conv_move {
    uint16_t ky, kx;
    uint32_t word; // of the pixel
    int64_t shift;
    uint64_t mask; // of the word moved to
} xnor_conv_move;

#define XNOR_CONV_MOVES 256
#define XNOR_CONV_WORDS 64

typedef struct xnor_bits_conv {
    xnor_patch_args window;         // its plane is not read
    size_t out_width;               // output pixels of a line
    size_t k, n;                    // of the layer: bits of a window, output channels
    const void *packed;             // from gemm_pack
    uint16_t ends[XNOR_CONV_WORDS]; // of the moves to each word
    xnor_conv_move moves[XNOR_CONV_MOVES];
} xnor_bits_conv;

// What happens to single values v of a map [rows][n], in order.
typedef enum xnor_pointwise_code {
    XNOR_POINTWISE_ADD_SUM,    // v + a[row][channel], int32
    XNOR_POINTWISE_AFFINE,     // fma(v, a[channel], b[channel])
    XNOR_POINTWISE_ADD,        // v + a[row][channel]
    XNOR_POINTWISE_MUL,        // v · a[row][channel]
    XNOR_POINTWISE_CLIP,       // min(high, max(low, v)); NaN stays NaN
    XNOR_POINTWISE_GATE,       // v > 0 ? 1 : 0
    XNOR_POINTWISE_ROUND,      // to the nearest integer, halves to the even one
    XNOR_POINTWISE_LAYER,      // keeps v; from here on v is acc[layer]
    XNOR_POINTWISE_ADD_KEPT,   // v + what LAYER kept
    XNOR_POINTWISE_STORE,      // y[row][channel] = v
    XNOR_POINTWISE_STORE_TILE, // y[row - first][channel] = v
    // Bits, of whole words for each row (padding bits 0); v stays as it is. AT_LEAST: of numbers only.
    XNOR_POINTWISE_SIGNS,           // y: v >= 0
    XNOR_POINTWISE_TERNARY,         // y: v > 0, z: v is not 0
    XNOR_POINTWISE_AT_LEAST,        // y: v >= a[channel]
    XNOR_POINTWISE_AT_LEAST_TERNARY // y: v >= a[channel], z: that or v < b[channel]
} xnor_pointwise_code;
#define XNOR_POINTWISE_SIGNS_FIRST XNOR_POINTWISE_SIGNS

typedef struct xnor_pointwise_op {
    xnor_pointwise_code code;
    const void *a, *b; // maps from their first row on; float parameters [period]
    void *y, *z;
    float low, high;
    size_t layer; // which of the tiles of sums
} xnor_pointwise_op;

#define XNOR_POINTWISE_BLOCK 64 // values at a time
#define XNOR_POINTWISE_MAX 8192 // values of a call
#define XNOR_POINTWISE_OPS 24
#define XNOR_POINTWISE_PLANES 4 // of bits, TERNARY makes two

typedef struct xnor_pointwise {
    size_t n;
    size_t period; // a multiple of n and of XNOR_POINTWISE_BLOCK: parameters are repeated
    size_t op_count;
    xnor_pointwise_op ops[XNOR_POINTWISE_OPS];
} xnor_pointwise;

// Neighbouring output pixels of a depthwise convolution whose taps all lie inside the picture, or all at the same
// places beyond it, and are left out there.
typedef struct xnor_depthwise_args {
    size_t count, channels, taps;
    const float *x;         // what the first pixel looks at, less the offsets of its taps
    size_t x_stride;        // from one output pixel to the next
    const size_t *x_offset; // [taps]
    const float *w;         // rows [channels]
    const size_t *w_offset; // [taps]
    const float *bias;      // [channels], or NULL
    size_t out_stride;      // from one output pixel to the next
} xnor_depthwise_args;

// Winograd convolutions: along each axis, XNOR_WINOGRAD_OUTPUTS neighbours of a stride 1 convolution with r taps are
// interpolated from `points` = XNOR_WINOGRAD_OUTPUTS + r - 1 points, in this order:
//     5: ±A, ±B, infinity     6: ±A, ±B, 0, infinity     7: ±A, ±B, ±C, infinity
// Squares and products of all of them are exact in float32. They were chosen for the least error, which is 2 to 3
// times that of a direct sum; 0, ±1, ±2 have ten times as much.
#define XNOR_WINOGRAD_OUTPUTS 4
#define XNOR_WINOGRAD_POINTS 7 // at most
#define XNOR_WINOGRAD_LANES 16 // tiles are read and written in whole groups of so many
#define XNOR_WINOGRAD_A(points) ((points) == 5 ? 0.5f : (points) == 6 ? 0.625f : 0.375f)
#define XNOR_WINOGRAD_B(points) ((points) == 5 ? 1.25f : (points) == 6 ? 1.5f : 0.875f)
#define XNOR_WINOGRAD_C(points) 1.5f

// A sum over `channels`, but for the last row (i) and the last column (j) of points over a part of them.
typedef struct xnor_winograd_few {
    size_t points, channels;
    size_t row_begin, row_end, column_begin, column_end;
} xnor_winograd_few;

// Mixtures of neighbours in lines of single values.
typedef struct xnor_mix_lines_args {
    size_t lines, pixels; // of the result
    const float *x;       // lines of `length` values
    size_t length, x_stride;
    const int32_t *first, *second; // [pixels]
    const float *share;            // [pixels]
    size_t out_stride;
    bool stream; // the result is larger than the caches and not read soon
} xnor_mix_lines_args;

typedef struct xnor_kernels {
    const char *isa;

    // bits[r][c] = x[r][c] >= 0. Writes whole words (padding bits 0).
    void (*pack_f32)(size_t rows, size_t cols, const float *x, size_t x_stride, uint64_t *bits,
                     size_t bits_stride);
    // positive[r][c] = x > 0, nonzero[r][c] = x != 0. Returns true if any element is 0.
    bool (*pack_f32_ternary)(size_t rows, size_t cols, const float *x, size_t x_stride,
                             uint64_t *positive, uint64_t *nonzero, size_t bits_stride);

    // Size of the packed form of w[n][words] for k bits; layout private to the kernel set.
    size_t (*gemm_packed_bytes)(size_t k, size_t n);
    // limit[c]: gemm_thr sets bit c iff popcount(a XOR w[c]) <= limit[c]; -1 never, k always. May
    // be NULL when only acc and max are used.
    void (*gemm_pack)(size_t k, size_t n, const uint64_t *w, const int32_t *limit, void *packed);
    // Replaces the limits in a packed form.
    void (*gemm_limits)(size_t k, size_t n, const int32_t *limit, void *packed);
    // acc: [rows][acc_stride]; writes channels n_begin..n_end at their own column.
    void (*gemm_acc)(const xnor_gemm_args *args, int32_t *acc, size_t acc_stride);
    // out: [rows][out_stride] bits; writes the words of channels n_begin..n_end (padding bits 0).
    void (*gemm_thr)(const xnor_gemm_args *args, uint64_t *out, size_t out_stride);
    // max[c] = maximum of max[c] and every acc[m][c]: a running maximum the caller initialises.
    void (*gemm_max)(const xnor_gemm_args *args, int32_t *max);
    // Ternary activations: acc = popcount(mask) - 2·popcount((a XOR w) AND mask). {0,1} activations
    // are the case a == mask.
    void (*gemm_acc_ternary)(const xnor_gemm_args *args, int32_t *acc, size_t acc_stride);
    // A running maximum of these, as gemm_max keeps one.
    void (*gemm_max_ternary)(const xnor_gemm_args *args, int32_t *max);

    // bits[r][c] = acc[r][c] >= thr[c].
    void (*acc_thr)(size_t rows, size_t cols, const int32_t *acc, size_t acc_stride,
                    const int32_t *thr, uint64_t *bits, size_t bits_stride);

    // Unfolds `count` output pixels (y, x_begin + m): row m holds the bits of their taps, [kernel_h]
    // [kernel_w][channels] without gaps; bits of taps outside the plane are 0. Writes whole words.
    void (*patch_bits)(const xnor_patch_args *args, size_t y, size_t x_begin, size_t count,
                       uint64_t *rows, size_t rows_stride);

    // Convolutions of a map of bits, where a set can do better than patch_bits and gemm (else NULL).
    // Whether it can with this one; prepares it.
    bool (*conv_prepare)(xnor_bits_conv *conv);
    // gemm_acc and gemm_thr of the windows of `count` output pixels from `first` on, counted line by line; bits of
    // taps outside the plane are 0.
    void (*conv_acc)(const xnor_bits_conv *conv, const uint64_t *plane, size_t first, size_t count,
                     int32_t *acc, size_t acc_stride);
    void (*conv_thr)(const xnor_bits_conv *conv, const uint64_t *plane, size_t first, size_t count,
                     uint64_t *out, size_t out_stride);

    // out[m][c] = bias[c] (or 0 when NULL) then fma over k in increasing order, so the result is
    // the same for every instruction set. b: [k][b_stride].
    void (*gemm_f32)(size_t rows, size_t k, size_t n, const float *a, size_t a_stride,
                     const float *b, size_t b_stride, const float *bias, float *out,
                     size_t out_stride);
    // out[m][c] += the same product: fma over k in increasing order, from what out holds on.
    void (*gemm_f32_add)(size_t rows, size_t k, size_t n, const float *a, size_t a_stride,
                         const float *b, size_t b_stride, float *out, size_t out_stride);
    // The same product, of which only the sign is kept: bit = value >= 0. Writes whole words.
    void (*gemm_f32_bits)(size_t rows, size_t k, size_t n, const float *a, size_t a_stride,
                          const float *b, size_t b_stride, const float *bias, uint64_t *bits,
                          size_t bits_stride);

    // out[p·out_stride + c] = bias[c] (or 0 when NULL) then fma over the taps t in order of x[p·x_stride + x_offset[t] + c] and
    // w[w_offset[t] + c].
    void (*depthwise_f32)(const xnor_depthwise_args *args, float *out);

    // Transforms of `tiles` tiles, rounded up to XNOR_WINOGRAD_LANES. Weights are transformed in double by the caller.
    // v[i·v_row + j·v_column + t] = (Bᵀ d B)[i][j] of d[i][j] = x[offset[i·points + j] + t]
    void (*winograd_in)(size_t points, size_t tiles, const float *x, const size_t *offset, float *v,
                        size_t v_row, size_t v_column);
    // y[(i·4 + j)·y_stride + t] = (Aᵀ d A)[i][j] + bias of d[i][j] = m[(i·points + j)·m_stride + t]
    void (*winograd_out)(size_t points, size_t tiles, const float *m, size_t m_stride, float bias,
                         float *y, size_t y_stride);
    // Products and winograd_out at once, of few channels and XNOR_WINOGRAD_LANES tiles: four outputs, of which o has
    // d[i][j] = sum over k of v[j][k][i][tile]·w[j][k][i][o], by fma in order. y: [4][4·4][XNOR_WINOGRAD_LANES].
    void (*winograd_few)(const xnor_winograd_few *args, const float *v, const float *w,
                         const float *bias, float *y);
    // planes[c·plane_stride + t] = x[t·x_stride + c] for c < 4, and back.
    void (*winograd_gather)(size_t count, const float *x, size_t x_stride, float *planes,
                            size_t plane_stride);
    void (*winograd_scatter)(size_t count, const float *planes, size_t plane_stride, float *y,
                             size_t y_stride);

    // Signs of x[index[r]] - own for `count` rows r, as pack_f32_ternary gives those of a row.
    void (*edge_signs_f32)(size_t count, size_t cols, const float *x, size_t x_stride,
                           const int64_t *index, const float *own, uint64_t *positive,
                           uint64_t *nonzero, size_t bits_stride);
    // Points x: [3][stride]; d² = ((dx² + dy²) + dz²), each operation rounded.
    // nearest[j] = min(nearest[j], d² of point j to the query), unchanged where that is not a
    // number; returns the lowest j with the largest nearest[j]. nearest: numbers from 0 up.
    size_t (*farthest_f32)(size_t n, const float *x, size_t stride, const float *query,
                           float *nearest);
    // found: the first k points, in index order, with d² < limit; returns their number. What is behind
    // them in found[k] is undefined.
    size_t (*within_f32)(size_t n, const float *x, size_t stride, const float *query, float limit,
                         size_t k, int64_t *found);
    // d[r][j] = squared distance of query r and point j: the float32 sum of (q - p)² over the channels
    // in order, by fma of the rounded differences; infinite where that is not a number. points:
    // [panels][channels][XNOR_PANEL]; whole panels are written.
    void (*distances_f32)(size_t rows, size_t panels, size_t channels, const float *query,
                          size_t query_stride, const float *points, float *d, size_t d_stride);
    // The same of coordinates rounded to multiples of a step, from less work: d[r][j] = scale·(query_norm[r] +
    // point_norm[j] - 2·sum over c of query[r][c]·point[c]), the sum exact in int32, rounded once, then
    // times scale. query: [rows][pairs][2], points: [panels][pairs][XNOR_PANEL][2].
    void (*code_distances)(size_t rows, size_t panels, size_t pairs, const int16_t *query,
                           const int32_t *query_norm, const int16_t *points,
                           const int32_t *point_norm, float scale, float *d, size_t d_stride);
    // Offers n < 2^31 points first, first + 1, .. to the list of the k nearest in order of (distance, index),
    // which holds min(first, k) of the points before. points: [n][channels]; d[n]: what distances_f32
    // says about them, or squares of what is within `slack` of the real distance; it only tells whom to
    // leave out.
    // values[k]: distances, summed in double in
    // eight parts (channel c in part c mod 8; parts i and i + 4 first, then i + 2, then i + 1) and
    // rounded to float32; infinite where that is not a number.
    void (*nearest_f32)(size_t n, size_t channels, const float *query, const float *points,
                        const float *d, float slack, size_t first, size_t k, float *values,
                        int64_t *nearest);

    // out[r][c] = fma(acc[r][c]·factor[r], scale[c], shift[c])
    void (*rows_affine)(size_t rows, size_t n, const int32_t *acc, size_t acc_stride,
                        const float *factor, const float *scale, const float *shift, float *out,
                        size_t out_stride);
    // max[c] = maximum of max[c] and every acc[r][c]·factor[r], without those that are not numbers.
    void (*rows_max)(size_t rows, size_t n, const int32_t *acc, size_t acc_stride,
                     const float *factor, float *max);
    // mean[r] = mean over c of |min(high, max(low, x[r][c]))|, in a fixed order.
    void (*rows_magnitude)(size_t rows, size_t n, const float *x, size_t x_stride, float low,
                           float high, float *mean);
    // out[i] = fma(share, b[i], (1 - share)·a[i])
    void (*mix_f32)(size_t count, const float *a, const float *b, float share, float *out);
    // out[p][c] = fma(share[p], x[second[p]][c], (1 - share[p])·x[first[p]][c]); x: [..][channels]
    void (*mix_pixels_f32)(size_t pixels, size_t channels, const float *x, const int32_t *first,
                           const int32_t *second, const float *share, float *out);
    // out[l][p] = fma(share[p], x[l][second[p]], (1 - share[p])·x[l][first[p]])
    void (*mix_lines_f32)(const xnor_mix_lines_args *args, float *out);
    // Runs the program on rows first .. first + rows of its maps. It begins with x [rows][n], or, where that is
    // NULL, with acc[0]; acc: [layers of the program] tiles of sums [rows][n], below 2^24. rows · n is at most
    // XNOR_POINTWISE_MAX.
    void (*pointwise)(const xnor_pointwise *program, size_t first, size_t rows,
                      const int32_t *const *acc, const float *x);
} xnor_kernels;

// patch_bits of a plane of ones (args->plane is not read): which taps lie inside the plane.
void xnor_patch_inside(const xnor_patch_args *args, size_t y, size_t x_begin, size_t count,
                       uint64_t *rows, size_t rows_stride);

// isa: name of the best set to use ("c", "avx2", "avx512", "neon", "neon_dotprod"); NULL takes the
// environment variable XNOR_ISA if set, else the best that the CPU offers. XNOR_E_UNSUPPORTED when
// the name is unknown or the CPU lacks it; the message lists what this CPU offers.
XNOR_NODISCARD xnor_status xnor_kernels_select(xnor_kernels *table, const char *isa);
// Names of the sets that this CPU can run, worst ("c") first, NULL-terminated.
const char *const *xnor_kernels_available(void);

#endif
