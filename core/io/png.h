/*
 * PNG files through libpng, with their text. See sf_image_load() and sf_image_save() in sfumato.h.
 *
 * All kinds are read as 8-bit RGB: grey and palette are spelled out, 16 bits are rounded to 8,
 * alpha is composited on white (in the file's values, as viewers do, without gamma). Limits: 16384
 * x 16384 pixels, files of 1 GiB, 64 text chunks of at most 4 MiB unpacked; text past that is left
 * out.
 *
 * Text is written as Pillow's PngInfo.add_text does, and so as stable-diffusion-webui does: tEXt
 * where Latin-1 can hold it, iTXt (UTF-8) otherwise. tEXt, zTXt and iTXt are read.
 */
#ifndef SF_CORE_IO_PNG_H
#define SF_CORE_IO_PNG_H

#include "core/image.h"

#define SF_PNG_MAX_FILE_BYTES ((size_t)1 << 30)
#define SF_PNG_MAX_TEXTS      64
#define SF_PNG_MAX_TEXT_BYTES ((size_t)4 << 20)

/* Reads a PNG file's bytes; name stands for the file in errors. */
sf_status sf_png_parse(sf_context *ctx, const char *name, const void *data, size_t size,
                       sf_image **image);

#endif
