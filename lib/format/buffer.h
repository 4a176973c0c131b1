// A growing byte buffer. After a failed allocation it stays `failed` and takes nothing more, so a
// writer checks once at its end.
#ifndef XNOR_FORMAT_BUFFER_H
#define XNOR_FORMAT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct xnor_buffer {
    uint8_t *data; // 64-byte aligned
    size_t size;
    size_t capacity;
    bool failed;
} xnor_buffer;

void xnor_buffer_free(xnor_buffer *buffer);
void xnor_buffer_bytes(xnor_buffer *buffer, const void *data, size_t size);
// Zeros up to the next multiple of `alignment`.
void xnor_buffer_align(xnor_buffer *buffer, size_t alignment);
// LEB128: seven bits per byte, low ones first, the top bit set on all bytes but the last.
void xnor_buffer_varint(xnor_buffer *buffer, uint64_t value);
// Zigzag, then varint.
void xnor_buffer_signed(xnor_buffer *buffer, int64_t value);
void xnor_buffer_double(xnor_buffer *buffer, double value);
// Length, then the bytes.
void xnor_buffer_text(xnor_buffer *buffer, const char *text);

#endif
