/*
 * Captions below pictures, in the small letters of font.def.
 */
#ifndef SF_CLI_CAPTION_H
#define SF_CLI_CAPTION_H

#include "sfumato.h"

/*
 * Lines that the text takes below a picture so wide: it is broken at spaces, after '_', or anywhere. 0
 * below pictures of less than CAPTION_LEAST_WIDTH pixels, which are too narrow for words.
 */
#define CAPTION_LEAST_WIDTH 48
int caption_lines(const char *text, int width);

/*
 * The picture with the text below it, in black on white, and room for so many lines; further ones are left
 * out. Characters that font.def lacks are drawn as boxes. *captioned is the caller's.
 */
sf_status caption_image(sf_context *context, const sf_image *image, const char *text, int n_lines,
                        sf_image **captioned);

#endif
