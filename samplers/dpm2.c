/*
 * DPM2 and its ancestral form: the midpoint method in sigma space, the middle taken in log sigma. Lu
 * et al. 2022, "DPM-Solver: a fast ODE solver for diffusion probabilistic model sampling in around 10
 * steps", algorithm 1 in the form of Karras et al. 2022, algorithm 2; k-diffusion.
 *
 *   m  = sqrt(sigma down)                 down: the next level, or that of an ancestral step
 *   y  = x + (m - sigma) (x - x_0) / sigma
 *   x' = x + (down - sigma) (y - y_0) / m [+ up z]
 *
 * The last step, to 0, is Euler's. After the first of a step's evaluations the sample is y. As
 * KDPM2DiscreteScheduler and KDPM2AncestralDiscreteScheduler of diffusers 0.42.1.
 */
#include <math.h>

#include "samplers/sigma_space.h"

static void set_defaults(sf_scheduler_settings *settings) {
    settings->beta_start = 0.00085;
    settings->beta_end = 0.012;
    settings->timestep_spacing = SF_SPACING_linspace;
}

/* sqrt(from to), rounded as torch.lerp of the logarithms. */
static float middle_of(float from, float to) {
    float start = (float)log((double)from), end = (float)log((double)to);
    return (float)exp((double)(start - (start - end) * 0.5f));
}

static float ancestral_middle_of(float from, float to) {
    float start = (float)log((double)from);
    float end = (float)log((double)sf_sigma_ancestral(from, to).down);
    return (float)exp((double)(end - (end - start) * 0.5f));
}

/* The files of diffusers have the last sigma, 0, three times. Karras timesteps are rounded. */
static sf_status begin_with(sf_sampler *sampler, float (*middle)(float from, float to)) {
    SF_TRY(sf_sigma_begin_twice(sampler, middle, 3));
    for (int k = 0; k < sampler->n_timesteps; k += 2)
        if (sampler->schedule == &sf_sigma_schedule_karras)
            sampler->timesteps[k] = rint(sampler->timesteps[k]);
    return SF_OK;
}

static sf_status begin(sf_sampler *sampler) {
    return begin_with(sampler, middle_of);
}

static sf_status begin_ancestral(sf_sampler *sampler) {
    return begin_with(sampler, ancestral_middle_of);
}

/* down: where the step's second half ends. */
static sf_status move(sf_sampler *sampler, const sf_sigma_step *at, float down,
                      const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE], *start = sampler->kept[0];
    sf_device_tensor *derivative = sampler->work[SF_WORK_DENOISED];
    SF_TRY(sf_sigma_derivative(sampler, at->is_second ? at->middle : at->from, model_output));
    if (at->is_second)
        return sf_sampler_add_scaled(sampler, x, start, down - at->from, derivative);
    SF_TRY(sf_sampler_scale(sampler, start, 1, x));
    return sf_sampler_add_scaled(sampler, x, x, at->middle - at->from, derivative);
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_sigma_step at = sf_sigma_step_of(sampler, evaluation);
    return move(sampler, &at, at.to, model_output);
}

static sf_status step_ancestral(sf_sampler *sampler, int evaluation,
                                const sf_device_tensor *model_output) {
    sf_sigma_step at = sf_sigma_step_of(sampler, evaluation);
    sf_ancestral part = sf_sigma_ancestral(at.from, at.to);
    SF_TRY(move(sampler, &at, part.down, model_output));
    return at.is_second ? sf_sigma_add_noise(sampler, part.up) : SF_OK;
}

static const char *const aliases[] = {"kdpm2", "k_dpm_2", NULL};
static const char *const ancestral_aliases[] = {"dpm2_ancestral", "kdpm2_a", "kdpm2_ancestral",
                                                "k_dpm_2_a", NULL};

#define OPTIONS                                                                                    \
    (SF_SIGMA_OPTIONS | SF_SIGMA_SCHEDULES | SF_OPTION(sigma_min) | SF_OPTION(sigma_max))

const sf_sampler_class sf_sampler_dpm2 = {
    .info =
        {
            .name = "dpm2",
            .title = "DPM2",
            .class_name = "KDPM2DiscreteScheduler",
            .description = "midpoint method, second order, asks the model twice a step",
            .order = 2,
            .evaluations_per_step = 2,
            .stochastic = 0,
            .least_steps = 10,
            .most_steps = 20,
        },
    .options = OPTIONS,
    .choices = {[SF_OPTION_beta_schedule] = SF_SIGMA_BETAS,
                [SF_OPTION_prediction_type] = SF_SIGMA_PREDICTIONS},
    .n_kept = 1,
    .aliases = aliases,
    .set_defaults = set_defaults,
    .begin = begin,
    .input_scale = sf_sigma_input_scale,
    .step = step,
};

const sf_sampler_class sf_sampler_dpm2_a = {
    .info =
        {
            .name = "dpm2_a",
            .title = "DPM2 a",
            .class_name = "KDPM2AncestralDiscreteScheduler",
            .description = "DPM2 with fresh noise in each step",
            .order = 2,
            .evaluations_per_step = 2,
            .stochastic = 1,
            .least_steps = 15,
            .most_steps = 30,
        },
    .options = OPTIONS,
    .choices = {[SF_OPTION_beta_schedule] = SF_SIGMA_BETAS,
                [SF_OPTION_prediction_type] = SF_SIGMA_PREDICTIONS},
    .n_kept = 1,
    .aliases = ancestral_aliases,
    .set_defaults = set_defaults,
    .begin = begin_ancestral,
    .input_scale = sf_sigma_input_scale,
    .step = step_ancestral,
};
