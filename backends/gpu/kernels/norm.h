/*
 * Arguments of norm.cl.
 */
#ifndef SF_BACKENDS_GPU_NORM_H
#define SF_BACKENDS_GPU_NORM_H

#include "backends/gpu/kernels/activation.h"
#include "backends/gpu/kernels/reduce.h"

/* What follows the normalisation: scale and shift, where there are such, and an activation. */
typedef struct gpu_norm_finish {
    gpu_int x_type, y_type;
    gpu_int has_scale, scale_type;
    gpu_int has_shift, shift_type;
    gpu_int activation;
    float epsilon;
} gpu_norm_finish;

typedef struct gpu_norm_rows_arguments {
    gpu_norm_finish finish;
    gpu_uint n_rows, n; /* numbers in a row */
    gpu_uint log_lanes; /* work-items that share a row */
} gpu_norm_rows_arguments;

typedef struct gpu_group_norm_arguments {
    gpu_norm_finish finish;
    gpu_uint n_positions, n_channels; /* of a sample */
    gpu_uint n_groups, width;         /* channels of a group */
    gpu_uint slice, n_slices;         /* positions that a group of work-items takes */
} gpu_group_norm_arguments;

#endif
