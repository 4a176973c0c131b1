#include "ops/ops.h"

#include "core/tensor.h"

static const xnor_op_row *const families[] = {
#define FAMILY(name) xnor_ops_##name,
    XNOR_OP_FAMILIES(FAMILY)
#undef FAMILY
};

const xnor_op_info *xnor_op_lookup(xnor_op op) {
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const xnor_op_row *row = families[f]; row->op != XNOR_OP_COUNT; row++)
            if (row->op == op) return &row->info;
    return NULL;
}

bool xnor_known_ints(const xnor_value *value, int64_t *out, uint32_t capacity, uint32_t *count) {
    if (!value || value->shape.rank > 1 || (!value->data && !value->partial)) return false;
    int64_t n = value->shape.rank ? value->shape.dims[0] : 1;
    if (n < 0 || n > capacity) return false;
    if (value->dtype != XNOR_I64 && value->dtype != XNOR_I32) return false;
    *count = (uint32_t)n;
    const xnor_tensor t = {value->dtype, value->shape, value->data};
    for (uint32_t i = 0; i < *count; i++)
        out[i] = value->data ? xnor_tensor_get_int(&t, i) : value->partial[i];
    return true;
}

xnor_status xnor_axis(const xnor_node *node, int64_t axis, uint32_t rank, uint32_t *out) {
    if (axis < -(int64_t)rank || axis >= (int64_t)rank)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): axis %lld is outside rank %u", node->name,
                         xnor_op_name(node->op), (long long)axis, rank);
    *out = (uint32_t)(axis < 0 ? axis + rank : axis);
    return XNOR_OK;
}

static xnor_status normalise_axes(const xnor_node *node, const int64_t *values, uint32_t count,
                                  uint32_t rank, uint32_t *axes) {
    uint32_t seen = 0;
    for (uint32_t i = 0; i < count; i++) {
        XNOR_TRY(xnor_axis(node, values[i], rank, &axes[i]));
        if (seen >> axes[i] & 1)
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): axis %u is given twice", node->name,
                             xnor_op_name(node->op), axes[i]);
        seen |= 1U << axes[i];
    }
    return XNOR_OK;
}

xnor_status xnor_axes(const xnor_graph *graph, const xnor_node *node, uint32_t input, uint32_t rank,
                      uint32_t *axes, uint32_t *count, bool *known) {
    const xnor_attr *attr = xnor_node_attr(node, XNOR_ATTR_AXES);
    const xnor_value *value = xnor_in(graph, node, input);
    int64_t values[XNOR_MAX_RANK] = {0};
    *known = true;
    *count = 0;
    if (attr) {
        if (attr->count > XNOR_MAX_RANK)
            return xnor_fail(XNOR_E_LIMIT, "node '%s': too many axes", node->name);
        *count = attr->count;
        for (uint32_t i = 0; i < attr->count; i++) values[i] = attr->ints[i];
    } else if (value) {
        *known = value->data && xnor_known_ints(value, values, XNOR_MAX_RANK, count);
        if (!*known) return XNOR_OK;
    }
    return normalise_axes(node, values, *count, rank, axes);
}

xnor_status xnor_eval_axes(const xnor_node *node, const xnor_tensor *in, uint32_t input,
                           uint32_t rank, uint32_t *axes, uint32_t *count) {
    const xnor_attr *attr = xnor_node_attr(node, XNOR_ATTR_AXES);
    int64_t values[XNOR_MAX_RANK] = {0};
    *count = 0;
    if (attr) {
        *count = attr->count;
        for (uint32_t i = 0; i < attr->count && i < XNOR_MAX_RANK; i++) values[i] = attr->ints[i];
    } else if (input < node->input_count && node->inputs[input] != XNOR_NO_VALUE) {
        size_t n = xnor_tensor_count(&in[input]);
        if (n > XNOR_MAX_RANK)
            return xnor_fail(XNOR_E_LIMIT, "node '%s': too many axes", node->name);
        *count = (uint32_t)n;
        for (uint32_t i = 0; i < *count; i++) values[i] = xnor_tensor_get_int(&in[input], i);
    }
    return normalise_axes(node, values, *count, rank, axes);
}

xnor_status xnor_broadcast(const xnor_node *node, const xnor_shape *a, const xnor_shape *b,
                           xnor_shape *out) {
    uint32_t rank = a->rank > b->rank ? a->rank : b->rank;
    xnor_shape result = {.rank = rank};
    for (uint32_t i = 0; i < rank; i++) {
        int64_t da = i + a->rank >= rank ? a->dims[i + a->rank - rank] : 1;
        int64_t db = i + b->rank >= rank ? b->dims[i + b->rank - rank] : 1;
        if (da == db || db == 1)
            result.dims[i] = da;
        else if (da == 1 || da < 0)
            result.dims[i] = db; // an unknown axis beside a known one above 1 must equal it
        else if (db < 0)
            result.dims[i] = da;
        else {
            char ta[XNOR_SHAPE_TEXT], tb[XNOR_SHAPE_TEXT];
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): shapes %s and %s do not broadcast",
                             node->name, xnor_op_name(node->op), xnor_shape_text(a, ta, sizeof ta),
                             xnor_shape_text(b, tb, sizeof tb));
        }
    }
    *out = result;
    return XNOR_OK;
}

bool xnor_adds_per_group(const xnor_graph *graph, const xnor_node *node) {
    const xnor_shape *x = &graph->values[node->inputs[0]].shape;
    const xnor_shape *y = &graph->values[node->inputs[1]].shape;
    if (x->rank != y->rank || x->rank < 2 || y->dims[y->rank - 2] != 1) return false;
    for (uint32_t i = 0; i < x->rank; i++)
        if (i != x->rank - 2 && x->dims[i] != y->dims[i]) return false;
    return true;
}

void xnor_strides(const xnor_shape *shape, int64_t *strides) {
    int64_t stride = 1;
    for (uint32_t i = shape->rank; i-- > 0;) {
        strides[i] = stride;
        stride *= shape->dims[i];
    }
}

void xnor_walk_init(xnor_walk *walk, const xnor_shape *shape) {
    *walk = (xnor_walk){.rank = shape->rank};
    for (uint32_t i = 0; i < shape->rank; i++) walk->dims[i] = shape->dims[i];
}

void xnor_walk_add(xnor_walk *walk, const xnor_shape *input) {
    int64_t strides[XNOR_MAX_RANK];
    xnor_strides(input, strides);
    uint32_t skip = walk->rank - input->rank;
    for (uint32_t i = 0; i < input->rank; i++)
        walk->stride[walk->inputs][i + skip] = input->dims[i] == 1 ? 0 : strides[i];
    walk->inputs++;
}

void xnor_walk_next(xnor_walk *walk) {
    for (uint32_t axis = walk->rank; axis-- > 0;) {
        if (++walk->index[axis] < walk->dims[axis]) {
            for (uint32_t k = 0; k < walk->inputs; k++) walk->offset[k] += walk->stride[k][axis];
            return;
        }
        walk->index[axis] = 0;
        for (uint32_t k = 0; k < walk->inputs; k++)
            walk->offset[k] -= walk->stride[k][axis] * (walk->dims[axis] - 1);
    }
}
