// merge: affine after affine becomes one, affine after a float linear layer or convolution goes into its
// weights, and what is left of double constants is rounded to float32, once.
#include "passes/passes.h"

#include <string.h>

#include "core/tensor.h"
#include "passes/rewrite.h"

// The node with operator `op` before the affine `index`, if nobody else uses its result; else NULL.
static const xnor_node *only_before(const xnor_graph *graph, uint32_t index, xnor_op op) {
    const xnor_node *affine = &graph->nodes[index];
    uint32_t user;
    if (affine->op != XNOR_OP_AFFINE) return NULL;
    uint32_t producer = xnor_graph_producer(graph, affine->inputs[0]);
    if (producer == UINT32_MAX || graph->nodes[producer].op != op ||
        xnor_graph_uses(graph, affine->inputs[0], &user) != 1)
        return NULL;
    return &graph->nodes[producer];
}

static xnor_status merge_affine(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index], *before = only_before(graph, index, XNOR_OP_AFFINE);
    if (!before) return XNOR_OK;
    const xnor_node below = *before;
    size_t channels = xnor_constant_count(graph, node.inputs[1]);
    double *scale = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *scale);
    double *shift = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *shift);
    if (!scale || !shift) return xnor_fail(XNOR_E_MEMORY, "merge: out of memory");
    for (size_t c = 0; c < channels; c++) {
        double outer = xnor_constant_get(graph, node.inputs[1], c);
        scale[c] = outer * xnor_constant_get(graph, below.inputs[1], c);
        shift[c] = outer * xnor_constant_get(graph, below.inputs[2], c) +
                   xnor_constant_get(graph, node.inputs[2], c);
    }
    xnor_value_id out = node.outputs[0];
    xnor_graph_remove_node(&graph->nodes[index]);
    *changed = true;
    return xnor_emit_affine(graph, &index, node.name, below.inputs[0], scale, shift, channels,
                            &out);
}

// A linear layer [n, k] or a convolution [n, height, width, channels].
static xnor_status merge_weights(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index], *before = only_before(graph, index, XNOR_OP_LINEAR);
    if (!before) before = only_before(graph, index, XNOR_OP_CONV2D);
    if (!before || !xnor_is_constant(graph, before->inputs[1]) ||
        (before->input_count > 2 && before->inputs[2] != XNOR_NO_VALUE &&
         !xnor_is_constant(graph, before->inputs[2])))
        return XNOR_OK;
    const xnor_node linear = *before;
    const xnor_value w = graph->values[linear.inputs[1]];
    const size_t n = (size_t)w.shape.dims[0], count = xnor_constant_count(graph, linear.inputs[1]);
    const size_t k = n ? count / n : 0;
    if (w.dtype != XNOR_F32 || xnor_constant_count(graph, node.inputs[1]) != n) return XNOR_OK;
    xnor_value_id inputs[3] = {linear.inputs[0]}, out = node.outputs[0];
    xnor_shape shape = {1, {(int64_t)n}};
    void *weight, *bias;
    XNOR_TRY(xnor_graph_add_constant(graph, w.name, XNOR_F32, &w.shape, &inputs[1], &weight));
    XNOR_TRY(xnor_graph_add_constant(graph, node.name, XNOR_F32, &shape, &inputs[2], &bias));
    for (size_t j = 0; j < n; j++) {
        double scale = xnor_constant_get(graph, node.inputs[1], j);
        double b = linear.input_count > 2 && linear.inputs[2] != XNOR_NO_VALUE
                       ? xnor_constant_get(graph, linear.inputs[2], j)
                       : 0;
        for (size_t l = 0; l < k; l++)
            ((float *)weight)[j * k + l] = (float)(scale * ((const float *)w.data)[j * k + l]);
        ((float *)bias)[j] = (float)(scale * b + xnor_constant_get(graph, node.inputs[2], j));
    }
    xnor_graph_remove_node(&graph->nodes[index]);
    *changed = true;
    xnor_node shown = linear; // with the affine's name, as the last of what it does
    shown.name = node.name;
    return xnor_emit_as(graph, &index, linear.op, &shown, inputs, 3, &out);
}

xnor_status xnor_pass_merge(xnor_graph *graph) {
    static const xnor_rule rules[] = {xnor_drop_noop, xnor_drop_duplicate, merge_affine,
                                      merge_weights, NULL};
    XNOR_TRY(xnor_rewrite(graph, rules));
    return xnor_narrow_constants(graph);
}
