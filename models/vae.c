/*
 * AutoencoderKL: its encoder and its decoder. See vae.h; the configuration is in vae_config.c.
 */
#include "models/vae.h"

#include "models/attention.h"
#include "models/blocks.h"
#include "models/model.h"

#define EPSILON 1e-6 /* of all norms */

/* ---- blocks ---- */

static sf_value resnet(sf_graph *graph, const sf_vae_config *config, int i, sf_value x,
                       int64_t channels) {
    sf_resnet options = {.out_channels = channels,
                         .groups = config->norm_num_groups,
                         .epsilon = EPSILON,
                         .activation = config->act_fn,
                         .time = SF_NO_VALUE,
                         .output_scale = 1};
    sf_scope mark = sf_scope_enter(graph, "resnets.%d", i);
    x = sf_resnet_block(graph, x, &options);
    sf_scope_leave(graph, mark);
    return x;
}

/* One head as wide as the image. */
static sf_value attention(sf_graph *graph, const sf_vae_config *config, int i, sf_value x) {
    sf_scope mark = sf_scope_enter(graph, "attentions.%d", i);
    x = sf_image_attention(graph, x, sf_value_dim(graph, x, 3), config->norm_num_groups, EPSILON);
    sf_scope_leave(graph, mark);
    return x;
}

/* Residual blocks, each with attention after it in the Attn... types. */
static sf_value layers(sf_graph *graph, const sf_vae_config *config, sf_value x, int64_t n_layers,
                       int64_t channels, bool with_attention) {
    for (int i = 0; i < n_layers; i++) {
        x = resnet(graph, config, i, x, channels);
        if (with_attention)
            x = attention(graph, config, i, x);
    }
    return x;
}

static sf_value mid_block(sf_graph *graph, const sf_vae_config *config, sf_value x) {
    int64_t channels = config->block_out_channels[config->n_levels - 1];
    sf_scope mark = sf_scope_enter(graph, "mid_block");
    x = resnet(graph, config, 0, x, channels);
    if (config->mid_block_add_attention)
        x = attention(graph, config, 0, x);
    x = resnet(graph, config, 1, x, channels);
    sf_scope_leave(graph, mark);
    return x;
}

static sf_value down_block(sf_graph *graph, const sf_vae_config *config, int i, sf_value x) {
    int64_t channels = config->block_out_channels[i];
    sf_scope mark = sf_scope_enter(graph, "down_blocks.%d", i);
    x = layers(graph, config, x, config->layers_per_block, channels, config->down_attention[i]);
    if (i < config->n_levels - 1)
        x = sf_downsample(graph, "downsamplers.0.conv", x, channels, 0);
    sf_scope_leave(graph, mark);
    return x;
}

static sf_value up_block(sf_graph *graph, const sf_vae_config *config, int i, sf_value x) {
    int64_t channels = config->block_out_channels[config->n_levels - 1 - i];
    sf_scope mark = sf_scope_enter(graph, "up_blocks.%d", i);
    x = layers(graph, config, x, config->layers_per_block + 1, channels, config->up_attention[i]);
    if (i < config->n_levels - 1)
        x = sf_upsample(graph, "upsamplers.0.conv", x, channels, 0, 0);
    sf_scope_leave(graph, mark);
    return x;
}

/* Norm, SiLU (whatever act_fn is) and convolution. */
static sf_value out_layers(sf_graph *graph, const sf_vae_config *config, sf_value x,
                           int64_t channels) {
    x = sf_layer_group_norm(graph, "conv_norm_out", x, config->norm_num_groups, EPSILON);
    x = sf_activate(graph, x, SF_ACTIVATION_SILU);
    return sf_layer_conv2d_same(graph, "conv_out", x, channels, 3);
}

/* ---- encoder and decoder ---- */

sf_value sf_vae_decode_build(sf_graph *graph, const sf_vae_config *config, sf_value z) {
    sf_value x = z;
    if (config->use_post_quant_conv)
        x = sf_layer_linear(graph, "post_quant_conv", x, config->latent_channels, SF_WITH_BIAS);
    sf_scope mark = sf_scope_enter(graph, "decoder");
    x = sf_layer_conv2d_same(graph, "conv_in", x, config->block_out_channels[config->n_levels - 1],
                             3);
    x = mid_block(graph, config, x);
    for (int i = 0; i < config->n_levels; i++)
        x = up_block(graph, config, i, x);
    x = out_layers(graph, config, x, config->out_channels);
    sf_scope_leave(graph, mark);
    return x;
}

sf_vae_distribution sf_vae_encode_build(sf_graph *graph, const sf_vae_config *config,
                                        sf_value picture) {
    int64_t n = config->latent_channels;
    sf_scope mark = sf_scope_enter(graph, "encoder");
    sf_value x = sf_layer_conv2d_same(graph, "conv_in", picture, config->block_out_channels[0], 3);
    for (int i = 0; i < config->n_levels; i++)
        x = down_block(graph, config, i, x);
    x = mid_block(graph, config, x);
    x = out_layers(graph, config, x, 2 * n);
    sf_scope_leave(graph, mark);
    if (config->use_quant_conv)
        x = sf_layer_linear(graph, "quant_conv", x, 2 * n, SF_WITH_BIAS);
    return (sf_vae_distribution){
        .mean = sf_slice(graph, x, 3, 0, n),
        .logvar = sf_clamp(graph, sf_slice(graph, x, 3, n, n), -30, 20),
    };
}

/* ---- as components ---- */

static void example_sizes(const void *config, sf_sizes *sizes) {
    const sf_vae_config *vae = config;
    sf_sizes_set(sizes, 'H', (int64_t)1 << (vae->n_levels - 1));
    sf_sizes_set(sizes, 'W', (int64_t)1 << (vae->n_levels - 1));
}

static void usual_picture(const void *config, const sf_usage *usage, sf_sizes *sizes) {
    const sf_vae_config *vae = config;
    int64_t height = usage->pixels ? usage->pixels : vae->sample_height;
    int64_t width = usage->pixels ? usage->pixels : vae->sample_width;
    sf_sizes_set(sizes, 'H', height ? height : 512);
    sf_sizes_set(sizes, 'W', width ? width : 512);
}

static void usual_latents(const void *config, const sf_usage *usage, sf_sizes *sizes) {
    int64_t factor = (int64_t)1 << (((const sf_vae_config *)config)->n_levels - 1);
    usual_picture(config, usage, sizes);
    sf_sizes_set(sizes, 'H', sizes->of_letter['H'] / factor);
    sf_sizes_set(sizes, 'W', sizes->of_letter['W'] / factor);
}

static void declare_decoder(const void *config, sf_ports *ports) {
    const sf_vae_config *vae = config;
    sf_ports_add(ports, (sf_port){.name = "sample",
                                  .dtype = SF_F32,
                                  SF_PORT_DIMS(SF_ANY('N'), vae->latent_channels, SF_ANY('H'),
                                               SF_ANY('W'))});
}

static void build_decoder(sf_graph *graph, const void *config, const sf_bound *inputs,
                          sf_dtype compute) {
    sf_value z = sf_image_in(graph, sf_bound_value(inputs, "sample"), compute);
    sf_image_out(graph, "sample", sf_vae_decode_build(graph, config, z));
}

static void declare_encoder(const void *config, sf_ports *ports) {
    const sf_vae_config *vae = config;
    sf_ports_add(ports,
                 (sf_port){.name = "sample",
                           .dtype = SF_F32,
                           SF_PORT_DIMS(SF_ANY('N'), vae->in_channels, SF_ANY('H'), SF_ANY('W'))});
}

static void build_encoder(sf_graph *graph, const void *config, const sf_bound *inputs,
                          sf_dtype compute) {
    sf_value picture = sf_image_in(graph, sf_bound_value(inputs, "sample"), compute);
    sf_vae_distribution latents = sf_vae_encode_build(graph, config, picture);
    sf_image_out(graph, "mean", latents.mean);
    sf_image_out(graph, "logvar", latents.logvar);
}

static const sf_role decoder = {
    .component = "vae_decoder",
    .folder = "vae",
    .declare = declare_decoder,
    .example_sizes = example_sizes,
    .usual_sizes = usual_latents,
    .build = build_decoder,
};

static const sf_role encoder = {
    .component = "vae_encoder",
    .folder = "vae",
    .declare = declare_encoder,
    .example_sizes = example_sizes,
    .usual_sizes = usual_picture,
    .build = build_encoder,
};

const sf_model_class sf_model_vae = {
    .names = {"AutoencoderKL"},
    .config_bytes = sizeof(sf_vae_config),
    .configure = sf_vae_configure,
    .roles = {&decoder, &encoder},
};
