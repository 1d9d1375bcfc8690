/*
 * DPM++ SDE: DPM-Solver++ (2S) on the reverse process, Lu et al. 2022, "DPM-Solver++: fast solver for
 * guided sampling of diffusion probabilistic models", algorithm 1, each half an ancestral step;
 * k-diffusion.
 *
 * With t = -log sigma, t' of the next level, m = (t + t') / 2, and for an ancestral step from t to s
 * the levels up and down (sigma_space.h), a = -log down:
 *
 *   step(t, s, x, x_0) = sigma(a) / sigma(t) x - expm1(t - a) x_0 + up z
 *   y  = step(t, m, x, x_0)
 *   x' = step(t, t', x, y_0)              y_0 from the model at y, sigma(m)
 *
 * The last step, to sigma 0, is Euler's without noise. After the first of a step's evaluations the
 * sample is y. The z of a step from t to s is that of a Brownian path between their levels, so that
 * those of y and x' belong together (brownian.h). As DPMSolverSDEScheduler of diffusers 0.42.1.
 */
#include <math.h>

#include "samplers/sigma_space.h"

static void set_defaults(sf_scheduler_settings *settings) {
    settings->beta_start = 0.00085;
    settings->beta_end = 0.012;
    settings->timestep_spacing = SF_SPACING_linspace;
    settings->timesteps_are_f64 = true;
}

static float middle_time(float from, float to) {
    float t = sf_sigma_to_time(from), next = sf_sigma_to_time(to);
    return t + (next - t) * 0.5f;
}

static float middle_of(float from, float to) {
    return sf_sigma_of_time(middle_time(from, to));
}

static sf_status begin(sf_sampler *sampler) {
    double seed = sampler->settings.noise_sampler_seed;
    if (!isnan(seed) && seed != trunc(seed))
        SF_FAIL(sampler->ctx, ERROR_FORMAT, "noise_sampler_seed: %g is not a whole number", seed);
    return sf_sigma_begin_twice(sampler, middle_of, 1);
}

/* The sample becomes step(t, s, x, x_0) of the x given and the x_0 predicted. */
static sf_status ancestral_step(sf_sampler *sampler, float t, float s, const sf_device_tensor *x) {
    float from = sf_sigma_of_time(t), to = sf_sigma_of_time(s);
    sf_ancestral part = sf_sigma_ancestral(from, to);
    if (part.up > to)
        part = (sf_ancestral){.down = 0, .up = to};
    float a = sf_sigma_to_time(part.down);
    sf_device_tensor *y = sampler->work[SF_WORK_SAMPLE], *noise = sampler->work[SF_WORK_NOISE];
    SF_TRY(sf_sampler_combine(sampler, y, sf_sigma_of_time(a) / from, x,
                              -(float)expm1((double)(t - a)), sampler->work[SF_WORK_DENOISED]));
    SF_TRY(sf_sampler_draw_between(sampler, from, to, noise));
    return sf_sampler_add_scaled(sampler, y, y, part.up, noise);
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE], *start = sampler->kept[0];
    sf_device_tensor *denoised = sampler->work[SF_WORK_DENOISED];
    sf_sigma_step at = sf_sigma_step_of(sampler, evaluation);
    float t = sf_sigma_to_time(at.from);
    SF_TRY(sf_sigma_predict_denoised(sampler, at.is_second ? at.middle : at.from, model_output,
                                     denoised));
    if (at.is_last) {
        SF_TRY(sf_sigma_slope(sampler, at.from, denoised));
        return sf_sampler_add_scaled(sampler, x, x, at.to - at.from, denoised);
    }
    if (at.is_second)
        return ancestral_step(sampler, t, sf_sigma_to_time(at.to), start);
    SF_TRY(sf_sampler_scale(sampler, start, 1, x));
    return ancestral_step(sampler, t, middle_time(at.from, at.to), start);
}

static const char *const aliases[] = {"k_dpmpp_sde", NULL};

const sf_sampler_class sf_sampler_dpmpp_sde = {
    .info =
        {
            .name = "dpmpp_sde",
            .title = "DPM++ SDE",
            .class_name = "DPMSolverSDEScheduler",
            .description = "stochastic, second order, asks the model twice a step",
            .order = 2,
            .evaluations_per_step = 2,
            .stochastic = 1,
            .least_steps = 10,
            .most_steps = 20,
        },
    .options = SF_SIGMA_OPTIONS | SF_SIGMA_SCHEDULES | SF_OPTION(noise_sampler_seed),
    .choices = {[SF_OPTION_beta_schedule] = SF_SIGMA_BETAS,
                [SF_OPTION_prediction_type] = SF_SIGMA_PREDICTIONS},
    .n_kept = 1,
    .aliases = aliases,
    .set_defaults = set_defaults,
    .begin = begin,
    .input_scale = sf_sigma_input_scale,
    .path_ends = sf_sigma_path_ends,
    .step = step,
};
