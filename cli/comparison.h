/*
 * What `sfumato compare` has found: a picture for each sampler and number of steps, and how far each is
 * from the reference; as a table and as a plot.
 */
#ifndef SF_CLI_COMPARISON_H
#define SF_CLI_COMPARISON_H

#include <stdbool.h>

#include "sfumato.h"

#define COMPARISON_MOST 64 /* samplers, and numbers of steps */

typedef struct comparison_cell {
    sf_image *image; /* owned; NULL: it could not be drawn */
    double distance; /* rms over pixels and channels, in 1/255 */
    double seconds;
    char reason[256]; /* why it could not be drawn */
} comparison_cell;

typedef struct comparison {
    int n_samplers, n_steps;
    const char *samplers[COMPARISON_MOST]; /* borrowed */
    int steps[COMPARISON_MOST];
    int n_columns;          /* of the sheet, which has the cells in their order */
    const char *reference;  /* in words, borrowed */
    comparison_cell *cells; /* n_samplers rows of n_steps, owned */
} comparison;

comparison_cell *comparison_at(const comparison *found, int sampler, int step);

/* Of two pictures of one size. */
double comparison_distance(const sf_image *a, const sf_image *b);

/*
 * Write text files, each whole or not at all. False with a line on stderr if that fails.
 *
 * The table has a line a cell: row and column in the sheet (from 0), sampler, steps, distance,
 * seconds, reason. The plot is an SVG, both axes logarithmic, a line a sampler.
 */
bool comparison_write_table(const comparison *found, const char *path);
bool comparison_write_plot(const comparison *found, const char *path);

#endif
