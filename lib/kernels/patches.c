#include "kernels/kernels.h"

#include "core/size.h"

#include <string.h>

// Sets bits begin .. end of a row.
static void set_bits(uint64_t *row, size_t begin, size_t end) {
    for (size_t bit = begin; bit < end;) {
        const size_t room = 64 - bit % 64;
        const size_t bits = end - bit < room ? end - bit : room;
        row[bit / 64] |= ~UINT64_C(0) >> (64 - bits) << bit % 64;
        bit += bits;
    }
}

static bool inside(size_t at, size_t pad, size_t extent) {
    return at >= pad && at - pad < extent;
}

void xnor_patch_inside(const xnor_patch_args *args, size_t y, size_t x_begin, size_t count,
                       uint64_t *rows, size_t rows_stride) {
    const size_t row_bits = args->kernel_w * args->channels;
    for (size_t m = 0; m < count; m++) {
        const size_t x = (x_begin + m) * args->stride_w;
        size_t first = 0, end = args->kernel_w;
        while (first < end && !inside(x + first * args->dilation_w, args->pad_left, args->width))
            first++;
        while (end > first &&
               !inside(x + (end - 1) * args->dilation_w, args->pad_left, args->width))
            end--;
        uint64_t *row = rows + m * rows_stride;
        memset(row, 0, xnor_words(args->kernel_h * row_bits) * sizeof *row);
        for (size_t ky = 0; ky < args->kernel_h; ky++) {
            const size_t tap_y = y * args->stride_h + ky * args->dilation_h;
            if (!inside(tap_y, args->pad_top, args->height)) continue;
            set_bits(row, ky * row_bits + first * args->channels,
                     ky * row_bits + end * args->channels);
        }
    }
}
