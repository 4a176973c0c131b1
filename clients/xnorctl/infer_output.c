#include "clients/xnorctl/infer_output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clients/xnorctl/commands.h"
#include "clients/xnorctl/files.h"
#include "clients/xnorctl/json.h"

infer_output infer_output_start(bool as_json, const char *folder, uint64_t top_k) {
    static const char *const titles[] = {"FILE", "LABEL", ">CONFIDENCE", ">LATENCY ms", "FURTHER"};
    infer_output output = {.as_json = as_json, .folder = folder, .further = top_k > 1};
    output.rows = table_start(titles, output.further ? 5 : 4);
    return output;
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

static int write_file(const infer_output *output, const char *path, const cloud *points,
                      const xnord_result *result) {
    char *target;
    if (asprintf(&target, "%s/%s.json", output->folder, files_base_name(path)) < 0)
        return XNORCTL_FAILED;
    FILE *stream = fopen(target, "we");
    bool good = stream != NULL;
    if (stream) {
        put_json(stream, path, points, result);
        good = !ferror(stream);
        good = fclose(stream) == 0 && good;
    }
    if (!good) fprintf(stderr, "%s: cannot write: %s\n", target, strerror(errno));
    free(target);
    return good ? XNORCTL_OK : XNORCTL_FAILED;
}

int infer_output_result(infer_output *output, const char *path, const cloud *points,
                        const xnord_result *result) {
    if (output->as_json)
        put_json(stdout, path, points, result);
    else
        put_row(output, path, result);
    return output->folder ? write_file(output, path, points, result) : XNORCTL_OK;
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
