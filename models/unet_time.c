/*
 * The time embedding of UNet2DConditionModel: timestep, class labels and the further conditions of
 * the larger models, all as one vector that every residual block sees.
 */
#include "models/attention.h"
#include "models/blocks.h"
#include "models/unet_internal.h"

#define PI 3.14159265358979323846

/* GaussianFourierProjection: [cos, sin] or [sin, cos] of 2 pi t w, with frequencies w as weights. */
static sf_value fourier_features(sf_graph *graph, const sf_unet_config *config, sf_value t) {
    int64_t half = config->time_embedding_dim / 2, n_rows = sf_value_dim(graph, t, 0);
    sf_value weight = sf_layer_weight(graph, "time_proj.weight", SF_DIMS(half));
    sf_value angles = sf_multiply(graph, sf_reshape(graph, t, SF_DIMS(n_rows, 1)),
                                  sf_reshape(graph, weight, SF_DIMS(1, half)));
    angles = sf_affine(graph, angles, (float)(2 * PI), 0);
    sf_value sine = sf_unary(graph, SF_OP_sin, angles), cosine = sf_unary(graph, SF_OP_cos, angles);
    sf_value parts[] = {config->flip_sin_to_cos ? cosine : sine,
                        config->flip_sin_to_cos ? sine : cosine};
    return sf_concat(graph, parts, 2, 1);
}

/* The features of t, an f32 [M]: [M, width], computed in f32 as t may be large. */
static sf_value time_features(sf_graph *graph, const sf_unet_config *config, sf_value t) {
    if (config->time_embedding_type == 1)
        return fourier_features(graph, config, t);
    return sf_timestep_features(graph, t, config->down[0].channels, config->flip_sin_to_cos,
                                config->freq_shift);
}

static sf_value missing(sf_graph *graph, const char *name) {
    return sf_graph_fail(graph, SF_ERROR_ARGUMENT, "the U-Net needs %s", name);
}

/* ---- classes ---- */

static sf_value class_embedding(sf_graph *graph, const sf_unet_config *config, sf_value labels,
                                sf_dtype compute) {
    int64_t width = config->time_embedding_dim;
    sf_time_mlp mlp = {.width = width, .activation = SF_ACTIVATION_SILU, .condition = SF_NO_VALUE};
    if (labels == SF_NO_VALUE)
        return missing(graph, "class_labels");
    switch (config->class_embed_type) {
    case SF_UNET_CLASS_TABLE:
        return sf_cast(
            graph,
            sf_layer_embedding(graph, "class_embedding", labels, config->num_class_embeds, width),
            compute);
    case SF_UNET_CLASS_TIMESTEP:
        mlp.activation = config->act_fn;
        return sf_timestep_embedding(graph, "class_embedding",
                                     sf_cast(graph, time_features(graph, config, labels), compute),
                                     mlp);
    case SF_UNET_CLASS_PROJECTION:
        return sf_timestep_embedding(graph, "class_embedding", sf_cast(graph, labels, compute),
                                     mlp);
    case SF_UNET_CLASS_SIMPLE_PROJECTION:
        return sf_layer_linear(graph, "class_embedding", sf_cast(graph, labels, compute), width,
                               SF_WITH_BIAS);
    default: /* identity */
        return sf_cast(graph, labels, compute);
    }
}

/* [M, D] next to [N, D] along the channels: M is 1 or N */
static sf_value join(sf_graph *graph, sf_value time, sf_value classes) {
    int64_t n_rows = sf_value_dim(graph, classes, 0);
    sf_value rows = sf_expand(graph, time, SF_DIMS(n_rows, sf_value_dim(graph, time, 1)));
    return sf_concat(graph, (const sf_value[]){rows, classes}, 2, 1);
}

static sf_value add_classes(sf_graph *graph, const sf_unet_config *config, sf_value time,
                            sf_value labels, sf_dtype compute) {
    if (config->class_embed_type == SF_UNET_CLASS_NONE)
        return time;
    sf_value classes = class_embedding(graph, config, labels, compute);
    if (config->class_embeddings_concat)
        return join(graph, time, classes);
    return sf_add(graph, time, classes);
}

/* ---- further conditions ---- */

/* TextTimeEmbedding: a summary of the text's tokens */
static sf_value text_embedding(sf_graph *graph, const sf_unet_config *config, sf_value tokens) {
    sf_scope mark = sf_scope_enter(graph, "add_embedding");
    sf_value x = sf_layer_layer_norm(graph, "norm1", tokens, 1e-5);
    sf_scope pool = sf_scope_enter(graph, "pool");
    x = sf_attention_pooling(graph, x, config->addition_embed_type_num_heads);
    sf_scope_leave(graph, pool);
    x = sf_layer_linear(graph, "proj", x, config->time_embedding_dim, SF_WITH_BIAS);
    x = sf_layer_layer_norm(graph, "norm2", x, 1e-5);
    sf_scope_leave(graph, mark);
    return x;
}

/* SDXL: the pooled text, and sizes and crops as timesteps (Podell et al. 2023, section 2.2) */
static sf_value text_time_embedding(sf_graph *graph, const sf_unet_config *config,
                                    const sf_unet_inputs *inputs, sf_dtype compute) {
    sf_time_mlp mlp = {.width = config->time_embedding_dim,
                       .activation = SF_ACTIVATION_SILU,
                       .condition = SF_NO_VALUE};
    if (inputs->text_embeds == SF_NO_VALUE || inputs->time_ids == SF_NO_VALUE)
        return missing(graph, "text_embeds and time_ids");
    int64_t n_rows = sf_value_dim(graph, inputs->time_ids, 0);
    int64_t n_ids = sf_value_dim(graph, inputs->time_ids, 1);
    int64_t dim = config->addition_time_embed_dim;
    int64_t width = sf_value_dim(graph, inputs->text_embeds, 1) + n_ids * dim;
    if (width != config->projection_class_embeddings_input_dim)
        return sf_graph_fail(graph, SF_ERROR_SHAPE,
                             "text_embeds has %lld channels and time_ids %lld numbers of %lld "
                             "channels each; together there must be %lld",
                             (long long)(width - n_ids * dim), (long long)n_ids, (long long)dim,
                             (long long)config->projection_class_embeddings_input_dim);
    sf_value ids = sf_reshape(graph, inputs->time_ids, SF_DIMS(n_rows * n_ids));
    sf_value features =
        sf_timestep_features(graph, ids, dim, config->flip_sin_to_cos, config->freq_shift);
    sf_value parts[] = {
        sf_cast(graph, inputs->text_embeds, compute),
        sf_cast(graph, sf_reshape(graph, features, SF_DIMS(n_rows, n_ids * dim)), compute)};
    return sf_timestep_embedding(graph, "add_embedding", sf_concat(graph, parts, 2, 1), mlp);
}

static sf_value add_conditions(sf_graph *graph, const sf_unet_config *config, sf_value time,
                               const sf_unet_inputs *inputs, sf_dtype compute) {
    switch (config->addition_embed_type) {
    case SF_UNET_ADDITION_TEXT:
        return sf_add(graph, time, text_embedding(graph, config, inputs->encoder_hidden_states));
    case SF_UNET_ADDITION_TEXT_TIME:
        return sf_add(graph, time, text_time_embedding(graph, config, inputs, compute));
    default:
        return time;
    }
}

sf_value sf_unet_time_embedding(sf_graph *graph, const sf_unet_config *config,
                                const sf_unet_inputs *inputs, sf_dtype compute) {
    sf_time_mlp mlp = {.width = config->time_embedding_dim,
                       .activation = config->act_fn,
                       .post_activation = config->timestep_post_act,
                       .condition =
                           config->time_cond_proj_dim ? inputs->timestep_cond : SF_NO_VALUE};
    sf_value features = sf_cast(graph, time_features(graph, config, inputs->timestep), compute);
    sf_value time = sf_timestep_embedding(graph, "time_embedding", features, mlp);
    time = add_classes(graph, config, time, inputs->class_labels, compute);
    time = add_conditions(graph, config, time, inputs, compute);
    return sf_activate(graph, time, config->time_embedding_act_fn);
}
