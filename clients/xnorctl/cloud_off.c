// Geomview OFF: vertices and polygons as text. Files of ModelNet write the counts right behind the
// word OFF.
// Source: http://www.geomview.org/docs/html/OFF.html
#include "clients/xnorctl/cloud_format.h"
#include "clients/xnorctl/polygon.h"
#include "clients/xnorctl/scan.h"

#include <string.h>

typedef struct off {
    const cloud_file *file;
    scan cursor;
    size_t vertex_count, face_count;
    mesh surface;
} off;

static xnor_status bad_line(const off *o, const char *expected, scan_span found) {
    return xnor_fail(XNOR_E_FORMAT, "%s: line %zu: expected %s, found '%s'", o->file->name,
                     o->cursor.line, expected, scan_show(found).text);
}

static xnor_status parse_header(off *o) {
    scan_span line = {0}, rest, word;
    if (!scan_filled_line(&o->cursor, '#', &line)) return bad_line(o, "OFF", line);
    rest = line;
    while (rest.size && (*rest.text == ' ' || *rest.text == '\t'))
        rest = (scan_span){rest.text + 1, rest.size - 1};
    if (rest.size < 3 || memcmp(rest.text, "OFF", 3) != 0) return bad_line(o, "OFF", line);
    rest = (scan_span){rest.text + 3, rest.size - 3};
    if (scan_word_count(rest, "") == 0) {
        if (!scan_filled_line(&o->cursor, '#', &line))
            return bad_line(o, "the numbers of vertices and faces", rest);
        rest = line;
    }
    // The third number, of edges, is optional and means nothing.
    if (!scan_word(&rest, "", &word) || !scan_size(word, &o->vertex_count) ||
        !scan_word(&rest, "", &word) || !scan_size(word, &o->face_count))
        return bad_line(o, "the numbers of vertices and faces", line);
    const size_t left = (size_t)(o->cursor.end - o->cursor.next);
    if (o->vertex_count > left || o->face_count > left)
        return xnor_fail(XNOR_E_FORMAT, "%s: expected %zu vertices and %zu faces, found %zu bytes",
                         o->file->name, o->vertex_count, o->face_count, left);
    return XNOR_OK;
}

static xnor_status read_vertices(off *o) {
    for (size_t i = 0; i < o->vertex_count; i++) {
        scan_span line, word;
        double xyz[3];
        if (!scan_filled_line(&o->cursor, '#', &line))
            return xnor_fail(XNOR_E_FORMAT, "%s: line %zu: expected %zu vertices, found %zu",
                             o->file->name, o->cursor.line, o->vertex_count, i);
        scan_span rest = line;
        for (int axis = 0; axis < 3; axis++)
            if (!scan_word(&rest, "", &word) || !scan_real(word, &xyz[axis]))
                return bad_line(o, "x y z", line);
        XNOR_TRY(mesh_add_vertex(o->file->name, xyz, &o->surface));
    }
    return XNOR_OK;
}

// Corners are followed by an optional colour, which is ignored.
static xnor_status read_face(off *o, scan_span line) {
    polygon face = {.count = 0};
    scan_span rest = line, word;
    size_t corners, corner;
    if (!scan_word(&rest, "", &word) || !scan_size(word, &corners))
        return bad_line(o, "a number of corners", line);
    for (size_t i = 0; i < corners; i++) {
        if (!scan_word(&rest, "", &word) || !scan_size(word, &corner) || corner >= o->vertex_count)
            return bad_line(o, "the corners of a face as numbers of vertices", line);
        XNOR_TRY(polygon_add_corner(o->file->name, (uint32_t)corner, &face));
    }
    return polygon_triangulate(o->file->name, &face, &o->surface);
}

static xnor_status read_faces(off *o) {
    for (size_t i = 0; i < o->face_count; i++) {
        scan_span line;
        if (!scan_filled_line(&o->cursor, '#', &line))
            return xnor_fail(XNOR_E_FORMAT, "%s: line %zu: expected %zu faces, found %zu",
                             o->file->name, o->cursor.line, o->face_count, i);
        XNOR_TRY(read_face(o, line));
    }
    return XNOR_OK;
}

xnor_status cloud_read_off(const cloud_file *file, const cloud_options *options, cloud *out) {
    off o = {.file = file, .cursor = scan_start(file->data, file->size)};
    xnor_status status = parse_header(&o);
    if (status == XNOR_OK) status = read_vertices(&o);
    if (status == XNOR_OK) status = read_faces(&o);
    if (status == XNOR_OK) return cloud_from_mesh(file->name, &o.surface, options, out);
    mesh_free(&o.surface);
    return status;
}
