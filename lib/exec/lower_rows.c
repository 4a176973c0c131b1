// Lowering of real functions of rows:
//   xnor_linear * factor[row] + xnor_affine      -> gemm_rows
//   xnor_linear * factor[row] + ReduceMax(points) -> gemm_rows_max
//   other sums * factor[row] + xnor_affine       -> acc_rows
//   xnor_linear + ReduceMean(points)             -> gemm_mean
//   Clip + Abs + ReduceMean(channels)            -> row_magnitude
#include <math.h>

#include "core/size.h"
#include "exec/lower.h"

// Sums of as many channels fit into the step's buffer.
enum { MAX_CHANNELS = 8192 };

// A reduction over one axis: the last one (from_end 1) or the one before it (2).
static bool reduces_axis(const lowering *l, const xnor_node *node, uint32_t from_end) {
    const xnor_attr *axes = xnor_node_attr(node, XNOR_ATTR_AXES);
    uint32_t rank = value_of(l, node->inputs[0])->shape.rank;
    return axes && axes->count == 1 && rank >= from_end &&
           axes->ints[0] == (int64_t)rank - (int64_t)from_end;
}

// A view that leaves the last axis as it is.
static bool is_view_of_rows(const lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    return is_view(node->op) && last_of(l, node->inputs[0]) == last_of(l, node->outputs[0]);
}

static bool node_is(const lowering *l, uint32_t index, xnor_op op) {
    return index != UINT32_MAX && l->graph->nodes[index].op == op;
}

// ---- factors per row ----------------------------------------------------------------------------

// The factor that a product gives to each row of the sums `acc`, or XNOR_NO_VALUE.
static xnor_value_id row_factor(const lowering *l, const xnor_node *product, xnor_value_id acc) {
    uint32_t other = product->inputs[0] == acc ? 1 : 0;
    const xnor_value *r = value_of(l, product->inputs[other]), *x = value_of(l, acc);
    if (product->inputs[0] == product->inputs[1] || r->dtype != XNOR_F32 ||
        r->shape.rank != x->shape.rank || r->shape.rank == 0 || xnor_shape_last(&r->shape) != 1)
        return XNOR_NO_VALUE;
    for (uint32_t i = 0; i + 1 < r->shape.rank; i++)
        if (r->shape.dims[i] != x->shape.dims[i]) return XNOR_NO_VALUE;
    return product->inputs[other];
}

// The step runs where the product stands: the factor is known only there.
bool xnor_lower_has_row_factor(lowering *l, uint32_t index) {
    const xnor_node *layer = &l->graph->nodes[index];
    uint32_t product = only_user(l, layer->outputs[0]);
    if (!node_is(l, product, XNOR_OP_MUL) || last_of(l, layer->outputs[0]) > MAX_CHANNELS ||
        l->active[layer->inputs[0]] != XNOR_NO_VALUE ||
        row_factor(l, &l->graph->nodes[product], layer->outputs[0]) == XNOR_NO_VALUE)
        return false;
    l->fused[product] = index;
    return true;
}

static xnor_status add_ones(lowering *l, xnor_step *step) {
    const xnor_shape shape = {1, {(int64_t)step->n}};
    for (int i = 0; i < 2; i++) {
        xnor_value_id id;
        void *data;
        XNOR_TRY(xnor_graph_add_constant(l->graph, step->node->name, XNOR_F32, &shape, &id, &data));
        for (size_t c = 0; c < step->n; c++) ((float *)data)[c] = i == 0 ? 1 : 0;
        step->parameters[i] = data;
    }
    return XNOR_OK;
}

static bool is_float_affine(const lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    return is_float_constant(l, node->inputs[1]) && is_float_constant(l, node->inputs[2]);
}

// Parameters of an affine behind the product, which then makes the step's result; ones and zeros when
// there is none.
static xnor_status take_affine(lowering *l, xnor_step *step) {
    uint32_t user = only_user(l, step->y);
    if (!node_is(l, user, XNOR_OP_AFFINE) || !is_float_affine(l, user)) return add_ones(l, step);
    const xnor_node *affine = &l->graph->nodes[user];
    step->y = affine->outputs[0];
    for (int i = 0; i < 2; i++) step->parameters[i] = value_of(l, affine->inputs[i + 1])->data;
    l->done[user] = 1;
    return XNOR_OK;
}

xnor_status xnor_lower_row_factor(lowering *l, uint32_t index) {
    const xnor_node *product = &l->graph->nodes[index];
    const xnor_node *layer = &l->graph->nodes[l->fused[index]];
    xnor_step *step = xnor_add_step(l, xnor_step_gemm_rows, layer);
    step->w = row_factor(l, product, layer->outputs[0]);
    step->y = product->outputs[0];
    step->rows = rows_of(l, step->x);
    step->k = last_of(l, step->x);
    step->n = last_of(l, step->y);
    XNOR_TRY(xnor_model_pack_gemm(l->plan->model, layer->inputs[1], XNOR_NO_VALUE, &step->packed));

    uint32_t user = only_user(l, product->outputs[0]), view = UINT32_MAX;
    if (user != UINT32_MAX && is_view_of_rows(l, user)) {
        view = user;
        user = only_user(l, l->graph->nodes[view].outputs[0]);
    }
    if (node_is(l, user, XNOR_OP_REDUCE_MAX) && reduces_axis(l, &l->graph->nodes[user], 2)) {
        const xnor_node *max = &l->graph->nodes[user];
        step->run = xnor_step_gemm_rows_max;
        step->rows = points_of(l, max->inputs[0]);
        step->groups = rows_of(l, max->inputs[0]) / step->rows;
        step->y = max->outputs[0];
        l->done[user] = 1;
        if (view != UINT32_MAX) l->done[view] = 1;
        return XNOR_OK;
    }
    return take_affine(l, step);
}

bool xnor_lower_scaled_sums(lowering *l, uint32_t index, xnor_status *status) {
    const xnor_node *product = &l->graph->nodes[index];
    if (product->op != XNOR_OP_MUL) return false;
    uint32_t sums = value_of(l, product->inputs[0])->dtype == XNOR_ACC ? 0 : 1;
    xnor_value_id acc = product->inputs[sums];
    xnor_value_id factor = row_factor(l, product, acc);
    if (value_of(l, acc)->dtype != XNOR_ACC || factor == XNOR_NO_VALUE ||
        l->active[acc] != XNOR_NO_VALUE)
        return false;
    xnor_step *step = xnor_add_step(l, xnor_step_acc_rows, product);
    step->x = acc;
    step->w = factor;
    step->rows = rows_of(l, acc);
    step->n = last_of(l, acc);
    *status = take_affine(l, step);
    return true;
}

// ---- means --------------------------------------------------------------------------------------

xnor_status xnor_lower_mean(lowering *l, uint32_t index, bool *done) {
    const xnor_node *layer = &l->graph->nodes[index];
    uint32_t user = only_user(l, layer->outputs[0]), view = UINT32_MAX;
    *done = false;
    if (user != UINT32_MAX && is_view_of_rows(l, user)) {
        view = user;
        user = only_user(l, l->graph->nodes[view].outputs[0]);
    }
    if (!node_is(l, user, XNOR_OP_REDUCE_MEAN) || !reduces_axis(l, &l->graph->nodes[user], 2) ||
        value_of(l, layer->inputs[0])->dtype != XNOR_BITS ||
        l->active[layer->inputs[0]] != XNOR_NO_VALUE)
        return XNOR_OK;
    const xnor_node *mean = &l->graph->nodes[user];
    xnor_step *step = xnor_add_step(l, xnor_step_gemm_mean, layer);
    step->y = mean->outputs[0];
    step->rows = points_of(l, mean->inputs[0]);
    step->groups = rows_of(l, mean->inputs[0]) / step->rows;
    step->k = last_of(l, step->x);
    step->n = last_of(l, step->y);
    l->done[user] = 1;
    if (view != UINT32_MAX) l->done[view] = 1;
    *done = true;
    size_t rows = xnor_mean_digits(step->rows) + 1;
    xnor_shape bytes = {1, {(int64_t)(rows * (xnor_words(step->k) * 8 + step->n * 4))}};
    XNOR_TRY(xnor_graph_add_value(l->graph, layer->name, XNOR_U8, &bytes, &step->scratch));
    return xnor_model_pack_gemm(l->plan->model, layer->inputs[1], XNOR_NO_VALUE, &step->packed);
}

// The mean over channels that follows |x|, if nobody else wants |x|.
static uint32_t mean_of_magnitude(const lowering *l, uint32_t abs) {
    if (!node_is(l, abs, XNOR_OP_ABS)) return UINT32_MAX;
    uint32_t mean = only_user(l, l->graph->nodes[abs].outputs[0]);
    bool fits = node_is(l, mean, XNOR_OP_REDUCE_MEAN) &&
                reduces_axis(l, &l->graph->nodes[mean], 1) &&
                value_of(l, l->graph->nodes[abs].inputs[0])->dtype == XNOR_F32;
    return fits ? mean : UINT32_MAX;
}

static void add_magnitude(lowering *l, uint32_t first, uint32_t mean, double low, double high) {
    const xnor_node *node = &l->graph->nodes[first];
    xnor_step *step = xnor_add_step(l, xnor_step_row_magnitude, node);
    step->y = l->graph->nodes[mean].outputs[0];
    step->rows = rows_of(l, step->x);
    step->n = last_of(l, step->x);
    step->low = (float)low;
    step->high = (float)high;
    l->done[mean] = 1;
}

bool xnor_lower_clip_magnitude(lowering *l, uint32_t index, double low, double high) {
    uint32_t abs = only_user(l, l->graph->nodes[index].outputs[0]);
    if (abs != UINT32_MAX && is_view_of_rows(l, abs))
        abs = only_user(l, l->graph->nodes[abs].outputs[0]);
    uint32_t mean = mean_of_magnitude(l, abs);
    if (mean == UINT32_MAX) return false;
    add_magnitude(l, index, mean, low, high);
    l->done[abs] = 1;
    return true;
}

xnor_status xnor_lower_abs(lowering *l, uint32_t index) {
    uint32_t mean = mean_of_magnitude(l, index);
    if (mean == UINT32_MAX) return xnor_lower_unary(l, index);
    add_magnitude(l, index, mean, -INFINITY, INFINITY);
    return XNOR_OK;
}

// ---- element-wise functions ---------------------------------------------------------------------

xnor_status xnor_lower_table(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value *table = value_of(l, node->inputs[1]);
    xnor_step *step = xnor_add_step(l, table->data ? xnor_step_table : xnor_step_reference, node);
    if (!table->data) return XNOR_OK;
    step->rows = rows_of(l, step->x);
    step->n = last_of(l, step->x);
    step->k = (size_t)table->shape.dims[1];
    step->parameters[0] = table->data;
    return XNOR_OK;
}

// Expand and Tile along one axis of size 1.
xnor_status xnor_lower_repeat(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_shape *x = &value_of(l, node->inputs[0])->shape;
    const xnor_shape *y = &value_of(l, node->outputs[0])->shape;
    uint32_t axis = 0, differ = 0;
    for (uint32_t i = 0; x->rank == y->rank && i < x->rank; i++)
        if (x->dims[i] != y->dims[i]) {
            axis = i;
            differ += x->dims[i] == 1 ? 1 : 2;
        }
    bool direct = differ == 1 && value_of(l, node->inputs[0])->dtype == XNOR_F32;
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_repeat : xnor_step_reference, node);
    if (!direct) return XNOR_OK;
    step->rows = (size_t)y->dims[axis];
    step->n = 1;
    for (uint32_t i = axis + 1; i < x->rank; i++) step->n *= (size_t)x->dims[i];
    for (uint32_t i = 0; i < axis; i++) step->groups *= (size_t)x->dims[i];
    return XNOR_OK;
}

xnor_status xnor_lower_unary(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    bool direct = value_of(l, node->inputs[0])->dtype == XNOR_F32 &&
                  value_of(l, node->outputs[0])->dtype == XNOR_F32;
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_unary : xnor_step_reference, node);
    step->rows = rows_of(l, step->x);
    step->n = last_of(l, step->x);
    return XNOR_OK;
}

xnor_status xnor_lower_prelu(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value *x = value_of(l, node->inputs[0]), *slope = value_of(l, node->inputs[1]);
    const xnor_tensor t = {slope->dtype, slope->shape, slope->data};
    bool direct = x->dtype == XNOR_F32 && is_float_constant(l, node->inputs[1]) &&
                  xnor_shape_equal(&x->shape, &value_of(l, node->outputs[0])->shape) &&
                  x->shape.rank > 0 &&
                  xnor_tensor_count(&t) == (size_t)xnor_shape_last(&slope->shape);
    size_t n = direct ? last_of(l, node->inputs[0]) : 1, count = direct ? xnor_tensor_count(&t) : 0;
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_prelu : xnor_step_reference, node);
    step->rows = rows_of(l, step->x);
    step->n = n;
    step->parameters[0] = t.data;
    if (!direct || count == n) return XNOR_OK;
    // One slope for all channels.
    const xnor_shape shape = {1, {(int64_t)n}};
    xnor_value_id id;
    void *data;
    XNOR_TRY(xnor_graph_add_constant(l->graph, node->name, XNOR_F32, &shape, &id, &data));
    for (size_t c = 0; c < n; c++) ((float *)data)[c] = (float)xnor_tensor_get(&t, 0);
    step->parameters[0] = data;
    return XNOR_OK;
}
