#include "store.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".xnor"

static struct store_identity identity_of(const struct stat *status) {
    return (struct store_identity){
        .device = (uint64_t)status->st_dev,
        .inode = (uint64_t)status->st_ino,
        .size = (uint64_t)status->st_size,
        .mtime_ns = (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec,
    };
}

bool store_identity_equal(const struct store_identity *a, const struct store_identity *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mtime_ns == b->mtime_ns;
}

static bool is_name(const char *text, size_t length) {
    if (length == 0 || length >= STORE_NAME_BYTES || !isalnum((unsigned char)text[0])) return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("._-", text[i]) == NULL) return false;
    return true;
}

// Fills the entry's path and identity from directory/file. False: there is no such regular file.
static bool find_file(const char *directory, const char *file, struct store_entry *entry) {
    struct stat status;
    int length = snprintf(entry->path, sizeof entry->path, "%s/%s", directory, file);
    if (length < 0 || (size_t)length >= sizeof entry->path) return false;
    if (stat(entry->path, &status) != 0 || !S_ISREG(status.st_mode)) return false;
    entry->identity = identity_of(&status);
    return true;
}

// One directory entry: a file NAME.xnor or a folder NAME with NAME.xnor in it.
static bool read_entry(const char *directory, const char *file, struct store_entry *entry,
                       bool *is_folder) {
    char inner[2 * STORE_NAME_BYTES + sizeof SUFFIX];
    size_t length = strlen(file), suffix = strlen(SUFFIX);
    bool has_suffix = length > suffix && strcmp(file + length - suffix, SUFFIX) == 0;
    *is_folder = !has_suffix;
    if (has_suffix) length -= suffix;
    if (!is_name(file, length)) return false;
    snprintf(entry->name, sizeof entry->name, "%.*s", (int)length, file);
    if (has_suffix) return find_file(directory, file, entry);
    snprintf(inner, sizeof inner, "%s/%s" SUFFIX, entry->name, entry->name);
    return find_file(directory, inner, entry);
}

static void add(struct store_listing *listing, const struct store_entry *entry, bool is_folder,
                uint32_t max_models) {
    for (uint32_t i = 0; i < listing->count; i++) {
        if (strcmp(listing->entries[i].name, entry->name) != 0) continue;
        listing->skipped++;
        if (is_folder) listing->entries[i] = *entry;
        return;
    }
    if (listing->count < max_models && listing->count < STORE_MAX_MODELS)
        listing->entries[listing->count++] = *entry;
    else
        listing->skipped++;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct store_entry *)a)->name, ((const struct store_entry *)b)->name);
}

xnor_status store_scan(const char *directory, uint32_t max_models, struct store_listing *out,
                       struct reason *why) {
    DIR *stream = opendir(directory);
    if (stream == NULL)
        return reason_set(why, errno == ENOENT ? XNOR_E_NOT_FOUND : XNOR_E_IO, "%.180s: %s",
                          directory, strerror(errno));
    out->count = 0;
    out->skipped = 0;
    for (struct dirent *item = readdir(stream); item != NULL; item = readdir(stream)) {
        struct store_entry entry;
        bool is_folder = false;
        if (read_entry(directory, item->d_name, &entry, &is_folder))
            add(out, &entry, is_folder, max_models);
    }
    closedir(stream);
    qsort(out->entries, out->count, sizeof out->entries[0], by_name);
    return XNOR_OK;
}

static xnor_status read_all(int fd, unsigned char *data, size_t size, struct reason *why) {
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, data + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return reason_set(why, XNOR_E_IO, "%s", strerror(errno));
        if (got == 0)
            return reason_set(why, XNOR_E_IO, "the file became shorter while it was read");
        done += (size_t)got;
    }
    return XNOR_OK;
}

xnor_status store_read(const char *path, uint64_t max_bytes, void **data, size_t *size,
                       struct reason *why) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return reason_set(why, XNOR_E_IO, "%.180s: %s", path, strerror(errno));
    struct stat before, after;
    void *image = NULL;
    xnor_status status = XNOR_OK;
    if (fstat(fd, &before) != 0 || !S_ISREG(before.st_mode))
        status = reason_set(why, XNOR_E_IO, "%.180s: not a regular file", path);
    else if ((uint64_t)before.st_size > max_bytes)
        status = reason_set(why, XNOR_E_LIMIT, "expected at most %" PRIu64 " bytes, found %jd",
                            max_bytes, (intmax_t)before.st_size);
    if (status == XNOR_OK) {
        size_t room = ((size_t)before.st_size + 63) & ~(size_t)63;
        image = aligned_alloc(64, room > 0 ? room : 64);
        if (image == NULL) status = reason_set(why, XNOR_E_MEMORY, "no memory for %zu bytes", room);
    }
    if (status == XNOR_OK) status = read_all(fd, image, (size_t)before.st_size, why);
    if (status == XNOR_OK && fstat(fd, &after) == 0) {
        struct store_identity old = identity_of(&before), new = identity_of(&after);
        if (!store_identity_equal(&old, &new))
            status = reason_set(why, XNOR_E_IO, "the file changed while it was read");
    }
    close(fd);
    if (status != XNOR_OK) {
        free(image);
        return status;
    }
    *data = image;
    *size = (size_t)before.st_size;
    return XNOR_OK;
}
