#include "answers.h"

#include "tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define STR(text) xnord_proto_str_from(text)

struct answers {
    union {
        xnord_proto_model_index index;
        xnord_proto_model_metadata metadata;
        xnord_proto_model_stats stats;
    } body;
};

xnor_status answers_create(struct answers **out) {
    *out = calloc(1, sizeof **out);
    return *out != NULL ? XNOR_OK : XNOR_E_MEMORY;
}

void answers_free(struct answers **answers) {
    free(*answers);
    *answers = NULL;
}

// "" is how an absent text is stored here; on the wire it is left out.
static xnord_proto_str optional(const char *text) {
    return STR(text[0] != '\0' ? text : NULL);
}

static struct reply not_found(struct exchange *exchange, const xnord_proto_request *request) {
    struct reason why;
    reason_set(&why, XNOR_E_NOT_FOUND, "no model '%.*s'",
               (int)(request->model.size < 64 ? request->model.size : 64), request->model.data);
    return reply_error(exchange, request->id, XNORD_NOT_FOUND, why.text);
}

// Whether a request for `wanted` (absent: any) is one for this version. One that is not loaded yet
// could be any.
static bool serves_version(const struct version *version, xnord_proto_str wanted) {
    return wanted.data == NULL || version == NULL || xnord_proto_str_equal(wanted, version->label);
}

static struct reply hello(struct server *server, struct exchange *exchange) {
    xnord_proto_hello body = {
        .server = STR("xnord"),
        .version = STR(SERVER_VERSION),
        .proto = {XNORD_PROTO_MAJOR * 256u, XNORD_PROTO_VERSION},
        .proto_count = 2,
        .limits = {.max_message = (uint64_t)server->config->max_message_bytes,
                   .max_tensors = XNORD_PROTO_MAX_TENSORS,
                   .max_rank = XNORD_PROTO_MAX_RANK,
                   .max_objects = XNORD_PROTO_MAX_OBJECTS,
                   .max_labels = XNORD_PROTO_MAX_LABELS},
        .clock = STR("monotonic"),
        .boot_id = STR(server->boot_id),
    };
    return reply_hello(exchange, server->decoded.id, &body);
}

static struct reply live(struct server *server, struct exchange *exchange) {
    xnord_proto_live body = {.live = server->health.alive};
    return reply_live(exchange, server->decoded.id, &body);
}

static struct reply ready_model(struct server *server, struct exchange *exchange) {
    const xnord_proto_request *request = &server->decoded;
    const struct model *model = models_find(server->models, request->model);
    if (model == NULL) return not_found(exchange, request);
    if (!serves_version(model->active, request->version))
        return reply_error(exchange, request->id, XNORD_NOT_FOUND, "another version is active");
    xnord_proto_ready body = {
        .ready = model->active != NULL && server->state != SERVER_DRAINING,
        .state = STR(model_state_text(model->state)),
        .reason = optional(model->reason.text),
        .since_ns = model->since_ns,
    };
    return reply_ready(exchange, request->id, &body);
}

static struct reply ready(struct server *server, struct exchange *exchange) {
    if (server->decoded.model.data != NULL) return ready_model(server, exchange);
    uint32_t usable = models_in_state(server->models, MODEL_READY);
    uint32_t failed = models_in_state(server->models, MODEL_FAILED);
    struct reason why = {""};
    if (!server->health.alive)
        why = server->health.reason;
    else if (models_scan_error(server->models)[0] != '\0')
        reason_set(&why, XNOR_OK, "%s", models_scan_error(server->models));
    else if (failed > 0)
        reason_set(&why, XNOR_OK, "%" PRIu32 " models failed, see model_index", failed);
    else if (usable == 0 && server->state == SERVER_READY)
        reason_set(&why, XNOR_OK, "no models in %.180s", server->config->models_directory);
    xnord_proto_ready body = {
        .ready = server->state == SERVER_READY && usable > 0 && server->health.alive,
        .state = STR(server_state_text(server->state)),
        .reason = optional(why.text),
        .since_ns = server->since_ns,
    };
    return reply_ready(exchange, server->decoded.id, &body);
}

static struct reply server_metadata(struct server *server, struct exchange *exchange) {
    xnord_proto_server_metadata body = {
        .name = STR("xnord"),
        .version = STR(SERVER_VERSION),
        .isa = STR(server->isa),
        .cores = server->cores,
        .workers = server->worker_count,
        .build = STR(__VERSION__),
        .since_ns = server->started_ns,
    };
    return reply_server_metadata(exchange, server->decoded.id, &body);
}

static struct reply model_index(struct server *server, struct exchange *exchange) {
    xnord_proto_model_index *body = &server->answers->body.index;
    body->model_count = 0;
    for (uint32_t i = 0; i < models_count(server->models); i++) {
        const struct model *model = models_at(server->models, i);
        if (model->state == MODEL_ABSENT) continue;
        if (server->decoded.ready && model->active == NULL) continue;
        body->models[body->model_count++] = (xnord_proto_model_entry){
            .name = STR(model->name),
            .version = optional(model->active != NULL ? model->active->label : ""),
            .state = STR(model_state_text(model->state)),
            .reason = optional(model->reason.text),
            .since_ns = model->since_ns,
            .file_bytes = model->active != NULL ? model->active->file_bytes : 0,
        };
    }
    return reply_model_index(exchange, server->decoded.id, body);
}

static void fill_port(const xnor_port *port, xnord_proto_port *out) {
    out->name = STR(port->name);
    out->datatype = tensor_datatype(port->dtype);
    out->rank = port->shape.rank;
    for (uint32_t i = 0; i < out->rank; i++) out->shape[i] = port->shape.dims[i];
}

static void fill_image_output(const xnor_image_output *output, xnord_proto_image_output *out) {
    static const char *const kinds[] = {
        [XNOR_IMAGE_RAW] = "raw",     [XNOR_IMAGE_SEGMENTATION] = "segmentation",
        [XNOR_IMAGE_DEPTH] = "depth", [XNOR_IMAGE_NORMALS] = "normals",
        [XNOR_IMAGE_EDGES] = "edges", [XNOR_IMAGE_BOXES] = "boxes",
    };
    out->name = STR(output->name);
    out->kind = STR(kinds[output->kind]);
    out->class_count = output->class_count;
    for (uint32_t i = 0; i < output->class_count; i++) out->classes[i] = STR(output->classes[i]);
    out->colour_count = output->palette != NULL ? output->class_count : 0;
    for (uint32_t i = 0; i < out->colour_count; i++) out->palette[i] = output->palette[i];
    out->low = output->low;
    out->high = output->high;
}

static void fill_image(const struct version *version, xnord_proto_model_metadata *body) {
    const xnor_description *d = version->description;
    body->has_image = version->takes_images;
    if (!version->takes_images) return;
    body->image.input = STR(xnor_model_input(version->model, 0)->name);
    body->image.width = (uint64_t)d->image.width;
    body->image.height = (uint64_t)d->image.height;
    body->image.multiple_of = (uint64_t)d->image.multiple_of;
    body->image.output_count = d->image_output_count;
    for (uint32_t i = 0; i < d->image_output_count; i++)
        fill_image_output(&d->image_outputs[i], &body->image.outputs[i]);
}

static void fill_task(const struct version *version, xnord_proto_model_metadata *body) {
    const xnor_description *description = version->description;
    if (description->task == XNOR_TASK_CLASSIFICATION) body->task = STR("classification");
    if (description->task == XNOR_TASK_SEGMENTATION) body->task = STR("segmentation");
    if (description->task == XNOR_TASK_IMAGE) body->task = STR("image");
    body->has_cloud = version->takes_clouds;
    body->cloud = (xnord_proto_cloud){0};
    if (version->takes_clouds) {
        body->cloud.input = STR(xnor_model_input(version->model, 0)->name);
        body->cloud.points = (uint64_t)description->points;
        body->cloud.max_points = (uint64_t)description->max_points;
        body->cloud.block = description->block;
    }
    fill_image(version, body);
    body->class_count = description->class_count;
    for (uint32_t i = 0; i < body->class_count; i++)
        body->classes[i] = STR(description->classes[i]);
}

static struct reply model_metadata(struct server *server, struct exchange *exchange) {
    const xnord_proto_request *request = &server->decoded;
    const struct model *model = models_find(server->models, request->model);
    if (model == NULL) return not_found(exchange, request);
    const struct version *version = model->active;
    if (version == NULL)
        return reply_error(exchange, request->id, XNORD_NOT_READY, model_state_text(model->state));
    if (!serves_version(version, request->version))
        return reply_error(exchange, request->id, XNORD_NOT_FOUND, "another version is active");

    xnord_proto_model_metadata *body = &server->answers->body.metadata;
    body->name = STR(model->name);
    body->version = STR(version->label);
    body->version_count = 1;
    body->versions[0] = body->version;
    body->platform = STR("xnor");
    body->isa = STR(xnor_model_isa(version->model));
    body->file_bytes = version->file_bytes;
    body->input_count = xnor_model_input_count(version->model);
    for (uint32_t i = 0; i < body->input_count; i++)
        fill_port(xnor_model_input(version->model, i), &body->inputs[i]);
    body->output_count = xnor_model_output_count(version->model);
    for (uint32_t i = 0; i < body->output_count; i++)
        fill_port(xnor_model_output(version->model, i), &body->outputs[i]);
    body->task = STR(NULL);
    fill_task(version, body);
    return reply_model_metadata(exchange, request->id, body);
}

static struct reply model_stats(struct server *server, struct exchange *exchange) {
    const xnord_proto_request *request = &server->decoded;
    const struct model *only = NULL;
    if (request->model.data != NULL) {
        only = models_find(server->models, request->model);
        if (only == NULL) return not_found(exchange, request);
    }
    xnord_proto_model_stats *body = &server->answers->body.stats;
    stats_edges(body);
    body->model_count = 0;
    for (uint32_t i = 0; i < models_count(server->models); i++) {
        struct model *model = models_at(server->models, i);
        if (model->state == MODEL_ABSENT || (only != NULL && model != only)) continue;
        xnord_proto_model_counters *counters = &body->models[body->model_count++];
        counters->name = STR(model->name);
        counters->version = optional(model->active != NULL ? model->active->label : "");
        stats_export(&model->stats, counters);
        if (request->reset) stats_reset(&model->stats);
    }
    return reply_model_stats(exchange, request->id, body);
}

struct reply answers_make(struct server *server, struct exchange *exchange) {
    static const struct {
        uint32_t op;
        struct reply (*make)(struct server *server, struct exchange *exchange);
    } table[] = {
        {XNORD_OP_HELLO, hello},
        {XNORD_OP_LIVE, live},
        {XNORD_OP_READY, ready},
        {XNORD_OP_SERVER_METADATA, server_metadata},
        {XNORD_OP_MODEL_INDEX, model_index},
        {XNORD_OP_MODEL_METADATA, model_metadata},
        {XNORD_OP_MODEL_STATS, model_stats},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].op == server->decoded.op) return table[i].make(server, exchange);
    return reply_error(exchange, server->decoded.id, XNORD_UNSUPPORTED, "operation not supported");
}
