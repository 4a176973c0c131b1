#include "clients/xnorctl/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/xnorctl/progress.h"
#include "core/status.h"

// Parts of about so many points keep the daemon's other clients served and the bar moving.
#define PART_POINTS ((size_t)65536)
#define MESSAGE_OVERHEAD 4096 // bytes of a request beside its points
#define MAX_IN_FLIGHT 8
#define MAX_BUSY 200 // answers BUSY to one part before giving up
#define BUSY_MS 10

// Consecutive numbers of points in `order`.
typedef struct part {
    size_t first, count;
    xnord_request *handle;
    xnord_result *result;
    xnord_status status;
    uint32_t busy;
    char message[512];
} part;

typedef struct cut {
    uint32_t *order; // points, block after block
    part *parts;
    size_t count;
} cut;

// ---- cutting ------------------------------------------------------------------------------------

static size_t most_points(xnord_client *client, const xnord_model_info *model) {
    size_t most = (size_t)(xnord_client_max_message(client) - MESSAGE_OVERHEAD) / 12;
    if (model->cloud_max_points > 0 && model->cloud_max_points < most)
        most = (size_t)model->cloud_max_points;
    return most;
}

static void add_part(cut *c, size_t first, size_t count) {
    c->parts[c->count++] = (part){.first = first, .count = count};
}

// Blocks are never divided; one that is too large for the daemon is refused by it.
static xnor_status cut_blocks(const cloud *points, float block, size_t most, cut *c) {
    const xnor_description d = {.task = XNOR_TASK_SEGMENTATION, .block = block};
    const xnor_cloud view = {points->xyz, points->count, 12};
    xnor_scene *blocks = NULL;
    XNOR_TRY(xnor_scene_create(&d, &view, &blocks));
    const size_t runs = xnor_scene_run_count(blocks);
    const size_t wanted = most < PART_POINTS ? most : PART_POINTS;
    c->order = malloc(points->count * sizeof *c->order);
    c->parts = malloc(runs * sizeof *c->parts);
    size_t first = 0, end = 0;
    for (size_t run = 0; c->order && c->parts && run < runs; run++) {
        const size_t count = xnor_scene_members(blocks, run, c->order + end);
        if (end > first && end - first + count > wanted) {
            add_part(c, first, end - first);
            first = end;
        }
        end += count;
    }
    xnor_scene_free(&blocks);
    if (!c->order || !c->parts)
        return xnor_fail(XNOR_E_MEMORY, "no memory for a scene of %zu points", points->count);
    add_part(c, first, end - first);
    return XNOR_OK;
}

static xnor_status cut_nothing(const cloud *points, cut *c) {
    c->parts = malloc(sizeof *c->parts);
    if (!c->parts) return xnor_fail(XNOR_E_MEMORY, "no memory");
    add_part(c, 0, points->count);
    return XNOR_OK;
}

// ---- sending ------------------------------------------------------------------------------------

typedef struct sending {
    xnord_client *client;
    const xnord_model_info *model;
    const cloud *points;
    const scene_options *options;
    cut cut;
    float *xyz; // of the part that is being sent
} sending;

static void on_answer(void *user, xnord_status status, xnord_result *result) {
    part *p = user;
    p->status = status;
    p->result = result;
    if (status != XNORD_OK) snprintf(p->message, sizeof p->message, "%s", xnord_last_error());
}

static xnord_status send_part(sending *s, part *p) {
    const float *xyz = s->points->xyz;
    if (s->cut.order) {
        for (size_t i = 0; i < p->count; i++)
            memcpy(s->xyz + 3 * i, xyz + 3 * (size_t)s->cut.order[p->first + i], 12);
        xyz = s->xyz;
    }
    const xnord_tensor input = xnord_cloud_tensor(s->model->cloud_input, xyz, p->count);
    const xnord_infer_request request = {.model = s->model->name,
                                         .input_count = 1,
                                         .inputs = &input,
                                         .deadline_ms = s->options->deadline_ms};
    const xnord_status status = xnord_infer_async(s->client, &request, on_answer, p, &p->handle);
    if (status != XNORD_OK) {
        p->status = status;
        snprintf(p->message, sizeof p->message, "%s", xnord_last_error());
    }
    return status;
}

static void sleep_ms(long ms) {
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

// Waits for the answer; a part that found the queue full is sent again.
static xnord_status wait_for(sending *s, part *p) {
    while (p->handle) {
        xnord_request_wait(p->handle);
        xnord_request_free(&p->handle);
        if (p->status != XNORD_BUSY || ++p->busy > MAX_BUSY) break;
        sleep_ms(BUSY_MS);
        if (send_part(s, p) != XNORD_OK) break;
    }
    return p->status;
}

static xnord_status take_labels(const sending *s, part *p, scene_labels *out) {
    size_t count = 0;
    const uint8_t *labels = xnord_result_point_labels(p->result, &count);
    bool good = labels && count == p->count;
    for (size_t i = 0; good && i < count; i++) {
        const size_t point = s->cut.order ? s->cut.order[p->first + i] : i;
        good = labels[i] < s->model->class_count;
        out->labels[point] = labels[i];
    }
    out->compute_us += xnord_result_timing(p->result)->compute_us;
    snprintf(out->version, sizeof out->version, "%s", xnord_result_version(p->result));
    xnord_result_free(&p->result);
    if (good) return XNORD_OK;
    snprintf(p->message, sizeof p->message, "expected a label for each of %zu points, found others",
             p->count);
    return XNORD_E_PROTOCOL;
}

static xnord_status send_all(sending *s, scene_labels *out, const part **failed) {
    const size_t window =
        s->options->in_flight < MAX_IN_FLIGHT ? s->options->in_flight : MAX_IN_FLIGHT;
    progress bar = progress_start(s->options->title, s->cut.count);
    xnord_status status = XNORD_OK;
    size_t sent = 0, done = 0;
    while (done < s->cut.count && status == XNORD_OK) {
        while (status == XNORD_OK && sent < s->cut.count && sent < done + window) {
            *failed = &s->cut.parts[sent];
            status = send_part(s, &s->cut.parts[sent++]);
        }
        if (status != XNORD_OK) break;
        part *p = &s->cut.parts[done++];
        *failed = p;
        status = wait_for(s, p);
        if (status == XNORD_OK) status = take_labels(s, p, out);
        progress_step(&bar);
    }
    progress_clear(&bar);
    for (; done < sent; done++) { // after a failure
        part *p = &s->cut.parts[done];
        if (p->handle) xnord_request_cancel(p->handle);
        if (p->handle) xnord_request_wait(p->handle);
        xnord_request_free(&p->handle);
        xnord_result_free(&p->result);
    }
    return status;
}

static size_t largest_part(const cut *c) {
    size_t largest = 0;
    for (size_t i = 0; i < c->count; i++)
        if (c->parts[i].count > largest) largest = c->parts[i].count;
    return largest;
}

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

xnord_status scene_segment(xnord_client *client, const xnord_model_info *model, const cloud *points,
                           const scene_options *options, scene_labels *out, char *message,
                           size_t message_size) {
    sending s = {.client = client, .model = model, .points = points, .options = options};
    scene_labels made = {.labels = malloc(points->count)};
    const part *failed = NULL;
    xnord_status status = XNORD_E_MEMORY;
    const size_t most = most_points(client, model);
    const bool divided =
        model->cloud_block > 0 && (points->count > PART_POINTS || points->count > most);
    const xnor_status cut_status = divided ? cut_blocks(points, model->cloud_block, most, &s.cut)
                                           : cut_nothing(points, &s.cut);
    if (divided && cut_status == XNOR_OK) s.xyz = malloc(largest_part(&s.cut) * 12);
    if (cut_status != XNOR_OK) {
        status = cut_status == XNOR_E_MEMORY ? XNORD_E_MEMORY : XNORD_TOO_LARGE;
        snprintf(message, message_size, "%s", xnor_last_error());
    } else if (!made.labels || (divided && !s.xyz)) {
        snprintf(message, message_size, "no memory for a scene of %zu points", points->count);
    } else {
        const uint64_t start = now_us();
        status = send_all(&s, &made, &failed);
        made.elapsed_us = now_us() - start;
        made.parts = s.cut.count;
        if (status != XNORD_OK && failed) snprintf(message, message_size, "%s", failed->message);
    }
    free(s.xyz);
    free(s.cut.order);
    free(s.cut.parts);
    if (status == XNORD_OK)
        *out = made;
    else
        scene_free(&made);
    return status;
}

void scene_free(scene_labels *scene) {
    free(scene->labels);
    *scene = (scene_labels){0};
}
