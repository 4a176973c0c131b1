#include <stdio.h>

#include "core/size.h"
#include "core/tensor.h"
#include "format/layout.h"
#include "format/sections.h"

// A walk over tensors that lie one after the other, each aligned, with zeros between them.
typedef struct walk {
    xnor_cursor cursor;
    const uint8_t *begin;
    size_t alignment;
} walk;

static xnor_status next_tensor(walk *w, const char *where, xnor_tensor *tensor) {
    char shape[XNOR_SHAPE_TEXT];
    size_t bytes;
    if (xnor_tensor_bytes(tensor->dtype, &tensor->shape, &bytes) != XNOR_OK)
        return xnor_fail(XNOR_E_FORMAT, "%s: the size of %s %s overflows", where,
                         xnor_dtype_name(tensor->dtype),
                         xnor_shape_text(&tensor->shape, shape, sizeof shape));
    size_t at = (size_t)(w->cursor.at - w->begin);
    size_t padding = xnor_align_up(at, w->alignment) - at;
    const uint8_t *zeros = xnor_cursor_bytes(&w->cursor, padding);
    const uint8_t *data = xnor_cursor_bytes(&w->cursor, bytes);
    if (w->cursor.error)
        return xnor_fail(XNOR_E_FORMAT, "%s: %s %s does not fit into the section", where,
                         xnor_dtype_name(tensor->dtype),
                         xnor_shape_text(&tensor->shape, shape, sizeof shape));
    if (!xnor_bytes_are_zero(zeros, padding))
        return xnor_fail(XNOR_E_FORMAT, "%s: the padding before it is not 0", where);
    tensor->data = (void *)(uintptr_t)data; // read-only by contract, the file may be mapped so
    return XNOR_OK;
}

// ---- constants ----------------------------------------------------------------------------------

// Rows of packed bits end in zeros: kernels count whole words.
static bool padding_is_zero(const uint64_t *rows, size_t row_count, size_t cols) {
    size_t words = xnor_words(cols);
    if (cols % 64 == 0) return true;
    uint64_t any = 0;
    for (size_t row = 0; row < row_count; row++) any |= rows[row * words + words - 1];
    return any >> (cols % 64) == 0;
}

// A positive element is not zero, so it is in both planes.
static bool planes_agree(const uint64_t *planes, size_t words) {
    uint64_t any = 0;
    for (size_t i = 0; i < words; i++) any |= planes[i] & ~planes[words + i];
    return any == 0;
}

static bool booleans_are_valid(const uint8_t *data, size_t count) {
    uint8_t any = 0;
    for (size_t i = 0; i < count; i++) any |= data[i];
    return any <= 1;
}

static const char *content_error(const xnor_tensor *t) {
    size_t cols = (size_t)xnor_shape_last(&t->shape);
    size_t rows = cols ? xnor_shape_rows(&t->shape) : 0;
    size_t planes = t->dtype == XNOR_TERNARY ? 2 : 1;
    if (t->dtype == XNOR_BOOL && !booleans_are_valid(t->data, xnor_tensor_count(t)))
        return "a boolean is neither 0 nor 1";
    if (t->dtype != XNOR_BITS && t->dtype != XNOR_TERNARY) return NULL;
    if (!padding_is_zero(t->data, rows * planes, cols)) return "the padding of a row is not 0";
    if (planes == 2 && !planes_agree(t->data, rows * xnor_words(cols)))
        return "an element is both positive and zero";
    return NULL;
}

xnor_status xnor_section_read_constants(xnor_bytes section, const uint8_t *is_constant,
                                        xnor_graph *graph) {
    walk w = {
        {section.data, section.data + section.size, NULL}, section.data, XNOR_FORMAT_ALIGNMENT};
    for (uint32_t i = 0; i < graph->value_count; i++) {
        if (!is_constant[i]) continue;
        xnor_value *value = &graph->values[i];
        char where[64];
        snprintf(where, sizeof where, "section 'constants': value %u", i);
        if (!xnor_shape_known(&value->shape))
            return xnor_fail(XNOR_E_FORMAT, "%s: a constant has an unknown dimension", where);
        xnor_tensor tensor = {value->dtype, value->shape, NULL};
        XNOR_TRY(next_tensor(&w, where, &tensor));
        const char *error = content_error(&tensor);
        if (error) return xnor_fail(XNOR_E_FORMAT, "%s: %s", where, error);
        value->data = tensor.data;
    }
    if (w.cursor.at != w.cursor.end)
        return xnor_fail(XNOR_E_FORMAT, "section 'constants': %zu bytes follow the last value",
                         (size_t)(w.cursor.end - w.cursor.at));
    return XNOR_OK;
}

// ---- golden pairs -------------------------------------------------------------------------------

static bool shape_fits(const xnor_shape *port, const xnor_shape *shape) {
    if (port->rank != shape->rank) return false;
    for (uint32_t i = 0; i < shape->rank; i++)
        if (port->dims[i] >= 0 && port->dims[i] != shape->dims[i]) return false;
    return true;
}

static xnor_status read_port_shape(walk *w, const xnor_value *port, uint32_t pair,
                                   xnor_tensor *out) {
    char expected[XNOR_SHAPE_TEXT], found[XNOR_SHAPE_TEXT];
    xnor_shape shape = xnor_section_read_shape(&w->cursor);
    if (w->cursor.error)
        return xnor_fail(XNOR_E_FORMAT, "section 'golden': pair %u: %s", pair, w->cursor.error);
    if (!xnor_shape_known(&shape) || !shape_fits(&port->shape, &shape))
        return xnor_fail(XNOR_E_FORMAT, "section 'golden': pair %u: '%s' is %s, expected %s", pair,
                         port->name, xnor_shape_text(&shape, found, sizeof found),
                         xnor_shape_text(&port->shape, expected, sizeof expected));
    *out = (xnor_tensor){port->dtype, shape, NULL};
    return XNOR_OK;
}

xnor_status xnor_section_read_golden(xnor_bytes section, xnor_contents *contents) {
    walk w = {
        {section.data, section.data + section.size, NULL}, section.data, XNOR_GOLDEN_ALIGNMENT};
    const xnor_graph *graph = &contents->graph;
    contents->golden_count = xnor_cursor_count(&w.cursor, XNOR_MAX_GOLDEN);
    if (w.cursor.error) return xnor_fail(XNOR_E_FORMAT, "section 'golden': %s", w.cursor.error);
    for (uint32_t i = 0; i < contents->golden_count; i++) {
        xnor_golden *pair = &contents->golden[i];
        pair->input_count = graph->input_count;
        pair->output_count = graph->output_count;
        for (uint32_t j = 0; j < graph->input_count; j++)
            XNOR_TRY(read_port_shape(&w, &graph->values[graph->inputs[j]], i, &pair->inputs[j]));
        for (uint32_t j = 0; j < graph->output_count; j++)
            XNOR_TRY(read_port_shape(&w, &graph->values[graph->outputs[j]], i, &pair->outputs[j]));
    }
    for (uint32_t i = 0; i < contents->golden_count; i++) {
        xnor_golden *pair = &contents->golden[i];
        char where[64];
        snprintf(where, sizeof where, "section 'golden': pair %u", i);
        for (uint32_t j = 0; j < pair->input_count; j++)
            XNOR_TRY(next_tensor(&w, where, &pair->inputs[j]));
        for (uint32_t j = 0; j < pair->output_count; j++)
            XNOR_TRY(next_tensor(&w, where, &pair->outputs[j]));
    }
    if (w.cursor.at != w.cursor.end)
        return xnor_fail(XNOR_E_FORMAT, "section 'golden': bytes follow the last pair");
    return XNOR_OK;
}
