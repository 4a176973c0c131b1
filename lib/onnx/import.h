// State of one import. Internal to lib/onnx.
#ifndef XNOR_ONNX_IMPORT_H
#define XNOR_ONNX_IMPORT_H

#include "onnx/names.h"
#include "onnx/onnx.h"
#include "onnx/unpack.h"

#define XNOR_ONNX_MIN_OPSET 7
#define XNOR_ONNX_MAX_OPSET 18
#define XNOR_ONNX_OWN_VERSION 1 // of domain "xnor"

enum {
    XNOR_ONNX_MAX_BYTES = 512 << 20,
    XNOR_ONNX_MAX_NODES = 65536,
    XNOR_ONNX_MAX_NAME = 1024, // bytes
};

typedef struct xnor_import {
    xnor_graph *graph;
    const Onnx__ModelProto *model;
    const Onnx__GraphProto *proto;
    int64_t opset;     // of domain ""; 0 if the model does not import it
    xnor_names values; // value name -> value id
    uint32_t inferred; // nodes whose shape rules have been run
} xnor_import;

// One node on its way into the graph.
typedef struct xnor_import_node {
    xnor_import *import;
    const Onnx__NodeProto *proto;
    const char *name; // generated where the model has none
    xnor_op op;
    uint32_t input_count;
    uint32_t output_count; // named outputs, without omitted ones at the end
    uint32_t attr_count;
    xnor_value_id inputs[XNOR_MAX_INPUTS];
    xnor_attr attrs[XNOR_ATTR_KEYS];
} xnor_import_node;

// Names must be printable; `what` and `index` say whose name it is.
XNOR_NODISCARD xnor_status xnor_onnx_check_name(const char *name, const char *what, size_t index);
// Fails when a value of this name exists.
XNOR_NODISCARD xnor_status xnor_onnx_name_value(xnor_import *import, const char *name,
                                                xnor_value_id id);

// Order in which every node comes after those whose results it uses; keeps the file's order where
// it is one. XNOR_E_FORMAT names a node of a cycle. *out has proto->n_node elements, free() it.
XNOR_NODISCARD xnor_status xnor_onnx_sort(const Onnx__GraphProto *proto, uint32_t **out);

// Imports the node with index `index` of the model.
XNOR_NODISCARD xnor_status xnor_onnx_import_node(xnor_import *import, uint32_t index);

// NULL when absent.
const Onnx__AttributeProto *xnor_onnx_attr(const Onnx__NodeProto *node, const char *name);
// Decides whether an attribute goes into the graph as it is. XNOR_E_UNSUPPORTED: its value asks for
// something that the engine does not do.
XNOR_NODISCARD xnor_status xnor_onnx_judge_attr(const xnor_import_node *node,
                                                const Onnx__AttributeProto *attr, bool *copy);
// Sets or replaces an attribute of the node being imported.
void xnor_onnx_set_ints(xnor_import_node *node, xnor_attr_key key, const int64_t *values,
                        uint32_t count);
// Brings the forms of all operator sets to the one form of the graph.
XNOR_NODISCARD xnor_status xnor_onnx_normalise(xnor_import_node *node);

#endif
