/*
 * The matrix product in registers: PRODUCT_ROWS rows of a times PRODUCT_VECTORS vectors of columns of
 * b, the sums in registers all the while. What everything with products in it is made of.
 *
 * b lies in panels of PRODUCT_VECTORS vectors of columns, the last one of as many as are left; a
 * panel is [inner][columns of the panel].
 *
 * A lane of a and b is 32 bits: a number in f32, or where the instruction set has units for it two of
 * the inner dimension in bf16. Then a panel is [inner / 2, rounded up][columns][2], the last pair filled
 * up with 0. The sums are in f32 either way. What is written for both takes `pairs`, a constant.
 */
#ifndef SF_BACKENDS_CPU_ISA_PRODUCT_H
#define SF_BACKENDS_CPU_ISA_PRODUCT_H

#include <stdbool.h>

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

/* Lanes of so many numbers. */
INLINE int64_t product_lanes(bool pairs, int64_t inner) {
    return pairs ? (inner + 1) / 2 : inner;
}

/* One lane of a in all lanes; of a pair only the first number if it is half. */
INLINE vec product_element(const char *a, bool is_half) {
    float lane = 0;
    memcpy(&lane, a, is_half ? 2 : 4);
    return vec_of(lane);
}

INLINE vec product_sum(bool pairs, vec sum, vec a, vec b) {
#if VECTOR_BF16
    if (pairs)
        return vec_add_pairs(sum, a, b);
#endif
    (void)pairs;
    return sum + a * b;
}

/* sums += a b for so many lanes of each row, constant rows and vectors; a_stride in bytes */
INLINE void product_add(bool pairs, bool is_half, int rows, int vectors, int64_t lanes,
                        const char *a, int64_t a_stride, const float *b,
                        vec sums[PRODUCT_ROWS][PRODUCT_VECTORS]) {
    for (int64_t k = 0; k < lanes; k++, b += vectors * VECTOR) {
        vec row[PRODUCT_VECTORS];
        UNROLL
        for (int j = 0; j < vectors; j++)
            row[j] = vec_load(b + j * VECTOR);
        UNROLL
        for (int i = 0; i < rows; i++) {
            vec element = product_element(a + i * a_stride + 4 * k, is_half);
            UNROLL
            for (int j = 0; j < vectors; j++)
                sums[i][j] = product_sum(pairs, sums[i][j], element, row[j]);
        }
    }
}

#define PRODUCT_LINE 16 /* lanes of a line of the cache */

/*
 * c [rows, vectors * VECTOR] = (add ? c : 0) + a b, for constant rows and vectors; a_stride in bytes.
 * Meanwhile the rows of a and c that come next are asked for: they lie in short pieces, which the
 * processor does not foresee.
 */
INLINE void product_block(bool pairs, int rows, int vectors, int64_t inner, const char *a,
                          int64_t a_stride, const float *b, float *c, int64_t c_stride, int add) {
    vec sums[PRODUCT_ROWS][PRODUCT_VECTORS];
    int64_t k = 0, lanes = pairs ? inner / 2 : inner; /* whole ones */
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < vectors; j++)
            sums[i][j] = add ? vec_load(c + i * c_stride + j * VECTOR) : vec_zero();
    }
    for (; k + PRODUCT_LINE <= lanes; k += PRODUCT_LINE) {
        UNROLL
        for (int i = 0; i < rows; i++)
            __builtin_prefetch(
                (const void *)((uintptr_t)a + (uintptr_t)((rows + i) * a_stride + 4 * k)));
        product_add(pairs, false, rows, vectors, PRODUCT_LINE, a + 4 * k, a_stride, b, sums);
        b += PRODUCT_LINE * vectors * VECTOR;
    }
    if (k < lanes)
        product_add(pairs, false, rows, vectors, lanes - k, a + 4 * k, a_stride, b, sums);
    b += (lanes - k) * vectors * VECTOR;
    if (pairs && inner % 2)
        product_add(pairs, true, rows, vectors, 1, a + 4 * lanes, a_stride, b, sums);
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < vectors; j++)
            vec_store(c + i * c_stride + j * VECTOR, sums[i][j]);
    }
}

#endif
