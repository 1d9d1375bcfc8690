/*
 * Consistency models in one step or several: Song et al. 2023, algorithm 1 and appendix C.
 *
 * x = x_0 + sigma z; with sigma_min = m, sigma_data = d the model's answer F means
 *
 *   f  = c_skip x + c_out F,   c_skip = d^2 / ((sigma - m)^2 + d^2)
 *                              c_out  = d (sigma - m) / sqrt(sigma^2 + d^2)
 *   x' = f + s_noise sqrt(sigma'^2 - m^2) z
 *
 * It is asked with x / sqrt(sigma^2 + d^2) at 250 log sigma. Levels are those of Karras et al. 2022
 * (eq. 5) at n of the T steps of training. One step draws no noise. As
 * CMStochasticIterativeScheduler of diffusers 0.42.1.
 */
#include <math.h>

#include "core/memory.h"
#include "samplers/class.h"

static void set_defaults(sf_scheduler_settings *settings) {
    settings->num_train_timesteps = 40;
    settings->sigma_min = 0.002;
    settings->sigma_max = 80;
}

static double level(const sf_scheduler_settings *settings, double ramp) {
    double low = pow(settings->sigma_min, 1 / settings->rho);
    double high = pow(settings->sigma_max, 1 / settings->rho);
    return pow(high + ramp * (low - high), settings->rho);
}

/* The steps of training that are visited, rising: i (T div n), or the list that the user gives. */
static sf_status visited(sf_sampler *sampler, double **steps, int *count) {
    sf_context *ctx = sampler->ctx;
    const sf_scheduler_settings *settings = &sampler->settings;
    int n = sampler->n_steps, total = settings->num_train_timesteps;
    if (total < 2 || n > total)
        SF_FAIL(ctx, ERROR_ARGUMENT, "%d steps of %d in training (at least 2); use fewer", n,
                total);
    if (settings->custom_timesteps.values)
        SF_TRY(sf_custom_timesteps_new(ctx, settings, total, steps, count));
    else if (!(*steps = SF_NEW_ARRAY(ctx, double, (size_t)n)))
        return SF_ERROR_MEMORY;
    for (int i = 0; i < n; i++)
        (*steps)[i] = settings->custom_timesteps.values
                          ? settings->custom_timesteps.values[n - 1 - i]
                          : (double)i * (total / n);
    *count = n;
    return SF_OK;
}

static sf_status begin(sf_sampler *sampler) {
    const sf_scheduler_settings *settings = &sampler->settings;
    int n;
    if (settings->sigma_min > settings->sigma_max)
        SF_FAIL(sampler->ctx, ERROR_FORMAT, "sigma_min %g is above sigma_max %g",
                settings->sigma_min, settings->sigma_max);
    SF_TRY(visited(sampler, &sampler->timesteps, &n));
    sampler->sigmas = SF_NEW_ARRAY(sampler->ctx, double, (size_t)n + 1);
    if (!sampler->sigmas)
        return SF_ERROR_MEMORY;
    for (int i = 0; i < n; i++) {
        double ramp = sampler->timesteps[i] / (settings->num_train_timesteps - 1);
        double sigma = level(settings, ramp);
        sampler->timesteps[i] = 250 * log(sigma + 1e-44);
        sampler->sigmas[i] = (double)(float)sigma;
    }
    sampler->sigmas[n] = (double)(float)settings->sigma_min;
    sampler->n_timesteps = n;
    sampler->n_sigmas = n + 1;
    sampler->initial_scale = settings->sigma_max;
    return SF_OK;
}

static double input_scale(const sf_sampler *sampler, int evaluation) {
    float sigma = (float)sampler->sigmas[evaluation];
    float data = (float)(sampler->settings.sigma_data * sampler->settings.sigma_data);
    return 1 / (double)sqrtf(sigma * sigma + data);
}

/* The consistency function's value, into out. */
static sf_status predict(sf_sampler *sampler, float sigma, const sf_device_tensor *model_output,
                         sf_device_tensor *out) {
    static const sf_attributes unit = {.range = {.low = -1, .high = 1}};
    const sf_scheduler_settings *settings = &sampler->settings;
    float data = (float)settings->sigma_data,
          square = (float)(settings->sigma_data * settings->sigma_data);
    float rise = sigma - (float)settings->sigma_min;
    float skip = square / (rise * rise + square);
    float factor = rise * data / sqrtf(sigma * sigma + square);
    SF_TRY(sf_sampler_combine(sampler, out, factor, model_output, skip,
                              sampler->work[SF_WORK_SAMPLE]));
    return settings->clip_denoised ? sf_sampler_apply(sampler, SF_OP_clamp, &unit, out, out)
                                   : SF_OK;
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *denoised = sampler->work[SF_WORK_DENOISED];
    sf_device_tensor *noise = sampler->work[SF_WORK_NOISE];
    const sf_scheduler_settings *settings = &sampler->settings;
    float next = (float)sampler->sigmas[evaluation + 1];
    float variance = next * next - (float)(settings->sigma_min * settings->sigma_min);
    SF_TRY(predict(sampler, (float)sampler->sigmas[evaluation], model_output, denoised));
    if (sampler->n_timesteps == 1)
        return sf_sampler_scale(sampler, x, 1, denoised);
    SF_TRY(sf_sampler_draw(sampler, noise));
    SF_TRY(sf_sampler_scale(sampler, noise, (float)settings->s_noise, noise));
    return sf_sampler_add_scaled(sampler, x, denoised, variance > 0 ? sqrtf(variance) : 0, noise);
}

static const char *const aliases[] = {"consistency", NULL};

const sf_sampler_class sf_sampler_cm = {
    .info =
        {
            .name = "cm",
            .title = "Consistency",
            .class_name = "CMStochasticIterativeScheduler",
            .description = "consistency models: one step, or a few with noise between",
            .order = 1,
            .evaluations_per_step = 1,
            .stochastic = 1,
            .kind = SF_SAMPLER_CONSISTENCY,
            .least_steps = 1,
            .most_steps = 4,
        },
    .options = SF_OPTION(num_train_timesteps) | SF_OPTION(sigma_min) | SF_OPTION(sigma_max) |
               SF_OPTION(sigma_data) | SF_OPTION(s_noise) | SF_OPTION(rho) |
               SF_OPTION(clip_denoised),
    .takes = SF_TAKES_TIMESTEPS,
    .aliases = aliases,
    .set_defaults = set_defaults,
    .begin = begin,
    .input_scale = input_scale,
    .step = step,
};
