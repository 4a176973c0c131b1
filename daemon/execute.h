// Runs a batch of admitted requests on one worker's sessions and answers them. Worker thread.
// Between admission and completion nothing here allocates, except for a raw-tensor shape that this
// worker sees for the first time.
#ifndef XNORD_EXECUTE_H
#define XNORD_EXECUTE_H

#include "inbox.h"
#include "limit.h"
#include "reply.h"
#include "request.h"
#include "version.h"

#include <stdatomic.h>

struct executor {
    uint32_t worker; // index of its session sets
    struct limit *limit;
    struct inbox *done;
    void (*wake)(void *context);
    void *wake_context;
    atomic_uint_fast64_t *advanced_ns; // set to the time at every step, for the watchdog
    // Between two runs of a long request: lets brief ones that wait run on this worker.
    void (*let_others)(const struct executor *executor, void *context);
    void *let_others_context;
};

// Answers every request of batch[0 .. count), which batch with each other.
void execute_batch(const struct executor *executor, struct request **batch, uint32_t count);
// Answers one request without running it.
void execute_refuse(const struct executor *executor, struct request *request, xnord_status status,
                    const char *detail);

// ---- what execute_scene.c and execute_image.c share ---------------------------------------------

// Answers a request whose every point gets a label.
void execute_scene(const struct executor *executor, struct request *request);
// Answers a request with an image.
void execute_image(const struct executor *executor, struct request *request);
// Tells the watchdog that the work goes on.
void execute_advance(const struct executor *executor);
// Marks the start; false: the deadline has passed and the request was answered.
bool execute_begin(const struct executor *executor, struct request *request);
// Answers with what the reply says.
void execute_complete(const struct executor *executor, struct request *request, struct reply reply);
// Answers with the failure of the engine.
void execute_refuse_failed(const struct executor *executor, struct request *request,
                           xnor_status status, const char *detail);
// The part of the reply that every result has.
xnord_proto_infer_reply execute_reply_body(const struct request *request);
// late_ns: when nobody waits for the result any more.
xnor_status execute_run(const struct executor *executor, struct session *session, uint64_t late_ns);

#endif
