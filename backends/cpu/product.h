/*
 * A matrix product of any size, in blocks that stay in the caches, on all threads:
 *
 *   y [M, N] = activation(a [M, K] b [K, N] + bias) + residual
 *
 * b is packed block by block on the way, from whatever type it is stored in, so no packed copy of a
 * weight is kept; a is fetched a few rows at a time by a function, so it may be a matrix of any type,
 * or the pixels under a convolution's kernel.
 *
 * Where a is stored in bf16, b in half precision, and the processor has dot products of bf16, a and b are
 * multiplied in bf16 with sums in f32: cpu_product_in_bf16() says so. Else all is widened to f32.
 */
#ifndef SF_BACKENDS_CPU_PRODUCT_H
#define SF_BACKENDS_CPU_PRODUCT_H

#include "backends/cpu/cpu.h"

#define CPU_PRODUCT_MOST_COLUMNS 192 /* of an item, all sets together */

/*
 * The longest stretch of K that fetch and pack are asked for at once, twice that in bf16; inner_unit is
 * not above it.
 */
#define CPU_PRODUCT_MOST_INNER 384

typedef struct cpu_product cpu_product;

struct cpu_product {
    int64_t M, N, K;
    int64_t inner_unit; /* stretches of K are multiples of it; 0: any will do */
    int64_t n_products; /* of a batch, each with a and b of its own; 1 for one */
    int64_t n_sets;     /* products of one a with several b, 1 (or 0) or 2; see pack and finish */
    bool in_bf16;       /* fetch and pack give bf16, else f32 */
    const cpu_kernels *kernels;

    /* a [rows, inner] = rows first_row .. and columns first_inner .. of the product's a. */
    void (*fetch)(const cpu_product *product, int64_t index, int64_t first_row, int64_t rows,
                  int64_t first_inner, int64_t inner, void *a);
    const void *a; /* what fetch knows */
    /* Where a lies so and in rows anyway: it is read there, and fetch is not called. NULL: no. */
    const void *direct;
    int64_t direct_stride; /* elements */

    /*
     * Panels of the product's b; see pack_rows in isa/kernels.def. With two sets index is that of the
     * set.
     */
    void (*pack)(const cpu_product *product, int64_t index, int64_t first, int64_t columns,
                 int64_t first_inner, int64_t inner, void *panels);
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

/* Whether products of these types are for the processor's units for bf16. */
bool cpu_product_in_bf16(const cpu_kernels *kernels, int32_t a_dtype, int32_t b_dtype);

/* n elements of a row of type dtype as fetch has to give them; in bf16 they are that already. */
void cpu_product_load(const cpu_product *product, int32_t dtype, const void *source, void *a,
                      int64_t n);

/* kernels->pack_rows() in the product's type: what pack is for a weight. */
void cpu_product_pack_rows(const cpu_product *product, const cpu_matrix *b, int64_t first,
                           int64_t columns, int64_t first_inner, int64_t inner, void *panels);

void cpu_product_run(cpu_backend *backend, cpu_product *product);

#endif
