// What the bodies hold: every key in one table, every body as a list of fields of its struct.
// Decoder, encoder and the test of PROTOCOL.md work from these tables.
#ifndef XNORD_PROTO_SCHEMA_H
#define XNORD_PROTO_SCHEMA_H

#include "proto.h"

// Every key of every body.
#define XNORD_KEY_TABLE(X)                                                                         \
    X(as)                                                                                          \
    X(at_network)                                                                                  \
    X(block)                                                                                       \
    X(boot_id)                                                                                     \
    X(build)                                                                                       \
    X(classes)                                                                                     \
    X(client)                                                                                      \
    X(clock)                                                                                       \
    X(cloud)                                                                                       \
    X(compute)                                                                                     \
    X(confidence)                                                                                  \
    X(cores)                                                                                       \
    X(counts)                                                                                      \
    X(data)                                                                                        \
    X(datatype)                                                                                    \
    X(deadline_ms)                                                                                 \
    X(detail)                                                                                      \
    X(edges_us)                                                                                    \
    X(est_us)                                                                                      \
    X(extensions)                                                                                  \
    X(file_bytes)                                                                                  \
    X(height)                                                                                      \
    X(high)                                                                                        \
    X(id)                                                                                          \
    X(image)                                                                                       \
    X(input)                                                                                       \
    X(inputs)                                                                                      \
    X(isa)                                                                                         \
    X(kind)                                                                                        \
    X(label)                                                                                       \
    X(labels)                                                                                      \
    X(layout)                                                                                      \
    X(limits)                                                                                      \
    X(live)                                                                                        \
    X(low)                                                                                         \
    X(max_labels)                                                                                  \
    X(max_message)                                                                                 \
    X(max_objects)                                                                                 \
    X(max_points)                                                                                  \
    X(max_rank)                                                                                    \
    X(max_tensors)                                                                                 \
    X(max_us)                                                                                      \
    X(model)                                                                                       \
    X(models)                                                                                      \
    X(multiple_of)                                                                                 \
    X(name)                                                                                        \
    X(outputs)                                                                                     \
    X(palette)                                                                                     \
    X(params)                                                                                      \
    X(platform)                                                                                    \
    X(points)                                                                                      \
    X(proto)                                                                                       \
    X(queue)                                                                                       \
    X(ready)                                                                                       \
    X(reason)                                                                                      \
    X(reset)                                                                                       \
    X(retry_ms)                                                                                    \
    X(server)                                                                                      \
    X(shape)                                                                                       \
    X(shm)                                                                                         \
    X(since_ns)                                                                                    \
    X(speaks)                                                                                      \
    X(state)                                                                                       \
    X(statuses)                                                                                    \
    X(stride)                                                                                      \
    X(sum_us)                                                                                      \
    X(t)                                                                                           \
    X(task)                                                                                        \
    X(top_k)                                                                                       \
    X(total)                                                                                       \
    X(version)                                                                                     \
    X(versions)                                                                                    \
    X(width)                                                                                       \
    X(workers)

typedef enum xnord_proto_key {
#define XNORD_KEY_ENUM(name) XNORD_KEY_##name,
    XNORD_KEY_TABLE(XNORD_KEY_ENUM)
#undef XNORD_KEY_ENUM
        XNORD_KEY_COUNT
} xnord_proto_key;

typedef enum xnord_proto_type {
    XNORD_TYPE_STR,      // xnord_proto_str
    XNORD_TYPE_BOOL,     // bool
    XNORD_TYPE_U32,      // uint32_t, at most `capacity` unless that is 0
    XNORD_TYPE_U64,      // uint64_t
    XNORD_TYPE_F32,      // float, not NaN
    XNORD_TYPE_DATATYPE, // xnord_datatype, by name
    XNORD_TYPE_DIMS,     // int64_t[capacity], uint32_t count; -1 allowed: any
    XNORD_TYPE_DATA,     // const void *, size_t count
    XNORD_TYPE_STRS,     // xnord_proto_str[capacity], uint32_t count
    XNORD_TYPE_U32S,     // uint32_t[capacity], uint32_t count
    XNORD_TYPE_U64S,     // uint64_t[capacity], uint32_t count
    XNORD_TYPE_MAP,      // struct `item`; a bool at `count` says whether it is there
    XNORD_TYPE_LIST,     // struct `item`[capacity], uint32_t count
    XNORD_TYPE_RESERVED, // changes the meaning of its map in a later version: refused, not ignored
} xnord_proto_type;

typedef struct xnord_proto_schema xnord_proto_schema;

typedef struct xnord_proto_field {
    xnord_proto_key key;
    xnord_proto_type type;
    bool required;
    uint32_t offset;   // of the value in the struct
    uint32_t count;    // offset of the array's count; of a map's bool, 0: has none
    uint32_t capacity; // entries of an array, largest U32
    const xnord_proto_schema *item;
} xnord_proto_field;

// Maps inside maps, the body included: bounds the stack of the decoder.
#define XNORD_PROTO_SCHEMA_DEPTH 4

struct xnord_proto_schema {
    const char *name;
    size_t size; // of the struct
    uint32_t field_count;
    const xnord_proto_field *fields;
};

// "deadline_ms"
const char *xnord_proto_key_name(xnord_proto_key key);

// Body of a request into xnord_proto_request; NULL for an unknown operation.
const xnord_proto_schema *xnord_proto_request_schema(uint32_t op);
// Body of an OK reply into the struct of XNORD_PROTO_BODY_TABLE; NULL for an unknown operation.
const xnord_proto_schema *xnord_proto_reply_schema(uint32_t op);
// Body of any other reply into xnord_proto_reply.
const xnord_proto_schema *xnord_proto_error_schema(void);

#endif
