/*
 * What comes after a sum of products: y = activation(scale sum + bias) + residual.
 */
#ifndef SF_BACKENDS_GPU_EPILOGUE_H
#define SF_BACKENDS_GPU_EPILOGUE_H

#include "backends/gpu/kernels/activation.h"

#define GPU_ABSENT (-1) /* the type of an operand that is not there */

typedef struct gpu_epilogue {
    float scale;
    gpu_int function; /* an activation, GPU_NONE */
    gpu_int bias_type, residual_type, y_type;
    gpu_uint bias_stride;
} gpu_epilogue;

#if defined(__OPENCL_VERSION__) || defined(__CUDACC__)

/* scale sum + bias */
FUNCTION float add_bias(GLOBAL const gpu_byte *bias, gpu_epilogue e, gpu_uint column, float sum) {
    sum *= e.scale;
    return e.bias_type == GPU_ABSENT ? sum : sum + load(bias, e.bias_type, column * e.bias_stride);
}

/* What becomes of a sum that is element i of y, in column `column`. */
FUNCTION float finished_sum(GLOBAL const gpu_byte *bias, GLOBAL const gpu_byte *residual,
                            gpu_epilogue e, gpu_uint column, gpu_uint i, float sum) {
    float value = activate(e.function, add_bias(bias, e, column, sum));
    return e.residual_type == GPU_ABSENT ? value : value + load(residual, e.residual_type, i);
}

/* The residual may be y itself. */
FUNCTION void finish_sum(GLOBAL const gpu_byte *bias, GLOBAL const gpu_byte *residual,
                         GLOBAL gpu_byte *y, gpu_epilogue e, gpu_uint column, gpu_uint i,
                         float sum) {
    store(y, e.y_type, i, finished_sum(bias, residual, e, column, i, sum));
}

#endif
#endif
