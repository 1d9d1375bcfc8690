/*
 * Models that were distilled from guided ones and take the guidance scale as an input of the U-Net:
 * pictures against those of diffusers' LatentConsistencyModelPipeline and StableDiffusionPipeline, made
 * by tests/oracle/make_distilled_pipeline.py, on every backend.
 */
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/tensor.h"
#include "pipelines/guidance_embedding.h"
#include "tests/backends/gpu/opencl_test.h"
#include "tests/support/backends.h"
#include "tests/support/model_folder.h"
#include "tests/support/pictures.h"
#include "tests/support/recorder.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_pipelines_distilled(void);

enum { N_CASES = 12, SIDE = 16 };

static struct recorder recorder;
static sf_context *ctx;
static sf_pipeline *pipeline;
static sf_generate_options options;

static void setup(void) {
    scratch_setup();
    model_copy_distilled("model");
    recorder = (struct recorder){0};
    ctx = recorder_context(&recorder);
    pipeline = NULL;
    sf_generate_options_init(&options);
    options.prompt = "a tiny red apple";
}

static void teardown(void) {
    sf_pipeline_free(pipeline);
    test_context_free(ctx);
    scratch_teardown();
}

static void load(void) {
    ck_ok(ctx, sf_pipeline_load(ctx, scratch("model"), &pipeline));
}

static sf_image *draw(void) {
    sf_image *image = NULL;
    ck_ok(ctx, sf_pipeline_generate(pipeline, &options, &image));
    return image;
}

/* ---- against diffusers ---- */

/* Sets a key of a file to a word. */
static void set_word(const char *file, const char *key, const char *word) {
    char quoted[128];
    snprintf(quoted, sizeof quoted, "\"%s\"", word);
    model_set_json(file, key, quoted);
}

static const char *word(const json_t *wanted, const char *key) {
    return json_string_value(json_object_get(wanted, key));
}

static int number(const json_t *wanted, const char *key) {
    return (int)json_integer_value(json_object_get(wanted, key));
}

/* The class, the scheduler and its options of a case, into the copy of the model. */
static void set_model(json_t *wanted) {
    static const char scheduler[] = "model/scheduler/scheduler_config.json";
    const char *key;
    json_t *value;
    set_word("model/model_index.json", "_class_name", word(wanted, "class"));
    set_word(scheduler, "_class_name", word(wanted, "scheduler"));
    json_object_foreach(json_object_get(wanted, "options"), key, value) {
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        model_set_json(scheduler, key, text);
        free(text);
    }
}

/* 99 % of the pixels must be the same and the others within 1/255: see test_text2img.c. */
static void check_picture(sf_context *context, const json_t *wanted, const char *backend) {
    sf_pipeline *whole;
    sf_image *image = NULL, *sheet;
    options.steps = number(wanted, "steps");
    options.guidance_scale = (float)json_number_value(json_object_get(wanted, "guidance_scale"));
    options.seed = (uint64_t)number(wanted, "seed");
    ck_ok(context, sf_pipeline_load(context, scratch("model"), &whole));
    ck_ok(context, sf_pipeline_generate(whole, &options, &image));
    ck_ok(context, sf_image_load(context, test_data("pipelines/distilled/golden.png"), &sheet));
    sf_image *golden =
        picture_crop(context, sheet, number(wanted, "x"), number(wanted, "y"), SIDE, SIDE);
    struct picture_difference found = picture_compare(image, golden);
    ck_assert_msg(100 * found.n_different <= found.n_pixels && found.largest <= 1,
                  "%s, %s, %d steps: %zu of %zu pixels differ, the largest by %d/255", backend,
                  word(wanted, "class"), options.steps, found.n_different, found.n_pixels,
                  found.largest);
    sf_image_free(golden);
    sf_image_free(sheet);
    sf_image_free(image);
    sf_pipeline_free(whole);
    test_context_free(context);
}

static json_t *load_case(int i) {
    json_t *cases = json_load_file(test_data("pipelines/distilled/cases.json"), 0, NULL);
    ck_assert_uint_eq(json_array_size(cases), N_CASES);
    json_t *wanted = json_incref(json_array_get(cases, (size_t)i));
    json_decref(cases);
    set_model(wanted);
    return wanted;
}

START_TEST(draws_what_diffusers_draws) {
    json_t *wanted = load_case(_i);
    for (int i = 0; i < test_n_backends(); i++)
        check_picture(test_context_on(i), wanted, test_backend_name(i));
    json_decref(wanted);
}
END_TEST

START_TEST(draws_what_diffusers_draws_on_opencl) {
    json_t *wanted = load_case(_i);
    check_picture(opencl_context(0), wanted, "opencl");
    json_decref(wanted);
}
END_TEST

/* ---- the embedding ---- */

/*
 * Against diffusers'. Frequencies are f32 and PyTorch's may be a unit off, so that an angle 1000 w f is
 * off by 2^-23 of itself, or by half of that from rounding the product; sine and cosine by no more. The
 * first frequency is 1, and exact.
 */
START_TEST(embeddings_are_those_of_diffusers) {
    sf_tensors *goldens = NULL;
    float found[600];
    ck_ok(ctx,
          sf_tensors_load(ctx, test_data("pipelines/distilled/embeddings.safetensors"), &goldens));
    ck_assert_int_ge(sf_tensors_count(goldens), 5);
    for (int k = 0; k < sf_tensors_count(goldens); k++) {
        const char *name = sf_tensors_name(goldens, k);
        const sf_tensor *golden = sf_tensors_at(goldens, k);
        float scale = strtof(name, NULL);
        ck_assert_int_le(golden->dims[0], 600);
        sf_guidance_embedding(scale, golden->dims[0], found);
        double most = 1.5 * fabs(1000.0 * (double)scale - 1000) * 0x1p-23;
        for (int64_t i = 0; i < golden->dims[0]; i++) {
            bool exact = i == 0 || i == golden->dims[0] / 2;
            double apart = fabs((double)found[i] - sf_tensor_get(golden, i));
            ck_assert_msg(apart <= (exact ? 1e-6 : 1e-6 + most), "%s: element %d is %.9g, not %.9g",
                          name, (int)i, (double)found[i], sf_tensor_get(golden, i));
        }
    }
    sf_tensors_free(goldens);
}
END_TEST

/* Where diffusers divides 0 by 0 there is the first frequency alone. */
START_TEST(smallest_embeddings_are_finite) {
    float found[4] = {9, 9, 9, 9};
    sf_guidance_embedding(1.5f, 1, found);
    ck_assert(found[0] == 0 && found[1] == 9);
    sf_guidance_embedding(1.5f, 3, found);
    ck_assert_float_eq_tol(found[0], (float)sin(500), 1e-6f);
    ck_assert_float_eq_tol(found[1], (float)cos(500), 1e-6f);
    ck_assert(found[2] == 0 && found[3] == 9);
}
END_TEST

/* ---- guidance ---- */

START_TEST(guidance_shows_in_the_picture) {
    static const float scales[] = {0, 1, 1.5f, 8.4f, 8.5f};
    sf_image *images[5];
    load();
    for (int i = 0; i < 5; i++) {
        options.guidance_scale = scales[i];
        images[i] = draw();
        for (int k = 0; k < i; k++)
            ck_assert_uint_gt(picture_compare(images[i], images[k]).n_different, SIDE * SIDE / 2);
    }
    for (int i = 0; i < 5; i++)
        sf_image_free(images[i]);
}
END_TEST

/* That is said once for a pipeline, and only where one is given. */
START_TEST(negative_prompt_has_no_effect) {
    load();
    sf_image *plain = draw();
    ck_assert_str_eq(recorder.log, "");
    options.negative_prompt = "le";
    options.guidance_rescale = 0.5f;
    for (int i = 0; i < 2; i++) {
        sf_image *other = draw();
        check_pictures_equal(plain, other);
        sf_image_free(other);
    }
    ck_assert_str_eq(recorder.log, "warning: model takes the guidance scale as an input "
                                   "(time_cond_proj_dim): the negative prompt and guidance rescale "
                                   "have no effect\n");
    sf_image_free(plain);
}
END_TEST

/* What a drawing would cost: evaluations, and of each stage the ops and the memory. */
static json_t *costs(float guidance_scale) {
    static const char *const keys[] = {"stage", "evaluations", "arena_bytes", "n_ops", "ops"};
    char *text = NULL;
    options.guidance_scale = guidance_scale;
    ck_ok(ctx, sf_pipeline_describe(pipeline, &options, &text));
    json_t *json = json_loads(text, 0, NULL), *all = json_array(), *stage;
    size_t i;
    json_array_foreach(json_object_get(json, "stages"), i, stage) {
        json_t *kept = json_object();
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            json_object_set(kept, keys[k], json_object_get(stage, keys[k]));
        json_array_append_new(all, kept);
    }
    ck_assert_uint_eq(json_array_size(all), 3);
    json_decref(json);
    sf_text_free(ctx, text);
    return all;
}

/* Guidance costs nothing; on the model that takes none it doubles the batch. */
START_TEST(one_condition_is_evaluated_a_step) {
    bool distilled = _i == 0;
    if (distilled)
        load();
    else
        ck_ok(ctx, sf_pipeline_load(ctx, TINY_MODEL, &pipeline));
    options.steps = 3;
    json_t *guided = costs(8.5f), *plain = costs(1);
    ck_assert_int_eq(json_equal(guided, plain), distilled);
    ck_assert_int_eq(number(json_array_get(guided, 1), "evaluations"), 3);
    json_decref(guided);
    json_decref(plain);
}
END_TEST

/* Half precision is as far from f32 as it is for other models (test_options.c). */
START_TEST(half_precision_is_close_to_f32) {
    load();
    sf_image *wanted = draw();
    options.precision = "f16";
    sf_image *image = draw();
    double sum = 0;
    for (int i = 0; i < 3 * SIDE * SIDE; i++)
        sum += abs(sf_image_pixels(image)[i] - sf_image_pixels(wanted)[i]);
    ck_assert_msg(sum > 0 && sum <= 3.0 * 3 * SIDE * SIDE, "mean difference %g of 255",
                  sum / (3 * SIDE * SIDE));
    sf_image_free(image);
    sf_image_free(wanted);
}
END_TEST

/* ---- the class ---- */

START_TEST(defaults_are_those_of_the_class) {
    static const struct {
        const char *class_name;
        int steps;
        float guidance_scale;
    } classes[] = {{"LatentConsistencyModelPipeline", 4, 8.5f},
                   {"StableDiffusionPipeline", 25, 7.5f}};
    sf_recipe *recipe;
    set_word("model/model_index.json", "_class_name", classes[_i].class_name);
    load();
    sf_image *image = draw();
    ck_ok(ctx, sf_recipe_read(ctx, image, &recipe));
    ck_assert_str_eq(sf_recipe_options(recipe)->sampler, "lcm");
    ck_assert_int_eq(sf_recipe_options(recipe)->steps, classes[_i].steps);
    ck_assert(sf_recipe_options(recipe)->guidance_scale == classes[_i].guidance_scale);
    sf_recipe_free(recipe);
    sf_image_free(image);
}
END_TEST

/* A configuration and weights that do not go with the class. */
START_TEST(model_without_guidance_input_is_refused) {
    static const char config[] = "model/unet/config.json";
    model_set_json(config, "time_cond_proj_dim", "null");
    ck_fails(ctx, sf_pipeline_load(ctx, scratch("model"), &pipeline), SF_ERROR_FORMAT,
             "no time_cond_proj_dim");
    model_set_json(config, "time_cond_proj_dim", "10");
    ck_fails(ctx, sf_pipeline_load(ctx, scratch("model"), &pipeline), SF_ERROR_SHAPE, "cond_proj");
}
END_TEST

Suite *suite_pipelines_distilled(void) {
    Suite *suite = suite_create("pipelines_distilled");
    TCase *tcase = tcase_create("distilled");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, draws_what_diffusers_draws, 0, N_CASES);
    opencl_add_test(tcase, draws_what_diffusers_draws_on_opencl, N_CASES);
    tcase_add_test(tcase, embeddings_are_those_of_diffusers);
    tcase_add_test(tcase, smallest_embeddings_are_finite);
    tcase_add_test(tcase, guidance_shows_in_the_picture);
    tcase_add_test(tcase, negative_prompt_has_no_effect);
    tcase_add_loop_test(tcase, one_condition_is_evaluated_a_step, 0, 2);
    tcase_add_test(tcase, half_precision_is_close_to_f32);
    tcase_add_loop_test(tcase, defaults_are_those_of_the_class, 0, 2);
    tcase_add_test(tcase, model_without_guidance_input_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
