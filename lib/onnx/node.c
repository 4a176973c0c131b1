#include <stdio.h>
#include <string.h>

#include "onnx/import.h"
#include "onnx/tensor.h"

static const char *op_type(const xnor_import_node *node) {
    return node->proto->op_type ? node->proto->op_type : "";
}

static const char *domain(const xnor_import_node *node) {
    const char *name = node->proto->domain ? node->proto->domain : "";
    return strcmp(name, "ai.onnx") == 0 ? "" : name;
}

// ---- operator -----------------------------------------------------------------------------------

static const char *const op_domains[XNOR_OP_COUNT] = {
#define DOMAIN(id, text, domain) [XNOR_OP_##id] = domain,
    XNOR_OP_TABLE(DOMAIN)
#undef DOMAIN
};

static int64_t domain_version(const xnor_import_node *node) {
    const Onnx__ModelProto *model = node->import->model;
    if (*domain(node) == '\0') return node->import->opset;
    for (size_t i = 0; i < model->n_opset_import; i++)
        if (model->opset_import[i]->domain &&
            strcmp(model->opset_import[i]->domain, domain(node)) == 0)
            return model->opset_import[i]->version;
    return 0;
}

// Version 1 of our own domain is what XNOR_DOMAIN.md describes.
static bool is_known_version(const xnor_import_node *node) {
    if (*domain(node) == '\0') return node->import->opset != 0;
    return domain_version(node) == XNOR_ONNX_OWN_VERSION;
}

static xnor_status find_op(xnor_import_node *node) {
    const char *type = op_type(node);
    bool standard = *domain(node) == '\0';
    if (standard && strcmp(type, "Dropout") == 0) type = "Identity"; // in inference
    node->op = xnor_op_find(type);
    if (node->op == XNOR_OP_COUNT || strcmp(op_domains[node->op], domain(node)) != 0 ||
        !is_known_version(node))
        return xnor_fail(XNOR_E_UNSUPPORTED,
                         "node '%s': operator '%s' (domain '%s', opset %lld) is not supported",
                         node->name, op_type(node), domain(node), (long long)domain_version(node));
    return XNOR_OK;
}

// ---- inputs and outputs -------------------------------------------------------------------------

static size_t without_omitted_at_end(char **names, size_t count) {
    while (count && names[count - 1][0] == '\0') count--;
    return count;
}

static xnor_status find_inputs(xnor_import_node *node) {
    const Onnx__NodeProto *proto = node->proto;
    size_t count = without_omitted_at_end(proto->input, proto->n_input);
    if (count > XNOR_MAX_INPUTS)
        return xnor_fail(XNOR_E_LIMIT, "node '%s' (%s): %zu inputs, at most %d are supported",
                         node->name, op_type(node), count, XNOR_MAX_INPUTS);
    node->input_count = (uint32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        node->inputs[i] = XNOR_NO_VALUE;
        if (proto->input[i][0] == '\0') continue;
        if (!xnor_names_find(&node->import->values, proto->input[i], &node->inputs[i]))
            return xnor_fail(XNOR_E_FORMAT, "node '%s' (%s): nothing makes its input '%s'",
                             node->name, op_type(node), proto->input[i]);
    }
    return XNOR_OK;
}

static xnor_status count_outputs(xnor_import_node *node) {
    size_t count = without_omitted_at_end(node->proto->output, node->proto->n_output);
    if (count == 0 || count > XNOR_MAX_OUTPUTS)
        return xnor_fail(XNOR_E_LIMIT, "node '%s' (%s): %zu outputs, 1 to %d are supported",
                         node->name, op_type(node), count, XNOR_MAX_OUTPUTS);
    node->output_count = (uint32_t)count;
    return XNOR_OK;
}

static xnor_status add_outputs(xnor_import_node *node, xnor_value_id *ids) {
    for (uint32_t i = 0; i < node->output_count; i++) {
        const char *name = node->proto->output[i];
        XNOR_TRY(xnor_graph_add_value(node->import->graph, name, XNOR_F32, NULL, &ids[i]));
        if (*name) XNOR_TRY(xnor_onnx_name_value(node->import, name, ids[i]));
    }
    return XNOR_OK;
}

// ---- attributes ---------------------------------------------------------------------------------

// What ONNX says about each key; a wrong type would otherwise read as the default.
typedef enum attr_type { INT, INTS, FLOAT } attr_type;

static const attr_type attr_types[XNOR_ATTR_KEYS] = {
    [XNOR_ATTR_ALPHA] = FLOAT,    [XNOR_ATTR_BETA] = FLOAT,
    [XNOR_ATTR_GAMMA] = FLOAT,    [XNOR_ATTR_EPSILON] = FLOAT,
    [XNOR_ATTR_MIN] = FLOAT,      [XNOR_ATTR_MAX] = FLOAT,
    [XNOR_ATTR_AXES] = INTS,      [XNOR_ATTR_PERM] = INTS,
    [XNOR_ATTR_STRIDES] = INTS,   [XNOR_ATTR_PADS] = INTS,
    [XNOR_ATTR_DILATIONS] = INTS, [XNOR_ATTR_KERNEL_SHAPE] = INTS,
    [XNOR_ATTR_STARTS] = INTS,    [XNOR_ATTR_ENDS] = INTS,
    [XNOR_ATTR_SPLIT] = INTS,     [XNOR_ATTR_OUTPUT_PADDING] = INTS,
    [XNOR_ATTR_RATIO] = FLOAT,    [XNOR_ATTR_RADIUS] = FLOAT,
};

static const struct {
    int onnx;
    const char *text;
} attr_type_names[] = {
    [INT] = {ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT, "an integer"},
    [INTS] = {ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS, "integers"},
    [FLOAT] = {ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT, "a float"},
};

const Onnx__AttributeProto *xnor_onnx_attr(const Onnx__NodeProto *node, const char *name) {
    for (size_t i = 0; i < node->n_attribute; i++)
        if (node->attribute[i]->name && strcmp(node->attribute[i]->name, name) == 0)
            return node->attribute[i];
    return NULL;
}

static xnor_attr *attr_slot(xnor_import_node *node, xnor_attr_key key) {
    for (uint32_t i = 0; i < node->attr_count; i++)
        if (node->attrs[i].key == key) return &node->attrs[i];
    return &node->attrs[node->attr_count++]; // one per key, so there is room
}

void xnor_onnx_set_ints(xnor_import_node *node, xnor_attr_key key, const int64_t *values,
                        uint32_t count) {
    xnor_attr *attr = attr_slot(node, key);
    *attr = (xnor_attr){.key = key, .count = count};
    for (uint32_t i = 0; i < count; i++) attr->ints[i] = values[i];
}

static xnor_status copy_attr(xnor_import_node *node, const Onnx__AttributeProto *proto) {
    unsigned key = 0;
    while (key < XNOR_ATTR_KEYS && strcmp(xnor_attr_name((xnor_attr_key)key), proto->name) != 0)
        key++;
    if (key == XNOR_ATTR_KEYS)
        return xnor_fail(XNOR_E_UNSUPPORTED, "node '%s' (%s): attribute '%s' is not supported",
                         node->name, op_type(node), proto->name);
    attr_type type = attr_types[key];
    if ((int)proto->type != attr_type_names[type].onnx)
        return xnor_fail(XNOR_E_FORMAT, "node '%s' (%s): attribute '%s' must be %s", node->name,
                         op_type(node), proto->name, attr_type_names[type].text);
    if (type == INTS && proto->n_ints > XNOR_ATTR_MAX)
        return xnor_fail(XNOR_E_LIMIT,
                         "node '%s' (%s): attribute '%s' has %zu values, at most %d are supported",
                         node->name, op_type(node), proto->name, proto->n_ints, XNOR_ATTR_MAX);
    if (type == INTS)
        xnor_onnx_set_ints(node, (xnor_attr_key)key, proto->ints, (uint32_t)proto->n_ints);
    else if (type == INT)
        xnor_onnx_set_ints(node, (xnor_attr_key)key, &proto->i, 1);
    else
        *attr_slot(node, (xnor_attr_key)key) = (xnor_attr){
            .key = (xnor_attr_key)key, .is_float = true, .count = 1, .floats = {(double)proto->f}};
    return XNOR_OK;
}

static xnor_status read_attrs(xnor_import_node *node) {
    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        const Onnx__AttributeProto *attr = node->proto->attribute[i];
        bool copy;
        if (!attr->name || (attr->ref_attr_name && *attr->ref_attr_name))
            return xnor_fail(XNOR_E_UNSUPPORTED,
                             "node '%s' (%s): attribute %zu has no value of its own", node->name,
                             op_type(node), i);
        if (attr->g || attr->n_graphs)
            return xnor_fail(XNOR_E_UNSUPPORTED,
                             "node '%s' (%s): attribute '%s' is a sub-graph: control flow is not "
                             "supported",
                             node->name, op_type(node), attr->name);
        if (xnor_onnx_attr(node->proto, attr->name) != attr)
            return xnor_fail(XNOR_E_FORMAT, "node '%s' (%s): attribute '%s' is given twice",
                             node->name, op_type(node), attr->name);
        XNOR_TRY(xnor_onnx_judge_attr(node, attr, &copy));
        if (copy) XNOR_TRY(copy_attr(node, attr));
    }
    return XNOR_OK;
}

// ---- Constant -----------------------------------------------------------------------------------

// The scalar and list forms of opset 12 as the tensor that they stand for. `count` is its
// dimension.
static Onnx__TensorProto constant_tensor(const Onnx__AttributeProto *attr, int64_t *count) {
    Onnx__TensorProto tensor = ONNX__TENSOR_PROTO__INIT;
    const bool is_list = attr->name[strlen(attr->name) - 1] == 's';
    if (strncmp(attr->name, "value_float", strlen("value_float")) == 0) {
        tensor.data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
        tensor.float_data = is_list ? attr->floats : (float *)(uintptr_t)&attr->f;
        tensor.n_float_data = is_list ? attr->n_floats : 1;
        *count = (int64_t)tensor.n_float_data;
    } else {
        tensor.data_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
        tensor.int64_data = is_list ? attr->ints : (int64_t *)(uintptr_t)&attr->i;
        tensor.n_int64_data = is_list ? attr->n_ints : 1;
        *count = (int64_t)tensor.n_int64_data;
    }
    tensor.dims = count;
    tensor.n_dims = is_list;
    return tensor;
}

static xnor_status import_constant(xnor_import_node *node) {
    static const char *const forms[] = {"value", "value_float", "value_floats", "value_int",
                                        "value_ints"};
    const Onnx__AttributeProto *attr = NULL;
    for (size_t i = 0; i < sizeof forms / sizeof *forms && !attr; i++)
        attr = xnor_onnx_attr(node->proto, forms[i]);
    if (!attr || node->proto->n_attribute != 1 || node->output_count != 1)
        return xnor_fail(
            XNOR_E_UNSUPPORTED,
            "node '%s' (Constant): expected one attribute (a tensor, floats or integers) "
            "and one output",
            node->name);
    char where[XNOR_ONNX_MAX_NAME + 32];
    snprintf(where, sizeof where, "node '%s' (Constant)", node->name);
    Onnx__TensorProto listed;
    int64_t count;
    const Onnx__TensorProto *tensor = attr->t;
    if (strcmp(attr->name, "value") != 0) {
        listed = constant_tensor(attr, &count);
        tensor = &listed;
    }
    if (!tensor) return xnor_fail(XNOR_E_FORMAT, "%s: 'value' is not a tensor", where);
    const char *name = node->proto->output[0];
    xnor_value_id id;
    XNOR_TRY(xnor_onnx_add_tensor(node->import->graph, where, name, tensor, &id));
    return xnor_onnx_name_value(node->import, name, id);
}

// ---- the node -----------------------------------------------------------------------------------

static xnor_status emit(xnor_import_node *node) {
    xnor_graph *graph = node->import->graph;
    xnor_value_id outputs[XNOR_MAX_OUTPUTS];
    xnor_node *made;
    XNOR_TRY(add_outputs(node, outputs));
    XNOR_TRY(xnor_graph_add_node(graph, node->op, node->name, node->inputs, node->input_count,
                                 outputs, node->output_count, &made));
    made->attrs =
        xnor_arena_copy(&graph->arena, node->attrs, node->attr_count * sizeof *node->attrs);
    if (!made->attrs) return xnor_fail(XNOR_E_MEMORY, "out of memory");
    made->attr_count = node->attr_count;
    return XNOR_OK;
}

xnor_status xnor_onnx_import_node(xnor_import *import, uint32_t index) {
    const Onnx__NodeProto *proto = import->proto->node[index];
    char generated[XNOR_ONNX_MAX_NAME + 16];
    xnor_import_node node = {.import = import, .proto = proto, .name = proto->name};
    if (!node.name || !*node.name) {
        snprintf(generated, sizeof generated, "%s_%u", op_type(&node), index);
        node.name = generated;
    }
    XNOR_TRY(count_outputs(&node));
    if (*domain(&node) == '\0' && strcmp(op_type(&node), "Constant") == 0)
        return import_constant(&node);
    XNOR_TRY(find_op(&node));
    XNOR_TRY(find_inputs(&node));
    XNOR_TRY(read_attrs(&node));
    XNOR_TRY(xnor_onnx_normalise(&node));
    return emit(&node);
}
