/*
 * Convolution as a product of matrices that are never written out: rows are pixels of y, columns filters,
 * and what is added up are channels times elements of the kernel. Tiles as in tile.h, local memory two of
 * them.
 *
 * The order in which products are added: for 16 channels all elements of the kernel, then for the next
 * 16. So neighbouring work-items read neighbouring channels of a pixel, and pixels and weights that were
 * read for one element of the kernel are still in the cache for the next. Where there are fewer channels,
 * all of them times elements are one sequence, lest a tile is mostly empty.
 */
#include "backends/gpu/kernels/convolution.h"

#define PER_PASS (GROUP / STEP) /* rows that the group loads at a time */
#define N_PASSES (TILE_ROWS / PER_PASS)

/* What a work-item loads in one step. */
typedef struct part {
    gpu_uint channel, u, v;
    bool exists;
} part;

FUNCTION gpu_uint count_steps(const gpu_convolution_arguments *c) {
    gpu_uint n_elements = c->taps[0] * c->taps[1];
    if (c->channels < STEP)
        return (c->channels * n_elements + STEP - 1) / STEP;
    return (c->channels + STEP - 1) / STEP * n_elements;
}

FUNCTION part find_part(const gpu_convolution_arguments *c, gpu_uint step, gpu_uint lane) {
    part p;
    gpu_uint n_elements = c->taps[0] * c->taps[1];
    gpu_uint at = c->channels < STEP ? step * STEP + lane : step;
    gpu_uint block = at / n_elements, element = at - block * n_elements;
    p.channel = c->channels < STEP ? block : block * STEP + lane;
    p.u = element / c->taps[1];
    p.v = element - p.u * c->taps[1];
    p.exists = p.channel < c->channels;
    return p;
}

KERNEL(convolution)
(INPUT(x), INPUT(weight), INPUT(bias), IN_PLACE(residual), OUTPUT(y), gpu_convolution_arguments c) {
    TILE_MEMORY(x_tile, TILE_ROWS);
    TILE_MEMORY(w_tile, TILE_COLUMNS);
    tile_row sums[EACH];
    corner corners[N_PASSES];
    LOCATE(x);
    LOCATE(weight);
    LOCATE(bias);
    LOCATE(residual);
    LOCATE(y);
    gpu_uint stripe = GROUP_ID(0) / c.tiles_across;
    gpu_uint first_filter = (GROUP_ID(0) - stripe * c.tiles_across) * TILE_COLUMNS;
    gpu_uint group = stripe / c.tiles_down;
    gpu_uint first_pixel = (stripe - group * c.tiles_down) * TILE_ROWS;
    gpu_uint lane = LOCAL_ID % STEP, n_steps = count_steps(&c);
#pragma unroll
    for (gpu_uint i = 0; i < N_PASSES; i++)
        corners[i] = find_corner(&c, first_pixel + i * PER_PASS + LOCAL_ID / STEP);
    clear_sums(sums);
    for (gpu_uint step = 0; step < n_steps; step++) {
        part p = find_part(&c, step, lane);
#pragma unroll
        for (gpu_uint i = 0; i < N_PASSES; i++) {
            gpu_uint row = i * PER_PASS + LOCAL_ID / STEP;
            x_tile[lane * TILE_STRIDE(TILE_ROWS) + row] =
                p.exists && first_pixel + row < c.n_pixels
                    ? load_pixel(x, &c, corners[i], p.u, p.v, group * c.channels + p.channel)
                    : 0.0f;
        }
        for (gpu_uint i = LOCAL_ID / STEP; i < TILE_COLUMNS; i += PER_PASS)
            w_tile[lane * TILE_STRIDE(TILE_COLUMNS) + i] =
                p.exists && first_filter + i < c.filters
                    ? load_weight(weight, &c, group * c.filters + first_filter + i, p.channel, p.u,
                                  p.v)
                    : 0.0f;
        BARRIER();
        add_products(sums, x_tile, w_tile);
        BARRIER();
    }
    for (gpu_uint i = 0; i < EACH; i++) {
        gpu_uint pixel = first_pixel + FIRST_ROW + i;
        for (gpu_uint j = 0; j < EACH; j++) {
            gpu_uint filter = first_filter + FIRST_COLUMN + j;
            gpu_uint column = group * c.filters + filter;
            if (pixel < c.n_pixels && filter < c.filters)
                finish_sum(bias, residual, y, c.epilogue, column, pixel * c.all_filters + column,
                           one_of(sums[i], j));
        }
    }
}
