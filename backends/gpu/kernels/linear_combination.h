/*
 * Arguments of linear_combination.cl.
 */
#ifndef SF_BACKENDS_GPU_LINEAR_COMBINATION_H
#define SF_BACKENDS_GPU_LINEAR_COMBINATION_H

#include "backends/gpu/kernels/view.h"

#define GPU_MOST_TERMS 8

typedef struct gpu_linear_combination_arguments {
    gpu_dims dims;
    gpu_strides x[GPU_MOST_TERMS];
    gpu_uint n, n_terms;
    gpu_uint coefficient_stride;
    gpu_int coefficient_type, x_type, y_type;
} gpu_linear_combination_arguments;

#endif
