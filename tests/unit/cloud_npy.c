// NumPy arrays of points.
#include "cloud_support.h"

static const float rows[2][3] = {{1, -2, 0.5f}, {4, 0.25f, -6}};

// A version 1.0 file with the given dict and no data yet.
static buffer start(const char *dict) {
    buffer b = {.size = 0};
    put_bytes(&b, "\x93NUMPY\x01\x00", 8);
    put_u16(&b, (uint16_t)strlen(dict));
    put_text(&b, dict);
    return b;
}

static buffer float32_file(void) {
    buffer b = start("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n");
    for (size_t i = 0; i < 6; i++) put_float(&b, rows[i / 3][i % 3]);
    return b;
}

Test(cloud_npy, reads_float32_rows) {
    const buffer b = float32_file();
    cloud points = read_good("a.npy", &b);
    cr_assert_not(points.sampled);
    expect_points(&points, 2, rows);
}

Test(cloud_npy, reads_float64_of_either_byte_order) {
    for (int big = 0; big < 2; big++) {
        buffer b = start(big ? "{'descr': '>f8', 'fortran_order': False, 'shape': (2, 3)}\n"
                             : "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3)}\n");
        for (size_t i = 0; i < 6; i++) {
            put_double(&b, (double)rows[i / 3][i % 3]);
            if (big) swap_last(&b, 8);
        }
        cloud points = read_good("a.npy", &b);
        expect_points(&points, 2, rows);
    }
}

// Halves from the tables of IEEE 754: 0x3c00 is 1, 0xc000 is -2, 0x3800 is 0.5, 0x4400 is 4,
// 0x3400 is 0.25, 0xc600 is -6, 0x0001 is 2^-24.
Test(cloud_npy, reads_float16) {
    static const uint16_t halves[] = {0x3c00, 0xc000, 0x3800, 0x4400, 0x3400,
                                      0xc600, 0x0001, 0x0400, 0x7bff};
    static const float expected[3][3] = {
        {1, -2, 0.5f}, {4, 0.25f, -6}, {0x1p-24f, 0x1p-14f, 65504}};
    buffer b = start("{'descr': '<f2', 'fortran_order': False, 'shape': (3, 3)}\n");
    for (size_t i = 0; i < 9; i++) put_u16(&b, halves[i]);
    cloud points = read_good("a.npy", &b);
    expect_points(&points, 3, expected);
}

Test(cloud_npy, takes_further_columns_and_a_leading_1) {
    buffer b = start("{\"shape\": (1, 2, 5), \"descr\": \"<f4\", \"fortran_order\": False}\n");
    for (size_t row = 0; row < 2; row++) {
        for (size_t axis = 0; axis < 3; axis++) put_float(&b, rows[row][axis]);
        put_float(&b, 77);
        put_float(&b, 78);
    }
    cloud points = read_good("a.npy", &b);
    expect_points(&points, 2, rows);
}

Test(cloud_npy, reads_header_version_2) {
    static const char dict[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3)}\n";
    buffer b = {.size = 0};
    put_bytes(&b, "\x93NUMPY\x02\x00", 8);
    put_u32(&b, (uint32_t)strlen(dict));
    put_text(&b, dict);
    for (size_t axis = 0; axis < 3; axis++) put_float(&b, rows[0][axis]);
    cloud points = read_good("a.npy", &b);
    expect_points(&points, 1, rows);
}

Test(cloud_npy, drops_and_counts_nan_points) {
    buffer b = float32_file();
    const float nan_value = strtof("nan", NULL);
    memcpy(b.bytes + b.size - 4, &nan_value, 4);
    cloud points = read_good("a.npy", &b);
    cr_assert_eq(points.dropped, 1);
    expect_points(&points, 1, rows);
}

Test(cloud_npy, refuses_what_it_does_not_take) {
    static const struct {
        const char *dict;
        xnor_status status;
        const char *words;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}", XNOR_E_UNSUPPORTED, "Fortran"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3)}", XNOR_E_UNSUPPORTED,
         "found integers"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2, 3)}", XNOR_E_UNSUPPORTED, "|O"},
        {"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,)}", XNOR_E_UNSUPPORTED,
         "named fields"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", XNOR_E_SHAPE, "[2, 2]"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,)}", XNOR_E_SHAPE, "[6]"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}", XNOR_E_SHAPE, "[]"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 3)}", XNOR_E_SHAPE, "[2, 1, 3]"},
        {"{'descr': '<f4', 'fortran_order': False}", XNOR_E_FORMAT, "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3)}", XNOR_E_FORMAT, "header"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}", XNOR_E_FORMAT, "header"},
        {"{'descr", XNOR_E_FORMAT, "header"},
        {"", XNOR_E_FORMAT, "header"},
        // Sizes that overflow, or that the file does not hold
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (6148914691236517206, 3)}",
         XNOR_E_FORMAT, "found 24 bytes"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999, 3)}",
         XNOR_E_FORMAT, "header"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 3)}", XNOR_E_FORMAT,
         "1000000000 x 3"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3)}", XNOR_E_FORMAT, "found none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buffer b = start(cases[i].dict);
        for (size_t k = 0; k < 6; k++) put_float(&b, 1);
        expect_refused("a.npy", &b, cases[i].status, cases[i].words);
    }
}

Test(cloud_npy, names_the_file_in_messages) {
    expect_refused_text("folder/chair.npy", "not an array", XNOR_E_FORMAT, "folder/chair.npy: ");
}

Test(cloud_npy, survives_any_damage) {
    const buffer b = float32_file();
    expect_truncations_refused("a.npy", &b, b.size);
    survive_damage("a.npy", &b);
}
