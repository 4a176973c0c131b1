// Layers that cannot be meant are refused with the node's name.
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "graph_builder.h"
#include "passes/passes.h"

static builder b;

static void begin(void) {
    builder_init(&b, 1);
}

static void end(void) {
    builder_free(&b);
}

TestSuite(check, .init = begin, .fini = end);

static xnor_value_id input(void) {
    return builder_input(&b, "x", XNOR_F32, SHAPE(-1, 4));
}

static xnor_value_id sums(double scale) {
    const double w[8] = {scale, -scale, scale, scale, -scale, scale, scale, -scale};
    xnor_value_id weights = builder_floats(&b, SHAPE(4, 2), w, 8);
    return NODE(&b, XNOR_OP_MATMUL, NODE(&b, XNOR_OP_SIGN, input()), weights);
}

static void refused(xnor_value_id y, const char *text) {
    builder_output(&b, y, "y");
    cr_assert_eq(xnor_passes_run(&b.graph, NULL, NULL), XNOR_E_UNSUPPORTED);
    cr_assert_not_null(strstr(xnor_last_error(), text), "%s", xnor_last_error());
    cr_assert_not_null(strstr(xnor_last_error(), "node '"), "%s", xnor_last_error());
}

static void accepted(xnor_value_id y) {
    builder_output(&b, y, "y");
    cr_assert_eq(xnor_passes_run(&b.graph, NULL, NULL), XNOR_OK, "%s", xnor_last_error());
}

Test(check, a_scale_of_zero_before_the_sum) {
    refused(sums(0), "scale of a binary layer is 0");
}

Test(check, a_scale_of_zero_behind_the_sum) {
    refused(NODE(&b, XNOR_OP_MUL, sums(1), builder_floats(&b, SCALAR, D(0))),
            "scale of a binary layer is 0");
}

Test(check, one_channel_may_have_scale_zero) {
    accepted(NODE(&b, XNOR_OP_MUL, sums(1), builder_floats(&b, SHAPE(2), D(0, 1))));
}

Test(check, a_scale_computed_from_the_input) {
    xnor_value_id y = sums(1), x = b.graph.inputs[0];
    xnor_value_id scale = NODE(&b, XNOR_OP_REDUCE_MEAN, NODE(&b, XNOR_OP_ABS, x));
    builder_attr(&b, XNOR_ATTR_KEEPDIMS, I(0));
    refused(NODE(&b, XNOR_OP_MUL, y, scale), "computed from the input");
}

Test(check, a_factor_per_row_is_meant) {
    xnor_value_id y = sums(1), x = b.graph.inputs[0];
    xnor_value_id scale = NODE(&b, XNOR_OP_REDUCE_MEAN, NODE(&b, XNOR_OP_ABS, x));
    builder_attr(&b, XNOR_ATTR_AXES, I(-1));
    accepted(NODE(&b, XNOR_OP_MUL, y, scale));
}

Test(check, a_weight_that_is_no_number) {
    refused(sums(NAN), "infinite or not a number");
}

Test(check, a_shift_that_is_infinite) {
    refused(NODE(&b, XNOR_OP_ADD, sums(1), builder_floats(&b, SHAPE(2), D(0, INFINITY))),
            "infinite or not a number");
}
