#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/xnorctl/describe.h"
#include "text_support.h"

static const char whole[] = "# what it is for\n"
                            "name: pointnet-modelnet10\n"
                            "version: \"1\"\n"
                            "task: classification\n"
                            "input:\n"
                            "  name: points\n"
                            "  kind: cloud\n"
                            "  points: 1024\n"
                            "  max_points: 100000\n"
                            "  normalise: unit_sphere\n"
                            "output:\n"
                            "  name: log_probs\n"
                            "  kind: log_probabilities\n"
                            "classes: [bathtub, bed, night stand]\n";

// `whole` with the first `old` replaced.
static char *with(const char *old, const char *new) {
    return text_with(whole, old, new);
}

static void accepted(const char *text, xnor_description *out) {
    static xnor_arena arena;
    cr_assert_eq(describe_read("m.yaml", text, strlen(text), &arena, out), XNOR_OK, "%s",
                 xnor_last_error());
}

static void refused(const char *text, const char *message) {
    xnor_arena arena = {0};
    xnor_description out;
    cr_assert_eq(describe_read("m.yaml", text, strlen(text), &arena, &out), XNOR_E_FORMAT,
                 "expected '%s'", message);
    cr_assert_str_eq(xnor_last_error(), message);
    xnor_arena_free(&arena);
}

Test(describe, every_field_is_read) {
    xnor_description d;
    accepted(whole, &d);
    cr_assert_str_eq(d.name, "pointnet-modelnet10");
    cr_assert_str_eq(d.version, "1");
    cr_assert_eq(d.task, XNOR_TASK_CLASSIFICATION);
    cr_assert_str_eq(d.input_name, "points");
    cr_assert_eq(d.points, 1024);
    cr_assert_eq(d.max_points, 100000);
    cr_assert_eq(d.normalise, XNOR_NORMALISE_UNIT_SPHERE);
    cr_assert_str_eq(d.output_name, "log_probs");
    cr_assert_eq(d.output_kind, XNOR_OUTPUT_LOG_PROBABILITIES);
    cr_assert_eq(d.class_count, 3);
    cr_assert_str_eq(d.classes[0], "bathtub");
    cr_assert_str_eq(d.classes[2], "night stand");
}

Test(describe, point_counts_are_optional) {
    xnor_description d;
    accepted(with("  points: 1024\n  max_points: 100000\n", ""), &d);
    cr_assert_eq(d.points, 0, "any number");
    cr_assert_eq(d.max_points, 262144);
}

Test(describe, choices) {
    static const struct {
        const char *text;
        xnor_output_kind kind;
    } kinds[] = {{"kind: logits", XNOR_OUTPUT_LOGITS},
                 {"kind: probabilities", XNOR_OUTPUT_PROBABILITIES},
                 {"kind: raw", XNOR_OUTPUT_RAW}};
    xnor_description d;
    for (size_t i = 0; i < 3; i++) {
        accepted(with("kind: log_probabilities", kinds[i].text), &d);
        cr_assert_eq(d.output_kind, kinds[i].kind);
    }
    accepted(with("normalise: unit_sphere", "normalise: none"), &d);
    cr_assert_eq(d.normalise, XNOR_NORMALISE_NONE);
    refused(
        with("kind: log_probabilities", "kind: softmax"),
        "m.yaml:13:9: output.kind must be log_probabilities, logits, probabilities or raw, found "
        "'softmax'");
    refused(with("unit_sphere", "sphere"),
            "m.yaml:10:14: input.normalise must be unit_sphere, block or none, found 'sphere'");
    refused(with("kind: cloud", "kind: picture"),
            "m.yaml:7:9: input.kind must be cloud or image, found 'picture'");
    refused(with("task: classification", "task: depth"),
            "m.yaml:4:7: task must be classification, segmentation or image, found 'depth'");
}

Test(describe, each_mandatory_key_is_missed_by_name) {
    static const char *const lines[][2] = {
        {"name: pointnet-modelnet10\n", "m.yaml:2:1: key 'name' is missing"},
        {"version: \"1\"\n", "m.yaml:2:1: key 'version' is missing"},
        {"task: classification\n", "m.yaml:2:1: key 'task' is missing"},
        {"  name: points\n", "m.yaml:6:3: key 'input.name' is missing"},
        {"  kind: cloud\n", "m.yaml:6:3: key 'input.kind' is missing"},
        {"  normalise: unit_sphere\n", "m.yaml:6:3: key 'input.normalise' is missing"},
        {"  name: log_probs\n", "m.yaml:12:3: key 'output.name' is missing"},
        {"  kind: log_probabilities\n", "m.yaml:12:3: key 'output.kind' is missing"},
        {"classes: [bathtub, bed, night stand]\n", "m.yaml:2:1: key 'classes' is missing"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        refused(with(lines[i][0], ""), lines[i][1]);
}

Test(describe, keys_are_checked) {
    refused(with("  points: 1024", "  point: 1024"), "m.yaml:8:3: unknown key 'input.point'");
    refused(with("version: \"1\"", "version: 1\nclass: x"), "m.yaml:4:1: unknown key 'class'");
    refused(with("version: \"1\"", "name: other"), "m.yaml:3:1: key 'name' is given twice");
    refused(with("  points: 1024", "  kind: cloud"), "m.yaml:8:3: key 'input.kind' is given twice");
    refused(with("name: pointnet", "[a]: b\nname: pointnet"),
            "m.yaml:2:1: a key must be a single value");
}

Test(describe, values_are_checked) {
    refused(with("1024", "many"),
            "m.yaml:8:11: input.points must be a whole number from 0 to 16777216, found 'many'");
    refused(with("1024", "-1"),
            "m.yaml:8:11: input.points must be a whole number from 0 to 16777216, found '-1'");
    refused(with("1024", "1e3"),
            "m.yaml:8:11: input.points must be a whole number from 0 to 16777216, found '1e3'");
    refused(with("100000", "0"),
            "m.yaml:9:15: input.max_points must be a whole number from 1 to 16777216, found '0'");
    refused(with("100000", "99999999999999999999"),
            "m.yaml:9:15: input.max_points must be a whole number from 1 to 16777216, found "
            "'99999999999999999999'");
    refused(with("\"1\"", "\"\""), "m.yaml:3:10: version is empty");
    refused(with("\"1\"", "[1, 2]"), "m.yaml:3:10: version must be a single value");
    refused(with("\"1\"", "\"a\\e[31m\""), "m.yaml:3:10: version contains control characters");
    refused(with("\"1\"", "\"a\\0b\""), "m.yaml:3:10: version contains control characters");
}

Test(describe, classes_are_checked) {
    refused(with("[bathtub, bed, night stand]", "[]"), "m.yaml:14:10: classes must not be empty");
    refused(with("[bathtub, bed, night stand]", "bed"),
            "m.yaml:14:10: classes must be a list of names");
    refused(with("night stand", "bed"), "m.yaml:14:25: class 'bed' is listed twice");
    refused(with("night stand", "[x]"), "m.yaml:14:25: a class must be a single value");
    char many[16384] = "[";
    for (int i = 0; i <= XNOR_MAX_CLASSES; i++) sprintf(many + strlen(many), "c%d, ", i);
    char *text = with("[bathtub, bed, night stand]", strcat(many, "]"));
    xnor_arena arena = {0};
    xnor_description out;
    cr_assert_eq(describe_read("m.yaml", text, strlen(text), &arena, &out), XNOR_E_FORMAT);
    cr_assert(strstr(xnor_last_error(), "more than 1024 classes"), "%s", xnor_last_error());
}

Test(describe, yaml_beyond_the_plain_is_refused) {
    refused(with("\"1\"", "&a \"1\""), "m.yaml:3:10: anchors are not allowed");
    refused(with("\"1\"", "*a"), "m.yaml:3:10: aliases are not allowed");
    refused(with("\"1\"", "!!str 1"), "m.yaml:3:10: tags are not allowed");
    refused(with("input:", "input: &in"), "m.yaml:5:8: anchors are not allowed");
    refused(with("[bathtub", "!x [bathtub"), "m.yaml:14:10: tags are not allowed");
    refused("", "m.yaml:1:1: expected a model description, the file is empty");
    refused("- a\n", "m.yaml:1:1: expected keys and values");
    char *two = malloc(2 * sizeof whole + 8);
    sprintf(two, "%s---\n%s", whole, whole);
    refused(two, "m.yaml:15:1: expected one document only");
    refused(with("\"1\"", "\"1\" x"), "m.yaml:3:14: not valid YAML: did not find expected key");
}

Test(describe, files) {
    char path[] = "/tmp/describe_test.XXXXXX";
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, whole, strlen(whole)), (ssize_t)strlen(whole));
    close(fd);
    xnor_arena arena = {0};
    xnor_description d;
    cr_assert_eq(describe_read_file(path, &arena, &d), XNOR_OK, "%s", xnor_last_error());
    cr_assert_str_eq(d.name, "pointnet-modelnet10");
    unlink(path);
    cr_assert_eq(describe_read_file(path, &arena, &d), XNOR_E_IO);
    xnor_arena_free(&arena);
}

static const char scene[] = "name: scenes\n"
                            "version: \"1\"\n"
                            "task: segmentation\n"
                            "input:\n"
                            "  name: points\n"
                            "  kind: cloud\n"
                            "  points: 2048\n"
                            "  block: 4\n"
                            "  cells: 4\n"
                            "  scale: 0.1\n"
                            "  normalise: block\n"
                            "  channels: [x, y, height, cell_height, cell_top]\n"
                            "output:\n"
                            "  name: log_probs\n"
                            "  kind: log_probabilities\n"
                            "classes: [ground, tree]\n";

static char *scene_with(const char *old, const char *new) {
    const char *at = strstr(scene, old);
    cr_assert_not_null(at, "%s", old);
    char *text = malloc(sizeof scene + strlen(new));
    sprintf(text, "%.*s%s%s", (int)(at - scene), scene, new, at + strlen(old));
    return text;
}

Test(describe, segmentation) {
    static const xnor_channel channels[] = {XNOR_CHANNEL_X, XNOR_CHANNEL_Y, XNOR_CHANNEL_HEIGHT,
                                            XNOR_CHANNEL_CELL_HEIGHT, XNOR_CHANNEL_CELL_TOP};
    xnor_description d;
    accepted(scene, &d);
    cr_assert_eq(d.task, XNOR_TASK_SEGMENTATION);
    cr_assert_eq(d.normalise, XNOR_NORMALISE_BLOCK);
    cr_assert_eq(d.block, 4.0f);
    cr_assert_eq(d.cells, 4);
    cr_assert_eq(d.scale, 0.1f);
    cr_assert_eq(d.max_points, 16777216);
    cr_assert_eq(d.channel_count, 5);
    cr_assert_arr_eq(d.channels, channels, sizeof channels);
    accepted(scene_with("  channels: [x, y, height, cell_height, cell_top]\n", ""), &d);
    cr_assert_eq(d.channel_count, 3);
    cr_assert_eq(d.channels[2], XNOR_CHANNEL_Z);
}

Test(describe, farthest_points) {
    xnor_description d;
    accepted(with("  points: 1024", "  points: 1024\n  resample: farthest"), &d);
    cr_assert_eq(d.resample, XNOR_RESAMPLE_FARTHEST);
    accepted(with("  points: 1024", "  points: 1024\n  resample: stride"), &d);
    cr_assert_eq(d.resample, XNOR_RESAMPLE_STRIDE);
    refused(with("  points: 1024", "  points: 1024\n  resample: random"),
            "m.yaml:9:13: input.resample must be stride or farthest, found 'random'");
}

Test(describe, recipes_must_make_sense) {
    refused(with("  points: 1024", "  points: 1024\n  block: 4"),
            "m.yaml:2:1: blocks are for segmentation");
    refused(with("  points: 1024", "  points: 1024\n  channels: [z, y, x]"),
            "m.yaml:2:1: channels other than x, y, z need block");
    refused(scene_with("  cells: 4\n", ""), "m.yaml:1:1: heights in cells need cells");
    refused(scene_with("  scale: 0.1\n", ""), "m.yaml:1:1: heights need scale");
    refused(scene_with("  block: 4\n", ""), "m.yaml:1:1: channels other than x, y, z need block");
    refused(scene_with("normalise: block", "normalise: unit_sphere"),
            "m.yaml:1:1: blocks are normalised as block or none");
    refused(scene_with("  cells: 4\n", "  resample: farthest\n"),
            "m.yaml:1:1: resample is for classification: a segmentation sees every point");
    refused(scene_with("cells: 4", "cells: 17"),
            "m.yaml:9:10: input.cells must be a whole number from 1 to 16, found '17'");
    refused(scene_with("block: 4", "block: 0"),
            "m.yaml:8:10: input.block must be a number of metres from 0.001 to 1e+06, found '0'");
    refused(scene_with("block: 4", "block: nan"),
            "m.yaml:8:10: input.block must be a number of metres from 0.001 to 1e+06, found 'nan'");
    refused(scene_with("cell_top", "density"),
            "m.yaml:12:41: a channel must be x, y, z, height, cell_height, cell_low, cell_top or "
            "cell_storey, found 'density'");
}
