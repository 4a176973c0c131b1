#include "clients/xnorctl/trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clients/xnorctl/layers.h"
#include "clients/xnorctl/progress.h"
#include "core/tensor.h"

enum { VERIFY_POINTS = 64 };

// splitmix64 (Steele, Lea, Flood 2014)
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static xnor_status allocate(xnor_dtype dtype, const xnor_shape *shape, xnor_tensor *out) {
    size_t bytes = 0;
    XNOR_TRY(xnor_tensor_bytes(dtype, shape, &bytes));
    *out = (xnor_tensor){dtype, *shape, calloc(1, bytes + 1)};
    return out->data ? XNOR_OK : xnor_fail(XNOR_E_MEMORY, "trial: out of memory");
}

xnor_status trial_prepare(xnor_model *model, int64_t points, uint64_t seed, trial *out) {
    *out = (trial){0};
    xnor_shape shapes[XNOR_MAX_PORTS];
    uint64_t state = seed;
    for (uint32_t i = 0; i < xnor_model_input_count(model); i++) {
        const xnor_port *port = xnor_model_input(model, i);
        shapes[i] = port->shape;
        for (uint32_t k = 0; k < port->shape.rank; k++)
            if (shapes[i].dims[k] < 0)
                shapes[i].dims[k] = k == 0 && port->shape.rank > 1 ? 1 : points;
        XNOR_TRY(allocate(port->dtype, &shapes[i], &out->inputs[i]));
        out->input_count++;
        bool real = port->dtype == XNOR_F32 || port->dtype == XNOR_F64;
        for (size_t e = 0; e < xnor_tensor_count(&out->inputs[i]); e++) {
            double unit = (double)(next_random(&state) >> 11) * 0x1p-53;
            xnor_tensor_set(&out->inputs[i], e, real ? 2 * unit - 1 : unit < 0.5 ? 0 : 1);
        }
    }
    xnor_plan *plan = NULL;
    XNOR_TRY(xnor_plan_create(model, shapes, &plan));
    xnor_status status = XNOR_OK;
    for (uint32_t i = 0; i < xnor_model_output_count(model) && status == XNOR_OK; i++) {
        status = allocate(xnor_model_output(model, i)->dtype, xnor_plan_output_shape(plan, i),
                          &out->outputs[i]);
        if (status == XNOR_OK) out->output_count++;
    }
    xnor_plan_unref(&plan);
    return status;
}

void trial_free(trial *t) {
    for (uint32_t i = 0; i < XNOR_MAX_PORTS; i++) {
        free(t->inputs[i].data);
        free(t->outputs[i].data);
    }
    *t = (trial){0};
}

xnor_status trial_run(xnor_model *model, xnor_pool *pool, trial *t) {
    xnor_shape shapes[XNOR_MAX_PORTS];
    for (uint32_t i = 0; i < t->input_count; i++) shapes[i] = t->inputs[i].shape;
    xnor_plan *plan = NULL;
    xnor_session *session = NULL;
    XNOR_TRY(xnor_plan_create(model, shapes, &plan));
    xnor_status status = xnor_session_create(plan, pool, &session);
    if (status == XNOR_OK) status = xnor_session_run(session, t->inputs, t->outputs, NULL);
    if (session) xnor_session_free(&session);
    xnor_plan_unref(&plan);
    return status;
}

static void compare_output(const xnor_tensor *a, const xnor_tensor *b, trial_comparison *out) {
    size_t count = xnor_tensor_count(a), classes = (size_t)xnor_shape_last(&a->shape);
    for (size_t i = 0; i < count; i++) {
        double difference = fabs(xnor_tensor_get(a, i) - xnor_tensor_get(b, i));
        // NaN on one side only is as far as can be.
        if (isnan(difference)) {
            bool both = isnan(xnor_tensor_get(a, i)) && isnan(xnor_tensor_get(b, i));
            difference = both ? 0 : INFINITY;
        }
        if (difference > out->largest) out->largest = difference;
    }
    for (size_t row = 0; classes > 1 && row < count / classes; row++) {
        size_t best_a = row * classes, best_b = best_a;
        for (size_t i = row * classes; i < (row + 1) * classes; i++) {
            if (xnor_tensor_get(a, i) > xnor_tensor_get(a, best_a)) best_a = i;
            if (xnor_tensor_get(b, i) > xnor_tensor_get(b, best_b)) best_b = i;
        }
        out->labels++;
        out->labels_equal += best_a == best_b;
    }
}

static xnor_status compare_once(xnor_model *model, const xnor_graph *imported, uint64_t seed,
                                trial_comparison *out) {
    trial t = {0};
    xnor_tensor reference[XNOR_MAX_PORTS] = {{0}};
    size_t capacity[XNOR_MAX_PORTS] = {0};
    xnor_status status = trial_prepare(model, VERIFY_POINTS, seed, &t);
    if (status == XNOR_OK) status = trial_run(model, NULL, &t);
    for (uint32_t i = 0; i < t.output_count && status == XNOR_OK; i++) {
        status = allocate(t.outputs[i].dtype, &t.outputs[i].shape, &reference[i]);
        if (status == XNOR_OK)
            status = xnor_tensor_bytes(t.outputs[i].dtype, &t.outputs[i].shape, &capacity[i]);
    }
    if (status == XNOR_OK) status = xnor_reference_run(imported, t.inputs, reference, capacity);
    for (uint32_t i = 0; i < t.output_count && status == XNOR_OK; i++)
        compare_output(&t.outputs[i], &reference[i], out);
    for (uint32_t i = 0; i < XNOR_MAX_PORTS; i++) free(reference[i].data);
    trial_free(&t);
    return status;
}

xnor_status trial_compare(xnor_model *model, const xnor_graph *imported, uint64_t count,
                          trial_comparison *out) {
    *out = (trial_comparison){0};
    progress bar = progress_start("verify", count);
    xnor_status status = XNOR_OK;
    for (uint64_t i = 0; i < count && status == XNOR_OK; i++) {
        status = compare_once(model, imported, 1000 + i, out);
        progress_step(&bar);
    }
    progress_clear(&bar);
    return status;
}
