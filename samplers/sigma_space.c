/*
 * What the methods in sigma space share. See sigma_space.h.
 */
#include "samplers/sigma_space.h"

#include <math.h>

#include "core/memory.h"

/* Training with zero terminal SNR ends at alpha 0, where sigma is infinite. */
#define LEAST_ALPHA 0x1p-24f

/* ---- coefficients ---- */

float sf_sigma_deviation(double sigma) {
    float s = (float)sigma;
    return sqrtf(s * s + 1);
}

float sf_sigma_to_time(float sigma) {
    return -(float)log((double)sigma);
}

float sf_sigma_of_time(float time) {
    return (float)exp(-(double)time);
}

sf_ancestral sf_sigma_ancestral(float from, float to) {
    float from_square = from * from, to_square = to * to;
    float up = sqrtf(to_square * (from_square - to_square) / from_square);
    float rest = to_square - up * up;
    return (sf_ancestral){.down = rest > 0 ? sqrtf(rest) : 0, .up = up};
}

/* ---- begin ---- */

void sf_sigma_set_defaults(sf_scheduler_settings *settings) {
    settings->timestep_spacing = SF_SPACING_linspace;
    settings->clip_sample = false;
}

sf_status sf_sigma_room(const sf_sampler *sampler, int n_timesteps, int n_sigmas,
                        double **timesteps, double **sigmas) {
    double *first = SF_NEW_ARRAY(sampler->ctx, double, (size_t)n_timesteps);
    double *second = first ? SF_NEW_ARRAY(sampler->ctx, double, (size_t)n_sigmas) : NULL;
    if (!second) {
        sf_free(sampler->ctx, first);
        return SF_ERROR_MEMORY;
    }
    *timesteps = first;
    *sigmas = second;
    return SF_OK;
}

void sf_sigma_replace(sf_sampler *sampler, double *timesteps, int n_timesteps, double *sigmas,
                      int n_sigmas) {
    sf_free(sampler->ctx, sampler->timesteps);
    sf_free(sampler->ctx, sampler->sigmas);
    sampler->timesteps = timesteps;
    sampler->n_timesteps = n_timesteps;
    sampler->sigmas = sigmas;
    sampler->n_sigmas = n_sigmas;
}

sf_status sf_sigma_begin(sf_sampler *sampler) {
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
    sampler->initial_scale = leading ? (double)sf_sigma_deviation(highest) : highest;
    return SF_OK;
}

double sf_sigma_level(const sf_sampler *sampler, int evaluation) {
    return sampler->levels ? sampler->levels[evaluation] : sampler->sigmas[evaluation];
}

double sf_sigma_input_scale(const sf_sampler *sampler, int evaluation) {
    return 1 / (double)sf_sigma_deviation(sf_sigma_level(sampler, evaluation));
}

sf_status sf_sigma_timesteps(sf_context *ctx, const sf_alphas *alphas, int count,
                             const double *levels, double *timesteps) {
    sf_sigma_table table;
    for (int i = 0; i < count; i++)
        if (!isfinite(levels[i]))
            SF_FAIL(ctx, ERROR_NUMERIC, "noise level %d of the run is %g", i, levels[i]);
    sf_status status = sf_sigma_table_new(ctx, alphas, &table);
    for (int i = 0; i < count && status == SF_OK; i++) {
        float rounded = (float)log(levels[i] > 1e-10 ? levels[i] : 1e-10);
        timesteps[i] = (double)(float)sf_sigma_table_timestep(&table, exp((double)rounded));
    }
    sf_sigma_table_clear(ctx, &table);
    return status;
}

/* Two evaluations a step: the levels of all, and the timesteps of the second ones. */
static sf_status place_middles(const sf_sampler *sampler, float (*middle)(float from, float to),
                               double *timesteps) {
    int n_evaluations = 2 * sampler->n_timesteps - 1;
    const double *sigmas = sampler->sigmas;
    double *levels = sampler->levels;
    for (int k = 0; k < n_evaluations; k++)
        levels[k] =
            k % 2 ? (double)middle((float)sigmas[k / 2], (float)sigmas[k / 2 + 1]) : sigmas[k / 2];
    SF_TRY(sf_sigma_timesteps(sampler->ctx, &sampler->alphas, n_evaluations, levels, timesteps));
    for (int k = 0; k < n_evaluations; k += 2)
        timesteps[k] = sampler->timesteps[k / 2];
    return SF_OK;
}

sf_status sf_sigma_begin_twice(sf_sampler *sampler, float (*middle)(float from, float to),
                               int n_last) {
    sf_context *ctx = sampler->ctx;
    double *timesteps, *sigmas;
    SF_TRY(sf_sigma_begin(sampler));
    int n = sampler->n_timesteps, n_evaluations = 2 * n - 1, n_sigmas = n_evaluations + n_last;
    if (middle && !(sampler->levels = SF_NEW_ARRAY(ctx, double, (size_t)n_evaluations)))
        return SF_ERROR_MEMORY;
    SF_TRY(sf_sigma_room(sampler, n_evaluations, n_sigmas, &timesteps, &sigmas));
    for (int k = 0; k < n_evaluations; k++)
        timesteps[k] = sampler->timesteps[(k + 1) / 2];
    for (int k = 0; k < n_sigmas; k++)
        sigmas[k] = sampler->sigmas[k < n_evaluations ? (k + 1) / 2 : n];
    sf_status status = middle ? place_middles(sampler, middle, timesteps) : SF_OK;
    sf_sigma_replace(sampler, timesteps, n_evaluations, sigmas, n_sigmas);
    return status;
}

sf_sigma_step sf_sigma_step_of(const sf_sampler *sampler, int evaluation) {
    int first = evaluation - evaluation % 2;
    bool is_last = first + 1 == sampler->n_timesteps;
    float to = (float)sampler->sigmas[first + 1];
    return (sf_sigma_step){
        .from = (float)sampler->sigmas[first],
        .to = to,
        .middle = is_last ? to : (float)sf_sigma_level(sampler, first + 1),
        .is_second = evaluation % 2 == 1,
        .is_last = is_last,
    };
}

/* ---- the model's answer ---- */

sf_status sf_sigma_predict_denoised(sf_sampler *sampler, float sigma,
                                    const sf_device_tensor *model_output, sf_device_tensor *out) {
    const sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    switch (sampler->settings.prediction_type) {
    case SF_PREDICTION_epsilon:
        return sf_sampler_add_scaled(sampler, out, x, -sigma, model_output);
    case SF_PREDICTION_v_prediction:
        SF_TRY(sf_sampler_divide(sampler, out, x, sigma * sigma + 1));
        return sf_sampler_add_scaled(sampler, out, out, -sigma / sf_sigma_deviation((double)sigma),
                                     model_output);
    default:
        return sf_sampler_scale(sampler, out, 1, model_output);
    }
}

sf_status sf_sigma_slope(sf_sampler *sampler, float sigma, sf_device_tensor *denoised) {
    SF_TRY(sf_sampler_add_scaled(sampler, denoised, sampler->work[SF_WORK_SAMPLE], -1, denoised));
    return sf_sampler_divide(sampler, denoised, denoised, sigma);
}

sf_status sf_sigma_derivative(sf_sampler *sampler, float sigma,
                              const sf_device_tensor *model_output) {
    sf_device_tensor *denoised = sampler->work[SF_WORK_DENOISED];
    SF_TRY(sf_sigma_predict_denoised(sampler, sigma, model_output, denoised));
    return sf_sigma_slope(sampler, sigma, denoised);
}

sf_status sf_sigma_add_noise(sf_sampler *sampler, float factor) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE], *noise = sampler->work[SF_WORK_NOISE];
    SF_TRY(sf_sampler_draw(sampler, noise));
    return sf_sampler_add_scaled(sampler, x, x, factor, noise);
}

sf_status sf_sigma_churn(sf_sampler *sampler, float sigma, float *raised) {
    const sf_scheduler_settings *settings = &sampler->settings;
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE], *noise = sampler->work[SF_WORK_NOISE];
    double gamma = fmin(settings->s_churn / (sampler->n_sigmas - 1), sqrt(2) - 1);
    if ((double)sigma < settings->s_tmin || (double)sigma > settings->s_tmax)
        gamma = 0;
    float level = sigma * (float)(gamma + 1);
    *raised = level;
    if (!(gamma > 0))
        return SF_OK;
    SF_TRY(sf_sampler_draw(sampler, noise));
    SF_TRY(sf_sampler_scale(sampler, noise, (float)settings->s_noise, noise));
    return sf_sampler_add_scaled(sampler, x, x, sqrtf(level * level - sigma * sigma), noise);
}

void sf_sigma_path_ends(const sf_sampler *sampler, double *low, double *high) {
    *low = *high = sampler->sigmas[0];
    for (int i = 1; i < sampler->n_sigmas; i++) {
        double sigma = sampler->sigmas[i];
        *low = sigma > 0 && sigma < *low ? sigma : *low;
        *high = sigma > *high ? sigma : *high;
    }
}

/* ---- steps ---- */

sf_status sf_sigma_euler_step(sf_sampler *sampler, float from, float to,
                              const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    SF_TRY(sf_sigma_derivative(sampler, from, model_output));
    return sf_sampler_add_scaled(sampler, x, x, to - from, sampler->work[SF_WORK_DENOISED]);
}

sf_status sf_sigma_heun_step(sf_sampler *sampler, int evaluation,
                             const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *derivative = sampler->work[SF_WORK_DENOISED];
    sf_device_tensor *start = sampler->kept[0], *first = sampler->kept[1];
    sf_sigma_step at = sf_sigma_step_of(sampler, evaluation);
    float sigma = at.is_second ? at.to : at.from;
    SF_TRY(sf_sigma_predict_denoised(sampler, sigma, model_output, derivative));
    SF_TRY(sf_sampler_clip(sampler, derivative));
    SF_TRY(sf_sigma_slope(sampler, sigma, derivative));
    if (at.is_second) {
        SF_TRY(sf_sampler_add_scaled(sampler, derivative, first, 1, derivative));
        SF_TRY(sf_sampler_scale(sampler, derivative, 0.5f, derivative));
        return sf_sampler_add_scaled(sampler, x, start, at.to - at.from, derivative);
    }
    SF_TRY(sf_sampler_scale(sampler, start, 1, x));
    SF_TRY(sf_sampler_scale(sampler, first, 1, derivative));
    return sf_sampler_add_scaled(sampler, x, x, at.to - at.from, derivative);
}
