/*
 * AutoencoderKL: pictures to latents and back (Rombach et al. 2022, section 3.1).
 */
#ifndef SF_MODELS_VAE_H
#define SF_MODELS_VAE_H

#include "core/graph.h"
#include "models/config.h"

/* config.json; members are named as its fields, and described in diffusers' AutoencoderKL. */
typedef struct sf_vae_config {
    int64_t in_channels, out_channels, latent_channels;
    int64_t sample_height, sample_width; /* 0: not given */
    int n_levels;                        /* each but the last halves the size */
    int64_t block_out_channels[SF_MAX_LEVELS];
    bool down_attention[SF_MAX_LEVELS], up_attention[SF_MAX_LEVELS]; /* Attn... block types */
    int64_t layers_per_block;
    int64_t norm_num_groups;
    sf_activation act_fn;
    bool mid_block_add_attention, use_quant_conv, use_post_quant_conv;
    /* For the pipeline: latent = (z - shift_factor) * scaling_factor, or with mean and std. */
    double scaling_factor, shift_factor;
    int n_latents_mean, n_latents_std; /* 0: not given */
    double latents_mean[SF_JSON_MAX_LIST], latents_std[SF_JSON_MAX_LIST];
} sf_vae_config;

sf_status sf_vae_configure(sf_context *ctx, const char *where, const char *class_name,
                           const json_t *json, void *config);

/* z [N, h, w, latent_channels] -> picture [N, H, W, out_channels], of z's type. */
sf_value sf_vae_decode_build(sf_graph *graph, const sf_vae_config *config, sf_value z);

/*
 * picture [N, H, W, in_channels] -> mean and log variance [N, h, w, latent_channels], the latter
 * within -30 .. 20.
 */
typedef struct sf_vae_distribution {
    sf_value mean, logvar;
} sf_vae_distribution;

sf_vae_distribution sf_vae_encode_build(sf_graph *graph, const sf_vae_config *config,
                                        sf_value picture);

#endif
