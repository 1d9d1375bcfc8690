/*
 * Layers with weights: what torch.nn.Linear, Conv2d, GroupNorm, LayerNorm and Embedding are to the
 * Python code. Each enters the scope of its name, so that weights are SCOPE.NAME.weight and .bias,
 * checks their shapes and adds the op. Activations are N,H,W,C or B,T,D; the number of input
 * features is that of x's last axis.
 */
#ifndef SF_MODELS_LAYERS_H
#define SF_MODELS_LAYERS_H

#include "core/graph.h"

typedef enum sf_bias { SF_NO_BIAS, SF_WITH_BIAS } sf_bias;

/* The weight SCOPE.name, whose shape must be dims; an error names both shapes. Floats only. */
sf_value sf_layer_weight(sf_graph *graph, const char *name, int n_dims, const int64_t *dims);

/* Whether the weights have SCOPE.name, of whatever type. */
bool sf_layer_has_weight(const sf_graph *graph, const char *name);

/*
 * x W^T + b, over the last axis. The weight may be [out, in], or that of a convolution of one pixel,
 * [out, in, 1, 1]: a 1x1 convolution of a channels-last image is this product.
 */
sf_value sf_layer_linear(sf_graph *graph, const char *name, sf_value x, int64_t out_features,
                         sf_bias bias);

typedef struct sf_conv {
    int64_t out_channels;
    int kernel; /* kernel x kernel */
    int stride;
    int padding[4]; /* top, bottom, left, right */
} sf_conv;

sf_value sf_layer_conv2d(sf_graph *graph, const char *name, sf_value x, sf_conv conv);

/* The same with shift [1, C] added to the bias; SF_NO_VALUE: nothing. */
sf_value sf_layer_conv2d_shifted(sf_graph *graph, const char *name, sf_value x, sf_conv conv,
                                 sf_value shift);

/* An odd kernel, stride 1, the size kept: Conv2d(padding = (kernel - 1) // 2). */
sf_conv sf_conv_same(int64_t out_channels, int kernel);
sf_value sf_layer_conv2d_same(sf_graph *graph, const char *name, sf_value x, int64_t out_channels,
                              int kernel);

sf_value sf_layer_group_norm(sf_graph *graph, const char *name, sf_value x, int64_t groups,
                             double epsilon);
sf_value sf_layer_layer_norm(sf_graph *graph, const char *name, sf_value x, double epsilon);

/* Rows of a table [n_rows, width] by number. */
sf_value sf_layer_embedding(sf_graph *graph, const char *name, sf_value ids, int64_t n_rows,
                            int64_t width);

#endif
