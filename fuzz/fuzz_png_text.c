/*
 * Fuzz target: a picture's text, from PNG chunks to generation parameters.
 *
 * An input that begins with the PNG signature is a file as it stands. Any other is a list of records
 * (kind, length of 2 bytes, content) that become chunks with right checksums, packed first for an even
 * kind of zTXt and iTXt, since a fuzzer does not guess checksums and deflate streams. Its bytes are
 * also read as a "parameters" text, which is written and read again.
 */
#include <png.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/io/parameters.h"
#include "core/io/png.h"
#include "core/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_BYTES  (1 << 16)
#define FILE_BYTES (3 * MAX_BYTES)

/* No more memory than a fuzzer may have: large pictures end in an error, as they should. */
static void *limited(void *user, void *block, size_t bytes) {
    (void)user;
    if (bytes == 0) {
        free(block);
        return NULL;
    }
    return bytes > (size_t)64 << 20 ? NULL : realloc(block, bytes);
}

static void put_chunk(uint8_t *file, size_t *at, const char *type, const void *content,
                      size_t bytes) {
    if (bytes + 12 > FILE_BYTES - *at)
        return;
    uint8_t *chunk = file + *at;
    png_save_uint_32(chunk, (png_uint_32)bytes);
    memcpy(chunk + 4, type, 4);
    if (bytes)
        memcpy(chunk + 8, content, bytes);
    png_save_uint_32(chunk + 8 + bytes, (png_uint_32)crc32(0, chunk + 4, (uInt)(bytes + 4)));
    *at += bytes + 12;
}

/* Packs what follows the first n_plain NULs. */
static size_t pack(const uint8_t *content, size_t bytes, int n_plain, uint8_t *packed,
                   size_t room) {
    size_t plain = 0;
    for (int n = 0; plain < bytes && n < n_plain; plain++)
        n += content[plain] == 0;
    uLongf rest = room - plain;
    if (bytes)
        memcpy(packed, content, plain);
    if (compress(packed + plain, &rest, content + plain, bytes - plain) != Z_OK)
        return plain;
    return plain + rest;
}

static size_t make_file(const uint8_t *data, size_t size, uint8_t *file) {
    static const char *const types[] = {"tEXt", "zTXt", "iTXt", "tEXt",
                                        "tRNS", "gAMA", "PLTE", "iCCP"};
    static const uint8_t header[13] = {0, 0, 0, 1, 0, 0, 0, 1, 8, PNG_COLOR_TYPE_RGB};
    static const uint8_t row[4] = {0, 1, 2, 3};
    uint8_t *packed = malloc(2 * MAX_BYTES);
    uLongf bytes = 64;
    size_t at = 8;
    memcpy(file, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(file, &at, "IHDR", header, sizeof header);
    for (size_t i = 0; packed && i + 3 <= size;) {
        unsigned kind = data[i] % 16;
        size_t length = (size_t)(data[i + 1] | data[i + 2] << 8);
        i += 3;
        if (length > size - i)
            length = size - i;
        if (kind % 8 == 1 || kind % 8 == 2) {
            size_t n = pack(data + i, length, kind % 8 == 1 ? 2 : 5, packed, 2 * MAX_BYTES);
            put_chunk(file, &at, types[kind % 8], kind < 8 ? packed : data + i,
                      kind < 8 ? n : length);
        } else {
            put_chunk(file, &at, types[kind % 8], data + i, length);
        }
        i += length;
    }
    if (packed && compress(packed, &bytes, row, sizeof row) == Z_OK)
        put_chunk(file, &at, "IDAT", packed, bytes);
    put_chunk(file, &at, "IEND", NULL, 0);
    free(packed);
    return at;
}

/* Keys are unique and at least two bytes long, values not absent. */
static void check(const sf_parameters *read) {
    if (!read->prompt || !read->negative_prompt || read->n_items > SF_PARAMETERS_MAX)
        abort();
    for (size_t i = 0; i < read->n_items; i++)
        if (strlen(read->items[i].key) < 2 ||
            sf_parameters_get(read, read->items[i].key) != read->items[i].value)
            abort();
}

static void read_parameters(sf_context *ctx, const char *text) {
    sf_parameters read = {.ctx = ctx}, again = {.ctx = ctx};
    char *written = NULL;
    if (sf_parameters_parse(text, &read) != SF_OK)
        return;
    check(&read);
    if (sf_parameters_write(&read, &written) == SF_OK &&
        sf_parameters_parse(written, &again) == SF_OK)
        check(&again);
    sf_free(ctx, written);
    sf_parameters_clear(&read);
    sf_parameters_clear(&again);
}

static void read_file(sf_context *ctx, const uint8_t *file, size_t size) {
    sf_image *image;
    if (sf_png_parse(ctx, "fuzz", file, size, &image) != SF_OK)
        return;
    for (size_t i = 0; i < image->n_texts; i++)
        read_parameters(ctx, image->texts[i].value);
    sf_image_free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sf_context_options options;
    sf_context *ctx;
    sf_context_options_init(&options);
    options.allocator.resize = limited;
    if (size > MAX_BYTES || sf_context_new(&options, &ctx) != SF_OK)
        return 0;
    uint8_t *file = malloc(FILE_BYTES);
    char *text = sf_strndup(ctx, (const char *)data, size);
    if (file && text) {
        if (size >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
            read_file(ctx, data, size);
        else
            read_file(ctx, file, make_file(data, size, file));
        read_parameters(ctx, text);
    }
    sf_free(ctx, text);
    free(file);
    sf_context_free(ctx);
    return 0;
}
