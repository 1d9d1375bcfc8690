/*
 * PNDM and PLMS: Liu et al. 2022, "Pseudo numerical methods for diffusion models on manifolds".
 *
 * With alpha = alphas_cumprod at t, alpha' at t', an answer e moves x from t to t' by eq. 11:
 *
 *   x' = sqrt(alpha' / alpha) x - (alpha' - alpha) e
 *          / (alpha sqrt(1 - alpha') + sqrt(alpha (1 - alpha) alpha'))
 *
 * where e is the noise or, of a v_prediction m, sqrt(alpha) m + sqrt(1 - alpha) x. With d = T div n:
 *
 *   PRK   the first three steps are of Runge and Kutta (eq. 13), four evaluations each, at t,
 *         t - d/2, t - d/2 and t - d, the first three of which move to the next's timestep; the last
 *         moves x by (e_1 + 2 e_2 + 2 e_3 + e_4) / 6
 *   PLMS  each step moves by Adams-Bashforth's sum of the last four answers (adams.h). Without PRK
 *         (skip_prk_steps) the first step is taken twice: to t - d by e_0, and again from t by the
 *         mean of e_0 and the answer e_1 there, which is not remembered; so n steps cost n + 1
 *
 * Past the last timestep alpha' is alphas_cumprod[0], or 1 with set_alpha_to_one. As PNDMScheduler of
 * diffusers 0.42.1.
 */
#include <math.h>

#include "core/memory.h"
#include "samplers/adams.h"

#define N_PRK     12 /* evaluations */
#define LEAST_PRK 4  /* steps */

/* kept[]: the last four answers, the sample where a step began, Runge and Kutta's sum. */
#define SAMPLE SF_ADAMS_MOST
#define SUM    (SF_ADAMS_MOST + 1)

static void set_defaults(sf_scheduler_settings *settings) {
    settings->set_alpha_to_one = false;
}

static int interval(const sf_sampler *sampler) {
    return sampler->settings.num_train_timesteps / sampler->n_steps;
}

/* ---- timesteps ---- */

/* Evaluation k's of PLMS alone: the second timestep twice. */
static double plms_timestep(const double *spaced, int k) {
    return spaced[k < 2 ? k : k - 1];
}

/* Evaluation k's with PRK: t, t - d/2, t - d/2, t - d as the next level's, three times; then PLMS. */
static double prk_timestep(const double *spaced, int half, int k) {
    int step = k / 4;
    if (k >= N_PRK)
        return spaced[k - N_PRK + 3];
    return k % 4 == 0 ? spaced[step] : k % 4 == 3 ? spaced[step + 1] : spaced[step + 1] + half;
}

static sf_status begin(sf_sampler *sampler) {
    bool prk = !sampler->settings.skip_prk_steps;
    double *spaced, *timesteps;
    int n, half = interval(sampler) / 2;
    if (prk && sampler->n_steps < LEAST_PRK)
        SF_FAIL(sampler->ctx, ERROR_ARGUMENT,
                "%d steps; %d or more are possible, or any number with skip_prk_steps (plms)",
                sampler->n_steps, LEAST_PRK);
    SF_TRY(sf_timesteps_in_table_new(sampler->ctx, &sampler->settings, &sampler->alphas,
                                     sampler->n_steps, &spaced, &n));
    int count = prk ? n - 3 + N_PRK : n > 1 ? n + 1 : n;
    timesteps = SF_NEW_ARRAY(sampler->ctx, double, (size_t)count);
    for (int k = 0; timesteps && k < count; k++)
        timesteps[k] = prk ? prk_timestep(spaced, half, k) : plms_timestep(spaced, k);
    sf_free(sampler->ctx, spaced);
    if (!timesteps)
        return SF_ERROR_MEMORY;
    sampler->timesteps = timesteps;
    sampler->n_timesteps = count;
    return SF_OK;
}

/* ---- steps ---- */

static sf_status alpha_at(const sf_sampler *sampler, int timestep, float *alpha) {
    const sf_alphas *alphas = &sampler->alphas;
    if (timestep >= alphas->count)
        SF_FAIL(sampler->ctx, ERROR_ARGUMENT, "timestep %d is outside the schedule's 0 to %d",
                timestep, alphas->count - 1);
    *alpha = timestep >= 0                        ? alphas->values[timestep]
             : sampler->settings.set_alpha_to_one ? 1
                                                  : alphas->values[0];
    return SF_OK;
}

/* Sets the sample to x, at timestep from, moved to timestep to by the answer, which is overwritten. */
static sf_status move(sf_sampler *sampler, const sf_device_tensor *x, int from, int to,
                      sf_device_tensor *answer) {
    sf_device_tensor *sample = sampler->work[SF_WORK_SAMPLE];
    float alpha, next;
    SF_TRY(alpha_at(sampler, from, &alpha));
    SF_TRY(alpha_at(sampler, to, &next));
    if (sampler->settings.prediction_type == SF_PREDICTION_v_prediction)
        SF_TRY(sf_sampler_combine(sampler, answer, sqrtf(alpha), answer, sqrtf(1 - alpha), x));
    float divisor = alpha * sqrtf(1 - next) + sqrtf(alpha * (1 - alpha) * next);
    SF_TRY(sf_sampler_scale(sampler, answer, next - alpha, answer));
    SF_TRY(sf_sampler_divide(sampler, answer, answer, divisor));
    SF_TRY(sf_sampler_scale(sampler, sample, sqrtf(next / alpha), x));
    return sf_sampler_add_scaled(sampler, sample, sample, -1, answer);
}

static sf_status keep_sample(sf_sampler *sampler) {
    return sf_sampler_scale(sampler, sampler->kept[SAMPLE], 1, sampler->work[SF_WORK_SAMPLE]);
}

static sf_status remember(sf_sampler *sampler, const sf_device_tensor *model_output) {
    sf_sampler_remember(sampler, SF_ADAMS_MOST);
    return sf_sampler_scale(sampler, sampler->kept[0], 1, model_output);
}

static sf_status prk_step(sf_sampler *sampler, int k, const sf_device_tensor *model_output) {
    sf_device_tensor *answer = sampler->work[SF_WORK_DENOISED], *sum = sampler->kept[SUM];
    const sf_device_tensor *used = model_output;
    int from = (int)sampler->timesteps[k - k % 4];
    int to = (int)sampler->timesteps[k] - (k % 2 ? 0 : interval(sampler) / 2);
    float weight = k % 4 == 0 || k % 4 == 3 ? (float)(1.0 / 6) : (float)(1.0 / 3);
    if (k % 4 == 0) {
        SF_TRY(sf_sampler_scale(sampler, sum, weight, model_output));
        SF_TRY(remember(sampler, model_output));
        SF_TRY(keep_sample(sampler));
    } else {
        SF_TRY(sf_sampler_add_scaled(sampler, sum, sum, weight, model_output));
    }
    if (k % 4 == 3)
        used = sum;
    SF_TRY(sf_sampler_scale(sampler, answer, 1, used));
    return move(sampler, sampler->kept[SAMPLE], from, to, answer);
}

/* The first step of PLMS alone a second time. */
static sf_status second_try(sf_sampler *sampler, const sf_device_tensor *model_output) {
    sf_device_tensor *answer = sampler->work[SF_WORK_DENOISED];
    int to = (int)sampler->timesteps[1];
    SF_TRY(sf_sampler_add_scaled(sampler, answer, model_output, 1, sampler->kept[0]));
    SF_TRY(sf_sampler_divide(sampler, answer, answer, 2));
    return move(sampler, sampler->kept[SAMPLE], to + interval(sampler), to, answer);
}

static sf_status step(sf_sampler *sampler, int k, const sf_device_tensor *model_output) {
    sf_device_tensor *answer = sampler->work[SF_WORK_DENOISED];
    bool prk = !sampler->settings.skip_prk_steps;
    int t = (int)sampler->timesteps[k];
    int n = prk || k > SF_ADAMS_MOST ? SF_ADAMS_MOST : k == 0 ? 1 : k; /* answers there are */
    if (prk && k < N_PRK)
        return prk_step(sampler, k, model_output);
    if (!prk && k == 1)
        return second_try(sampler, model_output);
    SF_TRY(remember(sampler, model_output));
    if (!prk && k == 0)
        SF_TRY(keep_sample(sampler));
    SF_TRY(sf_adams_sum(sampler, n, answer));
    return move(sampler, sampler->work[SF_WORK_SAMPLE], t, t - interval(sampler), answer);
}

/* ---- by name ---- */

static void insist_pndm(sf_scheduler_settings *settings) {
    settings->skip_prk_steps = false;
}

static void insist_plms(sf_scheduler_settings *settings) {
    settings->skip_prk_steps = true;
}

#define PNDM                                                                                       \
    .options = SF_OPTION(num_train_timesteps) | SF_OPTION(beta_start) | SF_OPTION(beta_end) |      \
               SF_OPTION(beta_schedule) | SF_OPTION(trained_betas) | SF_OPTION(prediction_type) |  \
               SF_OPTION(timestep_spacing) | SF_OPTION(steps_offset) |                             \
               SF_OPTION(set_alpha_to_one) | SF_OPTION(skip_prk_steps),                            \
    .choices =                                                                                     \
        {                                                                                          \
            [SF_OPTION_beta_schedule] = SF_BIT(SF_BETA_linear) | SF_BIT(SF_BETA_scaled_linear) |   \
                                        SF_BIT(SF_BETA_squaredcos_cap_v2),                         \
            [SF_OPTION_prediction_type] =                                                          \
                SF_BIT(SF_PREDICTION_epsilon) | SF_BIT(SF_PREDICTION_v_prediction),                \
    },                                                                                             \
    .n_kept = SUM + 1, .set_defaults = set_defaults, .begin = begin, .step = step

const sf_sampler_class sf_sampler_pndm = {
    .info =
        {
            .name = "pndm",
            .title = "PNDM",
            .class_name = "PNDMScheduler",
            .description = "three steps of Runge and Kutta, then PLMS; n + 9 evaluations",
            .order = 4,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 20,
            .most_steps = 50,
        },
    .insist = insist_pndm,
    PNDM,
};

const sf_sampler_class sf_sampler_plms = {
    .info =
        {
            .name = "plms",
            .title = "PLMS",
            .class_name = "PNDMScheduler",
            .description = "linear multistep, the first of Stable Diffusion's; n + 1 evaluations",
            .order = 4,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 20,
            .most_steps = 50,
        },
    .insist = insist_plms,
    PNDM,
};
