// Rows by index in the forms that exporters write: each becomes one GatherRows.
#include <criterion/criterion.h>
#include <string.h>

#include "graph_builder.h"
#include "passes/passes.h"

enum { CLOUDS = 2, POINTS = 6, CHANNELS = 5, QUERIES = 4, K = 3 };

typedef struct sizes {
    int64_t clouds, points, queries; // -1: unknown until there is a plan
} sizes;

static xnor_value_id scalar(builder *b, double value) {
    return builder_tensor(b, XNOR_I64, SCALAR, &value, 1);
}

static xnor_value_id size_of(builder *b, xnor_value_id x, int axis) {
    return NODE(b, XNOR_OP_GATHER, NODE(b, XNOR_OP_SHAPE, x), scalar(b, axis));
}

static xnor_value_id concat(builder *b, const xnor_value_id *parts, uint32_t count) {
    xnor_value_id y = builder_node(b, XNOR_OP_CONCAT, parts, count, 1);
    builder_attr(b, XNOR_ATTR_AXIS, I(0));
    return y;
}

// i + N·[0, 1, ..]
static xnor_value_id with_base(builder *b, xnor_value_id x, xnor_value_id i) {
    xnor_value_id clouds = NODE(b, XNOR_OP_RANGE, scalar(b, 0), size_of(b, x, 0), scalar(b, 1));
    xnor_value_id column = builder_reshape(b, clouds, I(-1, 1, 1));
    return NODE(b, XNOR_OP_ADD, i, NODE(b, XNOR_OP_MUL, column, size_of(b, x, 1)));
}

// [B·M·K, C] -> [B, M, K, C]
static xnor_value_id grouped(builder *b, xnor_value_id rows, xnor_value_id i) {
    const xnor_value_id dims[] = {builder_unsqueeze(b, size_of(b, i, 0), 0),
                                  builder_unsqueeze(b, size_of(b, i, 1), 0), builder_ints(b, I(K)),
                                  builder_ints(b, I(CHANNELS))};
    return NODE(b, XNOR_OP_RESHAPE, rows, concat(b, dims, 4));
}

static xnor_value_id flattened(builder *b, xnor_value_id x, xnor_value_id i) {
    xnor_value_id rows = NODE(b, XNOR_OP_GATHER, builder_reshape(b, x, I(-1, CHANNELS)),
                              builder_reshape(b, with_base(b, x, i), I(-1)));
    return grouped(b, rows, i);
}

static xnor_value_id indexed(builder *b, xnor_value_id x, xnor_value_id i) {
    xnor_value_id sum = with_base(b, x, i);
    xnor_value_id rows = NODE(b, XNOR_OP_GATHER, builder_reshape(b, x, I(-1, CHANNELS)), sum);
    const xnor_value_id dims[] = {NODE(b, XNOR_OP_SHAPE, sum), builder_ints(b, I(CHANNELS))};
    return NODE(b, XNOR_OP_RESHAPE, builder_reshape(b, rows, I(-1, CHANNELS)), concat(b, dims, 2));
}

static xnor_value_id elements(builder *b, xnor_value_id x, xnor_value_id i) {
    const xnor_value_id dims[] = {builder_unsqueeze(b, size_of(b, i, 0), 0), builder_ints(b, I(-1)),
                                  builder_ints(b, I(1))};
    xnor_value_id column = NODE(b, XNOR_OP_RESHAPE, i, concat(b, dims, 3));
    xnor_value_id all = NODE(b, XNOR_OP_EXPAND, column, builder_ints(b, I(1, 1, CHANNELS)));
    xnor_value_id rows = NODE(b, XNOR_OP_GATHER_ELEMENTS, x, all);
    builder_attr(b, XNOR_ATTR_AXIS, I(1));
    return grouped(b, rows, i);
}

static xnor_value_id elements_of_repeated(builder *b, xnor_value_id x, xnor_value_id i) {
    const xnor_value_id dims[] = {builder_ints(b, I(1)), builder_unsqueeze(b, size_of(b, i, 1), 0),
                                  builder_ints(b, I(1, 1))};
    xnor_value_id repeated =
        NODE(b, XNOR_OP_EXPAND, builder_unsqueeze(b, x, 1), concat(b, dims, 3));
    xnor_value_id all =
        NODE(b, XNOR_OP_EXPAND, builder_unsqueeze(b, i, 3), builder_ints(b, I(1, 1, 1, CHANNELS)));
    xnor_value_id rows = NODE(b, XNOR_OP_GATHER_ELEMENTS, repeated, all);
    builder_attr(b, XNOR_ATTR_AXIS, I(2));
    return rows;
}

static xnor_value_id by_batch(builder *b, xnor_value_id x, xnor_value_id i) {
    xnor_value_id rows = NODE(b, XNOR_OP_GATHER_ND, x, builder_unsqueeze(b, i, 3));
    builder_attr(b, XNOR_ATTR_BATCH_DIMS, I(1));
    return rows;
}

static void expect_one(xnor_value_id (*write)(builder *, xnor_value_id, xnor_value_id), sizes s) {
    builder b;
    xnor_graph compiled;
    builder_init(&b, 1);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(s.clouds, s.points, CHANNELS));
    xnor_value_id i = builder_input(&b, "i", XNOR_I64, SHAPE(s.clouds, s.queries, K));
    builder_output(&b, write(&b, x, i), "y");
    xnor_model *model = builder_compile(&b, NULL, &compiled);
    cr_expect_eq(graph_count(&compiled, XNOR_OP_GATHER_ROWS), 1);
    cr_expect_eq(compiled.node_count, 1);
    tensors inputs = {0}, outputs = {0};
    const int64_t clouds = s.clouds < 0 ? CLOUDS : s.clouds;
    float *values = tensors_add(&inputs, XNOR_F32, SHAPE(clouds, POINTS, CHANNELS))->data;
    int64_t *indices = tensors_add(&inputs, XNOR_I64, SHAPE(clouds, QUERIES, K))->data;
    for (int64_t k = 0; k < clouds * POINTS * CHANNELS; k++) values[k] = (float)k;
    for (int64_t k = 0; k < clouds * QUERIES * K; k++) indices[k] = builder_random(&b, POINTS);
    builder_run(model, NULL, &inputs, &outputs);
    const float *found = outputs.items[0].data;
    for (int64_t k = 0; k < clouds * QUERIES * K; k++)
        for (int64_t c = 0; c < CHANNELS; c++)
            cr_assert_eq(found[k * CHANNELS + c],
                         (float)((k / (QUERIES * K) * POINTS + indices[k]) * CHANNELS + c));
    tensors_free(&inputs);
    tensors_free(&outputs);
    xnor_graph_free(&compiled);
    xnor_model_unref(&model);
    builder_free(&b);
}

static void expect_all(xnor_value_id (*write)(builder *, xnor_value_id, xnor_value_id)) {
    expect_one(write, (sizes){CLOUDS, POINTS, QUERIES});
    expect_one(write, (sizes){1, POINTS, QUERIES});
    expect_one(write, (sizes){-1, -1, -1});
}

Test(gather, flattened_with_the_base_of_each_cloud) {
    expect_all(flattened);
}
Test(gather, advanced_indexing) {
    expect_all(indexed);
}
Test(gather, elements_of_expanded_indices) {
    expect_all(elements);
}
Test(gather, elements_of_repeated_clouds) {
    expect_all(elements_of_repeated);
}
Test(gather, tuples_of_one_with_batch_dims) {
    expect_all(by_batch);
}

Test(gather, without_clouds) {
    builder b;
    builder_init(&b, 1);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(4, 2));
    xnor_value_id i = builder_input(&b, "i", XNOR_I64, SHAPE(3));
    builder_output(&b, NODE(&b, XNOR_OP_GATHER, x, i), "y");
    cr_assert_eq(xnor_graph_verify(&b.graph), XNOR_OK);
    cr_assert_eq(xnor_pass_gather(&b.graph), XNOR_OK, "%s", xnor_last_error());
    cr_expect_eq(graph_count(&b.graph, XNOR_OP_GATHER_ROWS), 1);
    builder_free(&b);
}

// A base that is another than the cloud's first row stays as it is written.
Test(gather, other_sums_are_left_alone) {
    builder b;
    xnor_graph compiled;
    builder_init(&b, 1);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 4, 3));
    xnor_value_id i = builder_input(&b, "i", XNOR_I64, SHAPE(2, 2));
    xnor_value_id sum =
        NODE(&b, XNOR_OP_ADD, i, builder_tensor(&b, XNOR_I64, SHAPE(2, 1), D(0, 3)));
    builder_output(&b, NODE(&b, XNOR_OP_GATHER, builder_reshape(&b, x, I(8, 3)), sum), "y");
    xnor_model *model = builder_compile(&b, NULL, &compiled);
    cr_expect_eq(graph_count(&compiled, XNOR_OP_ADD), 1);
    tensors inputs = {0}, expected = {0}, found = {0};
    tensors_add(&inputs, XNOR_F32, SHAPE(2, 4, 3));
    tensors_add(&inputs, XNOR_I64, SHAPE(2, 2));
    for (int k = 0; k < 24; k++) ((float *)inputs.items[0].data)[k] = (float)k;
    builder_reference(&b.graph, &inputs, &expected);
    builder_run(model, NULL, &inputs, &found);
    cr_expect_eq(tensors_distance(&expected.items[0], &found.items[0]), 0);
    tensors_free(&inputs);
    tensors_free(&expected);
    tensors_free(&found);
    xnor_graph_free(&compiled);
    xnor_model_unref(&model);
    builder_free(&b);
}

Test(gather, tuples_of_two_in_batches) {
    builder b;
    builder_init(&b, 1);
    xnor_value_id x = builder_floats(&b, SHAPE(2, 2, 2), D(1, 2, 3, 4, 5, 6, 7, 8));
    xnor_value_id i = builder_tensor(&b, XNOR_I64, SHAPE(2, 1, 2), D(1, 0, 0, -1));
    xnor_value_id y = NODE(&b, XNOR_OP_GATHER_ND, x, i);
    builder_attr(&b, XNOR_ATTR_BATCH_DIMS, I(1));
    builder_expect(&b, y, SHAPE(2, 1), D(3, 6));
    builder_free(&b);
}
