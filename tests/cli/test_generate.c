/*
 * `sfumato generate`: which files it writes and what it says, drawing again from a picture, --dry-
 * run, Ctrl-C. The pictures themselves are looked at in tests/pipelines.
 */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/cli.h"
#include "tests/support/model_folder.h"
#include "tests/support/pictures.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_cli_generate(void);

static sf_context *ctx;

static void setup(void) {
    cli_setup();
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
    cli_teardown();
}

static sf_image *load(const char *name) {
    sf_image *image = NULL;
    ck_ok(ctx, sf_image_load(ctx, scratch(name), &image));
    return image;
}

static int exists(const char *name) {
    return access(scratch(name), F_OK) == 0;
}

/* ---- files ---- */

/* On no terminal: a line a stage, then the file. */
START_TEST(names_the_picture_after_the_prompt) {
    struct command_result result;
    cli_run(&result, "generate", "A red  Apple, no. 7!", "--steps", "2");
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_str_eq(result.out, "");
    ck_assert_ptr_nonnull(strstr(result.err, "\ndenoise: 2/2 in "));
    size_t length = strlen(result.err);
    static const char last_line[] = " s\na-red-apple-no-7.png\n";
    ck_assert_uint_gt(length, sizeof last_line);
    ck_assert_str_eq(result.err + length - strlen(last_line), last_line);
    ck_assert_ptr_null(strchr(result.err, '\r'));
    ck_assert_int_eq(cli_count_files(), 1);
    sf_image *image = load("a-red-apple-no-7.png");
    ck_assert_int_eq(sf_image_width(image), 16);
    ck_assert_int_eq(sf_image_height(image), 16);
    ck_assert_int_eq(strncmp(sf_image_text(image, "parameters"),
                             "A red  Apple, no. 7!\nSteps: 2, Sampler: Euler, ", 46),
                     0);
    sf_image_free(image);
    command_result_free(&result);
}
END_TEST

START_TEST(quiet_says_nothing) {
    check_cli(0, "", "", "generate", "x", "--steps=1", "--quiet");
    check_cli(0, "", "", "generate", "\xe7\x8c\xab", "-s1", "-q");
    ck_assert(exists("x.png"));
    ck_assert(exists("picture.png"));
    ck_assert_int_eq(cli_count_files(), 2);
}
END_TEST

START_TEST(output_is_written_where_it_is_wanted) {
    ck_assert_int_eq(mkdir(scratch("folder.d"), 0700), 0);
    check_cli(0, "", "", "generate", "x", "-qs1", "-o", "folder.d/here");
    ck_assert(exists("folder.d/here"));
    check_cli(0, "", "", "generate", "x", "-qs1", "-ofolder.d/there.png", "--batch", "2");
    ck_assert(exists("folder.d/there-42.png"));
    ck_assert(exists("folder.d/there-43.png"));
    ck_assert(exists("folder.d/there-sheet.png"));
    check_cli(0, "", "", "generate", "x", "-qs1", "--output=folder.d/here", "--batch=2");
    ck_assert(exists("folder.d/here-43"));
}
END_TEST

START_TEST(output_may_be_a_pipe) {
    struct command_result result;
    cli_run(&result, "generate", "x", "--steps=1", "--output", "/dev/stdout");
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_uint_gt(result.out_bytes, 200);
    ck_assert_mem_eq(result.out, "\x89PNG\r\n\x1a\n", 8);
    ck_assert_mem_eq(result.out + result.out_bytes - 8, "IEND\xae\x42\x60\x82", 8);
    ck_assert_int_eq(cli_count_files(), 0);
    command_result_free(&result);
}
END_TEST

/* Each picture under its seed, and the sheet: in one row or nearly square, 4 pixels between. */
START_TEST(batch_writes_a_contact_sheet) {
    struct command_result result;
    static const char *const names[] = {"red-7.png", "red-8.png", "red-9.png", "red-sheet.png"};
    cli_run(&result, "generate", "red", "--steps=1", "--batch=3", "--seed=7");
    ck_assert_msg(result.status == 0, "%s", result.err);
    for (int i = 0; i < 4; i++)
        ck_assert_msg(exists(names[i]) && strstr(result.err, names[i]), "%s", result.err);
    ck_assert_int_eq(cli_count_files(), 4);
    sf_image *sheet = load("red-sheet.png"), *first = load("red-7.png"),
             *second = load("red-8.png");
    ck_assert_int_eq(sf_image_width(sheet), 16 + 4 + 16);
    ck_assert_int_eq(sf_image_height(sheet), 16 + 4 + 16);
    sf_image *left = picture_crop(ctx, sheet, 0, 0, 16, 16);
    sf_image *right = picture_crop(ctx, sheet, 20, 0, 16, 16);
    check_pictures_equal(left, first);
    check_pictures_equal(right, second);
    sf_image_free(left);
    sf_image_free(right);
    sf_image_free(first);
    sf_image_free(second);
    sf_image_free(sheet);
    command_result_free(&result);
}
END_TEST

static void check_same_picture(const char *left, const char *right, int same) {
    sf_image *a = load(left), *b = load(right);
    ck_assert_msg((picture_compare(a, b).n_different == 0) == same, "%s and %s", left, right);
    sf_image_free(a);
    sf_image_free(b);
}

START_TEST(seed_is_42_or_given_or_random) {
    check_cli(0, "", "", "generate", "x", "-qs1", "-oplain.png");
    check_cli(0, "", "", "generate", "x", "-qs1", "-ogiven.png", "--seed", "42");
    check_cli(0, "", "", "generate", "x", "-qs1", "-oother.png", "-S", "18446744073709551615");
    check_cli(0, "", "", "generate", "x", "-qs1", "-orandom.png", "--seed", "random");
    check_cli(0, "", "", "generate", "x", "-qs1", "-orandom2.png", "--seed=random");
    check_same_picture("plain.png", "given.png", 1);
    check_same_picture("plain.png", "other.png", 0);
    check_same_picture("random.png", "random2.png", 0);
}
END_TEST

/* Every option reaches the library. */
START_TEST(options_show_in_the_parameters) {
    check_cli(0, "", "", "generate", "x", "-qo", "x.png", "--steps=2", "--sampler=ddim",
              "--eta=0.5", "--cfg-scale=2", "--seed=5", "--width=24", "--height=8", "-n",
              "red apple", "--rng=philox", "--precision=f16", "--model=tiny",
              "--backend=reference");
    sf_image *image = load("x.png");
    const char *text = sf_image_text(image, "parameters");
    ck_assert_msg(strncmp(text,
                          "x\nNegative prompt: red apple\nSteps: 2, Sampler: DDIM, CFG scale: 2, "
                          "Seed: 5, Size: 24x8, Model hash: ",
                          101) == 0,
                  "%s", text);
    ck_assert_ptr_nonnull(strstr(text, ", Model: tiny, Eta: 0.5, RNG: philox, Version: sfumato "));
    json_t *recipe = json_loads(sf_image_text(image, "sfumato"), 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(recipe, "precision")), "f16");
    ck_assert_str_eq(json_string_value(json_object_get(recipe, "backend")), "reference");
    ck_assert_str_eq(json_string_value(json_object_get(recipe, "seed")), "5");
    json_decref(recipe);
    sf_image_free(image);
}
END_TEST

START_TEST(preview_is_a_picture) {
    check_cli(0, "", "", "generate", "x", "-qs2", "--preview", "preview.png");
    sf_image *image = load("preview.png");
    ck_assert_int_ge(sf_image_width(image), 8);
    ck_assert_int_eq(cli_count_files(), 2);
    sf_image_free(image);
}
END_TEST

/* ---- from a picture ---- */

START_TEST(picture_is_verified) {
    check_cli(0, "", "", "generate", "a tiny red apple", "-qs3", "-oa.png", "--sampler=ddpm", "-g3",
              "-S77", "-nle", "-W24");
    check_cli(0, "identical: 0 of 384 pixels differ, 0 by more than 2/255, the largest by 0/255\n",
              NULL, "generate", "--from-image", "a.png", "--verify");
    check_cli(0, "", "", "generate", "--from-image", "a.png", "--verify", "--quiet");
    check_cli(0, "", "", "generate", "--from-image", "a.png", "-qob.png");
    check_same_picture("a.png", "b.png", 1);
    ck_assert_int_eq(cli_count_files(), 2);
    check_cli(0, "", "", "generate", "--from-image", "a.png", "-qoc.png", "--seed", "78");
    check_same_picture("a.png", "c.png", 0);
}
END_TEST

START_TEST(doctored_picture_is_found_out) {
    struct command_result result;
    check_cli(0, "", "", "generate", "x", "-qs1", "-oa.png");
    sf_image *image = load("a.png");
    for (int i = 0; i < 3 * 5; i++)
        sf_image_pixels(image)[i] ^= 0x80;
    ck_ok(ctx, sf_image_save(image, scratch("a.png")));
    sf_image_free(image);
    cli_run(&result, "generate", "--from-image", "a.png", "--verify", "-q");
    ck_assert_int_eq(result.status, 1);
    ck_assert_str_eq(result.err, "");
    ck_assert_str_eq(
        result.out,
        "different: 5 of 256 pixels differ, 5 by more than 2/255, the largest by 128/255\n");
    command_result_free(&result);
}
END_TEST

/* One value of one pixel: still within what another machine's rounding may give. */
START_TEST(nearly_the_same_agrees) {
    check_cli(0, "", "", "generate", "x", "-qs1", "-oa.png");
    sf_image *image = load("a.png");
    sf_image_pixels(image)[100] ^= 1;
    ck_ok(ctx, sf_image_save(image, scratch("a.png")));
    sf_image_free(image);
    check_cli(0, "agrees: 1 of 256 pixels differ, 0 by more than 2/255, the largest by 1/255\n",
              NULL, "generate", "--from-image", "a.png", "--verify");
}
END_TEST

START_TEST(other_model_is_told) {
    struct command_result result;
    check_cli(0, "", "", "generate", "x", "-qs1", "-oa.png");
    model_copy(TINY_MODEL, "model");
    model_set_element("model/unet/diffusion_pytorch_model-00001-of-00002.safetensors",
                      "conv_in.bias", 0, 9);
    cli_run(&result, "generate", "--from-image", "a.png", "--verify", "-q", "--model", "model");
    ck_assert_int_eq(result.status, 1);
    ck_assert_int_eq(strncmp(result.out, "different: ", 11), 0);
    ck_assert_msg(is_one_line(result.err) &&
                      strstr(result.err, "warning: the picture was drawn with another model"),
                  "%s", result.err);
    command_result_free(&result);
}
END_TEST

START_TEST(picture_of_others_is_refused) {
    sf_image *image;
    ck_ok(ctx, sf_image_new(ctx, 4, 4, &image));
    ck_ok(ctx, sf_image_save(image, scratch("a.png")));
    sf_image_free(image);
    check_cli_fails("Sfumato did not draw it", "generate", "--from-image", "a.png");
    check_cli_fails("b.png", "generate", "--from-image", "b.png");
    scratch_write("c.png", "GIF89a", 6);
    check_cli_fails("c.png", "generate", "--from-image", "c.png", "--verify");
}
END_TEST

/* ---- --dry-run ---- */

START_TEST(dry_run_tells_the_plan) {
    struct command_result result;
    cli_run(&result, "generate", "x", "--dry-run", "--steps=7", "--backend=reference");
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_int_eq(strncmp(result.out, "model ", 6), 0);
    ck_assert_ptr_nonnull(strstr(result.out, "backend reference"));
    ck_assert_ptr_nonnull(strstr(result.out, "\n16x16, euler, 7 steps, guidance 7.5, seed 42\n"));
    ck_assert_ptr_nonnull(strstr(result.out, "\nmemory: "));
    ck_assert_ptr_nonnull(strstr(result.out, "iB at most ("));
    ck_assert_ptr_nonnull(strstr(result.out, "\n  text: 1 evaluation, "));
    ck_assert_ptr_nonnull(strstr(result.out, "\n  denoise: 7 evaluations, "));
    ck_assert_ptr_nonnull(strstr(result.out, "\n  decode: 1 evaluation, "));
    ck_assert_ptr_nonnull(strstr(result.out, "iB planned ("));
    ck_assert_ptr_nonnull(strstr(result.out, "\n    ops on reference: "));
    ck_assert_ptr_nonnull(strstr(result.out, " conv2d "));
    ck_assert_int_eq(cli_count_files(), 0);
    command_result_free(&result);
}
END_TEST

static json_int_t integer_at(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_integer(value), "%s is no integer", key);
    return json_integer_value(value);
}

START_TEST(dry_run_as_json) {
    static const char *const names[] = {"text", "denoise", "decode"};
    struct command_result result;
    cli_run(&result, "generate", "x", "--dry-run", "--json", "--steps=7", "--width=32");
    ck_assert_msg(result.status == 0, "%s", result.err);
    json_t *plan = json_loads(result.out, 0, NULL);
    ck_assert_ptr_nonnull(plan);
    ck_assert_int_eq(integer_at(plan, "width"), 32);
    ck_assert_int_eq(integer_at(plan, "height"), 16);
    ck_assert_int_eq(integer_at(plan, "steps"), 7);
    const json_t *stages = json_object_get(plan, "stages");
    ck_assert_uint_eq(json_array_size(stages), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *stage = json_array_get(stages, i);
        ck_assert_str_eq(json_string_value(json_object_get(stage, "stage")), names[i]);
        ck_assert_int_eq(integer_at(stage, "evaluations"), i == 1 ? 7 : 1);
        ck_assert_int_gt(integer_at(stage, "arena_bytes"), 0);
        ck_assert_int_ge(integer_at(stage, "unshared_bytes"), integer_at(stage, "arena_bytes"));
        ck_assert_int_gt(integer_at(stage, "weight_bytes"), 1000);
        ck_assert_uint_gt(json_object_size(json_object_get(stage, "ops")), 3);
    }
    json_decref(plan);
    command_result_free(&result);
}
END_TEST

/* A picture that no machine here could draw is planned all the same: nothing is loaded. */
static const struct {
    const char *option;
    json_int_t bytes;
} limits[] = {
    {"--max-memory=600M", 600000000},      {"--max-memory=2G", 2000000000},
    {"--max-memory=512Mi", 536870912},     {"--max-memory=1.5GB", 1500000000},
    {"--max-memory=900000000", 900000000}, {"--max-memory=1TiB", INT64_C(1) << 40},
    {"--max-memory=700000k", 700000000},   {"--quiet", 0},
};

START_TEST(the_limit_of_memory_is_a_size) {
    struct command_result result;
    cli_run(&result, "generate", "x", "--dry-run", "--json", limits[_i].option);
    ck_assert_msg(result.status == 0, "%s", result.err);
    json_t *plan = json_loads(result.out, 0, NULL);
    const json_t *memory = json_object_get(plan, "memory");
    ck_assert_int_eq(json_integer_value(json_object_get(memory, "limit_bytes")), limits[_i].bytes);
    ck_assert_int_gt(json_integer_value(json_object_get(memory, "peak_bytes")), 0);
    json_decref(plan);
    command_result_free(&result);
}
END_TEST

static const char *const no_sizes[] = {"0", "-1", "10x", "M", "", "1e30", "5KK", "1GiBs", "nan"};

START_TEST(what_is_no_size_is_wrong_usage) {
    char wanted[200];
    snprintf(wanted, sizeof wanted,
             "sfumato generate: --max-memory %s: must be a number of bytes, such as 600M, 2G or "
             "512Mi; see sfumato generate --help\n",
             no_sizes[_i]);
    check_cli(2, "", wanted, "generate", "x", "--max-memory", no_sizes[_i]);
}
END_TEST

START_TEST(too_little_memory_is_refused) {
    struct command_result result;
    cli_run(&result, "generate", "x", "--max-memory=1M", "-q", "-o", "x.png");
    ck_assert_int_eq(result.status, 1);
    ck_assert_str_eq(result.out, "");
    ck_assert_int_eq(strncmp(result.err, "sfumato: stage text: out of memory: ", 36), 0);
    ck_assert_ptr_nonnull(strstr(result.err, " and 1.0 MB are allowed; "));
    ck_assert_int_eq(cli_count_files(), 0);
    command_result_free(&result);
}
END_TEST

START_TEST(dry_run_of_a_large_picture_is_quick) {
    struct command_result result;
    cli_run_command(&result, (struct command){
                                 .arguments = CLI_ARGUMENTS("generate", "x", "--dry-run", "--json",
                                                            "--width=4096", "--height=4096"),
                                 .timeout_seconds = 10,
                             });
    ck_assert_msg(result.status == 0, "%s", result.err);
    json_t *plan = json_loads(result.out, 0, NULL);
    const json_t *decode = json_array_get(json_object_get(plan, "stages"), 2);
    ck_assert_int_gt(integer_at(decode, "arena_bytes"), (json_int_t)1 << 30);
    json_decref(plan);
    command_result_free(&result);
}
END_TEST

START_TEST(full_disk_behind_stdout_is_told) {
    cli_check_fails(
        "standard output: No space left on device",
        &(struct command){.arguments = CLI_ARGUMENTS("generate", "x", "--dry-run", "-q"),
                          .output = "/dev/full"});
}
END_TEST

/* ---- Ctrl-C ---- */

START_TEST(interrupted_run_leaves_nothing) {
    struct command_result result;
    cli_run_command(
        &result, (struct command){.arguments = CLI_ARGUMENTS("generate", "a red apple", "--model",
                                                             test_model(""), "-q", "--steps=900",
                                                             "--output=apple.png"),
                                  .interrupt_after_ms = 700});
    ck_assert_msg(result.status == 1, "exit status %d: %s", result.status, result.err);
    ck_assert_msg(is_one_line(result.err) && strstr(result.err, "cancelled"), "%s", result.err);
    ck_assert_str_eq(result.out, "");
    ck_assert_int_eq(cli_count_files(), 0);
    command_result_free(&result);
}
END_TEST

Suite *suite_cli_generate(void) {
    Suite *suite = suite_create("cli_generate");
    TCase *tcase = tcase_create("generate");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, names_the_picture_after_the_prompt);
    tcase_add_test(tcase, quiet_says_nothing);
    tcase_add_test(tcase, output_is_written_where_it_is_wanted);
    tcase_add_test(tcase, output_may_be_a_pipe);
    tcase_add_test(tcase, batch_writes_a_contact_sheet);
    tcase_add_test(tcase, seed_is_42_or_given_or_random);
    tcase_add_test(tcase, options_show_in_the_parameters);
    tcase_add_test(tcase, preview_is_a_picture);
    tcase_add_test(tcase, picture_is_verified);
    tcase_add_test(tcase, doctored_picture_is_found_out);
    tcase_add_test(tcase, nearly_the_same_agrees);
    tcase_add_test(tcase, other_model_is_told);
    tcase_add_test(tcase, picture_of_others_is_refused);
    tcase_add_test(tcase, dry_run_tells_the_plan);
    tcase_add_test(tcase, dry_run_as_json);
    tcase_add_test(tcase, dry_run_of_a_large_picture_is_quick);
    tcase_add_loop_test(tcase, the_limit_of_memory_is_a_size, 0,
                        (int)(sizeof limits / sizeof *limits));
    tcase_add_loop_test(tcase, what_is_no_size_is_wrong_usage, 0,
                        (int)(sizeof no_sizes / sizeof *no_sizes));
    tcase_add_test(tcase, too_little_memory_is_refused);
    tcase_add_test(tcase, full_disk_behind_stdout_is_told);
    tcase_add_test(tcase, interrupted_run_leaves_nothing);
    suite_add_tcase(suite, tcase);
    return suite;
}
