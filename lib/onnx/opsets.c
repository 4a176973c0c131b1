// What differs between operator sets 7 to 18, brought to one form: parameters that were attributes
// and became inputs are inputs (Slice, TopK), except where the graph takes both (Squeeze,
// ReduceSum, Clip).
#include <stdio.h>
#include <string.h>

#include "core/tensor.h"
#include "onnx/import.h"
#include "onnx/tensor.h"

// ---- attributes that do not go into the graph as they are ---------------------------------------

typedef enum treatment {
    IGNORED,    // says nothing about inference
    NORMALISED, // read by a function below
    FIXED,      // only one value is supported, and it is the default
} treatment;

static const struct {
    const char *op; // NULL: any
    const char *attr;
    treatment treatment;
    int64_t value;
} rules[] = {
    {"AveragePool", "auto_pad", NORMALISED, 0},
    {"BatchNormalization", "momentum", IGNORED, 0},
    {"BatchNormalization", "spatial", FIXED, 1},
    {"BatchNormalization", "training_mode", FIXED, 0},
    {"Cast", "to", NORMALISED, 0},
    {"ConstantOfShape", "value", NORMALISED, 0},
    {"Conv", "auto_pad", NORMALISED, 0},
    {"ConvTranspose", "auto_pad", NORMALISED, 0},
    {"ConvTranspose", "output_padding", NORMALISED, 0},
    {"ConvTranspose", "output_shape", NORMALISED, 0},
    {"DepthToSpace", "mode", NORMALISED, 0},
    {"Dropout", "ratio", IGNORED, 0},
    {"Dropout", "seed", IGNORED, 0},
    {"MaxPool", "auto_pad", NORMALISED, 0},
    {"MaxPool", "storage_order", IGNORED, 0}, // of the indices, which are not made
    {"Pad", "mode", NORMALISED, 0},
    {"Pad", "pads", NORMALISED, 0},
    {"Pad", "value", NORMALISED, 0},
    {"Resize", "antialias", FIXED, 0},
    {"Resize", "axes", NORMALISED, 0},
    {"Resize", "coordinate_transformation_mode", NORMALISED, 0},
    {"Resize", "cubic_coeff_a", IGNORED, 0},
    {"Resize", "exclude_outside", IGNORED, 0},
    {"Resize", "extrapolation_value", IGNORED, 0},
    {"Resize", "keep_aspect_ratio_policy", NORMALISED, 0},
    {"Resize", "mode", NORMALISED, 0},
    {"Resize", "nearest_mode", NORMALISED, 0},
    {"Shape", "start", NORMALISED, 0},
    {"Shape", "end", NORMALISED, 0},
    {"Slice", "starts", NORMALISED, 0},
    {"Slice", "ends", NORMALISED, 0},
    {"Slice", "axes", NORMALISED, 0},
    {"Split", "num_outputs", NORMALISED, 0},
    {"TopK", "k", NORMALISED, 0},
    {NULL, "noop_with_empty_axes", NORMALISED, 0},
};

xnor_status xnor_onnx_judge_attr(const xnor_import_node *node, const Onnx__AttributeProto *attr,
                                 bool *copy) {
    *copy = false;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (strcmp(rules[i].attr, attr->name) != 0) continue;
        if (rules[i].op && strcmp(rules[i].op, node->proto->op_type) != 0) continue;
        if (rules[i].treatment != FIXED || attr->i == rules[i].value) return XNOR_OK;
        return xnor_fail(
            XNOR_E_UNSUPPORTED, "node '%s' (%s): attribute '%s' is %lld, only %lld is supported",
            node->name, rules[i].op, attr->name, (long long)attr->i, (long long)rules[i].value);
    }
    *copy = true;
    return XNOR_OK;
}

// ---- helpers ------------------------------------------------------------------------------------

static xnor_status refuse(const xnor_import_node *node, const char *why) {
    return xnor_fail(XNOR_E_UNSUPPORTED, "node '%s' (%s): %s", node->name, node->proto->op_type,
                     why);
}

static int64_t int_attr(const xnor_import_node *node, const char *name, int64_t fallback) {
    const Onnx__AttributeProto *attr = xnor_onnx_attr(node->proto, name);
    return attr ? attr->i : fallback;
}

// Makes input `at` of the node a new constant vector.
static xnor_status add_vector_input(xnor_import_node *node, uint32_t at, const char *what,
                                    const int64_t *values, size_t count) {
    char name[XNOR_ONNX_MAX_NAME + 32];
    snprintf(name, sizeof name, "%s_%s", node->name, what);
    const xnor_shape shape = {.rank = 1, .dims = {(int64_t)count}};
    void *data;
    XNOR_TRY(xnor_graph_add_constant(node->import->graph, name, XNOR_I64, &shape, &node->inputs[at],
                                     &data));
    if (count) memcpy(data, values, count * sizeof *values);
    if (node->input_count <= at) node->input_count = at + 1;
    return XNOR_OK;
}

// Shape rules run only when a parameter depends on a shape, which is rare: they run again, and
// report errors, when the finished graph is verified.
static xnor_status input_shape(xnor_import_node *node, uint32_t at, xnor_shape *out) {
    xnor_import *import = node->import;
    for (; import->inferred < import->graph->node_count; import->inferred++)
        XNOR_TRY(xnor_graph_infer_node(import->graph, import->inferred));
    if (at >= node->input_count || node->inputs[at] == XNOR_NO_VALUE)
        return xnor_fail(XNOR_E_FORMAT, "node '%s' (%s): input %u is missing", node->name,
                         node->proto->op_type, at);
    *out = import->graph->values[node->inputs[at]].shape;
    return XNOR_OK;
}

// ---- operators ----------------------------------------------------------------------------------

static xnor_status batch_normalization(xnor_import_node *node) {
    return node->output_count > 1 ? refuse(node, "it has the outputs of training mode") : XNOR_OK;
}

static xnor_status cast(xnor_import_node *node) {
    char where[XNOR_ONNX_MAX_NAME + 32];
    xnor_dtype dtype;
    snprintf(where, sizeof where, "node '%s' (Cast)", node->name);
    const int64_t type = int_attr(node, "to", 0);
    XNOR_TRY(xnor_onnx_dtype(where, type == (int32_t)type ? (int32_t)type : -1, &dtype));
    const int64_t to = dtype;
    xnor_onnx_set_ints(node, XNOR_ATTR_TO, &to, 1);
    return XNOR_OK;
}

// The fill value becomes input 1.
static xnor_status constant_of_shape(xnor_import_node *node) {
    const Onnx__AttributeProto *attr = xnor_onnx_attr(node->proto, "value");
    if (!attr) return XNOR_OK;
    if (!attr->t || node->input_count != 1)
        return refuse(node, "attribute 'value' is not a tensor");
    char name[XNOR_ONNX_MAX_NAME + 32], where[XNOR_ONNX_MAX_NAME + 32];
    snprintf(name, sizeof name, "%s_value", node->name);
    snprintf(where, sizeof where, "node '%s' (ConstantOfShape)", node->name);
    XNOR_TRY(xnor_onnx_add_tensor(node->import->graph, where, name, attr->t, &node->inputs[1]));
    node->input_count = 2;
    size_t count = 0;
    XNOR_TRY(xnor_shape_count(&node->import->graph->values[node->inputs[1]].shape, &count));
    return count == 1 ? XNOR_OK : refuse(node, "attribute 'value' must have one element");
}

static bool attr_is(const Onnx__AttributeProto *attr, const char *text) {
    return attr->s.len == strlen(text) && memcmp(attr->s.data, text, attr->s.len) == 0;
}

// Padding of one axis so that the output has ceil(size / stride) elements. With stride 1 that does
// not depend on the size, which may be unknown.
static bool same_padding(int64_t size, int64_t kernel, int64_t stride, int64_t dilation,
                         int64_t *total) {
    const int64_t limit = INT32_MAX; // keeps the products in range
    if (kernel < 1 || stride < 1 || dilation < 1) return false;
    if (kernel > limit || stride > limit || dilation > limit || size > limit) return false;
    *total = (kernel - 1) * dilation;
    if (stride == 1) return true;
    if (size < 0) return false;
    *total += ((size + stride - 1) / stride - 1) * stride + 1 - size;
    if (*total < 0) *total = 0;
    return true;
}

static int64_t spatial_attr(const xnor_import_node *node, const char *name, uint32_t axis) {
    const Onnx__AttributeProto *attr = xnor_onnx_attr(node->proto, name);
    return attr && axis < attr->n_ints ? attr->ints[axis] : 1;
}

// What auto_pad says about the window `kernel`, one size for each spatial axis.
static xnor_status automatic_pads(xnor_import_node *node, const int64_t *kernel, uint32_t spatial) {
    const Onnx__AttributeProto *attr = xnor_onnx_attr(node->proto, "auto_pad");
    const bool upper = attr_is(attr, "SAME_UPPER"), lower = attr_is(attr, "SAME_LOWER");
    if (!upper && !lower && !attr_is(attr, "VALID"))
        return refuse(node, "attribute 'auto_pad' has an unknown value");
    int64_t pads[XNOR_ATTR_MAX] = {0};
    xnor_shape x;
    XNOR_TRY(input_shape(node, 0, &x));
    if (spatial < 1 || x.rank != spatial + 2)
        return refuse(node, "the rank of its inputs is not known");
    for (uint32_t i = 0; i < spatial && (upper || lower); i++) {
        int64_t total;
        if (!same_padding(x.dims[i + 2], kernel[i], spatial_attr(node, "strides", i),
                          spatial_attr(node, "dilations", i), &total))
            return refuse(node, "auto_pad with a stride needs a known input size");
        pads[i] = upper ? total / 2 : total - total / 2;
        pads[i + spatial] = total - pads[i];
    }
    xnor_onnx_set_ints(node, XNOR_ATTR_PADS, pads, spatial * 2);
    return XNOR_OK;
}

static bool has_automatic_pads(const xnor_import_node *node) {
    const Onnx__AttributeProto *attr = xnor_onnx_attr(node->proto, "auto_pad");
    return attr && !attr_is(attr, "NOTSET");
}

static xnor_status conv(xnor_import_node *node) {
    xnor_shape w;
    if (!has_automatic_pads(node)) return XNOR_OK;
    XNOR_TRY(input_shape(node, 1, &w));
    if (w.rank < 3) return refuse(node, "the rank of its inputs is not known");
    return automatic_pads(node, w.dims + 2, w.rank - 2);
}

// The padding that brings about the size that output_shape or auto_pad asks for, which without output_shape
// does not depend on the input's. What is missing is added behind.
static xnor_status conv_transpose(xnor_import_node *node) {
    const Onnx__AttributeProto *wanted = xnor_onnx_attr(node->proto, "output_shape");
    const Onnx__AttributeProto *extra = xnor_onnx_attr(node->proto, "output_padding");
    const Onnx__AttributeProto *word = xnor_onnx_attr(node->proto, "auto_pad");
    const int64_t most = INT32_MAX;
    const bool upper = word && attr_is(word, "SAME_UPPER");
    const bool same = upper || (word && attr_is(word, "SAME_LOWER"));
    int64_t pads[4] = {0}, behind[2] = {0};
    xnor_shape x, w;
    if (word && !same && !attr_is(word, "VALID") && !attr_is(word, "NOTSET"))
        return refuse(node, "attribute 'auto_pad' has an unknown value");
    XNOR_TRY(input_shape(node, 0, &x));
    XNOR_TRY(input_shape(node, 1, &w));
    if (w.rank < 3 || w.rank > 4 || x.rank != w.rank)
        return refuse(node, "one or two spatial axes are supported");
    const uint32_t spatial = w.rank - 2;
    if (wanted && wanted->n_ints != spatial)
        return refuse(node, "attribute 'output_shape' must have a size for each spatial axis");
    for (uint32_t i = 0; i < spatial; i++) {
        behind[i] = extra && i < extra->n_ints ? extra->ints[i] : 0;
        const int64_t kernel = w.dims[i + 2], stride = spatial_attr(node, "strides", i);
        const int64_t dilation = spatial_attr(node, "dilations", i), in = x.dims[i + 2];
        if (!wanted && !same) continue;
        if (wanted && in < 0) return refuse(node, "output_shape needs a known input size");
        const int64_t out = wanted ? wanted->ints[i] : 0;
        if (kernel < 1 || kernel > most || stride < 1 || stride > most || dilation < 1 ||
            dilation > most || in > most || out < 0 || out > most || behind[i] < 0 ||
            behind[i] > most)
            return refuse(node, "a kernel, stride, dilation or size that is out of range");
        int64_t total = behind[i] + (kernel - 1) * dilation + 1 - stride;
        if (wanted) total += in * stride - out;
        if (total < 0) behind[i] -= total;
        if (total < 0) total = 0;
        pads[i] = upper ? total / 2 : total - total / 2;
        pads[i + spatial] = total - pads[i];
    }
    if (wanted || same) xnor_onnx_set_ints(node, XNOR_ATTR_PADS, pads, spatial * 2);
    xnor_onnx_set_ints(node, XNOR_ATTR_OUTPUT_PADDING, behind, spatial);
    return XNOR_OK;
}

static xnor_status pool(xnor_import_node *node) {
    const Onnx__AttributeProto *kernel = xnor_onnx_attr(node->proto, "kernel_shape");
    if (node->output_count > 1) return refuse(node, "the indices of the maxima are not supported");
    if (kernel && kernel->n_ints > 2) return refuse(node, "one or two spatial axes are supported");
    if (!has_automatic_pads(node)) return XNOR_OK;
    if (!kernel) return refuse(node, "attribute 'kernel_shape' is missing");
    return automatic_pads(node, kernel->ints, (uint32_t)kernel->n_ints);
}

static bool is_used(const Onnx__GraphProto *graph, const char *name) {
    for (size_t i = 0; i < graph->n_output; i++)
        if (graph->output[i]->name && strcmp(graph->output[i]->name, name) == 0) return true;
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_input; k++)
            if (strcmp(graph->node[i]->input[k], name) == 0) return true;
    return false;
}

// In inference the result is the input; the mask is not made.
static xnor_status dropout(xnor_import_node *node) {
    if (node->input_count > 2 && node->inputs[2] != XNOR_NO_VALUE) {
        const xnor_value *training = &node->import->graph->values[node->inputs[2]];
        if (!training->data || training->dtype != XNOR_BOOL || *(const uint8_t *)training->data)
            return refuse(node, "it may run in training mode");
    }
    if (node->output_count > 1 && is_used(node->import->proto, node->proto->output[1]))
        return refuse(node, "its mask is used, which inference does not make");
    if (node->input_count > 1) node->input_count = 1;
    node->output_count = 1;
    return XNOR_OK;
}

// noop_with_empty_axes turns "no axes" from "all axes" into "nothing to do".
static xnor_status reduce(xnor_import_node *node) {
    if (int_attr(node, "noop_with_empty_axes", 0) == 0) return XNOR_OK;
    size_t axes = 0;
    if (xnor_onnx_attr(node->proto, "axes")) return XNOR_OK;
    if (node->input_count > 1 && node->inputs[1] != XNOR_NO_VALUE) {
        const xnor_value *value = &node->import->graph->values[node->inputs[1]];
        if (!value->data)
            return refuse(node, "noop_with_empty_axes with axes that are not constant");
        XNOR_TRY(xnor_shape_count(&value->shape, &axes));
    }
    if (axes) return XNOR_OK;
    node->op = XNOR_OP_IDENTITY;
    node->input_count = node->input_count ? 1 : 0;
    node->attr_count = 0;
    return XNOR_OK;
}

// A word that must be one of `words`, as its index; the first without the attribute.
static xnor_status word_attr(xnor_import_node *node, const char *name, xnor_attr_key key,
                             const char *const *words) {
    const Onnx__AttributeProto *attr = xnor_onnx_attr(node->proto, name);
    int64_t index = 0;
    while (attr && words[index] && !attr_is(attr, words[index])) index++;
    if (!words[index])
        return xnor_fail(XNOR_E_UNSUPPORTED, "node '%s' (%s): %s '%.*s' is not supported",
                         node->name, node->proto->op_type, name, (int)attr->s.len,
                         (const char *)attr->s.data);
    xnor_onnx_set_ints(node, key, &index, 1);
    return XNOR_OK;
}

static xnor_status depth_to_space(xnor_import_node *node) {
    static const char *const modes[] = {"DCR", "CRD", NULL};
    return word_attr(node, "mode", XNOR_ATTR_MODE, modes);
}

// Before opset 11 the sizes and the value were attributes.
static xnor_status pad(xnor_import_node *node) {
    static const char *const modes[] = {"constant", "edge", "reflect", NULL};
    const Onnx__AttributeProto *pads = xnor_onnx_attr(node->proto, "pads");
    const Onnx__AttributeProto *value = xnor_onnx_attr(node->proto, "value");
    XNOR_TRY(word_attr(node, "mode", XNOR_ATTR_MODE, modes));
    if (!pads && !value) return XNOR_OK;
    if (!pads || node->input_count != 1)
        return refuse(node, "expected one input and the attribute 'pads'");
    XNOR_TRY(add_vector_input(node, 1, "pads", pads->ints, pads->n_ints));
    if (!value) return XNOR_OK;
    char name[XNOR_ONNX_MAX_NAME + 32];
    const xnor_shape scalar = {.rank = 0};
    void *data;
    snprintf(name, sizeof name, "%s_value", node->name);
    XNOR_TRY(xnor_graph_add_constant(node->import->graph, name, XNOR_F32, &scalar, &node->inputs[2],
                                     &data));
    *(float *)data = value->f;
    node->input_count = 3;
    return XNOR_OK;
}

// Opset 10 has no region of interest and places elements asymmetrically.
static xnor_status resize(xnor_import_node *node) {
    static const char *const modes[] = {"nearest", "linear", NULL};
    static const char *const coordinates[] = {"half_pixel", "pytorch_half_pixel",   "align_corners",
                                              "asymmetric", "tf_half_pixel_for_nn", NULL};
    static const char *const nearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                          "ceil", NULL};
    static const char *const policies[] = {"stretch", NULL};
    XNOR_TRY(word_attr(node, "mode", XNOR_ATTR_MODE, modes));
    if (node->import->opset < 11) {
        const int64_t asymmetric = 3, floor = 2;
        if (node->input_count != 2) return refuse(node, "expected two inputs");
        node->inputs[2] = node->inputs[1];
        node->inputs[1] = XNOR_NO_VALUE;
        node->input_count = 3;
        xnor_onnx_set_ints(node, XNOR_ATTR_COORDINATES, &asymmetric, 1);
        xnor_onnx_set_ints(node, XNOR_ATTR_NEAREST_MODE, &floor, 1);
        return XNOR_OK;
    }
    if (xnor_onnx_attr(node->proto, "axes"))
        return refuse(node, "attribute 'axes' is not supported");
    XNOR_TRY(word_attr(node, "keep_aspect_ratio_policy", XNOR_ATTR_MODE, policies));
    XNOR_TRY(word_attr(node, "mode", XNOR_ATTR_MODE, modes));
    XNOR_TRY(word_attr(node, "nearest_mode", XNOR_ATTR_NEAREST_MODE, nearest));
    if (node->input_count > 1) node->inputs[1] = XNOR_NO_VALUE; // the region is for another mode
    return word_attr(node, "coordinate_transformation_mode", XNOR_ATTR_COORDINATES, coordinates);
}

// Shape of some of the axes (opset 15) is a slice of the shape.
static xnor_status shape(xnor_import_node *node) {
    const int64_t start = int_attr(node, "start", 0), end = int_attr(node, "end", INT64_MAX);
    if (start == 0 && end == INT64_MAX) return XNOR_OK;
    if (node->input_count != 1) return refuse(node, "expected one input");
    char name[XNOR_ONNX_MAX_NAME + 32];
    xnor_value_id whole;
    snprintf(name, sizeof name, "%s_whole", node->name);
    XNOR_TRY(xnor_graph_add_value(node->import->graph, name, XNOR_I64, NULL, &whole));
    XNOR_TRY(xnor_graph_add_node(node->import->graph, XNOR_OP_SHAPE, name, node->inputs, 1, &whole,
                                 1, NULL));
    node->op = XNOR_OP_SLICE;
    node->inputs[0] = whole;
    XNOR_TRY(add_vector_input(node, 1, "start", &start, 1));
    return add_vector_input(node, 2, "end", &end, 1);
}

// Before opset 10: attributes.
static xnor_status slice(xnor_import_node *node) {
    const Onnx__AttributeProto *starts = xnor_onnx_attr(node->proto, "starts");
    const Onnx__AttributeProto *ends = xnor_onnx_attr(node->proto, "ends");
    const Onnx__AttributeProto *axes = xnor_onnx_attr(node->proto, "axes");
    if (!starts && !ends && !axes) return XNOR_OK;
    if (!starts || !ends || node->input_count != 1)
        return refuse(node, "expected one input and the attributes 'starts' and 'ends'");
    XNOR_TRY(add_vector_input(node, 1, "starts", starts->ints, starts->n_ints));
    XNOR_TRY(add_vector_input(node, 2, "ends", ends->ints, ends->n_ints));
    return axes ? add_vector_input(node, 3, "axes", axes->ints, axes->n_ints) : XNOR_OK;
}

// Before opset 13 all axes from `axis` on were one distribution: the same as now if it is the last.
static xnor_status softmax(xnor_import_node *node) {
    int64_t axis = int_attr(node, "axis", node->import->opset < 13 ? 1 : -1);
    if (node->import->opset < 13 && axis != -1) {
        xnor_shape shape;
        XNOR_TRY(input_shape(node, 0, &shape));
        if (axis != (int64_t)shape.rank - 1)
            return refuse(node, "before opset 13 only the last axis is supported");
        axis = -1;
    }
    xnor_onnx_set_ints(node, XNOR_ATTR_AXIS, &axis, 1);
    return XNOR_OK;
}

static xnor_status split(xnor_import_node *node) {
    if (int_attr(node, "num_outputs", node->output_count) != node->output_count)
        return refuse(node, "attribute 'num_outputs' is not the number of its outputs");
    return XNOR_OK;
}

static xnor_status top_k(xnor_import_node *node) {
    const Onnx__AttributeProto *k = xnor_onnx_attr(node->proto, "k");
    if (!k) return XNOR_OK;
    if (node->input_count != 1) return refuse(node, "expected one input and the attribute 'k'");
    return add_vector_input(node, 1, "k", &k->i, 1);
}

static const struct {
    const char *op;
    xnor_status (*normalise)(xnor_import_node *node);
} normalisers[] = {
    {"AveragePool", pool},
    {"BatchNormalization", batch_normalization},
    {"Cast", cast},
    {"ConstantOfShape", constant_of_shape},
    {"Conv", conv},
    {"ConvTranspose", conv_transpose},
    {"DepthToSpace", depth_to_space},
    {"Dropout", dropout},
    {"LogSoftmax", softmax},
    {"MaxPool", pool},
    {"Pad", pad},
    {"ReduceL1", reduce},
    {"ReduceL2", reduce},
    {"ReduceMax", reduce},
    {"ReduceMean", reduce},
    {"ReduceMin", reduce},
    {"ReduceProd", reduce},
    {"ReduceSum", reduce},
    {"ReduceSumSquare", reduce},
    {"Resize", resize},
    {"Shape", shape},
    {"Slice", slice},
    {"Softmax", softmax},
    {"Split", split},
    {"TopK", top_k},
};

xnor_status xnor_onnx_normalise(xnor_import_node *node) {
    for (size_t i = 0; i < sizeof normalisers / sizeof *normalisers; i++)
        if (strcmp(normalisers[i].op, node->proto->op_type) == 0)
            return normalisers[i].normalise(node);
    return XNOR_OK;
}
