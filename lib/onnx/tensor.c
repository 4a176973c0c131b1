#include "onnx/tensor.h"

#include <math.h>
#include <string.h>

#include "core/tensor.h"

// ONNX stores little-endian, and so do all hosts this builds for: fields are read as they lie.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "byte order");

// ---- elements -----------------------------------------------------------------------------------

typedef struct element {
    double real; // exact for every float type
    int64_t integer;
} element;

#define LOAD(name, type, field, expression)                                                        \
    static element load_##name(const uint8_t *at) {                                                \
        type value;                                                                                \
        memcpy(&value, at, sizeof value);                                                          \
        return (element){.field = expression};                                                     \
    }

// IEEE 754 binary16.
static double half(uint16_t bits) {
    int exponent = bits >> 10 & 31;
    int fraction = bits & 1023;
    double magnitude = exponent == 31  ? (fraction ? NAN : INFINITY)
                       : exponent == 0 ? ldexp(fraction, -24)
                                       : ldexp(fraction + 1024, exponent - 25);
    return bits >> 15 ? -magnitude : magnitude;
}

// The upper half of a binary32.
static double brain(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return (double)value;
}

LOAD(f32, float, real, (double)value)
LOAD(f64, double, real, value)
LOAD(f16, uint16_t, real, half(value))
LOAD(bf16, uint16_t, real, brain(value))
LOAD(i8, int8_t, integer, value)
LOAD(i16, int16_t, integer, value)
LOAD(i32, int32_t, integer, value)
LOAD(i64, int64_t, integer, value)
LOAD(u8, uint8_t, integer, value)
LOAD(u16, uint16_t, integer, value)
LOAD(u32, uint32_t, integer, value)
LOAD(bool, uint8_t, integer, value != 0)

// Repeated fields of TensorProto; narrow types lie in the low bytes of wide ones.
typedef enum field { FLOAT_DATA, INT32_DATA, INT64_DATA, DOUBLE_DATA, UINT64_DATA } field;

// X(ONNX type, our dtype, computes the same, bytes in raw_data, loader, typed field)
#define TYPE_TABLE(X)                                                                              \
    X(FLOAT, F32, true, 4, f32, FLOAT_DATA)                                                        \
    X(DOUBLE, F64, true, 8, f64, DOUBLE_DATA)                                                      \
    X(FLOAT16, F32, true, 2, f16, INT32_DATA)                                                      \
    X(BFLOAT16, F32, true, 2, bf16, INT32_DATA)                                                    \
    X(INT8, I32, false, 1, i8, INT32_DATA)                                                         \
    X(INT16, I32, false, 2, i16, INT32_DATA)                                                       \
    X(INT32, I32, true, 4, i32, INT32_DATA)                                                        \
    X(INT64, I64, true, 8, i64, INT64_DATA)                                                        \
    X(UINT8, U8, true, 1, u8, INT32_DATA)                                                          \
    X(UINT16, I32, false, 2, u16, INT32_DATA)                                                      \
    X(UINT32, I64, false, 4, u32, UINT64_DATA)                                                     \
    X(BOOL, BOOL, true, 1, bool, INT32_DATA)

typedef struct element_type {
    int32_t onnx;
    xnor_dtype dtype;
    bool computes_the_same;
    size_t bytes;
    element (*load)(const uint8_t *at);
    field field;
} element_type;

static const element_type types[] = {
#define ROW(name, dtype, same, bytes, loader, field)                                               \
    {ONNX__TENSOR_PROTO__DATA_TYPE__##name, XNOR_##dtype, same, bytes, load_##loader, field},
    TYPE_TABLE(ROW)
#undef ROW
};

static const char *type_name(int32_t onnx) {
    const ProtobufCEnumValue *name =
        protobuf_c_enum_descriptor_get_value(&onnx__tensor_proto__data_type__descriptor, onnx);
    return name ? name->name : "unknown";
}

static xnor_status find_type(const char *where, int32_t onnx, const element_type **out) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        *out = &types[i];
        if (types[i].onnx == onnx) return XNOR_OK;
    }
    return xnor_fail(XNOR_E_UNSUPPORTED, "%s: element type %s (%d) is not supported", where,
                     type_name(onnx), onnx);
}

xnor_status xnor_onnx_dtype(const char *where, int32_t onnx, xnor_dtype *out) {
    const element_type *found;
    XNOR_TRY(find_type(where, onnx, &found));
    if (!found->computes_the_same)
        return xnor_fail(XNOR_E_UNSUPPORTED, "%s: element type %s is supported in constants only",
                         where, type_name(onnx));
    *out = found->dtype;
    return XNOR_OK;
}

// ---- tensors ------------------------------------------------------------------------------------

typedef struct source {
    const uint8_t *data;
    size_t count;
    size_t stride;
} source;

static xnor_status find_source(const char *where, const Onnx__TensorProto *t,
                               const element_type *type, source *out) {
    if (t->n_external_data ||
        (t->has_data_location && t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL))
        return xnor_fail(XNOR_E_UNSUPPORTED,
                         "%s: its data lie in another file; export the model with all data inside",
                         where);
    if (t->segment) return xnor_fail(XNOR_E_UNSUPPORTED, "%s: segmented tensor", where);
    if (t->has_raw_data) {
        *out = (source){t->raw_data.data, t->raw_data.len / type->bytes, type->bytes};
        if (t->raw_data.len % type->bytes == 0) return XNOR_OK;
        return xnor_fail(XNOR_E_FORMAT, "%s: %zu bytes are not a multiple of %zu", where,
                         t->raw_data.len, type->bytes);
    }
    switch (type->field) {
#define FIELD(id, member)                                                                          \
    case id:                                                                                       \
        *out = (source){(const uint8_t *)t->member, t->n_##member, sizeof *t->member};             \
        break;
        FIELD(FLOAT_DATA, float_data)
        FIELD(INT32_DATA, int32_data)
        FIELD(INT64_DATA, int64_data)
        FIELD(DOUBLE_DATA, double_data)
        FIELD(UINT64_DATA, uint64_data)
#undef FIELD
    }
    return XNOR_OK;
}

static xnor_status read_shape(const char *where, const Onnx__TensorProto *t, xnor_shape *out) {
    if (t->n_dims > XNOR_MAX_RANK)
        return xnor_fail(XNOR_E_LIMIT, "%s: rank %zu, at most %d is supported", where, t->n_dims,
                         XNOR_MAX_RANK);
    *out = (xnor_shape){.rank = (uint32_t)t->n_dims};
    for (uint32_t i = 0; i < out->rank; i++) {
        out->dims[i] = t->dims[i];
        if (t->dims[i] < 0)
            return xnor_fail(XNOR_E_FORMAT, "%s: dimension %u is %lld", where, i,
                             (long long)t->dims[i]);
    }
    return XNOR_OK;
}

static void store(const element_type *type, const source *from, void *out) {
    if (from->stride == xnor_dtype_bytes(type->dtype) && type->bytes == from->stride &&
        type->dtype != XNOR_BOOL) {
        if (from->count) memcpy(out, from->data, from->count * from->stride);
        return;
    }
    for (size_t i = 0; i < from->count; i++) {
        element value = type->load(from->data + i * from->stride);
        switch (type->dtype) {
        case XNOR_F32:
            ((float *)out)[i] = (float)value.real;
            break;
        case XNOR_F64:
            ((double *)out)[i] = value.real;
            break;
        case XNOR_I32:
            ((int32_t *)out)[i] = (int32_t)value.integer;
            break;
        case XNOR_I64:
            ((int64_t *)out)[i] = value.integer;
            break;
        default:
            ((uint8_t *)out)[i] = (uint8_t)value.integer;
            break;
        }
    }
}

xnor_status xnor_onnx_add_tensor(xnor_graph *graph, const char *where, const char *name,
                                 const Onnx__TensorProto *tensor, xnor_value_id *out) {
    const element_type *type;
    source from = {0};
    xnor_shape shape;
    size_t count;
    char text[XNOR_SHAPE_TEXT];
    XNOR_TRY(find_type(where, tensor->data_type, &type));
    XNOR_TRY(find_source(where, tensor, type, &from));
    XNOR_TRY(read_shape(where, tensor, &shape));
    // Before anything is allocated: the shape alone may claim any size.
    if (xnor_shape_count(&shape, &count) != XNOR_OK || count != from.count)
        return xnor_fail(XNOR_E_FORMAT, "%s: shape %s does not fit its %zu elements of data", where,
                         xnor_shape_text(&shape, text, sizeof text), from.count);
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, name, type->dtype, &shape, out, &data));
    store(type, &from, data);
    return XNOR_OK;
}
