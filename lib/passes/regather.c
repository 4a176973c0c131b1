// regather: what is done with rows by themselves is done once for each point, before neighbours are
// gathered.
//
//   before   GatherRows(x, i [.., M, K]) -> xnor_binarize -> xnor_linear
//   after    x -> xnor_binarize -> xnor_linear -> GatherRows(i)
//
// Only for groups of neighbours, of which there are more than points. In a set abstraction (PointNet++)
// the part of a layer that comes from features is computed per point, gathered as integers and added
// to the part that comes from relative positions.
#include "passes/passes.h"

#include "passes/rewrite.h"

// f(rows of x) = rows of f(x)
static bool is_row_wise(const xnor_graph *graph, const xnor_node *node) {
    switch (node->op) {
    case XNOR_OP_BINARIZE:
        return true;
    case XNOR_OP_XNOR_LINEAR:
    case XNOR_OP_LINEAR:
    case XNOR_OP_AFFINE:
        return xnor_only_variable(graph, node) == 0;
    default:
        break;
    }
    if (!xnor_is_per_channel(graph, node)) return false;
    // A constant of higher rank would add axes to the points.
    for (uint32_t k = 0; k < node->input_count; k++)
        if (xnor_is_constant(graph, node->inputs[k]) &&
            graph->values[node->inputs[k]].shape.rank > 1)
            return false;
    return true;
}

static xnor_status regather(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node f = graph->nodes[index];
    if (f.output_count != 1 || !is_row_wise(graph, &f)) return XNOR_OK;
    uint32_t variable = xnor_only_variable(graph, &f);
    if (variable == UINT32_MAX) return XNOR_OK;
    uint32_t producer = xnor_graph_producer(graph, f.inputs[variable]);
    if (producer == UINT32_MAX || graph->nodes[producer].op != XNOR_OP_GATHER_ROWS) return XNOR_OK;
    const xnor_node rows = graph->nodes[producer];
    if (graph->values[rows.inputs[1]].shape.rank < graph->values[rows.inputs[0]].shape.rank)
        return XNOR_OK;
    xnor_value_id inputs[XNOR_MAX_INPUTS], gathered[2] = {XNOR_NO_VALUE, rows.inputs[1]};
    for (uint32_t k = 0; k < f.input_count; k++)
        inputs[k] = k == variable ? rows.inputs[0] : f.inputs[k];
    xnor_value_id out = f.outputs[0];
    uint32_t at = index;
    XNOR_TRY(xnor_emit_copy(graph, &at, index, inputs, &gathered[0]));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit(graph, &at, XNOR_OP_GATHER_ROWS, f.name, gathered, 2, &out);
}

xnor_status xnor_pass_regather(xnor_graph *graph) {
    static const xnor_rule rules[] = {regather, NULL};
    return xnor_rewrite(graph, rules);
}
