// Point clouds and meshes from files. Everything here may be called from any thread.
//
// A damaged file is an error whose message (xnor_last_error) names the file, the line or byte, what
// was expected and what was found. Files are at most FILES_MAX_BYTES, clouds at most
// CLOUD_MAX_POINTS; nothing is allocated that the bytes of the file do not account for.
#ifndef XNORCTL_CLOUD_H
#define XNORCTL_CLOUD_H

#include "include/xnor.h"

#define CLOUD_MAX_POINTS ((size_t)16 << 20)
#define CLOUD_MAX_TRIANGLES ((size_t)32 << 20)
#define CLOUD_DEFAULT_SAMPLE_POINTS 4096

// Points as x y z triples. A cloud made by cloud_read holds finite coordinates only.
typedef struct cloud {
    float *xyz; // [count, 3]
    size_t count;
    size_t capacity;
    size_t dropped; // points with a NaN or infinite coordinate that were left out
    bool sampled;   // the file held a mesh; the points were drawn from its surface
} cloud;

typedef struct cloud_options {
    size_t sample_points; // points to draw from a mesh
    uint64_t seed;        // of the drawing
    bool y_up;            // the file's up axis is y: turn it to z
} cloud_options;

// Reads the file by its extension (see cloud_format_names). On success release with cloud_free.
// XNOR_E_IO: the file cannot be read; XNOR_E_UNSUPPORTED: extension or variant; XNOR_E_FORMAT:
// damaged; XNOR_E_LIMIT: too large.
XNOR_NODISCARD xnor_status cloud_read(const char *path, const cloud_options *options, cloud *out);
// The same from memory; `name` gives the extension and stands in messages.
XNOR_NODISCARD xnor_status cloud_read_memory(const char *name, const void *data, size_t size,
                                             const cloud_options *options, cloud *out);
// Writes the points as .ply (binary little endian), .pcd (binary), .npy (float32 [count, 3]) or
// .xyz, by extension.
XNOR_NODISCARD xnor_status cloud_write(const char *path, const cloud *points);
void cloud_free(cloud *points);

// Whether the extension of `path` is one that cloud_read knows.
bool cloud_is_readable(const char *path);
// ".bin .npy .obj ..." for help texts and messages.
const char *cloud_format_names(void);

#endif
