// k nearest neighbours: the ways exporters write them, and what is defined for equal points.
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

// The same of xᵀ [B, C, N], squares summed over its axis of channels
static void by_transposed_products(builder *b, xnor_value_id x) {
    xnor_value_id columns = transposed(b, x);
    xnor_value_id inner =
        NODE(b, XNOR_OP_MUL, NODE(b, XNOR_OP_MATMUL, transposed(b, columns), columns),
             builder_floats(b, SCALAR, D(2)));
    xnor_value_id norms = NODE(b, XNOR_OP_REDUCE_SUM, NODE(b, XNOR_OP_MUL, columns, columns));
    builder_attr(b, XNOR_ATTR_AXES, I(1));
    builder_attr(b, XNOR_ATTR_KEEPDIMS, I(1));
    xnor_value_id d =
        NODE(b, XNOR_OP_SUB, NODE(b, XNOR_OP_SUB, inner, norms), transposed(b, norms));
    builder_output(b, top_k(b, d, 1), "indices");
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
    cr_expect_eq(graph_count(&compiled, XNOR_OP_K_NEAREST), 1);
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
Test(knn, products_and_norms_of_columns) {
    compare(by_transposed_products, 50, 3, 64, NULL);
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

// ---- what a list holds when points are few, equal or no numbers ---------------------------------

// Runs KNearest on a graph as it is; `x`: [1, points, channels].
static void expect_nearest(size_t points, size_t channels, int64_t k, const float *x,
                           const int64_t *expected) {
    for (const char *const *isa = xnor_kernels_available(); *isa; isa++) {
        builder b;
        builder_init(&b, 1);
        const xnor_shape shape = SHAPE(1, (int64_t)points, (int64_t)channels);
        xnor_value_id rows = builder_input(&b, "x", XNOR_F32, shape);
        xnor_value_id y = NODE(&b, XNOR_OP_K_NEAREST, rows, rows);
        builder_attr(&b, XNOR_ATTR_COUNT, &k, 1);
        builder_output(&b, y, "y");
        tensors inputs = {0}, outputs = {0}, reference = {0};
        memcpy(tensors_add(&inputs, XNOR_F32, shape)->data, x, points * channels * sizeof *x);
        xnor_model *model = builder_model(&b.graph, *isa);
        builder_run(model, NULL, &inputs, &outputs);
        builder_reference(&b.graph, &inputs, &reference);
        size_t bytes = points * (size_t)k * sizeof(int64_t);
        cr_expect_arr_eq(outputs.items[0].data, reference.items[0].data, bytes, "%s", *isa);
        if (expected) cr_expect_arr_eq(outputs.items[0].data, expected, bytes, "%s", *isa);
        tensors_free(&inputs);
        tensors_free(&outputs);
        tensors_free(&reference);
        xnor_model_unref(&model);
        builder_free(&b);
    }
}

Test(knn, missing_neighbours_repeat_the_nearest) {
    const float x[] = {0, 1, 3};
    const int64_t expected[] = {0, 1, 2, 0, 0, 1, 0, 2, 1, 1, 2, 1, 0, 2, 2};
    expect_nearest(3, 1, 5, x, expected);
}

Test(knn, one_point) {
    const float x[] = {7, 8, 9};
    const int64_t expected[] = {0, 0, 0, 0};
    expect_nearest(1, 3, 4, x, expected);
}

Test(knn, points_that_are_no_numbers_come_last) {
    const float x[] = {0, NAN, 2, INFINITY, 1};
    // 1 and 3 are at an infinite distance from everything, themselves included.
    const int64_t expected[] = {0, 4, 2, 1, 0, 1, 2, 3, 2, 4, 0, 1, 0, 1, 2, 3, 4, 0, 2, 1};
    expect_nearest(5, 1, 4, x, expected);
}

Test(knn, squares_beyond_float_are_infinite) {
    const float x[] = {0, 3e38f, -3e38f, 1};
    const int64_t expected[] = {0, 3, 1, 1, 0, 2, 2, 0, 1, 3, 0, 1};
    expect_nearest(4, 1, 3, x, expected);
}

// More than one chunk of points, many equal, lists of all sizes.
Test(knn, agrees_with_the_reference) {
    static const struct {
        size_t points, channels;
        int64_t k;
        uint32_t spread;
    } cases[] = {{1500, 3, 20, 1000}, {1200, 1, 20, 30}, {300, 64, 20, 3},
                 {200, 3, 130, 50},   {400, 2, 60, 1},   {65, 5, 1, 9}};
    builder b;
    builder_init(&b, 5);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static float x[1 << 15];
        for (size_t j = 0; j < cases[i].points * cases[i].channels; j++)
            x[j] =
                builder_once_in(&b, 500) ? NAN : (float)builder_random(&b, cases[i].spread) / 7.0f;
        expect_nearest(cases[i].points, cases[i].channels, cases[i].k, x, NULL);
    }
    builder_free(&b);
}

// So many points are searched in a grid; queries beside it, on it and none at all.
Test(knn, queries_of_a_large_cloud) {
    enum { POINTS = 4500, QUERIES = 9, COUNT = 4 };
    static const float queries[3 * QUERIES] = {0, 0, 0,        50,    50, 50, NAN, 1,  2,
                                               1, 2, INFINITY, 1e30f, 0,  0,  99,  99, 99,
                                               3, 4, 5,        -20,   0,  0,  40,  41, 42};
    const int64_t k = COUNT, dilation = 3;
    builder b;
    builder_init(&b, 3);
    const xnor_shape points_shape = SHAPE(1, POINTS, 3), queries_shape = SHAPE(1, QUERIES, 3);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, points_shape);
    xnor_value_id q = builder_input(&b, "q", XNOR_F32, queries_shape);
    xnor_value_id y = NODE(&b, XNOR_OP_K_NEAREST, x, q);
    builder_attr(&b, XNOR_ATTR_COUNT, &k, 1);
    builder_attr(&b, XNOR_ATTR_DILATION, &dilation, 1);
    builder_output(&b, y, "y");
    tensors inputs = {0}, outputs = {0}, reference = {0};
    float *points = tensors_add(&inputs, XNOR_F32, points_shape)->data;
    for (size_t i = 0; i < 3 * POINTS; i++) points[i] = (float)builder_random(&b, 100);
    memcpy(tensors_add(&inputs, XNOR_F32, queries_shape)->data, queries, sizeof queries);
    xnor_model *model = builder_model(&b.graph, NULL);
    builder_run(model, NULL, &inputs, &outputs);
    builder_reference(&b.graph, &inputs, &reference);
    cr_expect_arr_eq(outputs.items[0].data, reference.items[0].data,
                     QUERIES * COUNT * sizeof(int64_t));
    tensors_free(&inputs);
    tensors_free(&outputs);
    tensors_free(&reference);
    xnor_model_unref(&model);
    builder_free(&b);
}

// All points in the order of (distance in double rounded to float, index) from each.
static void expect_rounded_order(size_t points, size_t channels, const float *x) {
    int64_t *expected = calloc(points * points, sizeof *expected);
    float *d = calloc(points, sizeof *d);
    cr_assert(expected && d);
    for (size_t i = 0; i < points; i++) {
        for (size_t j = 0; j < points; j++)
            d[j] = (float)distance(x + i * channels, x + j * channels, channels);
        for (size_t j = 0; j < points; j++) {
            size_t rank = 0;
            for (size_t m = 0; m < points; m++) rank += d[m] < d[j] || (m < j && !(d[m] > d[j]));
            expected[i * points + rank] = (int64_t)j;
        }
    }
    expect_nearest(points, channels, (int64_t)points, x, expected);
    free(expected);
    free(d);
}

// The same differences in another order of channels: rounded sums in float would differ.
Test(knn, equal_distances_tie_whatever_the_order_of_channels) {
    static const float values[] = {0.1f, 0.7f, 0.3f, 1.9f, 0.05f, 0.6f, 2.3f};
    enum { N = sizeof values / sizeof *values };
    float x[(N + 1) * N] = {0};
    for (size_t i = 1; i <= N; i++)
        for (size_t c = 0; c < N; c++) x[i * N + c] = values[(c + i) % N];
    expect_rounded_order(N + 1, N, x);
}

// Features of few values, scaled and moved by channel, also far from the origin.
Test(knn, features_of_few_values) {
    static const size_t channels[] = {1, 3, 8, 33, 64, 130};
    static const float offsets[] = {0, 1, 1.0e4f};
    static float x[150 * 130];
    builder b;
    builder_init(&b, 11);
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        for (size_t k = 0; k < sizeof offsets / sizeof *offsets; k++) {
            float scale[130];
            for (size_t c = 0; c < channels[i]; c++)
                scale[c] = 0.01f * (float)(1 + builder_random(&b, 9));
            for (size_t j = 0; j < 150 * channels[i]; j++) {
                const float level = (float)builder_random(&b, 3);
                x[j] = scale[j % channels[i]] * level + offsets[k];
            }
            expect_rounded_order(150, channels[i], x);
        }
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
    cr_expect_eq(graph_count(&compiled, XNOR_OP_K_NEAREST), 0);
    xnor_graph_free(&compiled);
    xnor_model_unref(&model);
    builder_free(&b);
}
