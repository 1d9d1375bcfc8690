/*
 * AutoencoderKL's config.json. Defaults are those of diffusers' class.
 */
#include <math.h>

#include "models/vae.h"

static const sf_config_field fields[] = {
    SF_INT(sf_vae_config, in_channels, 3, 1, SF_MAX_CHANNELS),
    SF_INT(sf_vae_config, out_channels, 3, 1, SF_MAX_CHANNELS),
    SF_INT(sf_vae_config, latent_channels, 4, 1, SF_MAX_CHANNELS),
    SF_INT(sf_vae_config, layers_per_block, 1, 1, SF_MAX_LAYERS),
    SF_INT(sf_vae_config, norm_num_groups, 32, 1, SF_MAX_CHANNELS),
    SF_ACTIVATION(sf_vae_config, act_fn, "silu"),
    SF_BOOL(sf_vae_config, mid_block_add_attention, true),
    SF_BOOL(sf_vae_config, use_quant_conv, true),
    SF_BOOL(sf_vae_config, use_post_quant_conv, true),
    SF_NUMBER(sf_vae_config, scaling_factor, 0.18215, -1e30, 1e30),
    SF_NUMBER(sf_vae_config, shift_factor, 0, -1e30, 1e30),
};

/* Index 1: with attention. */
static const char *const down_types[] = {"DownEncoderBlock2D", "AttnDownEncoderBlock2D", NULL};
static const char *const up_types[] = {"UpDecoderBlock2D", "AttnUpDecoderBlock2D", NULL};

static sf_status read_types(sf_context *ctx, const char *where, const json_t *json, const char *key,
                            const char *const *choices, int n_levels, bool *attention) {
    int types[SF_JSON_MAX_LIST] = {0};
    int n_types = 1;
    SF_TRY(sf_config_read_names(ctx, where, json, key, choices, types, &n_types));
    if (n_types != n_levels)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: %s: %d blocks, but block_out_channels has %d", where, key,
                n_types, n_levels);
    for (int i = 0; i < n_levels; i++)
        attention[i] = types[i] == 1;
    return SF_OK;
}

static sf_status read_levels(sf_context *ctx, const char *where, const json_t *json,
                             sf_vae_config *config) {
    sf_json_ints channels = {.count = 1, .values = {64}};
    SF_TRY(
        sf_json_get_ints(ctx, where, json, "block_out_channels", 0, 1, SF_MAX_CHANNELS, &channels));
    if (channels.count < 1 || channels.count > SF_MAX_LEVELS)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: block_out_channels: a list of %d is not within 1 to %d",
                where, channels.count, SF_MAX_LEVELS);
    config->n_levels = channels.count;
    for (int i = 0; i < channels.count; i++)
        config->block_out_channels[i] = channels.values[i];
    SF_TRY(read_types(ctx, where, json, "down_block_types", down_types, config->n_levels,
                      config->down_attention));
    SF_TRY(read_types(ctx, where, json, "up_block_types", up_types, config->n_levels,
                      config->up_attention));
    return sf_config_check_groups(ctx, where, config->norm_num_groups, config->block_out_channels,
                                  config->n_levels);
}

/* A number a latent channel. */
static sf_status read_statistics(sf_context *ctx, const char *where, const json_t *json,
                                 const char *key, int64_t n_channels, double *values, int *n) {
    sf_json_numbers list = {.count = 0};
    *n = 0;
    if (!json_object_get(json, key) || sf_config_is_null(json, key))
        return SF_OK;
    SF_TRY(sf_json_get_numbers(ctx, where, json, key, (int)n_channels, &list));
    for (int i = 0; i < list.count; i++) {
        values[i] = list.values[i];
        if (!isfinite(values[i]))
            SF_FAIL(ctx, ERROR_FORMAT, "%s: %s: %g is not a finite number", where, key, values[i]);
    }
    *n = list.count;
    return SF_OK;
}

sf_status sf_vae_configure(sf_context *ctx, const char *where, const char *class_name,
                           const json_t *json, void *config) {
    sf_vae_config *vae = config;
    (void)class_name;
    SF_TRY(sf_config_read(ctx, where, json, fields, sizeof fields / sizeof *fields, vae));
    SF_TRY(read_levels(ctx, where, json, vae));
    SF_TRY(sf_config_read_size(ctx, where, json, "sample_size", &vae->sample_height,
                               &vae->sample_width));
    if (vae->scaling_factor == 0)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: scaling_factor: must not be 0", where);
    SF_TRY(read_statistics(ctx, where, json, "latents_mean", vae->latent_channels,
                           vae->latents_mean, &vae->n_latents_mean));
    return read_statistics(ctx, where, json, "latents_std", vae->latent_channels, vae->latents_std,
                           &vae->n_latents_std);
}
