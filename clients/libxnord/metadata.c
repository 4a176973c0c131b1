#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "client.h"

// Asks and decodes the body into *body, which the caller must free together with the request: its
// strings point into the reply.
typedef struct answer {
    xnord_request *request;
    xnord_proto_reply reply;
    void *body;
    xnord_block block;
} answer;

typedef xnord_status decode_function(const xnord_proto_reply *reply, void *out,
                                     xnord_proto_error *error);

static void drop(answer *a) {
    free(a->body);
    if (a->request) xnord_request_free(&a->request);
}

static xnord_status ask(xnord_client *client, xnord_proto_request *message, size_t body_size,
                        decode_function *decode, answer *a) {
    *a = (answer){.body = calloc(1, body_size)};
    if (!a->body) return xnord_fail(XNORD_E_MEMORY, "no memory for a reply");
    XNORD_TRY(xnord_client_prepare(client));
    XNORD_TRY(xnord_client_start(client, message, client->timeout_ms, NULL, NULL, &a->request));
    XNORD_TRY(xnord_client_finish(a->request, &a->reply));
    xnord_proto_error error;
    if (decode(&a->reply, a->body, &error) == XNORD_OK) return XNORD_OK;
    return xnord_client_fail_decode(a->request, &error);
}

static xnord_status open_block(answer *a, size_t structs, size_t pieces) {
    if (xnord_block_create(&a->block, structs, pieces, a->reply.body_size)) return XNORD_OK;
    return xnord_fail(XNORD_E_MEMORY, "no memory for a reply of %zu bytes", a->reply.body_size);
}

// The decoders take the struct of their operation; these take any.
#define DECODER(suffix, op, type)                                                                  \
    static xnord_status decode_##suffix(const xnord_proto_reply *reply, void *out,                 \
                                        xnord_proto_error *error) {                                \
        return xnord_proto_decode_##suffix##_reply(reply, out, error);                             \
    }
DECODER(live, LIVE, xnord_proto_live)
DECODER(ready, READY, xnord_proto_ready)
DECODER(server_metadata, SERVER_METADATA, xnord_proto_server_metadata)
DECODER(model_index, MODEL_INDEX, xnord_proto_model_index)
DECODER(model_metadata, MODEL_METADATA, xnord_proto_model_metadata)
DECODER(model_stats, MODEL_STATS, xnord_proto_model_stats)
#undef DECODER

void xnord_free(void *reply) {
    free(reply);
}

// ---- live, ready --------------------------------------------------------------------------------

xnord_status xnord_live(xnord_client *client) {
    xnord_proto_request message = {.op = XNORD_OP_LIVE};
    answer a;
    xnord_status status = ask(client, &message, sizeof(xnord_proto_live), decode_live, &a);
    if (status == XNORD_OK && !((xnord_proto_live *)a.body)->live) {
        status = xnord_fail(XNORD_NOT_READY, "live: the server says that it is not live");
    }
    drop(&a);
    return status;
}

static xnord_status copy_ready(answer *a, xnord_readiness **out) {
    const xnord_proto_ready *in = a->body;
    XNORD_TRY(open_block(a, sizeof **out, 1));
    xnord_readiness *copy = xnord_block_take(&a->block, sizeof *copy);
    copy->ready = in->ready;
    copy->state = xnord_block_text(&a->block, in->state);
    copy->reason = xnord_block_text(&a->block, in->reason);
    copy->since_ns = in->since_ns;
    *out = copy;
    return XNORD_OK;
}

xnord_status xnord_ready(xnord_client *client, const char *model, const char *version,
                         xnord_readiness **out) {
    xnord_proto_request message = {
        .op = XNORD_OP_READY,
        .model = xnord_proto_str_from(model),
        .version = xnord_proto_str_from(version),
    };
    answer a;
    xnord_status status = ask(client, &message, sizeof(xnord_proto_ready), decode_ready, &a);
    if (status == XNORD_OK) status = copy_ready(&a, out);
    drop(&a);
    return status;
}

// ---- server_metadata ----------------------------------------------------------------------------

static xnord_status copy_server(answer *a, xnord_server_info **out) {
    const xnord_proto_server_metadata *in = a->body;
    xnord_block *block = &a->block;
    XNORD_TRY(open_block(a, sizeof **out + in->extension_count * sizeof(char *), 2));
    xnord_server_info *copy = xnord_block_take(block, sizeof *copy);
    copy->name = xnord_block_text(block, in->name);
    copy->version = xnord_block_text(block, in->version);
    copy->isa = xnord_block_text(block, in->isa);
    copy->build = xnord_block_text(block, in->build);
    copy->cores = in->cores;
    copy->workers = in->workers;
    copy->since_ns = in->since_ns;
    copy->extension_count = in->extension_count;
    copy->extensions = xnord_block_texts(block, in->extensions, in->extension_count);
    *out = copy;
    return XNORD_OK;
}

xnord_status xnord_server_metadata(xnord_client *client, xnord_server_info **out) {
    xnord_proto_request message = {.op = XNORD_OP_SERVER_METADATA};
    answer a;
    xnord_status status =
        ask(client, &message, sizeof(xnord_proto_server_metadata), decode_server_metadata, &a);
    if (status == XNORD_OK) status = copy_server(&a, out);
    drop(&a);
    return status;
}

// ---- model_index --------------------------------------------------------------------------------

static xnord_status copy_index(answer *a, xnord_model_list **out) {
    const xnord_proto_model_index *in = a->body;
    xnord_block *block = &a->block;
    XNORD_TRY(open_block(a, sizeof **out + in->model_count * sizeof(xnord_model_entry), 2));
    xnord_model_list *copy = xnord_block_take(block, sizeof *copy);
    xnord_model_entry *models = xnord_block_take(block, in->model_count * sizeof *models);
    for (uint32_t i = 0; i < in->model_count; i++) {
        const xnord_proto_model_entry *entry = &in->models[i];
        models[i].name = xnord_block_text(block, entry->name);
        models[i].version = xnord_block_text(block, entry->version);
        models[i].state = xnord_block_text(block, entry->state);
        models[i].reason = xnord_block_text(block, entry->reason);
        models[i].since_ns = entry->since_ns;
        models[i].file_bytes = entry->file_bytes;
    }
    copy->model_count = in->model_count;
    copy->models = models;
    *out = copy;
    return XNORD_OK;
}

xnord_status xnord_model_index(xnord_client *client, bool only_ready, xnord_model_list **out) {
    xnord_proto_request message = {.op = XNORD_OP_MODEL_INDEX, .ready = only_ready};
    answer a;
    xnord_status status =
        ask(client, &message, sizeof(xnord_proto_model_index), decode_model_index, &a);
    if (status == XNORD_OK) status = copy_index(&a, out);
    drop(&a);
    return status;
}

// ---- model_metadata -----------------------------------------------------------------------------

static const xnord_port *copy_ports(xnord_block *block, const xnord_proto_port *in,
                                    uint32_t count) {
    xnord_port *ports = xnord_block_take(block, count * sizeof *ports);
    for (uint32_t i = 0; i < count; i++) {
        ports[i].name = xnord_block_text(block, in[i].name);
        ports[i].datatype = in[i].datatype;
        ports[i].rank = in[i].rank;
        memcpy(ports[i].shape, in[i].shape, sizeof ports[i].shape);
    }
    return ports;
}

static const xnord_image_output *copy_image_outputs(xnord_block *block,
                                                    const xnord_proto_image *in) {
    xnord_image_output *outputs = xnord_block_take(block, in->output_count * sizeof *outputs);
    for (uint32_t i = 0; i < in->output_count; i++) {
        const xnord_proto_image_output *from = &in->outputs[i];
        const bool coloured = from->colour_count > 0 && from->colour_count == from->class_count;
        uint32_t *palette = xnord_block_take(block, from->colour_count * sizeof *palette);
        memcpy(palette, from->palette, from->colour_count * sizeof *palette);
        outputs[i].name = xnord_block_text(block, from->name);
        outputs[i].kind = xnord_block_text(block, from->kind);
        outputs[i].class_count = from->class_count;
        outputs[i].classes = xnord_block_texts(block, from->classes, from->class_count);
        outputs[i].palette = coloured ? palette : NULL;
        outputs[i].low_m = from->low;
        outputs[i].high_m = from->high;
    }
    return outputs;
}

// Bytes of the structures that copy_image_outputs makes.
static size_t image_bytes(const xnord_proto_image *in) {
    size_t bytes = in->output_count * sizeof(xnord_image_output);
    for (uint32_t i = 0; i < in->output_count; i++)
        bytes += in->outputs[i].class_count * sizeof(char *) +
                 in->outputs[i].colour_count * sizeof(uint32_t);
    return bytes;
}

static xnord_status copy_model(answer *a, xnord_model_info **out) {
    const xnord_proto_model_metadata *in = a->body;
    xnord_block *block = &a->block;
    size_t ports = ((size_t)in->input_count + in->output_count) * sizeof(xnord_port);
    size_t texts = ((size_t)in->version_count + in->class_count) * sizeof(char *);
    XNORD_TRY(open_block(a, sizeof **out + ports + texts + image_bytes(&in->image),
                         6 + 2 * (size_t)in->image.output_count));
    xnord_model_info *copy = xnord_block_take(block, sizeof *copy);
    copy->name = xnord_block_text(block, in->name);
    copy->version = xnord_block_text(block, in->version);
    copy->platform = xnord_block_text(block, in->platform);
    copy->isa = xnord_block_text(block, in->isa);
    copy->task = xnord_block_text(block, in->task);
    copy->file_bytes = in->file_bytes;
    copy->version_count = in->version_count;
    copy->versions = xnord_block_texts(block, in->versions, in->version_count);
    copy->input_count = in->input_count;
    copy->inputs = copy_ports(block, in->inputs, in->input_count);
    copy->output_count = in->output_count;
    copy->outputs = copy_ports(block, in->outputs, in->output_count);
    copy->cloud_input = xnord_block_text(block, in->cloud.input);
    copy->cloud_points = in->cloud.points;
    copy->cloud_max_points = in->cloud.max_points;
    copy->cloud_block = in->cloud.block;
    copy->class_count = in->class_count;
    copy->classes = xnord_block_texts(block, in->classes, in->class_count);
    copy->image_input = xnord_block_text(block, in->image.input);
    copy->image_width = in->image.width;
    copy->image_height = in->image.height;
    copy->image_multiple_of = in->image.multiple_of;
    copy->image_output_count = in->image.output_count;
    copy->image_outputs = copy_image_outputs(block, &in->image);
    *out = copy;
    return XNORD_OK;
}

xnord_status xnord_model_metadata(xnord_client *client, const char *model, const char *version,
                                  xnord_model_info **out) {
    if (!model) return xnord_fail(XNORD_E_ARGUMENT, "model is NULL");
    xnord_proto_request message = {
        .op = XNORD_OP_MODEL_METADATA,
        .model = xnord_proto_str_from(model),
        .version = xnord_proto_str_from(version),
    };
    answer a;
    xnord_status status =
        ask(client, &message, sizeof(xnord_proto_model_metadata), decode_model_metadata, &a);
    if (status == XNORD_OK) status = copy_model(&a, out);
    drop(&a);
    return status;
}

// ---- model_stats --------------------------------------------------------------------------------

static void copy_stage(xnord_block *block, const xnord_proto_stage *in, xnord_stage *out) {
    uint64_t *counts = xnord_block_take(block, in->bucket_count * sizeof *counts);
    memcpy(counts, in->counts, in->bucket_count * sizeof *counts);
    out->sum_us = in->sum_us;
    out->max_us = in->max_us;
    out->bucket_count = in->bucket_count;
    out->counts = counts;
    for (uint32_t i = 0; i < in->bucket_count; i++) out->count += counts[i];
}

static void copy_counters(xnord_block *block, const xnord_proto_model_counters *in,
                          xnord_model_counters *out) {
    out->name = xnord_block_text(block, in->name);
    out->version = xnord_block_text(block, in->version);
    memcpy(out->statuses, in->statuses, in->status_count * sizeof *in->statuses);
    copy_stage(block, &in->queue, &out->queue);
    copy_stage(block, &in->compute, &out->compute);
    copy_stage(block, &in->total, &out->total);
}

static xnord_status copy_stats(answer *a, xnord_stats **out) {
    const xnord_proto_model_stats *in = a->body;
    xnord_block *block = &a->block;
    size_t numbers = (1 + 3 * (size_t)in->model_count) * (XNORD_PROTO_MAX_EDGES + 1) * 8;
    size_t structs = sizeof **out + in->model_count * sizeof(xnord_model_counters) + numbers;
    XNORD_TRY(open_block(a, structs, 3 + 3 * (size_t)in->model_count));
    xnord_stats *copy = xnord_block_take(block, sizeof *copy);
    uint64_t *edges = xnord_block_take(block, in->edge_count * sizeof *edges);
    memcpy(edges, in->edges_us, in->edge_count * sizeof *edges);
    xnord_model_counters *models = xnord_block_take(block, in->model_count * sizeof *models);
    for (uint32_t i = 0; i < in->model_count; i++) copy_counters(block, &in->models[i], &models[i]);
    copy->edge_count = in->edge_count;
    copy->edges_us = edges;
    copy->model_count = in->model_count;
    copy->models = models;
    *out = copy;
    return XNORD_OK;
}

xnord_status xnord_model_stats(xnord_client *client, const char *model, bool reset,
                               xnord_stats **out) {
    xnord_proto_request message = {
        .op = XNORD_OP_MODEL_STATS,
        .model = xnord_proto_str_from(model),
        .reset = reset,
    };
    answer a;
    xnord_status status =
        ask(client, &message, sizeof(xnord_proto_model_stats), decode_model_stats, &a);
    if (status == XNORD_OK) status = copy_stats(&a, out);
    drop(&a);
    return status;
}

uint64_t xnord_stage_percentile_us(const xnord_stats *stats, const xnord_stage *stage,
                                   double fraction) {
    double wanted = fraction * (double)stage->count;
    uint64_t passed = 0;
    for (uint32_t i = 0; i < stage->bucket_count; i++) {
        passed += stage->counts[i];
        if (stage->counts[i] == 0 || (double)passed < wanted) continue;
        bool last = i == stats->edge_count || stats->edges_us[i] > stage->max_us;
        return last ? stage->max_us : stats->edges_us[i];
    }
    return 0;
}
