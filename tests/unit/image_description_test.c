// Descriptions of images: YAML in, the metadata section, and whether they fit their graph.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/xnorctl/describe.h"
#include "format/format.h"
#include "format/metadata.h"
#include "graph_builder.h"
#include "text_support.h"

static const char whole[] = "name: rooms\n"                                          // 1
                            "version: \"2\"\n"                                       // 2
                            "task: image\n"                                          // 3
                            "input:\n"                                               // 4
                            "  name: image\n"                                        // 5
                            "  kind: image\n"                                        // 6
                            "  pixels: bgr\n"                                        // 7
                            "  mean: [0.5, -0.25, 1e-1]\n"                           // 8
                            "  deviation: [0.25, 2, 0.5]\n"                          // 9
                            "  width: 640\n"                                         // 10
                            "  height: 480\n"                                        // 11
                            "  multiple_of: 32\n"                                    // 12
                            "  resize: fit\n"                                        // 13
                            "outputs:\n"                                             // 14
                            "  - name: semseg\n"                                     // 15
                            "    kind: segmentation\n"                               // 16
                            "    scores: logits\n"                                   // 17
                            "    classes: [floor, wall, \"desk lamp\"]\n"            // 18
                            "    palette: [\"#804000\", \"#c0c0c0\", \"#00FF7f\"]\n" // 19
                            "  - {name: depth, kind: depth, port: d, range: [0.25, 10]}\n"
                            "  - {name: boxes, kind: boxes, heat: h, size: s, offset: o,\n"
                            "     scores: probabilities, classes: [door], min_score: 0.5}\n"
                            "  - {name: rest, kind: raw, port: d}\n";

// `whole` with the first `old` replaced; lasts as long as the test.
static char *with(const char *old, const char *new) {
    return text_with(whole, old, new);
}

static xnor_arena arena; // of what a test reads

static xnor_description accepted(const char *text) {
    xnor_description d;
    cr_assert_eq(describe_read("m.yaml", text, strlen(text), &arena, &d), XNOR_OK, "%s",
                 xnor_last_error());
    return d;
}

static void refused(const char *text, const char *message) {
    xnor_description d;
    cr_expect_eq(describe_read("m.yaml", text, strlen(text), &arena, &d), XNOR_E_FORMAT,
                 "expected '%s'", message);
    cr_expect_str_eq(xnor_last_error(), message);
}

static void check_whole(const xnor_description *d) {
    cr_assert_str_eq(d->name, "rooms");
    cr_assert_eq(d->task, XNOR_TASK_IMAGE);
    cr_assert_str_eq(d->input_name, "image");
    const xnor_image_input *in = &d->image;
    cr_assert(in->pixels == XNOR_PIXELS_BGR && in->resize == XNOR_RESIZE_FIT);
    cr_assert(in->width == 640 && in->height == 480 && in->multiple_of == 32);
    cr_assert(in->mean[0] == 0.5f && in->mean[1] == -0.25f && in->mean[2] == 0.1f);
    cr_assert(in->deviation[0] == 0.25f && in->deviation[1] == 2 && in->deviation[2] == 0.5f);
    cr_assert_eq(d->image_output_count, 4);
    const xnor_image_output *o = d->image_outputs;
    cr_assert_str_eq(o[0].name, "semseg");
    cr_assert_str_eq(o[0].port_names[0], "semseg", "a port has the output's name");
    cr_assert(o[0].kind == XNOR_IMAGE_SEGMENTATION && o[0].scores == XNOR_OUTPUT_LOGITS);
    cr_assert_eq(o[0].class_count, 3);
    cr_assert_str_eq(o[0].classes[2], "desk lamp");
    cr_assert(o[0].palette[0] == 0x804000 && o[0].palette[2] == 0x00ff7f);
    cr_assert(o[1].kind == XNOR_IMAGE_DEPTH && o[1].low == 0.25f && o[1].high == 10);
    cr_assert_str_eq(o[1].port_names[0], "d");
    cr_assert_null(o[1].palette);
    cr_assert(o[2].kind == XNOR_IMAGE_BOXES && o[2].port_count == 3 && o[2].min_score == 0.5f);
    cr_assert_str_eq(o[2].port_names[1], "s");
    cr_assert_str_eq(o[2].port_names[2], "o");
    cr_assert_eq(o[3].kind, XNOR_IMAGE_RAW);
}

Test(image_description, every_field_is_read) {
    const xnor_description d = accepted(whole);
    check_whole(&d);
}

Test(image_description, what_may_be_left_out) {
    xnor_description d = accepted(with("  multiple_of: 32\n", ""));
    cr_expect_eq(d.image.multiple_of, 0);
    d = accepted(with(", min_score: 0.5", ""));
    cr_expect_eq(d.image_outputs[2].min_score, 0.3f);
    d = accepted(with("    palette: [\"#804000\", \"#c0c0c0\", \"#00FF7f\"]\n", ""));
    cr_expect_null(d.image_outputs[0].palette);
}

Test(image_description, mistakes_are_told_with_their_place) {
    refused(with("pixels: bgr", "pixels: yuv"),
            "m.yaml:7:11: input.pixels must be rgb, bgr or grey, found 'yuv'");
    refused(with("resize: fit", "resize: crop"),
            "m.yaml:13:11: input.resize must be stretch or fit, found 'crop'");
    refused(with("  resize: fit\n", ""), "m.yaml:5:3: key 'input.resize' is missing");
    refused(with("width: 640", "width: 16416"),
            "m.yaml:10:10: input.width must be a whole number from 1 to 16384, found '16416'");
    refused(with("mean: [0.5, -0.25, 1e-1]", "mean: [0.5, -0.25]"),
            "m.yaml:1:1: input.mean and input.deviation need 3 numbers");
    refused(with("mean: [0.5", "mean: [nan"),
            "m.yaml:8:10: input.mean must be numbers, found 'nan'");
    refused(with("mean: [0.5", "mean: [1e99"),
            "m.yaml:8:10: input.mean must be numbers, found '1e99'");
    refused(with("1e-1]", "1, 1]"), "m.yaml:8:25: input.mean has at most 3 numbers");
    refused(with("kind: depth", "kind: heat"),
            "m.yaml:20:25: outputs.kind must be segmentation, depth, normals, edges, boxes or raw, "
            "found 'heat'");
    refused(with("#804000", "red"), "m.yaml:19:15: a colour must be \"#rrggbb\", found 'red'");
    refused(with("\"#804000\", ", ""), "m.yaml:15:5: 2 colours for 3 classes");
    refused(with("range: [0.25, 10]", "range: [1]"),
            "m.yaml:20:5: outputs.range must be two numbers of metres");
    refused(with(", offset: o", ""),
            "m.yaml:21:5: boxes need the keys 'heat', 'size' and 'offset'");
    refused(with("name: rest", "name: rest, size: s"),
            "m.yaml:23:5: the keys 'heat', 'size' and 'offset' are for boxes, 'port' is not");
    refused(with("    scores: logits\n", "    points: 3\n"),
            "m.yaml:17:5: unknown key 'outputs.points'");
    refused(with("kind: segmentation\n", "kind: segmentation\n    kind: raw\n"),
            "m.yaml:17:5: key 'outputs.kind' is given twice");
}

Test(image_description, keys_of_clouds_and_of_images_do_not_mix) {
    refused(with("  resize: fit\n", "  resize: fit\n  points: 12\n"),
            "m.yaml:5:3: key 'input.points' is for clouds");
    refused(with("task: image", "task: segmentation"),
            "m.yaml:1:1: task: image goes with input.kind: image");
    refused(with("outputs:", "classes: [a]\noutputs:"), "m.yaml:1:1: key 'classes' is for clouds");
}

Test(image_description, contradictions_are_refused) {
    static const struct {
        const char *old, *new, *message;
    } wrong[] = {
        {"width: 640", "width: 600", "width and height must be multiples of multiple_of"},
        {"deviation: [0.25", "deviation: [0",
         "a deviation of pixels must lie between 1e-6 and 1e6"},
        {"mean: [0.5", "mean: [2e6", "a mean of pixels must lie between -1e6 and 1e6"},
        {"name: rest", "name: depth", "two outputs have the same name"},
        {"name: rest", "name: a.b",
         "the name of an output has 1 to 63 letters, digits, '_' and '-'"},
        {"    scores: logits\n", "",
         "segmentation, edges and boxes need scores: logits or probabilities"},
        {"scores: probabilities", "scores: log_probabilities",
         "log_probabilities are for segmentation"},
        {", range: [0.25, 10]", "",
         "depth, and nothing else, needs a range of metres, the lower end first"},
        {"range: [0.25, 10]", "range: [10, 0.25]",
         "depth, and nothing else, needs a range of metres, the lower end first"},
        {"kind: raw", "kind: raw, range: [0, 1]",
         "depth, and nothing else, needs a range of metres, the lower end first"},
        {"kind: raw", "kind: raw, min_score: 0.5", "min_score is for boxes, from 0 to 1"},
        {"min_score: 0.5", "min_score: 1.5", "min_score is for boxes, from 0 to 1"},
        {"kind: raw", "kind: raw, classes: [a]",
         "classes are for segmentation and boxes, which need them"},
        {"kind: raw", "kind: raw, scores: logits", "scores are for segmentation, edges and boxes"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char message[256];
        snprintf(message, sizeof message, "m.yaml:1:1: %s", wrong[i].message);
        refused(with(wrong[i].old, wrong[i].new), message);
    }
}

// ---- the metadata section -----------------------------------------------------------------------

static xnor_buffer written(const xnor_description *d) {
    xnor_buffer out = {0};
    xnor_metadata_write(d, &out);
    cr_assert_not(out.failed);
    return out;
}

Test(image_description, is_read_as_it_was_written) {
    const xnor_description d = accepted(whole);
    xnor_buffer bytes = written(&d);
    xnor_description found;
    cr_assert_eq(xnor_metadata_read(bytes.data, bytes.size, &arena, &found), XNOR_OK, "%s",
                 xnor_last_error());
    check_whole(&found);
    cr_expect_null(xnor_description_flaw(&found));
    xnor_buffer_free(&bytes);
}

// A reader that goes on after a failure would use pointers that were never set.
Test(image_description, no_damage_gets_past_the_reader) {
    const xnor_description d = accepted(whole);
    xnor_buffer bytes = written(&d);
    xnor_description found;
    for (size_t size = 0; size < bytes.size; size++)
        cr_assert_eq(xnor_metadata_read(bytes.data, size, &arena, &found), XNOR_E_FORMAT);
    uint8_t *copy = malloc(bytes.size);
    for (size_t at = 0; at < bytes.size; at++)
        for (int value = 0; value < 256; value += 5) {
            memcpy(copy, bytes.data, bytes.size);
            copy[at] = (uint8_t)value;
            if (xnor_metadata_read(copy, bytes.size, &arena, &found) == XNOR_OK &&
                !xnor_description_flaw(&found) && found.task == XNOR_TASK_IMAGE)
                for (uint32_t i = 0; i < found.image_output_count; i++)
                    cr_assert_neq(strlen(found.image_outputs[i].name), 0);
        }
    free(copy);
    xnor_buffer_free(&bytes);
}

// ---- graphs -------------------------------------------------------------------------------------

static const char small[] = "name: n\nversion: \"1\"\ntask: image\n"
                            "input: {name: image, kind: image, pixels: rgb, mean: [0, 0, 0],\n"
                            "        deviation: [1, 1, 1], width: 8, height: 4, resize: stretch}\n"
                            "outputs:\n"
                            "  - {name: normals, kind: normals, port: map}\n";

// The input itself as output, twice.
static xnor_status open_model(xnor_shape shape, const xnor_description *d, xnor_model **out) {
    builder b;
    builder_init(&b, 1);
    xnor_value_id x = builder_input(&b, "image", XNOR_F32, shape);
    builder_output(&b, NODE(&b, XNOR_OP_RELU, x), "map");
    builder_output(&b, NODE(&b, XNOR_OP_RELU, x), "other");
    cr_assert_eq(xnor_graph_verify(&b.graph), XNOR_OK, "%s", xnor_last_error());
    xnor_contents contents = {.graph = b.graph, .description = *d};
    char path[64];
    snprintf(path, sizeof path, "/tmp/image_description_test.%ld.xnor", (long)getpid());
    xnor_status status = xnor_format_write(path, &contents);
    if (status == XNOR_OK) status = xnor_model_open(path, NULL, out);
    unlink(path);
    builder_free(&b);
    return status;
}

static void opens(xnor_shape shape, const char *text, bool channels_first) {
    xnor_model *model = NULL;
    const xnor_description d = accepted(text);
    cr_assert_eq(open_model(shape, &d, &model), XNOR_OK, "%s", xnor_last_error());
    const xnor_description *found = xnor_model_description(model);
    cr_expect_eq(found->channels_first, channels_first);
    cr_expect_eq(found->image_outputs[0].channels_first, channels_first);
    cr_expect_eq(found->image_outputs[0].ports[0], 0);
    xnor_model_unref(&model);
}

static void does_not_open(xnor_shape shape, const char *text, const char *message) {
    xnor_model *model = NULL;
    const xnor_description d = accepted(text);
    cr_assert_eq(open_model(shape, &d, &model), XNOR_E_FORMAT, "expected '%s'", message);
    cr_expect(strstr(xnor_last_error(), message), "'%s' in '%s'", message, xnor_last_error());
}

Test(image_description, layouts_are_told_by_the_graph) {
    opens(SHAPE(1, 3, 4, 8), small, true);
    opens(SHAPE(1, 4, 8, 3), small, false);
    opens(SHAPE(1, 3, -1, -1), small, true);
    opens(SHAPE(-1, -1, -1, 3), small, false);
    opens(SHAPE(-1, -1, -1, -1), small, true);
}

Test(image_description, graphs_that_do_not_fit_are_refused) {
    does_not_open(SHAPE(1, 4, 4, 8), small,
                  "'image' must be f32 [1, 3, height, width] or [1, height, width, 3], it is "
                  "f32[1, 4, 4, 8]");
    does_not_open(SHAPE(2, 3, 4, 8), small, "'image' must be f32 [1, 3, height, width]");
    does_not_open(SHAPE(3, 4, 8), small, "'image' must be f32 [1, 3, height, width]");
    does_not_open(SHAPE(1, 3, 8, 4), small, "images of 8 x 4, but input 'image' takes 4 x 8");
}

static char *small_with(const char *old, const char *new) {
    const char *at = strstr(small, old);
    char *text = malloc(sizeof small + strlen(new));
    sprintf(text, "%.*s%s%s", (int)(at - small), small, new, at + strlen(old));
    return text;
}

Test(image_description, outputs_that_do_not_fit_are_refused) {
    does_not_open(SHAPE(1, 3, 4, 8), small_with("port: map", "port: none"),
                  "the graph has no output 'none'");
    does_not_open(SHAPE(1, 3, 4, 8), small_with("name: image", "name: picture"),
                  "the graph has no input 'picture'");
    does_not_open(SHAPE(1, 3, 4, 8),
                  small_with("kind: normals, port: map", "kind: depth, range: [0, 1], port: map"),
                  "'map' must be f32 [1, 1, height, width] or [1, height, width, 1]");
    does_not_open(SHAPE(1, 3, 4, 8), small_with("width: 8", "width: 8, multiple_of: 4"),
                  "images of up to 8 x 4, but input 'image' takes 8 x 4");
}
