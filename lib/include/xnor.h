// libxnor: loads compiled binarized networks (.xnor) and runs them.
//
// Objects:  xnor_model  immutable, reference counted, shared by all threads
//           xnor_plan   a model bound to concrete input shapes; immutable, shared by all threads
//           xnor_session  one plan and one arena; one thread at a time
//           xnor_pool   worker threads for the parallel-for inside a run
// Every fallible function returns an xnor_status; xnor_last_error() says what was expected, what
// was found and where. Out-parameters are written only on success.
#ifndef XNOR_H
#define XNOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XNOR_VERSION "0.1.0"
#define XNOR_MAX_RANK 8
#define XNOR_MAX_PORTS 16 // graph inputs or outputs of one model

#if defined(__GNUC__)
#define XNOR_NODISCARD __attribute__((warn_unused_result))
#define XNOR_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define XNOR_NODISCARD
#define XNOR_PRINTF(text, first)
#endif

// One table for status codes, names and texts.
#define XNOR_STATUS_TABLE(X)                                                                       \
    X(OK, "success")                                                                               \
    X(E_ARGUMENT, "invalid argument")                                                              \
    X(E_SHAPE, "shape mismatch")                                                                   \
    X(E_DTYPE, "datatype mismatch")                                                                \
    X(E_UNSUPPORTED, "not supported")                                                              \
    X(E_FORMAT, "malformed file")                                                                  \
    X(E_IO, "input/output error")                                                                  \
    X(E_MEMORY, "out of memory")                                                                   \
    X(E_LIMIT, "limit exceeded")                                                                   \
    X(E_NOT_FOUND, "not found")                                                                    \
    X(E_CANCELLED, "cancelled")                                                                    \
    X(E_INTERNAL, "internal error")

typedef enum xnor_status {
#define XNOR_STATUS_ENUM(name, text) XNOR_##name,
    XNOR_STATUS_TABLE(XNOR_STATUS_ENUM)
#undef XNOR_STATUS_ENUM
} xnor_status;

// Static text of a status code, e.g. "shape mismatch".
const char *xnor_status_text(xnor_status status);
// Message of the calling thread's last failed call; "" if none failed. Valid until its next
// failure.
const char *xnor_last_error(void);

// Element types. Bits values hold sign bits only; ternary values hold a sign plane and a non-zero
// plane.
//   bits     packed ±1 along the last axis: bit 1 is +1, LSB first, rows padded with 0 to 64 bits
//   ternary  two bits-like planes one after the other: [positive][nonzero]; zero is (0, 0)
//   acc      int32 sums of ±1 products
#define XNOR_DTYPE_TABLE(X)                                                                        \
    X(F32, "f32", 4)                                                                               \
    X(F64, "f64", 8)                                                                               \
    X(I32, "i32", 4)                                                                               \
    X(I64, "i64", 8)                                                                               \
    X(U8, "u8", 1)                                                                                 \
    X(BOOL, "bool", 1)                                                                             \
    X(BITS, "bits", 0)                                                                             \
    X(TERNARY, "ternary", 0)                                                                       \
    X(ACC, "acc", 4)

typedef enum xnor_dtype {
#define XNOR_DTYPE_ENUM(name, text, size) XNOR_##name,
    XNOR_DTYPE_TABLE(XNOR_DTYPE_ENUM)
#undef XNOR_DTYPE_ENUM
        XNOR_DTYPE_COUNT
} xnor_dtype;

const char *xnor_dtype_name(xnor_dtype dtype);

// Row-major shape; a dimension of -1 is unknown until a plan is made.
typedef struct xnor_shape {
    uint32_t rank;
    int64_t dims[XNOR_MAX_RANK];
} xnor_shape;

typedef struct xnor_tensor {
    xnor_dtype dtype;
    xnor_shape shape;
    void *data;
} xnor_tensor;

// Bytes that a dense tensor takes, or XNOR_E_LIMIT when the size overflows, XNOR_E_SHAPE when a
// dimension is unknown.
XNOR_NODISCARD xnor_status xnor_tensor_bytes(xnor_dtype dtype, const xnor_shape *shape,
                                             size_t *out);

// ---- models -------------------------------------------------------------------------------------

typedef struct xnor_model xnor_model;
typedef struct xnor_plan xnor_plan;
typedef struct xnor_session xnor_session;
typedef struct xnor_pool xnor_pool;

// A named graph input or output. `name` lives as long as the model.
typedef struct xnor_port {
    const char *name;
    xnor_dtype dtype;
    xnor_shape shape;
} xnor_port;

#define XNOR_MAX_CLASSES 1024
#define XNOR_MAX_POINT_CLASSES 256 // of a segmentation: a label is one byte

typedef enum xnor_task {
    XNOR_TASK_NONE,
    XNOR_TASK_CLASSIFICATION, // a cloud has a class
    XNOR_TASK_SEGMENTATION,   // every point has a class
    XNOR_TASK_IMAGE           // an image goes in; `image_outputs` say what comes out
} xnor_task;
// How the coordinates that a network sees come from those of its points.
typedef enum xnor_normalise {
    XNOR_NORMALISE_NONE,
    XNOR_NORMALISE_UNIT_SPHERE, // minus the mean, divided by the largest radius
    XNOR_NORMALISE_BLOCK // x, y: -1 to 1 over the block; z: above the block's lowest, in halves of
                         // its side
} xnor_normalise;
// What a network sees of a point. Heights are for blocks: metres divided by `scale`.
typedef enum xnor_channel {
    XNOR_CHANNEL_X,
    XNOR_CHANNEL_Y,
    XNOR_CHANNEL_Z,
    XNOR_CHANNEL_HEIGHT,      // above the lowest point of the block
    XNOR_CHANNEL_CELL_HEIGHT, // above the lowest point of the cell
    XNOR_CHANNEL_CELL_LOW,    // the same in metres, from 0 or less as -1 to 1 m or more as 1
    XNOR_CHANNEL_CELL_TOP,    // of the cell's highest point above its lowest
    XNOR_CHANNEL_CELL_STOREY  // the same among its points less than `scale` above the lowest
} xnor_channel;
#define XNOR_MAX_CHANNELS 16
#define XNOR_MAX_CELLS 16
// Which points stand for a cloud that has more than the network takes.
typedef enum xnor_resample {
    XNOR_RESAMPLE_STRIDE,  // every (count / points)-th
    XNOR_RESAMPLE_FARTHEST // farthest point sampling
} xnor_resample;
typedef enum xnor_output_kind {
    XNOR_OUTPUT_RAW,
    XNOR_OUTPUT_LOG_PROBABILITIES,
    XNOR_OUTPUT_LOGITS,
    XNOR_OUTPUT_PROBABILITIES
} xnor_output_kind;

#define XNOR_MAX_IMAGE_SIDE 16384 // pixels, of images and of what a network sees of them
#define XNOR_MAX_IMAGE_CLASSES 256
#define XNOR_MAX_BOXES 128 // of one output

// What an image network sees of a pixel; images themselves are red, green, blue or grey.
typedef enum xnor_pixels { XNOR_PIXELS_RGB, XNOR_PIXELS_BGR, XNOR_PIXELS_GREY } xnor_pixels;
typedef enum xnor_resize {
    XNOR_RESIZE_STRETCH, // each axis by itself
    XNOR_RESIZE_FIT      // both alike; what is left at the right and below is the mean
} xnor_resize;

// How an image becomes the input of a network. A value v of 0 to 1 (bytes: / 255) becomes
// (v - mean) / deviation. The network sees width x height pixels; with multiple_of it sees images
// that are not larger at their own size, up to the next multiple, and larger ones made smaller until
// they fit into width x height.
typedef struct xnor_image_input {
    xnor_pixels pixels;
    float mean[3], deviation[3]; // in the order of `pixels`; grey: the first
    int64_t width, height;
    int64_t multiple_of; // 0: always width x height
    xnor_resize resize;
} xnor_image_input;

typedef enum xnor_image_kind {
    XNOR_IMAGE_RAW,          // what the graph gives
    XNOR_IMAGE_SEGMENTATION, // scores [classes, h, w]
    XNOR_IMAGE_DEPTH,        // metres [1, h, w]
    XNOR_IMAGE_NORMALS,      // x, y, z [3, h, w]
    XNOR_IMAGE_EDGES,        // score [1, h, w]
    XNOR_IMAGE_BOXES // heat [classes, h, w], size and offset [2, h, w], see xnor_image_answer
} xnor_image_kind;

#define XNOR_IMAGE_MAX_PORTS 3
#define XNOR_IMAGE_NAME_BYTES 64  // of an output's name, with its end
#define XNOR_ANSWER_NAME_BYTES 96 // of what it is asked for by, "NAME.form"

typedef struct xnor_image_output {
    const char *name; // by which it is asked for: letters, digits, '_', '-'
    xnor_image_kind kind;
    uint32_t port_count; // BOXES: 3, heat, size, offset; others: 1
    const char *port_names[XNOR_IMAGE_MAX_PORTS];
    xnor_output_kind scores; // SEGMENTATION, EDGES, BOXES: what the scores are
    uint32_t class_count;    // SEGMENTATION, BOXES
    const char *const *classes;
    const uint32_t *palette; // [classes] 0xRRGGBB; NULL: none given
    float low, high;         // DEPTH: metres outside are no depth
    float min_score;         // BOXES: lower ones are left out
    // Found when the model is opened:
    uint32_t ports[XNOR_IMAGE_MAX_PORTS]; // graph outputs
    bool channels_first;                  // [1, channels, h, w], not [1, h, w, channels]
} xnor_image_output;

// What a model is for: read from its NAME.yaml at compile time and stored in the .xnor file.
// Strings and arrays live as long as the model. task == XNOR_TASK_NONE: no description; only raw
// tensors can be run.
typedef struct xnor_description {
    const char *name;
    const char *version;
    xnor_task task;
    const char *input_name; // graph input that takes the cloud or the image
    int64_t points;         // points the cloud is resampled to; 0: as many as it has
    int64_t max_points;     // larger clouds are refused
    xnor_resample resample;
    xnor_normalise normalise;
    // SEGMENTATION, 0 when not used:
    float block;    // metres; side of the squares that are labelled each for itself; 0: the cloud
    uint32_t cells; // cells along the side of a block
    float scale;    // metres that become 1 in heights
    uint32_t channel_count; // of the network's input
    xnor_channel channels[XNOR_MAX_CHANNELS];
    bool channels_first;     // the graph input is [batch, channels, ..], not [batch, .., channels]
    const char *output_name; // graph output that holds the class scores
    xnor_output_kind output_kind;
    uint32_t class_count;
    const char *const *classes;
    // IMAGE; what stands above between input_name and channels_first, and output_name to classes,
    // is for clouds only:
    xnor_image_input image;
    uint32_t image_output_count; // at most XNOR_MAX_PORTS
    xnor_image_output *image_outputs;
} xnor_description;

// Maps the file, checks every section (CRC-32C, bounds, enums) and repacks the weights for this
// CPU. isa: kernel set to use ("c", "avx2", "avx512", "neon", "neon_dotprod"), or NULL for the best
// one (the environment variable XNOR_ISA overrides NULL). XNOR_E_FORMAT names the damaged section.
XNOR_NODISCARD xnor_status xnor_model_open(const char *path, const char *isa, xnor_model **out);
// The same from memory, which must stay valid and unchanged until the model is released.
XNOR_NODISCARD xnor_status xnor_model_open_memory(const void *data, size_t size, const char *isa,
                                                  xnor_model **out);
xnor_model *xnor_model_ref(xnor_model *model);
void xnor_model_unref(xnor_model **model);

uint32_t xnor_model_input_count(const xnor_model *model);
uint32_t xnor_model_output_count(const xnor_model *model);
const xnor_port *xnor_model_input(const xnor_model *model, uint32_t index);
const xnor_port *xnor_model_output(const xnor_model *model, uint32_t index);
const xnor_description *xnor_model_description(const xnor_model *model);
const char *xnor_model_isa(const xnor_model *model);
uint64_t xnor_model_file_bytes(const xnor_model *model);
// Runs the golden input/output pairs stored in the file; XNOR_E_INTERNAL names the first
// difference. XNOR_OK and *pairs = 0 when the file holds none.
XNOR_NODISCARD xnor_status xnor_model_self_test(xnor_model *model, uint32_t *pairs);

// ---- plans and sessions -------------------------------------------------------------------------

// Makes the plan for `shapes` (one per graph input, in graph order). Takes a reference to `model`.
// XNOR_E_SHAPE: a shape contradicts the graph; xnor_last_error() names the node and both shapes.
XNOR_NODISCARD xnor_status xnor_plan_create(xnor_model *model, const xnor_shape *shapes,
                                            xnor_plan **out);
typedef struct xnor_plan_options {
    bool
        no_distinct; // evaluate every point, also where equal codes occur; the results are the same
    // Bit i: graph output i is wanted; 0: all. The others have no shape in the plan, its sessions leave their
    // tensors alone, and nothing is computed that only they need. XNOR_E_ARGUMENT: no such output.
    uint64_t outputs;
} xnor_plan_options;

// The same with options; NULL means the defaults.
XNOR_NODISCARD xnor_status xnor_plan_create_with(xnor_model *model, const xnor_shape *shapes,
                                                 const xnor_plan_options *options, xnor_plan **out);
xnor_plan *xnor_plan_ref(xnor_plan *plan);
void xnor_plan_unref(xnor_plan **plan);
// Concrete shape of graph output `index`; its tensor is dense float32 or int64 as the port says. NULL: it is
// none of those wanted.
const xnor_shape *xnor_plan_output_shape(const xnor_plan *plan, uint32_t index);
uint64_t xnor_plan_arena_bytes(const xnor_plan *plan);
uint32_t xnor_plan_step_count(const xnor_plan *plan);

// threads: 1 makes a pool that runs everything on the calling thread.
XNOR_NODISCARD xnor_status xnor_pool_create(uint32_t threads, xnor_pool **out);
void xnor_pool_free(xnor_pool **pool);

// A session owns its arena; nothing is allocated while it runs. `pool` may be NULL (one thread) and
// must outlive the session.
XNOR_NODISCARD xnor_status xnor_session_create(xnor_plan *plan, xnor_pool *pool,
                                               xnor_session **out);
void xnor_session_free(xnor_session **session);
// inputs[i].data and outputs[i].data are the caller's dense buffers, one per port, in graph order;
// dtypes and shapes must equal the plan's. Buffers of outputs overlap no other; their content is undefined
// until the run has succeeded. cancel may be NULL; it is polled between tiles and ends
// the run with XNOR_E_CANCELLED.
XNOR_NODISCARD xnor_status xnor_session_run(xnor_session *session, const xnor_tensor *inputs,
                                            xnor_tensor *outputs, const atomic_bool *cancel);

// Rows that went through the point-wise layers in the last run, after equal codes were merged, and
// how many there were before; both 0 when the plan merges nothing.
void xnor_session_distinct(const xnor_session *session, uint64_t *distinct, uint64_t *rows);

// From now on, adds the time of every step to step_ns[step] ([xnor_plan_step_count]); NULL stops
// it.
void xnor_session_profile(xnor_session *session, uint64_t *step_ns);
// Which kernel step `step` calls ("gemm_max") and for which node of the network ("/conv3/MatMul").
const char *xnor_plan_step_kind(const xnor_plan *plan, uint32_t step);
const char *xnor_plan_step_name(const xnor_plan *plan, uint32_t step);

// ---- task layer: clouds in, labels out ----------------------------------------------------------

// A point cloud as a sensor delivers it: `count` points, `stride` bytes apart, x y z float32 at the
// start of each. Any alignment.
typedef struct xnor_cloud {
    const void *data;
    size_t count;
    size_t stride;
} xnor_cloud;

// Points that xnor_cloud_prepare writes for a cloud of `count` points.
size_t xnor_cloud_prepared_count(const xnor_description *description, size_t count);
// Shape of the graph input for `clouds` clouds of `count` points each.
xnor_shape xnor_cloud_shape(const xnor_description *description, size_t count, size_t clouds);
// Memory that xnor_cloud_prepare needs for a cloud of `count` points, aligned as malloc does.
size_t xnor_cloud_workspace_bytes(const xnor_description *description, size_t count);
// Resamples, centres and scales a cloud for classification. Fewer points than wanted are repeated
// in turn. workspace: xnor_cloud_workspace_bytes, NULL if that is 0.
// out: [points, 3] float32, or [3, points] for a graph with channels first.
// XNOR_E_ARGUMENT: no points, or a coordinate is NaN or infinite (the message names the point);
// XNOR_E_LIMIT: more than max_points.
XNOR_NODISCARD xnor_status xnor_cloud_prepare(const xnor_description *description,
                                              const xnor_cloud *cloud, void *workspace, float *out);

typedef struct xnor_label {
    uint32_t class_id;
    float confidence; // 0..1, the classes of a cloud sum to 1
} xnor_label;

// Turns class scores [classes] into the `count` best labels, best first (ties: lower id first).
// Returns the number written, at most class_count.
uint32_t xnor_labels_from_scores(const xnor_description *description, const float *scores,
                                 xnor_label *labels, uint32_t count);

// ---- task layer: scenes in, one label per point out ---------------------------------------------
// A scene is a cloud cut into runs of the network. A point belongs to the square (floor(x / block),
// floor(y / block)), the block; a block has cells x cells cells. The n points of a block, in the
// order of the scene, make c = ceil(n / points) runs: run j takes the points j, j + c, j + 2c ...,
// repeated in turn up to `points`. With points = 0 all n make one run.
// So a label depends on the points of its block only, and a scene may be sent in parts that divide
// no block. Immutable after it was made; any thread may read.
typedef struct xnor_scene xnor_scene;

#define XNOR_SCENE_MAX_RUNS 65536

// Memory that a scene of `count` points takes at most, while it is made.
size_t xnor_scene_bytes(size_t count);
// The cloud's data must stay as it is until the scene is freed. XNOR_E_ARGUMENT, XNOR_E_LIMIT: as
// xnor_cloud_prepare; also when it takes more than XNOR_SCENE_MAX_RUNS runs or points lie farther
// than 2^30 blocks from the origin.
XNOR_NODISCARD xnor_status xnor_scene_create(const xnor_description *description,
                                             const xnor_cloud *cloud, xnor_scene **out);
void xnor_scene_free(xnor_scene **scene);
size_t xnor_scene_run_count(const xnor_scene *scene);
// Points of the network's input in a run: description->points if that is not 0.
size_t xnor_scene_run_points(const xnor_scene *scene, size_t run);
// The points that a run stands for, in the order of the network's points. points:
// [xnor_scene_run_points]; returns how many there are.
size_t xnor_scene_members(const xnor_scene *scene, size_t run, uint32_t *points);
// Writes the network's input for a run: [points, channels] float32, or [channels, points].
void xnor_scene_prepare(const xnor_scene *scene, size_t run, float *out);
// Takes the network's scores for a run, [points, classes], and labels the points it stands for:
// the best class, ties to the lower id, and its softmax or probability. labels and confidences:
// [count of the cloud]; confidences may be NULL. A point without any score but NaN gets class 0
// and confidence 0.
void xnor_scene_label(const xnor_scene *scene, size_t run, const float *scores, uint8_t *labels,
                      float *confidences);

// ---- task layer: images in, maps and boxes out --------------------------------------------------

// Rows of pixels of 1 (grey) or 3 (red, green, blue) channels. Any alignment.
typedef struct xnor_image {
    const void *data;
    size_t width, height, channels;
    size_t stride; // bytes from one row to the next
    bool is_float; // float32, 0 to 1; otherwise bytes
} xnor_image;

// Sizes: of the image, of the network's input, and of its upper left part that shows the image.
typedef struct xnor_image_frame {
    size_t image_width, image_height;
    size_t width, height;
    size_t shown_width, shown_height;
} xnor_image_frame;

// XNOR_E_ARGUMENT: the image has no pixels; XNOR_E_LIMIT: a side exceeds XNOR_MAX_IMAGE_SIDE.
XNOR_NODISCARD xnor_status xnor_image_frame_of(const xnor_description *description, size_t width,
                                               size_t height, xnor_image_frame *out);
// Shape of the graph input.
xnor_shape xnor_image_shape(const xnor_description *description, const xnor_image_frame *frame);
// Memory that xnor_image_prepare needs, aligned as malloc does.
size_t xnor_image_workspace_bytes(const xnor_image_frame *frame);
// Resizes, normalises and lays out an image. Bilinear with half-pixel centres; where it gets smaller
// the triangle is as wide as a pixel of the result (antialias), as
// torch.nn.functional.interpolate(mode="bilinear", antialias=True) and Pillow do it. Grey is
// 0.299 red + 0.587 green + 0.114 blue. frame: of this image. out: as xnor_image_shape says.
// XNOR_E_ARGUMENT: channels, stride, or a value is NaN or infinite.
XNOR_NODISCARD xnor_status xnor_image_prepare(const xnor_description *description,
                                              const xnor_image *image,
                                              const xnor_image_frame *frame, void *workspace,
                                              float *out);

// What an output may be asked for as. X(id, name, kind of output, dtype); the first of a kind is what
// its plain name means, the others are asked for as NAME.name.
#define XNOR_ANSWER_TABLE(X)                                                                       \
    X(RAW, "raw", RAW, F32)                                                                        \
    X(LABELS, "labels", SEGMENTATION, U8)                                                          \
    X(CONFIDENCE, "confidence", SEGMENTATION, F32)                                                 \
    X(PROBABILITIES, "probabilities", SEGMENTATION, F32)                                           \
    X(METRES, "metres", DEPTH, F32)                                                                \
    X(MILLIMETRES, "millimetres", DEPTH, U16)                                                      \
    X(NORMALS, "normals", NORMALS, F32)                                                            \
    X(EDGES, "edges", EDGES, F32)                                                                  \
    X(BOXES, "boxes", BOXES, F32)

typedef enum xnor_answer_form {
#define XNOR_ANSWER_ENUM(id, text, kind, dtype) XNOR_ANSWER_##id,
    XNOR_ANSWER_TABLE(XNOR_ANSWER_ENUM)
#undef XNOR_ANSWER_ENUM
} xnor_answer_form;

typedef enum xnor_answer_type {
    XNOR_ANSWER_OF_U8,
    XNOR_ANSWER_OF_U16,
    XNOR_ANSWER_OF_F32
} xnor_answer_type;

// One thing that is wanted of an image.
typedef struct xnor_answer {
    uint32_t output; // of the description's image_outputs
    xnor_answer_form form;
    bool at_network; // at the resolution of the network's output rather than the image's
} xnor_answer;

// Finds "NAME" or "NAME.form", of `size` bytes; false: the model gives nothing of that name.
bool xnor_answer_find(const xnor_description *description, const char *name, size_t size,
                      xnor_answer *out);
// Element type, shape and largest number of bytes of an answer. outputs: of the graph, dtype and
// shape set. BOXES: [XNOR_MAX_BOXES, 6]. XNOR_E_SHAPE: the graph's output does not fit its kind.
XNOR_NODISCARD xnor_status xnor_answer_shape(const xnor_description *description,
                                             const xnor_answer *answer,
                                             const xnor_image_frame *frame,
                                             const xnor_tensor *outputs, xnor_answer_type *type,
                                             xnor_shape *shape, size_t *bytes);
// Memory that xnor_answer_make needs, aligned as malloc does.
size_t xnor_answer_workspace_bytes(const xnor_description *description, const xnor_answer *answer,
                                   const xnor_image_frame *frame, const xnor_tensor *outputs);
// Makes an answer out of a run's outputs. At the image's resolution, scores, metres and normals are
// interpolated bilinearly (half-pixel centres, no antialias) before anything else is done to them.
//   LABELS         uint8 [height, width]: the best class, ties to the lower id; 0 if only NaN is there
//   CONFIDENCE     float [height, width]: softmax or probability of that class, 0 to 1
//   PROBABILITIES  float [height, width, classes]: softmax, or as the network gives them
//   METRES         float [height, width]: 0 where there is no depth within low .. high
//   MILLIMETRES    uint16 [height, width]: the same, rounded; at most 65535
//   NORMALS        float [height, width, 3]: of length 1; 0, 0, 0 where there is none
//   EDGES          float [height, width]: probability
//   BOXES          float [boxes, 6]: left, top, right, bottom, score, class; best first, in pixels of
//                  the image (or of the network's output) and inside it. A peak is a value of `heat`
//                  that is the largest of its 3 x 3; its centre is moved by `offset`, and `size` is
//                  width, height, both in pixels of the network's output.
//                  Source: Zhou, Wang, Kraehenbuehl, Objects as Points, 2019.
//   RAW            the graph's output
// Writes the rows first_row .. first_row + row_count (cut at the last one) to their places in `out`,
// which is as xnor_answer_shape says and aligned for its type; BOXES and RAW are made as a whole, with
// row 0. *count: boxes found, 1 for all others.
XNOR_NODISCARD xnor_status xnor_answer_make(const xnor_description *description,
                                            const xnor_answer *answer,
                                            const xnor_image_frame *frame,
                                            const xnor_tensor *outputs, size_t first_row,
                                            size_t row_count, void *workspace, void *out,
                                            size_t *count);

#ifdef __cplusplus
}
#endif
#endif
