// Lowering: which step runs a node. Neighbours that one kernel covers become one step:
//   xnor_linear + xnor_threshold -> gemm_thr        xnor_linear + ReduceMax(points) -> gemm_max
//   linear or MatMul + xnor_binarize -> sign bits directly
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/size.h"
#include "exec/lower.h"

xnor_step *xnor_add_step(lowering *l, xnor_step_run run, const xnor_node *node) {
    xnor_step *step = &l->plan->steps[l->plan->step_count++];
    *step = (xnor_step){.run = run,
                        .graph = l->graph,
                        .node = node,
                        .x = node->inputs[0],
                        .w = XNOR_NO_VALUE,
                        .v = XNOR_NO_VALUE,
                        .scratch = XNOR_NO_VALUE,
                        .active = XNOR_NO_VALUE,
                        .groups = 1,
                        .rows = 1,
                        .y = node->outputs[0]};
    return step;
}

// Sets the rows of a step that works on rows by themselves: [groups, rows, ..] when only the
// distinct ones are computed, else all rows in one group.
static void set_rows(lowering *l, xnor_step *step) {
    step->rows = rows_of(l, step->x);
    step->active = l->active[step->x];
    if (step->active == XNOR_NO_VALUE) return;
    const xnor_shape *x = &value_of(l, step->x)->shape;
    step->groups = step->rows / (size_t)x->dims[x->rank - 2];
    step->rows = (size_t)x->dims[x->rank - 2];
}

// A reduction over the axis before the last one only: [.., rows, n] -> [.., n].
static bool reduces_rows(const lowering *l, const xnor_node *node) {
    const xnor_attr *axes = xnor_node_attr(node, XNOR_ATTR_AXES);
    uint32_t rank = value_of(l, node->inputs[0])->shape.rank;
    return node->op == XNOR_OP_REDUCE_MAX && axes && axes->count == 1 && rank >= 2 &&
           axes->ints[0] == (int64_t)rank - 2;
}

static void set_groups(lowering *l, xnor_step *step) {
    const xnor_shape *x = &value_of(l, step->x)->shape;
    step->active = l->active[step->x];
    step->rows = (size_t)x->dims[x->rank - 2];
    step->groups = rows_of(l, step->x) / step->rows;
}

// xnor_linear + xnor_add (one row per cloud) + xnor_threshold, where nobody else wants the sums.
static xnor_status lower_thr_offset(lowering *l, uint32_t index, bool *done) {
    const xnor_node *node = &l->graph->nodes[index];
    uint32_t add = only_user(l, node->outputs[0]), thr;
    *done = false;
    if (add == UINT32_MAX || l->graph->nodes[add].op != XNOR_OP_XNOR_ADD ||
        l->graph->nodes[add].inputs[0] != node->outputs[0] ||
        !xnor_adds_per_group(l->graph, &l->graph->nodes[add]) ||
        value_of(l, node->inputs[0])->dtype != XNOR_BITS)
        return XNOR_OK;
    thr = only_user(l, l->graph->nodes[add].outputs[0]);
    if (thr == UINT32_MAX || !is_bits_threshold(&l->graph->nodes[thr]) ||
        !is_model_constant(l, l->graph->nodes[thr].inputs[1]))
        return XNOR_OK;
    // The sum runs where the addition stands: its second operand is known only there.
    l->done[thr] = 1;
    l->fused[add] = index;
    *done = true;
    return XNOR_OK;
}

static xnor_status lower_xnor_linear(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    if (!is_model_constant(l, node->inputs[1])) {
        xnor_add_step(l, xnor_step_reference, node);
        return XNOR_OK;
    }
    bool fused;
    if (xnor_lower_is_conv(l, index)) return xnor_lower_conv(l, index);
    if (xnor_lower_in_edge_sum(l, index) || xnor_lower_in_sum(l, index)) return XNOR_OK;
    if (xnor_lower_has_row_factor(l, index)) return XNOR_OK;
    XNOR_TRY(xnor_lower_mean(l, index, &fused));
    if (fused) return XNOR_OK;
    XNOR_TRY(lower_thr_offset(l, index, &fused));
    if (fused) return XNOR_OK;
    xnor_step *step = xnor_add_step(l, xnor_step_gemm_acc, node);
    set_rows(l, step);
    step->k = last_of(l, node->inputs[0]);
    step->n = last_of(l, node->outputs[0]);
    xnor_value_id thresholds = XNOR_NO_VALUE;
    bool ternary = value_of(l, node->inputs[0])->dtype == XNOR_TERNARY;
    if (ternary) step->run = xnor_step_gemm_acc_ternary;
    uint32_t user = only_user(l, node->outputs[0]), behind = user;
    while (behind != UINT32_MAX && is_view(l->graph->nodes[behind].op))
        behind = only_user(l, l->graph->nodes[behind].outputs[0]);
    if (user != UINT32_MAX && !ternary && is_bits_threshold(&l->graph->nodes[user]) &&
        is_model_constant(l, l->graph->nodes[user].inputs[1])) {
        step->run = xnor_step_gemm_thr;
        thresholds = l->graph->nodes[user].inputs[1];
    } else if (behind != UINT32_MAX && reduces_rows(l, &l->graph->nodes[behind])) {
        const xnor_shape *x = &value_of(l, l->graph->nodes[behind].inputs[0])->shape;
        user = behind;
        step->run = ternary ? xnor_step_gemm_max_ternary : xnor_step_gemm_max;
        step->rows = (size_t)x->dims[x->rank - 2];
        step->groups = rows_of(l, l->graph->nodes[user].inputs[0]) / step->rows;
        step->active = l->active[node->inputs[0]];
    } else {
        user = UINT32_MAX;
        XNOR_TRY(xnor_lower_layer_tail(l, step, index));
        if (step->tail) return XNOR_OK;
    }
    if (user != UINT32_MAX) {
        step->y = l->graph->nodes[user].outputs[0];
        l->done[user] = 1;
    }
    return xnor_model_pack_gemm(l->plan->model, node->inputs[1], thresholds, &step->packed);
}

static xnor_status lower_xnor_add(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    bool direct = xnor_adds_per_group(l->graph, node);
    bool equal = xnor_shape_equal(&value_of(l, node->inputs[0])->shape,
                                  &value_of(l, node->inputs[1])->shape);
    xnor_status status;
    bool done;
    if (xnor_lower_edge_sum(l, index, &status)) return status;
    XNOR_TRY(xnor_lower_sum_of_layers(l, index, &done));
    if (done) return XNOR_OK;
    if (l->fused[index] == UINT32_MAX) {
        xnor_step *step =
            xnor_add_step(l, direct || equal ? xnor_step_acc_add : xnor_step_reference, node);
        step->w = node->inputs[1];
        if (equal) // every row a group of its own
            step->groups = rows_of(l, step->x);
        else if (direct)
            set_groups(l, step);
        step->n = last_of(l, node->outputs[0]);
        return XNOR_OK;
    }
    const xnor_node *layer = &l->graph->nodes[l->fused[index]];
    const xnor_node *thr = &l->graph->nodes[only_user(l, node->outputs[0])];
    xnor_step *step = xnor_add_step(l, xnor_step_gemm_thr_offset, layer);
    set_groups(l, step);
    step->w = node->inputs[1];
    step->y = thr->outputs[0];
    step->k = last_of(l, layer->inputs[0]);
    step->n = last_of(l, layer->outputs[0]);
    step->parameters[0] = value_of(l, thr->inputs[1])->data;
    size_t packed = l->plan->model->kernels.gemm_packed_bytes(step->k, step->n);
    xnor_shape bytes = {1, {(int64_t)(packed + xnor_align_up(step->n * sizeof(int32_t), 64))}};
    XNOR_TRY(xnor_graph_add_value(l->graph, layer->name, XNOR_U8, &bytes, &step->scratch));
    return xnor_model_pack_gemm(l->plan->model, layer->inputs[1], thr->inputs[1], &step->packed);
}

// Lets the step write sign bits when a single xnor_binarize follows.
static bool fuse_binarize(lowering *l, xnor_step *step, xnor_step_run run) {
    uint32_t user = only_user(l, step->y);
    if (user == UINT32_MAX || l->graph->nodes[user].op != XNOR_OP_BINARIZE ||
        xnor_node_float(&l->graph->nodes[user], XNOR_ATTR_ALPHA, 1) != 1)
        return false;
    step->run = run;
    step->y = l->graph->nodes[user].outputs[0];
    l->done[user] = 1;
    return true;
}

// Turns the step that makes the codes, or none, into the one of node `index`, xnor_distinct.
static xnor_status set_distinct(lowering *l, xnor_step *step, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    step->run = xnor_step_distinct;
    step->node = node;
    step->y = node->outputs[0];
    step->rows = points_of(l, node->inputs[0]);
    step->groups = rows_of(l, node->inputs[0]) / step->rows;
    bool indexed = xnor_graph_uses(l->graph, node->outputs[2], NULL) > 0;
    size_t bytes = xnor_distinct_scratch_bytes(step->groups, step->rows, indexed);
    xnor_shape scratch = {1, {(int64_t)bytes}};
    return xnor_graph_add_value(l->graph, node->name, XNOR_U8, &scratch, &step->scratch);
}

static xnor_status lower_distinct(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    bool one_word = last_of(l, node->inputs[0]) <= 64;
    xnor_step *step = xnor_add_step(l, one_word ? xnor_step_distinct : xnor_step_reference, node);
    return one_word ? set_distinct(l, step, index) : XNOR_OK;
}

// Lets a step that writes sign bits of rows of reals look for distinct ones at once, when nobody
// else wants to see them.
static xnor_status fuse_distinct(lowering *l, xnor_step *step) {
    uint32_t user = only_user(l, step->y);
    if (user == UINT32_MAX || l->graph->nodes[user].op != XNOR_OP_DISTINCT || step->n > 64 ||
        step->active != XNOR_NO_VALUE)
        return XNOR_OK;
    if (step->w != XNOR_NO_VALUE && step->groups > 1) {
        if (step->rows != points_of(l, step->y)) return XNOR_OK;
        step->offset = step->k * step->n;
    }
    l->done[user] = 1;
    return set_distinct(l, step, user);
}

static double bound_of(const lowering *l, const xnor_node *node, uint32_t input, double fallback) {
    if (input >= node->input_count || node->inputs[input] == XNOR_NO_VALUE) return fallback;
    const xnor_value *value = value_of(l, node->inputs[input]);
    const xnor_tensor t = {value->dtype, value->shape, value->data};
    return xnor_tensor_get(&t, 0);
}

// What a Clip or Relu of reals clips to, if it is known.
bool xnor_lower_clip_bounds(const lowering *l, const xnor_node *node, double *low, double *high) {
    bool relu = node->op == XNOR_OP_RELU;
    if (!relu && node->op != XNOR_OP_CLIP) return false;
    if (value_of(l, node->inputs[0])->dtype != XNOR_F32) return false;
    for (uint32_t i = 1; i < node->input_count; i++)
        if (node->inputs[i] != XNOR_NO_VALUE && !value_of(l, node->inputs[i])->data) return false;
    *low = relu ? 0 : xnor_node_float(node, XNOR_ATTR_MIN, -INFINITY);
    *high = relu ? INFINITY : xnor_node_float(node, XNOR_ATTR_MAX, INFINITY);
    *low = bound_of(l, node, 1, *low);
    *high = bound_of(l, node, 2, *high);
    return true;
}

// Lets a linear step clip what it has just written. Magnitudes of clipped rows have a step of their
// own.
static void fuse_clip(lowering *l, xnor_step *step) {
    uint32_t user = only_user(l, step->y);
    double low, high;
    if (user == UINT32_MAX || !xnor_lower_clip_bounds(l, &l->graph->nodes[user], &low, &high))
        return;
    xnor_value_id y = l->graph->nodes[user].outputs[0];
    for (uint32_t i = user + 1; i < l->graph->node_count; i++)
        if (l->graph->nodes[i].op == XNOR_OP_ABS && l->graph->nodes[i].inputs[0] == y) return;
    step->run = xnor_step_linear_clip;
    step->y = y;
    step->low = (float)low;
    step->high = (float)high;
    l->done[user] = 1;
}

static xnor_status lower_linear(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const float *packed;
    bool direct = value_of(l, node->inputs[0])->dtype == XNOR_F32 &&
                  is_float_constant(l, node->inputs[1]) && is_model_constant(l, node->inputs[1]);
    if (node->input_count > 2 && node->inputs[2] != XNOR_NO_VALUE)
        direct = direct && is_float_constant(l, node->inputs[2]);
    if (!direct) {
        xnor_add_step(l, xnor_step_reference, node);
        return XNOR_OK;
    }
    xnor_step *step;
    if (l->fused[index] != UINT32_MAX) {
        step = xnor_lower_edges_linear(l, l->fused[index], index);
    } else {
        step = xnor_add_step(l, xnor_step_linear, node);
        set_rows(l, step);
        step->k = last_of(l, node->inputs[0]);
    }
    step->n = last_of(l, node->outputs[0]);
    XNOR_TRY(xnor_model_pack_linear(l->plan->model, node->inputs[1], &packed));
    step->packed = packed;
    if (node->input_count > 2 && node->inputs[2] != XNOR_NO_VALUE)
        step->parameters[0] = value_of(l, node->inputs[2])->data;
    bool edges = step->run == xnor_step_edges_linear;
    bool bits = fuse_binarize(l, step, edges ? xnor_step_edges_linear_bits : xnor_step_linear_bits);
    if (bits && !edges) return fuse_distinct(l, step);
    if (step->run == xnor_step_linear) fuse_clip(l, step);
    return XNOR_OK;
}

static xnor_status lower_matmul(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value *a = value_of(l, node->inputs[0]), *b = value_of(l, node->inputs[1]);
    bool dense =
        a->dtype == XNOR_F32 && b->dtype == XNOR_F32 && a->shape.rank >= 2 && b->shape.rank >= 2;
    size_t groups = 1;
    if (dense) {
        // Equal leading axes, or one matrix for all.
        size_t all = 1;
        for (uint32_t i = 0; i + 2 < b->shape.rank; i++) groups *= (size_t)b->shape.dims[i];
        for (uint32_t i = 0; i + 2 < a->shape.rank; i++) all *= (size_t)a->shape.dims[i];
        dense = groups == 1 || (groups == all && a->shape.rank == b->shape.rank);
        for (uint32_t i = 0; dense && groups > 1 && i + 2 < a->shape.rank; i++)
            dense = a->shape.dims[i] == b->shape.dims[i];
    }
    if (!dense || groups == 0) {
        xnor_add_step(l, xnor_step_reference, node);
        return XNOR_OK;
    }
    xnor_step *step = xnor_add_step(l, xnor_step_matmul, node);
    step->w = node->inputs[1];
    step->groups = groups;
    step->rows = xnor_shape_rows(&a->shape) / groups;
    step->k = last_of(l, node->inputs[0]);
    step->n = last_of(l, node->outputs[0]);
    if (fuse_binarize(l, step, xnor_step_matmul_bits)) return fuse_distinct(l, step);
    return XNOR_OK;
}

static xnor_status lower_binarize(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    double zero = xnor_node_float(node, XNOR_ATTR_ALPHA, 1);
    if (l->fused[index] != UINT32_MAX) {
        xnor_lower_edges_signs(l, l->fused[index], index);
        return XNOR_OK;
    }
    xnor_step_run run = zero == 0 ? xnor_step_pack_ternary : xnor_step_pack;
    if (value_of(l, node->inputs[0])->dtype != XNOR_F32 || zero < 0) run = xnor_step_reference;
    xnor_step *step = xnor_add_step(l, run, node);
    set_rows(l, step);
    step->k = step->n = last_of(l, step->x);
    return run == xnor_step_pack ? fuse_distinct(l, step) : XNOR_OK;
}

static xnor_status lower_threshold(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    bool direct = true, ternary = !is_bits_threshold(node);
    for (uint32_t i = 1; i < node->input_count; i++)
        direct = direct && value_of(l, node->inputs[i])->data != NULL;
    xnor_step_run run = ternary ? xnor_step_acc_thr_ternary : xnor_step_acc_thr;
    xnor_step *step = xnor_add_step(l, direct ? run : xnor_step_reference, node);
    set_rows(l, step);
    step->n = last_of(l, step->x);
    for (uint32_t i = 1; i < node->input_count; i++)
        step->parameters[i - 1] = value_of(l, node->inputs[i])->data;
    return XNOR_OK;
}

static xnor_status lower_softmax(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value *x = value_of(l, node->inputs[0]);
    uint32_t axis;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, -1), x->shape.rank, &axis));
    const bool last = axis + 1 == x->shape.rank, real = x->dtype == XNOR_F32;
    xnor_step *step = xnor_add_step(l, real ? xnor_step_softmax : xnor_step_reference, node);
    if (!real) return XNOR_OK;
    if (last) {
        set_rows(l, step);
        step->n = last_of(l, step->x);
        return XNOR_OK;
    }
    step->run = xnor_step_softmax_columns;
    step->n = 1;
    for (uint32_t i = 0; i < x->shape.rank; i++) {
        size_t *into = i < axis ? &step->groups : i > axis ? &step->n : &step->rows;
        *into *= (size_t)x->shape.dims[i];
    }
    return XNOR_OK;
}

static xnor_status lower_affine(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    bool line;
    XNOR_TRY(xnor_lower_line(l, index, &line));
    if (line) return XNOR_OK;
    xnor_dtype dtype = value_of(l, node->inputs[0])->dtype;
    bool direct = (dtype == XNOR_F32 || dtype == XNOR_ACC) &&
                  is_float_constant(l, node->inputs[1]) && is_float_constant(l, node->inputs[2]);
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_affine : xnor_step_reference, node);
    set_rows(l, step);
    step->n = last_of(l, step->x);
    for (int i = 0; i < 2; i++) step->parameters[i] = value_of(l, node->inputs[i + 1])->data;
    return XNOR_OK;
}

static xnor_status lower_clip(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    double low, high;
    if (!xnor_lower_clip_bounds(l, node, &low, &high)) {
        xnor_add_step(l, xnor_step_reference, node);
        return XNOR_OK;
    }
    bool line;
    if (xnor_lower_clip_magnitude(l, index, low, high)) return XNOR_OK;
    XNOR_TRY(xnor_lower_line(l, index, &line));
    if (line) return XNOR_OK;
    xnor_step *step = xnor_add_step(l, xnor_step_clip, node);
    set_rows(l, step);
    step->n = last_of(l, step->x);
    step->low = (float)low;
    step->high = (float)high;
    return XNOR_OK;
}

static xnor_status lower_arithmetic(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    xnor_status status;
    if (xnor_lower_difference(l, index, &status)) return status;
    if (l->fused[index] != UINT32_MAX) return xnor_lower_row_factor(l, index);
    if (xnor_lower_scaled_sums(l, index, &status)) return status;
    bool line;
    XNOR_TRY(xnor_lower_line(l, index, &line));
    if (line) return XNOR_OK;
    bool direct = value_of(l, node->inputs[0])->dtype == XNOR_F32 &&
                  value_of(l, node->inputs[1])->dtype == XNOR_F32;
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_arithmetic : xnor_step_reference, node);
    if (!direct) return XNOR_OK;
    step->w = node->inputs[1];
    step->rows = rows_of(l, step->y);
    step->n = last_of(l, step->y);
    return XNOR_OK;
}

// Comparisons of reals or indices, and logic; of other types by reference.
static xnor_status lower_truth(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value_id w = node->inputs[node->op == XNOR_OP_NOT ? 0 : 1];
    const xnor_dtype dtype = value_of(l, node->inputs[0])->dtype;
    const bool logic = node->op == XNOR_OP_AND || node->op == XNOR_OP_OR ||
                       node->op == XNOR_OP_XOR || node->op == XNOR_OP_NOT;
    const bool numbers = !logic && (dtype == XNOR_F32 || dtype == XNOR_I64);
    const bool truths = (logic || node->op == XNOR_OP_EQUAL) && dtype == XNOR_BOOL;
    const bool direct = (numbers || truths) && value_of(l, w)->dtype == dtype &&
                        value_of(l, node->outputs[0])->dtype == XNOR_BOOL;
    xnor_add_step(l, direct ? xnor_step_truth : xnor_step_reference, node)->w =
        direct ? w : XNOR_NO_VALUE;
    return XNOR_OK;
}

// Gates, too.
static xnor_status lower_greater(lowering *l, uint32_t index) {
    bool line;
    XNOR_TRY(xnor_lower_line(l, index, &line));
    return line ? XNOR_OK : lower_truth(l, index);
}

static xnor_status lower_where(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const bool direct = value_of(l, node->inputs[0])->dtype == XNOR_BOOL &&
                        value_of(l, node->inputs[1])->dtype == XNOR_F32 &&
                        value_of(l, node->inputs[2])->dtype == XNOR_F32 &&
                        value_of(l, node->outputs[0])->dtype == XNOR_F32;
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_where : xnor_step_reference, node);
    if (!direct) return XNOR_OK;
    step->w = node->inputs[1];
    step->v = node->inputs[2];
    return XNOR_OK;
}

// Truths become numbers.
static xnor_status lower_cast(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const bool direct = value_of(l, node->inputs[0])->dtype == XNOR_BOOL &&
                        value_of(l, node->outputs[0])->dtype == XNOR_F32;
    xnor_add_step(l, direct ? xnor_step_number : xnor_step_reference, node);
    return XNOR_OK;
}

// Squares are products; other powers are rare.
static xnor_status lower_pow(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value *exponent = value_of(l, node->inputs[1]);
    size_t count = 0;
    bool direct = value_of(l, node->inputs[0])->dtype == XNOR_F32 && exponent->data &&
                  xnor_shape_equal(&value_of(l, node->inputs[0])->shape,
                                   &value_of(l, node->outputs[0])->shape);
    if (direct) XNOR_TRY(xnor_shape_count(&exponent->shape, &count));
    const xnor_tensor exponents = {exponent->dtype, exponent->shape, exponent->data};
    for (size_t i = 0; i < count; i++) direct = direct && xnor_tensor_get(&exponents, i) == 2;
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_arithmetic : xnor_step_reference, node);
    if (!direct) return XNOR_OK;
    step->w = node->inputs[0];
    step->rows = rows_of(l, step->y);
    step->n = last_of(l, step->y);
    return XNOR_OK;
}

// Permutations that swap two blocks of neighbouring axes are a batched matrix transpose.
static xnor_status lower_transpose(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_shape *x = &value_of(l, node->inputs[0])->shape;
    const xnor_attr *perm = xnor_node_attr(node, XNOR_ATTR_PERM);
    if (xnor_lower_reads_planes(l, index)) return XNOR_OK;
    uint32_t rank = x->rank, fixed = 0;
    while (perm && fixed < rank && perm->ints[fixed] == (int64_t)fixed) fixed++;
    uint32_t split = perm && fixed < rank ? (uint32_t)perm->ints[fixed] : rank;
    bool blocks = perm && value_of(l, node->inputs[0])->dtype == XNOR_F32;
    for (uint32_t i = fixed; i < rank && blocks; i++) {
        uint32_t expect =
            i - fixed < rank - split ? split + (i - fixed) : fixed + (i - fixed) - (rank - split);
        blocks = perm->ints[i] == (int64_t)expect;
    }
    if (!blocks) return xnor_lower_strided(l, index);
    xnor_step *step = xnor_add_step(l, xnor_step_transpose, node);
    step->groups = step->rows = step->n = 1;
    for (uint32_t i = 0; i < rank; i++) {
        size_t *into = i < fixed ? &step->groups : i < split ? &step->rows : &step->n;
        *into *= (size_t)x->dims[i];
    }
    return XNOR_OK;
}

static const struct {
    xnor_op op;
    xnor_status (*lower)(lowering *, uint32_t);
} rules[] = {
    {XNOR_OP_XNOR_LINEAR, lower_xnor_linear},
    {XNOR_OP_GROUPED, xnor_lower_grouped},
    {XNOR_OP_PATCHES, xnor_lower_patches},
    {XNOR_OP_LINEAR, lower_linear},
    {XNOR_OP_CONV2D, xnor_lower_conv2d},
    {XNOR_OP_CONV_TRANSPOSE2D, xnor_lower_conv_transpose},
    {XNOR_OP_DEPTH_TO_SPACE, xnor_lower_strided},
    {XNOR_OP_SPACE_TO_DEPTH, xnor_lower_strided},
    {XNOR_OP_PAD, xnor_lower_pad},
    {XNOR_OP_RESIZE, xnor_lower_resize},
    {XNOR_OP_MAX_POOL, xnor_lower_pool},
    {XNOR_OP_AVERAGE_POOL, xnor_lower_pool},
    {XNOR_OP_POOL_SIGNS, xnor_lower_pool_signs},
    {XNOR_OP_MATMUL, lower_matmul},
    {XNOR_OP_BINARIZE, lower_binarize},
    {XNOR_OP_THRESHOLD, lower_threshold},
    {XNOR_OP_REDUCE_L1, xnor_lower_reduce},
    {XNOR_OP_REDUCE_L2, xnor_lower_reduce},
    {XNOR_OP_REDUCE_MAX, xnor_lower_reduce},
    {XNOR_OP_REDUCE_MEAN, xnor_lower_reduce},
    {XNOR_OP_REDUCE_MIN, xnor_lower_reduce},
    {XNOR_OP_REDUCE_SUM, xnor_lower_reduce},
    {XNOR_OP_REDUCE_SUM_SQUARE, xnor_lower_reduce},
    {XNOR_OP_ARG_MAX, xnor_lower_place},
    {XNOR_OP_ARG_MIN, xnor_lower_place},
    {XNOR_OP_AFFINE, lower_affine},
    {XNOR_OP_CLIP, lower_clip},
    {XNOR_OP_RELU, lower_clip},
    {XNOR_OP_GREATER, lower_greater},
    {XNOR_OP_GREATER_OR_EQUAL, lower_truth},
    {XNOR_OP_LESS, lower_truth},
    {XNOR_OP_LESS_OR_EQUAL, lower_truth},
    {XNOR_OP_EQUAL, lower_truth},
    {XNOR_OP_AND, lower_truth},
    {XNOR_OP_OR, lower_truth},
    {XNOR_OP_XOR, lower_truth},
    {XNOR_OP_NOT, lower_truth},
    {XNOR_OP_WHERE, lower_where},
    {XNOR_OP_CAST, lower_cast},
    {XNOR_OP_ADD, lower_arithmetic},
    {XNOR_OP_SUB, lower_arithmetic},
    {XNOR_OP_MUL, lower_arithmetic},
    {XNOR_OP_DIV, lower_arithmetic},
    {XNOR_OP_POW, lower_pow},
    {XNOR_OP_TABLE, xnor_lower_table},
    {XNOR_OP_EXPAND, xnor_lower_repeat},
    {XNOR_OP_TILE, xnor_lower_repeat},
    {XNOR_OP_ABS, xnor_lower_abs},
    {XNOR_OP_PRELU, xnor_lower_prelu},
    {XNOR_OP_CEIL, xnor_lower_unary},
    {XNOR_OP_ELU, xnor_lower_unary},
    {XNOR_OP_ERF, xnor_lower_unary},
    {XNOR_OP_EXP, xnor_lower_unary},
    {XNOR_OP_FLOOR, xnor_lower_unary},
    {XNOR_OP_HARD_SIGMOID, xnor_lower_unary},
    {XNOR_OP_HARD_SWISH, xnor_lower_unary},
    {XNOR_OP_LEAKY_RELU, xnor_lower_unary},
    {XNOR_OP_LOG, xnor_lower_unary},
    {XNOR_OP_NEG, xnor_lower_unary},
    {XNOR_OP_RECIPROCAL, xnor_lower_unary},
    {XNOR_OP_ROUND, xnor_lower_unary},
    {XNOR_OP_SELU, xnor_lower_unary},
    {XNOR_OP_SIGMOID, xnor_lower_unary},
    {XNOR_OP_SIGN, xnor_lower_unary},
    {XNOR_OP_SOFTPLUS, xnor_lower_unary},
    {XNOR_OP_SQRT, xnor_lower_unary},
    {XNOR_OP_TANH, xnor_lower_unary},
    {XNOR_OP_CONCAT, xnor_lower_concat},
    {XNOR_OP_TRANSPOSE, lower_transpose},
    {XNOR_OP_SLICE, xnor_lower_strided},
    {XNOR_OP_DISTINCT, lower_distinct},
    {XNOR_OP_K_NEAREST, xnor_lower_nearest},
    {XNOR_OP_EDGES, xnor_lower_edges},
    {XNOR_OP_GATHER_ROWS, xnor_lower_gather_rows},
    {XNOR_OP_FARTHEST_POINT_SAMPLING, xnor_lower_sampling},
    {XNOR_OP_BALL_QUERY, xnor_lower_ball_query},
    {XNOR_OP_XNOR_ADD, lower_xnor_add},
    {XNOR_OP_SOFTMAX, lower_softmax},
    {XNOR_OP_LOG_SOFTMAX, lower_softmax},
};

// Which values hold only the distinct rows: the pass has put GatherRows before everything
// that does not work on rows by themselves.
static void find_active(lowering *l) {
    for (uint32_t i = 0; i < l->graph->value_count; i++) l->active[i] = XNOR_NO_VALUE;
    for (uint32_t i = 0; i < l->graph->node_count; i++) {
        const xnor_node *node = &l->graph->nodes[i];
        if (node->op == XNOR_OP_DISTINCT)
            l->active[node->outputs[0]] = node->outputs[1];
        else if (node->input_count && node->inputs[0] != XNOR_NO_VALUE &&
                 node->op != XNOR_OP_GATHER_ROWS && node->op != XNOR_OP_REDUCE_MAX)
            l->active[node->outputs[0]] = l->active[node->inputs[0]];
    }
}

static xnor_status lower_node(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    if (l->done[index] || is_view(node->op)) return XNOR_OK; // views share memory
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].op == node->op) return rules[i].lower(l, index);
    xnor_add_step(l, xnor_step_reference, node);
    return XNOR_OK;
}

xnor_status xnor_lower(xnor_plan *plan) {
    const size_t nodes = plan->graph.node_count + 1, values = plan->graph.value_count + 1;
    lowering l = {.plan = plan,
                  .graph = &plan->graph,
                  .done = calloc(nodes, 1),
                  .fused = malloc(nodes * sizeof *l.fused),
                  .tail = calloc(nodes, sizeof *l.tail),
                  .active = malloc(values * sizeof *l.active)};
    plan->steps = calloc(plan->graph.node_count + 1, sizeof *plan->steps);
    xnor_status status = XNOR_OK;
    if (!l.done || !l.fused || !l.tail || !l.active || !plan->steps)
        status = xnor_fail(XNOR_E_MEMORY, "plan: out of memory");
    if (status == XNOR_OK) {
        for (uint32_t i = 0; i < plan->graph.node_count; i++) l.fused[i] = UINT32_MAX;
        find_active(&l);
    }
    for (uint32_t i = 0; i < plan->graph.node_count && status == XNOR_OK; i++)
        status = lower_node(&l, i);
    free(l.done);
    free(l.fused);
    free(l.tail);
    free(l.active);
    return status;
}
