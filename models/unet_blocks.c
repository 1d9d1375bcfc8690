/*
 * The levels of UNet2DConditionModel: residual blocks, each followed by attention in some types,
 * and a change of size at the end.
 */
#include "models/attention.h"
#include "models/blocks.h"
#include "models/unet_internal.h"

/* ---- parts ---- */

/*
 * A residual block. resnet_skip_time_act and resnet_out_scale_factor are for the Resnet... types
 * alone, as in diffusers.
 */
static sf_value resnet(sf_unet_pass *pass, const char *scope, int i, sf_value x,
                       const sf_unet_level *level, sf_resample resample) {
    const sf_unet_config *config = pass->config;
    bool resnet_size = level->block == SF_UNET_RESNET_SIZE;
    bool raw_time = resnet_size && config->resnet_skip_time_act;
    sf_resnet options = {
        .out_channels = level->channels,
        .groups = config->norm_num_groups,
        .epsilon = config->norm_eps,
        .activation = config->act_fn,
        .time = raw_time ? pass->time : pass->activated_time,
        .scale_shift = config->resnet_time_scale_shift == 1,
        .output_scale = resnet_size ? config->resnet_out_scale_factor : 1,
        .resample = resample,
    };
    sf_scope mark = sf_scope_enter(pass->graph, "%s.%d", scope, i);
    x = sf_resnet_block(pass->graph, x, &options);
    sf_scope_leave(pass->graph, mark);
    return x;
}

static sf_value attention(sf_unet_pass *pass, int i, sf_value x, const sf_unet_level *level) {
    const sf_unet_config *config = pass->config;
    sf_transformer transformer = {
        .n_heads = level->n_heads,
        .n_layers = level->transformer_layers[i],
        .groups = config->norm_num_groups,
        .context = pass->context,
        .only_cross_attention = level->only_cross_attention,
    };
    if (level->block != SF_UNET_CROSS && level->block != SF_UNET_SELF)
        return x;
    sf_scope mark = sf_scope_enter(pass->graph, "attentions.%d", i);
    if (level->block == SF_UNET_CROSS)
        x = sf_transformer_2d(pass->graph, x, &transformer);
    else
        x = sf_image_attention(pass->graph, x, level->head_size, config->norm_num_groups,
                               config->norm_eps);
    sf_scope_leave(pass->graph, mark);
    return x;
}

static void push(sf_unet_pass *pass, sf_value x) {
    pass->skips[pass->n_skips++] = x;
}

/* ---- down ---- */

static sf_value smaller(sf_unet_pass *pass, sf_value x, const sf_unet_level *level) {
    if (level->block == SF_UNET_RESNET_SIZE)
        return resnet(pass, "downsamplers", 0, x, level, SF_RESAMPLE_DOWN);
    return sf_downsample(pass->graph, "downsamplers.0.conv", x, level->channels,
                         (int)pass->config->downsample_padding);
}

sf_value sf_unet_down_block(sf_unet_pass *pass, int i, sf_value x) {
    const sf_unet_level *level = &pass->config->down[i];
    sf_scope mark = sf_scope_enter(pass->graph, "down_blocks.%d", i);
    for (int k = 0; k < level->n_layers; k++) {
        x = resnet(pass, "resnets", k, x, level, SF_RESAMPLE_NONE);
        x = attention(pass, k, x, level);
        push(pass, x);
    }
    if (i < pass->config->n_levels - 1) {
        x = smaller(pass, x, level);
        push(pass, x);
    }
    sf_scope_leave(pass->graph, mark);
    return x;
}

/* ---- middle ---- */

static sf_value mid_resnet(sf_unet_pass *pass, int i, sf_value x) {
    const sf_unet_config *config = pass->config;
    sf_resnet options = {
        .out_channels = config->down[config->n_levels - 1].channels,
        .groups = config->norm_num_groups,
        .epsilon = config->norm_eps,
        .activation = config->act_fn,
        .time = pass->activated_time,
        .scale_shift = config->resnet_time_scale_shift == 1,
        .output_scale = config->mid_block_scale_factor,
    };
    sf_scope mark = sf_scope_enter(pass->graph, "resnets.%d", i);
    x = sf_resnet_block(pass->graph, x, &options);
    sf_scope_leave(pass->graph, mark);
    return x;
}

/* UNetMidBlock2D is one residual block here; with cross-attention a second one follows it. */
sf_value sf_unet_mid_block(sf_unet_pass *pass, sf_value x) {
    const sf_unet_config *config = pass->config;
    sf_transformer transformer = {
        .n_heads = config->mid_n_heads,
        .n_layers = config->mid_transformer_layers,
        .groups = config->norm_num_groups,
        .context = pass->context,
    };
    if (config->mid_block == SF_UNET_NO_BLOCK)
        return x;
    sf_scope mark = sf_scope_enter(pass->graph, "mid_block");
    x = mid_resnet(pass, 0, x);
    if (config->mid_block == SF_UNET_CROSS) {
        sf_scope inner = sf_scope_enter(pass->graph, "attentions.0");
        x = sf_transformer_2d(pass->graph, x, &transformer);
        sf_scope_leave(pass->graph, inner);
        x = mid_resnet(pass, 1, x);
    }
    sf_scope_leave(pass->graph, mark);
    return x;
}

/* ---- up ---- */

/* To the size of the skip that comes next, which is not just twice the size where that was odd. */
static sf_value larger(sf_unet_pass *pass, sf_value x, const sf_unet_level *level) {
    sf_value skip = pass->skips[pass->n_skips - 1];
    if (level->block == SF_UNET_RESNET_SIZE)
        return resnet(pass, "upsamplers", 0, x, level, SF_RESAMPLE_UP);
    bool fits = level->block != SF_UNET_SELF;
    return sf_upsample(pass->graph, "upsamplers.0.conv", x, level->channels,
                       fits ? sf_value_dim(pass->graph, skip, 1) : 0,
                       fits ? sf_value_dim(pass->graph, skip, 2) : 0);
}

sf_value sf_unet_up_block(sf_unet_pass *pass, int i, sf_value x) {
    const sf_unet_level *level = &pass->config->up[i];
    sf_scope mark = sf_scope_enter(pass->graph, "up_blocks.%d", i);
    for (int k = 0; k < level->n_layers; k++) {
        sf_value skip = pass->skips[--pass->n_skips];
        x = sf_concat(pass->graph, (const sf_value[]){x, skip}, 2, 3);
        x = resnet(pass, "resnets", k, x, level, SF_RESAMPLE_NONE);
        x = attention(pass, k, x, level);
    }
    if (i < pass->config->n_levels - 1)
        x = larger(pass, x, level);
    sf_scope_leave(pass->graph, mark);
    return x;
}
