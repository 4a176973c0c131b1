// binarize: linear layers whose input is a sign and whose weights are ±scale per output channel
// become integer layers on bits.
//
//   before   x -> Clip -> Sign -> xnor_linear_f32(w = ±s)
//   after    x -> xnor_binarize -> xnor_linear(w bits) -> xnor_affine(s, bias)
//
// sign(0) is 0 in ONNX and PyTorch. A sign is packed as ternary unless 0 is excluded; for signs of
// accumulators the threshold pass decides that exactly, by looking at every reachable sum.
#include "passes/passes.h"

#include <math.h>
#include <stdlib.h>

#include "core/size.h"
#include "core/tensor.h"
#include "passes/chain.h"

// ---- what is a sign -----------------------------------------------------------------------------

typedef struct sign {
    xnor_value_id x; // the signed value
    double zero;     // value of sign(0)
} sign;

static bool is_scalar(const xnor_graph *graph, xnor_value_id id, double value) {
    if (!xnor_is_constant(graph, id)) return false;
    for (size_t i = 0; i < xnor_constant_count(graph, id); i++)
        if (xnor_constant_get(graph, id, i) != value) return false;
    return xnor_constant_count(graph, id) > 0;
}

// Comparisons with 0 by whether they hold for x > 0 and for x = 0.
static const struct {
    xnor_op op;
    bool positive, zero;
} comparisons[] = {
    {XNOR_OP_GREATER_OR_EQUAL, true, true},
    {XNOR_OP_GREATER, true, false},
    {XNOR_OP_LESS_OR_EQUAL, false, true},
    {XNOR_OP_LESS, false, false},
};

// Sign(x), or Where(x >= 0, 1, -1) and its relatives.
static bool match_sign(const xnor_graph *graph, const xnor_node *node, sign *out) {
    if (node->op == XNOR_OP_SIGN) {
        *out = (sign){node->inputs[0], 0};
        return true;
    }
    if (node->op != XNOR_OP_WHERE) return false;
    uint32_t producer = xnor_graph_producer(graph, node->inputs[0]);
    if (producer == UINT32_MAX) return false;
    const xnor_node *compare = &graph->nodes[producer];
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
        if (comparisons[i].op != compare->op || !is_scalar(graph, compare->inputs[1], 0)) continue;
        // The branch taken for x > 0 must be +1, the other -1.
        uint32_t positive = comparisons[i].positive ? 1 : 2;
        if (!is_scalar(graph, node->inputs[positive], 1) ||
            !is_scalar(graph, node->inputs[3 - positive], -1))
            return false;
        *out = (sign){compare->inputs[0], comparisons[i].zero == comparisons[i].positive ? 1 : -1};
        return xnor_shape_equal(&graph->values[compare->inputs[0]].shape,
                                &graph->values[node->outputs[0]].shape);
    }
    return false;
}

// Functions with sign(f(x)) = sign(x) may be skipped before a sign.
static bool preserves_sign(const xnor_graph *graph, const xnor_node *node) {
    switch (node->op) {
    case XNOR_OP_TANH:
    case XNOR_OP_ERF:
    case XNOR_OP_IDENTITY:
        return true;
    case XNOR_OP_LEAKY_RELU:
        return xnor_node_float(node, XNOR_ATTR_ALPHA, 0.01) > 0;
    case XNOR_OP_ELU:
        return xnor_node_float(node, XNOR_ATTR_ALPHA, 1) > 0;
    case XNOR_OP_CLIP: {
        double low = xnor_node_float(node, XNOR_ATTR_MIN, -INFINITY);
        double high = xnor_node_float(node, XNOR_ATTR_MAX, INFINITY);
        for (uint32_t k = 1; k < node->input_count; k++) {
            if (node->inputs[k] == XNOR_NO_VALUE) continue;
            if (!xnor_is_constant(graph, node->inputs[k])) return false;
            double bound = xnor_constant_get(graph, node->inputs[k], 0);
            if (k == 1)
                low = bound;
            else
                high = bound;
        }
        return low < 0 && high > 0;
    }
    case XNOR_OP_AFFINE:
        for (size_t i = 0; i < xnor_constant_count(graph, node->inputs[1]); i++)
            if (!(xnor_constant_get(graph, node->inputs[1], i) > 0) ||
                xnor_constant_get(graph, node->inputs[2], i) != 0)
                return false;
        return true;
    default:
        return false;
    }
}

static bool all_nonzero(const xnor_graph *graph, xnor_value_id id) {
    for (size_t i = 0; i < xnor_constant_count(graph, id); i++)
        if (xnor_constant_get(graph, id, i) == 0) return false;
    return true;
}

// True when x is put together from integer sums without a product between: it takes few values, and
// a residual with scales that are powers of two does meet 0.
static bool is_discrete(const xnor_graph *graph, xnor_value_id x) {
    bool *discrete = calloc(graph->value_count, sizeof *discrete);
    if (!discrete) return true; // costs time, not exactness
    for (uint32_t i = 0; i < graph->value_count; i++)
        discrete[i] = graph->values[i].dtype == XNOR_ACC;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const xnor_node *node = &graph->nodes[i];
        bool product = node->op == XNOR_OP_LINEAR || node->op == XNOR_OP_MATMUL;
        for (uint32_t k = 0; !product && k < node->input_count; k++) {
            if (node->inputs[k] == XNOR_NO_VALUE || !discrete[node->inputs[k]]) continue;
            for (uint32_t j = 0; j < node->output_count; j++) discrete[node->outputs[j]] = true;
        }
    }
    bool result = discrete[x];
    free(discrete);
    return result;
}

// Can x be exactly 0? A real sum that ends with a non-zero trained offset is not (up to rounding,
// where no runtime agrees with another); everything else may be. Rectified values, differences,
// raw coordinates and sums without offset are zero in practice.
static bool can_be_zero(const xnor_graph *graph, xnor_value_id x) {
    for (uint32_t steps = 0; steps <= graph->node_count; steps++) {
        uint32_t producer = xnor_graph_producer(graph, x);
        if (producer == UINT32_MAX) return true;
        const xnor_node *node = &graph->nodes[producer];
        const xnor_op_info *info = xnor_op_lookup(node->op);
        if (node->op == XNOR_OP_AFFINE && all_nonzero(graph, node->inputs[2]))
            return is_discrete(graph, node->inputs[0]);
        if (node->op == XNOR_OP_LINEAR && node->input_count > 2 &&
            all_nonzero(graph, node->inputs[2]))
            return false;
        // A product with a real matrix is 0 where its left rows are.
        bool through = preserves_sign(graph, node) || info->flags & XNOR_VIEW ||
                       node->op == XNOR_OP_TRANSPOSE || node->op == XNOR_OP_MATMUL;
        if (!through) return true;
        x = node->inputs[0];
    }
    return true;
}

static bool comes_from_acc(const xnor_graph *graph, xnor_value_id x) {
    for (uint32_t steps = 0; steps <= graph->node_count; steps++) {
        if (graph->values[x].dtype == XNOR_ACC) return true;
        uint32_t producer = xnor_graph_producer(graph, x);
        if (producer == UINT32_MAX) return false;
        const xnor_node *node = &graph->nodes[producer];
        bool reduces = node->op == XNOR_OP_REDUCE_MAX || node->op == XNOR_OP_REDUCE_MIN;
        if (!reduces && !xnor_is_per_channel(graph, node) && !xnor_keeps_channels(graph, node))
            return false;
        x = node->inputs[reduces ? 0 : xnor_chain_input(graph, node)];
    }
    return false;
}

xnor_value_id xnor_before_sign(const xnor_graph *graph, xnor_value_id x) {
    for (;;) {
        uint32_t producer = xnor_graph_producer(graph, x);
        if (producer == UINT32_MAX || !preserves_sign(graph, &graph->nodes[producer])) return x;
        x = graph->nodes[producer].inputs[0];
    }
}

double xnor_sign_of_zero(const xnor_graph *graph, xnor_value_id x, double zero) {
    return !comes_from_acc(graph, x) && !can_be_zero(graph, x) ? 1 : zero;
}

// ---- what is a binary weight --------------------------------------------------------------------

// Magnitude of row `row` of w [n, k] if all its elements have the same non-zero one; 0 otherwise.
static double row_scale(const float *w, size_t row, size_t k) {
    double scale = fabs((double)w[row * k]);
    for (size_t l = 0; l < k; l++)
        if (!(fabs(fabs((double)w[row * k + l]) - scale) <= 1e-6 * scale)) return 0;
    return scale;
}

// Packs the signs of w [n, k] and its row scales.
static xnor_status pack_weight(xnor_graph *graph, xnor_value_id weight, xnor_value_id *bits) {
    const xnor_value w = graph->values[weight];
    size_t n = (size_t)w.shape.dims[0], k = (size_t)w.shape.dims[1];
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, w.name, XNOR_BITS, &w.shape, bits, &data));
    xnor_tensor t = {XNOR_BITS, w.shape, data};
    for (size_t i = 0; i < n * k; i++) {
        // Padding bits stay 0, so only the +1 are written.
        if (((const float *)w.data)[i] > 0) xnor_tensor_set(&t, i, 1);
    }
    return XNOR_OK;
}

// ---- the rewrite --------------------------------------------------------------------------------

enum { MAX_VIEWS = 8 };

static xnor_status binarize_linear(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_LINEAR) return XNOR_OK;

    // Back through views to the sign.
    uint32_t views[MAX_VIEWS], view_count = 0;
    xnor_value_id x = node.inputs[0];
    sign s;
    for (;;) {
        uint32_t producer = xnor_graph_producer(graph, x);
        if (producer == UINT32_MAX) return XNOR_OK;
        if (match_sign(graph, &graph->nodes[producer], &s)) break;
        if (!xnor_keeps_channels(graph, &graph->nodes[producer]) || view_count == MAX_VIEWS)
            return XNOR_OK;
        views[view_count++] = producer;
        x = graph->nodes[producer].inputs[0];
    }
    const xnor_value w = graph->values[node.inputs[1]];
    size_t n = (size_t)w.shape.dims[0], k = (size_t)w.shape.dims[1];
    double *scale = xnor_arena_alloc(&graph->arena, (n + 1) * sizeof *scale);
    double *shift = xnor_arena_alloc(&graph->arena, (n + 1) * sizeof *shift);
    if (!scale || !shift) return xnor_fail(XNOR_E_MEMORY, "binarize: out of memory");
    if (!w.data || k == 0) return XNOR_OK;
    for (size_t j = 0; j < n; j++) {
        scale[j] = row_scale(w.data, j, k);
        if (scale[j] == 0) return XNOR_OK;
        if (node.input_count > 2) shift[j] = xnor_constant_get(graph, node.inputs[2], j);
    }

    s.x = xnor_before_sign(graph, s.x);
    s.zero = xnor_sign_of_zero(graph, s.x, s.zero);

    xnor_value_id bits = XNOR_NO_VALUE, weight, acc = XNOR_NO_VALUE, out = node.outputs[0];
    XNOR_TRY(pack_weight(graph, node.inputs[1], &weight));
    xnor_graph_remove_node(&graph->nodes[index]);
    uint32_t at = index;
    XNOR_TRY(xnor_graph_add_value(graph, node.name, XNOR_F32, NULL, &bits));
    xnor_node *binarize;
    XNOR_TRY(xnor_graph_insert_node(graph, at, XNOR_OP_BINARIZE, node.name, &s.x, 1, &bits, 1,
                                    &binarize));
    XNOR_TRY(xnor_node_set_float(graph, binarize, XNOR_ATTR_ALPHA, s.zero));
    XNOR_TRY(xnor_graph_infer_node(graph, at++));
    for (uint32_t i = view_count; i-- > 0;) {
        xnor_value_id inputs[2] = {bits, graph->nodes[views[i]].input_count > 1
                                             ? graph->nodes[views[i]].inputs[1]
                                             : XNOR_NO_VALUE};
        bits = XNOR_NO_VALUE;
        XNOR_TRY(xnor_emit_copy(graph, &at, views[i], inputs, &bits));
    }
    const xnor_value_id inputs[2] = {bits, weight};
    XNOR_TRY(xnor_emit(graph, &at, XNOR_OP_XNOR_LINEAR, node.name, inputs, 2, &acc));
    *changed = true;
    return xnor_emit_affine(graph, &at, node.name, acc, scale, shift, n, &out);
}

// linear(affine(sign)) -> linear(sign): a scale on the activations moves into the weights.
static xnor_status absorb_activation_scale(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_LINEAR) return XNOR_OK;
    uint32_t producer = xnor_graph_producer(graph, node.inputs[0]), below;
    if (producer == UINT32_MAX || graph->nodes[producer].op != XNOR_OP_AFFINE) return XNOR_OK;
    const xnor_node affine = graph->nodes[producer];
    sign s;
    below = xnor_graph_producer(graph, affine.inputs[0]);
    if (below == UINT32_MAX || !match_sign(graph, &graph->nodes[below], &s)) return XNOR_OK;
    const xnor_value w = graph->values[node.inputs[1]];
    size_t n = (size_t)w.shape.dims[0], k = (size_t)w.shape.dims[1];
    xnor_value_id inputs[3] = {affine.inputs[0]}, out = node.outputs[0];
    xnor_shape shape = {1, {(int64_t)n}};
    void *weight, *bias;
    XNOR_TRY(xnor_graph_add_constant(graph, w.name, XNOR_F32, &w.shape, &inputs[1], &weight));
    XNOR_TRY(xnor_graph_add_constant(graph, node.name, XNOR_F32, &shape, &inputs[2], &bias));
    for (size_t j = 0; j < n; j++) {
        double sum = node.input_count > 2 ? xnor_constant_get(graph, node.inputs[2], j) : 0;
        for (size_t l = 0; l < k; l++) {
            double value = ((const float *)w.data)[j * k + l];
            sum += value * xnor_constant_get(graph, affine.inputs[2], l);
            ((float *)weight)[j * k + l] =
                (float)(value * xnor_constant_get(graph, affine.inputs[1], l));
        }
        ((float *)bias)[j] = (float)sum;
    }
    xnor_graph_remove_node(&graph->nodes[index]);
    *changed = true;
    return xnor_emit(graph, &index, XNOR_OP_LINEAR, node.name, inputs, 3, &out);
}

xnor_status xnor_pass_binarize(xnor_graph *graph) {
    static const xnor_rule rules[] = {absorb_activation_scale, binarize_linear, NULL};
    return xnor_rewrite(graph, rules);
}
