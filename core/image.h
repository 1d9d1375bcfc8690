/*
 * Pictures in host memory: 8-bit RGB and the texts that go with them. PNG files are in
 * core/io/png.c.
 */
#ifndef SF_CORE_IMAGE_H
#define SF_CORE_IMAGE_H

#include "core/context.h"

#define SF_IMAGE_MAX_SIDE 16384
#define SF_IMAGE_MAX_KEY  79 /* bytes, from PNG */

typedef struct sf_image_entry {
    char *key; /* owned, as is value */
    char *value;
} sf_image_entry;

struct sf_image {
    sf_context *ctx; /* borrowed */
    int width;
    int height;
    uint8_t *pixels;       /* owned, height x width x 3 */
    sf_image_entry *texts; /* owned, in the order in which they were set */
    size_t n_texts;
    size_t texts_capacity;
};

/* An image around pixels from sf_alloc(), which it takes over (and frees when it fails). */
sf_status sf_image_adopt(sf_context *ctx, int width, int height, uint8_t *pixels, sf_image **image);

/* true for what PNG allows as a keyword, in ASCII: 1-79 printable characters, single inner spaces.
 */
bool sf_image_key_valid(const char *key);

#endif
