/*
 * Images to another size. Work-item i computes number i of y [N, H', W', C]; neighbours read
 * neighbouring channels.
 */
#include "backends/gpu/kernels/resize.h"

/* Row or column i of y lies at low and, weighted, at high. */
typedef struct position {
    gpu_uint low, high;
    float weight;
} position;

FUNCTION position locate(gpu_int bilinear, gpu_uint i, gpu_uint in, gpu_uint out, float scale) {
    position p;
    float source = bilinear ? f_max(((float)i + 0.5f) * scale - 0.5f, 0.0f)
                            : f_floor((float)i * scale);
    if (in == out)
        source = (float)i;
    p.low = (gpu_uint)source < in - 1 ? (gpu_uint)source : in - 1;
    p.high = p.low < in - 1 ? p.low + 1 : p.low;
    p.weight = bilinear ? source - (float)p.low : 0.0f;
    return p;
}

KERNEL(resize)(INPUT(x), OUTPUT(y), gpu_resize_arguments a) {
    LOCATE(x);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    if (i >= a.n)
        return;
    gpu_uint pixel = i / a.columns, line = pixel / a.out_size[1], image = line / a.out_size[0];
    position r = locate(a.bilinear, line - image * a.out_size[0], a.in_size[0], a.out_size[0],
                        a.scale[0]);
    position s = locate(a.bilinear, pixel - line * a.out_size[1], a.in_size[1], a.out_size[1],
                        a.scale[1]);
    gpu_uint start = image * a.x[0] + (i - pixel * a.columns) * a.x[3];
    gpu_uint top = start + r.low * a.x[1], bottom = start + r.high * a.x[1];
    float value = load(x, a.x_type, top + s.low * a.x[2]);
    if (s.weight != 0.0f)
        value = (1.0f - s.weight) * value + s.weight * load(x, a.x_type, top + s.high * a.x[2]);
    if (r.weight != 0.0f) {
        float lower = load(x, a.x_type, bottom + s.low * a.x[2]);
        if (s.weight != 0.0f)
            lower =
                (1.0f - s.weight) * lower + s.weight * load(x, a.x_type, bottom + s.high * a.x[2]);
        value = (1.0f - r.weight) * value + r.weight * lower;
    }
    store(y, a.y_type, i, value);
}

/* The mean of a window. */
KERNEL(avg_pool2d)(INPUT(x), OUTPUT(y), gpu_avg_pool2d_arguments a) {
    LOCATE(x);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    if (i >= a.n)
        return;
    gpu_uint pixel = i / a.columns, line = pixel / a.out_size[1], image = line / a.out_size[0];
    gpu_uint start = image * a.x[0] + (i - pixel * a.columns) * a.x[3] +
                     (line - image * a.out_size[0]) * a.stride[0] * a.x[1] +
                     (pixel - line * a.out_size[1]) * a.stride[1] * a.x[2];
    float sum = 0.0f;
    for (gpu_uint u = 0; u < a.kernel_size[0]; u++)
        for (gpu_uint v = 0; v < a.kernel_size[1]; v++)
            sum += load(x, a.x_type, start + u * a.x[1] + v * a.x[2]);
    store(y, a.y_type, i, sum / ((float)a.kernel_size[0] * (float)a.kernel_size[1]));
}
