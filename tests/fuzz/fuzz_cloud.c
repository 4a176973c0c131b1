// Fuzzes the point file readers. The first byte chooses the format, the rest is the
// file. Whatever it holds, reading must end, stay within the file and either give finite points or
// a one-line message.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clients/xnorctl/cloud.h"

static void check_points(const cloud *points) {
    if (points->count == 0 || points->count > CLOUD_MAX_POINTS) abort();
    for (size_t i = 0; i < 3 * points->count; i++)
        if (!isfinite(points->xyz[i])) abort();
}

static void check_message(const char *name) {
    const char *message = xnor_last_error();
    if (strncmp(message, name, strlen(name)) != 0 || strchr(message, '\n')) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"f.pcd", "f.ply", "f.npy", "f.xyz",
                                        "f.off", "f.bin", "f.obj", "f.stl"};
    if (size == 0) return 0;
    const char *name = names[data[0] % (sizeof names / sizeof *names)];
    const cloud_options options = {.sample_points = 64, .seed = size, .y_up = data[0] >= 128};
    cloud points;
    if (cloud_read_memory(name, data + 1, size - 1, &options, &points) == XNOR_OK) {
        check_points(&points);
        cloud_free(&points);
    } else {
        check_message(name);
    }
    return 0;
}
