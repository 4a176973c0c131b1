// A row of the result at a time: some windows are unfolded side by side and multiplied like rows of a linear
// layer, in the order (ky, kx, channel), so that the sums are the same on every machine.
#include "exec/steps_conv2d.h"

#include <string.h>

#include "exec/tail.h"
#include "exec/tiles.h"
#include "ops/conv.h"

typedef struct conv_context {
    const xnor_step *step;
    const xnor_run *run;
    xnor_conv conv;
    xnor_shape x, y; // [batch, height, width, channels]
    bool pointwise;  // windows of one pixel inside the picture
    size_t most;     // pixels at a time
    xnor_bound_tail tail;
} conv_context;

static bool has_pads(const xnor_window *v) {
    return v->pad_begin[0] || v->pad_begin[1] || v->pad_end[0] || v->pad_end[1];
}

// The taps of a window in one row of the picture, which begin at `column`. Taps outside are 0.
static void unfold_taps(const conv_context *c, const float *row, int64_t column, size_t each,
                        float *out) {
    const xnor_window *v = &c->conv.window;
    const int64_t width = c->x.dims[2], channels = c->x.dims[3];
    const bool dense = v->dilation[1] == 1 && c->conv.group == 1;
    if (dense && column >= 0 && column + v->kernel[1] <= width) {
        memcpy(out, row + column * channels, (size_t)v->kernel[1] * each * sizeof *out);
        return;
    }
    for (int64_t kx = 0; kx < v->kernel[1]; kx++, column += v->dilation[1], out += each) {
        if (column < 0 || column >= width)
            memset(out, 0, each * sizeof *out);
        else
            memcpy(out, row + column * channels, each * sizeof *out);
    }
}

// The windows of pixels x_begin .. x_begin + count - 1 of row y of a picture, channels of group `group`:
// [count][k].
static void unfold(const conv_context *c, const float *picture, size_t group, int64_t y,
                   int64_t x_begin, size_t count, float *out) {
    const xnor_window *v = &c->conv.window;
    const int64_t height = c->x.dims[1], width = c->x.dims[2], channels = c->x.dims[3];
    const size_t each = (size_t)(channels / c->conv.group), line = (size_t)v->kernel[1] * each;
    for (size_t i = 0; i < count; i++)
        for (int64_t ky = 0; ky < v->kernel[0]; ky++, out += line) {
            const int64_t row = y * v->stride[0] + ky * v->dilation[0] - v->pad_begin[0];
            const int64_t column = (x_begin + (int64_t)i) * v->stride[1] - v->pad_begin[1];
            if (row < 0 || row >= height)
                memset(out, 0, line * sizeof *out);
            else
                unfold_taps(c, picture + row * width * channels + group * each, column, each, out);
        }
}

// Pixels of one row of the result: [count][outputs].
static void multiply(const conv_context *c, const float *picture, size_t y, size_t x, size_t count,
                     float *out) {
    const xnor_step *s = c->step;
    const xnor_window *v = &c->conv.window;
    const size_t outputs = s->groups * s->n, channels = (size_t)c->x.dims[3];
    const float *b = s->packed, *bias = s->parameters[0];
    float windows[XNOR_CONV2D_BLOCK];
    for (size_t g = 0; g < s->groups; g++) {
        const float *a = windows;
        size_t stride = s->k;
        if (c->pointwise) { // windows of one pixel lie in the picture as they are
            a = picture + y * (size_t)(v->stride[0] * c->x.dims[2]) * channels +
                x * (size_t)v->stride[1] * channels + g * s->k;
            stride = (size_t)v->stride[1] * channels;
        } else {
            unfold(c, picture, g, (int64_t)y, (int64_t)x, count, windows);
        }
        c->run->kernels->gemm_f32(count, s->k, s->n, a, stride, b + g * s->n, outputs,
                                  bias ? bias + g * s->n : NULL, out + g * s->n, outputs);
    }
}

static void tile_rows(void *context, size_t begin, size_t end) {
    const conv_context *c = context;
    const xnor_step *s = c->step;
    const size_t width = (size_t)c->y.dims[2], outputs = s->groups * s->n;
    const size_t height = (size_t)c->y.dims[1];
    float tile[XNOR_POINTWISE_MAX];
    for (size_t row = begin; row < end; row++) {
        const float *picture = (const float *)c->run->values[s->x] +
                               row / height * (size_t)(c->x.dims[1] * c->x.dims[2] * c->x.dims[3]);
        for (size_t x = 0; x < width; x += c->most) {
            const size_t count = width - x < c->most ? width - x : c->most;
            const size_t first = row * width + x;
            if (s->tail) {
                multiply(c, picture, row % height, x, count, tile);
                xnor_tail_apply(&c->tail, first, count, NULL, tile);
            } else {
                multiply(c, picture, row % height, x, count,
                         (float *)c->run->values[s->y] + first * outputs);
            }
        }
    }
}

xnor_status xnor_step_conv2d(const xnor_step *s, const xnor_run *run) {
    conv_context c = {.step = s, .run = run, .most = XNOR_CONV2D_BLOCK / s->k};
    c.x = s->graph->values[s->x].shape;
    c.y = s->graph->values[s->node->outputs[0]].shape;
    XNOR_TRY(xnor_conv_read(s->node, &c.x, &s->graph->values[s->node->inputs[1]].shape, &c.conv));
    c.pointwise =
        c.conv.window.kernel[0] == 1 && c.conv.window.kernel[1] == 1 && !has_pads(&c.conv.window);
    if (s->tail) {
        const size_t fit = XNOR_POINTWISE_MAX / s->tail->n;
        c.most = c.most < fit ? c.most : fit;
        xnor_tail_bind(s->tail, run, &c.tail);
    }
    xnor_parallel_for(run->pool, s->rows, 1, run->cancel, tile_rows, &c);
    return XNOR_OK;
}
