/*
 * Models, files and folders that are not as they should be: `sfumato generate` ends with exit
 * status 1 and one line that names the file and what is wrong with it, and leaves no picture.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/cli.h"
#include "tests/support/model_folder.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_cli_bad_input(void);

#define TEXT_CONFIG  "model/text_encoder/config.json"
#define TEXT_WEIGHTS "model/text_encoder/model.safetensors"
#define UNET_CONFIG  "model/unet/config.json"
#define UNET_INDEX   "model/unet/diffusion_pytorch_model.safetensors.index.json"
#define UNET_FIRST   "model/unet/diffusion_pytorch_model-00001-of-00002.safetensors"
#define VAE_CONFIG   "model/vae/config.json"
#define VAE_WEIGHTS  "model/vae/diffusion_pytorch_model.safetensors"
#define SCHEDULER    "model/scheduler/scheduler_config.json"

static void setup(void) {
    cli_setup();
    model_copy(TINY_MODEL, "model");
}

/* Neither a picture nor anything else may be left behind. */
static void check_refused(const char *part) {
    check_cli_fails(part, "generate", "a red apple", "--quiet", "--steps=2", "--model=model",
                    "--output=picture.png");
    ck_assert_int_eq(cli_count_files(), 0);
}

/* ---- what is not there ---- */

START_TEST(missing_model) {
    check_cli_fails("there is no model \"nowhere\"", "generate", "x", "--model", "nowhere");
    check_cli_fails("there is no model \"/no/where\"", "generate", "x", "--model", "/no/where");
    check_cli_fails("there is no model \"../no-model\"", "generate", "x", "--model", "../no-model");
    check_cli_fails("model_index.json", "generate", "x", "--model", "model/unet");
}
END_TEST

static const struct missing {
    const char *file, *message;
} missing[] = {
    {"model/model_index.json", "model_index.json"},
    {TEXT_CONFIG, "text_encoder/config.json"},
    {TEXT_WEIGHTS, "text_encoder"},
    {UNET_CONFIG, "unet/config.json"},
    {UNET_INDEX, "unet"},
    {UNET_FIRST, "diffusion_pytorch_model-00001-of-00002.safetensors"},
    {VAE_CONFIG, "vae/config.json"},
    {VAE_WEIGHTS, "vae"},
    {SCHEDULER, "scheduler_config.json"},
    {"model/tokenizer/vocab.json", "tokenizer"},
    {"model/tokenizer/merges.txt", "merges.txt"},
};
enum { N_MISSING = sizeof missing / sizeof *missing };

START_TEST(missing_file) {
    ck_assert_int_eq(unlink(scratch(missing[_i].file)), 0);
    check_refused(missing[_i].message);
}
END_TEST

/* ---- JSON ---- */

static const char *const json_files[] = {
    "model/model_index.json",    TEXT_CONFIG, UNET_CONFIG, UNET_INDEX, VAE_CONFIG, SCHEDULER,
    "model/tokenizer/vocab.json"};
enum { N_JSON_FILES = sizeof json_files / sizeof *json_files };

static const char *base(const char *path) {
    return strrchr(path, '/') + 1;
}

START_TEST(malformed_json) {
    static const char *const contents[] = {"",         "{",      "{\"a\": 1,}",
                                           "nonsense", "[1, 2]", "{\"a\": \"\xff\"}"};
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        scratch_write(json_files[_i], contents[i], strlen(contents[i]));
        check_refused(base(json_files[_i]));
    }
}
END_TEST

static const struct bad_field {
    const char *file, *key, *value, *message;
} bad_fields[] = {
    {"model/model_index.json", "_class_name", "\"FluxPipeline\"", "FluxPipeline"},
    {"model/model_index.json", "_class_name", "7", "StableDiffusionPipeline and"},
    {UNET_CONFIG, "_class_name", "\"UNet9DModel\"", "UNet9DModel"},
    {UNET_CONFIG, "block_out_channels", "[1152921504606846976, 16]", "block_out_channels"},
    {UNET_CONFIG, "block_out_channels", "[8]", "block_out_channels"},
    {UNET_CONFIG, "block_out_channels", "[]", "block_out_channels"},
    {UNET_CONFIG, "block_out_channels", "[8, -16]", "block_out_channels"},
    {UNET_CONFIG, "block_out_channels", "\"8\"", "block_out_channels"},
    {UNET_CONFIG, "in_channels", "1152921504606846976", "in_channels"},
    {UNET_CONFIG, "in_channels", "5", "conv_in"},
    {UNET_CONFIG, "layers_per_block", "1000000000", "layers_per_block"},
    {UNET_CONFIG, "norm_num_groups", "3", "groups"},
    {UNET_CONFIG, "norm_num_groups", "0", "norm_num_groups"},
    {UNET_CONFIG, "attention_head_dim", "[1, 3]", "proj_in"},
    {UNET_CONFIG, "attention_head_dim", "0", "attention_head_dim"},
    {UNET_CONFIG, "down_block_types", "[\"DownBlock2D\", \"SidewaysBlock2D\"]", "SidewaysBlock2D"},
    {UNET_CONFIG, "act_fn", "\"wiggle\"", "wiggle"},
    {UNET_CONFIG, "cross_attention_dim", "16", "16"},
    {TEXT_CONFIG, "architectures", "[\"T9Model\"]", "T9Model"},
    {TEXT_CONFIG, "hidden_size", "1152921504606846976", "hidden_size"},
    {TEXT_CONFIG, "num_attention_heads", "3", "num_attention_heads"},
    {TEXT_CONFIG, "num_hidden_layers", "100000000000", "num_hidden_layers"},
    {TEXT_CONFIG, "hidden_act", "\"wiggle\"", "wiggle"},
    {TEXT_CONFIG, "vocab_size", "100", "token_embedding"},
    {TEXT_CONFIG, "max_position_embeddings", "5", "5"},
    {"model/tokenizer/vocab.json", "a</w>", "5000",
     "the tokenizer gives the id 5000; the text encoder's vocab_size is 523"},
    {VAE_CONFIG, "_class_name", "\"AutoencoderMystery\"", "AutoencoderMystery"},
    {VAE_CONFIG, "latent_channels", "1152921504606846976", "latent_channels"},
    {VAE_CONFIG, "latent_channels", "8", "8"},
    {VAE_CONFIG, "scaling_factor", "0", "scaling_factor"},
    {VAE_CONFIG, "scaling_factor", "\"large\"", "scaling_factor"},
    {VAE_CONFIG, "block_out_channels", "[8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]",
     "block_out_channels"},
    {SCHEDULER, "_class_name", "\"CrystalBallScheduler\"", "CrystalBallScheduler"},
    {SCHEDULER, "num_train_timesteps", "1152921504606846976", "num_train_timesteps"},
    {SCHEDULER, "num_train_timesteps", "0", "num_train_timesteps"},
    {SCHEDULER, "beta_schedule", "\"wavy\"", "wavy"},
    {SCHEDULER, "prediction_type", "\"fortune\"", "fortune"},
    {SCHEDULER, "timestep_spacing", "\"random\"", "random"},
    {SCHEDULER, "beta_end", "\"1\"", "beta_end"},
};
enum { N_BAD_FIELDS = sizeof bad_fields / sizeof *bad_fields };

START_TEST(bad_field) {
    const struct bad_field *bad = &bad_fields[_i];
    model_set_json(bad->file, bad->key, bad->value);
    check_refused(bad->message);
}
END_TEST

/* ---- weights ---- */

START_TEST(weights_that_are_cut_off) {
    static const char *const files[] = {UNET_FIRST, VAE_WEIGHTS, TEXT_WEIGHTS};
    size_t bytes;
    enum { N_CUTS = 12 };
    free(test_read_file(scratch(files[_i]), &bytes));
    size_t cuts[N_CUTS] = {
        0,         1,        7, 8, 9, 1000, bytes / 4, bytes / 2, bytes - 4096, bytes - 1000,
        bytes - 2, bytes - 1};
    for (int i = N_CUTS - 1; i >= 0; i--) {
        model_truncate(files[_i], cuts[i]);
        check_refused(base(files[_i]));
    }
}
END_TEST

START_TEST(weights_with_a_wrong_header) {
    static const struct {
        const char *old, *new, *message;
    } changes[] = {
        {"\"F32\"", "\"F99\"", "unknown dtype 'F99'"},
        {"\"F32\"", "\"F64\"", "which do not fit"},
        {"\"shape\":[8,4,3,3]", "\"shape\":[4,8,3,3]", "[4, 8, 3, 3]"},
        {"\"shape\":[8,4,3,3]", "\"shape\":[8,4,3,9]", "which do not fit"},
        {"\"shape\":[8,4,3,3]", "\"shape\":[8,4,-3,]", UNET_FIRST},
        {"\"shape\":[8,4,3,3]", "\"shapf\":[8,4,3,3]", "no shape"},
        {"\"conv_in.weight\"", "\"conv_in.height\"", "conv_in.weight"},
        {"\"data_offsets\":[0,", "\"data_offsets\":[4,", "which do not fit"},
    };
    const char *const file = UNET_FIRST;
    model_replace(file, changes[_i].old, changes[_i].new);
    check_refused(changes[_i].message);
}
END_TEST

/* The length of the header, a little-endian 64-bit number at the start. */
START_TEST(weights_with_a_wrong_header_length) {
    static const char *const lengths[] = {"\0\0\0\0\0\0\0\0", "\1\0\0\0\0\0\0\0",
                                          "\xff\0\0\0\0\0\0\0", "\0\0\0\0\0\0\0\x80",
                                          "\xff\xff\xff\xff\xff\xff\xff\xff"};
    size_t bytes;
    char *data = test_read_file(scratch(VAE_WEIGHTS), &bytes);
    memcpy(data, lengths[_i], 8);
    scratch_write(VAE_WEIGHTS, data, bytes);
    free(data);
    check_refused("diffusion_pytorch_model.safetensors");
}
END_TEST

START_TEST(shards_stay_in_their_folder) {
    static const char *const names[] = {"../../outside.safetensors", "/etc/passwd", "..", "",
                                        "./diffusion_pytorch_model-00001-of-00002.safetensors"};
    char map[512];
    model_copy_file(scratch(UNET_FIRST), "model/outside.safetensors");
    snprintf(map, sizeof map, "{\"conv_in.weight\": \"%s\"}", names[_i]);
    model_set_json(UNET_INDEX, "weight_map", map);
    check_refused(base(UNET_INDEX));
}
END_TEST

START_TEST(nan_in_the_weights) {
    model_set_element(UNET_FIRST, "conv_in.weight", 3, 0.0f / 0.0f);
    check_refused("stage denoise, step 1 of 2");
    check_refused("conv_in.weight");
}
END_TEST

START_TEST(weights_that_are_a_folder) {
    ck_assert_int_eq(unlink(scratch(VAE_WEIGHTS)), 0);
    ck_assert_int_eq(mkdir(scratch(VAE_WEIGHTS), 0700), 0);
    check_refused("vae");
}
END_TEST

/* ---- where the picture goes ---- */

#define DRAW "generate", "x", "--quiet", "--steps=1"

START_TEST(output_that_cannot_be_written) {
    ck_assert_int_eq(mkdir(scratch("folder"), 0700), 0);
    check_cli_fails("folder: ", DRAW, "--output=folder");
    check_cli_fails("nowhere/x.png", DRAW, "--output=nowhere/x.png");
    check_cli_fails("/dev/full: ", DRAW, "--output=/dev/full");
    check_cli_fails("No space left on device", DRAW, "--output=/dev/full");
    check_cli_fails("x.png/y.png", DRAW, "--output=/dev/null/x.png/y.png");
    ck_assert_int_eq(cli_count_files(), 1);
}
END_TEST

/* root may write anywhere; there nothing can be shown. */
START_TEST(output_folder_that_is_read_only) {
    if (geteuid() == 0)
        return;
    ck_assert_int_eq(mkdir(scratch("folder"), 0500), 0);
    check_cli_fails("Permission denied", DRAW, "--output=folder/x.png");
}
END_TEST

START_TEST(read_only_file_system) {
    if (access("/proc/self", X_OK) == 0)
        check_cli_fails("/proc/x.png", DRAW, "--output=/proc/x.png");
}
END_TEST

/* What cannot be written is found out before minutes are spent on drawing; the old file stays. */
START_TEST(failure_keeps_the_old_picture) {
    size_t bytes;
    scratch_write("old.png", "old", 3);
    model_set_element(VAE_WEIGHTS, "decoder.conv_in.weight", 0, 0.0f / 0.0f);
    check_cli_fails("stage decode", DRAW, "--model=model", "--output=old.png");
    char *kept = test_read_file(scratch("old.png"), &bytes);
    ck_assert_uint_eq(bytes, 3);
    ck_assert_str_eq(kept, "old");
    free(kept);
}
END_TEST

/* ---- options that only the library can judge ---- */

START_TEST(option_that_the_model_cannot_follow) {
    check_cli_fails("euler", DRAW, "--sampler=eular");
    check_cli_fails("karras", DRAW, "--schedule=carras");
    check_cli_fails("philox", DRAW, "--rng=dice");
    check_cli_fails("bf16", DRAW, "--precision=f8");
    check_cli_fails("multiples of 2", DRAW, "--width=17");
    check_cli_fails("1000", DRAW, "--sampler=ddim", "--steps=1001");
    check_cli_fails("UTF-8", "generate", "-q", "\xff");
}
END_TEST

Suite *suite_cli_bad_input(void) {
    Suite *suite = suite_create("cli_bad_input");
    TCase *tcase = tcase_create("bad_input");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, cli_teardown);
    tcase_add_test(tcase, missing_model);
    tcase_add_loop_test(tcase, missing_file, 0, N_MISSING);
    tcase_add_loop_test(tcase, malformed_json, 0, N_JSON_FILES);
    tcase_add_loop_test(tcase, bad_field, 0, N_BAD_FIELDS);
    tcase_add_loop_test(tcase, weights_that_are_cut_off, 0, 3);
    tcase_add_loop_test(tcase, weights_with_a_wrong_header, 0, 8);
    tcase_add_loop_test(tcase, weights_with_a_wrong_header_length, 0, 5);
    tcase_add_loop_test(tcase, shards_stay_in_their_folder, 0, 5);
    tcase_add_test(tcase, nan_in_the_weights);
    tcase_add_test(tcase, weights_that_are_a_folder);
    tcase_add_test(tcase, output_that_cannot_be_written);
    tcase_add_test(tcase, output_folder_that_is_read_only);
    tcase_add_test(tcase, read_only_file_system);
    tcase_add_test(tcase, failure_keeps_the_old_picture);
    tcase_add_test(tcase, option_that_the_model_cannot_follow);
    suite_add_tcase(suite, tcase);
    return suite;
}
