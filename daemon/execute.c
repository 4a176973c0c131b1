#include "execute.h"

#include "clock.h"
#include "models.h"
#include "reply.h"
#include "sessions.h"
#include "tensor.h"
#include "version.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void execute_advance(const struct executor *executor) {
    atomic_store_explicit(executor->advanced_ns, clock_now_ns(), memory_order_relaxed);
}

// Into the inbox first, then out of the socket: see workers.h. After the push the request is not
// ours any more, the exchange still is.
void execute_complete(const struct executor *executor, struct request *request,
                      struct reply reply) {
    struct exchange *exchange = request->exchange;
    request->status = reply.status;
    request->replied_ns = clock_now_ns();
    request->replies++;
    request->state = REQUEST_DONE;
    inbox_push(executor->done, &request->item);
    reply_send(exchange, reply);
    executor->wake(executor->wake_context);
}

void execute_refuse(const struct executor *executor, struct request *request, xnord_status status,
                    const char *detail) {
    execute_complete(executor, request,
                     reply_error(request->exchange, request->id, status, detail));
}

void execute_refuse_failed(const struct executor *executor, struct request *request,
                           xnor_status status, const char *detail) {
    if (status == XNOR_E_CANCELLED && clock_now_ns() >= request->deadline_ns) {
        execute_refuse(executor, request, XNORD_ABORTED, "the deadline passed, the run was ended");
        return;
    }
    if (status == XNOR_E_CANCELLED) detail = "the daemon is stopping";
    execute_refuse(executor, request, reply_status(status), detail);
}

bool execute_begin(const struct executor *executor, struct request *request) {
    request->started_ns = clock_now_ns();
    if (request->started_ns < request->deadline_ns) return true;
    execute_refuse(executor, request, XNORD_EXPIRED, "the deadline passed while waiting");
    return false;
}

static void fill_outputs(const struct request *request, const struct session *session, uint32_t row,
                         uint32_t rows, xnord_proto_infer_reply *body) {
    for (uint32_t i = 0; i < xnor_model_output_count(request->version->model); i++) {
        if ((request->wanted_outputs & (UINT32_C(1) << i)) == 0) continue;
        const xnor_tensor *output = &session->outputs[i];
        xnord_proto_tensor *tensor = &body->outputs[body->output_count++];
        size_t bytes = session->output_bytes[i] / rows;
        tensor->name = xnord_proto_str_from(xnor_model_output(request->version->model, i)->name);
        tensor->datatype = tensor_datatype(output->dtype);
        tensor->rank = output->shape.rank;
        memcpy(tensor->shape, output->shape.dims, sizeof tensor->shape);
        if (rows > 1) tensor->shape[0] = 1;
        tensor->data = (const char *)output->data + row * bytes;
        tensor->size = bytes;
    }
}

// False: the scores are not one row of classes, as when raw tensors of several rows were sent.
static bool fill_labels(const struct request *request, const struct session *session, uint32_t row,
                        uint32_t rows, xnord_proto_infer_reply *body) {
    const struct version *version = request->version;
    const xnor_description *description = version->description;
    size_t bytes = session->output_bytes[version->score_output] / rows;
    if (bytes != description->class_count * sizeof(float)) return false;
    const void *scores = (const char *)session->outputs[version->score_output].data + row * bytes;
    xnor_label labels[XNORD_PROTO_MAX_LABELS];
    body->label_count = xnor_labels_from_scores(description, scores, labels, request->top_k);
    for (uint32_t i = 0; i < body->label_count; i++) {
        body->labels[i].id = labels[i].class_id;
        body->labels[i].label = xnord_proto_str_from(description->classes[labels[i].class_id]);
        body->labels[i].confidence = labels[i].confidence;
    }
    return true;
}

xnord_proto_infer_reply execute_reply_body(const struct request *request) {
    return (xnord_proto_infer_reply){
        .model = xnord_proto_str_from(request->model->name),
        .version = xnord_proto_str_from(request->version->label),
        .t.queue = (request->started_ns - request->received_ns) / NS_PER_US,
        .t.compute = (request->computed_ns - request->started_ns) / NS_PER_US,
    };
}

static void answer(const struct executor *executor, struct request *request,
                   const struct session *session, uint32_t row, uint32_t rows) {
    if (request->computed_ns >= request->deadline_ns) {
        execute_refuse(executor, request, XNORD_ABORTED, "the deadline passed before the result");
        return;
    }
    xnord_proto_infer_reply body = execute_reply_body(request);
    fill_outputs(request, session, row, rows, &body);
    if (request->top_k > 0 && !fill_labels(request, session, row, rows, &body)) {
        execute_refuse(executor, request, XNORD_INVALID, "labels need one row of class scores");
        return;
    }
    body.t.total = (clock_now_ns() - request->received_ns) / NS_PER_US;
    execute_complete(executor, request, reply_infer(request->exchange, request->id, &body));
}

xnor_status execute_run(const struct executor *executor, struct session *session,
                        uint64_t late_ns) {
    execute_advance(executor);
    limit_begin(executor->limit, late_ns);
    xnor_status status =
        xnor_session_run(session->run, session->inputs, session->outputs, &executor->limit->cancel);
    limit_end(executor->limit);
    execute_advance(executor);
    return status;
}

static xnor_status copy_inputs(const struct request *request, struct session *session,
                               struct reason *why) {
    for (uint32_t i = 0; i < xnor_model_input_count(request->version->model); i++) {
        const char *name = xnor_model_input(request->version->model, i)->name;
        size_t bytes = session->input_bytes[i];
        if (session->inputs[i].dtype == XNOR_F32) {
            size_t count = bytes / sizeof(float);
            size_t bad = tensor_first_not_finite(request->inputs[i], count);
            if (bad < count)
                return reason_set(why, XNOR_E_ARGUMENT, "input '%.64s': value %zu is not finite",
                                  name, bad);
        }
        memcpy(session->inputs[i].data, request->inputs[i], bytes);
    }
    return XNOR_OK;
}

// Graph outputs that the answer is made of, a bit for each: labels come from the scores.
static uint32_t needed_outputs(const struct request *request) {
    const uint32_t scores = UINT32_C(1) << request->version->score_output;
    return request->wanted_outputs | (request->top_k > 0 ? scores : 0);
}

static void execute_tensors(const struct executor *executor, struct request *request) {
    struct session_set *set = request->version->sets[executor->worker];
    struct session *session = NULL;
    struct reason why = {""};
    if (!execute_begin(executor, request)) return;
    xnor_status status =
        session_set_get_some(set, request->shapes, needed_outputs(request), &session, &why);
    if (status == XNOR_OK) status = copy_inputs(request, session, &why);
    if (status == XNOR_OK) {
        status = execute_run(executor, session, request->deadline_ns);
        if (status != XNOR_OK) reason_set(&why, status, "%s", xnor_last_error());
    }
    request->computed_ns = clock_now_ns();
    if (status == XNOR_OK)
        answer(executor, request, session, 0, 1);
    else
        execute_refuse_failed(executor, request, status, why.text);
}

// Brings the clouds into the rows of the session's input. Rows whose request had to be refused stay
// as they are; their results are not looked at. Returns how many requests are left.
static uint32_t prepare(const struct executor *executor, struct request **rows, uint32_t count,
                        struct session *session) {
    uint32_t left = 0;
    size_t row_bytes = session->input_bytes[0] / count;
    for (uint32_t row = 0; row < count; row++) {
        struct request *request = rows[row];
        rows[row] = NULL;
        if (!execute_begin(executor, request)) continue;
        void *out = (char *)session->inputs[0].data + row * row_bytes;
        void *workspace = session_set_workspace(request->version->sets[executor->worker]);
        xnor_status status =
            xnor_cloud_prepare(request->version->description, &request->cloud, workspace, out);
        if (status != XNOR_OK) {
            execute_refuse_failed(executor, request, status, xnor_last_error());
            continue;
        }
        rows[row] = request;
        left++;
    }
    return left;
}

// When the last of the rows is late.
static uint64_t latest_deadline(struct request **rows, uint32_t count) {
    uint64_t latest = 0;
    for (uint32_t row = 0; row < count; row++)
        if (rows[row] != NULL && rows[row]->deadline_ns > latest) latest = rows[row]->deadline_ns;
    return latest;
}

static void execute_clouds(const struct executor *executor, struct request **rows, uint32_t count,
                           struct session *session) {
    if (prepare(executor, rows, count, session) == 0) return;
    xnor_status status = execute_run(executor, session, latest_deadline(rows, count));
    uint64_t computed_ns = clock_now_ns();
    for (uint32_t row = 0; row < count; row++) {
        if (rows[row] == NULL) continue;
        rows[row]->computed_ns = computed_ns;
        if (status == XNOR_OK)
            answer(executor, rows[row], session, row, count);
        else
            execute_refuse_failed(executor, rows[row], status, xnor_last_error());
    }
}

// The session for the most rows, at most `count`, that were prepared for: powers of two. 1 and *out
// NULL when none was.
static uint32_t choose_rows(const struct version *version, struct session_set *set, size_t points,
                            uint32_t count, struct session **out) {
    uint32_t rows = 1;
    while (rows * 2 <= count) rows *= 2;
    for (; rows > 0; rows /= 2) {
        xnor_shape shape = version_cloud_shape(version, points, rows);
        *out = session_set_find(set, &shape);
        if (*out != NULL) return rows;
    }
    return 1;
}

void execute_batch(const struct executor *executor, struct request **batch, uint32_t count) {
    execute_advance(executor);
    if (batch[0]->kind == REQUEST_TENSORS) {
        assert(count == 1);
        execute_tensors(executor, batch[0]);
        return;
    }
    if (batch[0]->kind == REQUEST_SCENE) {
        assert(count == 1);
        execute_scene(executor, batch[0]);
        return;
    }
    if (batch[0]->kind == REQUEST_IMAGE) {
        assert(count == 1);
        execute_image(executor, batch[0]);
        return;
    }
    const struct version *version = batch[0]->version;
    struct session_set *set = version->sets[executor->worker];
    for (uint32_t next = 0; next < count;) {
        struct request *first = batch[next];
        struct session *session = NULL;
        struct reason why = {""};
        uint32_t rows = choose_rows(version, set, first->cloud.count, count - next, &session);
        xnor_status status = XNOR_OK;
        if (session == NULL) status = session_set_get(set, first->shapes, &session, &why);
        if (status == XNOR_OK)
            execute_clouds(executor, &batch[next], rows, session);
        else
            execute_refuse_failed(executor, first, status, why.text);
        next += rows;
    }
}
