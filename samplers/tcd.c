/*
 * Trajectory consistency distillation: Zheng et al. 2024, algorithm 4 (strategic stochastic
 * sampling). gamma is --eta: 0 is deterministic, 1 is as stochastic as consistency models.
 *
 * From timestep t the model leads down to s = floor((1 - gamma) t'), below the next timestep t',
 * and noise leads back up to t':
 *
 *   x_s = sqrt(alpha_s) x_0 + sqrt(1 - alpha_s) e
 *   x'  = sqrt(alpha' / alpha_s) x_s + sqrt(1 - alpha' / alpha_s) z     where gamma > 0
 *
 * The last step ends at x_s with s = 0. As TCDScheduler of diffusers 0.42.1, which never clips x_0.
 */
#include <math.h>

#include "samplers/distilled.h"

static void set_defaults(sf_scheduler_settings *settings) {
    settings->beta_start = 0.00085;
    settings->beta_end = 0.012;
    settings->beta_schedule = SF_BETA_scaled_linear;
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *denoised = sampler->work[SF_WORK_DENOISED];
    sf_device_tensor *noise = sampler->work[SF_WORK_NOISE];
    const float *alphas = sampler->alphas.values;
    bool last = evaluation + 1 == sampler->n_timesteps;
    float alpha = alphas[(int)sampler->timesteps[evaluation]];
    float next_timestep = last ? 0 : (float)sampler->timesteps[evaluation + 1];
    float below = alphas[(int)floorf((float)(1 - sampler->eta) * next_timestep)];

    SF_TRY(sf_sampler_predict_denoised(sampler, alpha, model_output, denoised));
    SF_TRY(sf_sampler_predict_noise(sampler, alpha, model_output, noise));
    SF_TRY(sf_sampler_combine(sampler, x, sqrtf(below), denoised, sqrtf(1 - below), noise));
    if (last || sampler->eta <= 0)
        return SF_OK;
    float ratio = alphas[(int)next_timestep] / below;
    SF_TRY(sf_sampler_draw(sampler, noise));
    return sf_sampler_combine(sampler, x, sqrtf(ratio), x, sqrtf(1 - ratio), noise);
}

const sf_sampler_class sf_sampler_tcd = {
    .info =
        {
            .name = "tcd",
            .title = "TCD",
            .class_name = "TCDScheduler",
            .description = "models of trajectory consistency: 4 to 8 steps, --eta is gamma",
            .order = 1,
            .evaluations_per_step = 1,
            .stochastic = 1,
            .kind = SF_SAMPLER_CONSISTENCY,
            .least_steps = 2,
            .most_steps = 8,
        },
    .options = SF_OPTION(num_train_timesteps) | SF_OPTION(beta_start) | SF_OPTION(beta_end) |
               SF_OPTION(beta_schedule) | SF_OPTION(trained_betas) |
               SF_OPTION(rescale_betas_zero_snr) | SF_OPTION(prediction_type) |
               SF_OPTION(original_inference_steps),
    .choices =
        {
            [SF_OPTION_beta_schedule] = SF_BIT(SF_BETA_linear) | SF_BIT(SF_BETA_scaled_linear) |
                                        SF_BIT(SF_BETA_squaredcos_cap_v2),
            [SF_OPTION_prediction_type] = SF_BIT(SF_PREDICTION_epsilon) |
                                          SF_BIT(SF_PREDICTION_sample) |
                                          SF_BIT(SF_PREDICTION_v_prediction),
        },
    .has_eta = true,
    .default_eta = 0.3,
    .takes = SF_TAKES_TIMESTEPS,
    .set_defaults = set_defaults,
    .begin = sf_distilled_timesteps,
    .step = step,
};
