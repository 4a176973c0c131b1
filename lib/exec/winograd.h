// Winograd convolutions: which convolutions are done that way, how the picture is cut into blocks of tiles that stay in
// the cache, and transformed weights. Internal to lib/exec.
//
// A convolution of stride 2 is the sum of stride 1 convolutions of the four phases of the picture, its even and odd
// rows and columns, and so is one of four times as many channels and half as many taps along each axis.
#ifndef XNOR_EXEC_WINOGRAD_H
#define XNOR_EXEC_WINOGRAD_H

#include "kernels/kernels.h"
#include "ops/conv.h"

enum {
    WINOGRAD_SLOTS = 8, // blocks that are done at the same time, each in working memory of its own
    WINOGRAD_PHASES = 4,
    WINOGRAD_SQUARE = XNOR_WINOGRAD_POINTS * XNOR_WINOGRAD_POINTS
};

typedef struct winograd_phase {
    size_t y, x;
} winograd_phase;

typedef struct winograd_sizes {
    size_t stride, kernel, points, phases;
    size_t step;                     // pixels from one tile to the next
    size_t channels, inner, outputs; // inner: channels of all phases
    size_t height, width, out_height, out_width, pad_top, pad_left;
    bool few;                         // channels, which come first in the picture
    size_t down, across;              // tiles of a picture
    size_t rows, columns;             // of tiles in a block
    size_t block_rows, block_columns; // of blocks in a picture
    size_t blocks;                    // of all pictures
    size_t chunk;                     // channels that are transformed and multiplied at a time
    size_t group;                     // channels of these that are cut into tiles at a time
    size_t part;                      // outputs that are multiplied at a time
    // Working memory of a block, in floats: a group of channels of XNOR_WINOGRAD_LANES tiles of a row, [pixel rows of a
    // tile] by channel and column of a tile, one tile beside the other;
    size_t cut_row, cut_column, cut_channel;
    // transformed channels [points²][phases of a chunk][tiles] and outputs [points²][part][tiles];
    size_t tile_stride, in_stride, out_stride;
    // results [rows][columns][outputs], and all of these.
    size_t in_at, out_at, sums_at, slot;
    size_t slots;
} winograd_sizes;

// False where a convolution is done directly. x: with channels last, as the node has it. Depends on shapes alone, so
// that all machines give the same results.
bool winograd_sizes_of(const xnor_conv *conv, const xnor_shape *x, const xnor_shape *y, bool few,
                       winograd_sizes *out);
winograd_phase winograd_phase_of(size_t stride, size_t index);
// The phases that give to point (i, j): at infinity only those that have the last tap do.
void winograd_range(size_t stride, size_t kernel, size_t points, size_t i, size_t j, size_t *first,
                    size_t *count);
// Floats of transformed weights.
size_t winograd_weights(size_t stride, bool few, size_t kernel, size_t outputs, size_t channels);
// w [outputs][kernel][kernel][channels] -> out: by chunk of channels, [points²][outputs][phases][channels of the chunk];
// few: by four outputs, as winograd_few wants them, the last four of which may be among those before
void winograd_transform(size_t stride, bool few, size_t kernel, size_t outputs, size_t channels,
                        const float *w, float *out);

#endif
