#include "clients/xnorctl/cloud_format.h"
#include "clients/xnorctl/files.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *extension;
    cloud_reader *read;
} formats[] = {
    {".bin", cloud_read_bin}, {".npy", cloud_read_npy},  {".obj", cloud_read_obj},
    {".off", cloud_read_off}, {".pcd", cloud_read_pcd},  {".ply", cloud_read_ply},
    {".stl", cloud_read_stl}, {".txt", cloud_read_text}, {".xyz", cloud_read_text},
};
#define FORMAT_COUNT (sizeof formats / sizeof *formats)

const char *cloud_format_names(void) {
    return ".bin .npy .obj .off .pcd .ply .stl .txt .xyz";
}

static cloud_reader *find_reader(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash ? slash : path, '.');
    for (size_t i = 0; dot && i < FORMAT_COUNT; i++)
        if (strcasecmp(dot, formats[i].extension) == 0) return formats[i].read;
    return NULL;
}

bool cloud_is_readable(const char *path) {
    return find_reader(path) != NULL;
}

static xnor_status refuse_extension(const char *path) {
    return xnor_fail(XNOR_E_UNSUPPORTED, "%s: expected a file that ends in one of %s", path,
                     cloud_format_names());
}

xnor_status cloud_reserve(const char *name, size_t count, cloud *points) {
    if (count > CLOUD_MAX_POINTS)
        return xnor_fail(XNOR_E_LIMIT, "%s: expected at most %zu points, found %zu", name,
                         CLOUD_MAX_POINTS, count);
    if (count <= points->capacity) return XNOR_OK;
    float *grown = realloc(points->xyz, count * 3 * sizeof *grown);
    if (!grown) return xnor_fail(XNOR_E_MEMORY, "%s: no memory for %zu points", name, count);
    points->xyz = grown;
    points->capacity = count;
    return XNOR_OK;
}

xnor_status cloud_add(const char *name, const double xyz[3], cloud *points) {
    if (points->count == points->capacity) {
        size_t wanted = points->capacity ? points->capacity * 2 : 1024;
        if (wanted > CLOUD_MAX_POINTS) wanted = CLOUD_MAX_POINTS;
        if (wanted <= points->count) wanted = points->count + 1; // refused by name below
        XNOR_TRY(cloud_reserve(name, wanted, points));
    }
    float *slot = points->xyz + 3 * points->count++;
    for (int i = 0; i < 3; i++) slot[i] = (float)xyz[i];
    return XNOR_OK;
}

xnor_status cloud_from_mesh(const char *name, mesh *source, const cloud_options *options,
                            cloud *out) {
    if (source->triangle_count == 0) {
        *out = (cloud){.xyz = source->vertices,
                       .count = source->vertex_count,
                       .capacity = source->vertex_capacity};
        source->vertices = NULL;
        mesh_free(source);
        return XNOR_OK;
    }
    xnor_status status = cloud_reserve(name, options->sample_points, out);
    if (status == XNOR_OK)
        status = mesh_sample(name, source, options->sample_points, options->seed, out->xyz);
    if (status == XNOR_OK) {
        out->count = options->sample_points;
        out->sampled = true;
    }
    mesh_free(source);
    return status;
}

// A double beyond float32 has become infinite by now and is dropped too.
static void drop_non_finite(cloud *points) {
    size_t kept = 0;
    for (size_t i = 0; i < points->count; i++) {
        const float *p = points->xyz + 3 * i;
        if (!isfinite(p[0]) || !isfinite(p[1]) || !isfinite(p[2])) continue;
        memmove(points->xyz + 3 * kept++, p, 3 * sizeof *p);
    }
    points->dropped = points->count - kept;
    points->count = kept;
}

// A quarter turn about x: y becomes z, z becomes -y. Handedness stays.
static void turn_y_to_z(cloud *points) {
    for (size_t i = 0; i < points->count; i++) {
        float *p = points->xyz + 3 * i;
        const float y = p[1];
        p[1] = -p[2];
        p[2] = y;
    }
}

xnor_status cloud_read_memory(const char *name, const void *data, size_t size,
                              const cloud_options *options, cloud *out) {
    cloud_reader *read_points = find_reader(name);
    if (!read_points) return refuse_extension(name);
    if (size == 0)
        return xnor_fail(XNOR_E_FORMAT, "%s: expected points, found an empty file", name);
    if (size > FILES_MAX_BYTES)
        return xnor_fail(XNOR_E_LIMIT, "%s: expected at most %zu bytes, found %zu", name,
                         FILES_MAX_BYTES, size);
    const cloud_file file = {name, data, size};
    cloud points = {0};
    xnor_status status = read_points(&file, options, &points);
    if (status == XNOR_OK) {
        drop_non_finite(&points);
        if (points.count == 0)
            status = points.dropped
                         ? xnor_fail(XNOR_E_FORMAT,
                                     "%s: expected points, found %zu, all with a NaN or "
                                     "infinite coordinate",
                                     name, points.dropped)
                         : xnor_fail(XNOR_E_FORMAT, "%s: expected points, found none", name);
    }
    if (status != XNOR_OK) {
        cloud_free(&points);
        return status;
    }
    if (options->y_up) turn_y_to_z(&points);
    *out = points;
    return XNOR_OK;
}

xnor_status cloud_read(const char *path, const cloud_options *options, cloud *out) {
    // Before reading: a folder may hold files of any size that are no clouds.
    if (!find_reader(path)) return refuse_extension(path);
    uint8_t *data = NULL;
    size_t size = 0;
    XNOR_TRY(files_read(path, &data, &size));
    const xnor_status status = cloud_read_memory(path, data, size, options, out);
    free(data);
    return status;
}

void cloud_free(cloud *points) {
    free(points->xyz);
    *points = (cloud){0};
}
