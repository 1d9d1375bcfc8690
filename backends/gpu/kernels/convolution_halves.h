/*
 * Arguments of convolution_halves.cl.
 */
#ifndef SF_BACKENDS_GPU_CONVOLUTION_HALVES_H
#define SF_BACKENDS_GPU_CONVOLUTION_HALVES_H

#include "backends/gpu/kernels/convolution.h"
#include "backends/gpu/kernels/warp_tile.h"

/* Fragments of a warp in a large tile and in a small one, and how many warps are across at most. */
#define GPU_LARGE_PATCH_DOWN   2
#define GPU_LARGE_PATCH_ACROSS 2
#define GPU_LARGE_PATCH_WARPS  2
#define GPU_SMALL_PATCH_DOWN   2
#define GPU_SMALL_PATCH_ACROSS 1
#define GPU_SMALL_PATCH_WARPS  4

/* Pixels of x that a tile may need: 3x3, stride 2, 4 rows of 16 pixels take 9 x 33. */
#define GPU_MOST_PATCH 300

/* Pixels of y that a tile has across: those of a fragment. */
#define GPU_PATCH_ACROSS GPU_FRAGMENT

/* 3x3, one group; x and weight have the kernel's type, the weight is contiguous. */
typedef struct gpu_convolution_halves_arguments {
    gpu_convolution_arguments convolution;
    gpu_uint patch_width, patch_pixels;                  /* of x, for a tile */
    gpu_uint tiles_down, tiles_across, tiles_of_filters; /* the first two: of an image */
    /* each 8 channels, or weights of a filter, lie side by side, at a multiple of 16 bytes */
    gpu_int x_in_eights, weight_in_eights;
    gpu_int y_in_pairs; /* as in warp_rows */
} gpu_convolution_halves_arguments;

#endif
