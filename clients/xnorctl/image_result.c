#include "clients/xnorctl/image_result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clients/xnorctl/files.h"
#include "clients/xnorctl/image_files.h"
#include "clients/xnorctl/json.h"
#include "core/status.h"

typedef struct output_kind output_kind;

// One tensor of the answer.
typedef struct part {
    const image_result *result;
    const xnord_tensor *tensor;
    const xnord_image_output *output;
    const output_kind *kind;
} part;

struct output_kind {
    const char *kind, *form; // "depth", "millimetres"; form NULL: the plain one
    xnord_datatype datatype;
    uint32_t rank;
    void (*rows)(const part *p, const char **first, table *rows);
    void (*json)(const part *p, json *j);
    xnor_status (*write)(const part *p, const char *path);
    const char *suffix; // of the file
};

static size_t pixels_of(const part *p) {
    return p->result->image->width * p->result->image->height;
}

// The first row of a file has its name, and how long it took.
static void put_row(const part *p, const char **first, table *rows, const char *found,
                    const char *amount) {
    table_cell(rows, "%s", *first);
    table_cell(rows, "%s", p->output->name);
    table_cell(rows, "%s", found);
    table_cell(rows, "%s", amount);
    if (**first)
        table_cell(rows, "%.2f",
                   (double)xnord_result_timing(p->result->answer)->round_trip_us / 1000);
    else
        table_cell(rows, "%s", "");
    *first = "";
}

static void put_share(const part *p, const char **first, table *rows, const char *found,
                      size_t count) {
    char amount[32];
    snprintf(amount, sizeof amount, "%.1f %%", 100.0 * (double)count / (double)pixels_of(p));
    put_row(p, first, rows, found, amount);
}

// ---- segmentation -------------------------------------------------------------------------------

static void count_labels(const part *p, size_t counts[256]) {
    const uint8_t *labels = p->tensor->data;
    memset(counts, 0, 256 * sizeof *counts);
    for (size_t i = 0; i < pixels_of(p); i++) counts[labels[i]]++;
}

static void label_rows(const part *p, const char **first, table *rows) {
    size_t counts[256];
    count_labels(p, counts);
    for (uint32_t c = 0; c < p->output->class_count; c++)
        if (counts[c] > 0) put_share(p, first, rows, p->output->classes[c], counts[c]);
}

static void label_json(const part *p, json *j) {
    size_t counts[256];
    count_labels(p, counts);
    json_begin_array(j, "classes");
    for (uint32_t c = 0; c < p->output->class_count; c++) {
        json_begin_object(j, NULL);
        json_string(j, "name", p->output->classes[c]);
        json_uint(j, "class_id", c);
        json_uint(j, "pixels", counts[c]);
        json_end_object(j);
    }
    json_end_array(j);
}

static xnor_status write_labels(const part *p, const char *path) {
    char overlay[4096];
    const size_t stem = strlen(path) - strlen(p->kind->suffix);
    const int length = snprintf(overlay, sizeof overlay, "%.*s.overlay.png", (int)stem, path);
    if (length < 0 || (size_t)length >= sizeof overlay)
        return xnor_fail(XNOR_E_LIMIT, "%s: the name is too long", path);
    XNOR_TRY(image_write_labels(path, p->result->image, p->tensor->data, p->output));
    return image_write_overlay(overlay, p->result->image, p->tensor->data, p->output);
}

// ---- depth, normals, edges ----------------------------------------------------------------------

typedef struct depth_range {
    uint16_t low, high; // millimetres
    double mean;
    size_t count; // pixels with a depth
} depth_range;

static depth_range range_of(const part *p) {
    const uint16_t *millimetres = p->tensor->data;
    depth_range r = {.low = UINT16_MAX};
    for (size_t i = 0; i < pixels_of(p); i++) {
        if (millimetres[i] == 0) continue;
        if (millimetres[i] < r.low) r.low = millimetres[i];
        if (millimetres[i] > r.high) r.high = millimetres[i];
        r.mean += millimetres[i];
        r.count++;
    }
    if (r.count > 0) r.mean /= (double)r.count;
    return r;
}

static void depth_rows(const part *p, const char **first, table *rows) {
    const depth_range r = range_of(p);
    char found[64] = "nothing";
    if (r.count > 0)
        snprintf(found, sizeof found, "%.2f to %.2f m, mean %.2f m", r.low / 1000.0,
                 r.high / 1000.0, r.mean / 1000);
    put_share(p, first, rows, found, r.count);
}

static void depth_json(const part *p, json *j) {
    const depth_range r = range_of(p);
    json_uint(j, "pixels", r.count);
    if (r.count == 0) return;
    json_float(j, "min_m", (float)(r.low / 1000.0));
    json_float(j, "max_m", (float)(r.high / 1000.0));
    json_float(j, "mean_m", (float)(r.mean / 1000));
}

static xnor_status write_depth(const part *p, const char *path) {
    return image_write_millimetres(path, p->result->image, p->tensor->data);
}

static size_t count_normals(const part *p) {
    const float *n = p->tensor->data;
    size_t count = 0;
    for (size_t i = 0; i < pixels_of(p); i++)
        count += n[3 * i] != 0 || n[3 * i + 1] != 0 || n[3 * i + 2] != 0;
    return count;
}

static void normal_rows(const part *p, const char **first, table *rows) {
    put_share(p, first, rows, "normals", count_normals(p));
}

static void normal_json(const part *p, json *j) {
    json_uint(j, "pixels", count_normals(p));
}

static xnor_status write_normals(const part *p, const char *path) {
    return image_write_normals(path, p->result->image, p->tensor->data);
}

static size_t count_edges(const part *p) {
    const float *edges = p->tensor->data;
    size_t count = 0;
    for (size_t i = 0; i < pixels_of(p); i++) count += edges[i] > 0.5f;
    return count;
}

static void edge_rows(const part *p, const char **first, table *rows) {
    put_share(p, first, rows, "edges", count_edges(p));
}

static void edge_json(const part *p, json *j) {
    json_uint(j, "pixels", count_edges(p));
}

static xnor_status write_edges(const part *p, const char *path) {
    return image_write_edges(path, p->result->image, p->tensor->data);
}

// ---- boxes --------------------------------------------------------------------------------------

static const xnord_box *boxes_of(const part *p, size_t *count) {
    return xnord_result_boxes(p->result->answer, p->tensor->name, count);
}

static const char *class_of(const part *p, const xnord_box *box) {
    return p->output->classes[(uint32_t)box->class_id];
}

static void box_rows(const part *p, const char **first, table *rows) {
    size_t count = 0;
    const xnord_box *boxes = boxes_of(p, &count);
    for (size_t i = 0; i < count; i++) {
        char found[512], amount[16];
        snprintf(found, sizeof found, "%s at %.0f,%.0f %.0f x %.0f", class_of(p, &boxes[i]),
                 (double)boxes[i].left, (double)boxes[i].top,
                 (double)(boxes[i].right - boxes[i].left),
                 (double)(boxes[i].bottom - boxes[i].top));
        snprintf(amount, sizeof amount, "%.3f", (double)boxes[i].score);
        put_row(p, first, rows, found, amount);
    }
    if (count == 0) put_row(p, first, rows, "nothing", "-");
}

static void box_json(const part *p, json *j) {
    size_t count = 0;
    const xnord_box *boxes = boxes_of(p, &count);
    json_begin_array(j, "boxes");
    for (size_t i = 0; i < count; i++) {
        json_begin_object(j, NULL);
        json_string(j, "name", class_of(p, &boxes[i]));
        json_uint(j, "class_id", (uint32_t)boxes[i].class_id);
        json_float(j, "score", boxes[i].score);
        json_float(j, "left", boxes[i].left);
        json_float(j, "top", boxes[i].top);
        json_float(j, "right", boxes[i].right);
        json_float(j, "bottom", boxes[i].bottom);
        json_end_object(j);
    }
    json_end_array(j);
}

static xnor_status write_boxes(const part *p, const char *path) {
    size_t count = 0;
    const xnord_box *boxes = boxes_of(p, &count);
    return image_write_boxes(path, p->result->image, boxes, count, p->output);
}

// ---- anything else ------------------------------------------------------------------------------

static void other_rows(const part *p, const char **first, table *rows) {
    char found[128] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < p->tensor->rank && used < sizeof found; i++)
        used += (size_t)snprintf(found + used, sizeof found - used, "%s%lld", i ? " x " : "",
                                 (long long)p->tensor->shape[i]);
    put_row(p, first, rows, found, "-");
}

static void other_json(const part *p, json *j) {
    json_begin_array(j, "shape");
    for (uint32_t i = 0; i < p->tensor->rank; i++) json_int(j, NULL, p->tensor->shape[i]);
    json_end_array(j);
}

static xnor_status write_other(const part *p, const char *path) {
    return image_write_npy(path, p->tensor);
}

static const output_kind kinds[] = {
    {"segmentation", NULL, XNORD_UINT8, 2, label_rows, label_json, write_labels, ".png"},
    {"segmentation", "labels", XNORD_UINT8, 2, label_rows, label_json, write_labels, ".png"},
    {"depth", "millimetres", XNORD_UINT16, 2, depth_rows, depth_json, write_depth, ".png"},
    {"normals", NULL, XNORD_FP32, 3, normal_rows, normal_json, write_normals, ".png"},
    {"normals", "normals", XNORD_FP32, 3, normal_rows, normal_json, write_normals, ".png"},
    {"edges", NULL, XNORD_FP32, 2, edge_rows, edge_json, write_edges, ".png"},
    {"edges", "edges", XNORD_FP32, 2, edge_rows, edge_json, write_edges, ".png"},
    {"boxes", NULL, XNORD_FP32, 2, box_rows, box_json, write_boxes, ".png"},
    {"boxes", "boxes", XNORD_FP32, 2, box_rows, box_json, write_boxes, ".png"},
};
static const output_kind other = {"",         NULL,       XNORD_FP32,  0,
                                  other_rows, other_json, write_other, ".npy"};

static const output_kind *kind_of(const xnord_image_output *output, const char *form) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const output_kind *k = &kinds[i];
        if (strcmp(k->kind, output->kind) != 0 || (k->form == NULL) != (form == NULL)) continue;
        if (!form || strcmp(k->form, form) == 0) return k;
    }
    return &other;
}

// Tensor `index` of the answer; false: not one that the model describes.
static bool part_of(const image_result *r, uint32_t index, part *out) {
    const xnord_tensor *tensor = xnord_result_tensor(r->answer, index);
    const char *dot = strchr(tensor->name, '.');
    const size_t length = dot ? (size_t)(dot - tensor->name) : strlen(tensor->name);
    for (uint32_t i = 0; i < r->model->image_output_count; i++) {
        const xnord_image_output *output = &r->model->image_outputs[i];
        if (strlen(output->name) != length || memcmp(output->name, tensor->name, length) != 0)
            continue;
        *out = (part){r, tensor, output, kind_of(output, dot ? dot + 1 : NULL)};
        return true;
    }
    return false;
}

static xnor_status check_part(const part *p) {
    const image *in = p->result->image;
    const xnord_tensor *t = p->tensor;
    const bool boxes = p->kind->write == write_boxes;
    if (p->kind == &other) return XNOR_OK;
    bool good = t->datatype == p->kind->datatype && t->rank == p->kind->rank;
    if (good && boxes)
        good = t->shape[1] == 6;
    else if (good)
        good = t->shape[0] == (int64_t)in->height && t->shape[1] == (int64_t)in->width &&
               (t->rank < 3 || t->shape[2] == 3);
    if (!good)
        return xnor_fail(XNOR_E_FORMAT, "expected '%s' for %zu x %zu pixels, found another shape",
                         t->name, in->width, in->height);
    size_t count = 0;
    const xnord_box *box = boxes ? boxes_of(p, &count) : NULL;
    for (size_t i = 0; i < count && good; i++)
        good = box[i].class_id >= 0 && box[i].class_id < (float)p->output->class_count;
    const uint8_t *labels = p->kind->write == write_labels ? t->data : NULL;
    for (size_t i = 0; labels && i < pixels_of(p) && good; i++)
        good = labels[i] < p->output->class_count;
    return good ? XNOR_OK
                : xnor_fail(XNOR_E_FORMAT, "expected classes of '%s' below %u, found another",
                            t->name, p->output->class_count);
}

xnor_status image_result_check(const image_result *r) {
    for (uint32_t i = 0; i < xnord_result_tensor_count(r->answer); i++) {
        part p;
        if (!part_of(r, i, &p))
            return xnor_fail(XNOR_E_FORMAT, "found an answer '%s' that the model does not describe",
                             xnord_result_tensor(r->answer, i)->name);
        XNOR_TRY(check_part(&p));
    }
    return XNOR_OK;
}

void image_result_rows(const image_result *r, table *rows) {
    const char *first = r->path;
    for (uint32_t i = 0; i < xnord_result_tensor_count(r->answer); i++) {
        part p;
        if (part_of(r, i, &p)) p.kind->rows(&p, &first, rows);
    }
}

void image_result_json(const image_result *r, FILE *stream) {
    const xnord_timing *timing = xnord_result_timing(r->answer);
    json j = json_start(stream);
    json_begin_object(&j, NULL);
    json_string(&j, "file", r->path);
    json_string(&j, "model", xnord_result_model(r->answer));
    json_string(&j, "version", xnord_result_version(r->answer));
    json_uint(&j, "width", r->image->width);
    json_uint(&j, "height", r->image->height);
    json_begin_array(&j, "outputs");
    for (uint32_t i = 0; i < xnord_result_tensor_count(r->answer); i++) {
        part p;
        if (!part_of(r, i, &p)) continue;
        json_begin_object(&j, NULL);
        json_string(&j, "name", p.tensor->name);
        json_string(&j, "kind", p.output->kind);
        p.kind->json(&p, &j);
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

xnor_status image_result_write(const image_result *r, const char *folder) {
    for (uint32_t i = 0; i < xnord_result_tensor_count(r->answer); i++) {
        part p;
        char path[4096];
        if (!part_of(r, i, &p)) continue;
        const char *name = p.kind == &other ? p.tensor->name : p.output->name;
        const int length = snprintf(path, sizeof path, "%s/%s.%s%s", folder,
                                    files_base_name(r->path), name, p.kind->suffix);
        if (length < 0 || (size_t)length >= sizeof path)
            return xnor_fail(XNOR_E_LIMIT, "%s: the name is too long", r->path);
        XNOR_TRY(p.kind->write(&p, path));
    }
    return XNOR_OK;
}
