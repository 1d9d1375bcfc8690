/*
 * DPM++ 3M SDE: the stochastic multistep solver of third order of k-diffusion (sample_dpmpp_3m_sde
 * with eta 1), after Lu et al. 2022, "DPM-Solver++: fast solver for guided sampling of diffusion
 * probabilistic models", section 5, where alpha is 1 and lambda is -log sigma.
 *
 * With h the step in lambda, h_1 and h_2 those before, H = 2 h, r_0 = h_1 / h, r_1 = h_2 / h, and m_0,
 * m_1, m_2 the clean samples predicted now and before:
 *
 *   D_10 = (m_0 - m_1) / r_0     D_11 = (m_1 - m_2) / r_1
 *   D_1  = D_10 + r_0 / (r_0 + r_1) (D_10 - D_11)     D_2 = (D_10 - D_11) / (r_0 + r_1)
 *   p_2  = (e^-H - 1) / H + 1                         p_3 = p_2 / H - 1/2
 *
 *   x' = e^-H x + (1 - e^-H) m_0 + p_2 D_1 - p_3 D_2 + sigma' sqrt(1 - e^-H) z
 *
 * The second step has D_10 for D_1 and no D_2, the first neither. The last step, to 0, gives m_0
 * without noise. z is that of a Brownian path between the levels (brownian.h). diffusers has no such
 * class.
 */
#include <math.h>

#include "samplers/sigma_space.h"

#define N_KEPT 3

static sf_device_tensor *kept(const sf_sampler *sampler, int evaluation) {
    return sampler->kept[evaluation % N_KEPT];
}

/* The step in lambda after an evaluation. */
static double length_of(const sf_sampler *sampler, int evaluation) {
    return log(sampler->sigmas[evaluation] / sampler->sigmas[evaluation + 1]);
}

/* (m_i - m_{i-1}) / r */
static sf_status difference(sf_sampler *sampler, sf_device_tensor *out, int i, double r) {
    SF_TRY(sf_sampler_add_scaled(sampler, out, kept(sampler, i), -1, kept(sampler, i - 1)));
    return sf_sampler_divide(sampler, out, out, (float)r);
}

/* The terms in D_1 and D_2. */
static sf_status add_differences(sf_sampler *sampler, int i, double h) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE], *d = sampler->work[SF_WORK_NOISE];
    sf_device_tensor *change = sampler->work[SF_WORK_OUTPUT];
    double r_0 = length_of(sampler, i - 1) / h, p_2 = expm1(-2 * h) / (2 * h) + 1;
    SF_TRY(difference(sampler, d, i, r_0));
    if (i < 2)
        return sf_sampler_add_scaled(sampler, x, x, (float)p_2, d);
    double r_1 = length_of(sampler, i - 2) / h, p_3 = p_2 / (2 * h) - 0.5;
    SF_TRY(difference(sampler, change, i - 1, r_1));
    SF_TRY(sf_sampler_add_scaled(sampler, change, d, -1, change));
    SF_TRY(sf_sampler_add_scaled(sampler, d, d, (float)(r_0 / (r_0 + r_1)), change));
    SF_TRY(sf_sampler_add_scaled(sampler, x, x, (float)p_2, d));
    SF_TRY(sf_sampler_divide(sampler, change, change, (float)(r_0 + r_1)));
    return sf_sampler_add_scaled(sampler, x, x, (float)-p_3, change);
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE], *denoised = kept(sampler, evaluation);
    sf_device_tensor *noise = sampler->work[SF_WORK_NOISE];
    double next = sampler->sigmas[evaluation + 1];
    SF_TRY(sf_sigma_predict_denoised(sampler, (float)sampler->sigmas[evaluation], model_output,
                                     denoised));
    if (evaluation + 1 == sampler->n_timesteps)
        return sf_sampler_scale(sampler, x, 1, denoised);
    double h = length_of(sampler, evaluation), rest = -expm1(-2 * h);
    SF_TRY(sf_sampler_combine(sampler, x, (float)exp(-2 * h), x, (float)rest, denoised));
    if (evaluation > 0 && h > 0)
        SF_TRY(add_differences(sampler, evaluation, h));
    SF_TRY(
        sf_sampler_draw_between(sampler, (float)sampler->sigmas[evaluation], (float)next, noise));
    return sf_sampler_add_scaled(sampler, x, x, (float)(next * sqrt(rest > 0 ? rest : 0)), noise);
}

static const char *const aliases[] = {"k_dpmpp_3m_sde", NULL};

const sf_sampler_class sf_sampler_dpmpp_3m_sde = {
    .info =
        {
            .name = "dpmpp_3m_sde",
            .title = "DPM++ 3M SDE",
            .class_name = "sample_dpmpp_3m_sde",
            .description = "stochastic multistep of third order",
            .order = 3,
            .evaluations_per_step = 1,
            .stochastic = 1,
            .least_steps = 20,
            .most_steps = 40,
        },
    .options = SF_SIGMA_OTHER_OPTIONS,
    .choices = {[SF_OPTION_prediction_type] = SF_SIGMA_ALL_PREDICTIONS},
    .any_schedule = true,
    .n_kept = N_KEPT,
    .aliases = aliases,
    .set_defaults = sf_sigma_set_defaults,
    .begin = sf_sigma_begin,
    .input_scale = sf_sigma_input_scale,
    .path_ends = sf_sigma_path_ends,
    .step = step,
};
