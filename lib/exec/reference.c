#include "exec/reference.h"

#include <string.h>

#include "core/tensor.h"
#include "passes/passes.h"

// With constants for inputs, folding the graph is evaluating it.
static xnor_status run(xnor_graph *graph, const xnor_tensor *inputs, xnor_tensor *outputs,
                       const size_t *capacity) {
    for (uint32_t i = 0; i < graph->input_count; i++) {
        xnor_value *value = &graph->values[graph->inputs[i]];
        value->shape = inputs[i].shape;
        value->data = inputs[i].data;
    }
    XNOR_TRY(xnor_pass_fold(graph));
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const xnor_value *value = &graph->values[graph->outputs[i]];
        size_t bytes;
        if (!value->data)
            return xnor_fail(XNOR_E_INTERNAL, "output '%s' was not evaluated", value->name);
        XNOR_TRY(xnor_tensor_bytes(value->dtype, &value->shape, &bytes));
        if (bytes > capacity[i])
            return xnor_fail(XNOR_E_SHAPE, "output '%s' has %zu bytes, the buffer %zu", value->name,
                             bytes, capacity[i]);
        outputs[i].dtype = value->dtype;
        outputs[i].shape = value->shape;
        memcpy(outputs[i].data, value->data, bytes);
    }
    return XNOR_OK;
}

xnor_status xnor_reference_run(const xnor_graph *graph, const xnor_tensor *inputs,
                               xnor_tensor *outputs, const size_t *capacity) {
    xnor_graph copy;
    XNOR_TRY(xnor_graph_clone(graph, &copy));
    xnor_status status = run(&copy, inputs, outputs, capacity);
    xnor_graph_free(&copy);
    return status;
}
