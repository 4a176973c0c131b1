#include "version.h"

#include "store.h"
#include "workers.h"

#include <stdlib.h>
#include <string.h>

#define CLOUD_RANK 3 // [batch, points, 3] or [batch, 3, points]

xnor_shape version_cloud_shape(const struct version *version, size_t count, uint32_t rows) {
    return xnor_cloud_shape(version->description, count, rows);
}

// Rows can be told apart in the output only if it has as many.
static bool has_rows(const xnor_shape *shape, uint32_t rows) {
    return shape->rank > 0 && shape->dims[0] == (int64_t)rows;
}

static bool supports_batch(const struct version *version, uint32_t rows) {
    xnor_shape shape = version_cloud_shape(version, 1, rows);
    xnor_plan *plan = NULL;
    if (xnor_plan_create(version->model, &shape, &plan) != XNOR_OK) return false;
    bool all = true;
    for (uint32_t i = 0; i < xnor_model_output_count(version->model); i++)
        all = all && has_rows(xnor_plan_output_shape(plan, i), rows);
    xnor_plan_unref(&plan);
    return all;
}

static void find_scores(struct version *version) {
    const xnor_description *description = version->description;
    if (description->class_count == 0 || description->output_name == NULL) return;
    for (uint32_t i = 0; i < xnor_model_output_count(version->model); i++) {
        const xnor_port *port = xnor_model_output(version->model, i);
        if (port->dtype != XNOR_F32 || strcmp(port->name, description->output_name) != 0) continue;
        version->has_scores = true;
        version->score_output = i;
    }
}

static void describe(struct version *version, uint32_t max_batch) {
    const xnor_description *description = xnor_model_description(version->model);
    const xnor_port *input = xnor_model_input(version->model, 0);
    version->description = description;
    bool has_label = description->version != NULL && description->version[0] != '\0';
    version->label = has_label ? description->version : "0";
    version->takes_images = description->task == XNOR_TASK_IMAGE;
    version->fixed_image = version->takes_images && description->image.multiple_of == 0;
    version->takes_clouds = description->task != XNOR_TASK_NONE && !version->takes_images &&
                            xnor_model_input_count(version->model) == 1 &&
                            input->dtype == XNOR_F32 && input->shape.rank == CLOUD_RANK;
    version->segments = version->takes_clouds && description->task == XNOR_TASK_SEGMENTATION;
    version->fixed_points = version->takes_clouds && description->points > 0;
    find_scores(version);
    // A scene keeps a worker busy by itself; rows of it together would only take memory.
    version->batches = version->fixed_points && !version->segments && input->shape.dims[0] < 0 &&
                       max_batch > 1 && supports_batch(version, 2);
}

// The shape that every input of the task layer becomes, if there is one.
static bool described_shape(const struct version *version, xnor_shape *out) {
    const xnor_image_input *image = &version->description->image;
    xnor_image_frame frame;
    if (version->fixed_points) *out = version_cloud_shape(version, 1, 1);
    if (version->fixed_image) {
        if (xnor_image_frame_of(version->description, (size_t)image->width, (size_t)image->height,
                                &frame) != XNOR_OK)
            return false;
        *out = xnor_image_shape(version->description, &frame);
    }
    return version->fixed_points || version->fixed_image;
}

// Larger batches as far as there is memory to spare.
static void make_batches(struct version *version, uint32_t pinned) {
    for (uint32_t k = 1; k < pinned; k++)
        for (uint32_t i = 0; i < version->set_count; i++) {
            xnor_shape shape = version_cloud_shape(version, 1, UINT32_C(1) << k);
            if (!session_set_pin_spare(version->sets[i], &shape)) return;
        }
}

// Every worker gets the described shape, with 1, 2, 4 ... max_batch rows.
static xnor_status make_sessions(struct version *version, const struct version_options *options,
                                 struct reason *why) {
    uint32_t max_batch = version->batches ? options->max_batch : 1;
    struct session_set_options set = {.model = version->model,
                                      .cached = options->session_cache,
                                      .max_bytes = options->max_session_bytes,
                                      .budget = options->budget};
    if (version->takes_clouds)
        set.workspace_bytes = xnor_cloud_workspace_bytes(version->description,
                                                         (size_t)version->description->max_points);
    xnor_shape shape;
    const bool fixed = described_shape(version, &shape);
    for (uint32_t rows = 1; fixed && rows <= max_batch; rows *= 2) set.pinned++;

    version->set_count = workers_count(options->workers);
    version->sets = calloc(version->set_count, sizeof *version->sets);
    if (version->sets == NULL) return reason_set(why, XNOR_E_MEMORY, "no memory for sessions");
    for (uint32_t i = 0; i < version->set_count; i++) {
        set.pool = workers_pool(options->workers, i);
        if (session_set_create(&set, &version->sets[i]) != XNOR_OK)
            return reason_set(why, XNOR_E_MEMORY, "no memory for sessions");
        if (set.pinned == 0) continue;
        xnor_status status = session_set_pin(version->sets[i], &shape, why);
        if (status != XNOR_OK) return status;
    }
    make_batches(version, set.pinned);
    return XNOR_OK;
}

xnor_status version_load(const struct version_options *options, const char *path,
                         struct version **out, struct reason *why) {
    struct version *version = calloc(1, sizeof *version);
    if (version == NULL) return reason_set(why, XNOR_E_MEMORY, "no memory");
    size_t size = 0;
    xnor_status status = store_read(path, options->max_file_bytes, &version->image, &size, why);
    if (status != XNOR_OK) goto error;
    version->file_bytes = size;
    status = xnor_model_open_memory(version->image, size, options->isa, &version->model);
    if (status != XNOR_OK) {
        reason_set(why, status, "%s", xnor_last_error());
        goto error;
    }
    if (options->self_test) {
        status = xnor_model_self_test(version->model, &version->golden_pairs);
        if (status != XNOR_OK) {
            reason_set(why, status, "self test: %s", xnor_last_error());
            goto error;
        }
    }
    describe(version, options->max_batch);
    status = make_sessions(version, options, why);
    if (status != XNOR_OK) goto error;
    *out = version;
    return XNOR_OK;
error:
    version_free(&version);
    return status;
}

void version_free(struct version **version) {
    if (*version == NULL) return;
    for (uint32_t i = 0; i < (*version)->set_count; i++)
        if ((*version)->sets != NULL) session_set_free(&(*version)->sets[i]);
    free((*version)->sets);
    xnor_model_unref(&(*version)->model);
    free((*version)->image);
    free(*version);
    *version = NULL;
}
