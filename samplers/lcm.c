/*
 * Latent consistency models: Luo et al. 2023, "Latent consistency models", algorithm 3.
 *
 * The model's answer means a clean sample x_0, from which the consistency function is, with
 * s = timestep_scaling t and sigma_data = 0.5 (their eq. 9):
 *
 *   f  = c_skip x + c_out x_0,   c_skip = sigma_data^2 / (s^2 + sigma_data^2)
 *                                c_out  = s / sqrt(s^2 + sigma_data^2)
 *   x' = sqrt(alpha') f + sqrt(1 - alpha') z      at the next timestep; the last step ends with f
 *
 * As LCMScheduler of diffusers 0.42.1.
 */
#include <math.h>

#include "samplers/distilled.h"

static void set_defaults(sf_scheduler_settings *settings) {
    settings->beta_start = 0.00085;
    settings->beta_end = 0.012;
    settings->beta_schedule = SF_BETA_scaled_linear;
    settings->clip_sample = false;
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *denoised = sampler->work[SF_WORK_DENOISED];
    sf_device_tensor *noise = sampler->work[SF_WORK_NOISE];
    const float data_variance = 0.25f;
    float timestep = (float)sampler->timesteps[evaluation];
    float scaled = timestep * (float)sampler->settings.timestep_scaling;
    float sum = scaled * scaled + data_variance;

    SF_TRY(sf_sampler_predict_denoised(sampler, sampler->alphas.values[(int)timestep], model_output,
                                       denoised));
    SF_TRY(sf_sampler_clip(sampler, denoised));
    SF_TRY(sf_sampler_combine(sampler, denoised, scaled / sqrtf(sum), denoised, data_variance / sum,
                              x));
    if (evaluation + 1 == sampler->n_timesteps)
        return sf_sampler_scale(sampler, x, 1, denoised);
    float next = sampler->alphas.values[(int)sampler->timesteps[evaluation + 1]];
    SF_TRY(sf_sampler_draw(sampler, noise));
    return sf_sampler_combine(sampler, x, sqrtf(next), denoised, sqrtf(1 - next), noise);
}

static const char *const aliases[] = {"latent consistency", NULL};

const sf_sampler_class sf_sampler_lcm = {
    .info =
        {
            .name = "lcm",
            .title = "LCM",
            .class_name = "LCMScheduler",
            .description =
                "latent consistency models, and LoRAs with guidance 1 to 2: 2 to 8 steps",
            .order = 1,
            .evaluations_per_step = 1,
            .stochastic = 1,
            .kind = SF_SAMPLER_CONSISTENCY,
            .least_steps = 1,
            .most_steps = 8,
        },
    .options = SF_OPTION(num_train_timesteps) | SF_OPTION(beta_start) | SF_OPTION(beta_end) |
               SF_OPTION(beta_schedule) | SF_OPTION(trained_betas) |
               SF_OPTION(rescale_betas_zero_snr) | SF_OPTION(prediction_type) |
               SF_OPTION(clip_sample) | SF_OPTION(clip_sample_range) | SF_OPTION(thresholding) |
               SF_OPTION(dynamic_thresholding_ratio) | SF_OPTION(sample_max_value) |
               SF_OPTION(original_inference_steps) | SF_OPTION(timestep_scaling),
    .choices =
        {
            [SF_OPTION_beta_schedule] = SF_BIT(SF_BETA_linear) | SF_BIT(SF_BETA_scaled_linear) |
                                        SF_BIT(SF_BETA_squaredcos_cap_v2),
            [SF_OPTION_prediction_type] = SF_BIT(SF_PREDICTION_epsilon) |
                                          SF_BIT(SF_PREDICTION_sample) |
                                          SF_BIT(SF_PREDICTION_v_prediction),
        },
    .takes = SF_TAKES_TIMESTEPS,
    .aliases = aliases,
    .set_defaults = set_defaults,
    .begin = sf_distilled_timesteps,
    .step = step,
};
