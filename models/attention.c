/*
 * Attention layers and transformer blocks. See attention.h.
 */
#include "models/attention.h"

#include <math.h>

/* What diffusers' Transformer2DModel has for group norm and layer norms, whatever the model. */
#define GROUP_NORM_EPSILON 1e-6
#define LAYER_NORM_EPSILON 1e-5

static sf_value attend(sf_graph *graph, sf_value q, sf_value k, sf_value v, int64_t n_heads) {
    double head_size = n_heads ? (double)(sf_value_dim(graph, q, 2) / n_heads) : 1;
    return sf_attention(graph, q, k, v, SF_NO_VALUE,
                        (sf_attention_attributes){.n_heads = (int32_t)n_heads,
                                                  .scale = (float)(1 / sqrt(head_size))});
}

/* [N, H, W, C] -> [N, H W, C] */
static sf_value as_tokens(sf_graph *graph, sf_value x) {
    const sf_spec spec = *sf_value_spec(graph, x);
    return sf_reshape(graph, x, SF_DIMS(spec.dims[0], spec.dims[1] * spec.dims[2], spec.dims[3]));
}

/* ---- an image with itself ---- */

sf_value sf_image_attention(sf_graph *graph, sf_value x, int64_t head_size, int64_t groups,
                            double epsilon) {
    const sf_spec spec = *sf_value_spec(graph, x);
    int64_t channels = spec.dims[3], n_heads = channels / head_size, inner = n_heads * head_size;
    bool old = sf_layer_has_weight(graph, "query.weight");
    sf_value tokens =
        as_tokens(graph, sf_layer_group_norm(graph, "group_norm", x, groups, epsilon));
    sf_value q = sf_layer_linear(graph, old ? "query" : "to_q", tokens, inner, SF_WITH_BIAS);
    sf_value k = sf_layer_linear(graph, old ? "key" : "to_k", tokens, inner, SF_WITH_BIAS);
    sf_value v = sf_layer_linear(graph, old ? "value" : "to_v", tokens, inner, SF_WITH_BIAS);
    sf_value y = attend(graph, q, k, v, n_heads);
    y = sf_layer_linear(graph, old ? "proj_attn" : "to_out.0", y, channels, SF_WITH_BIAS);
    return sf_add(graph, sf_reshape(graph, y, spec.n_dims, spec.dims), x);
}

/* ---- transformer ---- */

/* Attention: x asks `context`, projected to heads and back. */
static sf_value attention(sf_graph *graph, const char *name, sf_value x, sf_value context,
                          int64_t n_heads) {
    int64_t width = sf_value_dim(graph, x, 2);
    sf_scope mark = sf_scope_enter(graph, "%s", name);
    sf_value q = sf_layer_linear(graph, "to_q", x, width, SF_NO_BIAS);
    sf_value k = sf_layer_linear(graph, "to_k", context, width, SF_NO_BIAS);
    sf_value v = sf_layer_linear(graph, "to_v", context, width, SF_NO_BIAS);
    sf_value y = attend(graph, q, k, v, n_heads);
    y = sf_layer_linear(graph, "to_out.0", y, width, SF_WITH_BIAS);
    sf_scope_leave(graph, mark);
    return y;
}

/* FeedForward with GEGLU: four times the width inside, half of which gates the other half. */
static sf_value feed_forward(sf_graph *graph, sf_value x) {
    int64_t width = sf_value_dim(graph, x, 2);
    sf_value h = sf_layer_linear(graph, "ff.net.0.proj", x, 8 * width, SF_WITH_BIAS);
    return sf_layer_linear(graph, "ff.net.2", sf_geglu(graph, h), width, SF_WITH_BIAS);
}

/* BasicTransformerBlock */
static sf_value transformer_block(sf_graph *graph, sf_value x, const sf_transformer *transformer) {
    int64_t n_heads = transformer->n_heads;
    sf_value h = sf_layer_layer_norm(graph, "norm1", x, LAYER_NORM_EPSILON);
    sf_value first_context = transformer->only_cross_attention ? transformer->context : h;
    x = sf_add(graph, attention(graph, "attn1", h, first_context, n_heads), x);
    h = sf_layer_layer_norm(graph, "norm2", x, LAYER_NORM_EPSILON);
    x = sf_add(graph, attention(graph, "attn2", h, transformer->context, n_heads), x);
    h = sf_layer_layer_norm(graph, "norm3", x, LAYER_NORM_EPSILON);
    return sf_add(graph, feed_forward(graph, h), x);
}

sf_value sf_transformer_2d(sf_graph *graph, sf_value x, const sf_transformer *transformer) {
    const sf_spec spec = *sf_value_spec(graph, x);
    int64_t channels = spec.dims[3];
    /* Whole heads: where the channels are no multiple of them, the rest is left out. */
    int64_t inner = channels / transformer->n_heads * transformer->n_heads;
    sf_value h = sf_layer_group_norm(graph, "norm", x, transformer->groups, GROUP_NORM_EPSILON);
    h = sf_layer_linear(graph, "proj_in", as_tokens(graph, h), inner, SF_WITH_BIAS);
    for (int64_t i = 0; i < transformer->n_layers; i++) {
        sf_scope mark = sf_scope_enter(graph, "transformer_blocks.%lld", (long long)i);
        h = transformer_block(graph, h, transformer);
        sf_scope_leave(graph, mark);
    }
    h = sf_layer_linear(graph, "proj_out", h, channels, SF_WITH_BIAS);
    return sf_add(graph, sf_reshape(graph, h, spec.n_dims, spec.dims), x);
}

/* ---- pooling ---- */

sf_value sf_attention_pooling(sf_graph *graph, sf_value x, int64_t n_heads) {
    int64_t n = sf_value_dim(graph, x, 0), width = sf_value_dim(graph, x, 2);
    sf_value position = sf_layer_weight(graph, "positional_embedding", SF_DIMS(1, width));
    sf_value class_token = sf_add(graph, sf_mean(graph, x, 1), position);
    sf_value all = sf_concat(graph, (const sf_value[]){class_token, x}, 2, 1);
    sf_value q = sf_layer_linear(graph, "q_proj", class_token, width, SF_WITH_BIAS);
    sf_value k = sf_layer_linear(graph, "k_proj", all, width, SF_WITH_BIAS);
    sf_value v = sf_layer_linear(graph, "v_proj", all, width, SF_WITH_BIAS);
    return sf_reshape(graph, attend(graph, q, k, v, n_heads), SF_DIMS(n, width));
}
