// Internals of plans: steps with resolved parameters, and where each value lives.
#ifndef XNOR_EXEC_PLAN_H
#define XNOR_EXEC_PLAN_H

#include "exec/model.h"
#include "exec/pool.h"

// What a step sees while it runs.
typedef struct xnor_run {
    void *const *values; // by value id
    const xnor_kernels *kernels;
    xnor_pool *pool;
    const atomic_bool *cancel;
} xnor_run;

typedef struct xnor_step xnor_step;
typedef struct xnor_tail xnor_tail; // see tail.h
typedef xnor_status (*xnor_step_run)(const xnor_step *step, const xnor_run *run);

// A product of rows, as part of a layer: layers of more than one part are sums of them. The tail of a step
// says what becomes of the sums of each layer.
typedef struct xnor_layer_part {
    size_t layer;
    xnor_value_id x; // bits or ternary
    size_t k;
    const void *packed;
    // Rows of a picture [batch, height, width], every stride-th of them; the result has [batch, out_height, out_width].
    size_t height, width, out_height, out_width, stride[2];
} xnor_layer_part;
enum { XNOR_MAX_PARTS = 8 };

// One kernel call (or reference evaluation). Which fields mean something depends on `run`.
struct xnor_step {
    xnor_step_run run;
    const xnor_graph *graph;
    const xnor_node *node;    // reference evaluation, names
    const xnor_node *patches; // conv: the windows that it takes of x
    xnor_value_id x, w, y;    // w: second operand when it is not constant
    xnor_value_id v;          // third operand, or XNOR_NO_VALUE
    xnor_value_id scratch;    // working memory of the step, or XNOR_NO_VALUE
    xnor_value_id active; // i32 [groups]: rows of each group to compute, or XNOR_NO_VALUE for all
    size_t groups;        // independent products or reductions
    size_t rows;          // rows in each group
    size_t k, n;
    size_t offset;      // elements: from the w of one group to the next, or before the first column
    const void *packed; // prepared weights
    const void *parameters[2];
    float low, high;
    xnor_tail *tail; // what happens to the results before they are stored, or NULL
    xnor_layer_part
        *parts; // conv_tail, gemm_tail: in the order of their layers, the step's own; else NULL
    size_t part_count;
    size_t layer,
        layer_count; // conv_tail: which layer the convolution is; of all with a tail: how many there are
};

struct xnor_plan {
    atomic_uint references;
    xnor_model *model;
    xnor_graph graph; // specialised to the input shapes; its outputs are those that are wanted
    uint32_t ports[XNOR_MAX_PORTS]; // by output of `graph`: which of the model's it is
    xnor_step *steps;
    uint32_t step_count;
    xnor_value_id *root; // by value: the value whose memory it shares (views), else itself
    size_t *offset;      // by root value: place in the arena; SIZE_MAX elsewhere
    bool *outside;       // by root value: the caller's buffer for an output is its place
    size_t arena_bytes;
};

// popcount limit of a threshold T on acc = k - 2·popcount: acc >= T  <=>  popcount <= (k - T) / 2.
int32_t xnor_popcount_limit(int64_t k, int64_t threshold);
// Binary digits of a count of `rows` rows.
size_t xnor_mean_digits(size_t rows);
// Turns the specialised graph's nodes into steps; plan->graph and plan->model are set.
XNOR_NODISCARD xnor_status xnor_lower(xnor_plan *plan);
// Steps take over what the tail of an earlier one has made for them alone.
XNOR_NODISCARD xnor_status xnor_merge_tails(xnor_plan *plan);
// Assigns plan->root, offset and arena_bytes from the lifetimes of values over the steps.
XNOR_NODISCARD xnor_status xnor_plan_memory(xnor_plan *plan);

// Distinct codes: sets of codes that a step fills at the same time, their size, and the points
// from which on a single cloud is shared between threads.
#define XNOR_DISTINCT_TABLES 4
#define XNOR_DISTINCT_MAX_ENTRIES ((size_t)1 << 16)
#define XNOR_DISTINCT_MIN_SPLIT ((size_t)4096)
// Working memory for clouds of `points` codes; indexed: every point wants its row back.
size_t xnor_distinct_scratch_bytes(size_t groups, size_t points, bool indexed);
// Tables of step edge_thr: one row for each pair of 3-bit planes.
enum { XNOR_EDGE_CODES = 64 };

#define XNOR_STEP_TABLE(X)                                                                         \
    X(gemm_acc)                                                                                    \
    X(gemm_acc_ternary)                                                                            \
    X(grouped)                                                                                     \
    X(conv_acc)                                                                                    \
    X(conv_thr)                                                                                    \
    X(conv_thr_ternary)                                                                            \
    X(conv_table)                                                                                  \
    X(conv_tail)                                                                                   \
    X(gemm_tail)                                                                                   \
    X(pointwise)                                                                                   \
    X(gemm_thr)                                                                                    \
    X(gemm_thr_offset)                                                                             \
    X(gemm_max_ternary)                                                                            \
    X(gemm_max)                                                                                    \
    X(acc_thr)                                                                                     \
    X(acc_thr_ternary)                                                                             \
    X(linear)                                                                                      \
    X(conv2d)                                                                                      \
    X(winograd)                                                                                    \
    X(depthwise)                                                                                   \
    X(depthwise_transpose)                                                                         \
    X(conv_transpose)                                                                              \
    X(strided)                                                                                     \
    X(pad)                                                                                         \
    X(resize)                                                                                      \
    X(pooling)                                                                                     \
    X(pool_signs)                                                                                  \
    X(resize_signs)                                                                                \
    X(linear_clip)                                                                                 \
    X(linear_bits)                                                                                 \
    X(matmul)                                                                                      \
    X(matmul_bits)                                                                                 \
    X(pack)                                                                                        \
    X(pack_ternary)                                                                                \
    X(acc_add)                                                                                     \
    X(softmax)                                                                                     \
    X(softmax_columns)                                                                             \
    X(affine)                                                                                      \
    X(clip)                                                                                        \
    X(arithmetic)                                                                                  \
    X(truth)                                                                                       \
    X(where)                                                                                       \
    X(number)                                                                                      \
    X(edges)                                                                                       \
    X(edges_signs)                                                                                 \
    X(edges_linear)                                                                                \
    X(edges_linear_bits)                                                                           \
    X(concat_bits)                                                                                 \
    X(knn)                                                                                         \
    X(distinct)                                                                                    \
    X(sampling)                                                                                    \
    X(ball_query)                                                                                  \
    X(gather_rows)                                                                                 \
    X(gather_differences)                                                                          \
    X(edge_thr)                                                                                    \
    X(gemm_rows)                                                                                   \
    X(acc_rows)                                                                                    \
    X(gemm_mean)                                                                                   \
    X(gemm_rows_max)                                                                               \
    X(row_magnitude)                                                                               \
    X(reduce)                                                                                      \
    X(extreme)                                                                                     \
    X(place)                                                                                       \
    X(table)                                                                                       \
    X(repeat)                                                                                      \
    X(unary)                                                                                       \
    X(prelu)                                                                                       \
    X(concat)                                                                                      \
    X(transpose)                                                                                   \
    X(reference)
#define XNOR_STEP_DECLARE(name)                                                                    \
    xnor_status xnor_step_##name(const xnor_step *step, const xnor_run *run);
XNOR_STEP_TABLE(XNOR_STEP_DECLARE)
#undef XNOR_STEP_DECLARE

#endif
