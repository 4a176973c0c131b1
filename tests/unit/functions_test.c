// Element-wise functions and softmax: the steps against the C library in double, and against the reference.
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>

#include "core/tensor.h"
#include "exec/functions.h"
#include "graph_builder.h"

// The distance relative to the value, or to the smallest normal number.
static double error(float found, double exact) {
    return fabs((double)found - exact) / fmax(fabs(exact), FLT_MIN);
}

Test(functions, exponential_over_its_whole_range) {
    double worst = 0;
    for (float x = -87.3f; x < 88.7f; x += 0.000731f)
        worst = fmax(worst, error(xnor_exp(x), exp((double)x)));
    cr_assert_lt(worst, 1.2e-7);
    cr_assert_eq(xnor_exp(0), 1);
}

Test(functions, exponential_beyond_its_range) {
    cr_assert_eq(xnor_exp(88.8f), INFINITY);
    cr_assert_eq(xnor_exp(INFINITY), INFINITY);
    cr_assert_eq(xnor_exp(-87.4f), 0);
    cr_assert_eq(xnor_exp(-FLT_MAX), 0);
    cr_assert_eq(xnor_exp(-INFINITY), 0);
    cr_assert(isnan(xnor_exp(NAN)));
    cr_assert_lt(error(xnor_exp(88.72283f), exp(88.7228317260742)), 1.2e-7);
    cr_assert_lt(error(xnor_exp(-87.3365f), exp(-87.3365020751953)), 1.2e-7);
}

Test(functions, hyperbolic_tangent) {
    double worst = 0;
    for (float x = -12; x < 12; x += 0.0000731f)
        worst = fmax(worst, error(xnor_tanh(x), tanh((double)x)));
    cr_assert_lt(worst, 2.2e-7);
    cr_assert_lt(error(xnor_tanh(1e-20f), 1e-20), 1.2e-7);
    cr_assert_eq(xnor_tanh(INFINITY), 1);
    cr_assert_eq(xnor_tanh(-INFINITY), -1);
    cr_assert(isnan(xnor_tanh(NAN)));
}

// ---- steps --------------------------------------------------------------------------------------

static void check(builder *b, const char *kind, double tolerance, const char *what) {
    tensors inputs, reference = {0}, outputs = {0};
    builder_inputs(b, 3, &inputs);
    const size_t count = xnor_tensor_count(&inputs.items[0]);
    const double special[] = {INFINITY, -INFINITY, 100, -100, 1e-30, 40, -40, 0};
    for (size_t i = 0; i < 8 && count > 64; i++)
        xnor_tensor_set(&inputs.items[0], i * 7 + 1, special[i]);
    builder_reference(&b->graph, &inputs, &reference);
    xnor_model *model = builder_model(&b->graph, NULL);
    xnor_plan *plan = builder_plan(model, &inputs);
    cr_expect_str_eq(xnor_plan_step_kind(plan, 0), kind, "%s", what);
    builder_run(model, NULL, &inputs, &outputs);
    for (size_t i = 0; i < count; i++) {
        const double want = xnor_tensor_get(&reference.items[0], i);
        const double found = xnor_tensor_get(&outputs.items[0], i);
        const bool same =
            isnan(want) ? isnan(found)
                        : found == want || fabs(found - want) <= tolerance * fmax(1, fabs(want));
        cr_expect(same, "%s, element %zu: %g in place of %g", what, i, found, want);
    }
    xnor_plan_unref(&plan);
    xnor_model_unref(&model);
    tensors_free(&inputs);
    tensors_free(&reference);
    tensors_free(&outputs);
}

Test(functions, every_element_wise_step) {
    static const xnor_op ops[] = {
        XNOR_OP_ABS,     XNOR_OP_CEIL,         XNOR_OP_ELU,        XNOR_OP_ERF,
        XNOR_OP_EXP,     XNOR_OP_FLOOR,        XNOR_OP_LEAKY_RELU, XNOR_OP_LOG,
        XNOR_OP_NEG,     XNOR_OP_RECIPROCAL,   XNOR_OP_ROUND,      XNOR_OP_SELU,
        XNOR_OP_SIGMOID, XNOR_OP_SIGN,         XNOR_OP_SOFTPLUS,   XNOR_OP_SQRT,
        XNOR_OP_TANH,    XNOR_OP_HARD_SIGMOID, XNOR_OP_HARD_SWISH,
    };
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        builder b;
        builder_init(&b, 1);
        xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 9, 11, 13));
        builder_output(&b, NODE(&b, ops[i], x), "y");
        if (i % 2) builder_attr_float(&b, XNOR_ATTR_ALPHA, 0.375);
        check(&b, "unary", 3e-7, xnor_op_name(ops[i]));
        builder_free(&b);
    }
}

// Short rows, pairs, long ones, and along every axis.
Test(functions, softmax_along_every_axis) {
    static const xnor_shape shapes[] = {
        {3, {5, 70, 4}}, {3, {2, 3, 300}}, {4, {3, 5, 4, 19}}, {3, {3, 41, 2}}};
    for (size_t i = 0; i < 32; i++) {
        const xnor_shape shape = shapes[i / 2 % 4];
        const int64_t axis = (int64_t)(i / 8);
        const bool last = axis + 1 == (int64_t)shape.rank;
        if (axis >= (int64_t)shape.rank) continue;
        builder b;
        builder_init(&b, 1);
        xnor_value_id x = builder_input(&b, "x", XNOR_F32, shape);
        builder_output(&b, NODE(&b, i % 2 ? XNOR_OP_SOFTMAX : XNOR_OP_LOG_SOFTMAX, x), "y");
        builder_attr(&b, XNOR_ATTR_AXIS, &axis, 1);
        tensors inputs, reference = {0}, outputs = {0};
        builder_inputs(&b, 3, &inputs);
        xnor_tensor_set(&inputs.items[0], 2, 200);
        xnor_tensor_set(&inputs.items[0], 7, -INFINITY);
        builder_reference(&b.graph, &inputs, &reference);
        xnor_model *model = builder_model(&b.graph, NULL);
        xnor_plan *plan = builder_plan(model, &inputs);
        cr_expect_str_eq(xnor_plan_step_kind(plan, 0), last ? "softmax" : "softmax_columns");
        builder_run(model, NULL, &inputs, &outputs);
        for (size_t k = 0; k < xnor_tensor_count(&inputs.items[0]); k++) {
            const double want = xnor_tensor_get(&reference.items[0], k);
            const double found = xnor_tensor_get(&outputs.items[0], k);
            cr_expect(found == want || fabs(found - want) <= 1e-6 * fmax(1, fabs(want)),
                      "case %zu, element %zu: %g in place of %g", i, k, found, want);
        }
        xnor_plan_unref(&plan);
        xnor_model_unref(&model);
        tensors_free(&inputs);
        tensors_free(&reference);
        tensors_free(&outputs);
        builder_free(&b);
    }
}
