// Point Cloud Data 0.7 and the older headers it reads: ascii, binary, binary_compressed.
// Source: https://pointclouds.org/documentation/tutorials/pcd_file_format.html
#include "clients/xnorctl/cloud_format.h"
#include "clients/xnorctl/scalar.h"
#include "clients/xnorctl/scan.h"

#include <liblzf/lzf.h>
#include <stdlib.h>

#define MAX_FIELDS 64
#define MAX_POINT_BYTES ((size_t)1 << 20)
// A back reference of 3 bytes makes at most 264; so a block cannot grow by more than 88.
#define LZF_MAX_RATIO 88

typedef enum pcd_encoding { PCD_ASCII, PCD_BINARY, PCD_COMPRESSED } pcd_encoding;

typedef struct pcd_field {
    scalar_type type;
    size_t size;
    size_t count;       // values per point
    size_t word_offset; // in an ascii line
    size_t byte_offset; // in a binary point
    int axis;           // 0..2 for x y z, else -1
    char kind;          // I, U or F
} pcd_field;

typedef struct pcd_header {
    pcd_field fields[MAX_FIELDS];
    size_t field_count;
    bool has_size, has_type, has_points, has_width;
    size_t width, height, points;
    size_t words_per_point, bytes_per_point;
    pcd_encoding encoding;
    const pcd_field *axes[3];
} pcd_header;

typedef struct pcd {
    const cloud_file *file;
    scan cursor;
    pcd_header header;
} pcd;

static xnor_status bad_line(const pcd *p, const char *expected, scan_span found) {
    return xnor_fail(XNOR_E_FORMAT, "%s: line %zu: expected %s, found '%s'", p->file->name,
                     p->cursor.line, expected, scan_show(found).text);
}

// ---- header: one function per line, `rest` is what follows the keyword --------------------------

static xnor_status parse_fields(pcd *p, scan_span rest) {
    pcd_header *h = &p->header;
    const scan_span line = rest;
    scan_span word;
    if (h->field_count) return bad_line(p, "one FIELDS line", line);
    while (scan_word(&rest, "", &word)) {
        if (h->field_count == MAX_FIELDS) return bad_line(p, "at most 64 fields", line);
        pcd_field *field = &h->fields[h->field_count++];
        *field = (pcd_field){.count = 1, .axis = -1};
        for (int axis = 0; axis < 3; axis++)
            if (scan_equal(word, (const char *const[]){"x", "y", "z"}[axis])) field->axis = axis;
    }
    return h->field_count ? XNOR_OK : bad_line(p, "the names of the fields", line);
}

// Calls for one number per field.
static xnor_status parse_numbers(pcd *p, scan_span rest, size_t numbers[MAX_FIELDS]) {
    const scan_span line = rest;
    scan_span word;
    for (size_t i = 0; i < p->header.field_count; i++)
        if (!scan_word(&rest, "", &word) || !scan_size(word, &numbers[i]))
            return bad_line(p, "one number for each field", line);
    if (p->header.field_count == 0 || scan_word(&rest, "", &word))
        return bad_line(p, "as many numbers as names after FIELDS", line);
    return XNOR_OK;
}

static xnor_status parse_size(pcd *p, scan_span rest) {
    size_t sizes[MAX_FIELDS];
    XNOR_TRY(parse_numbers(p, rest, sizes));
    for (size_t i = 0; i < p->header.field_count; i++) p->header.fields[i].size = sizes[i];
    p->header.has_size = true;
    return XNOR_OK;
}

static xnor_status parse_count(pcd *p, scan_span rest) {
    size_t counts[MAX_FIELDS];
    XNOR_TRY(parse_numbers(p, rest, counts));
    for (size_t i = 0; i < p->header.field_count; i++) p->header.fields[i].count = counts[i];
    return XNOR_OK;
}

static xnor_status parse_type(pcd *p, scan_span rest) {
    const scan_span line = rest;
    scan_span word;
    for (size_t i = 0; i < p->header.field_count; i++) {
        if (!scan_word(&rest, "", &word) || word.size != 1)
            return bad_line(p, "one type (I, U or F) for each field", line);
        p->header.fields[i].kind = *word.text;
    }
    if (p->header.field_count == 0 || scan_word(&rest, "", &word))
        return bad_line(p, "as many types as names after FIELDS", line);
    p->header.has_type = true;
    return XNOR_OK;
}

static xnor_status parse_one(pcd *p, scan_span rest, bool *seen, size_t *out) {
    const scan_span line = rest;
    scan_span word;
    if (!scan_word(&rest, "", &word) || !scan_size(word, out)) return bad_line(p, "a number", line);
    *seen = true;
    return XNOR_OK;
}

static xnor_status parse_width(pcd *p, scan_span rest) {
    return parse_one(p, rest, &p->header.has_width, &p->header.width);
}

static xnor_status parse_height(pcd *p, scan_span rest) {
    bool seen;
    return parse_one(p, rest, &seen, &p->header.height);
}

static xnor_status parse_points(pcd *p, scan_span rest) {
    return parse_one(p, rest, &p->header.has_points, &p->header.points);
}

// VERSION: the keywords decide. VIEWPOINT: where the sensor stood; points are relative to it.
static xnor_status parse_nothing(pcd *p, scan_span rest) {
    (void)p;
    (void)rest;
    return XNOR_OK;
}

static xnor_status parse_data(pcd *p, scan_span rest) {
    static const char *const names[] = {"ascii", "binary", "binary_compressed"};
    const scan_span line = rest;
    scan_span word;
    if (scan_word(&rest, "", &word))
        for (size_t i = 0; i < 3; i++)
            if (scan_equal(word, names[i])) {
                p->header.encoding = (pcd_encoding)i;
                return XNOR_OK;
            }
    return bad_line(p, "DATA ascii, binary or binary_compressed", line);
}

static const struct {
    const char *keyword;
    xnor_status (*parse)(pcd *p, scan_span rest);
} header_lines[] = {
    {"VERSION", parse_nothing}, {"FIELDS", parse_fields}, {"COLUMNS", parse_fields},
    {"SIZE", parse_size},       {"TYPE", parse_type},     {"COUNT", parse_count},
    {"WIDTH", parse_width},     {"HEIGHT", parse_height}, {"VIEWPOINT", parse_nothing},
    {"POINTS", parse_points},   {"DATA", parse_data},
};

static bool choose_type(pcd_field *field) {
    static const struct {
        char kind;
        size_t size;
        scalar_type type;
    } types[] = {{'I', 1, SCALAR_I8},  {'I', 2, SCALAR_I16}, {'I', 4, SCALAR_I32},
                 {'I', 8, SCALAR_I64}, {'U', 1, SCALAR_U8},  {'U', 2, SCALAR_U16},
                 {'U', 4, SCALAR_U32}, {'U', 8, SCALAR_U64}, {'F', 4, SCALAR_F32},
                 {'F', 8, SCALAR_F64}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].kind == field->kind && types[i].size == field->size) {
            field->type = types[i].type;
            return true;
        }
    return false;
}

static xnor_status lay_out_fields(pcd *p) {
    pcd_header *h = &p->header;
    const char *name = p->file->name;
    for (size_t i = 0; i < h->field_count; i++) {
        pcd_field *field = &h->fields[i];
        if (!choose_type(field))
            return xnor_fail(XNOR_E_FORMAT,
                             "%s: field %zu: expected I or U of 1, 2, 4 or 8 bytes or F of 4 or 8 "
                             "bytes, found type '%c' of %zu bytes",
                             name, i, field->kind >= ' ' && field->kind <= '~' ? field->kind : '?',
                             field->size);
        if (field->count > MAX_POINT_BYTES ||
            field->count * field->size > MAX_POINT_BYTES - h->bytes_per_point)
            return xnor_fail(XNOR_E_LIMIT, "%s: expected points of at most %zu bytes, found more",
                             name, MAX_POINT_BYTES);
        field->word_offset = h->words_per_point;
        field->byte_offset = h->bytes_per_point;
        h->words_per_point += field->count;
        h->bytes_per_point += field->count * field->size;
        if (field->axis < 0) continue;
        if (field->count != 1 || h->axes[field->axis])
            return xnor_fail(XNOR_E_FORMAT, "%s: expected one value for %c, found several", name,
                             "xyz"[field->axis]);
        h->axes[field->axis] = field;
    }
    for (int axis = 0; axis < 3; axis++)
        if (!h->axes[axis])
            return xnor_fail(XNOR_E_FORMAT, "%s: expected the fields x, y and z, found no %c", name,
                             "xyz"[axis]);
    return XNOR_OK;
}

static xnor_status check_header(pcd *p) {
    pcd_header *h = &p->header;
    const char *name = p->file->name;
    if (h->field_count == 0 || !h->has_size || !h->has_type)
        return xnor_fail(XNOR_E_FORMAT, "%s: expected FIELDS, SIZE and TYPE before DATA, found %s",
                         name,
                         h->field_count == 0 ? "no FIELDS"
                         : h->has_size       ? "no TYPE"
                                             : "no SIZE");
    size_t grid = 0;
    if (!h->has_width && !h->has_points)
        return xnor_fail(XNOR_E_FORMAT, "%s: expected WIDTH or POINTS before DATA, found neither",
                         name);
    if (h->has_width && !xnor_size_mul(h->width, h->height, &grid))
        return xnor_fail(XNOR_E_LIMIT, "%s: expected at most %zu points, found %zu x %zu", name,
                         CLOUD_MAX_POINTS, h->width, h->height);
    if (!h->has_points) h->points = grid;
    if (h->has_width && grid != h->points)
        return xnor_fail(XNOR_E_FORMAT, "%s: expected POINTS = WIDTH x HEIGHT = %zu, found %zu",
                         name, grid, h->points);
    if (h->points > CLOUD_MAX_POINTS)
        return xnor_fail(XNOR_E_LIMIT, "%s: expected at most %zu points, found %zu", name,
                         CLOUD_MAX_POINTS, h->points);
    return lay_out_fields(p);
}

static xnor_status parse_header(pcd *p) {
    scan_span line, word;
    while (scan_filled_line(&p->cursor, '#', &line)) {
        scan_span rest = line;
        scan_word(&rest, "", &word);
        size_t i = 0;
        const size_t count = sizeof header_lines / sizeof *header_lines;
        while (i < count && !scan_equal(word, header_lines[i].keyword)) i++;
        if (i == count) return bad_line(p, "a PCD header line", line);
        XNOR_TRY(header_lines[i].parse(p, rest));
        if (header_lines[i].parse == parse_data) return check_header(p);
    }
    return xnor_fail(XNOR_E_FORMAT,
                     "%s: line %zu: expected a PCD header that ends with DATA, found "
                     "the end of the file",
                     p->file->name, p->cursor.line);
}

// ---- points -------------------------------------------------------------------------------------

static xnor_status read_ascii(pcd *p, cloud *out) {
    const pcd_header *h = &p->header;
    for (size_t i = 0; i < h->points; i++) {
        scan_span line, word;
        if (!scan_filled_line(&p->cursor, '#', &line))
            return xnor_fail(XNOR_E_FORMAT, "%s: line %zu: expected %zu points, found %zu",
                             p->file->name, p->cursor.line, h->points, i);
        double xyz[3] = {0};
        scan_span rest = line;
        for (size_t w = 0; w < h->words_per_point; w++) {
            if (!scan_word(&rest, "", &word))
                return xnor_fail(XNOR_E_FORMAT, "%s: line %zu: expected %zu values, found %zu",
                                 p->file->name, p->cursor.line, h->words_per_point, w);
            for (int axis = 0; axis < 3; axis++)
                if (h->axes[axis]->word_offset == w && !scan_real(word, &xyz[axis]))
                    return bad_line(p, "a number", word);
        }
        if (scan_word(&rest, "", &word))
            return xnor_fail(XNOR_E_FORMAT, "%s: line %zu: expected %zu values, found more",
                             p->file->name, p->cursor.line, h->words_per_point);
        XNOR_TRY(cloud_add(p->file->name, xyz, out));
    }
    return XNOR_OK;
}

static size_t data_offset(const pcd *p) {
    return (size_t)(p->cursor.next - (const char *)p->file->data);
}

static xnor_status read_binary(pcd *p, cloud *out) {
    const pcd_header *h = &p->header;
    const size_t offset = data_offset(p);
    const size_t left = p->file->size - offset;
    // points <= 2^24 and bytes_per_point <= 2^20: no overflow
    if (h->points * h->bytes_per_point > left)
        return xnor_fail(XNOR_E_FORMAT,
                         "%s: byte %zu: expected %zu points of %zu bytes, found %zu bytes",
                         p->file->name, offset, h->points, h->bytes_per_point, left);
    XNOR_TRY(cloud_reserve(p->file->name, h->points, out));
    for (size_t i = 0; i < h->points; i++) {
        double xyz[3];
        const uint8_t *point = p->file->data + offset + i * h->bytes_per_point;
        for (int axis = 0; axis < 3; axis++)
            xyz[axis] = scalar_load(h->axes[axis]->type, point + h->axes[axis]->byte_offset, false);
        XNOR_TRY(cloud_add(p->file->name, xyz, out));
    }
    return XNOR_OK;
}

// Unpacked, the fields lie one after the other: all x, then all y, ...
static xnor_status add_planes(const pcd *p, const uint8_t *planes, cloud *out) {
    const pcd_header *h = &p->header;
    XNOR_TRY(cloud_reserve(p->file->name, h->points, out));
    for (size_t i = 0; i < h->points; i++) {
        double xyz[3];
        for (int axis = 0; axis < 3; axis++) {
            const pcd_field *field = h->axes[axis];
            xyz[axis] = scalar_load(
                field->type, planes + field->byte_offset * h->points + i * field->size, false);
        }
        XNOR_TRY(cloud_add(p->file->name, xyz, out));
    }
    return XNOR_OK;
}

static xnor_status read_compressed(pcd *p, cloud *out) {
    const pcd_header *h = &p->header;
    const size_t offset = data_offset(p);
    const size_t left = p->file->size - offset;
    if (left < 8)
        return xnor_fail(XNOR_E_FORMAT,
                         "%s: byte %zu: expected two sizes of 4 bytes, found %zu "
                         "bytes",
                         p->file->name, offset, left);
    const uint8_t *block = p->file->data + offset;
    const size_t packed = (size_t)scalar_load(SCALAR_U32, block, false);
    const size_t unpacked = (size_t)scalar_load(SCALAR_U32, block + 4, false);
    if (packed > left - 8)
        return xnor_fail(XNOR_E_FORMAT, "%s: byte %zu: expected %zu compressed bytes, found %zu",
                         p->file->name, offset, packed, left - 8);
    if (unpacked != h->points * h->bytes_per_point)
        return xnor_fail(XNOR_E_FORMAT,
                         "%s: byte %zu: expected %zu points of %zu bytes, found %zu bytes",
                         p->file->name, offset + 4, h->points, h->bytes_per_point, unpacked);
    if (unpacked == 0) return XNOR_OK;
    if (unpacked / LZF_MAX_RATIO > packed)
        return xnor_fail(XNOR_E_FORMAT,
                         "%s: byte %zu: expected at most %zu bytes from %zu "
                         "compressed ones, found %zu",
                         p->file->name, offset + 4, packed * LZF_MAX_RATIO, packed, unpacked);
    uint8_t *planes = malloc(unpacked);
    if (!planes)
        return xnor_fail(XNOR_E_MEMORY, "%s: no memory for %zu bytes", p->file->name, unpacked);
    xnor_status status;
    if (lzf_decompress(block + 8, (unsigned)packed, planes, (unsigned)unpacked) == unpacked)
        status = add_planes(p, planes, out);
    else
        status = xnor_fail(XNOR_E_FORMAT,
                           "%s: byte %zu: expected %zu bytes of LZF data, found "
                           "damaged ones",
                           p->file->name, offset + 8, packed);
    free(planes);
    return status;
}

xnor_status cloud_read_pcd(const cloud_file *file, const cloud_options *options, cloud *out) {
    (void)options;
    pcd p = {.file = file, .cursor = scan_start(file->data, file->size), .header = {.height = 1}};
    XNOR_TRY(parse_header(&p));
    switch (p.header.encoding) {
    case PCD_ASCII:
        return read_ascii(&p, out);
    case PCD_BINARY:
        return read_binary(&p, out);
    default:
        return read_compressed(&p, out);
    }
}
