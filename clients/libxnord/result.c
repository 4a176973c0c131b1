#include "result.h"

#include <stdlib.h>
#include <string.h>

#include "block.h"

struct xnord_result {
    const char *model;
    const char *version;
    uint32_t label_count;
    uint32_t tensor_count;
    xnord_label *labels;
    xnord_tensor *tensors;
    xnord_timing timing;
};

static void copy_tensor(xnord_block *block, const xnord_proto_tensor *in, xnord_tensor *out) {
    void *data = xnord_block_take(block, in->size);
    if (in->size > 0) memcpy(data, in->data, in->size);
    *out = (xnord_tensor){
        .name = xnord_block_text(block, in->name),
        .datatype = in->datatype,
        .rank = in->rank,
        .data = data,
        .size = in->size,
    };
    memcpy(out->shape, in->shape, sizeof out->shape);
}

static void copy_result(xnord_block *block, const xnord_proto_infer_reply *in, xnord_result *out) {
    out->model = xnord_block_text(block, in->model);
    out->version = xnord_block_text(block, in->version);
    out->timing = (xnord_timing){in->t.queue, in->t.compute, in->t.total, 0};
    out->label_count = in->label_count;
    out->labels = xnord_block_take(block, in->label_count * sizeof *out->labels);
    for (uint32_t i = 0; i < in->label_count; i++) {
        const xnord_proto_label *label = &in->labels[i];
        const char *name = xnord_block_text(block, label->label);
        out->labels[i] = (xnord_label){label->id, label->confidence, name};
    }
    out->tensor_count = in->output_count;
    out->tensors = xnord_block_take(block, in->output_count * sizeof *out->tensors);
    for (uint32_t i = 0; i < in->output_count; i++) {
        copy_tensor(block, &in->outputs[i], &out->tensors[i]);
    }
}

xnord_status xnord_result_create(const xnord_request *request, const xnord_proto_reply *reply,
                                 xnord_result **out) {
    xnord_proto_infer_reply body;
    xnord_proto_error error;
    if (xnord_proto_decode_infer_reply(reply, &body, &error) != XNORD_OK) {
        return xnord_client_fail_decode(request, &error);
    }
    size_t structs = sizeof **out + body.label_count * sizeof(xnord_label) +
                     body.output_count * sizeof(xnord_tensor);
    xnord_block block;
    if (!xnord_block_create(&block, structs, 3 + body.output_count, reply->body_size)) {
        return xnord_fail(XNORD_E_MEMORY, "no memory for a result of %zu bytes", reply->body_size);
    }
    xnord_result *result = xnord_block_take(&block, sizeof *result);
    copy_result(&block, &body, result);
    result->timing.round_trip_us = (xnord_now_ns() - request->started_ns) / 1000;
    *out = result;
    return XNORD_OK;
}

const char *xnord_result_model(const xnord_result *result) {
    return result->model;
}

const char *xnord_result_version(const xnord_result *result) {
    return result->version;
}

uint32_t xnord_result_label_count(const xnord_result *result) {
    return result->label_count;
}

const xnord_label *xnord_result_label(const xnord_result *result, uint32_t index) {
    return index < result->label_count ? &result->labels[index] : NULL;
}

uint32_t xnord_result_tensor_count(const xnord_result *result) {
    return result->tensor_count;
}

const xnord_tensor *xnord_result_tensor(const xnord_result *result, uint32_t index) {
    return index < result->tensor_count ? &result->tensors[index] : NULL;
}

const xnord_tensor *xnord_result_find(const xnord_result *result, const char *name) {
    for (uint32_t i = 0; i < result->tensor_count; i++) {
        if (strcmp(result->tensors[i].name, name) == 0) return &result->tensors[i];
    }
    return NULL;
}

static const void *point_values(const xnord_result *result, const char *name,
                                xnord_datatype datatype, size_t *count) {
    const xnord_tensor *tensor = xnord_result_find(result, name);
    if (!tensor || tensor->datatype != datatype || tensor->rank != 1) return NULL;
    if (count) *count = (size_t)tensor->shape[0];
    return tensor->data;
}

const uint8_t *xnord_result_point_labels(const xnord_result *result, size_t *count) {
    return point_values(result, "labels", XNORD_UINT8, count);
}

const float *xnord_result_point_confidences(const xnord_result *result, size_t *count) {
    return point_values(result, "confidence", XNORD_FP32, count);
}

// [height, width], or [height, width, depth] if depth is not 0.
static const void *map_values(const xnord_result *result, const char *name, xnord_datatype datatype,
                              int64_t depth, size_t *width, size_t *height) {
    const xnord_tensor *tensor = xnord_result_find(result, name);
    if (!tensor || tensor->datatype != datatype || tensor->rank != (depth > 0 ? 3 : 2)) return NULL;
    if (depth > 0 && tensor->shape[2] != depth) return NULL;
    if (height) *height = (size_t)tensor->shape[0];
    if (width) *width = (size_t)tensor->shape[1];
    return tensor->data;
}

const uint8_t *xnord_result_label_map(const xnord_result *result, const char *name, size_t *width,
                                      size_t *height) {
    return map_values(result, name, XNORD_UINT8, 0, width, height);
}

const float *xnord_result_value_map(const xnord_result *result, const char *name, size_t *width,
                                    size_t *height) {
    return map_values(result, name, XNORD_FP32, 0, width, height);
}

const uint16_t *xnord_result_millimetre_map(const xnord_result *result, const char *name,
                                            size_t *width, size_t *height) {
    return map_values(result, name, XNORD_UINT16, 0, width, height);
}

const float *xnord_result_normal_map(const xnord_result *result, const char *name, size_t *width,
                                     size_t *height) {
    return map_values(result, name, XNORD_FP32, 3, width, height);
}

_Static_assert(sizeof(xnord_box) == 6 * sizeof(float), "boxes are rows of six floats");

const xnord_box *xnord_result_boxes(const xnord_result *result, const char *name, size_t *count) {
    size_t columns = 0;
    const float *rows = xnord_result_value_map(result, name, &columns, count);
    return columns == 6 ? (const xnord_box *)rows : NULL;
}

const xnord_timing *xnord_result_timing(const xnord_result *result) {
    return &result->timing;
}

void xnord_result_free(xnord_result **result) {
    free(*result);
    *result = NULL;
}
