#include "clients/xnorctl/infer_output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clients/xnorctl/commands.h"
#include "clients/xnorctl/files.h"
#include "clients/xnorctl/json.h"
#include "clients/xnorctl/scene_files.h"

infer_output infer_output_start(bool as_json, const char *folder, uint64_t top_k,
                                const xnord_model_info *model) {
    static const char *const titles[] = {"FILE", "LABEL", ">CONFIDENCE", ">LATENCY ms", "FURTHER"};
    static const char *const scene_titles[] = {"FILE", "CLASS", ">POINTS", ">SHARE", ">LATENCY ms"};
    static const char *const image_titles[] = {"FILE", "OUTPUT", "FOUND", ">AMOUNT", ">LATENCY ms"};
    infer_output output = {
        .as_json = as_json, .folder = folder, .further = top_k > 1, .model = model};
    output.rows = infer_output_is_image(model)   ? table_start(image_titles, IMAGE_RESULT_COLUMNS)
                  : infer_output_is_scene(model) ? table_start(scene_titles, 5)
                                                 : table_start(titles, output.further ? 5 : 4);
    return output;
}

bool infer_output_is_image(const xnord_model_info *model) {
    return *model->image_input != '\0';
}

bool infer_output_is_scene(const xnord_model_info *model) {
    return strcmp(model->task, "segmentation") == 0;
}

static void put_json(FILE *stream, const char *path, const cloud *points,
                     const xnord_result *result) {
    const xnord_timing *timing = xnord_result_timing(result);
    json j = json_start(stream);
    json_begin_object(&j, NULL);
    json_string(&j, "file", path);
    json_string(&j, "model", xnord_result_model(result));
    json_string(&j, "version", xnord_result_version(result));
    json_uint(&j, "points", points->count);
    json_uint(&j, "dropped_points", points->dropped);
    json_bool(&j, "sampled_from_mesh", points->sampled);
    json_begin_array(&j, "labels");
    for (uint32_t i = 0; i < xnord_result_label_count(result); i++) {
        const xnord_label *label = xnord_result_label(result, i);
        json_begin_object(&j, NULL);
        json_string(&j, "name", label->name);
        json_uint(&j, "class_id", label->class_id);
        json_float(&j, "confidence", label->confidence);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_begin_object(&j, "timing_us");
    json_uint(&j, "round_trip", timing->round_trip_us);
    json_uint(&j, "server", timing->total_us);
    json_uint(&j, "queue", timing->queue_us);
    json_uint(&j, "compute", timing->compute_us);
    json_end_object(&j);
    json_finish(&j);
}

static void count_labels(const cloud *points, const scene_labels *scene, size_t counts[256]) {
    memset(counts, 0, 256 * sizeof *counts);
    for (size_t i = 0; i < points->count; i++) counts[scene->labels[i]]++;
}

static void put_scene_json(FILE *stream, const xnord_model_info *model, const char *path,
                           const cloud *points, const scene_labels *scene) {
    size_t counts[256];
    count_labels(points, scene, counts);
    json j = json_start(stream);
    json_begin_object(&j, NULL);
    json_string(&j, "file", path);
    json_string(&j, "model", model->name);
    json_string(&j, "version", scene->version);
    json_uint(&j, "points", points->count);
    json_uint(&j, "dropped_points", points->dropped);
    json_bool(&j, "sampled_from_mesh", points->sampled);
    json_begin_array(&j, "classes");
    for (uint32_t i = 0; i < model->class_count; i++) {
        json_begin_object(&j, NULL);
        json_string(&j, "name", model->classes[i]);
        json_uint(&j, "class_id", i);
        json_uint(&j, "points", counts[i]);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_uint(&j, "parts", scene->parts);
    json_begin_object(&j, "timing_us");
    json_uint(&j, "round_trip", scene->elapsed_us);
    json_uint(&j, "compute", scene->compute_us);
    json_end_object(&j);
    json_finish(&j);
}

// A row for each class that occurs; the first one names the file.
static void put_scene_rows(infer_output *output, const char *path, const cloud *points,
                           const scene_labels *scene) {
    size_t counts[256];
    bool first = true;
    count_labels(points, scene, counts);
    for (uint32_t i = 0; i < output->model->class_count; i++) {
        if (counts[i] == 0) continue;
        table_cell(&output->rows, "%s", first ? path : "");
        table_cell(&output->rows, "%s", output->model->classes[i]);
        table_cell(&output->rows, "%zu", counts[i]);
        table_cell(&output->rows, "%.1f %%", 100.0 * (double)counts[i] / (double)points->count);
        if (first)
            table_cell(&output->rows, "%.2f", (double)scene->elapsed_us / 1000);
        else
            table_cell(&output->rows, "%s", "");
        first = false;
    }
}

static void put_row(infer_output *output, const char *path, const xnord_result *result) {
    const xnord_label *best = xnord_result_label(result, 0);
    table_cell(&output->rows, "%s", path);
    table_cell(&output->rows, "%s", best ? best->name : "-");
    table_cell(&output->rows, "%.3f", best ? (double)best->confidence : 0.0);
    table_cell(&output->rows, "%.2f", (double)xnord_result_timing(result)->round_trip_us / 1000);
    if (!output->further) return;
    char further[4096] = "";
    size_t used = 0;
    for (uint32_t i = 1; i < xnord_result_label_count(result) && used < sizeof further; i++) {
        const xnord_label *label = xnord_result_label(result, i);
        used += (size_t)snprintf(further + used, sizeof further - used, "%s%s %.3f",
                                 i > 1 ? ", " : "", label->name, (double)label->confidence);
    }
    table_cell(&output->rows, "%s", further);
}

// What is written of a cloud, the answer for it or for its points, or of an image.
typedef struct subject {
    const char *path;
    const cloud *points;
    const xnord_result *result;
    const scene_labels *scene; // NULL: `result` or `image`
    const image_result *image;
} subject;

static void put_subject(const infer_output *output, FILE *stream, const subject *s) {
    if (s->image)
        image_result_json(s->image, stream);
    else if (s->scene)
        put_scene_json(stream, output->model, s->path, s->points, s->scene);
    else
        put_json(stream, s->path, s->points, s->result);
}

static char *target_of(const infer_output *output, const char *path, const char *suffix) {
    char *target;
    const char *name = files_base_name(path);
    return asprintf(&target, "%s/%s%s", output->folder, name, suffix) < 0 ? NULL : target;
}

static int write_json(const infer_output *output, const subject *s) {
    char *target = target_of(output, s->path, ".json");
    FILE *stream = target ? fopen(target, "we") : NULL;
    bool good = stream != NULL;
    if (stream) {
        put_subject(output, stream, s);
        good = !ferror(stream);
        good = fclose(stream) == 0 && good;
    }
    if (!good) fprintf(stderr, "%s: cannot write: %s\n", target ? target : "?", strerror(errno));
    free(target);
    return good ? XNORCTL_OK : XNORCTL_FAILED;
}

static int write_scene(const infer_output *output, const subject *s) {
    static const struct {
        const char *suffix;
        xnor_status (*write)(const char *path, const cloud *points, const uint8_t *labels,
                             uint32_t class_count, const char *const *classes);
    } files[] = {{".labels.ply", scene_write_ply}, {".top.png", scene_write_top_view}};
    int code = XNORCTL_OK;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *target = target_of(output, s->path, files[i].suffix);
        if (!target ||
            files[i].write(target, s->points, s->scene->labels, output->model->class_count,
                           output->model->classes) != XNOR_OK) {
            fprintf(stderr, "%s\n", target ? xnor_last_error() : "out of memory");
            code = XNORCTL_FAILED;
        }
        free(target);
    }
    return code;
}

int infer_output_result(infer_output *output, const char *path, const cloud *points,
                        const xnord_result *result) {
    if (output->as_json)
        put_json(stdout, path, points, result);
    else
        put_row(output, path, result);
    const subject s = {.path = path, .points = points, .result = result};
    return output->folder ? write_json(output, &s) : XNORCTL_OK;
}

int infer_output_scene(infer_output *output, const char *path, const cloud *points,
                       const scene_labels *scene) {
    if (output->as_json)
        put_scene_json(stdout, output->model, path, points, scene);
    else
        put_scene_rows(output, path, points, scene);
    const subject s = {.path = path, .points = points, .scene = scene};
    if (!output->folder) return XNORCTL_OK;
    const int code = write_json(output, &s);
    return write_scene(output, &s) == XNORCTL_OK ? code : XNORCTL_FAILED;
}

int infer_output_image(infer_output *output, const image_result *result) {
    if (output->as_json)
        image_result_json(result, stdout);
    else
        image_result_rows(result, &output->rows);
    const subject s = {.path = result->path, .image = result};
    if (!output->folder) return XNORCTL_OK;
    const int code = write_json(output, &s);
    if (image_result_write(result, output->folder) == XNOR_OK) return code;
    fprintf(stderr, "%s\n", xnor_last_error());
    return XNORCTL_FAILED;
}

void infer_output_failure(infer_output *output, const char *path, const char *status,
                          const char *message) {
    if (!output->as_json) return;
    json j = json_start(stdout);
    json_begin_object(&j, NULL);
    json_string(&j, "file", path);
    json_begin_object(&j, "error");
    json_string(&j, "status", status);
    json_string(&j, "message", message);
    json_end_object(&j);
    json_finish(&j);
}

void infer_output_finish(infer_output *output) {
    if (output->rows.cell_count) table_print(&output->rows, stdout);
    table_free(&output->rows);
}
