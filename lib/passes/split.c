// split: a binary layer over a concatenation is the sum of layers over its parts. A part that is
// the same for all points (the global feature of a segmentation network) is computed once per
// cloud.
//
//   before   Concat(Expand(g), p) -> xnor_binarize -> xnor_linear(w)
//   after    g -> xnor_binarize -> xnor_linear(w_g) --+
//            p -> xnor_binarize -> xnor_linear(w_p) --+-> xnor_add
//
// Each part also gets its own answer to whether it can be zero. Views between that keep channels (rows
// of all clouds in one matrix) move behind the sum.
#include "passes/passes.h"

#include "core/size.h"
#include "core/tensor.h"
#include "passes/chain.h"
#include "passes/sign.h"

// Input of an Expand or Tile that repeats whole rows: the last axis is left alone. Otherwise `x`
// itself. Which axes are repeated, also of sizes unknown as yet, does not matter: xnor_add repeats
// them again beside a part that has them all.
static xnor_value_id before_broadcast(const xnor_graph *graph, xnor_value_id x) {
    uint32_t producer = xnor_graph_producer(graph, x);
    if (producer == UINT32_MAX) return x;
    const xnor_node *node = &graph->nodes[producer];
    if (node->op != XNOR_OP_EXPAND && node->op != XNOR_OP_TILE) return x;
    const xnor_shape *in = &graph->values[node->inputs[0]].shape, *out = &graph->values[x].shape;
    if (in->rank != out->rank || in->rank == 0) return x;
    if (in->dims[in->rank - 1] < 0 || in->dims[in->rank - 1] != out->dims[in->rank - 1]) return x;
    return node->inputs[0];
}

// Columns [first, first + count) of w [n, k] bits.
static xnor_status take_columns(xnor_graph *graph, xnor_value_id weight, size_t first, size_t count,
                                xnor_value_id *out) {
    const xnor_value w = graph->values[weight];
    size_t n = (size_t)w.shape.dims[0], k = (size_t)w.shape.dims[1];
    xnor_shape shape = {2, {(int64_t)n, (int64_t)count}};
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, w.name, XNOR_BITS, &shape, out, &data));
    xnor_tensor to = {XNOR_BITS, shape, data};
    const xnor_tensor from = {XNOR_BITS, w.shape, w.data};
    for (size_t j = 0; j < n; j++)
        for (size_t l = 0; l < count; l++)
            // Padding bits stay 0, so only the +1 are written.
            if (xnor_tensor_get(&from, j * k + first + l) > 0)
                xnor_tensor_set(&to, j * count + l, 1);
    return XNOR_OK;
}

static xnor_status emit_binarize(xnor_graph *graph, uint32_t *at, const char *name, xnor_value_id x,
                                 double zero, xnor_value_id *out) {
    *out = XNOR_NO_VALUE;
    xnor_node *node;
    x = xnor_before_sign(graph, x);
    XNOR_TRY(xnor_graph_add_value(graph, name, XNOR_BITS, NULL, out));
    XNOR_TRY(xnor_graph_insert_node(graph, *at, XNOR_OP_BINARIZE, name, &x, 1, out, 1, &node));
    XNOR_TRY(xnor_node_set_float(graph, node, XNOR_ATTR_ALPHA, xnor_sign_of_zero(graph, x, zero)));
    return xnor_graph_infer_node(graph, (*at)++);
}

// The producer of `id` before views that keep channels; *viewed is set when there are any.
static uint32_t before_views(const xnor_graph *graph, xnor_value_id id, bool *viewed) {
    uint32_t producer = xnor_graph_producer(graph, id);
    while (producer != UINT32_MAX && xnor_keeps_channels(graph, &graph->nodes[producer])) {
        *viewed = true;
        producer = xnor_graph_producer(graph, graph->nodes[producer].inputs[0]);
    }
    return producer;
}

// A Reshape can find out one axis.
static bool is_reshape_target(const xnor_shape *shape) {
    uint32_t unknown = 0;
    for (uint32_t i = 0; i < shape->rank; i++) unknown += shape->dims[i] < 0;
    return unknown <= 1;
}

static xnor_status emit_view(xnor_graph *graph, uint32_t at, const char *name, xnor_value_id sum,
                             xnor_value_id out) {
    const xnor_shape to = graph->values[out].shape, vector = {1, {to.rank}};
    xnor_value_id inputs[2] = {sum};
    void *dims;
    XNOR_TRY(xnor_graph_add_constant(graph, name, XNOR_I64, &vector, &inputs[1], &dims));
    for (uint32_t i = 0; i < to.rank; i++) ((int64_t *)dims)[i] = to.dims[i] < 0 ? -1 : to.dims[i];
    return xnor_emit(graph, &at, XNOR_OP_RESHAPE, name, inputs, 2, &out);
}

static xnor_status split(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node layer = graph->nodes[index];
    if (layer.op != XNOR_OP_XNOR_LINEAR) return XNOR_OK;
    bool viewed = false;
    uint32_t sign = before_views(graph, layer.inputs[0], &viewed);
    if (sign == UINT32_MAX || graph->nodes[sign].op != XNOR_OP_BINARIZE) return XNOR_OK;
    const xnor_node binarize = graph->nodes[sign];
    uint32_t producer = before_views(graph, binarize.inputs[0], &viewed);
    if (producer == UINT32_MAX || graph->nodes[producer].op != XNOR_OP_CONCAT) return XNOR_OK;
    const xnor_node concat = graph->nodes[producer];
    if (viewed && !is_reshape_target(&graph->values[layer.outputs[0]].shape)) return XNOR_OK;
    uint32_t rank = graph->values[concat.outputs[0]].shape.rank, axis;
    XNOR_TRY(xnor_axis(&concat, xnor_node_int(&concat, XNOR_ATTR_AXIS, 0), rank, &axis));
    if (axis != rank - 1 || concat.input_count > XNOR_CHAIN_MAX / 2) return XNOR_OK;

    // Parts that keep all points come first, so that a sum has their shape.
    xnor_value_id parts[XNOR_CHAIN_MAX];
    size_t first[XNOR_CHAIN_MAX], count = 0, column = 0;
    bool whole = false;
    for (uint32_t k = 0; k < concat.input_count; k++) {
        int64_t channels = xnor_shape_last(&graph->values[concat.inputs[k]].shape);
        if (channels < 0) return XNOR_OK;
        parts[count] = before_broadcast(graph, concat.inputs[k]);
        first[count++] = column;
        column += (size_t)channels;
        if (parts[count - 1] != concat.inputs[k]) continue;
        xnor_value_id part = parts[count - 1];
        size_t from = first[count - 1];
        if (!whole) {
            parts[count - 1] = parts[0];
            first[count - 1] = first[0];
            parts[0] = part;
            first[0] = from;
        }
        whole = true;
    }
    if (!whole || count < 2) return XNOR_OK;
    double zero = xnor_node_float(&binarize, XNOR_ATTR_ALPHA, 1);
    uint32_t at = index;
    xnor_value_id sum = XNOR_NO_VALUE, out = layer.outputs[0];
    for (size_t k = 0; k < count; k++) {
        xnor_value_id inputs[2], acc = XNOR_NO_VALUE;
        size_t channels = (size_t)xnor_shape_last(&graph->values[parts[k]].shape);
        XNOR_TRY(emit_binarize(graph, &at, layer.name, parts[k], zero, &inputs[0]));
        XNOR_TRY(take_columns(graph, layer.inputs[1], first[k], channels, &inputs[1]));
        XNOR_TRY(xnor_emit(graph, &at, XNOR_OP_XNOR_LINEAR, layer.name, inputs, 2, &acc));
        const xnor_value_id both[2] = {sum, acc};
        sum = k == 0 ? acc : XNOR_NO_VALUE;
        if (k > 0) XNOR_TRY(xnor_emit(graph, &at, XNOR_OP_XNOR_ADD, layer.name, both, 2, &sum));
    }
    *changed = true;
    xnor_graph_remove_node(&graph->nodes[at]);
    if (viewed) return emit_view(graph, at, layer.name, sum, out);
    return xnor_emit(graph, &at, XNOR_OP_IDENTITY, layer.name, &sum, 1, &out);
}

xnor_status xnor_pass_split(xnor_graph *graph) {
    static const xnor_rule rules[] = {split, xnor_drop_noop, NULL};
    return xnor_rewrite(graph, rules);
}
