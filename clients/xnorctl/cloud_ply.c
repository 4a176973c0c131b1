// Stanford PLY: ascii, binary of both byte orders. Vertices are the points; with faces, points are
// drawn from the surface.
// Source: Greg Turk, The PLY Polygon File Format, 1994 (in the archive of the Stanford models).
#include "clients/xnorctl/cloud_format.h"
#include "clients/xnorctl/polygon.h"
#include "clients/xnorctl/scalar.h"
#include "clients/xnorctl/scan.h"

#include <string.h>

#define MAX_ELEMENTS 16
#define MAX_PROPERTIES 64

typedef enum ply_role { ROLE_NONE, ROLE_X, ROLE_Y, ROLE_Z, ROLE_CORNERS } ply_role;
typedef enum ply_kind { KIND_OTHER, KIND_VERTEX, KIND_FACE } ply_kind;

typedef struct ply_property {
    scalar_type type;
    bool is_list;
    scalar_type count_type;
    ply_role role;
} ply_property;

typedef struct ply_element {
    ply_kind kind;
    scan_span name;
    size_t count;
    size_t property_count;
    ply_property properties[MAX_PROPERTIES];
} ply_element;

typedef struct ply {
    const cloud_file *file;
    scan cursor;
    bool ascii, big_endian;
    size_t element_count;
    ply_element elements[MAX_ELEMENTS];
    scan_span record; // ascii: what is left of the current line
    mesh surface;
} ply;

static xnor_status bad_line(const ply *p, const char *expected, scan_span found) {
    return xnor_fail(XNOR_E_FORMAT, "%s: line %zu: expected %s, found '%s'", p->file->name,
                     p->cursor.line, expected, scan_show(found).text);
}

// ---- header -------------------------------------------------------------------------------------

static bool parse_type(scan_span word, scalar_type *out) {
    static const struct {
        const char *name;
        scalar_type type;
    } types[] = {{"char", SCALAR_I8},    {"int8", SCALAR_I8},     {"uchar", SCALAR_U8},
                 {"uint8", SCALAR_U8},   {"short", SCALAR_I16},   {"int16", SCALAR_I16},
                 {"ushort", SCALAR_U16}, {"uint16", SCALAR_U16},  {"int", SCALAR_I32},
                 {"int32", SCALAR_I32},  {"uint", SCALAR_U32},    {"uint32", SCALAR_U32},
                 {"float", SCALAR_F32},  {"float32", SCALAR_F32}, {"double", SCALAR_F64},
                 {"float64", SCALAR_F64}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (scan_equal(word, types[i].name)) {
            *out = types[i].type;
            return true;
        }
    return false;
}

static xnor_status parse_format(ply *p, scan_span line, scan_span rest) {
    scan_span word;
    if (!scan_word(&rest, "", &word)) return bad_line(p, "a format", line);
    p->ascii = scan_equal(word, "ascii");
    p->big_endian = scan_equal(word, "binary_big_endian");
    if (!p->ascii && !p->big_endian && !scan_equal(word, "binary_little_endian"))
        return bad_line(p, "format ascii, binary_little_endian or binary_big_endian", line);
    return XNOR_OK;
}

static xnor_status parse_element(ply *p, scan_span line, scan_span rest) {
    if (p->element_count == MAX_ELEMENTS) return bad_line(p, "at most 16 elements", line);
    ply_element *element = &p->elements[p->element_count];
    scan_span word;
    if (!scan_word(&rest, "", &element->name) || !scan_word(&rest, "", &word) ||
        !scan_size(word, &element->count))
        return bad_line(p, "element NAME COUNT", line);
    if (scan_equal(element->name, "vertex")) element->kind = KIND_VERTEX;
    if (scan_equal(element->name, "face")) element->kind = KIND_FACE;
    if (scan_equal(element->name, "tristrips"))
        return xnor_fail(XNOR_E_UNSUPPORTED, "%s: line %zu: expected faces, found triangle strips",
                         p->file->name, p->cursor.line);
    for (size_t i = 0; i < p->element_count; i++)
        if (element->kind != KIND_OTHER && p->elements[i].kind == element->kind)
            return bad_line(p, "this element once", line);
    p->element_count++;
    return XNOR_OK;
}

static ply_role find_role(ply_kind kind, scan_span name, bool is_list) {
    static const struct {
        ply_kind kind;
        bool is_list;
        const char *name;
        ply_role role;
    } roles[] = {{KIND_VERTEX, false, "x", ROLE_X},
                 {KIND_VERTEX, false, "y", ROLE_Y},
                 {KIND_VERTEX, false, "z", ROLE_Z},
                 {KIND_FACE, true, "vertex_indices", ROLE_CORNERS},
                 {KIND_FACE, true, "vertex_index", ROLE_CORNERS}};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (roles[i].kind == kind && roles[i].is_list == is_list && scan_equal(name, roles[i].name))
            return roles[i].role;
    return ROLE_NONE;
}

static xnor_status parse_property(ply *p, scan_span line, scan_span rest) {
    if (p->element_count == 0) return bad_line(p, "an element before its properties", line);
    ply_element *element = &p->elements[p->element_count - 1];
    if (element->property_count == MAX_PROPERTIES)
        return bad_line(p, "at most 64 properties", line);
    ply_property *property = &element->properties[element->property_count];
    scan_span word, name;
    bool good = scan_word(&rest, "", &word);
    property->is_list = good && scan_equal(word, "list");
    if (property->is_list)
        good = scan_word(&rest, "", &word) && parse_type(word, &property->count_type) &&
               scalar_is_integer(property->count_type) && scan_word(&rest, "", &word);
    good = good && parse_type(word, &property->type) && scan_word(&rest, "", &name);
    if (!good) return bad_line(p, "property TYPE NAME or property list COUNT-TYPE TYPE NAME", line);
    property->role = find_role(element->kind, name, property->is_list);
    if (property->role == ROLE_CORNERS && !scalar_is_integer(property->type))
        return bad_line(p, "integer vertex indices", line);
    for (size_t i = 0; i < element->property_count; i++)
        if (property->role != ROLE_NONE && element->properties[i].role == property->role)
            return bad_line(p, "this property once", line);
    element->property_count++;
    return XNOR_OK;
}

static xnor_status check_header(const ply *p) {
    bool has_vertex = false;
    for (size_t e = 0; e < p->element_count; e++) {
        const ply_element *element = &p->elements[e];
        unsigned roles = 0;
        for (size_t i = 0; i < element->property_count; i++)
            roles |= 1u << element->properties[i].role;
        const unsigned axes = 1u << ROLE_X | 1u << ROLE_Y | 1u << ROLE_Z;
        if (element->kind == KIND_VERTEX && (roles & axes) != axes)
            return xnor_fail(XNOR_E_FORMAT,
                             "%s: expected the vertex properties x, y and z, found "
                             "not all of them",
                             p->file->name);
        if (element->kind == KIND_FACE && element->count && !(roles & 1u << ROLE_CORNERS))
            return xnor_fail(XNOR_E_FORMAT,
                             "%s: expected the face property vertex_indices, found "
                             "none",
                             p->file->name);
        if (element->count && element->property_count == 0)
            return xnor_fail(XNOR_E_FORMAT, "%s: expected properties for element %s, found none",
                             p->file->name, scan_show(element->name).text);
        has_vertex |= element->kind == KIND_VERTEX;
    }
    if (has_vertex) return XNOR_OK;
    return xnor_fail(XNOR_E_FORMAT, "%s: expected an element vertex, found none", p->file->name);
}

static xnor_status parse_header(ply *p) {
    scan_span line, word;
    bool has_format = false;
    if (!scan_line(&p->cursor, &line) || !scan_equal(line, "ply"))
        return xnor_fail(XNOR_E_FORMAT, "%s: line 1: expected 'ply', found something else",
                         p->file->name);
    while (scan_filled_line(&p->cursor, 0, &line)) {
        scan_span rest = line;
        scan_word(&rest, "", &word);
        if (scan_equal(word, "end_header")) {
            if (!has_format) return bad_line(p, "a format line before end_header", line);
            return check_header(p);
        }
        if (scan_equal(word, "format")) {
            XNOR_TRY(parse_format(p, line, rest));
            has_format = true;
        } else if (scan_equal(word, "element")) {
            XNOR_TRY(parse_element(p, line, rest));
        } else if (scan_equal(word, "property")) {
            XNOR_TRY(parse_property(p, line, rest));
        } else if (!scan_equal(word, "comment") && !scan_equal(word, "obj_info")) {
            return bad_line(p, "a PLY header line", line);
        }
    }
    return xnor_fail(XNOR_E_FORMAT,
                     "%s: line %zu: expected a PLY header that ends with end_header, found the end "
                     "of the file",
                     p->file->name, p->cursor.line);
}

// ---- body ---------------------------------------------------------------------------------------

static xnor_status read_value(ply *p, scalar_type type, double *out) {
    if (p->ascii) {
        scan_span word;
        if (!scan_word(&p->record, "", &word)) return bad_line(p, "more values", word);
        return scan_real(word, out) ? XNOR_OK : bad_line(p, "a number", word);
    }
    const size_t size = scalar_size(type);
    const size_t left = (size_t)(p->cursor.end - p->cursor.next);
    if (size > left)
        return xnor_fail(XNOR_E_FORMAT,
                         "%s: byte %zu: expected a value of %zu bytes, found the "
                         "end of the file",
                         p->file->name, p->file->size - left, size);
    *out = scalar_load(type, (const uint8_t *)p->cursor.next, p->big_endian);
    p->cursor.next += size;
    return XNOR_OK;
}

static xnor_status bad_index(const ply *p, const char *expected, double found) {
    if (p->ascii)
        return xnor_fail(XNOR_E_FORMAT, "%s: line %zu: expected %s, found %g", p->file->name,
                         p->cursor.line, expected, found);
    return xnor_fail(XNOR_E_FORMAT, "%s: byte %zu: expected %s, found %g", p->file->name,
                     (size_t)(p->cursor.next - (const char *)p->file->data), expected, found);
}

static xnor_status read_list(ply *p, const ply_property *property) {
    polygon face = {.count = 0};
    double length = 0, value = 0;
    XNOR_TRY(read_value(p, property->count_type, &length));
    // Every entry takes at least a byte, so a huge length ends with the file.
    if (!(length >= 0 && length <= (double)p->file->size))
        return bad_index(p, "a list length within the file", length);
    for (size_t i = 0; i < (size_t)length; i++) {
        XNOR_TRY(read_value(p, property->type, &value));
        if (property->role != ROLE_CORNERS) continue;
        if (!(value >= 0 && value < (double)p->surface.vertex_count))
            return bad_index(p, "the number of a vertex that came before", value);
        XNOR_TRY(polygon_add_corner(p->file->name, (uint32_t)value, &face));
    }
    return polygon_triangulate(p->file->name, &face, &p->surface);
}

static xnor_status read_record(ply *p, const ply_element *element) {
    double xyz[3] = {0}, value = 0;
    for (size_t i = 0; i < element->property_count; i++) {
        const ply_property *property = &element->properties[i];
        if (property->is_list) {
            XNOR_TRY(read_list(p, property));
            continue;
        }
        XNOR_TRY(read_value(p, property->type, &value));
        if (property->role >= ROLE_X && property->role <= ROLE_Z)
            xyz[property->role - ROLE_X] = value;
    }
    if (element->kind != KIND_VERTEX) return XNOR_OK;
    return mesh_add_vertex(p->file->name, xyz, &p->surface);
}

// Bytes of a binary record; 0 when lists make it vary.
static size_t record_bytes(const ply_element *element) {
    size_t bytes = 0;
    for (size_t i = 0; i < element->property_count; i++) {
        if (element->properties[i].is_list) return 0;
        bytes += scalar_size(element->properties[i].type);
    }
    return bytes;
}

// Vertices of fixed size, of which only x, y and z are looked at.
static xnor_status read_vertices(ply *p, const ply_element *element, size_t bytes) {
    const uint8_t *record = (const uint8_t *)p->cursor.next;
    size_t offsets[3] = {0}, offset = 0;
    scalar_type types[3] = {SCALAR_F32, SCALAR_F32, SCALAR_F32};
    for (size_t i = 0; i < element->property_count; i++) {
        const ply_property *property = &element->properties[i];
        if (property->role >= ROLE_X && property->role <= ROLE_Z) {
            offsets[property->role - ROLE_X] = offset;
            types[property->role - ROLE_X] = property->type;
        }
        offset += scalar_size(property->type);
    }
    XNOR_TRY(mesh_reserve_vertices(p->file->name, element->count, &p->surface));
    for (size_t i = 0; i < element->count; i++, record += bytes) {
        double xyz[3];
        for (size_t k = 0; k < 3; k++)
            xyz[k] = scalar_load(types[k], record + offsets[k], p->big_endian);
        XNOR_TRY(mesh_add_vertex(p->file->name, xyz, &p->surface));
    }
    p->cursor.next += element->count * bytes;
    return XNOR_OK;
}

static xnor_status read_element(ply *p, const ply_element *element) {
    const size_t left = (size_t)(p->cursor.end - p->cursor.next);
    const size_t bytes = p->ascii ? 0 : record_bytes(element);
    if (element->kind == KIND_VERTEX && bytes > 0 && element->count <= left / bytes)
        return read_vertices(p, element, bytes);
    // Every record takes at least a byte; this bounds the loop before it starts.
    if (element->count > left)
        return xnor_fail(XNOR_E_FORMAT, "%s: expected %zu entries of element %s, found %zu bytes",
                         p->file->name, element->count, scan_show(element->name).text, left);
    for (size_t i = 0; i < element->count; i++) {
        if (p->ascii && !scan_filled_line(&p->cursor, 0, &p->record))
            return xnor_fail(
                XNOR_E_FORMAT, "%s: line %zu: expected %zu entries of element %s, found %zu",
                p->file->name, p->cursor.line, element->count, scan_show(element->name).text, i);
        XNOR_TRY(read_record(p, element));
        scan_span extra;
        if (p->ascii && scan_word(&p->record, "", &extra))
            return bad_line(p, "fewer values", extra);
    }
    return XNOR_OK;
}

xnor_status cloud_read_ply(const cloud_file *file, const cloud_options *options, cloud *out) {
    ply p = {.file = file, .cursor = scan_start(file->data, file->size)};
    xnor_status status = parse_header(&p);
    for (size_t i = 0; status == XNOR_OK && i < p.element_count; i++)
        status = read_element(&p, &p.elements[i]);
    if (status == XNOR_OK) return cloud_from_mesh(file->name, &p.surface, options, out);
    mesh_free(&p.surface);
    return status;
}
