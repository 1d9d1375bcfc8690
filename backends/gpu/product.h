/*
 * Products of matrices as the ops ask for them: by a kernel that suits the shape, or by the library
 * where the product is large and the library has the types.
 */
#ifndef SF_BACKENDS_GPU_PRODUCT_HOST_H
#define SF_BACKENDS_GPU_PRODUCT_HOST_H

#include "backends/gpu/gpu.h"
#include "backends/gpu/kernels/product.h"

/* One of the factors: a [batch, m, k] or b [batch, n, k]. Strides in elements, 0 repeats. */
typedef struct gpu_factor {
    gpu_place place;
    int32_t dtype; /* sf_dtype */
    gpu_strides batch;
    int64_t row_stride, k_stride;
} gpu_factor;

/* y [batch, m, n] = activation(scale a b^T + bias) + residual; y and residual contiguous. */
typedef struct gpu_factors {
    gpu_dims batch;
    int64_t n_batches, m, n, k;
    gpu_factor a, b;
    gpu_place bias, residual, y;
    int32_t y_dtype;
    gpu_epilogue epilogue;
    gpu_place workspace; /* gpu_product_workspace() bytes */
} gpu_factors;

/* a call's epilogue, and the places of it: bias is input 2, residual input 3 */
gpu_epilogue gpu_epilogue_of(const sf_op_call *call, int32_t activation);

/* The last two dimensions as rows and k, the others as batch. */
gpu_factor gpu_factor_of(const sf_tensor_desc *tensor);

/*
 * x [..., K] as one long matrix where its strides allow, else with its outer dimensions as the batch.
 * Fills in a, batch, n_batches, m and k.
 */
void gpu_take_rows(const sf_tensor_desc *x, gpu_factors *factors);

/* Whether the residual is absent or lies as y does. */
bool gpu_residual_lies_as_output(const sf_op_call *call);

/* Bytes of scratch memory of a call whose output is finished after a product by the library. */
uint64_t gpu_product_workspace(const sf_op_call *call);

/* Whether gpu_product_run() leaves it to the library. */
bool gpu_product_is_library_s(gpu_backend *backend, const gpu_factors *factors);

sf_status gpu_product_run(gpu_backend *backend, const gpu_factors *factors);

/* y = u gelu(v), u and v the halves of a b^T + bias [m, 2n]; b not batched. */
sf_status gpu_product_geglu_run(gpu_backend *backend, const gpu_factors *factors);

/* In tiles of so many rows and columns of y. */
gpu_product_arguments gpu_product_arguments_of(const gpu_factors *factors, uint32_t rows,
                                               uint32_t columns);
gpu_grid gpu_product_grid(const gpu_factors *factors, const gpu_product_arguments *arguments);

/* By our kernel for matrix units; gated as gpu_product_geglu_run(). */
bool gpu_product_halves_applies(const gpu_backend *backend, const gpu_factors *factors);
sf_status gpu_product_halves_run(gpu_backend *backend, const gpu_factors *factors, bool gated);

#endif
