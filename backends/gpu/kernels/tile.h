/*
 * Products of matrices in tiles: a group computes TILE_ROWS x TILE_COLUMNS sums. STEP products of each
 * at a time, it has both operands' parts in local memory, from which each work-item adds to sums of its
 * own: EACH rows side by side, and EACH columns, ACROSS apart so that neighbours read and write side by
 * side.
 *
 *     GROUP   tile      work-items      local memory
 *      256   64 x 64   16 x 16          8.1 KiB
 *      128   64 x 32   16 x  8          6.1 KiB
 *       64   32 x 32    8 x  8          4.1 KiB
 *       32   32 x 16    8 x  4          3.1 KiB
 */
#ifndef SF_BACKENDS_GPU_TILE_H
#define SF_BACKENDS_GPU_TILE_H

#include "backends/gpu/kernels/dialect.h"

#define GPU_TILE_STEP 16
#define GPU_TILE_EACH 4

/* By the size of the group, for host and kernel. */
#define GPU_TILE_DOWN(group)    ((group) >= 128 ? 16 : 8)
#define GPU_TILE_ACROSS(group)  ((group) / GPU_TILE_DOWN(group))
#define GPU_TILE_ROWS(group)    (GPU_TILE_EACH * GPU_TILE_DOWN(group))
#define GPU_TILE_COLUMNS(group) (GPU_TILE_EACH * GPU_TILE_ACROSS(group))

#if defined(__OPENCL_VERSION__) || defined(__CUDACC__)

#define STEP         GPU_TILE_STEP
#define EACH         GPU_TILE_EACH
#define ACROSS       GPU_TILE_ACROSS(GROUP)
#define TILE_ROWS    GPU_TILE_ROWS(GROUP)
#define TILE_COLUMNS GPU_TILE_COLUMNS(GROUP)

/* Local memory of `size` rows or columns, STEP times. An odd stride spreads what is written over banks. */
#define TILE_STRIDE(size) ((size) + 1)
#define TILE_FLOATS(size) (STEP * TILE_STRIDE(size))

/* The work-item's place in the tile: its first row, its first column. */
#define FIRST_ROW    (LOCAL_ID / ACROSS * EACH)
#define FIRST_COLUMN (LOCAL_ID % ACROSS)

FUNCTION void clear_sums(float *sums) {
#pragma unroll
    for (int i = 0; i < EACH * EACH; i++)
        sums[i] = 0.0f;
}

/* sums [EACH][EACH] += a [STEP][TILE_ROWS]^T b [STEP][TILE_COLUMNS], the work-item's part */
FUNCTION void add_products(float *sums, LOCAL_POINTER const float *a,
                           LOCAL_POINTER const float *b) {
    a += FIRST_ROW;
    b += FIRST_COLUMN;
#pragma unroll
    for (int k = 0; k < STEP; k++) {
        float row[EACH], column[EACH];
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            row[i] = a[k * TILE_STRIDE(TILE_ROWS) + i];
            column[i] = b[k * TILE_STRIDE(TILE_COLUMNS) + i * ACROSS];
        }
#pragma unroll
        for (int i = 0; i < EACH; i++)
#pragma unroll
            for (int j = 0; j < EACH; j++)
                sums[i * EACH + j] += row[i] * column[j];
    }
}

#endif
#endif
