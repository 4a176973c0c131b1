#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

#include "core/tensor.h"
#include "ops/ops.h"

static const char *const attr_names[XNOR_ATTR_KEYS] = {
#define NAME(key, text) [XNOR_ATTR_##key] = text,
    XNOR_ATTR_TABLE(NAME)
#undef NAME
};

const char *xnor_attr_name(xnor_attr_key key) {
    return (unsigned)key < XNOR_ATTR_KEYS ? attr_names[key] : "?";
}

void xnor_graph_init(xnor_graph *graph) {
    memset(graph, 0, sizeof *graph);
}

void xnor_graph_free(xnor_graph *graph) {
    xnor_arena_free(&graph->arena);
    free(graph->values);
    free(graph->nodes);
    memset(graph, 0, sizeof *graph);
}

static xnor_status out_of_memory(void) {
    return xnor_fail(XNOR_E_MEMORY, "graph: out of memory");
}

xnor_status xnor_graph_clone(const xnor_graph *from, xnor_graph *out) {
    xnor_graph_init(out);
    *out = *from;
    out->arena = (xnor_arena){0};
    out->value_capacity = from->value_count;
    out->node_capacity = from->node_count;
    out->values = malloc((from->value_count + 1) * sizeof *out->values);
    out->nodes = malloc((from->node_count + 1) * sizeof *out->nodes);
    if (!out->values || !out->nodes) goto error;
    if (from->value_count)
        memcpy(out->values, from->values, from->value_count * sizeof *out->values);
    for (uint32_t i = 0; i < from->node_count; i++) {
        const xnor_node *node = &from->nodes[i];
        xnor_node *copy = &out->nodes[i];
        *copy = *node;
        copy->inputs =
            xnor_arena_copy(&out->arena, node->inputs, node->input_count * sizeof *node->inputs);
        copy->outputs =
            xnor_arena_copy(&out->arena, node->outputs, node->output_count * sizeof *node->outputs);
        copy->attrs =
            xnor_arena_copy(&out->arena, node->attrs, node->attr_count * sizeof *node->attrs);
        if (!copy->inputs || !copy->outputs || !copy->attrs) goto error;
    }
    return XNOR_OK;
error:
    xnor_graph_free(out);
    return out_of_memory();
}

xnor_status xnor_graph_add_value(xnor_graph *graph, const char *name, xnor_dtype dtype,
                                 const xnor_shape *shape, xnor_value_id *out) {
    if (graph->value_count == graph->value_capacity) {
        uint32_t capacity = graph->value_capacity ? graph->value_capacity * 2 : 64;
        xnor_value *values = realloc(graph->values, capacity * sizeof *values);
        if (!values) return out_of_memory();
        graph->values = values;
        graph->value_capacity = capacity;
    }
    char *copy = xnor_arena_string(&graph->arena, name);
    if (!copy) return out_of_memory();
    *out = graph->value_count++;
    graph->values[*out] = (xnor_value){.name = copy, .dtype = dtype};
    if (shape) graph->values[*out].shape = *shape;
    return XNOR_OK;
}

xnor_status xnor_graph_add_constant(xnor_graph *graph, const char *name, xnor_dtype dtype,
                                    const xnor_shape *shape, xnor_value_id *out, void **data) {
    size_t bytes;
    XNOR_TRY(xnor_tensor_bytes(dtype, shape, &bytes));
    void *memory = xnor_arena_alloc(&graph->arena, bytes ? bytes : 1);
    if (!memory) return out_of_memory();
    XNOR_TRY(xnor_graph_add_value(graph, name, dtype, shape, out));
    graph->values[*out].data = memory;
    *data = memory;
    return XNOR_OK;
}

xnor_status xnor_graph_insert_node(xnor_graph *graph, uint32_t at, xnor_op op, const char *name,
                                   const xnor_value_id *inputs, uint32_t input_count,
                                   const xnor_value_id *outputs, uint32_t output_count,
                                   xnor_node **out) {
    if (graph->node_count == graph->node_capacity) {
        uint32_t capacity = graph->node_capacity ? graph->node_capacity * 2 : 64;
        xnor_node *nodes = realloc(graph->nodes, capacity * sizeof *nodes);
        if (!nodes) return out_of_memory();
        graph->nodes = nodes;
        graph->node_capacity = capacity;
    }
    xnor_node node = {
        .op = op,
        .name = xnor_arena_string(&graph->arena, name),
        .input_count = input_count,
        .output_count = output_count,
        .inputs = xnor_arena_copy(&graph->arena, inputs, input_count * sizeof *inputs),
        .outputs = xnor_arena_copy(&graph->arena, outputs, output_count * sizeof *outputs),
    };
    if (!node.name || !node.inputs || !node.outputs) return out_of_memory();
    memmove(graph->nodes + at + 1, graph->nodes + at,
            (graph->node_count - at) * sizeof *graph->nodes);
    graph->nodes[at] = node;
    graph->node_count++;
    if (out) *out = &graph->nodes[at];
    return XNOR_OK;
}

xnor_status xnor_graph_add_node(xnor_graph *graph, xnor_op op, const char *name,
                                const xnor_value_id *inputs, uint32_t input_count,
                                const xnor_value_id *outputs, uint32_t output_count,
                                xnor_node **out) {
    return xnor_graph_insert_node(graph, graph->node_count, op, name, inputs, input_count, outputs,
                                  output_count, out);
}

static xnor_status attr_slot(xnor_graph *graph, xnor_node *node, xnor_attr_key key,
                             xnor_attr **out) {
    for (uint32_t i = 0; i < node->attr_count; i++)
        if (node->attrs[i].key == key) {
            *out = &node->attrs[i];
            return XNOR_OK;
        }
    xnor_attr *attrs = xnor_arena_alloc(&graph->arena, (node->attr_count + 1) * sizeof *attrs);
    if (!attrs) return out_of_memory();
    if (node->attr_count) memcpy(attrs, node->attrs, node->attr_count * sizeof *attrs);
    node->attrs = attrs;
    *out = &attrs[node->attr_count++];
    (*out)->key = key;
    return XNOR_OK;
}

xnor_status xnor_node_set_ints(xnor_graph *graph, xnor_node *node, xnor_attr_key key,
                               const int64_t *values, uint32_t count) {
    if (count > XNOR_ATTR_VALUES)
        return xnor_fail(XNOR_E_LIMIT, "%s: attribute '%s' has %u values, at most %d are supported",
                         node->name, xnor_attr_name(key), count, XNOR_ATTR_VALUES);
    xnor_attr *attr = NULL;
    XNOR_TRY(attr_slot(graph, node, key, &attr));
    *attr = (xnor_attr){.key = key, .count = count};
    for (uint32_t i = 0; i < count; i++) attr->ints[i] = values[i];
    return XNOR_OK;
}

xnor_status xnor_node_set_float(xnor_graph *graph, xnor_node *node, xnor_attr_key key,
                                double value) {
    xnor_attr *attr = NULL;
    XNOR_TRY(attr_slot(graph, node, key, &attr));
    *attr = (xnor_attr){.key = key, .is_float = true, .count = 1, .floats = {value}};
    return XNOR_OK;
}

const xnor_attr *xnor_node_attr(const xnor_node *node, xnor_attr_key key) {
    for (uint32_t i = 0; i < node->attr_count; i++)
        if (node->attrs[i].key == key) return &node->attrs[i];
    return NULL;
}

int64_t xnor_node_int(const xnor_node *node, xnor_attr_key key, int64_t fallback) {
    const xnor_attr *attr = xnor_node_attr(node, key);
    return attr && !attr->is_float && attr->count ? attr->ints[0] : fallback;
}

double xnor_node_float(const xnor_node *node, xnor_attr_key key, double fallback) {
    const xnor_attr *attr = xnor_node_attr(node, key);
    return attr && attr->is_float && attr->count ? attr->floats[0] : fallback;
}

uint32_t xnor_graph_producer(const xnor_graph *graph, xnor_value_id value) {
    for (uint32_t i = 0; i < graph->node_count; i++)
        for (uint32_t j = 0; j < graph->nodes[i].output_count; j++)
            if (graph->nodes[i].outputs[j] == value) return i;
    return UINT32_MAX;
}

uint32_t xnor_graph_uses(const xnor_graph *graph, xnor_value_id value, uint32_t *only) {
    uint32_t uses = 0;
    for (uint32_t i = 0; i < graph->node_count; i++)
        for (uint32_t j = 0; j < graph->nodes[i].input_count; j++)
            if (graph->nodes[i].inputs[j] == value) {
                uses++;
                if (only) *only = i;
            }
    for (uint32_t i = 0; i < graph->output_count; i++) uses += graph->outputs[i] == value;
    return uses;
}

bool xnor_graph_is_output(const xnor_graph *graph, xnor_value_id value) {
    for (uint32_t i = 0; i < graph->output_count; i++)
        if (graph->outputs[i] == value) return true;
    return false;
}

void xnor_graph_replace(xnor_graph *graph, xnor_value_id from, xnor_value_id to) {
    for (uint32_t i = 0; i < graph->node_count; i++)
        for (uint32_t j = 0; j < graph->nodes[i].input_count; j++)
            if (graph->nodes[i].inputs[j] == from) graph->nodes[i].inputs[j] = to;
    for (uint32_t i = 0; i < graph->output_count; i++)
        if (graph->outputs[i] == from) graph->outputs[i] = to;
}

void xnor_graph_remove_node(xnor_node *node) {
    node->output_count = 0;
    node->input_count = 0;
}

void xnor_graph_compact(xnor_graph *graph) {
    uint8_t *used = calloc(graph->value_count + 1, 1);
    if (!used) return; // dead nodes cost time, not correctness
    for (uint32_t i = 0; i < graph->output_count; i++) used[graph->outputs[i]] = 1;
    uint32_t keep = graph->node_count;
    for (uint32_t i = graph->node_count; i-- > 0;) {
        xnor_node node = graph->nodes[i];
        bool alive = false;
        for (uint32_t j = 0; j < node.output_count; j++) alive = alive || used[node.outputs[j]];
        if (!alive) continue;
        for (uint32_t j = 0; j < node.input_count; j++)
            if (node.inputs[j] != XNOR_NO_VALUE) used[node.inputs[j]] = 1;
        graph->nodes[--keep] = node;
    }
    graph->node_count -= keep;
    memmove(graph->nodes, graph->nodes + keep, graph->node_count * sizeof *graph->nodes);
    free(used);
}

xnor_status xnor_graph_infer_node(xnor_graph *graph, uint32_t index) {
    xnor_node *node = &graph->nodes[index];
    const xnor_op_info *info = xnor_op_lookup(node->op);
    if (!info)
        return xnor_fail(XNOR_E_UNSUPPORTED, "node '%s': operator '%s' is not supported",
                         node->name, xnor_op_name(node->op));
    if (node->input_count < info->min_inputs || node->input_count > info->max_inputs)
        return xnor_fail(XNOR_E_FORMAT, "node '%s' (%s): expected %u to %u inputs, found %u",
                         node->name, xnor_op_name(node->op), info->min_inputs, info->max_inputs,
                         node->input_count);
    if (node->output_count < 1 || node->output_count > info->max_outputs)
        return xnor_fail(XNOR_E_FORMAT, "node '%s' (%s): expected 1 to %u outputs, found %u",
                         node->name, xnor_op_name(node->op), info->max_outputs, node->output_count);
    for (uint32_t i = 0; i < info->min_inputs; i++)
        if (node->inputs[i] == XNOR_NO_VALUE)
            return xnor_fail(XNOR_E_FORMAT, "node '%s' (%s): input %u is missing", node->name,
                             xnor_op_name(node->op), i);
    return info->infer(graph, node);
}

xnor_status xnor_graph_verify(xnor_graph *graph) {
    uint8_t *ready = calloc(graph->value_count + 1, 1);
    if (!ready) return out_of_memory();
    xnor_status status = XNOR_OK;
    for (uint32_t i = 0; i < graph->value_count; i++) ready[i] = graph->values[i].data != NULL;
    for (uint32_t i = 0; i < graph->input_count; i++) ready[graph->inputs[i]] = 1;
    for (uint32_t i = 0; i < graph->node_count && status == XNOR_OK; i++) {
        const xnor_node *node = &graph->nodes[i];
        for (uint32_t j = 0; j < node->input_count && status == XNOR_OK; j++) {
            xnor_value_id id = node->inputs[j];
            if (id == XNOR_NO_VALUE) continue;
            if (id >= graph->value_count || !ready[id])
                status = xnor_fail(XNOR_E_FORMAT, "node '%s': input %u is used before it is made",
                                   node->name, j);
        }
        for (uint32_t j = 0; j < node->output_count && status == XNOR_OK; j++) {
            xnor_value_id id = node->outputs[j];
            if (id >= graph->value_count || ready[id])
                status =
                    xnor_fail(XNOR_E_FORMAT, "node '%s': output %u is made twice", node->name, j);
            else
                ready[id] = 1;
        }
        if (status == XNOR_OK) status = xnor_graph_infer_node(graph, i);
    }
    for (uint32_t i = 0; i < graph->output_count && status == XNOR_OK; i++)
        if (graph->outputs[i] >= graph->value_count || !ready[graph->outputs[i]])
            status = xnor_fail(XNOR_E_FORMAT, "graph output %u is never made", i);
    free(ready);
    return status;
}
