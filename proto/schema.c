#include "schema.h"

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof *(array))

// Rows: the struct's member has the name of the key unless a macro takes both.
#define MUST true
#define MAY false
#define ROW(struct_type, key_name, member, field_type, must, count_offset, limit, schema)          \
    {                                                                                              \
        .key = XNORD_KEY_##key_name, .type = XNORD_TYPE_##field_type, .required = must,            \
        .offset = (uint32_t)offsetof(struct_type, member), .count = (uint32_t)(count_offset),      \
        .capacity = limit, .item = schema                                                          \
    }
#define ONE(struct_type, key, type, must) ROW(struct_type, key, key, type, must, 0, 0, NULL)
#define AT_MOST(struct_type, key, must, limit) ROW(struct_type, key, key, U32, must, 0, limit, NULL)
#define MANY(struct_type, key, type, must, counter)                                                \
    ROW(struct_type, key, key, type, must, offsetof(struct_type, counter),                         \
        COUNT(((struct_type *)0)->key), NULL)
#define MAP(struct_type, key, must, schema)                                                        \
    ROW(struct_type, key, key, MAP, must, 0, 0, &schema##_schema)
#define LIST(struct_type, key, must, counter, schema)                                              \
    ROW(struct_type, key, key, LIST, must, offsetof(struct_type, counter),                         \
        COUNT(((struct_type *)0)->key), &schema##_schema)
#define RESERVED(struct_type, key, member) ROW(struct_type, key, member, RESERVED, MAY, 0, 0, NULL)
#define SCHEMA(name, struct_type)                                                                  \
    static const xnord_proto_schema name##_schema = {#name, sizeof(struct_type),                   \
                                                     COUNT(name##_fields), name##_fields};

// ---- parts --------------------------------------------------------------------------------------

#define S xnord_proto_tensor
#define TENSOR_ROWS                                                                                \
    ONE(S, name, STR, MUST), ONE(S, datatype, DATATYPE, MUST), MANY(S, shape, DIMS, MUST, rank),   \
        ROW(S, data, data, DATA, MUST, offsetof(S, size), 0, NULL), RESERVED(S, shm, data),        \
        RESERVED(S, layout, data)
static const xnord_proto_field input_fields[] = {TENSOR_ROWS, ONE(S, stride, U64, MAY)};
SCHEMA(input, S)
static const xnord_proto_field tensor_fields[] = {TENSOR_ROWS, RESERVED(S, stride, data)};
SCHEMA(tensor, S)
#undef S

#define S xnord_proto_port
static const xnord_proto_field port_fields[] = {
    ONE(S, name, STR, MUST),
    ONE(S, datatype, DATATYPE, MUST),
    MANY(S, shape, DIMS, MUST, rank),
};
SCHEMA(port, S)
#undef S

#define S xnord_proto_output
static const xnord_proto_field output_fields[] = {
    ONE(S, name, STR, MUST),
    RESERVED(S, as, name),
    RESERVED(S, shm, name),
};
SCHEMA(output, S)
#undef S

#define S xnord_proto_params
static const xnord_proto_field params_fields[] = {
    ONE(S, deadline_ms, U64, MAY),
    AT_MOST(S, top_k, MAY, XNORD_PROTO_MAX_LABELS),
    ONE(S, at_network, BOOL, MAY),
};
SCHEMA(params, S)
#undef S

#define S xnord_proto_limits
static const xnord_proto_field limits_fields[] = {
    ONE(S, max_message, U64, MUST), ONE(S, max_tensors, U32, MUST), ONE(S, max_rank, U32, MUST),
    ONE(S, max_objects, U32, MUST), ONE(S, max_labels, U32, MUST),
};
SCHEMA(limits, S)
#undef S

#define S xnord_proto_model_entry
static const xnord_proto_field entry_fields[] = {
    ONE(S, name, STR, MUST),  ONE(S, version, STR, MAY),  ONE(S, state, STR, MUST),
    ONE(S, reason, STR, MAY), ONE(S, since_ns, U64, MAY), ONE(S, file_bytes, U64, MAY),
};
SCHEMA(entry, S)
#undef S

#define S xnord_proto_cloud
static const xnord_proto_field cloud_fields[] = {
    ONE(S, input, STR, MUST),
    ONE(S, points, U64, MUST),
    ONE(S, max_points, U64, MUST),
    ONE(S, block, F32, MAY),
};
SCHEMA(cloud, S)
#undef S

#define S xnord_proto_image_output
static const xnord_proto_field image_output_fields[] = {
    ONE(S, name, STR, MUST),
    ONE(S, kind, STR, MUST),
    MANY(S, classes, STRS, MAY, class_count),
    MANY(S, palette, U32S, MAY, colour_count),
    ONE(S, low, F32, MAY),
    ONE(S, high, F32, MAY),
};
SCHEMA(image_output, S)
#undef S

#define S xnord_proto_image
static const xnord_proto_field image_fields[] = {
    ONE(S, input, STR, MUST),
    ONE(S, width, U64, MUST),
    ONE(S, height, U64, MUST),
    ONE(S, multiple_of, U64, MAY),
    LIST(S, outputs, MUST, output_count, image_output),
};
SCHEMA(image, S)
#undef S

#define S xnord_proto_stage
static const xnord_proto_field stage_fields[] = {
    ONE(S, sum_us, U64, MUST),
    ONE(S, max_us, U64, MUST),
    MANY(S, counts, U64S, MUST, bucket_count),
};
SCHEMA(stage, S)
#undef S

#define S xnord_proto_model_counters
static const xnord_proto_field counters_fields[] = {
    ONE(S, name, STR, MUST),
    ONE(S, version, STR, MAY),
    MANY(S, statuses, U64S, MUST, status_count),
    MAP(S, queue, MUST, stage),
    MAP(S, compute, MUST, stage),
    MAP(S, total, MUST, stage),
};
SCHEMA(counters, S)
#undef S

#define S xnord_proto_label
static const xnord_proto_field label_fields[] = {
    ONE(S, id, U32, MUST),
    ONE(S, label, STR, MUST),
    ONE(S, confidence, F32, MUST),
};
SCHEMA(label, S)
#undef S

#define S xnord_proto_times
static const xnord_proto_field times_fields[] = {
    ONE(S, queue, U64, MUST),
    ONE(S, compute, U64, MUST),
    ONE(S, total, U64, MUST),
};
SCHEMA(times, S)
#undef S

// ---- requests -----------------------------------------------------------------------------------

#define S xnord_proto_request
static const xnord_proto_field hello_request_fields[] = {
    ONE(S, client, STR, MAY),
    MANY(S, proto, U32S, MAY, proto_count),
};
SCHEMA(hello_request, S)

static const xnord_proto_schema live_request_schema = {"live_request", sizeof(S), 0, NULL};
static const xnord_proto_schema server_metadata_request_schema = {"server_metadata_request",
                                                                  sizeof(S), 0, NULL};

static const xnord_proto_field ready_request_fields[] = {
    ONE(S, model, STR, MAY),
    ONE(S, version, STR, MAY),
};
SCHEMA(ready_request, S)

static const xnord_proto_field model_index_request_fields[] = {
    ONE(S, ready, BOOL, MAY),
};
SCHEMA(model_index_request, S)

static const xnord_proto_field model_metadata_request_fields[] = {
    ONE(S, model, STR, MUST),
    ONE(S, version, STR, MAY),
};
SCHEMA(model_metadata_request, S)

static const xnord_proto_field model_stats_request_fields[] = {
    ONE(S, model, STR, MAY),
    ONE(S, reset, BOOL, MAY),
};
SCHEMA(model_stats_request, S)

static const xnord_proto_field infer_request_fields[] = {
    ONE(S, model, STR, MUST),
    ONE(S, version, STR, MAY),
    LIST(S, inputs, MUST, input_count, input),
    LIST(S, outputs, MAY, output_count, output),
    MAP(S, params, MAY, params),
};
SCHEMA(infer_request, S)
#undef S

// ---- replies ------------------------------------------------------------------------------------

#define S xnord_proto_reply
static const xnord_proto_field error_fields[] = {
    ONE(S, detail, STR, MAY),
    ONE(S, retry_ms, U64, MAY),
    ONE(S, est_us, U64, MAY),
    MANY(S, speaks, U32S, MAY, speaks_count),
};
SCHEMA(error, S)
#undef S

#define S xnord_proto_hello
static const xnord_proto_field hello_fields[] = {
    ONE(S, server, STR, MUST),
    ONE(S, version, STR, MUST),
    MANY(S, proto, U32S, MUST, proto_count),
    MANY(S, extensions, STRS, MAY, extension_count),
    MAP(S, limits, MUST, limits),
    ONE(S, clock, STR, MAY),
    ONE(S, boot_id, STR, MAY),
};
SCHEMA(hello, S)
#undef S

#define S xnord_proto_live
static const xnord_proto_field live_fields[] = {
    ONE(S, live, BOOL, MUST),
};
SCHEMA(live, S)
#undef S

#define S xnord_proto_ready
static const xnord_proto_field ready_fields[] = {
    ONE(S, ready, BOOL, MUST),
    ONE(S, state, STR, MUST),
    ONE(S, reason, STR, MAY),
    ONE(S, since_ns, U64, MUST),
};
SCHEMA(ready, S)
#undef S

#define S xnord_proto_server_metadata
static const xnord_proto_field server_metadata_fields[] = {
    ONE(S, name, STR, MUST),
    ONE(S, version, STR, MUST),
    MANY(S, extensions, STRS, MAY, extension_count),
    ONE(S, isa, STR, MUST),
    ONE(S, cores, U32, MUST),
    ONE(S, workers, U32, MAY),
    ONE(S, build, STR, MAY),
    ONE(S, since_ns, U64, MUST),
};
SCHEMA(server_metadata, S)
#undef S

#define S xnord_proto_model_index
static const xnord_proto_field model_index_fields[] = {
    LIST(S, models, MUST, model_count, entry),
};
SCHEMA(model_index, S)
#undef S

#define S xnord_proto_model_metadata
static const xnord_proto_field model_metadata_fields[] = {
    ONE(S, name, STR, MUST),
    ONE(S, version, STR, MUST),
    MANY(S, versions, STRS, MAY, version_count),
    ONE(S, platform, STR, MUST),
    ONE(S, isa, STR, MAY),
    ONE(S, file_bytes, U64, MAY),
    LIST(S, inputs, MUST, input_count, port),
    LIST(S, outputs, MUST, output_count, port),
    ONE(S, task, STR, MAY),
    ROW(S, cloud, cloud, MAP, MAY, offsetof(S, has_cloud), 0, &cloud_schema),
    ROW(S, image, image, MAP, MAY, offsetof(S, has_image), 0, &image_schema),
    MANY(S, classes, STRS, MAY, class_count),
};
SCHEMA(model_metadata, S)
#undef S

#define S xnord_proto_model_stats
static const xnord_proto_field model_stats_fields[] = {
    MANY(S, edges_us, U64S, MUST, edge_count),
    LIST(S, models, MUST, model_count, counters),
};
SCHEMA(model_stats, S)
#undef S

#define S xnord_proto_infer_reply
static const xnord_proto_field infer_fields[] = {
    ONE(S, model, STR, MUST),
    ONE(S, version, STR, MAY),
    LIST(S, outputs, MAY, output_count, tensor),
    LIST(S, labels, MAY, label_count, label),
    MAP(S, t, MUST, times),
};
SCHEMA(infer, S)
#undef S

// ---- lookup -------------------------------------------------------------------------------------

const char *xnord_proto_key_name(xnord_proto_key key) {
    static const char *const names[] = {
#define NAME(name) #name,
        XNORD_KEY_TABLE(NAME)
#undef NAME
    };
    return names[key];
}

const xnord_proto_schema *xnord_proto_request_schema(uint32_t op) {
    switch (op) {
#define REQUEST(suffix, op, type)                                                                  \
    case XNORD_OP_##op:                                                                            \
        return &suffix##_request_schema;
        XNORD_PROTO_BODY_TABLE(REQUEST)
#undef REQUEST
    default:
        return NULL;
    }
}

const xnord_proto_schema *xnord_proto_reply_schema(uint32_t op) {
    switch (op) {
#define REPLY(suffix, op, type)                                                                    \
    case XNORD_OP_##op:                                                                            \
        return &suffix##_schema;
        XNORD_PROTO_BODY_TABLE(REPLY)
#undef REPLY
    default:
        return NULL;
    }
}

const xnord_proto_schema *xnord_proto_error_schema(void) {
    return &error_schema;
}
