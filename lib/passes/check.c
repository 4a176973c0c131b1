// check: refuses layers that nobody can have meant, most of all checkpoints from before the first
// training step. BiPointNet's LSR layers start with scale 0 and set it from the first batch, also in
// evaluation: exported too early, the scale is 0 or computed from the input.
#include "passes/passes.h"

#include <math.h>

#include "core/tensor.h"
#include "passes/sign.h"

static xnor_status refuse(const xnor_node *node, const char *why) {
    return xnor_fail(XNOR_E_UNSUPPORTED, "node '%s': %s", node->name, why);
}

static bool all_finite(const xnor_graph *graph, xnor_value_id id) {
    if (id == XNOR_NO_VALUE || !xnor_is_constant(graph, id)) return true;
    for (size_t i = 0; i < xnor_constant_count(graph, id); i++)
        if (!isfinite(xnor_constant_get(graph, id, i))) return false;
    return true;
}

static bool all_zero(const xnor_graph *graph, xnor_value_id id) {
    if (!xnor_is_constant(graph, id)) return false;
    for (size_t i = 0; i < xnor_constant_count(graph, id); i++)
        if (xnor_constant_get(graph, id, i) != 0) return false;
    return xnor_constant_count(graph, id) > 0;
}

static xnor_status check_product(const xnor_graph *graph, const xnor_node *node) {
    for (uint32_t k = 0; k < 2; k++) {
        xnor_value_id scale = node->inputs[k];
        if (!xnor_is_constant(graph, scale) && graph->values[scale].shape.rank == 0 &&
            xnor_comes_from_acc(graph, node->inputs[1 - k]))
            return refuse(node, "the scale of a binary layer is computed from the input: the "
                                "network was exported before its first training step");
    }
    return XNOR_OK;
}

xnor_status xnor_pass_check(xnor_graph *graph) {
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const xnor_node *node = &graph->nodes[i];
        if (node->op == XNOR_OP_MUL) XNOR_TRY(check_product(graph, node));
        if (node->op != XNOR_OP_LINEAR && node->op != XNOR_OP_AFFINE && node->op != XNOR_OP_CONV &&
            node->op != XNOR_OP_CONV2D && node->op != XNOR_OP_CONV_TRANSPOSE &&
            node->op != XNOR_OP_CONV_TRANSPOSE2D)
            continue;
        for (uint32_t k = 1; k < node->input_count; k++)
            if (!all_finite(graph, node->inputs[k]))
                return refuse(node, "a weight or a parameter is infinite or not a number");
        if (node->op == XNOR_OP_AFFINE && all_zero(graph, node->inputs[1]) &&
            xnor_comes_from_acc(graph, node->inputs[0]))
            return refuse(node, "the scale of a binary layer is 0: the network was exported before "
                                "its first training step");
    }
    return XNOR_OK;
}
