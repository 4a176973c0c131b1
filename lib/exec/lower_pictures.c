// Operators on pictures with channels last, [batch, height, width, channels], and those that move elements.
#include "exec/lower.h"
#include "exec/steps_conv2d.h"
#include "exec/steps_resize.h"
#include "ops/conv.h"
#include "ops/resize.h"

xnor_status xnor_lower_conv_transpose(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value *x = value_of(l, node->inputs[0]), *w = value_of(l, node->inputs[1]);
    bool bias = node->input_count > 2 && node->inputs[2] != XNOR_NO_VALUE;
    int64_t line = 0; // products of a pixel
    bool direct = x->dtype == XNOR_F32 && value_of(l, node->outputs[0])->dtype == XNOR_F32 &&
                  is_float_constant(l, node->inputs[1]) &&
                  (!bias || is_float_constant(l, node->inputs[2])) &&
                  !__builtin_mul_overflow(w->shape.dims[2], w->shape.dims[3], &line) && line > 0 &&
                  line <= XNOR_CONV2D_BLOCK;
    xnor_step *step =
        xnor_add_step(l, direct ? xnor_step_conv_transpose : xnor_step_reference, node);
    if (!direct) return XNOR_OK;
    const xnor_shape *y = &value_of(l, step->y)->shape;
    step->groups = (size_t)xnor_node_int(node, XNOR_ATTR_GROUP, 1);
    step->rows = (size_t)(y->dims[0] * y->dims[1]); // of pixels
    step->k = (size_t)w->shape.dims[0] / step->groups;
    step->n = (size_t)w->shape.dims[3];
    step->packed = w->data;
    if (bias) step->parameters[0] = value_of(l, node->inputs[2])->data;
    if (step->groups > 1 && step->k == 1 && step->n == 1 && is_model_constant(l, node->inputs[1]) &&
        w->shape.dims[1] * w->shape.dims[2] <= XNOR_DEPTHWISE_TAPS) {
        const float *packed;
        step->run = xnor_step_depthwise_transpose;
        XNOR_TRY(xnor_model_pack_linear(l->plan->model, node->inputs[1], &packed));
        step->packed = packed;
    }
    return XNOR_OK;
}

static bool has_constants(const lowering *l, const xnor_node *node) {
    for (uint32_t i = 1; i < node->input_count; i++)
        if (node->inputs[i] != XNOR_NO_VALUE && !value_of(l, node->inputs[i])->data) return false;
    return true;
}

xnor_status xnor_lower_strided(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    bool direct = value_of(l, node->inputs[0])->dtype == XNOR_F32 && has_constants(l, node);
    xnor_add_step(l, direct ? xnor_step_strided : xnor_step_reference, node);
    return XNOR_OK;
}

xnor_status xnor_lower_pad(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value *x = value_of(l, node->inputs[0]);
    bool direct = x->dtype == XNOR_F32 && x->shape.rank > 0 && has_constants(l, node);
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_pad : xnor_step_reference, node);
    if (!direct || node->input_count < 3 || node->inputs[2] == XNOR_NO_VALUE) return XNOR_OK;
    const xnor_value *value = value_of(l, node->inputs[2]);
    const xnor_tensor t = {value->dtype, value->shape, value->data};
    step->low = (float)xnor_tensor_get(&t, 0);
    return XNOR_OK;
}

// What the elements along an axis are mixed of, worked out once for all runs.
static xnor_status add_sources(lowering *l, const xnor_node *node, uint32_t axis,
                               const void **out) {
    xnor_tensor targets[2] = {{0}, {0}};
    for (uint32_t i = 0; i < 2 && i + 2 < node->input_count; i++) {
        if (node->inputs[i + 2] == XNOR_NO_VALUE) continue;
        const xnor_value *value = value_of(l, node->inputs[i + 2]);
        targets[i] = (xnor_tensor){value->dtype, value->shape, value->data};
    }
    const int64_t count = value_of(l, node->outputs[0])->shape.dims[axis];
    const xnor_resize_axis a =
        xnor_resize_axis_of(node, axis, &targets[0], &targets[1],
                            value_of(l, node->inputs[0])->shape.dims[axis], count);
    const xnor_shape shape = {1, {count * (int64_t)sizeof(xnor_resize_source_pair)}};
    xnor_value_id id;
    void *data;
    XNOR_TRY(xnor_graph_add_constant(l->graph, node->name, XNOR_U8, &shape, &id, &data));
    xnor_resize_source_pair *pairs = data;
    for (int64_t i = 0; i < count; i++) {
        int64_t first, second;
        double share;
        xnor_resize_source(&a, i, &first, &second, &share);
        pairs[i] = (xnor_resize_source_pair){(int32_t)first, (int32_t)second, (float)share};
    }
    *out = pairs;
    return XNOR_OK;
}

// From as many on a result is not in the caches when somebody reads it: stored past them it costs half.
enum { STREAMED_FLOATS = 1 << 22 };

// Reals, or signs whose words are copied.
static bool resizes_pixels(const lowering *l, const xnor_node *node, bool *signs) {
    const xnor_value *x = value_of(l, node->inputs[0]), *y = value_of(l, node->outputs[0]);
    *signs = x->dtype == XNOR_BITS || x->dtype == XNOR_TERNARY;
    return (*signs || (x->dtype == XNOR_F32 && x->shape.dims[3] <= XNOR_RESIZE_FLOATS / 2)) &&
           y->dtype == x->dtype && x->shape.rank == 4 && x->shape.dims[0] == y->shape.dims[0] &&
           x->shape.dims[3] == y->shape.dims[3] && x->shape.dims[1] <= INT32_MAX &&
           x->shape.dims[2] <= INT32_MAX && has_constants(l, node);
}

xnor_status xnor_lower_resize(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_shape y = value_of(l, node->outputs[0])->shape; // values move when one is added
    bool signs = false;
    if (!resizes_pixels(l, node, &signs)) {
        xnor_add_step(l, xnor_step_reference, node);
        return XNOR_OK;
    }
    xnor_step *step = xnor_add_step(l, signs ? xnor_step_resize_signs : xnor_step_resize, node);
    step->rows = (size_t)(y.dims[0] * y.dims[1]);
    step->n = (size_t)y.dims[3];
    for (uint32_t i = 0; i < 2; i++) XNOR_TRY(add_sources(l, node, i + 1, &step->parameters[i]));
    if (signs) return XNOR_OK;
    // Channels come first in what leaves the network: lines are turned while they are short.
    const uint32_t user = only_user(l, step->y);
    static const int64_t channels_first[] = {0, 3, 1, 2};
    const xnor_attr *perm = user == UINT32_MAX || l->graph->nodes[user].op != XNOR_OP_TRANSPOSE
                                ? NULL
                                : xnor_node_attr(&l->graph->nodes[user], XNOR_ATTR_PERM);
    for (uint32_t i = 0; perm && i < 4; i++)
        if (perm->ints[i] != channels_first[i]) perm = NULL;
    if (!perm) return XNOR_OK;
    step->y = l->graph->nodes[user].outputs[0];
    step->k = xnor_graph_is_output(l->graph, step->y) &&
              step->rows * (size_t)(y.dims[2] * y.dims[3]) >= STREAMED_FLOATS;
    l->done[user] = 1;
    return XNOR_OK;
}

xnor_status xnor_lower_pool(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value *x = value_of(l, node->inputs[0]), *y = value_of(l, node->outputs[0]);
    bool direct = x->dtype == XNOR_F32 && y->dtype == XNOR_F32 && x->shape.rank == 4 &&
                  xnor_node_int(node, XNOR_ATTR_AXIS, 1) == 3;
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_pooling : xnor_step_reference, node);
    if (direct) step->rows = (size_t)(y->shape.dims[0] * y->shape.dims[1]);
    return XNOR_OK;
}

xnor_status xnor_lower_pool_signs(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value *direction = node->input_count > 1 ? value_of(l, node->inputs[1]) : NULL;
    bool direct = value_of(l, node->inputs[0])->shape.rank == 4 && (!direction || direction->data);
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_pool_signs : xnor_step_reference, node);
    if (!direct) return XNOR_OK;
    const xnor_shape *y = &value_of(l, step->y)->shape;
    step->rows = (size_t)(y->dims[0] * y->dims[1]);
    step->n = (size_t)y->dims[3];
    if (direction) step->parameters[0] = direction->data;
    return XNOR_OK;
}
