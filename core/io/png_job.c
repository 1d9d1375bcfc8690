/*
 * libpng's memory, errors and jumps. See png_job.h.
 */
#include "core/io/png_job.h"

#include <setjmp.h>

#include "core/memory.h"

void *sf_png_allocate(png_structp png, png_alloc_size_t bytes) {
    struct png_job *job = png_get_mem_ptr(png);
    void *block = sf_alloc(job->ctx, bytes, 1);
    /* libpng does without some blocks (it drops a text); here no memory is always a failure. */
    if (!block && job->status == SF_OK)
        job->status = SF_ERROR_MEMORY;
    return block;
}

void sf_png_release(png_structp png, void *block) {
    struct png_job *job = png_get_mem_ptr(png);
    sf_free(job->ctx, block);
}

/* Does not return: libpng asks for it. A failure of ours that led here keeps its own message. */
void sf_png_error(png_structp png, const char *message) {
    struct png_job *job = png_get_error_ptr(png);
    if (job->status == SF_OK)
        job->status = job->writer ? sf_fail(job->ctx, SF_ERROR_IO, "%s: can't be written: %s",
                                            job->path, message)
                                  : sf_fail(job->ctx, SF_ERROR_FORMAT,
                                            "%s: not a sound PNG file: %s", job->path, message);
    png_longjmp(png, 1);
}

void sf_png_warning(png_structp png, const char *message) {
    struct png_job *job = png_get_error_ptr(png);
    sf_log(job->ctx, SF_LOG_DEBUG, "%s: %s", job->path, message);
}

sf_status sf_png_run(struct png_job *job, void (*body)(struct png_job *job)) {
    if (setjmp(png_jmpbuf(job->png)) == 0)
        body(job);
    return job->status;
}
