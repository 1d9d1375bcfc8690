/*
 * Reading PNG files. See png.h.
 */
#include <string.h>

#include "core/io/png_job.h"
#include "core/memory.h"
#include "core/text.h"

#define SIGNATURE_BYTES 8

/* The most that deflate can pack: 258 bytes of data into 2 bits (RFC 1951, zlib's technical notes).
 */
#define MAX_DEFLATE_RATIO 1032

static void read_bytes(png_structp png, png_bytep bytes, size_t count) {
    struct png_job *job = png_get_io_ptr(png);
    if (count > job->size - job->position)
        png_error(png, "the file ends early");
    memcpy(bytes, job->data + job->position, count);
    job->position += count;
}

/* Every kind of PNG becomes 8-bit RGBA. */
static void ask_for_rgba(struct png_job *job) {
    png_set_expand(job->png); /* palette to RGB, 1, 2 and 4 bits to 8, tRNS to alpha */
    png_set_scale_16(job->png);
    png_set_gray_to_rgb(job->png);
    png_set_add_alpha(job->png, 255, PNG_FILLER_AFTER);
}

static void read_pixels(struct png_job *job) {
    png_structp png = job->png;
    png_set_user_limits(png, SF_IMAGE_MAX_SIDE, SF_IMAGE_MAX_SIDE);
    png_set_chunk_cache_max(png, SF_PNG_MAX_TEXTS + 2); /* libpng counts down to 1, which is full */
    png_set_chunk_malloc_max(png, SF_PNG_MAX_TEXT_BYTES);
    png_set_read_fn(png, job, read_bytes);
    png_read_info(png, job->info);
    job->width = png_get_image_width(png, job->info);
    job->height = png_get_image_height(png, job->info);
    /* Before memory is had for it: can so many pixels be in so small a file at all? */
    if (png_get_rowbytes(png, job->info) * job->height / MAX_DEFLATE_RATIO > job->size)
        png_error(png, "too small for its width and height");

    ask_for_rgba(job);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, job->info);
    size_t row_bytes = (size_t)job->width * 4;
    if (png_get_rowbytes(png, job->info) != row_bytes)
        png_error(png, "unexpected row size");
    job->pixels = sf_png_allocate(png, row_bytes * job->height);
    if (!job->pixels)
        png_error(png, "out of memory");
    while (passes-- > 0)
        for (png_uint_32 y = 0; y < job->height; y++)
            png_read_row(png, job->pixels + y * row_bytes, NULL);
    png_read_end(png, job->info);
}

/* RGBA to RGB over white, in place: what is written never overtakes what is read. */
static void flatten(uint8_t *pixels, size_t n_pixels) {
    for (size_t i = 0; i < n_pixels; i++) {
        unsigned alpha = pixels[4 * i + 3];
        for (size_t c = 0; c < 3; c++)
            pixels[3 * i + c] =
                (uint8_t)((pixels[4 * i + c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
}

/* Gives the part of the block that flatten() has freed back to the allocator. */
static uint8_t *shrink(sf_context *ctx, uint8_t *pixels, size_t bytes) {
    sf_allocator *allocator = &ctx->options.allocator;
    uint8_t *smaller = allocator->resize(allocator->user, pixels, bytes);
    return smaller ? smaller : pixels;
}

/* Adds one text chunk. What PNG or UTF-8 do not allow is left out, as other readers do. */
static sf_status add_text(struct png_job *job, sf_image *image, const png_text *text) {
    bool utf8 = text->compression >= PNG_ITXT_COMPRESSION_NONE;
    size_t length = utf8 ? text->itxt_length : text->text_length;
    if (!text->key || !sf_image_key_valid(text->key))
        return SF_OK;
    sf_text value = {.ctx = job->ctx};
    sf_status status = sf_text_append(&value, "");
    if (status == SF_OK && length > 0 && utf8 && sf_utf8_valid(text->text, length))
        status = sf_text_append_bytes(&value, text->text, length);
    else if (status == SF_OK && length > 0 && !utf8)
        status = sf_text_append_latin1(&value, text->text, strnlen(text->text, length));
    if (status == SF_OK && (value.length > 0 || length == 0))
        status = sf_image_set_text(image, text->key, value.chars);
    sf_free(job->ctx, value.chars);
    return status;
}

static sf_status make_image(struct png_job *job, sf_image **image) {
    size_t n_pixels = (size_t)job->width * job->height;
    flatten(job->pixels, n_pixels);
    uint8_t *pixels = shrink(job->ctx, job->pixels, 3 * n_pixels);
    job->pixels = NULL;
    sf_image *made;
    SF_TRY(sf_image_adopt(job->ctx, (int)job->width, (int)job->height, pixels, &made));

    png_textp texts = NULL;
    int n_texts = 0;
    sf_status status = SF_OK;
    png_get_text(job->png, job->info, &texts, &n_texts);
    for (int i = 0; status == SF_OK && i < n_texts; i++)
        status = add_text(job, made, &texts[i]);
    if (status != SF_OK) {
        sf_image_free(made);
        return status;
    }
    *image = made;
    return SF_OK;
}

sf_status sf_png_parse(sf_context *ctx, const char *name, const void *data, size_t size,
                       sf_image **image) {
    struct png_job job = {.ctx = ctx, .path = name, .data = data, .size = size};
    if (size < SIGNATURE_BYTES || png_sig_cmp(data, 0, SIGNATURE_BYTES) != 0)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: not a PNG file", name);
    job.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &job, sf_png_error, sf_png_warning,
                                       &job, sf_png_allocate, sf_png_release);
    if (!job.png)
        return job.status ? job.status
                          : sf_fail(ctx, SF_ERROR_INTERNAL, "%s: libpng does not start", name);
    sf_status status = SF_ERROR_MEMORY;
    job.info = png_create_info_struct(job.png);
    if (job.info)
        status = sf_png_run(&job, read_pixels);
    if (status == SF_OK)
        status = make_image(&job, image);
    sf_free(ctx, job.pixels);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    return status;
}

sf_status sf_image_load(sf_context *context, const char *path, sf_image **image) {
    char *data;
    size_t size;
    SF_TRY(sf_file_read(context, path, SF_PNG_MAX_FILE_BYTES, &data, &size));
    sf_status status = sf_png_parse(context, path, data, size, image);
    sf_free(context, data);
    return status;
}
