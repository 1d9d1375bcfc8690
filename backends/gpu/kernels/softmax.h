/*
 * Arguments of softmax.cl.
 */
#ifndef SF_BACKENDS_GPU_SOFTMAX_H
#define SF_BACKENDS_GPU_SOFTMAX_H

#include "backends/gpu/kernels/reduce.h"

typedef struct gpu_softmax_arguments {
    gpu_uint n_rows, n; /* numbers in a row */
    gpu_uint log_lanes; /* work-items that share a row */
    gpu_int x_type, y_type;
} gpu_softmax_arguments;

#endif
