// The orientation tag of EXIF (CIPA DC-008, JEITA CP-3451), and nothing else. Every offset is checked
// against the size; what does not make sense is as good as absent.
#include <string.h>

#include "clients/xnorctl/image_format.h"

enum {
    UPRIGHT = 1,
    LAST_ORIENTATION = 8,
    TAG_ORIENTATION = 0x0112,
    TYPE_SHORT = 3,
    ENTRY_BYTES = 12,
    MARKER_TEM = 0x01,
    MARKER_RST0 = 0xd0, // to 0xd7, then SOI, EOI, SOS
    MARKER_SOS = 0xda,
    MARKER_APP1 = 0xe1,
};

typedef struct tiff {
    const uint8_t *data;
    size_t size;
    bool big_endian;
} tiff;

// Reads outside give 0.
static uint32_t number(const tiff *t, size_t at, size_t bytes) {
    uint32_t value = 0;
    if (at > t->size || bytes > t->size - at) return 0;
    for (size_t i = 0; i < bytes; i++)
        value |= (uint32_t)t->data[at + i] << 8 * (t->big_endian ? bytes - 1 - i : i);
    return value;
}

image_orientation exif_orientation(const uint8_t *data, size_t size) {
    tiff t = {data, size, size > 0 && data[0] == 'M'};
    if (size < 8 || (memcmp(data, "II", 2) != 0 && memcmp(data, "MM", 2) != 0)) return UPRIGHT;
    if (number(&t, 2, 2) != 42) return UPRIGHT;
    const size_t directory = number(&t, 4, 4);
    const uint32_t entries = number(&t, directory, 2);
    for (uint32_t i = 0; i < entries; i++) {
        const size_t entry = directory + 2 + i * (size_t)ENTRY_BYTES;
        if (entry > size || size - entry < ENTRY_BYTES) break;
        if (number(&t, entry, 2) != TAG_ORIENTATION) continue;
        const uint32_t value = number(&t, entry + 8, 2);
        const bool good = number(&t, entry + 2, 2) == TYPE_SHORT && number(&t, entry + 4, 4) == 1 &&
                          value >= UPRIGHT && value <= LAST_ORIENTATION;
        return good ? (image_orientation)value : UPRIGHT;
    }
    return UPRIGHT;
}

image_orientation exif_orientation_of_jpeg(const uint8_t *data, size_t size) {
    static const uint8_t name[6] = {'E', 'x', 'i', 'f', 0, 0};
    size_t at = 2; // behind SOI
    while (at + 4 <= size && data[at] == 0xff) {
        const uint8_t marker = data[at + 1];
        if (marker == 0xff) { // filling
            at++;
            continue;
        }
        // Image data begins or ends; TEM and RSTn, which have no length, do not come before it.
        if (marker == MARKER_TEM || (marker >= MARKER_RST0 && marker <= MARKER_SOS)) break;
        const size_t length = (size_t)data[at + 2] << 8 | data[at + 3];
        if (length < 2 || length > size - at - 2) break;
        const uint8_t *body = data + at + 4;
        const size_t body_size = length - 2;
        if (marker == MARKER_APP1 && body_size >= sizeof name &&
            memcmp(body, name, sizeof name) == 0)
            return exif_orientation(body + sizeof name, body_size - sizeof name);
        at += 2 + length;
    }
    return UPRIGHT;
}
