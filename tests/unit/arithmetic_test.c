// Arithmetic of two reals of any shapes that broadcast: bit for bit what single precision gives.
#include <criterion/criterion.h>

#include "core/tensor.h"
#include "graph_builder.h"

static float expected(xnor_op op, float a, float b) {
    return op == XNOR_OP_ADD   ? a + b
           : op == XNOR_OP_SUB ? a - b
           : op == XNOR_OP_MUL ? a * b
                               : a / b;
}

// Element of a tensor that broadcasts to the walked shape.
static float at(const xnor_tensor *t, const int64_t *index, uint32_t rank) {
    size_t place = 0;
    for (uint32_t i = 0; i < t->shape.rank; i++) {
        const int64_t size = t->shape.dims[i];
        const int64_t k = index[i + rank - t->shape.rank];
        place = place * (size_t)size + (size_t)(size == 1 ? 0 : k);
    }
    return ((const float *)t->data)[place];
}

static void check(xnor_op op, xnor_shape x, xnor_shape z, xnor_pool *pool) {
    builder b;
    builder_init(&b, 1);
    xnor_value_id a = builder_input(&b, "a", XNOR_F32, x), c = builder_input(&b, "c", XNOR_F32, z);
    builder_output(&b, NODE(&b, op, a, c), "y");
    tensors inputs, outputs = {0};
    builder_inputs(&b, 3, &inputs);
    for (uint32_t k = 0; k < 2; k++) // no zeros to divide by
        for (size_t i = 0; i < xnor_tensor_count(&inputs.items[k]); i++)
            ((float *)inputs.items[k].data)[i] += 2.3f + (float)(i % 7);
    xnor_model *model = builder_model(&b.graph, NULL);
    builder_run(model, pool, &inputs, &outputs);
    const xnor_tensor *y = &outputs.items[0];
    for (size_t i = 0; i < xnor_tensor_count(y); i++) {
        int64_t index[XNOR_MAX_RANK];
        size_t rest = i;
        for (uint32_t k = y->shape.rank; k-- > 0; rest /= (size_t)y->shape.dims[k])
            index[k] = (int64_t)(rest % (size_t)y->shape.dims[k]);
        cr_assert_eq(((const float *)y->data)[i],
                     expected(op, at(&inputs.items[0], index, y->shape.rank),
                              at(&inputs.items[1], index, y->shape.rank)),
                     "%s, element %zu", xnor_op_name(op), i);
    }
    tensors_free(&inputs);
    tensors_free(&outputs);
    xnor_model_unref(&model);
    builder_free(&b);
}

Test(arithmetic, every_way_to_broadcast) {
    static const xnor_op ops[] = {XNOR_OP_ADD, XNOR_OP_SUB, XNOR_OP_MUL, XNOR_OP_DIV};
    static const int64_t sizes[] = {2, 90, 7, 19};
    xnor_pool *pool;
    cr_assert_eq(xnor_pool_create(2, &pool), XNOR_OK);
    for (uint32_t i = 0; i < 256; i++) {
        xnor_shape x = {4, {0}}, z = {4, {0}};
        for (uint32_t k = 0; k < 4; k++) {
            x.dims[k] = i >> k & 1 ? 1 : sizes[k];
            z.dims[k] = i >> (k + 4) & 1 ? 1 : sizes[k];
        }
        check(ops[i % 4], x, z, i % 3 ? pool : NULL);
    }
    check(XNOR_OP_SUB, SHAPE(3, 5), SHAPE(4, 1, 5), NULL);
    check(XNOR_OP_SUB, SHAPE(1), SHAPE(4, 3, 1), NULL);
    check(XNOR_OP_SUB, SCALAR, SCALAR, NULL);
    xnor_pool_free(&pool);
}
