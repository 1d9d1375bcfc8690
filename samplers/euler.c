/*
 * Euler's method in sigma space: Karras et al. 2022, "Elucidating the design space of
 * diffusion-based generative models", algorithm 2 without churn.
 *
 * With x_0 the clean sample that the model's answer means (sigma_space.h) and sigma' the next level:
 *
 *   d  = (x - x_0) / sigma
 *   x' = x + (sigma' - sigma) d
 *
 * As EulerDiscreteScheduler of diffusers 0.42.1.
 */
#include "samplers/sigma_space.h"

static void set_defaults(sf_scheduler_settings *settings) {
    settings->timestep_spacing = SF_SPACING_linspace;
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    const double *sigmas = sampler->sigmas + evaluation;
    return sf_sigma_euler_step(sampler, (float)sigmas[0], (float)sigmas[1], model_output);
}

const sf_sampler_class sf_sampler_euler = {
    .info =
        {
            .name = "euler",
            .title = "Euler",
            .class_name = "EulerDiscreteScheduler",
            .description = "the plain method for the probability flow's equation, 20 to 30 steps",
            .order = 1,
            .evaluations_per_step = 1,
            .stochastic = 0,
        },
    .options = SF_SIGMA_OPTIONS | SF_SIGMA_SCHEDULES | SF_OPTION(rescale_betas_zero_snr) |
               SF_OPTION(timestep_type) | SF_OPTION(interpolation_type) | SF_OPTION(sigma_min) |
               SF_OPTION(sigma_max) | SF_OPTION(final_sigmas_type),
    .choices = {[SF_OPTION_beta_schedule] = SF_SIGMA_BETAS},
    .set_defaults = set_defaults,
    .begin = sf_sigma_begin,
    .input_scale = sf_sigma_input_scale,
    .step = step,
};
