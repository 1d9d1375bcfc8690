/*
 * Euler's method in sigma space: Karras et al. 2022, "Elucidating the design space of
 * diffusion-based generative models", algorithm 2 without its second order.
 *
 * With x_0 the clean sample that the model's answer means, sigma the level, raised by churn if there
 * is any (sigma_space.h), and sigma' the next level:
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
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *derivative = sampler->work[SF_WORK_DENOISED];
    float sigma = (float)sampler->sigmas[evaluation], raised;
    float next = (float)sampler->sigmas[evaluation + 1];
    bool is_v = sampler->settings.prediction_type == SF_PREDICTION_v_prediction;
    SF_TRY(sf_sigma_churn(sampler, sigma, &raised));
    SF_TRY(sf_sigma_predict_denoised(sampler, is_v ? sigma : raised, model_output, derivative));
    SF_TRY(sf_sigma_slope(sampler, raised, derivative));
    return sf_sampler_add_scaled(sampler, x, x, next - raised, derivative);
}

const sf_sampler_class sf_sampler_euler = {
    .info =
        {
            .name = "euler",
            .title = "Euler",
            .class_name = "EulerDiscreteScheduler",
            .description = "the plain method for the probability flow's equation",
            .order = 1,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 20,
            .most_steps = 30,
        },
    .options = SF_SIGMA_OPTIONS | SF_SIGMA_SCHEDULES | SF_OPTION(rescale_betas_zero_snr) |
               SF_OPTION(timestep_type) | SF_OPTION(interpolation_type) | SF_OPTION(sigma_min) |
               SF_OPTION(sigma_max) | SF_OPTION(final_sigmas_type) | SF_SIGMA_CHURN,
    .choices = {[SF_OPTION_beta_schedule] = SF_SIGMA_BETAS,
                [SF_OPTION_prediction_type] =
                    SF_SIGMA_ALL_PREDICTIONS | SF_BIT(SF_PREDICTION_original_sample)},
    .takes = SF_TAKES_TIMESTEPS | SF_TAKES_SIGMAS | SF_TAKES_LAST_SIGMA | SF_TAKES_SCHEDULES,
    .set_defaults = set_defaults,
    .begin = sf_sigma_begin,
    .input_scale = sf_sigma_input_scale,
    .step = step,
};
