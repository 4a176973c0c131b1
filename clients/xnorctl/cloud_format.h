// What the readers of the single formats share. Only the cloud_*.c files include it.
#ifndef XNORCTL_CLOUD_FORMAT_H
#define XNORCTL_CLOUD_FORMAT_H

#include "clients/xnorctl/cloud.h"
#include "clients/xnorctl/mesh.h"
#include "core/size.h"
#include "core/status.h"

// A file in memory. `data` is never NULL and `size` at least 1.
typedef struct cloud_file {
    const char *name;
    const uint8_t *data;
    size_t size;
} cloud_file;

// Adds the file's points to `out`, which starts empty. Non-finite coordinates are passed on: the
// caller drops them. On failure the caller releases `out`.
typedef xnor_status cloud_reader(const cloud_file *file, const cloud_options *options, cloud *out);

cloud_reader cloud_read_bin;  // KITTI: float32 x y z reflectance, nothing else
cloud_reader cloud_read_npy;  // NumPy array
cloud_reader cloud_read_obj;  // Wavefront
cloud_reader cloud_read_off;  // Geomview
cloud_reader cloud_read_pcd;  // Point Cloud Library
cloud_reader cloud_read_ply;  // Stanford
cloud_reader cloud_read_stl;  // stereolithography
cloud_reader cloud_read_text; // one point per line

// Makes room for `count` points in all. XNOR_E_LIMIT above CLOUD_MAX_POINTS.
XNOR_NODISCARD xnor_status cloud_reserve(const char *name, size_t count, cloud *points);
XNOR_NODISCARD xnor_status cloud_add(const char *name, const double xyz[3], cloud *points);
// Draws points from the surface if the mesh has triangles; else its vertices are the points.
XNOR_NODISCARD xnor_status cloud_from_mesh(const char *name, mesh *source,
                                           const cloud_options *options, cloud *out);

#endif
