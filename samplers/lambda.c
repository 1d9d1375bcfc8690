/*
 * Noise levels in lambda space and what the exponential integrators do with a model's answer. See
 * lambda.h; the run's levels are in lambda_run.c.
 */
#include "samplers/lambda.h"

sf_noise_level sf_noise_level_at(const sf_sampler *sampler, int i) {
    float s = (float)sampler->sigmas[i];
    float alpha = sampler->settings.use_flow_sigmas ? 1 - s : 1 / sqrtf(s * s + 1);
    float sigma = sampler->settings.use_flow_sigmas ? s : s * alpha;
    return (sf_noise_level){
        .alpha = alpha, .sigma = sigma, .lambda = sf_log_f32(alpha) - sf_log_f32(sigma)};
}

/* ---- the model's answer ---- */

sf_status sf_lambda_check_noise(const sf_sampler *sampler) {
    if (sampler->settings.prediction_type == SF_PREDICTION_flow_prediction)
        SF_FAIL(sampler->ctx, ERROR_UNSUPPORTED,
                "flow_prediction goes with methods that predict the clean sample only");
    return SF_OK;
}

/* The answer without a predicted variance, which is in the second half of the channels. */
static sf_status leave_variance(sf_sampler *sampler, const sf_device_tensor **model_output) {
    sf_device_tensor *half = sampler->work[SF_WORK_OUTPUT];
    const sf_attributes attributes = {.slice = {.axis = 1, .count = half->spec.dims[1]}};
    if (sf_spec_equal(&(*model_output)->spec, &half->spec))
        return SF_OK;
    SF_TRY(sf_sampler_apply(sampler, SF_OP_slice, &attributes, half, *model_output));
    *model_output = half;
    return SF_OK;
}

static sf_status threshold(sf_sampler *sampler, sf_device_tensor *denoised) {
    return sampler->settings.thresholding ? sf_sampler_clip(sampler, denoised) : SF_OK;
}

sf_status sf_lambda_denoised(sf_sampler *sampler, int evaluation,
                             const sf_device_tensor *model_output, sf_device_tensor *out) {
    const sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_noise_level level = sf_noise_level_at(sampler, evaluation);
    float s = (float)sampler->sigmas[evaluation];
    SF_TRY(leave_variance(sampler, &model_output));
    switch (sampler->settings.prediction_type) {
    case SF_PREDICTION_epsilon:
        SF_TRY(sf_sampler_add_scaled(sampler, out, x, -level.sigma, model_output));
        SF_TRY(sf_sampler_divide(sampler, out, out, level.alpha));
        break;
    case SF_PREDICTION_v_prediction:
        SF_TRY(sf_sampler_combine(sampler, out, level.alpha, x, -level.sigma, model_output));
        break;
    case SF_PREDICTION_flow_prediction:
        SF_TRY(sf_sampler_add_scaled(sampler, out, x, -s, model_output));
        break;
    default:
        SF_TRY(sf_sampler_scale(sampler, out, 1, model_output));
    }
    return threshold(sampler, out);
}

sf_status sf_lambda_noise(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output,
                          sf_device_tensor *out) {
    const sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_noise_level level = sf_noise_level_at(sampler, evaluation);
    SF_TRY(leave_variance(sampler, &model_output));
    switch (sampler->settings.prediction_type) {
    case SF_PREDICTION_epsilon:
        SF_TRY(sf_sampler_scale(sampler, out, 1, model_output));
        break;
    case SF_PREDICTION_v_prediction:
        SF_TRY(sf_sampler_combine(sampler, out, level.alpha, model_output, level.sigma, x));
        break;
    default:
        SF_TRY(sf_sampler_add_scaled(sampler, out, x, -level.alpha, model_output));
        SF_TRY(sf_sampler_divide(sampler, out, out, level.sigma));
    }
    return SF_OK;
}

sf_status sf_lambda_threshold_noise(sf_sampler *sampler, int evaluation, sf_device_tensor *noise) {
    const sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_noise_level level = sf_noise_level_at(sampler, evaluation);
    if (!sampler->settings.thresholding)
        return SF_OK;
    SF_TRY(sf_sampler_add_scaled(sampler, noise, x, -level.sigma, noise));
    SF_TRY(sf_sampler_divide(sampler, noise, noise, level.alpha));
    SF_TRY(threshold(sampler, noise));
    SF_TRY(sf_sampler_add_scaled(sampler, noise, x, -level.alpha, noise));
    return sf_sampler_divide(sampler, noise, noise, level.sigma);
}
