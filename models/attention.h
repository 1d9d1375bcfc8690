/*
 * Attention layers and the transformer blocks around them, as diffusers has them. Tokens are
 * [B, T, D], images [N, H, W, C], which are tokens too. The caller has entered the block's scope.
 */
#ifndef SF_MODELS_ATTENTION_H
#define SF_MODELS_ATTENTION_H

#include "models/layers.h"

/*
 * Attention of an image with itself, with its norm and the residual: the Attention that diffusers
 * makes of the older AttentionBlock. Weights are found under the older names too (query, key,
 * value, proj_attn).
 */
sf_value sf_image_attention(sf_graph *graph, sf_value x, int64_t head_size, int64_t groups,
                            double epsilon);

/* Transformer2DModel over an image */
typedef struct sf_transformer {
    int64_t n_heads;
    int64_t n_layers;
    int64_t groups;
    sf_value context;          /* [N, T, D]: what the second attention of each layer looks at */
    bool only_cross_attention; /* the first one looks at it as well */
} sf_transformer;

sf_value sf_transformer_2d(sf_graph *graph, sf_value x, const sf_transformer *transformer);

/*
 * AttentionPooling of tokens [N, T, D] to [N, D]: their mean, with a position of its own, asks all
 * of them and itself.
 */
sf_value sf_attention_pooling(sf_graph *graph, sf_value x, int64_t n_heads);

#endif
