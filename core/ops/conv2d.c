/*
 * conv2d: y = activation(x * weight + bias) + residual, the convolution of images (strictly the
 * cross-correlation, as torch.nn.functional.conv2d).
 *
 * x [N, H, W, C], weight [O, C/groups, KH, KW], bias [O] (optional), residual [N, H', W', O]
 * (optional) -> y [N, H', W', O] of x's type, with
 *
 *   y[n, i, j, o] = bias[o] + sum over c, u, v of weight[o, c, u, v] *
 *       x[n, i stride - top + u dilation, j stride - left + v dilation, g C/groups + c]
 *
 * where g = o / (O/groups), x is zero outside, and
 * H' = (H + top + bottom - dilation (KH - 1) - 1) / stride + 1, rounded down; W' likewise.
 */
#include "core/ops/rules.h"

static const char *const side_names[] = {"height", "width"};

static sf_status check_attributes(sf_context *ctx, const sf_conv2d_attributes *a) {
    for (int side = 0; side < 2; side++) {
        if (a->stride[side] < 1)
            SF_FAIL(ctx, ERROR_ARGUMENT, "stride %d along the %s", a->stride[side],
                    side_names[side]);
        if (a->dilation[side] < 1)
            SF_FAIL(ctx, ERROR_ARGUMENT, "dilation %d along the %s", a->dilation[side],
                    side_names[side]);
    }
    for (int i = 0; i < 4; i++)
        if (a->padding[i] < 0)
            SF_FAIL(ctx, ERROR_ARGUMENT, "padding of %d", a->padding[i]);
    if (a->groups < 1)
        SF_FAIL(ctx, ERROR_ARGUMENT, "%d groups", a->groups);
    return sf_need_activation(ctx, a->activation);
}

/* H' or W'. All sizes are below 2^31, so nothing overflows. */
static sf_status output_size(sf_context *ctx, const sf_conv2d_attributes *a, int side, int64_t size,
                             int64_t kernel, int64_t *result) {
    if (size > INT32_MAX || kernel > INT32_MAX || kernel < 1)
        SF_FAIL(ctx, ERROR_SHAPE, "a kernel of %lld on %lld pixels of %s", (long long)kernel,
                (long long)size, side_names[side]);
    int64_t padded = size + a->padding[2 * side] + a->padding[2 * side + 1];
    int64_t reach = (int64_t)a->dilation[side] * (kernel - 1) + 1;
    if (padded < reach)
        SF_FAIL(ctx, ERROR_SHAPE,
                "the kernel reaches over %lld pixels of %s, the padded input has %lld",
                (long long)reach, side_names[side], (long long)padded);
    *result = (padded - reach) / a->stride[side] + 1;
    return SF_OK;
}

static sf_status infer_conv2d(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                              const sf_attributes *attributes, sf_spec *output) {
    const sf_spec *x = &inputs[0], *weight = &inputs[1];
    const sf_conv2d_attributes *a = &attributes->conv2d;
    SF_TRY(sf_need_float(ctx, "x", x));
    SF_TRY(sf_need_float(ctx, "weight", weight));
    SF_TRY(sf_need_dims(ctx, "x", x, 4));
    SF_TRY(sf_need_dims(ctx, "weight", weight, 4));
    SF_TRY(check_attributes(ctx, a));
    int64_t channels = x->dims[3], filters = weight->dims[0];
    if (channels % a->groups != 0 || filters % a->groups != 0)
        SF_FAIL(ctx, ERROR_SHAPE, "%lld channels and %lld filters are not divisible by %d groups",
                (long long)channels, (long long)filters, a->groups);
    if (channels / a->groups != weight->dims[1])
        SF_FAIL(ctx, ERROR_SHAPE, "x has %lld channels in %d groups, weight is for %lld a group",
                (long long)channels, a->groups, (long long)weight->dims[1]);
    sf_spec result = {.dtype = x->dtype, .n_dims = 4, .dims = {x->dims[0], 0, 0, filters, 1}};
    for (int side = 0; side < 2; side++)
        SF_TRY(output_size(ctx, a, side, x->dims[1 + side], weight->dims[2 + side],
                           &result.dims[1 + side]));
    SF_TRY(sf_need_vector(ctx, "bias", sf_optional_spec(inputs, n_inputs, 2), filters));
    SF_TRY(sf_need_residual(ctx, sf_optional_spec(inputs, n_inputs, 3), &result));
    *output = result;
    return SF_OK;
}

/* Every output is a sum over C/groups, KH and KW; the zeros outside of x count too. */
static double flops_conv2d(const sf_spec *inputs, int n_inputs, const sf_attributes *attributes,
                           const sf_spec *output) {
    const int64_t *weight = inputs[1].dims;
    (void)n_inputs;
    (void)attributes;
    return 2 * (double)sf_spec_elements(output) * (double)weight[1] * (double)weight[2] *
           (double)weight[3];
}

static bool is_pointwise(const sf_spec *weight, const sf_conv2d_attributes *a) {
    bool padded = a->padding[0] || a->padding[1] || a->padding[2] || a->padding[3];
    return weight->dims[2] == 1 && weight->dims[3] == 1 && a->stride[0] == 1 && a->stride[1] == 1 &&
           a->groups == 1 && !padded;
}

/* Without activation and residual; a 1x1 kernel is a matrix product with the pixels as rows. */
static sf_value lower_conv2d(sf_graph *graph, const sf_value *inputs, int n_inputs,
                             const sf_attributes *attributes) {
    sf_conv2d_attributes plain = attributes->conv2d;
    sf_activation activation = (sf_activation)plain.activation;
    sf_value bias = sf_optional_value(inputs, n_inputs, 2);
    sf_value residual = sf_optional_value(inputs, n_inputs, 3);
    if (activation != SF_ACTIVATION_NONE || residual != SF_NO_VALUE) {
        plain.activation = SF_ACTIVATION_NONE;
        sf_value x = sf_widened(graph, inputs[0]);
        sf_value y = sf_activate(graph, sf_conv2d(graph, x, inputs[1], bias, plain), activation);
        y = residual == SF_NO_VALUE ? y : sf_add(graph, y, residual);
        return sf_rounded(graph, y, inputs[0]);
    }
    const sf_spec *weight = sf_value_spec(graph, inputs[1]);
    if (!is_pointwise(weight, &plain))
        return SF_NO_VALUE;
    sf_value matrix = sf_reshape(graph, inputs[1], SF_DIMS(weight->dims[0], weight->dims[1]));
    return sf_linear(graph, inputs[0], matrix, bias);
}

#define CONV(s, d, top, bottom, left, right, g, name, ...)                                         \
    {                                                                                              \
        .inputs = {__VA_ARGS__}, .attributes.conv2d = {                                            \
            .stride = {s, s},                                                                      \
            .dilation = {d, d},                                                                    \
            .padding = {top, bottom, left, right},                                                 \
            .groups = (g),                                                                         \
            .activation = SF_ACTIVATION_##name,                                                    \
        }                                                                                          \
    }

static const sf_op_case cases[] = {
    /* 1x1 */
    CONV(1, 1, 0, 0, 0, 0, 1, NONE, SF_SPEC(F32, 1, 1, 1, 1), SF_SPEC(F32, 1, 1, 1, 1)),
    CONV(1, 1, 0, 0, 0, 0, 1, NONE, SF_SPEC(F32, 2, 3, 5, 7), SF_SPEC(F32, 11, 7, 1, 1),
         SF_SPEC(F32, 11)),
    CONV(1, 1, 0, 0, 0, 0, 1, SILU, SF_SPEC(F32, 1, 4, 4, 6), SF_SPEC(F32, 5, 6, 1, 1),
         SF_SPEC(F32, 5), SF_SPEC(F32, 1, 4, 4, 5)),
    CONV(2, 1, 0, 0, 0, 0, 1, NONE, SF_SPEC(F32, 1, 5, 6, 3), SF_SPEC(F32, 4, 3, 1, 1)),
    CONV(1, 1, 1, 1, 1, 1, 1, NONE, SF_SPEC(F32, 1, 3, 3, 2), SF_SPEC(F32, 3, 2, 1, 1),
         SF_SPEC(F32, 3)),
    /* 3x3 */
    CONV(1, 1, 1, 1, 1, 1, 1, NONE, SF_SPEC(F32, 1, 1, 1, 3), SF_SPEC(F32, 5, 3, 3, 3)),
    CONV(1, 1, 1, 1, 1, 1, 1, NONE, SF_SPEC(F32, 2, 5, 7, 3), SF_SPEC(F32, 5, 3, 3, 3),
         SF_SPEC(F32, 5)),
    CONV(1, 1, 0, 0, 0, 0, 1, RELU, SF_SPEC(F32, 1, 6, 5, 4), SF_SPEC(F32, 7, 4, 3, 3),
         SF_SPEC(F32, 7)),
    CONV(2, 1, 1, 1, 1, 1, 1, NONE, SF_SPEC(F32, 1, 9, 8, 5), SF_SPEC(F32, 6, 5, 3, 3),
         SF_SPEC(F32, 6)),
    CONV(2, 1, 0, 1, 0, 1, 1, NONE, SF_SPEC(F32, 1, 8, 8, 4), SF_SPEC(F32, 4, 4, 3, 3),
         SF_SPEC(F32, 4)),
    CONV(3, 1, 2, 0, 1, 3, 1, NONE, SF_SPEC(F32, 1, 10, 7, 2), SF_SPEC(F32, 3, 2, 3, 3)),
    CONV(1, 2, 2, 2, 2, 2, 1, GELU, SF_SPEC(F32, 1, 7, 6, 3), SF_SPEC(F32, 4, 3, 3, 3)),
    CONV(1, 1, 1, 1, 1, 1, 1, SILU, SF_SPEC(F32, 2, 4, 5, 6), SF_SPEC(F32, 6, 6, 3, 3),
         SF_SPEC(F32, 6), SF_SPEC(F32, 2, 4, 5, 6)),
    CONV(1, 1, 1, 1, 1, 1, 1, NONE, SF_SPEC(F32, 1, 4, 5, 6), SF_SPEC(F32, 8, 6, 3, 3),
         {.dtype = SF_NONE}, SF_SPEC(F32, 1, 4, 5, 8)),
    CONV(1, 1, 4, 4, 4, 4, 1, NONE, SF_SPEC(F32, 1, 2, 2, 1), SF_SPEC(F32, 1, 1, 3, 3)),
    CONV(1, 1, 1, 1, 1, 1, 1, NONE, SF_SPEC(F32, 0, 5, 5, 8), SF_SPEC(F32, 4, 8, 3, 3)),
    /* groups and depthwise */
    CONV(1, 1, 1, 1, 1, 1, 2, NONE, SF_SPEC(F32, 1, 5, 5, 6), SF_SPEC(F32, 4, 3, 3, 3),
         SF_SPEC(F32, 4)),
    CONV(1, 1, 1, 1, 1, 1, 7, NONE, SF_SPEC(F32, 2, 4, 6, 7), SF_SPEC(F32, 7, 1, 3, 3),
         SF_SPEC(F32, 7)),
    CONV(2, 2, 2, 1, 0, 3, 3, MISH, SF_SPEC(F32, 1, 9, 7, 6), SF_SPEC(F32, 9, 2, 3, 3)),
    CONV(1, 1, 0, 0, 0, 0, 5, NONE, SF_SPEC(F32, 1, 3, 3, 5), SF_SPEC(F32, 10, 1, 1, 1)),
    /* other kernels */
    CONV(1, 1, 2, 2, 2, 2, 1, NONE, SF_SPEC(F32, 1, 6, 9, 3), SF_SPEC(F32, 4, 3, 5, 5),
         SF_SPEC(F32, 4)),
    CONV(1, 1, 0, 0, 3, 3, 1, NONE, SF_SPEC(F32, 1, 3, 8, 2), SF_SPEC(F32, 3, 2, 1, 7)),
    CONV(1, 1, 1, 1, 0, 0, 1, NONE, SF_SPEC(F32, 1, 5, 4, 2), SF_SPEC(F32, 3, 2, 3, 1)),
    CONV(4, 1, 0, 0, 0, 0, 1, NONE, SF_SPEC(F32, 1, 8, 12, 3), SF_SPEC(F32, 10, 3, 4, 4),
         SF_SPEC(F32, 10)),
    CONV(1, 1, 1, 2, 1, 2, 1, NONE, SF_SPEC(F32, 1, 5, 5, 3), SF_SPEC(F32, 2, 3, 4, 4)),
    /* nothing to do, or nothing to sum */
    CONV(1, 1, 1, 1, 1, 1, 1, NONE, SF_SPEC(F32, 0, 5, 5, 3), SF_SPEC(F32, 4, 3, 3, 3)),
    CONV(1, 1, 1, 1, 1, 1, 1, NONE, SF_SPEC(F32, 1, 4, 4, 0), SF_SPEC(F32, 3, 0, 3, 3),
         SF_SPEC(F32, 3)),
    CONV(1, 1, 1, 1, 1, 1, 1, NONE, SF_SPEC(F32, 1, 4, 4, 3), SF_SPEC(F32, 0, 3, 3, 3)),
    CONV(1, 1, 2, 1, 1, 1, 1, NONE, SF_SPEC(F32, 1, 0, 4, 3), SF_SPEC(F32, 2, 3, 3, 3)),
    /* as in models */
    CONV(1, 1, 1, 1, 1, 1, 1, NONE, SF_SPEC(F32, 1, 16, 16, 48), SF_SPEC(F32, 96, 48, 3, 3),
         SF_SPEC(F32, 96)),
    CONV(2, 1, 1, 1, 1, 1, 1, NONE, SF_SPEC(F32, 2, 16, 16, 48), SF_SPEC(F32, 48, 48, 3, 3),
         SF_SPEC(F32, 48)),
    CONV(1, 1, 1, 1, 1, 1, 1, NONE, SF_SPEC(F32, 1, 32, 32, 24), SF_SPEC(F32, 3, 24, 3, 3),
         SF_SPEC(F32, 3)),
    CONV(1, 1, 0, 0, 0, 0, 1, NONE, SF_SPEC(F32, 1, 16, 16, 64), SF_SPEC(F32, 128, 64, 1, 1),
         SF_SPEC(F32, 128)),
};

const sf_op sf_op_conv2d = {
    .name = "conv2d",
    .summary = "y [N, H', W', O] = activation(x [N, H, W, C] * weight [O, C/groups, KH, KW] + "
               "bias [O]) + residual",
    .inputs = {"x", "weight", "bias", "residual"},
    .n_required = 2,
    .attribute_bytes = sizeof(sf_conv2d_attributes),
    .infer = infer_conv2d,
    .lower = lower_conv2d,
    .flops = flops_conv2d,
    SF_CASES(cases),
};

sf_value sf_conv2d(sf_graph *graph, sf_value x, sf_value weight, sf_value bias,
                   sf_conv2d_attributes attributes) {
    sf_value inputs[] = {x, weight, bias};
    sf_attributes all = {.conv2d = attributes};
    return sf_node_add(graph, SF_OP_conv2d, inputs, 3, &all);
}
