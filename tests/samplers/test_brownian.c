/*
 * Brownian paths against those of torchsde, as diffusers asks for them, and what makes them paths.
 * Goldens: tests/oracle/make_brownian_goldens.py.
 */
#include "samplers/brownian.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/rng.h"
#include "plugins/registry.h"
#include "tests/support/failing.h"
#include "tests/support/sampling.h"
#include "tests/support/support.h"

Suite *suite_samplers_brownian(void);

static sf_context *ctx;
static sf_eager *eager;
static sf_sampler *sampler;
static sf_device_tensor *drawn;

static void setup(void) {
    ctx = test_context();
}

static void close_path(void) {
    sf_device_tensor_free(drawn);
    sf_sampler_free(sampler);
    sf_eager_free(eager);
    drawn = NULL;
    sampler = NULL;
    eager = NULL;
}

static void teardown(void) {
    close_path();
    test_context_free(ctx);
}

/* ---- a path ---- */

static sf_status draw_seeded(void *user, uint64_t seed, sf_device_tensor *noise) {
    float values[SAMPLING_SIZE];
    sf_rng rng;
    (void)user;
    sf_rng_seed(&rng, SF_RNG_TORCH, seed);
    sf_rng_normal(&rng, values, SAMPLING_SIZE);
    return sf_device_tensor_write(noise, values, sizeof values);
}

static sf_status no_draw(void *user, sf_device_tensor *noise) {
    (void)user, (void)noise;
    SF_FAIL(ctx, ERROR_INTERNAL, "a draw of its own");
}

/* A sampler that is started; cosine_dpmpp_2m_sde's path has the ends of its configuration. */
static sf_status start_sampler(sf_context *on, const char *name, const char *json, uint64_t seed) {
    const sf_spec spec = SF_SPEC(F32, 2, 2, 3, 2);
    const sf_sampler_options asked = {.sampler = name, .eta = -1, .n_steps = 4};
    const sf_noise_source source = {.draw = no_draw, .draw_seeded = draw_seeded, .seed = seed};
    const float zeros[SAMPLING_SIZE] = {0};
    sf_plan_options options;
    SF_TRY(sampling_new(on, json, &asked, &sampler));
    SF_TRY(sf_plan_options_for(on, &options));
    SF_TRY(sf_eager_new(on, &options, &eager));
    SF_TRY(sf_device_tensor_new(options.backend, &spec, &drawn));
    SF_TRY(sf_device_tensor_write(drawn, zeros, sizeof zeros));
    return sf_sampler_start(sampler, eager, &source, drawn);
}

static void open_sampler(const char *name, const char *json, uint64_t seed) {
    close_path();
    ck_ok(ctx, start_sampler(ctx, name, json, seed));
}

static void open_path(double low, double high, uint64_t seed) {
    char json[128];
    snprintf(json, sizeof json, "{\"sigma_min\": %.17g, \"sigma_max\": %.17g}", low, high);
    open_sampler("cosine_dpmpp_2m_sde", json, seed);
}

static void draw(float from, float to, float *noise) {
    ck_ok(ctx, sf_sampler_draw_between(sampler, from, to, drawn));
    ck_ok(ctx, sf_device_tensor_read(drawn, noise, SAMPLING_SIZE * sizeof *noise));
}

/* ---- torchsde ---- */

static void check_case(const json_t *entry, const float *golden) {
    const char *name = json_string_value(json_object_get(entry, "name"));
    const json_t *pairs = json_object_get(entry, "pairs");
    open_path(json_number_value(json_object_get(entry, "low")),
              json_number_value(json_object_get(entry, "high")),
              strtoull(json_string_value(json_object_get(entry, "seed")), NULL, 10));
    for (size_t k = 0; k < json_array_size(pairs); k++) {
        const json_t *pair = json_array_get(pairs, k);
        float noise[SAMPLING_SIZE];
        draw((float)json_number_value(json_array_get(pair, 0)),
             (float)json_number_value(json_array_get(pair, 1)), noise);
        for (int i = 0; i < SAMPLING_SIZE; i++, golden++)
            ck_assert_msg(noise[i] == *golden, "%s, draw %zu, %d: %.9g, not %.9g", name, k, i,
                          (double)noise[i], (double)*golden);
    }
}

START_TEST(paths_are_torchsdes_bit_by_bit) {
    sf_tensors *noise;
    json_t *cases = json_load_file(test_data("samplers/brownian/cases.json"), 0, NULL);
    ck_ok(ctx, sf_tensors_load(ctx, test_data("samplers/brownian/noise.safetensors"), &noise));
    ck_assert_uint_ge(json_array_size(cases), 12);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *entry = json_array_get(cases, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        const sf_tensor *tensor = sf_tensors_find(noise, name);
        ck_assert_msg(tensor != NULL, "no recorded %s", name);
        ck_assert_int_eq(sf_tensor_n_elements(tensor),
                         SAMPLING_SIZE * (int64_t)json_array_size(json_object_get(entry, "pairs")));
        check_case(entry, sf_tensor_const_data(tensor));
    }
    sf_tensors_free(noise);
    json_decref(cases);
}
END_TEST

/* ---- a path ---- */

/* What was drawn does not follow from what was drawn before, nor from how much is kept. */
START_TEST(the_order_of_draws_does_not_matter) {
    enum { N = 200 };
    static float forwards[N][SAMPLING_SIZE];
    float noise[SAMPLING_SIZE];
    open_path(0.01, 90, 5);
    for (int i = 0; i < N; i++)
        draw(0.01f + 0.4f * (float)i, 0.02f + 0.44f * (float)i, forwards[i]);
    for (int i = N - 1; i >= 0; i--) {
        draw(0.01f + 0.4f * (float)i, 0.02f + 0.44f * (float)i, noise);
        ck_assert_mem_eq(noise, forwards[i], sizeof noise);
    }
}
END_TEST

/* sqrt(b - a) Z(a, b) are increments, so they add up; and Z has unit variance. */
START_TEST(increments_add_up) {
    enum { N = 64 };
    static float parts[N][SAMPLING_SIZE];
    float whole[SAMPLING_SIZE];
    double squares = 0;
    open_path(1, 3, 9);
    for (int k = 0; k < N; k++)
        draw(1 + (float)k / 32, 1 + (float)(k + 1) / 32, parts[k]);
    draw(1, 3, whole);
    for (int i = 0; i < SAMPLING_SIZE; i++) {
        double sum = 0;
        for (int k = 0; k < N; k++) {
            sum += (double)parts[k][i] * sqrt(1.0 / 32);
            squares += pow((double)parts[k][i], 2);
        }
        ck_assert_msg(fabs(sum - (double)whole[i] * sqrt(2)) < 1e-5, "%d: %g, not %g", i, sum,
                      (double)whole[i] * sqrt(2));
    }
    /* the deviation of a variance of n numbers: sqrt(2 / n) = 0.036 */
    ck_assert_msg(fabs(squares / (N * SAMPLING_SIZE) - 1) < 0.15, "variance %g",
                  squares / (N * SAMPLING_SIZE));
}
END_TEST

/* ---- samplers ---- */

static void take_noise(const char *json, uint64_t seed, float *noise) {
    open_sampler("dpmpp_sde", json, seed);
    draw(10, 5, noise);
}

START_TEST(a_file_can_name_the_seed) {
    float mine[SAMPLING_SIZE], named[SAMPLING_SIZE], other[SAMPLING_SIZE];
    take_noise("{}", 17, mine);
    take_noise("{\"noise_sampler_seed\": 17}", 4, named);
    take_noise("{\"noise_sampler_seed\": null}", 4, other);
    ck_assert_mem_eq(mine, named, sizeof mine);
    ck_assert_mem_ne(mine, other, sizeof mine);
}
END_TEST

START_TEST(a_seed_is_a_whole_number) {
    const sf_sampler_options asked = {.sampler = "dpmpp_sde", .eta = -1, .n_steps = 4};
    ck_fails(ctx, sampling_new(ctx, "{\"noise_sampler_seed\": 1.5}", &asked, &sampler),
             SF_ERROR_FORMAT, "noise_sampler_seed: 1.5");
    ck_fails(ctx, sampling_new(ctx, "{\"noise_sampler_seed\": -1}", &asked, &sampler),
             SF_ERROR_FORMAT, "noise_sampler_seed");
}
END_TEST

/* The longest path that a configuration can ask for, and a run of one step, whose path has no length. */
START_TEST(ends_may_be_far_apart_or_one) {
    float noise[SAMPLING_SIZE];
    open_path(1e-10, 1e10, 1);
    draw(1e10f, 0.3f, noise);
    for (int i = 0; i < SAMPLING_SIZE; i++)
        ck_assert(isfinite(noise[i]));
    draw(0.5f, 0.25f, noise);
    for (int i = 0; i < SAMPLING_SIZE; i++)
        ck_assert(isfinite(noise[i]));
    open_path(2, 2, 1);
    draw(2, 2, noise);
    for (int i = 0; i < SAMPLING_SIZE; i++)
        ck_assert(noise[i] == 0);
}
END_TEST

/* ---- failing allocations ---- */

START_TEST(failing_allocations_leave_nothing) {
    struct failing_allocator allocator = {0};
    sf_context *own = failing_context(&allocator);
    ck_ok(own, sf_context_open_backend(own));
    long live = allocator.live, n = 0;
    for (bool met = true; met;) {
        allocator.calls = 0;
        allocator.fail_at = ++n;
        sf_status status = start_sampler(own, "dpmpp_sde", "{}", 1);
        if (status == SF_OK)
            status = sf_sampler_draw_between(sampler, 9, 3, drawn);
        met = allocator.calls >= n;
        close_path();
        ck_assert_msg(status == (met ? SF_ERROR_MEMORY : SF_OK), "allocation %ld: %d, %s", n,
                      (int)status, sf_error_message(own));
        ck_assert_msg(allocator.live == live, "allocation %ld: %ld blocks are left", n,
                      allocator.live - live);
    }
    ck_assert_int_gt(n, 70);
    sf_context_free(own);
}
END_TEST

Suite *suite_samplers_brownian(void) {
    Suite *suite = suite_create("samplers_brownian");
    TCase *tcase = tcase_create("paths");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, paths_are_torchsdes_bit_by_bit);
    tcase_add_test(tcase, the_order_of_draws_does_not_matter);
    tcase_add_test(tcase, increments_add_up);
    tcase_add_test(tcase, a_file_can_name_the_seed);
    tcase_add_test(tcase, a_seed_is_a_whole_number);
    tcase_add_test(tcase, ends_may_be_far_apart_or_one);
    tcase_add_test(tcase, failing_allocations_leave_nothing);
    suite_add_tcase(suite, tcase);
    return suite;
}
