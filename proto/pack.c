#include "pack.h"

#include <string.h>

#include "cursor.h"

// What does not fit is only counted, so that the caller learns the size that would.
static int append(void *data, const char *bytes, size_t size) {
    xnord_proto_writer *w = data;
    if (w->size <= w->capacity && size <= w->capacity - w->size) {
        memcpy(w->buffer + w->size, bytes, size);
    }
    w->size += size;
    return 0;
}

static void pack_str(xnord_proto_writer *w, xnord_proto_str text) {
    if (text.size > XNORD_PROTO_MAX_STRING || !xnord_proto_text_valid(text)) {
        w->failed = true;
        return;
    }
    msgpack_pack_str_with_body(&w->packer, text.size ? text.data : "", text.size);
}

static void pack_text(xnord_proto_writer *w, const char *text) {
    pack_str(w, xnord_proto_str_from(text));
}

static void pack_data(xnord_proto_writer *w, const void *data, size_t size) {
    if (size > UINT32_MAX) {
        w->failed = true;
        return;
    }
    msgpack_pack_bin_with_body(&w->packer, size ? data : "", size);
}

static uint32_t count_of(const xnord_proto_field *field, const char *base) {
    uint32_t count;
    memcpy(&count, base + field->count, sizeof count);
    return count;
}

// An optional value that is empty, 0 or false is left out.
static bool is_present(const xnord_proto_field *field, const char *base);

static bool any_present(const xnord_proto_schema *schema, const char *base) {
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if (is_present(&schema->fields[i], base)) return true;
    }
    return false;
}

static bool is_present(const xnord_proto_field *field, const char *base) {
    const void *value = base + field->offset;
    if (field->required) return true;
    switch (field->type) {
    case XNORD_TYPE_STR:
        return ((const xnord_proto_str *)value)->size > 0;
    case XNORD_TYPE_BOOL:
        return *(const bool *)value;
    case XNORD_TYPE_U32:
        return *(const uint32_t *)value > 0;
    case XNORD_TYPE_U64:
        return *(const uint64_t *)value > 0;
    case XNORD_TYPE_MAP:
        return field->count ? *(const bool *)(base + field->count)
                            : any_present(field->item, value);
    case XNORD_TYPE_RESERVED:
        return false;
    case XNORD_TYPE_F32:
        return *(const float *)value != 0;
    case XNORD_TYPE_DATATYPE:
    case XNORD_TYPE_DATA:
        return true;
    default:
        return count_of(field, base) > 0;
    }
}

static void pack_dim(xnord_proto_writer *w, int64_t dim) {
    if (dim < -1) w->failed = true;
    msgpack_pack_int64(&w->packer, dim);
}

static void pack_array(xnord_proto_writer *w, const xnord_proto_field *field, const char *base) {
    const void *array = base + field->offset;
    uint32_t count = count_of(field, base);
    if (count > field->capacity) {
        w->failed = true;
        return;
    }
    msgpack_pack_array(&w->packer, count);
    for (uint32_t i = 0; i < count; i++) {
        switch (field->type) {
        case XNORD_TYPE_STRS:
            pack_str(w, ((const xnord_proto_str *)array)[i]);
            break;
        case XNORD_TYPE_DIMS:
            pack_dim(w, ((const int64_t *)array)[i]);
            break;
        case XNORD_TYPE_U32S:
            msgpack_pack_uint32(&w->packer, ((const uint32_t *)array)[i]);
            break;
        case XNORD_TYPE_LIST:
            xnord_proto_pack_map(w, field->item, (const char *)array + i * field->item->size);
            break;
        default:
            msgpack_pack_uint64(&w->packer, ((const uint64_t *)array)[i]);
            break;
        }
    }
}

static void pack_u32(xnord_proto_writer *w, const xnord_proto_field *field, uint32_t value) {
    if (field->capacity > 0 && value > field->capacity) w->failed = true;
    msgpack_pack_uint32(&w->packer, value);
}

static void pack_f32(xnord_proto_writer *w, float value) {
    if (!(value >= -3.4e38f && value <= 3.4e38f)) w->failed = true;
    msgpack_pack_float(&w->packer, value);
}

static void pack_value(xnord_proto_writer *w, const xnord_proto_field *field, const char *base) {
    const void *value = base + field->offset;
    size_t size;
    switch (field->type) {
    case XNORD_TYPE_STR:
        pack_str(w, *(const xnord_proto_str *)value);
        break;
    case XNORD_TYPE_BOOL:
        if (*(const bool *)value) {
            msgpack_pack_true(&w->packer);
        } else {
            msgpack_pack_false(&w->packer);
        }
        break;
    case XNORD_TYPE_U32:
        pack_u32(w, field, *(const uint32_t *)value);
        break;
    case XNORD_TYPE_U64:
        msgpack_pack_uint64(&w->packer, *(const uint64_t *)value);
        break;
    case XNORD_TYPE_F32:
        pack_f32(w, *(const float *)value);
        break;
    case XNORD_TYPE_DATATYPE: {
        xnord_datatype datatype = *(const xnord_datatype *)value;
        if (xnord_datatype_bits(datatype) == 0) w->failed = true;
        pack_text(w, xnord_datatype_name(datatype));
        break;
    }
    case XNORD_TYPE_DATA:
        memcpy(&size, base + field->count, sizeof size);
        pack_data(w, *(const void *const *)value, size);
        break;
    case XNORD_TYPE_MAP:
        xnord_proto_pack_map(w, field->item, value);
        break;
    default:
        pack_array(w, field, base);
        break;
    }
}

// Recursive: over the schema, which is ours, never over input.
void xnord_proto_pack_map(xnord_proto_writer *w, const xnord_proto_schema *schema, const void *in) {
    uint32_t present = 0;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        present += is_present(&schema->fields[i], in);
    }
    msgpack_pack_map(&w->packer, present);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const xnord_proto_field *field = &schema->fields[i];
        if (!is_present(field, in)) continue;
        pack_text(w, xnord_proto_key_name(field->key));
        pack_value(w, field, in);
    }
}

void xnord_proto_writer_begin(xnord_proto_writer *w, void *buffer, size_t capacity, uint32_t second,
                              uint64_t id) {
    *w = (xnord_proto_writer){.buffer = buffer, .capacity = capacity};
    msgpack_packer_init(&w->packer, w, append);
    msgpack_pack_array(&w->packer, 4);
    msgpack_pack_uint32(&w->packer, XNORD_PROTO_VERSION);
    msgpack_pack_uint32(&w->packer, second);
    msgpack_pack_uint64(&w->packer, id);
}

size_t xnord_proto_writer_end(const xnord_proto_writer *w) {
    return w->failed ? 0 : w->size;
}
