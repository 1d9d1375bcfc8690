/*
 * Arguments of convolution.cl and direct.cl.
 */
#ifndef SF_BACKENDS_GPU_CONVOLUTION_H
#define SF_BACKENDS_GPU_CONVOLUTION_H

#include "backends/gpu/kernels/epilogue.h"
#include "backends/gpu/kernels/tile.h"

/*
 * x [N, H, W, C], weight [O, C of a group, KH, KW], strides in elements in this order; y [N, H', W', O].
 * Index [0] is along the height.
 */
typedef struct gpu_convolution_arguments {
    gpu_uint height, width;     /* of x */
    gpu_uint y_height, y_width; /* of y */
    gpu_uint n_pixels;          /* of y, in all images */
    gpu_uint channels, filters; /* of a group */
    gpu_uint all_filters;       /* O */
    gpu_uint taps[2];           /* KH, KW */
    gpu_uint stride[2], dilation[2];
    gpu_uint padding[2]; /* top, left */
    gpu_uint x_strides[4], weight_strides[4];
    gpu_uint tiles_down, tiles_across; /* of a group */
    gpu_int x_type, weight_type;
    gpu_epilogue epilogue;
} gpu_convolution_arguments;

#if defined(__OPENCL_VERSION__) || defined(__CUDACC__)

/* Where the kernel's first element meets x, for a pixel of y: maybe outside. */
typedef struct corner {
    gpu_uint start; /* of the image, in elements */
    gpu_int h, w;
} corner;

FUNCTION corner find_corner(const gpu_convolution_arguments *c, gpu_uint pixel) {
    corner at;
    gpu_uint row = pixel / c->y_width, image = row / c->y_height;
    at.h = (gpu_int)((row - image * c->y_height) * c->stride[0]) - (gpu_int)c->padding[0];
    at.w = (gpu_int)((pixel - row * c->y_width) * c->stride[1]) - (gpu_int)c->padding[1];
    at.start = image * c->x_strides[0];
    return at;
}

/* x at element (u, v) of the kernel, channel c of x; zero outside. */
FUNCTION float load_pixel(GLOBAL const gpu_byte *x, const gpu_convolution_arguments *c, corner at,
                          gpu_uint u, gpu_uint v, gpu_uint channel) {
    gpu_uint h = (gpu_uint)at.h + u * c->dilation[0], w = (gpu_uint)at.w + v * c->dilation[1];
    if (h >= c->height || w >= c->width)
        return 0.0f;
    return load(x, c->x_type,
                at.start + h * c->x_strides[1] + w * c->x_strides[2] + channel * c->x_strides[3]);
}

/* The weight of a filter, a channel of its group and an element of the kernel. */
FUNCTION float load_weight(GLOBAL const gpu_byte *weight, const gpu_convolution_arguments *c,
                           gpu_uint filter, gpu_uint channel, gpu_uint u, gpu_uint v) {
    return load(weight, c->weight_type,
                filter * c->weight_strides[0] + channel * c->weight_strides[1] +
                    u * c->weight_strides[2] + v * c->weight_strides[3]);
}

#endif
#endif
