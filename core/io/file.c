/*
 * Files read whole or mapped, and paths. Writing is in writer.c. See file.h.
 */
#include "core/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"

static sf_status fail_with(sf_context *ctx, const char *path, const char *what, int error) {
    char reason[128];
    SF_FAIL(ctx, ERROR_IO, "%s: %s: %s", path, what, strerror_r(error, reason, sizeof reason));
}

/* Appends what is left of the file to a block that grows, one byte larger than its content. */
static sf_status read_rest(sf_context *ctx, int fd, const char *path, size_t max_bytes, char **data,
                           size_t *capacity, size_t *size) {
    for (;;) {
        SF_TRY(sf_grow(ctx, (void **)data, capacity, *size + 1, 1));
        if (*capacity - *size < 2)
            SF_TRY(sf_grow(ctx, (void **)data, capacity, *size + 4096, 1));
        ssize_t got = read(fd, *data + *size, *capacity - *size - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_with(ctx, path, "can't be read", errno);
        if (got == 0)
            return SF_OK;
        *size += (size_t)got;
        if (*size > max_bytes)
            SF_FAIL(ctx, ERROR_FORMAT, "%s: larger than the %zu bytes that such a file may have",
                    path, max_bytes);
    }
}

sf_status sf_file_read(sf_context *ctx, const char *path, size_t max_bytes, char **data,
                       size_t *size) {
    sf_status status = SF_OK;
    struct stat info;
    char *content = NULL;
    size_t capacity = 0, used = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return fail_with(ctx, path, "can't be opened", errno);
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0 &&
        (uintmax_t)info.st_size <= max_bytes)
        SF_TRY_OUT(sf_grow(ctx, (void **)&content, &capacity, (size_t)info.st_size + 2, 1));
    SF_TRY_OUT(read_rest(ctx, fd, path, max_bytes, &content, &capacity, &used));
    content[used] = '\0';
    *data = content;
    *size = used;
    content = NULL;
out:
    close(fd);
    sf_free(ctx, content);
    return status;
}

static sf_status map_open_file(sf_context *ctx, int fd, const char *path, sf_mapping *mapping) {
    struct stat info;
    if (fstat(fd, &info) != 0)
        return fail_with(ctx, path, "can't be examined", errno);
    if (S_ISDIR(info.st_mode))
        return fail_with(ctx, path, "can't be read", EISDIR);
    if (!S_ISREG(info.st_mode))
        SF_FAIL(ctx, ERROR_IO, "%s: can't be mapped: not a regular file", path);
    if ((uintmax_t)info.st_size > PTRDIFF_MAX)
        return fail_with(ctx, path, "can't be mapped", EFBIG);
    void *memory = NULL;
    if (info.st_size > 0) {
        memory = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (memory == MAP_FAILED)
            return fail_with(ctx, path, "can't be mapped", errno);
    }
    *mapping = (sf_mapping){memory, (size_t)info.st_size};
    return SF_OK;
}

sf_status sf_file_map(sf_context *ctx, const char *path, sf_mapping *mapping) {
    /* O_NONBLOCK: a FIFO is refused below instead of waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fail_with(ctx, path, "can't be opened", errno);
    sf_status status = map_open_file(ctx, fd, path, mapping);
    close(fd);
    return status;
}

void sf_file_unmap(void *memory, size_t bytes) {
    if (memory)
        munmap(memory, bytes);
}

/* The mapping is private and never written, so what goes is only a view of the file's cache. */
void sf_file_advise(void *memory, size_t bytes, bool wanted) {
    if (memory && bytes)
        madvise(memory, bytes, wanted ? MADV_WILLNEED : MADV_DONTNEED);
}

bool sf_path_is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
}

bool sf_path_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

char *sf_path_join(sf_context *ctx, const char *folder, const char *name) {
    size_t length = strlen(folder);
    bool joined = length == 0 || folder[length - 1] == '/';
    return sf_format(ctx, "%s%s%s", folder, joined ? "" : "/", name);
}

const char *sf_path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool sf_path_is_plain_name(const char *name) {
    return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

bool sf_path_has_suffix(const char *path, const char *suffix) {
    size_t length = strlen(path), wanted = strlen(suffix);
    return length >= wanted && strcmp(path + length - wanted, suffix) == 0;
}
