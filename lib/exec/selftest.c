// Golden pairs: the compiler stored what the portable kernels answered; every board must answer it
// too.
#include <math.h>
#include <stdlib.h>

#include "core/tensor.h"
#include "exec/model.h"

// Integer parts are bit-identical everywhere; float heads may differ in the last places (libm).
#define TOLERANCE 1e-5

static xnor_status compare(uint32_t pair, const xnor_tensor *want, const xnor_tensor *found,
                           const char *name) {
    size_t count = xnor_tensor_count(want);
    for (size_t i = 0; i < count; i++) {
        double a = xnor_tensor_get(want, i), b = xnor_tensor_get(found, i);
        if (!(fabs(a - b) <= TOLERANCE * fmax(1, fabs(a))) && !(isnan(a) && isnan(b)) && a != b)
            return xnor_fail(XNOR_E_INTERNAL,
                             "golden pair %u: output '%s' element %zu is %.9g, expected %.9g", pair,
                             name, i, b, a);
    }
    return XNOR_OK;
}

static xnor_status run_pair(xnor_model *model, uint32_t pair, xnor_tensor *outputs) {
    const xnor_golden *golden = &model->contents.golden[pair];
    xnor_shape shapes[XNOR_MAX_PORTS];
    for (uint32_t i = 0; i < golden->input_count; i++) shapes[i] = golden->inputs[i].shape;
    xnor_plan *plan = NULL;
    xnor_session *session = NULL;
    XNOR_TRY(xnor_plan_create(model, shapes, &plan));
    xnor_status status = xnor_session_create(plan, NULL, &session);
    if (status == XNOR_OK) status = xnor_session_run(session, golden->inputs, outputs, NULL);
    for (uint32_t i = 0; i < golden->output_count && status == XNOR_OK; i++)
        status = compare(pair, &golden->outputs[i], &outputs[i], model->outputs[i].name);
    if (session) xnor_session_free(&session);
    xnor_plan_unref(&plan);
    return status;
}

xnor_status xnor_model_self_test(xnor_model *model, uint32_t *pairs) {
    const xnor_contents *contents = &model->contents;
    for (uint32_t pair = 0; pair < contents->golden_count; pair++) {
        const xnor_golden *golden = &contents->golden[pair];
        xnor_tensor outputs[XNOR_MAX_PORTS] = {{0}};
        xnor_status status = XNOR_OK;
        for (uint32_t i = 0; i < golden->output_count && status == XNOR_OK; i++) {
            size_t bytes = 0;
            outputs[i] = golden->outputs[i];
            outputs[i].data = NULL;
            status = xnor_tensor_bytes(outputs[i].dtype, &outputs[i].shape, &bytes);
            if (status == XNOR_OK && !(outputs[i].data = malloc(bytes + 1)))
                status = xnor_fail(XNOR_E_MEMORY, "self-test: out of memory");
        }
        if (status == XNOR_OK) status = run_pair(model, pair, outputs);
        for (uint32_t i = 0; i < golden->output_count; i++) free(outputs[i].data);
        XNOR_TRY(status);
    }
    *pairs = contents->golden_count;
    return XNOR_OK;
}
