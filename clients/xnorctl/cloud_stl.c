// Stereolithography files, ascii and binary: triangles, each with its own three vertices.
// Source: 3D Systems, StereoLithography Interface Specification, 1988.
#include "clients/xnorctl/cloud_format.h"
#include "clients/xnorctl/scalar.h"
#include "clients/xnorctl/scan.h"

#include <string.h>

#define HEADER_BYTES 84 // 80 of any text and the number of facets
#define FACET_BYTES 50  // normal, three vertices, two bytes of attributes

typedef struct stl {
    const cloud_file *file;
    scan cursor;
    mesh surface;
} stl;

static xnor_status add_facet(stl *s, double corners[3][3]) {
    const uint32_t first = (uint32_t)s->surface.vertex_count;
    for (int i = 0; i < 3; i++) XNOR_TRY(mesh_add_vertex(s->file->name, corners[i], &s->surface));
    return mesh_add_triangle(s->file->name, first, first + 1, first + 2, &s->surface);
}

static xnor_status read_binary(stl *s, size_t facets) {
    const cloud_file *file = s->file;
    if (facets > (file->size - HEADER_BYTES) / FACET_BYTES)
        return xnor_fail(XNOR_E_FORMAT,
                         "%s: byte 80: expected %zu facets of %d bytes, found %zu "
                         "bytes",
                         file->name, facets, FACET_BYTES, file->size - HEADER_BYTES);
    for (size_t i = 0; i < facets; i++) {
        const uint8_t *vertices = file->data + HEADER_BYTES + i * FACET_BYTES + 12;
        double corners[3][3];
        for (size_t k = 0; k < 9; k++)
            corners[k / 3][k % 3] = scalar_load(SCALAR_F32, vertices + 4 * k, false);
        XNOR_TRY(add_facet(s, corners));
    }
    return XNOR_OK;
}

static bool starts_with(const stl *s, const char *text) {
    const size_t size = strlen(text);
    return s->file->size >= size && memcmp(s->file->data, text, size) == 0;
}

static xnor_status bad_line(const stl *s, const char *expected, scan_span found) {
    return xnor_fail(XNOR_E_FORMAT, "%s: line %zu: expected %s, found '%s'", s->file->name,
                     s->cursor.line, expected, scan_show(found).text);
}

static xnor_status read_vertex(stl *s, scan_span line, double xyz[3]) {
    scan_span rest = line, word;
    scan_word(&rest, "", &word);
    for (int axis = 0; axis < 3; axis++)
        if (!scan_word(&rest, "", &word) || !scan_real(word, &xyz[axis]))
            return bad_line(s, "vertex x y z", line);
    return XNOR_OK;
}

static xnor_status read_ascii(stl *s) {
    static const char *const passed_over[] = {"solid", "facet", "outer", "endfacet"};
    scan_span line = {0}, word, rest;
    double corners[3][3];
    size_t count = 0; // vertices of the facet so far
    bool ended = false;
    while (scan_filled_line(&s->cursor, 0, &line)) {
        rest = line;
        scan_word(&rest, "", &word);
        if (scan_equal(word, "vertex")) {
            if (count == 3) return bad_line(s, "endloop after three vertices", line);
            XNOR_TRY(read_vertex(s, line, corners[count++]));
            continue;
        }
        if (scan_equal(word, "endloop")) {
            if (count != 3) return bad_line(s, "three vertices before endloop", line);
            XNOR_TRY(add_facet(s, corners));
            count = 0;
            continue;
        }
        bool known = ended = scan_equal(word, "endsolid");
        for (size_t i = 0; i < sizeof passed_over / sizeof *passed_over; i++)
            known |= scan_equal(word, passed_over[i]);
        if (!known) return bad_line(s, "a line of an STL file", line);
    }
    return ended && count == 0 ? XNOR_OK : bad_line(s, "endsolid at the end", line);
}

// Programs write "solid" at the start of binary files too; the size tells better.
static xnor_status read_facets(stl *s) {
    const size_t size = s->file->size;
    const size_t facets =
        size < HEADER_BYTES ? 0 : (size_t)scalar_load(SCALAR_U32, s->file->data + 80, false);
    const bool exact = size >= HEADER_BYTES && facets * FACET_BYTES == size - HEADER_BYTES;
    if (starts_with(s, "solid") && !exact) return read_ascii(s);
    if (size >= HEADER_BYTES) return read_binary(s, facets);
    return xnor_fail(XNOR_E_FORMAT, "%s: expected 'solid' or a header of %d bytes, found %zu bytes",
                     s->file->name, HEADER_BYTES, size);
}

xnor_status cloud_read_stl(const cloud_file *file, const cloud_options *options, cloud *out) {
    stl s = {.file = file, .cursor = scan_start(file->data, file->size)};
    const xnor_status status = read_facets(&s);
    if (status == XNOR_OK) return cloud_from_mesh(file->name, &s.surface, options, out);
    mesh_free(&s.surface);
    return status;
}
