// Steps that only move floats: permutations of axes and padding, bit for bit as the reference.
#include <criterion/criterion.h>

#include "core/tensor.h"
#include "graph_builder.h"
#include "ops/pad.h"
#include "ops/strided.h"

// Runs the graph as it is and compiled on two threads.
static void check(builder *b, const char *kind) {
    xnor_pool *pool;
    tensors inputs, reference = {0};
    cr_assert_eq(xnor_pool_create(2, &pool), XNOR_OK);
    builder_inputs(b, 3, &inputs);
    builder_reference(&b->graph, &inputs, &reference);
    for (int compiled = 0; compiled < 2; compiled++) {
        tensors outputs = {0};
        xnor_model *model =
            compiled ? builder_compile(b, NULL, NULL) : builder_model(&b->graph, NULL);
        xnor_plan *plan = builder_plan(model, &inputs);
        for (uint32_t i = 0; i < xnor_plan_step_count(plan); i++)
            cr_expect_str_neq(xnor_plan_step_kind(plan, i), "reference", "%s", kind);
        builder_run(model, pool, &inputs, &outputs);
        cr_expect(xnor_shape_equal(&outputs.items[0].shape, &reference.items[0].shape));
        cr_expect_eq(tensors_distance(&outputs.items[0], &reference.items[0]), 0, "%s", kind);
        tensors_free(&outputs);
        xnor_plan_unref(&plan);
        xnor_model_unref(&model);
    }
    tensors_free(&inputs);
    tensors_free(&reference);
    xnor_pool_free(&pool);
}

Test(move, every_permutation_of_four_axes) {
    for (uint32_t i = 0; i < 512; i++) {
        const int64_t perm[4] = {i & 3, i >> 2 & 3, i >> 4 & 3, i >> 6 & 3};
        uint32_t seen = 0;
        for (int k = 0; k < 4; k++) seen |= 1U << perm[k];
        if (seen != 15) continue;
        builder b;
        builder_init(&b, i);
        const xnor_shape small = SHAPE(3, 1 + i % 3, 5, 7), large = SHAPE(2, 70, 3, 129);
        xnor_value_id x = builder_input(&b, "x", XNOR_F32, i < 256 ? small : large);
        builder_output(&b, NODE(&b, XNOR_OP_TRANSPOSE, x), "y");
        builder_attr(&b, XNOR_ATTR_PERM, perm, 4);
        check(&b, "permutation");
        builder_free(&b);
    }
}

Test(move, blocks_of_pixels) {
    static const xnor_op ops[] = {XNOR_OP_DEPTH_TO_SPACE, XNOR_OP_SPACE_TO_DEPTH};
    for (uint32_t i = 0; i < 8; i++) {
        builder b;
        builder_init(&b, i);
        xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 12, 4, 6));
        if (i & 4) x = builder_input(&b, "last", XNOR_F32, SHAPE(2, 4, 6, 12));
        builder_output(&b, NODE(&b, ops[i & 1], x), "y");
        builder_attr(&b, XNOR_ATTR_BLOCKSIZE, I(2));
        builder_attr(&b, XNOR_ATTR_AXIS, I(i & 4 ? 3 : 1));
        builder_attr(&b, XNOR_ATTR_MODE, I(i & 2 ? XNOR_COLUMN_ROW_DEPTH : XNOR_DEPTH_COLUMN_ROW));
        check(&b, "blocks");
        builder_free(&b);
    }
}

Test(move, slices_of_every_step) {
    static const int64_t dims[4] = {3, 6, 5, 7};
    for (uint32_t i = 0; i < 200; i++) {
        builder b;
        builder_init(&b, i);
        int64_t starts[4], ends[4], axes[4], steps[4];
        for (uint32_t k = 0; k < 4; k++) {
            axes[k] = (k + i) % 4;
            const int64_t size = dims[axes[k]];
            starts[k] = builder_random(&b, 2);
            ends[k] = builder_once_in(&b, 2) ? INT64_MAX : size - builder_random(&b, 2);
            steps[k] = builder_once_in(&b, 2) ? 1 : 2;
            if (builder_once_in(&b, 3)) {
                starts[k] = -1 - (int64_t)builder_random(&b, 2);
                ends[k] = INT64_MIN;
                steps[k] = -1 - (int64_t)builder_random(&b, 2);
            }
        }
        const uint32_t count = 1 + builder_random(&b, 4);
        xnor_value_id x =
            builder_input(&b, "x", XNOR_F32, SHAPE(dims[0], dims[1], dims[2], dims[3]));
        builder_output(&b,
                       NODE(&b, XNOR_OP_SLICE, x, builder_ints(&b, starts, count),
                            builder_ints(&b, ends, count), builder_ints(&b, axes, count),
                            builder_ints(&b, steps, count)),
                       "y");
        check(&b, "slice");
        builder_free(&b);
    }
}

Test(move, padding_of_every_mode) {
    for (uint32_t i = 0; i < 300; i++) {
        builder b;
        builder_init(&b, i);
        const int64_t mode = i % 3, dims[4] = {2, 5, 4, 3};
        int64_t pads[8];
        for (uint32_t k = 0; k < 8; k++) {
            const uint32_t most = mode == XNOR_PAD_REFLECT ? (uint32_t)dims[k % 4] : 4;
            pads[k] = builder_once_in(&b, 2) ? builder_random(&b, most) : 0;
            if (builder_once_in(&b, 4)) pads[k] = -(int64_t)builder_random(&b, 2);
            if (k % 4 == 0) pads[k] = pads[k] < 0 ? 0 : pads[k];
        }
        xnor_value_id x =
            builder_input(&b, "x", XNOR_F32, SHAPE(dims[0], dims[1], dims[2], dims[3]));
        builder_output(
            &b,
            NODE(&b, XNOR_OP_PAD, x, builder_ints(&b, pads, 8), builder_floats(&b, SCALAR, D(0.5))),
            "y");
        builder_attr(&b, XNOR_ATTR_MODE, &mode, 1);
        check(&b, "pad");
        builder_free(&b);
    }
}

// Between convolutions all of them work with channels last.
Test(move, operators_follow_the_layout) {
    builder b;
    xnor_graph compiled;
    builder_init(&b, 1);
    double weights[36 * 4];
    for (size_t i = 0; i < 36 * 4; i++) weights[i] = (double)builder_random(&b, 9) / 4 - 1;
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(1, 4, 6, 4));
    xnor_value_id w = builder_floats(&b, SHAPE(4, 4, 3, 3), weights, 36 * 4);
    xnor_value_id y = NODE(&b, XNOR_OP_CONV, x, w);
    y = NODE(&b, XNOR_OP_PAD, y, builder_ints(&b, I(2, 1, 0, 3)), XNOR_NO_VALUE,
             builder_ints(&b, I(-1, 2)));
    y = NODE(&b, XNOR_OP_SPACE_TO_DEPTH, y);
    builder_attr(&b, XNOR_ATTR_BLOCKSIZE, I(2));
    y = NODE(&b, XNOR_OP_DEPTH_TO_SPACE, y);
    builder_attr(&b, XNOR_ATTR_BLOCKSIZE, I(2));
    builder_attr(&b, XNOR_ATTR_MODE, I(XNOR_COLUMN_ROW_DEPTH));
    y = NODE(&b, XNOR_OP_CONV, y, w);
    builder_output(&b, y, "y");
    tensors inputs, reference = {0}, outputs = {0};
    builder_inputs(&b, 3, &inputs);
    builder_reference(&b.graph, &inputs, &reference);
    xnor_model *model = builder_compile(&b, NULL, &compiled);
    builder_run(model, NULL, &inputs, &outputs);
    cr_expect_lt(tensors_distance(&outputs.items[0], &reference.items[0]), 1e-4);
    cr_expect_eq(graph_count(&compiled, XNOR_OP_TRANSPOSE), 2);
    xnor_graph_free(&compiled);
    tensors_free(&inputs);
    tensors_free(&reference);
    tensors_free(&outputs);
    xnor_model_unref(&model);
    builder_free(&b);
}
