/*
 * DPM fast: DPM-Solver of orders 1 to 3 in steps that need n evaluations together. Lu et al. 2022,
 * "DPM-Solver: a fast ODE solver for diffusion probabilistic model sampling in around 10 steps",
 * algorithms 1 and 2 and section 3.4, where alpha is 1 and t = -log sigma; k-diffusion's
 * sample_dpm_fast.
 *
 * n div 3 + 1 steps of equal length h: all of order 3, but the last of order n mod 3, or the last two
 * of orders 2 and 1. With e(x, t) = (x - x_0) / sigma and E(s) = sigma(t + s h) (e^(s h) - 1):
 *
 *   order 1   x' = x - E(1) e
 *   order 2   u  = x - E(1/2) e
 *             x' = x - E(1) e(u)
 *   order 3   u  = x - E(1/3) e
 *             v  = x - E(2/3) e - 2 sigma(t + 2h/3) ((e^(2h/3) - 1) / (2h/3) - 1) (e(u) - e)
 *             x' = x - E(1) e - 3/2 sigma(t + h) ((e^h - 1) / h - 1) (e(v) - e)
 *
 * It begins at the first level of the schedule and ends at its last but 0, where k-diffusion leaves
 * the sample. Evaluations are counted as steps. diffusers has no such class.
 */
#include <math.h>

#include "core/memory.h"
#include "samplers/sigma_space.h"

/* Where an evaluation is. */
typedef struct place {
    int step, order, stage; /* from 0, but order */
} place;

static place place_of(int n, int evaluation) {
    int n_threes = n % 3 ? n / 3 : n / 3 - 1, rest = evaluation - 3 * n_threes;
    if (rest < 0)
        return (place){.step = evaluation / 3, .order = 3, .stage = evaluation % 3};
    if (n % 3)
        return (place){.step = n_threes, .order = n % 3, .stage = rest};
    return rest < 2 ? (place){.step = n_threes, .order = 2, .stage = rest}
                    : (place){.step = n_threes + 1, .order = 1, .stage = 0};
}

static sf_status begin(sf_sampler *sampler) {
    int n = sampler->n_steps, n_steps = n / 3 + 1;
    double *timesteps, *sigmas;
    sampler->n_steps = n > 1 ? n : 2; /* one level has no length */
    SF_TRY(sf_sigma_begin(sampler));
    sampler->n_steps = n;
    double start = -log(sampler->sigmas[0]), end = -log(sampler->sigmas[sampler->n_sigmas - 2]);
    double h = (end - start) / n_steps;
    SF_TRY(sf_sigma_room(sampler, n, n + 1, &timesteps, &sigmas));
    for (int k = 0; k < n; k++) {
        place at = place_of(n, k);
        double time = start + h * (at.step + (double)at.stage / at.order);
        sigmas[k] = k == 0 ? sampler->sigmas[0] : (double)(float)exp(-time);
    }
    sigmas[n] = sampler->sigmas[sampler->n_sigmas - 2];
    sf_sigma_replace(sampler, timesteps, n, sigmas, n + 1);
    return sf_sigma_timesteps(sampler->ctx, &sampler->alphas, n, sigmas, timesteps);
}

/* out = start - sigma (e^length - 1) e */
static sf_status move(sf_sampler *sampler, double sigma, double length, const sf_device_tensor *e) {
    return sf_sampler_add_scaled(sampler, sampler->work[SF_WORK_SAMPLE], sampler->kept[0],
                                 (float)(-sigma * expm1(length)), e);
}

/* The same, and - factor sigma ((e^length - 1) / length - 1) (answer - e) */
static sf_status correct(sf_sampler *sampler, double sigma, double length, double factor,
                         sf_device_tensor *answer) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE], *e = sampler->kept[1];
    SF_TRY(sf_sampler_add_scaled(sampler, answer, answer, -1, e));
    SF_TRY(move(sampler, sigma, length, e));
    return sf_sampler_add_scaled(sampler, x, x,
                                 (float)(-factor * sigma * (expm1(length) / length - 1)), answer);
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *e = sampler->work[SF_WORK_DENOISED];
    const double *sigmas = sampler->sigmas + evaluation;
    place at = place_of(sampler->n_timesteps, evaluation);
    double next = sigmas[1];
    double length = log(sigmas[-at.stage] / next); /* from the step's start to where x goes now */
    SF_TRY(sf_sigma_derivative(sampler, (float)sigmas[0], model_output));
    if (at.stage == 0) {
        SF_TRY(sf_sampler_scale(sampler, sampler->kept[0], 1, sampler->work[SF_WORK_SAMPLE]));
        SF_TRY(sf_sampler_scale(sampler, sampler->kept[1], 1, e));
    }
    if (at.stage == 0 || at.order == 2)
        return move(sampler, next, length, e);
    return correct(sampler, next, length, at.stage == 1 ? 2 : 1.5, e);
}

static const char *const aliases[] = {"k_dpm_fast", NULL};

const sf_sampler_class sf_sampler_dpm_fast = {
    .info =
        {
            .name = "dpm_fast",
            .title = "DPM fast",
            .class_name = "sample_dpm_fast",
            .description = "DPM-Solver of orders up to 3 with as many evaluations as steps",
            .order = 3,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 15,
            .most_steps = 30,
        },
    .options = SF_SIGMA_OTHER_OPTIONS,
    .choices = {[SF_OPTION_prediction_type] = SF_SIGMA_ALL_PREDICTIONS},
    .any_schedule = true,
    .n_kept = 2,
    .aliases = aliases,
    .set_defaults = sf_sigma_set_defaults,
    .begin = begin,
    .input_scale = sf_sigma_input_scale,
    .step = step,
};
