/*
 * Euler's method in sigma space: Karras et al. 2022, "Elucidating the design space of
 * diffusion-based generative models", algorithm 2 without churn.
 *
 * x = x_0 + sigma z; the model is asked with x / sqrt(sigma^2 + 1), and its answer m means
 *
 *   epsilon       x_0 = x - sigma m
 *   sample        x_0 = m
 *   v_prediction  x_0 = x / (sigma^2 + 1) - sigma / sqrt(sigma^2 + 1) m
 *
 *   d  = (x - x_0) / sigma
 *   x' = x + (sigma' - sigma) d
 *
 * As EulerDiscreteScheduler of diffusers 0.42.1.
 */
#include <math.h>

#include "core/memory.h"
#include "samplers/class.h"

/* Training with zero terminal SNR ends at alpha 0, where sigma is infinite. */
#define LEAST_ALPHA 0x1p-24f

static void set_defaults(sf_scheduler_settings *settings) {
    settings->timestep_spacing = SF_SPACING_linspace;
}

/* sqrt(sigma^2 + 1): the sample's standard deviation, as data has about 1. */
static float deviation(double sigma) {
    float s = (float)sigma;
    return sqrtf(s * s + 1);
}

static sf_status begin(sf_sampler *sampler) {
    const sf_scheduler_settings *settings = &sampler->settings;
    sf_sigma_run run;
    if (settings->rescale_betas_zero_snr)
        sampler->alphas.values[sampler->alphas.count - 1] = LEAST_ALPHA;
    SF_TRY(sf_sigma_run_new(sampler->ctx, settings, &sampler->alphas, sampler->schedule,
                            sampler->n_steps, &run));
    sampler->timesteps = run.timesteps;
    sampler->n_timesteps = run.n_timesteps;
    sampler->sigmas = run.sigmas;
    sampler->n_sigmas = run.n_sigmas;
    double highest = run.sigmas[0];
    for (int i = 1; i < run.n_sigmas; i++)
        highest = run.sigmas[i] > highest ? run.sigmas[i] : highest;
    bool leading = settings->timestep_spacing == SF_SPACING_leading;
    sampler->initial_scale = leading ? (double)deviation(highest) : highest;
    return SF_OK;
}

static double input_scale(const sf_sampler *sampler, int evaluation) {
    return 1 / (double)deviation(sampler->sigmas[evaluation]);
}

static sf_status predict_denoised(sf_sampler *sampler, float sigma,
                                  const sf_device_tensor *model_output, sf_device_tensor *out) {
    const sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    switch (sampler->settings.prediction_type) {
    case SF_PREDICTION_epsilon:
        return sf_sampler_add_scaled(sampler, out, x, -sigma, model_output);
    case SF_PREDICTION_v_prediction:
        SF_TRY(sf_sampler_divide(sampler, out, x, sigma * sigma + 1));
        return sf_sampler_add_scaled(sampler, out, out, -sigma / deviation((double)sigma),
                                     model_output);
    default:
        return sf_sampler_scale(sampler, out, 1, model_output);
    }
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *derivative = sampler->work[SF_WORK_DENOISED];
    float sigma = (float)sampler->sigmas[evaluation];
    float next = (float)sampler->sigmas[evaluation + 1];
    SF_TRY(predict_denoised(sampler, sigma, model_output, derivative));
    SF_TRY(sf_sampler_add_scaled(sampler, derivative, x, -1, derivative));
    SF_TRY(sf_sampler_divide(sampler, derivative, derivative, sigma));
    return sf_sampler_add_scaled(sampler, x, x, next - sigma, derivative);
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
    .options = SF_OPTION(num_train_timesteps) | SF_OPTION(beta_start) | SF_OPTION(beta_end) |
               SF_OPTION(beta_schedule) | SF_OPTION(trained_betas) |
               SF_OPTION(rescale_betas_zero_snr) | SF_OPTION(prediction_type) |
               SF_OPTION(timestep_spacing) | SF_OPTION(steps_offset) | SF_OPTION(timestep_type) |
               SF_OPTION(interpolation_type) | SF_OPTION(use_karras_sigmas) |
               SF_OPTION(use_exponential_sigmas) | SF_OPTION(use_beta_sigmas) |
               SF_OPTION(sigma_min) | SF_OPTION(sigma_max) | SF_OPTION(final_sigmas_type),
    .choices =
        {
            [SF_OPTION_beta_schedule] = SF_BIT(SF_BETA_linear) | SF_BIT(SF_BETA_scaled_linear) |
                                        SF_BIT(SF_BETA_squaredcos_cap_v2),
        },
    .takes = SF_TAKES_TIMESTEPS | SF_TAKES_SIGMAS | SF_TAKES_LAST_SIGMA | SF_TAKES_SCHEDULES,
    .set_defaults = set_defaults,
    .begin = begin,
    .input_scale = input_scale,
    .step = step,
};
