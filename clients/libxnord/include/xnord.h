// libxnord: asks a running xnord daemon to run binarized neural networks.
//
// Objects:  xnord_client   a connection; may be used by any number of threads at once
//           xnord_result   the answer to one infer; owned by whoever got it
//           xnord_request  an infer under way
// Calls block until the answer is there, xnord_infer_async excepted. A request is sent once: the
// library never sends it again by itself. A lost connection is restored in the background; requests
// under way at that moment end with XNORD_E_DISCONNECTED.
// Every fallible function returns an xnord_status: XNORD_OK, the server's refusal (XNORD_BUSY ...)
// or a local failure (XNORD_E_...). Out-parameters are written only on success. Do not fork after
// the first call: the transport's threads do not survive it.
#ifndef XNORD_H
#define XNORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xnord_codes.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

#define XNORD_VERSION "0.1.0"
#define XNORD_MAX_RANK 8
#define XNORD_MAX_TENSORS 16
#define XNORD_MAX_TOP_K 64

#if defined(__GNUC__)
#define XNORD_NODISCARD __attribute__((warn_unused_result))
#else
#define XNORD_NODISCARD
#endif

typedef struct xnord_client xnord_client;
typedef struct xnord_request xnord_request;
typedef struct xnord_result xnord_result;

// Version of the library that is linked, e.g. "0.1.0".
const char *xnord_version(void);
// Message of the calling thread's last failed call, with the server's own words if it refused; ""
// if none failed. Valid until the thread's next failure. Inside an xnord_infer_callback: why the
// request failed.
const char *xnord_last_error(void);
// Milliseconds after which the server suggests to ask again, from the calling thread's last failed
// call; 0 if it said nothing.
uint64_t xnord_last_retry_ms(void);

// ---- connection ---------------------------------------------------------------------------------

// Zero-initialise; 0 and NULL mean the default.
typedef struct xnord_options {
    const char *client_name;     // told to the server; default "libxnord"
    uint32_t connect_timeout_ms; // longest wait for a connection; default 1000
    uint32_t timeout_ms;         // longest wait for an answer to a request without a deadline;
                                 // default 5000. With a deadline: the deadline and half a second.
    size_t max_reply_bytes;      // larger answers are refused; default 64 MiB
} xnord_options;

// Where a client connects to when it is told nothing: $XNORD_SOCKET (a URL or a path); else, for
// users other than root, $XDG_RUNTIME_DIR/xnord/infer.sock if it exists; else
// ipc:///run/xnord/infer.sock. XNORD_E_ARGUMENT: `size` is too small (256 always suffices).
XNORD_NODISCARD xnord_status xnord_default_url(char *url, size_t size);

// Connects and greets the server. url: "ipc:///path", a path that starts with '/', or NULL for
// xnord_default_url(). options may be NULL. Release with xnord_client_close.
// XNORD_E_CONNECT: nobody listens there, no permission, or no connection within connect_timeout_ms;
// a missing daemon is reported at once. XNORD_E_TIMEOUT: it accepts but does not answer.
// XNORD_E_PROTOCOL: the server speaks another major version.
XNORD_NODISCARD xnord_status xnord_client_open(const char *url, const xnord_options *options,
                                               xnord_client **out);
// Cancels what is under way, waits until every callback has returned, and releases the client and
// all its requests; results stay valid. No other thread may be inside a call on this client. Not
// from a callback. Sets *client to NULL; *client may be NULL.
void xnord_client_close(xnord_client **client);

// The URL in use. Lives as long as the client.
const char *xnord_client_url(const xnord_client *client);
// Largest request in bytes that the server takes. Larger ones are refused with XNORD_TOO_LARGE
// without being sent.
uint64_t xnord_client_max_message(const xnord_client *client);

// ---- server and models --------------------------------------------------------------------------
// Each fills *out with a structure that is one block of memory, strings and arrays included;
// release it with xnord_free. Optional strings are "" when the server says nothing. Times *_ns are
// CLOCK_MONOTONIC of the machine.

// Releases what the functions below returned. NULL is allowed.
void xnord_free(void *reply);

// XNORD_OK: the server answers.
XNORD_NODISCARD xnord_status xnord_live(xnord_client *client);

typedef struct xnord_readiness {
    bool ready;
    const char *state; // "READY", "LOADING", "DRAINING", "FAILED", ...
    const char *reason;
    uint64_t since_ns;
} xnord_readiness;

// Whether the server (model NULL) or one model takes requests. version NULL: the active one.
// XNORD_NOT_FOUND: no such model or version.
XNORD_NODISCARD xnord_status xnord_ready(xnord_client *client, const char *model,
                                         const char *version, xnord_readiness **out);

typedef struct xnord_server_info {
    const char *name;
    const char *version;
    const char *isa; // kernel set in use, e.g. "avx512"
    const char *build;
    uint32_t cores;
    uint32_t workers;
    uint64_t since_ns; // start of the server
    uint32_t extension_count;
    const char *const *extensions;
} xnord_server_info;

XNORD_NODISCARD xnord_status xnord_server_metadata(xnord_client *client, xnord_server_info **out);

typedef struct xnord_model_entry {
    const char *name;
    const char *version;
    const char *state;
    const char *reason;
    uint64_t since_ns;
    uint64_t file_bytes;
} xnord_model_entry;

typedef struct xnord_model_list {
    uint32_t model_count;
    const xnord_model_entry *models;
} xnord_model_list;

XNORD_NODISCARD xnord_status xnord_model_index(xnord_client *client, bool only_ready,
                                               xnord_model_list **out);

typedef struct xnord_port {
    const char *name;
    xnord_datatype datatype;
    uint32_t rank;
    int64_t shape[XNORD_MAX_RANK]; // -1: any
} xnord_port;

// What may be asked of an image: `name`, or `name`.form for another form of it.
//   kind           forms, the first of which `name` alone means; [height, width] unless said
//   segmentation   labels UINT8, confidence FP32, probabilities FP32 [height, width, classes]
//   depth          metres FP32, 0 where there is none; millimetres UINT16
//   normals        normals FP32 [height, width, 3], of length 1 or 0
//   edges          edges FP32, 0..1
//   boxes          boxes FP32 [boxes, 6], see xnord_box
//   raw            raw FP32, as the network gives it
typedef struct xnord_image_output {
    const char *name;
    const char *kind;
    uint32_t class_count; // segmentation, boxes
    const char *const *classes;
    const uint32_t *palette; // [class_count] 0xRRGGBB; NULL if the model has none
    float low_m, high_m;     // depth
} xnord_image_output;

typedef struct xnord_model_info {
    const char *name;
    const char *version;
    const char *platform; // "xnor"
    const char *isa;
    const char *task; // "classification", "segmentation", or "" for a model without a description
    uint64_t file_bytes;
    uint32_t version_count;
    const char *const *versions;
    uint32_t input_count;
    const xnord_port *inputs;
    uint32_t output_count;
    const xnord_port *outputs;
    const char *cloud_input;   // input that takes FP32 [points, 3] clouds as they come; "" if none
    uint64_t cloud_points;     // a cloud is resampled to this many; 0: as many as it has
    uint64_t cloud_max_points; // larger clouds are refused; 0: no limit but max_message
    float cloud_block; // segmentation: a label depends only on the points of the square (floor(x /
                       // block), floor(y / block)), so a scene may be sent in parts that divide no
                       // square; 0: send it whole
    uint32_t class_count;
    const char *const *classes; // class id is the index
    const char *image_input;    // input that takes images, see xnord_image_tensor; "" if none
    uint64_t image_width;       // pixels that the network sees, or with image_multiple_of at most
    uint64_t image_height;
    uint64_t
        image_multiple_of; // smaller images are seen as they are, at multiples of this; 0: none
    uint32_t image_output_count;
    const xnord_image_output *image_outputs;
} xnord_model_info;

// version NULL: the active one. XNORD_NOT_FOUND: no such model or version.
XNORD_NODISCARD xnord_status xnord_model_metadata(xnord_client *client, const char *model,
                                                  const char *version, xnord_model_info **out);

// counts[i] counts durations in [edges_us[i - 1], edges_us[i]); the last bucket has no upper edge.
typedef struct xnord_stage {
    uint64_t count; // sum of counts
    uint64_t sum_us;
    uint64_t max_us;
    uint32_t bucket_count; // edge_count + 1, or 0 when nothing was recorded
    const uint64_t *counts;
} xnord_stage;

typedef struct xnord_model_counters {
    const char *name;
    const char *version;
    uint64_t statuses[XNORD_STATUS_COUNT]; // infer requests answered, by xnord_status
    xnord_stage queue;
    xnord_stage compute;
    xnord_stage total; // arrival to reply, inside the server
} xnord_model_counters;

typedef struct xnord_stats {
    uint32_t edge_count;
    const uint64_t *edges_us;
    uint32_t model_count;
    const xnord_model_counters *models;
} xnord_stats;

// Counters since the start or the last reset. model NULL: all models. reset: set them to 0 after
// reading. XNORD_NOT_FOUND: no such model.
XNORD_NODISCARD xnord_status xnord_model_stats(xnord_client *client, const char *model, bool reset,
                                               xnord_stats **out);

// Upper edge in µs of the bucket that holds the given fraction (0..1) of a stage's durations, and
// max_us if that is the last bucket or smaller. 0 when nothing was recorded.
uint64_t xnord_stage_percentile_us(const xnord_stats *stats, const xnord_stage *stage,
                                   double fraction);

// ---- inference ----------------------------------------------------------------------------------

// Dense, row-major, little endian. `size` must equal xnord_tensor_bytes(datatype, rank, shape). With a
// stride, `size` must reach from the first row to the end of the last one's values, at least.
typedef struct xnord_tensor {
    const char *name;
    xnord_datatype datatype;
    uint32_t rank;
    int64_t shape[XNORD_MAX_RANK];
    const void *data; // any alignment in requests, 64 bytes in results
    size_t size;      // bytes
    size_t stride;    // images in requests: bytes from one row to the next; 0: dense
} xnord_tensor;

// A cloud for a model's cloud_input: xyz is [points, 3] float32 in metres, any alignment.
static inline xnord_tensor xnord_cloud_tensor(const char *name, const float *xyz, size_t points) {
    xnord_tensor tensor = {name, XNORD_FP32, 2, {(int64_t)points, 3}, xyz, points * 12, 0};
    return tensor;
}

// An image for a model's image_input: rows of pixels of 3 (red, green, blue) or 1 (grey) bytes, `stride`
// bytes apart; 0: width * channels.
static inline xnord_tensor xnord_image_tensor(const char *name, const uint8_t *pixels, size_t width,
                                              size_t height, size_t channels, size_t stride) {
    const size_t row = width * channels, apart = stride > 0 ? stride : row;
    xnord_tensor tensor = {name,
                           XNORD_UINT8,
                           3,
                           {(int64_t)height, (int64_t)width, (int64_t)channels},
                           pixels,
                           height > 0 ? (height - 1) * apart + row : 0,
                           apart > row ? apart : 0};
    return tensor;
}

// Zero-initialise. Everything is copied before the call returns (async: before it is under way).
typedef struct xnord_infer_request {
    const char *model;
    const char *version; // NULL: the active one
    uint32_t input_count;
    const xnord_tensor *inputs;
    // Names of the tensors wanted. 0 of them: all if top_k is 0, none if it is not. For a cloud to a
    // segmentation model "labels" and "confidence"; 0 of them: "labels". For an image see
    // xnord_image_output; 0 of them: all, in their first form.
    uint32_t output_count;
    const char *const *outputs;
    uint32_t top_k;       // labels wanted from a classification model, at most XNORD_MAX_TOP_K
    uint32_t deadline_ms; // from arrival at the server; 0: none
    bool at_network;      // images: maps as large as the network's outputs, not as the image
} xnord_infer_request;

// Runs a model and waits for the answer. Release *out with xnord_result_free.
// The server's refusals: XNORD_INVALID, NOT_FOUND, NOT_READY, BUSY, UNMEETABLE, EXPIRED, ABORTED,
// TOO_LARGE, UNSUPPORTED, RESOURCE, INTERNAL. XNORD_E_ARGUMENT names the offending member;
// XNORD_E_CONNECT: no connection within connect_timeout_ms, nothing was sent;
// XNORD_E_DISCONNECTED: the server went away after it was sent, so it may have run;
// XNORD_E_TIMEOUT: no answer in time.
XNORD_NODISCARD xnord_status xnord_infer(xnord_client *client, const xnord_infer_request *request,
                                         xnord_result **out);

// Called exactly once per accepted xnord_infer_async, from a thread of the transport. status and
// result are what xnord_infer would have given; result is NULL unless XNORD_OK and then belongs to
// the callee. Be brief, because other answers wait for that thread; do not call blocking
// functions of this library here. xnord_infer_async is allowed, and so is xnord_request_free.
typedef void (*xnord_infer_callback)(void *user, xnord_status status, xnord_result *result);

// Sends and returns; blocks only while the connection is being restored. On XNORD_OK the callback
// will run (perhaps before this returns); otherwise it will not. handle may be NULL; else *handle
// must be given to xnord_request_free or dies with the client.
XNORD_NODISCARD xnord_status xnord_infer_async(xnord_client *client,
                                               const xnord_infer_request *request,
                                               xnord_infer_callback callback, void *user,
                                               xnord_request **handle);
// Ends the wait: the callback gets XNORD_E_CANCELLED unless it has already run or is about to. The
// server may still compute the answer, which is then dropped. Any thread.
void xnord_request_cancel(xnord_request *request);
// Waits until the callback has returned; gives the status that it got. Not from a callback.
xnord_status xnord_request_wait(xnord_request *request);
// Gives the handle back; the request itself goes on if it is still under way. Never blocks; also
// from its own callback. Sets *request to NULL; *request may be NULL.
void xnord_request_free(xnord_request **request);

// ---- results ------------------------------------------------------------------------------------
// Immutable; any thread. Everything they return lives as long as the result.

typedef struct xnord_label {
    uint32_t class_id;
    float confidence; // 0..1
    const char *name;
} xnord_label;

typedef struct xnord_timing {
    uint64_t queue_us;      // waited in the server
    uint64_t compute_us;    // ran
    uint64_t total_us;      // arrival to reply, inside the server
    uint64_t round_trip_us; // seen by the client
} xnord_timing;

const char *xnord_result_model(const xnord_result *result);
const char *xnord_result_version(const xnord_result *result);
// Labels, best first. index < xnord_result_label_count(result); NULL beyond.
uint32_t xnord_result_label_count(const xnord_result *result);
const xnord_label *xnord_result_label(const xnord_result *result, uint32_t index);
// Output tensors. index < xnord_result_tensor_count(result); NULL beyond.
uint32_t xnord_result_tensor_count(const xnord_result *result);
const xnord_tensor *xnord_result_tensor(const xnord_result *result, uint32_t index);
// NULL: the result holds no tensor of that name.
const xnord_tensor *xnord_result_find(const xnord_result *result, const char *name);
// Segmentation: the class id of every point of the cloud, in its order, and the confidence (0..1)
// of each if "confidence" was asked for. count may be NULL; NULL: the result holds none.
const uint8_t *xnord_result_point_labels(const xnord_result *result, size_t *count);
const float *xnord_result_point_confidences(const xnord_result *result, size_t *count);
// Images: the answer `name` ("NAME" or "NAME.form", as it was asked for), row by row from the upper
// left. width and height may be NULL. NULL: the result holds none of that name and type.
// Class ids (a segmentation).
const uint8_t *xnord_result_label_map(const xnord_result *result, const char *name, size_t *width,
                                      size_t *height);
// One value a pixel: metres (depth), probability (edges), confidence (of a segmentation).
const float *xnord_result_value_map(const xnord_result *result, const char *name, size_t *width,
                                    size_t *height);
// Millimetres (depth.millimetres).
const uint16_t *xnord_result_millimetre_map(const xnord_result *result, const char *name,
                                            size_t *width, size_t *height);
// x, y, z of a vector of length 1, or 0 where there is none (normals).
const float *xnord_result_normal_map(const xnord_result *result, const char *name, size_t *width,
                                     size_t *height);

typedef struct xnord_box {
    float left, top, right, bottom; // pixels from the upper left corner
    float score;                    // 0..1
    float class_id;
} xnord_box;

// Best first. NULL: none of that name; *count (not NULL) may be 0.
const xnord_box *xnord_result_boxes(const xnord_result *result, const char *name, size_t *count);
const xnord_timing *xnord_result_timing(const xnord_result *result);
// Sets *result to NULL; *result may be NULL.
void xnord_result_free(xnord_result **result);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
