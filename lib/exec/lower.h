// What the files of lowering rules share. Internal to lib/exec.
#ifndef XNOR_EXEC_LOWER_H
#define XNOR_EXEC_LOWER_H

#include "core/tensor.h"
#include "exec/plan.h"
#include "ops/ops.h"

typedef struct lowering {
    xnor_plan *plan;
    xnor_graph *graph;
    uint8_t *done;         // by node: covered by an earlier step
    uint32_t *fused;       // by node: an earlier node that its step takes over, or UINT32_MAX
    uint32_t *tail;        // by node: number of the tail that it belongs to, from 1; 0 for none
    uint32_t tails;        // so far
    xnor_value_id *active; // by value: number of distinct rows in each group, or XNOR_NO_VALUE
} lowering;

static inline const xnor_value *value_of(const lowering *l, xnor_value_id id) {
    return &l->graph->values[id];
}

static inline size_t rows_of(const lowering *l, xnor_value_id id) {
    return xnor_shape_rows(&value_of(l, id)->shape);
}

static inline size_t last_of(const lowering *l, xnor_value_id id) {
    return (size_t)xnor_shape_last(&value_of(l, id)->shape);
}

// The axis before the last one.
static inline size_t points_of(const lowering *l, xnor_value_id id) {
    const xnor_shape *shape = &value_of(l, id)->shape;
    return (size_t)shape->dims[shape->rank - 2];
}

// The only user of a value, if it is a node and the value is no graph output.
static inline uint32_t only_user(const lowering *l, xnor_value_id id) {
    uint32_t user = UINT32_MAX;
    if (xnor_graph_uses(l->graph, id, &user) != 1 || xnor_graph_is_output(l->graph, id))
        return UINT32_MAX;
    return user;
}

static inline bool is_view(xnor_op op) {
    return (xnor_op_lookup(op)->flags & XNOR_VIEW) != 0;
}

// A constant of the model itself, of which the model keeps a packed form. A file may hold graphs
// that the compiler never writes, where such a parameter is computed: those run by reference.
static inline bool is_model_constant(const lowering *l, xnor_value_id id) {
    return l->plan->model->contents.graph.values[id].data != NULL;
}

static inline bool is_float_constant(const lowering *l, xnor_value_id id) {
    return value_of(l, id)->data && value_of(l, id)->dtype == XNOR_F32;
}

static inline bool is_bits_threshold(const xnor_node *node) {
    return node->op == XNOR_OP_THRESHOLD && node->input_count == 2;
}

// Appends a step for the node: x and y are its first input and output, one group of one row.
xnor_step *xnor_add_step(lowering *l, xnor_step_run run, const xnor_node *node);

// True for an integer layer over windows that one step unfolds and multiplies; made by xnor_lower_conv.
bool xnor_lower_is_conv(const lowering *l, uint32_t layer);
xnor_status xnor_lower_conv(lowering *l, uint32_t layer);

// Bounds of a Clip or Relu of reals, if they are known.
bool xnor_lower_clip_bounds(const lowering *l, const xnor_node *node, double *low, double *high);
// Gives the step of node `index`, whose result y is, a tail of what follows; none where sums have users
// that no tail can serve. A step with a tail writes what the tail stores, and y is XNOR_NO_VALUE.
xnor_status xnor_lower_tail(lowering *l, xnor_step *step, uint32_t index);
// Whether sums x, made where node `index` stands, have only users that a tail can serve.
bool xnor_lower_covers_sums(const lowering *l, xnor_value_id x, uint32_t index);
// A step of its own for node `index` and what follows: *done; not where a tail cannot begin with it.
xnor_status xnor_lower_line(lowering *l, uint32_t index, bool *done);

// True for a layer that is lowered with the sum of layers that alone uses it.
bool xnor_lower_in_sum(const lowering *l, uint32_t layer);
// A sum of layers whose users a tail can serve becomes one step: *done.
xnor_status xnor_lower_sum_of_layers(lowering *l, uint32_t add, bool *done);
// The same for a layer alone; `step` is its plain form.
xnor_status xnor_lower_layer_tail(lowering *l, xnor_step *step, uint32_t layer);

// One rule per operator.
xnor_status xnor_lower_patches(lowering *l, uint32_t index);
xnor_status xnor_lower_concat(lowering *l, uint32_t index);
xnor_status xnor_lower_grouped(lowering *l, uint32_t index);
xnor_status xnor_lower_conv2d(lowering *l, uint32_t index);
// Whether a Transpose to channels last is left to convolutions that read the picture as it was.
bool xnor_lower_reads_planes(const lowering *l, uint32_t transpose);
xnor_status xnor_lower_conv_transpose(lowering *l, uint32_t index);
xnor_status xnor_lower_strided(lowering *l, uint32_t index);
xnor_status xnor_lower_pad(lowering *l, uint32_t index);
xnor_status xnor_lower_resize(lowering *l, uint32_t index);
xnor_status xnor_lower_pool(lowering *l, uint32_t index);
xnor_status xnor_lower_pool_signs(lowering *l, uint32_t index);
xnor_status xnor_lower_sampling(lowering *l, uint32_t index);
xnor_status xnor_lower_ball_query(lowering *l, uint32_t index);
xnor_status xnor_lower_nearest(lowering *l, uint32_t index);
xnor_status xnor_lower_gather_rows(lowering *l, uint32_t index);
xnor_status xnor_lower_edges(lowering *l, uint32_t index);
// Steps that take over node `edges` (xnor_edges) for its only user.
void xnor_lower_edges_signs(lowering *l, uint32_t edges, uint32_t user);
xnor_step *xnor_lower_edges_linear(lowering *l, uint32_t edges, uint32_t user);
// An addition of gathered sums and of those of signs of differences, with a threshold behind, becomes
// one step: true. Its operands' nodes ask with their own index whether it takes them over.
bool xnor_lower_edge_sum(lowering *l, uint32_t add, xnor_status *status);
// Rows gathered and a row for each group subtracted: true.
bool xnor_lower_difference(lowering *l, uint32_t difference, xnor_status *status);
bool xnor_lower_in_edge_sum(const lowering *l, uint32_t operand);
xnor_status xnor_lower_abs(lowering *l, uint32_t index);
xnor_status xnor_lower_prelu(lowering *l, uint32_t index);
xnor_status xnor_lower_repeat(lowering *l, uint32_t index);
xnor_status xnor_lower_reduce(lowering *l, uint32_t index);
xnor_status xnor_lower_place(lowering *l, uint32_t index);
xnor_status xnor_lower_table(lowering *l, uint32_t index);
xnor_status xnor_lower_unary(lowering *l, uint32_t index);

// Leaves an integer layer to the product by a factor per row that alone uses it: true.
bool xnor_lower_has_row_factor(lowering *l, uint32_t index);
// The product that took a layer over.
xnor_status xnor_lower_row_factor(lowering *l, uint32_t index);
// A product of sums and a factor per row: true.
bool xnor_lower_scaled_sums(lowering *l, uint32_t index, xnor_status *status);
// A layer of which only the mean over points is used: *done.
xnor_status xnor_lower_mean(lowering *l, uint32_t index, bool *done);
// A Clip of which only the mean magnitude of each row is used: true.
bool xnor_lower_clip_magnitude(lowering *l, uint32_t index, double low, double high);

#endif
