// grouped: a convolution of signs whose kernel is as long as its input, with weights ±scale per output
// channel, is a binary layer for each group (PointCNN: depthwise and group-wise Conv1d over
// neighbours).
//
//   before   Sign(x [N, C, L]) -> Conv(w [G·O, C / G, L], group = G)
//   after    x [N, G, C / G·L] -> xnor_binarize -> xnor_grouped(w bits) -> xnor_affine(scale, bias)
//
// A factor for each group (XNOR-Net's mean |x| over the taps) moves behind the layer.
#include "passes/passes.h"

#include <math.h>

#include "core/tensor.h"
#include "passes/layout.h"
#include "passes/sign.h"

typedef struct grouped_conv {
    xnor_sign sign;
    xnor_value_id factor;      // [N, G, 1], or XNOR_NO_VALUE
    size_t groups, each, taps; // taps: of all input channels of a group
    double *scale, *shift;     // [groups·each]
    double *weights;           // [groups·each, taps]
} grouped_conv;

static bool all_are(const xnor_node *node, xnor_attr_key key, int64_t value) {
    const xnor_attr *attr = xnor_node_attr(node, key);
    for (uint32_t i = 0; attr && i < attr->count; i++)
        if (attr->ints[i] != value) return false;
    return true;
}

// One position of the kernel, without padding.
static bool covers_input(const xnor_graph *graph, const xnor_node *node) {
    const xnor_shape *x = &graph->values[node->inputs[0]].shape;
    if (!xnor_is_constant(graph, node->inputs[1])) return false;
    const xnor_shape *w = &graph->values[node->inputs[1]].shape;
    bool bias = node->input_count > 2 && node->inputs[2] != XNOR_NO_VALUE;
    return x->rank == 3 && x->dims[1] > 0 && x->dims[2] > 0 && x->dims[2] == w->dims[2] &&
           all_are(node, XNOR_ATTR_PADS, 0) && all_are(node, XNOR_ATTR_DILATIONS, 1) &&
           (!bias || xnor_is_constant(graph, node->inputs[2]));
}

// Mul(sign, r [N, C, 1]) for groups of one channel.
static xnor_status find_sign(xnor_graph *graph, const xnor_node *node, grouped_conv *out,
                             bool *found) {
    out->factor = XNOR_NO_VALUE;
    XNOR_TRY(xnor_sign_find(graph, node->inputs[0], &out->sign, found));
    uint32_t producer = xnor_graph_producer(graph, node->inputs[0]);
    if (*found || producer == UINT32_MAX || graph->nodes[producer].op != XNOR_OP_MUL)
        return XNOR_OK;
    const xnor_node product = graph->nodes[producer];
    const xnor_shape *x = &graph->values[node->inputs[0]].shape;
    if (graph->values[node->inputs[1]].shape.dims[1] != 1) return XNOR_OK;
    for (uint32_t k = 0; k < 2 && !*found; k++) {
        const xnor_shape *r = &graph->values[product.inputs[k]].shape;
        if (xnor_is_constant(graph, product.inputs[k]) || r->rank != 3 || r->dims[2] != 1 ||
            r->dims[1] != x->dims[1] || r->dims[0] != x->dims[0])
            continue;
        XNOR_TRY(xnor_sign_find(graph, product.inputs[1 - k], &out->sign, found));
        out->factor = product.inputs[k];
        // The factor would have to be multiplied with what a shift adds.
        for (size_t l = 0; *found && l < out->taps; l++) *found = out->sign.shift[l] == 0;
    }
    return XNOR_OK;
}

// Weights times the signs' scales: of one magnitude for each output channel?
static bool find_weights(xnor_graph *graph, const xnor_node *node, grouped_conv *out) {
    size_t length = (size_t)graph->values[node->inputs[1]].shape.dims[2];
    bool bias = node->input_count > 2 && node->inputs[2] != XNOR_NO_VALUE;
    for (size_t c = 0; c < out->groups * out->each; c++) {
        double *row = out->weights + c * out->taps;
        out->shift[c] = bias ? xnor_constant_get(graph, node->inputs[2], c) : 0;
        for (size_t l = 0; l < out->taps; l++) {
            double value = xnor_constant_get(graph, node->inputs[1], c * out->taps + l);
            row[l] = value * out->sign.scale[l % length];
            out->shift[c] += value * out->sign.shift[l % length];
            if (l == 0) out->scale[c] = fabs(row[0]);
            if (row[l] == 0 || !(fabs(fabs(row[l]) - out->scale[c]) <= 1e-6 * out->scale[c]))
                return false;
        }
    }
    return true;
}

static xnor_status match(xnor_graph *graph, const xnor_node *node, grouped_conv *out, bool *found) {
    *found = false;
    if (node->op != XNOR_OP_CONV || !covers_input(graph, node)) return XNOR_OK;
    const xnor_shape w = graph->values[node->inputs[1]].shape;
    *out = (grouped_conv){.groups = (size_t)xnor_node_int(node, XNOR_ATTR_GROUP, 1),
                          .taps = (size_t)(w.dims[1] * w.dims[2])};
    out->each = (size_t)w.dims[0] / out->groups;
    size_t channels = out->groups * out->each;
    out->scale = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *out->scale);
    out->shift = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *out->shift);
    out->weights = xnor_arena_alloc(&graph->arena, (channels * out->taps + 1) * sizeof(double));
    if (!out->scale || !out->shift || !out->weights)
        return xnor_fail(XNOR_E_MEMORY, "grouped: out of memory");
    XNOR_TRY(find_sign(graph, node, out, found));
    *found = *found && find_weights(graph, node, out);
    if (!*found) return XNOR_OK;
    out->sign.x = xnor_before_sign(graph, out->sign.x);
    out->sign.zero = xnor_sign_of_zero(graph, out->sign.x, out->sign.zero);
    // Reals are packed as x >= 0: where 0 counts as -1, the convolution stays as it is.
    *found = out->sign.zero >= 0;
    return XNOR_OK;
}

static xnor_status emit_reshape(xnor_graph *graph, uint32_t *at, const char *name, xnor_value_id x,
                                const xnor_shape *to, xnor_value_id *out) {
    const xnor_shape vector = {1, {to->rank}};
    xnor_value_id inputs[2] = {x};
    void *dims;
    XNOR_TRY(xnor_graph_add_constant(graph, name, XNOR_I64, &vector, &inputs[1], &dims));
    for (uint32_t i = 0; i < to->rank; i++) ((int64_t *)dims)[i] = to->dims[i];
    return xnor_emit(graph, at, XNOR_OP_RESHAPE, name, inputs, 2, out);
}

// The layer itself: its sums [N, G·O].
static xnor_status emit_layer(xnor_graph *graph, uint32_t *at, const char *name,
                              const grouped_conv *c, xnor_value_id *acc) {
    const int64_t groups = (int64_t)c->groups, taps = (int64_t)c->taps;
    const xnor_shape rows = {3, {-1, groups, taps}}, w = {3, {groups, (int64_t)c->each, taps}};
    xnor_value_id x = c->sign.x, inputs[2] = {XNOR_NO_VALUE};
    if (graph->values[x].shape.rank != 3 || graph->values[x].shape.dims[1] != groups) {
        x = XNOR_NO_VALUE;
        XNOR_TRY(emit_reshape(graph, at, name, c->sign.x, &rows, &x));
    }
    xnor_node *binarize;
    XNOR_TRY(xnor_graph_add_value(graph, name, XNOR_BITS, NULL, &inputs[0]));
    XNOR_TRY(xnor_graph_insert_node(graph, *at, XNOR_OP_BINARIZE, name, &x, 1, &inputs[0], 1,
                                    &binarize));
    XNOR_TRY(xnor_node_set_float(graph, binarize, XNOR_ATTR_ALPHA, c->sign.zero));
    XNOR_TRY(xnor_graph_infer_node(graph, (*at)++));
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, name, XNOR_BITS, &w, &inputs[1], &data));
    xnor_tensor bits = {XNOR_BITS, w, data};
    // Padding bits stay 0, so only the +1 are written.
    for (size_t i = 0; i < c->groups * c->each * c->taps; i++)
        if (c->weights[i] > 0) xnor_tensor_set(&bits, i, 1);
    return xnor_emit(graph, at, XNOR_OP_GROUPED, name, inputs, 2, acc);
}

static xnor_status grouped(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    grouped_conv c;
    bool found;
    XNOR_TRY(match(graph, &node, &c, &found));
    if (!found) return XNOR_OK;
    const size_t channels = c.groups * c.each;
    const xnor_shape flat = {2, {-1, (int64_t)channels}};
    const xnor_shape by_group = {3, {-1, (int64_t)c.groups, (int64_t)c.each}};
    const xnor_shape wanted = {3, {-1, (int64_t)channels, 1}};
    xnor_value_id y = XNOR_NO_VALUE, out = node.outputs[0];
    uint32_t at = index;
    XNOR_TRY(emit_layer(graph, &at, node.name, &c, &y));
    if (c.factor != XNOR_NO_VALUE) {
        double *one = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *one);
        double *none = xnor_arena_alloc(&graph->arena, (channels + 1) * sizeof *none);
        if (!one || !none) return xnor_fail(XNOR_E_MEMORY, "grouped: out of memory");
        for (size_t i = 0; i < channels; i++) one[i] = 1;
        xnor_value_id scaled = XNOR_NO_VALUE, product[2] = {XNOR_NO_VALUE, c.factor};
        xnor_value_id multiplied = XNOR_NO_VALUE;
        XNOR_TRY(xnor_emit_affine(graph, &at, node.name, y, c.scale, none, channels, &scaled));
        XNOR_TRY(emit_reshape(graph, &at, node.name, scaled, &by_group, &product[0]));
        XNOR_TRY(xnor_emit(graph, &at, XNOR_OP_MUL, node.name, product, 2, &multiplied));
        y = XNOR_NO_VALUE;
        XNOR_TRY(emit_reshape(graph, &at, node.name, multiplied, &flat, &y));
        c.scale = one;
    }
    xnor_value_id real = XNOR_NO_VALUE;
    XNOR_TRY(xnor_emit_affine(graph, &at, node.name, y, c.scale, c.shift, channels, &real));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return emit_reshape(graph, &at, node.name, real, &wanted, &out);
}

xnor_status xnor_pass_grouped(xnor_graph *graph) {
    static const xnor_rule rules[] = {grouped, NULL};
    static const xnor_rule tidy[] = {xnor_drop_noop, xnor_layout_join_views, NULL};
    XNOR_TRY(xnor_rewrite(graph, rules));
    return xnor_rewrite(graph, tidy);
}
