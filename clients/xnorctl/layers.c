#include "clients/xnorctl/layers.h"

#include <inttypes.h>
#include <string.h>

#include "clients/xnorctl/json.h"
#include "clients/xnorctl/table.h"
#include "core/tensor.h"
#include "ops/ops.h"

typedef struct layer {
    uint64_t binary_macs, float_macs, weight_bytes, weights;
    const char *kind;
} layer;

static uint64_t elements(const xnor_graph *graph, xnor_value_id id) {
    size_t count = 0;
    return xnor_shape_count(&graph->values[id].shape, &count) == XNOR_OK ? count : 0;
}

// Elements that are multiplied for each element of the result, or of the input of a transposed convolution.
static uint64_t inner(const xnor_graph *graph, const xnor_node *node) {
    const xnor_shape *w = &graph->values[node->inputs[1]].shape;
    switch (node->op) {
    case XNOR_OP_LINEAR:
    case XNOR_OP_XNOR_LINEAR:
    case XNOR_OP_GROUPED:
        return (uint64_t)xnor_shape_last(w);
    case XNOR_OP_MATMUL:
        return (uint64_t)xnor_shape_last(&graph->values[node->inputs[0]].shape);
    case XNOR_OP_CONV:
    case XNOR_OP_CONV2D:
    case XNOR_OP_CONV_TRANSPOSE:
    case XNOR_OP_CONV_TRANSPOSE2D:
        return w->dims[0] > 0 ? elements(graph, node->inputs[1]) / (uint64_t)w->dims[0] : 0;
    default:
        return 0;
    }
}

static bool is_binary(const xnor_node *node) {
    return node->op == XNOR_OP_XNOR_LINEAR || node->op == XNOR_OP_GROUPED;
}

static layer measure(const xnor_graph *graph, const xnor_node *node) {
    layer l = {0};
    const bool gives = node->op == XNOR_OP_CONV_TRANSPOSE || node->op == XNOR_OP_CONV_TRANSPOSE2D;
    uint64_t macs =
        node->input_count > 1 && node->inputs[1] != XNOR_NO_VALUE
            ? elements(graph, gives ? node->inputs[0] : node->outputs[0]) * inner(graph, node)
            : 0;
    xnor_dtype x = graph->values[node->inputs[0]].dtype, y = graph->values[node->outputs[0]].dtype;
    bool binary = is_binary(node);
    *(binary ? &l.binary_macs : &l.float_macs) = macs;
    l.kind = xnor_dtype_name(binary ? x : y == XNOR_ACC ? XNOR_I32 : y);
    for (uint32_t i = 0; i < node->input_count; i++) {
        const xnor_value *value =
            node->inputs[i] == XNOR_NO_VALUE ? NULL : &graph->values[node->inputs[i]];
        size_t bytes = 0;
        if (!value || !value->data) continue;
        if (xnor_tensor_bytes(value->dtype, &value->shape, &bytes) != XNOR_OK) continue;
        l.weight_bytes += bytes;
        l.weights += elements(graph, node->inputs[i]);
    }
    return l;
}

layer_totals layers_count(const xnor_graph *graph) {
    layer_totals t = {0};
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const xnor_node *node = &graph->nodes[i];
        layer l = measure(graph, node);
        t.binary_macs += l.binary_macs;
        t.float_macs += l.float_macs;
        t.constant_bytes += l.weight_bytes;
        if (is_binary(node)) t.binary_weights += l.weights;
        // A bit table stands for one threshold per channel.
        t.float32_bytes +=
            4 * (node->op == XNOR_OP_TABLE ? (uint64_t)graph->values[node->inputs[1]].shape.dims[0]
                                           : l.weights);
    }
    return t;
}

static bool is_view(const xnor_node *node) {
    return (xnor_op_lookup(node->op)->flags & XNOR_VIEW) != 0;
}

void layers_print(const xnor_graph *graph, uint64_t file_bytes, FILE *stream) {
    static const char *const titles[] = {"layer",         "operator",     "output",     "kind",
                                         ">weight bytes", ">binary MMAC", ">float MMAC"};
    table t = table_start(titles, sizeof titles / sizeof *titles);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const xnor_node *node = &graph->nodes[i];
        if (is_view(node)) continue;
        layer l = measure(graph, node);
        char shape[XNOR_SHAPE_TEXT];
        table_cell(&t, "%s", node->name);
        table_cell(&t, "%s", xnor_op_name(node->op));
        table_cell(&t, "%s",
                   xnor_shape_text(&graph->values[node->outputs[0]].shape, shape, sizeof shape));
        table_cell(&t, "%s", l.kind);
        table_cell(&t, "%" PRIu64, l.weight_bytes);
        table_cell(&t, "%.3f", (double)l.binary_macs / 1e6);
        table_cell(&t, "%.3f", (double)l.float_macs / 1e6);
    }
    table_print(&t, stream);
    table_free(&t);
    layer_totals total = layers_count(graph);
    fprintf(stream,
            "\n%.1f M binary MAC, %.2f M float MAC; %" PRIu64 " one-bit weights\n"
            "file %" PRIu64 " bytes, with float32 weights %" PRIu64 " bytes: %.1f times smaller\n",
            (double)total.binary_macs / 1e6, (double)total.float_macs / 1e6, total.binary_weights,
            file_bytes, total.float32_bytes,
            file_bytes ? (double)total.float32_bytes / (double)file_bytes : 0.0);
}

void layers_json(const xnor_graph *graph, uint64_t file_bytes, FILE *stream) {
    json j = {stream, true};
    json_begin_array(&j, "layers");
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const xnor_node *node = &graph->nodes[i];
        if (is_view(node)) continue;
        layer l = measure(graph, node);
        json_begin_object(&j, NULL);
        json_string(&j, "layer", node->name);
        json_string(&j, "operator", xnor_op_name(node->op));
        json_begin_array(&j, "shape");
        const xnor_shape *shape = &graph->values[node->outputs[0]].shape;
        for (uint32_t k = 0; k < shape->rank; k++) json_int(&j, NULL, shape->dims[k]);
        json_end_array(&j);
        json_string(&j, "kind", l.kind);
        json_uint(&j, "weight_bytes", l.weight_bytes);
        json_uint(&j, "binary_macs", l.binary_macs);
        json_uint(&j, "float_macs", l.float_macs);
        json_end_object(&j);
    }
    json_end_array(&j);
    layer_totals t = layers_count(graph);
    json_begin_object(&j, "totals");
    json_uint(&j, "binary_macs", t.binary_macs);
    json_uint(&j, "float_macs", t.float_macs);
    json_uint(&j, "binary_weights", t.binary_weights);
    json_uint(&j, "file_bytes", file_bytes);
    json_uint(&j, "float32_bytes", t.float32_bytes);
    json_end_object(&j);
}

void layers_default_shapes(const xnor_model *model, int64_t points, xnor_shape *shapes) {
    const xnor_description *d = xnor_model_description(model);
    for (uint32_t i = 0; i < xnor_model_input_count(model); i++) {
        const xnor_port *port = xnor_model_input(model, i);
        bool cloud = d->task != XNOR_TASK_NONE && strcmp(port->name, d->input_name) == 0;
        int64_t free_axis = cloud && d->points > 0 ? d->points : points;
        shapes[i] = port->shape;
        xnor_image_frame frame;
        if (d->task == XNOR_TASK_IMAGE &&
            xnor_image_frame_of(d, (size_t)d->image.width, (size_t)d->image.height, &frame) ==
                XNOR_OK)
            shapes[i] = xnor_image_shape(d, &frame);
        for (uint32_t k = 0; k < port->shape.rank; k++)
            if (shapes[i].dims[k] < 0)
                shapes[i].dims[k] = k == 0 && port->shape.rank > 1 ? 1 : free_axis;
    }
}
