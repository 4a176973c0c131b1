// Differential test: on random messages the structural check accepts exactly what msgpack-c's
// unpacker accepts, minus what PROTOCOL.md section 3 forbids (checked on msgpack-c's tree,
// recursively).
#include <criterion/criterion.h>
#include <iconv.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static uint64_t random_state;

// SplitMix64.
static uint64_t next_random(void) {
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint32_t below(uint32_t limit) {
    return (uint32_t)(next_random() % limit);
}

// ---- the oracle ---------------------------------------------------------------------------------

static iconv_t utf8; // glibc's opinion of what UTF-8 is

static bool text_allowed(const char *text, size_t size) {
    uint32_t points[256];
    char *in = (char *)(uintptr_t)text, *out = (char *)points;
    size_t out_left = sizeof points;
    if (size > 255) return false;
    iconv(utf8, NULL, NULL, NULL, NULL);
    if (iconv(utf8, &in, &size, &out, &out_left) == (size_t)-1) return false;
    size_t count = (sizeof points - out_left) / 4;
    for (size_t i = 0; i < count; i++) {
        if (points[i] < 32 || (points[i] >= 127 && points[i] < 160)) return false;
    }
    return true;
}

// msgpack-c reserves what a 32-bit count announces, up to gigabytes. Such messages are left out.
static bool too_costly(const unsigned char *message, size_t size) {
    for (size_t i = 0; i + 5 <= size; i++) {
        bool wide = message[i] == 0xdd || message[i] == 0xdf;
        if (wide && (message[i + 1] || message[i + 2])) return true;
    }
    return false;
}

static bool allowed(const msgpack_object *object, unsigned depth, uint32_t *objects);

static bool map_allowed(const msgpack_object_map *map, unsigned depth, uint32_t *objects) {
    if (map->size > 64) return false;
    for (uint32_t i = 0; i < map->size; i++) {
        const msgpack_object *key = &map->ptr[i].key;
        if (key->type != MSGPACK_OBJECT_STR || !allowed(key, depth, objects)) return false;
        for (uint32_t j = 0; j < i; j++) {
            if (msgpack_object_equal(*key, map->ptr[j].key)) return false;
        }
        if (!allowed(&map->ptr[i].val, depth, objects)) return false;
    }
    return true;
}

static bool allowed(const msgpack_object *object, unsigned depth, uint32_t *objects) {
    ++*objects;
    switch (object->type) {
    case MSGPACK_OBJECT_EXT:
        return false;
    case MSGPACK_OBJECT_STR:
        return text_allowed(object->via.str.ptr, object->via.str.size);
    case MSGPACK_OBJECT_MAP:
        return depth < 8 && map_allowed(&object->via.map, depth + 1, objects);
    case MSGPACK_OBJECT_ARRAY:
        if (depth >= 8) return false;
        for (uint32_t i = 0; i < object->via.array.size; i++) {
            if (!allowed(&object->via.array.ptr[i], depth + 1, objects)) return false;
        }
        return true;
    default:
        return true;
    }
}

static bool oracle(const unsigned char *message, size_t size) {
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t offset = 0;
    uint32_t objects = 0;
    msgpack_unpack_return found =
        msgpack_unpack_next(&unpacked, (const char *)message, size, &offset);
    bool accepted = found == MSGPACK_UNPACK_SUCCESS && offset == size &&
                    allowed(&unpacked.data, 0, &objects) && objects <= 1024;
    msgpack_unpacked_destroy(&unpacked);
    return accepted;
}

// ---- the generator ------------------------------------------------------------------------------

typedef struct message {
    unsigned char bytes[4096];
    size_t size;
} message;

static void put(message *m, const void *bytes, size_t size) {
    if (m->size + size > sizeof m->bytes) return;
    memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

static void put_head(message *m, unsigned char first, unsigned length_bytes, uint32_t length) {
    unsigned char head[5] = {first};
    for (unsigned i = 0; i < length_bytes; i++) {
        head[length_bytes - i] = (unsigned char)(length >> 8 * i);
    }
    put(m, head, 1 + length_bytes);
}

static void put_text(message *m) {
    uint32_t size = below(40) == 0 ? 250 + below(12) : below(6);
    unsigned char text[300];
    for (uint32_t i = 0; i < size; i++) text[i] = (unsigned char)('a' + below(4));
    if (size > 0 && below(60) == 0) text[0] = (unsigned char)(below(2) ? 0xff : 0x01);
    if (size < 32 && below(2)) {
        put_head(m, (unsigned char)(0xa0 | size), 0, 0);
    } else if (size < 256 && below(2)) {
        put_head(m, 0xd9, 1, size);
    } else {
        put_head(m, 0xda, 2, size);
    }
    put(m, text, size);
}

static void put_scalar(message *m) {
    static const unsigned char sizes[] = {[0xa] = 4, 8, 1, 2, 4, 8, 1, 2, 4, 8};
    unsigned char random[8];
    uint64_t bits = next_random();
    memcpy(random, &bits, 8);
    switch (below(6)) {
    case 0:
        put_head(m, (unsigned char)(below(2) ? below(128) : 0xe0 + below(32)), 0, 0);
        break;
    case 1:
        put_head(m, (unsigned char)(0xc0 + (below(2) ? 0 : 2 + below(2))), 0, 0);
        break;
    case 2: {
        unsigned kind = 0xa + below(10);
        put_head(m, (unsigned char)(0xc0 + kind), 0, 0);
        put(m, random, sizes[kind]);
        break;
    }
    case 3: {
        uint32_t size = below(9);
        unsigned width = below(3);
        put_head(m, (unsigned char)(0xc4 + width), 1u << width, size);
        put(m, random, size < 8 ? size : 8);
        break;
    }
    default:
        put_text(m);
        break;
    }
}

static void put_object(message *m, unsigned depth);

static void put_container(message *m, unsigned depth) {
    static const unsigned char wide[] = {0xdc, 0xdd, 0xde, 0xdf};
    bool is_map = below(2);
    uint32_t count = below(200) == 0 ? 60 + below(10) : below(5);
    unsigned width = below(3);
    if (width == 0 && count < 16) {
        put_head(m, (unsigned char)((is_map ? 0x80 : 0x90) | count), 0, 0);
    } else {
        unsigned index = (is_map ? 2u : 0u) + (width == 2);
        put_head(m, wide[index], width == 2 ? 4 : 2, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (is_map && below(100) > 0)
            put_text(m);
        else if (is_map)
            put_scalar(m);
        put_object(m, depth + 1);
    }
}

static void put_object(message *m, unsigned depth) {
    if (depth < 11 && below(10) < 5)
        put_container(m, depth);
    else
        put_scalar(m);
}

static void mutate(message *m) {
    if (m->size == 0) return;
    switch (below(6)) {
    case 0:
        m->bytes[below((uint32_t)m->size)] = (unsigned char)next_random();
        break;
    case 1:
        m->size -= 1 + below((uint32_t)m->size);
        break;
    case 2:
        put(m, "\xc0", 1);
        break;
    default:
        break;
    }
}

Test(proto_oracle, structural_check_agrees_with_msgpack_c, .timeout = 120) {
    unsigned accepted = 0;
    utf8 = iconv_open("UCS-4LE", "UTF-8");
    random_state = 1;
    for (unsigned i = 0; i < 300000; i++) {
        static message m;
        m.size = 0;
        put_object(&m, 0);
        mutate(&m);
        unsigned char *exact = malloc(m.size + 1);
        memcpy(exact + 1, m.bytes, m.size);
        xnord_proto_error error;
        bool ours = xnord_proto_check(exact + 1, m.size, 1024, &error) == XNORD_OK;
        bool skipped = too_costly(exact + 1, m.size);
        bool theirs = skipped ? ours : oracle(exact + 1, m.size);
        cr_assert_eq(ours, theirs, "message %u of %zu bytes: %s", i, m.size,
                     ours ? "only we accept it" : error.text);
        accepted += ours;
        free(exact);
    }
    cr_assert(accepted > 50000 && accepted < 290000, "%u accepted: the generator is one-sided",
              accepted);
}

// Purely random bytes, first byte biased to containers.
Test(proto_oracle, random_bytes_agree_with_msgpack_c, .timeout = 120) {
    utf8 = iconv_open("UCS-4LE", "UTF-8");
    random_state = 2;
    for (unsigned i = 0; i < 300000; i++) {
        unsigned char bytes[24];
        size_t size = 1 + below(sizeof bytes - 1);
        for (size_t j = 0; j < size; j++) {
            bytes[j] = (unsigned char)next_random();
            if (bytes[j] > 0xc1 && bytes[j] < 0xe0 && below(2)) bytes[j] = (unsigned char)below(64);
        }
        if (below(2)) bytes[0] = (unsigned char)(0x80 + below(32));
        xnord_proto_error error;
        bool ours = xnord_proto_check(bytes, size, 1024, &error) == XNORD_OK;
        bool theirs = too_costly(bytes, size) ? ours : oracle(bytes, size);
        cr_assert_eq(ours, theirs, "message %u: %s", i, ours ? "only we accept it" : error.text);
    }
}
