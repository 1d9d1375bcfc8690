/*
 * The sum of products that linear, matmul, conv2d and attention are made of.
 */
#include "backends/ref/ref.h"

/* Rows that are computed together, so that b is read once for all of them. */
#define ROWS_AT_ONCE 16

/* c[j] += a[0] b[0][j] + ... + a[3] b[3][j]: four terms at once, so that c is touched once for four,
 * and sums stay short. */
static void add_four(int64_t n, const float *restrict a, const float *restrict b, int64_t b_stride,
                     float *restrict c) {
    const float *restrict b0 = b, *restrict b1 = b + b_stride;
    const float *restrict b2 = b + 2 * b_stride, *restrict b3 = b + 3 * b_stride;
    float a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
    for (int64_t j = 0; j < n; j++)
        c[j] += (a0 * b0[j] + a1 * b1[j]) + (a2 * b2[j] + a3 * b3[j]);
}

static void add_one(int64_t n, float a, const float *restrict b, float *restrict c) {
    for (int64_t j = 0; j < n; j++)
        c[j] += a * b[j];
}

void ref_add_product(int64_t rows, int64_t columns, int64_t inner, const float *a, int64_t a_stride,
                     const float *b, int64_t b_stride, float *c, int64_t c_stride) {
    for (int64_t first = 0; first < rows; first += ROWS_AT_ONCE) {
        int64_t end = first + ROWS_AT_ONCE < rows ? first + ROWS_AT_ONCE : rows;
        int64_t k = 0;
        for (; k + 4 <= inner; k += 4)
            for (int64_t i = first; i < end; i++)
                add_four(columns, a + i * a_stride + k, b + k * b_stride, b_stride,
                         c + i * c_stride);
        for (; k < inner; k++)
            for (int64_t i = first; i < end; i++)
                add_one(columns, a[i * a_stride + k], b + k * b_stride, c + i * c_stride);
    }
}
