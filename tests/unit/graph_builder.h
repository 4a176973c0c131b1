// Small graphs for tests, in as few words as possible; every failure ends the test.
//
//     builder b;
//     builder_init(&b, 1);
//     xnor_value_id x = builder_floats(&b, SHAPE(3), D(-1, 0, 2));
//     builder_expect(&b, NODE(&b, XNOR_OP_RELU, x), SHAPE(3), D(0, 0, 2));
#ifndef GRAPH_BUILDER_H
#define GRAPH_BUILDER_H

#include "graph/graph.h"

typedef struct builder {
    xnor_graph graph;
    uint64_t state; // of the random numbers
} builder;

// A shape; -1 is unknown. SCALAR has no axes.
#define SHAPE(...) ((xnor_shape){sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {__VA_ARGS__}})
#define SCALAR ((xnor_shape){0, {0}})
// Numbers and how many there are: two arguments.
#define D(...) (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double)
#define I(...)                                                                                     \
    (const int64_t[]){__VA_ARGS__},                                                                \
        (uint32_t)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
// A node with one output whose inputs are the values given.
#define NODE(b, op, ...)                                                                           \
    builder_node(b, op, (const xnor_value_id[]){__VA_ARGS__},                                      \
                 sizeof((const xnor_value_id[]){__VA_ARGS__}) / sizeof(xnor_value_id), 1)
#define NODE_OUTPUTS(b, op, outputs, ...)                                                          \
    builder_node(b, op, (const xnor_value_id[]){__VA_ARGS__},                                      \
                 sizeof((const xnor_value_id[]){__VA_ARGS__}) / sizeof(xnor_value_id), outputs)

// seed: of builder_random; 0 is as good as any.
void builder_init(builder *b, uint64_t seed);
void builder_free(builder *b);

xnor_value_id builder_input(builder *b, const char *name, xnor_dtype dtype, xnor_shape shape);
xnor_value_id builder_tensor(builder *b, xnor_dtype dtype, xnor_shape shape, const double *values,
                             size_t count);
xnor_value_id builder_floats(builder *b, xnor_shape shape, const double *values, size_t count);
// A vector of int64.
xnor_value_id builder_ints(builder *b, const int64_t *values, uint32_t count);
// Returns the first output; further outputs have the ids that follow.
xnor_value_id builder_node(builder *b, xnor_op op, const xnor_value_id *inputs,
                           uint32_t inputs_count, uint32_t outputs);
// Attributes of the node added last.
void builder_attr(builder *b, xnor_attr_key key, const int64_t *values, uint32_t count);
void builder_attr_float(builder *b, xnor_attr_key key, double value);
void builder_output(builder *b, xnor_value_id value, const char *name);

// Constants, multiples of 1/1000 from -1 to 1.
xnor_value_id builder_numbers(builder *b, xnor_shape shape);
// A convolution of 3 x 3 with padding around x [.., channels, .., ..], weights ±1/2.
xnor_value_id builder_binary_conv(builder *b, xnor_value_id x, int64_t channels, int64_t outputs);
xnor_value_id builder_reshape(builder *b, xnor_value_id x, const int64_t *dims, uint32_t rank);
xnor_value_id builder_unsqueeze(builder *b, xnor_value_id x, int64_t axis);

// Uniform in [0, below).
uint32_t builder_random(builder *b, uint32_t below);
// True once in `chance` times.
bool builder_once_in(builder *b, uint32_t chance);

// ---- running ------------------------------------------------------------------------------------

// Tensors that own their data.
typedef struct tensors {
    xnor_tensor items[XNOR_MAX_PORTS];
    uint32_t count;
} tensors;

void tensors_free(tensors *t);
// Appends a zeroed tensor.
xnor_tensor *tensors_add(tensors *t, xnor_dtype dtype, xnor_shape shape);

// The graph's outputs by the operators' references.
void builder_reference(const xnor_graph *graph, const tensors *inputs, tensors *outputs);
// A model of the graph as it is, by way of a file.
xnor_model *builder_model(const xnor_graph *graph, const char *isa);
// A model of the graph after all passes; `compiled` (may be NULL) receives the compiled graph,
// which is released with xnor_graph_free before the builder.
xnor_model *builder_compile(const builder *b, const char *isa, xnor_graph *compiled);
xnor_plan *builder_plan(xnor_model *model, const tensors *inputs);
// The model's outputs by a plan for the inputs' shapes.
void builder_run(xnor_model *model, xnor_pool *pool, const tensors *inputs, tensors *outputs);

// Checks the value of `y` (exact to 1e-6 relative) three times: evaluated as a constant, and by
// plans of the graph as it is and of the compiled graph, for which float constants become graph
// inputs.
void builder_expect(builder *b, xnor_value_id y, xnor_shape shape, const double *values,
                    size_t count);
// Checks that the graph's first output by plans for every machine, by one thread or by those of `pool`, is within
// `tolerance` of the reference, and the same bits on all. number: of the case, for messages.
void builder_expect_everywhere(const builder *b, xnor_pool *pool, double tolerance, size_t number);
// Checks that the graph is refused, evaluated with constants or by its shape rules, with a message
// that has `text` in it.
void builder_expect_error(builder *b, xnor_value_id y, xnor_status status, const char *text);

// Runs a pass on the builder's graph, as the list of passes does, and checks that the graph still
// computes from the inputs what it did.
void builder_pass(builder *b, xnor_status (*pass)(xnor_graph *), const tensors *inputs);
// Inputs for the graph's input ports: the same numbers in -2..2, in steps of 1/4, for the same
// shapes. `unknown`: what unknown axes become.
void builder_inputs(const builder *b, int64_t unknown, tensors *inputs);

// Largest difference between tensors of equal shapes.
double tensors_distance(const xnor_tensor *a, const xnor_tensor *b);
uint32_t graph_count(const xnor_graph *graph, xnor_op op);
// The only node with this operator.
const xnor_node *graph_find(const xnor_graph *graph, xnor_op op);
// Element `index` of a node's constant input.
double graph_constant(const xnor_graph *graph, const xnor_node *node, uint32_t input, size_t index);

#endif
