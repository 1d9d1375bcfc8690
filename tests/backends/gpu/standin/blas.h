/*
 * What the stand-in for cuBLASLt shares: descriptions of products, and the loops. See standin.h.
 */
#ifndef SF_TESTS_BACKENDS_GPU_STANDIN_BLAS_H
#define SF_TESTS_BACKENDS_GPU_STANDIN_BLAS_H

#pragma GCC visibility push(default)
#include <cublasLt.h>
#pragma GCC visibility pop

#include "tests/backends/gpu/standin/standin.h"

/* Column-major: `step` elements from a column to the next. */
typedef struct blas_layout {
    uint32_t magic;
    cudaDataType_t type;
    uint64_t n_rows, n_columns;
    int64_t step, batch_stride;
    int32_t n_batch;
} blas_layout;

typedef struct blas_operation {
    uint32_t magic;
    cublasOperation_t transposes[2]; /* of a and b */
    cublasLtEpilogue_t epilogue;
    const void *bias;
    int32_t bias_type;
} blas_operation;

/* d = alpha a b + beta c + bias, all of it checked already. Sums are in f32. False: no memory. */
typedef struct blas_product {
    const blas_operation *operation;
    const blas_layout *layouts[4]; /* of a, b, c, d */
    const unsigned char *a, *b, *c;
    unsigned char *d;
    float alpha, beta;
} blas_product;

bool blas_multiply(const blas_product *product);

size_t blas_element_bytes(cudaDataType_t type);

#endif
