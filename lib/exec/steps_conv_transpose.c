// Transposed convolutions, a row of the result at a time: rows of the input that give to it are multiplied by a line
// of taps, some pixels at a time, and the products are added where they belong. Every sum is made in the
// order (ky, input pixel, kx), whatever the tiling.
#include <string.h>

#include "exec/steps_conv2d.h"
#include "exec/tiles.h"
#include "ops/conv.h"

typedef struct transpose_context {
    const xnor_step *step;
    const xnor_run *run;
    xnor_conv conv;
    xnor_shape x, y; // [batch, height, width, channels]
} transpose_context;

static void fill(const float *bias, size_t pixels, size_t channels, float *y) {
    if (!bias) memset(y, 0, pixels * channels * sizeof *y);
    for (size_t i = 0; bias && i < pixels; i++)
        memcpy(y + i * channels, bias, channels * sizeof *y);
}

// Adds what pixels begin .. begin + count - 1 of an input row give: products [count][kernel width][n].
static void scatter(const transpose_context *c, size_t begin, size_t count, const float *products,
                    float *y) {
    const xnor_window *w = &c->conv.window;
    const size_t n = c->step->n;
    for (size_t i = begin; i < begin + count; i++)
        for (int64_t tap = 0; tap < w->kernel[1]; tap++, products += n) {
            const int64_t at = (int64_t)i * w->stride[1] + tap * w->dilation[1] - w->pad_begin[1];
            if (at < 0 || at >= c->y.dims[2]) continue;
            float *to = y + at * c->y.dims[3];
            for (size_t k = 0; k < n; k++) to[k] += products[k];
        }
}

// Adds what one row of the input gives through the taps of line ky.
static void add_row(const transpose_context *c, const float *x, int64_t ky, float *y) {
    const xnor_step *s = c->step;
    const size_t width = (size_t)c->x.dims[2], channels = (size_t)c->x.dims[3];
    const size_t line = (size_t)c->conv.window.kernel[1] * s->n; // of taps
    const size_t all = (size_t)c->conv.window.kernel[0] * line, most = XNOR_CONV2D_BLOCK / line;
    const float *taps = (const float *)s->packed + (size_t)ky * line;
    float products[XNOR_CONV2D_BLOCK];
    for (size_t begin = 0; begin < width; begin += most) {
        const size_t count = width - begin < most ? width - begin : most;
        for (size_t g = 0; g < s->groups; g++) {
            c->run->kernels->gemm_f32(count, s->k, line, x + begin * channels + g * s->k, channels,
                                      taps + g * s->k * all, all, NULL, products, line);
            scatter(c, begin, count, products, y + g * s->n);
        }
    }
}

static void tile_rows(void *context, size_t begin, size_t end) {
    const transpose_context *c = context;
    const xnor_step *s = c->step;
    const size_t height = (size_t)c->y.dims[1], width = (size_t)c->y.dims[2];
    const size_t outputs = s->groups * s->n, row_floats = (size_t)(c->x.dims[2] * c->x.dims[3]);
    for (size_t row = begin; row < end; row++) {
        const float *picture =
            (const float *)c->run->values[s->x] + row / height * (size_t)c->x.dims[1] * row_floats;
        float *y = (float *)c->run->values[s->y] + row * width * outputs;
        fill(s->parameters[0], width, outputs, y);
        for (int64_t ky = 0; ky < c->conv.window.kernel[0]; ky++) {
            const int64_t from =
                xnor_conv_giver(&c->conv.window, 0, c->x.dims[1], (int64_t)(row % height), ky);
            if (from >= 0) add_row(c, picture + (size_t)from * row_floats, ky, y);
        }
    }
}

xnor_status xnor_step_conv_transpose(const xnor_step *s, const xnor_run *run) {
    transpose_context c = {.step = s, .run = run};
    c.x = s->graph->values[s->x].shape;
    c.y = s->graph->values[s->y].shape;
    XNOR_TRY(xnor_conv_read(s->node, &c.x, &s->graph->values[s->node->inputs[1]].shape, &c.conv));
    xnor_parallel_for(run->pool, s->rows, 1, run->cancel, tile_rows, &c);
    return XNOR_OK;
}
