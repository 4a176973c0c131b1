// Comparisons, logic and choices by it, of any shapes that broadcast: what the reference gives, without it.
#include <criterion/criterion.h>
#include <math.h>

#include "core/tensor.h"
#include "graph_builder.h"

static xnor_pool *pool;

static void begin(void) {
    cr_assert_eq(xnor_pool_create(2, &pool), XNOR_OK);
}

static void end(void) {
    xnor_pool_free(&pool);
}

TestSuite(truth, .init = begin, .fini = end);

// Values of which many are equal; among reals some that are no number, and both zeros.
static void fill(builder *b, xnor_tensor *t) {
    static const float odd[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f};
    const size_t count = xnor_tensor_count(t);
    for (size_t i = 0; i < count; i++) {
        const uint32_t random = builder_random(b, 8);
        if (t->dtype == XNOR_F32)
            ((float *)t->data)[i] =
                builder_once_in(b, 6) ? odd[builder_random(b, 5)] : (float)random / 4 - 1;
        else if (t->dtype == XNOR_I64)
            ((int64_t *)t->data)[i] = (int64_t)random - 4;
        else
            ((uint8_t *)t->data)[i] = random % 2;
    }
}

static void check(xnor_op op, const xnor_dtype *dtypes, const xnor_shape *shapes, uint32_t count,
                  const char *kind, bool shared) {
    static const char *const names[] = {"a", "b", "c"};
    builder b;
    builder_init(&b, shapes[0].rank + (uint64_t)shapes[0].dims[0]);
    xnor_value_id ids[3];
    tensors inputs = {0}, reference = {0}, outputs = {0};
    for (uint32_t k = 0; k < count; k++) {
        ids[k] = builder_input(&b, names[k], dtypes[k], shapes[k]);
        fill(&b, tensors_add(&inputs, dtypes[k], shapes[k]));
    }
    builder_output(&b, builder_node(&b, op, ids, count, 1), "y");
    if (op == XNOR_OP_CAST) builder_attr(&b, XNOR_ATTR_TO, I(XNOR_F32));
    cr_assert_eq(xnor_graph_verify(&b.graph), XNOR_OK, "%s", xnor_last_error());
    builder_reference(&b.graph, &inputs, &reference);
    xnor_model *model = builder_model(&b.graph, NULL);
    xnor_plan *plan = builder_plan(model, &inputs);
    cr_expect_str_eq(xnor_plan_step_kind(plan, 0), kind, "%s", xnor_op_name(op));
    builder_run(model, shared ? pool : NULL, &inputs, &outputs);
    const xnor_tensor *want = &reference.items[0], *found = &outputs.items[0];
    cr_assert(xnor_shape_equal(&want->shape, &found->shape) && want->dtype == found->dtype);
    for (size_t i = 0; i < xnor_tensor_count(want); i++) {
        const double x = xnor_tensor_get(want, i), y = xnor_tensor_get(found, i);
        cr_assert(x == y || (isnan(x) && isnan(y)), "%s, element %zu: %g in place of %g",
                  xnor_op_name(op), i, y, x);
    }
    xnor_plan_unref(&plan);
    xnor_model_unref(&model);
    tensors_free(&inputs);
    tensors_free(&reference);
    tensors_free(&outputs);
    builder_free(&b);
}

static const int64_t sizes[] = {2, 90, 7, 19};

// [2, 90, 7, 19] with axes of size 1 by `ones`.
static xnor_shape with_ones(uint32_t ones) {
    xnor_shape shape = {4, {0}};
    for (uint32_t k = 0; k < 4; k++) shape.dims[k] = ones >> k & 1 ? 1 : sizes[k];
    return shape;
}

Test(truth, every_way_to_broadcast) {
    static const xnor_op compare[] = {XNOR_OP_EQUAL, XNOR_OP_GREATER, XNOR_OP_GREATER_OR_EQUAL,
                                      XNOR_OP_LESS, XNOR_OP_LESS_OR_EQUAL};
    static const xnor_op logic[] = {XNOR_OP_AND, XNOR_OP_OR, XNOR_OP_XOR, XNOR_OP_EQUAL};
    static const xnor_dtype reals[] = {XNOR_F32, XNOR_F32}, indices[] = {XNOR_I64, XNOR_I64},
                            truths[] = {XNOR_BOOL, XNOR_BOOL};
    for (uint32_t i = 0; i < 256; i++) {
        const xnor_shape shapes[] = {with_ones(i), with_ones(i >> 4)};
        check(compare[i % 5], reals, shapes, 2, "truth", i % 3 != 0);
        check(compare[i % 5], indices, shapes, 2, "truth", i % 3 != 0);
        check(logic[i % 4], truths, shapes, 2, "truth", i % 3 != 0);
    }
    check(XNOR_OP_LESS, reals, (const xnor_shape[]){SHAPE(3, 5), SHAPE(4, 1, 5)}, 2, "truth",
          false);
    check(XNOR_OP_LESS, reals, (const xnor_shape[]){SCALAR, SHAPE(3)}, 2, "truth", false);
    check(XNOR_OP_LESS, reals, (const xnor_shape[]){SCALAR, SCALAR}, 2, "truth", false);
}

Test(truth, chooses_with_every_way_to_broadcast) {
    static const xnor_dtype dtypes[] = {XNOR_BOOL, XNOR_F32, XNOR_F32};
    for (uint32_t i = 0; i < 4096; i += 3) {
        const xnor_shape shapes[] = {with_ones(i), with_ones(i >> 4), with_ones(i >> 8)};
        check(XNOR_OP_WHERE, dtypes, shapes, 3, "where", i % 2);
    }
    check(XNOR_OP_WHERE, dtypes, (const xnor_shape[]){SHAPE(4, 5), SCALAR, SCALAR}, 3, "where",
          false);
    check(XNOR_OP_WHERE, dtypes, (const xnor_shape[]){SCALAR, SCALAR, SHAPE(5)}, 3, "where", false);
}

Test(truth, is_turned_and_becomes_a_number) {
    static const xnor_dtype truth = XNOR_BOOL;
    for (uint32_t i = 0; i < 16; i++) {
        const xnor_shape shape = with_ones(i);
        check(XNOR_OP_NOT, &truth, &shape, 1, "truth", i % 2);
        check(XNOR_OP_CAST, &truth, &shape, 1, "number", i % 2);
    }
}

Test(truth, other_types_are_left_to_the_reference) {
    static const xnor_dtype bytes[] = {XNOR_U8, XNOR_U8}, mixed[] = {XNOR_F32, XNOR_I64};
    const xnor_shape shapes[] = {SHAPE(3, 4), SHAPE(4)};
    check(XNOR_OP_EQUAL, bytes, shapes, 2, "reference", false);
    check(XNOR_OP_LESS, mixed, shapes, 2, "reference", false);
}
