// The folder of model files, and what the daemon checks about tensors.
#include "daemon/store.h"
#include "daemon/tensor.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];
static struct store_listing listing;
static struct reason why;

static void put(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file, "%s", path);
    fputs(text, file);
    fclose(file);
}

static void put_folder(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    cr_assert_eq(mkdir(path, 0700), 0);
}

static void make_root(void) {
    strcpy(root, "/tmp/xnord-store-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static void remove_root(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    cr_assert_eq(system(command), 0);
}

TestSuite(store, .init = make_root, .fini = remove_root);

Test(store, finds_files_and_folders_by_name) {
    put("b.xnor", "x");
    put_folder("a");
    put("a/a.xnor", "x");
    put("notes.txt", "x");
    put(".hidden.xnor", "x");
    put("with space.xnor", "x");
    put_folder("empty");
    put_folder("dir.xnor");
    cr_assert_eq(store_scan(root, 64, &listing, &why), XNOR_OK, "%s", why.text);
    cr_assert_eq(listing.count, 2);
    cr_assert_str_eq(listing.entries[0].name, "a");
    cr_assert_str_eq(strrchr(listing.entries[0].path, '/'), "/a.xnor");
    cr_assert_str_eq(listing.entries[1].name, "b");
}

Test(store, the_folder_wins_over_the_file_of_the_same_name) {
    put("a.xnor", "x");
    put_folder("a");
    put("a/a.xnor", "xx");
    cr_assert_eq(store_scan(root, 64, &listing, &why), XNOR_OK);
    cr_assert_eq(listing.count, 1);
    cr_assert_eq(listing.skipped, 1);
    cr_assert_eq(listing.entries[0].identity.size, 2);
}

Test(store, more_models_than_the_limit_are_counted) {
    put("a.xnor", "x");
    put("b.xnor", "x");
    put("c.xnor", "x");
    cr_assert_eq(store_scan(root, 2, &listing, &why), XNOR_OK);
    cr_assert_eq(listing.count, 2);
    cr_assert_eq(listing.skipped, 1);
}

Test(store, a_replaced_file_has_another_identity) {
    put("a.xnor", "x");
    cr_assert_eq(store_scan(root, 64, &listing, &why), XNOR_OK);
    struct store_identity before = listing.entries[0].identity;
    put("b", "y");
    char from[128], to[128];
    snprintf(from, sizeof from, "%s/b", root);
    snprintf(to, sizeof to, "%s/a.xnor", root);
    cr_assert_eq(rename(from, to), 0);
    cr_assert_eq(store_scan(root, 64, &listing, &why), XNOR_OK);
    cr_assert_not(store_identity_equal(&before, &listing.entries[0].identity));
}

Test(store, missing_folder_is_named) {
    cr_assert_eq(store_scan("/nonexistent", 64, &listing, &why), XNOR_E_NOT_FOUND);
    cr_assert_str_eq(why.text, "/nonexistent: No such file or directory");
}

Test(store, reads_whole_files_up_to_the_limit) {
    void *data = NULL;
    size_t size = 0;
    char path[128];
    put("a.xnor", "hello");
    snprintf(path, sizeof path, "%s/a.xnor", root);
    cr_assert_eq(store_read(path, 5, &data, &size, &why), XNOR_OK);
    cr_assert_eq(size, 5);
    cr_assert_arr_eq(data, "hello", 5);
    cr_assert_eq((uintptr_t)data % 64, 0);
    free(data);
    cr_assert_eq(store_read(path, 4, &data, &size, &why), XNOR_E_LIMIT);
    cr_assert_str_eq(why.text, "expected at most 4 bytes, found 5");
    cr_assert_eq(store_read(root, 4, &data, &size, &why), XNOR_E_IO);
}

Test(tensor, finds_the_first_value_that_is_not_finite_at_any_alignment) {
    float values[5] = {0.0f, -1.5f, 3.4e38f, 1e-45f, 2.0f};
    char bytes[sizeof values + 1];
    memcpy(bytes + 1, values, sizeof values);
    cr_assert_eq(tensor_first_not_finite(bytes + 1, 5), 5);
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 4; i++) {
        memcpy(bytes + 1 + 3 * sizeof(float), &bad[i], sizeof(float));
        cr_assert_eq(tensor_first_not_finite(bytes + 1, 5), 3);
    }
}

Test(tensor, shapes_fit_ports_with_unknown_dimensions) {
    xnor_shape port = {3, {-1, -1, 3}}, good = {3, {2, 7, 3}}, other = {3, {2, 7, 4}},
               flat = {2, {7, 3}};
    char text[TENSOR_SHAPE_TEXT_BYTES];
    cr_assert(tensor_shape_fits(&port, &good));
    cr_assert_not(tensor_shape_fits(&port, &other));
    cr_assert_not(tensor_shape_fits(&port, &flat));
    cr_assert_str_eq(tensor_shape_text(&port, text, sizeof text), "[?, ?, 3]");
    cr_assert_str_eq(tensor_shape_text(&good, text, sizeof text), "[2, 7, 3]");
}

Test(tensor, shape_text_never_overflows) {
    xnor_shape shape = {8, {0}};
    char text[TENSOR_SHAPE_TEXT_BYTES];
    for (size_t i = 0; i < 8; i++) shape.dims[i] = INT64_MAX;
    cr_assert_lt(strlen(tensor_shape_text(&shape, text, sizeof text)), sizeof text);
}
