/*
 * Arguments of binary.cl.
 */
#ifndef SF_BACKENDS_GPU_BINARY_H
#define SF_BACKENDS_GPU_BINARY_H

#include "backends/gpu/kernels/view.h"

#define GPU_ADD      0
#define GPU_SUBTRACT 1
#define GPU_MULTIPLY 2
#define GPU_DIVIDE   3

typedef struct gpu_binary_arguments {
    gpu_dims dims; /* of y */
    gpu_strides a, b;
    gpu_uint n;
    gpu_int a_type, b_type, y_type;
    gpu_int function;
} gpu_binary_arguments;

#endif
