/*
 * DDIM backwards, from a clean sample to the noise that leads to it: Mokady et al. 2023, "Null-text
 * inversion for editing real images using guided diffusion models", eq. 3, by DDIM's step without
 * noise (ddim.c).
 *
 * At timestep t the sample is at t - T div n still, with alpha = alphas_cumprod there, or, before the
 * first, 1 (alphas_cumprod[0] without set_alpha_to_one); x_0 and e are what the model's answer means
 * at that level, and with alpha' = alphas_cumprod[t]
 *
 *   x' = sqrt(alpha') x_0 + sqrt(1 - alpha') e
 *
 * The run starts on the clean sample, in place of noise. As DDIMInverseScheduler of diffusers 0.42.1.
 */
#include <math.h>

#include "samplers/class.h"

static sf_status begin(sf_sampler *sampler) {
    SF_TRY(sf_timesteps_in_table_new(sampler->ctx, &sampler->settings, &sampler->alphas,
                                     sampler->n_steps, &sampler->timesteps, &sampler->n_timesteps));
    for (int i = 0, j = sampler->n_timesteps - 1; i < j; i++, j--) {
        double kept = sampler->timesteps[i];
        sampler->timesteps[i] = sampler->timesteps[j];
        sampler->timesteps[j] = kept;
    }
    return SF_OK;
}

static float alpha_before(const sf_sampler *sampler, int timestep) {
    const float *alphas = sampler->alphas.values;
    int before = timestep - sampler->settings.num_train_timesteps / sampler->n_steps;
    if (before >= 0)
        return alphas[before];
    return sampler->settings.set_alpha_to_one ? 1 : alphas[0];
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *denoised = sampler->work[SF_WORK_DENOISED];
    sf_device_tensor *noise = sampler->work[SF_WORK_NOISE];
    int timestep = (int)sampler->timesteps[evaluation];
    float alpha = alpha_before(sampler, timestep), next = sampler->alphas.values[timestep];
    SF_TRY(sf_sampler_predict_denoised(sampler, alpha, model_output, denoised));
    SF_TRY(sf_sampler_predict_noise(sampler, alpha, model_output, noise));
    SF_TRY(sf_sampler_clip(sampler, denoised));
    return sf_sampler_combine(sampler, sampler->work[SF_WORK_SAMPLE], sqrtf(next), denoised,
                              sqrtf(1 - next), noise);
}

const sf_sampler_class sf_sampler_ddim_inverse = {
    .info =
        {
            .name = "ddim_inverse",
            .title = "DDIM Inverse",
            .class_name = "DDIMInverseScheduler",
            .description = "from a clean sample to the noise that leads to it",
            .order = 1,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .kind = SF_SAMPLER_INVERSION,
            .least_steps = 20,
            .most_steps = 50,
        },
    .options = SF_OPTION(num_train_timesteps) | SF_OPTION(beta_start) | SF_OPTION(beta_end) |
               SF_OPTION(beta_schedule) | SF_OPTION(trained_betas) |
               SF_OPTION(rescale_betas_zero_snr) | SF_OPTION(prediction_type) |
               SF_OPTION(timestep_spacing) | SF_OPTION(steps_offset) | SF_OPTION(clip_sample) |
               SF_OPTION(clip_sample_range) | SF_OPTION(set_alpha_to_one),
    .choices =
        {
            [SF_OPTION_beta_schedule] = SF_BIT(SF_BETA_linear) | SF_BIT(SF_BETA_scaled_linear) |
                                        SF_BIT(SF_BETA_squaredcos_cap_v2),
            [SF_OPTION_prediction_type] = SF_BIT(SF_PREDICTION_epsilon) |
                                          SF_BIT(SF_PREDICTION_sample) |
                                          SF_BIT(SF_PREDICTION_v_prediction),
            [SF_OPTION_timestep_spacing] = SF_BIT(SF_SPACING_leading) | SF_BIT(SF_SPACING_trailing),
        },
    .begin = begin,
    .step = step,
};
