// Stanford PLY: points and meshes.
#include "cloud_support.h"

static const float rows[2][3] = {{1, -2, 0.5f}, {4, 0.25f, -6}};

#define XYZ "property float x\nproperty float y\nproperty float z\n"

static buffer binary_file(bool big) {
    buffer b = {.size = 0};
    put_text(&b, big ? "ply\nformat binary_big_endian 1.0\n"
                     : "ply\nformat binary_little_endian 1.0\n");
    put_text(&b, "comment made by hand\nobj_info x\nelement camera 1\nproperty double tilt\n"
                 "property list uchar short path\nelement vertex 2\nproperty uchar red\n"
                 "property double y\nproperty float x\nproperty int16 z2\nproperty float32 z\n"
                 "end_header\n");
    put_double(&b, 0.5);
    if (big) swap_last(&b, 8);
    put_bytes(&b, "\2", 1);
    put_u32(&b, 0x01020304);
    for (size_t i = 0; i < 2; i++) {
        put_bytes(&b, "\x7f", 1);
        put_double(&b, (double)rows[i][1]);
        if (big) swap_last(&b, 8);
        put_float(&b, rows[i][0]);
        if (big) swap_last(&b, 4);
        put_u16(&b, 99);
        put_float(&b, rows[i][2]);
        if (big) swap_last(&b, 4);
    }
    return b;
}

// A unit square at z = 2 as one face of four corners.
static buffer square_file(void) {
    static const float corners[4][3] = {{0, 0, 2}, {1, 0, 2}, {1, 1, 2}, {0, 1, 2}};
    buffer b = {.size = 0};
    put_text(&b, "ply\nformat binary_little_endian 1.0\nelement vertex 4\n" XYZ
                 "element face 1\nproperty list uchar int vertex_indices\nend_header\n");
    for (size_t i = 0; i < 12; i++) put_float(&b, corners[i / 3][i % 3]);
    put_bytes(&b, "\4", 1);
    for (uint32_t i = 0; i < 4; i++) put_u32(&b, i);
    return b;
}

Test(cloud_ply, reads_ascii) {
    cloud points =
        read_good_text("a.ply", "ply\r\nformat ascii 1.0\r\nelement vertex 2\r\n"
                                "property float x\r\nproperty float y\r\n"
                                "property float z\r\nproperty uchar red\r\nend_header\r\n"
                                "1 -2 0.5 255\r\n4 0.25 -6 0\r\n");
    cr_assert_not(points.sampled);
    expect_points(&points, 2, rows);
}

Test(cloud_ply, reads_binary_of_both_byte_orders_with_other_elements_and_properties) {
    for (int big = 0; big < 2; big++) {
        const buffer b = binary_file(big);
        cloud points = read_good("a.ply", &b);
        expect_points(&points, 2, rows);
    }
}

Test(cloud_ply, samples_the_surface_when_there_are_faces) {
    const buffer b = square_file();
    cloud points = read_good("a.ply", &b);
    cr_assert(points.sampled);
    cr_assert_eq(points.count, default_options.sample_points);
    size_t above_diagonal = 0;
    for (size_t i = 0; i < points.count; i++) {
        const float *p = points.xyz + 3 * i;
        cr_assert(p[0] >= 0 && p[0] <= 1 && p[1] >= 0 && p[1] <= 1);
        cr_assert_eq(p[2], 2.0f);
        above_diagonal += p[1] > p[0];
    }
    // Both triangles of the fan take part: 50 of 100 expected, standard deviation 5.
    cr_assert(above_diagonal > 25 && above_diagonal < 75, "found %zu", above_diagonal);
    cloud_free(&points);
}

Test(cloud_ply, vertices_are_the_points_when_there_are_no_faces) {
    cloud points = read_good_text("a.ply", "ply\nformat ascii 1.0\nelement vertex 2\n" XYZ
                                           "element face 0\nproperty list uchar int vertex_index\n"
                                           "end_header\n1 -2 0.5\n4 0.25 -6\n");
    cr_assert_not(points.sampled);
    expect_points(&points, 2, rows);
}

Test(cloud_ply, drops_and_counts_nan_points) {
    cloud points = read_good_text("a.ply", "ply\nformat ascii 1.0\nelement vertex 3\n" XYZ
                                           "end_header\n1 -2 0.5\nnan 0 0\n4 0.25 -6\n");
    cr_assert_eq(points.dropped, 1);
    expect_points(&points, 2, rows);
}

#define ASCII(body) "ply\nformat ascii 1.0\n" body
#define LITTLE(body) "ply\nformat binary_little_endian 1.0\n" body
#define FACES(count) "element face " count "\nproperty list uchar int vertex_indices\nend_header\n"
#define TRIANGLE "0 0 0\n1 0 0\n0 1 0\n"

Test(cloud_ply, refuses_damaged_files_by_line) {
    static const struct {
        const char *text;
        xnor_status status;
        const char *words;
    } cases[] = {
        {"plyx\n", XNOR_E_FORMAT, "line 1: expected 'ply'"},
        {"ply\nend_header\n", XNOR_E_FORMAT, "line 2: expected a format line"},
        {"ply\nformat binary_middle_endian 1.0\n", XNOR_E_FORMAT, "line 2"},
        {ASCII(""), XNOR_E_FORMAT, "end_header"},
        {ASCII("end_header\n"), XNOR_E_FORMAT, "element vertex"},
        {ASCII("property float x\n"), XNOR_E_FORMAT, "line 3: expected an element"},
        {ASCII("element vertex many\n"), XNOR_E_FORMAT, "line 3: expected element NAME COUNT"},
        {ASCII("element vertex 1\nproperty vec3 x\n"), XNOR_E_FORMAT, "line 4"},
        {ASCII("element vertex 1\nproperty list float int x\n"), XNOR_E_FORMAT, "line 4"},
        {ASCII("element vertex 1\n" XYZ "property float x\n"), XNOR_E_FORMAT, "line 7"},
        {ASCII("element vertex 1\nelement vertex 1\n"), XNOR_E_FORMAT, "line 4"},
        {ASCII("element vertex 1\nproperty float x\nproperty float y\nend_header\n1 2\n"),
         XNOR_E_FORMAT, "x, y and z"},
        {ASCII("element vertex 1\n" XYZ "element face 1\nproperty int a\nend_header\n1 2 3\n1\n"),
         XNOR_E_FORMAT, "vertex_indices"},
        {ASCII("element vertex 1\n" XYZ "element face 1\nproperty list int float vertex_index\n"),
         XNOR_E_FORMAT, "line 8: expected integer"},
        {ASCII("element vertex 0\n" XYZ "end_header\n"), XNOR_E_FORMAT, "found none"},
        {ASCII("element tristrips 1\n"), XNOR_E_UNSUPPORTED, "triangle strips"},
        {ASCII("element vertex 2\n" XYZ "end_header\n1 2 3\n"), XNOR_E_FORMAT,
         "line 8: expected 2 entries of element vertex, found 1"},
        {ASCII("element vertex 2\n" XYZ "end_header\n1 2 3\n4 5\n"), XNOR_E_FORMAT,
         "line 9: expected more values"},
        {ASCII("element vertex 1\n" XYZ "end_header\n1 2 3 4\n"), XNOR_E_FORMAT,
         "line 8: expected fewer values, found '4'"},
        {ASCII("element vertex 1\n" XYZ "end_header\n1 2 x\n"), XNOR_E_FORMAT,
         "line 8: expected a number, found 'x'"},
        {ASCII("element vertex 3\n" XYZ FACES("1") TRIANGLE "3 0 1 3\n"), XNOR_E_FORMAT,
         "line 13: expected the number of a vertex that came before, found 3"},
        {ASCII("element vertex 3\n" XYZ FACES("1") TRIANGLE "3 0 1 -1\n"), XNOR_E_FORMAT,
         "line 13: expected the number of a vertex that came before, found -1"},
        {ASCII("element vertex 3\n" XYZ FACES("1") TRIANGLE "4 0 1 2\n"), XNOR_E_FORMAT,
         "line 13: expected more values"},
        {ASCII("element vertex 3\n" XYZ FACES("1") TRIANGLE "3 0 0 1\n"), XNOR_E_FORMAT,
         "total area 0"},
        {ASCII("element face 1\nproperty list uchar int vertex_index\nelement vertex 1\n" XYZ
               "end_header\n3 0 0 0\n1 2 3\n"),
         XNOR_E_FORMAT, "came before"},
        // Sizes from outside
        {LITTLE("element vertex 4294967295\n" XYZ "end_header\nabc"), XNOR_E_FORMAT,
         "4294967295 entries of element vertex, found 3 bytes"},
        {LITTLE("element empty 18446744073709551615\nelement vertex 1\n" XYZ "end_header\nabc"),
         XNOR_E_FORMAT, "properties for element empty"},
        {LITTLE("element vertex 18446744073709551616\n"), XNOR_E_FORMAT, "line 3"},
        {LITTLE("element a 1\nproperty list uint char b\nelement vertex 1\n" XYZ
                "end_header\n\377\377\377\377"),
         XNOR_E_FORMAT, "list length"},
        {LITTLE("element a 1\nproperty list char char b\nelement vertex 1\n" XYZ
                "end_header\n\377\377\377\377"),
         XNOR_E_FORMAT, "list length"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refused_text("a.ply", cases[i].text, cases[i].status, cases[i].words);
}

Test(cloud_ply, survives_any_damage) {
    const buffer files[] = {binary_file(false), binary_file(true), square_file()};
    for (size_t i = 0; i < 3; i++) {
        expect_truncations_refused("a.ply", &files[i], files[i].size);
        survive_damage("a.ply", &files[i]);
    }
    buffer ascii = {.size = 0};
    put_text(&ascii, "ply\nformat ascii 1.0\nelement vertex 3\n" XYZ FACES("1") TRIANGLE "3 0 1 2");
    expect_truncations_refused("a.ply", &ascii, ascii.size);
    survive_damage("a.ply", &ascii);
}
