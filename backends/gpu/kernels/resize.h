/*
 * Arguments of resize.cl.
 */
#ifndef SF_BACKENDS_GPU_RESIZE_H
#define SF_BACKENDS_GPU_RESIZE_H

#include "backends/gpu/kernels/view.h"

typedef struct gpu_resize_arguments {
    gpu_uint in_size[2], out_size[2]; /* height and width */
    gpu_uint columns;                 /* C */
    gpu_uint x[4];                    /* strides of N, H, W, C */
    float scale[2];                   /* in / out */
    gpu_uint n;
    gpu_int x_type, y_type;
    gpu_int bilinear;
} gpu_resize_arguments;

typedef struct gpu_avg_pool2d_arguments {
    gpu_uint out_size[2];
    gpu_uint columns;
    gpu_uint x[4];
    gpu_uint kernel_size[2], stride[2];
    gpu_uint n;
    gpu_int x_type, y_type;
} gpu_avg_pool2d_arguments;

#endif
