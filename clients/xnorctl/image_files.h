// Maps of an image as files to look at, see image_result.h. Every map has the size of the image.
#ifndef XNORCTL_IMAGE_FILES_H
#define XNORCTL_IMAGE_FILES_H

#include "clients/xnorctl/image.h"
#include "xnord.h"

XNOR_NODISCARD xnor_status image_write_labels(const char *path, const image *image,
                                              const uint8_t *labels,
                                              const xnord_image_output *output);
XNOR_NODISCARD xnor_status image_write_overlay(const char *path, const image *image,
                                               const uint8_t *labels,
                                               const xnord_image_output *output);
XNOR_NODISCARD xnor_status image_write_millimetres(const char *path, const image *image,
                                                   const uint16_t *millimetres);
XNOR_NODISCARD xnor_status image_write_normals(const char *path, const image *image,
                                               const float *normals);
XNOR_NODISCARD xnor_status image_write_edges(const char *path, const image *image,
                                             const float *edges);
XNOR_NODISCARD xnor_status image_write_boxes(const char *path, const image *image,
                                             const xnord_box *boxes, size_t count,
                                             const xnord_image_output *output);
// float32 and uint8.
XNOR_NODISCARD xnor_status image_write_npy(const char *path, const xnord_tensor *tensor);

#endif
