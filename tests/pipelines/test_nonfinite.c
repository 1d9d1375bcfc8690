/*
 * NaN and overflow: a stage whose result is not finite says where that began; one that half
 * precision is too narrow for is repeated in f32. On copies of the tiny model.
 */
#include <math.h>
#include <stdio.h>

#include "tests/support/model_folder.h"
#include "tests/support/pictures.h"
#include "tests/support/recorder.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_pipelines_nonfinite(void);

static struct recorder recorder;
static sf_context *ctx;
static sf_pipeline *pipeline;
static sf_generate_options options;

static void setup(void) {
    scratch_setup();
    model_copy(TINY_MODEL, "model");
    recorder = (struct recorder){0};
    ctx = recorder_context(&recorder);
    pipeline = NULL;
    sf_generate_options_init(&options);
    options.prompt = "a tiny red apple";
    options.steps = 3;
    options.guidance_scale = 2;
}

static void teardown(void) {
    sf_pipeline_free(pipeline);
    test_context_free(ctx);
    scratch_teardown();
}

static void load(void) {
    ck_ok(ctx, sf_pipeline_load(ctx, scratch("model"), &pipeline));
}

/* ---- NaN in the weights ---- */

static const struct poisoned {
    const char *file, *tensor;
    float value;
    const char *message[4]; /* stage, step, op, the weight */
} poisoned[] = {
    {"model/text_encoder/model.safetensors",
     "encoder.layers.0.mlp.fc1.weight",
     NAN,
     {"stage text", "text", "linear", "mlp.fc1.weight"}},
    {"model/text_encoder/model.safetensors",
     "final_layer_norm.bias",
     INFINITY,
     {"stage text", "text", "layer_norm", "final_layer_norm.bias"}},
    {"model/unet/diffusion_pytorch_model-00001-of-00002.safetensors",
     "down_blocks.1.resnets.0.conv1.weight",
     NAN,
     {"stage denoise", "step 1 of 3", "conv2d", "down_blocks.1.resnets.0.conv1.weight"}},
    {"model/unet/diffusion_pytorch_model-00002-of-00002.safetensors",
     "mid_block.resnets.1.norm2.weight",
     -INFINITY,
     {"stage denoise", "step 1 of 3", "group_norm", "mid_block.resnets.1.norm2.weight"}},
    {"model/vae/diffusion_pytorch_model.safetensors",
     "decoder.conv_out.bias",
     NAN,
     {"stage decode", "decode", "conv2d", "decoder.conv_out.bias"}},
};
enum { N_POISONED = sizeof poisoned / sizeof *poisoned };

START_TEST(nan_weight_is_named) {
    static const char *const precisions[] = {"f32", "f16", "bf16"};
    const struct poisoned *poison = &poisoned[_i / 3];
    sf_image *image = NULL;
    model_set_element(poison->file, poison->tensor, 0, poison->value);
    load();
    options.precision = precisions[_i % 3];
    for (int i = 0; i < 4; i++)
        ck_fails(ctx, sf_pipeline_generate(pipeline, &options, &image), SF_ERROR_NUMERIC,
                 poison->message[i]);
    ck_assert_ptr_null(image);
    ck_assert_ptr_null(strchr(sf_error_message(ctx), '\n'));
}
END_TEST

/* ---- half precision ---- */

/*
 * post_quant_conv and conv_in of the autoencoder are made so large that what comes out of conv_in
 * is some 1e7, past the 65504 of f16 and well within f32.
 */
static void enlarge_decoder(void) {
    static const char *const file = "model/vae/diffusion_pytorch_model.safetensors";
    model_scale_tensor(file, "post_quant_conv.weight", 1e3f);
    model_scale_tensor(file, "decoder.conv_in.weight", 1e4f);
}

START_TEST(overflow_of_f16_is_repeated_in_f32) {
    sf_image *wanted = NULL, *image = NULL;
    enlarge_decoder();
    load();
    ck_ok(ctx, sf_pipeline_generate(pipeline, &options, &wanted));
    ck_assert_str_eq(recorder.log, "");
    options.precision = "f16";
    ck_ok(ctx, sf_pipeline_generate(pipeline, &options, &image));
    ck_assert_msg(strstr(recorder.log, "warning: stage decode") && strstr(recorder.log, "f16") &&
                      strstr(recorder.log, "repeated in f32"),
                  "%s", recorder.log);
    ck_assert_ptr_null(strstr(recorder.log, "denoise"));
    /* The stages before are in f16, so this is near, not equal: most of the pixels are. */
    struct picture_difference found = picture_compare(wanted, image);
    ck_assert_msg(10 * found.n_far <= found.n_pixels, "%zu of %zu pixels are far", found.n_far,
                  found.n_pixels);
    sf_image_free(image);
    sf_image_free(wanted);
}
END_TEST

/* The exponent of bfloat16 is that of f32. */
START_TEST(bf16_does_not_overflow) {
    sf_image *image = NULL;
    enlarge_decoder();
    load();
    options.precision = "bf16";
    ck_ok(ctx, sf_pipeline_generate(pipeline, &options, &image));
    ck_assert_str_eq(recorder.log, "");
    sf_image_free(image);
}
END_TEST

/* After it was found too narrow once, a stage stays in f32: one warning for a batch of three. */
START_TEST(warning_comes_once) {
    sf_image *images[3];
    enlarge_decoder();
    load();
    options.precision = "f16";
    options.batch = 3;
    ck_ok(ctx, sf_pipeline_generate(pipeline, &options, images));
    const char *first = strstr(recorder.log, "warning");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, "warning"));
    for (int i = 0; i < 3; i++)
        sf_image_free(images[i]);
}
END_TEST

/* Too large for f32 as well: an error, after the attempt. */
START_TEST(overflow_of_f32_is_an_error) {
    sf_image *image = NULL;
    static const char *const file = "model/vae/diffusion_pytorch_model.safetensors";
    model_scale_tensor(file, "post_quant_conv.weight", 1e20f);
    model_scale_tensor(file, "decoder.conv_in.weight", 1e25f);
    load();
    options.precision = _i ? "f16" : "f32";
    ck_fails(ctx, sf_pipeline_generate(pipeline, &options, &image), SF_ERROR_NUMERIC,
             "stage decode");
    ck_assert_ptr_nonnull(strstr(sf_error_message(ctx), "conv2d"));
}
END_TEST

Suite *suite_pipelines_nonfinite(void) {
    Suite *suite = suite_create("pipelines_nonfinite");
    TCase *tcase = tcase_create("nonfinite");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, nan_weight_is_named, 0, 3 * N_POISONED);
    tcase_add_test(tcase, overflow_of_f16_is_repeated_in_f32);
    tcase_add_test(tcase, bf16_does_not_overflow);
    tcase_add_test(tcase, warning_comes_once);
    tcase_add_loop_test(tcase, overflow_of_f32_is_an_error, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}
