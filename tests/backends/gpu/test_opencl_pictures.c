/*
 * The emoji model on the opencl plugin draws what it draws on the reference. An op that the plugin lacks
 * runs on the fallback.
 */
#include "tests/backends/gpu/opencl_test.h"
#include "tests/support/backends.h"
#include "tests/support/pictures.h"
#include "tests/support/support.h"

Suite *suite_backends_gpu_opencl_pictures(void);

static sf_image *draw(sf_context *ctx, const sf_generate_options *options) {
    sf_pipeline *pipeline;
    sf_image *image = NULL;
    ck_ok(ctx, sf_pipeline_load(ctx, test_model(""), &pipeline));
    ck_ok(ctx, sf_pipeline_generate(pipeline, options, &image));
    sf_pipeline_free(pipeline);
    return image;
}

static const struct {
    const char *sampler, *rng;
} drawings[] = {{"ddim", "torch"}, {"euler", "torch"}, {"ddpm", "philox"}};

START_TEST(draws_as_the_reference) {
    sf_context *reference = test_context_on(0), *opencl = opencl_context(0);
    sf_generate_options options;
    sf_generate_options_init(&options);
    options.prompt = "a red apple";
    options.sampler = drawings[_i].sampler;
    options.rng = drawings[_i].rng;
    options.steps = 6;
    options.seed = 11;
    sf_image *wanted = draw(reference, &options), *found = draw(opencl, &options);
    struct picture_difference apart = picture_compare(found, wanted);
    ck_assert_msg(apart.n_far == 0,
                  "%s: %zu of %zu pixels are off by more than 2, the largest by %d",
                  drawings[_i].sampler, apart.n_far, apart.n_pixels, apart.largest);
    sf_image_free(wanted);
    sf_image_free(found);
    sf_context_free(reference);
    sf_context_free(opencl);
}
END_TEST

Suite *suite_backends_gpu_opencl_pictures(void) {
    Suite *suite = suite_create("backends_gpu_opencl_pictures");
    TCase *tcase = tcase_create("pictures");
    tcase_set_timeout(tcase, 300);
    opencl_add_test(tcase, draws_as_the_reference, sizeof drawings / sizeof *drawings);
    suite_add_tcase(suite, tcase);
    return suite;
}
