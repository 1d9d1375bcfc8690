/*
 * Noise levels of flow matching, and the two kinds of steps. See flow.h.
 *
 * Levels are even from the noisiest to the last of training, 1 / T, unless the user lists them, then
 * shifted towards noise as large pictures want it:
 *
 *   s' = shift s / (1 + (shift - 1) s)            Esser et al. 2024 (Stable Diffusion 3), eq. 23
 *   s' = exp(mu) / (exp(mu) + 1 / s - 1)          use_dynamic_shifting, "exponential"
 *   s' = mu / (mu + 1 / s - 1)                    the same, "linear"
 *
 * shift_terminal then stretches them so that the last is that; the Karras, exponential and beta
 * options spread them anew between their ends. As FlowMatchEulerDiscreteScheduler of diffusers
 * 0.42.1, whose static shift also applies to the ends of training, so twice in all.
 */
#include "samplers/flow.h"

#include <math.h>

#include "core/memory.h"

/* Levels are f64, or f32 after each operation where a user lists them, as in diffusers. */
typedef struct levels {
    double *values;
    int count;
    bool single;
} levels;

static double rounded(const levels *l, double x) {
    return l->single ? (double)(float)x : x;
}

static double shift(const levels *l, double factor, double s) {
    double above = rounded(l, rounded(l, factor) * s);
    double below = rounded(l, 1 + rounded(l, rounded(l, factor - 1) * s));
    return rounded(l, above / below);
}

static double dynamic_shift(const levels *l, double factor, double s) {
    double inverse = rounded(l, rounded(l, 1 / s) - 1);
    return rounded(l, rounded(l, factor) / rounded(l, rounded(l, factor) + inverse));
}

/* The levels before any shift: those that the user lists, or even ones between training's ends. */
static void fill(const sf_scheduler_settings *settings, levels *l) {
    const levels single = {.single = true};
    const double *sigmas = settings->custom_sigmas.values;
    const double *timesteps = settings->custom_timesteps.values;
    double total = settings->num_train_timesteps;
    double factor = settings->use_dynamic_shifting ? 1 : settings->shift;
    double high = shift(&single, factor, 1),
           low = shift(&single, factor, (double)(float)(1 / total));
    l->single = sigmas || timesteps;
    for (int i = 0; i < l->count; i++) {
        double even = sf_linspace_f64(high * total, low * total, l->count, i) / total;
        l->values[i] = sigmas      ? (double)(float)sigmas[i]
                       : timesteps ? rounded(l, (double)(float)timesteps[i] / total)
                                   : even;
    }
}

static sf_status shift_all(sf_context *ctx, const sf_scheduler_settings *settings, levels *l) {
    if (settings->use_dynamic_shifting && !settings->mu)
        SF_FAIL(ctx, ERROR_ARGUMENT,
                "the configuration has use_dynamic_shifting: mu is needed (--mu)");
    bool exponential = settings->time_shift_type == SF_SHIFT_exponential;
    double mu = settings->mu ? *settings->mu : 0, factor = exponential ? exp(mu) : mu;
    for (int i = 0; i < l->count; i++)
        l->values[i] = settings->use_dynamic_shifting ? dynamic_shift(l, factor, l->values[i])
                                                      : shift(l, settings->shift, l->values[i]);
    return SF_OK;
}

/* Where the last level is 1, as with a single step, there is nothing to stretch. */
static void stretch(const sf_scheduler_settings *settings, levels *l) {
    double terminal = settings->shift_terminal;
    double last = rounded(l, 1 - l->values[l->count - 1]);
    double scale = rounded(l, last / rounded(l, 1 - terminal));
    if (isnan(terminal) || terminal == 0 || scale == 0)
        return;
    for (int i = 0; i < l->count; i++)
        l->values[i] = rounded(l, 1 - rounded(l, rounded(l, 1 - l->values[i]) / scale));
}

/* Rounds to f32, adds the end, and sets the timesteps. */
static sf_status finish(sf_sampler *sampler) {
    const sf_scheduler_settings *settings = &sampler->settings;
    float total = (float)settings->num_train_timesteps;
    int n = sampler->n_timesteps;
    for (int i = 0; i < n; i++) {
        float sigma = (float)sampler->sigmas[i];
        bool listed = settings->custom_timesteps.values && !settings->invert_sigmas;
        if (settings->invert_sigmas)
            sigma = 1 - sigma;
        if (!isfinite(sigma))
            SF_FAIL(sampler->ctx, ERROR_NUMERIC, "sigma %d of the schedule is %g", i,
                    (double)sigma);
        sampler->sigmas[i] = (double)sigma;
        sampler->timesteps[i] =
            listed ? (double)(float)settings->custom_timesteps.values[i] : (double)(sigma * total);
    }
    sampler->sigmas[n] = settings->invert_sigmas ? 1 : 0;
    sampler->n_sigmas = n + 1;
    return SF_OK;
}

sf_status sf_flow_begin(sf_sampler *sampler) {
    const sf_scheduler_settings *settings = &sampler->settings;
    int n = sampler->n_steps;
    sampler->timesteps = SF_NEW_ARRAY(sampler->ctx, double, (size_t)n);
    sampler->sigmas = SF_NEW_ARRAY(sampler->ctx, double, (size_t)n + 1);
    if (!sampler->timesteps || !sampler->sigmas)
        return SF_ERROR_MEMORY;
    levels l = {.values = sampler->sigmas, .count = n};
    sampler->n_timesteps = n;
    fill(settings, &l);
    SF_TRY(shift_all(sampler->ctx, settings, &l));
    stretch(settings, &l);
    if (sampler->schedule->fill)
        sampler->schedule->fill(l.values[n - 1], l.values[0], n, l.values);
    return finish(sampler);
}

sf_status sf_flow_step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    float sigma = (float)sampler->sigmas[evaluation];
    float next = (float)sampler->sigmas[evaluation + 1];
    return sf_sampler_add_scaled(sampler, x, x, next - sigma, model_output);
}

sf_status sf_flow_renoise(sf_sampler *sampler, int evaluation,
                          const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *noise = sampler->work[SF_WORK_NOISE];
    float sigma = (float)sampler->sigmas[evaluation];
    float next = (float)sampler->sigmas[evaluation + 1];
    SF_TRY(sf_sampler_add_scaled(sampler, x, x, -sigma, model_output));
    SF_TRY(sf_sampler_draw(sampler, noise));
    return sf_sampler_combine(sampler, x, 1 - next, x, next, noise);
}
