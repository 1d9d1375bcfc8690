/*
 * Noise schedules, timestep spacing and sigmas: PyTorch's tables, those of the literature, and what
 * must hold for any.
 */
#include <math.h>
#include <stdlib.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "samplers/class.h"
#include "tests/support/sampling.h"
#include "tests/support/support.h"

Suite *suite_samplers_schedule(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

/* The settings of DDPM, which has all beta schedules. */
static sf_scheduler_settings settings_of(const char *json) {
    sf_scheduler_config config = {0};
    sf_scheduler_settings settings;
    ck_ok(ctx, sf_scheduler_config_parse(ctx, "test.json", json, strlen(json), &config));
    ck_ok(ctx, sf_scheduler_settings_read(ctx, &config, &sf_sampler_ddpm, &settings));
    sf_scheduler_config_clear(&config);
    return settings;
}

static sf_alphas alphas_of(const char *json) {
    sf_scheduler_settings settings = settings_of(json);
    sf_alphas alphas;
    ck_ok(ctx, sf_alphas_new(ctx, &settings, &alphas));
    sf_scheduler_settings_clear(ctx, &settings);
    return alphas;
}

#define SD "\"beta_start\": 0.00085, \"beta_end\": 0.012, \"beta_schedule\": \"scaled_linear\""

static const struct {
    const char *name, *json;
    int units; /* in the last place: exp, cos and log may differ by one between libraries */
} tables[] = {
    {"linear", "{}", 0},
    {"scaled_linear", "{\"beta_schedule\": \"scaled_linear\"}", 0},
    {"squaredcos_cap_v2", "{\"beta_schedule\": \"squaredcos_cap_v2\"}", 1},
    {"sigmoid", "{\"beta_schedule\": \"sigmoid\"}", 1},
    {"laplace", "{\"beta_schedule\": \"laplace\"}", 1},
    {"sd", "{" SD "}", 0},
    {"few", "{\"num_train_timesteps\": 77, \"beta_end\": 0.1}", 0},
    {"zero_snr", "{" SD ", \"rescale_betas_zero_snr\": true}", 0},
};

#define N_TABLES (int)(sizeof tables / sizeof tables[0])

static int units_between(float a, float b) {
    int32_t bits[2];
    memcpy(&bits[0], &a, sizeof a);
    memcpy(&bits[1], &b, sizeof b);
    return abs(bits[0] - bits[1]);
}

START_TEST(a_table_is_pytorchs) {
    sf_tensors *goldens;
    sf_alphas alphas = alphas_of(tables[_i].json);
    ck_ok(ctx, sf_tensors_load(ctx, test_data("samplers/tables.safetensors"), &goldens));
    sf_tensor *golden = sf_tensors_find(goldens, tables[_i].name);
    ck_assert_ptr_nonnull(golden);
    ck_assert_int_eq(alphas.count, sf_tensor_n_elements(golden));
    const float *expected = sf_tensor_const_data(golden);
    for (int t = 0; t < alphas.count; t++)
        ck_assert_msg(units_between(alphas.values[t], expected[t]) <= tables[_i].units,
                      "%s, t %d: %.9g, not %.9g", tables[_i].name, t, (double)alphas.values[t],
                      (double)expected[t]);
    sf_tensors_free(goldens);
    sf_free(ctx, alphas.values);
}
END_TEST

/* The signal to noise ratio alpha / (1 - alpha) falls with t, and stays within its range. */
START_TEST(the_signal_to_noise_ratio_falls) {
    sf_alphas alphas = alphas_of(tables[_i].json);
    for (int t = 0; t < alphas.count; t++) {
        ck_assert(alphas.values[t] >= 0 && alphas.values[t] < 1);
        ck_assert_msg(t == 0 || alphas.values[t] < alphas.values[t - 1], "%s, t %d",
                      tables[_i].name, t);
    }
    sf_free(ctx, alphas.values);
}
END_TEST

/*
 * alphas_cumprod from the formulas of the papers in f64. The f32 table rounds 1000 factors by 3e-8
 * each, which adds up to 1e-6 at the end of a random walk; 1e-5 is allowed.
 */
static const struct {
    const char *json;
    int timestep;
    double alpha;
} literature[] = {
    /* Ho et al. 2020: beta from 1e-4 to 0.02 */
    {"{}", 0, 0.9999},
    {"{}", 100, 0.895141591},
    {"{}", 300, 0.394011123},
    {"{}", 500, 0.0777966584},
    {"{}", 700, 0.00686827889},
    {"{}", 999, 4.03582977e-05},
    /* Rombach et al. 2022: sqrt(beta) from sqrt(0.00085) to sqrt(0.012) */
    {"{" SD "}", 0, 0.99915},
    {"{" SD "}", 500, 0.276332684},
    {"{" SD "}", 999, 0.00466009851},
    /* the same by its other name */
    {"{\"beta_schedule\": \"quadratic\", \"beta_start\": 0.00085, \"beta_end\": 0.012}", 500,
     0.276332684},
    /* Nichol and Dhariwal 2021: f(t + 1) / f(0), f = cos^2, s = 0.008 */
    {"{\"beta_schedule\": \"squaredcos_cap_v2\"}", 0, 0.999958716},
    {"{\"beta_schedule\": \"squaredcos_cap_v2\"}", 300, 0.785632413},
    {"{\"beta_schedule\": \"squaredcos_cap_v2\"}", 500, 0.492285172},
    {"{\"beta_schedule\": \"squaredcos_cap_v2\"}", 900, 0.0236161088},
};

START_TEST(alphas_are_those_of_the_literature) {
    sf_alphas alphas = alphas_of(literature[_i].json);
    double alpha = (double)alphas.values[literature[_i].timestep];
    ck_assert_msg(fabs(alpha / literature[_i].alpha - 1) < 1e-5, "t %d: %.9g, not %.9g",
                  literature[_i].timestep, alpha, literature[_i].alpha);
    sf_free(ctx, alphas.values);
}
END_TEST

/* alphas_cumprod is exp(-12 (t + 1) / T) until beta would be above 0.999. */
START_TEST(exponential_betas) {
    sf_scheduler_settings settings = settings_of("{}");
    sf_alphas alphas;
    settings.beta_schedule = SF_BETA_exp;
    ck_ok(ctx, sf_alphas_new(ctx, &settings, &alphas));
    for (int t = 0; t < 1000; t += 37)
        /* a beta is f32, 0.012 within 5e-10; a thousand of them */
        ck_assert_double_eq_tol((double)alphas.values[t] / exp(-12 * (t + 1) / 1000.0), 1, 5e-5);
    sf_free(ctx, alphas.values);
    sf_scheduler_settings_clear(ctx, &settings);
}
END_TEST

/* Lin et al. 2024: the last alpha is 0, the first stays what it was. */
START_TEST(zero_snr_ends_at_zero) {
    sf_alphas plain = alphas_of("{" SD "}");
    sf_alphas rescaled = alphas_of("{" SD ", \"rescale_betas_zero_snr\": true}");
    ck_assert(rescaled.values[999] == 0);
    ck_assert_float_eq_tol(rescaled.values[0], plain.values[0], 2e-7f);
    for (int t = 1; t < 1000; t++)
        ck_assert(rescaled.values[t] < plain.values[t]);
    sf_free(ctx, plain.values);
    sf_free(ctx, rescaled.values);
}
END_TEST

START_TEST(trained_betas_replace_the_schedule) {
    sf_alphas alphas = alphas_of("{\"trained_betas\": [0.5, 0.5, 0.25], \"beta_start\": 0.9}");
    ck_assert_int_eq(alphas.count, 3);
    ck_assert(alphas.values[0] == 0.5f && alphas.values[1] == 0.25f);
    ck_assert(alphas.values[2] == 0.1875f);
    sf_free(ctx, alphas.values);
}
END_TEST

/* ---- timesteps ---- */

/* Lin et al. 2024, table 2 (T = 1000, 10 steps; there counted from 1), and diffusers' roundings. */
static const struct {
    const char *json;
    int n_steps, n_timesteps;
    double timesteps[10];
} spacings[] = {
    {"{\"timestep_spacing\": \"leading\"}",
     10,
     10,
     {900, 800, 700, 600, 500, 400, 300, 200, 100, 0}},
    {"{\"timestep_spacing\": \"linspace\"}",
     10,
     10,
     {999, 888, 777, 666, 555, 444, 333, 222, 111, 0}},
    {"{\"timestep_spacing\": \"trailing\"}",
     10,
     10,
     {999, 899, 799, 699, 599, 499, 399, 299, 199, 99}},
    {"{\"timestep_spacing\": \"leading\", \"steps_offset\": 1}", 4, 4, {751, 501, 251, 1}},
    {"{\"timestep_spacing\": \"leading\"}", 7, 7, {852, 710, 568, 426, 284, 142, 0}},
    {"{\"timestep_spacing\": \"linspace\"}", 7, 7, {999, 832, 666, 500, 333, 166, 0}},
    {"{\"timestep_spacing\": \"trailing\"}", 7, 7, {999, 856, 713, 570, 428, 285, 142}},
    {"{\"timestep_spacing\": \"leading\"}", 1, 1, {0}},
    {"{\"timestep_spacing\": \"linspace\"}", 1, 1, {0}},
    {"{\"timestep_spacing\": \"trailing\"}", 1, 1, {999}},
};

START_TEST(timesteps_are_those_of_the_literature) {
    sf_sampler *sampler;
    const sf_sampler_options options = {
        .sampler = "ddim", .eta = -1, .n_steps = spacings[_i].n_steps};
    ck_ok(ctx, sampling_new(ctx, spacings[_i].json, &options, &sampler));
    ck_assert_int_eq(sf_sampler_n_evaluations(sampler), spacings[_i].n_timesteps);
    for (int i = 0; i < spacings[_i].n_timesteps; i++)
        ck_assert_msg(sf_sampler_timestep(sampler, i) == spacings[_i].timesteps[i],
                      "%s, %d steps, %d: %g, not %g", spacings[_i].json, spacings[_i].n_steps, i,
                      sf_sampler_timestep(sampler, i), spacings[_i].timesteps[i]);
    sf_sampler_free(sampler);
}
END_TEST

/* numpy.arange's rounding adds a timestep -1, which is in no table of alphas. */
START_TEST(trailing_with_one_too_many) {
    sf_sampler *ddim, *euler;
    sf_sampler_options options = {.sampler = "ddim", .eta = -1, .n_steps = 61};
    ck_ok(ctx, sampling_new(ctx, "{\"timestep_spacing\": \"trailing\"}", &options, &ddim));
    options.sampler = "euler";
    ck_ok(ctx, sampling_new(ctx, "{\"timestep_spacing\": \"trailing\"}", &options, &euler));
    ck_assert_int_eq(sf_sampler_n_evaluations(ddim), 61);
    ck_assert(sf_sampler_timestep(ddim, 60) == 15);
    ck_assert_int_eq(sf_sampler_n_evaluations(euler), 62);
    ck_assert(sf_sampler_timestep(euler, 61) == -1);
    sf_sampler_free(ddim);
    sf_sampler_free(euler);
}
END_TEST

/* ---- sigmas ---- */

static const char *const schedules[] = {"normal", "karras", "exponential", "beta"};

/* They fall to 0, from the sigma of training's last timestep, and their timesteps fall with them. */
START_TEST(sigmas_fall) {
    sf_sampler *sampler;
    const sf_sampler_options options = {
        .sampler = "euler", .schedule = schedules[_i], .eta = -1, .n_steps = 20};
    ck_ok(ctx, sampling_new(ctx, "{" SD "}", &options, &sampler));
    ck_assert_int_eq(sf_sampler_n_sigmas(sampler), 21);
    ck_assert_double_eq_tol(sf_sampler_sigma(sampler, 0), 14.6146, 1e-3); /* sqrt(1/0.00466 - 1) */
    ck_assert_double_eq_tol(sf_sampler_sigma(sampler, 19), 0.029167, 1e-5);
    ck_assert(sf_sampler_sigma(sampler, 20) == 0);
    for (int i = 0; i < 20; i++) {
        ck_assert(sf_sampler_sigma(sampler, i + 1) < sf_sampler_sigma(sampler, i));
        ck_assert(i == 0 || sf_sampler_timestep(sampler, i) < sf_sampler_timestep(sampler, i - 1));
    }
    ck_assert(fabs(sf_sampler_timestep(sampler, 0) - 999) < 1e-3);
    ck_assert(fabs(sf_sampler_timestep(sampler, 19)) < 1e-3);
    sf_sampler_free(sampler);
}
END_TEST

/* scipy.stats.beta.ppf(p, 0.6, 0.6), scipy 1.17.1 */
START_TEST(beta_quantiles_are_scipys) {
    static const double known[][2] = {
        {1e-6, 1.8558824624053043e-10},
        {0.01, 0.00086123882154290593},
        {0.1, 0.039584405588780847},
        {0.25, 0.17568037865269498},
        {1.0 / 3, 0.27541329077762339},
        {0.5, 0.5},
        {0.7, 0.76598299612476428},
        {0.999, 0.99998144126148258},
        {0, 0},
        {1, 1},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        double x = sf_beta_quantile(known[i][0]);
        ck_assert_msg(fabs(x - known[i][1]) <= 1e-12 * known[i][1], "p %g: %.17g", known[i][0], x);
    }
}
END_TEST

Suite *suite_samplers_schedule(void) {
    Suite *suite = suite_create("samplers_schedule");
    TCase *tcase = tcase_create("schedules");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_table_is_pytorchs, 0, N_TABLES);
    tcase_add_loop_test(tcase, the_signal_to_noise_ratio_falls, 0, N_TABLES);
    tcase_add_loop_test(tcase, alphas_are_those_of_the_literature, 0,
                        (int)(sizeof literature / sizeof literature[0]));
    tcase_add_test(tcase, exponential_betas);
    tcase_add_test(tcase, zero_snr_ends_at_zero);
    tcase_add_test(tcase, trained_betas_replace_the_schedule);
    tcase_add_loop_test(tcase, timesteps_are_those_of_the_literature, 0,
                        (int)(sizeof spacings / sizeof spacings[0]));
    tcase_add_test(tcase, trailing_with_one_too_many);
    tcase_add_loop_test(tcase, sigmas_fall, 0, (int)(sizeof schedules / sizeof schedules[0]));
    tcase_add_test(tcase, beta_quantiles_are_scipys);
    suite_add_tcase(suite, tcase);
    return suite;
}
