#include "format/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "core/size.h"
#include "format/layout.h"

void xnor_buffer_free(xnor_buffer *buffer) {
    free(buffer->data);
    *buffer = (xnor_buffer){0};
}

static bool reserve(xnor_buffer *buffer, size_t more) {
    size_t needed, capacity;
    if (buffer->failed) return false;
    if (!xnor_size_add(buffer->size, more, &needed)) return !(buffer->failed = true);
    if (needed <= buffer->capacity) return true;
    if (!xnor_size_mul(needed, 2, &capacity)) return !(buffer->failed = true);
    capacity = xnor_align_up(capacity, XNOR_FORMAT_ALIGNMENT);
    uint8_t *data = aligned_alloc(XNOR_FORMAT_ALIGNMENT, capacity);
    if (!data) return !(buffer->failed = true);
    if (buffer->size) memcpy(data, buffer->data, buffer->size);
    free(buffer->data);
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void xnor_buffer_bytes(xnor_buffer *buffer, const void *data, size_t size) {
    if (size == 0 || !reserve(buffer, size)) return;
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void xnor_buffer_align(xnor_buffer *buffer, size_t alignment) {
    static const uint8_t zeros[XNOR_FORMAT_ALIGNMENT];
    xnor_buffer_bytes(buffer, zeros, xnor_align_up(buffer->size, alignment) - buffer->size);
}

void xnor_buffer_varint(xnor_buffer *buffer, uint64_t value) {
    uint8_t bytes[10];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7) bytes[size++] = (uint8_t)(value | 0x80);
    bytes[size++] = (uint8_t)value;
    xnor_buffer_bytes(buffer, bytes, size);
}

void xnor_buffer_signed(xnor_buffer *buffer, int64_t value) {
    uint64_t bits = (uint64_t)value;
    xnor_buffer_varint(buffer, bits << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void xnor_buffer_double(xnor_buffer *buffer, double value) {
    xnor_buffer_bytes(buffer, &value, sizeof value);
}

void xnor_buffer_text(xnor_buffer *buffer, const char *text) {
    size_t size = strlen(text);
    xnor_buffer_varint(buffer, size);
    xnor_buffer_bytes(buffer, text, size);
}
