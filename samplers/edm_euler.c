/*
 * Euler's method for preconditioned models: Karras et al. 2022, "Elucidating the design space of
 * diffusion-based generative models", algorithm 2 without its second order. sigma is raised by churn
 * if there is any (sigma_space.h).
 *
 *   d  = (x - x_0) / sigma              x_0: edm.h
 *   x' = x + (sigma' - sigma) d
 *
 * As EDMEulerScheduler of diffusers 0.42.1.
 */
#include "samplers/edm.h"
#include "samplers/sigma_space.h"

static sf_status begin(sf_sampler *sampler) {
    static const sf_edm_form form = {.levels_are_f64 = true, .ends_at_last = true};
    return sf_edm_begin(sampler, &form);
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *derivative = sampler->work[SF_WORK_DENOISED];
    float sigma = (float)sampler->sigmas[evaluation], raised;
    float next = (float)sampler->sigmas[evaluation + 1];
    SF_TRY(sf_sigma_churn(sampler, sigma, &raised));
    SF_TRY(sf_edm_predict_denoised(sampler, raised, model_output, derivative));
    SF_TRY(sf_sigma_slope(sampler, raised, derivative));
    return sf_sampler_add_scaled(sampler, x, x, next - raised, derivative);
}

const sf_sampler_class sf_sampler_edm_euler = {
    .info =
        {
            .name = "edm_euler",
            .title = "EDM Euler",
            .class_name = "EDMEulerScheduler",
            .description = "Euler for models with EDM's preconditioning",
            .order = 1,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .kind = SF_SAMPLER_EDM,
            .least_steps = 20,
            .most_steps = 40,
        },
    .options = SF_EDM_OPTIONS | SF_SIGMA_CHURN,
    .choices = {[SF_OPTION_prediction_type] = SF_EDM_PREDICTIONS},
    .takes = SF_TAKES_SIGMAS,
    .any_schedule = true,
    .set_defaults = sf_edm_set_defaults,
    .begin = begin,
    .input_scale = sf_edm_input_scale,
    .step = step,
};
