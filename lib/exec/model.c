#include "exec/model.h"
#include "exec/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/size.h"
#include "core/tensor.h"
#include "exec/winograd.h"
#include "format/metadata.h"

// ---- life ---------------------------------------------------------------------------------------

static void set_ports(xnor_model *model) {
    const xnor_graph *graph = &model->contents.graph;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const xnor_value *value = &graph->values[graph->inputs[i]];
        model->inputs[i] = (xnor_port){value->name, value->dtype, value->shape};
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const xnor_value *value = &graph->values[graph->outputs[i]];
        model->outputs[i] = (xnor_port){value->name, value->dtype, value->shape};
    }
}

static const xnor_port *find_port(const xnor_port *ports, uint32_t count, const char *name) {
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(ports[i].name, name) == 0) return &ports[i];
    return NULL;
}

// The cloud input must be [batch, points, channels] or [batch, channels, points] and take the
// described points.
static xnor_status bind_cloud(const xnor_port *port, xnor_description *d) {
    char text[XNOR_SHAPE_TEXT];
    const int64_t *dims = port->shape.dims;
    const int64_t channels = d->channel_count;
    bool last = port->shape.rank == 3 && (dims[2] == channels || dims[2] < 0);
    bool first = port->shape.rank == 3 && (dims[1] == channels || dims[1] < 0);
    if (port->dtype != XNOR_F32 || (!last && !first) || dims[0] > 1)
        return xnor_fail(XNOR_E_FORMAT,
                         "description: a cloud needs input '%s' to be f32 [batch, points, %u] or "
                         "[batch, %u, points], it is %s%s",
                         port->name, d->channel_count, d->channel_count,
                         xnor_dtype_name(port->dtype),
                         xnor_shape_text(&port->shape, text, sizeof text));
    // [batch, 3, 3] and fully open shapes are read as points by coordinates.
    d->channels_first = first && (!last || (dims[1] == channels && dims[2] < 0));
    int64_t points = dims[d->channels_first ? 2 : 1];
    if (points >= 0 && d->points == 0) d->points = points;
    if (points >= 0 && d->points != points)
        return xnor_fail(XNOR_E_FORMAT,
                         "description: %lld points a cloud, but input '%s' takes %lld",
                         (long long)d->points, port->name, (long long)points);
    return XNOR_OK;
}

// A row of scores for each cloud, or for each of its points: [batch, points, classes].
static xnor_status bind_scores(const xnor_port *port, const xnor_description *d) {
    char text[XNOR_SHAPE_TEXT];
    const xnor_shape *shape = &port->shape;
    int64_t classes = xnor_shape_last(shape);
    bool rows =
        d->task != XNOR_TASK_SEGMENTATION ||
        (shape->rank == 3 && (shape->dims[1] < 0 || d->points == 0 || shape->dims[1] == d->points));
    if (d->task == XNOR_TASK_SEGMENTATION && !rows)
        return xnor_fail(XNOR_E_FORMAT,
                         "description: labels of points need output '%s' to be [batch, points, "
                         "classes], it is %s",
                         port->name, xnor_shape_text(shape, text, sizeof text));
    if (port->dtype == XNOR_F32 && shape->rank > 0 &&
        (classes < 0 || classes == (int64_t)d->class_count))
        return XNOR_OK;
    return xnor_fail(XNOR_E_FORMAT,
                     "description: %u classes need output '%s' to be f32 [.., %u], it is %s%s",
                     d->class_count, port->name, d->class_count, xnor_dtype_name(port->dtype),
                     xnor_shape_text(&port->shape, text, sizeof text));
}

// Checks that the description fits the graph.
static xnor_status bind_description(xnor_model *model) {
    xnor_description *d = &model->contents.description;
    const xnor_graph *graph = &model->contents.graph;
    for (uint32_t i = 0; i < graph->output_count; i++)
        if (model->outputs[i].dtype == XNOR_BITS || model->outputs[i].dtype == XNOR_TERNARY)
            return xnor_fail(XNOR_E_UNSUPPORTED, "output '%s' is packed", model->outputs[i].name);
    if (d->task == XNOR_TASK_NONE) return XNOR_OK;
    const char *flaw = xnor_description_flaw(d);
    if (flaw) return xnor_fail(XNOR_E_FORMAT, "description: %s", flaw);
    if (d->task == XNOR_TASK_IMAGE) return xnor_model_bind_image(model);
    const xnor_port *input = find_port(model->inputs, graph->input_count, d->input_name);
    const xnor_port *output = find_port(model->outputs, graph->output_count, d->output_name);
    if (!input)
        return xnor_fail(XNOR_E_FORMAT, "description: the graph has no input '%s'", d->input_name);
    if (!output)
        return xnor_fail(XNOR_E_FORMAT, "description: the graph has no output '%s'",
                         d->output_name);
    if (graph->input_count != 1)
        return xnor_fail(XNOR_E_FORMAT, "description: a cloud needs a graph with one input, not %u",
                         graph->input_count);
    XNOR_TRY(bind_cloud(input, d));
    return bind_scores(output, d);
}

static xnor_status create(const void *data, size_t size, const char *isa, xnor_model **out) {
    xnor_model *model = calloc(1, sizeof *model);
    if (!model) return xnor_fail(XNOR_E_MEMORY, "model: out of memory");
    xnor_status status = xnor_kernels_select(&model->kernels, isa);
    if (status == XNOR_OK) status = xnor_format_read(data, size, &model->contents);
    if (status != XNOR_OK) {
        free(model);
        return status;
    }
    atomic_init(&model->references, 1);
    pthread_mutex_init(&model->packs_lock, NULL);
    model->size = size;
    // A well-formed file may still hold a graph that no shape rule accepts.
    status = xnor_graph_verify(&model->contents.graph);
    set_ports(model);
    if (status == XNOR_OK) status = bind_description(model);
    if (status != XNOR_OK) {
        xnor_model_unref(&model);
        return status;
    }
    *out = model;
    return XNOR_OK;
}

xnor_status xnor_model_open_memory(const void *data, size_t size, const char *isa,
                                   xnor_model **out) {
    return create(data, size, isa, out);
}

xnor_status xnor_model_open(const char *path, const char *isa, xnor_model **out) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
    struct stat info;
    xnor_status status = XNOR_OK;
    void *mapping = MAP_FAILED;
    if (fstat(fd, &info) != 0) {
        status = xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(info.st_mode) || info.st_size == 0) {
        status =
            xnor_fail(XNOR_E_FORMAT, "%s: not a model file (empty or not a regular file)", path);
    } else {
        mapping = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (mapping == MAP_FAILED) status = xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
    }
    close(fd);
    if (status != XNOR_OK) return status;
    xnor_model *model;
    status = create(mapping, (size_t)info.st_size, isa, &model);
    if (status != XNOR_OK) {
        munmap(mapping, (size_t)info.st_size);
        char reason[384];
        strncpy(reason, xnor_last_error(), sizeof reason - 1);
        reason[sizeof reason - 1] = 0;
        return xnor_fail(status, "%s: %s", path, reason);
    }
    model->mapping = mapping;
    *out = model;
    return XNOR_OK;
}

xnor_model *xnor_model_ref(xnor_model *model) {
    atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
    return model;
}

void xnor_model_unref(xnor_model **reference) {
    xnor_model *model = *reference;
    *reference = NULL;
    if (!model || atomic_fetch_sub_explicit(&model->references, 1, memory_order_acq_rel) != 1)
        return;
    while (model->packs) {
        xnor_pack *next = model->packs->next;
        free(model->packs->data);
        free(model->packs);
        model->packs = next;
    }
    pthread_mutex_destroy(&model->packs_lock);
    xnor_graph_free(&model->contents.graph);
    if (model->mapping) munmap(model->mapping, model->size);
    free(model);
}

// ---- accessors ----------------------------------------------------------------------------------

uint32_t xnor_model_input_count(const xnor_model *model) {
    return model->contents.graph.input_count;
}

uint32_t xnor_model_output_count(const xnor_model *model) {
    return model->contents.graph.output_count;
}

const xnor_port *xnor_model_input(const xnor_model *model, uint32_t index) {
    return index < model->contents.graph.input_count ? &model->inputs[index] : NULL;
}

const xnor_port *xnor_model_output(const xnor_model *model, uint32_t index) {
    return index < model->contents.graph.output_count ? &model->outputs[index] : NULL;
}

const xnor_description *xnor_model_description(const xnor_model *model) {
    return &model->contents.description;
}

const char *xnor_model_isa(const xnor_model *model) {
    return model->kernels.isa;
}

uint64_t xnor_model_file_bytes(const xnor_model *model) {
    return model->size;
}

// ---- packed weights -----------------------------------------------------------------------------

// Returns the pack for the key, made by `fill` when it is new.
static xnor_status find_or_make(xnor_model *model, xnor_value_id weight, xnor_value_id thresholds,
                                size_t form, size_t bytes, xnor_pack_fill fill, const void **out) {
    xnor_status status = XNOR_OK;
    pthread_mutex_lock(&model->packs_lock);
    xnor_pack *pack = model->packs;
    while (pack && (pack->weight != weight || pack->thresholds != thresholds || pack->fill != fill))
        pack = pack->next;
    if (!pack) {
        const xnor_value *values = model->contents.graph.values;
        pack = malloc(sizeof *pack);
        void *data = aligned_alloc(64, xnor_align_up(bytes ? bytes : 1, 64));
        if (pack && data)
            status = fill(model, &values[weight],
                          thresholds == XNOR_NO_VALUE ? NULL : &values[thresholds], form, data);
        else
            status = xnor_fail(XNOR_E_MEMORY, "model: out of memory for packed weights");
        if (status == XNOR_OK) {
            *pack = (xnor_pack){model->packs, weight, thresholds, fill, form, data};
            model->packs = pack;
        } else {
            free(pack);
            free(data);
            pack = NULL;
        }
    }
    if (pack) *out = pack->data;
    pthread_mutex_unlock(&model->packs_lock);
    return status;
}

static xnor_status fill_gemm(const xnor_model *model, const xnor_value *w,
                             const xnor_value *thresholds, size_t form, void *data) {
    (void)form;
    size_t n = (size_t)w->shape.dims[0], k = (size_t)w->shape.dims[1];
    int32_t *limits = NULL;
    if (thresholds) {
        limits = malloc((n + 1) * sizeof *limits);
        if (!limits) return xnor_fail(XNOR_E_MEMORY, "model: out of memory for thresholds");
        for (size_t c = 0; c < n; c++)
            limits[c] = xnor_popcount_limit((int64_t)k, ((const int32_t *)thresholds->data)[c]);
    }
    model->kernels.gemm_pack(k, n, w->data, limits, data);
    free(limits);
    return XNOR_OK;
}

static xnor_status fill_groups(const xnor_model *model, const xnor_value *w,
                               const xnor_value *thresholds, size_t form, void *data) {
    (void)thresholds;
    (void)form;
    size_t n = (size_t)w->shape.dims[1], k = (size_t)w->shape.dims[2];
    size_t bytes = model->kernels.gemm_packed_bytes(k, n);
    for (size_t g = 0; g < (size_t)w->shape.dims[0]; g++)
        model->kernels.gemm_pack(k, n, (const uint64_t *)w->data + g * n * xnor_words(k), NULL,
                                 (uint8_t *)data + g * bytes);
    return XNOR_OK;
}

static xnor_status fill_linear(const xnor_model *model, const xnor_value *w,
                               const xnor_value *thresholds, size_t form, void *data) {
    (void)model;
    (void)thresholds;
    (void)form;
    size_t n = (size_t)w->shape.dims[0], k = 1;
    for (uint32_t i = 1; i < w->shape.rank; i++) k *= (size_t)w->shape.dims[i];
    for (size_t j = 0; j < n; j++)
        for (size_t l = 0; l < k; l++)
            ((float *)data)[l * n + j] = ((const float *)w->data)[j * k + l];
    return XNOR_OK;
}

// form: 2 · stride, and 1 for few channels
static xnor_status fill_winograd(const xnor_model *model, const xnor_value *w,
                                 const xnor_value *thresholds, size_t form, void *data) {
    (void)model;
    (void)thresholds;
    const int64_t *dims = w->shape.dims;
    winograd_transform(form / 2, form % 2, (size_t)dims[1], (size_t)dims[0], (size_t)dims[3],
                       w->data, data);
    return XNOR_OK;
}

xnor_status xnor_model_pack_gemm(xnor_model *model, xnor_value_id weight, xnor_value_id thresholds,
                                 const void **out) {
    const xnor_value *w = &model->contents.graph.values[weight];
    size_t bytes =
        model->kernels.gemm_packed_bytes((size_t)w->shape.dims[1], (size_t)w->shape.dims[0]);
    return find_or_make(model, weight, thresholds, 0, bytes, fill_gemm, out);
}

xnor_status xnor_model_pack_groups(xnor_model *model, xnor_value_id weight, const void **out) {
    const xnor_shape *w = &model->contents.graph.values[weight].shape;
    size_t bytes = model->kernels.gemm_packed_bytes((size_t)w->dims[2], (size_t)w->dims[1]);
    if (!xnor_size_mul(bytes, (size_t)w->dims[0], &bytes))
        return xnor_fail(XNOR_E_LIMIT, "model: packed weights are too large");
    return find_or_make(model, weight, XNOR_NO_VALUE, 0, bytes, fill_groups, out);
}

xnor_status xnor_model_pack_linear(xnor_model *model, xnor_value_id weight, const float **out) {
    const xnor_value *w = &model->contents.graph.values[weight];
    size_t bytes = 0;
    XNOR_TRY(xnor_tensor_bytes(XNOR_F32, &w->shape, &bytes));
    const void *data;
    XNOR_TRY(find_or_make(model, weight, XNOR_NO_VALUE, 0, bytes, fill_linear, &data));
    *out = data;
    return XNOR_OK;
}

xnor_status xnor_model_pack_winograd(xnor_model *model, xnor_value_id weight, size_t stride,
                                     bool few, const float **out) {
    const int64_t *dims = model->contents.graph.values[weight].shape.dims;
    const void *data;
    const size_t bytes =
        winograd_weights(stride, few, (size_t)dims[1], (size_t)dims[0], (size_t)dims[3]) *
        sizeof(float);
    XNOR_TRY(
        find_or_make(model, weight, XNOR_NO_VALUE, 2 * stride + few, bytes, fill_winograd, &data));
    *out = data;
    return XNOR_OK;
}
