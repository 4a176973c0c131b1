// The xnord wire protocol: bounded decoding and encoding of messages. PROTOCOL.md is normative.
//
// Pure functions over the caller's memory: no allocation, no recursion on input, no global state;
// any thread. Decoded strings and tensor data point into the message (any alignment) and live as
// long as it does. Strings are not NUL-terminated. The same structs are decoded and encoded, so a
// round trip gives the same struct. An optional text, number or list is absent when it is empty or
// 0.
#ifndef XNORD_PROTO_H
#define XNORD_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xnord_codes.h"

#define XNORD_PROTO_MAJOR 1u
#define XNORD_PROTO_MINOR 1u
#define XNORD_PROTO_VERSION (XNORD_PROTO_MAJOR * 256u + XNORD_PROTO_MINOR)

// Limits of every message.
#define XNORD_PROTO_MAX_DEPTH 8      // containers inside containers, the envelope is the first
#define XNORD_PROTO_MAX_STRING 255   // bytes
#define XNORD_PROTO_MAX_KEYS 64      // pairs of one map
#define XNORD_PROTO_MAX_RANK 8       // dimensions of a tensor
#define XNORD_PROTO_MAX_TENSORS 16   // inputs or outputs of a message, ports of a model
#define XNORD_PROTO_MAX_OBJECTS 1024 // msgpack objects of a request
#define XNORD_PROTO_MAX_REPLY_OBJECTS 16384 // msgpack objects of a reply
#define XNORD_PROTO_MAX_LABELS 64           // top_k, labels of a reply
#define XNORD_PROTO_MAX_CLASSES 1024        // class names of a model
#define XNORD_PROTO_MAX_IMAGE_CLASSES 256   // class names of an output of images
#define XNORD_PROTO_MAX_MODELS 64           // models of a model_index or model_stats reply
#define XNORD_PROTO_MAX_VERSIONS 16         // versions of a model
#define XNORD_PROTO_MAX_EXTENSIONS 16
#define XNORD_PROTO_MAX_EDGES 32 // histogram edges; one bucket more than edges
// Bytes beside the tensors' data that the encoding of an infer request or reply never exceeds.
#define XNORD_PROTO_INFER_OVERHEAD 32768

// Why decoding failed: the status a server answers with, and a text that names the field, what was
// expected and what was found.
typedef struct xnord_proto_error {
    xnord_status status; // XNORD_INVALID, XNORD_UNSUPPORTED or XNORD_TOO_LARGE
    char text[XNORD_PROTO_MAX_STRING + 1];
} xnord_proto_error;

// Bytes of UTF-8, not NUL-terminated. data is NULL when absent.
typedef struct xnord_proto_str {
    const char *data;
    size_t size;
} xnord_proto_str;

xnord_proto_str xnord_proto_str_from(const char *text); // NULL gives an absent one
bool xnord_proto_str_equal(xnord_proto_str string, const char *text);

// A tensor with inline data. After decoding, size equals xnord_tensor_bytes(datatype, rank, shape);
// with a stride, it holds shape[0] rows that are so many bytes apart.
typedef struct xnord_proto_tensor {
    xnord_proto_str name;
    xnord_datatype datatype;
    uint32_t rank;
    int64_t shape[XNORD_PROTO_MAX_RANK];
    const void *data;
    size_t size;     // bytes
    uint64_t stride; // inputs, optional: bytes from one row (first axis) to the next; 0: dense
} xnord_proto_tensor;

// An output that the client asks for by name.
typedef struct xnord_proto_output {
    xnord_proto_str name;
} xnord_proto_output;

typedef struct xnord_proto_params {
    uint64_t deadline_ms; // from arrival; 0: none
    uint32_t top_k;       // labels wanted, at most XNORD_PROTO_MAX_LABELS; 0: none
    bool at_network;      // images: answers at the resolution of the network's outputs
} xnord_proto_params;

// Any request; the comments say which operations use a field.
typedef struct xnord_proto_request {
    uint32_t ver;
    uint32_t op; // an xnord_op
    uint64_t id; // chosen by the client, echoed by the server

    xnord_proto_str client;  // hello, optional: name of the client program
    uint32_t proto[2];       // hello, optional: lowest and highest version that the client speaks
    uint32_t proto_count;    // hello: 0 or 2
    xnord_proto_str model;   // infer, model_metadata: required; ready, model_stats: optional
    xnord_proto_str version; // infer, model_metadata, ready: absent means the active version
    bool ready;              // model_index, optional: only models that are ready
    bool reset;              // model_stats, optional: set the counters to 0 after reading

    uint32_t input_count; // infer: at least 1
    xnord_proto_tensor inputs[XNORD_PROTO_MAX_TENSORS];
    uint32_t output_count; // infer: 0 and top_k 0: all outputs; 0 and top_k > 0: labels only
    xnord_proto_output outputs[XNORD_PROTO_MAX_TENSORS];
    xnord_proto_params params; // infer
} xnord_proto_request;

// Decodes a whole request. On failure *error is filled; out->ver, op and id hold what could be read
// of the envelope (0 otherwise), so that the refusal can echo the id.
// XNORD_INVALID: malformed, or a budget of the parser is exceeded. XNORD_UNSUPPORTED: other major
// version, unknown operation, datatype or data placement. XNORD_TOO_LARGE: more tensors, dimensions
// or labels than a limit.
xnord_status xnord_proto_decode_request(const void *message, size_t size, xnord_proto_request *out,
                                        xnord_proto_error *error);
// Writes the request's encoding and returns its size in bytes, which may be larger than `capacity`:
// then the buffer's content is useless and the call is to be repeated with a larger one (NULL and 0
// only ask for the size). 0: the struct exceeds a limit or holds an unknown operation.
size_t xnord_proto_encode_request(const xnord_proto_request *request, void *buffer,
                                  size_t capacity);

// ---- replies ------------------------------------------------------------------------------------

// The envelope of any reply. When status is not XNORD_OK, the error fields hold the body.
typedef struct xnord_proto_reply {
    uint32_t ver;
    xnord_status status;
    uint64_t id;
    xnord_proto_str detail; // error, optional
    uint64_t retry_ms;      // error, optional: wait this long before asking again; 0: not said
    uint64_t est_us;        // error UNMEETABLE, optional: when the result would have been there
    uint32_t speaks[8];     // error UNSUPPORTED: major versions that the server speaks
    uint32_t speaks_count;
    const void *body; // the encoded map, for xnord_proto_decode_*_reply; not encoded
    size_t body_size;
} xnord_proto_reply;

typedef struct xnord_proto_limits {
    uint64_t max_message; // bytes of a request
    uint32_t max_tensors;
    uint32_t max_rank;
    uint32_t max_objects;
    uint32_t max_labels;
} xnord_proto_limits;

typedef struct xnord_proto_hello {
    xnord_proto_str server;
    xnord_proto_str version;
    uint32_t proto[2]; // lowest and highest version that the server speaks
    uint32_t proto_count;
    uint32_t extension_count;
    xnord_proto_str extensions[XNORD_PROTO_MAX_EXTENSIONS];
    xnord_proto_limits limits;
    xnord_proto_str clock;   // "monotonic"
    xnord_proto_str boot_id; // changes when the server restarts
} xnord_proto_hello;

typedef struct xnord_proto_live {
    bool live;
} xnord_proto_live;

typedef struct xnord_proto_ready {
    bool ready;
    xnord_proto_str state;  // PROTOCOL.md, "states"
    xnord_proto_str reason; // optional
    uint64_t since_ns;      // CLOCK_MONOTONIC of the last change of state
} xnord_proto_ready;

typedef struct xnord_proto_server_metadata {
    xnord_proto_str name;
    xnord_proto_str version;
    uint32_t extension_count;
    xnord_proto_str extensions[XNORD_PROTO_MAX_EXTENSIONS];
    xnord_proto_str isa;   // kernel set in use
    uint32_t cores;        // CPUs that the server may use
    uint32_t workers;      // optional
    xnord_proto_str build; // optional
    uint64_t since_ns;     // CLOCK_MONOTONIC of the start
} xnord_proto_server_metadata;

typedef struct xnord_proto_model_entry {
    xnord_proto_str name;
    xnord_proto_str version; // optional: unknown while it has not been loaded
    xnord_proto_str state;
    xnord_proto_str reason; // optional
    uint64_t since_ns;      // optional
    uint64_t file_bytes;    // optional
} xnord_proto_model_entry;

typedef struct xnord_proto_model_index {
    uint32_t model_count;
    xnord_proto_model_entry models[XNORD_PROTO_MAX_MODELS];
} xnord_proto_model_index;

typedef struct xnord_proto_port {
    xnord_proto_str name;
    xnord_datatype datatype;
    uint32_t rank;
    int64_t shape[XNORD_PROTO_MAX_RANK]; // -1: any
} xnord_proto_port;

// What the task layer accepts in place of a raw input: FP32 [points, 3].
typedef struct xnord_proto_cloud {
    xnord_proto_str input; // name of the input that takes the cloud; absent: no description
    uint64_t points;       // resampled to this many; 0: as many as it has
    uint64_t max_points;   // larger clouds are refused; 0: no limit but max_message
    float block;           // optional, metres: points are labelled by squares of this side
} xnord_proto_cloud;

// What may be asked of an image.
typedef struct xnord_proto_image_output {
    xnord_proto_str name;
    xnord_proto_str kind; // "segmentation", "depth", ...
    uint32_t class_count; // segmentation, boxes
    xnord_proto_str classes[XNORD_PROTO_MAX_IMAGE_CLASSES];
    uint32_t colour_count;                           // optional, as many as classes
    uint32_t palette[XNORD_PROTO_MAX_IMAGE_CLASSES]; // 0xRRGGBB
    float low, high;                                 // depth: metres
} xnord_proto_image_output;

// What the task layer accepts in place of a raw input: UINT8 or FP32 [height, width, 1 or 3].
typedef struct xnord_proto_image {
    xnord_proto_str input;
    uint64_t width, height; // of what the network sees, or its largest size
    uint64_t multiple_of;   // optional: smaller sizes are seen as they are
    uint32_t output_count;
    xnord_proto_image_output outputs[XNORD_PROTO_MAX_TENSORS];
} xnord_proto_image;

typedef struct xnord_proto_model_metadata {
    xnord_proto_str name;
    xnord_proto_str version; // of the ports below
    uint32_t version_count;
    xnord_proto_str versions[XNORD_PROTO_MAX_VERSIONS]; // all that are loaded
    xnord_proto_str platform;                           // "xnor"
    xnord_proto_str isa;                                // optional
    uint64_t file_bytes;                                // optional
    uint32_t input_count;
    xnord_proto_port inputs[XNORD_PROTO_MAX_TENSORS];
    uint32_t output_count;
    xnord_proto_port outputs[XNORD_PROTO_MAX_TENSORS];
    xnord_proto_str task; // optional: "classification", "segmentation", "image"
    bool has_cloud;       // whether `cloud` is there
    xnord_proto_cloud cloud;
    bool has_image; // whether `image` is there
    xnord_proto_image image;
    uint32_t class_count;
    xnord_proto_str classes[XNORD_PROTO_MAX_CLASSES]; // class id is the index
} xnord_proto_model_metadata;

// Times of one stage. counts[i] counts durations below edges_us[i] and not below edges_us[i - 1];
// the last bucket counts the rest, so there is one bucket more than edges.
typedef struct xnord_proto_stage {
    uint64_t sum_us;
    uint64_t max_us;
    uint32_t bucket_count;
    uint64_t counts[XNORD_PROTO_MAX_EDGES + 1];
} xnord_proto_stage;

typedef struct xnord_proto_model_counters {
    xnord_proto_str name;
    xnord_proto_str version; // optional
    uint32_t status_count;
    uint64_t statuses[XNORD_STATUS_COUNT]; // infer requests answered, by status
    xnord_proto_stage queue;
    xnord_proto_stage compute;
    xnord_proto_stage total; // arrival to reply
} xnord_proto_model_counters;

typedef struct xnord_proto_model_stats {
    uint32_t edge_count;
    uint64_t edges_us[XNORD_PROTO_MAX_EDGES]; // ascending
    uint32_t model_count;
    xnord_proto_model_counters models[XNORD_PROTO_MAX_MODELS];
} xnord_proto_model_stats;

typedef struct xnord_proto_label {
    uint32_t id;
    xnord_proto_str label;
    float confidence; // 0..1
} xnord_proto_label;

typedef struct xnord_proto_times {
    uint64_t queue; // µs
    uint64_t compute;
    uint64_t total;
} xnord_proto_times;

typedef struct xnord_proto_infer_reply {
    xnord_proto_str model;
    xnord_proto_str version;
    uint32_t output_count;
    xnord_proto_tensor outputs[XNORD_PROTO_MAX_TENSORS];
    uint32_t label_count;
    xnord_proto_label labels[XNORD_PROTO_MAX_LABELS]; // best first
    xnord_proto_times t;
} xnord_proto_infer_reply;

// Decodes the envelope and, if the status is not OK, the error body.
xnord_status xnord_proto_decode_reply(const void *message, size_t size, xnord_proto_reply *out,
                                      xnord_proto_error *error);

// One body per operation: X(suffix, operation, struct)
#define XNORD_PROTO_BODY_TABLE(X)                                                                  \
    X(hello, HELLO, xnord_proto_hello)                                                             \
    X(live, LIVE, xnord_proto_live)                                                                \
    X(ready, READY, xnord_proto_ready)                                                             \
    X(server_metadata, SERVER_METADATA, xnord_proto_server_metadata)                               \
    X(model_index, MODEL_INDEX, xnord_proto_model_index)                                           \
    X(model_metadata, MODEL_METADATA, xnord_proto_model_metadata)                                  \
    X(model_stats, MODEL_STATS, xnord_proto_model_stats)                                           \
    X(infer, INFER, xnord_proto_infer_reply)

// xnord_proto_decode_NAME_reply(reply, out, error): the body of a reply whose status is OK.
// xnord_proto_encode_NAME_reply(id, body, buffer, capacity): an OK reply; sizes as for requests.
#define XNORD_PROTO_BODY_FUNCTIONS(suffix, op, type)                                               \
    xnord_status xnord_proto_decode_##suffix##_reply(const xnord_proto_reply *reply, type *out,    \
                                                     xnord_proto_error *error);                    \
    size_t xnord_proto_encode_##suffix##_reply(uint64_t id, const type *body, void *buffer,        \
                                               size_t capacity);
XNORD_PROTO_BODY_TABLE(XNORD_PROTO_BODY_FUNCTIONS)
#undef XNORD_PROTO_BODY_FUNCTIONS

// A refusal from reply->status, id, detail (cut to XNORD_PROTO_MAX_STRING bytes), retry_ms and
// est_us. UNSUPPORTED also says which versions the server speaks. Never larger than
// XNORD_PROTO_ERROR_BYTES, so a stack buffer of that size always suffices. 0: the status is OK.
#define XNORD_PROTO_ERROR_BYTES 384
size_t xnord_proto_encode_error_reply(const xnord_proto_reply *reply, void *buffer,
                                      size_t capacity);

#endif
