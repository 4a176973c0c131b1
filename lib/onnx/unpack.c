#include "onnx/unpack.h"

#include <stdlib.h>

// protobuf-c recurses into nested messages without a limit and allocates a structure of hundreds of
// bytes for a message of two. So the nesting is checked before, without recursion, and the memory
// that unpacking may take is bounded by the size of the file.
enum {
    MAX_DEPTH = 16,            // a graph without sub-graphs needs 7
    MEMORY_FACTOR = 16,        // packed integers of one byte become eight
    MEMORY_MINIMUM = 16 << 20, // files of a few nodes are all structures
};

typedef struct frame {
    const uint8_t *end;
    const ProtobufCMessageDescriptor *message;
} frame;

typedef struct scan {
    const uint8_t *at;
    uint32_t depth;
    frame stack[MAX_DEPTH];
} scan;

static xnor_status damaged(const char *what) {
    return xnor_fail(XNOR_E_FORMAT, "this is not an ONNX model: %s", what);
}

static bool read_varint(scan *s, const uint8_t *end, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 64 && s->at < end; shift += 7) {
        uint8_t byte = *s->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

static xnor_status enter(scan *s, const frame *parent, uint32_t field, uint64_t size) {
    if (size > (size_t)(parent->end - s->at)) return damaged("a field is longer than its message");
    const ProtobufCFieldDescriptor *known =
        protobuf_c_message_descriptor_get_field(parent->message, field);
    if (!known || known->type != PROTOBUF_C_TYPE_MESSAGE) {
        s->at += size;
        return XNOR_OK;
    }
    if (s->depth == MAX_DEPTH) return damaged("messages are nested too deeply");
    s->stack[s->depth++] = (frame){s->at + size, known->descriptor};
    return XNOR_OK;
}

static xnor_status scan_field(scan *s, const frame *message) {
    uint64_t key, value;
    if (!read_varint(s, message->end, &key)) return damaged("a field number is damaged");
    size_t left = (size_t)(message->end - s->at);
    size_t fixed = 0;
    switch (key & 7) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return read_varint(s, message->end, &value) ? XNOR_OK : damaged("a number is damaged");
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (!read_varint(s, message->end, &value)) return damaged("a length is damaged");
        return enter(s, message, (uint32_t)(key >> 3), value);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        fixed = 8;
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        fixed = 4;
        break;
    default:
        return damaged("a field has an unknown wire type");
    }
    if (left < fixed) return damaged("it ends inside a field");
    s->at += fixed;
    return XNOR_OK;
}

static xnor_status check_wire(const uint8_t *data, size_t size) {
    scan s = {.at = data, .depth = 1, .stack = {{data + size, &onnx__model_proto__descriptor}}};
    while (s.depth) {
        const frame message = s.stack[s.depth - 1];
        if (s.at == message.end)
            s.depth--;
        else
            XNOR_TRY(scan_field(&s, &message));
    }
    return XNOR_OK;
}

static void *take(void *budget, size_t size) {
    size_t *left = budget;
    if (size > *left) return NULL;
    *left -= size;
    return malloc(size);
}

static void give_back(void *budget, void *memory) {
    (void)budget;
    free(memory);
}

xnor_status xnor_onnx_unpack(const void *data, size_t size, Onnx__ModelProto **out) {
    if (size == 0) return damaged("it is empty");
    XNOR_TRY(check_wire(data, size));
    size_t budget = size * MEMORY_FACTOR + MEMORY_MINIMUM;
    ProtobufCAllocator allocator = {take, give_back, &budget};
    *out = onnx__model_proto__unpack(&allocator, size, data);
    return *out ? XNOR_OK : damaged("the protobuf message is damaged or too large to unpack");
}

void xnor_onnx_release(Onnx__ModelProto *model) {
    onnx__model_proto__free_unpacked(model, NULL);
}
