// The intermediate representation: nodes over values, in topological order.
// A graph owns everything it points to (one arena), except constant data that a model file maps;
// one thread at a time may change it.
#ifndef XNOR_GRAPH_H
#define XNOR_GRAPH_H

#include "core/arena.h"
#include "core/status.h"
#include "graph/op.h"

typedef uint32_t xnor_value_id;
#define XNOR_NO_VALUE UINT32_MAX // an omitted optional input
#define XNOR_UNKNOWN INT64_MIN   // an element of a shape vector that is not known yet
#define XNOR_MAX_INPUTS 64       // per node (Concat is the widest)
#define XNOR_MAX_OUTPUTS 8

typedef struct xnor_value {
    const char *name;
    xnor_dtype dtype;
    xnor_shape shape;
    void *data; // constants only; NULL otherwise
    // Small i64 vectors whose elements are partly known (a Shape with an unknown axis): elements
    // may be XNOR_UNKNOWN. Helps shape rules; NULL if nothing is known.
    int64_t *partial;
} xnor_value;

// Attribute keys: one table; the text is the ONNX name.
#define XNOR_ATTR_TABLE(X)                                                                         \
    X(AXIS, "axis")                                                                                \
    X(AXES, "axes")                                                                                \
    X(PERM, "perm")                                                                                \
    X(ALPHA, "alpha")                                                                              \
    X(BETA, "beta")                                                                                \
    X(GAMMA, "gamma")                                                                              \
    X(TRANS_A, "transA")                                                                           \
    X(TRANS_B, "transB")                                                                           \
    X(EPSILON, "epsilon")                                                                          \
    X(KEEPDIMS, "keepdims")                                                                        \
    X(MIN, "min")                                                                                  \
    X(MAX, "max")                                                                                  \
    X(TO, "to")                                                                                    \
    X(GROUP, "group")                                                                              \
    X(STRIDES, "strides")                                                                          \
    X(PADS, "pads")                                                                                \
    X(DILATIONS, "dilations")                                                                      \
    X(KERNEL_SHAPE, "kernel_shape")                                                                \
    X(STARTS, "starts")                                                                            \
    X(ENDS, "ends")                                                                                \
    X(SPLIT, "split")                                                                              \
    X(LARGEST, "largest")                                                                          \
    X(SORTED, "sorted")                                                                            \
    X(ALLOWZERO, "allowzero")                                                                      \
    X(SELECT_LAST_INDEX, "select_last_index")                                                      \
    X(COUNT_INCLUDE_PAD, "count_include_pad")                                                      \
    X(SIZE, "size")                                                                                \
    X(COUNT, "count")                                                                              \
    X(RATIO, "ratio")                                                                              \
    X(RADIUS, "radius")                                                                            \
    X(DILATION, "dilation")                                                                        \
    X(BATCH_DIMS, "batch_dims")                                                                    \
    X(PARTS, "parts")                                                                              \
    X(CEIL_MODE, "ceil_mode")                                                                      \
    X(BLOCKSIZE, "blocksize")                                                                      \
    X(OUTPUT_PADDING, "output_padding")                                                            \
    X(MODE, "mode")                                                                                \
    X(COORDINATES, "coordinate_transformation_mode")                                               \
    X(NEAREST_MODE, "nearest_mode")

typedef enum xnor_attr_key {
#define XNOR_ATTR_ENUM(name, text) XNOR_ATTR_##name,
    XNOR_ATTR_TABLE(XNOR_ATTR_ENUM)
#undef XNOR_ATTR_ENUM
        XNOR_ATTR_KEYS
} xnor_attr_key;

#define XNOR_ATTR_VALUES 16 // values per attribute

typedef struct xnor_attr {
    xnor_attr_key key;
    bool is_float;
    uint32_t count;
    int64_t ints[XNOR_ATTR_VALUES];
    double floats[XNOR_ATTR_VALUES];
} xnor_attr;

typedef struct xnor_node {
    xnor_op op;
    const char *name;
    uint32_t input_count;
    uint32_t output_count;
    xnor_value_id *inputs;
    xnor_value_id *outputs;
    uint32_t attr_count;
    xnor_attr *attrs;
} xnor_node;

typedef struct xnor_graph {
    xnor_arena arena;
    xnor_value *values;
    uint32_t value_count, value_capacity;
    xnor_node *nodes;
    uint32_t node_count, node_capacity;
    xnor_value_id inputs[XNOR_MAX_PORTS];
    uint32_t input_count;
    xnor_value_id outputs[XNOR_MAX_PORTS];
    uint32_t output_count;
} xnor_graph;

void xnor_graph_init(xnor_graph *graph);
void xnor_graph_free(xnor_graph *graph);
// Copy of the structure; constant data is shared, so `from` must outlive it.
XNOR_NODISCARD xnor_status xnor_graph_clone(const xnor_graph *from, xnor_graph *out);

// name is copied; shape NULL means unknown rank 0 until a shape rule sets it.
XNOR_NODISCARD xnor_status xnor_graph_add_value(xnor_graph *graph, const char *name,
                                                xnor_dtype dtype, const xnor_shape *shape,
                                                xnor_value_id *out);
// A constant; *data is zeroed arena memory of the tensor's size for the caller to fill.
XNOR_NODISCARD xnor_status xnor_graph_add_constant(xnor_graph *graph, const char *name,
                                                   xnor_dtype dtype, const xnor_shape *shape,
                                                   xnor_value_id *out, void **data);
// Appends a node (or inserts it before node `at`); ids are copied. *out stays valid until the next
// insertion.
XNOR_NODISCARD xnor_status xnor_graph_add_node(xnor_graph *graph, xnor_op op, const char *name,
                                               const xnor_value_id *inputs, uint32_t input_count,
                                               const xnor_value_id *outputs, uint32_t output_count,
                                               xnor_node **out);
XNOR_NODISCARD xnor_status xnor_graph_insert_node(xnor_graph *graph, uint32_t at, xnor_op op,
                                                  const char *name, const xnor_value_id *inputs,
                                                  uint32_t input_count,
                                                  const xnor_value_id *outputs,
                                                  uint32_t output_count, xnor_node **out);
XNOR_NODISCARD xnor_status xnor_node_set_ints(xnor_graph *graph, xnor_node *node, xnor_attr_key key,
                                              const int64_t *values, uint32_t count);
XNOR_NODISCARD xnor_status xnor_node_set_float(xnor_graph *graph, xnor_node *node,
                                               xnor_attr_key key, double value);
// NULL when absent.
const xnor_attr *xnor_node_attr(const xnor_node *node, xnor_attr_key key);
int64_t xnor_node_int(const xnor_node *node, xnor_attr_key key, int64_t fallback);
double xnor_node_float(const xnor_node *node, xnor_attr_key key, double fallback);
const char *xnor_attr_name(xnor_attr_key key);

// Index of the node that makes `value`, or UINT32_MAX for graph inputs and constants.
uint32_t xnor_graph_producer(const xnor_graph *graph, xnor_value_id value);
// Number of uses by nodes and graph outputs; *only is the index of the last node that uses it.
uint32_t xnor_graph_uses(const xnor_graph *graph, xnor_value_id value, uint32_t *only);
bool xnor_graph_is_output(const xnor_graph *graph, xnor_value_id value);
// Lets every use of `from` (graph outputs included) use `to` instead.
void xnor_graph_replace(xnor_graph *graph, xnor_value_id from, xnor_value_id to);
// Empties a node; xnor_graph_compact drops emptied nodes and nodes whose results nobody uses.
void xnor_graph_remove_node(xnor_node *node);
void xnor_graph_compact(xnor_graph *graph);

// Runs the shape rule of one node (dtype and shape of its outputs).
XNOR_NODISCARD xnor_status xnor_graph_infer_node(xnor_graph *graph, uint32_t node);
// Checks the whole graph: topological order, ids, arity, dtypes and shapes by every op's shape
// rule.
XNOR_NODISCARD xnor_status xnor_graph_verify(xnor_graph *graph);

#endif
