#include "tests/support/pictures.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

struct picture_difference picture_compare(const sf_image *a, const sf_image *b) {
    ck_assert_int_eq(sf_image_width(a), sf_image_width(b));
    ck_assert_int_eq(sf_image_height(a), sf_image_height(b));
    const uint8_t *left = sf_image_pixels(a), *right = sf_image_pixels(b);
    struct picture_difference difference = {
        .n_pixels = (size_t)sf_image_width(a) * (size_t)sf_image_height(a),
    };
    for (size_t i = 0; i < difference.n_pixels; i++) {
        int worst = 0;
        for (size_t channel = 3 * i; channel < 3 * i + 3; channel++)
            if (abs(left[channel] - right[channel]) > worst)
                worst = abs(left[channel] - right[channel]);
        difference.n_different += worst > 0;
        difference.n_far += worst > 2;
        difference.largest = worst > difference.largest ? worst : difference.largest;
    }
    return difference;
}

void check_pictures_equal(const sf_image *a, const sf_image *b) {
    struct picture_difference difference = picture_compare(a, b);
    ck_assert_msg(difference.n_different == 0, "%zu of %zu pixels differ, the largest by %d/255",
                  difference.n_different, difference.n_pixels, difference.largest);
}

sf_image *picture_crop(sf_context *ctx, const sf_image *from, int x, int y, int width, int height) {
    sf_image *part = NULL;
    ck_assert(x >= 0 && y >= 0 && x + width <= sf_image_width(from) &&
              y + height <= sf_image_height(from));
    ck_ok(ctx, sf_image_new(ctx, width, height, &part));
    for (int row = 0; row < height; row++)
        memcpy(sf_image_pixels(part) + 3 * row * width,
               sf_image_pixels(from) + 3 * ((y + row) * sf_image_width(from) + x),
               3 * (size_t)width);
    return part;
}
