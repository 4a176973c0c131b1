// Points as text, and KITTI scans.
#include "cloud_support.h"

static const float rows[2][3] = {{1, -2, 0.5f}, {4, 0.25f, -6}};

Test(cloud_text, reads_any_usual_separation) {
    static const char *const texts[] = {
        "1 -2 0.5\n4 0.25 -6\n",
        "1,-2,0.5\r\n4,0.25,-6",
        "# x y z\n\n  1;-2;\t0.5 # first\n4, 0.25, -6, red, 0.1\n",
        "1e0\t-2.0\t5e-1\t0\t0\t1\n+4 .25 -6.\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cloud points = read_good_text(i % 2 ? "a.txt" : "a.xyz", texts[i]);
        expect_points(&points, 2, rows);
    }
}

Test(cloud_text, drops_and_counts_nan_points_and_what_float32_cannot_hold) {
    cloud points = read_good_text("a.xyz", "1 -2 0.5\nnan nan nan\n1e300 0 0\n4 0.25 -6\n");
    cr_assert_eq(points.dropped, 2);
    expect_points(&points, 2, rows);
}

Test(cloud_text, refuses_damage_by_line) {
    expect_refused_text("a.xyz", "1 2 3\n4 5\n", XNOR_E_FORMAT,
                        "line 2: expected x y z, found '4 5'");
    expect_refused_text("a.xyz", "1 2 3\n\n# c\n4 5 z\n", XNOR_E_FORMAT, "line 4");
    expect_refused_text("a.xyz", "\177ELF\1\2\3", XNOR_E_FORMAT, "line 1");
    expect_refused_text("a.xyz", "", XNOR_E_FORMAT, "empty");
    expect_refused_text("a.xyz", "# nothing\n\n", XNOR_E_FORMAT, "found none");
}

Test(cloud_text, survives_any_damage) {
    buffer b = {.size = 0};
    put_text(&b, "1 -2 0.5\n4,0.25,-6 # end\n");
    survive_damage("a.xyz", &b);
    for (size_t size = 0; size < b.size; size++) {
        cloud points = {0};
        if (read_exact("a.xyz", b.bytes, size, &default_options, &points) == XNOR_OK)
            cloud_free(&points);
    }
}

static buffer kitti_file(void) {
    buffer b = {.size = 0};
    for (size_t i = 0; i < 2; i++) {
        for (size_t axis = 0; axis < 3; axis++) put_float(&b, rows[i][axis]);
        put_float(&b, 0.3f); // reflectance
    }
    return b;
}

Test(cloud_bin, reads_kitti_scans) {
    const buffer b = kitti_file();
    cloud points = read_good("000000.bin", &b);
    expect_points(&points, 2, rows);
}

Test(cloud_bin, refuses_anything_but_whole_records) {
    buffer b = kitti_file();
    for (b.size = 31; b.size > 16; b.size--)
        expect_refused("a.bin", &b, XNOR_E_FORMAT, "multiple of 16 bytes");
}
