#include "clients/xnorctl/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/xnorctl/memory.h"
#include "core/status.h"

// Takes `path`.
static void add(file_list *files, char *path) {
    if (files->count == files->capacity) {
        files->capacity = files->capacity ? 2 * files->capacity : 64;
        files->paths = memory_check(realloc(files->paths, files->capacity * sizeof *files->paths));
    }
    files->paths[files->count++] = memory_check(path);
}

static char *join(const char *folder, const char *name) {
    char *path;
    const size_t size = strlen(folder);
    const char *slash = size && folder[size - 1] == '/' ? "" : "/";
    return asprintf(&path, "%s%s%s", folder, slash, name) < 0 ? NULL : path;
}

// By bytes, so that the order does not depend on the locale.
static int compare_paths(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static void add_folder(file_list *files, const char *folder, bool (*is_wanted)(const char *)) {
    const size_t first = files->count;
    DIR *stream = opendir(folder);
    if (!stream) {
        fprintf(stderr, "%s: %s\n", folder, strerror(errno));
        files->failed++;
        return;
    }
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (!is_wanted(entry->d_name)) continue;
        char *path = memory_check(join(folder, entry->d_name));
        if (is_folder(path))
            free(path);
        else
            add(files, path);
    }
    closedir(stream);
    if (files->count == first) {
        fprintf(stderr, "%s: expected a folder with readable files, found none\n", folder);
        files->failed++;
        return;
    }
    qsort(files->paths + first, files->count - first, sizeof *files->paths, compare_paths);
}

file_list files_expand(char *const *operands, size_t count, bool (*is_wanted)(const char *path)) {
    file_list files = {0};
    for (size_t i = 0; i < count; i++) {
        if (is_folder(operands[i]))
            add_folder(&files, operands[i], is_wanted);
        else
            add(&files, strdup(operands[i]));
    }
    return files;
}

void files_free(file_list *files) {
    for (size_t i = 0; i < files->count; i++) free(files->paths[i]);
    free(files->paths);
    *files = (file_list){0};
}

const char *files_base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static xnor_status fill(const char *path, int descriptor, uint8_t *data, size_t size) {
    size_t filled = 0;
    while (filled < size) {
        const ssize_t got = read(descriptor, data + filled, size - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
        if (got == 0)
            return xnor_fail(XNOR_E_IO, "%s: expected %zu bytes, found %zu; was it being written?",
                             path, size, filled);
        filled += (size_t)got;
    }
    return XNOR_OK;
}

static xnor_status read_opened(const char *path, int descriptor, uint8_t **data, size_t *size) {
    struct stat info;
    if (fstat(descriptor, &info) != 0) return xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return xnor_fail(XNOR_E_IO, "%s: expected a regular file", path);
    const size_t bytes = (size_t)info.st_size;
    if (bytes > FILES_MAX_BYTES)
        return xnor_fail(XNOR_E_LIMIT, "%s: expected at most %zu bytes, found %zu", path,
                         FILES_MAX_BYTES, bytes);
    uint8_t *block = malloc(bytes ? bytes : 1);
    if (!block) return xnor_fail(XNOR_E_MEMORY, "%s: no memory for %zu bytes", path, bytes);
    const xnor_status status = fill(path, descriptor, block, bytes);
    if (status != XNOR_OK) {
        free(block);
        return status;
    }
    *data = block;
    *size = bytes;
    return XNOR_OK;
}

xnor_status files_read(const char *path, uint8_t **data, size_t *size) {
    // Without O_NONBLOCK a named pipe would hold us before fstat can refuse it.
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
    const xnor_status status = read_opened(path, descriptor, data, size);
    close(descriptor);
    return status;
}
