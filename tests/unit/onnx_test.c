// The files in tests/onnx/data come from tests/onnx/make_models.py.
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tensor.h"
#include "onnx/onnx.h"

static xnor_status read_model(const char *name, xnor_graph *graph) {
    char path[256];
    snprintf(path, sizeof path, "tests/onnx/data/%s.onnx", name);
    xnor_graph_init(graph);
    return xnor_onnx_read_file(path, graph);
}

static void import(const char *name, xnor_graph *graph) {
    cr_assert_eq(read_model(name, graph), XNOR_OK, "%s: %s", name, xnor_last_error());
    cr_assert_eq(xnor_graph_verify(graph), XNOR_OK, "%s: %s", name, xnor_last_error());
}

static const xnor_node *node_named(const xnor_graph *graph, const char *name) {
    for (uint32_t i = 0; i < graph->node_count; i++)
        if (strcmp(graph->nodes[i].name, name) == 0) return &graph->nodes[i];
    cr_assert_fail("no node '%s'", name);
    return NULL;
}

static const xnor_value *value_named(const xnor_graph *graph, const char *name) {
    for (uint32_t i = 0; i < graph->value_count; i++)
        if (strcmp(graph->values[i].name, name) == 0) return &graph->values[i];
    cr_assert_fail("no value '%s'", name);
    return NULL;
}

static const xnor_value *input(const xnor_graph *graph, const xnor_node *node, uint32_t i) {
    cr_assert_lt(i, node->input_count);
    return &graph->values[node->inputs[i]];
}

static void has_shape(const xnor_value *value, const char *expected) {
    char text[XNOR_SHAPE_TEXT];
    cr_assert_str_eq(xnor_shape_text(&value->shape, text, sizeof text), expected, "%s",
                     value->name);
}

static void has_ints(const xnor_value *value, uint32_t count, const int64_t *expected) {
    cr_assert_not_null(value->data, "%s", value->name);
    cr_assert_eq(value->dtype, XNOR_I64);
    cr_assert(value->shape.rank == 1 && value->shape.dims[0] == count, "%s", value->name);
    cr_assert_eq(memcmp(value->data, expected, count * sizeof *expected), 0, "%s", value->name);
}

static void has_attr(const xnor_node *node, xnor_attr_key key, uint32_t count,
                     const int64_t *expected) {
    const xnor_attr *attr = xnor_node_attr(node, key);
    cr_assert_not_null(attr, "%s: %s", node->name, xnor_attr_name(key));
    cr_assert(!attr->is_float && attr->count == count);
    for (uint32_t i = 0; i < count; i++) cr_assert_eq(attr->ints[i], expected[i]);
}

#define INTS(...)                                                                                  \
    (const int64_t[]) {                                                                            \
        __VA_ARGS__                                                                                \
    }

// ---- what is read -------------------------------------------------------------------------------

Test(onnx, exported_network) {
    xnor_graph graph;
    import("binary_mlp", &graph);
    cr_assert_eq(graph.node_count, 5);
    cr_assert_eq(graph.input_count, 1, "initializers are not inputs");
    cr_assert_str_eq(graph.values[graph.inputs[0]].name, "x");
    has_shape(&graph.values[graph.inputs[0]], "[?, 3]");
    cr_assert_str_eq(graph.values[graph.outputs[0]].name, "log_probs");
    has_shape(&graph.values[graph.outputs[0]], "[?, 8]");
    const xnor_node *gemm = node_named(&graph, "/fc1/Gemm"),
                    *bn = node_named(&graph, "/bn/BatchNormalization");
    cr_assert_eq(gemm->op, XNOR_OP_GEMM);
    has_attr(gemm, XNOR_ATTR_TRANS_B, 1, INTS(1));
    cr_assert_eq(xnor_node_float(gemm, XNOR_ATTR_ALPHA, 0), 1);
    cr_assert_float_eq(xnor_node_float(bn, XNOR_ATTR_EPSILON, 0), 1e-3, 1e-9);
    cr_assert_eq(bn->attr_count, 1, "momentum is only for training");
    const float *weights = input(&graph, gemm, 1)->data;
    for (int i = 0; i < 12; i++) cr_assert_eq(weights[i], (float)i);
    has_attr(node_named(&graph, "/LogSoftmax"), XNOR_ATTR_AXIS, 1, INTS(1));
    cr_assert_eq(node_named(&graph, "Sign_2")->op, XNOR_OP_SIGN,
                 "a name is made from type and index");
    xnor_graph_free(&graph);
}

Test(onnx, every_element_type_in_both_encodings) {
    static const struct {
        const char *name;
        xnor_dtype dtype;
        double values[3];
    } cases[] = {
        {"float", XNOR_F32, {1.5, -2, INFINITY}},
        {"double", XNOR_F64, {1.5, -2, 1e300}},
        {"float16", XNOR_F32, {1.5, -65504, 0x1p-24}},
        {"int8", XNOR_I32, {1, -128, 127}},
        {"int16", XNOR_I32, {1, -32768, 32767}},
        {"int32", XNOR_I32, {1, INT32_MIN, INT32_MAX}},
        {"int64", XNOR_I64, {1, -0x1p63, 0x1p63}},
        {"uint8", XNOR_U8, {0, 128, 255}},
        {"uint16", XNOR_I32, {0, 1, 65535}},
        {"uint32", XNOR_I64, {0, 1, 4294967295.0}},
        {"bool", XNOR_BOOL, {1, 0, 1}},
        {"bfloat16", XNOR_F32, {1.5, -2, INFINITY}},
    };
    static const char *const encodings[] = {"raw", "field"};
    xnor_graph graph;
    import("element_types", &graph);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t e = 0; e < (cases[i].dtype == XNOR_F32 && cases[i].name[0] == 'b' ? 1u : 2u);
             e++) {
            char name[32];
            snprintf(name, sizeof name, "%s_%s", cases[i].name, encodings[e]);
            const xnor_value *value = value_named(&graph, name);
            const xnor_tensor tensor = {value->dtype, value->shape, value->data};
            cr_assert_eq(value->dtype, cases[i].dtype, "%s", name);
            for (size_t j = 0; j < 3; j++)
                cr_assert_eq(xnor_tensor_get(&tensor, j), cases[i].values[j], "%s[%zu]", name, j);
        }
    xnor_graph_free(&graph);
}

Test(onnx, attributes_of_old_operator_sets_become_inputs) {
    xnor_graph graph;
    import("old_forms", &graph);
    cr_assert_eq(graph.input_count, 1, "an initializer that is listed as an input is a constant");
    const xnor_node *slice = node_named(&graph, "slice"), *topk = node_named(&graph, "topk");
    cr_assert_eq(slice->attr_count, 0);
    has_ints(input(&graph, slice, 1), 2, INTS(0, 1));
    has_ints(input(&graph, slice, 2), 2, INTS(1, 9));
    has_ints(input(&graph, slice, 3), 2, INTS(0, 2));
    has_ints(input(&graph, topk, 1), 1, INTS(2));
    has_attr(node_named(&graph, "squeeze"), XNOR_ATTR_AXES, 1, INTS(0));
    has_attr(node_named(&graph, "unsqueeze"), XNOR_ATTR_AXES, 1, INTS(0));
    has_attr(node_named(&graph, "sum"), XNOR_ATTR_AXES, 1, INTS(1));
    has_attr(node_named(&graph, "split"), XNOR_ATTR_SPLIT, 2, INTS(1, 3));
    has_attr(node_named(&graph, "softmax"), XNOR_ATTR_AXIS, 1, INTS(-1));
    cr_assert_eq(xnor_node_float(node_named(&graph, "clip"), XNOR_ATTR_MIN, 0), -1);
    const xnor_node *dropout = node_named(&graph, "dropout");
    cr_assert_eq(dropout->op, XNOR_OP_IDENTITY);
    cr_assert(dropout->output_count == 1 && dropout->attr_count == 0);
    has_shape(value_named(&graph, "e"), "[4, 5]");
    has_shape(value_named(&graph, "f"), "[4, 2]");
    has_shape(value_named(&graph, "z"), "[1, 3]");
    xnor_graph_free(&graph);
}

Test(onnx, inputs_of_new_operator_sets) {
    xnor_graph graph;
    import("new_forms", &graph);
    const xnor_node *shape = node_named(&graph, "shape");
    cr_assert_eq(shape->op, XNOR_OP_SLICE, "part of a shape");
    has_ints(input(&graph, shape, 1), 1, INTS(1));
    has_ints(input(&graph, shape, 2), 1, INTS(-1));
    has_ints(input(&graph, node_named(&graph, "mean"), 1), 1, INTS(1));
    cr_assert_eq(node_named(&graph, "noop")->op, XNOR_OP_IDENTITY);
    const xnor_node *clip = node_named(&graph, "clip"), *fill = node_named(&graph, "fill");
    cr_assert_eq(clip->inputs[1], XNOR_NO_VALUE);
    cr_assert_eq(*(const float *)input(&graph, clip, 2)->data, 6);
    cr_assert_eq(node_named(&graph, "dropout")->input_count, 1);
    cr_assert_eq(fill->attr_count, 0);
    has_ints(input(&graph, fill, 1), 1, INTS(7));
    has_attr(node_named(&graph, "cast"), XNOR_ATTR_TO, 1, INTS(XNOR_F32));
    has_shape(value_named(&graph, "y"), "[?, 3]");
    xnor_graph_free(&graph);
}

Test(onnx, constants_of_every_form) {
    xnor_graph graph;
    import("constants", &graph);
    cr_assert_eq(graph.node_count, 3, "Constant is a value, not a node");
    has_shape(value_named(&graph, "tensor"), "[2, 2]");
    has_shape(value_named(&graph, "float"), "[]");
    cr_assert_eq(*(const float *)value_named(&graph, "float")->data, 2.5f);
    cr_assert_eq(((const float *)value_named(&graph, "floats")->data)[1], 2);
    has_shape(value_named(&graph, "int"), "[]");
    cr_assert_eq(*(const int64_t *)value_named(&graph, "int")->data, -3);
    has_ints(value_named(&graph, "ints"), 3, INTS(4, 5, 6));
    xnor_graph_free(&graph);
}

Test(onnx, nodes_are_sorted) {
    xnor_graph graph;
    import("unsorted", &graph);
    for (uint32_t i = 0; i < 6; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%u", i);
        cr_assert_str_eq(graph.nodes[i].name, name);
    }
    xnor_graph_free(&graph);
}

// Pads by the formulas of the ONNX specification for a 10 x 10 image and a 3 x 4 kernel.
Test(onnx, automatic_padding_becomes_numbers) {
    xnor_graph graph;
    import("auto_pad", &graph);
    // ceil(10/2) = 5 rows: (5-1)*2+3-10 = 1; ceil(10/3) = 4 columns: (4-1)*3+4-10 = 3
    has_attr(node_named(&graph, "upper"), XNOR_ATTR_PADS, 4, INTS(0, 1, 1, 2));
    has_shape(value_named(&graph, "upper"), "[1, 2, 5, 4]");
    // dilation 2 makes the kernel 5 high: 4 rows; 3 columns
    has_attr(node_named(&graph, "lower"), XNOR_ATTR_PADS, 4, INTS(2, 2, 2, 1));
    has_shape(value_named(&graph, "lower"), "[1, 2, 10, 10]");
    has_attr(node_named(&graph, "valid"), XNOR_ATTR_PADS, 4, INTS(0, 0, 0, 0));
    has_shape(value_named(&graph, "valid"), "[1, 2, 8, 7]");
    has_attr(node_named(&graph, "notset"), XNOR_ATTR_PADS, 4, INTS(1, 1, 1, 1));
    has_attr(node_named(&graph, "stride1"), XNOR_ATTR_PADS, 4, INTS(1, 1, 1, 2));
    xnor_graph_free(&graph);
}

Test(onnx, operators_of_our_own_domain) {
    xnor_graph graph;
    import("own_operators", &graph);
    cr_assert_eq(graph.nodes[0].op, XNOR_OP_BINARIZE);
    xnor_graph_free(&graph);
}

Test(onnx, operators_on_points) {
    xnor_graph graph;
    import("point_operators", &graph);
    const xnor_node *fps = node_named(&graph, "fps"), *ball = node_named(&graph, "ball"),
                    *nearest = node_named(&graph, "nearest");
    cr_assert_eq(fps->op, XNOR_OP_FARTHEST_POINT_SAMPLING);
    cr_assert_eq(xnor_node_float(fps, XNOR_ATTR_RATIO, 0), 0.5);
    cr_assert_eq(ball->op, XNOR_OP_BALL_QUERY);
    cr_assert_eq(xnor_node_float(ball, XNOR_ATTR_RADIUS, 0), (double)0.2f);
    has_attr(ball, XNOR_ATTR_COUNT, 1, INTS(16));
    cr_assert_eq(nearest->op, XNOR_OP_K_NEAREST);
    has_attr(nearest, XNOR_ATTR_DILATION, 1, INTS(2));
    has_shape(&graph.values[graph.outputs[0]], "[?, 5, 16, 3]");
    has_shape(&graph.values[graph.outputs[1]], "[?, 5, 8]");
    xnor_graph_free(&graph);
}

// ---- what is refused ----------------------------------------------------------------------------

// X(file without "refused_", status, what the message says)
#define REFUSED_TABLE(X)                                                                           \
    X(operator, E_UNSUPPORTED, "node '/head/NonZero': operator 'NonZero' (domain '', opset 13)")   \
    X(upsample, E_UNSUPPORTED, "node 'up': operator 'Upsample' (domain '', opset 7)")              \
    X(domain, E_UNSUPPORTED, "node 'fused': operator 'FusedRelu' (domain 'com.vendor', opset 3)")  \
    X(domain_version, E_UNSUPPORTED, "operator 'xnor_binarize' (domain 'xnor', opset 2)")          \
    X(own_in_standard_domain, E_UNSUPPORTED, "operator 'xnor_binarize' (domain ''")                \
    X(attribute, E_UNSUPPORTED, "node 'relu' (Relu): attribute 'slope' is not supported")          \
    X(attribute_type, E_FORMAT, "node 'lsm' (LogSoftmax): attribute 'axis' must be an integer")    \
    X(opset, E_UNSUPPORTED, "operator set 19 is not supported, only 7 to 18")                      \
    X(old_opset, E_UNSUPPORTED, "operator set 6 is not supported")                                 \
    X(no_opset, E_UNSUPPORTED, "node 'relu': operator 'Relu' (domain '', opset 0)")                \
    X(training, E_UNSUPPORTED, "attribute 'training_mode' is 1, only 0 is supported")              \
    X(training_outputs, E_UNSUPPORTED, "node 'bn' (BatchNormalization): it has the outputs of")    \
    X(dropout, E_UNSUPPORTED, "node 'drop' (Dropout): it may run in training mode")                \
    X(softmax, E_UNSUPPORTED, "node 'sm' (Softmax): before opset 13 only the last axis")           \
    X(subgraph, E_UNSUPPORTED, "node 'if' (Relu): attribute 'body' is a sub-graph")                \
    X(cycle, E_FORMAT, "node 0 'first': its result is needed to compute its input")                \
    X(missing_input, E_FORMAT, "node 'relu' (Relu): nothing makes its input 'nowhere'")            \
    X(made_twice, E_FORMAT, "node 1 'abs': value 'y' is made twice")                               \
    X(output_is_input, E_FORMAT, "node 0 'relu': its result is needed")                            \
    X(missing_output, E_FORMAT, "output 'z': no node makes it")                                    \
    X(double_initializer, E_FORMAT, "two values are called 'w'")                                   \
    X(unranked_input, E_UNSUPPORTED, "input 'x': its rank is not given")                           \
    X(rank, E_LIMIT, "input 'x': rank 9, at most 8 is supported")                                  \
    X(string, E_UNSUPPORTED, "initializer 's': element type STRING")                               \
    X(complex_cast, E_UNSUPPORTED, "node 'cast' (Cast): element type COMPLEX64")                   \
    X(int8_input, E_UNSUPPORTED, "input 'x': element type INT8 is supported in constants only")    \
    X(short_data, E_FORMAT, "initializer 'w': shape [2, 3] does not fit its 5 elements")           \
    X(odd_data, E_FORMAT, "initializer 'w': 22 bytes are not a multiple of 4")                     \
    X(huge_shape, E_FORMAT, "does not fit its 1 elements of data")                                 \
    X(negative_dimension, E_FORMAT, "initializer 'w': dimension 0 is -1")                          \
    X(external, E_UNSUPPORTED, "initializer 'w': its data lie in another file")                    \
    X(sparse, E_UNSUPPORTED, "sparse initializers are not supported")                              \
    X(name, E_FORMAT, "name of node 0 is not printable UTF-8")                                     \
    X(sequence, E_UNSUPPORTED, "input 'x' is not a tensor")                                        \
    X(auto_pad, E_UNSUPPORTED, "node 'conv' (Conv): auto_pad with a stride needs a known")

static void refused(const char *name, xnor_status status, const char *message) {
    xnor_graph graph;
    char file[64];
    snprintf(file, sizeof file, "refused_%s", name);
    xnor_status found = read_model(file, &graph);
    cr_expect_eq(found, status, "%s: %s", name, xnor_status_text(found));
    cr_expect(strstr(xnor_last_error(), message), "%s: expected '%s' in '%s'", name, message,
              xnor_last_error());
    xnor_graph_free(&graph);
}

Test(onnx, refusals_name_the_node_and_the_reason) {
#define CHECK(name, status, message) refused(#name, XNOR_##status, message);
    REFUSED_TABLE(CHECK)
#undef CHECK
}

Test(onnx, missing_files) {
    xnor_graph graph;
    xnor_graph_init(&graph);
    cr_assert_eq(xnor_onnx_read_file("tests/onnx/data/none.onnx", &graph), XNOR_E_IO);
    cr_assert(strstr(xnor_last_error(), "none.onnx: No such file"));
    cr_assert_eq(xnor_onnx_read_file("tests/onnx/data", &graph), XNOR_E_IO);
    cr_assert(strstr(xnor_last_error(), "not a regular file"));
}

// ---- damage -------------------------------------------------------------------------------------

static void read_memory(const void *data, size_t size) {
    xnor_graph graph;
    xnor_graph_init(&graph);
    if (xnor_onnx_read(data, size, &graph) == XNOR_OK && xnor_graph_verify(&graph) != XNOR_OK)
        cr_assert_neq(xnor_last_error()[0], '\0');
    xnor_graph_free(&graph);
}

static uint8_t *load(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file);
    uint8_t *data = malloc(1 << 16);
    *size = fread(data, 1, 1 << 16, file);
    fclose(file);
    return data;
}

Test(onnx, damaged_files_never_do_more_than_fail) {
    static const char *const files[] = {"tests/onnx/data/old_forms.onnx",
                                        "tests/onnx/data/constants.onnx",
                                        "tests/onnx/data/auto_pad.onnx"};
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        size_t size;
        uint8_t *data = load(files[f], &size);
        for (size_t at = 0; at < size; at++) {
            // A buffer of exactly this size, so that reading past it is seen by sanitizers.
            uint8_t *cut = malloc(at + 1);
            memcpy(cut, data, at);
            read_memory(cut, at);
            free(cut);
            for (int bit = 0; bit < 8; bit++) {
                data[at] ^= (uint8_t)(1 << bit);
                read_memory(data, size);
                data[at] ^= (uint8_t)(1 << bit);
            }
        }
        free(data);
    }
}

// Graph in attribute in node in graph ...: protobuf-c alone would recurse until the stack ends.
Test(onnx, deep_nesting_is_refused) {
    enum { LEVELS = 100000, MAX_HEADER = 18 };
    static const uint8_t tags[] = {7 << 3 | 2, 1 << 3 | 2, 5 << 3 | 2, 6 << 3 | 2};
    uint8_t *data = malloc(LEVELS * 6);
    size_t begin = LEVELS * 6, end = begin;
    for (int level = LEVELS - 1; level >= 0; level--) {
        size_t length = end - begin;
        uint8_t header[6];
        size_t size = 0;
        header[size++] = level == 0 ? tags[0] : tags[(level - 1) % 3 + 1];
        for (; length >= 0x80; length >>= 7) header[size++] = (uint8_t)(length | 0x80);
        header[size++] = (uint8_t)length;
        begin -= size;
        memcpy(data + begin, header, size);
    }
    xnor_graph graph;
    xnor_graph_init(&graph);
    cr_assert_eq(xnor_onnx_read(data + begin, end - begin, &graph), XNOR_E_FORMAT);
    cr_assert(strstr(xnor_last_error(), "nested too deeply"), "%s", xnor_last_error());
    free(data);
}

// Two bytes per initializer, hundreds of bytes each when unpacked.
Test(onnx, memory_for_unpacking_is_bounded) {
    const size_t tensors = 4 << 20, bytes = tensors * 2;
    uint8_t *data = malloc(bytes + 5);
    size_t size = 0;
    data[size++] = 7 << 3 | 2;
    for (size_t length = bytes; length; length >>= 7)
        data[size++] = (uint8_t)(length >> 7 ? length | 0x80 : length);
    for (size_t i = 0; i < tensors; i++) {
        data[size++] = 5 << 3 | 2;
        data[size++] = 0;
    }
    xnor_graph graph;
    xnor_graph_init(&graph);
    cr_assert_eq(xnor_onnx_read(data, size, &graph), XNOR_E_FORMAT);
    cr_assert(strstr(xnor_last_error(), "too large to unpack"), "%s", xnor_last_error());
    free(data);
}

Test(onnx, things_that_are_not_models) {
    static const char text[] = "#!/bin/sh\nexit 0\n";
    xnor_graph graph;
    xnor_graph_init(&graph);
    cr_assert_eq(xnor_onnx_read("", 0, &graph), XNOR_E_FORMAT);
    cr_assert_eq(xnor_onnx_read(text, sizeof text, &graph), XNOR_E_FORMAT);
    cr_assert(strstr(xnor_last_error(), "this is not an ONNX model"), "%s", xnor_last_error());
    cr_assert_eq(xnor_onnx_read(text, (size_t)1 << 30, &graph), XNOR_E_LIMIT);
}
