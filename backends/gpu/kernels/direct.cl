/*
 * Convolution output by output, for groups of so few filters that a tile would be mostly empty: depthwise
 * above all. Work-item i computes element i of y.
 */
#include "backends/gpu/kernels/convolution.h"

KERNEL(convolution_direct)
(INPUT(x), INPUT(weight), INPUT(bias), IN_PLACE(residual), OUTPUT(y), gpu_convolution_arguments c) {
    LOCATE(x);
    LOCATE(weight);
    LOCATE(bias);
    LOCATE(residual);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    gpu_uint pixel = i / c.all_filters, filter = i - pixel * c.all_filters;
    if (pixel >= c.n_pixels)
        return;
    gpu_uint first_channel = filter / c.filters * c.channels;
    corner at = find_corner(&c, pixel);
    float sum = 0.0f;
    for (gpu_uint u = 0; u < c.taps[0]; u++)
        for (gpu_uint v = 0; v < c.taps[1]; v++)
            for (gpu_uint k = 0; k < c.channels; k++)
                sum += load_pixel(x, &c, at, u, v, first_channel + k) *
                       load_weight(weight, &c, filter, k, u, v);
    finish_sum(bias, residual, y, c.epilogue, filter, i, sum);
}
