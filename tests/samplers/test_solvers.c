/*
 * Properties of the exponential integrators and their relatives that hold whatever diffusers says: a
 * perfect model is followed to the clean sample, errors fall with a method's order, noise keeps the
 * data's mean and variance, DDIM backwards is undone by DDIM; and what they refuse.
 */
#include <math.h>
#include <stdio.h>

#include "samplers/class.h"
#include "tests/support/sampling.h"
#include "tests/support/support.h"

Suite *suite_samplers_solvers(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

/* Standard normal, the same numbers in every run, independent between draws. */
static void unit_noise(void *user, int draw, float *noise) {
    uint64_t state = (uint64_t)draw << 32;
    (void)user;
    for (int i = 0; i < SAMPLING_SIZE; i++) {
        double uniform[2];
        for (int k = 0; k < 2; k++) { /* splitmix64: Steele et al. 2014 */
            uint64_t z = state += 0x9e3779b97f4a7c15u;
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
            z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
            uniform[k] = ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
        }
        noise[i] = (float)(sqrt(-2 * log(uniform[0])) * cos(4 * acos(0) * uniform[1]));
    }
}

/* x = a x_0 + b noise at an evaluation. */
static void level_of(const sf_sampler *sampler, const sf_evaluation *evaluation, double *a,
                     double *b) {
    if (sampler->sigmas) {
        double sigma = sampler->sigmas[evaluation->index];
        bool flow = sampler->settings.use_flow_sigmas;
        *a = flow ? 1 - sigma : 1 / sqrt(sigma * sigma + 1);
        *b = flow ? sigma : sigma * *a;
    } else if (sampler->class == &sf_sampler_ipndm) {
        *b = sin(evaluation->timestep * acos(0));
        *a = cos(evaluation->timestep * acos(0));
    } else {
        double alpha = (double)sampler->alphas.values[(int)evaluation->timestep];
        *a = sqrt(alpha);
        *b = sqrt(1 - alpha);
    }
}

/* The answer that means this x_0 and noise. */
static double answer_of(const sf_sampler *sampler, double a, double b, double x0, double noise) {
    if (sampler->class == &sf_sampler_ipndm)
        return a * noise - b * x0;
    switch (sampler->settings.prediction_type) {
    case SF_PREDICTION_epsilon:
        return noise;
    case SF_PREDICTION_v_prediction:
        return a * noise - b * x0;
    case SF_PREDICTION_flow_prediction:
        return noise - x0;
    default:
        return x0;
    }
}

/* ---- a perfect model ---- */

struct perfect {
    float clean[SAMPLING_SIZE];
    double noise[SAMPLING_SIZE]; /* of the first evaluation */
    double last_sigma;
};

static void perfect_model(void *user, const sf_sampler *sampler, const sf_evaluation *evaluation,
                          const float *x, float *m) {
    struct perfect *known = user;
    double a, b;
    level_of(sampler, evaluation, &a, &b);
    known->last_sigma = sampler->sigmas ? sampler->sigmas[sampler->n_sigmas - 1] : 0;
    for (int i = 0; i < SAMPLING_SIZE; i++) {
        double x0 = (double)known->clean[i], noise = ((double)x[i] - a * x0) / b;
        if (evaluation->index == 0)
            known->noise[i] = noise;
        m[i] = (float)answer_of(sampler, a, b, x0, noise);
    }
}

#define FLOW "\"use_flow_sigmas\": true, \"prediction_type\": \"flow_prediction\""

static const struct {
    const char *sampler, *options;
    int n_evaluations, stochastic;
} perfect[] = {
    {"dpmpp_2m", "\"prediction_type\": \"epsilon\"", 10, 0},
    {"dpmpp_2m", "\"prediction_type\": \"sample\"", 10, 0},
    {"dpmpp_2m", "\"prediction_type\": \"v_prediction\"", 10, 0},
    {"dpmpp_2m", FLOW, 10, 0},
    {"dpmpp_2m_sde", "\"prediction_type\": \"epsilon\"", 10, 1},
    {"dpmpp_3m", "\"prediction_type\": \"v_prediction\"", 10, 0},
    {"dpm_2m", "\"prediction_type\": \"epsilon\"", 10, 0},
    {"dpm_2m", "\"prediction_type\": \"sample\"", 10, 0},
    {"dpm_3m", "\"prediction_type\": \"v_prediction\"", 10, 0},
    {"dpmpp_2s", "\"prediction_type\": \"epsilon\"", 10, 0},
    {"dpmpp_3s", "\"prediction_type\": \"sample\"", 10, 0},
    {"dpm_2s", "\"prediction_type\": \"epsilon\"", 10, 0},
    {"dpm_3s", "\"prediction_type\": \"v_prediction\"", 10, 0},
    {"unipc", "\"prediction_type\": \"epsilon\"", 10, 0},
    {"unipc", "\"prediction_type\": \"v_prediction\", \"lower_order_final\": false", 10, 0},
    {"unipc", "\"solver_type\": \"bh1\", \"solver_order\": 3", 10, 0},
    {"unipc", "\"predict_x0\": false", 10, 0},
    {"unipc", FLOW, 10, 0},
    {"deis", "\"prediction_type\": \"epsilon\", \"solver_order\": 3", 10, 0},
    {"deis", FLOW, 10, 0},
    {"sa_solver", "\"prediction_type\": \"epsilon\"", 10, 1},
    {"pndm", "\"set_alpha_to_one\": true", 19, 0},
    {"plms", "\"set_alpha_to_one\": true", 11, 0},
    {"ipndm", "\"unknown\": 0", 10, 0},
};

START_TEST(a_perfect_model_is_followed) {
    char json[256];
    float noise[SAMPLING_SIZE], sample[SAMPLING_SIZE];
    struct perfect known;
    struct sampling run = {
        .ctx = ctx,
        .config = json,
        .options = {.sampler = perfect[_i].sampler, .eta = -1, .n_steps = 10},
        .model = perfect_model,
        .noise = unit_noise,
        .user = &known,
    };
    snprintf(json, sizeof json, "{%s}", perfect[_i].options);
    sampling_random(1, known.clean);
    /* iPNDM begins where nothing is left of x_0 and cannot see a perfect model's but if it is 0. */
    for (int i = 0; strcmp(perfect[_i].sampler, "ipndm") == 0 && i < SAMPLING_SIZE; i++)
        known.clean[i] = 0;
    sampling_random(2, noise);
    ck_ok(ctx, sampling_run(&run, noise, sample));
    ck_assert_int_eq(run.n_evaluations, perfect[_i].n_evaluations);
    double s = known.last_sigma, a = 1 / sqrt(s * s + 1);
    if (strstr(perfect[_i].options, "use_flow"))
        a = 1 - s, s = s / a;
    /* Of fresh noise only its size is known; sigma begins at 157: errors of its last place. */
    double allowed = perfect[_i].stochastic ? 1e-4 + 5 * a * s : 1e-4;
    for (int i = 0; i < SAMPLING_SIZE; i++) {
        double x0 = (double)known.clean[i];
        double wanted = a * (x0 + (perfect[_i].stochastic ? 0 : s * known.noise[i]));
        ck_assert_msg(fabs((double)sample[i] - wanted) < allowed, "%s, %s, %d: %g, not %g",
                      perfect[_i].sampler, json, i, (double)sample[i], wanted);
    }
}
END_TEST

/* ---- Gaussian data ---- */

#define ALL       "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]"
#define MEAN      0.3
#define DEVIATION 0.6

/* The exact answer for data of that mean and deviation: E[x_0 | x] in closed form. */
static void gaussian_model(void *user, const sf_sampler *sampler, const sf_evaluation *evaluation,
                           const float *x, float *m) {
    double a, b;
    (void)user;
    level_of(sampler, evaluation, &a, &b);
    double variance = a * a * DEVIATION * DEVIATION + b * b;
    for (int i = 0; i < SAMPLING_SIZE; i++) {
        double noise = b * ((double)x[i] - a * MEAN) / variance;
        m[i] = (float)answer_of(sampler, a, b, ((double)x[i] - b * noise) / a, noise);
    }
}

/* The root of the mean square error after n steps: x keeps its place in units of the deviation. */
static double error_of(const char *name, const char *json, int n) {
    float noise[SAMPLING_SIZE], sample[SAMPLING_SIZE];
    struct sampling run = {.ctx = ctx,
                           .config = json,
                           .options = {.sampler = name, .eta = -1, .n_steps = n},
                           .model = gaussian_model};
    sf_sampler *sampler;
    double error = 0;
    ck_ok(ctx, sampling_new(ctx, json, &run.options, &sampler));
    double high = sampler->sigmas[0], low = sampler->sigmas[sampler->n_sigmas - 1];
    sf_sampler_free(sampler);
    double a = 1 / sqrt(low * low + 1), a_first = 1 / sqrt(high * high + 1);
    double square = DEVIATION * DEVIATION;
    double ratio = a / a_first * sqrt((square + low * low) / (square + high * high));
    sampling_random(2, noise);
    ck_ok(ctx, sampling_run(&run, noise, sample));
    for (int i = 0; i < SAMPLING_SIZE; i++) {
        double wanted = a * MEAN + ratio * ((double)noise[i] - a_first * MEAN);
        error += pow((double)sample[i] - wanted, 2) / SAMPLING_SIZE;
    }
    return sqrt(error);
}

/*
 * Even steps in lambda over a range so short that f32 rounding stays below the errors. beta_start puts
 * the last sigma near the last of the even ones.
 */
#define EVEN                                                                                       \
    "\"use_exponential_sigmas\": true, \"sigma_min\": 0.1, \"sigma_max\": 5,"                      \
    " \"beta_start\": 0.00999, \"final_sigmas_type\": \"sigma_min\", \"lower_order_final\": false"

static const struct {
    const char *sampler, *options;
    double order; /* of the error */
    int n_steps;
} orders[] = {
    {"DPMSolverMultistepScheduler", "\"solver_order\": 1", 1, 12},
    {"DPMSolverMultistepScheduler", "\"solver_order\": 2", 2, 12},
    {"DPMSolverMultistepScheduler", "\"solver_order\": 2, \"solver_type\": \"heun\"", 2, 12},
    {"DPMSolverMultistepScheduler", "\"solver_order\": 3", 3, 12},
    {"DPMSolverMultistepScheduler", "\"algorithm_type\": \"dpmsolver\"", 2, 12},
    {"DPMSolverSinglestepScheduler", "\"solver_order\": 2", 2, 12},
    {"DPMSolverSinglestepScheduler", "\"solver_order\": 3", 3, 12},
    {"DPMSolverSinglestepScheduler", "\"solver_order\": 3, \"solver_type\": \"heun\"", 3, 30},
    {"DEISMultistepScheduler", "\"solver_order\": 2", 2, 12},
    {"DEISMultistepScheduler", "\"solver_order\": 3", 3, 12},
    {"UniPCMultistepScheduler", "\"solver_order\": 1", 2, 12}, /* the corrector adds one */
    {"UniPCMultistepScheduler", "\"solver_order\": 2", 3, 12},
    {"UniPCMultistepScheduler", "\"solver_order\": 2, \"disable_corrector\": " ALL, 2, 12},
};

/* Halved steps divide the error by 2^order, with 0.25 for the terms that are left out. */
START_TEST(errors_fall_with_the_order) {
    char json[512];
    snprintf(json, sizeof json, "{" EVEN ", %s}", orders[_i].options);
    double coarse = error_of(orders[_i].sampler, json, orders[_i].n_steps);
    double fine = error_of(orders[_i].sampler, json, 2 * orders[_i].n_steps),
           order = log2(coarse / fine);
    ck_assert_msg(order > orders[_i].order - 0.25 && fine > 1e-6, "%s: %g and %g: order %.2f", json,
                  coarse, fine, order);
}
END_TEST

/* ---- noise ---- */

static void many_draws(void *user, int draw, float *noise) {
    unit_noise(NULL, draw + *(const int *)user, noise);
}

static const char *const stochastic[][2] = {
    {"dpmpp_2m_sde", "{\"use_karras_sigmas\": true}"},
    {"dpmpp_2m_sde", "{\"beta_end\": 0.01, \"solver_type\": \"heun\"}"},
    {"DPMSolverMultistepScheduler",
     "{\"algorithm_type\": \"sde-dpmsolver\", \"final_sigmas_type\": \"sigma_min\","
     " \"use_karras_sigmas\": true}"},
    {"sa_solver", "{\"algorithm_type\": \"noise_prediction\", \"use_karras_sigmas\": true}"},
    {"sa_solver", "{\"use_karras_sigmas\": true}"},
};

/* The samples of an exact model of Gaussian data have its mean and deviation. */
START_TEST(noise_keeps_mean_and_deviation) {
    enum { N_RUNS = 100 };
    float noise[SAMPLING_SIZE], sample[SAMPLING_SIZE];
    double sum = 0, squares = 0, n = (double)N_RUNS * SAMPLING_SIZE;
    for (int r = 0; r < N_RUNS; r++) {
        int first = 100 * r;
        struct sampling run = {
            .ctx = ctx,
            .config = stochastic[_i][1],
            .options = {.sampler = stochastic[_i][0], .eta = -1, .n_steps = 40},
            .model = gaussian_model,
            .noise = many_draws,
            .user = &first,
        };
        unit_noise(NULL, first + 99, noise);
        ck_ok(ctx, sampling_run(&run, noise, sample));
        for (int i = 0; i < SAMPLING_SIZE; i++) {
            sum += (double)sample[i];
            squares += (double)sample[i] * (double)sample[i];
        }
    }
    double mean = sum / n, deviation = sqrt(squares / n - mean * mean);
    /* four standard errors of 2400 samples, and 2 % for the steps' own error */
    ck_assert_msg(fabs(mean - MEAN) < 4 * DEVIATION / sqrt(n) + 0.02 * DEVIATION, "%g", mean);
    ck_assert_msg(fabs(deviation / DEVIATION - 1) < 4 / sqrt(2 * n) + 0.02, "%g", deviation);
}
END_TEST

/* ---- DDIM there and back ---- */

START_TEST(ddim_undoes_its_inverse) {
    float clean[SAMPLING_SIZE], noise[SAMPLING_SIZE], sample[SAMPLING_SIZE];
    struct sampling run = {.ctx = ctx,
                           .config = "{\"clip_sample\": false}",
                           .options = {.sampler = "ddim_inverse", .eta = -1, .n_steps = 500},
                           .model = gaussian_model};
    sampling_random(3, clean);
    ck_ok(ctx, sampling_run(&run, clean, noise));
    ck_assert_float_gt(fabsf(noise[0] - clean[0]), 0.01f);
    run.options.sampler = "ddim";
    ck_ok(ctx, sampling_run(&run, noise, sample));
    for (int i = 0; i < SAMPLING_SIZE; i++) /* the two ask at levels a step apart: first order */
        ck_assert_float_eq_tol(sample[i], clean[i], 0.05f);
}
END_TEST

/* ---- what is refused ---- */

static const struct {
    const char *sampler, *json;
    int n_steps;
    sf_status status;
    const char *part;
} refused[] = {
    {"DPMSolverMultistepScheduler", "{\"algorithm_type\": \"dpmsolver\"}", 4, SF_ERROR_UNSUPPORTED,
     "final_sigmas_type sigma_min"},
    {"DPMSolverMultistepScheduler",
     "{\"algorithm_type\": \"sde-dpmsolver\", \"solver_order\": 3,"
     " \"final_sigmas_type\": \"sigma_min\"}",
     4, SF_ERROR_UNSUPPORTED, "solver_order 1 and 2"},
    {"DPMSolverMultistepScheduler", "{\"algorithm_type\": \"dpmsolverpp\"}", 4,
     SF_ERROR_UNSUPPORTED, "dpmsolver++, sde-dpmsolver, sde-dpmsolver++"},
    {"DPMSolverSinglestepScheduler", "{\"algorithm_type\": \"sde-dpmsolver\"}", 4,
     SF_ERROR_UNSUPPORTED, "algorithm_type"},
    {"DPMSolverMultistepScheduler", "{\"solver_order\": 4}", 4, SF_ERROR_FORMAT, "solver_order"},
    {"DPMSolverMultistepScheduler", "{\"lambda_min_clipped\": 1000}", 4, SF_ERROR_ARGUMENT,
     "lambda_min_clipped 1000"},
    {"dpm_2m", "{\"prediction_type\": \"flow_prediction\"}", 4, SF_ERROR_UNSUPPORTED,
     "flow_prediction"},
    {"dpmpp_2m", "{\"use_flow_sigmas\": true, \"use_karras_sigmas\": true}", 4,
     SF_ERROR_UNSUPPORTED, "karras"},
    {"unipc", "{\"use_flow_sigmas\": true, \"use_beta_sigmas\": true}", 4, SF_ERROR_UNSUPPORTED,
     "normal or karras, not with beta"},
    {"unipc", "{\"disable_corrector\": [-1]}", 4, SF_ERROR_FORMAT, "disable_corrector"},
    {"sa_solver", "{\"algorithm_type\": \"dpmsolver++\"}", 4, SF_ERROR_UNSUPPORTED,
     "data_prediction, noise_prediction"},
    {"pndm", "{}", 3, SF_ERROR_ARGUMENT, "4 or more"},
    {"pndm", "{\"prediction_type\": \"sample\"}", 5, SF_ERROR_UNSUPPORTED, "epsilon, v_prediction"},
    {"ipndm", "{\"trained_betas\": [1, 0.5, 0]}", 3, SF_ERROR_ARGUMENT, "3 steps"},
    {"ddim_inverse", "{\"timestep_spacing\": \"linspace\"}", 3, SF_ERROR_UNSUPPORTED,
     "leading, trailing"},
};

START_TEST(what_a_solver_lacks_is_refused) {
    const sf_sampler_options options = {
        .sampler = refused[_i].sampler, .eta = -1, .n_steps = refused[_i].n_steps};
    sf_sampler *sampler = NULL;
    ck_fails(ctx, sampling_new(ctx, refused[_i].json, &options, &sampler), refused[_i].status,
             refused[_i].part);
    ck_assert_ptr_null(sampler);
}
END_TEST

#define N(table) (int)(sizeof table / sizeof table[0])

Suite *suite_samplers_solvers(void) {
    Suite *suite = suite_create("samplers_solvers");
    TCase *properties = tcase_create("properties");
    tcase_add_checked_fixture(properties, setup, teardown);
    tcase_add_loop_test(properties, a_perfect_model_is_followed, 0, N(perfect));
    tcase_add_loop_test(properties, errors_fall_with_the_order, 0, N(orders));
    tcase_add_loop_test(properties, noise_keeps_mean_and_deviation, 0, N(stochastic));
    tcase_add_test(properties, ddim_undoes_its_inverse);
    tcase_add_loop_test(properties, what_a_solver_lacks_is_refused, 0, N(refused));
    suite_add_tcase(suite, properties);
    return suite;
}
