/*
 * Arguments of winograd.cl.
 */
#ifndef SF_BACKENDS_GPU_WINOGRAD_H
#define SF_BACKENDS_GPU_WINOGRAD_H

#include "backends/gpu/kernels/epilogue.h"

#define GPU_WINOGRAD_OUTPUTS 4 /* along a side of a tile */
#define GPU_WINOGRAD_SIDE    6
#define GPU_WINOGRAD_POINTS  36

/*
 * x [N, height, width, channels], weight [filters, channels, 3, 3], strides in elements in this order;
 * y [N, y_height, y_width, filters]. A round is n_tiles of the tiles of all images, from first_tile on.
 */
typedef struct gpu_winograd_arguments {
    gpu_uint height, width, y_height, y_width;
    gpu_uint tiles_down, tiles_across; /* of an image */
    gpu_uint first_tile, n_tiles;
    gpu_uint channels, filters;
    gpu_uint padding[2]; /* top, left */
    gpu_uint x_strides[4], weight_strides[4];
    gpu_int x_type, weight_type;
    gpu_epilogue epilogue;
} gpu_winograd_arguments;

#endif
