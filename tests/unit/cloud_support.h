// Helpers of the point file tests: byte buffers, and reading them from memory blocks of exactly
// their size, so that a sanitizer sees every byte too far.
#ifndef TESTS_CLOUD_SUPPORT_H
#define TESTS_CLOUD_SUPPORT_H

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/xnorctl/cloud.h"

typedef struct buffer {
    uint8_t bytes[1 << 16];
    size_t size;
} buffer;

static inline void put_bytes(buffer *b, const void *bytes, size_t size) {
    cr_assert_leq(b->size + size, sizeof b->bytes);
    memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
}

static inline void put_text(buffer *b, const char *text) {
    put_bytes(b, text, strlen(text));
}

// The tests run on little-endian machines.
static inline void put_float(buffer *b, float value) {
    put_bytes(b, &value, sizeof value);
}

static inline void put_double(buffer *b, double value) {
    put_bytes(b, &value, sizeof value);
}

static inline void put_u32(buffer *b, uint32_t value) {
    put_bytes(b, &value, sizeof value);
}

static inline void put_u16(buffer *b, uint16_t value) {
    put_bytes(b, &value, sizeof value);
}

// The last `size` bytes the other way round.
static inline void swap_last(buffer *b, size_t size) {
    uint8_t *tail = b->bytes + b->size - size;
    for (size_t i = 0; i < size / 2; i++) {
        const uint8_t byte = tail[i];
        tail[i] = tail[size - 1 - i];
        tail[size - 1 - i] = byte;
    }
}

static inline xnor_status read_exact(const char *name, const void *bytes, size_t size,
                                     const cloud_options *options, cloud *out) {
    uint8_t *copy = malloc(size ? size : 1);
    cr_assert_not_null(copy);
    memcpy(copy, bytes, size);
    const xnor_status status = cloud_read_memory(name, copy, size, options, out);
    free(copy);
    return status;
}

static const cloud_options default_options = {.sample_points = 100};

static inline cloud read_good(const char *name, const buffer *b) {
    cloud points = {0};
    const xnor_status status = read_exact(name, b->bytes, b->size, &default_options, &points);
    cr_assert_eq(status, XNOR_OK, "%s", xnor_last_error());
    return points;
}

static inline cloud read_good_text(const char *name, const char *text) {
    static buffer b;
    b.size = 0;
    put_text(&b, text);
    return read_good(name, &b);
}

// The file must be refused, in words that contain `words`.
static inline void expect_refused(const char *name, const buffer *b, xnor_status expected,
                                  const char *words) {
    cloud points = {0};
    const xnor_status status = read_exact(name, b->bytes, b->size, &default_options, &points);
    cr_assert_eq(status, expected, "expected status %d, found %d: %s", (int)expected, (int)status,
                 status == XNOR_OK ? "read" : xnor_last_error());
    cr_assert_null(points.xyz);
    cr_assert_not_null(strstr(xnor_last_error(), words), "expected '%s' in '%s'", words,
                       xnor_last_error());
    cr_assert_null(strchr(xnor_last_error(), '\n'), "one line: '%s'", xnor_last_error());
}

static inline void expect_refused_text(const char *name, const char *text, xnor_status expected,
                                       const char *words) {
    static buffer b;
    b.size = 0;
    put_text(&b, text);
    expect_refused(name, &b, expected, words);
}

// Cut to any length below `needed`, the file must be refused.
static inline void expect_truncations_refused(const char *name, const buffer *b, size_t needed) {
    for (size_t size = 0; size < needed; size++) {
        cloud points = {0};
        const xnor_status status = read_exact(name, b->bytes, size, &default_options, &points);
        cr_assert_neq(status, XNOR_OK, "read although cut to %zu of %zu bytes", size, b->size);
    }
}

// Every single byte replaced by a few values: any answer is fine, a crash is not.
static inline void survive_damage(const char *name, const buffer *b) {
    static const uint8_t values[] = {0x00, 0xff, 0x7f, 0x80, '9', '-', '\n', ' '};
    static buffer damaged;
    for (size_t i = 0; i < b->size; i++)
        for (size_t v = 0; v < sizeof values; v++) {
            damaged = *b;
            damaged.bytes[i] = values[v];
            cloud points = {0};
            if (read_exact(name, damaged.bytes, b->size, &default_options, &points) == XNOR_OK)
                cloud_free(&points);
        }
}

// Compares with `count` rows of expected coordinates and releases the cloud.
static inline void expect_points(cloud *points, size_t count, const float (*expected)[3]) {
    cr_assert_eq(points->count, count, "expected %zu points, found %zu", count, points->count);
    for (size_t i = 0; i < count; i++)
        for (size_t axis = 0; axis < 3; axis++)
            cr_assert_eq(points->xyz[3 * i + axis], expected[i][axis],
                         "point %zu, axis %zu: expected %g, found %g", i, axis,
                         (double)expected[i][axis], (double)points->xyz[3 * i + axis]);
    cloud_free(points);
}

#endif
