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

void xnor_patch_inside(const xnor_patch_args *args, size_t y, size_t x_begin, size_t count,
                       uint64_t *rows, size_t rows_stride) {
    const size_t bits = args->kernel_h * args->kernel_w * args->channels;
    for (size_t m = 0; m < count; m++) {
        uint64_t *row = rows + m * rows_stride;
        memset(row, 0, xnor_words(bits) * sizeof *row);
        size_t at = 0;
        for (size_t ky = 0; ky < args->kernel_h; ky++) {
            const size_t tap_y = y * args->stride_h + ky * args->dilation_h;
            for (size_t kx = 0; kx < args->kernel_w; kx++, at += args->channels) {
                const size_t tap_x = (x_begin + m) * args->stride_w + kx * args->dilation_w;
                const bool inside = tap_y >= args->pad_top && tap_x >= args->pad_left &&
                                    tap_y - args->pad_top < args->height &&
                                    tap_x - args->pad_left < args->width;
                if (inside) set_bits(row, at, at + args->channels);
            }
        }
    }
}
