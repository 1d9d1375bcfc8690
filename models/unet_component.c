/*
 * UNet2DConditionModel as the component "unet": inputs and outputs of the diffusers module.
 */
#include "models/model.h"
#include "models/unet.h"

#define DOWN_RESIDUALS "down_block_additional_residuals"
#define MID_RESIDUAL   "mid_block_additional_residual"

static void add(sf_ports *ports, const char *name, bool optional, int n_dims, const int64_t *dims) {
    sf_port port = {.name = name, .dtype = SF_F32, .n_dims = n_dims, .optional = optional};
    for (int axis = 0; axis < n_dims; axis++)
        port.dims[axis] = dims[axis];
    sf_ports_add(ports, port);
}

static void add_context(const sf_unet_config *config, sf_ports *ports) {
    bool needed = sf_unet_needs_context(config);
    int64_t width = config->encoder_hid_dim ? config->encoder_hid_dim : config->cross_attention_dim;
    add(ports, "encoder_hidden_states", !needed,
        SF_DIMS(SF_ANY('N'), SF_ANY('T'), needed ? width : SF_ANY('*')));
}

static void add_class_labels(const sf_unet_config *config, sf_ports *ports) {
    sf_port table = {.name = "class_labels",
                     .dtype = SF_I64,
                     SF_PORT_DIMS(SF_ANY('N')),
                     .limit = config->num_class_embeds};
    switch (config->class_embed_type) {
    case SF_UNET_CLASS_TABLE:
        sf_ports_add(ports, table);
        break;
    case SF_UNET_CLASS_TIMESTEP:
        add(ports, "class_labels", false, SF_DIMS(SF_ANY('N')));
        break;
    case SF_UNET_CLASS_IDENTITY:
        add(ports, "class_labels", false, SF_DIMS(SF_ANY('N'), config->time_embedding_dim));
        break;
    case SF_UNET_CLASS_PROJECTION:
    case SF_UNET_CLASS_SIMPLE_PROJECTION:
        add(ports, "class_labels", false,
            SF_DIMS(SF_ANY('N'), config->projection_class_embeddings_input_dim));
        break;
    default:
        break;
    }
}

static void declare(const void *config, sf_ports *ports) {
    const sf_unet_config *unet = config;
    add(ports, "sample", false, SF_DIMS(SF_ANY('N'), unet->in_channels, SF_ANY('H'), SF_ANY('W')));
    sf_ports_add(
        ports,
        (sf_port){.name = "timestep", .dtype = SF_F32, SF_PORT_DIMS(SF_ANY('N')), .scalar = true});
    add_context(unet, ports);
    add_class_labels(unet, ports);
    if (unet->time_cond_proj_dim)
        add(ports, "timestep_cond", true, SF_DIMS(SF_ANY('N'), unet->time_cond_proj_dim));
    if (unet->addition_embed_type == SF_UNET_ADDITION_TEXT_TIME) {
        add(ports, "text_embeds", false, SF_DIMS(SF_ANY('N'), SF_ANY('E')));
        add(ports, "time_ids", false, SF_DIMS(SF_ANY('N'), SF_ANY('K')));
    }
    sf_ports_add(ports, (sf_port){.name = DOWN_RESIDUALS,
                                  .dtype = SF_F32,
                                  SF_PORT_DIMS(SF_ANY('*'), SF_ANY('*'), SF_ANY('*'), SF_ANY('*')),
                                  .count = sf_unet_n_skips(unet),
                                  .optional = true});
    sf_ports_add(ports, (sf_port){.name = MID_RESIDUAL,
                                  .dtype = SF_F32,
                                  SF_PORT_DIMS(SF_ANY('*'), SF_ANY('*'), SF_ANY('*'), SF_ANY('*')),
                                  .optional = true,
                                  .no_example = true});
}

#define SDXL_IDS 6 /* sizes, crops and the target's size */

/* What the text has of the channels of text_embeds and n_ids time_ids; SF_UNET_ADDITION_TEXT_TIME. */
static int64_t text_channels(const sf_unet_config *unet, int64_t n_ids) {
    return unet->projection_class_embeddings_input_dim - n_ids * unet->addition_time_embed_dim;
}

/* A size that all levels halve, so that types which can only double it back are fine. */
static void example_sizes(const void *config, sf_sizes *sizes) {
    const sf_unet_config *unet = config;
    int64_t side = (int64_t)1 << (unet->n_levels - 1);
    sf_sizes_set(sizes, 'H', side);
    sf_sizes_set(sizes, 'W', side);
    if (unet->addition_embed_type == SF_UNET_ADDITION_TEXT_TIME)
        sf_sizes_set(sizes, 'E', text_channels(unet, 1));
}

static void usual_sizes(const void *config, const sf_usage *usage, sf_sizes *sizes) {
    const sf_unet_config *unet = config;
    int64_t height = usage->pixels ? usage->pixels / usage->factor : unet->sample_height;
    int64_t width = usage->pixels ? usage->pixels / usage->factor : unet->sample_width;
    example_sizes(config, sizes);
    sf_sizes_set(sizes, 'H', height ? height : 64);
    sf_sizes_set(sizes, 'W', width ? width : 64);
    sf_sizes_set(sizes, 'T', usage->n_tokens);
    if (unet->addition_embed_type == SF_UNET_ADDITION_TEXT_TIME &&
        text_channels(unet, SDXL_IDS) > 0) {
        sf_sizes_set(sizes, 'E', text_channels(unet, SDXL_IDS));
        sf_sizes_set(sizes, 'K', SDXL_IDS);
    }
}

static void bind_residuals(sf_graph *graph, const sf_bound *bound, sf_dtype compute,
                           sf_unet_inputs *inputs) {
    sf_value *values = inputs->down_block_additional_residuals;
    sf_value mid = sf_bound_value(bound, MID_RESIDUAL);
    inputs->n_down_residuals = sf_bound_list(bound, DOWN_RESIDUALS, values, SF_UNET_MAX_SKIPS);
    for (int i = 0; i < inputs->n_down_residuals; i++)
        values[i] = sf_image_in(graph, values[i], compute);
    if (mid != SF_NO_VALUE)
        inputs->mid_block_additional_residual = sf_image_in(graph, mid, compute);
}

static sf_value cast_given(sf_graph *graph, sf_value value, sf_dtype compute) {
    return value == SF_NO_VALUE ? value : sf_cast(graph, value, compute);
}

static void build(sf_graph *graph, const void *config, const sf_bound *bound, sf_dtype compute) {
    sf_unet_inputs inputs = sf_unet_inputs_none();
    inputs.sample = sf_image_in(graph, sf_bound_value(bound, "sample"), compute);
    inputs.timestep = sf_bound_value(bound, "timestep");
    inputs.encoder_hidden_states =
        cast_given(graph, sf_bound_value(bound, "encoder_hidden_states"), compute);
    inputs.class_labels = sf_bound_value(bound, "class_labels");
    inputs.timestep_cond = cast_given(graph, sf_bound_value(bound, "timestep_cond"), compute);
    inputs.text_embeds = sf_bound_value(bound, "text_embeds");
    inputs.time_ids = sf_bound_value(bound, "time_ids");
    bind_residuals(graph, bound, compute, &inputs);
    sf_image_out(graph, "sample", sf_unet_build(graph, config, &inputs));
}

static const sf_role unet = {
    .component = "unet",
    .folder = "unet",
    .declare = declare,
    .example_sizes = example_sizes,
    .usual_sizes = usual_sizes,
    .build = build,
};

const sf_model_class sf_model_unet = {
    .names = {"UNet2DConditionModel"},
    .config_bytes = sizeof(sf_unet_config),
    .configure = sf_unet_configure,
    .roles = {&unet},
};
