// binarize: linear layers whose input is a sign and whose weights are ±scale per output channel
// become integer layers on bits.
//
//   before   x -> Clip -> Sign -> xnor_linear_f32(w = ±s)
//   after    x -> xnor_binarize -> xnor_linear(w bits) -> xnor_affine(s, bias)
//
// Activations of any two values, {0, 1} among them, are signs with a scale and a shift, which go into
// the affine. Weights that are 0, too, are the mean of two binary ones. A factor per row (XNOR-Net's
// mean |x|) moves behind the layer:
//
//   before   Mul(sign, r[.., 1]) -> xnor_linear_f32(w)
//   after    sign -> xnor_linear_f32(w) -> Mul(r)
//
// Maxima over windows and pixels copied by a Resize are taken of the signs. Convolutions over pictures are layers on the windows of the signs, xnor_patches; of groups, xnor_grouped.
//
// sign(0) is 0 in ONNX and PyTorch. A sign is packed as ternary unless 0 is excluded; for signs of
// accumulators the threshold pass decides that exactly, by looking at every reachable sum.
#include "passes/passes.h"

#include <math.h>

#include "core/tensor.h"
#include "passes/pool.h"
#include "passes/sign.h"

// ---- what is a binary weight --------------------------------------------------------------------

// Weights of a layer over signs: w[j][l] of the layer times the signs' scale[l].
typedef struct weights {
    size_t n, k, group;
    double *value; // [n, k]
    double *scale; // [n] magnitude of the row's elements; 0 for a row of zeros
    double *shift; // [n] what is added to the scaled sums
    bool zeros;    // zeros beside other values
} weights;

// Magnitude of a row whose elements have the same one or are 0; negative if there is none.
static double row_scale(const double *row, size_t k, bool *zeros) {
    double scale = 0;
    bool any = false;
    for (size_t l = 0; l < k; l++) {
        double magnitude = fabs(row[l]);
        if (magnitude == 0) {
            any = true;
        } else {
            if (scale == 0) scale = magnitude;
            if (!(fabs(magnitude - scale) <= 1e-6 * scale)) return -1;
        }
    }
    *zeros = *zeros || (any && scale != 0);
    return scale;
}

// The layer's weights [n, k], or [n, taps.., k / taps] of a convolution of `group` groups, and bias for activations
// scale·s + shift of the input's channels; *binary tells whether they are ±scale.
static xnor_status read_weights(xnor_graph *graph, const xnor_node *node, const xnor_sign *sign,
                                size_t group, weights *out, bool *binary) {
    const xnor_value w = graph->values[node->inputs[1]];
    size_t n = (size_t)w.shape.dims[0], channels = (size_t)xnor_shape_last(&w.shape), k = 1;
    for (uint32_t i = 1; i < w.shape.rank; i++) k *= (size_t)w.shape.dims[i];
    *out = (weights){.n = n, .k = k, .group = group};
    *binary = false;
    if (!w.data || k == 0) return XNOR_OK;
    out->value = xnor_arena_alloc(&graph->arena, (n * k + 1) * sizeof *out->value);
    out->scale = xnor_arena_alloc(&graph->arena, (n + 1) * sizeof *out->scale);
    out->shift = xnor_arena_alloc(&graph->arena, (n + 1) * sizeof *out->shift);
    if (!out->value || !out->scale || !out->shift)
        return xnor_fail(XNOR_E_MEMORY, "binarize: out of memory");
    for (size_t j = 0; j < n; j++) {
        double *row = out->value + j * k;
        out->shift[j] = node->input_count > 2 ? xnor_constant_get(graph, node->inputs[2], j) : 0;
        const size_t first = j / (n / group) * channels; // of the input's channels
        for (size_t l = 0; l < k; l++) {
            double value = xnor_constant_get(graph, node->inputs[1], j * k + l);
            row[l] = value * sign->scale[first + l % channels];
            out->shift[j] += value * sign->shift[first + l % channels];
        }
        out->scale[j] = row_scale(row, k, &out->zeros);
        if (out->scale[j] < 0) return XNOR_OK;
    }
    *binary = true;
    return XNOR_OK;
}

// The signs of the weights as bits; zeros become +1 or -1.
static xnor_status pack(xnor_graph *graph, const char *name, const weights *w, double zero,
                        bool negate, xnor_value_id *bits) {
    xnor_shape shape = {2, {(int64_t)w->n, (int64_t)w->k}};
    if (w->group > 1)
        shape = (xnor_shape){3, {(int64_t)w->group, (int64_t)(w->n / w->group), (int64_t)w->k}};
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, name, XNOR_BITS, &shape, bits, &data));
    xnor_tensor t = {XNOR_BITS, shape, data};
    for (size_t i = 0; i < w->n * w->k; i++) {
        double value = w->value[i] != 0 ? w->value[i] : zero;
        // Padding bits stay 0, so only the +1 are written.
        if ((value > 0) != negate) xnor_tensor_set(&t, i, 1);
    }
    return XNOR_OK;
}

// ---- the rewrite --------------------------------------------------------------------------------

enum { MAX_VIEWS = 8 };

// Views between a value and what it is a view of.
typedef struct views {
    uint32_t nodes[MAX_VIEWS]; // outermost first
    uint32_t count;
} views;

static xnor_value_id before_views(const xnor_graph *graph, xnor_value_id x, views *out) {
    out->count = 0;
    for (;;) {
        uint32_t producer = xnor_graph_producer(graph, x);
        if (producer == UINT32_MAX || out->count == MAX_VIEWS ||
            !xnor_keeps_channels(graph, &graph->nodes[producer]))
            return x;
        out->nodes[out->count++] = producer;
        x = graph->nodes[producer].inputs[0];
    }
}

// Reals are packed as x >= 0: where 0 counts as -1, the signs of -x are taken, and the weights negated.
static xnor_status emit_signs(xnor_graph *graph, uint32_t *at, const char *name, xnor_value_id x,
                              double zero, bool *negated, xnor_value_id *bits) {
    *negated = zero < 0 && !xnor_comes_from_acc(graph, x);
    if (*negated) {
        size_t channels = (size_t)xnor_shape_last(&graph->values[x].shape);
        double *minus = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *minus);
        double *none = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *none);
        if (!minus || !none) return xnor_fail(XNOR_E_MEMORY, "binarize: out of memory");
        for (size_t c = 0; c < channels; c++) {
            minus[c] = -1;
            none[c] = 0;
        }
        xnor_value_id negative = XNOR_NO_VALUE;
        XNOR_TRY(xnor_emit_affine(graph, at, name, x, minus, none, channels, &negative));
        x = negative;
        zero = 1;
    }
    xnor_node *binarize;
    XNOR_TRY(xnor_graph_add_value(graph, name, XNOR_F32, NULL, bits));
    XNOR_TRY(xnor_graph_insert_node(graph, *at, XNOR_OP_BINARIZE, name, &x, 1, bits, 1, &binarize));
    XNOR_TRY(xnor_node_set_float(graph, binarize, XNOR_ATTR_ALPHA, zero));
    return xnor_graph_infer_node(graph, (*at)++);
}

// Whether `value` is a sign, perhaps after a maximum over windows of the picture or enlarged to the nearest pixels:
// *moved is that node, else UINT32_MAX.
static xnor_status find_sign(xnor_graph *graph, xnor_value_id value, xnor_sign *sign,
                             uint32_t *moved, bool *found) {
    *moved = UINT32_MAX;
    XNOR_TRY(xnor_sign_find(graph, value, sign, found));
    const uint32_t producer = xnor_graph_producer(graph, value);
    if (*found || !(xnor_is_nearest_resize(graph, producer) ||
                    (xnor_is_real_pool(graph, producer) &&
                     xnor_pool_is_covered(graph, &graph->nodes[producer]))))
        return XNOR_OK;
    *moved = producer;
    return xnor_sign_find(graph, graph->nodes[producer].inputs[0], sign, found);
}

// The signs behind node `moved`, if there is one: over the windows of a pool the smallest where the activation falls
// with them.
static xnor_status move_signs(xnor_graph *graph, uint32_t *at, uint32_t moved,
                              const xnor_sign *sign, bool negated, xnor_value_id *bits) {
    if (moved == UINT32_MAX) return XNOR_OK;
    const xnor_node node = graph->nodes[moved];
    const size_t channels = (size_t)xnor_shape_last(&graph->values[*bits].shape);
    xnor_value_id inputs[XNOR_MAX_INPUTS] = {*bits};
    *bits = XNOR_NO_VALUE;
    if (node.op == XNOR_OP_RESIZE) {
        for (uint32_t k = 1; k < node.input_count; k++) inputs[k] = node.inputs[k];
        return xnor_emit_copy(graph, at, moved, inputs, bits);
    }
    bool *falls = xnor_arena_alloc(&graph->arena, channels + 1);
    if (!falls) return xnor_fail(XNOR_E_MEMORY, "binarize: out of memory");
    for (size_t c = 0; c < channels; c++) falls[c] = (sign->scale[c] < 0) != negated;
    return xnor_emit_pool(graph, at, &node, inputs[0], falls, channels, bits);
}

// The layer's sums: of weights with zeros, of both binary ones, which is twice the sum.
static xnor_status emit_sums(xnor_graph *graph, uint32_t *at, const char *name, xnor_value_id bits,
                             const weights *w, bool negated, xnor_value_id *acc) {
    const xnor_op op = w->group > 1 ? XNOR_OP_GROUPED : XNOR_OP_XNOR_LINEAR;
    xnor_value_id sums[2] = {XNOR_NO_VALUE, XNOR_NO_VALUE};
    for (int i = 0; i < (w->zeros ? 2 : 1); i++) {
        xnor_value_id inputs[2] = {bits};
        XNOR_TRY(pack(graph, name, w, i ? -1 : 1, negated, &inputs[1]));
        XNOR_TRY(xnor_emit(graph, at, op, name, inputs, 2, &sums[i]));
    }
    *acc = w->zeros ? XNOR_NO_VALUE : sums[0];
    if (!w->zeros) return XNOR_OK;
    for (size_t j = 0; j < w->n; j++) w->scale[j] /= 2;
    return xnor_emit(graph, at, XNOR_OP_XNOR_ADD, name, sums, 2, acc);
}

static xnor_status binarize_linear(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    views between;
    xnor_sign sign;
    weights w;
    bool found, binary = false, negated;
    uint32_t moved;
    if (node.op != XNOR_OP_LINEAR) return XNOR_OK;
    xnor_value_id x = before_views(graph, node.inputs[0], &between);
    XNOR_TRY(find_sign(graph, x, &sign, &moved, &found));
    if (found) XNOR_TRY(read_weights(graph, &node, &sign, 1, &w, &binary));
    if (!binary) return XNOR_OK;
    double zero = xnor_sign_of_zero(graph, sign.x, sign.zero);

    xnor_value_id bits = XNOR_NO_VALUE, acc, out = node.outputs[0];
    uint32_t at = index;
    xnor_graph_remove_node(&graph->nodes[index]);
    XNOR_TRY(emit_signs(graph, &at, node.name, sign.x, zero, &negated, &bits));
    XNOR_TRY(move_signs(graph, &at, moved, &sign, negated, &bits));
    for (uint32_t i = between.count; i-- > 0;) {
        const xnor_node *view = &graph->nodes[between.nodes[i]];
        xnor_value_id inputs[2] = {bits, view->input_count > 1 ? view->inputs[1] : XNOR_NO_VALUE};
        bits = XNOR_NO_VALUE;
        XNOR_TRY(xnor_emit_copy(graph, &at, between.nodes[i], inputs, &bits));
    }
    XNOR_TRY(emit_sums(graph, &at, node.name, bits, &w, negated, &acc));
    *changed = true;
    return xnor_emit_affine(graph, &at, node.name, acc, w.scale, w.shift, w.n, &out);
}

// ---- convolutions -------------------------------------------------------------------------------

static bool pads(const xnor_node *node) {
    const xnor_attr *attr = xnor_node_attr(node, XNOR_ATTR_PADS);
    for (uint32_t i = 0; attr && i < attr->count; i++)
        if (attr->ints[i] != 0) return true;
    return false;
}

// The sign for which every channel's activation is 0, which is what padding is: 0 where activations have no
// shift, -1 or +1 where they are 0 for one sign, as behind ReLU. False where there is none.
static bool find_padded(const xnor_sign *sign, size_t channels, double *out) {
    static const double signs[] = {0, -1, 1};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        bool all = true;
        for (size_t c = 0; c < channels; c++)
            all = all && sign->scale[c] * signs[i] + sign->shift[c] == 0;
        *out = signs[i];
        if (all) return true;
    }
    return false;
}

// The windows of `bits`, with the attributes of the convolution.
static xnor_status emit_patches(xnor_graph *graph, uint32_t *at, const xnor_node *conv,
                                const xnor_shape *w, xnor_value_id bits, double padded,
                                xnor_value_id *out) {
    const int64_t kernel[2] = {w->dims[1], w->dims[2]};
    xnor_node *patches;
    XNOR_TRY(xnor_graph_add_value(graph, conv->name, XNOR_F32, NULL, out));
    XNOR_TRY(xnor_graph_insert_node(graph, *at, XNOR_OP_PATCHES, conv->name, &bits, 1, out, 1,
                                    &patches));
    patches->attr_count = conv->attr_count;
    patches->attrs =
        xnor_arena_copy(&graph->arena, conv->attrs, conv->attr_count * sizeof *conv->attrs);
    if (!patches->attrs) return xnor_fail(XNOR_E_MEMORY, "binarize: out of memory");
    XNOR_TRY(xnor_node_set_ints(graph, patches, XNOR_ATTR_KERNEL_SHAPE, kernel, 2));
    if (padded != 0) XNOR_TRY(xnor_node_set_float(graph, patches, XNOR_ATTR_ALPHA, padded));
    return xnor_graph_infer_node(graph, (*at)++);
}

// sign -> xnor_conv2d_f32(w = ±s) becomes the windows of the signs and a layer on bits. Where what is padded is no
// sign, the windows are ternary there.
static xnor_status binarize_conv2d(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    xnor_sign sign;
    weights w;
    bool found, binary = false, negated;
    uint32_t moved;
    if (node.op != XNOR_OP_CONV2D) return XNOR_OK;
    const xnor_shape shape = graph->values[node.inputs[1]].shape;
    const int64_t group = xnor_node_int(&node, XNOR_ATTR_GROUP, 1);
    const int64_t channels = xnor_shape_last(&graph->values[node.inputs[0]].shape);
    if (channels < 1 || shape.dims[3] * group != channels) return XNOR_OK;
    XNOR_TRY(find_sign(graph, node.inputs[0], &sign, &moved, &found));
    double padded = 0;
    if (!found || (pads(&node) && !find_padded(&sign, (size_t)channels, &padded))) return XNOR_OK;
    XNOR_TRY(read_weights(graph, &node, &sign, (size_t)group, &w, &binary));
    if (!binary) return XNOR_OK;
    double zero = xnor_sign_of_zero(graph, sign.x, sign.zero);

    xnor_value_id bits = XNOR_NO_VALUE, windows = XNOR_NO_VALUE, acc, out = node.outputs[0];
    uint32_t at = index;
    xnor_graph_remove_node(&graph->nodes[index]);
    XNOR_TRY(emit_signs(graph, &at, node.name, sign.x, zero, &negated, &bits));
    XNOR_TRY(move_signs(graph, &at, moved, &sign, negated, &bits));
    XNOR_TRY(emit_patches(graph, &at, &node, &shape, bits, negated ? -padded : padded, &windows));
    XNOR_TRY(emit_sums(graph, &at, node.name, windows, &w, negated, &acc));
    *changed = true;
    return xnor_emit_affine(graph, &at, node.name, acc, w.scale, w.shift, w.n, &out);
}

// ---- factors per row ----------------------------------------------------------------------------

// The operand of a product or quotient that has one element for each row of the other.
static bool find_row_factor(const xnor_graph *graph, const xnor_node *node, uint32_t *factor) {
    if (node->op != XNOR_OP_MUL && node->op != XNOR_OP_DIV) return false;
    const xnor_shape *y = &graph->values[node->outputs[0]].shape;
    for (uint32_t k = 2; k-- > (node->op == XNOR_OP_DIV ? 1U : 0U);) {
        const xnor_shape *r = &graph->values[node->inputs[k]].shape;
        const xnor_shape *x = &graph->values[node->inputs[1 - k]].shape;
        *factor = k;
        if (y->rank > 1 && xnor_shape_equal(x, y) && r->rank == y->rank &&
            xnor_shape_last(r) == 1 && xnor_shape_last(y) > 1)
            return true;
    }
    return false;
}

static xnor_status factor_behind(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    uint32_t factor;
    xnor_sign sign;
    weights w;
    bool found, binary = false;
    if (node.op != XNOR_OP_LINEAR) return XNOR_OK;
    uint32_t producer = xnor_graph_producer(graph, node.inputs[0]);
    if (producer == UINT32_MAX || !find_row_factor(graph, &graph->nodes[producer], &factor))
        return XNOR_OK;
    const xnor_node product = graph->nodes[producer];
    XNOR_TRY(xnor_sign_find(graph, product.inputs[1 - factor], &sign, &found));
    if (found) XNOR_TRY(read_weights(graph, &node, &sign, 1, &w, &binary));
    if (!binary) return XNOR_OK;

    xnor_value_id y = XNOR_NO_VALUE, scaled = XNOR_NO_VALUE, out = node.outputs[0];
    const xnor_value_id linear[2] = {product.inputs[1 - factor], node.inputs[1]};
    uint32_t at = index;
    bool bias = node.input_count > 2;
    xnor_graph_remove_node(&graph->nodes[index]);
    XNOR_TRY(xnor_emit(graph, &at, XNOR_OP_LINEAR, node.name, linear, 2, &y));
    const xnor_value_id factors[2] = {y, product.inputs[factor]};
    XNOR_TRY(xnor_emit(graph, &at, product.op, node.name, factors, 2, bias ? &scaled : &out));
    *changed = true;
    if (!bias) return XNOR_OK;
    double *ones = xnor_arena_alloc(&graph->arena, (w.n + 1) * sizeof *ones);
    double *shift = xnor_arena_alloc(&graph->arena, (w.n + 1) * sizeof *shift);
    if (!ones || !shift) return xnor_fail(XNOR_E_MEMORY, "binarize: out of memory");
    for (size_t j = 0; j < w.n; j++) {
        ones[j] = 1;
        shift[j] = xnor_constant_get(graph, node.inputs[2], j);
    }
    return xnor_emit_affine(graph, &at, node.name, scaled, ones, shift, w.n, &out);
}

// Mul(affine(acc), r) -> affine(Mul(acc, r)), for an affine without shift: the product of sums and factor
// is one step with the layer.
static xnor_status scale_behind_factor(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    uint32_t factor;
    if (node.op != XNOR_OP_MUL || !find_row_factor(graph, &node, &factor)) return XNOR_OK;
    uint32_t producer = xnor_graph_producer(graph, node.inputs[1 - factor]);
    if (producer == UINT32_MAX || graph->nodes[producer].op != XNOR_OP_AFFINE) return XNOR_OK;
    const xnor_node affine = graph->nodes[producer];
    if (!xnor_is_per_channel(graph, &affine) || !xnor_comes_from_acc(graph, affine.inputs[0]))
        return XNOR_OK;
    for (size_t c = 0; c < xnor_constant_count(graph, affine.inputs[2]); c++)
        if (xnor_constant_get(graph, affine.inputs[2], c) != 0) return XNOR_OK;
    const xnor_value_id factors[2] = {affine.inputs[0], node.inputs[factor]};
    xnor_value_id inputs[3] = {XNOR_NO_VALUE, affine.inputs[1], affine.inputs[2]};
    xnor_value_id out = node.outputs[0];
    uint32_t at = index;
    xnor_graph_remove_node(&graph->nodes[index]);
    XNOR_TRY(xnor_emit(graph, &at, XNOR_OP_MUL, node.name, factors, 2, &inputs[0]));
    *changed = true;
    return xnor_emit(graph, &at, XNOR_OP_AFFINE, node.name, inputs, 3, &out);
}

xnor_status xnor_pass_binarize(xnor_graph *graph) {
    static const xnor_rule rules[] = {factor_behind, binarize_linear, binarize_conv2d,
                                      scale_behind_factor, NULL};
    return xnor_rewrite(graph, rules);
}
