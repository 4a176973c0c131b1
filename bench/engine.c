#include "bench/engine.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/clock.h"
#include "clients/xnorctl/cloud.h"

enum { NEIGHBOURS = 6 };

xnor_shape engine_shape(const char *text) {
    xnor_shape shape = {0};
    for (char *end; *text && shape.rank < XNOR_MAX_RANK; text = *end ? end + 1 : end)
        shape.dims[shape.rank++] = strtoll(text, &end, 10);
    return shape;
}

// Uniform in [0, 1).
static double random_real(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 40) / (double)(1 << 24);
}

static void find_neighbours(const cloud *points, size_t i, size_t *nearest) {
    double best[NEIGHBOURS];
    for (size_t k = 0; k < NEIGHBOURS; k++) best[k] = DBL_MAX;
    for (size_t j = 0; j < points->count; j++) {
        double d = 0;
        for (size_t k = 0; k < 3; k++) {
            double side = (double)points->xyz[3 * i + k] - (double)points->xyz[3 * j + k];
            d += side * side;
        }
        if (j == i || d >= best[NEIGHBOURS - 1]) continue;
        size_t at = NEIGHBOURS - 1;
        for (; at > 0 && best[at - 1] > d; at--) {
            best[at] = best[at - 1];
            nearest[at] = nearest[at - 1];
        }
        best[at] = d;
        nearest[at] = j;
    }
}

// `count` points of the triangles between a point and two of its nearest, in random order.
static float *denser(const cloud *points, size_t count) {
    float *out = malloc(count * 3 * sizeof *out);
    size_t *nearest = calloc(points->count * NEIGHBOURS, sizeof *nearest);
    if (!out || !nearest) {
        free(out);
        free(nearest);
        return NULL;
    }
    uint64_t state = 1;
    for (size_t i = 0; i < points->count; i++) find_neighbours(points, i, nearest + i * NEIGHBOURS);
    for (size_t i = 0; i < count; i++) {
        size_t at = (size_t)(random_real(&state) * (double)points->count);
        const size_t *near = nearest + at * NEIGHBOURS;
        const float *p = points->xyz + 3 * at;
        const float *q = points->xyz + 3 * near[(size_t)(random_real(&state) * NEIGHBOURS)];
        const float *r = points->xyz + 3 * near[(size_t)(random_real(&state) * NEIGHBOURS)];
        double u = random_real(&state), v = random_real(&state);
        if (u + v > 1) {
            u = 1 - u;
            v = 1 - v;
        }
        for (size_t k = 0; k < 3; k++)
            out[3 * i + k] = (float)((double)p[k] + u * ((double)q[k] - (double)p[k]) +
                                     v * ((double)r[k] - (double)p[k]));
    }
    free(nearest);
    return out;
}

static xnor_status read_points(const char *path, size_t count, float *out) {
    const cloud_options options = {.sample_points = CLOUD_DEFAULT_SAMPLE_POINTS};
    const xnor_description d = {.points = (int64_t)count, .normalise = XNOR_NORMALISE_UNIT_SPHERE};
    cloud points;
    xnor_status status = cloud_read(path, &options, &points);
    if (status != XNOR_OK) return status;
    float *more = points.count < count ? denser(&points, count) : NULL;
    const xnor_cloud view = {more ? more : points.xyz, more ? count : points.count, 12};
    status = xnor_cloud_prepare(&d, &view, NULL, out);
    free(more);
    cloud_free(&points);
    return status;
}

// Spreads [points, 3] to [points, channels].
static void add_channels(const float *xyz, size_t points, size_t channels, float *out) {
    float low[3], high[3];
    uint64_t state = 2;
    memcpy(low, xyz, sizeof low);
    memcpy(high, xyz, sizeof high);
    for (size_t i = 0; i < 3 * points; i++) {
        if (xyz[i] < low[i % 3]) low[i % 3] = xyz[i];
        if (xyz[i] > high[i % 3]) high[i % 3] = xyz[i];
    }
    for (size_t i = 0; i < points; i++)
        for (size_t c = 0; c < channels; c++) {
            size_t axis = c % 3;
            float side = high[axis] > low[axis] ? high[axis] - low[axis] : 1;
            float place = (xyz[3 * i + axis] - low[axis]) / side;
            float colour = 0.3f + 0.4f * place + 0.02f * (float)(random_real(&state) - 0.5);
            out[i * channels + c] = c < 3 ? xyz[3 * i + c] : c < 6 ? colour : place;
        }
}

// Waves with some noise and, over them, discs of one colour.
static void draw_picture(size_t planes, size_t height, size_t width, float *out) {
    uint64_t state = 3;
    size_t pixels = height * width;
    for (size_t plane = 0; plane < planes; plane++) {
        double a = 0.02 + 0.08 * random_real(&state), b = 0.02 + 0.08 * random_real(&state);
        for (size_t i = 0; i < pixels; i++)
            out[plane * pixels + i] =
                (float)(sin(a * (double)(i / width)) + cos(b * (double)(i % width)) +
                        0.1 * (random_real(&state) - 0.5));
    }
    for (int disc = 0; disc < 24; disc++) {
        double y = random_real(&state) * (double)height, x = random_real(&state) * (double)width;
        double radius = random_real(&state) * (double)height / 6;
        for (size_t i = 0; i < planes * pixels; i++) {
            double dy = (double)(i % pixels / width) - y, dx = (double)(i % width) - x;
            if (dy * dy + dx * dx < radius * radius)
                out[i] = (float)((disc + (int)(i / pixels)) % 5 - 2);
        }
    }
}

static xnor_status fill_input(const char *const *clouds, xnor_tensor *input) {
    const int64_t *dims = input->shape.dims;
    if (input->shape.rank == 4) {
        draw_picture((size_t)(dims[0] * dims[1]), (size_t)dims[2], (size_t)dims[3], input->data);
        return XNOR_OK;
    }
    if (input->shape.rank != 3 || dims[2] < 3) abort(); // the script gives the shapes
    size_t points = (size_t)dims[1], channels = (size_t)dims[2];
    float *xyz = malloc(points * 3 * sizeof *xyz);
    const char *const *next = clouds;
    xnor_status status = XNOR_OK;
    if (!xyz) abort();
    for (int64_t i = 0; i < dims[0] && status == XNOR_OK; i++) {
        status = read_points(*next, points, xyz);
        if (status == XNOR_OK)
            add_channels(xyz, points, channels,
                         (float *)input->data + (size_t)i * points * channels);
        if (!*++next) next = clouds;
    }
    free(xyz);
    return status;
}

static xnor_status allocate(xnor_tensor *tensor) {
    size_t bytes = 0;
    xnor_status status = xnor_tensor_bytes(tensor->dtype, &tensor->shape, &bytes);
    if (status != XNOR_OK) return status;
    tensor->data = malloc(bytes + 1);
    if (!tensor->data) abort();
    return XNOR_OK;
}

xnor_status engine_start(engine *e, const char *model, xnor_shape shape, const char *const *clouds,
                         xnor_pool *pool) {
    *e = (engine){0};
    xnor_status status = xnor_model_open(model, NULL, &e->model);
    if (status == XNOR_OK) status = xnor_plan_create(e->model, &shape, &e->plan);
    if (status == XNOR_OK) status = xnor_session_create(e->plan, pool, &e->session);
    if (status != XNOR_OK) return status;
    e->input = (xnor_tensor){XNOR_F32, shape, NULL};
    status = allocate(&e->input);
    for (uint32_t i = 0; status == XNOR_OK && i < xnor_model_output_count(e->model); i++) {
        e->outputs[i] = (xnor_tensor){xnor_model_output(e->model, i)->dtype,
                                      *xnor_plan_output_shape(e->plan, i), NULL};
        status = allocate(&e->outputs[i]);
    }
    return status == XNOR_OK ? fill_input(clouds, &e->input) : status;
}

void engine_stop(engine *e) {
    if (e->session) xnor_session_free(&e->session);
    if (e->plan) xnor_plan_unref(&e->plan);
    if (e->model) xnor_model_unref(&e->model);
    free(e->input.data);
    for (uint32_t i = 0; i < XNOR_MAX_PORTS; i++) free(e->outputs[i].data);
}

xnor_status engine_run(engine *e, double *ms) {
    double start = bench_now_ms();
    xnor_status status = xnor_session_run(e->session, &e->input, e->outputs, NULL);
    *ms = bench_now_ms() - start;
    return status;
}
