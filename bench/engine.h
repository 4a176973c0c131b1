// A compiled model with its plan, session, and an input made of real clouds or a made-up picture, for the benchmarks.
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include "include/xnor.h"

typedef struct engine {
    xnor_model *model;
    xnor_plan *plan;
    xnor_session *session;
    xnor_tensor input;
    xnor_tensor outputs[XNOR_MAX_PORTS];
} engine;

// "1,1024,3"
xnor_shape engine_shape(const char *text);
// shape: [clouds, points, channels]. Cloud i is the i-th of `clouds` (NULL-terminated, in turn),
// resampled, centred and scaled as the task layer does. More points than the file holds are drawn
// from the surface between neighbouring ones. Beyond three channels: a colour that follows the
// place, with some noise, and the place in the cloud's box. With four axes, [pictures, channels, height, width]: soft and
// sharp shapes with some noise, about -2 to 2. On failure xnor_last_error() says why.
XNOR_NODISCARD xnor_status engine_start(engine *e, const char *model, xnor_shape shape,
                                        const char *const *clouds, xnor_pool *pool);
void engine_stop(engine *e);
// One run; *ms is what it took.
XNOR_NODISCARD xnor_status engine_run(engine *e, double *ms);

#endif
