/*
 * What the literature says must hold, for every sampler of the list but adaptive ones, whose error is
 * not their steps' (test_adaptive.c): on data that are normally
 * distributed the score is known in closed form, so are the paths of the probability flow, and any
 * sampler is an affine map of its noise.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/memory.h"
#include "core/rng.h"
#include "samplers/class.h"
#include "tests/backends/gpu/opencl_test.h"
#include "tests/support/backends.h"
#include "tests/support/sampling.h"
#include "tests/support/support.h"

Suite *suite_samplers_literature(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

static const sf_sampler_info *sampler_info(int i) {
    int n;
    return sf_sampler_list(&n)[i];
}

static int n_samplers(void) {
    int n;
    sf_sampler_list(&n);
    return n;
}

/* ---- a training schedule whose timesteps are even in log sigma ---- */

#define T          960
#define SIGMA_LOW  0.003
#define SIGMA_HIGH 10.0

/*
 * Then n steps that divide T are even in what the methods integrate over, so that their error is a
 * power of n from few steps on.
 */
static void write_config(const char *spacing, char *json, size_t bytes) {
    double previous = 1;
    size_t used = (size_t)snprintf(
        json, bytes,
        "{\"num_train_timesteps\": %d, \"sigma_min\": %g, \"timestep_spacing\": \"%s\", "
        "\"clip_sample\": false, \"clip_denoised\": false, \"original_inference_steps\": 480, "
        "\"trained_betas\": [",
        T, SIGMA_LOW, spacing);
    for (int t = 0; t < T; t++) {
        double sigma = SIGMA_LOW * pow(SIGMA_HIGH / SIGMA_LOW, (double)t / (T - 1));
        double alpha = 1 / (sigma * sigma + 1);
        used += (size_t)snprintf(json + used, bytes - used, "%s%.9g", t ? "," : "",
                                 1 - alpha / previous);
        previous = alpha;
    }
    snprintf(json + used, bytes - used, "]}");
}

/* iPNDM takes one beta for each step of a run, so that it is not on this schedule. */
static bool is_elsewhere(const char *name) {
    const sf_sampler_class *class = sf_sampler_class_find(name);
    return (class->options & SF_OPTION(trained_betas)) && !(class->options & SF_OPTION(beta_start));
}

/* ---- data of mean MEAN and deviation DEVIATION ---- */

#define MEAN      0.7
#define DEVIATION 0.8

struct gaussian {
    bool ideal;                 /* the answer is where the flow's path ends, not the data's mean */
    double path[SAMPLING_SIZE]; /* deviations from the mean at the start, which paths keep */
    int first, n_first;         /* draws [first, first + n_first) are unit noise of one element */
};

/* The clean sample that is expected at x = a x_0 + b z. */
static void gaussian_model(void *user, const sf_sampler *sampler, const sf_evaluation *evaluation,
                           const float *model_input, float *m) {
    struct gaussian *data = user;
    double a, b;
    sampling_level(sampler, evaluation, &a, &b);
    double spread = sqrt(a * a * DEVIATION * DEVIATION + b * b);
    for (int i = 0; i < SAMPLING_SIZE; i++) {
        double deviations = ((double)model_input[i] - a * MEAN) / spread;
        double share = data->ideal ? 1 : a * DEVIATION / spread;
        if (evaluation->index == 0)
            data->path[i] = deviations;
        m[i] = (float)sampling_answer(sampler, evaluation, (double)model_input[i],
                                      MEAN + share * DEVIATION * deviations);
    }
}

static void unit_noise(void *user, int draw, float *noise) {
    const struct gaussian *data = user;
    if (draw >= data->first && draw < data->first + data->n_first)
        noise[draw - data->first] = 1;
}

/* ---- order ---- */

/* The largest error of n steps, along all paths. */
static double error_of(const char *name, const char *json, int n_steps) {
    float noise[SAMPLING_SIZE], sample[SAMPLING_SIZE];
    struct gaussian data = {.n_first = 0};
    struct sampling run = {
        .ctx = ctx,
        .config = json,
        .options = {.sampler = name, .eta = 0, .n_steps = n_steps},
        .model = gaussian_model,
        .noise = unit_noise,
        .user = &data,
    };
    double worst = 0;
    sampling_random(77, noise);
    ck_ok(ctx, sampling_run(&run, noise, sample));
    for (int i = 0; i < SAMPLING_SIZE; i++)
        worst = fmax(worst, fabs((double)sample[i] - (MEAN + DEVIATION * data.path[i])));
    return worst;
}

/* Inversion goes from the clean sample to noise. */
static bool goes_up(const char *name, const char *json) {
    const sf_sampler_options options = {.sampler = name, .eta = -1, .n_steps = 20};
    sf_sampler *sampler;
    ck_ok(ctx, sampling_new(ctx, json, &options, &sampler));
    bool up = sf_sampler_timestep(sampler, 0) <
              sf_sampler_timestep(sampler, sf_sampler_n_evaluations(sampler) - 1);
    sf_sampler_free(sampler);
    return up;
}

/*
 * Doubling the steps divides the error by 2^order. Asked of one pair at least, since f32 and the last
 * step, from SIGMA_LOW to 0, leave an error of about 1e-5; half an order less is allowed, and of
 * orders above 2, whose first and last steps are of lower order, that of 2.
 */
START_TEST(the_error_falls_with_the_order) {
    static char json[32768];
    const sf_sampler_info *info = sampler_info(_i);
    double errors[4], best = 0;
    write_config("leading", json, sizeof json);
    if (info->stochastic || info->adaptive || info->kind == SF_SAMPLER_CONSISTENCY ||
        info->kind == SF_SAMPLER_INVERSION || is_elsewhere(info->name) || goes_up(info->name, json))
        return;
    for (int k = 0; k < 4; k++) {
        errors[k] = error_of(info->name, json, 20 << k);
        if (k > 0 && errors[k] > 1e-6)
            best = fmax(best, log2(errors[k - 1] / errors[k]));
    }
    double wanted = (info->order < 2 ? info->order : 2) - 0.5;
    if (getenv("SF_TEST_VERBOSE"))
        printf("%-16s order %d: %.2f, errors %.3g %.3g %.3g %.3g\n", info->name, info->order, best,
               errors[0], errors[1], errors[2], errors[3]),
            fflush(stdout);
    ck_assert_msg(best >= wanted || errors[1] < 3e-5,
                  "%s claims order %d: %.2f, errors %.3g %.3g %.3g %.3g", info->name, info->order,
                  best, errors[0], errors[1], errors[2], errors[3]);
    ck_assert_msg(errors[3] < 0.03, "%s: %.3g off with 160 steps", info->name, errors[3]);
}
END_TEST

/* ---- backends ---- */

static void random_noise(void *user, int draw, float *noise) {
    (void)user;
    sampling_random(1000 + (unsigned)draw, noise);
}

static void run_on(sf_context *context, const char *name, const char *json, float *sample) {
    float noise[SAMPLING_SIZE];
    struct gaussian data = {.n_first = 0};
    struct sampling run = {
        .ctx = context,
        .config = json,
        .options = {.sampler = name, .eta = -1, .n_steps = 10},
        .model = gaussian_model,
        .noise = random_noise,
        .user = &data,
    };
    sampling_random(78, noise);
    ck_ok(context, sampling_run(&run, noise, sample));
}

/* 1e-5 of what is computed with: x at SIGMA_HIGH is 10 and more. */
static void check_on(sf_context *context, const char *backend, const char *name) {
    static char json[32768];
    float wanted[SAMPLING_SIZE], found[SAMPLING_SIZE];
    write_config("leading", json, sizeof json);
    run_on(ctx, name, json, wanted);
    run_on(context, name, json, found);
    for (int i = 0; i < SAMPLING_SIZE; i++)
        ck_assert_msg(fabsf(found[i] - wanted[i]) <= 1e-5f * fmaxf(fabsf(wanted[i]), 10),
                      "%s on %s: %.9g, not %.9g", name, backend, (double)found[i],
                      (double)wanted[i]);
}

START_TEST(all_backends_agree) {
    for (int k = 0; k < test_n_backends() && !is_elsewhere(sampler_info(_i)->name); k++) {
        sf_context *context = test_context_on(k);
        check_on(context, test_backend_name(k), sampler_info(_i)->name);
        test_context_free(context);
    }
}
END_TEST

/* One context for all: a driver takes its time to start. */
START_TEST(opencl_agrees) {
    sf_context *context = opencl_context(1);
    for (int i = 0; i < n_samplers(); i++)
        if (!is_elsewhere(sampler_info(i)->name))
            check_on(context, "opencl", sampler_info(i)->name);
    sf_context_free(context);
}
END_TEST

/* ---- mean and variance ---- */

/*
 * The end is c + w_0 noise + sum w_k z_k: c from a run without noise, the weights from runs in which
 * element i of the tensor has a unit of draw first + i alone. Sets the variance and c.
 */
static void moments_of(const char *name, const char *json, double eta, int n_steps, bool ideal,
                       double *mean, double *variance) {
    float noise[SAMPLING_SIZE] = {0}, sample[SAMPLING_SIZE];
    struct gaussian data = {.ideal = ideal};
    struct sampling run = {
        .ctx = ctx,
        .config = json,
        .options = {.sampler = name, .eta = eta, .n_steps = n_steps},
        .model = gaussian_model,
        .noise = unit_noise,
        .user = &data,
    };
    ck_ok(ctx, sampling_run(&run, noise, sample));
    *mean = (double)sample[0];
    int n_draws = run.n_draws;
    noise[0] = 1;
    ck_ok(ctx, sampling_run(&run, noise, sample));
    *variance = pow((double)sample[0] - *mean, 2);
    noise[0] = 0;
    data.n_first = SAMPLING_SIZE;
    for (; data.first < n_draws; data.first += SAMPLING_SIZE) {
        run.n_draws = 0;
        ck_ok(ctx, sampling_run(&run, noise, sample));
        for (int i = 0; i < SAMPLING_SIZE && data.first + i < n_draws; i++)
            *variance += pow((double)sample[i] - *mean, 2);
    }
}

/*
 * Methods that draw noise lead to the distribution of the data: those for models of diffusion with
 * many steps, those for consistency models, of which an ideal one is asked, with any number.
 */
START_TEST(noise_leads_to_the_distribution) {
    static char json[32768];
    const sf_sampler_info *info = sampler_info(_i);
    const sf_sampler_class *class = sf_sampler_class_find(info->name);
    bool ideal = info->kind == SF_SAMPLER_CONSISTENCY || info->kind == SF_SAMPLER_FLOW;
    double mean, variance;
    write_config("trailing", json, sizeof json); /* begins at the noisiest */
    if ((!info->stochastic && !class->has_eta) || info->adaptive || is_elsewhere(info->name))
        return;
    moments_of(info->name, json, class->has_eta ? 1 : -1, ideal ? 8 : 320, ideal, &mean, &variance);
    if (getenv("SF_TEST_VERBOSE"))
        printf("%-16s mean %.4f, deviation %.4f\n", info->name, mean, sqrt(variance)),
            fflush(stdout);
    ck_assert_msg(fabs(mean - MEAN) < 0.02, "%s: mean %g, not %g", info->name, mean, MEAN);
    ck_assert_msg(fabs(sqrt(variance) / DEVIATION - 1) < 0.03, "%s: deviation %g, not %g",
                  info->name, sqrt(variance), DEVIATION);
}
END_TEST

/* ---- DDPM's posterior ---- */

struct posterior {
    int asked_at;    /* the model answers 1 at that evaluation, else 0 */
    double at[1000]; /* the first element after each step */
};

static void answer_at(void *user, const sf_sampler *sampler, const sf_evaluation *evaluation,
                      const float *model_input, float *m) {
    (void)sampler, (void)model_input;
    if (((struct posterior *)user)->asked_at == evaluation->index)
        m[0] = 1;
}

static void keep(void *user, const sf_evaluation *evaluation, const float *sample) {
    ((struct posterior *)user)->at[evaluation->index] = (double)sample[0];
}

static void run_ddpm(struct posterior *found, float start) {
    float noise[SAMPLING_SIZE] = {start}, sample[SAMPLING_SIZE];
    struct sampling run = {
        .ctx = ctx,
        .config = "{\"prediction_type\": \"sample\", \"clip_sample\": false}",
        .options = {.sampler = "ddpm", .eta = -1, .n_steps = 1000},
        .model = answer_at,
        .after = keep,
        .user = found,
    };
    ck_ok(ctx, sampling_run(&run, noise, sample));
}

/*
 * Ho et al. 2020, eq. 7, the linear schedule from 1e-4 to 0.02 in f64:
 *
 *   mean = sqrt(alpha_bar') beta / (1 - alpha_bar) x_0 + sqrt(alpha) (1 - alpha_bar') / (1 - alpha_bar) x
 */
START_TEST(ddpm_has_the_posterior_mean) {
    static const int timesteps[] = {999, 700, 500, 300, 100, 1};
    struct posterior plain = {.asked_at = -1}, asked;
    double bars[1000], product = 1;
    for (int t = 0; t < 1000; t++)
        bars[t] = product *= 1 - (1e-4 + (0.02 - 1e-4) * t / 999);
    run_ddpm(&plain, 1);
    for (size_t i = 0; i < sizeof timesteps / sizeof *timesteps; i++) {
        int t = timesteps[i], k = 999 - t;
        double alpha = bars[t] / bars[t - 1], rest = 1 - bars[t];
        double of_clean = sqrt(bars[t - 1]) * (1 - alpha) / rest;
        double of_sample = sqrt(alpha) * (1 - bars[t - 1]) / rest;
        asked = (struct posterior){.asked_at = k};
        run_ddpm(&asked, 0);
        double sample_factor = plain.at[k] / (k ? plain.at[k - 1] : 1);
        /* alpha_bar is f32: 1 - alpha_bar at t = 1 has four digits */
        ck_assert_msg(fabs(asked.at[k] / of_clean - 1) < 2e-3, "t %d: x_0's %.9g, not %.9g", t,
                      asked.at[k], of_clean);
        ck_assert_msg(fabs(sample_factor / of_sample - 1) < 2e-3, "t %d: x's %.9g, not %.9g", t,
                      sample_factor, of_sample);
    }
}
END_TEST

/* ---- noising ---- */

/* x_t of unit data has unit variance at every timestep (Song et al. 2021, section 3.4: VP). */
START_TEST(noising_keeps_the_variance) {
    enum { N = 20000 };
    static float data[N], noise[N];
    sf_scheduler_config config = {0};
    sf_scheduler_settings settings;
    sf_alphas alphas;
    sf_rng rng;
    sf_rng_seed(&rng, SF_RNG_TORCH, 5);
    sf_rng_normal(&rng, data, N);
    sf_rng_normal(&rng, noise, N);
    ck_ok(ctx, sf_scheduler_config_parse(ctx, "test.json", "{}", 2, &config));
    ck_ok(ctx, sf_scheduler_settings_read(ctx, &config, &sf_sampler_ddpm, &settings));
    ck_ok(ctx, sf_alphas_new(ctx, &settings, &alphas));
    for (int t = 0; t < 1000; t += 111) {
        double a = sqrt((double)alphas.values[t]), b = sqrt(1 - (double)alphas.values[t]), sum = 0;
        for (int i = 0; i < N; i++)
            sum += pow(a * (double)data[i] + b * (double)noise[i], 2);
        /* the deviation of a variance of N numbers: sqrt(2 / N) = 0.01 */
        ck_assert_msg(fabs(sum / N - 1) < 0.04, "t %d: %g", t, sum / N);
    }
    sf_free(ctx, alphas.values);
    sf_scheduler_settings_clear(ctx, &settings);
    sf_scheduler_config_clear(&config);
}
END_TEST

Suite *suite_samplers_literature(void) {
    Suite *suite = suite_create("samplers_literature");
    TCase *tcase = tcase_create("literature");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, the_error_falls_with_the_order, 0, n_samplers());
    tcase_add_loop_test(tcase, noise_leads_to_the_distribution, 0, n_samplers());
    tcase_add_loop_test(tcase, all_backends_agree, 0, n_samplers());
    opencl_add_test(tcase, opencl_agrees, 1);
    tcase_add_test(tcase, ddpm_has_the_posterior_mean);
    tcase_add_test(tcase, noising_keeps_the_variance);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return suite;
}
