/*
 * Arguments of copy.cl. What is counted are units of 1, 2, 4 or 8 bytes: elements, or several that lie
 * together.
 */
#ifndef SF_BACKENDS_GPU_COPY_H
#define SF_BACKENDS_GPU_COPY_H

#include "backends/gpu/kernels/view.h"

#define GPU_MOST_PARTS 9 /* inputs of concat */

typedef struct gpu_copy_elements_arguments {
    gpu_dims dims;
    gpu_strides from, to;
    gpu_uint n;     /* units */
    gpu_uint begin; /* the first unit of the output */
    gpu_uint unit_bytes;
} gpu_copy_elements_arguments;

typedef struct gpu_concat_arguments {
    gpu_copy_elements_arguments part[GPU_MOST_PARTS];
} gpu_concat_arguments;

#endif
