/*
 * Heun's method in sigma space: Karras et al. 2022, "Elucidating the design space of diffusion-based
 * generative models", algorithm 1 (2 without churn).
 *
 *   d   = (x - x_0) / sigma             x_0 from the model at x, sigma
 *   y   = x + (sigma' - sigma) d        Euler's step
 *   d'  = (y - y_0) / sigma'            y_0 from the model at y, sigma'
 *   x'  = x + (sigma' - sigma) (d + d') / 2
 *
 * The last step, to sigma' 0, is Euler's. After the first of a step's evaluations the sample is y.
 * As HeunDiscreteScheduler of diffusers 0.42.1.
 */
#include "samplers/sigma_space.h"

enum { START, FIRST_DERIVATIVE, N_KEPT };

static void set_defaults(sf_scheduler_settings *settings) {
    settings->beta_start = 0.00085;
    settings->beta_end = 0.012;
    settings->timestep_spacing = SF_SPACING_linspace;
    settings->clip_sample = false;
}

static sf_status begin(sf_sampler *sampler) {
    return sf_sigma_begin_twice(sampler, NULL, 1);
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *derivative = sampler->work[SF_WORK_DENOISED];
    sf_device_tensor *start = sampler->kept[START], *first = sampler->kept[FIRST_DERIVATIVE];
    sf_sigma_step at = sf_sigma_step_of(sampler, evaluation);
    float sigma = at.is_second ? at.to : at.from;
    SF_TRY(sf_sigma_predict_denoised(sampler, sigma, model_output, derivative));
    SF_TRY(sf_sampler_clip(sampler, derivative));
    SF_TRY(sf_sigma_slope(sampler, sigma, derivative));
    if (at.is_second) {
        SF_TRY(sf_sampler_add_scaled(sampler, derivative, first, 1, derivative));
        SF_TRY(sf_sampler_scale(sampler, derivative, 0.5f, derivative));
        return sf_sampler_add_scaled(sampler, x, start, at.to - at.from, derivative);
    }
    SF_TRY(sf_sampler_scale(sampler, start, 1, x));
    SF_TRY(sf_sampler_scale(sampler, first, 1, derivative));
    return sf_sampler_add_scaled(sampler, x, x, at.to - at.from, derivative);
}

static const char *const aliases[] = {"k_heun", NULL};

const sf_sampler_class sf_sampler_heun = {
    .info =
        {
            .name = "heun",
            .title = "Heun",
            .class_name = "HeunDiscreteScheduler",
            .description = "second order, asks the model twice a step, 10 to 20 steps",
            .order = 2,
            .evaluations_per_step = 2,
            .stochastic = 0,
        },
    .options = SF_SIGMA_OPTIONS | SF_SIGMA_SCHEDULES | SF_OPTION(sigma_min) | SF_OPTION(sigma_max) |
               SF_OPTION(clip_sample) | SF_OPTION(clip_sample_range),
    .choices = {[SF_OPTION_beta_schedule] = SF_SIGMA_BETAS | SF_BIT(SF_BETA_exp),
                [SF_OPTION_prediction_type] = SF_SIGMA_PREDICTIONS | SF_BIT(SF_PREDICTION_sample)},
    .n_kept = N_KEPT,
    .aliases = aliases,
    .set_defaults = set_defaults,
    .begin = begin,
    .input_scale = sf_sigma_input_scale,
    .step = step,
};
