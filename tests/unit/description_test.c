// A description must fit its graph: found out when the model is opened, not when the first cloud comes.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/tensor.h"
#include "format/format.h"
#include "graph_builder.h"

static const char *const classes[] = {"a", "b"};

static xnor_description described(void) {
    return (xnor_description){.name = "net",
                              .version = "1",
                              .task = XNOR_TASK_CLASSIFICATION,
                              .input_name = "points",
                              .points = 16,
                              .output_name = "scores",
                              .output_kind = XNOR_OUTPUT_LOGITS,
                              .class_count = 2,
                              .classes = classes};
}

// The mean of the points' coordinates as scores: channels last or first.
static xnor_status open_model(xnor_shape points, int64_t axis, const xnor_description *d,
                              xnor_model **out) {
    builder b;
    builder_init(&b, 1);
    xnor_value_id x = builder_input(&b, "points", XNOR_F32, points);
    x = NODE(&b, XNOR_OP_REDUCE_MEAN, x);
    builder_attr(&b, XNOR_ATTR_AXES, &axis, 1);
    builder_attr(&b, XNOR_ATTR_KEEPDIMS, I(0));
    xnor_value_id w = builder_floats(&b, SHAPE(3, 2), D(1, 0, 0, 1, 0, 0));
    builder_output(&b, NODE(&b, XNOR_OP_MATMUL, x, w), "scores");
    cr_assert_eq(xnor_graph_verify(&b.graph), XNOR_OK, "%s", xnor_last_error());
    xnor_contents contents = {.graph = b.graph, .description = *d};
    char path[64];
    snprintf(path, sizeof path, "/tmp/description_test.%ld.xnor", (long)getpid());
    xnor_status status = xnor_format_write(path, &contents);
    if (status == XNOR_OK) status = xnor_model_open(path, NULL, out);
    unlink(path);
    builder_free(&b);
    return status;
}

static void accepted(xnor_shape points, int64_t axis, int64_t described_points, bool first) {
    xnor_description d = described();
    d.points = described_points;
    xnor_model *model = NULL;
    cr_assert_eq(open_model(points, axis, &d, &model), XNOR_OK, "%s", xnor_last_error());
    const xnor_description *found = xnor_model_description(model);
    cr_expect_eq(found->channels_first, first);
    // A cloud of 16 points: mean x = 7.5, mean y = 15, mean z = 22.5.
    float xyz[48], prepared[48], scores[2];
    for (int i = 0; i < 48; i++) xyz[i] = (float)(i / 3 * (i % 3 + 1));
    const xnor_cloud cloud = {xyz, 16, 12};
    cr_assert_eq(xnor_cloud_prepare(found, &cloud, NULL, prepared), XNOR_OK);
    xnor_plan *plan = NULL;
    xnor_session *session = NULL;
    const xnor_shape shape = xnor_cloud_shape(found, 16, 1);
    cr_assert_eq(xnor_plan_create(model, &shape, &plan), XNOR_OK, "%s", xnor_last_error());
    cr_assert_eq(xnor_session_create(plan, NULL, &session), XNOR_OK);
    const xnor_tensor in = {XNOR_F32, shape, prepared};
    xnor_tensor out = {XNOR_F32, SHAPE(1, 2), scores};
    cr_assert_eq(xnor_session_run(session, &in, &out, NULL), XNOR_OK, "%s", xnor_last_error());
    cr_expect_float_eq(scores[0], 7.5, 1e-5);
    cr_expect_float_eq(scores[1], 15, 1e-5);
    xnor_session_free(&session);
    xnor_plan_unref(&plan);
    xnor_model_unref(&model);
}

Test(description, channels_last) {
    accepted(SHAPE(-1, -1, 3), 1, 16, false);
}
Test(description, channels_first) {
    accepted(SHAPE(-1, 3, -1), 2, 16, true);
}
Test(description, fixed_points_may_be_left_out) {
    accepted(SHAPE(1, 16, 3), 1, 0, false);
    accepted(SHAPE(1, 3, 16), 2, 0, true);
}

static void refused(xnor_shape points, int64_t axis, const xnor_description *d, const char *text) {
    xnor_model *model = NULL;
    cr_assert_eq(open_model(points, axis, d, &model), XNOR_E_FORMAT);
    cr_expect_not_null(strstr(xnor_last_error(), text), "%s", xnor_last_error());
}

Test(description, another_number_of_points_is_refused) {
    const xnor_description d = described();
    refused(SHAPE(1, 32, 3), 1, &d, "16 points a cloud, but input 'points' takes 32");
}
Test(description, another_number_of_classes_is_refused) {
    static const char *const three[] = {"a", "b", "c"};
    xnor_description d = described();
    d.class_count = 3;
    d.classes = three;
    refused(SHAPE(1, 16, 3), 1, &d,
            "3 classes need output 'scores' to be f32 [.., 3], it is f32[1, 2]");
}
Test(description, unknown_ports_are_refused) {
    xnor_description d = described();
    d.input_name = "cloud";
    refused(SHAPE(1, 16, 3), 1, &d, "no input 'cloud'");
    d = described();
    d.output_name = "labels";
    refused(SHAPE(1, 16, 3), 1, &d, "no output 'labels'");
}
Test(description, a_batch_of_clouds_is_refused) {
    const xnor_description d = described();
    refused(SHAPE(4, 16, 3), 1, &d, "[batch, points, 3] or [batch, 3, points]");
}
