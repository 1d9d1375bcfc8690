/*
 * Options of sf_pipeline_generate(): batches, sizes, types, random generators, the recipe that a
 * picture carries, and what is said about options that can't be had. On the tiny model.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/model_folder.h"
#include "tests/support/pictures.h"
#include "tests/support/support.h"

Suite *suite_pipelines_options(void);

static sf_context *ctx;
static sf_pipeline *pipeline;
static sf_generate_options options;

static void setup(void) {
    ctx = test_context();
    ck_ok(ctx, sf_pipeline_load(ctx, TINY_MODEL, &pipeline));
    sf_generate_options_init(&options);
    options.prompt = "a tiny red apple";
    options.negative_prompt = "le";
    options.steps = 3;
    options.guidance_scale = 2.5f;
    options.seed = 100;
}

static void teardown(void) {
    sf_pipeline_free(pipeline);
    test_context_free(ctx);
}

static sf_image *draw(void) {
    sf_image *image = NULL;
    ck_ok(ctx, sf_pipeline_generate(pipeline, &options, &image));
    return image;
}

/* ---- batches and sizes ---- */

START_TEST(picture_of_a_batch_is_that_of_its_seed) {
    static const char *const samplers[] = {"ddim", "ddpm", "euler"};
    sf_image *batch[4];
    options.sampler = samplers[_i];
    options.batch = 4;
    ck_ok(ctx, sf_pipeline_generate(pipeline, &options, batch));
    options.batch = 1;
    for (int i = 0; i < 4; i++) {
        options.seed = 100 + (uint64_t)i;
        sf_image *alone = draw();
        check_pictures_equal(batch[i], alone);
        ck_assert_str_eq(sf_image_text(batch[i], "parameters"), sf_image_text(alone, "parameters"));
        ck_assert_str_eq(sf_image_text(batch[i], "sfumato"), sf_image_text(alone, "sfumato"));
        if (i > 0)
            ck_assert_uint_gt(picture_compare(batch[i], batch[i - 1]).n_far, 128);
        sf_image_free(alone);
    }
    for (int i = 0; i < 4; i++)
        sf_image_free(batch[i]);
}
END_TEST

START_TEST(one_pipeline_draws_several_sizes) {
    static const int sizes[][2] = {{16, 16}, {24, 8}, {4, 32}, {16, 16}};
    sf_image *images[4];
    for (int i = 0; i < 4; i++) {
        options.width = sizes[i][0];
        options.height = sizes[i][1];
        images[i] = draw();
        ck_assert_int_eq(sf_image_width(images[i]), sizes[i][0]);
        ck_assert_int_eq(sf_image_height(images[i]), sizes[i][1]);
    }
    check_pictures_equal(images[0], images[3]);
    for (int i = 0; i < 4; i++)
        sf_image_free(images[i]);
}
END_TEST

START_TEST(every_option_shows_in_the_picture) {
    sf_image *plain = draw();
    for (int i = 0; i < 6; i++) {
        sf_generate_options kept = options;
        if (i == 0)
            options.prompt = "a tiny red app";
        else if (i == 1)
            options.negative_prompt = "";
        else if (i == 2)
            options.guidance_scale = 1;
        else if (i == 3)
            options.rng = "philox";
        else if (i == 4)
            options.sampler = "ddim";
        else
            options.seed++;
        sf_image *other = draw();
        ck_assert_msg(picture_compare(plain, other).n_different > 0, "change %d changes nothing",
                      i);
        sf_image_free(other);
        options = kept;
    }
    sf_image_free(plain);
}
END_TEST

/*
 * Random weights forget nothing: rounding to 2^-11 (f16) and 2^-8 (bf16) grows to several of 255.
 * PyTorch's own pictures in these types are 2.5 and 8.6 away from its f32.
 */
START_TEST(half_precision_is_close_to_f32) {
    static const struct {
        const char *name;
        double mean; /* most that the mean difference may be, of 255 */
    } types[] = {{"f16", 3}, {"bf16", 16}};
    sf_image *wanted = draw();
    options.precision = types[_i].name;
    sf_image *image = draw();
    size_t n = 3 * 16 * 16;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += abs(sf_image_pixels(image)[i] - sf_image_pixels(wanted)[i]);
    ck_assert_msg(sum > 0, "%s changes nothing", types[_i].name);
    ck_assert_msg(sum / (double)n <= types[_i].mean, "%s: mean difference %g of 255",
                  types[_i].name, sum / (double)n);
    sf_image_free(image);
    sf_image_free(wanted);
}
END_TEST

/* ---- what a picture carries ---- */

START_TEST(parameters_are_as_webui_writes_them) {
    const char *hash;
    char wanted[1024];
    options.sampler = "ddim";
    options.eta = 0.5f;
    options.rng = "philox";
    options.width = 24;
    sf_image *image = draw();
    ck_ok(ctx, sf_pipeline_model_hash(pipeline, &hash));
    ck_assert_uint_eq(strlen(hash), 64);
    snprintf(wanted, sizeof wanted,
             "a tiny red apple\n"
             "Negative prompt: le\n"
             "Steps: 3, Sampler: DDIM, CFG scale: 2.5, Seed: 100, Size: 24x16, Model hash: %.10s, "
             "Model: tiny, Eta: 0.5, RNG: philox, Version: sfumato %s",
             hash, sf_version());
    ck_assert_str_eq(sf_image_text(image, "parameters"), wanted);
    sf_image_free(image);
}
END_TEST

START_TEST(schedule_is_told_as_webui_tells_it) {
    options.sampler = "euler";
    options.schedule = "karras";
    options.negative_prompt = "";
    sf_image *image = draw();
    const char *text = sf_image_text(image, "parameters");
    ck_assert_msg(strncmp(text,
                          "a tiny red apple\nSteps: 3, Sampler: Euler, Schedule type: Karras, "
                          "CFG scale: 2.5, ",
                          82) == 0,
                  "%s", text);
    sf_image_free(image);
}
END_TEST

/* All that the options say comes back, and draws the same picture. */
START_TEST(recipe_draws_the_picture_again) {
    sf_recipe *recipe;
    options.prompt = "a \"tiny\" red\tapple \xc3\xa9\xf0\x9f\x8d\x8e";
    options.sampler = "ddim";
    options.eta = 0.3f;
    options.guidance_scale = 2.1f;
    options.guidance_rescale = 0.4f;
    options.seed = UINT64_MAX - 1;
    options.width = 8;
    options.height = 24;
    options.rng = "philox";
    options.precision = "bf16";
    sf_image *image = draw();
    ck_ok(ctx, sf_recipe_read(ctx, image, &recipe));
    const sf_generate_options *read = sf_recipe_options(recipe);
    ck_assert_str_eq(read->prompt, options.prompt);
    ck_assert_str_eq(read->negative_prompt, options.negative_prompt);
    ck_assert_str_eq(read->sampler, options.sampler);
    ck_assert_str_eq(read->rng, options.rng);
    ck_assert_str_eq(read->precision, options.precision);
    ck_assert_int_eq(read->steps, options.steps);
    ck_assert(read->guidance_scale == options.guidance_scale);
    ck_assert(read->eta == options.eta);
    ck_assert(read->guidance_rescale == options.guidance_rescale);
    ck_assert_uint_eq(read->seed, options.seed);
    ck_assert_int_eq(read->width, options.width);
    ck_assert_int_eq(read->height, options.height);
    ck_assert_int_eq(read->batch, 1);
    ck_assert_str_eq(sf_recipe_model(recipe), "tiny");
    ck_assert_uint_eq(strlen(sf_recipe_model_hash(recipe)), 64);
    options = *read;
    sf_image *again = draw();
    check_pictures_equal(image, again);
    ck_assert_str_eq(sf_image_text(image, "sfumato"), sf_image_text(again, "sfumato"));
    sf_image_free(again);
    sf_recipe_free(recipe);
    sf_image_free(image);
}
END_TEST

/* Levels of one's own: the steps follow, and they go with the picture. */
START_TEST(listed_levels_are_kept) {
    static const double levels[2][4] = {{14, 3, 0.5, 0}, {999, 700, 300, 1}};
    const sf_generate_options plain = options;
    for (int i = 0; i < 2; i++) {
        sf_recipe *recipe;
        options = plain;
        options.sampler = "euler";
        options.steps = 0;
        options.sigmas = i == 0 ? levels[0] : NULL;
        options.n_sigmas = i == 0 ? 4 : 0;
        options.timesteps = i == 1 ? levels[1] : NULL;
        options.n_timesteps = i == 1 ? 4 : 0;
        sf_image *image = draw();
        ck_ok(ctx, sf_recipe_read(ctx, image, &recipe));
        const sf_generate_options *read = sf_recipe_options(recipe);
        ck_assert_int_eq(read->steps, 3 + i);
        ck_assert_int_eq(i == 0 ? read->n_sigmas : read->n_timesteps, 4);
        ck_assert_mem_eq(i == 0 ? read->sigmas : read->timesteps, levels[i], sizeof levels[i]);
        options = *read;
        sf_image *again = draw();
        check_pictures_equal(image, again);
        sf_image_free(again);
        sf_recipe_free(recipe);
        sf_image_free(image);
    }
}
END_TEST

/* Defaults are filled in before they are written: a recipe leaves nothing open. */
START_TEST(recipe_of_defaults_is_whole) {
    sf_recipe *recipe;
    sf_generate_options_init(&options);
    options.prompt = "red";
    sf_image *image = draw();
    ck_ok(ctx, sf_recipe_read(ctx, image, &recipe));
    const sf_generate_options *read = sf_recipe_options(recipe);
    ck_assert_str_eq(read->sampler, "euler");
    ck_assert_int_eq(read->steps, 25);
    ck_assert(read->guidance_scale == 7.5f);
    ck_assert_int_eq(read->width, 16);
    ck_assert_int_eq(read->height, 16);
    ck_assert_str_eq(read->rng, "torch");
    ck_assert_str_eq(read->precision, "f32");
    sf_recipe_free(recipe);
    sf_image_free(image);
}
END_TEST

START_TEST(picture_of_others_has_no_recipe) {
    sf_image *image;
    sf_recipe *recipe;
    ck_ok(ctx, sf_image_new(ctx, 2, 2, &image));
    ck_fails(ctx, sf_recipe_read(ctx, image, &recipe), SF_ERROR_NOT_FOUND, "sfumato");
    static const char *const bad[] = {
        "",
        "[]",
        "{",
        "{\"steps\": 3}",
        "{\"seed\": 5}",
        "{\"seed\": \"5\", \"steps\": 0, \"width\": 8, \"height\": 8, \"sampler\": \"ddim\"}",
        "{\"seed\": \"-5\", \"steps\": 1, \"width\": 8, \"height\": 8, \"sampler\": \"ddim\"}",
        "{\"seed\": \"5\", \"steps\": 1, \"width\": 8, \"height\": 8, \"sampler\": \"ddim\","
        " \"sigmas\": []}",
        "{\"seed\": \"5\", \"steps\": 1, \"width\": 8, \"height\": 8, \"sampler\": \"ddim\","
        " \"timesteps\": [3, \"x\"]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_ok(ctx, sf_image_set_text(image, "sfumato", bad[i]));
        ck_fails(ctx, sf_recipe_read(ctx, image, &recipe), SF_ERROR_FORMAT, "sfumato");
    }
    sf_image_free(image);
}
END_TEST

/* ---- options that can't be had ---- */

static void bad_sampler(void) {
    options.sampler = "eular";
}
static void bad_schedule(void) {
    options.schedule = "carras";
}
static void bad_rng(void) {
    options.rng = "dice";
}
static void bad_precision(void) {
    options.precision = "f8";
}
static void bad_width(void) {
    options.width = 17;
}
static void bad_height(void) {
    options.height = 19;
}
static void negative_width(void) {
    options.width = -16;
}
static void huge_size(void) {
    options.width = 1 << 30;
}
static void bad_rescale(void) {
    options.guidance_rescale = 1.5f;
}
static void foreign_sigmas(void) {
    static const double sigmas[] = {3, 0};
    options.sampler = "ddim";
    options.steps = 0;
    options.sigmas = sigmas;
    options.n_sigmas = 2;
}
static void many_steps(void) {
    options.sampler = "ddim";
    options.steps = 1001;
}
static void negative_steps(void) {
    options.steps = -1;
}
static void no_batch(void) {
    options.batch = 0;
}
static void bad_eta(void) {
    options.eta = 1.5f;
}
static void not_utf8(void) {
    options.prompt = "a \xff apple";
}

static const struct bad_option {
    const char *what;
    void (*set)(void);
    sf_status status;
    const char *message[3]; /* all must be in it */
} bad_options[] = {
    {"sampler", bad_sampler, SF_ERROR_NOT_FOUND, {"eular", "ddim", "euler"}},
    {"schedule", bad_schedule, SF_ERROR_NOT_FOUND, {"carras", "karras", ""}},
    {"rng", bad_rng, SF_ERROR_NOT_FOUND, {"dice", "torch", "philox"}},
    {"precision", bad_precision, SF_ERROR_NOT_FOUND, {"f8", "f32", "bf16"}},
    {"width", bad_width, SF_ERROR_ARGUMENT, {"17", "multiple", "2"}},
    {"height", bad_height, SF_ERROR_ARGUMENT, {"19", "multiple", "2"}},
    {"negative width", negative_width, SF_ERROR_ARGUMENT, {"-16", "", ""}},
    {"huge size", huge_size, SF_ERROR_ARGUMENT, {"1073741824", "", ""}},
    {"bad rescale", bad_rescale, SF_ERROR_ARGUMENT, {"guidance rescale 1.5", "0 to 1", ""}},
    {"foreign sigmas", foreign_sigmas, SF_ERROR_ARGUMENT, {"ddim takes no sigmas", "euler", ""}},
    {"many steps", many_steps, SF_ERROR_ARGUMENT, {"1001", "1000", "ddim"}},
    {"negative steps", negative_steps, SF_ERROR_ARGUMENT, {"-1", "steps", ""}},
    {"no batch", no_batch, SF_ERROR_ARGUMENT, {"batch", "0", ""}},
    {"eta", bad_eta, SF_ERROR_ARGUMENT, {"eta", "1.5", ""}},
    {"UTF-8", not_utf8, SF_ERROR_ARGUMENT, {"UTF-8", "", ""}},
};
enum { N_BAD_OPTIONS = sizeof bad_options / sizeof *bad_options };

START_TEST(bad_option_is_named_with_the_choices) {
    const struct bad_option *bad = &bad_options[_i];
    sf_generate_options good = options;
    sf_image *image = NULL;
    char *json = NULL;
    bad->set();
    for (int i = 0; i < 3; i++)
        ck_fails(ctx, sf_pipeline_generate(pipeline, &options, &image), bad->status,
                 bad->message[i]);
    ck_assert_ptr_null(image);
    ck_fails(ctx, sf_pipeline_describe(pipeline, &options, &json), bad->status, bad->message[0]);
    ck_assert_ptr_null(json);
    options = good;
    sf_image_free(draw());
}
END_TEST

Suite *suite_pipelines_options(void) {
    Suite *suite = suite_create("pipelines_options");
    TCase *tcase = tcase_create("options");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, picture_of_a_batch_is_that_of_its_seed, 0, 3);
    tcase_add_test(tcase, one_pipeline_draws_several_sizes);
    tcase_add_test(tcase, every_option_shows_in_the_picture);
    tcase_add_loop_test(tcase, half_precision_is_close_to_f32, 0, 2);
    tcase_add_test(tcase, parameters_are_as_webui_writes_them);
    tcase_add_test(tcase, schedule_is_told_as_webui_tells_it);
    tcase_add_test(tcase, recipe_draws_the_picture_again);
    tcase_add_test(tcase, listed_levels_are_kept);
    tcase_add_test(tcase, recipe_of_defaults_is_whole);
    tcase_add_test(tcase, picture_of_others_has_no_recipe);
    tcase_add_loop_test(tcase, bad_option_is_named_with_the_choices, 0, N_BAD_OPTIONS);
    suite_add_tcase(suite, tcase);
    return suite;
}
