// What steps do: tiles over kernels.
#include <limits.h>
#include <math.h>
#include <string.h>

#include "core/size.h"
#include "core/tensor.h"
#include "exec/tiles.h"
#include "ops/ops.h"

typedef struct group_context {
    tile_context inner;
    xnor_tile tile;
    size_t first; // row of the group's first
} group_context;

static void tile_in_group(void *context, size_t begin, size_t end);

// The distinct rows of whole groups.
static void tile_groups(void *context, size_t begin, size_t end) {
    const group_context *c = context;
    const xnor_step *s = c->inner.step;
    for (size_t group = begin; group < end; group++) {
        size_t rows = xnor_active_rows(s, c->inner.run, group);
        for (size_t row = 0; row < rows && !is_cancelled(c->inner.run); row += TILE_ROWS) {
            size_t stop = row + TILE_ROWS < rows ? row + TILE_ROWS : rows;
            group_context tile = *c;
            c->tile(&tile.inner, group * s->rows + row, group * s->rows + stop);
        }
    }
}

static void tile_in_group(void *context, size_t begin, size_t end) {
    group_context *c = context;
    c->tile(&c->inner, c->first + begin, c->first + end);
}

// Tiles small enough that every thread gets one.
static size_t tile_rows(size_t rows, size_t threads) {
    enum { LEAST = 64 };
    size_t share = xnor_align_up((rows + threads - 1) / threads, LEAST);
    return share < TILE_ROWS ? (share ? share : LEAST) : TILE_ROWS;
}

// Threads share the groups, or the rows where groups are few.
xnor_status xnor_over_rows(const xnor_step *step, const xnor_run *run, xnor_tile tile) {
    size_t threads = xnor_pool_threads(run->pool);
    if (step->active == XNOR_NO_VALUE) {
        size_t rows = step->groups * step->rows;
        return over(step, run, rows, tile_rows(rows, threads), tile);
    }
    group_context context = {{step, run}, tile, 0};
    if (step->groups >= threads) {
        xnor_parallel_for(run->pool, step->groups, 1, run->cancel, tile_groups, &context);
        return XNOR_OK;
    }
    for (size_t group = 0; group < step->groups; group++) {
        size_t rows = xnor_active_rows(step, run, group);
        context.first = group * step->rows;
        xnor_parallel_for(run->pool, rows, tile_rows(rows, threads), run->cancel, tile_in_group,
                          &context);
    }
    return XNOR_OK;
}

// ---- integer layers -----------------------------------------------------------------------------

static xnor_gemm_args gemm_args(const xnor_step *s, const xnor_run *run, size_t begin, size_t end) {
    size_t words = xnor_words(s->k);
    return (xnor_gemm_args){.rows = end - begin,
                            .k = s->k,
                            .n = s->n,
                            .n_end = s->n,
                            .a = (const uint64_t *)run->values[s->x] + begin * words,
                            .a_stride = words,
                            .packed = s->packed};
}

static void tile_gemm_acc(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    xnor_gemm_args args = gemm_args(s, c->run, begin, end);
    c->run->kernels->gemm_acc(&args, (int32_t *)c->run->values[s->y] + begin * s->n, s->n);
}

xnor_status xnor_step_gemm_acc(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_gemm_acc);
}

static void tile_gemm_acc_ternary(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    xnor_gemm_args args = gemm_args(s, c->run, begin, end);
    args.mask =
        (const uint64_t *)c->run->values[s->x] + (s->groups * s->rows + begin) * args.a_stride;
    c->run->kernels->gemm_acc_ternary(&args, (int32_t *)c->run->values[s->y] + begin * s->n, s->n);
}

xnor_status xnor_step_gemm_acc_ternary(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_gemm_acc_ternary);
}

static void tile_gemm_thr(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    xnor_gemm_args args = gemm_args(s, c->run, begin, end);
    size_t words = xnor_words(s->n);
    c->run->kernels->gemm_thr(&args, (uint64_t *)c->run->values[s->y] + begin * words, words);
}

xnor_status xnor_step_gemm_thr(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_gemm_thr);
}

// Thresholds that differ from cloud to cloud: acc + offset >= T  <=>  acc >= T - offset. The packed
// form is copied for each group and gets the group's own limits.
xnor_status xnor_step_gemm_thr_offset(const xnor_step *s, const xnor_run *run) {
    size_t bytes = run->kernels->gemm_packed_bytes(s->k, s->n);
    int32_t *limits = (int32_t *)run->values[s->scratch];
    uint8_t *packed = (uint8_t *)run->values[s->scratch] + xnor_align_up(s->n * sizeof *limits, 64);
    const int32_t *thresholds = s->parameters[0];
    xnor_step own = *s;
    own.packed = memcpy(packed, s->packed, bytes);
    for (size_t group = 0; group < s->groups; group++) {
        const int32_t *offset = (const int32_t *)run->values[s->w] + group * s->n;
        for (size_t c = 0; c < s->n; c++)
            limits[c] = xnor_popcount_limit((int64_t)s->k, (int64_t)thresholds[c] - offset[c]);
        run->kernels->gemm_limits(s->k, s->n, limits, packed);
        group_context context = {{&own, run}, tile_gemm_thr, group * s->rows};
        xnor_parallel_for(run->pool, xnor_active_rows(s, run, group), TILE_ROWS, run->cancel,
                          tile_in_group, &context);
    }
    return XNOR_OK;
}

// Into how many pieces the channels of a group are cut, each with its own running maximum: threads
// share the channels when there are too few groups.
static size_t pieces_of(const xnor_step *s, const xnor_run *run) {
    size_t blocks = (s->n + XNOR_GEMM_BLOCK - 1) / XNOR_GEMM_BLOCK;
    size_t threads = xnor_pool_threads(run->pool);
    if (s->groups >= threads) return 1;
    return blocks < threads ? blocks : threads;
}

static void max_of_group(const xnor_step *s, const xnor_run *run, size_t group, size_t first,
                         size_t last) {
    size_t words = xnor_words(s->k), rows = xnor_active_rows(s, run, group);
    int32_t *max = (int32_t *)run->values[s->y] + group * s->n;
    for (size_t i = first; i < last; i++) max[i] = INT32_MIN;
    for (size_t row = 0; row < rows; row += TILE_ROWS * 4) {
        if (is_cancelled(run)) return;
        size_t stop = row + TILE_ROWS * 4 < rows ? row + TILE_ROWS * 4 : rows;
        xnor_gemm_args args = gemm_args(s, run, group * s->rows + row, group * s->rows + stop);
        args.n_begin = first;
        args.n_end = last;
        if (s->run == xnor_step_gemm_max_ternary) {
            args.mask = args.a + s->groups * s->rows * words;
            run->kernels->gemm_max_ternary(&args, max);
        } else {
            run->kernels->gemm_max(&args, max);
        }
    }
}

static void tile_gemm_max(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    size_t pieces = pieces_of(s, c->run);
    size_t blocks = (s->n + XNOR_GEMM_BLOCK - 1) / XNOR_GEMM_BLOCK;
    for (size_t i = begin; i < end; i++) {
        size_t first = blocks * (i % pieces) / pieces * XNOR_GEMM_BLOCK;
        size_t last = blocks * (i % pieces + 1) / pieces * XNOR_GEMM_BLOCK;
        max_of_group(s, c->run, i / pieces, first, last < s->n ? last : s->n);
    }
}

xnor_status xnor_step_gemm_max(const xnor_step *s, const xnor_run *run) {
    size_t size = TILE_ROWS / s->rows + 1;
    return over(s, run, s->groups * pieces_of(s, run), size, tile_gemm_max);
}

xnor_status xnor_step_gemm_max_ternary(const xnor_step *s, const xnor_run *run) {
    return xnor_step_gemm_max(s, run);
}

// acc [groups, rows, n] + offset [groups, n]
static void tile_acc_add(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    for (size_t row = begin; row < end; row++) {
        const int32_t *x = (const int32_t *)c->run->values[s->x] + row * s->n;
        const int32_t *offset = (const int32_t *)c->run->values[s->w] + row / s->rows * s->n;
        int32_t *y = (int32_t *)c->run->values[s->y] + row * s->n;
        for (size_t i = 0; i < s->n; i++) y[i] = x[i] + offset[i];
    }
}

xnor_status xnor_step_acc_add(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_acc_add);
}

static void tile_acc_thr(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    size_t words = xnor_words(s->n);
    c->run->kernels->acc_thr(
        end - begin, s->n, (const int32_t *)c->run->values[s->x] + begin * s->n, s->n,
        s->parameters[0], (uint64_t *)c->run->values[s->y] + begin * words, words);
}

xnor_status xnor_step_acc_thr(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_acc_thr);
}

bool xnor_has_zero(size_t rows, size_t n, const uint64_t *nonzero) {
    enum { LOOK = 4096 }; // words until the answer is asked for
    const size_t words = xnor_words(n), count = rows * words;
    const uint64_t used = n % 64 ? (UINT64_C(1) << n % 64) - 1 : UINT64_MAX;
    if (words == 1) {
        for (size_t i = 0; i < count; i += LOOK) {
            uint64_t all = used;
            for (size_t k = i; k < i + LOOK && k < count; k++) all &= nonzero[k];
            if (all != used) return true;
        }
        return false;
    }
    for (size_t row = 0; row < rows; row++, nonzero += words) {
        uint64_t all = UINT64_MAX;
        for (size_t k = 0; k + 1 < words; k++) all &= nonzero[k];
        if (all != UINT64_MAX || (nonzero[words - 1] & used) != used) return true;
    }
    return false;
}

void xnor_rows_thr_ternary(const xnor_kernels *kernels, size_t rows, size_t n, const int32_t *acc,
                           const int32_t *thr, const int32_t *zero, uint64_t *positive,
                           uint64_t *nonzero) {
    size_t words = xnor_words(n);
    kernels->acc_thr(rows, n, acc, n, thr, positive, words);
    kernels->acc_thr(rows, n, acc, n, zero, nonzero, words);
    for (size_t row = 0; row < rows; row++)
        for (size_t word = 0; word < words; word++) {
            const uint64_t used =
                word + 1 < words || n % 64 == 0 ? UINT64_MAX : (UINT64_C(1) << n % 64) - 1;
            // So far: at least 0.
            uint64_t *plane = &nonzero[row * words + word];
            *plane = used & ~(*plane & ~positive[row * words + word]);
        }
}

static void tile_acc_thr_ternary(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    size_t words = xnor_words(s->n);
    uint64_t *positive = (uint64_t *)c->run->values[s->y] + begin * words;
    xnor_rows_thr_ternary(c->run->kernels, end - begin, s->n,
                          (const int32_t *)c->run->values[s->x] + begin * s->n, s->parameters[0],
                          s->parameters[1], positive, positive + s->groups * s->rows * words);
}

xnor_status xnor_step_acc_thr_ternary(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_acc_thr_ternary);
}

// ---- float layers -------------------------------------------------------------------------------

static void tile_linear(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    c->run->kernels->gemm_f32(
        end - begin, s->k, s->n, (const float *)c->run->values[s->x] + begin * s->k, s->k,
        s->packed, s->n, s->parameters[0], (float *)c->run->values[s->y] + begin * s->n, s->n);
}

xnor_status xnor_step_linear(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_linear);
}

static void tile_linear_bits(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    size_t words = xnor_words(s->n);
    c->run->kernels->gemm_f32_bits(
        end - begin, s->k, s->n, (const float *)c->run->values[s->x] + begin * s->k, s->k,
        s->packed, s->n, s->parameters[0], (uint64_t *)c->run->values[s->y] + begin * words, words);
}

xnor_status xnor_step_linear_bits(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_linear_bits);
}

// Products of real features with a real matrix per group (T-Net transforms): rows are tiled over
// all groups, a tile stays inside one group.
static void tile_matmul(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const xnor_run *run = c->run;
    while (begin < end) {
        size_t group = begin / s->rows, stop = (group + 1) * s->rows;
        if (stop > end) stop = end;
        const float *a = (const float *)run->values[s->x] + begin * s->k;
        const float *b = (const float *)run->values[s->w] + group * s->k * s->n;
        if (s->run == xnor_step_matmul_bits) {
            size_t words = xnor_words(s->n);
            run->kernels->gemm_f32_bits(stop - begin, s->k, s->n, a, s->k, b, s->n, NULL,
                                        (uint64_t *)run->values[s->y] + begin * words, words);
        } else {
            run->kernels->gemm_f32(stop - begin, s->k, s->n, a, s->k, b, s->n, NULL,
                                   (float *)run->values[s->y] + begin * s->n, s->n);
        }
        begin = stop;
    }
}

xnor_status xnor_step_matmul(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_matmul);
}

xnor_status xnor_step_matmul_bits(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_matmul);
}

// ---- signs of reals -----------------------------------------------------------------------------

static void tile_pack(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    size_t words = xnor_words(s->n);
    c->run->kernels->pack_f32(end - begin, s->n, (const float *)c->run->values[s->x] + begin * s->n,
                              s->n, (uint64_t *)c->run->values[s->y] + begin * words, words);
}

xnor_status xnor_step_pack(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_pack);
}

static void tile_pack_ternary(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    size_t words = xnor_words(s->n);
    uint64_t *positive = (uint64_t *)c->run->values[s->y] + begin * words;
    c->run->kernels->pack_f32_ternary(end - begin, s->n,
                                      (const float *)c->run->values[s->x] + begin * s->n, s->n,
                                      positive, positive + s->groups * s->rows * words, words);
}

xnor_status xnor_step_pack_ternary(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_pack_ternary);
}

// ---- element-wise on reals ----------------------------------------------------------------------

void xnor_rows_affine(size_t rows, size_t n, const int32_t *acc, const float *scale,
                      const float *shift, float *y) {
    for (size_t row = 0; row < rows; row++, acc += n, y += n)
        for (size_t i = 0; i < n; i++) y[i] = (float)((double)scale[i] * acc[i] + (double)shift[i]);
}

static void tile_affine(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const float *scale = s->parameters[0], *shift = s->parameters[1];
    const float *x = (const float *)c->run->values[s->x];
    float *y = (float *)c->run->values[s->y];
    if (s->graph->values[s->x].dtype == XNOR_ACC) {
        xnor_rows_affine(end - begin, s->n, (const int32_t *)c->run->values[s->x] + begin * s->n,
                         scale, shift, y + begin * s->n);
        return;
    }
    for (size_t row = begin; row < end; row++)
        for (size_t i = 0; i < s->n; i++)
            y[row * s->n + i] =
                (float)((double)scale[i] * (double)x[row * s->n + i] + (double)shift[i]);
}

xnor_status xnor_step_affine(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_affine);
}

static void clip(size_t count, const float *x, float low, float high, float *y) {
    for (size_t i = 0; i < count; i++) {
        float v = x[i] < low ? low : x[i];
        y[i] = v > high ? high : v;
    }
}

static void tile_clip(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    size_t first = begin * s->n;
    clip((end - begin) * s->n, (const float *)c->run->values[s->x] + first, s->low, s->high,
         (float *)c->run->values[s->y] + first);
}

xnor_status xnor_step_clip(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_clip);
}

static void tile_linear_clip(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    float *y = (float *)c->run->values[s->y] + begin * s->n;
    tile_linear(context, begin, end);
    clip((end - begin) * s->n, y, s->low, s->high, y);
}

xnor_status xnor_step_linear_clip(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_linear_clip);
}

// [groups, rows, n] -> [groups, n, rows] of float32, in blocks whose lines stay in the cache: some rows of one group.
static void tile_transpose(void *context, size_t begin, size_t end) {
    enum { BLOCK = 16 };
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const size_t rows = s->rows, n = s->n, tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    for (size_t tile = begin; tile < end; tile++) {
        const float *x = (const float *)c->run->values[s->x] + tile / tiles * rows * n;
        float *y = (float *)c->run->values[s->y] + tile / tiles * rows * n;
        const size_t first = tile % tiles * TILE_ROWS;
        const size_t last = first + TILE_ROWS < rows ? first + TILE_ROWS : rows;
        for (size_t r = first; r < last; r += BLOCK)
            for (size_t k = 0; k < n; k += BLOCK) {
                const size_t r_end = r + BLOCK < last ? r + BLOCK : last;
                const size_t k_end = k + BLOCK < n ? k + BLOCK : n;
                for (size_t i = k; i < k_end; i++)
                    for (size_t row = r; row < r_end; row++) y[i * rows + row] = x[row * n + i];
            }
    }
}

xnor_status xnor_step_transpose(const xnor_step *s, const xnor_run *run) {
    const size_t tiles = (s->rows + TILE_ROWS - 1) / TILE_ROWS;
    return over(s, run, s->groups * tiles, 1 + TILE_ROWS / (s->rows + 1), tile_transpose);
}

// ---- last resort --------------------------------------------------------------------------------

xnor_status xnor_step_reference(const xnor_step *s, const xnor_run *run) {
    xnor_tensor in[XNOR_MAX_INPUTS] = {{0}}, out[XNOR_MAX_OUTPUTS] = {{0}};
    for (uint32_t i = 0; i < s->node->input_count; i++) {
        xnor_value_id id = s->node->inputs[i];
        if (id == XNOR_NO_VALUE) continue;
        in[i] =
            (xnor_tensor){s->graph->values[id].dtype, s->graph->values[id].shape, run->values[id]};
    }
    for (uint32_t i = 0; i < s->node->output_count; i++) {
        xnor_value_id id = s->node->outputs[i];
        out[i] =
            (xnor_tensor){s->graph->values[id].dtype, s->graph->values[id].shape, run->values[id]};
    }
    return xnor_op_lookup(s->node->op)->eval(s->node, in, out);
}
