/*
 * Model folders: where a component and its weights are found, and what is said of those that are
 * damaged. Configurations alone are in test_config.c.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/tensor.h"
#include "models/component.h"
#include "tests/models/golden.h"
#include "tests/support/failing.h"
#include "tests/support/model_folder.h"
#include "tests/support/plans.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_models_model(void);

#define WEIGHTS "diffusion_pytorch_model.safetensors"

static sf_context *ctx;
static sf_model *model;

static void setup(void) {
    ctx = test_context();
    model = NULL;
    scratch_setup();
}

static void teardown(void) {
    scratch_teardown();
    test_context_free(ctx);
}

static sf_status load(const char *folder, const char *component) {
    return sf_model_load(ctx, folder, component, &model);
}

static void must_load(const char *folder, const char *component) {
    ck_ok(ctx, load(folder, component));
    ck_assert_str_eq(model->role->component, component);
    sf_model_free(model);
}

#define COPY scratch("m")

/* A copy of a case of the goldens, in COPY. */
static void copy_case(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "models/%s", name);
    model_copy(test_data(path), "m");
}

static void rename_file(const char *from, const char *to) {
    ck_assert_int_eq(rename(scratch(from), scratch(to)), 0);
}

/* ---- folders and classes ---- */

START_TEST(of_a_pipeline_and_alone) {
    static const char *const components[][2] = {{"unet", "unet"},
                                                {"vae_decoder", "vae"},
                                                {"vae_encoder", "vae"},
                                                {"text_encoder", "text_encoder"}};
    for (size_t i = 0; i < sizeof components / sizeof *components; i++) {
        must_load(test_model(""), components[i][0]);
        must_load(test_model(components[i][1]), components[i][0]);
    }
    must_load(test_data("models/clip_projection"), "text_encoder_2");
}
END_TEST

START_TEST(not_there) {
    ck_fails(ctx, load(test_model("nothing"), "unet"), SF_ERROR_NOT_FOUND, "no such folder");
    ck_fails(ctx, load(scratch(""), "unet"), SF_ERROR_NOT_FOUND,
             "the component unet is not here: there is no unet/config.json and no config.json");
    ck_fails(ctx, load(scratch(""), "vae_encoder"), SF_ERROR_NOT_FOUND, "no vae/config.json");
    ck_fails(ctx, load(test_model(""), "hypernet"), SF_ERROR_NOT_FOUND,
             "no component is called \"hypernet\"; there are text_encoder, text_encoder_2, unet, "
             "vae_decoder, vae_encoder");
    ck_fails(ctx, load(test_model("unet"), "vae_decoder"), SF_ERROR_UNSUPPORTED,
             "a model of the class UNet2DConditionModel is no vae_decoder");
    sf_component *component = NULL;
    ck_fails(ctx, sf_component_load(ctx, test_model("vae"), "unet", &component),
             SF_ERROR_UNSUPPORTED, "component unet: ");
    ck_assert_ptr_null(component);
}
END_TEST

START_TEST(class_of_a_configuration) {
    copy_case("unet_fourier");
    model_set_json("m/config.json", "_class_name", "\"UNet9DModel\"");
    ck_fails(
        ctx, load(COPY, "unet"), SF_ERROR_UNSUPPORTED,
        "m/config.json: models of the class \"UNet9DModel\" are not supported; CLIPTextModel, ");
    model_set_json("m/config.json", "_class_name", "null");
    must_load(COPY, "unet");
    model_set_json("m/config.json", "model_type", "\"t5\"");
    ck_fails(ctx, load(COPY, "unet"), SF_ERROR_UNSUPPORTED, "class \"t5\"");
}
END_TEST

/* The class in model_index.json counts where the configuration has none. */
START_TEST(class_of_the_index) {
    ck_assert_int_eq(mkdir(scratch("pipe"), 0700), 0);
    copy_case("clip_projection");
    rename_file("m", "pipe/text_encoder");
    model_set_json("pipe/text_encoder/config.json", "architectures", "null");
    must_load(scratch("pipe"), "text_encoder");
    static const char index[] = "{\"text_encoder\": [\"transformers\", "
                                "\"CLIPTextModelWithProjection\"]}";
    scratch_write("pipe/model_index.json", index, strlen(index));
    ck_ok(ctx, load(scratch("pipe"), "text_encoder"));
    ck_assert_str_eq(model->class_name, "CLIPTextModelWithProjection");
    sf_model_free(model);
    scratch_write("pipe/model_index.json", "{", 1);
    ck_fails(ctx, load(scratch("pipe"), "text_encoder"), SF_ERROR_FORMAT, "model_index.json");
}
END_TEST

START_TEST(broken_configurations) {
    copy_case("unet_fourier");
    model_set_json("m/config.json", "block_out_channels", "[1152921504606846976, 4]");
    ck_fails(ctx, load(COPY, "unet"), SF_ERROR_FORMAT,
             "m/config.json: block_out_channels: 1152921504606846976 is not within 1 to 65536");
    model_truncate("m/config.json", 9);
    ck_fails(ctx, load(COPY, "unet"), SF_ERROR_FORMAT, "m/config.json");
    scratch_write("m/config.json", "[]", 2);
    ck_fails(ctx, load(COPY, "unet"), SF_ERROR_FORMAT, "m/config.json");
}
END_TEST

/* ---- weights ---- */

START_TEST(missing_weights) {
    copy_case("unet_fourier");
    ck_assert_int_eq(unlink(scratch("m/" WEIGHTS)), 0);
    ck_fails(ctx, load(COPY, "unet"), SF_ERROR_NOT_FOUND,
             "no weights: looked for diffusion_pytorch_model.safetensors and model.safetensors");
    scratch_write("m/diffusion_pytorch_model.bin", "PK", 2);
    ck_fails(ctx, load(COPY, "unet"), SF_ERROR_NOT_FOUND,
             "only as diffusion_pytorch_model.bin, a pickle");
}
END_TEST

START_TEST(damaged_weights) {
    copy_case("unet_fourier");
    model_truncate("m/" WEIGHTS, 16000);
    ck_fails(ctx, load(COPY, "unet"), SF_ERROR_FORMAT, WEIGHTS);
    model_truncate("m/" WEIGHTS, 4);
    ck_fails(ctx, load(COPY, "unet"), SF_ERROR_FORMAT, WEIGHTS);
    model_truncate("m/" WEIGHTS, 0);
    ck_fails(ctx, load(COPY, "unet"), SF_ERROR_FORMAT, WEIGHTS);
}
END_TEST

START_TEST(tensors_that_do_not_fit) {
    copy_case("unet_fourier");
    model_replace("m/" WEIGHTS, "\"mid_block.resnets.0.conv1.weight\"",
                  "\"mid_block.resnets.0.conv1.wait_t\"");
    ck_fails(ctx, load(COPY, "unet"), SF_ERROR_NOT_FOUND,
             WEIGHTS ": the weights have no tensor \"mid_block.resnets.0.conv1.weight\"");
    model_set_json("m/config.json", "in_channels", "6");
    ck_fails(ctx, load(COPY, "unet"), SF_ERROR_SHAPE,
             WEIGHTS ": conv_in: weight is f16 [4, 5, 3, 3]; the configuration asks for "
                     "[4, 6, 3, 3]");
}
END_TEST

START_TEST(tensors_of_other_types) {
    copy_case("unet_fourier");
    model_replace("m/" WEIGHTS, "\"conv_in.bias\":{\"dtype\":\"F16\"",
                  "\"conv_in.bias\":{\"dtype\":\"I16\"");
    ck_fails(ctx, load(COPY, "unet"), SF_ERROR_UNSUPPORTED,
             "tensor \"conv_in.bias\" has elements of type I16");
}
END_TEST

/* The names under which weights are found, and that full weights go before variants. */
START_TEST(names_of_weights) {
    static const char *const names[] = {
        "model.safetensors", "model.fp16.safetensors", "diffusion_pytorch_model.bf16.safetensors",
        "diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.safetensors"};
    char from[128] = "m/" WEIGHTS;
    copy_case("unet_fourier");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char to[128];
        snprintf(to, sizeof to, "m/%s", names[i]);
        rename_file(from, to);
        must_load(COPY, "unet");
        memcpy(from, to, sizeof from);
    }
    scratch_write("m/diffusion_pytorch_model.fp16.safetensors", "broken", 6);
    must_load(COPY, "unet");
}
END_TEST

START_TEST(names_of_shards) {
    static const char index[] = "m/diffusion_pytorch_model.safetensors.index.json";
    copy_case("unet_nested");
    rename_file(index, "m/diffusion_pytorch_model.safetensors.index.fp16.json");
    must_load(COPY, "unet");
    rename_file("m/diffusion_pytorch_model.safetensors.index.fp16.json", index);
    ck_assert_int_eq(unlink(scratch("m/diffusion_pytorch_model-00002-of-00002.safetensors")), 0);
    ck_fails(ctx, load(COPY, "unet"), SF_ERROR_IO, "00002-of-00002.safetensors");
}
END_TEST

/* ---- memory ---- */

/* Loads a component, plans it and runs it. */
static sf_status load_and_run(sf_context *failing, void *user) {
    const struct golden *golden = user;
    sf_component *component = NULL;
    sf_tensors *outputs = NULL;
    sf_status status =
        sf_component_load(failing, test_data("models/clip_first_end"), "text_encoder", &component);
    if (status == SF_OK)
        status = sf_component_run(component, golden->inputs, &outputs);
    sf_tensors_free(outputs);
    sf_component_free(component);
    close_backends(failing);
    return status;
}

static sf_status load_unet(sf_context *failing, void *user) {
    sf_model *loaded = NULL;
    (void)user;
    sf_status status = sf_model_load(failing, test_data("models/unet_fourier"), "unet", &loaded);
    sf_model_free(loaded);
    return status;
}

START_TEST(no_memory_to_run) {
    struct golden golden;
    golden_load(ctx, test_data("models/clip_first_end/golden.safetensors"), &golden);
    check_each_allocation(load_and_run, &golden, 0);
    golden_clear(&golden);
}
END_TEST

START_TEST(no_memory_to_load) {
    check_each_allocation(load_unet, NULL, 0);
}
END_TEST

Suite *suite_models_model(void) {
    Suite *suite = suite_create("models_model");
    TCase *tcase = tcase_create("model");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, of_a_pipeline_and_alone);
    tcase_add_test(tcase, not_there);
    tcase_add_test(tcase, class_of_a_configuration);
    tcase_add_test(tcase, class_of_the_index);
    tcase_add_test(tcase, broken_configurations);
    tcase_add_test(tcase, missing_weights);
    tcase_add_test(tcase, damaged_weights);
    tcase_add_test(tcase, tensors_that_do_not_fit);
    tcase_add_test(tcase, tensors_of_other_types);
    tcase_add_test(tcase, names_of_weights);
    tcase_add_test(tcase, names_of_shards);
    tcase_add_test(tcase, no_memory_to_run);
    tcase_add_test(tcase, no_memory_to_load);
    suite_add_tcase(suite, tcase);
    return suite;
}
