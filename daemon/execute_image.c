// An image takes one run of the network. Its answers are made in the worker's memory, some rows at a
// time, so that the deadline and the watchdog are looked at in between.
#include "clock.h"
#include "execute.h"
#include "models.h"

#define ALIGNMENT 64
#define VALUES_AT_A_TIME ((size_t)1 << 20) // of an answer

// What becomes of one image.
struct image_run {
    const struct executor *executor;
    struct request *request;
    struct session *session;
    void *workspace;
    xnor_answer_type types[XNORD_PROTO_MAX_TENSORS];
    xnor_shape shapes[XNORD_PROTO_MAX_TENSORS];
    size_t bytes[XNORD_PROTO_MAX_TENSORS];
    void *data[XNORD_PROTO_MAX_TENSORS];
};

static size_t round_up(size_t bytes) {
    return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

// One block: working memory, used by one step after the other, then the answers.
static xnor_status reserve(struct image_run *run, struct reason *why) {
    const struct request *request = run->request;
    const xnor_description *d = request->version->description;
    size_t workspace = xnor_image_workspace_bytes(&request->frame), total = 0;
    for (uint32_t i = 0; i < request->answer_count; i++) {
        const xnor_answer *answer = &request->answers[i];
        const xnor_status status =
            xnor_answer_shape(d, answer, &request->frame, run->session->outputs, &run->types[i],
                              &run->shapes[i], &run->bytes[i]);
        if (status != XNOR_OK) return reason_set(why, status, "%s", xnor_last_error());
        const size_t bytes =
            xnor_answer_workspace_bytes(d, answer, &request->frame, run->session->outputs);
        if (bytes > workspace) workspace = bytes;
        if (__builtin_add_overflow(total, run->bytes[i] + ALIGNMENT, &total))
            return reason_set(why, XNOR_E_LIMIT, "the answers are too large");
    }
    workspace = round_up(workspace);
    void *memory = NULL;
    struct session_set *set = request->version->sets[run->executor->worker];
    const xnor_status status = session_set_reserve(set, workspace + total, &memory, why);
    if (status != XNOR_OK) return status;
    run->workspace = memory;
    char *next = (char *)memory + workspace;
    for (uint32_t i = 0; i < request->answer_count; i++) {
        run->data[i] = next;
        next += round_up(run->bytes[i]);
    }
    return XNOR_OK;
}

static bool is_late(const struct request *request) {
    return clock_now_ns() >= request->deadline_ns;
}

static xnor_status make_answer(struct image_run *run, uint32_t index) {
    const struct request *request = run->request;
    xnor_shape *shape = &run->shapes[index];
    const size_t rows = shape->rank > 0 ? (size_t)shape->dims[0] : 1;
    const size_t values = run->bytes[index] / (rows > 0 ? rows : 1) + 1;
    const size_t step = values < VALUES_AT_A_TIME ? VALUES_AT_A_TIME / values : 1;
    const bool boxes = request->answers[index].form == XNOR_ANSWER_BOXES;
    for (size_t row = 0; row < rows; row += step) {
        size_t count = 0;
        const xnor_status status = xnor_answer_make(
            request->version->description, &request->answers[index], &request->frame,
            run->session->outputs, row, step, run->workspace, run->data[index], &count);
        execute_advance(run->executor);
        if (status != XNOR_OK) return status;
        if (is_late(request)) return XNOR_E_CANCELLED;
        if (!boxes || row > 0) continue;
        run->bytes[index] = count * (run->bytes[index] / rows);
        shape->dims[0] = (int64_t)count;
        break;
    }
    return XNOR_OK;
}

static xnor_status run_image(struct image_run *run, struct reason *why) {
    struct request *request = run->request;
    const struct version *version = request->version;
    struct session_set *set = version->sets[run->executor->worker];
    xnor_status status =
        session_set_get_some(set, request->shapes, request->wanted_outputs, &run->session, why);
    if (status == XNOR_OK) status = reserve(run, why);
    if (status != XNOR_OK) return status;
    status = xnor_image_prepare(version->description, &request->image, &request->frame,
                                run->workspace, run->session->inputs[0].data);
    if (status == XNOR_OK) status = execute_run(run->executor, run->session, request->deadline_ns);
    for (uint32_t i = 0; i < request->answer_count && status == XNOR_OK; i++)
        status = make_answer(run, i);
    return status == XNOR_OK ? status : reason_set(why, status, "%s", xnor_last_error());
}

static void answer(const struct image_run *run) {
    static const xnord_datatype datatypes[] = {[XNOR_ANSWER_OF_U8] = XNORD_UINT8,
                                               [XNOR_ANSWER_OF_U16] = XNORD_UINT16,
                                               [XNOR_ANSWER_OF_F32] = XNORD_FP32};
    struct request *request = run->request;
    xnord_proto_infer_reply body = execute_reply_body(request);
    for (uint32_t i = 0; i < request->answer_count; i++) {
        xnord_proto_tensor *tensor = &body.outputs[body.output_count++];
        *tensor = (xnord_proto_tensor){.name = xnord_proto_str_from(request->answer_names[i]),
                                       .datatype = datatypes[run->types[i]],
                                       .rank = run->shapes[i].rank,
                                       .data = run->data[i],
                                       .size = run->bytes[i]};
        for (uint32_t k = 0; k < tensor->rank; k++) tensor->shape[k] = run->shapes[i].dims[k];
    }
    body.t.total = (clock_now_ns() - request->received_ns) / NS_PER_US;
    execute_complete(run->executor, request, reply_infer(request->exchange, request->id, &body));
}

void execute_image(const struct executor *executor, struct request *request) {
    struct session_set *set = request->version->sets[executor->worker];
    struct image_run run = {.executor = executor, .request = request};
    struct reason why = {""};
    if (!execute_begin(executor, request)) return;
    const xnor_status status = run_image(&run, &why);
    request->computed_ns = clock_now_ns();
    if (status != XNOR_OK)
        execute_refuse_failed(executor, request, status, why.text);
    else if (is_late(request))
        execute_refuse(executor, request, XNORD_ABORTED, "the deadline passed before the result");
    else
        answer(&run);
    session_set_trim(set);
}
