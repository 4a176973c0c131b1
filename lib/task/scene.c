// Scenes cut into blocks, and the labels of their points put together again.
#include <math.h>
#include <stdlib.h>

#include "task/points.h"

// Farther out, blocks would lose points to rounding long before.
#define MAX_SQUARE 1073741824.0 // 2^30
#define DIGIT_BITS 11
#define DIGITS (1u << DIGIT_BITS)

typedef struct block {
    uint32_t first, count; // in `points`
    uint32_t first_run;
    int32_t square[2];
    float low; // z
} block;

struct xnor_scene {
    const xnor_description *description;
    xnor_cloud cloud;
    uint32_t *points; // numbers of all points, block after block
    block *blocks;
    size_t block_count;
    size_t run_count;
    // z in the cell of each of `points`; NULL when no channel asks
    float *cell_low, *cell_high, *cell_storey;
};

// ---- sorting ------------------------------------------------------------------------------------

typedef struct sorter {
    uint32_t *order, *other, *keys; // [count]
} sorter;

static uint32_t square_of(float coordinate, float side) {
    return (uint32_t)((int64_t)floor((double)coordinate / (double)side) + (int64_t)MAX_SQUARE);
}

static float coordinate(const xnor_cloud *cloud, size_t i, int axis) {
    float p[3];
    xnor_point(cloud, i, p);
    return p[axis];
}

// Stable, by squares of `side` along one axis: radix sort, so that no order of points is slow.
static void sort_along(const xnor_cloud *cloud, int axis, float side, sorter *s) {
    uint32_t lowest = UINT32_MAX, highest = 0;
    for (size_t i = 0; i < cloud->count; i++) {
        const uint32_t key = square_of(coordinate(cloud, i, axis), side);
        s->keys[i] = key;
        if (key < lowest) lowest = key;
        if (key > highest) highest = key;
    }
    for (unsigned shift = 0; shift < 32 && (highest - lowest) >> shift > 0; shift += DIGIT_BITS) {
        uint32_t starts[DIGITS + 1] = {0};
        for (size_t i = 0; i < cloud->count; i++)
            starts[((s->keys[i] - lowest) >> shift) % DIGITS + 1]++;
        for (size_t d = 0; d < DIGITS; d++) starts[d + 1] += starts[d];
        for (size_t i = 0; i < cloud->count; i++) {
            const uint32_t point = s->order[i];
            s->other[starts[((s->keys[point] - lowest) >> shift) % DIGITS]++] = point;
        }
        uint32_t *sorted = s->other;
        s->other = s->order;
        s->order = sorted;
    }
}

// Without blocks all points are in one.
static bool same_block(const xnor_scene *scene, size_t a, size_t b) {
    const float side = scene->description->block;
    float p[3], q[3];
    if (!(side > 0)) return true;
    xnor_point(&scene->cloud, a, p);
    xnor_point(&scene->cloud, b, q);
    return square_of(p[0], side) == square_of(q[0], side) &&
           square_of(p[1], side) == square_of(q[1], side);
}

static void sort_by_block(const xnor_scene *scene, sorter *s) {
    const float side = scene->description->block;
    for (size_t i = 0; i < scene->cloud.count; i++) s->order[i] = (uint32_t)i;
    for (int axis = 1; side > 0 && axis >= 0; axis--) sort_along(&scene->cloud, axis, side, s);
}

// ---- blocks -------------------------------------------------------------------------------------

static xnor_status check_extent(const xnor_description *d, const xnor_cloud *cloud) {
    const double limit = MAX_SQUARE * (double)d->block;
    for (size_t i = 0; d->block > 0 && i < cloud->count; i++) {
        float p[3];
        xnor_point(cloud, i, p);
        if (fabs((double)p[0]) < limit && fabs((double)p[1]) < limit) continue;
        return xnor_fail(XNOR_E_LIMIT, "point %zu at (%g, %g, %g) lies too far from the origin", i,
                         (double)p[0], (double)p[1], (double)p[2]);
    }
    return XNOR_OK;
}

static xnor_status count_blocks(xnor_scene *scene) {
    scene->block_count = 1;
    for (size_t i = 1; i < scene->cloud.count; i++)
        scene->block_count += !same_block(scene, scene->points[i - 1], scene->points[i]);
    if (scene->block_count <= XNOR_SCENE_MAX_RUNS) return XNOR_OK;
    return xnor_fail(XNOR_E_LIMIT, "the cloud covers %zu blocks, at most %d are accepted",
                     scene->block_count, XNOR_SCENE_MAX_RUNS);
}

static void begin_block(const xnor_scene *scene, size_t first, block *out) {
    const float side = scene->description->block;
    *out = (block){.first = (uint32_t)first, .low = INFINITY};
    for (int axis = 0; side > 0 && axis < 2; axis++)
        out->square[axis] = (int32_t)floor(
            (double)coordinate(&scene->cloud, scene->points[first], axis) / (double)side);
}

static void fill_blocks(xnor_scene *scene) {
    block *current = scene->blocks;
    begin_block(scene, 0, current);
    for (size_t i = 0; i < scene->cloud.count; i++) {
        if (i > 0 && !same_block(scene, scene->points[i - 1], scene->points[i]))
            begin_block(scene, i, ++current);
        const float z = coordinate(&scene->cloud, scene->points[i], 2);
        if (z < current->low) current->low = z;
        current->count++;
    }
}

// Where a coordinate lies in its block, from 0 to its side but for rounding.
static double inside(const block *b, float side, const float p[3], int axis) {
    return (double)p[axis] - b->square[axis] * (double)side;
}

static size_t cell_of(const xnor_description *d, const block *b, const float p[3]) {
    size_t cell[2];
    for (int axis = 0; axis < 2; axis++) {
        const double at = floor(inside(b, d->block, p, axis) / ((double)d->block / d->cells));
        cell[axis] = at < 0 ? 0 : at >= d->cells ? d->cells - 1 : (size_t)at;
    }
    return cell[1] * d->cells + cell[0];
}

static void fill_cells(xnor_scene *scene, const block *b) {
    const xnor_description *d = scene->description;
    struct {
        float low, high, storey;
    } cells[XNOR_MAX_CELLS * XNOR_MAX_CELLS];
    for (size_t c = 0; c < (size_t)d->cells * d->cells; c++) {
        cells[c].low = INFINITY;
        cells[c].high = cells[c].storey = -INFINITY;
    }
    for (int pass = 0; pass < 3; pass++)
        for (size_t i = b->first; i < b->first + b->count; i++) {
            float p[3];
            xnor_point(&scene->cloud, scene->points[i], p);
            const size_t c = cell_of(d, b, p);
            if (pass == 0) {
                cells[c].low = fminf(cells[c].low, p[2]);
                cells[c].high = fmaxf(cells[c].high, p[2]);
            } else if (pass == 1) {
                if ((double)p[2] - (double)cells[c].low < (double)d->scale)
                    cells[c].storey = fmaxf(cells[c].storey, p[2]);
            } else {
                scene->cell_low[i] = cells[c].low;
                scene->cell_high[i] = cells[c].high;
                scene->cell_storey[i] = cells[c].storey;
            }
        }
}

static bool needs_cells(const xnor_description *d) {
    for (uint32_t c = 0; c < d->channel_count; c++)
        if (d->channels[c] >= XNOR_CHANNEL_CELL_HEIGHT) return true;
    return false;
}

static size_t runs_of(const xnor_description *d, const block *b) {
    const size_t points = d->points > 0 ? (size_t)d->points : b->count;
    return (b->count + points - 1) / points;
}

static xnor_status number_runs(xnor_scene *scene) {
    size_t runs = 0;
    for (size_t i = 0; i < scene->block_count; i++) {
        scene->blocks[i].first_run = (uint32_t)runs;
        runs += runs_of(scene->description, &scene->blocks[i]);
    }
    scene->run_count = runs;
    if (runs <= XNOR_SCENE_MAX_RUNS) return XNOR_OK;
    return xnor_fail(XNOR_E_LIMIT,
                     "the cloud takes %zu runs of the network, at most %d are "
                     "accepted",
                     runs, XNOR_SCENE_MAX_RUNS);
}

// The sorter's other arrays, which are of the same size, become those of the cells.
static xnor_status make(xnor_scene *scene, sorter *s) {
    const size_t count = scene->cloud.count;
    s->order = malloc(count * sizeof *s->order);
    s->other = malloc(count * sizeof *s->other);
    s->keys = malloc(count * sizeof *s->keys);
    if (!s->order || !s->other || !s->keys)
        return xnor_fail(XNOR_E_MEMORY, "no memory for a scene of %zu points", count);
    sort_by_block(scene, s);
    scene->points = s->order;
    s->order = NULL;
    XNOR_TRY(count_blocks(scene));
    scene->blocks = malloc(scene->block_count * sizeof *scene->blocks);
    if (!scene->blocks)
        return xnor_fail(XNOR_E_MEMORY, "no memory for %zu blocks", scene->block_count);
    fill_blocks(scene);
    if (needs_cells(scene->description)) {
        scene->cell_low = (float *)(void *)s->other;
        scene->cell_high = (float *)(void *)s->keys;
        s->other = s->keys = NULL;
        scene->cell_storey = malloc(count * sizeof *scene->cell_storey);
        if (!scene->cell_storey)
            return xnor_fail(XNOR_E_MEMORY, "no memory for a scene of %zu points", count);
        for (size_t i = 0; i < scene->block_count; i++) fill_cells(scene, &scene->blocks[i]);
    }
    return number_runs(scene);
}

size_t xnor_scene_bytes(size_t count) {
    const size_t blocks = count < XNOR_SCENE_MAX_RUNS ? count : XNOR_SCENE_MAX_RUNS;
    return sizeof(xnor_scene) + 4 * count * sizeof(uint32_t) + blocks * sizeof(block);
}

xnor_status xnor_scene_create(const xnor_description *description, const xnor_cloud *cloud,
                              xnor_scene **out) {
    XNOR_TRY(xnor_points_check(description, cloud));
    XNOR_TRY(check_extent(description, cloud));
    if (needs_cells(description) && (description->cells == 0 || !(description->block > 0)))
        return xnor_fail(XNOR_E_ARGUMENT, "channels of cells need blocks with cells");
    if (cloud->count > UINT32_MAX)
        return xnor_fail(XNOR_E_LIMIT, "the cloud has %zu points, at most %u are accepted",
                         cloud->count, UINT32_MAX);
    xnor_scene *scene = calloc(1, sizeof *scene);
    if (!scene) return xnor_fail(XNOR_E_MEMORY, "no memory for a scene");
    scene->description = description;
    scene->cloud = *cloud;
    sorter s = {NULL, NULL, NULL};
    const xnor_status status = make(scene, &s);
    free(s.order);
    free(s.other);
    free(s.keys);
    if (status != XNOR_OK) {
        xnor_scene_free(&scene);
        return status;
    }
    *out = scene;
    return XNOR_OK;
}

void xnor_scene_free(xnor_scene **scene) {
    if (!*scene) return;
    free((*scene)->points);
    free((*scene)->cell_low);
    free((*scene)->cell_high);
    free((*scene)->cell_storey);
    free((*scene)->blocks);
    free(*scene);
    *scene = NULL;
}

// ---- runs ---------------------------------------------------------------------------------------

// Slot s of a run, s < own, holds points[first + s * step]; further slots repeat these.
typedef struct run_view {
    const block *block;
    size_t first, step, own, slots;
} run_view;

static run_view view(const xnor_scene *scene, size_t run) {
    size_t low = 0, high = scene->block_count - 1;
    while (low < high) {
        const size_t middle = high - (high - low) / 2;
        if (scene->blocks[middle].first_run <= run)
            low = middle;
        else
            high = middle - 1;
    }
    const block *b = &scene->blocks[low];
    const size_t step = runs_of(scene->description, b), j = run - b->first_run;
    const int64_t points = scene->description->points;
    return (run_view){.block = b,
                      .first = b->first + j,
                      .step = step,
                      .own = (b->count - j + step - 1) / step,
                      .slots = points > 0 ? (size_t)points : b->count};
}

size_t xnor_scene_run_count(const xnor_scene *scene) {
    return scene->run_count;
}

size_t xnor_scene_run_points(const xnor_scene *scene, size_t run) {
    return view(scene, run).slots;
}

size_t xnor_scene_members(const xnor_scene *scene, size_t run, uint32_t *points) {
    const run_view v = view(scene, run);
    for (size_t s = 0; s < v.own; s++) points[s] = scene->points[v.first + s * v.step];
    return v.own;
}

// Channels of points[at]. In double, rounded once; train/scenes.py does the same.
static void channels_of(const xnor_scene *scene, const block *b, size_t at, float *out) {
    const xnor_description *d = scene->description;
    const bool blocks = d->normalise == XNOR_NORMALISE_BLOCK;
    const double half = (double)d->block / 2, scale = (double)d->scale;
    float p[3];
    xnor_point(&scene->cloud, scene->points[at], p);
    for (size_t c = 0; c < xnor_channels(d); c++) {
        const xnor_channel channel = xnor_channel_at(d, c);
        const int axis = (int)channel;
        double value = 0;
        switch (channel) {
        case XNOR_CHANNEL_X:
        case XNOR_CHANNEL_Y:
            value = blocks ? inside(b, d->block, p, axis) / half - 1 : (double)p[axis];
            break;
        case XNOR_CHANNEL_Z:
            value = blocks ? ((double)p[2] - (double)b->low) / half : (double)p[2];
            break;
        case XNOR_CHANNEL_HEIGHT:
            value = ((double)p[2] - (double)b->low) / scale;
            break;
        case XNOR_CHANNEL_CELL_HEIGHT:
            value = ((double)p[2] - (double)scene->cell_low[at]) / scale;
            break;
        case XNOR_CHANNEL_CELL_LOW:
            value = 2 * fmin((double)p[2] - (double)scene->cell_low[at], 1) - 1;
            break;
        case XNOR_CHANNEL_CELL_TOP:
            value = ((double)scene->cell_high[at] - (double)scene->cell_low[at]) / scale;
            break;
        case XNOR_CHANNEL_CELL_STOREY:
            value = ((double)scene->cell_storey[at] - (double)scene->cell_low[at]) / scale;
            break;
        }
        out[c] = (float)value;
    }
}

void xnor_scene_prepare(const xnor_scene *scene, size_t run, float *out) {
    const xnor_description *d = scene->description;
    const run_view v = view(scene, run);
    const xnor_axes at = xnor_axes_of(d, v.slots);
    for (size_t s = 0; s < v.slots; s++) {
        float values[XNOR_MAX_CHANNELS];
        channels_of(scene, v.block, v.first + s % v.own * v.step, values);
        for (size_t c = 0; c < xnor_channels(d); c++) out[s * at.point + c * at.axis] = values[c];
    }
    if (d->normalise == XNOR_NORMALISE_UNIT_SPHERE) xnor_to_unit_sphere(out, v.slots, at);
}

// The first of the largest; class_count when only NaN is there.
static uint32_t best_class(const float *scores, uint32_t count) {
    uint32_t best = count;
    for (uint32_t c = 0; c < count; c++)
        if (!isnan(scores[c]) && (best == count || scores[c] > scores[best])) best = c;
    return best;
}

void xnor_scene_label(const xnor_scene *scene, size_t run, const float *scores, uint8_t *labels,
                      float *confidences) {
    const xnor_description *d = scene->description;
    const run_view v = view(scene, run);
    for (size_t s = 0; s < v.own; s++) {
        const float *row = scores + s * d->class_count;
        const uint32_t point = scene->points[v.first + s * v.step],
                       best = best_class(row, d->class_count);
        const bool known = best < d->class_count;
        labels[point] = known ? (uint8_t)best : 0;
        if (!confidences) continue;
        const double confidence =
            known ? xnor_confidence(d->output_kind, row, d->class_count, best) : 0;
        confidences[point] = isnan(confidence) ? 0 : (float)confidence;
    }
}
