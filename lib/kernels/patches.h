// Patches of binary convolutions for every kernel set. A patch is put together by moves: bits of one
// input word that go to one word of the patch, shifted. The moves of neighbouring pixels are the same,
// so they are listed once and carried out for many pixels; only pixels whose window leaves the plane
// get a list of their own. A vector set's file includes this after it has defined
//     vu                         U64_LANES words, each of another pixel
//     vu_zero()
//     vu_load(p, step)           p[0], p[step], p[2 · step], ..
//     vu_store(p, v)
//     vu_move(sum, v, shift, mask)   sum | ((v << shift) & mask), or >> where shift is negative
// portable C has no U64_LANES.
#ifndef XNOR_KERNELS_PATCHES_H
#define XNOR_KERNELS_PATCHES_H

#include "core/size.h"
#include "kernels/inline.h"
#include "kernels/sets.h"

#define MAX_MOVES 128 // at least twice 64, as a word may need 64 of them
#define MAX_MOVED_WORDS 64

typedef struct patch_moves {
    const uint64_t *from; // what the offsets of the first pixel are relative to
    size_t step;          // words from one pixel to the next
    size_t count;
    uint64_t *rows;
    size_t rows_stride;
    size_t first_word; // the moves belong to words first_word .. first_word + word_count
    size_t word_count;
    size_t move_count;
    size_t ends[MAX_MOVED_WORDS]; // of the moves of each word
    ptrdiff_t offset[MAX_MOVES];
    int64_t shift[MAX_MOVES];
    uint64_t mask[MAX_MOVES]; // bits of the word moved to
} patch_moves;

static void carry_out_moves(patch_moves *moves) {
    size_t m = 0;
#if defined(U64_LANES)
    for (; m + U64_LANES <= moves->count; m += U64_LANES) {
        const uint64_t *from = moves->from + m * moves->step;
        uint64_t *row = moves->rows + m * moves->rows_stride + moves->first_word;
        size_t i = 0;
        for (size_t j = 0; j < moves->word_count; j++) {
            vu sum = vu_zero();
            for (; i < moves->ends[j]; i++) {
                const vu v = vu_load(from + moves->offset[i], moves->step);
                sum = vu_move(sum, v, &moves->shift[i], &moves->mask[i]);
            }
            uint64_t words[U64_LANES];
            vu_store(words, sum);
            UNROLL for (size_t r = 0; r < U64_LANES; r++) {
                row[r * moves->rows_stride + j] = words[r];
            }
        }
    }
#endif
    for (; m < moves->count; m++) {
        const uint64_t *from = moves->from + m * moves->step;
        uint64_t *row = moves->rows + m * moves->rows_stride + moves->first_word;
        size_t i = 0;
        for (size_t j = 0; j < moves->word_count; j++) {
            uint64_t sum = 0;
            for (; i < moves->ends[j]; i++) {
                const uint64_t v = from[moves->offset[i]];
                const int64_t shift = moves->shift[i];
                sum |= (v << (shift & 63) | v >> (-shift & 63)) & moves->mask[i];
            }
            row[j] = sum;
        }
    }
    moves->first_word += moves->word_count;
    moves->word_count = 0;
    moves->move_count = 0;
}

// Ends the words before `word`, which following moves go to.
static void begin_word(patch_moves *moves, size_t word) {
    while (moves->first_word + moves->word_count <= word) {
        if (moves->word_count == MAX_MOVED_WORDS || moves->move_count + 64 > MAX_MOVES) {
            carry_out_moves(moves);
        }
        moves->ends[moves->word_count++] = moves->move_count;
    }
}

// The channels of the input pixel `pixel` words into the plane go to bit `at` of the patch.
static void move_tap(patch_moves *moves, const xnor_patch_args *args, ptrdiff_t pixel, size_t at) {
    for (size_t done = 0; done < args->channels;) {
        const size_t from = args->channel_begin + done, to = at + done;
        const size_t room = 64 - (from % 64 > to % 64 ? from % 64 : to % 64);
        const size_t left = args->channels - done;
        const size_t bits = left < room ? left : room;
        begin_word(moves, to / 64);
        const size_t i = moves->move_count++;
        moves->offset[i] = pixel + (ptrdiff_t)(from / 64);
        moves->shift[i] = (int64_t)(to % 64) - (int64_t)(from % 64);
        moves->mask[i] = ~UINT64_C(0) >> (64 - bits) << to % 64;
        moves->ends[moves->word_count - 1] = moves->move_count;
        done += bits;
    }
}

static bool tap_inside(size_t output, size_t stride, size_t tap, size_t dilation, size_t pad,
                       size_t extent) {
    const size_t at = output * stride + tap * dilation;
    return at >= pad && at - pad < extent;
}

// `count` pixels from (y, x) on, of which all look at the same taps.
static void patch_equal_pixels(const xnor_patch_args *args, size_t y, size_t x, size_t count,
                               uint64_t *rows, size_t rows_stride) {
    const ptrdiff_t corner_y = (ptrdiff_t)(y * args->stride_h) - (ptrdiff_t)args->pad_top;
    const ptrdiff_t corner_x = (ptrdiff_t)(x * args->stride_w) - (ptrdiff_t)args->pad_left;
    patch_moves moves;
    moves.from = args->plane;
    moves.step = args->stride_w * args->pixel_stride;
    moves.count = count;
    moves.rows = rows;
    moves.rows_stride = rows_stride;
    moves.first_word = moves.word_count = moves.move_count = 0;
    for (size_t ky = 0; ky < args->kernel_h; ky++) {
        if (!tap_inside(y, args->stride_h, ky, args->dilation_h, args->pad_top, args->height))
            continue;
        for (size_t kx = 0; kx < args->kernel_w; kx++) {
            if (!tap_inside(x, args->stride_w, kx, args->dilation_w, args->pad_left, args->width))
                continue;
            const ptrdiff_t tap_y = corner_y + (ptrdiff_t)(ky * args->dilation_h);
            const ptrdiff_t tap_x = corner_x + (ptrdiff_t)(kx * args->dilation_w);
            const ptrdiff_t pixel =
                (tap_y * (ptrdiff_t)args->width + tap_x) * (ptrdiff_t)args->pixel_stride;
            move_tap(&moves, args, pixel, (ky * args->kernel_w + kx) * args->channels);
        }
    }
    const size_t words = xnor_words(args->kernel_h * args->kernel_w * args->channels);
    begin_word(&moves, words - 1);
    carry_out_moves(&moves);
}

static void patch_bits(const xnor_patch_args *args, size_t y, size_t x_begin, size_t count,
                       uint64_t *rows, size_t rows_stride) {
    // Pixels inner .. inner_end see all columns of the kernel.
    const size_t span = (args->kernel_w - 1) * args->dilation_w;
    const size_t padded = args->width + args->pad_left;
    const size_t inner = (args->pad_left + args->stride_w - 1) / args->stride_w;
    const size_t inner_end = padded > span ? (padded - span - 1) / args->stride_w + 1 : 0;
    for (size_t m = 0; m < count;) {
        const size_t x = x_begin + m;
        size_t equal = 1;
        if (x >= inner && x < inner_end)
            equal = inner_end - x < count - m ? inner_end - x : count - m;
        patch_equal_pixels(args, y, x, equal, rows + m * rows_stride, rows_stride);
        m += equal;
    }
}

#endif
