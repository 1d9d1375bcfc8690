/*
 * DPM++ 2S a: DPM-Solver++ (2S) with ancestral noise. Lu et al. 2022, "DPM-Solver++: fast solver for
 * guided sampling of diffusion probabilistic models", algorithm 1 where alpha is 1, down to the level
 * of an ancestral step; k-diffusion's sample_dpmpp_2s_ancestral with eta 1.
 *
 * An ancestral step from sigma to sigma' goes down to sigma'^2 / sigma, and the middle of that in log
 * sigma is sigma' itself. So with r = sigma' / sigma
 *
 *   y  = r x + (1 - r) x_0
 *   x' = r^2 x + (1 - r^2) y_0 + sigma' sqrt(1 - r^2) z       y_0 from the model at y, sigma'
 *
 * The last step, to 0, is Euler's without noise. After the first of a step's evaluations the sample is
 * y. diffusers has no such class.
 */
#include <math.h>

#include "samplers/sigma_space.h"

static sf_status begin(sf_sampler *sampler) {
    return sf_sigma_begin_twice(sampler, NULL, 1);
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE], *start = sampler->kept[0];
    sf_device_tensor *denoised = sampler->work[SF_WORK_DENOISED];
    sf_sigma_step at = sf_sigma_step_of(sampler, evaluation);
    double r = (double)at.to / (double)at.from, rest = (1 - r) * (1 + r);
    if (at.is_last)
        return sf_sigma_euler_step(sampler, at.from, at.to, model_output);
    SF_TRY(
        sf_sigma_predict_denoised(sampler, at.is_second ? at.to : at.from, model_output, denoised));
    if (!at.is_second) {
        SF_TRY(sf_sampler_scale(sampler, start, 1, x));
        return sf_sampler_combine(sampler, x, (float)r, x, (float)(1 - r), denoised);
    }
    SF_TRY(sf_sampler_combine(sampler, x, (float)(r * r), start, (float)rest, denoised));
    return sf_sigma_add_noise(sampler, (float)((double)at.to * sqrt(rest > 0 ? rest : 0)));
}

static const char *const aliases[] = {"dpmpp_2s_ancestral", "k_dpmpp_2s_a", NULL};

const sf_sampler_class sf_sampler_dpmpp_2s_a = {
    .info =
        {
            .name = "dpmpp_2s_a",
            .title = "DPM++ 2S a",
            .class_name = "sample_dpmpp_2s_ancestral",
            .description = "DPM++ 2S with fresh noise in each step",
            .order = 2,
            .evaluations_per_step = 2,
            .stochastic = 1,
            .least_steps = 10,
            .most_steps = 20,
        },
    .options = SF_SIGMA_OTHER_OPTIONS,
    .choices = {[SF_OPTION_prediction_type] = SF_SIGMA_ALL_PREDICTIONS},
    .any_schedule = true,
    .n_kept = 1,
    .aliases = aliases,
    .set_defaults = sf_sigma_set_defaults,
    .begin = begin,
    .input_scale = sf_sigma_input_scale,
    .step = step,
};
