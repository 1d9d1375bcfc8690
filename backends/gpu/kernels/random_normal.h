/*
 * Arguments of random_normal.cl.
 */
#ifndef SF_BACKENDS_GPU_RANDOM_NORMAL_H
#define SF_BACKENDS_GPU_RANDOM_NORMAL_H

#include "backends/gpu/kernels/dialect.h"

typedef struct gpu_random_normal_arguments {
    gpu_uint n;
    gpu_uint key_stride;
} gpu_random_normal_arguments;

#endif
