// Operators that move, choose or reshape elements. Expected values are worked out by hand from the
// ONNX specification.
#include <criterion/criterion.h>

#include "graph_builder.h"

static builder b;

static void begin(void) {
    builder_init(&b, 1);
}

static void end(void) {
    builder_free(&b);
}

TestSuite(ops_shape, .init = begin, .fini = end);

static xnor_value_id matrix(void) {
    return builder_floats(&b, SHAPE(2, 3), D(1, 2, 3, 4, 5, 6));
}

// ---- views --------------------------------------------------------------------------------------

Test(ops_shape, reshape_copies_zeros_and_infers_minus_one) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 3, 2), D(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
    builder_expect(&b, NODE(&b, XNOR_OP_RESHAPE, x, builder_ints(&b, I(0, -1))), SHAPE(2, 6),
                   D(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
    builder_expect(&b, NODE(&b, XNOR_OP_RESHAPE, x, builder_ints(&b, I(-1, 0, 1, 2))),
                   SHAPE(2, 3, 1, 2), D(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
    builder_expect(&b, NODE(&b, XNOR_OP_RESHAPE, x, builder_ints(&b, I(12))), SHAPE(12),
                   D(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
}

Test(ops_shape, reshape_with_allowzero_makes_empty_axes) {
    xnor_value_id x = builder_floats(&b, SHAPE(0, 3), NULL, 0);
    xnor_value_id y = NODE(&b, XNOR_OP_RESHAPE, x, builder_ints(&b, I(3, 0)));
    builder_attr(&b, XNOR_ATTR_ALLOWZERO, I(1));
    builder_output(&b, y, "y");
    cr_assert_eq(xnor_graph_verify(&b.graph), XNOR_OK, "%s", xnor_last_error());
    cr_assert_eq(b.graph.values[y].shape.dims[0], 3);
    cr_assert_eq(b.graph.values[y].shape.dims[1], 0);
}

Test(ops_shape, reshape_refuses_what_does_not_fit) {
    builder_expect_error(&b, NODE(&b, XNOR_OP_RESHAPE, matrix(), builder_ints(&b, I(4, -1))),
                         XNOR_E_SHAPE, "'/Reshape_0' (Reshape): [2, 3] does not fit [4, ?]");
}

Test(ops_shape, reshape_refuses_two_unknown_axes) {
    builder_expect_error(&b, NODE(&b, XNOR_OP_RESHAPE, matrix(), builder_ints(&b, I(-1, -1))),
                         XNOR_E_SHAPE, "-1 is given twice");
}

Test(ops_shape, reshape_refuses_a_zero_beyond_the_input) {
    builder_expect_error(&b, NODE(&b, XNOR_OP_RESHAPE, matrix(), builder_ints(&b, I(2, 3, 0))),
                         XNOR_E_SHAPE, "0 at axis 2 of a rank 2 input");
}

Test(ops_shape, flatten_splits_at_its_axis) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 1, 2), D(1, 2, 3, 4));
    builder_expect(&b, NODE(&b, XNOR_OP_FLATTEN, x), SHAPE(2, 2), D(1, 2, 3, 4));
    xnor_value_id all = NODE(&b, XNOR_OP_FLATTEN, x);
    builder_attr(&b, XNOR_ATTR_AXIS, I(0));
    builder_expect(&b, all, SHAPE(1, 4), D(1, 2, 3, 4));
    xnor_value_id last = NODE(&b, XNOR_OP_FLATTEN, x);
    builder_attr(&b, XNOR_ATTR_AXIS, I(-1));
    builder_expect(&b, last, SHAPE(2, 2), D(1, 2, 3, 4));
    xnor_value_id rows = NODE(&b, XNOR_OP_FLATTEN, x);
    builder_attr(&b, XNOR_ATTR_AXIS, I(3));
    builder_expect(&b, rows, SHAPE(4, 1), D(1, 2, 3, 4));
}

Test(ops_shape, squeeze_and_unsqueeze) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 2, 1), D(1, 2));
    builder_expect(&b, NODE(&b, XNOR_OP_SQUEEZE, x), SHAPE(2), D(1, 2));
    builder_expect(&b, NODE(&b, XNOR_OP_SQUEEZE, x, builder_ints(&b, I(-1))), SHAPE(1, 2), D(1, 2));
    xnor_value_id more = NODE(&b, XNOR_OP_UNSQUEEZE, x, builder_ints(&b, I(-1, 0)));
    builder_expect(&b, more, SHAPE(1, 1, 2, 1, 1), D(1, 2));
    xnor_value_id old = NODE(&b, XNOR_OP_UNSQUEEZE, x);
    builder_attr(&b, XNOR_ATTR_AXES, I(1));
    builder_expect(&b, old, SHAPE(1, 1, 2, 1), D(1, 2));
}

Test(ops_shape, squeeze_refuses_an_axis_with_elements) {
    builder_expect_error(&b, NODE(&b, XNOR_OP_SQUEEZE, matrix(), builder_ints(&b, I(0))),
                         XNOR_E_SHAPE, "'/Squeeze_0' (Squeeze): axis 0 has 2 elements");
}

Test(ops_shape, an_axis_given_twice_is_refused) {
    builder_expect_error(&b, NODE(&b, XNOR_OP_UNSQUEEZE, matrix(), builder_ints(&b, I(0, -4))),
                         XNOR_E_SHAPE, "axis 0 is given twice");
}

Test(ops_shape, shape_and_size_are_numbers) {
    xnor_value_id x = matrix();
    builder_expect(&b, NODE(&b, XNOR_OP_SHAPE, x), SHAPE(2), D(2, 3));
    builder_expect(&b, NODE(&b, XNOR_OP_SIZE, x), SCALAR, D(6));
}

// ---- moves --------------------------------------------------------------------------------------

Test(ops_shape, transpose_reverses_axes_unless_told) {
    builder_expect(&b, NODE(&b, XNOR_OP_TRANSPOSE, matrix()), SHAPE(3, 2), D(1, 4, 2, 5, 3, 6));
    xnor_value_id x = builder_floats(&b, SHAPE(2, 2, 3), D(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
    xnor_value_id y = NODE(&b, XNOR_OP_TRANSPOSE, x);
    builder_attr(&b, XNOR_ATTR_PERM, I(2, 0, 1));
    builder_expect(&b, y, SHAPE(3, 2, 2), D(1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12));
    xnor_value_id z = NODE(&b, XNOR_OP_TRANSPOSE, x);
    builder_attr(&b, XNOR_ATTR_PERM, I(0, 2, 1));
    builder_expect(&b, z, SHAPE(2, 3, 2), D(1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12));
    xnor_value_id mixed = NODE(&b, XNOR_OP_TRANSPOSE, x);
    builder_attr(&b, XNOR_ATTR_PERM, I(2, 1, 0));
    builder_expect(&b, mixed, SHAPE(3, 2, 2), D(1, 7, 4, 10, 2, 8, 5, 11, 3, 9, 6, 12));
}

Test(ops_shape, transpose_refuses_what_is_no_permutation) {
    xnor_value_id y = NODE(&b, XNOR_OP_TRANSPOSE, matrix());
    builder_attr(&b, XNOR_ATTR_PERM, I(1, 1));
    builder_expect_error(&b, y, XNOR_E_SHAPE, "'/Transpose_0' (Transpose): perm is no permutation");
}

Test(ops_shape, concat_and_split_are_inverse) {
    xnor_value_id x = matrix(), column = builder_floats(&b, SHAPE(2, 1), D(7, 8));
    xnor_value_id wide = NODE(&b, XNOR_OP_CONCAT, x, column);
    builder_attr(&b, XNOR_ATTR_AXIS, I(-1));
    builder_expect(&b, wide, SHAPE(2, 4), D(1, 2, 3, 7, 4, 5, 6, 8));
    xnor_value_id parts = NODE_OUTPUTS(&b, XNOR_OP_SPLIT, 2, wide, builder_ints(&b, I(1, 3)));
    builder_attr(&b, XNOR_ATTR_AXIS, I(1));
    builder_expect(&b, parts, SHAPE(2, 1), D(1, 4));
    builder_expect(&b, parts + 1, SHAPE(2, 3), D(2, 3, 7, 5, 6, 8));
}

Test(ops_shape, split_without_sizes_leaves_the_last_part_shorter) {
    xnor_value_id x = builder_floats(&b, SHAPE(5), D(1, 2, 3, 4, 5));
    xnor_value_id parts = NODE_OUTPUTS(&b, XNOR_OP_SPLIT, 2, x);
    builder_expect(&b, parts, SHAPE(3), D(1, 2, 3));
    builder_expect(&b, parts + 1, SHAPE(2), D(4, 5));
}

Test(ops_shape, concat_refuses_other_sizes) {
    xnor_value_id y = NODE(&b, XNOR_OP_CONCAT, matrix(), builder_floats(&b, SHAPE(1, 2), D(1, 2)));
    builder_attr(&b, XNOR_ATTR_AXIS, I(0));
    builder_expect_error(&b, y, XNOR_E_SHAPE, "'/Concat_0' (Concat): [1, 2] beside [2, 3]");
}

Test(ops_shape, split_refuses_sizes_that_do_not_add_up) {
    xnor_value_id y = NODE_OUTPUTS(&b, XNOR_OP_SPLIT, 2, matrix(), builder_ints(&b, I(1, 3)));
    builder_attr(&b, XNOR_ATTR_AXIS, I(1));
    builder_expect_error(&b, y, XNOR_E_SHAPE, "sizes add to 4, the axis has 3");
}

static xnor_value_id slice(xnor_value_id x, int64_t start, int64_t stop, int64_t axis,
                           int64_t step) {
    return NODE(&b, XNOR_OP_SLICE, x, builder_ints(&b, I(start)), builder_ints(&b, I(stop)),
                builder_ints(&b, I(axis)), builder_ints(&b, I(step)));
}

Test(ops_shape, slice_clamps_and_counts_from_the_end) {
    xnor_value_id x = builder_floats(&b, SHAPE(5), D(0, 1, 2, 3, 4));
    builder_expect(&b, slice(x, 1, 4, 0, 1), SHAPE(3), D(1, 2, 3));
    builder_expect(&b, slice(x, -2, INT64_MAX, 0, 1), SHAPE(2), D(3, 4));
    builder_expect(&b, slice(x, -100, 2, -1, 1), SHAPE(2), D(0, 1));
    builder_expect(&b, slice(x, 0, 5, 0, 2), SHAPE(3), D(0, 2, 4));
    builder_expect(&b, slice(x, 1, 100, 0, 3), SHAPE(2), D(1, 4));
}

Test(ops_shape, slice_steps_backwards) {
    xnor_value_id x = builder_floats(&b, SHAPE(5), D(0, 1, 2, 3, 4));
    builder_expect(&b, slice(x, -1, INT64_MIN, 0, -1), SHAPE(5), D(4, 3, 2, 1, 0));
    builder_expect(&b, slice(x, 100, 0, 0, -2), SHAPE(2), D(4, 2));
    builder_expect(&b, slice(x, 3, 1, 0, -1), SHAPE(2), D(3, 2));
}

Test(ops_shape, slice_of_several_axes_in_any_order) {
    xnor_value_id y = NODE(&b, XNOR_OP_SLICE, matrix(), builder_ints(&b, I(1, 0)),
                           builder_ints(&b, I(3, 1)), builder_ints(&b, I(1, 0)));
    builder_expect(&b, y, SHAPE(1, 2), D(2, 3));
    xnor_value_id z =
        NODE(&b, XNOR_OP_SLICE, matrix(), builder_ints(&b, I(1)), builder_ints(&b, I(2)));
    builder_expect(&b, z, SHAPE(1, 3), D(4, 5, 6));
}

Test(ops_shape, slice_refuses_step_zero) {
    builder_expect_error(&b, slice(matrix(), 0, 1, 0, 0), XNOR_E_SHAPE,
                         "'/Slice_0' (Slice): step 0");
}

Test(ops_shape, expand_broadcasts_either_way) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 1), D(1, 2));
    builder_expect(&b, NODE(&b, XNOR_OP_EXPAND, x, builder_ints(&b, I(2, 1, 3))), SHAPE(2, 2, 3),
                   D(1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2));
    builder_expect(&b, NODE(&b, XNOR_OP_EXPAND, x, builder_ints(&b, I(1))), SHAPE(2, 1), D(1, 2));
}

Test(ops_shape, tile_repeats_along_axes) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 2), D(1, 2, 3, 4));
    builder_expect(&b, NODE(&b, XNOR_OP_TILE, x, builder_ints(&b, I(2, 2))), SHAPE(4, 4),
                   D(1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4));
    builder_expect_error(&b, NODE(&b, XNOR_OP_TILE, x, builder_ints(&b, I(2))), XNOR_E_SHAPE,
                         "(Tile): 1 repeats for rank 2");
}

// ---- choices ------------------------------------------------------------------------------------

Test(ops_shape, gather_along_axes_with_negative_indices) {
    xnor_value_id x = matrix();
    xnor_value_id columns = NODE(&b, XNOR_OP_GATHER, x, builder_ints(&b, I(-1, 0)));
    builder_attr(&b, XNOR_ATTR_AXIS, I(1));
    builder_expect(&b, columns, SHAPE(2, 2), D(3, 1, 6, 4));
    xnor_value_id one = builder_tensor(&b, XNOR_I64, SCALAR, D(1));
    builder_expect(&b, NODE(&b, XNOR_OP_GATHER, x, one), SHAPE(3), D(4, 5, 6));
    xnor_value_id square = builder_tensor(&b, XNOR_I64, SHAPE(2, 2), D(0, 1, 1, 0));
    builder_expect(&b, NODE(&b, XNOR_OP_GATHER, x, square), SHAPE(2, 2, 3),
                   D(1, 2, 3, 4, 5, 6, 4, 5, 6, 1, 2, 3));
}

Test(ops_shape, gather_refuses_an_index_outside) {
    builder_expect_error(&b, NODE(&b, XNOR_OP_GATHER, matrix(), builder_ints(&b, I(2))),
                         XNOR_E_ARGUMENT, "'/Gather_0' (Gather): index 2 of 2 elements");
}

Test(ops_shape, gather_elements_and_tuples) {
    xnor_value_id x = matrix();
    xnor_value_id picks = builder_tensor(&b, XNOR_I64, SHAPE(2, 2), D(2, 0, -1, 1));
    xnor_value_id y = NODE(&b, XNOR_OP_GATHER_ELEMENTS, x, picks);
    builder_attr(&b, XNOR_ATTR_AXIS, I(1));
    builder_expect(&b, y, SHAPE(2, 2), D(3, 1, 6, 5));
    xnor_value_id tuples = builder_tensor(&b, XNOR_I64, SHAPE(2, 2), D(1, 2, 0, -3));
    builder_expect(&b, NODE(&b, XNOR_OP_GATHER_ND, x, tuples), SHAPE(2), D(6, 1));
    xnor_value_id rows = builder_tensor(&b, XNOR_I64, SHAPE(1, 1), D(1));
    builder_expect(&b, NODE(&b, XNOR_OP_GATHER_ND, x, rows), SHAPE(1, 3), D(4, 5, 6));
}

Test(ops_shape, arg_max_takes_the_first_of_equals) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 3), D(1, 3, 3, 0, 0, -1));
    xnor_value_id first = NODE(&b, XNOR_OP_ARG_MAX, x);
    builder_attr(&b, XNOR_ATTR_AXIS, I(1));
    builder_expect(&b, first, SHAPE(2, 1), D(1, 0));
    xnor_value_id last = NODE(&b, XNOR_OP_ARG_MAX, x);
    builder_attr(&b, XNOR_ATTR_AXIS, I(-1));
    builder_attr(&b, XNOR_ATTR_SELECT_LAST_INDEX, I(1));
    builder_attr(&b, XNOR_ATTR_KEEPDIMS, I(0));
    builder_expect(&b, last, SHAPE(2), D(2, 1));
    builder_expect(&b, NODE(&b, XNOR_OP_ARG_MIN, x), SHAPE(1, 3), D(1, 1, 1));
}

Test(ops_shape, top_k_orders_ties_by_index) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 4), D(1, 5, 5, 2, 7, 7, 7, 7));
    xnor_value_id best = NODE_OUTPUTS(&b, XNOR_OP_TOP_K, 2, x, builder_ints(&b, I(3)));
    builder_expect(&b, best, SHAPE(2, 3), D(5, 5, 2, 7, 7, 7));
    builder_expect(&b, best + 1, SHAPE(2, 3), D(1, 2, 3, 0, 1, 2));
    xnor_value_id least = NODE_OUTPUTS(&b, XNOR_OP_TOP_K, 2, x, builder_ints(&b, I(1)));
    builder_attr(&b, XNOR_ATTR_AXIS, I(0));
    builder_attr(&b, XNOR_ATTR_LARGEST, I(0));
    builder_expect(&b, least, SHAPE(1, 4), D(1, 5, 5, 2));
    builder_expect(&b, least + 1, SHAPE(1, 4), D(0, 0, 0, 0));
    builder_expect_error(&b, NODE(&b, XNOR_OP_TOP_K, x, builder_ints(&b, I(5))), XNOR_E_SHAPE,
                         "(TopK): k = 5 of 4 elements");
}

Test(ops_shape, range_and_constant_of_shape) {
    xnor_value_id from = builder_floats(&b, SCALAR, D(3)), to = builder_floats(&b, SCALAR, D(-1));
    xnor_value_id step = builder_floats(&b, SCALAR, D(-1.5));
    builder_expect(&b, NODE(&b, XNOR_OP_RANGE, from, to, step), SHAPE(3), D(3, 1.5, 0));
    builder_expect(&b, NODE(&b, XNOR_OP_CONSTANT_OF_SHAPE, builder_ints(&b, I(1, 2))), SHAPE(1, 2),
                   D(0, 0));
    xnor_value_id fill = builder_tensor(&b, XNOR_I64, SHAPE(1), D(7));
    builder_expect(&b, NODE(&b, XNOR_OP_CONSTANT_OF_SHAPE, builder_ints(&b, I(2)), fill), SHAPE(2),
                   D(7, 7));
}

// ---- blocks of pixels ---------------------------------------------------------------------------

// Two channels of 2 x 2 pixels from 8 of one pixel each, in both orders, and back.
Test(ops_shape, depth_becomes_space_in_both_orders) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 8, 1, 1), D(0, 1, 2, 3, 4, 5, 6, 7));
    xnor_value_id depth_first = NODE(&b, XNOR_OP_DEPTH_TO_SPACE, x);
    builder_attr(&b, XNOR_ATTR_BLOCKSIZE, I(2));
    builder_expect(&b, depth_first, SHAPE(1, 2, 2, 2), D(0, 2, 4, 6, 1, 3, 5, 7));
    xnor_value_id column_first = NODE(&b, XNOR_OP_DEPTH_TO_SPACE, x);
    builder_attr(&b, XNOR_ATTR_BLOCKSIZE, I(2));
    builder_attr(&b, XNOR_ATTR_MODE, I(1));
    builder_expect(&b, column_first, SHAPE(1, 2, 2, 2), D(0, 1, 2, 3, 4, 5, 6, 7));
}

Test(ops_shape, space_becomes_depth) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 1, 2, 4), D(1, 2, 3, 4, 5, 6, 7, 8));
    xnor_value_id y = NODE(&b, XNOR_OP_SPACE_TO_DEPTH, x);
    builder_attr(&b, XNOR_ATTR_BLOCKSIZE, I(2));
    builder_expect(&b, y, SHAPE(1, 4, 1, 2), D(1, 3, 2, 4, 5, 7, 6, 8));
}

Test(ops_shape, blocks_refuse_sizes_that_do_not_fit) {
    xnor_value_id y =
        NODE(&b, XNOR_OP_DEPTH_TO_SPACE, builder_floats(&b, SHAPE(1, 2, 1, 1), D(1, 2)));
    builder_attr(&b, XNOR_ATTR_BLOCKSIZE, I(2));
    builder_expect_error(&b, y, XNOR_E_SHAPE, "blocks of 2 pixels a side do not fit [1, 2, 1, 1]");
}

// ---- Pad ----------------------------------------------------------------------------------------

Test(ops_shape, pad_in_every_mode) {
    static const double expected[3][24] = {
        {7, 7, 7, 7, 7, 7, 1, 2, 3, 7, 7, 4, 5, 6, 7, 7, 7, 7, 7, 7},
        {1, 1, 2, 3, 3, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6, 4, 4, 5, 6, 6},
        {5, 4, 5, 6, 5, 2, 1, 2, 3, 2, 5, 4, 5, 6, 5, 2, 1, 2, 3, 2}};
    for (int64_t mode = 0; mode < 3; mode++) {
        xnor_value_id y = NODE(&b, XNOR_OP_PAD, matrix(), builder_ints(&b, I(1, 1, 1, 1)),
                               builder_floats(&b, SCALAR, D(7)));
        builder_attr(&b, XNOR_ATTR_MODE, &mode, 1);
        builder_expect(&b, y, SHAPE(4, 5), expected[mode], 20);
    }
}

Test(ops_shape, pad_of_some_axes_and_of_less_than_nothing) {
    xnor_value_id y = NODE(&b, XNOR_OP_PAD, matrix(), builder_ints(&b, I(-1, 2)), XNOR_NO_VALUE,
                           builder_ints(&b, I(-1)));
    builder_expect(&b, y, SHAPE(2, 4), D(2, 3, 0, 0, 5, 6, 0, 0));
}

Test(ops_shape, pad_refuses_what_does_not_fit) {
    static const int64_t pads[][4] = {{-2, 0, -1, 0}, {0, 3, 0, 0}, {INT64_MAX, 0, 0, 0}};
    for (size_t i = 0; i < 3; i++) {
        xnor_value_id y = NODE(&b, XNOR_OP_PAD, matrix(), builder_ints(&b, pads[i], 4));
        builder_attr(&b, XNOR_ATTR_MODE, I(2));
        builder_expect_error(&b, y, XNOR_E_SHAPE, "the padding does not fit [2, 3]");
    }
}
