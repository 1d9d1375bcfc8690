/*
 * The table and the plot of `sfumato compare`. See comparison.h.
 */
#include "cli/comparison.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/progress.h"

comparison_cell *comparison_at(const comparison *found, int sampler, int step) {
    return &found->cells[sampler * found->n_steps + step];
}

double comparison_distance(const sf_image *a, const sf_image *b) {
    size_t n = 3 * (size_t)sf_image_width(a) * (size_t)sf_image_height(a);
    const uint8_t *x = sf_image_pixels((sf_image *)a), *y = sf_image_pixels((sf_image *)b);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    return sqrt(sum / (double)n);
}

/* ---- files ---- */

static bool file_failed(const char *path) {
    progress_clear();
    fprintf(stderr, "sfumato: %s: %s\n", path, strerror(errno));
    return false;
}

/* Writes beside path and renames. */
static bool write_file(const comparison *found, const char *path,
                       void (*write)(const comparison *found, FILE *file)) {
    char temporary[4096];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.part", path) >= sizeof temporary) {
        errno = ENAMETOOLONG;
        return file_failed(path);
    }
    FILE *file = fopen(temporary, "w");
    if (!file)
        return file_failed(temporary);
    write(found, file);
    bool failed = ferror(file) != 0;
    if ((fclose(file) != 0) | failed || rename(temporary, path) != 0) {
        file_failed(path);
        unlink(temporary);
        return false;
    }
    return true;
}

/* ---- the table ---- */

/* A field in quotes, as RFC 4180 has them. */
static void write_quoted(FILE *file, const char *text) {
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

static void write_table(const comparison *found, FILE *file) {
    fprintf(file, "row,column,sampler,steps,rms,seconds,reason\n");
    for (int i = 0; i < found->n_samplers; i++)
        for (int k = 0; k < found->n_steps; k++) {
            const comparison_cell *cell = comparison_at(found, i, k);
            int place = i * found->n_steps + k;
            fprintf(file, "%d,%d,", place / found->n_columns, place % found->n_columns);
            write_quoted(file, found->samplers[i]);
            fprintf(file, ",%d,", found->steps[k]);
            if (cell->image)
                fprintf(file, "%.4f,%.3f,\n", cell->distance, cell->seconds);
            else {
                fprintf(file, ",,");
                write_quoted(file, cell->reason);
                fputc('\n', file);
            }
        }
}

bool comparison_write_table(const comparison *found, const char *path) {
    return write_file(found, path, write_table);
}

/* ---- the plot ---- */

enum { WIDTH = 900, HEIGHT = 560, LEFT = 70, RIGHT = 220, TOP = 40, BOTTOM = 60 };

typedef struct axes {
    double x_low, x_high, y_low, y_high; /* logarithms */
} axes;

/* Pictures that are the same are shown at the bottom. */
#define LEAST_DISTANCE 0.05

static double height_of(const comparison_cell *cell) {
    return log10(cell->distance > LEAST_DISTANCE ? cell->distance : LEAST_DISTANCE);
}

static axes find_axes(const comparison *found) {
    axes a = {HUGE_VAL, -HUGE_VAL, HUGE_VAL, -HUGE_VAL};
    for (int i = 0; i < found->n_samplers; i++)
        for (int k = 0; k < found->n_steps; k++) {
            const comparison_cell *cell = comparison_at(found, i, k);
            double x = log10(found->steps[k]);
            if (!cell->image)
                continue;
            a.x_low = fmin(a.x_low, x);
            a.x_high = fmax(a.x_high, x);
            a.y_low = fmin(a.y_low, height_of(cell));
            a.y_high = fmax(a.y_high, height_of(cell));
        }
    if (!isfinite(a.x_low))
        return (axes){0, 1, 0, 1};
    a.x_high = fmax(a.x_high, a.x_low + 0.1);
    a.y_high = fmax(a.y_high, a.y_low + 0.1);
    return a;
}

static double to_x(const axes *a, double x) {
    return LEFT + (x - a->x_low) / (a->x_high - a->x_low) * (WIDTH - LEFT - RIGHT);
}

static double to_y(const axes *a, double y) {
    return HEIGHT - BOTTOM - (y - a->y_low) / (a->y_high - a->y_low) * (HEIGHT - TOP - BOTTOM);
}

static void write_escaped(FILE *file, const char *text) {
    for (; *text; text++)
        if (*text == '<' || *text == '&')
            fputs(*text == '<' ? "&lt;" : "&amp;", file);
        else
            fputc(*text, file);
}

static void write_frame(const comparison *found, const axes *a, FILE *file) {
    static const double marks[] = {0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200};
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
            "font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n<text x=\"%d\" y=\"22\">rms "
            "distance in 1/255 to ",
            WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT);
    write_escaped(file, found->reference);
    fprintf(file, ", by steps</text>\n");
    for (int k = 0; k < found->n_steps; k++) {
        double x = to_x(a, log10(found->steps[k]));
        fprintf(file, "<path d=\"M%.1f %d V%d\" stroke=\"#ddd\"/>", x, TOP, HEIGHT - BOTTOM);
        fprintf(file, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", x,
                HEIGHT - BOTTOM + 18, found->steps[k]);
    }
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        double y = to_y(a, log10(marks[i]));
        if (y < TOP - 1 || y > HEIGHT - BOTTOM + 1)
            continue;
        fprintf(file, "<path d=\"M%d %.1f H%d\" stroke=\"#ddd\"/>", LEFT, y, WIDTH - RIGHT);
        fprintf(file, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", LEFT - 6, y + 4,
                marks[i]);
    }
}

/* Colours go round the wheel; every third line is dashed and every fifth dotted. */
static void write_line(const comparison *found, const axes *a, int sampler, FILE *file) {
    char style[96];
    snprintf(style, sizeof style, "stroke=\"hsl(%d,70%%,40%%)\" stroke-dasharray=\"%s\"",
             360 * sampler / found->n_samplers,
             sampler % 3 == 1   ? "6 3"
             : sampler % 5 == 2 ? "2 2"
                                : "none");
    fprintf(file, "<polyline fill=\"none\" stroke-width=\"1.5\" %s points=\"", style);
    for (int k = 0; k < found->n_steps; k++) {
        const comparison_cell *cell = comparison_at(found, sampler, k);
        if (cell->image)
            fprintf(file, "%.1f,%.1f ", to_x(a, log10(found->steps[k])), to_y(a, height_of(cell)));
    }
    double y = TOP + (HEIGHT - TOP - BOTTOM) * (sampler + 0.5) / found->n_samplers;
    fprintf(file, "\"/>\n<path d=\"M%d %.1f h24\" stroke-width=\"2\" %s/>", WIDTH - RIGHT + 20, y,
            style);
    fprintf(file, "<text x=\"%d\" y=\"%.1f\">", WIDTH - RIGHT + 50, y + 4);
    write_escaped(file, found->samplers[sampler]);
    fprintf(file, "</text>\n");
}

static void write_plot(const comparison *found, FILE *file) {
    axes a = find_axes(found);
    write_frame(found, &a, file);
    for (int i = 0; i < found->n_samplers; i++)
        write_line(found, &a, i, file);
    fprintf(file, "</svg>\n");
}

bool comparison_write_plot(const comparison *found, const char *path) {
    return write_file(found, path, write_plot);
}
