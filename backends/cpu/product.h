/*
 * A matrix product of any size, in blocks that stay in the caches, on all threads:
 *
 *   y [M, N] = activation(a [M, K] b [K, N] + bias) + residual
 *
 * b is packed block by block on the way, from whatever type it is stored in, so no packed copy of a
 * weight is kept; a is fetched a few rows at a time by a function, so it may be a matrix of any type,
 * or the pixels under a convolution's kernel.
 */
#ifndef SF_BACKENDS_CPU_PRODUCT_H
#define SF_BACKENDS_CPU_PRODUCT_H

#include "backends/cpu/cpu.h"

#define CPU_PRODUCT_MOST_COLUMNS 192 /* of an item, all sets together */

/* The longest stretch of K that fetch and pack are asked for at once; inner_unit is not above it. */
#define CPU_PRODUCT_MOST_INNER 384

typedef struct cpu_product cpu_product;

struct cpu_product {
    int64_t M, N, K;
    int64_t inner_unit; /* stretches of K are multiples of it; 0: any will do */
    int64_t n_products; /* of a batch, each with a and b of its own; 1 for one */
    int64_t n_sets;     /* products of one a with several b, 1 (or 0) or 2; see pack and finish */
    const cpu_kernels *kernels;

    /* a [rows, inner] = rows first_row .. and columns first_inner .. of the product's a, as f32. */
    void (*fetch)(const cpu_product *product, int64_t index, int64_t first_row, int64_t rows,
                  int64_t first_inner, int64_t inner, float *a);
    const void *a; /* what fetch knows */
    /* Where a lies in f32 and in rows anyway: it is read there, and fetch is not called. NULL: no. */
    const float *direct;
    int64_t direct_stride;

    /*
     * Panels of the product's b; see pack_rows in isa/kernels.def. With two sets index is that of the
     * set.
     */
    void (*pack)(const cpu_product *product, int64_t index, int64_t first, int64_t columns,
                 int64_t first_inner, int64_t inner, float *panels);
    const void *b;

    /*
     * What becomes of the sums; for a batch by a function that knows where each goes. The sums of the
     * second set are CPU_PRODUCT_MOST_COLUMNS / 2 columns after those of the first.
     */
    cpu_epilogue epilogue;
    void (*finish)(const cpu_product *product, int64_t index, float *sums, int64_t sums_stride,
                   int64_t first_row, int64_t rows, int64_t first_column, int64_t columns);

    /* set by cpu_product_run */
    int64_t n_stretches, n_row_blocks, n_column_blocks;
};

void cpu_product_run(cpu_backend *backend, cpu_product *product);

#endif
