/*
 * The matrix product in registers: PRODUCT_ROWS rows of a times PRODUCT_VECTORS vectors of columns of
 * b, the sums in registers all the while. What everything with products in it is made of.
 *
 * b lies in panels of PRODUCT_VECTORS vectors of columns, the last one of as many as are left; a
 * panel is [inner][columns of the panel].
 */
#ifndef SF_BACKENDS_CPU_ISA_PRODUCT_H
#define SF_BACKENDS_CPU_ISA_PRODUCT_H

#include "backends/cpu/isa/vector.h"

/* As many sums as leave registers for a row of b and one element of a: 24 of 32, 12 of 16. */
#if VECTOR == 16
#define PRODUCT_ROWS    8
#define PRODUCT_VECTORS 3
#elif VECTOR == 8
#define PRODUCT_ROWS    6
#define PRODUCT_VECTORS 2
#else
#define PRODUCT_ROWS    4
#define PRODUCT_VECTORS 2
#endif
#define PRODUCT_COLUMNS (PRODUCT_VECTORS * VECTOR)

/* sums += a b for `inner` elements of each row, constant rows and vectors */
INLINE void product_add(int rows, int vectors, int64_t inner, const float *a, int64_t a_stride,
                        const float *b, vec sums[PRODUCT_ROWS][PRODUCT_VECTORS]) {
    for (int64_t k = 0; k < inner; k++, b += vectors * VECTOR) {
        vec row[PRODUCT_VECTORS];
        UNROLL
        for (int j = 0; j < vectors; j++)
            row[j] = vec_load(b + j * VECTOR);
        UNROLL
        for (int i = 0; i < rows; i++) {
            vec element = vec_of(a[i * a_stride + k]);
            UNROLL
            for (int j = 0; j < vectors; j++)
                sums[i][j] += element * row[j];
        }
    }
}

#define PRODUCT_LINE 16 /* floats of a line of the cache */

/*
 * c [rows, vectors * VECTOR] = (add ? c : 0) + a b, for constant rows and vectors. Meanwhile the rows of
 * a and c that come next are asked for: they lie in short pieces, which the processor does not foresee.
 */
INLINE void product_block(int rows, int vectors, int64_t inner, const float *a, int64_t a_stride,
                          const float *b, float *c, int64_t c_stride, int add) {
    vec sums[PRODUCT_ROWS][PRODUCT_VECTORS];
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < vectors; j++)
            sums[i][j] = add ? vec_load(c + i * c_stride + j * VECTOR) : vec_zero();
    }
    int64_t k = 0;
    for (; k + PRODUCT_LINE <= inner; k += PRODUCT_LINE) {
        UNROLL
        for (int i = 0; i < rows; i++)
            vec_prefetch(SF_F32, a, (rows + i) * a_stride + k);
        product_add(rows, vectors, PRODUCT_LINE, a + k, a_stride, b, sums);
        b += PRODUCT_LINE * vectors * VECTOR;
    }
    if (k < inner)
        product_add(rows, vectors, inner - k, a + k, a_stride, b, sums);
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < vectors; j++)
            vec_store(c + i * c_stride + j * VECTOR, sums[i][j]);
    }
}

#endif
