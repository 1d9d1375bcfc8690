/*
 * Arguments of product_halves.cl.
 */
#ifndef SF_BACKENDS_GPU_PRODUCT_HALVES_H
#define SF_BACKENDS_GPU_PRODUCT_HALVES_H

#include "backends/gpu/kernels/product.h"
#include "backends/gpu/kernels/warp_tile.h"

/* Fragments of a warp in a large tile and in a small one; warps are 4 across. */
#define GPU_LARGE_DOWN   4
#define GPU_LARGE_ACROSS 2
#define GPU_SMALL_DOWN   2
#define GPU_SMALL_ACROSS 1
#define GPU_HALVES_WARPS 4

/* Both factors have the kernel's type. */
typedef struct gpu_product_halves_arguments {
    gpu_product_arguments product; /* gated: n columns of y, 2 n rows of b */
    /* each 8 numbers along k lie side by side, at a multiple of 16 bytes */
    gpu_int a_in_eights, b_in_eights;
    gpu_int y_in_pairs, gated; /* as in warp_rows */
} gpu_product_halves_arguments;

#endif
