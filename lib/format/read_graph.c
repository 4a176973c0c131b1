#include <string.h>

#include "core/size.h"
#include "core/tensor.h"
#include "format/layout.h"
#include "format/sections.h"

enum { MAX_SYMBOLS = XNOR_OP_COUNT + XNOR_ATTR_KEYS };

// A symbol is the name of an operator or of an attribute; the other of the two is its COUNT.
typedef struct symbol {
    xnor_op op;
    xnor_attr_key key;
} symbol;

// What is known of a value while the section is read. Nodes are in topological order: each may use
// only what is READY, and makes what is not yet.
enum { CONSTANT = 1, READY = 2, NAMED = 4 };

typedef struct reader {
    xnor_cursor cursor;
    xnor_graph *graph;
    uint32_t symbol_count;
    symbol symbols[MAX_SYMBOLS];
    uint8_t *flags; // by value
    uint32_t attrs_left;
} reader;

static xnor_status fail(const reader *r, const char *record, uint32_t index) {
    return xnor_fail(XNOR_E_FORMAT, "section 'graph': %s %u: %s", record, index,
                     r->cursor.error ? r->cursor.error : "damaged");
}

static xnor_attr_key find_attr(const char *name) {
    unsigned key = 0;
    while (key < XNOR_ATTR_KEYS && strcmp(xnor_attr_name((xnor_attr_key)key), name) != 0) key++;
    return (xnor_attr_key)key;
}

static xnor_status read_symbols(reader *r) {
    r->symbol_count = xnor_cursor_count(&r->cursor, MAX_SYMBOLS);
    for (uint32_t i = 0; i < r->symbol_count; i++) {
        const char *name =
            xnor_cursor_text(&r->cursor, &r->graph->arena, XNOR_FORMAT_MAX_TEXT_BYTES);
        if (!name) return fail(r, "symbol", i);
        r->symbols[i] = (symbol){xnor_op_find(name), find_attr(name)};
        if (r->symbols[i].op == XNOR_OP_COUNT && r->symbols[i].key == XNOR_ATTR_KEYS)
            return xnor_fail(XNOR_E_FORMAT,
                             "section 'graph': '%s' is no operator or attribute of this version",
                             name);
    }
    return r->cursor.error ? fail(r, "symbol", 0) : XNOR_OK;
}

xnor_shape xnor_section_read_shape(xnor_cursor *cursor) {
    xnor_shape shape = {.rank = (uint32_t)xnor_cursor_varint(cursor, XNOR_MAX_RANK)};
    for (uint32_t i = 0; i < shape.rank; i++)
        shape.dims[i] = (int64_t)xnor_cursor_varint(cursor, INT64_MAX) - 1;
    return shape;
}

static xnor_status read_values(reader *r) {
    uint32_t count = xnor_cursor_count(&r->cursor, XNOR_FORMAT_MAX_VALUES);
    r->flags = xnor_arena_alloc(&r->graph->arena, count + 1);
    if (!r->flags) return xnor_fail(XNOR_E_MEMORY, "out of memory");
    for (uint32_t i = 0; i < count; i++) {
        uint64_t type = xnor_cursor_varint(&r->cursor, XNOR_DTYPE_COUNT * 2 - 1);
        xnor_shape shape = xnor_section_read_shape(&r->cursor);
        if (r->cursor.error) return fail(r, "value", i);
        xnor_value_id id;
        XNOR_TRY(xnor_graph_add_value(r->graph, "", (xnor_dtype)(type >> 1), &shape, &id));
        if (type & 1) r->flags[id] = CONSTANT | READY;
    }
    return r->cursor.error ? fail(r, "value", 0) : XNOR_OK;
}

static bool fits_a_port(xnor_dtype dtype) {
    return dtype != XNOR_BITS && dtype != XNOR_TERNARY && dtype != XNOR_ACC;
}

static xnor_status read_ports(reader *r, const char *what, xnor_value_id *ids, uint32_t *count) {
    *count = xnor_cursor_count(&r->cursor, XNOR_MAX_PORTS);
    for (uint32_t i = 0; i < *count; i++) {
        uint64_t id = xnor_cursor_varint(&r->cursor, UINT32_MAX);
        char *name = xnor_cursor_text(&r->cursor, &r->graph->arena, XNOR_FORMAT_MAX_TEXT_BYTES);
        if (!name) return fail(r, what, i);
        if (id >= r->graph->value_count)
            return xnor_fail(XNOR_E_FORMAT, "section 'graph': %s %u: value %llu does not exist",
                             what, i, (unsigned long long)id);
        xnor_value *value = &r->graph->values[id];
        if (*name == '\0' || !fits_a_port(value->dtype))
            return xnor_fail(XNOR_E_FORMAT, "section 'graph': %s %u '%s' cannot have dtype %s",
                             what, i, name, xnor_dtype_name(value->dtype));
        if (r->flags[id] & NAMED && strcmp(value->name, name) != 0)
            return xnor_fail(XNOR_E_FORMAT, "section 'graph': %s %u: value %llu has two names",
                             what, i, (unsigned long long)id);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(r->graph->values[ids[j]].name, name) == 0)
                return xnor_fail(XNOR_E_FORMAT, "section 'graph': two of %ss are called '%s'", what,
                                 name);
        value->name = name;
        r->flags[id] |= NAMED;
        ids[i] = (xnor_value_id)id;
    }
    return r->cursor.error ? fail(r, what, 0) : XNOR_OK;
}

static xnor_status mark_inputs(reader *r) {
    for (uint32_t i = 0; i < r->graph->input_count; i++) {
        xnor_value_id id = r->graph->inputs[i];
        if (r->flags[id] & READY)
            return xnor_fail(XNOR_E_FORMAT, "section 'graph': input %u is a constant", i);
        r->flags[id] |= READY;
    }
    return XNOR_OK;
}

// ---- nodes --------------------------------------------------------------------------------------

static xnor_status read_attr(reader *r, const char *node, xnor_attr *attr) {
    uint64_t number = xnor_cursor_varint(&r->cursor, MAX_SYMBOLS);
    uint64_t type = xnor_cursor_varint(&r->cursor, XNOR_ATTR_VALUES * 2 + 1);
    if (!r->cursor.error && (number >= r->symbol_count || r->symbols[number].key == XNOR_ATTR_KEYS))
        return xnor_fail(XNOR_E_FORMAT, "section 'graph': node '%s': symbol %llu is no attribute",
                         node, (unsigned long long)number);
    if (r->cursor.error) return XNOR_OK; // the caller reports it
    attr->key = r->symbols[number].key;
    attr->is_float = type & 1;
    attr->count = (uint32_t)(type >> 1);
    for (uint32_t i = 0; i < attr->count; i++) {
        if (attr->is_float)
            attr->floats[i] = xnor_cursor_double(&r->cursor);
        else
            attr->ints[i] = xnor_cursor_signed(&r->cursor);
    }
    return XNOR_OK;
}

static xnor_status read_attrs(reader *r, xnor_node *node) {
    uint32_t count = xnor_cursor_count(&r->cursor, XNOR_ATTR_KEYS);
    if (count > r->attrs_left)
        return xnor_fail(XNOR_E_FORMAT, "section 'graph': more than %d attributes",
                         XNOR_FORMAT_MAX_ATTRS);
    if (count == 0) return XNOR_OK;
    r->attrs_left -= count;
    node->attrs = xnor_arena_alloc(&r->graph->arena, count * sizeof *node->attrs);
    if (!node->attrs) return xnor_fail(XNOR_E_MEMORY, "out of memory");
    for (uint32_t i = 0; i < count; i++) {
        xnor_attr attr = {0};
        XNOR_TRY(read_attr(r, node->name, &attr));
        if (r->cursor.error) return XNOR_OK; // the caller reports it
        if (xnor_node_attr(node, attr.key))
            return xnor_fail(XNOR_E_FORMAT,
                             "section 'graph': node '%s': attribute '%s' occurs twice", node->name,
                             xnor_attr_name(attr.key));
        node->attrs[node->attr_count++] = attr;
    }
    return XNOR_OK;
}

// Ids of inputs are stored plus one, 0 is an omitted input.
static xnor_status read_inputs(reader *r, const char *node, xnor_value_id *ids, uint32_t *count) {
    *count = xnor_cursor_count(&r->cursor, XNOR_MAX_INPUTS);
    for (uint32_t i = 0; i < *count; i++) {
        uint64_t id = xnor_cursor_varint(&r->cursor, r->graph->value_count);
        if (r->cursor.error) break;
        ids[i] = id ? (xnor_value_id)(id - 1) : XNOR_NO_VALUE;
        if (id && !(r->flags[ids[i]] & READY))
            return xnor_fail(XNOR_E_FORMAT,
                             "section 'graph': node '%s': input %u is used before it is made", node,
                             i);
    }
    return XNOR_OK;
}

static xnor_status read_outputs(reader *r, const char *node, xnor_value_id *ids, uint32_t *count) {
    *count = xnor_cursor_count(&r->cursor, XNOR_MAX_OUTPUTS);
    if (*count == 0 && !r->cursor.error)
        return xnor_fail(XNOR_E_FORMAT, "section 'graph': node '%s' has no outputs", node);
    for (uint32_t i = 0; i < *count; i++) {
        uint64_t id = xnor_cursor_varint(&r->cursor, UINT32_MAX);
        if (r->cursor.error) break;
        if (id >= r->graph->value_count || r->flags[id] & READY)
            return xnor_fail(
                XNOR_E_FORMAT,
                "section 'graph': node '%s': output %u does not exist or is made twice", node, i);
        ids[i] = (xnor_value_id)id;
        r->flags[id] |= READY;
    }
    return XNOR_OK;
}

static xnor_status read_node(reader *r, uint32_t index) {
    xnor_value_id inputs[XNOR_MAX_INPUTS], outputs[XNOR_MAX_OUTPUTS];
    uint32_t input_count, output_count;
    uint64_t number = xnor_cursor_varint(&r->cursor, MAX_SYMBOLS);
    char *name = xnor_cursor_text(&r->cursor, &r->graph->arena, XNOR_FORMAT_MAX_TEXT_BYTES);
    if (!name) return fail(r, "node", index);
    if (number >= r->symbol_count || r->symbols[number].op == XNOR_OP_COUNT)
        return xnor_fail(XNOR_E_FORMAT, "section 'graph': node '%s': symbol %llu is no operator",
                         name, (unsigned long long)number);
    XNOR_TRY(read_inputs(r, name, inputs, &input_count));
    XNOR_TRY(read_outputs(r, name, outputs, &output_count));
    if (r->cursor.error) return fail(r, "node", index);
    xnor_node *node;
    XNOR_TRY(xnor_graph_add_node(r->graph, r->symbols[number].op, name, inputs, input_count,
                                 outputs, output_count, &node));
    XNOR_TRY(read_attrs(r, node));
    return r->cursor.error ? fail(r, "node", index) : XNOR_OK;
}

static xnor_status read_nodes(reader *r) {
    uint32_t count = xnor_cursor_count(&r->cursor, XNOR_FORMAT_MAX_NODES);
    if (r->cursor.error) return fail(r, "node", 0);
    for (uint32_t i = 0; i < count; i++) XNOR_TRY(read_node(r, i));
    for (uint32_t i = 0; i < r->graph->value_count; i++)
        if (!(r->flags[i] & READY))
            return xnor_fail(XNOR_E_FORMAT, "section 'graph': value %u is never made", i);
    return XNOR_OK;
}

xnor_status xnor_section_read_graph(xnor_bytes section, xnor_graph *graph, uint8_t **is_constant) {
    reader r = {
        .cursor = {section.data, section.data + section.size, NULL},
        .graph = graph,
        .attrs_left = XNOR_FORMAT_MAX_ATTRS,
    };
    XNOR_TRY(read_symbols(&r));
    XNOR_TRY(read_values(&r));
    XNOR_TRY(read_ports(&r, "input", graph->inputs, &graph->input_count));
    XNOR_TRY(mark_inputs(&r));
    XNOR_TRY(read_ports(&r, "output", graph->outputs, &graph->output_count));
    XNOR_TRY(read_nodes(&r));
    if (r.cursor.at != r.cursor.end)
        return xnor_fail(XNOR_E_FORMAT, "section 'graph': %zu bytes follow the last node",
                         (size_t)(r.cursor.end - r.cursor.at));
    for (uint32_t i = 0; i < graph->value_count; i++) r.flags[i] &= CONSTANT;
    *is_constant = r.flags;
    return XNOR_OK;
}
