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

static void set_defaults(sf_scheduler_settings *settings) {
    settings->beta_start = 0.00085;
    settings->beta_end = 0.012;
    settings->timestep_spacing = SF_SPACING_linspace;
    settings->clip_sample = false;
}

static sf_status begin(sf_sampler *sampler) {
    return sf_sigma_begin_twice(sampler, NULL, 1);
}

static const char *const aliases[] = {"k_heun", NULL};

const sf_sampler_class sf_sampler_heun = {
    .info =
        {
            .name = "heun",
            .title = "Heun",
            .class_name = "HeunDiscreteScheduler",
            .description = "second order, asks the model twice a step",
            .order = 2,
            .evaluations_per_step = 2,
            .stochastic = 0,
            .least_steps = 10,
            .most_steps = 20,
        },
    .options = SF_SIGMA_OPTIONS | SF_SIGMA_SCHEDULES | SF_OPTION(sigma_min) | SF_OPTION(sigma_max) |
               SF_OPTION(clip_sample) | SF_OPTION(clip_sample_range),
    .choices = {[SF_OPTION_beta_schedule] = SF_SIGMA_BETAS | SF_BIT(SF_BETA_exp),
                [SF_OPTION_prediction_type] = SF_SIGMA_PREDICTIONS | SF_BIT(SF_PREDICTION_sample)},
    .takes = SF_TAKES_TIMESTEPS,
    .n_kept = SF_HEUN_KEPT,
    .aliases = aliases,
    .set_defaults = set_defaults,
    .begin = begin,
    .input_scale = sf_sigma_input_scale,
    .step = sf_sigma_heun_step,
};
