// What a network makes of an image -> labels, metres, normals, edges, boxes.
#include <float.h>
#include <math.h>
#include <string.h>

#include "core/size.h"
#include "task/map.h"
#include "task/points.h"

typedef struct form {
    const char *name;
    xnor_image_kind kind;
    xnor_answer_type type;
} form;

static const form forms[] = {
#define FORM(id, text, kind, type)                                                                 \
    [XNOR_ANSWER_##id] = {text, XNOR_IMAGE_##kind, XNOR_ANSWER_OF_##type},
    XNOR_ANSWER_TABLE(FORM)
#undef FORM
};
enum { FORMS = sizeof forms / sizeof *forms };

static size_t type_bytes(xnor_answer_type type) {
    return type == XNOR_ANSWER_OF_F32 ? 4 : type == XNOR_ANSWER_OF_U16 ? 2 : 1;
}

bool xnor_answer_find(const xnor_description *description, const char *name, size_t size,
                      xnor_answer *out) {
    for (uint32_t i = 0; i < description->image_output_count; i++) {
        const xnor_image_output *output = &description->image_outputs[i];
        const size_t length = strlen(output->name);
        if (size < length || memcmp(name, output->name, length) != 0) continue;
        if (size > length && name[length] != '.') continue;
        const char *rest = size > length ? name + length + 1 : NULL;
        const size_t rest_size = rest ? size - length - 1 : 0;
        for (uint32_t f = 0; f < FORMS; f++) {
            if (forms[f].kind != output->kind) continue;
            if (rest &&
                (strlen(forms[f].name) != rest_size || memcmp(forms[f].name, rest, rest_size) != 0))
                continue;
            *out = (xnor_answer){.output = i, .form = (xnor_answer_form)f};
            return true;
        }
    }
    return false;
}

// ---- shapes -------------------------------------------------------------------------------------

static const xnor_image_output *output_of(const xnor_description *d, const xnor_answer *answer) {
    return &d->image_outputs[answer->output];
}

static xnor_status map_of(const xnor_image_output *o, const xnor_image_frame *frame,
                          const xnor_tensor *outputs, uint32_t port, size_t channels,
                          xnor_map *out) {
    return xnor_map_of(&outputs[o->ports[port]], o->channels_first, channels, frame, out);
}

static size_t channels_of(const xnor_image_output *o) {
    if (o->class_count > 0) return o->class_count;
    return o->kind == XNOR_IMAGE_NORMALS ? 3 : 1;
}

static size_t width_of(const xnor_answer *answer, const xnor_image_frame *f, const xnor_map *map) {
    return answer->at_network ? map->width : f->image_width;
}

static size_t height_of(const xnor_answer *answer, const xnor_image_frame *f, const xnor_map *map) {
    return answer->at_network ? map->height : f->image_height;
}

// Values for each pixel.
static size_t depth_of(const xnor_answer *answer, const xnor_map *map) {
    const bool many =
        answer->form == XNOR_ANSWER_PROBABILITIES || answer->form == XNOR_ANSWER_NORMALS;
    return many ? map->channels : 0;
}

xnor_status xnor_answer_shape(const xnor_description *description, const xnor_answer *answer,
                              const xnor_image_frame *frame, const xnor_tensor *outputs,
                              xnor_answer_type *type, xnor_shape *shape, size_t *bytes) {
    const xnor_image_output *o = output_of(description, answer);
    xnor_map map;
    xnor_shape s;
    if (answer->form == XNOR_ANSWER_RAW) {
        s = outputs[o->ports[0]].shape;
    } else {
        XNOR_TRY(map_of(o, frame, outputs, 0, channels_of(o), &map));
        const size_t depth = depth_of(answer, &map);
        s = (xnor_shape){depth > 0 ? 3 : 2,
                         {(int64_t)height_of(answer, frame, &map),
                          (int64_t)width_of(answer, frame, &map), (int64_t)depth}};
    }
    if (answer->form == XNOR_ANSWER_BOXES) {
        XNOR_TRY(map_of(o, frame, outputs, 1, 2, &map));
        XNOR_TRY(map_of(o, frame, outputs, 2, 2, &map));
        s = (xnor_shape){2, {XNOR_MAX_BOXES, 6}};
    }
    size_t size = type_bytes(forms[answer->form].type);
    for (uint32_t i = 0; i < s.rank; i++)
        if (!xnor_size_mul(size, (size_t)s.dims[i], &size))
            return xnor_fail(XNOR_E_LIMIT, "'%s' is too large", o->name);
    *type = forms[answer->form].type;
    *shape = s;
    *bytes = size;
    return XNOR_OK;
}

// ---- rows ---------------------------------------------------------------------------------------

// What it takes to walk over a map at another resolution.
typedef struct walk {
    const xnor_image_output *output;
    xnor_map map;
    size_t width, height; // of the answer
    xnor_places across, down;
    float *row;    // [channels, map.width]
    float *values; // [channels, width]
    int32_t *best; // [map.width]
} walk;

static size_t walk_words(const xnor_map *map, size_t width, size_t height) {
    return 3 * (width + height) + map->channels * (map->width + width) + 2 * map->width;
}

size_t xnor_answer_workspace_bytes(const xnor_description *description, const xnor_answer *answer,
                                   const xnor_image_frame *frame, const xnor_tensor *outputs) {
    const xnor_image_output *o = output_of(description, answer);
    xnor_map map;
    if (answer->form == XNOR_ANSWER_RAW || answer->form == XNOR_ANSWER_BOXES) return 0;
    if (map_of(o, frame, outputs, 0, channels_of(o), &map) != XNOR_OK) return 0;
    return walk_words(&map, width_of(answer, frame, &map), height_of(answer, frame, &map)) *
           sizeof(float);
}

static void *take(void **memory, size_t words) {
    void *taken = *memory;
    *memory = (float *)taken + words;
    return taken;
}

static xnor_places make_places(void **memory, size_t count, double extent, size_t size, bool same) {
    xnor_places places = {.at = take(memory, 2 * count)};
    places.share = take(memory, count);
    xnor_places_fill(count, same ? (double)size : extent, size, &places);
    return places;
}

static void begin(const xnor_answer *answer, const xnor_image_frame *frame, void *memory, walk *w) {
    const bool same = answer->at_network;
    w->width = width_of(answer, frame, &w->map);
    w->height = height_of(answer, frame, &w->map);
    w->across = make_places(&memory, w->width, w->map.columns, w->map.width, same);
    w->down = make_places(&memory, w->height, w->map.rows, w->map.height, same);
    w->row = take(&memory, w->map.channels * w->map.width);
    w->values = take(&memory, w->map.channels * w->width);
    w->best = take(&memory, 2 * w->map.width);
}

// Values [channels, width] of row y.
static void expand(const walk *w) {
    for (size_t c = 0; c < w->map.channels; c++) {
        const float *row = w->row + c * w->map.width;
        float *to = w->values + c * w->width;
        for (size_t x = 0; x < w->width; x++)
            to[x] =
                xnor_between(row[w->across.at[x][0]], row[w->across.at[x][1]], w->across.share[x]);
    }
}

// ---- segmentation -------------------------------------------------------------------------------

// The best class of every column of the row; NaN is never best.
static void best_of_columns(const walk *w) {
    const size_t width = w->map.width;
    float *score = (float *)(void *)(w->best + width);
    for (size_t x = 0; x < width; x++) {
        score[x] = -INFINITY;
        w->best[x] = 0;
    }
    for (size_t c = 0; c < w->map.channels; c++) {
        const float *row = w->row + c * width;
        for (size_t x = 0; x < width; x++) {
            const bool better = row[x] > score[x];
            score[x] = better ? row[x] : score[x];
            w->best[x] = better ? (int32_t)c : w->best[x];
        }
    }
}

static uint8_t best_between(const walk *w, size_t x) {
    const uint32_t *at = w->across.at[x];
    float best = -INFINITY;
    uint8_t found = 0;
    for (size_t c = 0; c < w->map.channels; c++) {
        const float *row = w->row + c * w->map.width;
        const float value = xnor_between(row[at[0]], row[at[1]], w->across.share[x]);
        if (!(value > best)) continue;
        best = value;
        found = (uint8_t)c;
    }
    return found;
}

// Between two columns with the same best class no other can be better: only where they differ is
// every class looked at.
static void put_labels(const walk *w, size_t y, void *out) {
    uint8_t *labels = (uint8_t *)out + y * w->width;
    best_of_columns(w);
    for (size_t x = 0; x < w->width; x++) {
        const uint32_t *at = w->across.at[x];
        const int32_t left = w->best[at[0]];
        labels[x] = left == w->best[at[1]] ? (uint8_t)left : best_between(w, x);
    }
}

// Probabilities of the classes of pixel x; false if there is no number among the scores.
static bool probabilities_of(const walk *w, size_t x, float *out, size_t *best) {
    const size_t classes = w->map.channels;
    double largest = -INFINITY, sum = 0;
    *best = classes;
    for (size_t c = 0; c < classes; c++) {
        const float value = w->values[c * w->width + x];
        out[c] = isnan(value) ? -INFINITY : fminf(value, FLT_MAX); // inf - inf is no number
        if ((double)out[c] > largest) {
            largest = (double)out[c];
            *best = c;
        }
    }
    for (size_t c = 0; c < classes; c++) {
        if (*best == classes)
            out[c] = 0;
        else if (w->output->scores == XNOR_OUTPUT_PROBABILITIES)
            out[c] = fminf(fmaxf(out[c], 0), 1);
        else
            sum += exp((double)out[c] - largest);
    }
    if (sum > 0)
        for (size_t c = 0; c < classes; c++) out[c] = (float)(exp((double)out[c] - largest) / sum);
    return *best < classes;
}

static void put_confidence(const walk *w, size_t y, void *out) {
    float *to = (float *)out + y * w->width;
    float probabilities[XNOR_MAX_IMAGE_CLASSES];
    size_t best;
    expand(w);
    for (size_t x = 0; x < w->width; x++)
        to[x] = probabilities_of(w, x, probabilities, &best) ? probabilities[best] : 0;
}

static void put_probabilities(const walk *w, size_t y, void *out) {
    const size_t classes = w->map.channels;
    float *to = (float *)out + y * w->width * classes;
    size_t best;
    expand(w);
    for (size_t x = 0; x < w->width; x++) (void)probabilities_of(w, x, to + x * classes, &best);
}

// ---- other maps ---------------------------------------------------------------------------------

static float metres_of(const walk *w, size_t x) {
    const float value = w->values[x];
    return value >= w->output->low && value <= w->output->high ? value : 0;
}

static void put_metres(const walk *w, size_t y, void *out) {
    float *to = (float *)out + y * w->width;
    expand(w);
    for (size_t x = 0; x < w->width; x++) to[x] = metres_of(w, x);
}

static void put_millimetres(const walk *w, size_t y, void *out) {
    uint16_t *to = (uint16_t *)out + y * w->width;
    expand(w);
    for (size_t x = 0; x < w->width; x++)
        to[x] = (uint16_t)fminf(metres_of(w, x) * 1000 + 0.5f, UINT16_MAX);
}

static void put_normals(const walk *w, size_t y, void *out) {
    float *to = (float *)out + 3 * y * w->width;
    expand(w);
    for (size_t x = 0; x < w->width; x++, to += 3) {
        double n[3], length = 0;
        for (size_t k = 0; k < 3; k++) {
            n[k] = (double)w->values[k * w->width + x];
            length += n[k] * n[k];
        }
        const bool valid = length > 0 && length < (double)INFINITY;
        for (size_t k = 0; k < 3; k++) to[k] = valid ? (float)(n[k] / sqrt(length)) : 0;
    }
}

static void put_edges(const walk *w, size_t y, void *out) {
    float *to = (float *)out + y * w->width;
    const bool logits = w->output->scores == XNOR_OUTPUT_LOGITS;
    expand(w);
    for (size_t x = 0; x < w->width; x++) {
        const float value = logits ? 1 / (1 + expf(-w->values[x])) : w->values[x];
        to[x] = value >= 0 ? fminf(value, 1) : 0; // NaN: no edge
    }
}

static xnor_status make_boxes(const xnor_image_output *o, const xnor_answer *answer,
                              const xnor_image_frame *frame, const xnor_tensor *outputs, void *out,
                              size_t *count) {
    xnor_map heat, size, offset;
    XNOR_TRY(map_of(o, frame, outputs, 0, channels_of(o), &heat));
    XNOR_TRY(map_of(o, frame, outputs, 1, 2, &size));
    XNOR_TRY(map_of(o, frame, outputs, 2, 2, &offset));
    if (size.whole_width != heat.whole_width || size.whole_height != heat.whole_height ||
        offset.whole_width != heat.whole_width || offset.whole_height != heat.whole_height)
        return xnor_fail(XNOR_E_SHAPE, "the maps of '%s' have different sizes", o->name);
    const double width = answer->at_network ? heat.columns : (double)frame->image_width;
    const double height = answer->at_network ? heat.rows : (double)frame->image_height;
    *count = xnor_boxes_find(o, &heat, &size, &offset, width / heat.columns, height / heat.rows,
                             width, height, out);
    return XNOR_OK;
}

// ---- all of them --------------------------------------------------------------------------------

xnor_status xnor_answer_make(const xnor_description *description, const xnor_answer *answer,
                             const xnor_image_frame *frame, const xnor_tensor *outputs,
                             size_t first_row, size_t row_count, void *workspace, void *out,
                             size_t *count) {
    static void (*const put[])(const walk *w, size_t y, void *out) = {
        [XNOR_ANSWER_LABELS] = put_labels,
        [XNOR_ANSWER_CONFIDENCE] = put_confidence,
        [XNOR_ANSWER_PROBABILITIES] = put_probabilities,
        [XNOR_ANSWER_METRES] = put_metres,
        [XNOR_ANSWER_MILLIMETRES] = put_millimetres,
        [XNOR_ANSWER_NORMALS] = put_normals,
        [XNOR_ANSWER_EDGES] = put_edges,
    };
    const xnor_image_output *o = output_of(description, answer);
    *count = 1;
    const bool whole = answer->form == XNOR_ANSWER_BOXES || answer->form == XNOR_ANSWER_RAW;
    if (whole && first_row > 0) return XNOR_OK;
    if (answer->form == XNOR_ANSWER_BOXES) return make_boxes(o, answer, frame, outputs, out, count);
    if (answer->form == XNOR_ANSWER_RAW) {
        const xnor_tensor *raw = &outputs[o->ports[0]];
        size_t bytes;
        XNOR_TRY(xnor_tensor_bytes(raw->dtype, &raw->shape, &bytes));
        memcpy(out, raw->data, bytes);
        return XNOR_OK;
    }
    walk w = {.output = o};
    XNOR_TRY(map_of(o, frame, outputs, 0, channels_of(o), &w.map));
    begin(answer, frame, workspace, &w);
    if (first_row > w.height) first_row = w.height;
    const size_t left = w.height - first_row;
    const size_t end = first_row + (row_count < left ? row_count : left);
    for (size_t y = first_row; y < end; y++) {
        xnor_map_row(&w.map, w.down.at[y], w.down.share[y], w.row);
        put[answer->form](&w, y, out);
    }
    return XNOR_OK;
}
