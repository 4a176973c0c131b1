// Dependencies point one way. Reads the #include lines of the sources; runs in the repository's
// root.
#include <criterion/criterion.h>
#include <dirent.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

// Which folders' headers the files of a folder may include, by how an #include begins. Their own
// are always allowed, and so is the public header. Paths in #include lines are relative to -Ilib,
// -Ilib/include, -Iproto and -I. (root).
static const struct {
    const char *folder;
    const char *allowed[10];
} rules[] = {
    {"lib/include", {NULL}},
    {"lib/core", {"include/"}},
    {"lib/kernels", {"core/"}},
    {"lib/graph", {"core/", "ops/ops.h"}}, // the verifier asks shape rules
    {"lib/ops", {"core/", "graph/"}},
    {"lib/passes", {"core/", "graph/", "ops/"}},
    {"lib/format", {"core/", "graph/"}},
    {"lib/exec", {"core/", "graph/", "ops/", "passes/", "kernels/", "format/"}},
    {"lib/task", {"core/", "kernels/kernels.h"}},
    {"lib/onnx", {"core/", "graph/", "ops/"}},
};

// Our own folders that an #include may name.
static const char *const ours[] = {
    "include/", "core/", "kernels/", "graph/",  "ops/",     "passes/",   "format/",  "exec/",
    "task/",    "onnx/", "proto/",   "daemon/", "clients/", "libxnord/", "xnorctl/", "lib/"};

static bool starts(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

typedef void (*visit)(const char *folder, const char *file, const char *include, void *context);

static void each_include(const char *folder, const char *file, visit f, void *context) {
    char path[512], line[512], include[512];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *source = fopen(path, "r");
    cr_assert_not_null(source, "%s", path);
    while (fgets(line, sizeof line, source))
        if (sscanf(line, " # include %*1[<\"]%511[^>\"]", include) == 1)
            f(folder, file, include, context);
    fclose(source);
}

static bool is_source(const char *name) {
    size_t length = strlen(name);
    return length > 2 &&
           (strcmp(name + length - 2, ".c") == 0 || strcmp(name + length - 2, ".h") == 0);
}

// Number of sources in the folder.
static uint32_t each_source(const char *folder, visit f, void *context) {
    uint32_t count = 0;
    DIR *directory = opendir(folder);
    cr_assert_not_null(directory, "%s: the tests run in the root of the repository", folder);
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (is_source(entry->d_name)) {
            each_include(folder, entry->d_name, f, context);
            count++;
        }
    closedir(directory);
    return count;
}

static void check_rule(const char *folder, const char *file, const char *include, void *context) {
    const char *const *allowed = context;
    const char *name = strchr(folder, '/') + 1;
    size_t length = strlen(name);
    bool own = strncmp(include, name, length) == 0 && include[length] == '/';
    bool of_ours = false;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        of_ours = of_ours || starts(include, ours[i]);
    bool allowed_here = own || !of_ours || strcmp(include, "include/xnor.h") == 0 ||
                        strcmp(include, "onnx/onnx.pb-c.h") == 0;
    for (; *allowed && !allowed_here; allowed++) allowed_here = starts(include, *allowed);
    cr_assert(allowed_here, "%s/%s includes %s", folder, file, include);
}

Test(includes, folders_of_the_library_depend_one_way) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        void *allowed = (void *)rules[i].allowed;
        cr_assert_gt(each_source(rules[i].folder, check_rule, allowed), 0, "%s", rules[i].folder);
    }
}

Test(includes, every_folder_of_the_library_has_a_rule) {
    DIR *directory = opendir("lib");
    cr_assert_not_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory));) {
        bool found = entry->d_name[0] == '.';
        for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
            found = found || strcmp(rules[i].folder + strlen("lib/"), entry->d_name) == 0;
        cr_assert(found, "lib/%s", entry->d_name);
    }
    closedir(directory);
}

// Third-party headers, each behind one border.
static void check_library(const char *folder, const char *file, const char *include,
                          void *context) {
    (void)context;
    static const char *const foreign[] = {"nng", "uv.h", "yaml.h", "systemd/", "lzf", "assimp"};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        cr_assert_not(starts(include, foreign[i]), "%s/%s includes %s", folder, file, include);
    if (starts(include, "msgpack"))
        cr_assert_str_eq(folder, "lib/format", "%s includes %s", file, include);
    if (starts(include, "protobuf-c"))
        cr_assert_str_eq(folder, "lib/onnx", "%s includes %s", file, include);
}

Test(includes, the_library_stays_free_of_foreign_headers) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        each_source(rules[i].folder, check_library, NULL);
}

static void check_proto(const char *folder, const char *file, const char *include, void *context) {
    (void)context;
    cr_assert_not(starts(include, "daemon/") || starts(include, "clients/") ||
                      starts(include, "exec/") || starts(include, "graph/") ||
                      starts(include, "nng"),
                  "%s/%s includes %s", folder, file, include);
}

Test(includes, the_protocol_depends_on_neither_side) {
    cr_assert_gt(each_source("proto", check_proto, NULL), 0);
}

static void check_daemon(const char *folder, const char *file, const char *include, void *context) {
    (void)context;
    cr_assert_not(starts(include, "onnx/") || starts(include, "lib/onnx/"), "%s/%s includes %s",
                  folder, file, include);
    cr_assert_not(starts(include, "passes/") || starts(include, "exec/") || starts(include, "ops/"),
                  "%s/%s includes %s instead of xnor.h", folder, file, include);
}

Test(includes, the_daemon_knows_no_importer_and_no_engine_internals) {
    cr_assert_gt(each_source("daemon", check_daemon, NULL), 0);
}

typedef struct users {
    char files[8][128];
    uint32_t count;
} users;

static void find_nng(const char *folder, const char *file, const char *include, void *context) {
    users *found = context;
    (void)folder;
    if (!starts(include, "nng")) return;
    if (found->count && strcmp(found->files[found->count - 1], file) == 0) return;
    cr_assert_lt(found->count, 8);
    snprintf(found->files[found->count++], sizeof found->files[0], "%s", file);
}

static void expect_one_user(const char *folder) {
    users found = {.count = 0};
    each_source(folder, find_nng, &found);
    cr_assert_eq(found.count, 1, "%s: %u files include nng: %s, %s", folder, found.count,
                 found.files[0], found.files[1]);
}

Test(includes, one_file_of_the_daemon_knows_nng) {
    expect_one_user("daemon");
}

Test(includes, one_file_of_the_client_library_knows_nng) {
    expect_one_user("clients/libxnord");
}

// ---- what runs does not allocate ----------------------------------------------------------------

// Steps, the operators that they may fall back on, and kernels. qsort allocates for long arrays.
Test(includes, nothing_that_runs_calls_an_allocator) {
    static const char *const paths[] = {"lib/exec/steps", "lib/ops/", "lib/kernels/"};
    static const char *const calls[] = {"alloc(", "free(", "strdup(", "qsort("};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char pattern[64];
        glob_t found;
        snprintf(pattern, sizeof pattern, "%s*.[ch]", paths[i]);
        cr_assert_eq(glob(pattern, 0, NULL, &found), 0, "%s", pattern);
        for (size_t f = 0; f < found.gl_pathc; f++) {
            FILE *file = fopen(found.gl_pathv[f], "r");
            cr_assert_not_null(file);
            for (char line[512]; fgets(line, sizeof line, file);)
                for (size_t c = 0; c < sizeof calls / sizeof *calls; c++)
                    cr_assert_null(strstr(line, calls[c]), "%s: %s", found.gl_pathv[f], line);
            fclose(file);
        }
        globfree(&found);
    }
}
