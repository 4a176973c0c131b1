// A row of the result at a time: some windows are unfolded side by side and multiplied like rows of a linear
// layer, in the order (ky, kx, channel), so that the sums are the same on every machine.
#include "exec/steps_conv2d.h"

#include <string.h>

#include "exec/tiles.h"
#include "ops/conv.h"

typedef struct conv_context {
    const xnor_step *step;
    const xnor_run *run;
    xnor_conv conv;
    xnor_shape x, y; // [batch, height, width, channels]
} conv_context;

// The windows of pixels x_begin .. x_begin + count - 1 of row y of a picture, channels of group `group`:
// [count][k]. Taps outside of the picture are 0.
static void unfold(const conv_context *c, const float *picture, size_t group, int64_t y,
                   int64_t x_begin, size_t count, float *out) {
    const xnor_window *v = &c->conv.window;
    const int64_t height = c->x.dims[1], width = c->x.dims[2], channels = c->x.dims[3];
    const size_t each = (size_t)(channels / c->conv.group);
    for (size_t i = 0; i < count; i++)
        for (int64_t ky = 0; ky < v->kernel[0]; ky++)
            for (int64_t kx = 0; kx < v->kernel[1]; kx++, out += each) {
                const int64_t row = y * v->stride[0] + ky * v->dilation[0] - v->pad_begin[0];
                const int64_t column =
                    (x_begin + (int64_t)i) * v->stride[1] + kx * v->dilation[1] - v->pad_begin[1];
                if (row < 0 || row >= height || column < 0 || column >= width)
                    memset(out, 0, each * sizeof *out);
                else
                    memcpy(out, picture + (row * width + column) * channels + group * each,
                           each * sizeof *out);
            }
}

static void tile_rows(void *context, size_t begin, size_t end) {
    const conv_context *c = context;
    const xnor_step *s = c->step;
    const size_t width = (size_t)c->y.dims[2], outputs = s->groups * s->n;
    const size_t most = XNOR_CONV2D_BLOCK / s->k, height = (size_t)c->y.dims[1];
    const float *b = s->packed, *bias = s->parameters[0];
    float windows[XNOR_CONV2D_BLOCK];
    for (size_t row = begin; row < end; row++) {
        const float *picture = (const float *)c->run->values[s->x] +
                               row / height * (size_t)(c->x.dims[1] * c->x.dims[2] * c->x.dims[3]);
        float *y = (float *)c->run->values[s->y] + row * width * outputs;
        for (size_t x = 0; x < width; x += most) {
            const size_t count = width - x < most ? width - x : most;
            for (size_t g = 0; g < s->groups; g++) {
                unfold(c, picture, g, (int64_t)(row % height), (int64_t)x, count, windows);
                c->run->kernels->gemm_f32(count, s->k, s->n, windows, s->k, b + g * s->n, outputs,
                                          bias ? bias + g * s->n : NULL, y + x * outputs + g * s->n,
                                          outputs);
            }
        }
    }
}

xnor_status xnor_step_conv2d(const xnor_step *s, const xnor_run *run) {
    conv_context c = {.step = s, .run = run};
    c.x = s->graph->values[s->x].shape;
    c.y = s->graph->values[s->y].shape;
    XNOR_TRY(xnor_conv_read(s->node, &c.x, &s->graph->values[s->node->inputs[1]].shape, &c.conv));
    xnor_parallel_for(run->pool, s->rows, 1, run->cancel, tile_rows, &c);
    return XNOR_OK;
}
