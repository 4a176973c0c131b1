#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/size.h"
#include "core/tensor.h"
#include "exec/plan.h"

struct xnor_session {
    xnor_plan *plan;
    xnor_pool *pool;
    uint8_t *arena;
    void **values;     // by value id; inputs are set for each run
    uint64_t *step_ns; // where to add each step's time; NULL: nowhere
};

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

xnor_status xnor_session_create(xnor_plan *plan, xnor_pool *pool, xnor_session **out) {
    xnor_session *session = calloc(1, sizeof *session);
    if (!session) return xnor_fail(XNOR_E_MEMORY, "session: out of memory");
    session->plan = xnor_plan_ref(plan);
    session->pool = pool;
    session->arena = aligned_alloc(64, xnor_align_up(plan->arena_bytes + 64, 64));
    session->values = calloc(plan->graph.value_count + 1, sizeof *session->values);
    if (!session->arena || !session->values) {
        xnor_session_free(&session);
        return xnor_fail(XNOR_E_MEMORY, "session: out of memory for an arena of %zu bytes",
                         plan->arena_bytes);
    }
    for (uint32_t i = 0; i < plan->graph.value_count; i++) {
        xnor_value_id root = plan->root[i];
        if (plan->graph.values[root].data)
            session->values[i] = plan->graph.values[root].data;
        else if (plan->offset[root] != SIZE_MAX)
            session->values[i] = session->arena + plan->offset[root];
    }
    *out = session;
    return XNOR_OK;
}

void xnor_session_free(xnor_session **reference) {
    xnor_session *session = *reference;
    *reference = NULL;
    if (!session) return;
    xnor_plan_unref(&session->plan);
    free(session->arena);
    free(session->values);
    free(session);
}

static xnor_status check_tensor(const xnor_value *value, const xnor_tensor *tensor,
                                const char *kind) {
    char want[XNOR_SHAPE_TEXT], found[XNOR_SHAPE_TEXT];
    if (tensor->dtype != value->dtype)
        return xnor_fail(XNOR_E_DTYPE, "%s '%s': expected %s, found %s", kind, value->name,
                         xnor_dtype_name(value->dtype), xnor_dtype_name(tensor->dtype));
    if (!xnor_shape_equal(&tensor->shape, &value->shape))
        return xnor_fail(XNOR_E_SHAPE, "%s '%s': expected shape %s, found %s", kind, value->name,
                         xnor_shape_text(&value->shape, want, sizeof want),
                         xnor_shape_text(&tensor->shape, found, sizeof found));
    if (!tensor->data) return xnor_fail(XNOR_E_ARGUMENT, "%s '%s': no data", kind, value->name);
    return XNOR_OK;
}

// The memory of a root value and of all its views.
static void bind(xnor_session *session, xnor_value_id root, void *data) {
    const xnor_plan *plan = session->plan;
    for (uint32_t i = 0; i < plan->graph.value_count; i++)
        if (plan->root[i] == root) session->values[i] = data;
}

static xnor_status bind_ports(xnor_session *session, const xnor_tensor *inputs,
                              const xnor_tensor *outputs) {
    const xnor_plan *plan = session->plan;
    const xnor_graph *graph = &plan->graph;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        XNOR_TRY(check_tensor(&graph->values[graph->inputs[i]], &inputs[i], "input"));
        bind(session, graph->inputs[i], inputs[i].data);
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const xnor_tensor *output = &outputs[plan->ports[i]];
        const xnor_value_id root = plan->root[graph->outputs[i]];
        XNOR_TRY(check_tensor(&graph->values[graph->outputs[i]], output, "output"));
        if (plan->outside[root]) bind(session, root, output->data);
    }
    return XNOR_OK;
}

xnor_status xnor_session_run(xnor_session *session, const xnor_tensor *inputs, xnor_tensor *outputs,
                             const atomic_bool *cancel) {
    const xnor_plan *plan = session->plan;
    const xnor_graph *graph = &plan->graph;
    XNOR_TRY(bind_ports(session, inputs, outputs));
    const xnor_run run = {session->values, &plan->model->kernels, session->pool, cancel};
    for (uint32_t i = 0; i < plan->step_count; i++) {
        if (cancel && atomic_load_explicit(cancel, memory_order_relaxed))
            return xnor_fail(XNOR_E_CANCELLED, "run cancelled before step %u of %u", i,
                             plan->step_count);
        uint64_t start = session->step_ns ? now_ns() : 0;
        XNOR_TRY(plan->steps[i].run(&plan->steps[i], &run));
        if (session->step_ns) session->step_ns[i] += now_ns() - start;
    }
    // A step that was cancelled between its tiles has left its result unfinished.
    if (cancel && atomic_load_explicit(cancel, memory_order_relaxed))
        return xnor_fail(XNOR_E_CANCELLED, "run cancelled in its last step");
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const xnor_value *value = &graph->values[graph->outputs[i]];
        void *data = outputs[plan->ports[i]].data;
        size_t bytes;
        XNOR_TRY(xnor_tensor_bytes(value->dtype, &value->shape, &bytes));
        if (data != session->values[graph->outputs[i]])
            memcpy(data, session->values[graph->outputs[i]], bytes);
    }
    return XNOR_OK;
}

void xnor_session_profile(xnor_session *session, uint64_t *step_ns) {
    session->step_ns = step_ns;
}

void xnor_session_distinct(const xnor_session *session, uint64_t *distinct, uint64_t *rows) {
    *distinct = *rows = 0;
    for (uint32_t i = 0; i < session->plan->step_count; i++) {
        const xnor_step *step = &session->plan->steps[i];
        if (step->run != xnor_step_distinct) continue;
        const int32_t *counts = session->values[step->node->outputs[1]];
        for (size_t group = 0; group < step->groups; group++) *distinct += (uint64_t)counts[group];
        *rows += step->groups * step->rows;
    }
}
