#include "passes/chain.h"

#include <string.h>

#include "core/size.h"
#include "core/tensor.h"

// Range of an accumulator value: from its layers, through views and maxima. Sums add up.
static bool acc_range(const xnor_graph *graph, xnor_value_id acc, int64_t *bound, int64_t *step) {
    xnor_value_id open[XNOR_CHAIN_MAX] = {acc};
    uint32_t count = 1;
    *bound = 0;
    *step = 2;
    for (uint32_t i = 0; count && i <= graph->node_count; i++) {
        uint32_t producer = xnor_graph_producer(graph, open[--count]);
        if (producer == UINT32_MAX) return false;
        const xnor_node *node = &graph->nodes[producer];
        if (node->op == XNOR_OP_XNOR_LINEAR || node->op == XNOR_OP_GROUPED) {
            *bound += xnor_shape_last(&graph->values[node->inputs[1]].shape);
            if (graph->values[node->inputs[0]].dtype != XNOR_BITS) *step = 1;
            continue;
        }
        uint32_t operands = node->op == XNOR_OP_XNOR_ADD ? 2 : 1;
        if (count + operands > XNOR_CHAIN_MAX) return false;
        for (uint32_t k = 0; k < operands; k++) open[count++] = node->inputs[k];
    }
    return count == 0;
}

uint32_t xnor_chain_input(const xnor_graph *graph, const xnor_node *node) {
    // The shape of a view may be computed; the data is input 0.
    if (xnor_op_lookup(node->op)->flags & XNOR_VIEW) return 0;
    return xnor_only_variable(graph, node);
}

// Chains are evaluated in double: a node that gives integers (a Cast truncates) is none of theirs.
static bool gives_reals(const xnor_graph *graph, const xnor_node *node) {
    xnor_dtype dtype = graph->values[node->outputs[0]].dtype;
    return dtype == XNOR_F32 || (dtype == XNOR_BOOL && node->op != XNOR_OP_CAST);
}

static bool is_viewed(const xnor_graph *graph, xnor_value_id value) {
    uint32_t producer = xnor_graph_producer(graph, value);
    return producer != UINT32_MAX && xnor_keeps_channels(graph, &graph->nodes[producer]);
}

bool xnor_chain_find(const xnor_graph *graph, xnor_value_id value, xnor_chain *out) {
    uint32_t reversed[XNOR_CHAIN_MAX], count = 0;
    while (graph->values[value].dtype != XNOR_ACC || is_viewed(graph, value)) {
        uint32_t producer = xnor_graph_producer(graph, value);
        if (producer == UINT32_MAX || count == XNOR_CHAIN_MAX) return false;
        const xnor_node *node = &graph->nodes[producer];
        bool function = xnor_is_per_channel(graph, node) && gives_reals(graph, node);
        if (!function && !xnor_keeps_channels(graph, node)) return false;
        reversed[count++] = producer;
        value = node->inputs[xnor_chain_input(graph, node)];
    }
    out->acc = value;
    out->count = count;
    for (uint32_t i = 0; i < count; i++) out->nodes[i] = reversed[count - 1 - i];
    return acc_range(graph, value, &out->bound, &out->step);
}

size_t xnor_chain_values(const xnor_chain *chain) {
    return (size_t)(2 * chain->bound / chain->step + 1);
}

size_t xnor_chain_channels(const xnor_graph *graph, const xnor_chain *chain) {
    return (size_t)xnor_shape_last(&graph->values[chain->acc].shape);
}

xnor_status xnor_chain_evaluate(xnor_graph *graph, const xnor_chain *chain, double **out) {
    size_t values = xnor_chain_values(chain), channels = xnor_chain_channels(graph, chain), bytes;
    const xnor_shape grid = {2, {(int64_t)values, (int64_t)channels}};
    XNOR_TRY(xnor_tensor_bytes(XNOR_F64, &grid, &bytes));
    double *x = xnor_arena_alloc(&graph->arena, bytes), *y = xnor_arena_alloc(&graph->arena, bytes);
    if (!x || !y) return xnor_fail(XNOR_E_MEMORY, "chain: out of memory");
    for (size_t v = 0; v < values; v++)
        for (size_t c = 0; c < channels; c++)
            x[v * channels + c] = (double)(-chain->bound + (int64_t)v * chain->step);
    for (uint32_t i = 0; i < chain->count; i++) {
        const xnor_node *node = &graph->nodes[chain->nodes[i]];
        const xnor_op_info *info = xnor_op_lookup(node->op);
        if (info->flags & XNOR_VIEW) continue;
        xnor_tensor in[XNOR_MAX_INPUTS] = {{0}}, result = {XNOR_F64, grid, y};
        for (uint32_t k = 0; k < node->input_count; k++) {
            if (node->inputs[k] == XNOR_NO_VALUE) continue;
            const xnor_value *value = &graph->values[node->inputs[k]];
            if (!value->data) {
                in[k] = (xnor_tensor){XNOR_F64, grid, x};
                continue;
            }
            // A per-channel constant, whatever its rank was, broadcasts along the last axis.
            in[k] = (xnor_tensor){value->dtype,
                                  {1, {(int64_t)xnor_constant_count(graph, node->inputs[k])}},
                                  value->data};
        }
        XNOR_TRY(info->eval(node, in, &result));
        double *swap = x;
        x = y;
        y = swap;
    }
    *out = x;
    return XNOR_OK;
}

// A per-channel constant as a vector, which broadcasts against values of any rank: a function may
// be copied behind a view or a reduction that has dropped axes.
static xnor_status as_vector(xnor_graph *graph, xnor_value_id *id) {
    if (!xnor_is_constant(graph, *id) || graph->values[*id].shape.rank <= 1) return XNOR_OK;
    const xnor_value value = graph->values[*id];
    const xnor_shape shape = {1, {(int64_t)xnor_constant_count(graph, *id)}};
    XNOR_TRY(xnor_graph_add_value(graph, value.name, value.dtype, &shape, id));
    graph->values[*id].data = value.data;
    return XNOR_OK;
}

xnor_status xnor_chain_copy(xnor_graph *graph, uint32_t *at, const xnor_chain *chain, bool views,
                            xnor_value_id x, xnor_value_id *out) {
    for (uint32_t i = 0; i < chain->count; i++) {
        const xnor_node *node = &graph->nodes[chain->nodes[i]];
        if (((xnor_op_lookup(node->op)->flags & XNOR_VIEW) != 0) != views) continue;
        xnor_value_id inputs[XNOR_MAX_INPUTS];
        memcpy(inputs, node->inputs, node->input_count * sizeof *inputs);
        uint32_t input_count = node->input_count, variable = xnor_chain_input(graph, node);
        for (uint32_t k = 0; !views && k < input_count; k++)
            if (k != variable) XNOR_TRY(as_vector(graph, &inputs[k]));
        inputs[variable] = x;
        x = XNOR_NO_VALUE;
        XNOR_TRY(xnor_emit_copy(graph, at, chain->nodes[i], inputs, &x));
    }
    *out = x;
    return XNOR_OK;
}

// An integer layer, or rows gathered from one.
static bool is_layer(const xnor_graph *graph, uint32_t index) {
    if (graph->nodes[index].op == XNOR_OP_GATHER_ROWS)
        index = xnor_graph_producer(graph, graph->nodes[index].inputs[0]);
    return index != UINT32_MAX && (graph->nodes[index].op == XNOR_OP_XNOR_LINEAR ||
                                   graph->nodes[index].op == XNOR_OP_GROUPED);
}

uint32_t xnor_chain_layer(const xnor_graph *graph, const xnor_chain *chain) {
    uint32_t producer = xnor_graph_producer(graph, chain->acc);
    if (is_layer(graph, producer)) return producer;
    // A sum can be negated when both of its parts can: layers, or sums of layers on the left.
    for (uint32_t at = producer; graph->nodes[at].op == XNOR_OP_XNOR_ADD;) {
        const xnor_node *sum = &graph->nodes[at];
        uint32_t left = xnor_graph_producer(graph, sum->inputs[0]);
        uint32_t right = xnor_graph_producer(graph, sum->inputs[1]);
        if (!is_layer(graph, right)) return UINT32_MAX;
        if (is_layer(graph, left)) return producer;
        at = left;
    }
    return UINT32_MAX;
}

static xnor_status flip_layer(xnor_graph *graph, uint32_t *at, uint32_t layer, const bool *flip,
                              xnor_value_id *out) {
    const xnor_node last = graph->nodes[layer];
    bool gathered = last.op == XNOR_OP_GATHER_ROWS;
    if (gathered) layer = xnor_graph_producer(graph, last.inputs[0]);
    const xnor_node node = graph->nodes[layer];
    const xnor_value w = graph->values[node.inputs[1]];
    size_t n = xnor_shape_rows(&w.shape), k = (size_t)xnor_shape_last(&w.shape);
    size_t words = xnor_words(k);
    xnor_value_id inputs[2] = {node.inputs[0]}, sums = XNOR_NO_VALUE;
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, w.name, XNOR_BITS, &w.shape, &inputs[1], &data));
    const uint64_t *from = w.data;
    uint64_t *to = data;
    for (size_t c = 0; c < n; c++)
        for (size_t word = 0; word < words; word++) {
            uint64_t used =
                word + 1 < words || k % 64 == 0 ? UINT64_MAX : (UINT64_C(1) << (k % 64)) - 1;
            to[c * words + word] =
                flip[c] ? ~from[c * words + word] & used : from[c * words + word];
        }
    XNOR_TRY(xnor_emit(graph, at, node.op, node.name, inputs, 2, &sums));
    *out = sums;
    if (!gathered) return XNOR_OK;
    const xnor_value_id rows[2] = {sums, last.inputs[1]};
    *out = XNOR_NO_VALUE;
    return xnor_emit(graph, at, XNOR_OP_GATHER_ROWS, last.name, rows, 2, out);
}

xnor_status xnor_chain_flip(xnor_graph *graph, uint32_t *at, uint32_t layer, const bool *flip,
                            xnor_value_id *out) {
    // Sums lean to the left: layer + layer, then + layer, and so on.
    uint32_t sums[XNOR_CHAIN_MAX], count = 0;
    while (graph->nodes[layer].op == XNOR_OP_XNOR_ADD) {
        if (count == XNOR_CHAIN_MAX)
            return xnor_fail(XNOR_E_LIMIT, "%s: sum of too many layers", graph->nodes[layer].name);
        sums[count++] = layer;
        layer = xnor_graph_producer(graph, graph->nodes[layer].inputs[0]);
    }
    XNOR_TRY(flip_layer(graph, at, layer, flip, out));
    while (count-- > 0) {
        const xnor_node sum = graph->nodes[sums[count]];
        xnor_value_id inputs[2] = {*out};
        XNOR_TRY(
            flip_layer(graph, at, xnor_graph_producer(graph, sum.inputs[1]), flip, &inputs[1]));
        *out = XNOR_NO_VALUE;
        XNOR_TRY(xnor_emit(graph, at, XNOR_OP_XNOR_ADD, sum.name, inputs, 2, out));
    }
    return XNOR_OK;
}

xnor_slope xnor_slope_of(const xnor_graph *graph, const xnor_node *node, size_t c) {
    double scale;
    switch (node->op) {
    case XNOR_OP_CLIP:
    case XNOR_OP_ERF:
    case XNOR_OP_RELU:
    case XNOR_OP_SIGMOID:
    case XNOR_OP_TANH:
        return XNOR_RISES;
    case XNOR_OP_LEAKY_RELU:
        return xnor_node_float(node, XNOR_ATTR_ALPHA, 0.01) >= 0 ? XNOR_RISES : XNOR_NEITHER;
    case XNOR_OP_PRELU:
        scale = xnor_constant_get(graph, node->inputs[1],
                                  xnor_constant_count(graph, node->inputs[1]) == 1 ? 0 : c);
        return scale >= 0 ? XNOR_RISES : XNOR_NEITHER;
    case XNOR_OP_NEG:
        return XNOR_FALLS;
    case XNOR_OP_AFFINE:
        scale = xnor_constant_get(graph, node->inputs[1], c);
        return scale < 0 ? XNOR_FALLS : scale >= 0 ? XNOR_RISES : XNOR_NEITHER;
    default:
        return XNOR_NEITHER;
    }
}
