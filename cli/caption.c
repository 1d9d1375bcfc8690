/*
 * Captions below pictures. See caption.h.
 */
#include "cli/caption.h"

#include <string.h>

#define GLYPH_WIDTH  5
#define GLYPH_HEIGHT 8
#define ADVANCE      (GLYPH_WIDTH + 1) /* dots from letter to letter, from line to line */
#define LINE         (GLYPH_HEIGHT + 1)

static const struct {
    char character;
    const char *rows[GLYPH_HEIGHT];
} glyphs[] = {
#define GLYPH(character, ...) {character, {__VA_ARGS__}},
#include "cli/font.def"
#undef GLYPH
};

static const char *const box[GLYPH_HEIGHT] = {"#####", "#...#", "#...#", "#...#",
                                              "#...#", "#...#", "#####", "....."};

static const char *const *rows_of(char character) {
    for (size_t i = 0; i < sizeof glyphs / sizeof *glyphs; i++)
        if (glyphs[i].character == character)
            return glyphs[i].rows;
    return box;
}

/* ---- lines ---- */

/* Pixels of each dot of a letter, below a picture so wide. */
static int dot_of(int width) {
    return width < 512 ? 1 : width / 256;
}

/* Letters that fit side by side. */
static size_t letters_of(int width) {
    return (size_t)(width / (ADVANCE * dot_of(width)));
}

/* Characters of the first line of the text. */
static size_t line_length(const char *text, size_t most) {
    size_t length = strlen(text);
    if (length <= most)
        return length;
    for (size_t i = most; i > 0; i--)
        if (text[i] == ' ' || text[i - 1] == '_')
            return i;
    return most;
}

static const char *next_line(const char *text, size_t length) {
    text += length;
    return *text == ' ' ? text + 1 : text;
}

int caption_lines(const char *text, int width) {
    size_t most = letters_of(width);
    int n = 0;
    if (width < CAPTION_LEAST_WIDTH)
        return 0;
    for (; *text; n++)
        text = next_line(text, line_length(text, most));
    return n;
}

/* ---- drawing ---- */

/* A dot at (x, y), in dots from the caption's corner. */
static void draw_dot(sf_image *image, int top, int x, int y) {
    int dot = dot_of(sf_image_width(image)), width = sf_image_width(image);
    for (int row = 0; row < dot; row++) {
        int line = top + y * dot + row;
        for (int column = x * dot; column < (x + 1) * dot && column < width; column++)
            memset(sf_image_pixels(image) + 3 * ((size_t)line * (size_t)width + (size_t)column), 0,
                   3);
    }
}

static void draw_letter(sf_image *image, int top, int place, int line, char letter) {
    const char *const *rows = rows_of(letter);
    for (int y = 0; y < GLYPH_HEIGHT; y++)
        for (int x = 0; x < GLYPH_WIDTH; x++)
            if (rows[y][x] == '#')
                draw_dot(image, top, place * ADVANCE + x, line * LINE + 1 + y);
}

static void draw_text(sf_image *image, int top, const char *text, int n_lines) {
    size_t most = letters_of(sf_image_width(image));
    for (int line = 0; line < n_lines && *text; line++) {
        size_t length = line_length(text, most);
        for (size_t i = 0; i < length; i++)
            draw_letter(image, top, (int)i, line, text[i]);
        text = next_line(text, length);
    }
}

sf_status caption_image(sf_context *context, const sf_image *image, const char *text, int n_lines,
                        sf_image **captioned) {
    int width = sf_image_width(image), height = sf_image_height(image);
    int below = n_lines > 0 ? (n_lines * LINE + 1) * dot_of(width) : 0;
    sf_image *made = NULL;
    sf_status status = sf_image_new(context, width, height + below, &made);
    if (status != SF_OK)
        return status;
    size_t bytes = 3 * (size_t)width * (size_t)height;
    memcpy(sf_image_pixels(made), sf_image_pixels((sf_image *)image), bytes);
    memset(sf_image_pixels(made) + bytes, 255, 3 * (size_t)width * (size_t)below);
    draw_text(made, height, text, n_lines);
    *captioned = made;
    return SF_OK;
}
