#include "decode.h"

#include <stdio.h>
#include <string.h>

// A map under way, and the list around it.
typedef struct frame {
    const xnord_proto_schema *schema;
    const xnord_proto_field *field; // that this map is the value of; NULL: the body
    char *base;                     // struct being filled
    uint32_t pairs;                 // still to come
    uint64_t seen;                  // bit i: schema->fields[i] was there
    uint32_t item;                  // index in the list
    uint32_t items;                 // length of the list; a map alone is a list of 1
} frame;

typedef struct decoder {
    xnord_proto_cursor *cursor;
    xnord_proto_error *error;
    const char *name;
    uint32_t depth;
    frame frames[XNORD_PROTO_SCHEMA_DEPTH];
} decoder;

// "infer.inputs[0].shape"
static void write_path(const decoder *d, const xnord_proto_field *field, char *path, size_t size) {
    size_t used = (size_t)snprintf(path, size, "%s", d->name);
    for (uint32_t i = 1; i < d->depth && used < size; i++) {
        const frame *f = &d->frames[i];
        used +=
            (size_t)snprintf(path + used, size - used, ".%s", xnord_proto_key_name(f->field->key));
        if (f->field->type != XNORD_TYPE_LIST || used >= size) continue;
        used += (size_t)snprintf(path + used, size - used, "[%u]", f->item);
    }
    if (field && used < size) {
        snprintf(path + used, size - used, ".%s", xnord_proto_key_name(field->key));
    }
}

static xnord_status fail_type(const decoder *d, const xnord_proto_field *field,
                              const char *expected, const xnord_proto_token *found) {
    char path[96];
    write_path(d, field, path, sizeof path);
    return xnord_proto_fail(d->error, XNORD_INVALID, "%s: expected %s, found %s", path, expected,
                            xnord_proto_kind_name(found->kind));
}

static xnord_status fail_large(const decoder *d, const xnord_proto_field *field, uint64_t found) {
    char path[96];
    write_path(d, field, path, sizeof path);
    return xnord_proto_fail(d->error, XNORD_TOO_LARGE, "%s: at most %u, found %llu", path,
                            field->capacity, (unsigned long long)found);
}

static xnord_status expect(decoder *d, const xnord_proto_field *field, xnord_proto_kind kind,
                           xnord_proto_token *token) {
    XNORD_PROTO_TRY(xnord_proto_next(d->cursor, token, d->error));
    if (token->kind == kind) return XNORD_OK;
    return fail_type(d, field, xnord_proto_kind_name(kind), token);
}

static xnord_status decode_uint(decoder *d, const xnord_proto_field *field, uint64_t max,
                                uint64_t *out) {
    char path[96];
    xnord_proto_cursor before = *d->cursor;
    xnord_proto_token token;
    XNORD_PROTO_TRY(xnord_proto_next(d->cursor, &token, d->error));
    if (token.kind == XNORD_KIND_UINT && token.uint <= max) {
        *out = token.uint;
        return XNORD_OK;
    }
    *d->cursor = before;
    write_path(d, field, path, sizeof path);
    return xnord_proto_decode_uint(d->cursor, path, max, out, d->error);
}

static xnord_status decode_u32(decoder *d, const xnord_proto_field *field, uint32_t *out) {
    uint64_t value;
    XNORD_PROTO_TRY(decode_uint(d, field, UINT32_MAX, &value));
    bool limited = field->type == XNORD_TYPE_U32 && field->capacity > 0;
    if (limited && value > field->capacity) return fail_large(d, field, value);
    *out = (uint32_t)value;
    return XNORD_OK;
}

// -1 stands for any size in the shape of a port; the data of a tensor rules it out.
static xnord_status decode_dim(decoder *d, const xnord_proto_field *field, int64_t *out) {
    xnord_proto_token token;
    XNORD_PROTO_TRY(xnord_proto_next(d->cursor, &token, d->error));
    if (token.kind == XNORD_KIND_UINT && token.uint <= INT64_MAX) {
        *out = (int64_t)token.uint;
        return XNORD_OK;
    }
    if (token.kind == XNORD_KIND_NEGATIVE && token.negative == -1) {
        *out = -1;
        return XNORD_OK;
    }
    return fail_type(d, field, "an integer from -1 to 2^63 - 1", &token);
}

static xnord_status decode_f32(decoder *d, const xnord_proto_field *field, float *out) {
    xnord_proto_token token;
    XNORD_PROTO_TRY(expect(d, field, XNORD_KIND_FLOAT, &token));
    // Written so that NaN fails too; beyond the range the conversion would be undefined.
    if (!(token.real >= -3.4e38 && token.real <= 3.4e38)) {
        return fail_type(d, field, "a finite number", &token);
    }
    *out = (float)token.real;
    return XNORD_OK;
}

static xnord_status decode_datatype(decoder *d, const xnord_proto_field *field,
                                    xnord_datatype *out) {
    xnord_proto_token token;
    XNORD_PROTO_TRY(expect(d, field, XNORD_KIND_STR, &token));
    char name[16] = "";
    if (token.bytes.size < sizeof name) memcpy(name, token.bytes.data, token.bytes.size);
    if (xnord_datatype_from_name(name, out)) return XNORD_OK;
    char path[96];
    write_path(d, field, path, sizeof path);
    return xnord_proto_fail(d->error, XNORD_UNSUPPORTED, "%s: unknown datatype '%s'", path,
                            name[0] ? name : "...");
}

static xnord_status decode_str(decoder *d, const xnord_proto_field *field, xnord_proto_str *out) {
    xnord_proto_token token;
    XNORD_PROTO_TRY(expect(d, field, XNORD_KIND_STR, &token));
    *out = token.bytes;
    return XNORD_OK;
}

static xnord_status decode_element(decoder *d, const xnord_proto_field *field, void *array,
                                   uint32_t index) {
    switch (field->type) {
    case XNORD_TYPE_STRS:
        return decode_str(d, field, (xnord_proto_str *)array + index);
    case XNORD_TYPE_DIMS:
        return decode_dim(d, field, (int64_t *)array + index);
    case XNORD_TYPE_U32S:
        return decode_u32(d, field, (uint32_t *)array + index);
    default:
        return decode_uint(d, field, UINT64_MAX, (uint64_t *)array + index);
    }
}

static xnord_status begin_array(decoder *d, const xnord_proto_field *field, char *base,
                                uint32_t *count) {
    xnord_proto_token token;
    XNORD_PROTO_TRY(expect(d, field, XNORD_KIND_ARRAY, &token));
    if (token.count > field->capacity) return fail_large(d, field, token.count);
    memcpy(base + field->count, &token.count, sizeof token.count);
    *count = token.count;
    return XNORD_OK;
}

static xnord_status decode_array(decoder *d, const xnord_proto_field *field, char *base) {
    uint32_t count;
    XNORD_PROTO_TRY(begin_array(d, field, base, &count));
    for (uint32_t i = 0; i < count; i++) {
        XNORD_PROTO_TRY(decode_element(d, field, base + field->offset, i));
    }
    return XNORD_OK;
}

static xnord_status begin_map(decoder *d, frame *f) {
    xnord_proto_token token;
    XNORD_PROTO_TRY(expect(d, NULL, XNORD_KIND_MAP, &token));
    f->pairs = token.count;
    f->seen = 0;
    return XNORD_OK;
}

// Opens a nested map, or the first map of a list of `items`.
static xnord_status push(decoder *d, const xnord_proto_schema *schema,
                         const xnord_proto_field *field, char *base, uint32_t items) {
    if (items == 0) return XNORD_OK;
    frame *f = &d->frames[d->depth++];
    *f = (frame){.schema = schema, .field = field, .base = base, .items = items};
    return begin_map(d, f);
}

static xnord_status decode_data(decoder *d, const xnord_proto_field *field, char *base) {
    xnord_proto_token token;
    XNORD_PROTO_TRY(expect(d, field, XNORD_KIND_BIN, &token));
    const void *data = token.bytes.data;
    memcpy(base + field->offset, &data, sizeof data);
    memcpy(base + field->count, &token.bytes.size, sizeof token.bytes.size);
    return XNORD_OK;
}

static xnord_status decode_value(decoder *d, const xnord_proto_field *field, char *base) {
    void *value = base + field->offset;
    xnord_proto_token token;
    uint32_t count;
    char path[96];
    switch (field->type) {
    case XNORD_TYPE_STR:
        return decode_str(d, field, value);
    case XNORD_TYPE_BOOL:
        XNORD_PROTO_TRY(expect(d, field, XNORD_KIND_BOOL, &token));
        *(bool *)value = token.boolean;
        return XNORD_OK;
    case XNORD_TYPE_U32:
        return decode_u32(d, field, value);
    case XNORD_TYPE_U64:
        return decode_uint(d, field, UINT64_MAX, value);
    case XNORD_TYPE_F32:
        return decode_f32(d, field, value);
    case XNORD_TYPE_DATATYPE:
        return decode_datatype(d, field, value);
    case XNORD_TYPE_DATA:
        return decode_data(d, field, base);
    case XNORD_TYPE_MAP:
        if (field->count) *(bool *)(base + field->count) = true;
        return push(d, field->item, field, value, 1);
    case XNORD_TYPE_LIST:
        XNORD_PROTO_TRY(begin_array(d, field, base, &count));
        return push(d, field->item, field, value, count);
    case XNORD_TYPE_RESERVED:
        write_path(d, field, path, sizeof path);
        return xnord_proto_fail(d->error, XNORD_UNSUPPORTED, "%s: not supported by this version",
                                path);
    default:
        return decode_array(d, field, base);
    }
}

// The keys of a map may come in any order; unknown ones are skipped.
static xnord_status decode_pair(decoder *d, frame *f) {
    xnord_proto_token key;
    f->pairs--;
    XNORD_PROTO_TRY(expect(d, NULL, XNORD_KIND_STR, &key));
    for (uint32_t i = 0; i < f->schema->field_count; i++) {
        const xnord_proto_field *field = &f->schema->fields[i];
        if (!xnord_proto_str_equal(key.bytes, xnord_proto_key_name(field->key))) continue;
        f->seen |= UINT64_C(1) << i;
        return decode_value(d, field, f->base);
    }
    return xnord_proto_skip(d->cursor, d->error);
}

static xnord_status end_map(decoder *d, frame *f) {
    for (uint32_t i = 0; i < f->schema->field_count; i++) {
        const xnord_proto_field *field = &f->schema->fields[i];
        if (!field->required || f->seen >> i & 1) continue;
        char path[96];
        write_path(d, field, path, sizeof path);
        return xnord_proto_fail(d->error, XNORD_INVALID, "%s: missing", path);
    }
    if (++f->item == f->items) {
        d->depth--;
        return XNORD_OK;
    }
    f->base += f->schema->size;
    return begin_map(d, f);
}

xnord_status xnord_proto_decode_map(xnord_proto_cursor *cursor, const char *name,
                                    const xnord_proto_schema *schema, void *out,
                                    xnord_proto_error *error) {
    decoder d = {.cursor = cursor, .error = error, .name = name};
    XNORD_PROTO_TRY(push(&d, schema, NULL, out, 1));
    while (d.depth > 0) {
        frame *top = &d.frames[d.depth - 1];
        XNORD_PROTO_TRY(top->pairs > 0 ? decode_pair(&d, top) : end_map(&d, top));
    }
    return XNORD_OK;
}

xnord_status xnord_proto_decode_uint(xnord_proto_cursor *cursor, const char *name, uint64_t max,
                                     uint64_t *out, xnord_proto_error *error) {
    xnord_proto_token token;
    XNORD_PROTO_TRY(xnord_proto_next(cursor, &token, error));
    if (token.kind != XNORD_KIND_UINT) {
        return xnord_proto_fail(error, XNORD_INVALID, "%s: expected unsigned integer, found %s",
                                name, xnord_proto_kind_name(token.kind));
    }
    if (token.uint > max) {
        return xnord_proto_fail(error, XNORD_INVALID,
                                "%s: expected an integer of at most %llu, found %llu", name,
                                (unsigned long long)max, (unsigned long long)token.uint);
    }
    *out = token.uint;
    return XNORD_OK;
}

// "[1024, 3]"
static void write_shape(const xnord_proto_tensor *tensor, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (uint32_t i = 0; i < tensor->rank && i < XNORD_PROTO_MAX_RANK && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "",
                                 (long long)tensor->shape[i]);
    }
    if (used < size) snprintf(text + used, size - used, "]");
}

static bool same(xnord_proto_str a, xnord_proto_str b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

// Whether the data of a tensor with a stride has its size: the last row may end with its values.
static bool has_rows(const xnord_proto_tensor *t, uint64_t dense) {
    if (t->rank < 2 || t->shape[0] < 1) return false;
    const uint64_t rows = (uint64_t)t->shape[0], row = dense / rows;
    uint64_t most;
    return dense > 0 && t->stride >= row && !__builtin_mul_overflow(rows, t->stride, &most) &&
           t->size <= most && t->size >= most - t->stride + row;
}

xnord_status xnord_proto_check_tensors(const char *name, const xnord_proto_tensor *tensors,
                                       uint32_t count, xnord_proto_error *error) {
    if (count > XNORD_PROTO_MAX_TENSORS) {
        return xnord_proto_fail(error, XNORD_TOO_LARGE, "%s: at most %d, found %u", name,
                                XNORD_PROTO_MAX_TENSORS, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        const xnord_proto_tensor *t = &tensors[i];
        uint64_t expected;
        bool sized = xnord_tensor_bytes(t->datatype, t->rank, t->shape, &expected);
        char shape[128];
        if (sized && t->stride > 0) {
            write_shape(t, shape, sizeof shape);
            if (!has_rows(t, expected))
                return xnord_proto_fail(
                    error, XNORD_INVALID,
                    "%s[%u]: %s %s with a stride of %llu bytes does not fit %zu bytes", name, i,
                    xnord_datatype_name(t->datatype), shape, (unsigned long long)t->stride,
                    t->size);
            expected = t->size;
        }
        if (!sized || expected != t->size) write_shape(t, shape, sizeof shape);
        if (!sized) {
            return xnord_proto_fail(error, XNORD_INVALID, "%s[%u]: %s is not the shape of a tensor",
                                    name, i, shape);
        }
        if (expected != t->size) {
            return xnord_proto_fail(
                error, XNORD_INVALID, "%s[%u]: %s %s takes %llu bytes, found %zu", name, i,
                xnord_datatype_name(t->datatype), shape, (unsigned long long)expected, t->size);
        }
        for (uint32_t j = 0; j < i; j++) {
            if (!same(tensors[j].name, t->name)) continue;
            return xnord_proto_fail(error, XNORD_INVALID, "%s[%u]: same name as %s[%u]", name, i,
                                    name, j);
        }
    }
    return XNORD_OK;
}
