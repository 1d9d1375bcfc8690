/*
 * Blocks of U-Nets and autoencoders. See blocks.h.
 */
#include "models/blocks.h"

#include <math.h>

#include "core/memory.h"

/* ---- size ---- */

static sf_value double_size(sf_graph *graph, sf_value x) {
    int64_t height = sf_value_dim(graph, x, 1), width = sf_value_dim(graph, x, 2);
    if (height > INT32_MAX / 2 || width > INT32_MAX / 2)
        return sf_graph_fail(graph, SF_ERROR_SHAPE, "%lld x %lld pixels can't be doubled",
                             (long long)height, (long long)width);
    return sf_resize(graph, x, (int)height * 2, (int)width * 2, SF_RESIZE_NEAREST);
}

static sf_value resample(sf_graph *graph, sf_value x, sf_resample how) {
    switch (how) {
    case SF_RESAMPLE_DOWN:
        return sf_avg_pool2d(graph, x, (sf_pool2d_attributes){.kernel = {2, 2}, .stride = {2, 2}});
    case SF_RESAMPLE_UP:
        return double_size(graph, x);
    case SF_RESAMPLE_NONE:
        break;
    }
    return x;
}

sf_value sf_downsample(sf_graph *graph, const char *name, sf_value x, int64_t out_channels,
                       int padding) {
    sf_conv conv = {.out_channels = out_channels, .kernel = 3, .stride = 2};
    int before = padding, after = padding ? padding : 1;
    conv.padding[0] = conv.padding[2] = before;
    conv.padding[1] = conv.padding[3] = after;
    return sf_layer_conv2d(graph, name, x, conv);
}

sf_value sf_upsample(sf_graph *graph, const char *name, sf_value x, int64_t out_channels,
                     int64_t height, int64_t width) {
    sf_value large = height ? sf_resize(graph, x, (int)height, (int)width, SF_RESIZE_NEAREST)
                            : double_size(graph, x);
    return sf_layer_conv2d_same(graph, name, large, out_channels, 3);
}

/* ---- residual block ---- */

/* [M, C] -> [M, 1, 1, C], to be broadcast over the pixels */
static sf_value as_pixel(sf_graph *graph, sf_value x) {
    return sf_reshape(graph, x,
                      SF_DIMS(sf_value_dim(graph, x, 0), 1, 1, sf_value_dim(graph, x, 1)));
}

/* The time's part of the block: [M, C], or [M, 2C] with scale and shift. */
static sf_value project_time(sf_graph *graph, const sf_resnet *resnet) {
    if (resnet->time == SF_NO_VALUE)
        return SF_NO_VALUE;
    int64_t width = resnet->scale_shift ? 2 * resnet->out_channels : resnet->out_channels;
    return sf_layer_linear(graph, "time_emb_proj", resnet->time, width, SF_WITH_BIAS);
}

/*
 * conv1 with the time added: one row for all images is a second bias, and goes into the first one.
 * Scale and shift are for second_norm().
 */
static sf_value first_convolution(sf_graph *graph, sf_value x, sf_value time,
                                  const sf_resnet *resnet) {
    const sf_conv conv = sf_conv_same(resnet->out_channels, 3);
    if (time == SF_NO_VALUE || resnet->scale_shift)
        return sf_layer_conv2d(graph, "conv1", x, conv);
    if (sf_value_dim(graph, time, 0) == 1)
        return sf_layer_conv2d_shifted(graph, "conv1", x, conv, time);
    return sf_add(graph, sf_layer_conv2d(graph, "conv1", x, conv), as_pixel(graph, time));
}

/* x (1 + scale) + shift */
static sf_value modulate(sf_graph *graph, sf_value x, sf_value time, int64_t channels) {
    sf_value scale = sf_slice(graph, time, 3, 0, channels);
    sf_value shift = sf_slice(graph, time, 3, channels, channels);
    return sf_add(graph, sf_multiply(graph, x, sf_affine(graph, scale, 1, 1)), shift);
}

static sf_value second_norm(sf_graph *graph, sf_value x, sf_value time, const sf_resnet *resnet) {
    x = sf_layer_group_norm(graph, "norm2", x, resnet->groups, resnet->epsilon);
    if (time != SF_NO_VALUE && resnet->scale_shift)
        x = modulate(graph, x, as_pixel(graph, time), resnet->out_channels);
    return x;
}

/* What goes around the block: x in the block's size and channels. */
static sf_value shortcut(sf_graph *graph, sf_value x, const sf_resnet *resnet) {
    x = resample(graph, x, resnet->resample);
    if (sf_value_dim(graph, x, 3) != resnet->out_channels)
        x = sf_layer_linear(graph, "conv_shortcut", x, resnet->out_channels, SF_WITH_BIAS);
    return x;
}

/* The shortcut comes first: where it is a tensor of its own, norm1 may then write over x. */
sf_value sf_resnet_block(sf_graph *graph, sf_value x, const sf_resnet *resnet) {
    sf_value around = shortcut(graph, x, resnet), time = project_time(graph, resnet);
    sf_value h = sf_layer_group_norm(graph, "norm1", x, resnet->groups, resnet->epsilon);
    h = resample(graph, sf_activate(graph, h, resnet->activation), resnet->resample);
    h = first_convolution(graph, h, time, resnet);
    h = sf_activate(graph, second_norm(graph, h, time, resnet), resnet->activation);
    h = sf_layer_conv2d_same(graph, "conv2", h, resnet->out_channels, 3);
    sf_value sum = sf_add(graph, h, around);
    if (resnet->output_scale == 1)
        return sum;
    return sf_affine(graph, sum, (float)(1 / resnet->output_scale), 0);
}

/* ---- time ---- */

/* The frequencies [1, half], rounded where PyTorch rounds them: t is up to 1000, so it shows. */
static sf_value frequencies(sf_graph *graph, int64_t half, double shift) {
    float *values = SF_NEW_ARRAY(graph->ctx, float, (size_t)half);
    if (!values)
        return sf_graph_fail(graph, SF_ERROR_MEMORY, "no memory for %lld frequencies",
                             (long long)half);
    for (int64_t i = 0; i < half; i++) {
        float exponent = (float)-log(10000.0) * (float)i / (float)((double)half - shift);
        values[i] = (float)exp(exponent);
    }
    sf_value constant = sf_constant_f32(graph, "frequencies", SF_DIMS(1, half), values);
    sf_free(graph->ctx, values);
    return constant;
}

static sf_value zero_column(sf_graph *graph, int64_t n_rows) {
    sf_value zero = sf_constant_f32(graph, "zero", SF_DIMS(1, 1), (const float[]){0});
    return sf_expand(graph, zero, SF_DIMS(n_rows, 1));
}

sf_value sf_timestep_features(sf_graph *graph, sf_value t, int64_t dim, bool flip, double shift) {
    int64_t n_rows = sf_value_dim(graph, t, 0);
    sf_value angles = sf_multiply(graph, sf_reshape(graph, t, SF_DIMS(n_rows, 1)),
                                  frequencies(graph, dim / 2, shift));
    sf_value sine = sf_unary(graph, SF_OP_sin, angles), cosine = sf_unary(graph, SF_OP_cos, angles);
    sf_value parts[3] = {flip ? cosine : sine, flip ? sine : cosine};
    if (dim % 2)
        parts[2] = zero_column(graph, n_rows);
    return sf_concat(graph, parts, dim % 2 ? 3 : 2, 1);
}

sf_value sf_timestep_embedding(sf_graph *graph, const char *name, sf_value x, sf_time_mlp mlp) {
    sf_scope mark = sf_scope_enter(graph, "%s", name);
    if (mlp.condition != SF_NO_VALUE)
        x = sf_add(graph, x,
                   sf_layer_linear(graph, "cond_proj", mlp.condition, sf_value_dim(graph, x, 1),
                                   SF_NO_BIAS));
    x = sf_layer_linear(graph, "linear_1", x, mlp.width, SF_WITH_BIAS);
    x = sf_activate(graph, x, mlp.activation);
    x = sf_layer_linear(graph, "linear_2", x, mlp.width, SF_WITH_BIAS);
    x = sf_activate(graph, x, mlp.post_activation);
    sf_scope_leave(graph, mark);
    return x;
}
