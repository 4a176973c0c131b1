// aggregate: a maximum over points commutes with a monotone chain, so it is taken on the integers.
//
//   before   xnor_linear -> affine -> Clip -> ReduceMax(points)
//   after    xnor_linear -> ReduceMax(points) on acc -> affine -> Clip      nothing of size N x C
//   is real
//
// Channels on which the chain falls get negated weights and a factor -1 after the maximum.
// EMA-max (BiPointNet) is a maximum with an offset, which is one more affine in the chain.
#include "passes/passes.h"

#include <stdlib.h>

#include "core/tensor.h"
#include "passes/chain.h"

typedef enum slope { FLAT, RISES, FALLS, NEITHER } slope;

static slope slope_of(const double *z, size_t values, size_t channels, size_t c) {
    bool rises = false, falls = false;
    for (size_t v = 1; v < values; v++) {
        double before = z[(v - 1) * channels + c], after = z[v * channels + c];
        rises = rises || after > before;
        falls = falls || after < before;
        if (!(after >= before) && !(after <= before)) return NEITHER; // NaN
    }
    return rises && falls ? NEITHER : rises ? RISES : falls ? FALLS : FLAT;
}

// True when the reduction leaves the last axis alone.
static bool keeps_last(const xnor_graph *graph, const xnor_node *node) {
    const xnor_attr *axes = xnor_node_attr(node, XNOR_ATTR_AXES);
    uint32_t rank = graph->values[node->inputs[0]].shape.rank;
    if (!axes || rank < 2) return false;
    for (uint32_t i = 0; i < axes->count; i++)
        if (axes->ints[i] < 0 || axes->ints[i] >= (int64_t)rank - 1) return false;
    return true;
}

static xnor_status aggregate(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if ((node.op != XNOR_OP_REDUCE_MAX && node.op != XNOR_OP_REDUCE_MIN) ||
        graph->values[node.inputs[0]].dtype == XNOR_ACC || !keeps_last(graph, &node))
        return XNOR_OK;
    xnor_chain chain;
    if (!xnor_chain_find(graph, node.inputs[0], &chain)) return XNOR_OK;
    uint32_t layer = xnor_chain_layer(graph, &chain);
    if (layer == UINT32_MAX) return XNOR_OK;

    size_t values = xnor_chain_values(&chain), channels = xnor_chain_channels(graph, &chain);
    double *z;
    XNOR_TRY(xnor_chain_evaluate(graph, &chain, &z));
    bool *flip = xnor_arena_alloc(&graph->arena, channels + 1);
    double *factor = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *factor);
    double *zero = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *zero);
    if (!flip || !factor || !zero) return xnor_fail(XNOR_E_MEMORY, "aggregate: out of memory");
    bool any = false;
    for (size_t c = 0; c < channels; c++) {
        slope s = slope_of(z, values, channels, c);
        if (s == NEITHER) return XNOR_OK;
        // The maximum needs a rising chain, the minimum is a maximum of negated sums.
        flip[c] = node.op == XNOR_OP_REDUCE_MAX ? s == FALLS : s != FALLS;
        factor[c] = flip[c] ? -1 : 1;
        any = any || flip[c];
    }

    uint32_t at = index;
    xnor_value_id acc = chain.acc, viewed, max = XNOR_NO_VALUE, real = XNOR_NO_VALUE;
    xnor_value_id out = node.outputs[0];
    if (any) XNOR_TRY(xnor_chain_flip(graph, &at, layer, flip, &acc));
    XNOR_TRY(xnor_chain_copy(graph, &at, &chain, true, acc, &viewed));
    XNOR_TRY(xnor_emit_copy(graph, &at, at, &viewed, &max));
    graph->nodes[at - 1].op = XNOR_OP_REDUCE_MAX;
    XNOR_TRY(xnor_graph_infer_node(graph, at - 1));
    if (any)
        XNOR_TRY(xnor_emit_affine(graph, &at, node.name, max, factor, zero, channels, &real));
    else
        real = max;
    XNOR_TRY(xnor_chain_copy(graph, &at, &chain, false, real, &real));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit(graph, &at, XNOR_OP_IDENTITY, node.name, &real, 1, &out);
}

xnor_status xnor_pass_aggregate(xnor_graph *graph) {
    static const xnor_rule rules[] = {aggregate, NULL};
    return xnor_rewrite(graph, rules);
}
