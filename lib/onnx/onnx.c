#include "onnx/onnx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/text.h"
#include "onnx/import.h"
#include "onnx/tensor.h"

xnor_status xnor_onnx_check_name(const char *name, const char *what, size_t index) {
    size_t bytes = name ? strlen(name) : 0;
    if (bytes > XNOR_ONNX_MAX_NAME)
        return xnor_fail(XNOR_E_LIMIT, "name of %s %zu: %zu bytes, at most %d are supported", what,
                         index, bytes, XNOR_ONNX_MAX_NAME);
    if (bytes && !xnor_text_valid(name, bytes))
        return xnor_fail(XNOR_E_FORMAT, "name of %s %zu is not printable UTF-8", what, index);
    return XNOR_OK;
}

xnor_status xnor_onnx_name_value(xnor_import *import, const char *name, xnor_value_id id) {
    bool known;
    XNOR_TRY(xnor_names_add(&import->values, name, id, &known));
    return known ? xnor_fail(XNOR_E_FORMAT, "two values are called '%s'", name) : XNOR_OK;
}

// ---- values of the graph ------------------------------------------------------------------------

static xnor_status read_initializers(xnor_import *import) {
    const Onnx__GraphProto *proto = import->proto;
    if (proto->n_sparse_initializer)
        return xnor_fail(XNOR_E_UNSUPPORTED, "sparse initializers are not supported");
    for (size_t i = 0; i < proto->n_initializer; i++) {
        const Onnx__TensorProto *tensor = proto->initializer[i];
        char where[XNOR_ONNX_MAX_NAME + 32];
        xnor_value_id id;
        XNOR_TRY(xnor_onnx_check_name(tensor->name, "initializer", i));
        if (!tensor->name || !*tensor->name)
            return xnor_fail(XNOR_E_FORMAT, "initializer %zu has no name", i);
        snprintf(where, sizeof where, "initializer '%s'", tensor->name);
        XNOR_TRY(xnor_onnx_add_tensor(import->graph, where, tensor->name, tensor, &id));
        XNOR_TRY(xnor_onnx_name_value(import, tensor->name, id));
    }
    return XNOR_OK;
}

static xnor_status read_shape(const char *where, const Onnx__TensorShapeProto *proto,
                              xnor_shape *out) {
    if (!proto) return xnor_fail(XNOR_E_UNSUPPORTED, "%s: its rank is not given", where);
    if (proto->n_dim > XNOR_MAX_RANK)
        return xnor_fail(XNOR_E_LIMIT, "%s: rank %zu, at most %d is supported", where, proto->n_dim,
                         XNOR_MAX_RANK);
    *out = (xnor_shape){.rank = (uint32_t)proto->n_dim};
    for (uint32_t i = 0; i < out->rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = proto->dim[i];
        out->dims[i] = -1;
        if (dim->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) continue;
        // -1 is what some exporters write for a dynamic dimension.
        if (dim->dim_value < -1 || dim->dim_value == INT64_MAX)
            return xnor_fail(XNOR_E_FORMAT, "%s: dimension %u is %lld", where, i,
                             (long long)dim->dim_value);
        out->dims[i] = dim->dim_value;
    }
    return XNOR_OK;
}

static xnor_status read_input(xnor_import *import, const Onnx__ValueInfoProto *info, size_t index) {
    xnor_graph *graph = import->graph;
    char where[XNOR_ONNX_MAX_NAME + 32];
    uint32_t known;
    XNOR_TRY(xnor_onnx_check_name(info->name, "input", index));
    if (!info->name || !*info->name)
        return xnor_fail(XNOR_E_FORMAT, "input %zu has no name", index);
    // Before IR version 4 every initializer was listed as an input, too.
    if (xnor_names_find(&import->values, info->name, &known) && graph->values[known].data)
        return XNOR_OK;
    snprintf(where, sizeof where, "input '%s'", info->name);
    if (!info->type || info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
        !info->type->tensor_type)
        return xnor_fail(XNOR_E_UNSUPPORTED, "%s is not a tensor", where);
    const Onnx__TypeProto__Tensor *type = info->type->tensor_type;
    xnor_dtype dtype;
    xnor_shape shape;
    XNOR_TRY(xnor_onnx_dtype(where, type->elem_type, &dtype));
    XNOR_TRY(read_shape(where, type->shape, &shape));
    if (graph->input_count == XNOR_MAX_PORTS)
        return xnor_fail(XNOR_E_LIMIT, "the model has more than %d inputs", XNOR_MAX_PORTS);
    xnor_value_id id;
    XNOR_TRY(xnor_graph_add_value(graph, info->name, dtype, &shape, &id));
    XNOR_TRY(xnor_onnx_name_value(import, info->name, id));
    graph->inputs[graph->input_count++] = id;
    return XNOR_OK;
}

static xnor_status read_outputs(xnor_import *import) {
    const Onnx__GraphProto *proto = import->proto;
    xnor_graph *graph = import->graph;
    if (proto->n_output == 0) return xnor_fail(XNOR_E_FORMAT, "the model has no outputs");
    if (proto->n_output > XNOR_MAX_PORTS)
        return xnor_fail(XNOR_E_LIMIT, "the model has %zu outputs, at most %d are supported",
                         proto->n_output, XNOR_MAX_PORTS);
    for (size_t i = 0; i < proto->n_output; i++) {
        const char *name = proto->output[i]->name ? proto->output[i]->name : "";
        xnor_value_id id;
        XNOR_TRY(xnor_onnx_check_name(name, "output", i));
        if (!xnor_names_find(&import->values, name, &id))
            return xnor_fail(XNOR_E_FORMAT, "output '%s': no node makes it", name);
        if (xnor_graph_is_output(graph, id))
            return xnor_fail(XNOR_E_FORMAT, "two outputs are called '%s'", name);
        graph->outputs[graph->output_count++] = id;
    }
    return XNOR_OK;
}

// ---- the model ----------------------------------------------------------------------------------

static xnor_status read_opsets(const Onnx__ModelProto *model, int64_t *opset) {
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *set = model->opset_import[i];
        const char *domain = set->domain ? set->domain : "";
        if (*domain && strcmp(domain, "ai.onnx") != 0) continue; // its nodes are checked one by one
        if (*opset) return xnor_fail(XNOR_E_FORMAT, "the model imports two standard operator sets");
        if (set->version < XNOR_ONNX_MIN_OPSET || set->version > XNOR_ONNX_MAX_OPSET)
            return xnor_fail(XNOR_E_UNSUPPORTED,
                             "operator set %lld is not supported, only %d to %d; export the model "
                             "with another opset_version",
                             (long long)set->version, XNOR_ONNX_MIN_OPSET, XNOR_ONNX_MAX_OPSET);
        *opset = set->version;
    }
    return XNOR_OK;
}

// Of everything that messages and the graph repeat.
static xnor_status check_node_names(const Onnx__GraphProto *proto) {
    for (size_t i = 0; i < proto->n_node; i++) {
        const Onnx__NodeProto *node = proto->node[i];
        XNOR_TRY(xnor_onnx_check_name(node->name, "node", i));
        XNOR_TRY(xnor_onnx_check_name(node->op_type, "operator of node", i));
        XNOR_TRY(xnor_onnx_check_name(node->domain, "domain of node", i));
        for (size_t j = 0; j < node->n_input; j++)
            XNOR_TRY(xnor_onnx_check_name(node->input[j], "an input of node", i));
        for (size_t j = 0; j < node->n_output; j++)
            XNOR_TRY(xnor_onnx_check_name(node->output[j], "an output of node", i));
        for (size_t j = 0; j < node->n_attribute; j++)
            XNOR_TRY(xnor_onnx_check_name(node->attribute[j]->name, "an attribute of node", i));
    }
    return XNOR_OK;
}

static xnor_status read_graph(xnor_import *import, uint32_t **order) {
    const Onnx__GraphProto *proto = import->proto;
    if (proto->n_node > XNOR_ONNX_MAX_NODES)
        return xnor_fail(XNOR_E_LIMIT, "the model has %zu nodes, at most %d are supported",
                         proto->n_node, XNOR_ONNX_MAX_NODES);
    XNOR_TRY(check_node_names(proto));
    XNOR_TRY(read_initializers(import));
    for (size_t i = 0; i < proto->n_input; i++) XNOR_TRY(read_input(import, proto->input[i], i));
    XNOR_TRY(xnor_onnx_sort(proto, order));
    for (uint32_t i = 0; i < proto->n_node; i++)
        XNOR_TRY(xnor_onnx_import_node(import, (*order)[i]));
    return read_outputs(import);
}

static xnor_status read_model(const Onnx__ModelProto *model, xnor_graph *graph) {
    xnor_import import = {.graph = graph, .model = model, .proto = model->graph};
    uint32_t *order = NULL;
    if (!model->graph)
        return xnor_fail(XNOR_E_FORMAT, "this is not an ONNX model: it has no graph");
    XNOR_TRY(read_opsets(model, &import.opset));
    xnor_status status = read_graph(&import, &order);
    xnor_names_free(&import.values);
    free(order);
    return status;
}

xnor_status xnor_onnx_read(const void *data, size_t size, xnor_graph *graph) {
    if (size > XNOR_ONNX_MAX_BYTES)
        return xnor_fail(XNOR_E_LIMIT, "the model has %zu bytes, at most %d are supported", size,
                         XNOR_ONNX_MAX_BYTES);
    Onnx__ModelProto *model;
    XNOR_TRY(xnor_onnx_unpack(data, size, &model));
    xnor_status status = read_model(model, graph);
    xnor_onnx_release(model);
    return status;
}

// ---- files --------------------------------------------------------------------------------------

static xnor_status read_all(int fd, const char *path, uint8_t *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t got = read(fd, data + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
        if (got == 0) return xnor_fail(XNOR_E_IO, "%s: became shorter while it was read", path);
        done += (size_t)got;
    }
    return XNOR_OK;
}

static xnor_status read_descriptor(int fd, const char *path, xnor_graph *graph) {
    struct stat info;
    if (fstat(fd, &info) != 0) return xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return xnor_fail(XNOR_E_IO, "%s: not a regular file", path);
    if (info.st_size > XNOR_ONNX_MAX_BYTES)
        return xnor_fail(XNOR_E_LIMIT, "%s: %lld bytes, at most %d are supported", path,
                         (long long)info.st_size, XNOR_ONNX_MAX_BYTES);
    size_t size = (size_t)info.st_size;
    uint8_t *data = malloc(size + 1);
    if (!data) return xnor_fail(XNOR_E_MEMORY, "%s: out of memory", path);
    xnor_status status = read_all(fd, path, data, size);
    if (status == XNOR_OK) status = xnor_onnx_read(data, size, graph);
    free(data);
    return status;
}

xnor_status xnor_onnx_read_file(const char *path, xnor_graph *graph) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
    xnor_status status = read_descriptor(fd, path, graph);
    close(fd);
    return status;
}
