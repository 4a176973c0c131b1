// Point sets: sampling, neighbours and rows by index. Expected values are worked out by hand; plans
// must equal the references exactly, whatever the points are.
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exec/pool.h"
#include "graph_builder.h"
#include "kernels/kernels.h"
#include "ops/ops.h"

static builder b;

static void begin(void) {
    builder_init(&b, 7);
}

static void end(void) {
    builder_free(&b);
}

TestSuite(points, .init = begin, .fini = end);

// Points on a line: x = the numbers given, y = z = 0.
#define LINE(...) line(D(__VA_ARGS__))
static xnor_value_id line(const double *x, size_t count) {
    double *points = calloc(count * 3 + 1, sizeof *points);
    for (size_t i = 0; i < count; i++) points[i * 3] = x[i];
    xnor_value_id id = builder_floats(&b, SHAPE(1, (int64_t)count, 3), points, count * 3);
    free(points);
    return id;
}

static xnor_value_id sampling(xnor_value_id points, int64_t count) {
    xnor_value_id y = NODE(&b, XNOR_OP_FARTHEST_POINT_SAMPLING, points);
    builder_attr(&b, XNOR_ATTR_COUNT, &count, 1);
    return y;
}

static xnor_value_id ball_query(xnor_value_id points, xnor_value_id centres, double radius,
                                int64_t count) {
    xnor_value_id y = NODE(&b, XNOR_OP_BALL_QUERY, points, centres);
    builder_attr(&b, XNOR_ATTR_COUNT, &count, 1);
    builder_attr_float(&b, XNOR_ATTR_RADIUS, radius);
    return y;
}

static xnor_value_id nearest(xnor_value_id points, xnor_value_id queries, int64_t count,
                             int64_t dilation) {
    xnor_value_id y = NODE(&b, XNOR_OP_K_NEAREST, points, queries);
    builder_attr(&b, XNOR_ATTR_COUNT, &count, 1);
    if (dilation) builder_attr(&b, XNOR_ATTR_DILATION, &dilation, 1);
    return y;
}

// ---- farthest point sampling --------------------------------------------------------------------

Test(points, sampling_takes_the_farthest_first) {
    builder_expect(&b, sampling(LINE(0, 1, 10, 4, 7), 5), SHAPE(1, 5), D(0, 2, 3, 4, 1));
}
Test(points, sampling_takes_the_lowest_index_of_equals) {
    builder_expect(&b, sampling(LINE(0, -3, 3, 3), 3), SHAPE(1, 3), D(0, 1, 2));
}
Test(points, sampling_beyond_the_points_repeats_index_0) {
    builder_expect(&b, sampling(LINE(5, 1, 3), 6), SHAPE(1, 6), D(0, 1, 2, 0, 0, 0));
}
Test(points, sampling_of_equal_points_is_index_0) {
    builder_expect(&b, sampling(LINE(2, 2, 2, 2), 3), SHAPE(1, 3), D(0, 0, 0));
}
Test(points, sampling_of_one_point) {
    builder_expect(&b, sampling(LINE(2), 2), SHAPE(1, 2), D(0, 0));
}
Test(points, sampling_takes_a_point_that_is_no_number_once) {
    builder_expect(&b, sampling(LINE(0, 1, NAN, 5), 4), SHAPE(1, 4), D(0, 2, 3, 1));
}
Test(points, sampling_of_points_that_are_no_numbers) {
    builder_expect(&b, sampling(LINE(NAN, NAN, NAN), 4), SHAPE(1, 4), D(0, 1, 2, 0));
}

Test(points, sampling_ratio_is_rounded_up_in_float32) {
    static const struct {
        double ratio;
        int64_t points, expected;
    } cases[] = {
        {(double)0.2f, 1000, 200}, {0.5, 5, 3}, {0.375, 1024, 384}, {1, 7, 7}, {0.001, 9, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, cases[i].points, 3));
        xnor_value_id y = NODE(&b, XNOR_OP_FARTHEST_POINT_SAMPLING, x);
        builder_attr_float(&b, XNOR_ATTR_RATIO, cases[i].ratio);
        cr_assert_eq(xnor_graph_verify(&b.graph), XNOR_OK, "%s", xnor_last_error());
        cr_expect_eq(b.graph.values[y].shape.dims[1], cases[i].expected);
    }
}

Test(points, sampling_needs_a_count_or_a_ratio) {
    xnor_value_id y = NODE(&b, XNOR_OP_FARTHEST_POINT_SAMPLING, LINE(0, 1));
    builder_expect_error(&b, y, XNOR_E_SHAPE, "either attribute 'count' or 'ratio'");
}
Test(points, sampling_refuses_other_than_three_coordinates) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 2, 2), D(0, 1, 2, 3));
    builder_expect_error(&b, sampling(x, 1), XNOR_E_SHAPE, "expected points f32 [.., N, 3]");
}

// ---- ball query ---------------------------------------------------------------------------------

Test(points, ball_query_takes_the_first_in_index_order_and_repeats_the_first) {
    xnor_value_id points = LINE(3, 0.5, 9, -0.5, 0.25, 0);
    builder_expect(&b, ball_query(points, LINE(0), 1, 3), SHAPE(1, 1, 3), D(1, 3, 4));
    builder_expect(&b, ball_query(points, LINE(0), 1, 6), SHAPE(1, 1, 6), D(1, 3, 4, 5, 1, 1));
}
Test(points, ball_query_leaves_out_what_is_at_the_radius) {
    builder_expect(&b, ball_query(LINE(0, 2, 1.75), LINE(0), 2, 3), SHAPE(1, 1, 3), D(0, 2, 0));
}
Test(points, ball_query_without_neighbours_gives_the_nearest) {
    builder_expect(&b, ball_query(LINE(9, 5, 5, 8), LINE(0), 1, 2), SHAPE(1, 1, 2), D(1, 1));
    builder_expect(&b, ball_query(LINE(9), LINE(0), 1, 2), SHAPE(1, 1, 2), D(0, 0));
}
Test(points, ball_query_around_no_number) {
    builder_expect(&b, ball_query(LINE(9, 5), LINE(NAN), 1, 2), SHAPE(1, 1, 2), D(0, 0));
}
Test(points, ball_query_of_each_cloud_by_itself) {
    xnor_value_id points =
        builder_floats(&b, SHAPE(2, 2, 3), D(0, 0, 0, 5, 0, 0, 5, 0, 0, 0, 0, 0));
    xnor_value_id centres = builder_floats(&b, SHAPE(2, 1, 3), D(0, 0, 0, 0, 0, 0));
    builder_expect(&b, ball_query(points, centres, 1, 2), SHAPE(2, 1, 2), D(0, 0, 1, 1));
}
Test(points, ball_query_needs_a_radius) {
    builder_expect_error(&b, ball_query(LINE(0), LINE(0), 0, 1), XNOR_E_SHAPE,
                         "'radius' must be positive");
}
Test(points, ball_query_needs_clouds_of_one_batch) {
    xnor_value_id centres = builder_floats(&b, SHAPE(2, 1, 3), D(0, 0, 0, 0, 0, 0));
    builder_expect_error(&b, ball_query(LINE(0), centres, 1, 1), XNOR_E_SHAPE,
                         "[1, 1, 3] and [2, 1, 3]");
}

// ---- k nearest ----------------------------------------------------------------------------------

Test(points, nearest_first_and_lower_index_of_equals) {
    builder_expect(&b, nearest(LINE(3, -1, 1, 0, 5), LINE(0, 4), 3, 0), SHAPE(1, 2, 3),
                   D(3, 1, 2, 0, 4, 2));
}
Test(points, nearest_with_dilation_takes_every_other) {
    builder_expect(&b, nearest(LINE(0, 1, 2, 3, 4, 5), LINE(0), 3, 2), SHAPE(1, 1, 3), D(0, 2, 4));
}
Test(points, nearest_of_too_few_points_repeats_the_nearest) {
    builder_expect(&b, nearest(LINE(4, 1), LINE(0), 4, 0), SHAPE(1, 1, 4), D(1, 0, 1, 1));
    builder_expect(&b, nearest(LINE(4, 1, 2), LINE(0), 3, 2), SHAPE(1, 1, 3), D(1, 0, 1));
    builder_expect(&b, nearest(LINE(7), LINE(0), 2, 1), SHAPE(1, 1, 2), D(0, 0));
}
Test(points, nearest_in_two_dimensions) {
    xnor_value_id x = builder_floats(&b, SHAPE(3, 2), D(0, 0, 3, 4, 1, 1));
    xnor_value_id q = builder_floats(&b, SHAPE(1, 2), D(3, 3));
    builder_expect(&b, nearest(x, q, 3, 1), SHAPE(1, 3), D(1, 2, 0));
}

// ---- rows by index ------------------------------------------------------------------------------

Test(points, gather_rows_of_each_group) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 2, 3), D(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
    xnor_value_id one = builder_tensor(&b, XNOR_I64, SHAPE(2, 1), D(1, 0));
    xnor_value_id many = builder_tensor(&b, XNOR_I32, SHAPE(2, 1, 2), D(0, -1, 1, 1));
    builder_expect(&b, NODE(&b, XNOR_OP_GATHER_ROWS, x, one), SHAPE(2, 1, 3), D(4, 5, 6, 7, 8, 9));
    builder_expect(&b, NODE(&b, XNOR_OP_GATHER_ROWS, x, many), SHAPE(2, 1, 2, 3),
                   D(1, 2, 3, 4, 5, 6, 10, 11, 12, 10, 11, 12));
}
Test(points, gather_rows_of_every_width) {
    for (int64_t width = 1; width <= 9; width++) {
        double values[18], expected[27];
        for (int64_t i = 0; i < 2 * width; i++) values[i] = (double)i;
        for (int64_t i = 0; i < 3 * width; i++)
            expected[i] = (double)((i / width == 1 ? 0 : width) + i % width);
        xnor_value_id x = builder_floats(&b, SHAPE(2, width), values, (size_t)(2 * width));
        xnor_value_id index = builder_ints(&b, I(1, 0, 1));
        builder_expect(&b, NODE(&b, XNOR_OP_GATHER_ROWS, x, index), SHAPE(3, width), expected,
                       (size_t)(3 * width));
    }
}
Test(points, gather_rows_out_of_range_names_the_node) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 1), D(1, 2));
    builder_expect_error(&b, NODE(&b, XNOR_OP_GATHER_ROWS, x, builder_ints(&b, I(0, 2))),
                         XNOR_E_ARGUMENT, "'/GatherRows_0' (GatherRows): index 2 of 2 rows");
}

// Indices from outside are refused while the model runs.
Test(points, hostile_indices_are_refused) {
    static const int64_t hostile[] = {4, -5, INT64_MAX, INT64_MIN, INT64_C(1) << 32};
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 4, 3));
    xnor_value_id index = builder_input(&b, "index", XNOR_I64, SHAPE(2, 3));
    builder_output(&b, NODE(&b, XNOR_OP_GATHER_ROWS, x, index), "y");
    xnor_model *model = builder_compile(&b, NULL, NULL);
    tensors inputs = {0};
    tensors_add(&inputs, XNOR_F32, SHAPE(2, 4, 3));
    int64_t *indices = tensors_add(&inputs, XNOR_I64, SHAPE(2, 3))->data;
    xnor_plan *plan = builder_plan(model, &inputs);
    xnor_session *session;
    cr_assert_eq(xnor_session_create(plan, NULL, &session), XNOR_OK);
    float data[2 * 3 * 3];
    xnor_tensor output = {XNOR_F32, SHAPE(2, 3, 3), data};
    cr_expect_eq(xnor_session_run(session, inputs.items, &output, NULL), XNOR_OK);
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        indices[i] = hostile[i];
        cr_expect_eq(xnor_session_run(session, inputs.items, &output, NULL), XNOR_E_ARGUMENT);
        cr_expect(strstr(xnor_last_error(), "GatherRows"), "%s", xnor_last_error());
        indices[i] = 0;
    }
    xnor_session_free(&session);
    xnor_plan_unref(&plan);
    xnor_model_unref(&model);
    tensors_free(&inputs);
}

// ---- plans against references -------------------------------------------------------------------

// A cloud of `points` points: real, on a coarse grid, all equal, or with coordinates that are huge or
// no numbers.
static void fill_cloud(float *x, size_t count, unsigned kind) {
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-40f};
    for (size_t i = 0; i < count; i++) {
        x[i] = (float)builder_random(&b, 1 << 20) / (1 << 19) - 1;
        if (kind == 1) x[i] = (float)builder_random(&b, 5) / 4;
        if (kind == 2) x[i] = 0.3f;
        if (kind == 3 && builder_once_in(&b, 4)) x[i] = odd[builder_random(&b, 6)];
    }
}

static void compare(size_t batch, size_t points, int64_t samples, int64_t k, unsigned kind) {
    const xnor_shape shape = SHAPE((int64_t)batch, (int64_t)points, 3);
    tensors inputs = {0}, expected = {0};
    builder_init(&b, points);
    fill_cloud(tensors_add(&inputs, XNOR_F32, shape)->data, batch * points * 3, kind);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, -1, 3));
    xnor_value_id index = sampling(x, samples);
    xnor_value_id centres = NODE(&b, XNOR_OP_GATHER_ROWS, x, index);
    xnor_value_id ball = ball_query(x, centres, 0.4, k);
    builder_output(&b, index, "index");
    builder_output(&b, ball, "ball");
    builder_output(&b, nearest(x, centres, k, 2), "nearest");
    builder_output(&b, NODE(&b, XNOR_OP_GATHER_ROWS, x, ball), "neighbours");
    builder_reference(&b.graph, &inputs, &expected);
    for (const char *const *isa = xnor_kernels_available(); *isa; isa++)
        for (uint32_t threads = 1; threads <= 3; threads += 2) {
            xnor_model *model = builder_compile(&b, *isa, NULL);
            xnor_pool *pool;
            tensors found = {0};
            cr_assert_eq(xnor_pool_create(threads, &pool), XNOR_OK);
            builder_run(model, pool, &inputs, &found);
            for (uint32_t i = 0; i < found.count; i++) {
                size_t bytes = 0;
                cr_assert_eq(xnor_tensor_bytes(found.items[i].dtype, &found.items[i].shape, &bytes),
                             XNOR_OK);
                cr_expect_eq(memcmp(found.items[i].data, expected.items[i].data, bytes), 0,
                             "output %u of %zu points, kind %u, %s, %u threads", i, points, kind,
                             *isa, threads);
            }
            tensors_free(&found);
            xnor_pool_free(&pool);
            xnor_model_unref(&model);
        }
    tensors_free(&inputs);
    tensors_free(&expected);
}

Test(points, plans_equal_references) {
    static const struct {
        size_t batch, points;
        int64_t samples, k;
    } cases[] = {{1, 1, 3, 2}, {2, 7, 4, 9}, {1, 33, 33, 4}, {2, 100, 20, 8}, {1, 300, 40, 32}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (unsigned kind = 0; kind < 4; kind++) {
            builder_free(&b);
            compare(cases[i].batch, cases[i].points, cases[i].samples, cases[i].k, kind);
        }
}
