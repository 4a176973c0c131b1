// fold: every node whose inputs are all constant is evaluated by its reference, in double, and
// becomes a constant; Shape of a known shape too. Shape vectors that are known in part are tracked
// so that shape rules downstream see the known elements.
//
//   before   W -> ReduceMean -> Sub -> Sign -> Mul(scale) -> Transpose -> MatMul      after MatMul
//
// Means run in double: a sequential float32 mean flips weight bits.
#include "passes/passes.h"

#include <stdlib.h>
#include <string.h>

#include "core/tensor.h"
#include "passes/rewrite.h"

static bool is_known(const xnor_graph *graph, xnor_value_id id) {
    return id == XNOR_NO_VALUE || graph->values[id].data;
}

static xnor_tensor tensor_of(const xnor_graph *graph, xnor_value_id id) {
    if (id == XNOR_NO_VALUE) return (xnor_tensor){0};
    const xnor_value *value = &graph->values[id];
    return (xnor_tensor){value->dtype, value->shape, value->data};
}

// Holds a float32 constant in double while it takes part in folding.
static xnor_status widen(xnor_graph *graph, xnor_value_id id) {
    xnor_value *value = &graph->values[id];
    size_t bytes = 0;
    const xnor_tensor from = {value->dtype, value->shape, value->data};
    XNOR_TRY(xnor_tensor_bytes(XNOR_F64, &value->shape, &bytes));
    double *data = xnor_arena_alloc(&graph->arena, bytes ? bytes : 1);
    if (!data) return xnor_fail(XNOR_E_MEMORY, "fold: out of memory");
    size_t count = xnor_tensor_count(&from);
    for (size_t i = 0; i < count; i++) data[i] = ((const float *)from.data)[i];
    value->data = data;
    value->dtype = XNOR_F64;
    return XNOR_OK;
}

// *left: bytes that constants may still take.
static xnor_status evaluate(xnor_graph *graph, uint32_t index, size_t *left) {
    xnor_node *node = &graph->nodes[index];
    const xnor_op_info *info = xnor_op_lookup(node->op);
    for (uint32_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] != XNOR_NO_VALUE && graph->values[node->inputs[i]].dtype == XNOR_F32 &&
            graph->values[node->inputs[i]].data)
            XNOR_TRY(widen(graph, node->inputs[i]));
    XNOR_TRY(xnor_graph_infer_node(graph, index));
    xnor_tensor in[XNOR_MAX_INPUTS] = {{0}}, out[XNOR_MAX_OUTPUTS] = {{0}};
    for (uint32_t i = 0; i < node->input_count; i++) in[i] = tensor_of(graph, node->inputs[i]);
    for (uint32_t i = 0; i < node->output_count; i++) {
        xnor_value *value = &graph->values[node->outputs[i]];
        size_t bytes;
        if (xnor_tensor_bytes(value->dtype, &value->shape, &bytes) != XNOR_OK || bytes > *left)
            return xnor_fail(XNOR_E_LIMIT, "node '%s' (%s): its constant result is too large",
                             node->name, xnor_op_name(node->op));
        *left -= bytes;
        out[i] = (xnor_tensor){value->dtype, value->shape,
                               xnor_arena_alloc(&graph->arena, bytes ? bytes : 1)};
        if (!out[i].data) return xnor_fail(XNOR_E_MEMORY, "fold: out of memory");
    }
    XNOR_TRY(info->eval(node, in, out));
    for (uint32_t i = 0; i < node->output_count; i++)
        graph->values[node->outputs[i]].data = out[i].data;
    xnor_graph_remove_node(node);
    return XNOR_OK;
}

// Tracks integer vectors of which some elements are known.
static xnor_status evaluate_partly(xnor_graph *graph, uint32_t index) {
    xnor_node *node = &graph->nodes[index];
    xnor_value *result = &graph->values[node->outputs[0]];
    const xnor_op_info *info = xnor_op_lookup(node->op);
    size_t count = 0;
    if (result->dtype != XNOR_I64 || result->shape.rank > 1 || node->output_count != 1 ||
        !xnor_shape_known(&result->shape))
        return XNOR_OK;
    XNOR_TRY(xnor_shape_count(&result->shape, &count));
    if (count > XNOR_MAX_RANK * 2) return XNOR_OK;
    int64_t *partial = xnor_arena_alloc(&graph->arena, (count + 1) * sizeof *partial);
    if (!partial) return xnor_fail(XNOR_E_MEMORY, "fold: out of memory");

    if (node->op == XNOR_OP_SHAPE) {
        const xnor_shape *shape = &graph->values[node->inputs[0]].shape;
        for (size_t i = 0; i < count; i++)
            partial[i] = shape->dims[i] < 0 ? XNOR_UNKNOWN : shape->dims[i];
    } else {
        xnor_tensor in[XNOR_MAX_INPUTS] = {{0}};
        bool any_unknown = false;
        for (uint32_t i = 0; i < node->input_count; i++) {
            if (node->inputs[i] == XNOR_NO_VALUE) continue;
            const xnor_value *value = &graph->values[node->inputs[i]];
            if (!value->data && (!value->partial || !xnor_shape_known(&value->shape)))
                return XNOR_OK;
            in[i] = tensor_of(graph, node->inputs[i]);
            if (!value->data) {
                in[i].data = value->partial;
                any_unknown = true;
            }
        }
        // Moving an unknown element is exact; computing with one gives an unknown result.
        if (info->flags & XNOR_MOVES) {
            xnor_tensor out = {XNOR_I64, result->shape, partial};
            XNOR_TRY(info->eval(node, in, &out));
        } else {
            if (!any_unknown) return XNOR_OK;
            for (size_t i = 0; i < count; i++) partial[i] = XNOR_UNKNOWN;
        }
    }
    bool all_known = true;
    for (size_t i = 0; i < count; i++) all_known = all_known && partial[i] != XNOR_UNKNOWN;
    if (all_known) {
        result->data = partial;
        xnor_graph_remove_node(node);
    } else {
        result->partial = partial;
    }
    return XNOR_OK;
}

xnor_status xnor_pass_fold(xnor_graph *graph) {
    return xnor_fold_within(graph, SIZE_MAX);
}

xnor_status xnor_fold_within(xnor_graph *graph, size_t limit) {
    for (uint32_t i = 0; i < graph->node_count; i++) {
        xnor_node *node = &graph->nodes[i];
        if (node->output_count == 0) continue;
        XNOR_TRY(xnor_graph_infer_node(graph, i));
        bool known = true;
        for (uint32_t k = 0; k < node->input_count; k++)
            known = known && is_known(graph, node->inputs[k]);
        if ((node->op == XNOR_OP_SHAPE || node->op == XNOR_OP_SIZE) &&
            xnor_shape_known(&graph->values[node->inputs[0]].shape))
            known = true;
        if (known)
            XNOR_TRY(evaluate(graph, i, &limit));
        else
            XNOR_TRY(evaluate_partly(graph, i));
    }
    xnor_graph_compact(graph);
    return xnor_narrow_constants(graph);
}
