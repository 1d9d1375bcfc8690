/*
 * What reading and writing PNG share: libpng's memory, errors and jumps, tied to a context.
 *
 * libpng reports errors by longjmp. All libpng calls are made in a body that png_job_run() calls
 * after setjmp; a body keeps everything that must outlive a jump in its job, never in local
 * variables.
 */
#ifndef SF_CORE_IO_PNG_JOB_H
#define SF_CORE_IO_PNG_JOB_H

#include <png.h>

#include "core/io/file.h"
#include "core/io/png.h"

struct png_job {
    sf_context *ctx;
    const char *path; /* names the file in messages */
    png_structp png;
    png_infop info;
    sf_status status; /* of the first failure; its message is in the context */

    /* reading */
    const unsigned char *data;
    size_t size, position;
    uint8_t *pixels; /* owned, RGBA */
    png_uint_32 width, height;

    /* writing */
    sf_writer *writer;
    const sf_image *image;
    png_text *texts; /* owned; see png_write.c for their strings */
};

/* For png_create_*_struct_2(); their user pointer is the job. */
void *sf_png_allocate(png_structp png, png_alloc_size_t bytes);
void sf_png_release(png_structp png, void *block);
void sf_png_error(png_structp png, const char *message);
void sf_png_warning(png_structp png, const char *message);

/* Runs body; the status is the job's, SF_OK if neither it nor libpng failed. */
sf_status sf_png_run(struct png_job *job, void (*body)(struct png_job *job));

#endif
