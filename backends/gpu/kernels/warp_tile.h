/*
 * Tiles of sums by matrix units: what products and convolutions of half types share. The warps of a group
 * lie in a grid beside each other, 2 or 4 of them across, and each has down x across fragments of sums
 * (fragment.h).
 *
 *     GROUP   warps, 4 or 2 across
 *      256     2 x 4, 4 x 2
 *      128     2 x 2
 *       64     1 x 2
 *
 * Groups of 32, a single warp, are not for them.
 *
 * When all is added up the sums go by way of local memory, so that neighbours finish numbers that lie side
 * by side, and the code which finishes one is there once.
 */
#ifndef SF_BACKENDS_GPU_WARP_TILE_H
#define SF_BACKENDS_GPU_WARP_TILE_H

#include "backends/gpu/kernels/epilogue.h"
#include "backends/gpu/kernels/fragment.h"

/* By the size of the group, for host and kernel. most: 4 or 2 */
#define GPU_LEAST_WARPS_GROUP         64
#define GPU_WARPS_ACROSS(group, most) ((group) >= 64 * (most) ? (most) : 2)
#define GPU_WARPS_DOWN(group, most)   ((group) / GPU_WARP / GPU_WARPS_ACROSS(group, most))

/* Rows of a tile, and columns, of warps which have so many fragments down or across. */
#define GPU_WARP_ROWS(group, most, down) (GPU_WARPS_DOWN(group, most) * GPU_FRAGMENT * (down))
#define GPU_WARP_COLUMNS(group, most, across)                                                      \
    (GPU_WARPS_ACROSS(group, most) * GPU_FRAGMENT * (across))

#if defined(__OPENCL_VERSION__) || defined(__CUDACC__)

#define MOST_ACROSS 2
#define IN_EIGHTS   __attribute__((aligned(16)))

FUNCTION void clear_fragments(float *sums, const gpu_uint n) {
    UNROLL
    for (gpu_uint i = 0; i < n * WARP_SUMS; i++)
        sums[i] = 0.0f;
}

/* sums [down][across] += a b, a [down][16, 16] whose fragments are a_step numbers apart */
FUNCTION void add_fragments(float *sums, LOCAL_POINTER const half_bits *a, gpu_uint a_step,
                            gpu_uint a_pitch, const fragment *b, const gpu_uint down,
                            const gpu_uint across, const gpu_int type) {
    UNROLL
    for (gpu_uint i = 0; i < down; i++) {
        fragment rows = take_rows(a + i * a_step, a_pitch);
        UNROLL
        for (gpu_uint j = 0; j < across; j++)
            multiply_add(sums + (i * across + j) * WARP_SUMS, rows, b[j], type);
    }
}

/* ---- finishing ---- */

/* Sums [16, 16 across] of a warp in local memory; the pitch spreads rows over banks. */
#define SUMS_PITCH(across)  (GPU_FRAGMENT * (across) + 8)
#define SUMS_FLOATS(across) (GPU_FRAGMENT * SUMS_PITCH(across))

FUNCTION void put_sums(LOCAL_POINTER float *to, const float *sums, const gpu_uint across) {
    UNROLL
    for (gpu_uint j = 0; j < across; j++) {
        LOCAL_POINTER float *own = to + j * GPU_FRAGMENT;
        UNROLL
        for (gpu_uint i = 0; i < WARP_SUMS; i++)
            own[SUM_ROW(LANE, i) * SUMS_PITCH(across) + SUM_COLUMN(LANE, i)] =
                sums[j * WARP_SUMS + i];
    }
}

/* Where a warp's 16 rows go in y [rows, n]. */
typedef struct warp_rows {
    gpu_uint row;        /* of y, the first one */
    gpu_uint first, end; /* the same row as it is counted where they end */
    gpu_uint column, n;  /* the first one */
    gpu_int in_pairs;    /* y has a half type, and each two columns of it lie in 4 bytes */
    gpu_int gated;       /* columns are those of u, then as many of v: y = u gelu(v) */
} warp_rows;

FUNCTION float finished_number(GLOBAL const gpu_byte *bias, GLOBAL const gpu_byte *residual,
                               gpu_epilogue e, warp_rows at, LOCAL_POINTER const float *sums,
                               gpu_uint gate, gpu_uint column, gpu_uint i) {
    if (!at.gated)
        return finished_sum(bias, residual, e, column, i, sums[0]);
    return add_bias(bias, e, column, sums[0]) *
           activate(GPU_GELU, add_bias(bias, e, at.n + column, sums[gate]));
}

/* Each work-item of the warp finishes two neighbours at a time. */
FUNCTION void finish_rows(GLOBAL const gpu_byte *bias, GLOBAL const gpu_byte *residual,
                          GLOBAL gpu_byte *y, gpu_epilogue e, warp_rows at,
                          LOCAL_POINTER const float *sums, const gpu_uint across) {
    gpu_uint width = at.gated ? GPU_FRAGMENT / 2 * across : GPU_FRAGMENT * across;
    for (gpu_uint two = LANE; two < GPU_FRAGMENT * width / 2; two += GPU_WARP) {
        gpu_uint row = 2 * two / width, own = 2 * two - row * width;
        gpu_uint column = at.column + own, i = (at.row + row) * at.n + column;
        LOCAL_POINTER const float *from = sums + row * SUMS_PITCH(across) + own;
        if (at.first + row >= at.end || column >= at.n)
            continue;
        float numbers[2];
        bool is_last = column + 1 == at.n;
        UNROLL
        for (gpu_uint j = 0; j < 2; j++)
            numbers[j] = j && is_last ? 0.0f
                                      : finished_number(bias, residual, e, at, from + j, width,
                                                        column + j, i + j);
        if (at.in_pairs) {
            ((GLOBAL gpu_uint *)y)[i / 2] = narrow_two(numbers[0], numbers[1], e.y_type);
            continue;
        }
        store(y, e.y_type, i, numbers[0]);
        if (!is_last)
            store(y, e.y_type, i + 1, numbers[1]);
    }
}

#endif
#endif
