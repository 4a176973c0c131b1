// Meshes, and the points drawn from them.
#include "cloud_support.h"

#include <math.h>

#include "clients/xnorctl/polygon.h"

static cloud sample_text(const char *name, const char *text, size_t points, uint64_t seed) {
    const cloud_options options = {.sample_points = points, .seed = seed};
    cloud out = {0};
    const xnor_status status = read_exact(name, text, strlen(text), &options, &out);
    cr_assert_eq(status, XNOR_OK, "%s", xnor_last_error());
    cr_assert(out.sampled);
    return out;
}

static const char two_squares[] = // areas 1 (at z = 0) and 3 (at z = 5)
    "OFF\n8 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n0 0 5\n3 0 5\n3 1 5\n0 1 5\n"
    "4 0 1 2 3\n4 4 5 6 7\n";

Test(mesh_sample, draws_in_proportion_to_area) {
    const size_t count = 40000;
    cloud points = sample_text("a.off", two_squares, count, 0);
    size_t upper = 0;
    for (size_t i = 0; i < count; i++) upper += points.xyz[3 * i + 2] > 2;
    // Binomial: mean 30000, standard deviation 87; five of them.
    cr_assert(fabs((double)upper - 30000) < 435, "found %zu of %zu in the larger square", upper,
              count);
    cloud_free(&points);
}

// Pearson's chi-squared over a 16 x 16 grid of the unit square: 255 degrees of freedom, so the mean
// is 255 and the 99.99 % quantile about 346.
Test(mesh_sample, draws_evenly_within_triangles) {
    const size_t count = 100000;
    cloud points =
        sample_text("a.off", "OFF 4 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n3 0 2 3\n", count, 0);
    size_t cells[256] = {0};
    for (size_t i = 0; i < count; i++) {
        const float *p = points.xyz + 3 * i;
        cr_assert(p[0] >= 0 && p[0] <= 1 && p[1] >= 0 && p[1] <= 1);
        const size_t x = (size_t)fminf(p[0] * 16, 15), y = (size_t)fminf(p[1] * 16, 15);
        cells[16 * y + x]++;
    }
    const double expected = (double)count / 256;
    double chi_squared = 0;
    for (size_t i = 0; i < 256; i++)
        chi_squared += ((double)cells[i] - expected) * ((double)cells[i] - expected) / expected;
    cr_assert_lt(chi_squared, 346, "chi-squared %g", chi_squared);
    cr_assert_gt(chi_squared, 150, "too even to be random: chi-squared %g", chi_squared);
    cloud_free(&points);
}

// The mean of uniform points in a triangle is its centroid, here (1, 1, 3); the variance of each
// coordinate is (a² + b² + c² - ab - bc - ca) / 18 of the corners' coordinates.
Test(mesh_sample, has_the_moments_of_a_triangle) {
    const size_t count = 100000;
    cloud points = sample_text("a.off", "OFF\n3 1 0\n0 0 0\n3 0 0\n0 3 9\n3 0 1 2\n", count, 7);
    static const double centroid[3] = {1, 1, 3}, variance[3] = {0.5, 0.5, 4.5};
    for (size_t axis = 0; axis < 3; axis++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < count; i++) {
            const double d = (double)points.xyz[3 * i + axis] - centroid[axis];
            sum += d;
            squares += d * d;
        }
        const double deviation = sqrt(variance[axis] / (double)count);
        cr_assert_lt(fabs(sum / (double)count), 5 * deviation);
        cr_assert_lt(fabs(squares / (double)count / variance[axis] - 1), 0.03);
    }
    cloud_free(&points);
}

Test(mesh_sample, repeats_with_the_same_seed_only) {
    cloud a = sample_text("a.off", two_squares, 50, 1),
          b = sample_text("a.off", two_squares, 50, 1);
    cloud c = sample_text("a.off", two_squares, 50, 2);
    cr_assert_arr_eq(a.xyz, b.xyz, 150 * sizeof(float));
    cr_assert_neq(memcmp(a.xyz, c.xyz, 150 * sizeof(float)), 0);
    cloud_free(&a);
    cloud_free(&b);
    cloud_free(&c);
}

Test(mesh_sample, never_draws_from_triangles_without_area) {
    cloud points = sample_text("a.off",
                               "OFF\n4 3 0\n0 0 0\n1 0 0\n0 1 0\n9 9 9\n3 3 3 3\n3 0 1 2\n"
                               "3 0 3 3\n",
                               1000, 0);
    for (size_t i = 0; i < points.count; i++) cr_assert_eq(points.xyz[3 * i + 2], 0.0f);
    cloud_free(&points);
}

Test(mesh_sample, refuses_meshes_without_surface) {
    expect_refused_text("a.off", "OFF\n3 1 0\n0 0 0\n1 1 1\n2 2 2\n3 0 1 2\n", XNOR_E_FORMAT,
                        "total area 0");
    expect_refused_text("a.off", "OFF\n3 1 0\n0 0 nan\n1 0 0\n0 1 0\n3 0 1 2\n", XNOR_E_FORMAT,
                        "vertex 0: expected finite coordinates");
}

// ---- polygons -----------------------------------------------------------------------------------

// Splits the polygon of the given corners at z = x + y (so that it is not seen face on) and checks
// that the triangles' areas in the plane add up to `area` without overlap, that is all turn the
// same way, and that there are count - 2 of them.
static void expect_area(const float (*corners)[2], size_t count, double area) {
    mesh m = {0};
    polygon face = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        const double x = (double)corners[i][0], y = (double)corners[i][1];
        cr_assert_eq(mesh_add_vertex("a", (const double[3]){x, y, x + y}, &m), XNOR_OK);
        cr_assert_eq(polygon_add_corner("a", (uint32_t)i, &face), XNOR_OK);
    }
    cr_assert_eq(polygon_triangulate("a", &face, &m), XNOR_OK);
    cr_assert_eq(m.triangle_count, count - 2);
    double sum = 0, size = 0;
    for (size_t t = 0; t < m.triangle_count; t++) {
        const float *a = m.vertices + 3 * m.triangles[3 * t];
        const float *b = m.vertices + 3 * m.triangles[3 * t + 1];
        const float *c = m.vertices + 3 * m.triangles[3 * t + 2];
        const double twice =
            (double)((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]));
        sum += twice / 2;
        size += fabs(twice) / 2;
    }
    cr_assert_float_eq(fabs(sum), area, 1e-5, "expected area %g, found %g", area, sum);
    cr_assert_float_eq(size, area, 1e-5, "triangles overlap: %g for an area of %g", size, area);
    mesh_free(&m);
}

Test(polygon, concave_faces_are_covered_exactly) {
    static const float square[4][2] = {{0, 0}, {1, 0}, {1, 1}, {0, 1}};
    static const float arrow[4][2] = {{0, 0}, {2, 1}, {0, 2}, {1, 1}}; // concave at the last corner
    static const float arrow2[4][2] = {{1, 1}, {0, 0}, {2, 1}, {0, 2}};
    static const float clockwise_l[6][2] = {{0, 0}, {0, 2}, {1, 2}, {1, 1}, {2, 1}, {2, 0}};
    static const float comb[8][2] = {{0, 0}, {5, 0}, {5, 3}, {4, 1},
                                     {3, 3}, {2, 1}, {1, 3}, {0, 1}};
    // A square of side 3 with a hole of side 1, cut open along a bridge.
    static const float ring[10][2] = {{0, 0}, {3, 0}, {3, 3}, {0, 3}, {0, 0},
                                      {1, 1}, {1, 2}, {2, 2}, {2, 1}, {1, 1}};
    expect_area(square, 4, 1);
    expect_area(arrow, 4, 1);
    expect_area(arrow2, 4, 1);
    expect_area(clockwise_l, 6, 3);
    expect_area(comb, 8, 10);
    expect_area(ring, 10, 8);
}

Test(polygon, a_circle_of_many_corners_is_covered_exactly) {
    static float circle[POLYGON_MAX_CORNERS][2];
    const double step = 2 * acos(-1.0) / POLYGON_MAX_CORNERS;
    for (size_t i = 0; i < POLYGON_MAX_CORNERS; i++) {
        circle[i][0] = (float)cos(step * (double)i);
        circle[i][1] = (float)sin(step * (double)i);
    }
    expect_area((const float(*)[2])circle, POLYGON_MAX_CORNERS,
                POLYGON_MAX_CORNERS / 2.0 * sin(step));
}

Test(polygon, too_many_corners_are_refused) {
    static polygon face = {.count = POLYGON_MAX_CORNERS};
    cr_assert_eq(polygon_add_corner("a.obj", 0, &face), XNOR_E_LIMIT);
}

Test(cloud_off, takes_counts_right_behind_the_word) { // as many files of ModelNet have them
    cloud points = sample_text("a.off", "OFF3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n", 10, 0);
    cr_assert_eq(points.count, 10);
    cloud_free(&points);
}

Test(cloud_off, vertices_are_the_points_when_there_are_no_faces) {
    static const float rows[2][3] = {{1, -2, 0.5f}, {4, 0.25f, -6}};
    cloud points = read_good_text("a.off", "OFF\n# two points\n2 0\n1 -2 0.5\n4 0.25 -6\n");
    cr_assert_not(points.sampled);
    expect_points(&points, 2, rows);
}

Test(cloud_off, refuses_damage_by_line) {
    expect_refused_text("a.off", "COFF\n3 1 0\n", XNOR_E_FORMAT, "line 1: expected OFF");
    expect_refused_text("a.off", "OFF\n", XNOR_E_FORMAT, "numbers of vertices");
    expect_refused_text("a.off", "OFF\n3 x 0\n", XNOR_E_FORMAT, "line 2");
    expect_refused_text("a.off", "OFF\n4000000000 1 0\n0 0 0\n", XNOR_E_FORMAT, "4000000000");
    expect_refused_text("a.off", "OFF\n2 1 0\n0 0 0\n0 0\n3 0 0 0\n", XNOR_E_FORMAT, "line 4");
    expect_refused_text("a.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 3\n", XNOR_E_FORMAT,
                        "line 6");
    expect_refused_text("a.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n9999999999 0 1 2\n",
                        XNOR_E_FORMAT, "line 6");
    expect_refused_text("a.off", "OFF\n3 2 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n", XNOR_E_FORMAT,
                        "expected 2 faces, found 1");
}

static const char square_obj[] = "mtllib missing.mtl\nv 0 0 2\nv 1 0 2\nv 1 1 2\nv 0 1 2\n"
                                 "usemtl wood\nf 1 2 3 4\n";

static void expect_unit_square(cloud *points) {
    cr_assert(points->sampled);
    for (size_t i = 0; i < points->count; i++) {
        const float *p = points->xyz + 3 * i;
        cr_assert(p[0] >= 0 && p[0] <= 1 && p[1] >= 0 && p[1] <= 1 && p[2] == 2);
    }
    cloud_free(points);
}

Test(cloud_obj, samples_faces) {
    cloud points = read_good_text("a.obj", square_obj);
    expect_unit_square(&points);
}

Test(cloud_obj, takes_every_notation_of_corners) {
    static const char *const faces[] = {"f 1/1/1 2/2/1 3/3/1 4/4/1\n",
                                        "f 1//1 2//1 3//1 4//1\n",
                                        "f 1/1 2/2 3/3 4/4\r\n",
                                        "f -4 -3 -2 -1\n",
                                        "f 1 2 \\\n3 4\n",
                                        "f 1 2 3\nf 1 3 4"};
    for (size_t i = 0; i < sizeof faces / sizeof *faces; i++) {
        char text[256];
        snprintf(text, sizeof text, "v 0 0 2\nv 1 0 2 1.0\nv 1 1 2\nv 0 1 2 0.1 0.2 0.3\n%s",
                 faces[i]);
        cloud points = read_good_text("a.obj", text);
        expect_unit_square(&points);
    }
}

Test(cloud_obj, vertices_are_the_points_when_there_are_no_faces) {
    static const float rows[2][3] = {{1, -2, 0.5f}, {4, 0.25f, -6}};
    cloud points = read_good_text("a.obj", "v 1 -2 0.5\nv 4 0.25 -6\n");
    cr_assert_not(points.sampled);
    expect_points(&points, 2, rows);
}

Test(cloud_obj, refuses_damage) {
#define CORNERS "v 0 0 0\nv 1 0 0\nv 0 1 0\n"
    expect_refused_text("a.obj", CORNERS "f 1 2 4\n", XNOR_E_FORMAT,
                        "line 4: expected one of the 3 vertices so far, found '4'");
    expect_refused_text("a.obj", CORNERS "f 1 2 -4\n", XNOR_E_FORMAT, "line 4");
    expect_refused_text("a.obj", CORNERS "f 0 1 2\n", XNOR_E_FORMAT, "line 4");
    expect_refused_text("a.obj", CORNERS "f 1 2 99999999999999999999\n", XNOR_E_FORMAT, "line 4");
    expect_refused_text("a.obj", CORNERS "f a/b/c\n", XNOR_E_FORMAT, "line 4");
    expect_refused_text("a.obj", "v 1 2\n", XNOR_E_FORMAT, "line 1: expected v x y z");
    expect_refused_text("a.obj", "hello\n", XNOR_E_FORMAT, "found none");
}

#define FACET(a, b, c)                                                                             \
    "facet normal 0 0 1\nouter loop\nvertex " a "\nvertex " b "\nvertex " c "\nendloop\nendfacet"  \
    "\n"

Test(cloud_stl, samples_ascii) {
    cloud points = read_good_text("a.stl", "solid s\n" FACET("0 0 2", "1 0 2", "1 1 2")
                                               FACET("0 0 2", "1 1 2", "0 1 2") "endsolid s\n");
    expect_unit_square(&points);
}

static buffer binary_stl(void) {
    static const float facets[2][12] = {{0, 0, 1, 0, 0, 2, 1, 0, 2, 1, 1, 2},
                                        {0, 0, 1, 0, 0, 2, 1, 1, 2, 0, 1, 2}};
    buffer b = {.size = 80}; // header: anything but "solid"
    put_u32(&b, 2);
    for (size_t f = 0; f < 2; f++) {
        for (size_t i = 0; i < 12; i++) put_float(&b, facets[f][i]);
        put_u16(&b, 0);
    }
    return b;
}

Test(cloud_stl, samples_binary) {
    const buffer b = binary_stl();
    cloud points = read_good("a.stl", &b);
    expect_unit_square(&points);
}

Test(cloud_stl, samples_binary_that_starts_with_solid) { // as many programs write it
    buffer b = binary_stl();
    memcpy(b.bytes, "solid part", 10);
    cloud points = read_good("a.stl", &b);
    expect_unit_square(&points);
}

Test(cloud_stl, refuses_damage) {
    const buffer b = binary_stl();
    expect_truncations_refused("a.stl", &b, b.size);
    expect_refused_text("a.stl", "solid s\nhello\n", XNOR_E_FORMAT, "line 2");
    expect_refused_text("a.stl", "solid s\nvertex 1 2\n", XNOR_E_FORMAT, "line 2: expected vertex");
    expect_refused_text("a.stl", "solid s\nvertex 1 2 3\nendloop\n", XNOR_E_FORMAT,
                        "line 3: expected three vertices");
    expect_refused_text("a.stl", "solid s\n" FACET("0 0 0", "1 0 0", "0 1 0"), XNOR_E_FORMAT,
                        "line 8: expected endsolid");
    expect_refused_text("a.stl", "solid s\nendsolid s\n", XNOR_E_FORMAT, "found none");
    expect_refused_text("a.stl", "abc", XNOR_E_FORMAT, "found 3 bytes");
}

Test(cloud_obj, survives_any_damage) {
    buffer b = {.size = 0};
    put_text(&b, square_obj);
    survive_damage("a.obj", &b);
    const buffer stl = binary_stl();
    survive_damage("a.stl", &stl);
    b.size = 0;
    put_text(&b, two_squares);
    survive_damage("a.off", &b);
}
