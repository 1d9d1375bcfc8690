/*
 * What a convolution multiplies, written out: for each pixel of y a row [C, KH, KW] of numbers of x, zeros
 * outside of it, in x's type. Work-item i writes number i.
 */
#include "backends/gpu/kernels/unfold.h"

KERNEL(unfold)(INPUT(x), OUTPUT(rows), gpu_unfold_arguments a) {
    LOCATE(x);
    LOCATE(rows);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    if (i >= a.n)
        return;
    gpu_uint down = a.convolution.taps[0], across = a.convolution.taps[1];
    gpu_uint line = i / across, v = i - line * across;
    gpu_uint plane = line / down, u = line - plane * down;
    gpu_uint pixel = plane / a.convolution.channels;
    gpu_uint channel = plane - pixel * a.convolution.channels;
    corner at = find_corner(&a.convolution, a.first_pixel + pixel);
    store(rows, a.convolution.x_type, i, load_pixel(x, &a.convolution, at, u, v, channel));
}
