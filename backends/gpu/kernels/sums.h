/*
 * Arguments of sums.cl.
 */
#ifndef SF_BACKENDS_GPU_SUMS_H
#define SF_BACKENDS_GPU_SUMS_H

#include "backends/gpu/kernels/reduce.h"

typedef struct gpu_sum_axis_arguments {
    gpu_uint n_sums, n; /* numbers in each */
    gpu_uint inner;     /* elements from one number to the next; sums are that many side by side */
    gpu_uint log_lanes; /* work-items that share a sum */
    gpu_int x_type, y_type;
    float divisor; /* the sums are divided by it */
} gpu_sum_axis_arguments;

typedef struct gpu_count_nonfinite_arguments {
    gpu_uint n;
    gpu_int x_type;
} gpu_count_nonfinite_arguments;

#endif
