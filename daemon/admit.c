#include "admit.h"

#include "clock.h"
#include "tensor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define POINT_BYTES (3 * sizeof(float))

// Text of at most 64 bytes of a string from the wire, for "%.*s".
#define TEXT(string) (int)((string).size < 64 ? (string).size : 64), (string).data

__attribute__((format(printf, 3, 4))) static xnord_status
refuse(struct reason *why, xnord_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return status;
}

static xnord_status find_version(struct models *models, const xnord_proto_request *decoded,
                                 struct model **model, struct reason *why) {
    *model = models_find(models, decoded->model);
    if (*model == NULL)
        return refuse(why, XNORD_NOT_FOUND, "no model '%.*s'", TEXT(decoded->model));
    const struct version *version = (*model)->active;
    if (version == NULL)
        return refuse(why, XNORD_NOT_READY, "model '%s' is %s%s%.140s", (*model)->name,
                      model_state_text((*model)->state), (*model)->reason.text[0] ? ": " : "",
                      (*model)->reason.text);
    if (decoded->version.data != NULL && !xnord_proto_str_equal(decoded->version, version->label))
        return refuse(why, XNORD_NOT_FOUND, "model '%s' has version '%s', not '%.*s'",
                      (*model)->name, version->label, TEXT(decoded->version));
    return XNORD_OK;
}

// What a scene gives are values of its points, not the outputs of the graph.
static xnord_status find_point_outputs(const xnord_proto_request *decoded, struct request *slot,
                                       struct reason *why) {
    slot->wants_labels = decoded->output_count == 0;
    for (uint32_t i = 0; i < decoded->output_count; i++) {
        if (xnord_proto_str_equal(decoded->outputs[i].name, "labels"))
            slot->wants_labels = true;
        else if (xnord_proto_str_equal(decoded->outputs[i].name, "confidence"))
            slot->wants_confidence = true;
        else
            return refuse(why, XNORD_INVALID,
                          "outputs[%" PRIu32
                          "]: a segmented cloud gives 'labels' and 'confidence', not '%.*s'",
                          i, TEXT(decoded->outputs[i].name));
    }
    return XNORD_OK;
}

// A name that stands twice is answered once.
static xnord_status add_answer(const struct version *version, xnord_proto_str name, bool at_network,
                               struct request *slot, struct reason *why) {
    const xnor_description *d = version->description;
    xnor_answer *answer = &slot->answers[slot->answer_count];
    if (name.size >= XNOR_ANSWER_NAME_BYTES || !xnor_answer_find(d, name.data, name.size, answer))
        return refuse(
            why, XNORD_INVALID, "outputs: the model gives '%.64s'%s of an image, not '%.*s'",
            d->image_outputs[0].name, d->image_output_count > 1 ? " and others" : "", TEXT(name));
    for (uint32_t i = 0; i < slot->answer_count; i++)
        if (xnord_proto_str_equal(name, slot->answer_names[i])) return XNORD_OK;
    answer->at_network = at_network;
    memcpy(slot->answer_names[slot->answer_count], name.data, name.size);
    slot->answer_names[slot->answer_count][name.size] = '\0';
    slot->answer_count++;
    const xnor_image_output *output = &d->image_outputs[answer->output];
    for (uint32_t k = 0; k < output->port_count; k++)
        slot->wanted_outputs |= UINT32_C(1) << output->ports[k];
    return XNORD_OK;
}

// What is given of an image are its answers, not the outputs of the graph.
static xnord_status find_answers(const struct version *version, const xnord_proto_request *decoded,
                                 struct request *slot, struct reason *why) {
    const xnor_description *d = version->description;
    const bool all = decoded->output_count == 0;
    const uint32_t count = all ? d->image_output_count : decoded->output_count;
    xnord_status status = XNORD_OK;
    for (uint32_t i = 0; i < count && status == XNORD_OK; i++) {
        xnord_proto_str name =
            all ? xnord_proto_str_from(d->image_outputs[i].name) : decoded->outputs[i].name;
        status = add_answer(version, name, decoded->params.at_network, slot, why);
    }
    return status;
}

static xnord_status find_outputs(const struct version *version, const xnord_proto_request *decoded,
                                 struct request *slot, struct reason *why) {
    if (decoded->params.top_k > 0 && (!version->has_scores || version->segments))
        return refuse(why, XNORD_INVALID, "params.top_k: the model gives no class scores%s",
                      version->segments ? " of a cloud, it labels points" : "");
    if (slot->kind == REQUEST_IMAGE) return find_answers(version, decoded, slot, why);
    if (decoded->params.at_network)
        return refuse(why, XNORD_INVALID, "params.at_network: the input is no image");
    if (slot->kind == REQUEST_SCENE) return find_point_outputs(decoded, slot, why);
    uint32_t count = xnor_model_output_count(version->model);
    if (decoded->output_count == 0 && decoded->params.top_k == 0)
        slot->wanted_outputs = (UINT32_C(1) << count) - 1;
    for (uint32_t i = 0; i < decoded->output_count; i++) {
        uint32_t k = 0;
        while (k < count && !xnord_proto_str_equal(decoded->outputs[i].name,
                                                   xnor_model_output(version->model, k)->name))
            k++;
        if (k == count)
            return refuse(why, XNORD_INVALID,
                          "outputs[%" PRIu32 "]: the model has no output '%.*s'", i,
                          TEXT(decoded->outputs[i].name));
        slot->wanted_outputs |= UINT32_C(1) << k;
    }
    slot->top_k = decoded->params.top_k;
    return XNORD_OK;
}

// The input that decoded->inputs[index] names.
static xnord_status find_input(const struct version *version, const xnord_proto_tensor *tensor,
                               uint32_t *index, struct reason *why) {
    uint32_t count = xnor_model_input_count(version->model);
    for (*index = 0; *index < count; ++*index)
        if (xnord_proto_str_equal(tensor->name, xnor_model_input(version->model, *index)->name))
            break;
    if (*index == count)
        return refuse(why, XNORD_INVALID, "the model has no input '%.*s', expected '%.64s'%s",
                      TEXT(tensor->name), xnor_model_input(version->model, 0)->name,
                      count > 1 ? " and others" : "");
    return XNORD_OK;
}

static xnord_status check_datatype(const struct version *version, const xnord_proto_tensor *tensor,
                                   uint32_t index, struct reason *why) {
    const xnor_port *port = xnor_model_input(version->model, index);
    xnor_dtype dtype;
    if (tensor->stride > 0)
        return refuse(why, XNORD_INVALID, "input '%.64s': a stride is for images", port->name);
    if (!tensor_dtype(tensor->datatype, &dtype) || dtype != port->dtype)
        return refuse(why, XNORD_INVALID, "input '%.64s': expected %s, found %s", port->name,
                      xnord_datatype_name(tensor_datatype(port->dtype)),
                      xnord_datatype_name(tensor->datatype));
    return XNORD_OK;
}

static xnord_status bind_cloud(const struct version *version, const xnord_proto_tensor *tensor,
                               struct request *slot, struct reason *why) {
    const xnor_description *description = version->description;
    const char *name = xnor_model_input(version->model, 0)->name;
    if (tensor->shape[1] != 3)
        return refuse(why, XNORD_INVALID,
                      "input '%.64s': expected a cloud [points, 3], found [%" PRId64 ", %" PRId64
                      "]",
                      name, tensor->shape[0], tensor->shape[1]);
    if (tensor->shape[0] == 0)
        return refuse(why, XNORD_INVALID, "input '%.64s': the cloud has no points", name);
    if (description->max_points > 0 && tensor->shape[0] > description->max_points)
        return refuse(why, XNORD_TOO_LARGE,
                      "input '%.64s': expected at most %" PRId64 " points, found %" PRId64, name,
                      description->max_points, tensor->shape[0]);
    slot->kind = version->segments ? REQUEST_SCENE : REQUEST_CLOUD;
    slot->cloud = (xnor_cloud){tensor->data, (size_t)tensor->shape[0], POINT_BYTES};
    slot->shapes[0] = version_cloud_shape(version, slot->cloud.count, 1);
    return XNORD_OK;
}

static xnord_status bind_image(const struct version *version, const xnord_proto_tensor *tensor,
                               struct request *slot, struct reason *why) {
    const char *name = xnor_model_input(version->model, 0)->name;
    const int64_t height = tensor->shape[0], width = tensor->shape[1], channels = tensor->shape[2];
    const bool is_float = tensor->datatype == XNORD_FP32;
    if (!is_float && tensor->datatype != XNORD_UINT8)
        return refuse(why, XNORD_INVALID, "input '%.64s': expected UINT8 or FP32, found %s", name,
                      xnord_datatype_name(tensor->datatype));
    if (channels != 1 && channels != 3)
        return refuse(why, XNORD_INVALID,
                      "input '%.64s': expected an image [height, width, 1 or 3], found [%" PRId64
                      ", %" PRId64 ", %" PRId64 "]",
                      name, height, width, channels);
    if (xnor_image_frame_of(version->description, (size_t)width, (size_t)height, &slot->frame) !=
        XNOR_OK)
        return refuse(why, height == 0 || width == 0 ? XNORD_INVALID : XNORD_TOO_LARGE,
                      "input '%.64s': %.160s", name, xnor_last_error());
    const size_t row = (size_t)(width * channels) * (is_float ? sizeof(float) : 1);
    slot->kind = REQUEST_IMAGE;
    slot->image = (xnor_image){.data = tensor->data,
                               .width = (size_t)width,
                               .height = (size_t)height,
                               .channels = (size_t)channels,
                               .stride = tensor->stride > 0 ? (size_t)tensor->stride : row,
                               .is_float = is_float};
    slot->shapes[0] = xnor_image_shape(version->description, &slot->frame);
    return XNORD_OK;
}

static xnord_status bind_tensor(const struct version *version, const xnor_port *port,
                                const xnord_proto_tensor *tensor, xnor_shape *shape,
                                struct reason *why) {
    char expected[TENSOR_SHAPE_TEXT_BYTES], found[TENSOR_SHAPE_TEXT_BYTES];
    shape->rank = tensor->rank;
    for (uint32_t i = 0; i < tensor->rank; i++) shape->dims[i] = tensor->shape[i];
    if (!tensor_shape_fits(&port->shape, shape))
        return refuse(why, XNORD_INVALID, "input '%.64s': expected %sshape %s, found %s",
                      port->name,
                      version->takes_clouds   ? "a cloud [points, 3] or "
                      : version->takes_images ? "an image [height, width, 1 or 3] or "
                                              : "",
                      tensor_shape_text(&port->shape, expected, sizeof expected),
                      tensor_shape_text(shape, found, sizeof found));
    if (tensor->size == 0)
        return refuse(why, XNORD_INVALID, "input '%.64s': the tensor is empty", port->name);
    return XNORD_OK;
}

static xnord_status bind_inputs(const struct version *version, const xnord_proto_request *decoded,
                                struct request *slot, struct reason *why) {
    uint32_t count = xnor_model_input_count(version->model);
    if (decoded->input_count != count)
        return refuse(why, XNORD_INVALID, "expected %" PRIu32 " inputs, found %" PRIu32, count,
                      decoded->input_count);
    slot->kind = REQUEST_TENSORS;
    uint32_t bound = 0;
    for (uint32_t i = 0; i < count; i++) {
        const xnord_proto_tensor *tensor = &decoded->inputs[i];
        uint32_t index = 0;
        xnord_status status = find_input(version, tensor, &index, why);
        if (status != XNORD_OK) return status;
        if ((bound & (UINT32_C(1) << index)) != 0)
            return refuse(why, XNORD_INVALID, "input '%.*s' is there twice", TEXT(tensor->name));
        bound |= UINT32_C(1) << index;
        if (version->takes_images && tensor->rank == 3)
            return bind_image(version, tensor, slot, why);
        status = check_datatype(version, tensor, index, why);
        if (status != XNORD_OK) return status;
        if (version->takes_clouds && tensor->rank == 2)
            return bind_cloud(version, tensor, slot, why);
        status = bind_tensor(version, xnor_model_input(version->model, index), tensor,
                             &slot->shapes[index], why);
        if (status != XNORD_OK) return status;
        slot->inputs[index] = tensor->data;
    }
    return XNORD_OK;
}

xnord_status admit_infer(struct models *models, const xnord_proto_request *decoded, uint64_t now_ns,
                         uint64_t received_ns, struct request *slot, struct model **model,
                         struct reason *why) {
    xnord_status status = find_version(models, decoded, model, why);
    if (status != XNORD_OK) return status;
    struct version *version = (*model)->active;
    status = bind_inputs(version, decoded, slot, why);
    if (status == XNORD_OK) status = find_outputs(version, decoded, slot, why);
    if (status != XNORD_OK) return status;

    slot->received_ns = received_ns;
    slot->deadline_ns = UINT64_MAX;
    uint64_t deadline_ms = decoded->params.deadline_ms;
    if (deadline_ms > 0 && deadline_ms < (UINT64_MAX - received_ns) / NS_PER_MS)
        slot->deadline_ns = received_ns + deadline_ms * NS_PER_MS;
    if (now_ns >= slot->deadline_ns)
        return refuse(why, XNORD_EXPIRED, "the deadline of %" PRIu64 " ms passed on arrival",
                      deadline_ms);
    slot->id = decoded->id;
    slot->model = *model;
    (*model)->requests++;
    slot->version = version_ref(version);
    return XNORD_OK;
}
