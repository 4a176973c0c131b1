#include <stdlib.h>

#include "onnx/import.h"

// Depth-first: a node is put out after the nodes that make its inputs. An explicit stack, because
// the depth is that of the network.
typedef struct visit {
    uint32_t node;
    uint32_t next_input;
} visit;

typedef enum state { NEW, OPEN, DONE } state;

typedef struct sorter {
    const Onnx__GraphProto *proto;
    xnor_names makers; // output name -> node index
    uint8_t *states;
    visit *stack; // each node is on it at most once
    uint32_t *order;
    uint32_t count;
} sorter;

static const char *node_name(const Onnx__NodeProto *node) {
    return node->name ? node->name : "";
}

static xnor_status index_outputs(sorter *s) {
    for (uint32_t i = 0; i < s->proto->n_node; i++) {
        const Onnx__NodeProto *node = s->proto->node[i];
        for (size_t j = 0; j < node->n_output; j++) {
            bool known;
            if (node->output[j][0] == '\0') continue;
            XNOR_TRY(xnor_names_add(&s->makers, node->output[j], i, &known));
            if (known)
                return xnor_fail(XNOR_E_FORMAT, "node %u '%s': value '%s' is made twice", i,
                                 node_name(node), node->output[j]);
        }
    }
    return XNOR_OK;
}

static xnor_status visit_from(sorter *s, uint32_t root) {
    uint32_t depth = 0;
    s->stack[depth++] = (visit){root, 0};
    s->states[root] = OPEN;
    while (depth) {
        visit *top = &s->stack[depth - 1];
        const Onnx__NodeProto *node = s->proto->node[top->node];
        if (top->next_input == node->n_input) {
            s->states[top->node] = DONE;
            s->order[s->count++] = top->node;
            depth--;
            continue;
        }
        uint32_t maker;
        if (!xnor_names_find(&s->makers, node->input[top->next_input++], &maker)) continue;
        if (s->states[maker] == OPEN)
            return xnor_fail(XNOR_E_FORMAT,
                             "node %u '%s': its result is needed to compute its input", maker,
                             node_name(s->proto->node[maker]));
        if (s->states[maker] == DONE) continue;
        s->states[maker] = OPEN;
        s->stack[depth++] = (visit){maker, 0};
    }
    return XNOR_OK;
}

static xnor_status sort(sorter *s) {
    size_t nodes = s->proto->n_node;
    s->states = calloc(nodes + 1, sizeof *s->states);
    s->stack = calloc(nodes + 1, sizeof *s->stack);
    s->order = calloc(nodes + 1, sizeof *s->order);
    if (!s->states || !s->stack || !s->order) return xnor_fail(XNOR_E_MEMORY, "out of memory");
    XNOR_TRY(index_outputs(s));
    for (uint32_t i = 0; i < nodes; i++)
        if (s->states[i] == NEW) XNOR_TRY(visit_from(s, i));
    return XNOR_OK;
}

xnor_status xnor_onnx_sort(const Onnx__GraphProto *proto, uint32_t **out) {
    sorter s = {.proto = proto};
    xnor_status status = sort(&s);
    xnor_names_free(&s.makers);
    free(s.states);
    free(s.stack);
    if (status == XNOR_OK)
        *out = s.order;
    else
        free(s.order);
    return status;
}
