// EdgeConv as exporters write it: every form of gathering neighbours gives what the reference gives,
// and nothing of it is left to the reference when it runs.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/tensor.h"
#include "graph_builder.h"
#include "kernels/kernels.h"
#include "passes/passes.h"

enum { K = 4 };

typedef struct cloud_shape {
    int64_t clouds, points, channels;
} cloud_shape;

// -Σ (x_i - x_j)², the K largest: [clouds, points, K]
static xnor_value_id nearest(builder *b, xnor_value_id x) {
    xnor_value_id d = NODE(b, XNOR_OP_SUB, builder_unsqueeze(b, x, 2), builder_unsqueeze(b, x, 1));
    xnor_value_id sum = NODE(b, XNOR_OP_REDUCE_SUM, NODE(b, XNOR_OP_MUL, d, d));
    builder_attr(b, XNOR_ATTR_AXES, I(-1));
    builder_attr(b, XNOR_ATTR_KEEPDIMS, I(0));
    xnor_value_id top =
        NODE_OUTPUTS(b, XNOR_OP_TOP_K, 2, NODE(b, XNOR_OP_NEG, sum), builder_ints(b, I(K)));
    builder_attr(b, XNOR_ATTR_AXIS, I(-1));
    builder_attr(b, XNOR_ATTR_LARGEST, I(1));
    return top + 1;
}

// ---- forms of x[index]: [clouds, points, K, channels] -------------------------------------------

typedef xnor_value_id gather_form(builder *b, xnor_value_id x, xnor_value_id index, cloud_shape s);

// x[0][index[0]][None]
static xnor_value_id of_one_cloud(builder *b, xnor_value_id x, xnor_value_id index, cloud_shape s) {
    (void)s;
    xnor_value_id zero = builder_tensor(b, XNOR_I64, SCALAR, D(0));
    xnor_value_id rows = NODE(b, XNOR_OP_GATHER, x, zero);
    builder_attr(b, XNOR_ATTR_AXIS, I(0));
    xnor_value_id picks = NODE(b, XNOR_OP_GATHER, index, zero);
    builder_attr(b, XNOR_ATTR_AXIS, I(0));
    xnor_value_id y = NODE(b, XNOR_OP_GATHER, rows, picks);
    builder_attr(b, XNOR_ATTR_AXIS, I(0));
    return builder_unsqueeze(b, y, 0);
}

// x.view(B·N, C)[(index + arange(B)·N).view(-1)].view(B, N, K, C): the DGCNN authors' form
static xnor_value_id flattened(builder *b, xnor_value_id x, xnor_value_id index, cloud_shape s) {
    double base[8];
    for (int64_t i = 0; i < s.clouds; i++) base[i] = (double)(i * s.points);
    xnor_value_id offset =
        builder_tensor(b, XNOR_I64, SHAPE(s.clouds, 1, 1), base, (size_t)s.clouds);
    xnor_value_id flat = builder_reshape(b, NODE(b, XNOR_OP_ADD, index, offset), I(-1));
    xnor_value_id y = NODE(b, XNOR_OP_GATHER, builder_reshape(b, x, I(-1, s.channels)), flat);
    builder_attr(b, XNOR_ATTR_AXIS, I(0));
    return builder_reshape(b, y, I(s.clouds, s.points, K, s.channels));
}

// torch.gather(x, 1, index.view(B, N·K, 1).expand(-1, -1, C))
static xnor_value_id by_elements(builder *b, xnor_value_id x, xnor_value_id index, cloud_shape s) {
    xnor_value_id picks =
        NODE(b, XNOR_OP_EXPAND, builder_reshape(b, index, I(s.clouds, s.points * K, 1)),
             builder_ints(b, I(s.clouds, s.points * K, s.channels)));
    xnor_value_id y = NODE(b, XNOR_OP_GATHER_ELEMENTS, x, picks);
    builder_attr(b, XNOR_ATTR_AXIS, I(1));
    return builder_reshape(b, y, I(s.clouds, s.points, K, s.channels));
}

// torch.gather(x[:, None].expand(B, N, N, C), 2, index[..., None].expand(B, N, K, C))
static xnor_value_id by_repeated_elements(builder *b, xnor_value_id x, xnor_value_id index,
                                          cloud_shape s) {
    xnor_value_id rows = NODE(b, XNOR_OP_EXPAND, builder_unsqueeze(b, x, 1),
                              builder_ints(b, I(s.clouds, s.points, s.points, s.channels)));
    xnor_value_id picks = NODE(b, XNOR_OP_EXPAND, builder_unsqueeze(b, index, -1),
                               builder_ints(b, I(s.clouds, s.points, K, s.channels)));
    xnor_value_id y = NODE(b, XNOR_OP_GATHER_ELEMENTS, rows, picks);
    builder_attr(b, XNOR_ATTR_AXIS, I(2));
    return y;
}

// x[cloud, index]
static xnor_value_id by_pairs(builder *b, xnor_value_id x, xnor_value_id index, cloud_shape s) {
    double cloud[8];
    for (int64_t i = 0; i < s.clouds; i++) cloud[i] = (double)i;
    xnor_value_id first =
        NODE(b, XNOR_OP_EXPAND,
             builder_tensor(b, XNOR_I64, SHAPE(s.clouds, 1, 1, 1), cloud, (size_t)s.clouds),
             builder_ints(b, I(s.clouds, s.points, K, 1)));
    xnor_value_id pairs = NODE(b, XNOR_OP_CONCAT, first, builder_unsqueeze(b, index, -1));
    builder_attr(b, XNOR_ATTR_AXIS, I(-1));
    return NODE(b, XNOR_OP_GATHER_ND, x, pairs);
}

// tf.gather(x, index, batch_dims=1) as it is exported
static xnor_value_id by_batch(builder *b, xnor_value_id x, xnor_value_id index, cloud_shape s) {
    (void)s;
    xnor_value_id y = NODE(b, XNOR_OP_GATHER_ND, x, builder_unsqueeze(b, index, -1));
    builder_attr(b, XNOR_ATTR_BATCH_DIMS, I(1));
    return y;
}

// ---- networks -----------------------------------------------------------------------------------

static xnor_value_id repeated(builder *b, xnor_value_id x, cloud_shape s) {
    return NODE(b, XNOR_OP_EXPAND, builder_unsqueeze(b, x, 2),
                builder_ints(b, I(s.clouds, s.points, K, s.channels)));
}

// cat(x_i, x_j - x_i), or the other way round
static xnor_value_id features(builder *b, xnor_value_id x, cloud_shape s, gather_form *gather,
                              bool own_first) {
    xnor_value_id own = repeated(b, x, s);
    xnor_value_id d = NODE(b, XNOR_OP_SUB, gather(b, x, nearest(b, x), s), own);
    xnor_value_id y = own_first ? NODE(b, XNOR_OP_CONCAT, own, d) : NODE(b, XNOR_OP_CONCAT, d, own);
    builder_attr(b, XNOR_ATTR_AXIS, I(-1));
    return y;
}

static xnor_value_id linear(builder *b, xnor_value_id x, int64_t in, int64_t out, bool binary) {
    double weights[4096];
    for (int64_t i = 0; i < in * out; i++)
        weights[i] = binary ? (builder_random(b, 2) ? 1 : -1) : (double)builder_random(b, 7) - 3;
    if (binary) x = NODE(b, XNOR_OP_SIGN, x);
    return NODE(b, XNOR_OP_MATMUL, x,
                builder_floats(b, SHAPE(in, out), weights, (size_t)(in * out)));
}

static xnor_value_id max_of_neighbours(builder *b, xnor_value_id x) {
    xnor_value_id y = NODE(b, XNOR_OP_REDUCE_MAX, x);
    builder_attr(b, XNOR_ATTR_AXES, I(2));
    builder_attr(b, XNOR_ATTR_KEEPDIMS, I(0));
    return y;
}

// A float EdgeConv whose signs go on, then a binary one on real features.
static void network(builder *b, cloud_shape s, gather_form *gather, bool own_first) {
    xnor_value_id half = builder_floats(b, SCALAR, D(0.5));
    xnor_value_id x = builder_input(b, "x", XNOR_F32, SHAPE(s.clouds, s.points, s.channels));
    x = linear(b, features(b, x, s, gather, own_first), 2 * s.channels, 20, false);
    x = max_of_neighbours(b, linear(b, NODE(b, XNOR_OP_ADD, x, half), 20, 18, true));
    x = NODE(b, XNOR_OP_ADD, x, half); // no exact zeros
    s.channels = 18;
    x = linear(b, features(b, x, s, gather, own_first), 36, 70, true);
    builder_output(b, max_of_neighbours(b, x), "y");
}

static bool has_step(const xnor_plan *plan, const char *kind) {
    for (uint32_t i = 0; i < xnor_plan_step_count(plan); i++)
        if (strcmp(xnor_plan_step_kind(plan, i), kind) == 0) return true;
    return false;
}

static void compare(cloud_shape s, gather_form *gather, bool own_first, const char *isa) {
    builder b;
    builder_init(&b, 11);
    network(&b, s, gather, own_first);
    tensors inputs = {0}, expected = {0}, found = {0};
    float *x = tensors_add(&inputs, XNOR_F32, SHAPE(s.clouds, s.points, s.channels))->data;
    for (int64_t i = 0; i < s.clouds * s.points * s.channels; i++)
        x[i] = (float)builder_random(&b, 12);
    builder_reference(&b.graph, &inputs, &expected);
    xnor_model *model = builder_compile(&b, isa, NULL);
    xnor_plan *plan = builder_plan(model, &inputs);
    cr_expect(has_step(plan, "edges_linear_bits"));
    cr_expect(has_step(plan, "edges_signs"));
    cr_expect(has_step(plan, "gemm_max_ternary"));
    for (uint32_t i = 0; i < xnor_plan_step_count(plan); i++)
        cr_expect_neq(strcmp(xnor_plan_step_kind(plan, i), "reference"), 0, "step %u of %s", i,
                      xnor_plan_step_name(plan, i));
    builder_run(model, NULL, &inputs, &found);
    cr_expect_eq(tensors_distance(&expected.items[0], &found.items[0]), 0);
    xnor_plan_unref(&plan);
    xnor_model_unref(&model);
    tensors_free(&inputs);
    tensors_free(&expected);
    tensors_free(&found);
    builder_free(&b);
}

Test(edges, one_cloud) {
    compare((cloud_shape){1, 30, 3}, of_one_cloud, true, NULL);
}
Test(edges, flattened_clouds) {
    compare((cloud_shape){3, 20, 3}, flattened, false, NULL);
}
Test(edges, elements_with_repeated_indices) {
    compare((cloud_shape){2, 17, 3}, by_elements, true, NULL);
}
Test(edges, elements_of_repeated_points) {
    compare((cloud_shape){2, 9, 5}, by_repeated_elements, false, NULL);
}
Test(edges, pairs_of_cloud_and_point) {
    compare((cloud_shape){2, 12, 3}, by_pairs, true, NULL);
}
Test(edges, index_within_each_cloud) {
    compare((cloud_shape){3, 8, 2}, by_batch, false, NULL);
}
Test(edges, every_instruction_set) {
    for (const char *const *isa = xnor_kernels_available(); *isa; isa++)
        compare((cloud_shape){2, 40, 4}, flattened, true, *isa);
}

// Offsets that do not name the clouds in order are arithmetic like any other.
Test(edges, other_offsets_are_left_alone) {
    builder b;
    builder_init(&b, 3);
    const cloud_shape s = {2, 10, 3};
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(s.clouds, s.points, s.channels));
    xnor_value_id offset = builder_tensor(&b, XNOR_I64, SHAPE(2, 1, 1), D(10, 0));
    xnor_value_id flat = builder_reshape(&b, NODE(&b, XNOR_OP_ADD, nearest(&b, x), offset), I(-1));
    xnor_value_id y = NODE(&b, XNOR_OP_GATHER, builder_reshape(&b, x, I(-1, 3)), flat);
    builder_attr(&b, XNOR_ATTR_AXIS, I(0));
    y = builder_reshape(&b, y, I(s.clouds, s.points, K, s.channels));
    builder_output(&b, NODE(&b, XNOR_OP_SUB, y, repeated(&b, x, s)), "y");
    tensors inputs = {0}, expected = {0}, found = {0};
    float *data = tensors_add(&inputs, XNOR_F32, SHAPE(2, 10, 3))->data;
    for (int i = 0; i < 60; i++) data[i] = (float)builder_random(&b, 12);
    builder_reference(&b.graph, &inputs, &expected);
    xnor_model *model = builder_compile(&b, NULL, NULL);
    xnor_plan *plan = builder_plan(model, &inputs);
    cr_expect_not(has_step(plan, "edges"));
    builder_run(model, NULL, &inputs, &found);
    cr_expect_eq(tensors_distance(&expected.items[0], &found.items[0]), 0);
    xnor_plan_unref(&plan);
    xnor_model_unref(&model);
    tensors_free(&inputs);
    tensors_free(&expected);
    tensors_free(&found);
    builder_free(&b);
}

// ---- the operator -------------------------------------------------------------------------------

Test(edges, parts_side_by_side) {
    builder b;
    builder_init(&b, 1);
    xnor_value_id x = builder_floats(&b, SHAPE(1, 3, 2), D(1, 2, 5, 7, -1, 0));
    xnor_value_id index = builder_tensor(&b, XNOR_I64, SHAPE(1, 3, 1), D(1, 0, 2));
    xnor_value_id y = NODE(&b, XNOR_OP_EDGES, x, index);
    builder_attr(&b, XNOR_ATTR_PARTS, I(1, 0));
    builder_expect(&b, y, SHAPE(1, 3, 1, 4), D(4, 5, 1, 2, -4, -5, 5, 7, 0, 0, -1, 0));
    builder_free(&b);
}

Test(edges, parts_are_named) {
    builder b;
    builder_init(&b, 1);
    xnor_value_id x = builder_floats(&b, SHAPE(1, 1, 1), D(1));
    xnor_value_id index = builder_tensor(&b, XNOR_I64, SHAPE(1, 1, 1), D(0));
    xnor_value_id y = NODE(&b, XNOR_OP_EDGES, x, index);
    builder_attr(&b, XNOR_ATTR_PARTS, I(2));
    builder_expect_error(&b, y, XNOR_E_SHAPE, "parts 0 or 1");
    builder_free(&b);
}

// What a plan finds when the file did not know the shapes: signs of repeated rows.
Test(edges, repeated_rows_are_taken_once) {
    builder b;
    builder_init(&b, 9);
    const cloud_shape s = {2, 6, 5};
    double weights[2][7 * 5], ones[7], zeros[7] = {0};
    for (int i = 0; i < 35; i++)
        for (int part = 0; part < 2; part++) weights[part][i] = builder_random(&b, 2) ? 1 : -1;
    for (int i = 0; i < 7; i++) ones[i] = 1;
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(s.clouds, s.points, s.channels));
    xnor_value_id edges =
        builder_input(&b, "edges", XNOR_F32, SHAPE(s.clouds, s.points, K, s.channels));
    xnor_value_id sums[2];
    for (int part = 0; part < 2; part++) {
        xnor_value_id signs = NODE(&b, XNOR_OP_BINARIZE, part ? edges : repeated(&b, x, s));
        builder_attr_float(&b, XNOR_ATTR_ALPHA, 0);
        sums[part] = NODE(&b, XNOR_OP_XNOR_LINEAR, signs,
                          builder_tensor(&b, XNOR_BITS, SHAPE(7, 5), weights[part], 35));
    }
    xnor_value_id sum = NODE(&b, XNOR_OP_XNOR_ADD, sums[0], sums[1]);
    builder_output(&b,
                   NODE(&b, XNOR_OP_AFFINE, max_of_neighbours(&b, sum),
                        builder_floats(&b, SHAPE(7), ones, 7),
                        builder_floats(&b, SHAPE(7), zeros, 7)),
                   "y");
    tensors inputs = {0};
    builder_inputs(&b, 1, &inputs);
    builder_pass(&b, xnor_pass_edges, &inputs);
    cr_expect_eq(graph_count(&b.graph, XNOR_OP_EXPAND), 0);
    for (uint32_t i = 0; i < b.graph.node_count; i++)
        if (b.graph.nodes[i].op == XNOR_OP_XNOR_ADD)
            cr_expect_eq(b.graph.values[b.graph.nodes[i].outputs[0]].shape.rank, 3);
    tensors_free(&inputs);
    builder_free(&b);
}
