/*
 * UNet2DConditionModel: the U-Net of Stable Diffusion and its kin (Ronneberger et al. 2015; Ho et
 * al. 2020, appendix B; Rombach et al. 2022, section 3.3), as diffusers configures it.
 */
#ifndef SF_MODELS_UNET_H
#define SF_MODELS_UNET_H

#include "core/graph.h"
#include "models/config.h"

#define SF_UNET_MAX_LAYERS 32 /* residual blocks a level */
/* conv_in, and at each level the blocks and a change of size */
#define SF_UNET_MAX_SKIPS (1 + SF_MAX_LEVELS * (SF_UNET_MAX_LAYERS + 1))

typedef enum sf_unet_block {
    SF_UNET_PLAIN,       /* DownBlock2D, UpBlock2D, UNetMidBlock2D */
    SF_UNET_CROSS,       /* CrossAttn... */
    SF_UNET_SELF,        /* AttnDownBlock2D, AttnUpBlock2D */
    SF_UNET_RESNET_SIZE, /* ResnetDownsampleBlock2D, ResnetUpsampleBlock2D */
    SF_UNET_NO_BLOCK,    /* mid_block_type null */
} sf_unet_block;

typedef enum sf_unet_class_embedding {
    SF_UNET_CLASS_NONE = -1,
    SF_UNET_CLASS_TIMESTEP,
    SF_UNET_CLASS_IDENTITY,
    SF_UNET_CLASS_PROJECTION,
    SF_UNET_CLASS_SIMPLE_PROJECTION,
    SF_UNET_CLASS_TABLE, /* class_embed_type null and num_class_embeds given */
} sf_unet_class_embedding;

typedef enum sf_unet_addition {
    SF_UNET_ADDITION_NONE = -1,
    SF_UNET_ADDITION_TEXT,
    SF_UNET_ADDITION_TEXT_TIME,
} sf_unet_addition;

/* One level of the way up or down. */
typedef struct sf_unet_level {
    sf_unet_block block;
    int64_t channels, n_layers;
    int64_t n_heads;   /* of CROSS */
    int64_t head_size; /* of SELF */
    bool only_cross_attention;
    int64_t transformer_layers[SF_UNET_MAX_LAYERS + 1]; /* for each of n_layers */
} sf_unet_level;

/* config.json; members are named as its fields, and described in diffusers' UNet2DConditionModel. */
typedef struct sf_unet_config {
    int64_t in_channels, out_channels;
    int64_t sample_height, sample_width; /* 0: not given */
    int n_levels;                        /* each but the last halves the size */
    sf_unet_level down[SF_MAX_LEVELS], up[SF_MAX_LEVELS];
    sf_unet_block mid_block;
    int64_t mid_n_heads, mid_transformer_layers;

    int64_t norm_num_groups, conv_in_kernel, conv_out_kernel, downsample_padding;
    double norm_eps, mid_block_scale_factor, resnet_out_scale_factor;
    sf_activation act_fn;
    int resnet_time_scale_shift; /* 1: scale_shift */
    bool center_input_sample, resnet_skip_time_act;

    int time_embedding_type; /* 1: fourier */
    bool flip_sin_to_cos;
    double freq_shift;
    int64_t time_embedding_dim; /* filled in where the configuration leaves it out */
    int64_t time_cond_proj_dim; /* 0: none */
    sf_activation timestep_post_act, time_embedding_act_fn;

    int64_t cross_attention_dim; /* of encoder_hidden_states after encoder_hid_proj; 0: none */
    int64_t encoder_hid_dim;     /* and before it; 0: there is no such projection */
    int class_embed_type;        /* sf_unet_class_embedding */
    int64_t num_class_embeds, projection_class_embeddings_input_dim;
    bool class_embeddings_concat;
    int addition_embed_type; /* sf_unet_addition */
    int64_t addition_time_embed_dim, addition_embed_type_num_heads;
} sf_unet_config;

sf_status sf_unet_configure(sf_context *ctx, const char *where, const char *class_name,
                            const json_t *json, void *config);

/* Whether any part looks at encoder_hidden_states. */
bool sf_unet_needs_context(const sf_unet_config *config);

/* The number of skip connections. */
int sf_unet_n_skips(const sf_unet_config *config);

/* Images are [N, H, W, C]; the type of sample is that of all activations. */
typedef struct sf_unet_inputs {
    sf_value sample;
    sf_value timestep;              /* f32 [N] or [1] */
    sf_value encoder_hidden_states; /* [N, T, D] */
    /* SF_NO_VALUE where the configuration has no use for it, or it is not given: */
    sf_value class_labels; /* i64 [N] for a table, f32 [N] for "timestep", else [N, D] */
    sf_value timestep_cond;
    sf_value text_embeds, time_ids; /* [N, E], f32 [N, K] */
    /* Of a ControlNet: one for each skip connection, and one for the middle. Both or neither. */
    int n_down_residuals;
    sf_value down_block_additional_residuals[SF_UNET_MAX_SKIPS];
    sf_value mid_block_additional_residual;
} sf_unet_inputs;

/* All absent. */
sf_unet_inputs sf_unet_inputs_none(void);

/* The prediction, [N, H, W, out_channels], of sample's type. */
sf_value sf_unet_build(sf_graph *graph, const sf_unet_config *config, const sf_unet_inputs *inputs);

#endif
