// aggregate: a maximum over points commutes with a monotone chain, so it is taken on the integers.
//
//   before   xnor_linear -> affine -> Clip -> ReduceMax(points)
//   after    xnor_linear -> ReduceMax(points) on acc -> affine -> Clip      nothing of size N x C
//   is real
//
// Channels on which the chain falls get negated weights and a factor -1 after the maximum.
// EMA-max (BiPointNet) is a maximum with an offset, which is one more affine in the chain. The same
// holds for sums with a factor per row (XNOR-Net), and for means where the chain is affine:
//
//   before   xnor_linear -> Mul(r) -> affine -> Clip -> ReduceMax      xnor_linear -> affine -> ReduceMean
//   after    xnor_linear -> Mul(r) -> ReduceMax -> affine -> Clip      xnor_linear -> ReduceMean -> affine
#include "passes/passes.h"

#include <stdlib.h>

#include "core/tensor.h"
#include "passes/chain.h"

static xnor_slope slope_of(const double *z, size_t values, size_t channels, size_t c) {
    bool rises = false, falls = false;
    for (size_t v = 1; v < values; v++) {
        double before = z[(v - 1) * channels + c], after = z[v * channels + c];
        rises = rises || after > before;
        falls = falls || after < before;
        if (!(after >= before) && !(after <= before)) return XNOR_NEITHER; // NaN
    }
    return rises && falls ? XNOR_NEITHER : rises ? XNOR_RISES : falls ? XNOR_FALLS : XNOR_FLAT;
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

static bool only_views(const xnor_graph *graph, const xnor_chain *chain) {
    for (uint32_t i = 0; i < chain->count; i++)
        if (!xnor_keeps_channels(graph, &graph->nodes[chain->nodes[i]])) return false;
    return true;
}

// reduction(functions(views(x))) -> functions(factor·reduction(views(x))), the reduction a maximum
// unless it is a mean. factor: [channels] or NULL.
static xnor_status reduce_first(xnor_graph *graph, uint32_t at, const xnor_chain *chain,
                                xnor_value_id x, const double *factor) {
    const xnor_node node = graph->nodes[at];
    xnor_value_id out = node.outputs[0], reduced = XNOR_NO_VALUE, real = XNOR_NO_VALUE;
    XNOR_TRY(xnor_chain_copy(graph, &at, chain, true, x, &x));
    XNOR_TRY(xnor_emit_copy(graph, &at, at, &x, &reduced));
    if (node.op != XNOR_OP_REDUCE_MEAN) graph->nodes[at - 1].op = XNOR_OP_REDUCE_MAX;
    XNOR_TRY(xnor_graph_infer_node(graph, at - 1));
    if (factor) {
        size_t channels = xnor_chain_channels(graph, chain);
        double *zero = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *zero);
        if (!zero) return xnor_fail(XNOR_E_MEMORY, "aggregate: out of memory");
        for (size_t c = 0; c < channels; c++) zero[c] = 0;
        XNOR_TRY(xnor_emit_affine(graph, &at, node.name, reduced, factor, zero, channels, &real));
        reduced = real;
    }
    XNOR_TRY(xnor_chain_copy(graph, &at, chain, false, reduced, &real));
    xnor_graph_remove_node(&graph->nodes[at]);
    return xnor_emit(graph, &at, XNOR_OP_IDENTITY, node.name, &real, 1, &out);
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
    if (!flip || !factor) return xnor_fail(XNOR_E_MEMORY, "aggregate: out of memory");
    bool any = false;
    for (size_t c = 0; c < channels; c++) {
        xnor_slope s = slope_of(z, values, channels, c);
        if (s == XNOR_NEITHER) return XNOR_OK;
        // The maximum needs a rising chain, the minimum is a maximum of negated sums.
        flip[c] = node.op == XNOR_OP_REDUCE_MAX ? s == XNOR_FALLS : s != XNOR_FALLS;
        factor[c] = flip[c] ? -1 : 1;
        any = any || flip[c];
    }

    uint32_t at = index;
    xnor_value_id acc = chain.acc;
    if (any) XNOR_TRY(xnor_chain_flip(graph, &at, layer, flip, &acc));
    *changed = true;
    return reduce_first(graph, at, &chain, acc, any ? factor : NULL);
}

// ---- sums with a factor per row -----------------------------------------------------------------

// The chain from the product of sums and a factor per row to `value`; *layer makes the sums.
static bool find_product(const xnor_graph *graph, xnor_value_id value, xnor_chain *out,
                         uint32_t *layer) {
    uint32_t reversed[XNOR_CHAIN_MAX], count = 0, producer;
    for (;;) {
        producer = xnor_graph_producer(graph, value);
        if (producer == UINT32_MAX || count == XNOR_CHAIN_MAX) return false;
        const xnor_node *node = &graph->nodes[producer];
        if (!xnor_is_per_channel(graph, node) && !xnor_keeps_channels(graph, node)) break;
        reversed[count++] = producer;
        value = node->inputs[xnor_chain_input(graph, node)];
    }
    const xnor_node *product = &graph->nodes[producer];
    if (product->op != XNOR_OP_MUL || graph->values[product->inputs[0]].dtype != XNOR_ACC ||
        graph->values[product->inputs[1]].dtype != XNOR_F32 ||
        xnor_shape_last(&graph->values[product->inputs[1]].shape) != 1)
        return false;
    *layer = xnor_graph_producer(graph, product->inputs[0]);
    *out = (xnor_chain){.acc = value, .count = count};
    for (uint32_t i = 0; i < count; i++) out->nodes[i] = reversed[count - 1 - i];
    return graph->nodes[*layer].op == XNOR_OP_XNOR_LINEAR;
}

static xnor_status aggregate_rows(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    xnor_chain chain;
    uint32_t layer;
    if ((node.op != XNOR_OP_REDUCE_MAX && node.op != XNOR_OP_REDUCE_MIN) ||
        graph->values[node.inputs[0]].dtype != XNOR_F32 || !keeps_last(graph, &node) ||
        !find_product(graph, node.inputs[0], &chain, &layer))
        return XNOR_OK;
    if (only_views(graph, &chain) && node.op == XNOR_OP_REDUCE_MAX) return XNOR_OK;
    size_t channels = xnor_chain_channels(graph, &chain);
    bool *flip = xnor_arena_alloc(&graph->arena, channels + 1), any = false;
    double *factor = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *factor);
    if (!flip || !factor) return xnor_fail(XNOR_E_MEMORY, "aggregate: out of memory");
    for (size_t c = 0; c < channels; c++) {
        bool falls = false;
        for (uint32_t i = 0; i < chain.count; i++) {
            const xnor_node *function = &graph->nodes[chain.nodes[i]];
            if (xnor_keeps_channels(graph, function)) continue;
            xnor_slope s = xnor_slope_of(graph, function, c);
            if (s == XNOR_NEITHER) return XNOR_OK;
            falls = falls != (s == XNOR_FALLS);
        }
        flip[c] = falls == (node.op == XNOR_OP_REDUCE_MAX);
        factor[c] = flip[c] ? -1 : 1;
        any = any || flip[c];
    }
    uint32_t at = index;
    const xnor_node product = graph->nodes[xnor_graph_producer(graph, chain.acc)];
    xnor_value_id factors[2] = {product.inputs[0], product.inputs[1]}, x = chain.acc;
    if (any) {
        x = XNOR_NO_VALUE;
        XNOR_TRY(xnor_chain_flip(graph, &at, layer, flip, &factors[0]));
        XNOR_TRY(xnor_emit(graph, &at, XNOR_OP_MUL, product.name, factors, 2, &x));
    }
    *changed = true;
    return reduce_first(graph, at, &chain, x, any ? factor : NULL);
}

// ---- means --------------------------------------------------------------------------------------

static xnor_status aggregate_mean(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    xnor_chain chain;
    if (node.op != XNOR_OP_REDUCE_MEAN || graph->values[node.inputs[0]].dtype != XNOR_F32 ||
        !keeps_last(graph, &node) || !xnor_chain_find(graph, node.inputs[0], &chain) ||
        only_views(graph, &chain))
        return XNOR_OK;
    for (uint32_t i = 0; i < chain.count; i++) {
        const xnor_node *function = &graph->nodes[chain.nodes[i]];
        if (function->op != XNOR_OP_AFFINE && !xnor_keeps_channels(graph, function)) return XNOR_OK;
    }
    *changed = true;
    return reduce_first(graph, index, &chain, chain.acc, NULL);
}

xnor_status xnor_pass_aggregate(xnor_graph *graph) {
    static const xnor_rule rules[] = {aggregate, aggregate_rows, aggregate_mean, NULL};
    return xnor_rewrite(graph, rules);
}
