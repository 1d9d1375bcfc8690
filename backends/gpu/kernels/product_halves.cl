/*
 * Products of matrices of f16 or bf16 by matrix units, with any strides, in batches; with `gated`,
 * y = u gelu(v), u the product with the first n rows of b and v that with the n rows after them.
 *
 * A group makes a tile, DEPTH products of each sum at a time. While one step is multiplied the next ones
 * come in: two stages of a large tile, four of a small one, take the same local memory.
 *
 *     GROUP   large        small       local memory
 *      256   128 x 128    64 x 64     40 KiB
 *      128   128 x  64    64 x 32     30 KiB
 *       64    64 x  64    32 x 32     20 KiB
 */
#include "backends/gpu/kernels/product_halves.h"

#define DEPTH  32
#define PITCH 40 /* an odd multiple of 8, for the banks */

#define ROWS(down)          GPU_WARP_ROWS(GROUP, GPU_HALVES_WARPS, down)
#define COLUMNS(across)     GPU_WARP_COLUMNS(GROUP, GPU_HALVES_WARPS, across)
#define WARPS_ACROSS        GPU_WARPS_ACROSS(GROUP, GPU_HALVES_WARPS)
#define LARGE_STAGES        2
#define SMALL_STAGES        4
#define N_STAGES(down)      ((down) == GPU_LARGE_DOWN ? LARGE_STAGES : SMALL_STAGES)
#define STAGE(down, across) ((ROWS(down) + COLUMNS(across)) * PITCH)
#define LOCAL_HALVES        (LARGE_STAGES * STAGE(GPU_LARGE_DOWN, GPU_LARGE_ACROSS))

/* A matrix of the batch, and the part of it that a tile has. */
typedef struct matrix_part {
    GLOBAL const gpu_byte *p;
    gpu_uint row_stride, k_stride, k;
    gpu_uint first, n_rows; /* gated: of a half */
    gpu_int in_eights, gated;
} matrix_part;

/* Where row r of a tile begins; gated, a warp's columns are `run` of the first half and as many of the second. */
FUNCTION gpu_uint find_row(const matrix_part *m, gpu_uint r, const gpu_uint run, bool *inside) {
    gpu_uint row = m->gated ? m->first + r / (2 * run) * run + r % run : m->first + r;
    *inside = row < m->n_rows;
    return (m->gated && r / run % 2 ? m->n_rows + row : row) * m->row_stride;
}

/* tile [rows][PITCH] = the part from k on, zeros past its rows and past its k */
FUNCTION void stage_part(LOCAL_POINTER half_bits *tile, const matrix_part *m, gpu_uint k,
                         const gpu_uint rows, const gpu_uint run) {
    bool inside;
    if (m->in_eights) {
UNROLL
        for (gpu_uint pass = 0; pass < rows * (DEPTH / 8) / GROUP; pass++) {
            gpu_uint r = pass * (GROUP / (DEPTH / 8)) + LOCAL_ID / (DEPTH / 8);
            gpu_uint s = LOCAL_ID % (DEPTH / 8) * 8, at = find_row(m, r, run, &inside) + k + s;
            copy_eight(tile + r * PITCH + s, m->p + 2 * (gpu_ulong)at, inside && k + s < m->k);
        }
        return;
    }
    for (gpu_uint i = LOCAL_ID; i < rows * DEPTH; i += GROUP) {
        gpu_uint r = m->k_stride == 1 ? i / DEPTH : i & (rows - 1); /* a power of two */
        gpu_uint s = m->k_stride == 1 ? i % DEPTH : i / rows;
        gpu_uint at = find_row(m, r, run, &inside) + (k + s) * m->k_stride;
        tile[r * PITCH + s] =
            inside && k + s < m->k ? ((GLOBAL const half_bits *)m->p)[at] : (half_bits)0;
    }
}

/* One step, of the work-item's warp. */
FUNCTION void add_step(float *sums, LOCAL_POINTER const half_bits *a,
                       LOCAL_POINTER const half_bits *b, const gpu_uint down,
                       const gpu_uint across, const gpu_int type) {
    fragment columns[MOST_ACROSS];
UNROLL
    for (gpu_uint k = 0; k < DEPTH; k += GPU_FRAGMENT) {
UNROLL
        for (gpu_uint j = 0; j < across; j++)
            columns[j] = take_other_rows(b + j * GPU_FRAGMENT * PITCH + k, PITCH);
        add_fragments(sums, a + k, GPU_FRAGMENT * PITCH, PITCH, columns, down, across, type);
    }
}

/* Begins to bring a step of both factors to its stage; past the last one nothing. */
FUNCTION void bring_step(LOCAL_POINTER half_bits *stages, const matrix_part *a,
                         const matrix_part *b, gpu_uint step, const gpu_uint down,
                         const gpu_uint across) {
    LOCAL_POINTER half_bits *to = stages + step % N_STAGES(down) * STAGE(down, across);
    if (step * DEPTH < a->k) {
        stage_part(to, a, step * DEPTH, ROWS(down), GPU_FRAGMENT);
        stage_part(to + ROWS(down) * PITCH, b, step * DEPTH, COLUMNS(across),
                   GPU_FRAGMENT / 2 * across);
    }
    close_copies();
}

/* sums = the products of the warp's rows of a and of b; what a step brings is multiplied some steps later */
FUNCTION void add_up(const matrix_part *a, const matrix_part *b, LOCAL_POINTER half_bits *stages,
                     float *sums, const gpu_uint down, const gpu_uint across, const gpu_int type) {
    gpu_uint warp = LOCAL_ID / GPU_WARP, row = warp / WARPS_ACROSS * down * GPU_FRAGMENT;
    gpu_uint column = warp % WARPS_ACROSS * across * GPU_FRAGMENT;
    gpu_uint n_steps = (a->k + DEPTH - 1) / DEPTH;
    bool has_columns = b->first + (b->gated ? column / 2 : column) < b->n_rows; /* the warp */
    clear_fragments(sums, down * across);
    for (gpu_uint step = 0; step < n_steps + N_STAGES(down) - 1; step++) {
        LOCAL_POINTER const half_bits *from =
            stages + (step + 1) % N_STAGES(down) * STAGE(down, across);
        if (down == GPU_LARGE_DOWN)
            WAIT_COPIES(LARGE_STAGES - 2);
        else
            WAIT_COPIES(SMALL_STAGES - 2);
        BARRIER();
        bring_step(stages, a, b, step, down, across);
        if (has_columns && step + 1 >= N_STAGES(down))
            add_step(sums, from + row * PITCH, from + (ROWS(down) + column) * PITCH, down, across,
                     type);
    }
}

FUNCTION void multiply(GLOBAL const gpu_byte *a, GLOBAL const gpu_byte *b,
                       GLOBAL const gpu_byte *bias, GLOBAL const gpu_byte *residual,
                       GLOBAL gpu_byte *y, const gpu_product_halves_arguments *h,
                       LOCAL_POINTER half_bits *stages, float *sums, const gpu_uint down,
                       const gpu_uint across, const gpu_int type) {
    const gpu_product_arguments *p = &h->product;
    const gpu_uint columns = COLUMNS(across);
    gpu_uint stripe = GROUP_ID(0) / p->tiles_across, warp = LOCAL_ID / GPU_WARP;
    gpu_uint column = (GROUP_ID(0) - stripe * p->tiles_across) * (h->gated ? columns / 2 : columns);
    gpu_uint batch = stripe / p->tiles_down, row = (stripe - batch * p->tiles_down) * ROWS(down);
    const matrix_part a_part = {
        a + 2 * (gpu_ulong)element_at(p->batch, p->a.batch, batch), p->a.row_stride, p->a.k_stride,
        p->k, row, p->m, h->a_in_eights, 0};
    const matrix_part b_part = {
        b + 2 * (gpu_ulong)element_at(p->batch, p->b.batch, batch), p->b.row_stride, p->b.k_stride,
        p->k, column, p->n, h->b_in_eights, h->gated};
    add_up(&a_part, &b_part, stages, sums, down, across, type);

    LOCAL_POINTER float *own = (LOCAL_POINTER float *)stages + warp * SUMS_FLOATS(across);
    gpu_uint width = GPU_FRAGMENT * across;
    warp_rows at;
    at.column = column + warp % WARPS_ACROSS * (h->gated ? width / 2 : width);
    at.end = p->m;
    at.n = p->n;
    at.in_pairs = h->y_in_pairs;
    at.gated = h->gated;
    row += warp / WARPS_ACROSS * down * GPU_FRAGMENT;
UNROLL
    for (gpu_uint i = 0; i < down; i++) {
        BARRIER();
        put_sums(own, sums + i * across * WARP_SUMS, across);
        BARRIER();
        at.row = batch * p->m + row;
        at.first = row;
        finish_rows(bias, residual, y, p->epilogue, at, own, across);
        row += GPU_FRAGMENT;
    }
}

/* product_TYPE: in large tiles; product_TYPE_small: in small ones, for grids that would not fill a device */

KERNEL_TWICE(product_f16)
(INPUT(a), INPUT(b), INPUT(bias), IN_PLACE(residual), OUTPUT(y), gpu_product_halves_arguments p) {
    LOCAL half_bits stages[LOCAL_HALVES] IN_EIGHTS;
    float sums[GPU_LARGE_DOWN * GPU_LARGE_ACROSS * WARP_SUMS];
    multiply(a + a_offset, b + b_offset, bias + bias_offset, residual + residual_offset,
             y + y_offset, &p, stages, sums, GPU_LARGE_DOWN, GPU_LARGE_ACROSS, GPU_F16);
}

KERNEL_TWICE(product_bf16)
(INPUT(a), INPUT(b), INPUT(bias), IN_PLACE(residual), OUTPUT(y), gpu_product_halves_arguments p) {
    LOCAL half_bits stages[LOCAL_HALVES] IN_EIGHTS;
    float sums[GPU_LARGE_DOWN * GPU_LARGE_ACROSS * WARP_SUMS];
    multiply(a + a_offset, b + b_offset, bias + bias_offset, residual + residual_offset,
             y + y_offset, &p, stages, sums, GPU_LARGE_DOWN, GPU_LARGE_ACROSS, GPU_BF16);
}

KERNEL_TWICE(product_f16_small)
(INPUT(a), INPUT(b), INPUT(bias), IN_PLACE(residual), OUTPUT(y), gpu_product_halves_arguments p) {
    LOCAL half_bits stages[LOCAL_HALVES] IN_EIGHTS;
    float sums[GPU_SMALL_DOWN * GPU_SMALL_ACROSS * WARP_SUMS];
    multiply(a + a_offset, b + b_offset, bias + bias_offset, residual + residual_offset,
             y + y_offset, &p, stages, sums, GPU_SMALL_DOWN, GPU_SMALL_ACROSS, GPU_F16);
}

KERNEL_TWICE(product_bf16_small)
(INPUT(a), INPUT(b), INPUT(bias), IN_PLACE(residual), OUTPUT(y), gpu_product_halves_arguments p) {
    LOCAL half_bits stages[LOCAL_HALVES] IN_EIGHTS;
    float sums[GPU_SMALL_DOWN * GPU_SMALL_ACROSS * WARP_SUMS];
    multiply(a + a_offset, b + b_offset, bias + bias_offset, residual + residual_offset,
             y + y_offset, &p, stages, sums, GPU_SMALL_DOWN, GPU_SMALL_ACROSS, GPU_BF16);
}
