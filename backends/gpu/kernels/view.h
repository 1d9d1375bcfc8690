/*
 * Tensors with strides, as kernels see them: at most five dimensions, and where an element lies.
 */
#ifndef SF_BACKENDS_GPU_VIEW_H
#define SF_BACKENDS_GPU_VIEW_H

#include "backends/gpu/kernels/dialect.h"

#define GPU_MOST_DIMS 5

/* Dimensions of size 1 are put in front where a tensor has fewer. */
typedef struct gpu_dims {
    gpu_uint size[GPU_MOST_DIMS];
} gpu_dims;

/* In elements, of one tensor with such dimensions; 0 repeats. */
typedef struct gpu_strides {
    gpu_uint step[GPU_MOST_DIMS];
} gpu_strides;

#if defined(__OPENCL_VERSION__) || defined(__CUDACC__)

/* Where element i, counted in row-major order of dims, lies. */
FUNCTION gpu_uint element_at(gpu_dims dims, gpu_strides strides, gpu_uint i) {
    gpu_uint at = 0;
    for (int axis = GPU_MOST_DIMS - 1; axis > 0; axis--) {
        if (dims.size[axis] == 1) /* for all work-items alike, and divisions are dear */
            continue;
        gpu_uint rest = i / dims.size[axis];
        at += (i - rest * dims.size[axis]) * strides.step[axis];
        i = rest;
    }
    return at + i * strides.step[0];
}

#endif
#endif
