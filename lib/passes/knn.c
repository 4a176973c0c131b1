// knn: exporters write k nearest neighbours as a matrix of all pairwise distances and a TopK.
//
//   before   (x_i - x_j)² summed over channels -> Neg -> TopK        or
//            2·x·xᵀ - |x_j|² (- |x_i|²) -> TopK
//   after    KNearest(x, x)
//
// The negated squared distance is looked for as a sum of terms with factors: the inner product, and
// the squared norm, of x [.., N, C] or its transpose; the norm of the row itself does not change the
// row's order.
#include "passes/passes.h"

#include "core/tensor.h"
#include "passes/rewrite.h"

enum { MAX_TERMS = 16 };

typedef struct term {
    xnor_value_id value;
    double factor;
} term;

// What is known of the sum so far.
typedef struct pattern {
    xnor_value_id base;          // the points, or what they are a transpose of; XNOR_NO_VALUE until
    bool swapped;                // a term tells
    xnor_value_id x;             // [.., N, C]
    double inner, column, whole; // factors of x_i·x_j, |x_j|² and |x_i - x_j|²
} pattern;

static const xnor_node *producer_of(const xnor_graph *graph, xnor_value_id id) {
    uint32_t index = id == XNOR_NO_VALUE ? UINT32_MAX : xnor_graph_producer(graph, id);
    return index == UINT32_MAX ? NULL : &graph->nodes[index];
}

static bool uniform(const xnor_graph *graph, xnor_value_id id, double *value) {
    if (!xnor_is_constant(graph, id) || xnor_constant_count(graph, id) == 0) return false;
    *value = xnor_constant_get(graph, id, 0);
    for (size_t i = 1; i < xnor_constant_count(graph, id); i++)
        if (xnor_constant_get(graph, id, i) != *value) return false;
    return true;
}

// The value before axis `axis`, of size 1, was added to it; XNOR_NO_VALUE if it was not.
static xnor_value_id without_unit_axis(const xnor_graph *graph, xnor_value_id id, uint32_t axis) {
    const xnor_node *node = producer_of(graph, id);
    if (!node || (node->op != XNOR_OP_UNSQUEEZE && node->op != XNOR_OP_RESHAPE))
        return XNOR_NO_VALUE;
    const xnor_shape *in = &graph->values[node->inputs[0]].shape, *out = &graph->values[id].shape;
    if (out->rank != in->rank + 1 || axis >= out->rank || out->dims[axis] != 1)
        return XNOR_NO_VALUE;
    for (uint32_t i = 0, k = 0; i < out->rank; i++) {
        if (i == axis) continue;
        if (out->dims[i] != in->dims[k++]) return XNOR_NO_VALUE;
    }
    return node->inputs[0];
}

// y with value = y².
static xnor_value_id square_root_of(const xnor_graph *graph, xnor_value_id id) {
    const xnor_node *node = producer_of(graph, id);
    double exponent;
    if (!node) return XNOR_NO_VALUE;
    if (node->op == XNOR_OP_MUL && node->inputs[0] == node->inputs[1]) return node->inputs[0];
    if (node->op == XNOR_OP_POW && uniform(graph, node->inputs[1], &exponent) && exponent == 2)
        return node->inputs[0];
    return XNOR_NO_VALUE;
}

// y and the axis with value = sum of y² over it.
static bool square_sum_of(const xnor_graph *graph, xnor_value_id id, xnor_value_id *y,
                          uint32_t *axis) {
    const xnor_node *node = producer_of(graph, id);
    if (!node || (node->op != XNOR_OP_REDUCE_SUM && node->op != XNOR_OP_REDUCE_SUM_SQUARE))
        return false;
    const xnor_attr *axes = xnor_node_attr(node, XNOR_ATTR_AXES);
    if (!axes || axes->count != 1 || axes->ints[0] < 0) return false;
    *axis = (uint32_t)axes->ints[0];
    *y = node->op == XNOR_OP_REDUCE_SUM_SQUARE ? node->inputs[0]
                                               : square_root_of(graph, node->inputs[0]);
    return *y != XNOR_NO_VALUE;
}

// A value with its last two axes swapped, or as it is: x [.., N, C] may come as [.., C, N].
typedef struct oriented {
    xnor_value_id base;
    bool swapped;
} oriented;

static bool swaps_last(const xnor_graph *graph, const xnor_node *node) {
    const xnor_attr *perm = xnor_node_attr(node, XNOR_ATTR_PERM);
    uint32_t rank = graph->values[node->inputs[0]].shape.rank;
    if (node->op != XNOR_OP_TRANSPOSE || rank < 2) return false;
    for (uint32_t i = 0; perm && i < rank; i++)
        if (perm->ints[i] != (i + 2 < rank ? i : 2 * (int64_t)rank - 3 - i)) return false;
    return perm || rank == 2;
}

static oriented orient(const xnor_graph *graph, xnor_value_id id) {
    const xnor_node *node = producer_of(graph, id);
    if (node && swaps_last(graph, node)) return (oriented){node->inputs[0], true};
    return (oriented){id, false};
}

// The points as far as terms have told: their orientation, and a value that has it.
static bool agree(pattern *p, oriented x, xnor_value_id id) {
    if (p->base != XNOR_NO_VALUE && (p->base != x.base || p->swapped != x.swapped)) return false;
    p->base = x.base;
    p->swapped = x.swapped;
    if (p->x == XNOR_NO_VALUE) p->x = id;
    return true;
}

// Behind views and swaps that only place axes of size 1.
static const xnor_node *behind_placement(const xnor_graph *graph, xnor_value_id id) {
    const xnor_node *node = producer_of(graph, id);
    while (node && (swaps_last(graph, node) || xnor_op_lookup(node->op)->flags & XNOR_VIEW))
        node = producer_of(graph, node->inputs[0]);
    return node;
}

// |x_j|² as a row [.., 1, N] or |x_i|² as a column [.., N, 1], x [.., N, C] or [.., C, N].
static bool match_norm(const xnor_graph *graph, const term *t, pattern *p) {
    const xnor_node *node = behind_placement(graph, t->value);
    const xnor_shape *shape = &graph->values[t->value].shape;
    xnor_value_id y;
    uint32_t axis;
    if (!node || shape->rank < 2 || !square_sum_of(graph, node->outputs[0], &y, &axis))
        return false;
    const xnor_shape *points = &graph->values[y].shape;
    bool row = shape->dims[shape->rank - 2] == 1, column = shape->dims[shape->rank - 1] == 1;
    oriented x = orient(graph, y);
    if (row == column || points->rank != shape->rank || axis + 2 < points->rank) return false;
    if (axis + 1 < points->rank) x.swapped = !x.swapped;
    if (row) p->column += t->factor;
    // |x_i|² does not change the order within a row.
    return agree(p, x, axis + 1 < points->rank ? XNOR_NO_VALUE : y);
}

// A term that is not a sum itself: x·xᵀ, |x_i|², |x_j|² or |x_i - x_j|².
static bool match_leaf(const xnor_graph *graph, const term *t, pattern *p) {
    const xnor_node *node = producer_of(graph, t->value);
    uint32_t rank = graph->values[t->value].shape.rank, axis;
    xnor_value_id y;
    if (!node) return false;
    if (node->op == XNOR_OP_MATMUL) {
        oriented a = orient(graph, node->inputs[0]), b = orient(graph, node->inputs[1]);
        if (a.base != b.base || a.swapped == b.swapped) return false;
        p->inner += t->factor;
        return agree(p, a, node->inputs[0]);
    }
    const xnor_node *difference =
        square_sum_of(graph, t->value, &y, &axis) ? producer_of(graph, y) : NULL;
    if (!difference || difference->op != XNOR_OP_SUB || axis + 1 != graph->values[y].shape.rank ||
        rank + 1 != graph->values[y].shape.rank)
        return match_norm(graph, t, p);
    // [.., N, 1, C] - [.., 1, N, C], either way round
    for (uint32_t k = 0; k < 2; k++) {
        xnor_value_id i = without_unit_axis(graph, difference->inputs[k], rank - 1);
        xnor_value_id j = without_unit_axis(graph, difference->inputs[1 - k], rank - 2);
        if (i == XNOR_NO_VALUE || i != j) continue;
        p->whole += t->factor;
        return agree(p, orient(graph, i), i);
    }
    return false;
}

// Splits sums, differences and factors into terms, then matches each.
static bool match_sum(const xnor_graph *graph, xnor_value_id value, pattern *p) {
    term terms[MAX_TERMS] = {{value, 1}};
    uint32_t count = 1;
    while (count > 0) {
        const term t = terms[--count];
        const xnor_node *node = producer_of(graph, t.value);
        double factor, shift;
        if (!node || count + 2 > MAX_TERMS) return false;
        if (node->op == XNOR_OP_NEG) {
            terms[count++] = (term){node->inputs[0], -t.factor};
        } else if (node->op == XNOR_OP_AFFINE && uniform(graph, node->inputs[1], &factor) &&
                   uniform(graph, node->inputs[2], &shift) && shift == 0) {
            terms[count++] = (term){node->inputs[0], t.factor * factor};
        } else if (node->op == XNOR_OP_MUL && (uniform(graph, node->inputs[0], &factor) ||
                                               uniform(graph, node->inputs[1], &factor))) {
            terms[count++] = (term){node->inputs[xnor_is_constant(graph, node->inputs[0]) ? 1 : 0],
                                    t.factor * factor};
        } else if (node->op == XNOR_OP_ADD || node->op == XNOR_OP_SUB) {
            double sign = node->op == XNOR_OP_ADD ? 1 : -1;
            terms[count++] = (term){node->inputs[0], t.factor};
            terms[count++] = (term){node->inputs[1], sign * t.factor};
        } else if (!match_leaf(graph, &t, p)) {
            return false;
        }
    }
    return true;
}

static xnor_status knn(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    uint32_t user, count;
    int64_t k, axis = xnor_node_int(&node, XNOR_ATTR_AXIS, -1);
    if (node.op != XNOR_OP_TOP_K || node.output_count != 2 ||
        xnor_graph_uses(graph, node.outputs[0], &user) != 0)
        return XNOR_OK;
    uint32_t rank = graph->values[node.inputs[0]].shape.rank;
    if ((axis != -1 && axis != (int64_t)rank - 1) || rank < 2 ||
        !xnor_known_ints(&graph->values[node.inputs[1]], &k, 1, &count) || k < 1)
        return XNOR_OK;
    pattern p = {.base = XNOR_NO_VALUE, .x = XNOR_NO_VALUE};
    if (!match_sum(graph, node.inputs[0], &p)) return XNOR_OK;
    double sign = xnor_node_int(&node, XNOR_ATTR_LARGEST, 1) ? 1 : -1;
    bool differences = sign * p.whole < 0 && p.inner == 0 && p.column == 0;
    bool products = sign * p.inner > 0 && p.inner == -2 * p.column && p.whole == 0;
    if ((!differences && !products) || p.x == XNOR_NO_VALUE) return XNOR_OK;
    if (graph->values[p.x].shape.rank != rank || graph->values[p.x].dtype != XNOR_F32)
        return XNOR_OK;
    uint32_t at = index;
    xnor_value_id out = node.outputs[1];
    xnor_node *knn_node;
    xnor_graph_remove_node(&graph->nodes[index]);
    const xnor_value_id inputs[2] = {p.x, p.x};
    XNOR_TRY(xnor_graph_insert_node(graph, at, XNOR_OP_K_NEAREST, node.name, inputs, 2, &out, 1,
                                    &knn_node));
    XNOR_TRY(xnor_node_set_ints(graph, knn_node, XNOR_ATTR_COUNT, &k, 1));
    *changed = true;
    return xnor_graph_infer_node(graph, at);
}

xnor_status xnor_pass_knn(xnor_graph *graph) {
    static const xnor_rule rules[] = {knn, NULL};
    return xnor_rewrite(graph, rules);
}
