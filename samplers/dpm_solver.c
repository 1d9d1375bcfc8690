/*
 * The factors of DPM-Solver's update and their sum. See dpm_solver.h.
 */
#include "samplers/dpm_solver.h"

/* Of x, v, D1 by midpoint and by heun, D2, z. */
typedef struct factors {
    float sample, value, midpoint, slope, curvature, noise;
} factors;

static factors of_data(sf_noise_level from, sf_noise_level to) {
    float h = to.lambda - from.lambda, grown = sf_exp_f32(-h) - 1;
    float value = to.alpha * grown;
    return (factors){
        .sample = to.sigma / from.sigma,
        .value = -value,
        .midpoint = -(0.5f * value),
        .slope = to.alpha * (grown / h + 1),
        .curvature = -(to.alpha * ((grown + h) / (h * h) - 0.5f)),
    };
}

static factors of_noise(sf_noise_level from, sf_noise_level to) {
    float h = to.lambda - from.lambda, grown = sf_exp_f32(h) - 1;
    float value = to.sigma * grown;
    return (factors){
        .sample = to.alpha / from.alpha,
        .value = -value,
        .midpoint = -(0.5f * value),
        .slope = -(to.sigma * (grown / h - 1)),
        .curvature = -(to.sigma * ((grown - h) / (h * h) - 0.5f)),
    };
}

static factors of_data_with_noise(sf_noise_level from, sf_noise_level to) {
    float h = to.lambda - from.lambda, lost = 1 - sf_exp_f32(-2 * h);
    float value = to.alpha * lost;
    return (factors){
        .sample = to.sigma / from.sigma * sf_exp_f32(-h),
        .value = value,
        .midpoint = 0.5f * value,
        .slope = to.alpha * (lost / (-2 * h) + 1),
        .curvature = to.alpha * ((lost - 2 * h) / (2 * h * (2 * h)) - 0.5f),
        .noise = to.sigma * sqrtf(lost),
    };
}

static factors of_noise_with_noise(sf_noise_level from, sf_noise_level to) {
    float h = to.lambda - from.lambda, grown = sf_exp_f32(h) - 1;
    float value = to.sigma * grown;
    return (factors){
        .sample = to.alpha / from.alpha,
        .value = -(2 * value),
        .midpoint = -value,
        .slope = -(2 * (to.sigma * (grown / h - 1))),
        .curvature = NAN, /* no third order */
        .noise = to.sigma * sqrtf(sf_exp_f32(2 * h) - 1),
    };
}

static factors factors_of(int algorithm, sf_noise_level from, sf_noise_level to) {
    switch (algorithm) {
    case SF_ALGORITHM_dpmsolver:
        return of_noise(from, to);
    case SF_ALGORITHM_sde_dpmsolverpp:
        return of_data_with_noise(from, to);
    case SF_ALGORITHM_sde_dpmsolver:
        return of_noise_with_noise(from, to);
    default:
        return of_data(from, to);
    }
}

bool sf_dpm_predicts_noise(const sf_sampler *sampler) {
    return sampler->settings.algorithm_type == SF_ALGORITHM_dpmsolver ||
           sampler->settings.algorithm_type == SF_ALGORITHM_sde_dpmsolver;
}

bool sf_dpm_is_stochastic(const sf_sampler *sampler) {
    return sampler->settings.algorithm_type == SF_ALGORITHM_sde_dpmsolver ||
           sampler->settings.algorithm_type == SF_ALGORITHM_sde_dpmsolverpp;
}

sf_status sf_dpm_check(const sf_sampler *sampler) {
    const sf_scheduler_settings *settings = &sampler->settings;
    if (!sf_dpm_predicts_noise(sampler))
        return SF_OK;
    if (settings->final_sigmas_type == SF_FINAL_zero)
        SF_FAIL(sampler->ctx, ERROR_UNSUPPORTED,
                "algorithm_type dpmsolver and sde-dpmsolver want final_sigmas_type sigma_min");
    if (settings->algorithm_type == SF_ALGORITHM_sde_dpmsolver && settings->solver_order == 3)
        SF_FAIL(sampler->ctx, ERROR_UNSUPPORTED,
                "algorithm_type sde-dpmsolver has solver_order 1 and 2");
    return sf_lambda_check_noise(sampler);
}

sf_status sf_dpm_convert(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output,
                         sf_device_tensor *out) {
    if (!sf_dpm_predicts_noise(sampler))
        return sf_lambda_denoised(sampler, evaluation, model_output, out);
    SF_TRY(sf_lambda_noise(sampler, evaluation, model_output, out));
    return sf_lambda_threshold_noise(sampler, evaluation, out);
}

sf_status sf_dpm_advance(sf_sampler *sampler, const sf_dpm_update *update) {
    bool draws = sf_dpm_is_stochastic(sampler);
    factors f = factors_of(sampler->settings.algorithm_type, update->from, update->to);
    const sf_term terms[] = {
        {f.sample, update->base},
        {f.value, update->value},
        {update->midpoint ? f.midpoint : f.slope, update->slope},
        {f.curvature, update->curvature},
        {f.noise, draws ? sampler->work[SF_WORK_NOISE] : NULL},
    };
    return sf_sampler_sum(sampler, sampler->work[SF_WORK_SAMPLE], 5, terms);
}

void sf_dpm_insist(sf_scheduler_settings *settings, int algorithm, int order) {
    settings->algorithm_type = algorithm;
    settings->solver_order = order;
    if (algorithm == SF_ALGORITHM_dpmsolver || algorithm == SF_ALGORITHM_sde_dpmsolver)
        settings->final_sigmas_type = SF_FINAL_sigma_min;
}
