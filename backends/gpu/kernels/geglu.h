/*
 * Arguments of geglu.cl.
 */
#ifndef SF_BACKENDS_GPU_GEGLU_H
#define SF_BACKENDS_GPU_GEGLU_H

#include "backends/gpu/kernels/activation.h"
#include "backends/gpu/kernels/view.h"

typedef struct gpu_geglu_arguments {
    gpu_dims dims; /* of y */
    gpu_strides x;
    gpu_uint n;
    gpu_uint gate; /* elements from a number of x to its gate, half a row */
    gpu_int x_type, y_type;
} gpu_geglu_arguments;

#endif
