/*
 * `sfumato inspect` and `sfumato tokenize`.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/cli.h"
#include "tests/support/model_folder.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_cli_inspect(void);

/* ---- inspect ---- */

static json_t *inspect(const char *path) {
    struct command_result result;
    cli_run(&result, "inspect", path, "--json");
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_str_eq(result.err, "");
    json_t *json = json_loads(result.out, 0, NULL);
    ck_assert_msg(json != NULL, "%s", result.out);
    command_result_free(&result);
    return json;
}

static const char *text(const json_t *object, const char *key) {
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

static json_int_t number(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

START_TEST(pipeline_folder) {
    json_t *json = inspect(TINY_MODEL);
    ck_assert_str_eq(text(json, "kind"), "pipeline");
    ck_assert_str_eq(text(json, "class"), "StableDiffusionPipeline");
    const json_t *components = json_object_get(json, "components");
    ck_assert_uint_eq(json_array_size(components), 5);
    int found = 0;
    for (size_t i = 0; i < json_array_size(components); i++) {
        const json_t *component = json_array_get(components, i);
        if (strcmp(text(component, "name"), "unet") != 0)
            continue;
        found++;
        ck_assert_str_eq(text(component, "class"), "UNet2DConditionModel");
        const json_t *weights = json_object_get(component, "weights");
        ck_assert_uint_eq(json_array_size(weights), 2);
        const json_t *types = json_object_get(json_array_get(weights, 0), "types");
        ck_assert_int_gt(number(types, "f32"), 1000);
    }
    ck_assert_int_eq(found, 1);
    json_decref(json);
}
END_TEST

START_TEST(component_folder) {
    json_t *json = inspect(test_data("pipelines/tiny/vae"));
    ck_assert_str_eq(text(json, "kind"), "component");
    ck_assert_str_eq(text(json, "class"), "AutoencoderKL");
    ck_assert_int_eq(number(json_object_get(json, "config"), "latent_channels"), 4);
    ck_assert_uint_eq(json_array_size(json_object_get(json, "weights")), 1);
    json_decref(json);
    json = inspect(test_data("pipelines/tiny/text_encoder"));
    ck_assert_str_eq(text(json, "class"), "CLIPTextModel");
    json_decref(json);
}
END_TEST

START_TEST(weights_file) {
    json_t *json = inspect(test_data("pipelines/tiny/text_encoder/model.safetensors"));
    ck_assert_str_eq(text(json, "kind"), "weights");
    ck_assert_int_eq(number(json, "n_tensors"), 20);
    ck_assert_int_eq(number(json, "bytes"), 4 * number(json, "parameters"));
    ck_assert_str_eq(text(json_object_get(json, "metadata"), "format"), "pt");
    const json_t *tensors = json_object_get(json, "tensors");
    ck_assert_uint_eq(json_array_size(tensors), 20);
    json_int_t sum = 0;
    for (size_t i = 0; i < 20; i++) {
        const json_t *tensor = json_array_get(tensors, i);
        const json_t *shape = json_object_get(tensor, "shape");
        json_int_t product = 1;
        for (size_t axis = 0; axis < json_array_size(shape); axis++)
            product *= json_integer_value(json_array_get(shape, axis));
        ck_assert_str_eq(text(tensor, "type"), "f32");
        sum += product;
    }
    ck_assert_int_eq(sum, number(json, "parameters"));
    json_decref(json);
}
END_TEST

START_TEST(index_of_shards) {
    json_t *json =
        inspect(test_data("pipelines/tiny/unet/diffusion_pytorch_model.safetensors.index.json"));
    ck_assert_str_eq(text(json, "kind"), "weights");
    ck_assert_int_eq(number(json, "n_tensors"), 208);
    json_decref(json);
}
END_TEST

START_TEST(picture) {
    check_cli(0, "", "", "generate", "x", "-qs1", "-oa.png");
    json_t *json = inspect("a.png");
    ck_assert_str_eq(text(json, "kind"), "picture");
    ck_assert_int_eq(number(json, "width"), 16);
    ck_assert_int_eq(number(json, "height"), 16);
    const json_t *texts = json_object_get(json, "texts");
    ck_assert_int_eq(strncmp(text(texts, "parameters"), "x\nSteps: 1, ", 12), 0);
    ck_assert_ptr_nonnull(strstr(text(texts, "sfumato"), "\"seed\":\"42\""));
    json_decref(json);
}
END_TEST

START_TEST(inspect_as_text) {
    struct command_result result;
    cli_run(&result, "inspect", TINY_MODEL);
    ck_assert_int_eq(result.status, 0);
    ck_assert_ptr_eq(
        strstr(result.out, "kind: pipeline\nclass: StableDiffusionPipeline\ncomponents:\n"),
        result.out);
    ck_assert_ptr_nonnull(strstr(result.out, "UNet2DConditionModel"));
    command_result_free(&result);
    cli_run(&result, "inspect", test_data("pipelines/tiny/text_encoder/model.safetensors"));
    ck_assert_int_eq(result.status, 0);
    ck_assert_ptr_nonnull(strstr(result.out, "kind: weights\n"));
    ck_assert_ptr_nonnull(strstr(result.out, "final_layer_norm.bias  f32  [8]"));
    command_result_free(&result);
}
END_TEST

START_TEST(what_inspect_refuses) {
    check_cli_fails("nowhere", "inspect", "nowhere");
    check_cli_fails("nowhere.png", "inspect", "nowhere.png");
    check_cli_fails("nowhere.safetensors", "inspect", "nowhere.safetensors");
    check_cli_fails("neither model_index.json nor config.json", "inspect", scratch("data"));
    scratch_write("a.png", "not a picture", 13);
    scratch_write("a.safetensors", "not weights", 11);
    scratch_write("a.txt", "text", 4);
    check_cli_fails("a.png", "inspect", "a.png");
    check_cli_fails("a.safetensors", "inspect", "a.safetensors", "--json");
    check_cli_fails("a.txt: not a folder, nor a .safetensors", "inspect", "a.txt");
}
END_TEST

/* ---- tokenize ---- */

START_TEST(ids_of_a_text) {
    /* a apple red of the tiny model's vocabulary: letters, letters at an end, nine merges. */
    check_cli(0, "[521, 320, 515, 517, 522]\n", "", "tokenize", "A  apple red", "--no-padding");
    check_cli(0, "[521, 320, 515, 517, 522, 522, 522, 522, 522, 522, 522, 522]\n", "", "tokenize",
              "a apple red", "--model=tiny");
    check_cli(0, "[521, 522]\n", "", "tokenize", "", "--no-padding");
    check_cli(0, "[521, 520, 522]\n", "", "tokenize", "tiny", "--no-padding", "--model",
              test_data("pipelines/tiny/tokenizer"));
}
END_TEST

START_TEST(long_text_is_cut) {
    check_cli(0, "[521, 320, 320, 320, 320, 320, 320, 320, 320, 320, 320, 522]\n", "", "tokenize",
              "a a a a a a a a a a a a a a a");
}
END_TEST

START_TEST(ids_of_the_shipped_model) {
    check_cli(0, "[2046, 320, 656, 2045, 2047]\n", "", "tokenize", "a red apple", "--no-padding",
              "--model", test_model(""));
}
END_TEST

START_TEST(what_tokenize_refuses) {
    check_cli_fails("there is no model \"nowhere\"", "tokenize", "x", "--model=nowhere");
    check_cli_fails("tokenizer", "tokenize", "x", "--model", test_data("pipelines/tiny/unet"));
}
END_TEST

Suite *suite_cli_inspect(void) {
    Suite *suite = suite_create("cli_inspect");
    TCase *tcase = tcase_create("inspect");
    tcase_add_checked_fixture(tcase, cli_setup, cli_teardown);
    tcase_add_test(tcase, pipeline_folder);
    tcase_add_test(tcase, component_folder);
    tcase_add_test(tcase, weights_file);
    tcase_add_test(tcase, index_of_shards);
    tcase_add_test(tcase, picture);
    tcase_add_test(tcase, inspect_as_text);
    tcase_add_test(tcase, what_inspect_refuses);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("tokenize");
    tcase_add_checked_fixture(tcase, cli_setup, cli_teardown);
    tcase_add_test(tcase, ids_of_a_text);
    tcase_add_test(tcase, long_text_is_cut);
    tcase_add_test(tcase, ids_of_the_shipped_model);
    tcase_add_test(tcase, what_tokenize_refuses);
    suite_add_tcase(suite, tcase);
    return suite;
}
