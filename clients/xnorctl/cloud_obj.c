// Wavefront OBJ: vertices and polygons; everything else (materials, normals, groups) is passed
// over. Ours and not assimp's: assimp 5.2.5 crashes on damaged OBJ files. Source: Wavefront, Object
// Files (.obj), appendix B1 of the Advanced Visualizer manual.
#include "clients/xnorctl/cloud_format.h"
#include "clients/xnorctl/polygon.h"
#include "clients/xnorctl/scan.h"

typedef struct obj {
    const cloud_file *file;
    scan cursor;
    mesh surface;
} obj;

// A backslash at the end of a line continues it on the next one.
static bool next_word(obj *o, scan_span *rest, scan_span *word) {
    while (scan_word(rest, "", word)) {
        if (!scan_equal(*word, "\\")) return true;
        if (!scan_line(&o->cursor, rest)) return false;
    }
    return false;
}

static xnor_status read_vertex(obj *o, scan_span rest) {
    double xyz[3];
    scan_span word;
    for (int axis = 0; axis < 3; axis++)
        if (!next_word(o, &rest, &word) || !scan_real(word, &xyz[axis]))
            return xnor_fail(XNOR_E_FORMAT, "%s: line %zu: expected v x y z, found '%s'",
                             o->file->name, o->cursor.line, scan_show(word).text);
    return mesh_add_vertex(o->file->name, xyz, &o->surface);
}

// VERTEX, VERTEX/TEXTURE, VERTEX//NORMAL or VERTEX/TEXTURE/NORMAL. Vertices count from 1, or with a
// minus sign backwards from the last one so far.
static bool parse_corner(const obj *o, scan_span word, uint32_t *corner) {
    const size_t known = o->surface.vertex_count;
    scan_span digits = word;
    size_t size = 0, number;
    while (size < word.size && word.text[size] != '/') size++;
    digits.size = size;
    const bool backwards = size > 0 && *digits.text == '-';
    if (backwards) digits = (scan_span){digits.text + 1, digits.size - 1};
    if (!scan_size(digits, &number) || number < 1 || number > known) return false;
    *corner = (uint32_t)(backwards ? known - number : number - 1);
    return true;
}

static xnor_status read_face(obj *o, scan_span rest) {
    polygon face = {.count = 0};
    scan_span word;
    uint32_t corner = 0;
    while (next_word(o, &rest, &word)) {
        if (!parse_corner(o, word, &corner))
            return xnor_fail(
                XNOR_E_FORMAT, "%s: line %zu: expected one of the %zu vertices so far, found '%s'",
                o->file->name, o->cursor.line, o->surface.vertex_count, scan_show(word).text);
        XNOR_TRY(polygon_add_corner(o->file->name, corner, &face));
    }
    return polygon_triangulate(o->file->name, &face, &o->surface);
}

static xnor_status read_lines(obj *o) {
    scan_span line, word;
    while (scan_filled_line(&o->cursor, '#', &line)) {
        scan_word(&line, "", &word);
        if (scan_equal(word, "v")) XNOR_TRY(read_vertex(o, line));
        if (scan_equal(word, "f")) XNOR_TRY(read_face(o, line));
    }
    return XNOR_OK;
}

xnor_status cloud_read_obj(const cloud_file *file, const cloud_options *options, cloud *out) {
    obj o = {.file = file, .cursor = scan_start(file->data, file->size)};
    const xnor_status status = read_lines(&o);
    if (status == XNOR_OK) return cloud_from_mesh(file->name, &o.surface, options, out);
    mesh_free(&o.surface);
    return status;
}
