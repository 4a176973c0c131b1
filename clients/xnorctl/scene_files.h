// A labelled cloud as files to look at.
#ifndef XNORCTL_SCENE_FILES_H
#define XNORCTL_SCENE_FILES_H

#include "clients/xnorctl/cloud.h"

// Points with their class and its colour: x y z float32, red green blue uchar, label uchar; binary
// little endian PLY with the names of the classes as comments.
XNOR_NODISCARD xnor_status scene_write_ply(const char *path, const cloud *points,
                                           const uint8_t *labels, uint32_t class_count,
                                           const char *const *classes);
// The scene from above as PNG, north up: the highest point of each pixel in the colour of its class,
// darker the lower it is, and a legend.
XNOR_NODISCARD xnor_status scene_write_top_view(const char *path, const cloud *points,
                                                const uint8_t *labels, uint32_t class_count,
                                                const char *const *classes);

#endif
