// The header is a Python dict literal, taken as a row of tokens.
#include "clients/xnorctl/npy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/xnorctl/files.h"
#include "clients/xnorctl/scan.h"
#include "core/size.h"
#include "core/tensor.h"

// The header is a Python dict; we take it as a row of tokens.
typedef struct tokens {
    const char *next;
    const char *end;
} tokens;

static bool is_name_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

// A quoted string (without its quotes), a word of letters and digits, or a single character.
static bool next_token(tokens *in, scan_span *token) {
    while (in->next < in->end && (*in->next == ' ' || *in->next == '\n')) in->next++;
    if (in->next == in->end) return false;
    const char *start = in->next++;
    if (*start == '\'' || *start == '"') {
        const char *close = memchr(in->next, *start, (size_t)(in->end - in->next));
        if (!close) return false;
        *token = (scan_span){start + 1, (size_t)(close - start - 1)};
        in->next = close + 1;
        return true;
    }
    if (is_name_char(*start))
        while (in->next < in->end && is_name_char(*in->next)) in->next++;
    *token = (scan_span){start, (size_t)(in->next - start)};
    return true;
}

static bool expect_token(tokens *in, const char *text) {
    scan_span token;
    return next_token(in, &token) && scan_equal(token, text);
}

static xnor_status parse_type(const char *name, scan_span descr, npy_header *header) {
    static const struct {
        const char *name;
        scalar_type type;
    } types[] = {{"f2", SCALAR_F16}, {"f4", SCALAR_F32}, {"f8", SCALAR_F64}, {"i1", SCALAR_I8},
                 {"i2", SCALAR_I16}, {"i4", SCALAR_I32}, {"i8", SCALAR_I64}, {"u1", SCALAR_U8},
                 {"u2", SCALAR_U16}, {"u4", SCALAR_U32}, {"b1", SCALAR_U8}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const bool ordered = descr.size == 3 && memchr("<>|", *descr.text, 3);
        if (!ordered || memcmp(descr.text + 1, types[i].name, 2) != 0) continue;
        header->type = types[i].type;
        header->big_endian = *descr.text == '>';
        return XNOR_OK;
    }
    return xnor_fail(XNOR_E_UNSUPPORTED, "%s: expected an array of plain numbers, found descr '%s'",
                     name, scan_show(descr).text);
}

static bool parse_shape(tokens *in, npy_header *header) {
    scan_span token;
    if (!expect_token(in, "(")) return false;
    header->rank = 0;
    while (next_token(in, &token)) {
        if (scan_equal(token, ")")) return true;
        if (header->rank == XNOR_MAX_RANK || !scan_size(token, &header->dims[header->rank++]))
            return false;
        if (!next_token(in, &token)) return false;
        if (scan_equal(token, ")")) return true;
        if (!scan_equal(token, ",")) return false;
    }
    return false;
}

static xnor_status parse_dict(const char *name, const uint8_t *data, tokens in,
                              npy_header *header) {
    bool has_descr = false, has_order = false, has_shape = false, fortran = false;
    scan_span key, value, descr = {0};
    bool good = expect_token(&in, "{");
    while (good && next_token(&in, &key) && !scan_equal(key, "}")) {
        good = expect_token(&in, ":");
        if (scan_equal(key, "descr")) {
            good = good && next_token(&in, &descr);
            if (good && scan_equal(descr, "["))
                return xnor_fail(XNOR_E_UNSUPPORTED,
                                 "%s: expected a plain array, found one with named fields", name);
            has_descr = true;
        } else if (scan_equal(key, "fortran_order")) {
            good = good && next_token(&in, &value);
            fortran = good && scan_equal(value, "True");
            good = fortran || (good && scan_equal(value, "False"));
            has_order = true;
        } else if (scan_equal(key, "shape")) {
            good = good && parse_shape(&in, header);
            has_shape = true;
        } else {
            good = false;
        }
        tokens ahead = in;
        if (good && expect_token(&ahead, ",")) in = ahead;
    }
    if (!good || !has_descr || !has_order || !has_shape)
        return xnor_fail(XNOR_E_FORMAT,
                         "%s: byte %zu: expected a header with descr, fortran_order and shape, "
                         "found another one",
                         name, (size_t)(in.next - (const char *)data));
    if (fortran)
        return xnor_fail(XNOR_E_UNSUPPORTED,
                         "%s: expected C order, found Fortran order (save "
                         "numpy.ascontiguousarray(array) instead)",
                         name);
    return parse_type(name, descr, header);
}

xnor_status npy_read_header(const char *name, const uint8_t *data, size_t size,
                            npy_header *header) {
    *header = (npy_header){0};
    if (size < 12 || memcmp(data, "\x93NUMPY", 6) != 0)
        return xnor_fail(XNOR_E_FORMAT, "%s: byte 0: expected a NumPy header, found %s", name,
                         size < 12 ? "too few bytes" : "something else");
    const unsigned version = data[6];
    if (version < 1 || version > 3)
        return xnor_fail(XNOR_E_UNSUPPORTED, "%s: byte 6: expected format version 1 to 3, found %u",
                         name, version);
    const size_t start = version == 1 ? 10 : 12;
    const size_t length =
        (size_t)scalar_load(version == 1 ? SCALAR_U16 : SCALAR_U32, data + 8, false);
    if (length > size - start)
        return xnor_fail(XNOR_E_FORMAT, "%s: byte 8: expected a header of %zu bytes, found %zu",
                         name, length, size - start);
    header->data_offset = start + length;
    const char *text = (const char *)data + start;
    return parse_dict(name, data, (tokens){text, text + length}, header);
}

static bool is_real(scalar_type type) {
    return type == SCALAR_F16 || type == SCALAR_F32 || type == SCALAR_F64;
}

static xnor_status convert(const char *path, const npy_header *header, const uint8_t *data,
                           size_t size, xnor_dtype dtype, xnor_tensor *out) {
    xnor_tensor result = {.dtype = dtype, .shape = {.rank = (uint32_t)header->rank}};
    size_t count = 1, bytes = 0, wide = 0, element = scalar_size(header->type);
    for (size_t i = 0; i < header->rank; i++) {
        if (header->dims[i] > INT32_MAX || !xnor_size_mul(count, header->dims[i], &count))
            return xnor_fail(XNOR_E_LIMIT, "%s: array is too large", path);
        result.shape.dims[i] = (int64_t)header->dims[i];
    }
    if (!xnor_size_mul(count, element, &bytes) || bytes > size - header->data_offset)
        return xnor_fail(XNOR_E_FORMAT, "%s: expected %zu elements of %zu bytes, found %zu bytes",
                         path, count, element, size - header->data_offset);
    if (is_real(header->type) && dtype != XNOR_F32 && dtype != XNOR_F64)
        return xnor_fail(XNOR_E_DTYPE, "%s: expected integers, found real numbers", path);
    XNOR_TRY(xnor_tensor_bytes(dtype, &result.shape, &wide));
    result.data = malloc(wide + 1);
    if (!result.data) return xnor_fail(XNOR_E_MEMORY, "%s: out of memory", path);
    for (size_t i = 0; i < count; i++)
        xnor_tensor_set(&result, i,
                        scalar_load(header->type, data + header->data_offset + i * element,
                                    header->big_endian));
    *out = result;
    return XNOR_OK;
}

xnor_status npy_read(const char *path, xnor_dtype dtype, xnor_tensor *out) {
    uint8_t *data = NULL;
    size_t size = 0;
    XNOR_TRY(files_read(path, &data, &size));
    npy_header header;
    xnor_status status = npy_read_header(path, data, size, &header);
    if (status == XNOR_OK) status = convert(path, &header, data, size, dtype, out);
    free(data);
    return status;
}

static const char *descr_of(xnor_dtype dtype) {
    static const char *const descrs[XNOR_DTYPE_COUNT] = {
        [XNOR_F32] = "<f4", [XNOR_F64] = "<f8",  [XNOR_I32] = "<i4", [XNOR_I64] = "<i8",
        [XNOR_U8] = "|u1",  [XNOR_BOOL] = "|b1", [XNOR_ACC] = "<i4",
    };
    return descrs[dtype];
}

xnor_status npy_write(const char *path, const xnor_tensor *tensor) {
    char dict[256], shape[160] = "";
    size_t used = 0, bytes = 0;
    for (uint32_t i = 0; i < tensor->shape.rank; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%lld, ",
                                 (long long)tensor->shape.dims[i]);
    if (!descr_of(tensor->dtype))
        return xnor_fail(XNOR_E_DTYPE, "%s: %s cannot be written as an array", path,
                         xnor_dtype_name(tensor->dtype));
    int length =
        snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                 descr_of(tensor->dtype), shape);
    // Magic, version and length take 10 bytes; the header ends with a newline at a multiple of 64.
    size_t header = xnor_align_up((size_t)length + 11, 64) - 10;
    const uint8_t head[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)(header & 255), (uint8_t)(header >> 8)};
    XNOR_TRY(xnor_tensor_bytes(tensor->dtype, &tensor->shape, &bytes));
    FILE *file = fopen(path, "wb");
    if (!file) return xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
    bool good = fwrite(head, sizeof head, 1, file) == 1 &&
                fprintf(file, "%-*s\n", (int)header - 1, dict) == (int)header &&
                (bytes == 0 || fwrite(tensor->data, bytes, 1, file) == 1);
    if (fclose(file) != 0) good = false;
    return good ? XNOR_OK : xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
}
