// Nearest and linear resizing of pictures with channels last: two rows are mixed, in each two pixels.
#include <string.h>

#include "exec/tiles.h"
#include "ops/resize.h"

typedef struct resize_context {
    const xnor_step *step;
    const xnor_run *run;
    xnor_resize_axis y, x;
    size_t in_height, in_width, out_height, out_width, channels;
} resize_context;

// Weights of the four pixels in the order in which the reference adds them.
static void mix(const float *const *from, const float *weights, size_t channels, float *out) {
    for (size_t c = 0; c < channels; c++)
        out[c] = ((weights[0] * from[0][c] + weights[1] * from[1][c]) + weights[2] * from[2][c]) +
                 weights[3] * from[3][c];
}

static void tile_rows(void *context, size_t begin, size_t end) {
    const resize_context *r = context;
    const size_t row_floats = r->in_width * r->channels;
    for (size_t row = begin; row < end; row++) {
        const float *picture = (const float *)r->run->values[r->step->x] +
                               row / r->out_height * r->in_height * row_floats;
        float *out = (float *)r->run->values[r->step->y] + row * r->out_width * r->channels;
        int64_t top, bottom, left, right;
        double down, along;
        xnor_resize_source(&r->y, (int64_t)(row % r->out_height), &top, &bottom, &down);
        const float *rows[2] = {picture + (size_t)top * row_floats,
                                picture + (size_t)bottom * row_floats};
        for (size_t x = 0; x < r->out_width; x++, out += r->channels) {
            xnor_resize_source(&r->x, (int64_t)x, &left, &right, &along);
            const size_t l = (size_t)left * r->channels, g = (size_t)right * r->channels;
            if (down == 0 && along == 0) {
                memcpy(out, rows[0] + l, r->channels * sizeof *out);
                continue;
            }
            const float *const from[4] = {rows[0] + l, rows[1] + l, rows[0] + g, rows[1] + g};
            const float weights[4] = {(float)((1 - down) * (1 - along)),
                                      (float)(down * (1 - along)), (float)((1 - down) * along),
                                      (float)(down * along)};
            mix(from, weights, r->channels, out);
        }
    }
}

xnor_status xnor_step_resize(const xnor_step *s, const xnor_run *run) {
    const int64_t *in = s->graph->values[s->x].shape.dims, *out = s->graph->values[s->y].shape.dims;
    static const xnor_tensor none = {0};
    xnor_tensor targets[2] = {none, none};
    for (uint32_t i = 0; i < 2 && i + 2 < s->node->input_count; i++) {
        if (s->node->inputs[i + 2] == XNOR_NO_VALUE) continue;
        const xnor_value *value = &s->graph->values[s->node->inputs[i + 2]];
        targets[i] = (xnor_tensor){value->dtype, value->shape, value->data};
    }
    resize_context r = {
        .step = s,
        .run = run,
        .y = xnor_resize_axis_of(s->node, 1, &targets[0], &targets[1], in[1], out[1]),
        .x = xnor_resize_axis_of(s->node, 2, &targets[0], &targets[1], in[2], out[2]),
        .in_height = (size_t)in[1],
        .in_width = (size_t)in[2],
        .out_height = (size_t)out[1],
        .out_width = (size_t)out[2],
        .channels = (size_t)in[3]};
    xnor_parallel_for(run->pool, s->rows, 1, run->cancel, tile_rows, &r);
    return XNOR_OK;
}
