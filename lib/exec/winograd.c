#include "exec/winograd.h"

#include "core/size.h"

enum {
    OUTPUTS = XNOR_WINOGRAD_OUTPUTS,
    PART = 24,  // outputs at a time: whole tiles of the float gemm
    CHUNK = 48, // channels of all phases at a time
    GROUP = 16, // channels that share a line of the cache
    FEWEST_TILES = 32,
    MOST_TILES = 128,
    BLOCK_FLOATS =
        3 << 16, // of a block's transformed channels and outputs, if FEWEST_TILES allow it
    MOST_FEW = 4,
    TABLE_ROWS = 3
};

// What cutting and transforms cost for each channel (of each phase) and for each output, in vector operations for
// XNOR_WINOGRAD_LANES tiles; measured where these are 16 lanes.
static const struct {
    size_t points, in, out;
} costs[TABLE_ROWS] = {{5, 450, 350}, {6, 600, 400}, {7, 600, 450}};

static size_t taps_of(size_t stride, size_t kernel) {
    return (kernel + stride - 1) / stride;
}

static size_t points_of(size_t stride, size_t kernel) {
    return OUTPUTS + taps_of(stride, kernel) - 1;
}

// In an order in which the even rows, the even columns and both are neighbours.
winograd_phase winograd_phase_of(size_t stride, size_t index) {
    static const winograd_phase phases[WINOGRAD_PHASES] = {{1, 0}, {0, 0}, {0, 1}, {1, 1}};
    return stride == 1 ? (winograd_phase){0, 0} : phases[index];
}

void winograd_range(size_t stride, size_t kernel, size_t points, size_t i, size_t j, size_t *first,
                    size_t *count) {
    const bool uneven = stride == 2 && kernel % 2;
    const bool last_y = uneven && i + 1 == points, last_x = uneven && j + 1 == points;
    *first = last_y ? 1 : 0;
    *count = stride * stride;
    if (last_y || last_x) *count = last_y && last_x ? 1 : 2;
}

// Products of a tile, an input channel and an output.
static size_t products_of(size_t stride, size_t kernel, size_t points) {
    size_t sum = 0, first, count;
    for (size_t i = 0; i < points * points; i++) {
        winograd_range(stride, kernel, points, i / points, i % points, &first, &count);
        sum += count;
    }
    return sum;
}

// Either all outputs of some channels are added up, or some outputs of all channels are computed at a time: what takes
// less room. A chunk is whole groups of four channels but for the last, which has at least four.
static void choose_chunk(size_t phases, size_t channels, size_t outputs, size_t *chunk,
                         size_t *part) {
    const size_t inner = phases * channels;
    *chunk = channels;
    *part = outputs < PART ? outputs : PART;
    if (CHUNK + outputs >= inner + *part) return;
    *part = outputs;
    const size_t chunks = (inner + CHUNK - 1) / CHUNK;
    *chunk = xnor_align_up((channels + chunks - 1) / chunks, 4);
    while (*chunk < channels && channels % *chunk && channels % *chunk < 4) *chunk += 4;
    if (*chunk > channels) *chunk = channels;
}

// Rows of tiles that fill the lanes best.
static size_t rows_of_block(const winograd_sizes *w, size_t most) {
    size_t best = 1;
    double best_share = 0;
    for (size_t rows = 1; rows <= w->down && (rows == 1 || rows * w->columns <= most); rows++) {
        const size_t tiles = rows * w->columns;
        const double share = (double)tiles / (double)xnor_align_up(tiles, XNOR_WINOGRAD_LANES);
        if (share < best_share) continue;
        best = rows;
        best_share = share;
    }
    return best;
}

static void choose_block(winograd_sizes *w) {
    choose_chunk(w->phases, w->channels, w->outputs, &w->chunk, &w->part);
    const size_t room = BLOCK_FLOATS / (w->points * w->points * (w->phases * w->chunk + w->part));
    const size_t most = room < FEWEST_TILES ? FEWEST_TILES : room > MOST_TILES ? MOST_TILES : room;
    w->block_columns = (w->across + most - 1) / most;
    w->columns = (w->across + w->block_columns - 1) / w->block_columns;
    if (w->block_columns > 1) w->columns = xnor_align_up(w->columns, XNOR_WINOGRAD_LANES);
    w->rows = rows_of_block(w, most);
}

static void cut_into_blocks(const xnor_shape *x, winograd_sizes *w) {
    if (w->few) {
        w->chunk = w->channels;
        w->columns = XNOR_WINOGRAD_LANES;
        w->rows = 1;
    } else {
        choose_block(w);
    }
    w->block_columns = (w->across + w->columns - 1) / w->columns;
    w->block_rows = (w->down + w->rows - 1) / w->rows;
    w->blocks = (size_t)x->dims[0] * w->block_rows * w->block_columns;
    w->slots = w->blocks < WINOGRAD_SLOTS ? w->blocks : WINOGRAD_SLOTS;
}

// Strides are no multiples of a page: points of the same tile would all fall into the same lines of the cache.
static void lay_out(winograd_sizes *w) {
    const size_t square = w->points * w->points, lanes = XNOR_WINOGRAD_LANES;
    const size_t line =
        xnor_align_up(w->columns, lanes) + lanes; // tiles are read from the next one on, too
    w->group = w->chunk < GROUP ? w->chunk : GROUP;
    w->cut_row = w->step * w->group * line;
    w->cut_column = w->few ? line : w->group * line;
    w->cut_channel = w->few ? w->step * line : line;
    w->tile_stride = xnor_align_up(w->rows * w->columns, lanes) + lanes;
    w->in_stride = w->phases * w->chunk * w->tile_stride + lanes;
    w->out_stride = w->part * w->tile_stride + lanes;
    w->in_at = xnor_align_up(w->stride * w->points * w->cut_row, lanes);
    w->out_at = w->in_at + square * w->in_stride;
    w->sums_at = w->out_at + square * w->out_stride;
    if (w->few) { // [points][inner][points] of a piece alone
        w->in_stride = w->points * lanes;
        w->sums_at = w->in_at + square * w->inner * lanes;
    }
    w->slot = w->sums_at + w->rows * w->columns * OUTPUTS * OUTPUTS * w->outputs;
    w->slot = xnor_align_up(w->slot, lanes);
}

// Whether that takes less than a direct convolution, which fills its vectors with outputs and unfolds windows. Weights
// come from far away for each block, which costs as much as a few tiles more do.
static bool is_worth_it(const winograd_sizes *w) {
    enum { LANES = XNOR_WINOGRAD_LANES, WEIGHTS = 6 };
    const double inner = (double)w->inner, outputs = (double)w->outputs;
    const double taps = (double)(w->kernel * w->kernel * w->channels);
    const double window = taps * (double)xnor_align_up(w->outputs, LANES) * 1.1 + 500;
    const double direct = (double)(w->out_height * w->out_width) * window;
    const size_t tiles = xnor_align_up(w->rows * w->columns, LANES);
    const double blocks = (double)(w->block_rows * w->block_columns);
    const double products = (double)(products_of(w->stride, w->kernel, w->points) * w->channels);
    double sum = products * outputs * 1.1 * (double)(tiles + (w->few ? 0 : WEIGHTS));
    for (size_t i = 0; i < TABLE_ROWS; i++)
        if (costs[i].points == w->points)
            sum += ((double)costs[i].in * inner + (double)costs[i].out * outputs) *
                   (double)(w->rows * xnor_align_up(w->columns, LANES));
    return sum * blocks < direct;
}

bool winograd_sizes_of(const xnor_conv *conv, const xnor_shape *x, const xnor_shape *y, bool few,
                       winograd_sizes *w) {
    const xnor_window *v = &conv->window;
    const int64_t stride = v->stride[0], kernel = v->kernel[0];
    const int64_t most = stride * (XNOR_WINOGRAD_POINTS - OUTPUTS + 1);
    if (conv->group != 1 || v->axes != 2 || v->kernel[1] != kernel || v->stride[1] != stride ||
        v->dilation[0] != 1 || v->dilation[1] != 1 || stride < 1 || stride > 2 ||
        kernel <= stride || kernel > most || (few ? x->dims[3] > MOST_FEW : x->dims[3] < 4) ||
        y->dims[3] < 4)
        return false;
    *w = (winograd_sizes){.stride = (size_t)stride, .kernel = (size_t)kernel, .few = few};
    w->points = points_of(w->stride, w->kernel);
    // Rounding grows with the points and the channels: 48 through seven points miss by 3e-5 of the deviation.
    if (w->points == XNOR_WINOGRAD_POINTS && !few) return false;
    w->phases = w->stride * w->stride;
    w->step = w->stride * OUTPUTS;
    w->channels = (size_t)x->dims[3];
    w->inner = w->phases * w->channels;
    w->outputs = (size_t)y->dims[3];
    w->height = (size_t)x->dims[1];
    w->width = (size_t)x->dims[2];
    w->out_height = (size_t)y->dims[1];
    w->out_width = (size_t)y->dims[2];
    w->pad_top = (size_t)v->pad_begin[0];
    w->pad_left = (size_t)v->pad_begin[1];
    w->down = (w->out_height + OUTPUTS - 1) / OUTPUTS;
    w->across = (w->out_width + OUTPUTS - 1) / OUTPUTS;
    if (w->down * w->across == 0) return false;
    cut_into_blocks(x, w);
    lay_out(w);
    return is_worth_it(w);
}

// ---- weights ------------------------------------------------------------------------------------

// G [points][taps]: powers of each point over the product of its distances from the others.
static void weight_matrix(size_t points, size_t taps,
                          double g[XNOR_WINOGRAD_POINTS][XNOR_WINOGRAD_POINTS]) {
    const double a = XNOR_WINOGRAD_A(points), b = XNOR_WINOGRAD_B(points);
    const double last = points == 6 ? 0 : XNOR_WINOGRAD_C(points);
    const double at[XNOR_WINOGRAD_POINTS] = {a, -a, b, -b, last, -last};
    for (size_t i = 0; i + 1 < points; i++) {
        double power = 1;
        for (size_t k = 0; k + 1 < points; k++)
            if (k != i) power /= at[i] - at[k];
        for (size_t t = 0; t < taps; t++, power *= at[i]) g[i][t] = power;
    }
    for (size_t t = 0; t < taps; t++) g[points - 1][t] = t + 1 == taps;
}

size_t winograd_weights(size_t stride, bool few, size_t kernel, size_t outputs, size_t channels) {
    const size_t points = points_of(stride, kernel);
    if (few) outputs = xnor_align_up(outputs, 4);
    return points * points * outputs * stride * stride * channels;
}

// Where the points of a phase go for an output: out[i · row + j · column + c · channel].
typedef struct weight_place {
    float *out;
    size_t row, column, channel;
} weight_place;

static void transform_taps(size_t stride, size_t kernel, size_t channels, winograd_phase phase,
                           const float *w, size_t w_stride,
                           double g[XNOR_WINOGRAD_POINTS][XNOR_WINOGRAD_POINTS], weight_place to) {
    const size_t points = points_of(stride, kernel), taps = taps_of(stride, kernel);
    for (size_t c = 0; c < channels; c++) {
        double columns[XNOR_WINOGRAD_POINTS][XNOR_WINOGRAD_POINTS] = {{0}};
        for (size_t y = phase.y; y < kernel; y += stride)
            for (size_t x = phase.x; x < kernel; x += stride) {
                const double tap = (double)w[(y * kernel + x) * w_stride + c];
                for (size_t i = 0; i < points; i++)
                    columns[i][x / stride] += g[i][y / stride] * tap;
            }
        for (size_t i = 0; i < points * points; i++) {
            double sum = 0;
            for (size_t t = 0; t < taps; t++) sum += columns[i / points][t] * g[i % points][t];
            to.out[i / points * to.row + i % points * to.column + c * to.channel] = (float)sum;
        }
    }
}

static void transform_few(size_t stride, size_t kernel, size_t outputs, size_t channels,
                          const float *w, double g[XNOR_WINOGRAD_POINTS][XNOR_WINOGRAD_POINTS],
                          float *out) {
    const size_t points = points_of(stride, kernel), phases = stride * stride;
    const size_t inner = phases * channels;
    for (size_t done = 0; done < outputs; done += 4, out += points * points * inner * 4) {
        const size_t first = done < outputs - 4 ? done : outputs - 4;
        for (size_t i = 0; i < 4 * phases; i++) {
            const size_t o = i / phases, phase = i % phases;
            const weight_place to = {out + phase * channels * points * 4 + o, 4, inner * points * 4,
                                     points * 4};
            transform_taps(stride, kernel, channels, winograd_phase_of(stride, phase),
                           w + (first + o) * kernel * kernel * channels, channels, g, to);
        }
    }
}

void winograd_transform(size_t stride, bool few, size_t kernel, size_t outputs, size_t channels,
                        const float *w, float *out) {
    const size_t points = points_of(stride, kernel), phases = stride * stride;
    size_t chunk, part;
    double g[XNOR_WINOGRAD_POINTS][XNOR_WINOGRAD_POINTS];
    weight_matrix(points, taps_of(stride, kernel), g);
    if (few) {
        transform_few(stride, kernel, outputs, channels, w, g, out);
        return;
    }
    choose_chunk(phases, channels, outputs, &chunk, &part);
    for (size_t c = 0; c < channels; c += chunk) {
        const size_t count = channels - c < chunk ? channels - c : chunk;
        const size_t point = outputs * phases * count;
        for (size_t i = 0; i < outputs * phases; i++) {
            const size_t o = i / phases, phase = i % phases;
            const weight_place to = {out + i * count, points * point, point, 1};
            transform_taps(stride, kernel, count, winograd_phase_of(stride, phase),
                           w + o * kernel * kernel * channels + c, channels, g, to);
        }
        out += points * points * point;
    }
}
