/*
 * Arguments of copy.cl.
 */
#ifndef SF_BACKENDS_GPU_COPY_H
#define SF_BACKENDS_GPU_COPY_H

#include "backends/gpu/kernels/view.h"

typedef struct gpu_copy_elements_arguments {
    gpu_dims dims;
    gpu_strides from, to;
    gpu_uint n;
    gpu_uint unit_bytes; /* of an element: 1, 2, 4 or 8 */
} gpu_copy_elements_arguments;

#endif
