// xnorctl compile: ONNX in, .xnor out, with the layer table and an optional check against the
// reference.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/xnorctl/commands.h"
#include "clients/xnorctl/describe.h"
#include "clients/xnorctl/json.h"
#include "clients/xnorctl/layers.h"
#include "clients/xnorctl/options.h"
#include "clients/xnorctl/trial.h"
#include "format/format.h"
#include "onnx/onnx.h"
#include "passes/passes.h"

typedef struct compile_options {
    const char *output, *describe, *dump_after;
    uint64_t verify, points;
    bool json;
} compile_options;

static int fail(const char *what) {
    fprintf(stderr, "xnorctl compile: %s%s%s\n", what ? what : "", what ? ": " : "",
            xnor_last_error());
    return XNORCTL_FAILED;
}

// Golden pairs are small runs of the portable kernels: enough to notice a damaged build or board.
// Of networks with large fixed inputs one pair has to do, of very large ones none.
enum { GOLDEN_PAIRS = 2, GOLDEN_POINTS = 64, GOLDEN_BYTES = 32 << 10, GOLDEN_MOST_BYTES = 1 << 20 };

static size_t pair_bytes(const trial *t) {
    size_t total = 0, bytes = 0;
    for (uint32_t i = 0; i < t->input_count; i++)
        if (xnor_tensor_bytes(t->inputs[i].dtype, &t->inputs[i].shape, &bytes) == XNOR_OK)
            total += bytes;
    for (uint32_t i = 0; i < t->output_count; i++)
        if (xnor_tensor_bytes(t->outputs[i].dtype, &t->outputs[i].shape, &bytes) == XNOR_OK)
            total += bytes;
    return total;
}

static xnor_status add_golden(const char *path, xnor_contents *contents, trial *trials) {
    xnor_model *model = NULL;
    XNOR_TRY(xnor_model_open(path, "c", &model));
    xnor_status status = XNOR_OK;
    for (uint32_t i = 0; i < GOLDEN_PAIRS && status == XNOR_OK; i++) {
        trial *t = &trials[i];
        if (i > 0 && pair_bytes(&trials[0]) > GOLDEN_BYTES) break;
        status = trial_prepare(model, GOLDEN_POINTS, i + 1, t);
        if (status == XNOR_OK && pair_bytes(t) > GOLDEN_MOST_BYTES) break;
        if (status == XNOR_OK) status = trial_run(model, NULL, t);
        if (status != XNOR_OK) break;
        xnor_golden *golden = &contents->golden[contents->golden_count++];
        golden->input_count = t->input_count;
        golden->output_count = t->output_count;
        memcpy(golden->inputs, t->inputs, sizeof golden->inputs);
        memcpy(golden->outputs, t->outputs, sizeof golden->outputs);
    }
    xnor_model_unref(&model);
    return status;
}

static xnor_status write_model(const char *path, xnor_contents *contents) {
    trial trials[GOLDEN_PAIRS] = {{0}};
    xnor_status status = xnor_format_write(path, contents);
    if (status == XNOR_OK) status = add_golden(path, contents, trials);
    if (status == XNOR_OK && contents->golden_count) status = xnor_format_write(path, contents);
    for (uint32_t i = 0; i < GOLDEN_PAIRS; i++) trial_free(&trials[i]);
    return status;
}

static int report(const char *path, const compile_options *o) {
    xnor_model *model = NULL;
    xnor_plan *plan = NULL;
    xnor_shape shapes[XNOR_MAX_PORTS];
    if (xnor_model_open(path, NULL, &model) != XNOR_OK) return fail(NULL);
    layers_default_shapes(model, (int64_t)o->points, shapes);
    int code = XNORCTL_OK;
    if (xnor_plan_create(model, shapes, &plan) != XNOR_OK) {
        code = fail(NULL);
    } else if (o->json) {
        json j = json_start(stdout);
        json_begin_object(&j, NULL);
        json_string(&j, "model", o->output);
        layers_json(&plan->graph, xnor_model_file_bytes(model), stdout);
        json_finish(&j);
    } else {
        layers_print(&plan->graph, xnor_model_file_bytes(model), stdout);
    }
    if (plan) xnor_plan_unref(&plan);
    xnor_model_unref(&model);
    return code;
}

static int verify(const char *path, const xnor_graph *imported, const compile_options *o) {
    xnor_model *model = NULL;
    if (xnor_model_open(path, NULL, &model) != XNOR_OK) return fail(NULL);
    trial_comparison result;
    xnor_status status = trial_compare(model, imported, o->verify, &result);
    xnor_model_unref(&model);
    if (status != XNOR_OK) return fail("verify");
    fprintf(
        stderr,
        "verify: %llu runs, largest difference to the reference %.3g, %llu of %llu labels equal\n",
        (unsigned long long)o->verify, result.largest, (unsigned long long)result.labels_equal,
        (unsigned long long)result.labels);
    return result.largest <= 1e-4 && result.labels_equal == result.labels ? XNORCTL_OK
                                                                          : XNORCTL_FAILED;
}

// Everything is checked on a file beside the output, which takes its name only when all is well.
static int finish(xnor_contents *contents, const xnor_graph *imported, const compile_options *o) {
    char path[4096];
    int length = snprintf(path, sizeof path, "%s.%ld.tmp", o->output, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof path)
        return options_usage_error("compile", "--output: the name is too long");
    if (write_model(path, contents) != XNOR_OK) {
        unlink(path);
        return fail(o->output);
    }
    int code = o->dump_after ? XNORCTL_OK : report(path, o);
    if (code == XNORCTL_OK && o->verify) code = verify(path, imported, o);
    if (code == XNORCTL_OK && rename(path, o->output) != 0) {
        fprintf(stderr, "xnorctl compile: %s: %s\n", o->output, strerror(errno));
        code = XNORCTL_FAILED;
    }
    if (code != XNORCTL_OK) unlink(path);
    return code;
}

static int compile(const char *input, const compile_options *o, xnor_contents *contents,
                   xnor_graph *imported, xnor_arena *strings) {
    if (o->describe && describe_read_file(o->describe, strings, &contents->description) != XNOR_OK)
        return fail(NULL);
    if (xnor_onnx_read_file(input, &contents->graph) != XNOR_OK) return fail(input);
    if (o->verify && xnor_graph_clone(&contents->graph, imported) != XNOR_OK) return fail(input);
    xnor_status status = xnor_passes_run(&contents->graph, o->dump_after, stdout);
    if (status == XNOR_E_ARGUMENT) return options_usage_error("compile", "%s", xnor_last_error());
    if (status != XNOR_OK) return fail(input);
    return o->output ? finish(contents, imported, o) : XNORCTL_OK;
}

int xnorctl_compile(int argc, char **argv) {
    compile_options o = {.points = 1024};
    const option_spec specs[] = {
        {.name = "output",
         .letter = 'o',
         .kind = OPTION_TEXT,
         .target = &o.output,
         .argument = "MODEL.xnor",
         .help = "file to write"},
        {.name = "describe",
         .kind = OPTION_TEXT,
         .target = &o.describe,
         .argument = "NAME.yaml",
         .help = "what the model is for: input, output, classes"},
        {.name = "verify",
         .kind = OPTION_NUMBER,
         .target = &o.verify,
         .argument = "N",
         .help = "compare N random runs with the slow reference; fail above 1e-4",
         .max = 1000},
        {.name = "dump-after",
         .kind = OPTION_TEXT,
         .target = &o.dump_after,
         .argument = "PASS",
         .help = "print the graph after a pass: import, fold, canonicalise, knn, binarize, split, "
                 "aggregate, "
                 "threshold, merge"},
        {.name = "points",
         .kind = OPTION_NUMBER,
         .target = &o.points,
         .argument = "N",
         .help = "size of open axes in the layer table (1024)",
         .min = 1,
         .max = 1 << 24},
        {.name = "json",
         .kind = OPTION_FLAG,
         .target = &o.json,
         .help = "print the layer table as one JSON object"},
    };
    int operands;
    const int parsed = options_parse(specs, sizeof specs / sizeof *specs, argc, argv, &operands);
    if (parsed != OPTIONS_CONTINUE) return parsed;
    if (argc - operands != 1) return options_usage_error(argv[0], "expected one ONNX file");
    if (!o.output && !o.dump_after) return options_usage_error(argv[0], "expected -o MODEL.xnor");

    xnor_contents contents = {0};
    xnor_graph imported;
    xnor_arena strings = {0};
    xnor_graph_init(&contents.graph);
    xnor_graph_init(&imported);
    const int code = compile(argv[operands], &o, &contents, &imported, &strings);
    xnor_graph_free(&imported); // borrows constants of contents.graph
    xnor_graph_free(&contents.graph);
    xnor_arena_free(&strings);
    return code;
}
