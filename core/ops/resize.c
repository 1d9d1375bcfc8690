/*
 * Images to another size. x [N, H, W, C] float -> y [N, H', W', C] of its type.
 *
 * resize: as torch.nn.functional.interpolate(size=...). With s = H / H' in f32,
 *   nearest   y[i] = x[min(floor(i s), H - 1)]
 *   bilinear  align_corners=False, no antialias: between the rows at r = max(s (i + 1/2) - 1/2, 0)
 * avg_pool2d: the mean of each kernel_h x kernel_w window; no padding, sizes rounded down.
 */
#include "core/ops/rules.h"

/* ---- resize ---- */

static sf_status infer_resize(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                              const sf_attributes *attributes, sf_spec *output) {
    (void)n_inputs;
    const sf_resize_attributes *a = &attributes->resize;
    const sf_spec *x = &inputs[0];
    SF_TRY(sf_need_float(ctx, "x", x));
    SF_TRY(sf_need_dims(ctx, "x", x, 4));
    if (a->mode != SF_RESIZE_NEAREST && a->mode != SF_RESIZE_BILINEAR)
        SF_FAIL(ctx, ERROR_ARGUMENT, "there is no resize mode %d", a->mode);
    if (a->height < 1 || a->width < 1 || x->dims[1] < 1 || x->dims[2] < 1)
        SF_FAIL(ctx, ERROR_SHAPE, "from %lld x %lld to %d x %d pixels", (long long)x->dims[1],
                (long long)x->dims[2], a->height, a->width);
    sf_spec result = *x;
    result.dims[1] = a->height;
    result.dims[2] = a->width;
    *output = result;
    return SF_OK;
}

#define RESIZE(h, w, how, ...)                                                                     \
    {                                                                                              \
        .inputs = {SF_SPEC(F32, __VA_ARGS__)}, .attributes.resize = {                              \
            .height = (h),                                                                         \
            .width = (w),                                                                          \
            .mode = SF_RESIZE_##how                                                                \
        }                                                                                          \
    }

static const sf_op_case resize_cases[] = {
    RESIZE(1, 1, NEAREST, 1, 1, 1, 1),    RESIZE(4, 6, NEAREST, 1, 2, 3, 5),
    RESIZE(7, 11, NEAREST, 2, 3, 5, 3),   RESIZE(3, 2, NEAREST, 1, 7, 9, 2),
    RESIZE(5, 1, NEAREST, 1, 5, 4, 7),    RESIZE(4, 4, NEAREST, 0, 2, 2, 3),
    RESIZE(4, 4, NEAREST, 1, 2, 2, 0),    RESIZE(32, 32, NEAREST, 1, 16, 16, 48),
    RESIZE(1, 1, BILINEAR, 1, 1, 1, 1),   RESIZE(4, 6, BILINEAR, 1, 2, 3, 5),
    RESIZE(7, 11, BILINEAR, 2, 3, 5, 3),  RESIZE(3, 2, BILINEAR, 1, 7, 9, 2),
    RESIZE(5, 4, BILINEAR, 1, 5, 4, 7),   RESIZE(4, 4, BILINEAR, 0, 2, 2, 3),
    RESIZE(13, 1, BILINEAR, 1, 1, 13, 1), RESIZE(17, 31, BILINEAR, 1, 16, 16, 24),
};

const sf_op sf_op_resize = {
    .name = "resize",
    .summary = "y [N, height, width, C] = x [N, H, W, C], nearest or bilinear",
    .inputs = {"x"},
    .n_required = 1,
    .attribute_bytes = sizeof(sf_resize_attributes),
    .infer = infer_resize,
    SF_CASES(resize_cases),
};

sf_value sf_resize(sf_graph *graph, sf_value x, int height, int width, sf_resize_mode mode) {
    sf_attributes attributes = {.resize = {.height = height, .width = width, .mode = (int)mode}};
    return sf_node_add(graph, SF_OP_resize, &x, 1, &attributes);
}

/* ---- avg_pool2d ---- */

static sf_status infer_pool(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                            const sf_attributes *attributes, sf_spec *output) {
    (void)n_inputs;
    const sf_pool2d_attributes *a = &attributes->pool2d;
    const sf_spec *x = &inputs[0];
    SF_TRY(sf_need_float(ctx, "x", x));
    SF_TRY(sf_need_dims(ctx, "x", x, 4));
    sf_spec result = *x;
    for (int side = 0; side < 2; side++) {
        int64_t size = x->dims[1 + side];
        const char *name = side ? "width" : "height";
        if (a->kernel[side] < 1 || a->stride[side] < 1)
            SF_FAIL(ctx, ERROR_ARGUMENT, "kernel %d and stride %d along the %s", a->kernel[side],
                    a->stride[side], name);
        if (size < a->kernel[side])
            SF_FAIL(ctx, ERROR_SHAPE, "a kernel of %d on %lld pixels of %s", a->kernel[side],
                    (long long)size, name);
        result.dims[1 + side] = (size - a->kernel[side]) / a->stride[side] + 1;
    }
    *output = result;
    return SF_OK;
}

#define POOL(kh, kw, sh, sw, ...)                                                                  \
    {                                                                                              \
        .inputs = {SF_SPEC(F32, __VA_ARGS__)}, .attributes.pool2d = {                              \
            .kernel = {kh, kw},                                                                    \
            .stride = {sh, sw}                                                                     \
        }                                                                                          \
    }

static const sf_op_case pool_cases[] = {
    POOL(1, 1, 1, 1, 1, 1, 1, 1), POOL(2, 2, 2, 2, 1, 4, 6, 3), POOL(2, 2, 2, 2, 2, 5, 7, 5),
    POOL(3, 2, 1, 2, 1, 5, 6, 7), POOL(2, 3, 3, 1, 1, 9, 5, 2), POOL(5, 4, 1, 1, 1, 5, 4, 11),
    POOL(2, 2, 2, 2, 0, 4, 4, 3), POOL(2, 2, 2, 2, 1, 4, 4, 0), POOL(2, 2, 2, 2, 2, 16, 16, 48),
};

const sf_op sf_op_avg_pool2d = {
    .name = "avg_pool2d",
    .summary = "y [N, H', W', C] = means of windows of x [N, H, W, C]",
    .inputs = {"x"},
    .n_required = 1,
    .attribute_bytes = sizeof(sf_pool2d_attributes),
    .infer = infer_pool,
    SF_CASES(pool_cases),
};

sf_value sf_avg_pool2d(sf_graph *graph, sf_value x, sf_pool2d_attributes attributes) {
    sf_attributes all = {.pool2d = attributes};
    return sf_node_add(graph, SF_OP_avg_pool2d, &x, 1, &all);
}
