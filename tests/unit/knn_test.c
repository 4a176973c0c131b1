// k nearest neighbours: the ways exporters write them, and what is defined for equal points.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/tensor.h"
#include "graph_builder.h"
#include "kernels/kernels.h"

enum { CLOUDS = 2, K = 5 };

static xnor_value_id top_k(builder *b, xnor_value_id x, int64_t largest) {
    xnor_value_id y = NODE_OUTPUTS(b, XNOR_OP_TOP_K, 2, x, builder_ints(b, I(K)));
    builder_attr(b, XNOR_ATTR_AXIS, I(-1));
    builder_attr(b, XNOR_ATTR_LARGEST, &largest, 1);
    return y + 1;
}

static xnor_value_id unsqueeze(builder *b, xnor_value_id x, int64_t axis) {
    xnor_value_id y = NODE(b, XNOR_OP_UNSQUEEZE, x);
    builder_attr(b, XNOR_ATTR_AXES, &axis, 1);
    return y;
}

static xnor_value_id sum_last(builder *b, xnor_value_id x, int64_t keep) {
    xnor_value_id y = NODE(b, XNOR_OP_REDUCE_SUM, x);
    builder_attr(b, XNOR_ATTR_AXES, I(-1));
    builder_attr(b, XNOR_ATTR_KEEPDIMS, &keep, 1);
    return y;
}

static xnor_value_id transposed(builder *b, xnor_value_id x) {
    xnor_value_id y = NODE(b, XNOR_OP_TRANSPOSE, x);
    builder_attr(b, XNOR_ATTR_PERM, I(0, 2, 1));
    return y;
}

// -Σ (x_i - x_j)², largest
static void by_differences(builder *b, xnor_value_id x) {
    xnor_value_id d = NODE(b, XNOR_OP_SUB, unsqueeze(b, x, 2), unsqueeze(b, x, 1));
    xnor_value_id squares = NODE(b, XNOR_OP_POW, d, builder_floats(b, SCALAR, D(2)));
    builder_output(b, top_k(b, NODE(b, XNOR_OP_NEG, sum_last(b, squares, 0)), 1), "indices");
}

// Σ (x_j - x_i)², smallest
static void by_smallest(builder *b, xnor_value_id x) {
    xnor_value_id d = NODE(b, XNOR_OP_SUB, unsqueeze(b, x, 1), unsqueeze(b, x, 2));
    builder_output(b, top_k(b, sum_last(b, NODE(b, XNOR_OP_MUL, d, d), 0), 0), "indices");
}

// -|x_i|² + 2·x·xᵀ - |x_j|², as the DGCNN authors write it
static void by_products(builder *b, xnor_value_id x) {
    xnor_value_id inner = NODE(b, XNOR_OP_MUL, NODE(b, XNOR_OP_MATMUL, x, transposed(b, x)),
                               builder_floats(b, SCALAR, D(-2)));
    xnor_value_id norms = sum_last(b, NODE(b, XNOR_OP_MUL, x, x), 1);
    xnor_value_id d = NODE(b, XNOR_OP_SUB, NODE(b, XNOR_OP_NEG, norms), inner);
    builder_output(b, top_k(b, NODE(b, XNOR_OP_SUB, d, transposed(b, norms)), 1), "indices");
}

static double distance(const float *a, const float *b, size_t channels) {
    double sum = 0;
    for (size_t c = 0; c < channels; c++)
        sum += ((double)a[c] - (double)b[c]) * ((double)a[c] - (double)b[c]);
    return sum;
}

// The rank of j among the neighbours of i: how many are nearer, or as near with a lower index.
static size_t rank_of(const float *cloud, size_t points, size_t channels, size_t i, size_t j) {
    double d = distance(cloud + i * channels, cloud + j * channels, channels);
    size_t rank = 0;
    for (size_t m = 0; m < points; m++) {
        double other = distance(cloud + i * channels, cloud + m * channels, channels);
        rank += other < d || (other == d && m < j);
    }
    return rank;
}

static void compare(void (*write)(builder *, xnor_value_id), size_t points, size_t channels,
                    int spread, const char *isa) {
    builder b;
    xnor_graph compiled;
    builder_init(&b, 3);
    const xnor_shape shape = SHAPE(CLOUDS, (int64_t)points, (int64_t)channels);
    write(&b, builder_input(&b, "x", XNOR_F32, shape));
    xnor_model *model = builder_compile(&b, isa, &compiled);
    cr_expect_eq(graph_count(&compiled, XNOR_OP_KNN), 1);
    cr_expect_eq(graph_count(&compiled, XNOR_OP_TOP_K), 0);
    tensors inputs = {0}, outputs = {0};
    float *x = tensors_add(&inputs, XNOR_F32, shape)->data;
    // Multiples of 1/8: every distance is exact, and with a small spread many are equal.
    for (size_t i = 0; i < CLOUDS * points * channels; i++)
        x[i] = (float)builder_random(&b, (uint32_t)spread) / 8.0f;
    builder_run(model, NULL, &inputs, &outputs);
    const int64_t *indices = outputs.items[0].data;
    for (size_t row = 0; row < CLOUDS * points; row++)
        for (size_t k = 0; k < K; k++) {
            int64_t j = indices[row * K + k];
            cr_assert(j >= 0 && (size_t)j < points);
            cr_assert_eq(rank_of(x + row / points * points * channels, points, channels,
                                 row % points, (size_t)j),
                         k, "row %zu neighbour %zu is %lld", row, k, (long long)j);
        }
    tensors_free(&inputs);
    tensors_free(&outputs);
    xnor_graph_free(&compiled);
    xnor_model_unref(&model);
    builder_free(&b);
}

Test(knn, negated_differences) {
    compare(by_differences, 50, 3, 64, NULL);
}
Test(knn, smallest_differences) {
    compare(by_smallest, 33, 3, 64, NULL);
}
Test(knn, products_and_norms) {
    compare(by_products, 50, 3, 64, NULL);
}
Test(knn, real_features) {
    compare(by_differences, 40, 64, 16, NULL);
}
Test(knn, duplicate_points_are_ordered_by_index) {
    compare(by_differences, 60, 3, 2, NULL);
}
Test(knn, all_points_equal) {
    compare(by_products, 20, 3, 1, NULL);
}
Test(knn, every_instruction_set) {
    for (const char *const *isa = xnor_kernels_available(); *isa; isa++)
        compare(by_differences, 70, 5, 8, *isa);
}

Test(knn, more_neighbours_than_points_are_refused) {
    builder b;
    builder_init(&b, 1);
    xnor_value_id x = builder_floats(&b, SHAPE(1, 3, 2), D(1, 2, 3, 4, 5, 6));
    xnor_value_id y = NODE(&b, XNOR_OP_KNN, x);
    builder_attr(&b, XNOR_ATTR_SIZE, I(4));
    builder_output(&b, y, "y");
    builder_expect_error(&b, y, XNOR_E_SHAPE, "4 neighbours among the rows of [1, 3, 2]");
    builder_free(&b);
}

// A sum that is no distance stays what it is.
Test(knn, other_sums_are_left_alone) {
    builder b;
    xnor_graph compiled;
    builder_init(&b, 1);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(1, 8, 3));
    xnor_value_id inner = NODE(&b, XNOR_OP_MATMUL, x, transposed(&b, x));
    builder_output(&b, top_k(&b, inner, 1), "indices");
    xnor_model *model = builder_compile(&b, NULL, &compiled);
    cr_expect_eq(graph_count(&compiled, XNOR_OP_KNN), 0);
    xnor_graph_free(&compiled);
    xnor_model_unref(&model);
    builder_free(&b);
}
