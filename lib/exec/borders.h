// What zero padding changes in a binary convolution. A tap outside the image adds 0, yet its bits are read as 0,
// -1 times the weights: sums of pixels at the border are off by what depends only on which taps of the window
// lie inside, of which there are few kinds. Internal to lib/exec.
#ifndef XNOR_EXEC_BORDERS_H
#define XNOR_EXEC_BORDERS_H

#include "exec/plan.h"

#define BORDER_RANGES 16  // along an axis, of the taps inside
#define BORDER_SUMS 16384 // of all kinds

typedef struct border_range {
    size_t begin, end; // taps inside
    size_t pixel;      // the first output that has them
} border_range;

typedef struct borders {
    const xnor_kernels *kernels;
    const xnor_step *step; // its groups, k, n and packed weights
    xnor_patch_args args;
    size_t out_width;                    // output pixels of a line
    size_t image_lines;                  // and lines of an image
    size_t inner_begin[2], inner_end[2]; // output pixels whose windows lie inside: height, width
    int32_t times; // how often the weights outside are missing: 0, 1, for +1 twice
    bool known;    // few kinds: the table holds all
    size_t range_count[2];
    border_range ranges[2][BORDER_RANGES]; // of axis 1; the first is that of inner pixels
    // [kinds][groups · n]: kind 0 the sums of a window of ones, the others what is missing.
    int32_t table[BORDER_SUMS];
} borders;

// After the members up to `times` are set. Needs a step that XNOR_EXEC_STEPS_CONV_H has room for.
void xnor_borders_make(borders *b);

// Adds what is missing to the sums [count, groups · n] of output pixels from `first` on, counted over all images.
void xnor_borders_add(const borders *b, size_t first, size_t count, int32_t *acc);

#endif
