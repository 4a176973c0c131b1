// The metadata section: producer and task description as one msgpack map.
#ifndef XNOR_FORMAT_METADATA_H
#define XNOR_FORMAT_METADATA_H

#include "core/arena.h"
#include "core/status.h"
#include "format/buffer.h"

// Deviations of pixels, and how far their mean may be from 0.
#define XNOR_MIN_DEVIATION 1e-6f
#define XNOR_MAX_PIXEL 1e6f

// Metres that lengths may have.
#define XNOR_MIN_LENGTH 1e-3f
#define XNOR_MAX_LENGTH 1e6f

// Names of the enumerators, in model descriptions and in the file.
#define XNOR_TASK_TABLE(X)                                                                         \
    X(CLASSIFICATION, "classification")                                                            \
    X(SEGMENTATION, "segmentation")                                                                \
    X(IMAGE, "image")
#define XNOR_NORMALISE_TABLE(X)                                                                    \
    X(NONE, "none")                                                                                \
    X(UNIT_SPHERE, "unit_sphere")                                                                  \
    X(BLOCK, "block")
#define XNOR_CHANNEL_TABLE(ROW)                                                                    \
    ROW(X, "x")                                                                                    \
    ROW(Y, "y")                                                                                    \
    ROW(Z, "z")                                                                                    \
    ROW(HEIGHT, "height")                                                                          \
    ROW(CELL_HEIGHT, "cell_height")                                                                \
    ROW(CELL_LOW, "cell_low")                                                                      \
    ROW(CELL_TOP, "cell_top")                                                                      \
    ROW(CELL_STOREY, "cell_storey")
#define XNOR_RESAMPLE_TABLE(X)                                                                     \
    X(STRIDE, "stride")                                                                            \
    X(FARTHEST, "farthest")
#define XNOR_OUTPUT_KIND_TABLE(X)                                                                  \
    X(RAW, "raw")                                                                                  \
    X(LOG_PROBABILITIES, "log_probabilities")                                                      \
    X(LOGITS, "logits")                                                                            \
    X(PROBABILITIES, "probabilities")

#define XNOR_PIXELS_TABLE(X)                                                                       \
    X(RGB, "rgb")                                                                                  \
    X(BGR, "bgr")                                                                                  \
    X(GREY, "grey")
#define XNOR_RESIZE_TABLE(X)                                                                       \
    X(STRETCH, "stretch")                                                                          \
    X(FIT, "fit")
#define XNOR_IMAGE_KIND_TABLE(X)                                                                   \
    X(RAW, "raw")                                                                                  \
    X(SEGMENTATION, "segmentation")                                                                \
    X(DEPTH, "depth")                                                                              \
    X(NORMALS, "normals")                                                                          \
    X(EDGES, "edges")                                                                              \
    X(BOXES, "boxes")

// False when there is no such name.
bool xnor_task_find(const char *name, xnor_task *out);
bool xnor_output_kind_find(const char *name, xnor_output_kind *out);
bool xnor_normalise_find(const char *name, xnor_normalise *out);
bool xnor_channel_find(const char *name, xnor_channel *out);
bool xnor_resample_find(const char *name, xnor_resample *out);
bool xnor_pixels_find(const char *name, xnor_pixels *out);
bool xnor_resize_find(const char *name, xnor_resize *out);
bool xnor_image_kind_find(const char *name, xnor_image_kind *out);
const char *xnor_task_name(xnor_task task);
const char *xnor_output_kind_name(xnor_output_kind kind);
const char *xnor_normalise_name(xnor_normalise normalise);
const char *xnor_channel_name(xnor_channel channel);
const char *xnor_resample_name(xnor_resample resample);
const char *xnor_pixels_name(xnor_pixels pixels);
const char *xnor_resize_name(xnor_resize resize);
const char *xnor_image_kind_name(xnor_image_kind kind);

// Without channels: x, y, z. For clouds.
void xnor_description_default_channels(xnor_description *description);
// What contradicts itself in a description, e.g. "resample is for classification"; NULL: nothing.
const char *xnor_description_flaw(const xnor_description *description);

void xnor_metadata_write(const xnor_description *description, xnor_buffer *out);
// Strings are copied into `arena`. A map without "description" leaves task XNOR_TASK_NONE.
XNOR_NODISCARD xnor_status xnor_metadata_read(const uint8_t *data, size_t size, xnor_arena *arena,
                                              xnor_description *out);

#endif
