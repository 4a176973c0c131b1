#include "models.h"

#include "clock.h"
#include "log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct models {
    struct models_options options;
    struct model *models[STORE_MAX_MODELS];
    uint32_t count;
    uint32_t jobs; // scans and loads under way
    bool scanning;
    bool again; // asked to scan while scanning
    bool stopping;
    struct reason scan_error;
};

struct scan_job {
    uv_work_t work;
    struct models *models;
    xnor_status status;
    struct reason reason;
    struct store_listing listing;
};

struct load_job {
    uv_work_t work;
    struct models *models;
    struct model *model;
    struct store_entry entry;
    uint64_t started_ns;
    xnor_status status;
    struct reason reason;
    struct version *version;
};

struct retire_job {
    uv_work_t work;
    struct version *version;
};

static bool start_scan(struct models *models);

const char *model_state_text(enum model_state state) {
    static const char *const texts[] = {
#define TEXT(name, text) text,
        MODEL_STATE_TABLE(TEXT)
#undef TEXT
    };
    return texts[state];
}

static void set_state(struct model *model, enum model_state state, const char *reason) {
    if (model->state != state) model->since_ns = clock_now_ns();
    model->state = state;
    reason_set(&model->reason, XNOR_OK, "%s", reason);
}

static void job_ended(struct models *models) {
    models->jobs--;
    if (models->stopping) return;
    if (models->again && !models->scanning) (void)start_scan(models);
    if (models->jobs == 0) models->options.settled(models->options.settled_context);
}

// ---- retiring -----------------------------------------------------------------------------------

static void retire_work(uv_work_t *work) {
    struct retire_job *job = work->data;
    version_free(&job->version);
}

static void retire_done(uv_work_t *work, int status) {
    (void)status;
    free(work->data);
}

struct version *version_ref(struct version *version) {
    version->refs++;
    return version;
}

void models_version_unref(struct models *models, struct version **version) {
    struct version *last = *version;
    *version = NULL;
    if (last == NULL || --last->refs > 0) return;
    struct retire_job *job = calloc(1, sizeof *job);
    if (job != NULL) {
        job->work.data = job;
        job->version = last;
        if (uv_queue_work(models->options.loop, &job->work, retire_work, retire_done) == 0) return;
        free(job);
    }
    version_free(&last); // slower, but it must go
}

// ---- loading ------------------------------------------------------------------------------------

static void load_work(uv_work_t *work) {
    struct load_job *job = work->data;
    job->status =
        version_load(&job->models->options.version, job->entry.path, &job->version, &job->reason);
}

static void publish(struct models *models, struct model *model, struct load_job *job) {
    struct version *old = model->active;
    model->active = job->version;
    model->active->refs = 1;
    set_state(model, MODEL_READY, "");
    models_version_unref(models, &old);
    log_info("model ready", LOG_STRING("model", model->name),
             LOG_STRING("version", model->active->label),
             LOG_STRING("isa", xnor_model_isa(model->active->model)),
             LOG_UINT("file_bytes", model->active->file_bytes),
             LOG_UINT("golden_pairs", model->active->golden_pairs),
             LOG_UINT("load_ms", (clock_now_ns() - job->started_ns) / NS_PER_MS));
}

static void load_done(uv_work_t *work, int cancelled) {
    struct load_job *job = work->data;
    struct models *models = job->models;
    struct model *model = job->model;
    model->loading = false;
    if (model->recheck) models->again = true;
    model->recheck = false;
    if (models->stopping || cancelled != 0 || model->state == MODEL_ABSENT) {
        if (cancelled == 0 && job->status == XNOR_OK) {
            job->version->refs = 1;
            models_version_unref(models, &job->version); // freeing takes time, not the loop's
        }
    } else if (job->status == XNOR_OK) {
        publish(models, model, job);
    } else {
        bool serves = model->active != NULL;
        set_state(model, serves ? MODEL_READY : MODEL_FAILED, job->reason.text);
        model->entry.identity = (struct store_identity){0}; // the next reload tries again
        log_error(serves ? "model reload failed, the old version stays" : "model failed",
                  LOG_STRING("model", model->name), LOG_STRING("path", job->entry.path),
                  LOG_STRING("reason", job->reason.text));
    }
    free(job);
    job_ended(models);
}

static void start_load(struct models *models, struct model *model,
                       const struct store_entry *entry) {
    struct load_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        set_state(model, model->active != NULL ? MODEL_READY : MODEL_FAILED, "out of memory");
        return;
    }
    job->work.data = job;
    job->models = models;
    job->model = model;
    job->entry = *entry;
    job->started_ns = clock_now_ns();
    model->entry = *entry;
    if (uv_queue_work(models->options.loop, &job->work, load_work, load_done) != 0) {
        free(job);
        return;
    }
    model->loading = true;
    models->jobs++;
    if (model->active == NULL) set_state(model, MODEL_LOADING, "");
}

// ---- scanning -----------------------------------------------------------------------------------

static struct model *find_any(const struct models *models, const char *name) {
    for (uint32_t i = 0; i < models->count; i++)
        if (strcmp(models->models[i]->name, name) == 0) return models->models[i];
    return NULL;
}

// The model that has been absent for longest and that nothing refers to any more.
static struct model *find_unused(const struct models *models) {
    struct model *unused = NULL;
    for (uint32_t i = 0; i < models->count; i++) {
        struct model *model = models->models[i];
        if (model->state != MODEL_ABSENT || model->loading || model->requests > 0) continue;
        if (unused == NULL || model->since_ns < unused->since_ns) unused = model;
    }
    return unused;
}

// Models stay in the table when their file goes: requests in flight refer to them, and a file that
// comes back finds its statistics. When the table is full, a place is used again.
static struct model *add_model(struct models *models, const char *name) {
    bool full = models->count == STORE_MAX_MODELS;
    struct model *model = full ? find_unused(models) : calloc(1, sizeof *model);
    if (model == NULL) return NULL;
    *model = (struct model){.since_ns = clock_now_ns()};
    strcpy(model->name, name);
    if (!full) models->models[models->count++] = model;
    return model;
}

static bool listed(const struct store_listing *listing, const char *name) {
    for (uint32_t i = 0; i < listing->count; i++)
        if (strcmp(listing->entries[i].name, name) == 0) return true;
    return false;
}

static void apply(struct models *models, const struct store_listing *listing) {
    for (uint32_t i = 0; i < models->count; i++) {
        struct model *model = models->models[i];
        if (model->state == MODEL_ABSENT || listed(listing, model->name)) continue;
        set_state(model, MODEL_ABSENT, "its file is gone");
        models_version_unref(models, &model->active);
        log_info("model gone", LOG_STRING("model", model->name));
    }
    for (uint32_t i = 0; i < listing->count; i++) {
        const struct store_entry *entry = &listing->entries[i];
        struct model *model = find_any(models, entry->name);
        if (model == NULL) model = add_model(models, entry->name);
        if (model == NULL) {
            log_error("model skipped, the table is full", LOG_STRING("model", entry->name));
            continue;
        }
        bool serves = model->state == MODEL_READY && strcmp(model->entry.path, entry->path) == 0 &&
                      store_identity_equal(&model->entry.identity, &entry->identity);
        // A load under way may have read the old file: look again when it is done.
        if (model->loading)
            model->recheck = true;
        else if (!serves)
            start_load(models, model, entry);
    }
    if (listing->skipped > 0)
        log_warning("model files skipped", LOG_UINT("count", listing->skipped),
                    LOG_STRING("reason", "second file of a name, or over the limit"));
}

static void scan_work(uv_work_t *work) {
    struct scan_job *job = work->data;
    const struct models_options *options = &job->models->options;
    job->status = store_scan(options->directory, options->max_models, &job->listing, &job->reason);
}

static void scan_done(uv_work_t *work, int cancelled) {
    struct scan_job *job = work->data;
    struct models *models = job->models;
    models->scanning = false;
    if (cancelled == 0 && !models->stopping) {
        models->scan_error = job->reason;
        if (job->status == XNOR_OK)
            apply(models, &job->listing);
        else
            log_error("cannot read the models directory", LOG_STRING("reason", job->reason.text));
    }
    free(job);
    job_ended(models);
}

static bool start_scan(struct models *models) {
    struct scan_job *job = calloc(1, sizeof *job);
    if (job == NULL) return false;
    job->work.data = job;
    job->models = models;
    if (uv_queue_work(models->options.loop, &job->work, scan_work, scan_done) != 0) {
        free(job);
        return false;
    }
    models->scanning = true;
    models->again = false;
    models->jobs++;
    return true;
}

xnor_status models_create(const struct models_options *options, struct models **out) {
    struct models *models = calloc(1, sizeof *models);
    if (models == NULL) return XNOR_E_MEMORY;
    models->options = *options;
    *out = models;
    return XNOR_OK;
}

void models_reload(struct models *models) {
    if (models->stopping) return;
    if (models->scanning) {
        models->again = true;
    } else if (!start_scan(models)) {
        reason_set(&models->scan_error, XNOR_E_MEMORY, "no memory to read the models directory");
        log_error("cannot read the models directory",
                  LOG_STRING("reason", models->scan_error.text));
        if (models->jobs == 0) models->options.settled(models->options.settled_context);
    }
}

void models_stop(struct models *models) {
    models->stopping = true;
}

void models_free(struct models **models) {
    if (*models == NULL) return;
    assert((*models)->jobs == 0);
    for (uint32_t i = 0; i < (*models)->count; i++) {
        struct model *model = (*models)->models[i];
        assert(model->active == NULL || model->active->refs == 1);
        version_free(&model->active);
        free(model);
    }
    free(*models);
    *models = NULL;
}

bool models_busy(const struct models *models) {
    return models->jobs > 0;
}

const char *models_scan_error(const struct models *models) {
    return models->scan_error.text;
}

uint32_t models_count(const struct models *models) {
    return models->count;
}

struct model *models_at(struct models *models, uint32_t index) {
    return models->models[index];
}

struct model *models_find(struct models *models, xnord_proto_str name) {
    for (uint32_t i = 0; i < models->count; i++)
        if (models->models[i]->state != MODEL_ABSENT &&
            xnord_proto_str_equal(name, models->models[i]->name))
            return models->models[i];
    return NULL;
}

uint32_t models_in_state(const struct models *models, enum model_state state) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < models->count; i++) found += models->models[i]->state == state;
    return found;
}
