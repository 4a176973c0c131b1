// A scene runs block by block on one worker. Between two runs it looks at its deadline and lets brief
// requests go first, so that nobody waits for a whole scene but other scenes.
#include "clock.h"
#include "execute.h"
#include "models.h"

#include <stdlib.h>

// What a scene needs beside the session, charged to the budget of the sessions.
struct scene_memory {
    struct session_budget *budget;
    uint64_t bytes;
    xnor_scene *scene;
    uint8_t *labels;
    float *confidences; // NULL: not wanted
};

static void release(struct scene_memory *memory) {
    xnor_scene_free(&memory->scene);
    free(memory->labels);
    free(memory->confidences);
    session_budget_give(memory->budget, memory->bytes);
}

static xnor_status reserve(const struct request *request, struct scene_memory *memory,
                           struct reason *why) {
    const size_t points = request->cloud.count;
    const size_t bytes = xnor_scene_bytes(points) + points * (sizeof(uint8_t) + sizeof(float));
    if (!session_budget_take(memory->budget, bytes, why)) return XNOR_E_MEMORY;
    memory->bytes = bytes;
    memory->labels = malloc(points);
    if (request->wants_confidence) memory->confidences = malloc(points * sizeof(float));
    if (memory->labels == NULL || (request->wants_confidence && memory->confidences == NULL))
        return reason_set(why, XNOR_E_MEMORY, "no memory for %zu labels", points);
    xnor_status status =
        xnor_scene_create(request->version->description, &request->cloud, &memory->scene);
    return status == XNOR_OK ? status : reason_set(why, status, "%s", xnor_last_error());
}

static xnor_status run_once(const struct executor *executor, const struct request *request,
                            struct scene_memory *memory, size_t run, struct reason *why) {
    const struct version *version = request->version;
    struct session *session = NULL;
    const size_t points = xnor_scene_run_points(memory->scene, run);
    const xnor_shape shape = version_cloud_shape(version, points, 1);
    xnor_status status = session_set_get(version->sets[executor->worker], &shape, &session, why);
    if (status != XNOR_OK) return status;
    const size_t score_bytes = session->output_bytes[version->score_output];
    if (score_bytes != points * version->description->class_count * sizeof(float))
        return reason_set(why, XNOR_E_INTERNAL,
                          "the model gives %zu bytes of scores for %zu points", score_bytes,
                          points);
    xnor_scene_prepare(memory->scene, run, session->inputs[0].data);
    status = execute_run(executor, session, request->deadline_ns);
    if (status != XNOR_OK) return reason_set(why, status, "%s", xnor_last_error());
    xnor_scene_label(memory->scene, run, session->outputs[version->score_output].data,
                     memory->labels, memory->confidences);
    return XNOR_OK;
}

static xnord_proto_tensor point_tensor(const char *name, xnord_datatype datatype, size_t points,
                                       const void *data, size_t element_bytes) {
    return (xnord_proto_tensor){.name = xnord_proto_str_from(name),
                                .datatype = datatype,
                                .rank = 1,
                                .shape = {(int64_t)points},
                                .data = data,
                                .size = points * element_bytes};
}

static void answer(const struct executor *executor, struct request *request,
                   const struct scene_memory *memory) {
    const size_t points = request->cloud.count;
    xnord_proto_infer_reply body = execute_reply_body(request);
    if (request->wants_labels)
        body.outputs[body.output_count++] =
            point_tensor("labels", XNORD_UINT8, points, memory->labels, sizeof(uint8_t));
    if (request->wants_confidence)
        body.outputs[body.output_count++] =
            point_tensor("confidence", XNORD_FP32, points, memory->confidences, sizeof(float));
    body.t.total = (clock_now_ns() - request->received_ns) / NS_PER_US;
    execute_complete(executor, request, reply_infer(request->exchange, request->id, &body));
}

void execute_scene(const struct executor *executor, struct request *request) {
    struct scene_memory memory = {.budget =
                                      session_set_budget(request->version->sets[executor->worker])};
    struct reason why = {""};
    bool late = false;
    if (!execute_begin(executor, request)) return;
    xnor_status status = reserve(request, &memory, &why);
    size_t run = 0, runs = status == XNOR_OK ? xnor_scene_run_count(memory.scene) : 0;
    while (status == XNOR_OK && run < runs && !late) {
        status = run_once(executor, request, &memory, run++, &why);
        late = clock_now_ns() >= request->deadline_ns;
        if (run < runs && !late) executor->let_others(executor, executor->let_others_context);
    }
    request->computed_ns = clock_now_ns();
    late = late || (status == XNOR_E_CANCELLED && request->computed_ns >= request->deadline_ns);
    if (status != XNOR_OK && !late) {
        execute_refuse_failed(executor, request, status, why.text);
    } else if (late) {
        reason_set(&why, XNOR_OK, "the deadline passed after %zu of %zu runs", run, runs);
        execute_refuse(executor, request, XNORD_ABORTED, why.text);
    } else {
        answer(executor, request, &memory);
    }
    release(&memory);
}
