// All passes together: random networks must compute what they computed before, with integers where
// they can.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tensor.h"
#include "exec/plan.h"
#include "graph/print.h"
#include "network_builder.h"
#include "passes/passes.h"

static uint32_t argmax(const xnor_tensor *t, size_t row) {
    size_t n = (size_t)xnor_shape_last(&t->shape), best = 0;
    for (size_t c = 1; c < n; c++)
        if (xnor_tensor_get(t, row * n + c) > xnor_tensor_get(t, row * n + best)) best = c;
    return (uint32_t)best;
}

static void compare(const builder *b, const xnor_graph *compiled, uint32_t seed, const char *isa,
                    const tensors *want, const tensors *found) {
    cr_assert_eq(want->count, found->count);
    for (uint32_t i = 0; i < want->count; i++) {
        double distance = tensors_distance(&want->items[i], &found->items[i]);
        if (!(distance <= 1e-4)) {
            xnor_graph_print(&b->graph, stderr);
            xnor_graph_print(compiled, stderr);
            cr_assert_fail("seed %u, %s: output %u differs by %g", seed, isa, i, distance);
        }
        for (size_t row = 0; row < xnor_shape_rows(&want->items[i].shape); row++)
            cr_assert_eq(argmax(&want->items[i], row), argmax(&found->items[i], row),
                         "seed %u, %s: label of row %zu", seed, isa, row);
    }
}

static void check_network(uint32_t seed) {
    builder b;
    builder_init(&b, seed);
    random_network net = network_random(&b);
    tensors inputs, want, found;
    network_points(&b, net.layout, 2, 4, &inputs);
    cr_assert_eq(xnor_graph_verify(&b.graph), XNOR_OK, "seed %u: %s", seed, xnor_last_error());
    builder_reference(&b.graph, &inputs, &want);

    for (const char *const *isa = xnor_kernels_available(); *isa; isa++) {
        xnor_graph compiled;
        xnor_model *model = builder_compile(&b, *isa, &compiled);
        builder_run(model, NULL, &inputs, &found);
        compare(&b, &compiled, seed, *isa, &want, &found);
        tensors_free(&found);

        static const xnor_op products[] = {XNOR_OP_LINEAR, XNOR_OP_MATMUL, XNOR_OP_GEMM,
                                           XNOR_OP_CONV};
        uint32_t floats = 0;
        for (int i = 0; i < 4; i++) floats += graph_count(&compiled, products[i]);
        if (floats != net.float_layers) xnor_graph_print(&compiled, stderr);
        cr_assert_eq(floats, net.float_layers, "seed %u: %u float layers, expected %u", seed,
                     floats, net.float_layers);
        cr_assert_geq(graph_count(&compiled, XNOR_OP_XNOR_LINEAR), net.binary_layers, "seed %u",
                      seed);
        cr_assert_eq(graph_count(&compiled, XNOR_OP_SIGN), 0, "seed %u", seed);
        cr_assert_eq(graph_count(&compiled, XNOR_OP_BATCH_NORMALIZATION), 0, "seed %u", seed);
        xnor_model_unref(&model);
        xnor_graph_free(&compiled);
    }
    tensors_free(&want);
    tensors_free(&inputs);
    builder_free(&b);
}

// Four tests, so that they run in parallel. XNORD_TEST_SEED=n checks one network.
static void check_networks(uint32_t first, uint32_t count) {
    const char *one = getenv("XNORD_TEST_SEED");
    if (one) {
        check_network((uint32_t)strtoul(one, NULL, 10));
        return;
    }
    for (uint32_t seed = first; seed < first + count; seed++) check_network(seed);
}

Test(passes, random_networks_a) {
    check_networks(1, 60);
}

Test(passes, random_networks_b) {
    check_networks(1001, 60);
}

Test(passes, random_networks_c) {
    check_networks(2001, 60);
}

Test(passes, random_networks_d) {
    check_networks(3001, 60);
}

Test(passes, an_unknown_pass_is_refused_with_the_list_of_passes) {
    xnor_graph graph;
    xnor_graph_init(&graph);
    cr_assert_eq(xnor_passes_run(&graph, "optimise", NULL), XNOR_E_ARGUMENT);
    const char *message = xnor_last_error();
    cr_assert_not_null(strstr(message, "no pass is called 'optimise'; there are: import, fold, "));
#define LISTED(name, summary) cr_assert_not_null(strstr(message, " " #name), "%s", #name);
    XNOR_PASS_TABLE(LISTED)
#undef LISTED
    xnor_graph_free(&graph);
}
