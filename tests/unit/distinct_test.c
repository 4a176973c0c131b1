// Equal codes are evaluated once; with the pass on and off the results are the same bytes.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/tensor.h"
#include "graph_builder.h"

enum { FLATTENED = 1, PER_POINT = 2, MATRIX_PER_CLOUD = 4, CLUSTERED = 8 };

// A constant of ±1 [rows, columns].
static xnor_value_id signs(builder *b, int64_t rows, int64_t columns) {
    size_t count = (size_t)(rows * columns);
    double *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = builder_random(b, 2) ? 1 : -1;
    xnor_value_id id = builder_floats(b, SHAPE(rows, columns), values, count);
    free(values);
    return id;
}

static xnor_value_id reals(builder *b, xnor_shape shape, size_t count) {
    double *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = builder_random(b, 1000) / 500.0 - 1.0005;
    xnor_value_id id = builder_floats(b, shape, values, count);
    free(values);
    return id;
}

static xnor_value_id binary_layer(builder *b, xnor_value_id x, int64_t in, int64_t out) {
    xnor_value_id y = NODE(b, XNOR_OP_MATMUL, NODE(b, XNOR_OP_SIGN, x), signs(b, in, out));
    return NODE(b, XNOR_OP_ADD, y, reals(b, SHAPE(out), (size_t)out));
}

// points [B, N, in] -> planes -> 16 -> 12, maximum over points or every point.
static xnor_model *network(builder *b, int64_t clouds, int64_t points, int64_t planes, int flags,
                           xnor_graph *compiled) {
    xnor_value_id x = builder_input(b, "points", XNOR_F32, SHAPE(clouds, points, 3));
    if (flags & MATRIX_PER_CLOUD) {
        // The matrix comes from the first points of the cloud itself.
        xnor_value_id rows = NODE(b, XNOR_OP_SLICE, x, builder_ints(b, I(0)),
                                  builder_ints(b, I(planes)), builder_ints(b, I(1)));
        xnor_value_id matrix = NODE(b, XNOR_OP_TRANSPOSE, rows);
        builder_attr(b, XNOR_ATTR_PERM, I(0, 2, 1));
        x = NODE(b, XNOR_OP_MATMUL, x, matrix);
        x = NODE(b, XNOR_OP_WHERE,
                 NODE(b, XNOR_OP_GREATER_OR_EQUAL, x, builder_floats(b, SCALAR, D(0))),
                 builder_floats(b, SCALAR, D(1)), builder_floats(b, SCALAR, D(-1)));
        x = NODE(b, XNOR_OP_MATMUL, x, signs(b, planes, 12));
        if (!(flags & PER_POINT)) {
            x = NODE(b, XNOR_OP_REDUCE_MAX, x);
            builder_attr(b, XNOR_ATTR_AXES, I(1));
            builder_attr(b, XNOR_ATTR_KEEPDIMS, I(0));
        }
        builder_output(b, x, "scores");
        return builder_compile(b, NULL, compiled);
    }
    if (flags & FLATTENED) x = NODE(b, XNOR_OP_RESHAPE, x, builder_ints(b, I(-1, 3)));
    x = NODE(b, XNOR_OP_MATMUL, x, reals(b, SHAPE(3, planes), (size_t)planes * 3));
    x = NODE(b, XNOR_OP_ADD, x, reals(b, SHAPE(planes), (size_t)planes));
    x = binary_layer(b, x, planes, 16);
    x = binary_layer(b, x, 16, 12);
    if (flags & FLATTENED) x = NODE(b, XNOR_OP_RESHAPE, x, builder_ints(b, I(clouds, points, 12)));
    if (!(flags & PER_POINT)) {
        x = NODE(b, XNOR_OP_REDUCE_MAX, x);
        builder_attr(b, XNOR_ATTR_AXES, I(1));
        builder_attr(b, XNOR_ATTR_KEEPDIMS, I(0));
    }
    builder_output(b, x, "scores");
    return builder_compile(b, NULL, compiled);
}

static void run(xnor_model *model, const tensors *inputs, uint32_t threads, bool merge,
                xnor_tensor *out, uint64_t *distinct, uint64_t *rows) {
    const xnor_plan_options options = {.no_distinct = !merge};
    xnor_plan *plan = NULL;
    xnor_session *session = NULL;
    xnor_pool *pool = NULL;
    cr_assert_eq(xnor_pool_create(threads, &pool), XNOR_OK);
    cr_assert_eq(xnor_plan_create_with(model, &inputs->items[0].shape, &options, &plan), XNOR_OK,
                 "%s", xnor_last_error());
    cr_assert_eq(xnor_session_create(plan, pool, &session), XNOR_OK);
    size_t bytes = 0;
    *out = (xnor_tensor){XNOR_F32, *xnor_plan_output_shape(plan, 0), NULL};
    cr_assert_eq(xnor_tensor_bytes(XNOR_F32, &out->shape, &bytes), XNOR_OK);
    out->data = malloc(bytes);
    cr_assert_eq(xnor_session_run(session, inputs->items, out, NULL), XNOR_OK, "%s",
                 xnor_last_error());
    xnor_session_distinct(session, distinct, rows);
    xnor_session_free(&session);
    xnor_pool_free(&pool);
    xnor_plan_unref(&plan);
}

static void compare(int64_t clouds, int64_t points, int64_t planes, int flags, uint64_t least,
                    uint64_t most) {
    builder b;
    xnor_graph compiled;
    builder_init(&b, 11);
    xnor_model *model = network(&b, clouds, points, planes, flags, &compiled);
    tensors inputs = {0};
    xnor_tensor *x = tensors_add(&inputs, XNOR_F32, SHAPE(clouds, points, 3));
    for (size_t i = 0; i < xnor_tensor_count(x); i++)
        ((float *)x->data)[i] =
            (float)builder_random(&b, flags & CLUSTERED ? 3 : 2000) / 1000.0f - 1.0f;
    xnor_tensor on, off;
    uint64_t distinct, rows, first = 0, none, none_rows;
    run(model, &inputs, 1, false, &off, &none, &none_rows);
    cr_expect_eq(none_rows, 0);
    // More threads than there are sets of codes, and than clouds.
    for (uint32_t threads = 1; threads <= 6; threads++) {
        run(model, &inputs, threads, true, &on, &distinct, &rows);
        cr_expect_arr_eq(on.data, off.data, xnor_tensor_count(&on) * sizeof(float));
        cr_expect_eq(rows, (uint64_t)(clouds * points));
        cr_expect(distinct >= least && distinct <= most, "%llu codes",
                  (unsigned long long)distinct);
        if (threads == 1) first = distinct;
        cr_expect_eq(distinct, first, "%u threads", threads);
        free(on.data);
    }
    free(off.data);
    tensors_free(&inputs);
    xnor_graph_free(&compiled);
    xnor_model_unref(&model);
    builder_free(&b);
}

// 8 planes cut space into at most 1 + 8 + 28 + 56 = 93 cells.
Test(distinct, maximum_over_points_is_the_same) {
    compare(1, 300, 8, 0, 2, 93);
}
Test(distinct, clouds_of_a_batch_are_merged_separately) {
    compare(3, 256, 8, 0, 6, 3 * 93);
}
Test(distinct, flattened_points_are_grouped_by_cloud_again) {
    compare(3, 256, 8, FLATTENED, 6, 3 * 93);
}
Test(distinct, every_point_gets_its_own_result_back) {
    compare(2, 400, 8, PER_POINT, 4, 2 * 93);
}
Test(distinct, flattened_points_get_their_own_results_back) {
    compare(2, 400, 8, PER_POINT | FLATTENED, 4, 2 * 93);
}
Test(distinct, many_planes_may_give_as_many_codes_as_points) {
    compare(1, 300, 64, PER_POINT, 100, 300);
}

Test(distinct, threads_share_a_large_cloud) {
    compare(1, 9001, 8, 0, 2, 93);
    compare(1, 9001, 64, 0, 1000, 9001);
}
Test(distinct, threads_share_a_large_cloud_and_every_point_gets_its_result) {
    compare(1, 9001, 8, PER_POINT, 2, 93);
    compare(2, 5001, 64, PER_POINT, 1000, 10002);
}
Test(distinct, a_matrix_of_each_cloud_makes_its_codes) {
    compare(1, 400, 20, MATRIX_PER_CLOUD, 2, 400);
    compare(3, 4100, 20, MATRIX_PER_CLOUD, 3, 3 * 4100);
    compare(3, 4100, 20, MATRIX_PER_CLOUD | PER_POINT, 3, 3 * 4100);
}
Test(distinct, points_that_are_all_alike_have_few_codes) {
    compare(1, 5000, 64, CLUSTERED, 1, 27);
}

// A segmentation network as exporters write it: points of all clouds in one matrix, then grouped by
// cloud, features clipped, used twice, and put beside the maximum of their cloud.
static xnor_model *segmentation(builder *b, int64_t clouds, int64_t points) {
    enum { PLANES = 10, WIDE = 24, CLASSES = 5 };
    xnor_value_id x = builder_input(b, "points", XNOR_F32, SHAPE(-1, -1, 3));
    x = NODE(b, XNOR_OP_RESHAPE, x, builder_ints(b, I(-1, 3)));
    x = NODE(b, XNOR_OP_MATMUL, x, reals(b, SHAPE(3, PLANES), 3 * PLANES));
    x = NODE(b, XNOR_OP_ADD, x, reals(b, SHAPE(PLANES), PLANES));
    x = NODE(b, XNOR_OP_CLIP, x, builder_floats(b, SCALAR, D(-1)), builder_floats(b, SCALAR, D(1)));
    xnor_value_id local = NODE(b, XNOR_OP_RESHAPE, x, builder_ints(b, I(clouds, points, PLANES)));
    x = binary_layer(b, NODE(b, XNOR_OP_RESHAPE, local, builder_ints(b, I(-1, PLANES))), PLANES,
                     WIDE);
    x = NODE(b, XNOR_OP_RESHAPE, x, builder_ints(b, I(clouds, points, WIDE)));
    x = NODE(b, XNOR_OP_REDUCE_MAX, x);
    builder_attr(b, XNOR_ATTR_AXES, I(1));
    x = NODE(b, XNOR_OP_EXPAND, x, builder_ints(b, I(clouds, points, WIDE)));
    x = NODE(b, XNOR_OP_CONCAT, x, local);
    builder_attr(b, XNOR_ATTR_AXIS, I(2));
    x = NODE(b, XNOR_OP_RESHAPE, x, builder_ints(b, I(-1, PLANES + WIDE)));
    x = binary_layer(b, x, PLANES + WIDE, 16);
    x = binary_layer(b, x, 16, CLASSES);
    x = NODE(b, XNOR_OP_RESHAPE, x, builder_ints(b, I(clouds, points, CLASSES)));
    x = NODE(b, XNOR_OP_LOG_SOFTMAX, x);
    builder_attr(b, XNOR_ATTR_AXIS, I(-1));
    builder_output(b, x, "scores");
    return builder_compile(b, NULL, NULL);
}

Test(distinct, a_segmentation_network_evaluates_each_code_once_from_end_to_end) {
    enum { CLOUDS = 3, POINTS = 300 };
    builder b;
    builder_init(&b, 7);
    xnor_model *model = segmentation(&b, CLOUDS, POINTS);
    tensors inputs = {0};
    xnor_tensor *x = tensors_add(&inputs, XNOR_F32, SHAPE(CLOUDS, POINTS, 3));
    for (size_t i = 0; i < xnor_tensor_count(x); i++)
        ((float *)x->data)[i] = (float)builder_random(&b, 2000) / 1000.0f - 1.0f;
    xnor_plan *plan = builder_plan(model, &inputs);
    uint32_t last = xnor_plan_step_count(plan) - 1;
    cr_expect_str_eq(xnor_plan_step_kind(plan, 0), "distinct");
    for (uint32_t i = 1; i < last; i++) {
        cr_expect_str_neq(xnor_plan_step_kind(plan, i), "distinct");
        cr_expect_str_neq(xnor_plan_step_kind(plan, i), "gather_rows");
        cr_expect_str_neq(xnor_plan_step_kind(plan, i), "reference");
    }
    cr_expect_str_eq(xnor_plan_step_kind(plan, last), "gather_rows");
    xnor_plan_unref(&plan);

    xnor_tensor on, off;
    uint64_t distinct, rows;
    run(model, &inputs, 1, false, &off, &distinct, &rows);
    for (uint32_t threads = 1; threads <= 4; threads++) {
        run(model, &inputs, threads, true, &on, &distinct, &rows);
        cr_expect_eq(rows, CLOUDS * POINTS);
        cr_expect_lt(distinct, rows);
        cr_expect_arr_eq(on.data, off.data, xnor_tensor_count(&on) * sizeof(float));
        free(on.data);
    }
    free(off.data);
    tensors_free(&inputs);
    xnor_model_unref(&model);
    builder_free(&b);
}

// More codes than the table takes: the rest is evaluated without merging.
Test(distinct, a_full_table_changes_nothing) {
    enum { POINTS = 70000, BITS = 40 };
    builder b;
    xnor_graph compiled;
    builder_init(&b, 5);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(1, POINTS, BITS));
    x = NODE(&b, XNOR_OP_ADD, x, reals(&b, SHAPE(BITS), BITS));
    builder_output(&b, binary_layer(&b, x, BITS, 4), "y");
    xnor_model *model = builder_compile(&b, NULL, &compiled);
    tensors inputs = {0};
    xnor_tensor *in = tensors_add(&inputs, XNOR_F32, SHAPE(1, POINTS, BITS));
    for (size_t i = 0; i < xnor_tensor_count(in); i++)
        ((float *)in->data)[i] = builder_random(&b, 2) ? 4.0f : -4.0f;
    xnor_tensor on, off;
    uint64_t distinct, rows, none, none_rows;
    run(model, &inputs, 1, true, &on, &distinct, &rows);
    run(model, &inputs, 1, false, &off, &none, &none_rows);
    cr_expect_gt(distinct, 65536);
    cr_expect_leq(distinct, rows);
    cr_expect_arr_eq(on.data, off.data, xnor_tensor_count(&on) * sizeof(float));
    free(on.data);
    free(off.data);
    tensors_free(&inputs);
    xnor_graph_free(&compiled);
    xnor_model_unref(&model);
    builder_free(&b);
}
