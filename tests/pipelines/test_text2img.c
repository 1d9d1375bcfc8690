/*
 * Pictures against those of diffusers' StableDiffusionPipeline, made by tests/oracle/
 * make_pipeline_goldens.py (the emoji model) and make_tiny_pipeline.py; see also test_options.c.
 *
 * On the reference, and on the cpu plugin with the best instruction set.
 *
 * The project asks for 99 % of the pixels within 2/255. Sums of f32 in another order move a value by some
 * 1e-6, which shows in a pixel only where it was about to be rounded the other way: here 99 % must be the
 * same, and the others within 1/255.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/backends.h"
#include "tests/support/model_folder.h"
#include "tests/support/pictures.h"
#include "tests/support/support.h"

Suite *suite_pipelines_text2img(void);

#define SECONDS 60

static sf_context *ctx;
static sf_pipeline *pipeline;

/* ---- pictures of the emoji model ---- */

/* cases.json: ten seeds of three samplers, other settings, then the other samplers. */
enum {
    N_SEEDS = 10,
    FIRST_DDIM = 0,
    FIRST_DDPM = 10,
    FIRST_EULER = 20,
    FIRST_OTHER = 30,
    FIRST_SAMPLER = 39,
    END = 57
};

static json_t *cases;

static void setup_on(int backend) {
    ctx = test_context_on(backend);
    cases = json_load_file(test_data("pipelines/cases.json"), 0, NULL);
    ck_assert_int_eq(json_array_size(cases), END);
    ck_ok(ctx, sf_pipeline_load(ctx, test_model(""), &pipeline));
}

static void setup_reference(void) {
    setup_on(0);
}

static void setup_cpu(void) {
    setup_on(test_n_backends() - 1);
}

static void teardown(void) {
    sf_pipeline_free(pipeline);
    json_decref(cases);
    test_context_free(ctx);
}

static int number(const json_t *wanted, const char *key) {
    return (int)json_integer_value(json_object_get(wanted, key));
}

static const char *text(const json_t *wanted, const char *key) {
    return json_string_value(json_object_get(wanted, key));
}

static sf_generate_options options_of(const json_t *wanted) {
    sf_generate_options options;
    sf_generate_options_init(&options);
    options.prompt = text(wanted, "prompt");
    options.negative_prompt = text(wanted, "negative_prompt");
    options.sampler = text(wanted, "sampler");
    options.schedule = text(wanted, "schedule");
    options.steps = number(wanted, "steps");
    options.guidance_scale = (float)json_number_value(json_object_get(wanted, "guidance_scale"));
    options.guidance_rescale =
        (float)json_number_value(json_object_get(wanted, "guidance_rescale"));
    options.eta = (float)json_number_value(json_object_get(wanted, "eta"));
    options.seed = strtoull(text(wanted, "seed"), NULL, 10);
    options.width = number(wanted, "width");
    options.height = number(wanted, "height");
    return options;
}

/* The picture that diffusers drew: a part of a sheet. */
static sf_image *load_golden(const json_t *wanted) {
    char file[256];
    sf_image *sheet;
    snprintf(file, sizeof file, "pipelines/%s", text(wanted, "file"));
    ck_ok(ctx, sf_image_load(ctx, test_data(file), &sheet));
    sf_image *golden = picture_crop(ctx, sheet, number(wanted, "x"), number(wanted, "y"),
                                    number(wanted, "width"), number(wanted, "height"));
    sf_image_free(sheet);
    return golden;
}

/* SFUMATO_TEST_FIGURES: a file to which each comparison is added as a line. */
static void note(const json_t *wanted, const struct picture_difference *found) {
    const char *path = getenv("SFUMATO_TEST_FIGURES");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (!file)
        return;
    fprintf(file, "%s seed %s: %zu of %zu pixels differ, %zu by more than 2, the largest by %d\n",
            text(wanted, "file"), text(wanted, "seed"), found->n_different, found->n_pixels,
            found->n_far, found->largest);
    fclose(file);
}

START_TEST(draws_what_diffusers_draws) {
    const json_t *wanted = json_array_get(cases, (size_t)_i);
    sf_generate_options options = options_of(wanted);
    sf_image *image = NULL, *golden = load_golden(wanted);
    ck_ok(ctx, sf_pipeline_generate(pipeline, &options, &image));
    struct picture_difference found = picture_compare(image, golden);
    note(wanted, &found);
    ck_assert_msg(100 * found.n_different <= found.n_pixels && found.largest <= 1,
                  "%s, seed %s: %zu of %zu pixels differ, the largest by %d/255",
                  text(wanted, "file"), text(wanted, "seed"), found.n_different, found.n_pixels,
                  found.largest);
    sf_image_free(golden);
    sf_image_free(image);
}
END_TEST

/* ---- the tiny pipeline: another configuration of the same classes, in shards ---- */

START_TEST(draws_another_configuration) {
    sf_context *context = test_context_on(_i);
    sf_pipeline *tiny;
    sf_image *image = NULL, *golden;
    sf_generate_options options;
    sf_generate_options_init(&options);
    options.prompt = "a tiny red apple";
    options.steps = 4;
    options.guidance_scale = 3;
    options.seed = 9;
    ck_ok(context, sf_pipeline_load(context, TINY_MODEL, &tiny));
    ck_ok(context, sf_pipeline_generate(tiny, &options, &image));
    ck_ok(context, sf_image_load(context, test_data("pipelines/tiny/golden.png"), &golden));
    struct picture_difference found = picture_compare(image, golden);
    ck_assert_msg(100 * found.n_different <= found.n_pixels && found.largest <= 1,
                  "%s: %zu of %zu pixels differ, the largest by %d/255", test_backend_name(_i),
                  found.n_different, found.n_pixels, found.largest);
    sf_image_free(golden);
    sf_image_free(image);
    sf_pipeline_free(tiny);
    test_context_free(context);
}
END_TEST

/* ---- half precision ---- */

/*
 * What is drawn in f16 is what is drawn in f32, as far as one sees it: 11 bits of fraction are more
 * than the 8 of a pixel. bfloat16 has as many as a pixel, and errors of many layers add up.
 */
START_TEST(half_precision_draws_the_same) {
    static const struct {
        const char *name;
        double far; /* share of the pixels that may be off by more than 2/255 */
        int largest;
    } types[] = {{"f16", 0.01, 8}, {"bf16", 0.1, 32}};
    sf_generate_options options = options_of(json_array_get(cases, FIRST_DDIM));
    sf_image *image = NULL, *golden = load_golden(json_array_get(cases, FIRST_DDIM));
    options.precision = types[_i].name;
    ck_ok(ctx, sf_pipeline_generate(pipeline, &options, &image));
    struct picture_difference found = picture_compare(image, golden);
    ck_assert_msg((double)found.n_far <= types[_i].far * (double)found.n_pixels &&
                      found.largest <= types[_i].largest,
                  "%s: %zu of %zu pixels, the largest by %d", types[_i].name, found.n_far,
                  found.n_pixels, found.largest);
    ck_assert_uint_gt(found.n_different, 0);
    sf_image_free(golden);
    sf_image_free(image);
}
END_TEST

static void add_case(Suite *suite, const char *name, void (*setup)(void), int first, int end) {
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, SECONDS);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, draws_what_diffusers_draws, first, end);
    suite_add_tcase(suite, tcase);
}

static void add_half(Suite *suite, const char *name, void (*setup)(void)) {
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, SECONDS);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, half_precision_draws_the_same, 0, 2);
    suite_add_tcase(suite, tcase);
}

Suite *suite_pipelines_text2img(void) {
    Suite *suite = suite_create("pipelines_text2img");
    void (*const setups[])(void) = {setup_reference, setup_cpu};
    for (int i = 0; i < 2; i++) {
        add_case(suite, "ddim", setups[i], FIRST_DDIM, FIRST_DDIM + N_SEEDS);
        add_case(suite, "ddpm", setups[i], FIRST_DDPM, FIRST_DDPM + N_SEEDS);
        add_case(suite, "euler", setups[i], FIRST_EULER, FIRST_EULER + N_SEEDS);
        add_case(suite, "other", setups[i], FIRST_OTHER, FIRST_SAMPLER);
        add_half(suite, "half", setups[i]);
    }
    add_case(suite, "samplers", setup_cpu, FIRST_SAMPLER, END);
    TCase *tcase = tcase_create("tiny");
    tcase_add_loop_test(tcase, draws_another_configuration, 0, test_n_backends());
    suite_add_tcase(suite, tcase);
    return suite;
}
