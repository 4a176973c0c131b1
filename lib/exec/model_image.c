// Checks that a description of images fits its graph.
#include <string.h>

#include "core/tensor.h"
#include "exec/model.h"

enum { IMAGE_RANK = 4 };

static bool is_open_or(int64_t dim, int64_t size) {
    return dim < 0 || dim == size;
}

// Whether `channels` are the second axis or the last. An open axis may be them too, and where both could
// be, `prefer_first` decides.
static xnor_status find_layout(const xnor_port *port, int64_t channels, bool prefer_first,
                               bool *channels_first) {
    char text[XNOR_SHAPE_TEXT];
    const int64_t *dims = port->shape.dims;
    const bool image = port->dtype == XNOR_F32 && port->shape.rank == IMAGE_RANK && dims[0] <= 1;
    const bool first = image && is_open_or(dims[1], channels);
    const bool last = image && is_open_or(dims[3], channels);
    if (!first && !last)
        return xnor_fail(XNOR_E_FORMAT,
                         "description: '%s' must be f32 [1, %lld, height, width] or "
                         "[1, height, width, %lld], it is %s%s",
                         port->name, (long long)channels, (long long)channels,
                         xnor_dtype_name(port->dtype),
                         xnor_shape_text(&port->shape, text, sizeof text));
    const bool surely_first = first && dims[1] >= 0, surely_last = last && dims[3] >= 0;
    *channels_first =
        first && (!last || (surely_first == surely_last ? prefer_first : surely_first));
    return XNOR_OK;
}

static xnor_status bind_input(const xnor_port *port, xnor_description *d) {
    const xnor_image_input *image = &d->image;
    XNOR_TRY(
        find_layout(port, image->pixels == XNOR_PIXELS_GREY ? 1 : 3, true, &d->channels_first));
    const int64_t *size = port->shape.dims + (d->channels_first ? 2 : 1);
    const bool open = image->multiple_of > 0;
    if ((size[0] < 0 || (!open && size[0] == image->height)) &&
        (size[1] < 0 || (!open && size[1] == image->width)))
        return XNOR_OK;
    return xnor_fail(XNOR_E_FORMAT,
                     "description: images of %s%lld x %lld, but input '%s' takes %lld x %lld",
                     open ? "up to " : "", (long long)image->width, (long long)image->height,
                     port->name, (long long)size[1], (long long)size[0]);
}

static xnor_status find_output(const xnor_model *model, const char *name, uint32_t *out) {
    const uint32_t count = model->contents.graph.output_count;
    for (*out = 0; *out < count; ++*out)
        if (strcmp(model->outputs[*out].name, name) == 0) return XNOR_OK;
    return xnor_fail(XNOR_E_FORMAT, "description: the graph has no output '%s'", name);
}

// Channels of port k of an output; 0: any shape will do.
static int64_t channels_of(const xnor_image_output *o, uint32_t k) {
    switch (o->kind) {
    case XNOR_IMAGE_SEGMENTATION:
        return o->class_count;
    case XNOR_IMAGE_BOXES:
        return k == 0 ? (int64_t)o->class_count : 2;
    case XNOR_IMAGE_NORMALS:
        return 3;
    case XNOR_IMAGE_DEPTH:
    case XNOR_IMAGE_EDGES:
        return 1;
    case XNOR_IMAGE_RAW:
        break;
    }
    return 0;
}

static xnor_status bind_output(const xnor_model *model, xnor_image_output *o) {
    for (uint32_t k = 0; k < o->port_count; k++) {
        XNOR_TRY(find_output(model, o->port_names[k], &o->ports[k]));
        const xnor_port *port = &model->outputs[o->ports[k]];
        const int64_t channels = channels_of(o, k);
        // The ports of boxes are alike; where one alone could be read both ways, the first decides.
        const bool first = k > 0 ? o->channels_first : model->contents.description.channels_first;
        bool found = o->channels_first;
        if (channels > 0) XNOR_TRY(find_layout(port, channels, first, &found));
        if (k > 0 && found != o->channels_first)
            return xnor_fail(XNOR_E_FORMAT, "description: '%s' and '%s' have different layouts",
                             o->port_names[0], o->port_names[k]);
        o->channels_first = found;
        if (port->dtype != XNOR_F32)
            return xnor_fail(XNOR_E_FORMAT, "description: output '%s' must be f32, it is %s",
                             port->name, xnor_dtype_name(port->dtype));
    }
    return XNOR_OK;
}

xnor_status xnor_model_bind_image(xnor_model *model) {
    xnor_description *d = &model->contents.description;
    if (model->contents.graph.input_count != 1)
        return xnor_fail(XNOR_E_FORMAT,
                         "description: an image needs a graph with one input, not %u",
                         model->contents.graph.input_count);
    if (strcmp(model->inputs[0].name, d->input_name) != 0)
        return xnor_fail(XNOR_E_FORMAT, "description: the graph has no input '%s'", d->input_name);
    XNOR_TRY(bind_input(&model->inputs[0], d));
    for (uint32_t i = 0; i < d->image_output_count; i++)
        XNOR_TRY(bind_output(model, &d->image_outputs[i]));
    return XNOR_OK;
}
