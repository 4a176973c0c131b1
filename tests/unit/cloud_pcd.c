// Point Cloud Library files.
#include "cloud_support.h"

#include <liblzf/lzf.h>

static const float rows[2][3] = {{1, -2, 0.5f}, {4, 0.25f, -6}};

#define HEADER(fields, sizes, types, counts, points, data)                                         \
    "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS " fields "\nSIZE " sizes      \
    "\nTYPE " types "\nCOUNT " counts "\nWIDTH " points                                            \
    "\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS " points "\nDATA " data "\n"
#define XYZ_HEADER(points, data) HEADER("x y z", "4 4 4", "F F F", "1 1 1", points, data)

// z first, then padding, y as double, x, and an integer: 30 bytes per point.
#define MIXED_HEADER(data) HEADER("z _ y x ring", "4 1 8 4 2", "F U F F U", "1 12 1 1 1", "2", data)

static void put_mixed_point(buffer *b, const float xyz[3]) {
    put_float(b, xyz[2]);
    put_text(b, "padding12345");
    put_double(b, (double)xyz[1]);
    put_float(b, xyz[0]);
    put_u16(b, 513);
}

static buffer binary_file(void) {
    buffer b = {.size = 0};
    put_text(&b, MIXED_HEADER("binary"));
    for (size_t i = 0; i < 2; i++) put_mixed_point(&b, rows[i]);
    return b;
}

// `count` points of the xyz layout, plane after plane, packed by liblzf.
static buffer compressed_file(const char *header, const float (*points)[3], size_t count) {
    static buffer planes, packed;
    planes.size = 0;
    for (size_t axis = 0; axis < 3; axis++)
        for (size_t i = 0; i < count; i++) put_float(&planes, points[i][axis]);
    packed.size = lzf_compress(planes.bytes, (unsigned)planes.size, packed.bytes,
                               (unsigned)sizeof packed.bytes);
    cr_assert_gt(packed.size, 0);
    buffer b = {.size = 0};
    put_text(&b, header);
    put_u32(&b, (uint32_t)packed.size);
    put_u32(&b, (uint32_t)planes.size);
    put_bytes(&b, packed.bytes, packed.size);
    return b;
}

// Enough regularity that LZF uses back references.
static buffer compressed_grid(float points[64][3]) {
    for (size_t i = 0; i < 64; i++) {
        points[i][0] = (float)(i % 8);
        points[i][1] = (float)(i / 8);
        points[i][2] = 0.5f;
    }
    return compressed_file(XYZ_HEADER("64", "binary_compressed"), (const float(*)[3])points, 64);
}

Test(cloud_pcd, reads_ascii) {
    cloud points = read_good_text("a.pcd", XYZ_HEADER("2", "ascii") "1 -2 0.5\n4 0.25 -6\n");
    expect_points(&points, 2, rows);
}

Test(cloud_pcd, reads_ascii_fields_in_any_order) {
    cloud points =
        read_good_text("a.PCD", HEADER("label z normal x y", "4 4 4 4 4", "U F F F F", "1 1 3 1 1",
                                       "2", "ascii") "7 0.5 0 0 1 1 -2\r\n\n8 -6 0 0 1 4 0.25");
    expect_points(&points, 2, rows);
}

Test(cloud_pcd, reads_binary_of_mixed_fields) {
    const buffer b = binary_file();
    cloud points = read_good("a.pcd", &b);
    expect_points(&points, 2, rows);
}

Test(cloud_pcd, reads_compressed) {
    float grid[64][3];
    const buffer b = compressed_grid(grid);
    cr_assert_lt(b.size, 64 * 12, "not compressed");
    cloud points = read_good("a.pcd", &b);
    expect_points(&points, 64, (const float(*)[3])grid);
}

Test(cloud_pcd, reads_integer_coordinates) {
    static const float expected[1][3] = {{-3, 200, 70000}};
    buffer b = {.size = 0};
    put_text(&b, HEADER("x y z", "1 1 4", "I U U", "1 1 1", "1", "binary"));
    put_bytes(&b, "\xfd\xc8", 2);
    put_u32(&b, 70000);
    cloud points = read_good("a.pcd", &b);
    expect_points(&points, 1, expected);
}

Test(cloud_pcd, reads_old_header_without_count_and_height) {
    cloud points = read_good_text("a.pcd", "COLUMNS x y z\nSIZE 4 4 4\nTYPE F F F\nPOINTS 2\n"
                                           "DATA ascii\n1 -2 0.5\n4 0.25 -6\n");
    expect_points(&points, 2, rows);
}

Test(cloud_pcd, drops_and_counts_nan_points_of_organised_clouds) {
    cloud points = read_good_text(
        "a.pcd", XYZ_HEADER("4", "ascii") "nan nan nan\n1 -2 0.5\n4 0.25 -6\n0 inf 0\n");
    cr_assert_eq(points.dropped, 2);
    expect_points(&points, 2, rows);
}

Test(cloud_pcd, refuses_a_cloud_of_nothing_but_nan) {
    expect_refused_text("a.pcd", XYZ_HEADER("1", "ascii") "nan nan nan\n", XNOR_E_FORMAT, "NaN");
}

Test(cloud_pcd, refuses_damaged_headers_by_line) {
    static const struct {
        const char *text;
        xnor_status status;
        const char *words;
    } cases[] = {
        {"", XNOR_E_FORMAT, "empty"},
        {"hello world\n", XNOR_E_FORMAT, "line 1: expected a PCD header line"},
        {"VERSION 0.7\n", XNOR_E_FORMAT, "DATA"},
        {XYZ_HEADER("0", "ascii"), XNOR_E_FORMAT, "found none"},
        {XYZ_HEADER("2", "zipped"), XNOR_E_FORMAT, "line 11: expected DATA"},
        {XYZ_HEADER("two", "ascii"), XNOR_E_FORMAT, "line 7: expected a number"},
        {XYZ_HEADER("-1", "ascii"), XNOR_E_FORMAT, "line 7"},
        {"FIELDS x y z\nSIZE 4 4\n", XNOR_E_FORMAT, "line 2"},
        {"FIELDS x y z\nSIZE 4 4 4 4\n", XNOR_E_FORMAT, "line 2"},
        {"SIZE 4 4 4\n", XNOR_E_FORMAT, "line 1"},
        {"FIELDS x y z\nTYPE F F\n", XNOR_E_FORMAT, "line 2"},
        {"FIELDS x y z\nFIELDS x y z\n", XNOR_E_FORMAT, "line 2"},
        {"FIELDS x y z\nDATA ascii\n", XNOR_E_FORMAT, "SIZE"},
        {"FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nDATA ascii\n", XNOR_E_FORMAT, "WIDTH"},
        {"FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 3\nPOINTS 2\nDATA ascii\n", XNOR_E_FORMAT,
         "WIDTH x HEIGHT = 3"},
        {HEADER("x y", "4 4", "F F", "1 1", "1", "ascii") "1 2\n", XNOR_E_FORMAT, "found no z"},
        {HEADER("x y z x", "4 4 4 4", "F F F F", "1 1 1 1", "1", "ascii"), XNOR_E_FORMAT, "for x"},
        {HEADER("x y z", "4 4 4", "F F F", "1 2 1", "1", "ascii"), XNOR_E_FORMAT, "for y"},
        {HEADER("x y z", "3 4 4", "F F F", "1 1 1", "1", "ascii"), XNOR_E_FORMAT, "3 bytes"},
        {HEADER("x y z", "4 4 4", "F F Q", "1 1 1", "1", "ascii"), XNOR_E_FORMAT, "'Q'"},
        {HEADER("x y z", "2 4 4", "F F F", "1 1 1", "1", "ascii"), XNOR_E_FORMAT, "2 bytes"},
        // Sizes from outside
        {XYZ_HEADER("16777217", "binary"), XNOR_E_LIMIT, "16777217"},
        {XYZ_HEADER("18446744073709551615", "binary"), XNOR_E_LIMIT, "points"},
        {XYZ_HEADER("18446744073709551616", "binary"), XNOR_E_FORMAT, "line 7"},
        {"FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 4294967296\nHEIGHT 4294967296\nDATA ascii\n",
         XNOR_E_LIMIT, "4294967296 x 4294967296"},
        {HEADER("x y z _", "4 4 4 8", "F F F U", "1 1 1 2305843009213693952", "1", "binary"),
         XNOR_E_LIMIT, "bytes"},
        {XYZ_HEADER("16777216", "binary") "123", XNOR_E_FORMAT, "found 3 bytes"},
        {XYZ_HEADER("16777216", "binary_compressed") "\1\0\0", XNOR_E_FORMAT, "two sizes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refused_text("a.pcd", cases[i].text, cases[i].status, cases[i].words);
}

Test(cloud_pcd, refuses_damaged_ascii_points_by_line) {
    expect_refused_text("a.pcd", XYZ_HEADER("2", "ascii") "1 2 3\n1 2\n", XNOR_E_FORMAT,
                        "line 13: expected 3 values, found 2");
    expect_refused_text("a.pcd", XYZ_HEADER("2", "ascii") "1 2 3 4\n", XNOR_E_FORMAT,
                        "line 12: expected 3 values, found more");
    expect_refused_text("a.pcd", XYZ_HEADER("2", "ascii") "1 2 3\n", XNOR_E_FORMAT,
                        "expected 2 points, found 1");
    expect_refused_text("a.pcd", XYZ_HEADER("1", "ascii") "1 two 3\n", XNOR_E_FORMAT,
                        "line 12: expected a number, found 'two'");
    expect_refused_text("a.pcd", XYZ_HEADER("1", "ascii") "1 \033[31m 3\n", XNOR_E_FORMAT,
                        "'?[31m'");
}

Test(cloud_pcd, refuses_damaged_compressed_blocks) {
    float grid[64][3];
    buffer good = compressed_grid(grid), b = good;
    const size_t sizes = strlen(XYZ_HEADER("64", "binary_compressed"));
    b.bytes[sizes + 4]--; // one byte less than 64 points take
    expect_refused("a.pcd", &b, XNOR_E_FORMAT, "expected 64 points of 12 bytes");
    b = good;
    memset(b.bytes + sizes, 0xff, 4); // more compressed bytes than there are
    expect_refused("a.pcd", &b, XNOR_E_FORMAT, "4294967295 compressed bytes");
    b = good;
    memset(b.bytes + sizes + 8, 0xff, b.size - sizes - 8); // references before the start
    expect_refused("a.pcd", &b, XNOR_E_FORMAT, "LZF");

    // 192 MiB cannot come out of four bytes; nothing of that size is allocated.
    b.size = 0;
    put_text(&b, XYZ_HEADER("16777216", "binary_compressed"));
    put_u32(&b, 4);
    put_u32(&b, 16777216u * 12);
    put_text(&b, "abcd");
    expect_refused("a.pcd", &b, XNOR_E_FORMAT, "at most 352 bytes");
}

Test(cloud_pcd, survives_any_damage) {
    float grid[64][3];
    const buffer binary = binary_file(), compressed = compressed_grid(grid);
    expect_truncations_refused("a.pcd", &binary, binary.size);
    expect_truncations_refused("a.pcd", &compressed, compressed.size);
    survive_damage("a.pcd", &binary);
    survive_damage("a.pcd", &compressed);

    buffer ascii = {.size = 0};
    put_text(&ascii, XYZ_HEADER("2", "ascii") "1 -2 0.5\n4 0.25 -6");
    expect_truncations_refused("a.pcd", &ascii, ascii.size - 1);
    survive_damage("a.pcd", &ascii);
}
