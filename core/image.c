/*
 * Pictures: pixels, texts, contact sheets. See image.h; PNG files are in core/io/png_*.c.
 */
#include "core/image.h"

#include <string.h>

#include "core/memory.h"
#include "core/text.h"

/* An image around pixels, which it owns from then on. */
static sf_status new_around(sf_context *ctx, int width, int height, uint8_t *pixels,
                            sf_image **image) {
    sf_image *made = SF_NEW(ctx, sf_image);
    if (!made)
        return SF_ERROR_MEMORY;
    *made = (sf_image){.ctx = ctx, .width = width, .height = height, .pixels = pixels};
    *image = made;
    return SF_OK;
}

sf_status sf_image_adopt(sf_context *ctx, int width, int height, uint8_t *pixels,
                         sf_image **image) {
    sf_status status = new_around(ctx, width, height, pixels, image);
    if (status != SF_OK)
        sf_free(ctx, pixels);
    return status;
}

sf_status sf_image_new(sf_context *context, int width, int height, sf_image **image) {
    if (width < 1 || height < 1 || width > SF_IMAGE_MAX_SIDE || height > SF_IMAGE_MAX_SIDE)
        SF_FAIL(context, ERROR_ARGUMENT, "an image of %d x %d pixels; 1 to %d are possible", width,
                height, SF_IMAGE_MAX_SIDE);
    uint8_t *pixels = sf_alloc(context, (size_t)width * (size_t)height, 3);
    if (!pixels)
        return SF_ERROR_MEMORY;
    return sf_image_adopt(context, width, height, pixels, image);
}

void sf_image_free(sf_image *image) {
    if (!image)
        return;
    for (size_t i = 0; i < image->n_texts; i++) {
        sf_free(image->ctx, image->texts[i].key);
        sf_free(image->ctx, image->texts[i].value);
    }
    sf_free(image->ctx, image->texts);
    sf_free(image->ctx, image->pixels);
    sf_free(image->ctx, image);
}

int sf_image_width(const sf_image *image) {
    return image->width;
}

int sf_image_height(const sf_image *image) {
    return image->height;
}

uint8_t *sf_image_pixels(const sf_image *image) {
    return image->pixels;
}

static size_t find_text(const sf_image *image, const char *key) {
    size_t i = 0;
    while (i < image->n_texts && strcmp(image->texts[i].key, key) != 0)
        i++;
    return i;
}

const char *sf_image_text(const sf_image *image, const char *key) {
    size_t i = find_text(image, key);
    return i < image->n_texts ? image->texts[i].value : NULL;
}

bool sf_image_key_valid(const char *key) {
    size_t length = strlen(key);
    if (length < 1 || length > SF_IMAGE_MAX_KEY || key[0] == ' ' || key[length - 1] == ' ')
        return false;
    for (size_t i = 0; i < length; i++)
        if (key[i] < ' ' || key[i] > '~' || (key[i] == ' ' && key[i + 1] == ' '))
            return false;
    return true;
}

static void remove_text(sf_image *image, size_t i) {
    if (i == image->n_texts)
        return;
    sf_free(image->ctx, image->texts[i].key);
    sf_free(image->ctx, image->texts[i].value);
    image->n_texts--;
    memmove(image->texts + i, image->texts + i + 1, (image->n_texts - i) * sizeof *image->texts);
}

static sf_status add_text(sf_image *image, const char *key, char *value) {
    SF_TRY(sf_grow(image->ctx, (void **)&image->texts, &image->texts_capacity, image->n_texts + 1,
                   sizeof *image->texts));
    char *copy = sf_strdup(image->ctx, key);
    if (!copy)
        return SF_ERROR_MEMORY;
    image->texts[image->n_texts++] = (sf_image_entry){copy, value};
    return SF_OK;
}

sf_status sf_image_set_text(sf_image *image, const char *key, const char *value) {
    sf_context *ctx = image->ctx;
    if (!sf_image_key_valid(key))
        SF_FAIL(ctx, ERROR_ARGUMENT,
                "image text: the key '%s' is not 1 to %d printable ASCII characters", key,
                SF_IMAGE_MAX_KEY);
    size_t i = find_text(image, key);
    if (!value) {
        remove_text(image, i);
        return SF_OK;
    }
    if (!sf_utf8_valid(value, strlen(value)))
        SF_FAIL(ctx, ERROR_ARGUMENT, "image text: the value of '%s' is not UTF-8", key);
    char *copy = sf_strdup(ctx, value);
    if (!copy)
        return SF_ERROR_MEMORY;
    if (i < image->n_texts) {
        sf_free(ctx, image->texts[i].value);
        image->texts[i].value = copy;
        return SF_OK;
    }
    sf_status status = add_text(image, key, copy);
    if (status != SF_OK)
        sf_free(ctx, copy);
    return status;
}

/* The smallest number of columns that makes a sheet at least as wide as high. */
static int square_columns(int n_images) {
    int columns = 1;
    while ((int64_t)columns * columns < n_images)
        columns++;
    return columns;
}

static void paste(const sf_image *image, sf_image *sheet, int left, int top) {
    for (int y = 0; y < image->height; y++)
        memcpy(sheet->pixels + 3 * ((size_t)(top + y) * (size_t)sheet->width + (size_t)left),
               image->pixels + 3 * (size_t)y * (size_t)image->width, 3 * (size_t)image->width);
}

static sf_status new_sheet(sf_context *ctx, const sf_image *first, int columns, int rows, int gap,
                           sf_image **sheet) {
    int64_t width = (int64_t)columns * (first->width + (int64_t)gap) - gap;
    int64_t height = (int64_t)rows * (first->height + (int64_t)gap) - gap;
    if (width > SF_IMAGE_MAX_SIDE || height > SF_IMAGE_MAX_SIDE)
        SF_FAIL(ctx, ERROR_ARGUMENT,
                "contact sheet: %lld x %lld pixels; at most %d a side are possible",
                (long long)width, (long long)height, SF_IMAGE_MAX_SIDE);
    SF_TRY(sf_image_new(ctx, (int)width, (int)height, sheet));
    memset((*sheet)->pixels, 255, 3 * (size_t)width * (size_t)height);
    return SF_OK;
}

sf_status sf_image_contact_sheet(sf_context *context, const sf_image *const *images, int n_images,
                                 int columns, int gap, sf_image **sheet) {
    if (n_images < 1 || columns < 0 || gap < 0)
        SF_FAIL(context, ERROR_ARGUMENT, "contact sheet: %d images, %d columns, gap %d", n_images,
                columns, gap);
    for (int i = 1; i < n_images; i++)
        if (images[i]->width != images[0]->width || images[i]->height != images[0]->height)
            SF_FAIL(context, ERROR_SHAPE, "contact sheet: image %d is %d x %d, the first %d x %d",
                    i, images[i]->width, images[i]->height, images[0]->width, images[0]->height);
    if (columns == 0)
        columns = square_columns(n_images);
    if (columns > n_images)
        columns = n_images;
    int rows = (n_images - 1) / columns + 1;
    sf_image *made;
    SF_TRY(new_sheet(context, images[0], columns, rows, gap, &made));
    for (int i = 0; i < n_images; i++)
        paste(images[i], made, i % columns * (images[i]->width + gap),
              i / columns * (images[i]->height + gap));
    *sheet = made;
    return SF_OK;
}
