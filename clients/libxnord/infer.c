#include "infer.h"

#include <inttypes.h>
#include <string.h>

#include "result.h"

// With a deadline the server answers in time by itself, if only to refuse. This much longer we
// wait.
#define DEADLINE_GRACE_MS 500

static xnord_status check_tensor(const xnord_tensor *tensor, uint32_t index) {
    if (!tensor->name) return xnord_fail(XNORD_E_ARGUMENT, "inputs[%u].name is NULL", index);
    uint64_t bytes;
    if (!xnord_tensor_bytes(tensor->datatype, tensor->rank, tensor->shape, &bytes)) {
        return xnord_fail(XNORD_E_ARGUMENT,
                          "inputs[%u] (%s): unknown datatype, rank above %d or dimension below 0",
                          index, tensor->name, XNORD_MAX_RANK);
    }
    if (tensor->stride > 0) {
        const uint64_t rows = tensor->rank > 1 ? (uint64_t)tensor->shape[0] : 0;
        const uint64_t row = rows > 0 ? bytes / rows : 0;
        uint64_t most;
        if (rows == 0 || tensor->stride < row ||
            __builtin_mul_overflow(rows, (uint64_t)tensor->stride, &most) || tensor->size > most ||
            tensor->size < most - tensor->stride + row) {
            return xnord_fail(
                XNORD_E_ARGUMENT,
                "inputs[%u] (%s): its datatype, shape and stride do not take %zu bytes", index,
                tensor->name, tensor->size);
        }
        bytes = tensor->size;
    }
    if (bytes != tensor->size) {
        return xnord_fail(XNORD_E_ARGUMENT,
                          "inputs[%u] (%s): its datatype and shape take %" PRIu64
                          " bytes, size is %zu",
                          index, tensor->name, bytes, tensor->size);
    }
    if (bytes > 0 && !tensor->data) {
        return xnord_fail(XNORD_E_ARGUMENT, "inputs[%u] (%s): data is NULL", index, tensor->name);
    }
    return XNORD_OK;
}

static xnord_status check_request(const xnord_infer_request *in) {
    if (!in->model) return xnord_fail(XNORD_E_ARGUMENT, "model is NULL");
    if (in->input_count == 0 || in->input_count > XNORD_MAX_TENSORS) {
        return xnord_fail(XNORD_E_ARGUMENT, "input_count: expected 1 to %d, found %u",
                          XNORD_MAX_TENSORS, in->input_count);
    }
    if (in->output_count > XNORD_MAX_TENSORS) {
        return xnord_fail(XNORD_E_ARGUMENT, "output_count: expected at most %d, found %u",
                          XNORD_MAX_TENSORS, in->output_count);
    }
    if (in->top_k > XNORD_MAX_TOP_K) {
        return xnord_fail(XNORD_E_ARGUMENT, "top_k: expected at most %d, found %u", XNORD_MAX_TOP_K,
                          in->top_k);
    }
    for (uint32_t i = 0; i < in->input_count; i++) XNORD_TRY(check_tensor(&in->inputs[i], i));
    for (uint32_t i = 0; i < in->output_count; i++) {
        if (!in->outputs[i]) return xnord_fail(XNORD_E_ARGUMENT, "outputs[%u] is NULL", i);
    }
    return XNORD_OK;
}

static void fill_message(const xnord_infer_request *in, xnord_proto_request *message) {
    *message = (xnord_proto_request){
        .op = XNORD_OP_INFER,
        .model = xnord_proto_str_from(in->model),
        .version = xnord_proto_str_from(in->version),
        .input_count = in->input_count,
        .output_count = in->output_count,
        .params = {.deadline_ms = in->deadline_ms,
                   .top_k = in->top_k,
                   .at_network = in->at_network},
    };
    for (uint32_t i = 0; i < in->input_count; i++) {
        const xnord_tensor *tensor = &in->inputs[i];
        xnord_proto_tensor *copy = &message->inputs[i];
        copy->name = xnord_proto_str_from(tensor->name);
        copy->datatype = tensor->datatype;
        copy->rank = tensor->rank;
        memcpy(copy->shape, tensor->shape, sizeof copy->shape);
        copy->data = tensor->data;
        copy->size = tensor->size;
        copy->stride = tensor->stride;
    }
    for (uint32_t i = 0; i < in->output_count; i++) {
        message->outputs[i].name = xnord_proto_str_from(in->outputs[i]);
    }
}

static uint32_t wait_ms(const xnord_client *client, const xnord_infer_request *in) {
    if (in->deadline_ms == 0) return client->timeout_ms;
    return in->deadline_ms < UINT32_MAX - DEADLINE_GRACE_MS ? in->deadline_ms + DEADLINE_GRACE_MS
                                                            : UINT32_MAX;
}

static xnord_status send_request(xnord_client *client, const xnord_infer_request *in,
                                 xnord_infer_callback callback, void *user, xnord_request **out) {
    XNORD_TRY(check_request(in));
    XNORD_TRY(xnord_client_prepare(client));
    xnord_proto_request message;
    fill_message(in, &message);
    return xnord_client_start(client, &message, wait_ms(client, in), callback, user, out);
}

xnord_status xnord_infer(xnord_client *client, const xnord_infer_request *in, xnord_result **out) {
    xnord_request *request;
    XNORD_TRY(send_request(client, in, NULL, NULL, &request));
    xnord_proto_reply reply;
    xnord_status status = xnord_client_finish(request, &reply);
    if (status == XNORD_OK) status = xnord_result_create(request, &reply, out);
    xnord_request_free(&request);
    return status;
}

xnord_status xnord_infer_async(xnord_client *client, const xnord_infer_request *in,
                               xnord_infer_callback callback, void *user, xnord_request **handle) {
    if (!callback) return xnord_fail(XNORD_E_ARGUMENT, "callback is NULL");
    return send_request(client, in, callback, user, handle);
}

void xnord_infer_complete(xnord_request *request) {
    xnord_proto_reply reply;
    xnord_result *result = NULL;
    xnord_status status = xnord_client_open_reply(request, &reply);
    if (status == XNORD_OK) status = xnord_result_create(request, &reply, &result);
    request->status = status;
    request->callback(request->user, status, result);
}
