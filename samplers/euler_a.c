/*
 * Euler's method with ancestral noise: Katherine Crowson's k-diffusion, on the equations of Karras et
 * al. 2022, "Elucidating the design space of diffusion-based generative models".
 *
 * A step goes down further than to the next level sigma' and adds the rest as fresh noise z, so that
 * the sum has the variance of the reverse process (sigma_space.h: up and down):
 *
 *   d  = (x - x_0) / sigma
 *   x' = x + (down - sigma) d + up z
 *
 * As EulerAncestralDiscreteScheduler of diffusers 0.42.1.
 */
#include "samplers/sigma_space.h"

static void set_defaults(sf_scheduler_settings *settings) {
    settings->timestep_spacing = SF_SPACING_linspace;
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    float sigma = (float)sampler->sigmas[evaluation];
    sf_ancestral part = sf_sigma_ancestral(sigma, (float)sampler->sigmas[evaluation + 1]);
    SF_TRY(sf_sigma_euler_step(sampler, sigma, part.down, model_output));
    return sf_sigma_add_noise(sampler, part.up);
}

static const char *const aliases[] = {"euler_ancestral", "k_euler_a", NULL};

const sf_sampler_class sf_sampler_euler_a = {
    .info =
        {
            .name = "euler_a",
            .title = "Euler a",
            .class_name = "EulerAncestralDiscreteScheduler",
            .description = "Euler with fresh noise in each step: varied pictures",
            .order = 1,
            .evaluations_per_step = 1,
            .stochastic = 1,
            .least_steps = 20,
            .most_steps = 40,
        },
    .options = SF_SIGMA_OPTIONS | SF_OPTION(rescale_betas_zero_snr),
    .choices = {[SF_OPTION_beta_schedule] = SF_SIGMA_BETAS,
                [SF_OPTION_prediction_type] = SF_SIGMA_PREDICTIONS},
    .any_schedule = true,
    .aliases = aliases,
    .set_defaults = set_defaults,
    .begin = sf_sigma_begin,
    .input_scale = sf_sigma_input_scale,
    .step = step,
};
