// Internals of a loaded model, for plans and sessions.
#ifndef XNOR_EXEC_MODEL_H
#define XNOR_EXEC_MODEL_H

#include <pthread.h>

#include "format/format.h"
#include "kernels/kernels.h"

// Makes the packed form of a weight of the model. form: of those that the same function makes.
typedef xnor_status (*xnor_pack_fill)(const xnor_model *model, const xnor_value *w,
                                      const xnor_value *thresholds, size_t form, void *data);

// Weights in the kernels' own layout, made once per model and shared by all its plans.
typedef struct xnor_pack {
    struct xnor_pack *next;
    xnor_value_id weight;
    xnor_value_id thresholds; // XNOR_NO_VALUE without
    xnor_pack_fill fill;
    size_t form;
    void *data;
} xnor_pack;

struct xnor_model {
    atomic_uint references;
    void *mapping; // NULL for a model from memory
    size_t size;
    xnor_contents contents;
    xnor_kernels kernels;
    xnor_port inputs[XNOR_MAX_PORTS];
    xnor_port outputs[XNOR_MAX_PORTS];
    pthread_mutex_t packs_lock; // guards packs; taken while plans are made, never during a run
    xnor_pack *packs;
};

// Fills in what the description leaves to the graph: layouts and ports. XNOR_E_FORMAT: it does not
// fit.
XNOR_NODISCARD xnor_status xnor_model_bind_image(xnor_model *model);

// Packed form of the binary weight (and thresholds) of the model's graph. Owned by the model.
XNOR_NODISCARD xnor_status xnor_model_pack_gemm(xnor_model *model, xnor_value_id weight,
                                                xnor_value_id thresholds, const void **out);
// The same for a weight [groups, n, k] of xnor_grouped: packed forms one after the other.
XNOR_NODISCARD xnor_status xnor_model_pack_groups(xnor_model *model, xnor_value_id weight,
                                                  const void **out);
// The float weight [n, k] transposed to [k, n]; k may be several axes, such as those of a window.
XNOR_NODISCARD xnor_status xnor_model_pack_linear(xnor_model *model, xnor_value_id weight,
                                                  const float **out);
// The float weight [outputs, kernel, kernel, channels] transformed for Winograd convolutions of a stride, of few
// channels or of many.
XNOR_NODISCARD xnor_status xnor_model_pack_winograd(xnor_model *model, xnor_value_id weight,
                                                    size_t stride, bool few, const float **out);

#endif
