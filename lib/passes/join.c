// join: the layers into which split cut a concatenation become one again where all of them look at
// every point: one layer over joined bits costs less than several and the sums of their results.
//
//   before   xnor_linear(a, w_a) + xnor_linear(b, w_b)
//   after    xnor_linear(Concat(a, b), [w_a | w_b])
//
// Runs after the thresholds: whether a part is bits or ternary is known by then.
#include "passes/passes.h"

#include <string.h>

#include "core/tensor.h"
#include "passes/rewrite.h"

// A layer of bits or ternary values whose result nobody else wants.
static const xnor_node *single_layer(const xnor_graph *graph, xnor_value_id sum) {
    uint32_t producer = xnor_graph_producer(graph, sum), user;
    if (producer == UINT32_MAX || xnor_graph_uses(graph, sum, &user) != 1) return NULL;
    const xnor_node *node = &graph->nodes[producer];
    const xnor_dtype dtype = graph->values[node->inputs[0]].dtype;
    bool layer = node->op == XNOR_OP_XNOR_LINEAR && xnor_is_constant(graph, node->inputs[1]) &&
                 (dtype == XNOR_BITS || dtype == XNOR_TERNARY);
    return layer ? node : NULL;
}

// Equal shapes but for the channels. Axes of unknown size are equal, too: the parts come from one
// Concat, and split looks behind a repetition only where it knows that there was one row.
static bool same_points(const xnor_shape *a, const xnor_shape *b) {
    if (a->rank != b->rank || a->rank < 2) return false;
    for (uint32_t i = 0; i + 1 < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return xnor_shape_last(a) > 0 && xnor_shape_last(b) > 0;
}

static void copy_columns(const xnor_value *from, xnor_tensor *to, size_t first) {
    const xnor_tensor w = {XNOR_BITS, from->shape, from->data};
    size_t n = (size_t)from->shape.dims[0], k = (size_t)from->shape.dims[1];
    size_t width = (size_t)to->shape.dims[1];
    for (size_t j = 0; j < n; j++)
        for (size_t l = 0; l < k; l++)
            if (xnor_tensor_get(&w, j * k + l) > 0) // padding bits stay 0
                xnor_tensor_set(to, j * width + first + l, 1);
}

static xnor_status join(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_XNOR_ADD) return XNOR_OK;
    const xnor_node *layers[2] = {single_layer(graph, node.inputs[0]),
                                  single_layer(graph, node.inputs[1])};
    if (!layers[0] || !layers[1]) return XNOR_OK;
    xnor_value_id parts[2], weights[2], joined, inputs[2], out = node.outputs[0];
    for (int k = 0; k < 2; k++) {
        parts[k] = layers[k]->inputs[0];
        weights[k] = layers[k]->inputs[1];
    }
    // Two layers on the same bits (ternary weights) are a form of their own.
    const xnor_dtype dtype = graph->values[parts[0]].dtype;
    if (parts[0] == parts[1] || dtype != graph->values[parts[1]].dtype ||
        !same_points(&graph->values[parts[0]].shape, &graph->values[parts[1]].shape))
        return XNOR_OK;
    int64_t n = graph->values[weights[0]].shape.dims[0],
            k0 = graph->values[weights[0]].shape.dims[1];
    const xnor_shape shape = {2, {n, k0 + graph->values[weights[1]].shape.dims[1]}};
    int64_t last = (int64_t)graph->values[parts[0]].shape.rank - 1;
    uint32_t at = index;
    xnor_node *concat;
    void *data;
    XNOR_TRY(xnor_graph_add_value(graph, node.name, dtype, NULL, &joined));
    XNOR_TRY(xnor_graph_insert_node(graph, at, XNOR_OP_CONCAT, node.name, parts, 2, &joined, 1,
                                    &concat));
    XNOR_TRY(xnor_node_set_ints(graph, concat, XNOR_ATTR_AXIS, &last, 1));
    XNOR_TRY(xnor_graph_infer_node(graph, at++));
    XNOR_TRY(xnor_graph_add_constant(graph, node.name, XNOR_BITS, &shape, &inputs[1], &data));
    xnor_tensor w = {XNOR_BITS, shape, data};
    copy_columns(&graph->values[weights[0]], &w, 0);
    copy_columns(&graph->values[weights[1]], &w, (size_t)k0);
    inputs[0] = joined;
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit(graph, &at, XNOR_OP_XNOR_LINEAR, node.name, inputs, 2, &out);
}

// Concat(Concat(a, b), c) -> Concat(a, b, c) of bits or ternary values along the last axis
static xnor_status flatten(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    uint32_t inner =
        node.op == XNOR_OP_CONCAT ? xnor_graph_producer(graph, node.inputs[0]) : UINT32_MAX;
    if (inner == UINT32_MAX || graph->nodes[inner].op != XNOR_OP_CONCAT ||
        (graph->values[node.outputs[0]].dtype != XNOR_BITS &&
         graph->values[node.outputs[0]].dtype != XNOR_TERNARY))
        return XNOR_OK;
    const xnor_node first = graph->nodes[inner];
    int64_t last = (int64_t)graph->values[node.outputs[0]].shape.rank - 1;
    uint32_t count = first.input_count + node.input_count - 1;
    if (count > XNOR_MAX_INPUTS || xnor_node_int(&first, XNOR_ATTR_AXIS, -1) != last ||
        xnor_node_int(&node, XNOR_ATTR_AXIS, -1) != last)
        return XNOR_OK;
    xnor_value_id inputs[XNOR_MAX_INPUTS], out = node.outputs[0];
    memcpy(inputs, first.inputs, first.input_count * sizeof *inputs);
    memcpy(inputs + first.input_count, node.inputs + 1, (node.input_count - 1) * sizeof *inputs);
    xnor_graph_remove_node(&graph->nodes[index]);
    xnor_node *concat;
    XNOR_TRY(xnor_graph_insert_node(graph, index, XNOR_OP_CONCAT, node.name, inputs, count, &out, 1,
                                    &concat));
    XNOR_TRY(xnor_node_set_ints(graph, concat, XNOR_ATTR_AXIS, &last, 1));
    *changed = true;
    return xnor_graph_infer_node(graph, index);
}

xnor_status xnor_pass_join(xnor_graph *graph) {
    static const xnor_rule rules[] = {join, flatten, NULL};
    return xnor_rewrite(graph, rules);
}
