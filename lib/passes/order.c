// order: every node stands right before the first node that needs its result, operands from left to right.
//
// What a step's tail adds to its results is then there before the step, wherever the network's author has
// computed it, and results live for as short as this order of operands allows.
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "passes/passes.h"

typedef struct visit {
    uint32_t node, next; // the next input to look at
} visit;

// Appends `root` behind all that it needs. state[node]: 1 when it is on the stack or placed.
static void place(const xnor_graph *graph, uint32_t root, uint8_t *state, visit *stack,
                  xnor_node *out, uint32_t *count) {
    uint32_t depth = 0;
    if (state[root]) return;
    state[root] = 1;
    stack[depth++] = (visit){root, 0};
    while (depth > 0) {
        visit *top = &stack[depth - 1];
        const xnor_node *node = &graph->nodes[top->node];
        if (top->next == node->input_count) {
            out[(*count)++] = *node;
            depth--;
            continue;
        }
        const xnor_value_id input = node->inputs[top->next++];
        const uint32_t producer =
            input == XNOR_NO_VALUE ? UINT32_MAX : xnor_graph_producer(graph, input);
        if (producer == UINT32_MAX || state[producer]) continue;
        state[producer] = 1;
        stack[depth++] = (visit){producer, 0};
    }
}

xnor_status xnor_order(xnor_graph *graph) {
    const uint32_t nodes = graph->node_count;
    uint8_t *state = calloc(nodes + 1, sizeof *state);
    visit *stack = malloc((nodes + 1) * sizeof *stack);
    xnor_node *out = malloc((nodes + 1) * sizeof *out);
    xnor_status status = XNOR_OK;
    uint32_t count = 0;
    if (!state || !stack || !out) {
        status = xnor_fail(XNOR_E_MEMORY, "plan: out of memory");
        goto done;
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const uint32_t producer = xnor_graph_producer(graph, graph->outputs[i]);
        if (producer != UINT32_MAX) place(graph, producer, state, stack, out, &count);
    }
    for (uint32_t i = 0; i < nodes; i++) place(graph, i, state, stack, out, &count);
    memcpy(graph->nodes, out, nodes * sizeof *out);
done:
    free(state);
    free(stack);
    free(out);
    return status;
}
