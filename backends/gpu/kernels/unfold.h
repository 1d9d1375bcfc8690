/*
 * Arguments of unfold.cl.
 */
#ifndef SF_BACKENDS_GPU_UNFOLD_H
#define SF_BACKENDS_GPU_UNFOLD_H

#include "backends/gpu/kernels/convolution.h"

/* Pixels of y from first_pixel on, n numbers in all. */
typedef struct gpu_unfold_arguments {
    gpu_convolution_arguments convolution;
    gpu_uint first_pixel, n;
} gpu_unfold_arguments;

#endif
