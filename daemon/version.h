// One loaded state of a model file: the engine's model and every worker's sessions for it.
//
// Made on a loader thread, published and reference counted on the loop thread, freed on a loader
// thread. Between, it is immutable except for sets[i], which only worker i touches while a request
// that refers to the version is with it. So a reload never disturbs requests in flight.
#ifndef XNORD_VERSION_H
#define XNORD_VERSION_H

#include "reason.h"
#include "sessions.h"
#include "xnor.h"

#include <stdbool.h>

struct workers;

struct version_options {
    const char *isa; // NULL: the best one
    bool self_test;
    uint64_t max_file_bytes;
    uint32_t max_batch;
    uint32_t session_cache;
    uint64_t max_session_bytes;
    struct session_budget *budget;
    const struct workers *workers; // how many there are and which pools they use
};

struct version {
    uint32_t refs; // loop thread
    xnor_model *model;
    const xnor_description *description;
    const char *label; // version of the description, "0" without one
    bool takes_clouds; // the task layer can feed its only input
    bool fixed_points; // every cloud becomes the same shape, so sessions exist and batches form
    bool batches;      // clouds may be rows of one run
    bool segments;     // each point of a cloud gets a label
    bool takes_images; // the task layer can feed its only input
    bool fixed_image;  // every image becomes the same shape
    bool has_scores;   // an output holds one float32 score per class
    uint32_t score_output;
    uint64_t file_bytes;
    uint32_t golden_pairs; // reproduced by the self test
    void *image;           // the file; the engine reads from it
    uint32_t set_count;
    struct session_set **sets; // one per worker
};

// Reads `path` into memory, so that whoever rewrites the file later cannot reach us; checks it,
// runs its self test and makes the sessions for the described shape. XNOR_E_FORMAT, XNOR_E_INTERNAL
// (self test): the reason names what is damaged.
XNOR_NODISCARD xnor_status version_load(const struct version_options *options, const char *path,
                                        struct version **out, struct reason *why);
void version_free(struct version **version);

// The shape that a prepared cloud of `count` points has as `rows` rows of a batch.
xnor_shape version_cloud_shape(const struct version *version, size_t count, uint32_t rows);

#endif
