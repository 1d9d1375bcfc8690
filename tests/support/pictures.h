/*
 * How far two pictures are apart.
 */
#ifndef SF_TESTS_SUPPORT_PICTURES_H
#define SF_TESTS_SUPPORT_PICTURES_H

#include <stddef.h>

#include "sfumato.h"

struct picture_difference {
    size_t n_pixels;
    size_t n_different; /* pixels of which any channel differs */
    size_t n_far;       /* by more than 2 of 255 */
    int largest;        /* of any channel */
};

/* Both must be of one size. */
struct picture_difference picture_compare(const sf_image *a, const sf_image *b);

/* Every pixel must be the same. */
void check_pictures_equal(const sf_image *a, const sf_image *b);

/* A rectangle of a picture, as a picture of its own. */
sf_image *picture_crop(sf_context *ctx, const sf_image *from, int x, int y, int width, int height);

#endif
