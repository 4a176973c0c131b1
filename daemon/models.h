// The models of the store: what each is called, in which state it is and why, and which loaded
// version serves. Scanning, loading and freeing happen on loader threads; the table changes on the
// loop thread only, so a reload is one pointer assignment that no request can see half of.
// Loop thread, except where noted.
#ifndef XNORD_MODELS_H
#define XNORD_MODELS_H

#include "proto.h"
#include "stats.h"
#include "store.h"
#include "version.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

// X(name, text on the wire)
#define MODEL_STATE_TABLE(X)                                                                       \
    X(ABSENT, "ABSENT")   /* its file is gone */                                                   \
    X(LOADING, "LOADING") /* being read, checked and tested for the first time */                  \
    X(READY, "READY")                                                                              \
    X(FAILED, "FAILED") /* it could not be loaded; the reason says why */

enum model_state {
#define MODEL_STATE_ENUM(name, text) MODEL_##name,
    MODEL_STATE_TABLE(MODEL_STATE_ENUM)
#undef MODEL_STATE_ENUM
};

const char *model_state_text(enum model_state state);

struct model {
    char name[STORE_NAME_BYTES]; // any thread while a request refers to the model
    enum model_state state;
    struct reason reason;     // of FAILED, or of a reload that failed while an older version serves
    uint64_t since_ns;        // last change of state
    struct version *active;   // NULL unless READY
    struct store_entry entry; // the file that was loaded last, or tried
    bool loading;
    bool recheck;      // its file was listed while it was being loaded
    uint32_t requests; // in flight that refer to it
    struct stats stats;
};

struct models;

struct models_options {
    uv_loop_t *loop;
    const char *directory;
    uint32_t max_models;
    struct version_options version;
    // Called when a scan and every load that it caused have ended.
    void (*settled)(void *context);
    void *settled_context;
};

XNOR_NODISCARD xnor_status models_create(const struct models_options *options, struct models **out);
// Scans the directory and loads what is new or changed. A scan that is already running is followed
// by another one.
void models_reload(struct models *models);
// Starts no more loads. Jobs that run are waited for by uv_run.
void models_stop(struct models *models);
// After the loop has ended and every reference was dropped.
void models_free(struct models **models);

bool models_busy(const struct models *models); // a scan or load is running
// What the last scan could not read, "" if it could.
const char *models_scan_error(const struct models *models);
uint32_t models_count(const struct models *models);
struct model *models_at(struct models *models, uint32_t index);
// NULL: no such model, or its file is gone. Whoever keeps the pointer counts itself in `requests`.
struct model *models_find(struct models *models, xnord_proto_str name);
// Models in one state.
uint32_t models_in_state(const struct models *models, enum model_state state);

struct version *version_ref(struct version *version);
// The last reference frees the version on a loader thread.
void models_version_unref(struct models *models, struct version **version);

#endif
