/*
 * Layers with weights. See layers.h.
 */
#include "models/layers.h"

#include <stdio.h>

/* ---- weights ---- */

static bool has_shape(const sf_spec *spec, int n_dims, const int64_t *dims) {
    if (spec->n_dims != n_dims)
        return false;
    for (int axis = 0; axis < n_dims; axis++)
        if (spec->dims[axis] != dims[axis])
            return false;
    return true;
}

/* "SCOPE.name" in text. */
static const char *full_name(const sf_graph *graph, const char *name, char *text, size_t bytes) {
    snprintf(text, bytes, "%s%s%s", graph->scope, graph->scope[0] ? "." : "", name);
    return text;
}

static sf_value fail_shape(sf_graph *graph, const char *name, sf_value weight, int n_dims,
                           const int64_t *dims) {
    char found[SF_SHAPE_TEXT], wanted[SF_SHAPE_TEXT];
    return sf_graph_fail(graph, SF_ERROR_SHAPE, "%s is %s; the configuration asks for %s", name,
                         sf_spec_text(sf_value_spec(graph, weight), found),
                         sf_shape_text(n_dims, dims, wanted));
}

static sf_value checked(sf_graph *graph, const char *name, sf_value weight, int n_dims,
                        const int64_t *dims) {
    const sf_spec *spec = sf_value_spec(graph, weight);
    if (weight == SF_NO_VALUE)
        return SF_NO_VALUE;
    if (!has_shape(spec, n_dims, dims))
        return fail_shape(graph, name, weight, n_dims, dims);
    if (!sf_dtype_is_float(spec->dtype))
        return sf_graph_fail(graph, SF_ERROR_SHAPE, "%s is %s; f32, f16 or bf16 is wanted", name,
                             sf_dtype_name(spec->dtype));
    return weight;
}

sf_value sf_layer_weight(sf_graph *graph, const char *name, int n_dims, const int64_t *dims) {
    return checked(graph, name, sf_weight_shaped(graph, name, n_dims, dims), n_dims, dims);
}

bool sf_layer_has_weight(const sf_graph *graph, const char *name) {
    char text[2 * sizeof graph->scope];
    full_name(graph, name, text, sizeof text);
    return graph->weights &&
           (sf_tensors_find(graph->weights, text) || sf_tensors_skipped(graph->weights, text));
}

/* The vector that a norm or a bias is. */
static sf_value vector(sf_graph *graph, const char *name, int64_t size) {
    return sf_layer_weight(graph, name, SF_DIMS(size));
}

static int64_t last_dim(const sf_spec *spec) {
    return spec->n_dims ? spec->dims[spec->n_dims - 1] : 0;
}

/* ---- products ---- */

/* [out, in], from a weight that may have further axes of size 1. */
static sf_value matrix(sf_graph *graph, int64_t out_features, int64_t in_features) {
    sf_value weight = sf_weight_shaped(graph, "weight", SF_DIMS(out_features, in_features));
    const sf_spec *spec = sf_value_spec(graph, weight);
    if (weight != SF_NO_VALUE && spec->n_dims > 2 &&
        has_shape(spec, spec->n_dims, (const int64_t[]){out_features, in_features, 1, 1, 1}))
        weight = sf_reshape(graph, weight, SF_DIMS(out_features, in_features));
    return checked(graph, "weight", weight, SF_DIMS(out_features, in_features));
}

sf_value sf_layer_linear(sf_graph *graph, const char *name, sf_value x, int64_t out_features,
                         sf_bias bias) {
    const sf_spec *spec = sf_value_spec(graph, x);
    int64_t in_features = last_dim(spec);
    sf_scope mark = sf_scope_enter(graph, "%s", name);
    sf_value weight = matrix(graph, out_features, in_features);
    sf_value shift = bias == SF_WITH_BIAS ? vector(graph, "bias", out_features) : SF_NO_VALUE;
    sf_value y = sf_linear(graph, x, weight, shift);
    sf_scope_leave(graph, mark);
    return y;
}

/* bias [C] + shift [1, C]; the sum is a row, as shift is, where the layer that made it may take it in. */
static sf_value shifted(sf_graph *graph, sf_value bias, sf_value shift) {
    int64_t size = sf_value_dim(graph, bias, 0);
    sf_value row = sf_reshape(graph, bias, SF_DIMS(1, size));
    return sf_reshape(graph, sf_add(graph, shift, row), SF_DIMS(size));
}

sf_value sf_layer_conv2d(sf_graph *graph, const char *name, sf_value x, sf_conv conv) {
    return sf_layer_conv2d_shifted(graph, name, x, conv, SF_NO_VALUE);
}

sf_value sf_layer_conv2d_shifted(sf_graph *graph, const char *name, sf_value x, sf_conv conv,
                                 sf_value shift) {
    sf_scope mark = sf_scope_enter(graph, "%s", name);
    sf_value weight = sf_layer_weight(
        graph, "weight",
        SF_DIMS(conv.out_channels, sf_value_dim(graph, x, 3), conv.kernel, conv.kernel));
    sf_conv2d_attributes attributes = {
        .stride = {conv.stride, conv.stride}, .dilation = {1, 1}, .groups = 1};
    for (int side = 0; side < 4; side++)
        attributes.padding[side] = conv.padding[side];
    sf_value bias = vector(graph, "bias", conv.out_channels);
    if (shift != SF_NO_VALUE)
        bias = shifted(graph, bias, shift);
    sf_value y = sf_conv2d(graph, x, weight, bias, attributes);
    sf_scope_leave(graph, mark);
    return y;
}

sf_conv sf_conv_same(int64_t out_channels, int kernel) {
    int padding = (kernel - 1) / 2;
    return (sf_conv){.out_channels = out_channels,
                     .kernel = kernel,
                     .stride = 1,
                     .padding = {padding, padding, padding, padding}};
}

sf_value sf_layer_conv2d_same(sf_graph *graph, const char *name, sf_value x, int64_t out_channels,
                              int kernel) {
    return sf_layer_conv2d(graph, name, x, sf_conv_same(out_channels, kernel));
}

/* ---- norms ---- */

sf_value sf_layer_group_norm(sf_graph *graph, const char *name, sf_value x, int64_t groups,
                             double epsilon) {
    const sf_spec *spec = sf_value_spec(graph, x);
    int64_t channels = last_dim(spec);
    sf_scope mark = sf_scope_enter(graph, "%s", name);
    sf_value scale = vector(graph, "weight", channels), shift = vector(graph, "bias", channels);
    sf_value y = sf_group_norm(graph, x, scale, shift, (int)groups, (float)epsilon);
    sf_scope_leave(graph, mark);
    return y;
}

sf_value sf_layer_layer_norm(sf_graph *graph, const char *name, sf_value x, double epsilon) {
    const sf_spec *spec = sf_value_spec(graph, x);
    int64_t channels = last_dim(spec);
    sf_scope mark = sf_scope_enter(graph, "%s", name);
    sf_value scale = vector(graph, "weight", channels), shift = vector(graph, "bias", channels);
    sf_value y = sf_layer_norm(graph, x, scale, shift, (float)epsilon);
    sf_scope_leave(graph, mark);
    return y;
}

sf_value sf_layer_embedding(sf_graph *graph, const char *name, sf_value ids, int64_t n_rows,
                            int64_t width) {
    sf_scope mark = sf_scope_enter(graph, "%s", name);
    sf_value table = sf_layer_weight(graph, "weight", SF_DIMS(n_rows, width));
    sf_value rows = sf_embedding(graph, table, ids);
    sf_scope_leave(graph, mark);
    return rows;
}
