// canonicalise: one form for what exporters write in many ways.
//
//   Conv (kernel 1), Gemm, MatMul by a constant     ->  xnor_linear_f32 on the last axis
//   Conv over height and width                      ->  xnor_conv2d_f32, channels last
//   ConvTranspose over height and width             ->  xnor_conv_transpose2d_f32
//   BatchNormalization, Add/Sub/Mul/Div/Neg by a per-channel constant  ->  xnor_affine
//   GlobalMaxPool, GlobalAveragePool                ->  ReduceMax, ReduceMean
//   Split                                           ->  a Slice for each part
//   (s - f) + f                                     ->  s           straight-through leftovers
//   equal nodes                                     ->  one
//
// Channels become the last axis: operators on axis 1 are wrapped in transposes, and layout.c moves
// the transposes until they cancel.
#include "passes/passes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/tensor.h"
#include "passes/layout.h"
#include "passes/rewrite.h"
#include "passes/simplify.h"

// ---- linear layers ------------------------------------------------------------------------------

// Adds the constant weight [n, k] with w[j][l] = factor·source[j·stride_n + l·stride_k].
static xnor_status add_weight(xnor_graph *graph, const char *name, xnor_value_id source, size_t n,
                              size_t k, size_t stride_n, size_t stride_k, double factor,
                              xnor_value_id *out) {
    void *data;
    xnor_shape shape = {2, {(int64_t)n, (int64_t)k}};
    XNOR_TRY(xnor_graph_add_constant(graph, name, XNOR_F32, &shape, out, &data));
    for (size_t j = 0; j < n; j++)
        for (size_t l = 0; l < k; l++)
            ((float *)data)[j * k + l] =
                (float)(factor * xnor_constant_get(graph, source, j * stride_n + l * stride_k));
    return XNOR_OK;
}

static xnor_status matmul_to_linear(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_MATMUL || !xnor_is_constant(graph, node.inputs[1])) return XNOR_OK;
    const xnor_value *w = &graph->values[node.inputs[1]];
    if (w->shape.rank != 2 || w->dtype != XNOR_F32 ||
        graph->values[node.inputs[0]].shape.rank < 2 ||
        graph->values[node.inputs[0]].dtype != XNOR_F32)
        return XNOR_OK;
    size_t k = (size_t)w->shape.dims[0], n = (size_t)w->shape.dims[1];
    xnor_value_id inputs[2] = {node.inputs[0]}, out = node.outputs[0];
    XNOR_TRY(add_weight(graph, w->name, node.inputs[1], n, k, 1, n, 1, &inputs[1]));
    xnor_graph_remove_node(&graph->nodes[index]);
    *changed = true;
    return xnor_emit(graph, &index, XNOR_OP_LINEAR, node.name, inputs, 2, &out);
}

static xnor_status gemm_to_linear(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_GEMM || !xnor_is_constant(graph, node.inputs[1]) ||
        graph->values[node.inputs[0]].dtype != XNOR_F32 ||
        xnor_node_int(&node, XNOR_ATTR_TRANS_A, 0))
        return XNOR_OK;
    bool transposed = xnor_node_int(&node, XNOR_ATTR_TRANS_B, 0) != 0;
    double beta = xnor_node_float(&node, XNOR_ATTR_BETA, 1);
    const xnor_value *w = &graph->values[node.inputs[1]];
    size_t n = (size_t)w->shape.dims[transposed ? 0 : 1];
    size_t k = (size_t)w->shape.dims[transposed ? 1 : 0];
    xnor_value_id inputs[3] = {node.inputs[0]}, out = node.outputs[0];
    uint32_t count = 2;
    if (node.input_count > 2 && node.inputs[2] != XNOR_NO_VALUE) {
        if (!xnor_constant_along(graph, node.inputs[2], 2, 1)) return XNOR_OK;
        void *data;
        xnor_shape shape = {1, {(int64_t)n}};
        size_t have = xnor_constant_count(graph, node.inputs[2]);
        XNOR_TRY(xnor_graph_add_constant(graph, node.name, XNOR_F32, &shape, &inputs[2], &data));
        for (size_t j = 0; j < n; j++)
            ((float *)data)[j] =
                (float)(beta * xnor_constant_get(graph, node.inputs[2], have == 1 ? 0 : j));
        count = 3;
    }
    w = &graph->values[node.inputs[1]];
    XNOR_TRY(add_weight(graph, w->name, node.inputs[1], n, k, transposed ? k : 1,
                        transposed ? 1 : n, xnor_node_float(&node, XNOR_ATTR_ALPHA, 1),
                        &inputs[1]));
    xnor_graph_remove_node(&graph->nodes[index]);
    *changed = true;
    return xnor_emit(graph, &index, XNOR_OP_LINEAR, node.name, inputs, count, &out);
}

static bool all_equal(const xnor_node *node, xnor_attr_key key, int64_t value) {
    const xnor_attr *attr = xnor_node_attr(node, key);
    for (uint32_t i = 0; attr && i < attr->count; i++)
        if (attr->ints[i] != value) return false;
    return true;
}

// A convolution with a kernel of one element is a linear layer over channels.
static xnor_status conv_to_linear(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_CONV || !xnor_is_constant(graph, node.inputs[1])) return XNOR_OK;
    bool bias = node.input_count > 2 && node.inputs[2] != XNOR_NO_VALUE;
    const xnor_shape w = graph->values[node.inputs[1]].shape;
    bool pointwise =
        xnor_node_int(&node, XNOR_ATTR_GROUP, 1) == 1 && all_equal(&node, XNOR_ATTR_STRIDES, 1) &&
        all_equal(&node, XNOR_ATTR_PADS, 0) && (!bias || xnor_is_constant(graph, node.inputs[2]));
    for (uint32_t i = 2; i < w.rank; i++) pointwise = pointwise && w.dims[i] == 1;
    if (!pointwise) return XNOR_OK;
    uint32_t to_last[XNOR_MAX_RANK], to_first[XNOR_MAX_RANK];
    xnor_layout_perms(w.rank, to_last, to_first);
    size_t n = (size_t)w.dims[0], k = (size_t)w.dims[1];
    xnor_value_id weight, x = XNOR_NO_VALUE, y = XNOR_NO_VALUE, out = node.outputs[0];
    XNOR_TRY(add_weight(graph, graph->values[node.inputs[1]].name, node.inputs[1], n, k, k, 1, 1,
                        &weight));
    xnor_graph_remove_node(&graph->nodes[index]);
    XNOR_TRY(xnor_emit_transpose(graph, &index, node.name, node.inputs[0], to_last, &x));
    xnor_value_id inputs[3] = {x, weight, bias ? node.inputs[2] : XNOR_NO_VALUE};
    XNOR_TRY(xnor_emit(graph, &index, XNOR_OP_LINEAR, node.name, inputs, bias ? 3 : 2, &y));
    *changed = true;
    return xnor_emit_transpose(graph, &index, node.name, y, to_first, &out);
}

// Other convolutions of pictures, transposed ones among them: in both weights the taps move before the last axis.
static xnor_status conv_to_conv2d(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    const bool transposed = node.op == XNOR_OP_CONV_TRANSPOSE;
    if (!transposed && node.op != XNOR_OP_CONV) return XNOR_OK;
    if (!xnor_is_constant(graph, node.inputs[1])) return XNOR_OK;
    const xnor_value source = graph->values[node.inputs[1]];
    const xnor_shape *w = &source.shape;
    bool bias = node.input_count > 2 && node.inputs[2] != XNOR_NO_VALUE;
    if (w->rank != 4 || source.dtype != XNOR_F32 ||
        graph->values[node.inputs[0]].dtype != XNOR_F32 ||
        (bias && !xnor_is_constant(graph, node.inputs[2])))
        return XNOR_OK;
    const xnor_op op = transposed ? XNOR_OP_CONV_TRANSPOSE2D : XNOR_OP_CONV2D;
    uint32_t to_last[XNOR_MAX_RANK], to_first[XNOR_MAX_RANK];
    xnor_layout_perms(4, to_last, to_first);
    const xnor_shape shape = {4, {w->dims[0], w->dims[2], w->dims[3], w->dims[1]}};
    xnor_value_id inputs[3] = {XNOR_NO_VALUE, XNOR_NO_VALUE, bias ? node.inputs[2] : XNOR_NO_VALUE};
    xnor_value_id y = XNOR_NO_VALUE, out = node.outputs[0];
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, source.name, XNOR_F32, &shape, &inputs[1], &data));
    size_t taps = (size_t)(shape.dims[1] * shape.dims[2]), channels = (size_t)shape.dims[3];
    for (size_t i = 0; i < (size_t)shape.dims[0] * taps * channels; i++) {
        size_t output = i / (taps * channels), tap = i / channels % taps, c = i % channels;
        ((float *)data)[i] =
            (float)xnor_constant_get(graph, node.inputs[1], (output * channels + c) * taps + tap);
    }
    xnor_graph_remove_node(&graph->nodes[index]);
    XNOR_TRY(xnor_emit_transpose(graph, &index, node.name, node.inputs[0], to_last, &inputs[0]));
    XNOR_TRY(xnor_emit_as(graph, &index, op, &node, inputs, bias ? 3 : 2, &y));
    *changed = true;
    return xnor_emit_transpose(graph, &index, node.name, y, to_first, &out);
}

// ---- per-channel arithmetic ---------------------------------------------------------------------

// Emits affine along `axis` (transposed to the last one and back when needed).
static xnor_status emit_affine_along(xnor_graph *graph, uint32_t index, const xnor_node *node,
                                     xnor_value_id x, uint32_t axis, const double *scale,
                                     const double *shift, size_t channels) {
    uint32_t rank = graph->values[x].shape.rank;
    xnor_value_id out = node->outputs[0], last = XNOR_NO_VALUE, y = XNOR_NO_VALUE;
    xnor_graph_remove_node(&graph->nodes[index]);
    if (axis == rank - 1)
        return xnor_emit_affine(graph, &index, node->name, x, scale, shift, channels, &out);
    uint32_t to_last[XNOR_MAX_RANK], to_first[XNOR_MAX_RANK];
    xnor_layout_perms(rank, to_last, to_first);
    XNOR_TRY(xnor_emit_transpose(graph, &index, node->name, x, to_last, &last));
    XNOR_TRY(xnor_emit_affine(graph, &index, node->name, last, scale, shift, channels, &y));
    return xnor_emit_transpose(graph, &index, node->name, y, to_first, &out);
}

static xnor_status batch_norm_to_affine(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_BATCH_NORMALIZATION) return XNOR_OK;
    for (uint32_t i = 1; i < 5; i++)
        if (!xnor_is_constant(graph, node.inputs[i])) return XNOR_OK;
    double epsilon = xnor_node_float(&node, XNOR_ATTR_EPSILON, 1e-5);
    size_t channels = xnor_constant_count(graph, node.inputs[1]);
    double *scale = xnor_arena_alloc(&graph->arena, channels * sizeof *scale);
    double *shift = xnor_arena_alloc(&graph->arena, channels * sizeof *shift);
    if (!scale || !shift) return xnor_fail(XNOR_E_MEMORY, "canonicalise: out of memory");
    for (size_t c = 0; c < channels; c++) {
        scale[c] = xnor_constant_get(graph, node.inputs[1], c) /
                   sqrt(xnor_constant_get(graph, node.inputs[4], c) + epsilon);
        shift[c] = xnor_constant_get(graph, node.inputs[2], c) -
                   xnor_constant_get(graph, node.inputs[3], c) * scale[c];
    }
    *changed = true;
    return emit_affine_along(graph, index, &node, node.inputs[0], 1, scale, shift, channels);
}

// scalars: whether to take constants of one element, too.
static xnor_status arithmetic_to_affine(xnor_graph *graph, uint32_t index, bool scalars,
                                        bool *changed) {
    const xnor_node node = graph->nodes[index];
    bool product = node.op == XNOR_OP_MUL || node.op == XNOR_OP_DIV;
    if (!product && node.op != XNOR_OP_ADD && node.op != XNOR_OP_SUB && node.op != XNOR_OP_NEG)
        return XNOR_OK;
    uint32_t variable = xnor_only_variable(graph, &node);
    if (variable == UINT32_MAX || (node.op == XNOR_OP_DIV && variable == 1)) return XNOR_OK;
    xnor_value_id x = node.inputs[variable];
    const xnor_shape *shape = &graph->values[x].shape;
    if (graph->values[x].dtype != XNOR_F32 || shape->rank == 0 ||
        shape->rank != graph->values[node.outputs[0]].shape.rank)
        return XNOR_OK;
    xnor_value_id constant = node.op == XNOR_OP_NEG ? XNOR_NO_VALUE : node.inputs[1 - variable];
    size_t have = constant == XNOR_NO_VALUE ? 1 : xnor_constant_count(graph, constant);
    if (have == 1 && !scalars) return XNOR_OK;
    uint32_t axis = shape->rank - 1;
    if (constant != XNOR_NO_VALUE && !xnor_constant_along(graph, constant, shape->rank, axis)) {
        if (shape->rank < 3 || !xnor_constant_along(graph, constant, shape->rank, 1))
            return XNOR_OK;
        axis = 1;
    }
    // A scalar needs the number of channels, and one channel must not be broadcast to many.
    if (shape->dims[axis] < 0 || (have != 1 && (int64_t)have != shape->dims[axis])) return XNOR_OK;
    size_t channels = (size_t)shape->dims[axis];
    double *scale = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *scale);
    double *shift = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *shift);
    if (!scale || !shift) return xnor_fail(XNOR_E_MEMORY, "canonicalise: out of memory");
    for (size_t i = 0; i < channels; i++) {
        double c =
            constant == XNOR_NO_VALUE ? -1 : xnor_constant_get(graph, constant, have == 1 ? 0 : i);
        bool scales = product || node.op == XNOR_OP_NEG;
        scale[i] = node.op == XNOR_OP_DIV ? 1 / c : scales ? c : 1;
        shift[i] = scales ? 0 : node.op == XNOR_OP_SUB && variable == 0 ? -c : c;
        if (node.op == XNOR_OP_SUB && variable == 1) scale[i] = -1;
    }
    *changed = true;
    return emit_affine_along(graph, index, &node, x, axis, scale, shift, channels);
}

static xnor_status channels_to_affine(xnor_graph *graph, uint32_t index, bool *changed) {
    return arithmetic_to_affine(graph, index, false, changed);
}

// Transposes move through arithmetic with a scalar but not through an affine, so this one comes
// last.
static xnor_status scalars_to_affine(xnor_graph *graph, uint32_t index, bool *changed) {
    return arithmetic_to_affine(graph, index, true, changed);
}

// ---- pooling and reductions ---------------------------------------------------------------------

// Axes become an attribute, normalised to be non-negative; global pools become reductions.
static xnor_status normal_reduction(xnor_graph *graph, uint32_t index, bool *changed) {
    xnor_node *node = &graph->nodes[index];
    bool global = node->op == XNOR_OP_GLOBAL_MAX_POOL || node->op == XNOR_OP_GLOBAL_AVERAGE_POOL;
    if (!global && !xnor_layout_is_reduction(node->op)) return XNOR_OK;
    uint32_t rank = graph->values[node->inputs[0]].shape.rank, axes[XNOR_MAX_RANK], count;
    const xnor_attr *attr = xnor_node_attr(node, XNOR_ATTR_AXES);
    bool normal = attr && !global && node->input_count == 1, known;
    for (uint32_t i = 0; normal && i < attr->count; i++) normal = attr->ints[i] >= 0;
    if (normal) return XNOR_OK;
    XNOR_TRY(xnor_axes(graph, node, 1, rank, axes, &count, &known));
    int64_t ints[XNOR_MAX_RANK];
    uint32_t first = global ? 2 : 0;
    if (global || count == 0) {
        count = rank - first;
        for (uint32_t i = 0; i < count; i++) axes[i] = i + first;
    }
    for (uint32_t i = 0; i < count; i++) ints[i] = axes[i];
    if (global)
        node->op = node->op == XNOR_OP_GLOBAL_MAX_POOL ? XNOR_OP_REDUCE_MAX : XNOR_OP_REDUCE_MEAN;
    node->input_count = 1;
    *changed = true;
    return xnor_node_set_ints(graph, node, XNOR_ATTR_AXES, ints, count);
}

// ---- parts --------------------------------------------------------------------------------------

static xnor_status split_to_slices(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    static const char *const names[] = {"start", "end", "axis"};
    const xnor_shape one = {1, {1}};
    uint32_t axis;
    int64_t start = 0;
    if (node.op != XNOR_OP_SPLIT) return XNOR_OK;
    XNOR_TRY(xnor_axis(&node, xnor_node_int(&node, XNOR_ATTR_AXIS, 0),
                       graph->values[node.inputs[0]].shape.rank, &axis));
    for (uint32_t i = 0; i < node.output_count; i++)
        if (graph->values[node.outputs[i]].shape.dims[axis] < 0) return XNOR_OK;
    xnor_graph_remove_node(&graph->nodes[index]);
    *changed = true;
    for (uint32_t i = 0; i < node.output_count; i++) {
        xnor_value_id inputs[4] = {node.inputs[0]}, out = node.outputs[i];
        const int64_t end = start + graph->values[out].shape.dims[axis];
        const int64_t values[3] = {start, end, axis};
        for (int k = 0; k < 3; k++) {
            void *data;
            XNOR_TRY(
                xnor_graph_add_constant(graph, names[k], XNOR_I64, &one, &inputs[k + 1], &data));
            *(int64_t *)data = values[k];
        }
        XNOR_TRY(xnor_emit(graph, &index, XNOR_OP_SLICE, node.name, inputs, 4, &out));
        start = end;
    }
    return XNOR_OK;
}

xnor_status xnor_pass_canonicalise(xnor_graph *graph) {
    static const xnor_rule rules[] = {
        xnor_drop_noop,        xnor_drop_duplicate, xnor_simplify_like,
        xnor_simplify_uniform, xnor_simplify_sum,   xnor_simplify_comparison,
        xnor_simplify_expand,  matmul_to_linear,    gemm_to_linear,
        conv_to_linear,        conv_to_conv2d,      batch_norm_to_affine,
        channels_to_affine,    normal_reduction,    split_to_slices,
        xnor_layout_simplify,  xnor_layout_sink,    NULL,
    };
    static const xnor_rule settle[] = {xnor_drop_noop, xnor_layout_settle, xnor_layout_join_views,
                                       NULL};
    // What could not sink into a consumer rises to its producer, where a sign can take it.
    static const xnor_rule raise[] = {xnor_drop_noop, xnor_drop_duplicate, xnor_layout_simplify,
                                      xnor_layout_raise, NULL};
    static const xnor_rule finish[] = {xnor_drop_noop, xnor_layout_settle, xnor_layout_join_views,
                                       scalars_to_affine, NULL};
    XNOR_TRY(xnor_rewrite(graph, rules));
    XNOR_TRY(xnor_rewrite(graph, settle));
    XNOR_TRY(xnor_rewrite(graph, raise));
    return xnor_rewrite(graph, finish);
}
