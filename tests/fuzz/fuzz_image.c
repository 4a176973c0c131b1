// Fuzzes images. The first byte chooses: files (PNG, JPEG with EXIF), or the task layer, whose recipe and
// maps the bytes are. Whatever they hold, reading must end, stay within the data, and give an image or a
// one-line message; answers must be in their range.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clients/xnorctl/image.h"
#include "format/metadata.h"

enum { RECIPE_BYTES = 16, MAX_SIDE = 24, CLASSES = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_message(void) {
    if (!*xnor_last_error() || strchr(xnor_last_error(), '\n')) abort();
}

static void try_file(const uint8_t *data, size_t size) {
    image i;
    if (image_read_memory("f", data, size, &i) != XNOR_OK) {
        check_message();
        return;
    }
    if (i.width == 0 || i.height == 0 || i.width * i.height > IMAGE_MAX_PIXELS) abort();
    volatile uint8_t last = i.pixels[i.width * i.height * 3 - 1];
    (void)last;
    if (image_shrink(&i, 64) != XNOR_OK || i.width * i.height > 64) abort();
    image_free(&i);
}

static xnor_description choose(const uint8_t *r, xnor_image_output *output) {
    static const xnor_output_kind scores[] = {XNOR_OUTPUT_LOGITS, XNOR_OUTPUT_PROBABILITIES};
    const bool multiple = r[0] & 1;
    *output = (xnor_image_output){.name = "o",
                                  .kind = (xnor_image_kind)(r[1] % (XNOR_IMAGE_BOXES + 1)),
                                  .port_count = 1,
                                  .ports = {0, 1, 2},
                                  .channels_first = r[0] & 8,
                                  .high = 10};
    if (output->kind == XNOR_IMAGE_SEGMENTATION || output->kind == XNOR_IMAGE_BOXES)
        output->class_count = CLASSES;
    output->scores = scores[r[1] >> 7];
    return (xnor_description){.task = XNOR_TASK_IMAGE,
                              .channels_first = r[0] & 2,
                              .image = {.pixels = (xnor_pixels)(r[0] / 16 % 3),
                                        .deviation = {0.5f, 1, 2},
                                        .width = multiple ? r[2] % 4 * 8 + 8 : r[2] % MAX_SIDE + 1,
                                        .height = multiple ? r[3] % 4 * 8 + 8 : r[3] % MAX_SIDE + 1,
                                        .multiple_of = multiple ? 8 : 0,
                                        .resize = r[0] & 4 ? XNOR_RESIZE_FIT : XNOR_RESIZE_STRETCH},
                              .image_output_count = 1,
                              .image_outputs = output};
}

static void check_values(const xnor_answer *answer, const xnor_shape *shape, size_t count,
                         const void *data) {
    const size_t values = (size_t)(shape->dims[0] * shape->dims[1]);
    const float *real = data;
    for (size_t i = 0; i < values; i++) {
        if (answer->form == XNOR_ANSWER_LABELS && ((const uint8_t *)data)[i] >= CLASSES) abort();
        if (answer->form == XNOR_ANSWER_METRES && !(real[i] >= 0 && real[i] <= 10)) abort();
        if ((answer->form == XNOR_ANSWER_EDGES || answer->form == XNOR_ANSWER_CONFIDENCE) &&
            !(real[i] >= 0 && real[i] <= 1.0001f))
            abort();
    }
    if (answer->form == XNOR_ANSWER_NORMALS)
        for (size_t i = 0; i < values; i++) {
            const float *n = real + 3 * i;
            const float length = n[0] * n[0] + n[1] * n[1] + n[2] * n[2];
            if (length != 0 && fabsf(length - 1) > 1e-3f) abort();
        }
    if (answer->form != XNOR_ANSWER_BOXES) return;
    if (count > XNOR_MAX_BOXES) abort();
    for (size_t i = 0; i < count; i++) {
        const float *box = real + 6 * i;
        if (!(box[0] >= 0 && box[1] >= 0 && box[0] < box[2] && box[1] < box[3])) abort();
        if (i > 0 && box[4] > box[-2]) abort();
    }
}

// Maps whose values are the input's bytes, any floats among them.
static float *make_map(const uint8_t *data, size_t size, size_t count) {
    float *map = malloc(count * sizeof *map);
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[4];
        for (size_t k = 0; k < 4; k++) bytes[k] = size > 0 ? data[(4 * i + k) % size] : 0;
        memcpy(&map[i], bytes, 4);
    }
    return map;
}

static void try_answers(const xnor_description *d, const xnor_image_frame *frame, const uint8_t *r,
                        const uint8_t *data, size_t size) {
    const xnor_image_output *o = &d->image_outputs[0];
    const int64_t h = r[6] % MAX_SIDE + 1, w = r[7] % MAX_SIDE + 1;
    const int64_t channels = o->class_count                  ? o->class_count
                             : o->kind == XNOR_IMAGE_NORMALS ? 3
                                                             : 1;
    xnor_tensor outputs[3];
    for (size_t p = 0; p < 3; p++) {
        const int64_t c = p == 0 ? channels : 2;
        const xnor_shape first = {4, {1, c, h, w}}, last = {4, {1, h, w, c}};
        outputs[p] = (xnor_tensor){XNOR_F32, o->channels_first ? first : last,
                                   make_map(data, size, (size_t)(c * h * w))};
    }
    static const char *const names[] = {"o", "o.confidence", "o.probabilities", "o.millimetres"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        xnor_answer answer;
        xnor_answer_type type;
        xnor_shape shape;
        size_t bytes, count = 0;
        if (!xnor_answer_find(d, names[i], strlen(names[i]), &answer)) continue;
        answer.at_network = r[8] & 1;
        if (xnor_answer_shape(d, &answer, frame, outputs, &type, &shape, &bytes) != XNOR_OK)
            abort();
        void *out = malloc(bytes);
        void *workspace = malloc(xnor_answer_workspace_bytes(d, &answer, frame, outputs) + 1);
        const size_t step = r[9] % 8 + 1;
        const bool whole = o->kind == XNOR_IMAGE_BOXES || o->kind == XNOR_IMAGE_RAW;
        for (size_t row = 0; row < (size_t)shape.dims[0] && (!whole || row == 0); row += step)
            if (xnor_answer_make(d, &answer, frame, outputs, row, step, workspace, out, &count) !=
                XNOR_OK)
                abort();
        check_values(&answer, &shape, count, out);
        free(workspace);
        free(out);
    }
    for (size_t p = 0; p < 3; p++) free(outputs[p].data);
}

static void try_task(const uint8_t *data, size_t size) {
    const uint8_t *r = data;
    if (size < RECIPE_BYTES) return;
    data += RECIPE_BYTES;
    size -= RECIPE_BYTES;
    xnor_image_output output;
    const xnor_description d = choose(r, &output);
    const bool is_float = r[10] & 1;
    const size_t channels = r[10] & 2 ? 3 : 1, width = r[4] % (4 * MAX_SIDE),
                 element = is_float ? 4 : 1;
    const size_t stride = width * channels * element + r[11] % 8;
    const size_t height = stride > 0 && size >= stride ? size / stride % (4 * MAX_SIDE) : 0;
    // Its own block, which ends with the last row's values.
    const size_t bytes = height > 0 ? (height - 1) * stride + width * channels * element : 0;
    uint8_t *pixels = malloc(bytes + 1);
    memcpy(pixels, data, bytes);
    const xnor_image image = {pixels, width, height, channels, stride, is_float};
    xnor_image_frame frame;
    if (xnor_image_frame_of(&d, width, height, &frame) != XNOR_OK) {
        check_message();
        free(pixels);
        return;
    }
    const xnor_shape shape = xnor_image_shape(&d, &frame);
    float *out = malloc((size_t)(shape.dims[1] * shape.dims[2] * shape.dims[3]) * sizeof *out);
    void *workspace = malloc(xnor_image_workspace_bytes(&frame));
    if (xnor_image_prepare(&d, &image, &frame, workspace, out) != XNOR_OK) check_message();
    try_answers(&d, &frame, r, data, size);
    free(workspace);
    free(out);
    free(pixels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    if (data[0] & 1)
        try_task(data + 1, size - 1);
    else
        try_file(data + 1, size - 1);
    return 0;
}
