/*
 * Noise levels and preconditioning of Karras et al. 2022. See edm.h.
 */
#include "samplers/edm.h"

#include <math.h>

#include "core/memory.h"

void sf_edm_set_defaults(sf_scheduler_settings *settings) {
    settings->sigma_min = 0.002;
    settings->sigma_max = 80;
    settings->clip_sample = false;
}

/* ---- levels ---- */

/* Even in sigma^(1/rho), or at the places between 0 and 1 that the user lists: eq. 5. */
static void fill_karras(const sf_scheduler_settings *settings, bool in_f64, int count,
                        double *sigmas, float *ramp) {
    double low = pow(settings->sigma_min, 1 / settings->rho);
    double high = pow(settings->sigma_max, 1 / settings->rho);
    sf_linspace_f32(0, 1, count, ramp);
    for (int i = 0; i < count; i++) {
        float root = ramp[i] * (float)(low - high);
        root += (float)high;
        const double *listed = settings->custom_sigmas.values;
        double place = listed ? listed[i] : sf_linspace_f64(0, 1, count, i);
        double exact = high + place * (low - high);
        sigmas[i] = pow(in_f64 ? exact : (double)root, settings->rho);
    }
}

/* Even in log sigma, in f32, from the lowest: a single level is sigma_min. */
static void fill_exponential(const sf_scheduler_settings *settings, int count, double *sigmas,
                             float *logs) {
    sf_linspace_f32((float)log(settings->sigma_min), (float)log(settings->sigma_max), count, logs);
    for (int i = 0; i < count; i++)
        sigmas[i] = exp((double)logs[count - 1 - i]);
}

static sf_status fill(sf_sampler *sampler, bool in_f64, double *sigmas) {
    const sf_scheduler_settings *settings = &sampler->settings;
    int n = sampler->n_steps;
    float *room = SF_NEW_ARRAY(sampler->ctx, float, (size_t)n);
    if (!room)
        return SF_ERROR_MEMORY;
    if (sampler->schedule == &sf_sigma_schedule_karras)
        fill_karras(settings, in_f64, n, sigmas, room);
    else if (sampler->schedule == &sf_sigma_schedule_exponential)
        fill_exponential(settings, n, sigmas, room);
    else
        sampler->schedule->fill(settings->sigma_min, settings->sigma_max, n, sigmas);
    sf_free(sampler->ctx, room);
    return SF_OK;
}

/* ---- begin ---- */

/* As in diffusers, what is listed are places on the way from sigma_max, 0, to sigma_min, 1. */
static sf_status check_listed(const sf_sampler *sampler) {
    const sf_asked_numbers *listed = &sampler->settings.custom_sigmas;
    if (listed->values && sampler->schedule != &sf_sigma_schedule_karras)
        SF_FAIL(sampler->ctx, ERROR_ARGUMENT,
                "sigmas were given, as places on Karras' curve, and the schedule %s",
                sampler->schedule->info.name);
    for (int i = 0; i < listed->count; i++)
        if (!(listed->values[i] >= 0 && listed->values[i] <= 1) ||
            (i > 0 && listed->values[i] <= listed->values[i - 1]))
            SF_FAIL(
                sampler->ctx, ERROR_ARGUMENT,
                "sigma %d of those given is %g; they are places that rise from 0, sigma_max, to "
                "1, sigma_min",
                i, listed->values[i]);
    return SF_OK;
}

static double quarter_of_log(double sigma) {
    return 0.25 * (double)(float)log(sigma);
}

sf_status sf_edm_begin(sf_sampler *sampler, const sf_edm_form *form) {
    const sf_scheduler_settings *settings = &sampler->settings;
    double (*timestep)(double) = form->timestep ? form->timestep : quarter_of_log;
    int n = sampler->n_steps;
    if (!sampler->schedule->fill)
        sampler->schedule = settings->sigma_schedule == SF_SPREAD_karras
                                ? &sf_sigma_schedule_karras
                                : &sf_sigma_schedule_exponential;
    SF_TRY(check_listed(sampler));
    if (settings->sigma_min > settings->sigma_max)
        SF_FAIL(sampler->ctx, ERROR_FORMAT, "sigma_min %g is above sigma_max %g",
                settings->sigma_min, settings->sigma_max);
    sampler->timesteps = SF_NEW_ARRAY(sampler->ctx, double, (size_t)n);
    sampler->sigmas = SF_NEW_ARRAY(sampler->ctx, double, (size_t)n + 1);
    if (!sampler->timesteps || !sampler->sigmas)
        return SF_ERROR_MEMORY;
    SF_TRY(fill(sampler, form->levels_are_f64, sampler->sigmas));
    for (int i = 0; i < n; i++) {
        sampler->sigmas[i] = (double)(float)sampler->sigmas[i];
        if (!(isfinite(sampler->sigmas[i]) && sampler->sigmas[i] > 0))
            SF_FAIL(sampler->ctx, ERROR_NUMERIC, "sigma %d of the schedule is %g", i,
                    sampler->sigmas[i]);
        sampler->timesteps[i] = timestep(sampler->sigmas[i]);
    }
    double last = form->ends_at_last ? sampler->sigmas[n - 1] : settings->sigma_min;
    sampler->sigmas[n] = settings->final_sigmas_type == SF_FINAL_zero ? 0 : (double)(float)last;
    sampler->n_timesteps = n;
    sampler->n_sigmas = n + 1;
    sampler->initial_scale = sqrt(settings->sigma_max * settings->sigma_max + 1);
    return SF_OK;
}

/* ---- preconditioning ---- */

/* sigma^2 + d^2 */
static float variance(const sf_sampler *sampler, float sigma) {
    double data = sampler->settings.sigma_data;
    return sigma * sigma + (float)(data * data);
}

double sf_edm_input_scale(const sf_sampler *sampler, int evaluation) {
    return (double)(1 / sqrtf(variance(sampler, (float)sampler->sigmas[evaluation])));
}

sf_status sf_edm_predict_denoised(sf_sampler *sampler, float sigma,
                                  const sf_device_tensor *model_output, sf_device_tensor *out) {
    double data = sampler->settings.sigma_data;
    float total = variance(sampler, sigma);
    float skip = (float)(data * data) / total;
    float answer = sigma * (float)data / sqrtf(total);
    if (sampler->settings.prediction_type == SF_PREDICTION_v_prediction)
        answer = -answer;
    return sf_sampler_combine(sampler, out, skip, sampler->work[SF_WORK_SAMPLE], answer,
                              model_output);
}
