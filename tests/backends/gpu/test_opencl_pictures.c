/*
 * The emoji model on the opencl plugin draws what it draws on the reference. An op that the plugin lacks
 * runs on the fallback. With little device memory and offloading it draws the same to the last bit.
 */
#include <string.h>

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

/* ---- a device that is too small ---- */

static sf_context *small_device(int offload, uint64_t most) {
    sf_context_options options;
    sf_context *ctx = NULL;
    sf_context_options_init(&options);
    options.log = NULL;
    options.backend = "opencl";
    options.offload = offload;
    options.max_device_memory = most;
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    return ctx;
}

static sf_status generate(sf_context *ctx, const sf_generate_options *options, sf_image **image) {
    sf_pipeline *pipeline;
    ck_ok(ctx, sf_pipeline_load(ctx, test_model(""), &pipeline));
    sf_status status = sf_pipeline_generate(pipeline, options, image);
    sf_pipeline_free(pipeline);
    return status;
}

/* Weights of the U-Net take 9.5 MiB. */
static const uint64_t sizes[] = {0, 12 << 20, 6 << 20, 3 << 20};

START_TEST(offloading_changes_no_bit) {
    sf_generate_options options;
    sf_image *wanted = NULL, *found = NULL;
    sf_generate_options_init(&options);
    options.prompt = "a red apple";
    options.steps = 3;
    sf_context *whole = small_device(0, 0), *small = small_device(1, sizes[_i]);
    ck_ok(whole, generate(whole, &options, &wanted));
    sf_backend_counters all = opencl_counters(whole);
    ck_ok(small, generate(small, &options, &found));
    ck_assert_mem_eq(sf_image_pixels(found), sf_image_pixels(wanted), 64 * 64 * 3);
    ck_assert(sizes[_i] != 3 << 20 ||
              opencl_counters(small).bytes_uploaded > all.bytes_uploaded + (10 << 20));
    sf_image_free(wanted);
    sf_image_free(found);
    sf_context_free(whole);
    sf_context_free(small);
}
END_TEST

START_TEST(without_offloading_it_is_refused) {
    sf_generate_options options;
    sf_image *image = NULL;
    sf_generate_options_init(&options);
    options.prompt = "a red apple";
    options.steps = 1;
    sf_context *ctx = small_device(0, 6 << 20);
    ck_assert_int_eq(generate(ctx, &options, &image), SF_ERROR_MEMORY);
    ck_assert_msg(strstr(sf_error_message(ctx), "too few; --offload"), "%s", sf_error_message(ctx));
    ck_assert_ptr_null(image);
    ck_assert_uint_lt(opencl_counters(ctx).bytes_uploaded, 1 << 20);
    sf_context_free(ctx);
}
END_TEST

Suite *suite_backends_gpu_opencl_pictures(void) {
    Suite *suite = suite_create("backends_gpu_opencl_pictures");
    TCase *tcase = tcase_create("pictures");
    tcase_set_timeout(tcase, 300);
    opencl_add_test(tcase, draws_as_the_reference, sizeof drawings / sizeof *drawings);
    opencl_add_test(tcase, offloading_changes_no_bit, sizeof sizes / sizeof *sizes);
    opencl_add_test(tcase, without_offloading_it_is_refused, 1);
    suite_add_tcase(suite, tcase);
    return suite;
}
