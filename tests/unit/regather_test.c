// Layers over gathered features: once for each point, and with relative positions added.
#include <criterion/criterion.h>
#include <string.h>

#include "exec/pool.h"
#include "graph_builder.h"
#include "kernels/kernels.h"
#include "passes/passes.h"

enum { POINTS = 20, CENTRES = 6, K = 5, WIDTH = 70, OUT = 67 };

static xnor_value_id matrix(builder *b, int64_t k, int64_t n) {
    static double values[WIDTH * OUT * 2];
    for (int64_t i = 0; i < k * n; i++) values[i] = builder_random(b, 2) ? 0.5 : -0.5;
    return builder_floats(b, SHAPE(k, n), values, (size_t)(k * n));
}

static xnor_value_id vector(builder *b, int64_t n, int range) {
    static double values[WIDTH + OUT];
    for (int64_t i = 0; i < n; i++)
        values[i] = (double)builder_random(b, (uint32_t)(2 * range + 1)) - range + 0.25;
    return builder_floats(b, SHAPE(n), values, (size_t)n);
}

// A set abstraction: sign(concat(x_j, pos_j - centre)) -> layer -> offset -> sign -> layer -> maximum.
// rows: exporters flatten to rows of one matrix before the layer.
static void set_abstraction(builder *b, bool rows, bool relative, int64_t batch) {
    xnor_value_id x = builder_input(b, "x", XNOR_F32, SHAPE(batch, POINTS, WIDTH));
    xnor_value_id pos = builder_input(b, "pos", XNOR_F32, SHAPE(batch, POINTS, 3));
    xnor_value_id centres = builder_input(b, "centres", XNOR_F32, SHAPE(batch, CENTRES, 1, 3));
    xnor_value_id index = builder_input(b, "index", XNOR_I64, SHAPE(batch, CENTRES, K));
    xnor_value_id h = NODE(b, XNOR_OP_GATHER_ROWS, x, index);
    int64_t width = WIDTH;
    if (relative) {
        xnor_value_id rel = NODE(b, XNOR_OP_SUB, NODE(b, XNOR_OP_GATHER_ROWS, pos, index), centres);
        h = NODE(b, XNOR_OP_CONCAT, h, rel);
        builder_attr(b, XNOR_ATTR_AXIS, I(-1));
        width += 3;
    }
    if (rows) h = NODE(b, XNOR_OP_RESHAPE, h, builder_ints(b, I(-1, width)));
    h = NODE(b, XNOR_OP_MATMUL, NODE(b, XNOR_OP_SIGN, h), matrix(b, width, OUT));
    h = NODE(b, XNOR_OP_MUL, NODE(b, XNOR_OP_ADD, h, vector(b, OUT, 4)), vector(b, OUT, 1));
    h = NODE(b, XNOR_OP_MATMUL, NODE(b, XNOR_OP_SIGN, h), matrix(b, OUT, 9));
    if (rows) h = NODE(b, XNOR_OP_RESHAPE, h, builder_ints(b, I(-1, CENTRES, K, 9)));
    h = NODE(b, XNOR_OP_REDUCE_MAX, h);
    builder_attr(b, XNOR_ATTR_AXES, I(2));
    builder_attr(b, XNOR_ATTR_KEEPDIMS, I(0));
    builder_output(b, h, "y");
}

static void fill(builder *b, tensors *inputs, int64_t batch) {
    const xnor_shape shapes[] = {SHAPE(batch, POINTS, WIDTH), SHAPE(batch, POINTS, 3),
                                 SHAPE(batch, CENTRES, 1, 3), SHAPE(batch, CENTRES, K)};
    for (int k = 0; k < 3; k++) {
        xnor_tensor *t = tensors_add(inputs, XNOR_F32, shapes[k]);
        size_t bytes = 0;
        cr_assert_eq(xnor_tensor_bytes(XNOR_F32, &shapes[k], &bytes), XNOR_OK);
        // Few values: differences and features are 0 often.
        for (size_t i = 0; i < bytes / 4; i++)
            ((float *)t->data)[i] = (float)builder_random(b, 3) - 1;
    }
    int64_t *index = tensors_add(inputs, XNOR_I64, shapes[3])->data;
    for (int64_t i = 0; i < batch * CENTRES * K; i++) index[i] = builder_random(b, POINTS);
}

static void expect_reference(bool rows, bool relative, int64_t batch, const char *edge_step) {
    builder b;
    tensors inputs = {0}, expected = {0};
    builder_init(&b, 5);
    set_abstraction(&b, rows, relative, -1);
    fill(&b, &inputs, batch);
    builder_reference(&b.graph, &inputs, &expected);
    for (const char *const *isa = xnor_kernels_available(); *isa; isa++)
        for (uint32_t threads = 1; threads <= 2; threads++) {
            xnor_graph compiled;
            xnor_model *model = builder_compile(&b, *isa, &compiled);
            cr_expect_eq(graph_count(&compiled, XNOR_OP_CONCAT), 0);
            xnor_pool *pool;
            tensors found = {0};
            cr_assert_eq(xnor_pool_create(threads, &pool), XNOR_OK);
            builder_run(model, pool, &inputs, &found);
            cr_expect_eq(tensors_distance(&expected.items[0], &found.items[0]), 0, "%s", *isa);
            xnor_plan *plan = builder_plan(model, &inputs);
            uint32_t steps = 0;
            for (uint32_t i = 0; edge_step && i < xnor_plan_step_count(plan); i++)
                steps += strcmp(xnor_plan_step_kind(plan, i), edge_step) == 0;
            cr_expect_eq(steps, edge_step != NULL);
            xnor_plan_unref(&plan);
            tensors_free(&found);
            xnor_pool_free(&pool);
            xnor_graph_free(&compiled);
            xnor_model_unref(&model);
        }
    tensors_free(&inputs);
    tensors_free(&expected);
    builder_free(&b);
}

Test(regather, features_alone_are_signed_and_multiplied_once_per_point) {
    expect_reference(false, false, 2, NULL);
}
Test(regather, features_and_relative_positions) {
    expect_reference(false, true, 2, "edge_thr");
}
Test(regather, rows_of_all_clouds_in_one_matrix) {
    expect_reference(true, true, 3, "edge_thr");
}
Test(regather, differences_are_made_where_rows_are_gathered) {
    expect_reference(true, true, 1, "gather_differences");
}

// One row for each group is no group of neighbours: fewer rows than points stay gathered first.
Test(regather, samples_stay_gathered_first) {
    builder b;
    builder_init(&b, 1);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(1, POINTS, 8));
    xnor_value_id i = builder_input(&b, "i", XNOR_I64, SHAPE(1, 3));
    xnor_value_id y = NODE(&b, XNOR_OP_RELU, NODE(&b, XNOR_OP_GATHER_ROWS, x, i));
    builder_output(&b, y, "y");
    cr_assert_eq(xnor_graph_verify(&b.graph), XNOR_OK);
    cr_assert_eq(xnor_pass_regather(&b.graph), XNOR_OK);
    cr_expect_eq(b.graph.nodes[1].op, XNOR_OP_RELU);
    builder_free(&b);
}
