// Normalisations: BatchNormalization (inference), the compiler's affine, Softmax and LogSoftmax.
#include "ops/ops.h"

#include <math.h>

#include "core/tensor.h"

static xnor_dtype real(xnor_dtype dtype) {
    return dtype == XNOR_F64 ? XNOR_F64 : XNOR_F32;
}

// y = scale·(x - mean)/√(variance + ε) + bias, per channel of axis 1.
static xnor_status infer_batch_norm(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    if (x->shape.rank < 2)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (BatchNormalization): expected rank 2 or more",
                         node->name);
    for (uint32_t i = 1; i < 5; i++) {
        const xnor_value *p = xnor_in(graph, node, i);
        if (p->shape.rank != 1 || (x->shape.dims[1] >= 0 && p->shape.dims[0] >= 0 &&
                                   p->shape.dims[0] != x->shape.dims[1]))
            return xnor_fail(
                XNOR_E_SHAPE,
                "node '%s' (BatchNormalization): input %u must have one element for each "
                "of the %lld channels",
                node->name, i, (long long)x->shape.dims[1]);
    }
    return xnor_set_output(graph, node, 0, real(x->dtype), &x->shape);
}

static xnor_status eval_batch_norm(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    double epsilon = xnor_node_float(node, XNOR_ATTR_EPSILON, 1e-5);
    size_t channels = (size_t)in[0].shape.dims[1], inner = 1, count = xnor_tensor_count(&out[0]);
    for (uint32_t i = 2; i < in[0].shape.rank; i++) inner *= (size_t)in[0].shape.dims[i];
    for (size_t i = 0; i < count; i++) {
        size_t c = i / inner % channels;
        double scale = xnor_tensor_get(&in[1], c), bias = xnor_tensor_get(&in[2], c);
        double mean = xnor_tensor_get(&in[3], c), variance = xnor_tensor_get(&in[4], c);
        double x = xnor_tensor_get(&in[0], i);
        xnor_tensor_set(&out[0], i, scale * (x - mean) / sqrt(variance + epsilon) + bias);
    }
    return XNOR_OK;
}

// scale and shift: [channels] of the last axis.
static xnor_status infer_affine(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    int64_t channels = xnor_shape_last(&x->shape);
    for (uint32_t i = 1; i < 3; i++) {
        const xnor_value *p = xnor_in(graph, node, i);
        if (p->shape.rank != 1 || (channels >= 0 && p->shape.dims[0] != channels))
            return xnor_fail(
                XNOR_E_SHAPE, "node '%s' (xnor_affine): %lld parameters for %lld channels",
                node->name, (long long)(p->shape.rank ? p->shape.dims[0] : 1), (long long)channels);
    }
    return xnor_set_output(graph, node, 0, real(x->dtype), &x->shape);
}

static xnor_status eval_affine(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    (void)node;
    size_t channels = (size_t)in[1].shape.dims[0], count = xnor_tensor_count(&out[0]);
    for (size_t i = 0; i < count; i++)
        xnor_tensor_set(&out[0], i,
                        xnor_tensor_get(&in[1], i % channels) * xnor_tensor_get(&in[0], i) +
                            xnor_tensor_get(&in[2], i % channels));
    return XNOR_OK;
}

static xnor_status infer_softmax(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    uint32_t axis;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, -1), x->shape.rank, &axis));
    return xnor_set_output(graph, node, 0, real(x->dtype), &x->shape);
}

static xnor_status eval_softmax(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    uint32_t axis;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, -1), in[0].shape.rank, &axis));
    size_t n = (size_t)in[0].shape.dims[axis], inner = 1, count = xnor_tensor_count(&out[0]);
    for (uint32_t i = axis + 1; i < in[0].shape.rank; i++) inner *= (size_t)in[0].shape.dims[i];
    for (size_t i = 0; n && i < count / n; i++) {
        size_t base = i / inner * n * inner + i % inner;
        double largest = -INFINITY, sum = 0;
        for (size_t j = 0; j < n; j++)
            largest = fmax(largest, xnor_tensor_get(&in[0], base + j * inner));
        for (size_t j = 0; j < n; j++)
            sum += exp(xnor_tensor_get(&in[0], base + j * inner) - largest);
        for (size_t j = 0; j < n; j++) {
            double x = xnor_tensor_get(&in[0], base + j * inner) - largest;
            xnor_tensor_set(&out[0], base + j * inner,
                            node->op == XNOR_OP_SOFTMAX ? exp(x) / sum : x - log(sum));
        }
    }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_norm[] = {
    {XNOR_OP_BATCH_NORMALIZATION, {5, 5, 1, 0, infer_batch_norm, eval_batch_norm}},
    {XNOR_OP_AFFINE, {3, 3, 1, 0, infer_affine, eval_affine}},
    {XNOR_OP_SOFTMAX, {1, 1, 1, 0, infer_softmax, eval_softmax}},
    {XNOR_OP_LOG_SOFTMAX, {1, 1, 1, 0, infer_softmax, eval_softmax}},
    XNOR_OPS_END,
};
