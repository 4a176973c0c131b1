#include "exec/borders.h"

#include <string.h>

#include "core/size.h"
#include "exec/steps_conv.h"

static border_range range_at(const borders *b, size_t axis, size_t pixel) {
    const xnor_patch_args *a = &b->args;
    const size_t taps = axis == 0 ? a->kernel_h : a->kernel_w;
    const size_t dilation = axis == 0 ? a->dilation_h : a->dilation_w;
    const size_t pad = axis == 0 ? a->pad_top : a->pad_left;
    const size_t extent = axis == 0 ? a->height : a->width;
    const size_t corner = pixel * (axis == 0 ? a->stride_h : a->stride_w);
    border_range range = {0, taps, pixel};
    while (range.begin < taps && corner + range.begin * dilation < pad) range.begin++;
    while (range.end > range.begin && corner + (range.end - 1) * dilation >= pad + extent)
        range.end--;
    return range;
}

// BORDER_RANGES: of none of them.
static size_t find_range(const borders *b, size_t axis, border_range range) {
    for (size_t i = 0; i < b->range_count[axis]; i++)
        if (b->ranges[axis][i].begin == range.begin && b->ranges[axis][i].end == range.end)
            return i;
    return BORDER_RANGES;
}

static bool is_inner(const borders *b, size_t axis, size_t pixel) {
    return pixel >= b->inner_begin[axis] && pixel < b->inner_end[axis];
}

// False if there are too many.
static bool list_ranges(borders *b, size_t axis, size_t pixels) {
    const size_t taps = axis == 0 ? b->args.kernel_h : b->args.kernel_w;
    b->ranges[axis][0] = (border_range){0, taps, b->inner_begin[axis]};
    b->range_count[axis] = 1;
    for (size_t i = 0; i < pixels; i++) {
        if (is_inner(b, axis, i)) i = b->inner_end[axis];
        if (i >= pixels) break;
        const border_range range = range_at(b, axis, i);
        if (find_range(b, axis, range) < BORDER_RANGES) continue;
        if (b->range_count[axis] == BORDER_RANGES) return false;
        b->ranges[axis][b->range_count[axis]++] = range;
    }
    return true;
}

static void multiply(const borders *b, const uint64_t *row, int32_t *acc) {
    const xnor_step *s = b->step;
    const size_t bytes = b->kernels->gemm_packed_bytes(s->k, s->n);
    xnor_gemm_args args = {.rows = 1, .k = s->k, .n = s->n, .n_end = s->n, .a = row};
    args.a_stride = xnor_words(s->k);
    for (size_t g = 0; g < s->groups; g++) {
        args.packed = (const uint8_t *)s->packed + g * bytes;
        b->kernels->gemm_acc(&args, acc + g * s->n, s->groups * s->n);
    }
}

// Ones inside and zeros outside add up to the weights inside less those outside.
static void missing_at(const borders *b, size_t y, size_t x, int32_t *missing) {
    uint64_t row[CONV_ROW_WORDS];
    const size_t columns = b->step->groups * b->step->n;
    xnor_patch_inside(&b->args, y, x, 1, row, xnor_words(b->step->k));
    multiply(b, row, missing);
    for (size_t c = 0; c < columns; c++) missing[c] = (b->table[c] - missing[c]) / 2 * b->times;
}

static void sum_ones(borders *b) {
    uint64_t row[CONV_ROW_WORDS];
    const size_t k = b->step->k, words = xnor_words(k);
    memset(row, 0xFF, words * sizeof *row);
    if (k % 64) row[words - 1] = (UINT64_C(1) << k % 64) - 1;
    multiply(b, row, b->table);
}

void xnor_borders_make(borders *b) {
    const size_t columns = b->step->groups * b->step->n;
    if (b->times == 0) return;
    b->known = list_ranges(b, 0, b->image_lines) && list_ranges(b, 1, b->out_width) &&
               b->range_count[0] * b->range_count[1] * columns <= BORDER_SUMS;
    sum_ones(b);
    for (size_t i = 0; b->known && i < b->range_count[0] * b->range_count[1]; i++) {
        const border_range *y = &b->ranges[0][i / b->range_count[1]];
        const border_range *x = &b->ranges[1][i % b->range_count[1]];
        if (i > 0) missing_at(b, y->pixel, x->pixel, b->table + i * columns);
    }
}

static void add_missing(size_t columns, const int32_t *missing, int32_t *acc) {
    for (size_t c = 0; c < columns; c++) acc[c] += missing[c];
}

static void add_at(const borders *b, size_t y, size_t x, int32_t *acc) {
    const size_t columns = b->step->groups * b->step->n;
    if (!b->known) {
        int32_t missing[CONV_SUMS];
        missing_at(b, y, x, missing);
        add_missing(columns, missing, acc);
        return;
    }
    const size_t row = is_inner(b, 0, y) ? 0 : find_range(b, 0, range_at(b, 0, y));
    const size_t column = is_inner(b, 1, x) ? 0 : find_range(b, 1, range_at(b, 1, x));
    const size_t kind = row * b->range_count[1] + column;
    if (kind) add_missing(columns, b->table + kind * columns, acc);
}

void xnor_borders_add(const borders *b, size_t first, size_t count, int32_t *acc) {
    if (b->times == 0) return;
    const size_t columns = b->step->groups * b->step->n;
    size_t y = first / b->out_width % b->image_lines, x = first % b->out_width;
    for (size_t done = 0; done < count;) {
        const size_t left = b->out_width - x, run = left < count - done ? left : count - done;
        const bool inner = is_inner(b, 0, y);
        for (size_t m = 0; m < run; m++) {
            if (inner && is_inner(b, 1, x + m))
                m = b->inner_end[1] - x - 1;
            else
                add_at(b, y, x + m, acc + (done + m) * columns);
        }
        done += run;
        x = 0;
        y = (y + 1) % b->image_lines;
    }
}
