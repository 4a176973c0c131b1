// Layers over concatenations of what is known of every point stay one layer, of joined bits or ternary values.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/tensor.h"
#include "graph_builder.h"
#include "kernels/kernels.h"

// zeros: sums of an even number of signs are 0 at times, so that their signs are ternary.
static xnor_value_id binary_layer(builder *b, xnor_value_id x, int64_t in, int64_t out,
                                  bool zeros) {
    double *weights = malloc((size_t)(in * out) * sizeof *weights);
    for (int64_t i = 0; i < in * out; i++) weights[i] = builder_random(b, 2) ? 1 : -1;
    xnor_value_id w = builder_floats(b, SHAPE(in, out), weights, (size_t)(in * out));
    free(weights);
    xnor_value_id sum = NODE(b, XNOR_OP_MATMUL, NODE(b, XNOR_OP_SIGN, x), w);
    return zeros ? sum : NODE(b, XNOR_OP_ADD, sum, builder_floats(b, SCALAR, D(0.5)));
}

// points -> 64 planes -> widths[0] -> widths[1] -> widths[2]; all of these side by side -> 33
static void compare(int64_t clouds, int64_t points, const int64_t widths[3], bool max, bool zeros,
                    const char *isa) {
    builder b;
    xnor_graph compiled;
    builder_init(&b, 4);
    const xnor_shape shape = SHAPE(clouds, points, 3);
    double planes[3 * 64];
    for (int i = 0; i < 3 * 64; i++) planes[i] = (double)builder_random(&b, 9) - 4;
    xnor_value_id x = NODE(&b, XNOR_OP_MATMUL, builder_input(&b, "x", XNOR_F32, shape),
                           builder_floats(&b, SHAPE(3, 64), planes, 3 * 64));
    x = NODE(&b, XNOR_OP_ADD, x, builder_floats(&b, SCALAR, D(0.5)));
    xnor_value_id parts[3];
    int64_t in = 64, all = 0;
    for (int i = 0; i < 3; all += in, i++) {
        x = parts[i] = binary_layer(&b, x, in, widths[i], zeros);
        in = widths[i];
    }
    xnor_value_id y = NODE(&b, XNOR_OP_CONCAT, parts[0], parts[1], parts[2]);
    builder_attr(&b, XNOR_ATTR_AXIS, I(2));
    y = binary_layer(&b, y, all, 33, false);
    if (max) {
        y = NODE(&b, XNOR_OP_REDUCE_MAX, y);
        builder_attr(&b, XNOR_ATTR_AXES, I(1));
        builder_attr(&b, XNOR_ATTR_KEEPDIMS, I(0));
    }
    builder_output(&b, y, "y");
    tensors inputs = {0}, expected = {0}, found = {0};
    float *data = tensors_add(&inputs, XNOR_F32, shape)->data;
    for (int64_t i = 0; i < clouds * points * 3; i++) data[i] = (float)builder_random(&b, 7) - 3;
    builder_reference(&b.graph, &inputs, &expected);
    xnor_model *model = builder_compile(&b, isa, &compiled);
    cr_expect_eq(graph_count(&compiled, XNOR_OP_XNOR_ADD), 0);
    cr_expect_eq(graph_count(&compiled, XNOR_OP_CONCAT), 1);
    builder_run(model, NULL, &inputs, &found);
    cr_expect_eq(tensors_distance(&expected.items[0], &found.items[0]), 0);
    xnor_graph_free(&compiled);
    xnor_model_unref(&model);
    tensors_free(&inputs);
    tensors_free(&expected);
    tensors_free(&found);
    builder_free(&b);
}

Test(join, whole_words) {
    compare(1, 20, (const int64_t[]){64, 128, 64}, true, false, NULL);
}
Test(join, parts_that_end_within_words) {
    compare(2, 20, (const int64_t[]){70, 3, 60}, false, false, NULL);
    compare(1, 5, (const int64_t[]){1, 62, 2}, true, false, NULL);
}
// Enough points for the pass that merges equal codes, which the joined bits follow.
Test(join, distinct_codes) {
    compare(2, 300, (const int64_t[]){40, 64, 20}, true, false, NULL);
    compare(2, 300, (const int64_t[]){40, 64, 20}, false, false, NULL);
}
Test(join, every_instruction_set) {
    for (const char *const *isa = xnor_kernels_available(); *isa; isa++)
        compare(1, 300, (const int64_t[]){30, 30, 30}, false, false, *isa);
}

Test(join, ternary_values) {
    compare(2, 20, (const int64_t[]){64, 128, 66}, false, true, NULL);
    compare(1, 20, (const int64_t[]){70, 2, 60}, true, true, NULL);
    for (const char *const *isa = xnor_kernels_available(); *isa; isa++)
        compare(2, 300, (const int64_t[]){30, 64, 30}, false, true, *isa);
}
