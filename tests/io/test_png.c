/* Pictures: texts, contact sheets, PNG files of every kind. */
#include <check.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/io/file.h"
#include "core/io/png.h"
#include "core/memory.h"
#include "tests/support/failing.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_io_png(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
    scratch_setup();
}

static void teardown(void) {
    scratch_teardown();
    test_context_free(ctx);
}

static sf_image *new_image(int width, int height, int first) {
    sf_image *image;
    ck_ok(ctx, sf_image_new(ctx, width, height, &image));
    for (int i = 0; i < width * height * 3; i++)
        sf_image_pixels(image)[i] = (uint8_t)(first + 7 * i);
    return image;
}

START_TEST(images_have_sizes_within_limits) {
    sf_image *image = new_image(3, 2, 0);
    ck_assert_int_eq(sf_image_width(image), 3);
    ck_assert_int_eq(sf_image_height(image), 2);
    sf_image_free(image);
    sf_image_free(NULL);
    static const int bad[][2] = {{0, 1}, {1, 0}, {-1, 1}, {16385, 1}, {1, 16385}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_fails(ctx, sf_image_new(ctx, bad[i][0], bad[i][1], &image), SF_ERROR_ARGUMENT,
                 "1 to 16384 are possible");
}
END_TEST

START_TEST(texts_are_set_replaced_and_removed) {
    sf_image *image = new_image(1, 1, 0);
    ck_assert_ptr_null(sf_image_text(image, "a"));
    ck_ok(ctx, sf_image_set_text(image, "a", "1"));
    ck_ok(ctx, sf_image_set_text(image, "b", "2"));
    ck_ok(ctx, sf_image_set_text(image, "a", "3"));
    ck_assert_str_eq(sf_image_text(image, "a"), "3");
    ck_ok(ctx, sf_image_set_text(image, "a", NULL));
    ck_ok(ctx, sf_image_set_text(image, "a", NULL));
    ck_assert_ptr_null(sf_image_text(image, "a"));
    ck_assert_str_eq(sf_image_text(image, "b"), "2");
    char too_long[SF_IMAGE_MAX_KEY + 2] = "";
    memset(too_long, 'k', SF_IMAGE_MAX_KEY + 1);
    const char *bad[] = {"", " a", "a ", "a  b", "a\n", "caf\xc3\xa9", too_long};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_fails(ctx, sf_image_set_text(image, bad[i], "x"), SF_ERROR_ARGUMENT, "the key '");
    ck_ok(ctx, sf_image_set_text(image, too_long + 1, "the longest key"));
    ck_fails(ctx, sf_image_set_text(image, "k", "\xff"), SF_ERROR_ARGUMENT,
             "the value of 'k' is not UTF-8");
    sf_image_free(image);
}
END_TEST

START_TEST(contact_sheets_place_pictures_and_gaps) {
    sf_image *images[3], *sheet;
    for (int i = 0; i < 3; i++) {
        images[i] = new_image(2, 1, 0);
        memset(sf_image_pixels(images[i]), 10 * (i + 1), 6);
    }
    ck_ok(ctx, sf_image_contact_sheet(ctx, (const sf_image *const *)images, 3, 0, 1, &sheet));
    static const uint8_t wanted[3][5] = {
        {10, 10, 255, 20, 20}, {255, 255, 255, 255, 255}, {30, 30, 255, 255, 255}};
    ck_assert_int_eq(sf_image_width(sheet), 5);
    ck_assert_int_eq(sf_image_height(sheet), 3);
    for (int i = 0; i < 45; i++)
        ck_assert_uint_eq(sf_image_pixels(sheet)[i], wanted[i / 15][i / 3 % 5]);
    sf_image_free(sheet);
    static const struct {
        int n, columns, gap, width, height;
    } sizes[] = {
        {1, 0, 5, 2, 1}, {3, 1, 0, 2, 3}, {3, 3, 2, 10, 1}, {3, 9, 0, 6, 1}, {2, 0, 0, 4, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ck_ok(ctx, sf_image_contact_sheet(ctx, (const sf_image *const *)images, sizes[i].n,
                                          sizes[i].columns, sizes[i].gap, &sheet));
        ck_assert_int_eq(sf_image_width(sheet), sizes[i].width);
        ck_assert_int_eq(sf_image_height(sheet), sizes[i].height);
        sf_image_free(sheet);
    }
    ck_fails(ctx, sf_image_contact_sheet(ctx, NULL, 0, 0, 0, &sheet), SF_ERROR_ARGUMENT,
             "0 images");
    ck_fails(ctx, sf_image_contact_sheet(ctx, (const sf_image *const *)images, 3, 0, 20000, &sheet),
             SF_ERROR_ARGUMENT, "20004 x 20002 pixels");
    sf_image_free(images[1]);
    images[1] = new_image(2, 2, 0);
    ck_fails(ctx, sf_image_contact_sheet(ctx, (const sf_image *const *)images, 3, 0, 0, &sheet),
             SF_ERROR_SHAPE, "image 1 is 2 x 2, the first 2 x 1");
    for (int i = 0; i < 3; i++)
        sf_image_free(images[i]);
}
END_TEST

static const char *const text_cases[][2] = {
    {"parameters", "a red apple\nNegative prompt: blurry\nSteps: 20, Seed: 1"},
    {"latin1", "caf\xc3\xa9 \xc3\xbf"},
    {"unicode", "\xe8\xb5\xa4\xe3\x81\x84 \xf0\x9f\x8d\x8e"},
    {"empty", ""},
    {"one two", "\t\x01 x"},
};
enum { N_TEXTS = sizeof text_cases / sizeof *text_cases };

START_TEST(what_is_saved_is_loaded_again) {
    static const int sizes[][2] = {{1, 1}, {5, 4}, {64, 64}, {257, 3}, {1, 300}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        sf_image *image = new_image(sizes[s][0], sizes[s][1], 3), *again;
        for (int i = 0; i < N_TEXTS; i++)
            ck_ok(ctx, sf_image_set_text(image, text_cases[i][0], text_cases[i][1]));
        ck_ok(ctx, sf_image_save(image, scratch("out.png")));
        ck_ok(ctx, sf_image_load(ctx, scratch("out.png"), &again));
        ck_assert_int_eq(sf_image_width(again), sizes[s][0]);
        ck_assert_int_eq(sf_image_height(again), sizes[s][1]);
        ck_assert_mem_eq(sf_image_pixels(again), sf_image_pixels(image),
                         (size_t)(3 * sizes[s][0] * sizes[s][1]));
        for (int i = 0; i < N_TEXTS; i++)
            ck_assert_pstr_eq(sf_image_text(again, text_cases[i][0]), text_cases[i][1]);
        sf_image_free(image);
        sf_image_free(again);
    }
    ck_assert_int_eq(scratch_count(), 1);
}
END_TEST

/* tests/oracle/make_io_goldens.py: tEXt, iTXt and zTXt by Pillow; pixels count up from 0. */
START_TEST(pillows_file_is_read) {
    sf_image *image;
    ck_ok(ctx, sf_image_load(ctx, test_data("io/pillow.png"), &image));
    ck_assert_int_eq(sf_image_width(image), 5);
    ck_assert_int_eq(sf_image_height(image), 4);
    for (int i = 0; i < 60; i++)
        ck_assert_uint_eq(sf_image_pixels(image)[i], i);
    ck_assert_str_eq(sf_image_text(image, "latin1"), "caf\xc3\xa9 \xc3\xbf");
    ck_assert_str_eq(
        sf_image_text(image, "unicode"),
        "\xe8\xb5\xa4\xe3\x81\x84\xe3\x82\x8a\xe3\x82\x93\xe3\x81\x94 \xf0\x9f\x8d\x8e");
    ck_assert_uint_eq(strlen(sf_image_text(image, "packed")), 1000);
    /* Written by us it has the same chunks: the golden holds them before the pixels, in this order. */
    ck_ok(ctx, sf_image_save(image, scratch("out.png")));
    char *golden, *ours;
    size_t golden_size, size;
    ck_ok(ctx, sf_file_read(ctx, test_data("io/pillow.png"), 10000, &golden, &golden_size));
    ck_ok(ctx, sf_file_read(ctx, scratch("out.png"), 10000, &ours, &size));
    const char *end = memmem(golden, golden_size, "zTXt", 4);
    ck_assert_ptr_nonnull(end);
    ck_assert_mem_eq(golden, ours, (size_t)(end - golden) - 4);
    sf_free(ctx, golden);
    sf_free(ctx, ours);
    sf_image_free(image);
}
END_TEST

/* Every colour type and depth of the PNG specification (ISO 15948, table 11.1). */
static const struct kind {
    int type, depth;
    int transparent; /* with a tRNS chunk */
} kinds[] = {
    {PNG_COLOR_TYPE_GRAY, 1, 0},        {PNG_COLOR_TYPE_GRAY, 2, 0},
    {PNG_COLOR_TYPE_GRAY, 4, 0},        {PNG_COLOR_TYPE_GRAY, 8, 0},
    {PNG_COLOR_TYPE_GRAY, 16, 0},       {PNG_COLOR_TYPE_RGB, 8, 0},
    {PNG_COLOR_TYPE_RGB, 16, 0},        {PNG_COLOR_TYPE_PALETTE, 1, 0},
    {PNG_COLOR_TYPE_PALETTE, 2, 0},     {PNG_COLOR_TYPE_PALETTE, 4, 0},
    {PNG_COLOR_TYPE_PALETTE, 8, 0},     {PNG_COLOR_TYPE_GRAY_ALPHA, 8, 0},
    {PNG_COLOR_TYPE_GRAY_ALPHA, 16, 0}, {PNG_COLOR_TYPE_RGB_ALPHA, 8, 0},
    {PNG_COLOR_TYPE_RGB_ALPHA, 16, 0},  {PNG_COLOR_TYPE_PALETTE, 4, 1},
    {PNG_COLOR_TYPE_GRAY, 2, 1},        {PNG_COLOR_TYPE_RGB, 8, 1},
};
enum { WIDTH = 13, HEIGHT = 9, N_KINDS = sizeof kinds / sizeof *kinds };

/* A sample of channel c of pixel x, y: within depth bits, spread over them. */
static unsigned sample(const struct kind *kind, int x, int y, int c) {
    unsigned value = (unsigned)(x * 4241 + y * 9973 + c * 30011);
    return value & ((1u << kind->depth) - 1);
}

static unsigned palette_colour(unsigned index, int c) {
    return (index * 37 + (unsigned)c * 101 + 5) & 255;
}

static unsigned palette_alpha(unsigned index) {
    return index < 3 ? index * 100 : 255;
}

/* What the pixel is in RGBA, 8 bits, by the definition of the kind. */
static void define_pixel(const struct kind *kind, int x, int y, unsigned rgba[4]) {
    unsigned top = (1u << kind->depth) - 1;
    int colours = kind->type & PNG_COLOR_MASK_COLOR ? 3 : 1;
    rgba[3] = 255;
    if (kind->type == PNG_COLOR_TYPE_PALETTE) {
        unsigned index = sample(kind, x, y, 0);
        for (int c = 0; c < 3; c++)
            rgba[c] = palette_colour(index, c);
        rgba[3] = kind->transparent ? palette_alpha(index) : 255;
        return;
    }
    for (int c = 0; c < 3; c++)
        rgba[c] = (sample(kind, x, y, colours == 3 ? c : 0) * 255 + top / 2) / top;
    if (kind->type & PNG_COLOR_MASK_ALPHA)
        rgba[3] = (sample(kind, x, y, colours) * 255 + top / 2) / top;
    bool all_match = true; /* the tRNS colour is that of pixel 4, 3 */
    for (int c = 0; c < colours; c++)
        all_match &= sample(kind, x, y, c) == sample(kind, 4, 3, c);
    if (kind->transparent && all_match)
        rgba[3] = 0;
}

static void write_kind(const struct kind *kind, int interlace, const char *path) {
    FILE *file = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_color palette[256];
    png_byte alphas[4];
    png_color_16 match = {.gray = (png_uint_16)sample(kind, 4, 3, 0),
                          .red = (png_uint_16)sample(kind, 4, 3, 0),
                          .green = (png_uint_16)sample(kind, 4, 3, 1),
                          .blue = (png_uint_16)sample(kind, 4, 3, 2)};
    static png_byte rows[HEIGHT][WIDTH * 8];
    png_bytep pointers[HEIGHT];
    int channels = kind->type == PNG_COLOR_TYPE_PALETTE
                       ? 1
                       : (kind->type & PNG_COLOR_MASK_COLOR ? 3 : 1) +
                             (kind->type & PNG_COLOR_MASK_ALPHA ? 1 : 0);
    ck_assert_ptr_nonnull(file);
    png_init_io(png, file);
    png_set_IHDR(png, info, WIDTH, HEIGHT, kind->depth, kind->type, interlace,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    for (unsigned i = 0; i < 256; i++)
        palette[i] = (png_color){(png_byte)palette_colour(i, 0), (png_byte)palette_colour(i, 1),
                                 (png_byte)palette_colour(i, 2)};
    for (unsigned i = 0; i < 4; i++)
        alphas[i] = (png_byte)palette_alpha(i);
    if (kind->type == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, palette, 1 << kind->depth);
    if (kind->transparent)
        png_set_tRNS(png, info, alphas, 4, &match);
    png_set_gAMA(png, info, 0.45455); /* must not change the values, nor the compositing */
    memset(rows, 0, sizeof rows);
    for (int y = 0; y < HEIGHT; y++)
        for (int i = 0; i < WIDTH * channels; i++) {
            unsigned value = sample(kind, i / channels, y, i % channels);
            int bit = i * kind->depth;
            if (kind->depth == 16) {
                rows[y][2 * i] = (png_byte)(value >> 8);
                rows[y][2 * i + 1] = (png_byte)value;
            } else {
                rows[y][bit / 8] |= (png_byte)(value << (8 - kind->depth - bit % 8));
            }
        }
    for (int y = 0; y < HEIGHT; y++)
        pointers[y] = rows[y];
    png_write_info(png, info);
    png_write_image(png, pointers);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    fclose(file);
}

START_TEST(every_kind_is_read_as_rgb_over_white) {
    const struct kind *kind = &kinds[_i % N_KINDS];
    sf_image *image;
    write_kind(kind, _i < N_KINDS ? PNG_INTERLACE_NONE : PNG_INTERLACE_ADAM7, scratch("k.png"));
    ck_ok(ctx, sf_image_load(ctx, scratch("k.png"), &image));
    ck_assert_int_eq(sf_image_width(image), WIDTH);
    ck_assert_int_eq(sf_image_height(image), HEIGHT);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++) {
                unsigned rgba[4];
                define_pixel(kind, x, y, rgba);
                double wanted = (rgba[c] * rgba[3] + 255.0 * (255 - rgba[3])) / 255;
                int found = sf_image_pixels(image)[(y * WIDTH + x) * 3 + c];
                /* 0.5 is the rounding of the result. */
                ck_assert_msg(found - wanted <= 0.5 && wanted - found <= 0.5,
                              "type %d depth %d at %d, %d, %d: %d, not %g", kind->type, kind->depth,
                              x, y, c, found, wanted);
            }
    sf_image_free(image);
}
END_TEST

START_TEST(truncated_anywhere_it_is_refused) {
    char *file;
    size_t size;
    sf_image *image;
    ck_ok(ctx, sf_file_read(ctx, test_data("io/pillow.png"), 10000, &file, &size));
    for (size_t length = 0; length < size; length++) {
        char *exact = malloc(length ? length : 1);
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, file, length);
        ck_assert_msg(sf_png_parse(ctx, "p.png", exact, length, &image) == SF_ERROR_FORMAT,
                      "%zu bytes", length);
        ck_assert_msg(strncmp(sf_error_message(ctx), "p.png: not a ", 13) == 0, "%s",
                      sf_error_message(ctx));
        free(exact);
    }
    sf_free(ctx, file);
}
END_TEST

START_TEST(with_any_bit_flipped_it_is_refused_or_sound) {
    char *file;
    size_t size;
    sf_image *image;
    ck_ok(ctx, sf_file_read(ctx, test_data("io/pillow.png"), 10000, &file, &size));
    for (size_t bit = 0; bit < 8 * size; bit++) {
        file[bit / 8] ^= (char)(1 << bit % 8);
        if (sf_png_parse(ctx, "p.png", file, size, &image) == SF_OK)
            sf_image_free(image);
        file[bit / 8] ^= (char)(1 << bit % 8);
    }
    sf_free(ctx, file);
}
END_TEST

/* Appends a chunk with its checksum. */
static size_t put_chunk(uint8_t *file, size_t at, const char *type, const void *data,
                        size_t bytes) {
    png_save_uint_32(file + at, (png_uint_32)bytes);
    memcpy(file + at + 4, type, 4);
    if (bytes)
        memcpy(file + at + 8, data, bytes);
    png_save_uint_32(file + at + 8 + bytes,
                     (png_uint_32)crc32(0, file + at + 4, (uInt)(bytes + 4)));
    return at + 12 + bytes;
}

static size_t put_header(uint8_t *file, uint32_t width, uint32_t height) {
    uint8_t header[13] = {[8] = 8, [9] = PNG_COLOR_TYPE_RGB};
    memcpy(file, "\x89PNG\r\n\x1a\n", 8);
    png_save_uint_32(header, width);
    png_save_uint_32(header + 4, height);
    return put_chunk(file, 8, "IHDR", header, sizeof header);
}

static size_t put_pixel(uint8_t *file, size_t at) {
    uint8_t row[4] = {0, 1, 2, 3}, packed[64];
    uLongf bytes = sizeof packed;
    ck_assert_int_eq(compress(packed, &bytes, row, sizeof row), Z_OK);
    at = put_chunk(file, at, "IDAT", packed, bytes);
    return put_chunk(file, at, "IEND", NULL, 0);
}

START_TEST(impossible_sizes_are_refused_before_memory_is_had) {
    static const uint32_t sizes[][2] = {
        {16385, 1}, {1, 16385}, {0, 1}, {0x7fffffff, 0x7fffffff}, {16384, 16384}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t file[256];
        struct failing_allocator allocator = {0};
        sf_context *counting = failing_context(&allocator);
        sf_image *image;
        size_t size = put_pixel(file, put_header(file, sizes[i][0], sizes[i][1]));
        ck_assert_int_eq(sf_png_parse(counting, "p.png", file, size, &image), SF_ERROR_FORMAT);
        ck_assert_int_eq(allocator.live, 0);
        sf_context_free(counting);
    }
}
END_TEST

START_TEST(hostile_texts_are_left_out) {
    static uint8_t file[1 << 16];
    sf_image *image;
    size_t at = put_header(file, 1, 1);
    at = put_chunk(file, at, "tEXt", "good\0value", 10);
    at = put_chunk(file, at, "tEXt", "twice\0first", 11);
    at = put_chunk(file, at, "tEXt", "twice\0last", 10);
    at = put_chunk(file, at, "tEXt", "nul\0ab\0cd", 9);
    at = put_chunk(file, at, "tEXt", "caf\xe9\0x", 6);
    at = put_chunk(file, at, "tEXt", "", 0);
    at = put_chunk(file, at, "tEXt", "no end", 6);
    at = put_chunk(file, at, "iTXt", "bad utf8\0\0\0\0\0\xff\xfe", 15);
    at = put_chunk(file, at, "iTXt", "short\0\0", 7);
    at = put_chunk(file, at, "zTXt", "junk\0\0notzlib", 13);
    for (int i = 0; i < 100; i++)
        at = put_chunk(file, at, "tEXt", "many\0x", 6);
    at = put_pixel(file, at);
    ck_ok(ctx, sf_png_parse(ctx, "p.png", file, at, &image));
    ck_assert_str_eq(sf_image_text(image, "good"), "value");
    ck_assert_str_eq(sf_image_text(image, "twice"), "last");
    ck_assert_str_eq(sf_image_text(image, "nul"), "ab");
    ck_assert_ptr_null(sf_image_text(image, "bad utf8"));
    ck_assert_ptr_null(sf_image_text(image, "junk"));
    ck_assert_mem_eq(sf_image_pixels(image), "\1\2\3", 3);
    sf_image_free(image);
}
END_TEST

START_TEST(a_text_that_unpacks_to_too_much_is_left_out) {
    enum { UNPACKED = 5 << 20 };
    static uint8_t file[1 << 16], packed[1 << 15] = "bomb";
    uLongf bytes = sizeof packed - 6;
    uint8_t *zeros = malloc(UNPACKED);
    sf_image *image;
    ck_assert_ptr_nonnull(zeros);
    memset(zeros, 'z', UNPACKED);
    ck_assert_int_eq(compress(packed + 6, &bytes, zeros, UNPACKED), Z_OK);
    free(zeros);
    size_t at = put_chunk(file, put_header(file, 1, 1), "zTXt", packed, 6 + bytes);
    at = put_chunk(file, at, "tEXt", "after\0x", 7);
    at = put_pixel(file, at);
    ck_ok(ctx, sf_png_parse(ctx, "p.png", file, at, &image));
    ck_assert_ptr_null(sf_image_text(image, "bomb"));
    ck_assert_str_eq(sf_image_text(image, "after"), "x");
    sf_image_free(image);
}
END_TEST

START_TEST(what_cannot_be_read_or_written_says_why) {
    sf_image *image = new_image(100, 100, 0), *none = NULL;
    ck_fails(ctx, sf_image_save(image, "/dev/full"), SF_ERROR_IO,
             "/dev/full: can't be written: No space left on device");
    ck_fails(ctx, sf_image_save(image, scratch("no/x.png")), SF_ERROR_IO, "No such file");
    ck_fails(ctx, sf_image_save(image, scratch("")), SF_ERROR_IO, "Is a directory");
    sf_image_free(image);
    ck_fails(ctx, sf_image_load(ctx, scratch("no.png"), &none), SF_ERROR_IO,
             "no.png: can't be opened: No such file");
    scratch_write("text.png", "not a picture", 13);
    ck_fails(ctx, sf_image_load(ctx, scratch("text.png"), &none), SF_ERROR_FORMAT,
             "text.png: not a PNG file");
    ck_assert_ptr_null(none);
    ck_assert_int_eq(scratch_count(), 1);
}
END_TEST

static sf_status save_and_load(sf_context *failing, void *user) {
    sf_image *image, *again, *sheet;
    SF_TRY(sf_image_new(failing, 40, 30, &image));
    sf_status status;
    for (int i = 0; i < N_TEXTS; i++)
        SF_TRY_OUT(sf_image_set_text(image, text_cases[i][0], text_cases[i][1]));
    SF_TRY_OUT(sf_image_save(image, user));
    SF_TRY_OUT(sf_image_load(failing, user, &again));
    sf_image_free(again);
    const sf_image *pair[] = {image, image};
    SF_TRY_OUT(sf_image_contact_sheet(failing, pair, 2, 0, 0, &sheet));
    sf_image_free(sheet);
out:
    sf_image_free(image);
    return status;
}

static sf_status load(sf_context *failing, void *user) {
    sf_image *image;
    SF_TRY(sf_image_load(failing, user, &image));
    sf_image_free(image);
    return SF_OK;
}

START_TEST(every_allocation_may_fail) {
    /* The pixels' block is shrunk after loading, and may stay as it is. */
    check_each_allocation(save_and_load, (char *)scratch("out.png"), 1);
    check_each_allocation(load, (char *)test_data("io/pillow.png"), 1);
    ck_assert_int_eq(scratch_count(), 1);
}
END_TEST

Suite *suite_io_png(void) {
    Suite *suite = suite_create("io/png");
    TCase *tcase = tcase_create("png");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, images_have_sizes_within_limits);
    tcase_add_test(tcase, texts_are_set_replaced_and_removed);
    tcase_add_test(tcase, contact_sheets_place_pictures_and_gaps);
    tcase_add_test(tcase, what_is_saved_is_loaded_again);
    tcase_add_test(tcase, pillows_file_is_read);
    tcase_add_loop_test(tcase, every_kind_is_read_as_rgb_over_white, 0, 2 * N_KINDS);
    tcase_add_test(tcase, truncated_anywhere_it_is_refused);
    tcase_add_test(tcase, with_any_bit_flipped_it_is_refused_or_sound);
    tcase_add_test(tcase, impossible_sizes_are_refused_before_memory_is_had);
    tcase_add_test(tcase, hostile_texts_are_left_out);
    tcase_add_test(tcase, a_text_that_unpacks_to_too_much_is_left_out);
    tcase_add_test(tcase, what_cannot_be_read_or_written_says_why);
    tcase_add_test(tcase, every_allocation_may_fail);
    suite_add_tcase(suite, tcase);
    return suite;
}
