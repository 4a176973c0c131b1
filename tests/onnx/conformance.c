// Runs the tests that ONNX has for its operators through the importer, the reference evaluation and
// compiled plans: one line for each operator that we accept, then "N passed, N failed".
//   conformance FOLDER      where data/node/test_*/model.onnx are (Debian: libonnx-testdata)
//   conformance -v FOLDER   and one line for each test that is not run by a plan
//
// A test that is refused must be one of `limits` below; lib/onnx/OPERATORS.md states the same limits.
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/tensor.h"
#include "exec/reference.h"
#include "format/format.h"
#include "onnx/import.h"
#include "onnx/tensor.h"
#include "passes/passes.h"

// What is refused on purpose: the operator, and what the message says.
static const struct {
    const char *op, *message;
} limits[] = {
#define LIMIT(op, message, documented) {op, message},
#include "tests/onnx/limits.h"
#undef LIMIT
};
enum { LIMITS = sizeof limits / sizeof *limits, MAX_TESTS = 4096, MAX_OUTPUT = 1 << 24 };

static int limit_uses[LIMITS];
static bool verbose;

typedef struct tally {
    int tests, reference, plan, refused, failed;
} tally;
// By operator; then those that the importer takes without one of ours, and networks of several.
enum { CONSTANT = XNOR_OP_COUNT, DROPOUT, SEVERAL, TALLIES };
static tally tallies[TALLIES];

static const char *name_of(int op) {
    static const char *const names[] = {"Constant", "Dropout", "several"};
    return op < XNOR_OP_COUNT ? xnor_op_name((xnor_op)op) : names[op - XNOR_OP_COUNT];
}

typedef struct test {
    const char *folder, *name;
    int op;
    xnor_graph graph, data; // data: owns the tensors
    xnor_tensor inputs[XNOR_MAX_PORTS], expected[XNOR_MAX_PORTS];
    double tolerance;
} test;

// ---- reading ------------------------------------------------------------------------------------

static void *read_whole(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    void *data = NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        *size = (size_t)ftell(file);
        rewind(file);
        data = malloc(*size + 1);
        if (data && fread(data, 1, *size, file) != *size) {
            free(data);
            data = NULL;
        }
    }
    fclose(file);
    return data;
}

static int operator_called(const char *type) {
    for (int op = 0; op < SEVERAL; op++)
        if (strcmp(name_of(op), type) == 0) return op;
    return TALLIES;
}

// The operator that a model is a test of, SEVERAL if it has more than one node; false when it has one
// that we do not accept.
static bool find_operator(const Onnx__GraphProto *graph, int *op) {
    *op = SEVERAL;
    for (size_t i = 0; i < graph->n_node; i++) {
        const char *type = graph->node[i]->op_type, *domain = graph->node[i]->domain;
        int found = operator_called(type);
        if (found == TALLIES || strncmp(type, "xnor_", 5) == 0 || (domain && *domain)) return false;
        if (graph->n_node == 1) *op = found;
    }
    return true;
}

static int32_t declared_type(const Onnx__ValueInfoProto *info) {
    return info->type && info->type->tensor_type ? info->type->tensor_type->elem_type : 0;
}

static Onnx__TensorProto *read_proto(const test *t, const char *kind, size_t index) {
    char path[2048];
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s/test_data_set_0/%s_%zu.pb", t->folder, t->name, kind, index);
    void *data = read_whole(path, &size);
    Onnx__TensorProto *proto = data ? onnx__tensor_proto__unpack(NULL, size, data) : NULL;
    free(data);
    return proto;
}

// The tensors of the test data. What a model declares as bfloat16 lies there as uint16.
static xnor_status read_tensors(test *t, const char *kind, Onnx__ValueInfoProto *const *infos,
                                size_t count, xnor_tensor *out) {
    for (size_t i = 0; i < count && i < XNOR_MAX_PORTS; i++) {
        const int32_t half = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16;
        const int32_t brain = ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16;
        Onnx__TensorProto *proto = read_proto(t, kind, i);
        if (!proto) return xnor_fail(XNOR_E_IO, "%s %zu cannot be read", kind, i);
        if (declared_type(infos[i]) == brain) proto->data_type = brain;
        if (proto->data_type == half && t->tolerance < 1e-3) t->tolerance = 1e-3;
        if (proto->data_type == brain) t->tolerance = 1e-2;
        xnor_value_id id;
        xnor_status status = xnor_onnx_add_tensor(&t->data, kind, kind, proto, &id);
        onnx__tensor_proto__free_unpacked(proto, NULL);
        XNOR_TRY(status);
        const xnor_value *value = &t->data.values[id];
        out[i] = (xnor_tensor){value->dtype, value->shape, value->data};
    }
    return XNOR_OK;
}

// Operators that have not changed since are tested with operator sets that we do not read.
static void raise_opset(Onnx__ModelProto *model) {
    for (size_t i = 0; i < model->n_opset_import; i++)
        if (model->opset_import[i]->version < XNOR_ONNX_MIN_OPSET)
            model->opset_import[i]->version = XNOR_ONNX_MIN_OPSET;
}

// Axes, shapes and counts are inputs of the tests, and constants of networks. Makes the model's integer
// vectors initializers; false if it has none.
static bool add_initializers(const test *t, Onnx__GraphProto *graph) {
    size_t before = graph->n_initializer;
    Onnx__TensorProto **all =
        realloc(graph->initializer, (before + graph->n_input + 1) * sizeof *all);
    if (!all) return false;
    graph->initializer = all;
    for (size_t i = 0; i < graph->n_input; i++) {
        if (declared_type(graph->input[i]) != ONNX__TENSOR_PROTO__DATA_TYPE__INT64) continue;
        Onnx__TensorProto *proto = read_proto(t, "input", i);
        if (!proto) continue;
        free(proto->name);
        proto->name = strdup(graph->input[i]->name);
        if (proto->n_dims < 2 && proto->name)
            all[graph->n_initializer++] = proto;
        else
            onnx__tensor_proto__free_unpacked(proto, NULL);
    }
    return graph->n_initializer > before;
}

static xnor_status import(const Onnx__ModelProto *model, xnor_graph *graph) {
    size_t size = onnx__model_proto__get_packed_size(model);
    uint8_t *data = malloc(size + 1);
    if (!data) return xnor_fail(XNOR_E_MEMORY, "out of memory");
    onnx__model_proto__pack(model, data);
    xnor_status status = xnor_onnx_read(data, size, graph);
    free(data);
    return status;
}

// Of the inputs of the model those that are inputs of the graph, in its order.
static void take_inputs(test *t, const Onnx__GraphProto *proto, const xnor_tensor *all) {
    for (uint32_t i = 0; i < t->graph.input_count; i++)
        for (size_t k = 0; k < proto->n_input; k++)
            if (strcmp(t->graph.values[t->graph.inputs[i]].name, proto->input[k]->name) == 0)
                t->inputs[i] = all[k];
}

static xnor_status read_test(test *t, Onnx__ModelProto *model) {
    xnor_tensor all[XNOR_MAX_PORTS];
    raise_opset(model);
    xnor_status status = import(model, &t->graph);
    if (status != XNOR_OK) {
        char message[512];
        snprintf(message, sizeof message, "%s", xnor_last_error());
        if (!add_initializers(t, model->graph)) return xnor_fail(status, "%s", message);
        xnor_graph_free(&t->graph);
        xnor_graph_init(&t->graph);
        XNOR_TRY(import(model, &t->graph));
    }
    XNOR_TRY(read_tensors(t, "input", model->graph->input, model->graph->n_input, all));
    take_inputs(t, model->graph, all);
    return read_tensors(t, "output", model->graph->output, model->graph->n_output, t->expected);
}

// ---- comparing ----------------------------------------------------------------------------------

static bool equal(double a, double b, double tolerance) {
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= 1e-6 + tolerance * fabs(b);
}

static xnor_status compare(const test *t, const xnor_tensor *found, const char *how) {
    for (uint32_t i = 0; i < t->graph.output_count; i++) {
        const xnor_tensor *want = &t->expected[i];
        char a[XNOR_SHAPE_TEXT], b[XNOR_SHAPE_TEXT];
        if (!xnor_shape_equal(&found[i].shape, &want->shape))
            return xnor_fail(XNOR_E_SHAPE, "%s: shape %s, expected %s", how,
                             xnor_shape_text(&found[i].shape, a, sizeof a),
                             xnor_shape_text(&want->shape, b, sizeof b));
        // Doubles are computed in float32.
        if (found[i].dtype != (want->dtype == XNOR_F64 ? XNOR_F32 : want->dtype) &&
            found[i].dtype != want->dtype)
            return xnor_fail(XNOR_E_DTYPE, "%s: %s, expected %s", how,
                             xnor_dtype_name(found[i].dtype), xnor_dtype_name(want->dtype));
        for (size_t k = 0; k < xnor_tensor_count(want); k++) {
            double x = xnor_tensor_get(&found[i], k), y = xnor_tensor_get(want, k);
            if (!equal(x, y, t->tolerance))
                return xnor_fail(XNOR_E_INTERNAL, "%s: output %u[%zu] is %.9g, expected %.9g", how,
                                 i, k, x, y);
        }
    }
    return XNOR_OK;
}

static xnor_status run_reference(test *t) {
    xnor_tensor found[XNOR_MAX_PORTS] = {{0}};
    size_t capacity[XNOR_MAX_PORTS];
    xnor_status status = XNOR_OK;
    for (uint32_t i = 0; i < t->graph.output_count; i++) {
        capacity[i] = MAX_OUTPUT;
        found[i].data = malloc(MAX_OUTPUT);
        if (!found[i].data) status = xnor_fail(XNOR_E_MEMORY, "out of memory");
    }
    if (status == XNOR_OK) status = xnor_reference_run(&t->graph, t->inputs, found, capacity);
    if (status == XNOR_OK) status = compare(t, found, "reference");
    for (uint32_t i = 0; i < t->graph.output_count; i++) free(found[i].data);
    return status;
}

// ---- plans --------------------------------------------------------------------------------------

static xnor_status run_model(const test *t, xnor_model *model, const xnor_tensor *inputs,
                             bool *mismatch) {
    xnor_shape shapes[XNOR_MAX_PORTS];
    xnor_tensor found[XNOR_MAX_PORTS] = {{0}};
    xnor_plan *plan = NULL;
    xnor_session *session = NULL;
    for (uint32_t i = 0; i < xnor_model_input_count(model); i++) shapes[i] = inputs[i].shape;
    xnor_status status = xnor_plan_create(model, shapes, &plan);
    if (status == XNOR_OK) status = xnor_session_create(plan, NULL, &session);
    for (uint32_t i = 0; status == XNOR_OK && i < t->graph.output_count; i++) {
        size_t bytes = 0;
        found[i] = (xnor_tensor){xnor_model_output(model, i)->dtype,
                                 *xnor_plan_output_shape(plan, i), NULL};
        status = xnor_tensor_bytes(found[i].dtype, &found[i].shape, &bytes);
        found[i].data = malloc(bytes + 1);
        if (!found[i].data) status = xnor_fail(XNOR_E_MEMORY, "out of memory");
    }
    if (status == XNOR_OK) {
        status = xnor_session_run(session, inputs, found, NULL);
        if (status == XNOR_OK) status = compare(t, found, "plan");
        *mismatch = status != XNOR_OK;
    }
    for (uint32_t i = 0; i < t->graph.output_count; i++) free(found[i].data);
    if (session) xnor_session_free(&session);
    if (plan) xnor_plan_unref(&plan);
    return status;
}

// Compiles and runs. constants: integer inputs (axes, shapes, counts) are constants of the model, as
// they are in networks. *mismatch: it ran, with another result.
static xnor_status run_plan(const test *t, bool constants, bool *mismatch) {
    char path[] = "/tmp/xnord-conformance-XXXXXX";
    xnor_tensor inputs[XNOR_MAX_PORTS];
    xnor_graph graph;
    xnor_model *model = NULL;
    uint32_t count = 0;
    int fd = mkstemp(path);
    if (fd < 0) return xnor_fail(XNOR_E_IO, "%s: cannot be made", path);
    close(fd);
    *mismatch = false;
    xnor_status status = xnor_graph_clone(&t->graph, &graph);
    for (uint32_t i = 0; status == XNOR_OK && i < t->graph.input_count; i++) {
        xnor_value *value = &graph.values[graph.inputs[i]];
        if (constants && value->dtype != XNOR_F32 && t->inputs[i].shape.rank < 2) {
            value->data = t->inputs[i].data;
            continue;
        }
        graph.inputs[count] = graph.inputs[i];
        inputs[count++] = t->inputs[i];
    }
    if (status == XNOR_OK) {
        graph.input_count = count;
        status = xnor_passes_run(&graph, NULL, NULL);
        const xnor_contents contents = {.graph = graph};
        if (status == XNOR_OK) status = xnor_format_write(path, &contents);
        if (status == XNOR_OK) status = xnor_model_open(path, NULL, &model);
        if (status == XNOR_OK) status = run_model(t, model, inputs, mismatch);
        if (model) xnor_model_unref(&model);
        xnor_graph_free(&graph);
    }
    unlink(path);
    return status;
}

// ---- one test -----------------------------------------------------------------------------------

static void fail(tally *of, const test *t, const char *what) {
    of->failed++;
    printf("FAIL %s (%s): %s\n", t->name, what, xnor_last_error());
}

static void judge_refusal(tally *of, const test *t) {
    const char *op = name_of(t->op);
    for (int i = 0; i < LIMITS; i++)
        if (strcmp(limits[i].op, op) == 0 && strstr(xnor_last_error(), limits[i].message)) {
            limit_uses[i]++;
            of->refused++;
            if (verbose) printf("limit %s: %s\n", t->name, xnor_last_error());
            return;
        }
    fail(of, t, "refused");
}

static void run_test(test *t, Onnx__ModelProto *model) {
    tally *of = &tallies[t->op];
    bool mismatch = false;
    of->tests++;
    xnor_graph_init(&t->graph);
    xnor_graph_init(&t->data);
    if (read_test(t, model) != XNOR_OK) {
        judge_refusal(of, t);
    } else if (run_reference(t) != XNOR_OK) {
        fail(of, t, "reference");
    } else {
        of->reference++;
        if (run_plan(t, false, &mismatch) == XNOR_OK ||
            (!mismatch && run_plan(t, true, &mismatch) == XNOR_OK))
            of->plan++;
        else if (mismatch)
            fail(of, t, "plan");
        else if (verbose)
            printf("no plan %s: %s\n", t->name, xnor_last_error());
    }
    xnor_graph_free(&t->graph);
    xnor_graph_free(&t->data);
}

// ---- all of them --------------------------------------------------------------------------------

static int is_test(const struct dirent *entry) {
    return strncmp(entry->d_name, "test_", 5) == 0;
}

static void run_folder(const char *folder, const char *name) {
    test t = {.folder = folder, .name = name, .tolerance = 1e-5};
    char path[2048];
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s/model.onnx", folder, name);
    void *data = read_whole(path, &size);
    Onnx__ModelProto *model = NULL;
    if (data && xnor_onnx_unpack(data, size, &model) == XNOR_OK && model->graph &&
        find_operator(model->graph, &t.op))
        run_test(&t, model);
    if (model) xnor_onnx_release(model);
    free(data);
}

static bool run_all(const char *folder) {
    struct dirent **names;
    int count = scandir(folder, &names, is_test, alphasort);
    for (int i = 0; i < count; i++) {
        run_folder(folder, names[i]->d_name);
        free(names[i]);
    }
    if (count >= 0) free(names);
    return count > 0;
}

static void print_tally(const char *name, const tally *of) {
    printf("%-20s %3d tests, %3d by reference, %3d by plan", name, of->tests, of->reference,
           of->plan);
    if (of->refused) printf(", %d outside the limits", of->refused);
    if (of->failed) printf(", %d FAILED", of->failed);
    printf("\n");
}

int main(int argc, char **argv) {
    char folder[768];
    verbose = argc == 3 && strcmp(argv[1], "-v") == 0;
    if (argc != (verbose ? 3 : 2)) {
        fprintf(stderr, "usage: conformance [-v] FOLDER\n");
        return 2;
    }
    snprintf(folder, sizeof folder, "%s/data/node", argv[argc - 1]);
    if (!run_all(folder)) {
        fprintf(stderr, "%s: no tests there; `make deps` installs them (libonnx-testdata)\n",
                folder);
        return 1;
    }
    int passed = 0, failed = 0;
    for (int op = 0; op < TALLIES; op++) {
        const tally *of = &tallies[op];
        passed += of->reference + of->plan;
        failed += of->failed;
        if (of->tests) print_tally(name_of(op), of);
    }
    for (int i = 0; i < LIMITS; i++)
        if (!limit_uses[i]) {
            printf("FAIL no test meets the limit of %s: %s\n", limits[i].op, limits[i].message);
            failed++;
        }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
