/*
 * Writing a file so that a failure leaves none: a temporary one beside it, then a rename. See
 * file.h.
 *
 * Nothing is synced to the disk: what is promised is a whole file or none to whoever looks, not a
 * file that survives a power cut.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/io/file.h"
#include "core/memory.h"

#define BUFFER_BYTES 65536

struct sf_writer {
    sf_context *ctx; /* borrowed */
    char *path;      /* owned: as given, for messages */
    char *target;    /* owned: path with links resolved, NULL if written directly */
    char *temporary; /* owned: what fd writes, NULL if written directly */
    int fd;          /* -1: closed */
    size_t used;
    unsigned char buffer[BUFFER_BYTES];
};

static sf_status fail_with(sf_writer *writer, const char *what, int error) {
    char reason[128];
    SF_FAIL(writer->ctx, ERROR_IO, "%s: %s: %s", writer->path, what,
            strerror_r(error, reason, sizeof reason));
}

/*
 * Opens a file with a new name in target's folder. The name is not made of target's, which may
 * already be as long as names can be. O_EXCL with mode 0666 leaves permissions to the umask, which
 * mkstemp() would not.
 */
static sf_status open_temporary(sf_writer *writer) {
    size_t folder = (size_t)(sf_path_base(writer->target) - writer->target);
    for (int attempt = 0; attempt < 100; attempt++) {
        uint64_t number = 0;
        if (getrandom(&number, sizeof number, GRND_NONBLOCK) < 0)
            number = (uint64_t)getpid() * 100 + (uint64_t)attempt;
        sf_free(writer->ctx, writer->temporary);
        writer->temporary = sf_format(writer->ctx, "%.*s.sfumato-%016llx.tmp", (int)folder,
                                      writer->target, (unsigned long long)number);
        if (!writer->temporary)
            return SF_ERROR_MEMORY;
        writer->fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (writer->fd >= 0 || errno != EEXIST)
            break;
    }
    if (writer->fd >= 0)
        return SF_OK;
    int error = errno;
    sf_free(writer->ctx, writer->temporary); /* not ours: nothing to remove */
    writer->temporary = NULL;
    return fail_with(writer, "can't be created", error);
}

static sf_status open_target(sf_writer *writer) {
    struct stat info;
    char resolved[PATH_MAX];
    if (stat(writer->path, &info) != 0) {
        writer->target = sf_strdup(writer->ctx, writer->path);
        if (!writer->target)
            return SF_ERROR_MEMORY;
        if (!*sf_path_base(writer->path))
            return fail_with(writer, "can't be created", *writer->path ? EISDIR : ENOENT);
        return open_temporary(writer);
    }
    if (S_ISDIR(info.st_mode))
        return fail_with(writer, "can't be written", EISDIR);
    if (!S_ISREG(info.st_mode)) {
        writer->fd = open(writer->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        return writer->fd < 0 ? fail_with(writer, "can't be opened", errno) : SF_OK;
    }
    /* A rename would get past a file's write protection. */
    if (access(writer->path, W_OK) != 0 || !realpath(writer->path, resolved))
        return fail_with(writer, "can't be written", errno);
    writer->target = sf_strdup(writer->ctx, resolved);
    if (!writer->target)
        return SF_ERROR_MEMORY;
    SF_TRY(open_temporary(writer));
    if (fchmod(writer->fd, info.st_mode & 0777) != 0)
        return fail_with(writer, "can't be given its permissions", errno);
    return SF_OK;
}

sf_status sf_writer_open(sf_context *ctx, const char *path, sf_writer **writer) {
    sf_writer *made = SF_NEW(ctx, sf_writer);
    if (!made)
        return SF_ERROR_MEMORY;
    made->ctx = ctx;
    made->fd = -1;
    made->path = sf_strdup(ctx, path);
    sf_status status = made->path ? open_target(made) : SF_ERROR_MEMORY;
    if (status != SF_OK) {
        sf_writer_discard(made);
        return status;
    }
    *writer = made;
    return SF_OK;
}

static sf_status write_all(sf_writer *writer, const unsigned char *data, size_t bytes) {
    while (bytes > 0) {
        ssize_t written = write(writer->fd, data, bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return fail_with(writer, "can't be written", errno);
        data += written;
        bytes -= (size_t)written;
    }
    return SF_OK;
}

static sf_status flush(sf_writer *writer) {
    size_t bytes = writer->used;
    writer->used = 0;
    return write_all(writer, writer->buffer, bytes);
}

sf_status sf_writer_write(sf_writer *writer, const void *data, size_t bytes) {
    if (bytes > BUFFER_BYTES - writer->used) {
        SF_TRY(flush(writer));
        if (bytes > BUFFER_BYTES)
            return write_all(writer, data, bytes);
    }
    if (bytes)
        memcpy(writer->buffer + writer->used, data, bytes);
    writer->used += bytes;
    return SF_OK;
}

static sf_status finish(sf_writer *writer) {
    SF_TRY(flush(writer));
    int fd = writer->fd;
    writer->fd = -1;
    if (close(fd) != 0)
        return fail_with(writer, "can't be written", errno);
    if (writer->temporary && rename(writer->temporary, writer->target) != 0)
        return fail_with(writer, "can't be put in place", errno);
    sf_free(writer->ctx, writer->temporary); /* it has another name now */
    writer->temporary = NULL;
    return SF_OK;
}

sf_status sf_writer_commit(sf_writer *writer) {
    sf_status status = finish(writer);
    sf_writer_discard(writer);
    return status;
}

void sf_writer_discard(sf_writer *writer) {
    if (!writer)
        return;
    if (writer->fd >= 0)
        close(writer->fd);
    if (writer->temporary)
        unlink(writer->temporary);
    sf_free(writer->ctx, writer->path);
    sf_free(writer->ctx, writer->target);
    sf_free(writer->ctx, writer->temporary);
    sf_free(writer->ctx, writer);
}

sf_status sf_file_write(sf_context *ctx, const char *path, const void *data, size_t bytes) {
    sf_writer *writer;
    SF_TRY(sf_writer_open(ctx, path, &writer));
    sf_status status = sf_writer_write(writer, data, bytes);
    if (status == SF_OK)
        return sf_writer_commit(writer);
    sf_writer_discard(writer);
    return status;
}
