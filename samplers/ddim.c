/*
 * DDIM: Song, Meng and Ermon 2021, "Denoising diffusion implicit models".
 *
 * With alpha = alphas_cumprod at the step's timestep t, alpha' at the timestep before, x_0 and e the
 * clean sample and the noise that the model's answer means (eq. 12 and 16):
 *
 *   sigma = eta sqrt((1 - alpha') / (1 - alpha)) sqrt(1 - alpha / alpha')
 *   x'    = sqrt(alpha') x_0 + sqrt(1 - alpha' - sigma^2) e + sigma z
 *
 * eta 0 draws no noise z; eta 1 has DDPM's variance. The timestep before is t - T div n, whatever
 * the spacing; past the last alpha' is 1, or alphas_cumprod[0] without set_alpha_to_one. As
 * DDIMScheduler of diffusers 0.42.1.
 */
#include <math.h>

#include "samplers/class.h"

static sf_status begin(sf_sampler *sampler) {
    return sf_timesteps_in_table_new(sampler->ctx, &sampler->settings, &sampler->alphas,
                                     sampler->n_steps, &sampler->timesteps, &sampler->n_timesteps);
}

static float previous_alpha(const sf_sampler *sampler, int timestep) {
    const float *alphas = sampler->alphas.values;
    int previous = timestep - sampler->settings.num_train_timesteps / sampler->n_steps;
    if (previous >= 0)
        return alphas[previous];
    return sampler->settings.set_alpha_to_one ? 1 : alphas[0];
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *denoised = sampler->work[SF_WORK_DENOISED];
    sf_device_tensor *noise = sampler->work[SF_WORK_NOISE];
    int timestep = (int)sampler->timesteps[evaluation];
    float alpha = sampler->alphas.values[timestep];
    float previous = previous_alpha(sampler, timestep);
    float variance = (1 - previous) / (1 - alpha) * (1 - alpha / previous);
    float sigma = (float)sampler->eta * sqrtf(variance);
    float rest = 1 - previous - sigma * sigma;

    SF_TRY(sf_sampler_predict_denoised(sampler, alpha, model_output, denoised));
    SF_TRY(sf_sampler_clip(sampler, denoised));
    SF_TRY(sf_sampler_predict_noise(sampler, alpha, model_output, noise));
    SF_TRY(sf_sampler_combine(sampler, x, sqrtf(previous), denoised, rest > 0 ? sqrtf(rest) : 0,
                              noise));
    if (sampler->eta <= 0)
        return SF_OK;
    SF_TRY(sf_sampler_draw(sampler, noise));
    return sf_sampler_add_scaled(sampler, x, x, sigma, noise);
}

const sf_sampler_class sf_sampler_ddim = {
    .info =
        {
            .name = "ddim",
            .title = "DDIM",
            .class_name = "DDIMScheduler",
            .description = "implicit: few steps, no noise with eta 0, DDPM's with eta 1",
            .order = 1,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 20,
            .most_steps = 50,
        },
    .options = SF_OPTION(num_train_timesteps) | SF_OPTION(beta_start) | SF_OPTION(beta_end) |
               SF_OPTION(beta_schedule) | SF_OPTION(trained_betas) |
               SF_OPTION(rescale_betas_zero_snr) | SF_OPTION(prediction_type) |
               SF_OPTION(timestep_spacing) | SF_OPTION(steps_offset) | SF_OPTION(clip_sample) |
               SF_OPTION(clip_sample_range) | SF_OPTION(thresholding) |
               SF_OPTION(dynamic_thresholding_ratio) | SF_OPTION(sample_max_value) |
               SF_OPTION(set_alpha_to_one),
    .choices =
        {
            [SF_OPTION_beta_schedule] = SF_BIT(SF_BETA_linear) | SF_BIT(SF_BETA_scaled_linear) |
                                        SF_BIT(SF_BETA_squaredcos_cap_v2),
            [SF_OPTION_prediction_type] = SF_BIT(SF_PREDICTION_epsilon) |
                                          SF_BIT(SF_PREDICTION_sample) |
                                          SF_BIT(SF_PREDICTION_v_prediction),
        },
    .has_eta = true,
    .begin = begin,
    .step = step,
};
