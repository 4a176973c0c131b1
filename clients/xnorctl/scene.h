// Has the daemon label every point of a cloud. A cloud that is long is sent in parts that divide no
// block of the model, several at a time.
#ifndef XNORCTL_SCENE_H
#define XNORCTL_SCENE_H

#include "clients/xnorctl/cloud.h"
#include "xnord.h"

typedef struct scene_labels {
    uint8_t *labels;     // [points], class ids
    size_t parts;        // requests that it took
    uint64_t elapsed_us; // from the first request to the last answer
    uint64_t compute_us; // of all parts, in the daemon
    char version[64];    // of the model
} scene_labels;

typedef struct scene_options {
    const char *title;    // of the progress bar
    uint32_t deadline_ms; // of each part; 0: none
    uint32_t in_flight;   // parts sent at the same time, at least 1
} scene_options;

// On success release with scene_free. Otherwise `message` says why.
xnord_status scene_segment(xnord_client *client, const xnord_model_info *model, const cloud *points,
                           const scene_options *options, scene_labels *out, char *message,
                           size_t message_size);
void scene_free(scene_labels *scene);

#endif
