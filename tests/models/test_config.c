/*
 * Configurations: defaults, and what is wrong with one is an error that names file, field and value
 * before anything of the size asked for is allocated.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "tests/support/support.h"

Suite *suite_models_config(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

enum { UNET, VAE, CLIP };

static union {
    sf_unet_config unet;
    sf_vae_config vae;
    sf_clip_config clip;
} config;

/* Reads { text } as a configuration of the class. */
static sf_status configure(int model, const char *text) {
    static sf_status (*const functions[])(sf_context *, const char *, const char *, const json_t *,
                                          void *) = {sf_unet_configure, sf_vae_configure,
                                                     sf_clip_configure};
    char json[1024];
    json_t *root = NULL;
    memset(&config, 0, sizeof config);
    int length = snprintf(json, sizeof json, "{%s}", text);
    sf_status status = sf_json_parse(ctx, "here", json, (size_t)length, 0, &root);
    if (status == SF_OK)
        status = functions[model](ctx, "here", "", root, &config);
    json_decref(root);
    return status;
}

static const struct wrong {
    int model;
    const char *json;
    sf_status status;
    const char *message;
} wrong[] = {
    {UNET, "\"block_out_channels\": [1152921504606846976, 64, 64, 64]", SF_ERROR_FORMAT,
     "here: block_out_channels: 1152921504606846976 is not within 1 to 65536"},
    {UNET, "\"block_out_channels\": [320, 640]", SF_ERROR_FORMAT,
     "block_out_channels: a list of 4"},
    {UNET, "\"block_out_channels\": [32, 64, 0, 64]", SF_ERROR_FORMAT, "block_out_channels: 0 is"},
    {UNET, "\"block_out_channels\": [32, 64, -64, 64]", SF_ERROR_FORMAT, "-64 is not within"},
    {UNET, "\"block_out_channels\": [32, 64, 65, 64]", SF_ERROR_FORMAT,
     "65 channels are not divisible by norm_num_groups, 32"},
    {UNET, "\"block_out_channels\": \"many\"", SF_ERROR_FORMAT, "an integer is wanted"},
    {UNET, "\"block_out_channels\": NaN", SF_ERROR_FORMAT, "block_out_channels"},
    {UNET, "\"in_channels\": 1e300", SF_ERROR_FORMAT, "in_channels"},
    {UNET, "\"in_channels\": 0", SF_ERROR_FORMAT, "in_channels: 0 is not within 1"},
    {UNET, "\"layers_per_block\": 0", SF_ERROR_FORMAT, "layers_per_block: 0 is not within 1 to 32"},
    {UNET, "\"layers_per_block\": -2", SF_ERROR_FORMAT, "layers_per_block: -2"},
    {UNET, "\"layers_per_block\": [1, 2]", SF_ERROR_FORMAT, "layers_per_block: a list of 4"},
    {UNET, "\"layers_per_block\": 33", SF_ERROR_FORMAT, "layers_per_block: 33"},
    {UNET, "\"norm_eps\": NaN", SF_ERROR_FORMAT, "here: norm_eps: nan is not within 0 to 1"},
    {UNET, "\"norm_eps\": Infinity", SF_ERROR_FORMAT, "norm_eps: inf"},
    {UNET, "\"norm_eps\": -1", SF_ERROR_FORMAT, "norm_eps: -1"},
    {UNET, "\"freq_shift\": NaN", SF_ERROR_FORMAT, "freq_shift: nan"},
    {UNET, "\"mid_block_scale_factor\": 0", SF_ERROR_FORMAT, "mid_block_scale_factor: 0"},
    {UNET, "\"norm_num_groups\": 0", SF_ERROR_FORMAT, "norm_num_groups: 0"},
    {UNET, "\"norm_num_groups\": null", SF_ERROR_UNSUPPORTED, "norm_num_groups: null"},
    {UNET, "\"down_block_types\": [\"SimpleCrossAttnDownBlock2D\"]", SF_ERROR_UNSUPPORTED,
     "down_block_types: \"SimpleCrossAttnDownBlock2D\" is not supported"},
    {UNET, "\"up_block_types\": [\"SkipUpBlock2D\"]", SF_ERROR_UNSUPPORTED, "SkipUpBlock2D"},
    {UNET, "\"up_block_types\": [\"UpBlock2D\"]", SF_ERROR_FORMAT, "up_block_types: 1 blocks"},
    {UNET, "\"down_block_types\": []", SF_ERROR_FORMAT, "down_block_types: a list of 0"},
    {UNET, "\"mid_block_type\": \"UNetMidBlock2DSimpleCrossAttn\"", SF_ERROR_UNSUPPORTED,
     "mid_block_type: \"UNetMidBlock2DSimpleCrossAttn\""},
    {UNET, "\"mid_block_type\": 3", SF_ERROR_FORMAT, "mid_block_type: a string"},
    {UNET, "\"attention_head_dim\": 0", SF_ERROR_FORMAT, "attention_head_dim: 0"},
    {UNET, "\"attention_head_dim\": [5, 10, 20]", SF_ERROR_FORMAT, "attention_head_dim: a list"},
    {UNET, "\"attention_head_dim\": 641", SF_ERROR_FORMAT,
     "attention_head_dim: 641 is more than 320 channels"},
    {UNET, "\"cross_attention_dim\": [1, 2, 3, 4]", SF_ERROR_FORMAT,
     "cross_attention_dim: 1 and 2"},
    {UNET, "\"cross_attention_dim\": null", SF_ERROR_FORMAT, "cross_attention_dim: null"},
    {UNET, "\"only_cross_attention\": [true]", SF_ERROR_FORMAT, "only_cross_attention: a list"},
    {UNET, "\"only_cross_attention\": 1", SF_ERROR_FORMAT, "only_cross_attention: true or false"},
    {UNET, "\"transformer_layers_per_block\": [1, 2]", SF_ERROR_FORMAT,
     "transformer_layers_per_block: a list of 4"},
    {UNET, "\"transformer_layers_per_block\": [1, 2, -1, 1]", SF_ERROR_FORMAT, "-1 is not within"},
    {UNET, "\"transformer_layers_per_block\": [1, [1, 1], 1, 1]", SF_ERROR_FORMAT,
     "reverse_transformer_layers_per_block"},
    {UNET, "\"transformer_layers_per_block\": [[1], 1, 1, 1]", SF_ERROR_FORMAT,
     "a list of 1 for 2 transformers"},
    {UNET, "\"transformer_layers_per_block\": {}", SF_ERROR_FORMAT, "an integer is wanted"},
    {UNET, "\"dual_cross_attention\": true", SF_ERROR_UNSUPPORTED,
     "here: dual_cross_attention: true is not supported"},
    {UNET, "\"act_fn\": \"tanhshrink\"", SF_ERROR_UNSUPPORTED, "act_fn: the activation"},
    {UNET, "\"resnet_time_scale_shift\": \"ada_group\"", SF_ERROR_UNSUPPORTED, "ada_group"},
    {UNET, "\"time_embedding_type\": \"learned\"", SF_ERROR_UNSUPPORTED, "learned"},
    {UNET, "\"time_embedding_type\": \"fourier\", \"time_embedding_dim\": 7", SF_ERROR_FORMAT,
     "time_embedding_dim: 7 is odd"},
    {UNET, "\"class_embed_type\": \"image\"", SF_ERROR_UNSUPPORTED, "class_embed_type: \"image\""},
    {UNET, "\"class_embed_type\": \"projection\"", SF_ERROR_FORMAT,
     "projection_class_embeddings_input_dim: missing, but class_embed_type needs it"},
    {UNET, "\"class_embeddings_concat\": true", SF_ERROR_FORMAT, "there are no classes"},
    {UNET, "\"addition_embed_type\": \"image_hint\"", SF_ERROR_UNSUPPORTED,
     "addition_embed_type: \"image_hint\""},
    {UNET, "\"addition_embed_type\": \"text_time\"", SF_ERROR_FORMAT,
     "addition_time_embed_dim: missing"},
    {UNET,
     "\"addition_embed_type\": \"text_time\", \"addition_time_embed_dim\": 9, "
     "\"projection_class_embeddings_input_dim\": 9",
     SF_ERROR_FORMAT, "9 has no room"},
    {UNET, "\"addition_embed_type\": \"text\", \"addition_embed_type_num_heads\": 3",
     SF_ERROR_FORMAT, "1280 channels are not divisible by 3 heads"},
    {UNET, "\"encoder_hid_dim\": 8, \"encoder_hid_dim_type\": \"image_proj\"", SF_ERROR_UNSUPPORTED,
     "encoder_hid_dim_type: \"image_proj\""},
    {UNET, "\"encoder_hid_dim_type\": \"text_proj\"", SF_ERROR_FORMAT, "encoder_hid_dim: missing"},
    {UNET, "\"downsample_padding\": 2", SF_ERROR_FORMAT, "downsample_padding: 2"},
    {UNET, "\"conv_in_kernel\": 0", SF_ERROR_FORMAT, "conv_in_kernel: 0"},
    {UNET, "\"sample_size\": [0, 8]", SF_ERROR_FORMAT, "sample_size: 0"},
    {UNET, "\"sample_size\": [8, 8, 8]", SF_ERROR_FORMAT, "sample_size: a list of 2"},

    {VAE, "\"block_out_channels\": [1152921504606846976]", SF_ERROR_FORMAT,
     "block_out_channels: 1152921504606846976"},
    {VAE, "\"block_out_channels\": []", SF_ERROR_FORMAT, "block_out_channels: a list of 0"},
    {VAE, "\"block_out_channels\": [64, 128]", SF_ERROR_FORMAT, "down_block_types: 1 blocks"},
    {VAE, "\"block_out_channels\": [33]", SF_ERROR_FORMAT, "33 channels are not divisible"},
    {VAE, "\"layers_per_block\": 0", SF_ERROR_FORMAT, "layers_per_block: 0"},
    {VAE, "\"layers_per_block\": -1", SF_ERROR_FORMAT, "layers_per_block: -1"},
    {VAE, "\"up_block_types\": [\"UpBlock2D\"]", SF_ERROR_UNSUPPORTED,
     "up_block_types: \"UpBlock2D\""},
    {VAE, "\"scaling_factor\": NaN", SF_ERROR_FORMAT, "scaling_factor: nan"},
    {VAE, "\"scaling_factor\": 0", SF_ERROR_FORMAT, "scaling_factor: must not be 0"},
    {VAE, "\"latents_mean\": [0, 0]", SF_ERROR_FORMAT, "latents_mean: a list of 4"},
    {VAE, "\"latents_std\": [1, 1, 1, Infinity]", SF_ERROR_FORMAT, "latents_std: inf"},
    {VAE, "\"use_quant_conv\": \"no\"", SF_ERROR_FORMAT, "use_quant_conv: true or false"},

    {CLIP, "\"hidden_size\": 1152921504606846976", SF_ERROR_FORMAT, "hidden_size: 11529215046"},
    {CLIP, "\"hidden_size\": 500", SF_ERROR_FORMAT,
     "hidden_size: 500 is not divisible by num_attention_heads, 8"},
    {CLIP, "\"num_hidden_layers\": 0", SF_ERROR_FORMAT, "num_hidden_layers: 0"},
    {CLIP, "\"num_hidden_layers\": -3", SF_ERROR_FORMAT, "num_hidden_layers: -3"},
    {CLIP, "\"hidden_act\": \"gelu_10\"", SF_ERROR_UNSUPPORTED, "the activation \"gelu_10\""},
    {CLIP, "\"layer_norm_eps\": NaN", SF_ERROR_FORMAT, "layer_norm_eps: nan"},
    {CLIP, "\"eos_token_id\": [1, 2]", SF_ERROR_FORMAT, "eos_token_id"},
    {CLIP, "\"vocab_size\": 0", SF_ERROR_FORMAT, "vocab_size: 0"},
};

START_TEST(refused) {
    ck_fails(ctx, configure(wrong[_i].model, wrong[_i].json), wrong[_i].status, wrong[_i].message);
}
END_TEST

START_TEST(unet_defaults) {
    ck_ok(ctx, configure(UNET, "\"unheard_of\": [1], \"norm_eps\": null"));
    const sf_unet_config *unet = &config.unet;
    ck_assert_int_eq(unet->n_levels, 4);
    ck_assert_int_eq(unet->down[3].channels, 1280);
    ck_assert_int_eq(unet->up[3].channels, 320);
    ck_assert_int_eq(unet->down[0].block, SF_UNET_CROSS);
    ck_assert_int_eq(unet->down[3].block, SF_UNET_PLAIN);
    ck_assert_int_eq(unet->down[0].n_heads, 8);
    ck_assert_int_eq(unet->down[0].n_layers, 2);
    ck_assert_int_eq(unet->up[0].n_layers, 3);
    ck_assert_int_eq(unet->mid_block, SF_UNET_CROSS);
    ck_assert_int_eq(unet->time_embedding_dim, 1280);
    ck_assert_int_eq(unet->cross_attention_dim, 1280);
    ck_assert_double_eq(unet->norm_eps, 1e-5);
    ck_assert(unet->flip_sin_to_cos && sf_unet_needs_context(unet));
    ck_assert_int_eq(sf_unet_n_skips(unet), 12);
}
END_TEST

START_TEST(vae_defaults) {
    ck_ok(ctx, configure(VAE, ""));
    ck_assert_int_eq(config.vae.n_levels, 1);
    ck_assert_int_eq(config.vae.block_out_channels[0], 64);
    ck_assert_double_eq(config.vae.scaling_factor, 0.18215);
    ck_assert_double_eq(config.vae.shift_factor, 0);
    ck_assert(config.vae.use_quant_conv && config.vae.mid_block_add_attention);
}
END_TEST

START_TEST(clip_defaults) {
    ck_ok(ctx, configure(CLIP, ""));
    ck_assert_int_eq(config.clip.hidden_size, 512);
    ck_assert_int_eq(config.clip.eos_token_id, 49407);
    ck_assert_int_eq(config.clip.hidden_act, SF_ACTIVATION_QUICK_GELU);
    ck_ok(ctx, configure(CLIP, "\"hidden_size\": 3, \"text_config\": {\"hidden_size\": 64}"));
    ck_assert_int_eq(config.clip.hidden_size, 64);
}
END_TEST

START_TEST(one_value_stands_for_all_levels) {
    ck_ok(ctx, configure(UNET, "\"attention_head_dim\": [5, 10, 20, 20], \"layers_per_block\": 1, "
                               "\"transformer_layers_per_block\": [1, 2, 10, 0], "
                               "\"num_attention_heads\": 4, \"sample_size\": 64"));
    ck_assert_int_eq(config.unet.down[1].n_heads, 4);
    ck_assert_int_eq(config.unet.down[1].head_size, 10);
    ck_assert_int_eq(config.unet.up[1].head_size, 10);
    ck_assert_int_eq(config.unet.up[1].n_layers, 2);
    ck_assert_int_eq(config.unet.up[1].transformer_layers[1], 10);
    ck_assert_int_eq(config.unet.mid_transformer_layers, 0);
    ck_assert_int_eq(config.unet.sample_width, 64);
}
END_TEST

START_TEST(pooled_positions) {
    sf_clip_config clip = {.eos_token_id = 7};
    static const int64_t ids[] = {1, 7, 9, 7, 9};
    ck_assert_int_eq(sf_clip_pooled_position(&clip, ids, 5), 1);
    clip.eos_token_id = 8;
    ck_assert_int_eq(sf_clip_pooled_position(&clip, ids, 5), 0);
    clip.eos_token_id = 2;
    ck_assert_int_eq(sf_clip_pooled_position(&clip, ids, 5), 2);
}
END_TEST

Suite *suite_models_config(void) {
    Suite *suite = suite_create("models_config");
    TCase *tcase = tcase_create("config");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, refused, 0, (int)(sizeof wrong / sizeof *wrong));
    tcase_add_test(tcase, unet_defaults);
    tcase_add_test(tcase, vae_defaults);
    tcase_add_test(tcase, clip_defaults);
    tcase_add_test(tcase, one_value_stands_for_all_levels);
    tcase_add_test(tcase, pooled_positions);
    suite_add_tcase(suite, tcase);
    return suite;
}
