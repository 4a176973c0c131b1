// One table row per operator: its shape rule and its one reference evaluation, obvious and slow.
// The reference defines the operator; it serves constant folding, `compile --verify`, the tests,
// and as the step of last resort in a plan. Standard operators follow the ONNX specification.
#ifndef XNOR_OPS_H
#define XNOR_OPS_H

#include "graph/graph.h"

typedef enum xnor_op_flags {
    // Output element i depends only on the matching (broadcast) elements of the inputs.
    XNOR_ELEMENTWISE = 1,
    // Output elements are input elements, moved.
    XNOR_MOVES = 2,
    // The output is the first input's data under another shape.
    XNOR_VIEW = 4,
} xnor_op_flags;

typedef struct xnor_op_info {
    uint32_t min_inputs;
    uint32_t max_inputs;
    uint32_t max_outputs;
    uint32_t flags;
    // Sets dtype and shape of the node's outputs; unknown dimensions stay -1.
    xnor_status (*infer)(xnor_graph *graph, const xnor_node *node);
    // in: one tensor per input (data NULL where omitted); out: allocated for the inferred shapes.
    // Never allocates, so that a plan may run it.
    xnor_status (*eval)(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out);
} xnor_op_info;

// NULL when the operator has no implementation.
const xnor_op_info *xnor_op_lookup(xnor_op op);

// The scalar function of an element-wise operator of one input; NULL for others.
typedef double (*xnor_unary_function)(double x, const xnor_node *node);
xnor_unary_function xnor_unary_of(xnor_op op);

// One table per file of operators; xnor_op_lookup searches them.
typedef struct xnor_op_row {
    xnor_op op;
    xnor_op_info info;
} xnor_op_row;

#define XNOR_OP_FAMILIES(X)                                                                        \
    X(elementwise)                                                                                 \
    X(reduce)                                                                                      \
    X(view)                                                                                        \
    X(move)                                                                                        \
    X(strided)                                                                                     \
    X(pad)                                                                                         \
    X(matmul)                                                                                      \
    X(conv)                                                                                        \
    X(resize)                                                                                      \
    X(pooling)                                                                                     \
    X(norm)                                                                                        \
    X(select)                                                                                      \
    X(binary)                                                                                      \
    X(distinct)                                                                                    \
    X(grouped)                                                                                     \
    X(patches)                                                                                     \
    X(points)                                                                                      \
    X(edges)
#define XNOR_OP_FAMILY(name) extern const xnor_op_row xnor_ops_##name[];
XNOR_OP_FAMILIES(XNOR_OP_FAMILY)
#undef XNOR_OP_FAMILY
#define XNOR_OPS_END                                                                               \
    { .op = XNOR_OP_COUNT }

// ---- helpers for shape rules and evaluations ----------------------------------------------------

static inline const xnor_value *xnor_in(const xnor_graph *graph, const xnor_node *node,
                                        uint32_t i) {
    return i < node->input_count && node->inputs[i] != XNOR_NO_VALUE
               ? &graph->values[node->inputs[i]]
               : NULL;
}

static inline xnor_status xnor_set_output(xnor_graph *graph, const xnor_node *node, uint32_t i,
                                          xnor_dtype dtype, const xnor_shape *shape) {
    graph->values[node->outputs[i]].dtype = dtype;
    graph->values[node->outputs[i]].shape = *shape;
    return XNOR_OK;
}

// Elements of a small integer vector if they are known (fully or partly: XNOR_UNKNOWN elements).
// Returns false when nothing is known or there are more than `capacity`.
bool xnor_known_ints(const xnor_value *value, int64_t *out, uint32_t capacity, uint32_t *count);
// Axis in [-rank, rank) to [0, rank); the error names the node.
XNOR_NODISCARD xnor_status xnor_axis(const xnor_node *node, int64_t axis, uint32_t rank,
                                     uint32_t *out);
// Axes from ATTR_AXES or, when absent, from integer input `input`; *count = 0 if neither is given;
// *known = false when the input exists but is not constant.
XNOR_NODISCARD xnor_status xnor_axes(const xnor_graph *graph, const xnor_node *node, uint32_t input,
                                     uint32_t rank, uint32_t *axes, uint32_t *count, bool *known);
// The same during evaluation, from the input tensor.
XNOR_NODISCARD xnor_status xnor_eval_axes(const xnor_node *node, const xnor_tensor *in,
                                          uint32_t input, uint32_t rank, uint32_t *axes,
                                          uint32_t *count);
// numpy broadcasting; XNOR_E_SHAPE names the node and both shapes.
XNOR_NODISCARD xnor_status xnor_broadcast(const xnor_node *node, const xnor_shape *a,
                                          const xnor_shape *b, xnor_shape *out);

// The error for a row index that is out of range.
xnor_status xnor_row_error(const xnor_node *node, int64_t index, size_t rows);

// True for a node x [.., N, C] + y [.., 1, C] with equal other axes: one row of y for each group of x.
bool xnor_adds_per_group(const xnor_graph *graph, const xnor_node *node);

// Row-major walk over an output shape that tracks element offsets of broadcast or permuted inputs.
#define XNOR_WALK_INPUTS 3
typedef struct xnor_walk {
    uint32_t rank;
    int64_t dims[XNOR_MAX_RANK];
    int64_t index[XNOR_MAX_RANK];
    int64_t stride[XNOR_WALK_INPUTS][XNOR_MAX_RANK];
    int64_t offset[XNOR_WALK_INPUTS];
    uint32_t inputs;
} xnor_walk;

void xnor_walk_init(xnor_walk *walk, const xnor_shape *shape);
// Adds an input whose shape broadcasts to the walked shape (aligned at the last axis).
void xnor_walk_add(xnor_walk *walk, const xnor_shape *input);
void xnor_walk_next(xnor_walk *walk);
// Row-major strides in elements.
void xnor_strides(const xnor_shape *shape, int64_t *strides);

#endif
