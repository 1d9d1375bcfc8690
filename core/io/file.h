/*
 * Files: read whole, mapped, written without ever leaving half a file, and paths put together.
 * Messages name the path and the system's reason.
 */
#ifndef SF_CORE_IO_FILE_H
#define SF_CORE_IO_FILE_H

#include "core/context.h"

/*
 * Reads a whole file, pipes too. More than max_bytes is an error. *data is NUL-terminated past its
 * *size bytes and freed with sf_free().
 */
sf_status sf_file_read(sf_context *ctx, const char *path, size_t max_bytes, char **data,
                       size_t *size);

/*
 * Maps a regular file read-only. An empty file gives memory NULL and bytes 0. The file must not be
 * truncated while it is mapped: touching a page that is gone kills the process, on every system.
 */
typedef struct sf_mapping {
    void *memory;
    size_t bytes;
} sf_mapping;

sf_status sf_file_map(sf_context *ctx, const char *path, sf_mapping *mapping);

/* Unmaps; the signature is that of sf_tensors_adopt_mapping()'s release. */
void sf_file_unmap(void *memory, size_t bytes);

/*
 * Tells the system that pages of a mapped file will be read soon, or (wanted false) that they may go
 * from the process' memory until they are read again. memory begins a page; likewise for
 * sf_tensors_adopt_mapping().
 */
void sf_file_advise(void *memory, size_t bytes, bool wanted);

/*
 * A file that is being written. The bytes go to a temporary file in the same folder, which replaces
 * path in sf_writer_commit(); sf_writer_discard() removes it. One of the two is always called, and
 * both free the writer. A path that exists and is not a regular file (/dev/stdout, a FIFO) is
 * written directly; of a symbolic link the target is replaced. An existing file's permissions are
 * kept.
 */
typedef struct sf_writer sf_writer;

sf_status sf_writer_open(sf_context *ctx, const char *path, sf_writer **writer);
sf_status sf_writer_write(sf_writer *writer, const void *data, size_t bytes);
sf_status sf_writer_commit(sf_writer *writer);
void sf_writer_discard(sf_writer *writer); /* NULL: nothing */

/* The three together. */
sf_status sf_file_write(sf_context *ctx, const char *path, const void *data, size_t bytes);

bool sf_path_is_file(const char *path);   /* exists and is no folder */
bool sf_path_is_folder(const char *path); /* follows links */

/* "folder/name"; freed with sf_free(), NULL with the error set. */
char *sf_path_join(sf_context *ctx, const char *folder, const char *name);

/* What follows the last '/'. */
const char *sf_path_base(const char *path);

/* true for a file name that stays in its folder: not empty, no '/', not "." or "..". */
bool sf_path_is_plain_name(const char *name);

bool sf_path_has_suffix(const char *path, const char *suffix);

#endif
