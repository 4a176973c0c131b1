// Fuzzes the task layer: clouds of any numbers under any recipe. The first bytes choose the recipe,
// the rest are the points. A cloud that is accepted must be cut so that every point is in one run,
// and resampled to points of its own.
#include <stdlib.h>
#include <string.h>

#include "format/metadata.h"

enum { RECIPE_BYTES = 8, CLASSES = 3, MAX_SLOTS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static xnor_description choose(const uint8_t *r) {
    static const float lengths[] = {0, XNOR_MIN_LENGTH, 0.1f, 1, 4, 1000.5f, XNOR_MAX_LENGTH};
    enum { LENGTHS = sizeof lengths / sizeof *lengths };
    xnor_description d = {.task = r[0] & 1 ? XNOR_TASK_SEGMENTATION : XNOR_TASK_CLASSIFICATION,
                          .channels_first = r[0] & 2,
                          .resample = r[0] & 4 ? XNOR_RESAMPLE_FARTHEST : XNOR_RESAMPLE_STRIDE,
                          .normalise = (xnor_normalise)(r[1] % 3),
                          .block = lengths[r[2] % LENGTHS],
                          .cells = r[3] % (XNOR_MAX_CELLS + 1),
                          .scale = lengths[r[4] % LENGTHS],
                          .points = r[5] % (MAX_SLOTS + 1),
                          .max_points = 4096,
                          .output_kind = XNOR_OUTPUT_LOGITS,
                          .class_count = CLASSES,
                          .channel_count = r[6] % 12};
    for (uint32_t c = 0; c < d.channel_count; c++)
        d.channels[c] = (xnor_channel)((r[6] / 12u + r[7] * c) % (XNOR_CHANNEL_CELL_STOREY + 1u));
    xnor_description_default_channels(&d);
    return d;
}

static void check_message(void) {
    if (!*xnor_last_error() || strchr(xnor_last_error(), '\n')) abort();
}

static void try_scene(const xnor_description *d, const xnor_cloud *cloud) {
    xnor_scene *scene = NULL;
    if (xnor_scene_create(d, cloud, &scene) != XNOR_OK) {
        check_message();
        return;
    }
    uint8_t *labels = malloc(cloud->count), *seen = calloc(cloud->count, 1);
    float *confidences = malloc(cloud->count * sizeof *confidences);
    for (size_t run = 0; run < xnor_scene_run_count(scene); run++) {
        const size_t slots = xnor_scene_run_points(scene, run);
        uint32_t *members = malloc(slots * sizeof *members);
        float *input = malloc(slots * d->channel_count * sizeof *input);
        float *scores = malloc(slots * CLASSES * sizeof *scores);
        const size_t own = xnor_scene_members(scene, run, members);
        if (own == 0 || own > slots) abort();
        for (size_t s = 0; s < own; s++)
            if (seen[members[s]]++) abort();
        xnor_scene_prepare(scene, run, input);
        for (size_t i = 0; i < slots * CLASSES; i++) scores[i] = input[i % slots];
        xnor_scene_label(scene, run, scores, labels, confidences);
        for (size_t s = 0; s < own; s++)
            if (labels[members[s]] >= CLASSES || !(confidences[members[s]] >= 0)) abort();
        free(members);
        free(input);
        free(scores);
    }
    for (size_t i = 0; i < cloud->count; i++)
        if (!seen[i]) abort();
    xnor_scene_free(&scene);
    free(labels);
    free(seen);
    free(confidences);
}

static void try_cloud(const xnor_description *d, const xnor_cloud *cloud) {
    const size_t n = xnor_cloud_prepared_count(d, cloud->count);
    const size_t bytes = xnor_cloud_workspace_bytes(d, cloud->count);
    void *workspace = bytes ? malloc(bytes) : NULL;
    float *out = malloc((n + 1) * 3 * sizeof *out);
    if (xnor_cloud_prepare(d, cloud, workspace, out) != XNOR_OK) {
        check_message();
    } else if (d->normalise == XNOR_NORMALISE_NONE && !d->channels_first) {
        for (size_t i = 0; i < n; i++) {
            size_t k = 0;
            const uint8_t *points = cloud->data;
            while (k < cloud->count && memcmp(points + k * cloud->stride, &out[i * 3], 12) != 0)
                k++;
            if (k == cloud->count) abort();
        }
    }
    free(out);
    free(workspace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < RECIPE_BYTES) return 0;
    const xnor_description d = choose(data);
    if (xnor_description_flaw(&d)) return 0;
    // Its own block, so that the sanitizer sees the end.
    const size_t bytes = size - RECIPE_BYTES, stride = 12 + data[1] / 3 % 5;
    uint8_t *points = malloc(bytes + 1);
    memcpy(points, data + RECIPE_BYTES, bytes);
    const xnor_cloud cloud = {points, bytes / stride, stride};
    if (d.task == XNOR_TASK_SEGMENTATION)
        try_scene(&d, &cloud);
    else
        try_cloud(&d, &cloud);
    free(points);
    return 0;
}
