/*
 * Arguments of cast.cl.
 */
#ifndef SF_BACKENDS_GPU_CAST_H
#define SF_BACKENDS_GPU_CAST_H

#include "backends/gpu/kernels/view.h"

/* Beside GPU_F32, GPU_F16 and GPU_BF16. */
#define GPU_I32 3
#define GPU_I64 4
#define GPU_U8  5

typedef struct gpu_cast_arguments {
    gpu_dims dims;
    gpu_strides x;
    gpu_uint n;
    gpu_int x_type, y_type;
} gpu_cast_arguments;

#endif
