// Patches of binary convolutions for every kernel set. Where channels fill whole words, a patch is put
// together by copying, else by moves: bits of one input word that go to one word of the patch, shifted.
// The moves of neighbouring pixels are the same, so they are listed once and carried out for many
// pixels; only pixels whose window leaves the plane get a list of their own. A vector set's file includes this after it has defined
//     vu                         U64_LANES words, each of another pixel
//     vu_zero()
//     vu_load(p, step)           p[0], p[step], p[2 · step], ..
//     vu_store(p, v)             p[0], p[1], ..
//     vu_move(sum, v, shift, mask)   sum | ((v << shift) & mask), or >> where shift is negative
// portable C has no U64_LANES.
#ifndef XNOR_KERNELS_PATCHES_H
#define XNOR_KERNELS_PATCHES_H

#include "core/size.h"
#include "kernels/inline.h"
#include "kernels/sets.h"

#include <string.h>

// ---- channels that fill words -------------------------------------------------------------------

// A constant number of words of each pixel: memcpy becomes the best moves of the set.
ALWAYS_INLINE void copy_few(size_t words, size_t count, const uint64_t *from, size_t step,
                            uint64_t *to, size_t to_stride) {
    UNROLL_2 for (size_t m = 0; m < count; m++, from += step, to += to_stride) {
        memcpy(to, from, words * sizeof *to);
    }
}

static void copy_words(size_t words, size_t count, const uint64_t *from, size_t step, uint64_t *to,
                       size_t to_stride) {
    for (; words >= 8; words -= 8, from += 8, to += 8) {
        copy_few(8, count, from, step, to, to_stride);
    }
    if (words == 1) copy_few(1, count, from, step, to, to_stride);
    if (words == 2) copy_few(2, count, from, step, to, to_stride);
    if (words == 3) copy_few(3, count, from, step, to, to_stride);
    if (words == 4) copy_few(4, count, from, step, to, to_stride);
    if (words == 5) copy_few(5, count, from, step, to, to_stride);
    if (words == 6) copy_few(6, count, from, step, to, to_stride);
    if (words == 7) copy_few(7, count, from, step, to, to_stride);
}

static void clear_words(size_t words, size_t count, uint64_t *to, size_t to_stride) {
    for (size_t j = 0; j < words; j++) {
        for (size_t m = 0; m < count; m++) to[m * to_stride + j] = 0;
    }
}

// ---- channels that do not fill words ------------------------------------------------------------

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
    size_t offset[MAX_MOVES];
    int64_t shift[MAX_MOVES];
    uint64_t mask[MAX_MOVES]; // bits of the word moved to
} patch_moves;

#if defined(U64_LANES)
#define MOVE_VECTORS 2

// Of vectors · U64_LANES pixels from m on.
ALWAYS_INLINE void move_vectors(const patch_moves *moves, size_t step, size_t vectors, size_t m) {
    const size_t stride = moves->rows_stride;
    const uint64_t *from = moves->from + m * step;
    uint64_t *row = moves->rows + m * stride + moves->first_word;
    size_t i = 0;
    for (size_t j = 0; j < moves->word_count; j++) {
        vu sum[MOVE_VECTORS];
        uint64_t words[MOVE_VECTORS * U64_LANES];
        UNROLL for (size_t v = 0; v < vectors; v++) sum[v] = vu_zero();
        for (const size_t end = moves->ends[j]; i < end; i++) {
            const uint64_t *at = from + moves->offset[i];
            UNROLL for (size_t v = 0; v < vectors; v++) {
                sum[v] = vu_move(sum[v], vu_load(at + v * U64_LANES * step, step), moves->shift[i],
                                 moves->mask[i]);
            }
        }
        UNROLL for (size_t v = 0; v < vectors; v++) vu_store(words + v * U64_LANES, sum[v]);
        UNROLL for (size_t r = 0; r < vectors * U64_LANES; r++) row[r * stride + j] = words[r];
    }
}

// Returns the number of pixels done: all, unless they are fewer than one vector.
ALWAYS_INLINE size_t move_all_vectors(const patch_moves *moves, size_t step) {
    size_t m = 0;
    for (; m + MOVE_VECTORS * U64_LANES <= moves->count; m += MOVE_VECTORS * U64_LANES) {
        move_vectors(moves, step, MOVE_VECTORS, m);
    }
    while (m < moves->count && moves->count >= U64_LANES) {
        if (m + U64_LANES > moves->count) m = moves->count - U64_LANES; // overlaps those before
        move_vectors(moves, step, 1, m);
        m += U64_LANES;
    }
    return m;
}
#endif

static void carry_out_moves(patch_moves *moves) {
    size_t m = 0;
#if defined(U64_LANES)
    m = moves->step == 1 ? move_all_vectors(moves, 1) : move_all_vectors(moves, moves->step);
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
static void move_tap(patch_moves *moves, const xnor_patch_args *args, size_t pixel, size_t at) {
    for (size_t done = 0; done < args->channels;) {
        const size_t from = args->channel_begin + done, to = at + done;
        const size_t room = 64 - (from % 64 > to % 64 ? from % 64 : to % 64);
        const size_t left = args->channels - done;
        const size_t bits = left < room ? left : room;
        begin_word(moves, to / 64);
        const size_t i = moves->move_count++;
        moves->offset[i] = pixel + from / 64;
        moves->shift[i] = (int64_t)(to % 64) - (int64_t)(from % 64);
        moves->mask[i] = ~UINT64_C(0) >> (64 - bits) << to % 64;
        moves->ends[moves->word_count - 1] = moves->move_count;
        done += bits;
    }
}

// ---- pixels of equal windows --------------------------------------------------------------------

// Taps begin .. end of one axis lie inside the plane.
typedef struct tap_range {
    size_t begin, end;
} tap_range;

// `corner`: output · stride.
static tap_range taps_inside(size_t corner, size_t taps, size_t dilation, size_t pad,
                             size_t extent) {
    tap_range range = {0, taps};
    while (range.begin < taps && corner + range.begin * dilation < pad) range.begin++;
    while (range.end > range.begin && corner + (range.end - 1) * dilation >= pad + extent) {
        range.end--;
    }
    return range;
}

// `count` pixels, of which all look at the same taps.
typedef struct equal_pixels {
    const xnor_patch_args *args;
    size_t corner_y, corner_x; // of the first, in the padded plane
    tap_range taps_y, taps_x;
    size_t count;
    uint64_t *rows;
    size_t rows_stride;
} equal_pixels;

// The first word of the first pixel's tap, counted from the plane's. Only of taps inside.
static size_t tap_word(const equal_pixels *p, size_t ky, size_t kx) {
    const xnor_patch_args *a = p->args;
    const size_t y = p->corner_y + ky * a->dilation_h - a->pad_top;
    const size_t x = p->corner_x + kx * a->dilation_w - a->pad_left;
    return (y * a->width + x) * a->pixel_stride;
}

static void copy_taps(const equal_pixels *p) {
    const xnor_patch_args *a = p->args;
    const size_t words = a->channels / 64, row_words = a->kernel_w * words;
    const size_t step = a->stride_w * a->pixel_stride;
    const size_t next = a->dilation_w * a->pixel_stride;
    const tap_range ys = p->taps_y, xs = p->taps_x;
    for (size_t ky = 0; ky < a->kernel_h; ky++) {
        uint64_t *to = p->rows + ky * row_words;
        if (ky < ys.begin || ky >= ys.end || xs.begin == xs.end) {
            clear_words(row_words, p->count, to, p->rows_stride);
            continue;
        }
        clear_words(xs.begin * words, p->count, to, p->rows_stride);
        clear_words((a->kernel_w - xs.end) * words, p->count, to + xs.end * words, p->rows_stride);
        const uint64_t *from = a->plane + tap_word(p, ky, xs.begin) + a->channel_begin / 64;
        const size_t run = next == words ? xs.end - xs.begin : 1; // taps that lie side by side
        for (size_t kx = xs.begin; kx < xs.end; kx += run, from += next) {
            copy_words(run * words, p->count, from, step, to + kx * words, p->rows_stride);
        }
    }
}

static void move_taps(const equal_pixels *p) {
    const xnor_patch_args *a = p->args;
    patch_moves moves;
    moves.from = a->plane;
    moves.step = a->stride_w * a->pixel_stride;
    moves.count = p->count;
    moves.rows = p->rows;
    moves.rows_stride = p->rows_stride;
    moves.first_word = moves.word_count = moves.move_count = 0;
    for (size_t ky = p->taps_y.begin; ky < p->taps_y.end; ky++) {
        for (size_t kx = p->taps_x.begin; kx < p->taps_x.end; kx++) {
            move_tap(&moves, a, tap_word(p, ky, kx), (ky * a->kernel_w + kx) * a->channels);
        }
    }
    begin_word(&moves, xnor_words(a->kernel_h * a->kernel_w * a->channels) - 1);
    carry_out_moves(&moves);
}

static void patch_bits(const xnor_patch_args *args, size_t y, size_t x_begin, size_t count,
                       uint64_t *rows, size_t rows_stride) {
    // Pixels inner .. inner_end see all columns of the kernel.
    const size_t span = (args->kernel_w - 1) * args->dilation_w;
    const size_t padded = args->width + args->pad_left;
    const size_t inner = (args->pad_left + args->stride_w - 1) / args->stride_w;
    const size_t inner_end = padded > span ? (padded - span - 1) / args->stride_w + 1 : 0;
    equal_pixels p = {.args = args, .corner_y = y * args->stride_h, .rows_stride = rows_stride};
    p.taps_y =
        taps_inside(p.corner_y, args->kernel_h, args->dilation_h, args->pad_top, args->height);
    for (size_t m = 0; m < count; m += p.count) {
        const size_t x = x_begin + m;
        p.corner_x = x * args->stride_w;
        p.taps_x =
            taps_inside(p.corner_x, args->kernel_w, args->dilation_w, args->pad_left, args->width);
        p.rows = rows + m * rows_stride;
        p.count = 1;
        if (x >= inner && x < inner_end)
            p.count = inner_end - x < count - m ? inner_end - x : count - m;
        if (args->channels % 64 == 0 && args->channel_begin % 64 == 0)
            copy_taps(&p);
        else
            move_taps(&p);
    }
}

#endif
