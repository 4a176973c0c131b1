// Reductions and places of maxima along any neighbouring axes: the steps against the reference.
#include <criterion/criterion.h>
#include <math.h>

#include "core/tensor.h"
#include "graph_builder.h"

static builder b;

static void begin(void) {
    builder_init(&b, 1);
}

static void end(void) {
    builder_free(&b);
}

TestSuite(reduce, .init = begin, .fini = end);

// Runs the graph on one thread and on two; `first` (NaN: none) replaces the first element of the input.
static void check(const char *kind, double first, double tolerance, const char *what) {
    xnor_pool *pool;
    tensors inputs, reference = {0};
    cr_assert_eq(xnor_pool_create(2, &pool), XNOR_OK);
    builder_inputs(&b, 3, &inputs);
    if (!isnan(first)) xnor_tensor_set(&inputs.items[0], 0, first);
    builder_reference(&b.graph, &inputs, &reference);
    xnor_model *model = builder_model(&b.graph, NULL);
    xnor_plan *plan = builder_plan(model, &inputs);
    cr_expect_str_eq(xnor_plan_step_kind(plan, 0), kind, "%s", what);
    for (int threads = 1; threads <= 2; threads++) {
        tensors outputs = {0};
        builder_run(model, threads == 2 ? pool : NULL, &inputs, &outputs);
        cr_expect(xnor_shape_equal(&outputs.items[0].shape, &reference.items[0].shape));
        cr_expect_leq(tensors_distance(&outputs.items[0], &reference.items[0]), tolerance, "%s",
                      what);
        tensors_free(&outputs);
    }
    xnor_plan_unref(&plan);
    xnor_model_unref(&model);
    tensors_free(&inputs);
    tensors_free(&reference);
    xnor_pool_free(&pool);
    builder_free(&b);
    builder_init(&b, 1);
}

static const struct {
    xnor_op op;
    const char *kind;
} ops[] = {
    {XNOR_OP_REDUCE_L1, "reduce"},         {XNOR_OP_REDUCE_L2, "reduce"},
    {XNOR_OP_REDUCE_MEAN, "reduce"},       {XNOR_OP_REDUCE_SUM, "reduce"},
    {XNOR_OP_REDUCE_SUM_SQUARE, "reduce"}, {XNOR_OP_REDUCE_MAX, "extreme"},
    {XNOR_OP_REDUCE_MIN, "extreme"},
};
enum { OPS = sizeof ops / sizeof *ops };

static void reduce(size_t op, xnor_shape shape, uint32_t mask, bool keep) {
    int64_t axes[XNOR_MAX_RANK];
    uint32_t count = 0;
    for (uint32_t i = 0; i < shape.rank; i++)
        if (mask >> i & 1) axes[count++] = i;
    builder_output(&b, NODE(&b, ops[op].op, builder_input(&b, "x", XNOR_F32, shape)), "y");
    builder_attr(&b, XNOR_ATTR_AXES, axes, count);
    builder_attr(&b, XNOR_ATTR_KEEPDIMS, I(keep));
}

Test(reduce, neighbouring_axes) {
    for (size_t op = 0; op < OPS; op++)
        for (uint32_t mask = 1; mask < 16; mask++) {
            const uint32_t all = mask / (mask & -mask);
            const bool apart = (all & (all + 1)) != 0;
            reduce(op, SHAPE(3, 70, 9, 5), mask, mask % 2);
            check(apart ? "reference" : ops[op].kind, NAN, 1e-4, xnor_op_name(ops[op].op));
        }
}

// So many rows that threads share them.
Test(reduce, whole_pictures) {
    for (size_t op = 0; op < OPS; op++) {
        reduce(op, SHAPE(2, 90, 100, 67), 6, false);
        check(ops[op].kind, NAN, 1e-2, xnor_op_name(ops[op].op));
    }
}

Test(reduce, what_is_no_number_stays) {
    static const xnor_shape shapes[] = {{2, {3, 40}}, {2, {3, 5}}, {2, {40, 3}}};
    for (size_t i = 0; i < 6; i++) {
        const xnor_shape shape = shapes[i / 2];
        reduce(i % 2 ? OPS - 1 : OPS - 2, shape, i / 2 == 2 ? 1 : 2, false);
        tensors inputs, outputs = {0};
        builder_inputs(&b, 3, &inputs);
        const size_t place = i / 2 == 2 ? 2 * 3 : 2;
        xnor_tensor_set(&inputs.items[0], place, NAN);
        xnor_model *model = builder_model(&b.graph, NULL);
        builder_run(model, NULL, &inputs, &outputs);
        cr_expect(isnan(xnor_tensor_get(&outputs.items[0], 0)), "case %zu", i);
        cr_expect_not(isnan(xnor_tensor_get(&outputs.items[0], 1)), "case %zu", i);
        tensors_free(&inputs);
        tensors_free(&outputs);
        xnor_model_unref(&model);
        builder_free(&b);
        builder_init(&b, 1);
    }
}

// The numbers are few, so many are equal.
Test(reduce, places_with_ties) {
    static const xnor_shape shapes[] = {{3, {3, 50, 19}}, {3, {2, 7, 70}}, {3, {50, 1, 100}}};
    for (size_t i = 0; i < 36; i++) {
        const int64_t axis = (int64_t)(i / 4 % 3), last = i % 2;
        xnor_value_id x = builder_input(&b, "x", XNOR_F32, shapes[i / 12]);
        builder_output(&b, NODE(&b, i & 2 ? XNOR_OP_ARG_MIN : XNOR_OP_ARG_MAX, x), "y");
        builder_attr(&b, XNOR_ATTR_AXIS, &axis, 1);
        builder_attr(&b, XNOR_ATTR_SELECT_LAST_INDEX, &last, 1);
        builder_attr(&b, XNOR_ATTR_KEEPDIMS, I((int64_t)i % 3 == 0));
        check("place", i % 5 == 0 ? INFINITY : NAN, 0, "place");
    }
}
