/*
 * Samplers in sigma space on models whose answer is known: one that knows the clean sample leads each
 * to it, and on Gaussian data each converges with its order.
 */
#include <math.h>
#include <stdio.h>

#include "samplers/sigma_space.h"
#include "tests/support/failing.h"
#include "tests/support/sampling.h"
#include "tests/support/support.h"

Suite *suite_samplers_sigma(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

static void random_noise(void *user, int draw, float *noise) {
    (void)user;
    sampling_random(1000 + (unsigned)draw, noise);
}

/* ---- models ---- */

/* The answer at x (before input scaling) that means the clean sample x_0. */
static double answer_for(const sf_sampler *sampler, double sigma, double x, double x0) {
    int type = sampler->settings.prediction_type;
    if (sampler->class->options & SF_OPTION(sigma_schedule)) {
        double data = sampler->settings.sigma_data, total = sigma * sigma + data * data;
        double factor = sigma * data / sqrt(total);
        factor = type == SF_PREDICTION_v_prediction ? -factor : factor;
        return (x0 - data * data / total * x) / factor;
    }
    double total = sigma * sigma + 1, noise = (x - x0) / sigma;
    return type == SF_PREDICTION_epsilon        ? noise
           : type == SF_PREDICTION_v_prediction ? (noise - sigma * x0) / sqrt(total)
                                                : x0;
}

static double scale_back(const sf_sampler *sampler, double sigma, float model_input) {
    bool edm = (sampler->class->options & SF_OPTION(sigma_schedule)) != 0;
    double data = edm ? sampler->settings.sigma_data : 1;
    return (double)model_input * sqrt(sigma * sigma + data * data);
}

static void perfect_model(void *user, const sf_sampler *sampler, const sf_evaluation *evaluation,
                          const float *model_input, float *m) {
    const float *clean = user;
    double sigma = sf_sigma_level(sampler, evaluation->index);
    for (int i = 0; i < SAMPLING_SIZE; i++)
        m[i] = (float)answer_for(sampler, sigma, scale_back(sampler, sigma, model_input[i]),
                                 (double)clean[i]);
}

static const struct {
    const char *name;
    int n_evaluations, n_draws; /* of 10 steps */
    bool no_sample;             /* it does not take that prediction type */
} samplers[] = {
    /* clang-format off */
    {"euler", 10, 0, false},
    {"euler_a", 10, 10, true}, /* the last one times 0 */
    {"heun", 19, 0, false},
    {"dpm2", 19, 0, true},
    {"dpm2_a", 19, 9, true}, /* none in the last step */
    {"lms", 10, 0, false},
    {"dpmpp_sde", 19, 18, true}, /* two a step but the last */
    {"dpmpp_2s_a", 19, 9, false},
    {"dpmpp_3m_sde", 10, 9, false},
    {"dpm_fast", 10, 0, false},
    {"dpm_adaptive", 21, 0, false},
    {"restart", 19, 0, false},
    {"edm_euler", 10, 0, true},
    {"edm_dpmpp_2m", 10, 0, true},
    {"edm_dpmpp_2m_sde", 10, 10, true},
    {"edm_dpmpp_3m", 10, 0, true},
    {"cosine_dpmpp_2m_sde", 10, 10, true},
    /* clang-format on */
};

#define N_SAMPLERS (int)(sizeof samplers / sizeof samplers[0])

START_TEST(a_perfect_model_leads_to_the_clean_sample) {
    static const char *const predictions[] = {"epsilon", "sample", "v_prediction"};
    const char *name = samplers[_i / 3].name, *prediction = predictions[_i % 3];
    char json[128];
    float clean[SAMPLING_SIZE], noise[SAMPLING_SIZE], sample[SAMPLING_SIZE];
    struct sampling run = {
        .ctx = ctx,
        .config = json,
        .options = {.sampler = name, .eta = -1, .n_steps = 10},
        .model = perfect_model,
        .noise = random_noise,
        .user = clean,
    };
    snprintf(json, sizeof json, "{\"prediction_type\": \"%s\"}", prediction);
    sampling_random(1, clean);
    sampling_random(2, noise);
    if (samplers[_i / 3].no_sample && _i % 3 == 1) {
        ck_fails(ctx, sampling_run(&run, noise, sample), SF_ERROR_UNSUPPORTED, "prediction_type");
        return;
    }
    ck_ok(ctx, sampling_run(&run, noise, sample));
    /* DPM fast and adaptive end at sigma 0.01, the others at 0 */
    float allowed = strncmp(name, "dpm_", 4) == 0 ? 0.03f : 1e-4f;
    ck_assert_int_eq(run.n_evaluations, samplers[_i / 3].n_evaluations);
    ck_assert_int_eq(run.n_draws, samplers[_i / 3].n_draws);
    for (int i = 0; i < SAMPLING_SIZE; i++)
        /* sigma begins at up to 500: errors of its last place are 3e-5 */
        ck_assert_msg(fabsf(sample[i] - clean[i]) < allowed, "%s, %s, %d: %g, not %g", name,
                      prediction, i, (double)sample[i], (double)clean[i]);
}
END_TEST

/* ---- convergence ---- */

/* Data of variance 1: x_0 = x / (1 + sigma^2). The flow keeps x / sqrt(1 + sigma^2). */
static void gaussian_model(void *user, const sf_sampler *sampler, const sf_evaluation *evaluation,
                           const float *model_input, float *m) {
    double sigma = sf_sigma_level(sampler, evaluation->index);
    double *kept = user; /* x / sqrt(1 + sigma^2) where the model was asked last but once */
    double x = scale_back(sampler, sigma, model_input[0]);
    kept[0] = kept[1];
    kept[1] = x / sqrt(1 + sigma * sigma);
    for (int i = 0; i < SAMPLING_SIZE; i++) {
        x = scale_back(sampler, sigma, model_input[i]);
        m[i] = (float)answer_for(sampler, sigma, x, x / (1 + sigma * sigma));
    }
}

/* How far off the flow the sample is at the last level but 0, before a last step to 0. */
static double error_of(const char *name, const char *json, int n_steps) {
    double kept[2];
    float noise[SAMPLING_SIZE], sample[SAMPLING_SIZE];
    struct sampling run = {
        .ctx = ctx,
        .config = json,
        .options = {.sampler = name, .schedule = "karras", .eta = -1, .n_steps = n_steps},
        .model = gaussian_model,
        .user = kept,
    };
    sf_sampler *sampler;
    ck_ok(ctx, sampling_new(ctx, json, &run.options, &sampler));
    double sigma = sf_sampler_sigma(sampler, 0);
    double start = (double)(float)sampler->initial_scale;
    double end = sf_sampler_sigma(sampler, sf_sampler_n_sigmas(sampler) - 1);
    sf_sampler_free(sampler);
    for (int i = 0; i < SAMPLING_SIZE; i++)
        noise[i] = 1;
    ck_ok(ctx, sampling_run(&run, noise, sample));
    if (end > 0)
        kept[1] = (double)sample[0] / sqrt(1 + end * end);
    return fabs(kept[1] * sqrt(1 + sigma * sigma) / start - 1);
}

#define RANGE "{\"sigma_min\": 0.1, \"sigma_max\": 10, \"lower_order_final\": false}"

START_TEST(it_converges_with_its_order) {
    static const struct {
        const char *name, *json;
        double order;
    } known[] = {
        /* clang-format off */
        {"euler", RANGE, 1},
        {"heun", RANGE, 2},
        {"dpm2", RANGE, 2},
        {"lms", "{}", 3},
        {"dpm_fast", RANGE, 3},
        {"edm_euler", RANGE, 1},
        {"edm_dpmpp_2m", RANGE, 2},
        {"edm_dpmpp_3m", RANGE, 1.9}, /* its first step is of order 1 */
        /* clang-format on */
    };
    double coarse = error_of(known[_i].name, known[_i].json, 20);
    double fine = error_of(known[_i].name, known[_i].json, 41);
    double order = log2(coarse / fine) / log2(40.0 / 19);
    ck_assert_msg(order > known[_i].order - 0.35 && coarse < 0.1, "%s: order %.2f, %g %g",
                  known[_i].name, order, coarse, fine);
}
END_TEST

/*
 * Restart spends the steps that it was given, goes up where it says, and draws for each of its returns.
 */
START_TEST(restart_goes_back_up) {
    static const struct {
        int n_steps, n_draws;
    } known[] = {{19, 0}, {20, 1}, {35, 1}, {36, 2}, {50, 2}};
    float clean[SAMPLING_SIZE], noise[SAMPLING_SIZE], sample[SAMPLING_SIZE];
    sf_sampler *sampler;
    struct sampling run = {
        .ctx = ctx,
        .config = "{\"beta_start\": 0.00085, \"beta_end\": 0.012}",
        .options = {.sampler = "restart", .schedule = "karras", .eta = -1},
        .model = perfect_model,
        .noise = random_noise,
        .user = clean,
    };
    int n_rises = 0;
    run.options.n_steps = known[_i].n_steps;
    sampling_random(1, clean);
    sampling_random(2, noise);
    ck_ok(ctx, sampling_run(&run, noise, sample));
    ck_assert_int_eq(run.n_evaluations, 2 * known[_i].n_steps - 1);
    ck_assert_int_eq(run.n_draws, known[_i].n_draws);
    for (int i = 0; i < SAMPLING_SIZE; i++)
        ck_assert_float_eq_tol(sample[i], clean[i], 1e-4f);
    ck_ok(ctx, sampling_new(ctx, run.config, &run.options, &sampler));
    for (int i = 1; i < sf_sampler_n_sigmas(sampler); i++) {
        double from = sf_sampler_sigma(sampler, i - 1), to = sf_sampler_sigma(sampler, i);
        n_rises += to > from;
        ck_assert(to <= from || (from < 0.2 && to > 1.3 && to < 3));
    }
    ck_assert_int_eq(n_rises, known[_i].n_draws);
    sf_sampler_free(sampler);
}
END_TEST

/* ---- failing allocations ---- */

START_TEST(failing_allocations_leave_nothing) {
    static const char *const names[] = {"euler_a",  "dpm2",    "heun",        "edm_euler",
                                        "dpm_fast", "restart", "dpm_adaptive"};
    const sf_sampler_options options = {.sampler = names[_i], .eta = -1, .n_steps = 3};
    struct failing_allocator allocator = {0};
    sf_context *own = failing_context(&allocator);
    long live = allocator.live, n = 0;
    for (bool met = true; met;) {
        sf_sampler *sampler = NULL;
        allocator.calls = 0;
        allocator.fail_at = ++n;
        sf_status status = sampling_new(own, "{}", &options, &sampler);
        met = allocator.calls >= n;
        sf_sampler_free(sampler);
        ck_assert_msg(status == (met ? SF_ERROR_MEMORY : SF_OK), "allocation %ld: %d", n,
                      (int)status);
        ck_assert_msg(allocator.live == live, "allocation %ld: %ld blocks are left", n,
                      allocator.live - live);
    }
    ck_assert_int_gt(n, 3);
    sf_context_free(own);
}
END_TEST

Suite *suite_samplers_sigma(void) {
    Suite *suite = suite_create("samplers_sigma");
    TCase *tcase = tcase_create("models");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_perfect_model_leads_to_the_clean_sample, 0, 3 * N_SAMPLERS);
    tcase_add_loop_test(tcase, it_converges_with_its_order, 0, 8);
    tcase_add_loop_test(tcase, restart_goes_back_up, 0, 5);
    tcase_add_loop_test(tcase, failing_allocations_leave_nothing, 0, 7);
    suite_add_tcase(suite, tcase);
    return suite;
}
