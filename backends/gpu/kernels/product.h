/*
 * Arguments of product.cl.
 */
#ifndef SF_BACKENDS_GPU_PRODUCT_H
#define SF_BACKENDS_GPU_PRODUCT_H

#include "backends/gpu/kernels/epilogue.h"
#include "backends/gpu/kernels/tile.h"
#include "backends/gpu/kernels/view.h"

/* A batch of matrices; "rows" are those of a, and the columns of b. In elements. */
typedef struct gpu_matrix_view {
    gpu_strides batch;
    gpu_uint row_stride, k_stride;
    gpu_int type;
} gpu_matrix_view;

/* y [batch, m, n] */
typedef struct gpu_product_arguments {
    gpu_dims batch;
    gpu_uint m, n, k;
    gpu_uint tiles_down, tiles_across; /* of a matrix */
    gpu_matrix_view a, b;
    gpu_epilogue epilogue;
} gpu_product_arguments;

#endif
