/*
 * Products of matrices in tiles: a group computes TILE_ROWS x TILE_COLUMNS sums. STEP products of each
 * at a time, it has both operands' parts in local memory, from which each work-item adds to sums of its
 * own, EACH rows and EACH columns side by side. It reads them four at once: reading local memory is what
 * such a kernel waits for.
 *
 *     GROUP   tile      work-items      local memory
 *      256   64 x 64   16 x 16          8.5 KiB
 *      128   64 x 32   16 x  8          6.5 KiB
 *       64   32 x 32    8 x  8          4.5 KiB
 *       32   32 x 16    8 x  4          3.5 KiB
 */
#ifndef SF_BACKENDS_GPU_TILE_H
#define SF_BACKENDS_GPU_TILE_H

#include "backends/gpu/kernels/dialect.h"

#define GPU_TILE_STEP 16
#define GPU_TILE_EACH 4 /* kept in a float4 */

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

/*
 * Local memory of `size` rows or columns, STEP times. The stride keeps fours aligned, and spreads what is
 * written over banks.
 */
#define TILE_STRIDE(size)    ((size) + 4)
#define TILE_FLOATS(size)    (STEP * TILE_STRIDE(size))
#define ALIGNED              __attribute__((aligned(16)))
#define TILE_MEMORY(p, size) LOCAL float p[TILE_FLOATS(size)] ALIGNED

/* The work-item's place in the tile: its first row, its first column. */
#define FIRST_ROW    (LOCAL_ID / ACROSS * EACH)
#define FIRST_COLUMN (LOCAL_ID % ACROSS * EACH)

/* A row of EACH sums. */
typedef float4 tile_row;

FUNCTION tile_row read_four(LOCAL_POINTER const float *p) {
    return *(LOCAL_POINTER const tile_row *)p;
}

/* sums += a b */
FUNCTION void add_scaled(tile_row *sums, float a, tile_row b) {
    sums->x += a * b.x;
    sums->y += a * b.y;
    sums->z += a * b.z;
    sums->w += a * b.w;
}

FUNCTION void clear_sums(tile_row *sums) {
#pragma unroll
    for (int i = 0; i < EACH; i++)
        sums[i].x = sums[i].y = sums[i].z = sums[i].w = 0.0f;
}

/* sums [EACH] += a [STEP][TILE_ROWS]^T b [STEP][TILE_COLUMNS], the work-item's part */
FUNCTION void add_products(tile_row *sums, LOCAL_POINTER const float *a,
                           LOCAL_POINTER const float *b) {
    a += FIRST_ROW;
    b += FIRST_COLUMN;
#pragma unroll
    for (int k = 0; k < STEP; k++) {
        tile_row rows = read_four(a + k * TILE_STRIDE(TILE_ROWS));
        tile_row columns = read_four(b + k * TILE_STRIDE(TILE_COLUMNS));
        add_scaled(&sums[0], rows.x, columns);
        add_scaled(&sums[1], rows.y, columns);
        add_scaled(&sums[2], rows.z, columns);
        add_scaled(&sums[3], rows.w, columns);
    }
}

/* One of a row, by its number. */
FUNCTION float one_of(tile_row row, gpu_uint i) {
    return i == 0 ? row.x : i == 1 ? row.y : i == 2 ? row.z : row.w;
}

#endif
#endif
