// threshold: a chain from an accumulator to a sign is a function of one integer, evaluated in
// double at every reachable sum, per channel.
//
//   before   xnor_linear -> affine -> affine -> Clip -> xnor_binarize
//   after    xnor_linear -> xnor_threshold            rising (falling: weights negated), with a second
//                                                     limit where exact zeros occur (ternary)
//            xnor_linear -> xnor_table                rising and falling
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
    bool monotone; // no channel both rises and falls
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
        bool rises = false;
        for (size_t v = 1; v < values; v++) {
            int change = out->signs[v * channels + c] - out->signs[(v - 1) * channels + c];
            rises = rises || change > 0;
            out->falls[c] = out->falls[c] || change < 0;
        }
        out->monotone = out->monotone && !(rises && out->falls[c]);
    }
    return XNOR_OK;
}

// Smallest sum (of the negated channel where it falls) whose sign is at least `least`; beyond the
// range: never.
static int32_t find_limit(const xnor_chain *chain, const crossing *x, size_t c, int least) {
    int64_t limit = chain->bound + chain->step;
    for (size_t v = x->values; v-- > 0;) {
        size_t at = x->falls[c] ? x->values - 1 - v : v;
        if (x->signs[at * x->channels + c] < least) break;
        limit = -chain->bound + (int64_t)v * chain->step;
    }
    return (int32_t)limit;
}

static uint32_t uses_of(const xnor_graph *graph, xnor_value_id id) {
    return xnor_graph_uses(graph, id, NULL);
}

// Whether the chain's reals are wanted beside their signs, and its sums by affine maps alone.
static bool reals_remain(const xnor_graph *graph, const xnor_chain *chain, uint32_t layer) {
    bool remain = uses_of(graph, chain->acc) > 1;
    if (graph->nodes[layer].op != XNOR_OP_XNOR_LINEAR ||
        graph->nodes[layer].outputs[0] != chain->acc || xnor_graph_is_output(graph, chain->acc))
        return false;
    for (uint32_t i = 0; i < chain->count; i++)
        remain = remain || uses_of(graph, graph->nodes[chain->nodes[i]].outputs[0]) > 1;
    for (uint32_t i = 0; remain && i < graph->node_count; i++)
        for (uint32_t k = 0; k < graph->nodes[i].input_count; k++)
            if (graph->nodes[i].inputs[k] == chain->acc)
                remain = remain && graph->nodes[i].op == XNOR_OP_AFFINE;
    return remain;
}

// The layer with negated weights of channels that fall, for all who use its sums: reals are made of them with
// factors -1, which the affine maps behind take up. One layer in place of two.
static xnor_status flip_for_all(xnor_graph *graph, uint32_t *at, uint32_t layer, xnor_chain *chain,
                                const bool *falls, size_t channels, xnor_value_id *acc) {
    const xnor_value_id old = *acc;
    const uint32_t begin = layer + 1;
    uint32_t place = begin;
    xnor_value_id reals = XNOR_NO_VALUE;
    double *factor = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *factor);
    double *shift = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *shift);
    if (!factor || !shift) return xnor_fail(XNOR_E_MEMORY, "threshold: out of memory");
    for (size_t c = 0; c < channels; c++) {
        factor[c] = falls[c] ? -1 : 1;
        shift[c] = 0;
    }
    XNOR_TRY(xnor_chain_flip(graph, &place, layer, falls, acc));
    XNOR_TRY(xnor_emit_affine(graph, &place, graph->nodes[layer].name, *acc, factor, shift,
                              channels, &reals));
    for (uint32_t i = place; i < graph->node_count; i++)
        for (uint32_t k = 0; k < graph->nodes[i].input_count; k++)
            if (graph->nodes[i].inputs[k] == old) graph->nodes[i].inputs[k] = reals;
    *at += place - begin;
    for (uint32_t i = 0; i < chain->count; i++) chain->nodes[i] += place - begin;
    return XNOR_OK;
}

static xnor_status emit_threshold(xnor_graph *graph, uint32_t *at, const xnor_node *node,
                                  xnor_chain *chain, const crossing *x, xnor_value_id *out) {
    xnor_value_id acc = chain->acc;
    uint32_t layer = xnor_chain_layer(graph, chain);
    bool any = false;
    for (size_t c = 0; c < x->channels; c++) any = any || x->falls[c];
    if (any && reals_remain(graph, chain, layer))
        XNOR_TRY(flip_for_all(graph, at, layer, chain, x->falls, x->channels, &acc));
    else if (any)
        XNOR_TRY(xnor_chain_flip(graph, at, layer, x->falls, &acc));
    const xnor_shape shape = {1, {(int64_t)x->channels}};
    const uint32_t limits = x->zeros ? 2 : 1;
    xnor_value_id inputs[3] = {acc};
    for (uint32_t k = 1; k <= limits; k++) {
        void *data;
        XNOR_TRY(xnor_graph_add_constant(graph, node->name, XNOR_I32, &shape, &inputs[k], &data));
        for (size_t c = 0; c < x->channels; c++)
            ((int32_t *)data)[c] = find_limit(chain, x, c, k == 1 ? 1 : 0);
    }
    return xnor_emit(graph, at, XNOR_OP_THRESHOLD, node->name, inputs, 1 + limits, out);
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
    bool simple = x.monotone && (!falls || xnor_chain_layer(graph, &chain) != UINT32_MAX);
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
