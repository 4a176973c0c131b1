// Golden pairs in a model file: what every machine must answer.
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/tensor.h"
#include "format/format.h"
#include "network_builder.h"
#include "passes/passes.h"

static builder b;
static tensors inputs, outputs;
static xnor_graph compiled;

static void begin(void) {
    static const uint32_t widths[5] = {64, 70, 128, 64, 33};
    builder_init(&b, 5);
    network_pointnet(&b, -1, -1, widths, 5);
    network_points(&b, CHANNELS_LAST, 1, 9, &inputs);
    builder_reference(&b.graph, &inputs, &outputs);
    cr_assert_eq(xnor_graph_clone(&b.graph, &compiled), XNOR_OK);
    cr_assert_eq(xnor_passes_run(&compiled, NULL, NULL), XNOR_OK, "%s", xnor_last_error());
}

static void end(void) {
    xnor_graph_free(&compiled);
    tensors_free(&inputs);
    tensors_free(&outputs);
    builder_free(&b);
}

TestSuite(selftest, .init = begin, .fini = end);

static xnor_status self_test(uint32_t golden, uint32_t *pairs) {
    xnor_contents contents = {.graph = compiled, .golden_count = golden};
    for (uint32_t i = 0; i < golden; i++)
        contents.golden[i] = (xnor_golden){1, 1, {inputs.items[0]}, {outputs.items[0]}};
    char path[] = "/tmp/selftest_XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(xnor_format_write(path, &contents), XNOR_OK, "%s", xnor_last_error());
    xnor_model *model = NULL;
    cr_assert_eq(xnor_model_open(path, NULL, &model), XNOR_OK, "%s", xnor_last_error());
    unlink(path);
    xnor_status status = xnor_model_self_test(model, pairs);
    xnor_model_unref(&model);
    return status;
}

static float *scores(void) {
    return outputs.items[0].data;
}

Test(selftest, pairs_that_agree_are_counted) {
    uint32_t pairs = 99;
    cr_assert_eq(self_test(2, &pairs), XNOR_OK, "%s", xnor_last_error());
    cr_assert_eq(pairs, 2);
}

Test(selftest, a_file_without_pairs_passes) {
    uint32_t pairs = 99;
    cr_assert_eq(self_test(0, &pairs), XNOR_OK);
    cr_assert_eq(pairs, 0);
}

Test(selftest, the_first_difference_is_named) {
    uint32_t pairs = 99;
    scores()[3] += 0.01f;
    scores()[4] += 0.01f;
    cr_assert_eq(self_test(1, &pairs), XNOR_E_INTERNAL);
    cr_assert_not_null(strstr(xnor_last_error(), "golden pair 0: output 'scores' element 3 is "),
                       "%s", xnor_last_error());
    cr_assert_eq(pairs, 99, "out-parameters are written on success only");
}

Test(selftest, the_last_places_of_reals_may_differ) {
    uint32_t pairs;
    scores()[1] *= 1 + 2e-6f;
    cr_assert_eq(self_test(1, &pairs), XNOR_OK, "%s", xnor_last_error());
}

Test(selftest, not_a_number_where_a_number_is_expected) {
    uint32_t pairs;
    scores()[0] = NAN;
    cr_assert_eq(self_test(1, &pairs), XNOR_E_INTERNAL);
}

Test(selftest, inputs_that_do_not_fit_the_network) {
    uint32_t pairs;
    inputs.items[0].shape = SHAPE(1, 0, 3); // the file may hold it, a plan needs points
    cr_assert_eq(self_test(1, &pairs), XNOR_E_SHAPE);
    cr_assert_not_null(strstr(xnor_last_error(), "input 'points'"), "%s", xnor_last_error());
}

Test(selftest, outputs_of_another_shape) {
    uint32_t pairs;
    tensors_free(&outputs);
    tensors_add(&outputs, XNOR_F32, SHAPE(2, 5));
    cr_assert_eq(self_test(1, &pairs), XNOR_E_SHAPE);
    cr_assert_not_null(
        strstr(xnor_last_error(), "output 'scores': expected shape [1, 5], found [2, 5]"), "%s",
        xnor_last_error());
}
