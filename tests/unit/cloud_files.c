// Whole files: writing, reading back, turning, and what is refused before it is read.
#include "cloud_support.h"

#include "clients/xnorctl/files.h"

#include <sys/stat.h>
#include <unistd.h>

static float rows[3][3] = {{1, -2, 0.1f}, {4e10f, 1e-30f, -6}, {0, 123456.789f, 7}};

static char folder[64];

static void make_folder(void) {
    strcpy(folder, "/tmp/xnorctl-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void) {
    cr_assert_eq(rmdir(folder), 0);
}

TestSuite(cloud_files, .init = make_folder, .fini = remove_folder);

static void path_to(char *path, size_t size, const char *name) {
    snprintf(path, size, "%s/%s", folder, name);
}

Test(cloud_files, every_format_written_reads_back_exactly) {
    static const char *const names[] = {"a.ply", "a.pcd", "a.npy", "a.xyz"};
    const cloud written = {.xyz = &rows[0][0], .count = 3, .capacity = 3};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        path_to(path, sizeof path, names[i]);
        cr_assert_eq(cloud_write(path, &written), XNOR_OK, "%s", xnor_last_error());
        cloud points = {0};
        cr_assert_eq(cloud_read(path, &default_options, &points), XNOR_OK, "%s", xnor_last_error());
        unlink(path);
        expect_points(&points, 3, (const float(*)[3])rows);
    }
}

// x stays, y becomes z, z becomes -y.
Test(cloud_files, y_up_is_turned_to_z_up) {
    static const float turned[2][3] = {{1, -3, 2}, {4, 6, 5}};
    const cloud_options options = {.sample_points = 1, .y_up = true};
    cloud points = {0};
    cr_assert_eq(read_exact("a.xyz", "1 2 3\n4 5 -6\n", 13, &options, &points), XNOR_OK);
    expect_points(&points, 2, turned);
}

Test(cloud_files, only_listed_extensions_are_read) {
    static const char *const refused[] = {"a.glb", "a", "a.", "pcd", "folder.ply/a", "a.ply.gz"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        cr_assert_not(cloud_is_readable(refused[i]), "%s", refused[i]);
        expect_refused_text(refused[i], "1 2 3\n", XNOR_E_UNSUPPORTED, ".bin .npy .obj .off .pcd");
    }
    cr_assert(cloud_is_readable("folder/A.PLY"));
}

Test(cloud_files, unreadable_files_are_named) {
    cloud points = {0};
    char path[128];
    path_to(path, sizeof path, "missing.ply");
    cr_assert_eq(cloud_read(path, &default_options, &points), XNOR_E_IO);
    cr_assert_not_null(strstr(xnor_last_error(), "missing.ply: No such file"));
    cr_assert_eq(cloud_write("/nonexistent/a.ply", &(cloud){0}), XNOR_E_IO);
    cr_assert_eq(cloud_write("/tmp/a.glb", &(cloud){0}), XNOR_E_UNSUPPORTED);

    path_to(path, sizeof path, "pipe.ply");
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(cloud_read(path, &default_options, &points), XNOR_E_IO); // and does not hang
    cr_assert_not_null(strstr(xnor_last_error(), "regular file"));
    unlink(path);
}

Test(cloud_files, files_above_the_limit_are_refused_unread) {
    char path[128];
    path_to(path, sizeof path, "huge.ply");
    cloud points = {0};
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(ftruncate(fileno(file), (off_t)FILES_MAX_BYTES + 1), 0); // sparse
    fclose(file);
    cr_assert_eq(cloud_read(path, &default_options, &points), XNOR_E_LIMIT);
    cr_assert_not_null(strstr(xnor_last_error(), "1073741825"));
    unlink(path);
}
