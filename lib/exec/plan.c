#include "exec/plan.h"

#include <stdlib.h>
#include <string.h>

#include "core/tensor.h"
#include "exec/tail.h"
#include "passes/passes.h"

// Larger plans are refused: a hostile model must not make the process swap.
#define MAX_ARENA_BYTES ((size_t)2 << 30)
// What shapes alone may make constant (identity matrices, index vectors).
#define MAX_CONSTANT_BYTES ((size_t)256 << 20)

int32_t xnor_popcount_limit(int64_t k, int64_t threshold) {
    int64_t twice = k - threshold;
    if (twice < 0) return -1;
    return (int32_t)(twice / 2 < k ? twice / 2 : k);
}

// Puts concrete shapes on the graph inputs.
static xnor_status set_inputs(xnor_graph *graph, const xnor_shape *shapes) {
    char want[XNOR_SHAPE_TEXT], found[XNOR_SHAPE_TEXT];
    for (uint32_t i = 0; i < graph->input_count; i++) {
        xnor_value *value = &graph->values[graph->inputs[i]];
        bool fits = shapes[i].rank == value->shape.rank;
        for (uint32_t k = 0; fits && k < shapes[i].rank; k++)
            fits = shapes[i].dims[k] > 0 &&
                   (value->shape.dims[k] < 0 || value->shape.dims[k] == shapes[i].dims[k]);
        if (!fits)
            return xnor_fail(XNOR_E_SHAPE, "input '%s': expected shape %s, found %s", value->name,
                             xnor_shape_text(&value->shape, want, sizeof want),
                             xnor_shape_text(&shapes[i], found, sizeof found));
        value->shape = shapes[i];
    }
    return XNOR_OK;
}

// Leaves only wanted outputs and what they need.
static xnor_status set_outputs(xnor_plan *plan, uint64_t wanted) {
    xnor_graph *graph = &plan->graph;
    uint32_t count = 0;
    if (graph->output_count < 64 && wanted >> graph->output_count != 0)
        return xnor_fail(XNOR_E_ARGUMENT, "plan: the model has %u outputs", graph->output_count);
    for (uint32_t i = 0; i < graph->output_count; i++) {
        if (wanted && !(wanted >> i & 1)) continue;
        plan->ports[count] = i;
        graph->outputs[count++] = graph->outputs[i];
    }
    graph->output_count = count;
    if (wanted) xnor_graph_compact(graph);
    return XNOR_OK;
}

static xnor_status check_known(const xnor_graph *graph) {
    for (uint32_t i = 0; i < graph->node_count; i++)
        for (uint32_t k = 0; k < graph->nodes[i].output_count; k++) {
            const xnor_value *value = &graph->values[graph->nodes[i].outputs[k]];
            if (!xnor_shape_known(&value->shape))
                return xnor_fail(
                    XNOR_E_UNSUPPORTED,
                    "node '%s' (%s): its shape depends on data, which plans do not support",
                    graph->nodes[i].name, xnor_op_name(graph->nodes[i].op));
        }
    return XNOR_OK;
}

xnor_status xnor_plan_create(xnor_model *model, const xnor_shape *shapes, xnor_plan **out) {
    return xnor_plan_create_with(model, shapes, NULL, out);
}

xnor_status xnor_plan_create_with(xnor_model *model, const xnor_shape *shapes,
                                  const xnor_plan_options *options, xnor_plan **out) {
    xnor_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return xnor_fail(XNOR_E_MEMORY, "plan: out of memory");
    atomic_init(&plan->references, 1);
    plan->model = xnor_model_ref(model);
    xnor_status status = xnor_graph_clone(&model->contents.graph, &plan->graph);
    if (status == XNOR_OK) status = set_outputs(plan, options ? options->outputs : 0);
    if (status == XNOR_OK) status = set_inputs(&plan->graph, shapes);
    if (status == XNOR_OK) status = xnor_fold_within(&plan->graph, MAX_CONSTANT_BYTES);
    if (status == XNOR_OK) status = check_known(&plan->graph);
    if (status == XNOR_OK) status = xnor_pass_edges(&plan->graph);
    if (status == XNOR_OK && !(options && options->no_distinct))
        status = xnor_pass_distinct(&plan->graph);
    if (status == XNOR_OK) status = xnor_order(&plan->graph);
    if (status == XNOR_OK) status = xnor_lower(plan);
    if (status == XNOR_OK) status = xnor_merge_tails(plan);
    if (status == XNOR_OK) status = xnor_plan_memory(plan);
    if (status == XNOR_OK && plan->arena_bytes > MAX_ARENA_BYTES)
        status = xnor_fail(XNOR_E_LIMIT, "plan: needs %zu bytes, at most %zu are allowed",
                           plan->arena_bytes, MAX_ARENA_BYTES);
    if (status != XNOR_OK) {
        xnor_plan_unref(&plan);
        return status;
    }
    *out = plan;
    return XNOR_OK;
}

xnor_plan *xnor_plan_ref(xnor_plan *plan) {
    atomic_fetch_add_explicit(&plan->references, 1, memory_order_relaxed);
    return plan;
}

void xnor_plan_unref(xnor_plan **reference) {
    xnor_plan *plan = *reference;
    *reference = NULL;
    if (!plan || atomic_fetch_sub_explicit(&plan->references, 1, memory_order_acq_rel) != 1) return;
    xnor_graph_free(&plan->graph);
    for (uint32_t i = 0; i < plan->step_count; i++) {
        xnor_tail_free(plan->steps[i].tail);
        free(plan->steps[i].parts);
    }
    free(plan->steps);
    free(plan->root);
    free(plan->offset);
    free(plan->outside);
    xnor_model_unref(&plan->model);
    free(plan);
}

const xnor_shape *xnor_plan_output_shape(const xnor_plan *plan, uint32_t index) {
    for (uint32_t i = 0; i < plan->graph.output_count; i++)
        if (plan->ports[i] == index) return &plan->graph.values[plan->graph.outputs[i]].shape;
    return NULL;
}

uint64_t xnor_plan_arena_bytes(const xnor_plan *plan) {
    return plan->arena_bytes;
}

uint32_t xnor_plan_step_count(const xnor_plan *plan) {
    return plan->step_count;
}

const char *xnor_plan_step_kind(const xnor_plan *plan, uint32_t step) {
    static const struct {
        xnor_step_run run;
        const char *name;
    } kinds[] = {
#define KIND(name) {xnor_step_##name, #name},
        XNOR_STEP_TABLE(KIND)
#undef KIND
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].run == plan->steps[step].run) return kinds[i].name;
    return "?";
}

const char *xnor_plan_step_name(const xnor_plan *plan, uint32_t step) {
    return plan->steps[step].node->name;
}
