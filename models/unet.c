/*
 * UNet2DConditionModel put together. See unet.h; the parts are in unet_time.c and unet_blocks.c.
 */
#include "models/unet.h"

#include "models/blocks.h"
#include "models/unet_internal.h"

sf_unet_inputs sf_unet_inputs_none(void) {
    return (sf_unet_inputs){
        .sample = SF_NO_VALUE,
        .timestep = SF_NO_VALUE,
        .encoder_hidden_states = SF_NO_VALUE,
        .class_labels = SF_NO_VALUE,
        .timestep_cond = SF_NO_VALUE,
        .text_embeds = SF_NO_VALUE,
        .time_ids = SF_NO_VALUE,
        .mid_block_additional_residual = SF_NO_VALUE,
    };
}

/* ---- residuals of a ControlNet (Zhang et al. 2023) ---- */

/* image + residual, which may be broadcast but not larger. */
static sf_value add_residual(sf_graph *graph, sf_value image, sf_value residual) {
    sf_value sum = sf_add(graph, image, residual);
    if (sum != SF_NO_VALUE &&
        !sf_spec_equal(sf_value_spec(graph, sum), sf_value_spec(graph, image))) {
        char text[SF_SHAPE_TEXT];
        return sf_graph_fail(graph, SF_ERROR_SHAPE, "larger than the image %s (N, H, W, C)",
                             sf_spec_text(sf_value_spec(graph, image), text));
    }
    return sum;
}

/* Both kinds or neither; false: neither. */
static bool has_residuals(sf_unet_pass *pass, const sf_unet_inputs *inputs) {
    bool mid = inputs->mid_block_additional_residual != SF_NO_VALUE;
    if (!inputs->n_down_residuals && !mid)
        return false;
    if (mid && inputs->n_down_residuals == pass->n_skips)
        return true;
    sf_graph_fail(pass->graph, SF_ERROR_ARGUMENT,
                  "%d down_block_additional_residuals and %s mid_block_additional_residual; the "
                  "U-Net takes %d and one, or none of both",
                  inputs->n_down_residuals, mid ? "one" : "no", pass->n_skips);
    return false;
}

static void add_down_residuals(sf_unet_pass *pass, const sf_unet_inputs *inputs) {
    for (int i = 0; i < pass->n_skips; i++) {
        sf_scope mark = sf_scope_enter(pass->graph, "down_block_additional_residuals.%d", i);
        pass->skips[i] =
            add_residual(pass->graph, pass->skips[i], inputs->down_block_additional_residuals[i]);
        sf_scope_leave(pass->graph, mark);
    }
}

static sf_value add_mid_residual(sf_unet_pass *pass, const sf_unet_inputs *inputs, sf_value x) {
    sf_scope mark = sf_scope_enter(pass->graph, "mid_block_additional_residual");
    x = add_residual(pass->graph, x, inputs->mid_block_additional_residual);
    sf_scope_leave(pass->graph, mark);
    return x;
}

/* ---- the network ---- */

/* encoder_hidden_states, projected where the configuration says so. */
static sf_value context_of(sf_graph *graph, const sf_unet_config *config, sf_value tokens) {
    if (!config->encoder_hid_dim || tokens == SF_NO_VALUE)
        return tokens;
    return sf_layer_linear(graph, "encoder_hid_proj", tokens, config->cross_attention_dim,
                           SF_WITH_BIAS);
}

static sf_value out_layers(sf_graph *graph, const sf_unet_config *config, sf_value x) {
    x = sf_layer_group_norm(graph, "conv_norm_out", x, config->norm_num_groups, config->norm_eps);
    x = sf_activate(graph, x, config->act_fn);
    return sf_layer_conv2d_same(graph, "conv_out", x, config->out_channels,
                                (int)config->conv_out_kernel);
}

sf_value sf_unet_build(sf_graph *graph, const sf_unet_config *config,
                       const sf_unet_inputs *inputs) {
    sf_dtype compute = sf_value_spec(graph, inputs->sample)->dtype;
    sf_unet_pass pass = {.graph = graph, .config = config};
    pass.time = sf_unet_time_embedding(graph, config, inputs, compute);
    pass.activated_time = sf_activate(graph, pass.time, config->act_fn);
    pass.context = context_of(graph, config, inputs->encoder_hidden_states);

    sf_value x = inputs->sample;
    if (config->center_input_sample)
        x = sf_affine(graph, x, 2, -1);
    x = sf_layer_conv2d_same(graph, "conv_in", x, config->down[0].channels,
                             (int)config->conv_in_kernel);
    pass.skips[pass.n_skips++] = x;
    for (int i = 0; i < config->n_levels; i++)
        x = sf_unet_down_block(&pass, i, x);
    bool controlled = has_residuals(&pass, inputs);
    if (controlled)
        add_down_residuals(&pass, inputs);
    x = sf_unet_mid_block(&pass, x);
    if (controlled)
        x = add_mid_residual(&pass, inputs, x);
    for (int i = 0; i < config->n_levels; i++)
        x = sf_unet_up_block(&pass, i, x);
    return out_layers(graph, config, x);
}
