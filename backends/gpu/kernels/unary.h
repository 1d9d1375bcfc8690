/*
 * Arguments of unary.cl.
 */
#ifndef SF_BACKENDS_GPU_UNARY_H
#define SF_BACKENDS_GPU_UNARY_H

#include "backends/gpu/kernels/activation.h"
#include "backends/gpu/kernels/view.h"

typedef struct gpu_unary_arguments {
    gpu_dims dims;
    gpu_strides x;
    gpu_uint n;
    gpu_int x_type, y_type;
    gpu_int function;
} gpu_unary_arguments;

typedef struct gpu_range_arguments {
    gpu_dims dims;
    gpu_strides x;
    gpu_uint n;
    gpu_int x_type, y_type;
    float first, second; /* scale and shift, lowest and highest */
} gpu_range_arguments;

#endif
