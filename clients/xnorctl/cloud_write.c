// Points to files. Coordinates are float32 and little endian in all binary formats.
#include "clients/xnorctl/cloud_format.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void put_floats(FILE *file, const cloud *points) {
    for (size_t i = 0; i < points->count * 3; i++) {
        uint32_t bits;
        memcpy(&bits, &points->xyz[i], sizeof bits);
        const uint8_t bytes[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
                                  (uint8_t)(bits >> 24)};
        fwrite(bytes, 1, sizeof bytes, file);
    }
}

static void write_ply(FILE *file, const cloud *points) {
    fprintf(file,
            "ply\nformat binary_little_endian 1.0\nelement vertex %zu\n"
            "property float x\nproperty float y\nproperty float z\nend_header\n",
            points->count);
    put_floats(file, points);
}

static void write_pcd(FILE *file, const cloud *points) {
    fprintf(file,
            "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\n"
            "TYPE F F F\nCOUNT 1 1 1\nWIDTH %zu\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS %zu\n"
            "DATA binary\n",
            points->count, points->count);
    put_floats(file, points);
}

static void write_npy(FILE *file, const cloud *points) {
    char dict[118]; // magic, version, length and dict together take 128 bytes, ended by a newline
    const int used =
        snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, 3), }",
                 points->count);
    memset(dict + used, ' ', sizeof dict - 1 - (size_t)used);
    dict[sizeof dict - 1] = '\n';
    const uint8_t head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, sizeof dict, 0};
    fwrite(head, 1, sizeof head, file);
    fwrite(dict, 1, sizeof dict, file);
    put_floats(file, points);
}

// Nine significant digits give every float32 back exactly.
static void write_xyz(FILE *file, const cloud *points) {
    for (size_t i = 0; i < points->count; i++) {
        const float *p = points->xyz + 3 * i;
        fprintf(file, "%.9g %.9g %.9g\n", (double)p[0], (double)p[1], (double)p[2]);
    }
}

static const struct {
    const char *extension;
    void (*write)(FILE *file, const cloud *points);
} writers[] = {{".ply", write_ply}, {".pcd", write_pcd}, {".npy", write_npy}, {".xyz", write_xyz}};

xnor_status cloud_write(const char *path, const cloud *points) {
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof writers / sizeof *writers; i++) {
        if (strcasecmp(dot, writers[i].extension) != 0) continue;
        FILE *file = fopen(path, "wbe");
        if (!file) return xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
        errno = 0;
        writers[i].write(file, points);
        const bool failed = ferror(file) != 0;
        if (fclose(file) == 0 && !failed) return XNOR_OK;
        return xnor_fail(XNOR_E_IO, "%s: cannot write: %s", path, strerror(errno));
    }
    return xnor_fail(XNOR_E_UNSUPPORTED,
                     "%s: expected a file to write that ends in .ply, .pcd, .npy or .xyz", path);
}
