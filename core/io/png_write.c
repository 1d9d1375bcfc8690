/*
 * Writing PNG files. See png.h.
 */
#include <string.h>

#include "core/io/png_job.h"
#include "core/memory.h"
#include "core/text.h"

static void write_bytes(png_structp png, png_bytep bytes, size_t count) {
    struct png_job *job = png_get_io_ptr(png);
    if (job->status == SF_OK)
        job->status = sf_writer_write(job->writer, bytes, count);
    if (job->status != SF_OK)
        png_error(png, "can't be written");
}

/* sf_writer_commit() writes what is left. */
static void flush_nothing(png_structp png) {
    (void)png;
}

static void write_image(struct png_job *job) {
    const sf_image *image = job->image;
    png_set_write_fn(job->png, job, write_bytes, flush_nothing);
    png_set_IHDR(job->png, job->info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_text(job->png, job->info, job->texts, (int)image->n_texts);
    png_write_info(job->png, job->info);
    for (int y = 0; y < image->height; y++)
        png_write_row(job->png, image->pixels + (size_t)y * (size_t)image->width * 3);
    png_write_end(job->png, NULL);
}

/* The value is owned where it was converted (tEXt), else the image's (iTXt). */
static sf_status encode_text(sf_context *ctx, const sf_image_entry *entry, png_text *text) {
    sf_text latin1 = {.ctx = ctx};
    bool fits = true;
    sf_status status = sf_text_append(&latin1, "");
    if (status == SF_OK)
        status = sf_text_append_as_latin1(&latin1, entry->value, &fits);
    if (status == SF_OK && fits) {
        *text = (png_text){.compression = PNG_TEXT_COMPRESSION_NONE,
                           .key = entry->key,
                           .text = latin1.chars,
                           .text_length = latin1.length};
        return SF_OK;
    }
    sf_free(ctx, latin1.chars);
    *text = (png_text){.compression = PNG_ITXT_COMPRESSION_NONE,
                       .key = entry->key,
                       .text = entry->value,
                       .itxt_length = strlen(entry->value)};
    return status;
}

static sf_status encode_texts(struct png_job *job) {
    const sf_image *image = job->image;
    job->texts = SF_NEW_ARRAY(job->ctx, png_text, image->n_texts);
    if (!job->texts)
        return SF_ERROR_MEMORY;
    for (size_t i = 0; i < image->n_texts; i++)
        SF_TRY(encode_text(job->ctx, &image->texts[i], &job->texts[i]));
    return SF_OK;
}

static void free_texts(struct png_job *job) {
    for (size_t i = 0; job->texts && i < job->image->n_texts; i++)
        if (job->texts[i].compression == PNG_TEXT_COMPRESSION_NONE)
            sf_free(job->ctx, job->texts[i].text);
    sf_free(job->ctx, job->texts);
}

static sf_status save(struct png_job *job) {
    SF_TRY(encode_texts(job));
    SF_TRY(sf_writer_open(job->ctx, job->path, &job->writer));
    job->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, job, sf_png_error, sf_png_warning,
                                         job, sf_png_allocate, sf_png_release);
    if (!job->png)
        return job->status
                   ? job->status
                   : sf_fail(job->ctx, SF_ERROR_INTERNAL, "%s: libpng does not start", job->path);
    job->info = png_create_info_struct(job->png);
    SF_TRY(job->info ? sf_png_run(job, write_image) : SF_ERROR_MEMORY);
    sf_writer *writer = job->writer;
    job->writer = NULL;
    return sf_writer_commit(writer);
}

sf_status sf_image_save(const sf_image *image, const char *path) {
    struct png_job job = {.ctx = image->ctx, .path = path, .image = image};
    sf_status status = save(&job);
    png_destroy_write_struct(&job.png, &job.info);
    sf_writer_discard(job.writer);
    free_texts(&job);
    return status;
}
