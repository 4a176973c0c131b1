// threshold: a chain from an accumulator to a sign is a function of one integer, evaluated in
// double at every reachable sum, per channel.
//
//   before   xnor_linear -> affine -> affine -> Clip -> xnor_binarize
//   after    xnor_linear -> xnor_threshold            one crossing (falling: weights negated)
//            xnor_linear -> xnor_table                several crossings, or exact zeros (ternary)
//
// No case is made of which operators were in between, so any future activation works.
#include "passes/passes.h"

#include "core/tensor.h"
#include "passes/chain.h"

// Signs of the chain at every reachable sum, and what form they need.
typedef struct crossing {
    size_t values, channels;
    int8_t *signs; // [values, channels], -1 0 +1
    bool zeros;    // a reachable sum gives exactly 0
    bool single;   // every channel crosses at most once
    bool *falls;   // [channels] +1 comes before -1
} crossing;

static xnor_status find_crossings(xnor_graph *graph, const xnor_chain *chain, double zero,
                                  crossing *out) {
    size_t values = xnor_chain_values(chain), channels = xnor_chain_channels(graph, chain);
    double *z;
    XNOR_TRY(xnor_chain_evaluate(graph, chain, &z));
    *out = (crossing){values, channels, xnor_arena_alloc(&graph->arena, values * channels + 1),
                      false,  true,     xnor_arena_alloc(&graph->arena, channels + 1)};
    if (!out->signs || !out->falls) return xnor_fail(XNOR_E_MEMORY, "threshold: out of memory");
    for (size_t i = 0; i < values * channels; i++) {
        double sign = z[i] > 0 ? 1 : z[i] < 0 ? -1 : zero;
        out->signs[i] = (int8_t)sign;
        out->zeros = out->zeros || sign == 0;
    }
    for (size_t c = 0; c < channels; c++) {
        uint32_t changes = 0;
        for (size_t v = 1; v < values; v++)
            changes += out->signs[v * channels + c] != out->signs[(v - 1) * channels + c];
        out->single = out->single && changes <= 1;
        out->falls[c] = changes && out->signs[c] > 0;
    }
    return XNOR_OK;
}

static xnor_status emit_threshold(xnor_graph *graph, uint32_t *at, const xnor_node *node,
                                  const xnor_chain *chain, const crossing *x, xnor_value_id *out) {
    xnor_value_id acc = chain->acc;
    uint32_t layer = xnor_chain_layer(graph, chain);
    bool any = false;
    for (size_t c = 0; c < x->channels; c++) any = any || x->falls[c];
    if (any) XNOR_TRY(xnor_chain_flip(graph, at, layer, x->falls, &acc));
    xnor_shape shape = {1, {(int64_t)x->channels}};
    void *data;
    xnor_value_id inputs[2] = {acc};
    XNOR_TRY(xnor_graph_add_constant(graph, node->name, XNOR_I32, &shape, &inputs[1], &data));
    for (size_t c = 0; c < x->channels; c++) {
        // Smallest sum (of the negated channel where it falls) that gives +1; beyond the range:
        // never.
        int64_t threshold = chain->bound + chain->step;
        for (size_t v = x->values; v-- > 0;) {
            size_t at_v = x->falls[c] ? x->values - 1 - v : v;
            if (x->signs[at_v * x->channels + c] < 0) break;
            threshold = -chain->bound + (int64_t)v * chain->step;
        }
        ((int32_t *)data)[c] = (int32_t)threshold;
    }
    return xnor_emit(graph, at, XNOR_OP_THRESHOLD, node->name, inputs, 2, out);
}

static xnor_status emit_table(xnor_graph *graph, uint32_t *at, const xnor_node *node,
                              const xnor_chain *chain, const crossing *x, xnor_value_id *out) {
    xnor_shape shape = {2, {(int64_t)x->channels, 2 * chain->bound + 1}};
    void *data;
    xnor_value_id inputs[2] = {chain->acc};
    XNOR_TRY(xnor_graph_add_constant(graph, node->name, XNOR_U8, &shape, &inputs[1], &data));
    for (size_t c = 0; c < x->channels; c++)
        for (size_t v = 0; v < x->values; v++) {
            size_t column = v * (size_t)chain->step;
            ((uint8_t *)data)[c * (size_t)shape.dims[1] + column] =
                (uint8_t)(x->signs[v * x->channels + c] + 1);
        }
    XNOR_TRY(xnor_graph_add_value(graph, node->name, XNOR_BITS, NULL, out));
    xnor_node *table;
    XNOR_TRY(
        xnor_graph_insert_node(graph, *at, XNOR_OP_TABLE, node->name, inputs, 2, out, 1, &table));
    XNOR_TRY(xnor_node_set_float(graph, table, XNOR_ATTR_ALPHA, x->zeros ? 0 : 1));
    return xnor_graph_infer_node(graph, (*at)++);
}

static xnor_status threshold(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    xnor_chain chain;
    if (node.op != XNOR_OP_BINARIZE || !xnor_chain_find(graph, node.inputs[0], &chain))
        return XNOR_OK;
    crossing x;
    XNOR_TRY(find_crossings(graph, &chain, xnor_node_float(&node, XNOR_ATTR_ALPHA, 1), &x));
    bool falls = false;
    for (size_t c = 0; c < x.channels; c++) falls = falls || x.falls[c];
    bool simple = x.single && !x.zeros && (!falls || xnor_chain_layer(graph, &chain) != UINT32_MAX);
    uint32_t at = index;
    xnor_value_id bits = XNOR_NO_VALUE, viewed, out = node.outputs[0];
    XNOR_TRY(simple ? emit_threshold(graph, &at, &node, &chain, &x, &bits)
                    : emit_table(graph, &at, &node, &chain, &x, &bits));
    XNOR_TRY(xnor_chain_copy(graph, &at, &chain, true, bits, &viewed));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit(graph, &at, XNOR_OP_IDENTITY, node.name, &viewed, 1, &out);
}

xnor_status xnor_pass_threshold(xnor_graph *graph) {
    static const xnor_rule rules[] = {threshold, NULL};
    return xnor_rewrite(graph, rules);
}
