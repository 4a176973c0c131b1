// pool: the sign of a maximum is the maximum of signs, which is an OR of bits. Functions of one direction per channel may
// be in between; where one falls, the smallest sign is taken.
//
//   before   MaxPool(x) -> affine -> Clip -> xnor_binarize
//   after    x -> affine -> Clip -> xnor_binarize -> xnor_max_pool      the sums of a layer in front get thresholds
//
// A picture enlarged to the nearest pixels is a copy of its pixels, so the signs are copied: Resize takes the place of
// MaxPool, and directions do not matter.
#include "passes/pool.h"

#include "core/tensor.h"
#include "ops/pooling.h"
#include "ops/resize.h"
#include "passes/chain.h"
#include "passes/passes.h"

bool xnor_is_real_pool(const xnor_graph *graph, uint32_t index) {
    if (index == UINT32_MAX || graph->nodes[index].op != XNOR_OP_MAX_POOL) return false;
    const xnor_value *x = &graph->values[graph->nodes[index].inputs[0]];
    return x->dtype == XNOR_F32 && x->shape.rank == 4 &&
           xnor_node_int(&graph->nodes[index], XNOR_ATTR_AXIS, 1) == 3;
}

bool xnor_pool_is_covered(const xnor_graph *graph, const xnor_node *pool) {
    xnor_pooling p;
    if (xnor_pooling_read(pool, &graph->values[pool->inputs[0]].shape, &p) != XNOR_OK) return false;
    for (uint32_t i = 0; i < 2; i++)
        if (p.window.dilation[i] != 1 || p.window.pad_begin[i] >= p.window.kernel[i] ||
            p.window.pad_end[i] >= p.window.kernel[i])
            return false;
    return true;
}

enum { RESIZE_SCALES = 2 }; // input of Resize

bool xnor_is_nearest_resize(const xnor_graph *graph, uint32_t index) {
    if (index == UINT32_MAX || graph->nodes[index].op != XNOR_OP_RESIZE) return false;
    const xnor_node *node = &graph->nodes[index];
    const xnor_value *x = &graph->values[node->inputs[0]];
    const xnor_shape *y = &graph->values[node->outputs[0]].shape;
    for (uint32_t i = 1; i < node->input_count; i++)
        if (node->inputs[i] != XNOR_NO_VALUE && !graph->values[node->inputs[i]].data) return false;
    return x->dtype == XNOR_F32 && x->shape.rank == 4 && x->shape.dims[3] > 0 &&
           x->shape.dims[3] == y->dims[3] &&
           xnor_node_int(node, XNOR_ATTR_MODE, XNOR_RESIZE_NEAREST) == XNOR_RESIZE_NEAREST;
}

// Whether the result has no fewer pixels than the picture, of whatever size that is.
static bool enlarges(const xnor_graph *graph, const xnor_node *resize) {
    const xnor_shape *x = &graph->values[resize->inputs[0]].shape;
    const xnor_shape *y = &graph->values[resize->outputs[0]].shape;
    bool known = true, scaled = resize->input_count == RESIZE_SCALES + 1;
    for (uint32_t i = 0; i < 3; i++) {
        known = known && x->dims[i] >= 0 && y->dims[i] >= x->dims[i];
        scaled = scaled && xnor_constant_get(graph, resize->inputs[RESIZE_SCALES], i) >= 1;
    }
    return known || scaled;
}

xnor_status xnor_emit_pool(xnor_graph *graph, uint32_t *at, const xnor_node *pool,
                           xnor_value_id bits, const bool *falls, size_t channels,
                           xnor_value_id *out) {
    xnor_value_id inputs[2] = {bits};
    bool any = false;
    for (size_t c = 0; c < channels; c++) any = any || falls[c];
    if (any) {
        const xnor_shape shape = {1, {(int64_t)channels}};
        void *data;
        XNOR_TRY(xnor_graph_add_constant(graph, pool->name, XNOR_BITS, &shape, &inputs[1], &data));
        xnor_tensor direction = {XNOR_BITS, shape, data};
        // Padding bits stay 0, so only the +1 are written.
        for (size_t c = 0; c < channels; c++)
            if (!falls[c]) xnor_tensor_set(&direction, c, 1);
    }
    return xnor_emit_as(graph, at, XNOR_OP_POOL_SIGNS, pool, inputs, any ? 2 : 1, out);
}

// The functions between a pool or resize and a sign, in order.
typedef struct functions {
    uint32_t nodes[XNOR_CHAIN_MAX], count;
} functions;

static bool only_use(const xnor_graph *graph, xnor_value_id value) {
    return xnor_graph_uses(graph, value, NULL) == 1 && !xnor_graph_is_output(graph, value);
}

// Which of the channels fall between the pool and the sign; false where a function has no direction.
static bool find_directions(const xnor_graph *graph, const functions *f, bool *falls,
                            size_t channels) {
    for (size_t c = 0; c < channels; c++) {
        falls[c] = false;
        for (uint32_t i = 0; i < f->count; i++) {
            const xnor_slope slope = xnor_slope_of(graph, &graph->nodes[f->nodes[i]], c);
            if (slope == XNOR_NEITHER) return false;
            falls[c] = falls[c] != (slope == XNOR_FALLS);
        }
    }
    return true;
}

// The pool whose maxima, or the resize whose pixels, alone make `value`.
static bool find_pool(const xnor_graph *graph, xnor_value_id value, functions *f, uint32_t *pool) {
    uint32_t reversed[XNOR_CHAIN_MAX];
    f->count = 0;
    for (;;) {
        const uint32_t producer = xnor_graph_producer(graph, value);
        if (producer == UINT32_MAX || !only_use(graph, value)) return false;
        *pool = producer;
        if (xnor_is_real_pool(graph, producer) || xnor_is_nearest_resize(graph, producer)) break;
        const xnor_node *node = &graph->nodes[producer];
        if (f->count == XNOR_CHAIN_MAX || !xnor_is_per_channel(graph, node) ||
            xnor_only_variable(graph, node) != 0)
            return false;
        reversed[f->count++] = producer;
        value = node->inputs[0];
        if (!xnor_shape_equal(&graph->values[value].shape, &graph->values[node->outputs[0]].shape))
            return false;
    }
    for (uint32_t i = 0; i < f->count; i++) f->nodes[i] = reversed[f->count - 1 - i];
    return true;
}

static xnor_status signs_first(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    functions f;
    uint32_t found, at = index;
    if (node.op != XNOR_OP_BINARIZE || !find_pool(graph, node.inputs[0], &f, &found))
        return XNOR_OK;
    const xnor_node pool = graph->nodes[found];
    const int64_t channels = xnor_shape_last(&graph->values[node.inputs[0]].shape);
    const bool copies = pool.op == XNOR_OP_RESIZE;
    if (channels < 1 || !(copies ? enlarges(graph, &pool) : xnor_pool_is_covered(graph, &pool)))
        return XNOR_OK;
    bool *falls = xnor_arena_alloc(&graph->arena, (size_t)channels);
    if (!falls) return xnor_fail(XNOR_E_MEMORY, "pool: out of memory");
    if (!copies && !find_directions(graph, &f, falls, (size_t)channels)) return XNOR_OK;
    xnor_value_id x = pool.inputs[0], bits = XNOR_NO_VALUE, out = node.outputs[0];
    for (uint32_t i = 0; i < f.count; i++) { // in front of `index`, so the numbers stay
        const xnor_node *function = &graph->nodes[f.nodes[i]];
        xnor_value_id inputs[XNOR_MAX_INPUTS] = {x}, y = XNOR_NO_VALUE;
        for (uint32_t k = 1; k < function->input_count; k++) inputs[k] = function->inputs[k];
        XNOR_TRY(xnor_emit_copy(graph, &at, f.nodes[i], inputs, &y));
        x = y;
    }
    XNOR_TRY(xnor_emit_copy(graph, &at, at, &x, &bits));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    if (!copies) return xnor_emit_pool(graph, &at, &pool, bits, falls, (size_t)channels, &out);
    xnor_value_id inputs[XNOR_MAX_INPUTS] = {bits};
    for (uint32_t k = 1; k < pool.input_count; k++) inputs[k] = pool.inputs[k];
    return xnor_emit_copy(graph, &at, found, inputs, &out);
}

xnor_status xnor_pass_pool(xnor_graph *graph) {
    // Several layers may take the signs: one of their nodes stays.
    static const xnor_rule rules[] = {xnor_drop_duplicate, signs_first, NULL};
    return xnor_rewrite(graph, rules);
}
