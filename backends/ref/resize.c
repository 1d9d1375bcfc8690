/*
 * resize and avg_pool2d. Positions are computed in f32 as PyTorch does, so that the same pixels are
 * met at sizes where rounding decides.
 */
#include "backends/ref/ref.h"

#include <math.h>

static ref_position nearest(int64_t i, int64_t in, int64_t out) {
    int64_t source = (int64_t)floorf((float)i * ((float)in / (float)out));
    source = source < in - 1 ? source : in - 1;
    return (ref_position){source, source, 0};
}

static ref_position bilinear(int64_t i, int64_t in, int64_t out) {
    float source = ((float)i + 0.5f) * ((float)in / (float)out) - 0.5f;
    source = in == out ? (float)i : source < 0 ? 0 : source;
    int64_t low = (int64_t)source < in - 1 ? (int64_t)source : in - 1;
    return (ref_position){low, low < in - 1 ? low + 1 : low, source - (float)low};
}

ref_position ref_locate(int32_t mode, int64_t i, int64_t in, int64_t out) {
    return mode == SF_RESIZE_NEAREST ? nearest(i, in, out) : bilinear(i, in, out);
}

static void resize_image(const float *x, float *y, int64_t H, int64_t W, int64_t C,
                         const sf_resize_attributes *a) {
    for (int64_t i = 0; i < a->height; i++)
        for (int64_t j = 0; j < a->width; j++) {
            ref_position r = ref_locate(a->mode, i, H, a->height);
            ref_position s = ref_locate(a->mode, j, W, a->width);
            const float *top = x + r.low * W * C, *bottom = x + r.high * W * C;
            for (int64_t c = 0; c < C; c++) {
                float upper = top[s.low * C + c], lower = bottom[s.low * C + c];
                if (s.weight != 0) {
                    upper = (1 - s.weight) * upper + s.weight * top[s.high * C + c];
                    lower = (1 - s.weight) * lower + s.weight * bottom[s.high * C + c];
                }
                y[(i * a->width + j) * C + c] =
                    r.weight != 0 ? (1 - r.weight) * upper + r.weight * lower : upper;
            }
        }
}

static sf_status run_resize(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const sf_resize_attributes *attributes = call->attributes;
    const int64_t *dims = ref_input(call, 0)->dims;
    const float *x = ref_load(&scratch, ref_input(call, 0));
    float *y = ref_result(&scratch, call->output);
    int64_t in_size = dims[1] * dims[2] * dims[3];
    int64_t out_size = (int64_t)attributes->height * attributes->width * dims[3];
    for (int64_t n = 0; n < dims[0]; n++)
        resize_image(x + n * in_size, y + n * out_size, dims[1], dims[2], dims[3], attributes);
    ref_store(y, call->output);
    return SF_OK;
}

const sf_op_entry ref_resize = {
    .struct_size = sizeof(sf_op_entry),
    .op = "resize",
    .supports = ref_supports_floats,
    .workspace = ref_workspace,
    .run = run_resize,
};

/* ---- avg_pool2d ---- */

/* The sum of one window whose first pixel is x, in y [C]. */
static void sum_window(const float *x, int64_t W, int64_t C, const int32_t *kernel, float *y) {
    for (int64_t c = 0; c < C; c++)
        y[c] = 0;
    for (int64_t u = 0; u < kernel[0]; u++)
        for (int64_t v = 0; v < kernel[1]; v++)
            for (int64_t c = 0; c < C; c++)
                y[c] += x[(u * W + v) * C + c];
}

static sf_status run_pool(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const sf_pool2d_attributes *a = call->attributes;
    const int64_t *in = ref_input(call, 0)->dims, *out = call->output->dims;
    int64_t C = out[3];
    const float *x = ref_load(&scratch, ref_input(call, 0));
    float *y = ref_result(&scratch, call->output);
    for (int64_t n = 0; n < out[0]; n++)
        for (int64_t i = 0; i < out[1]; i++)
            for (int64_t j = 0; j < out[2]; j++) {
                int64_t row = n * in[1] + i * a->stride[0], column = j * a->stride[1];
                sum_window(x + (row * in[2] + column) * C, in[2], C, a->kernel,
                           y + ((n * out[1] + i) * out[2] + j) * C);
            }
    float n_pixels = (float)a->kernel[0] * (float)a->kernel[1];
    for (int64_t i = 0; i < ref_elements(call->output); i++)
        y[i] /= n_pixels;
    ref_store(y, call->output);
    return SF_OK;
}

const sf_op_entry ref_avg_pool2d = {
    .struct_size = sizeof(sf_op_entry),
    .op = "avg_pool2d",
    .supports = ref_supports_floats,
    .workspace = ref_workspace,
    .run = run_pool,
};
