/*
 * Heun's method along the flow: Karras et al. 2022, algorithm 1 without churn, for the velocity m of
 * flow matching.
 *
 *   d  = (x - (x - sigma m)) / sigma          in diffusers' order, which rounds so
 *   x* = x + (sigma' - sigma) d               evaluations 0, 2, 4, ...
 *   d' likewise from the answer at x*, sigma'
 *   x' = x + (sigma' - sigma) (d + d') / 2    evaluations 1, 3, 5, ...
 *
 * The last step, to 0, is Euler's. As FlowMatchHeunDiscreteScheduler of diffusers 0.42.1.
 */
#include "core/memory.h"
#include "samplers/flow.h"

enum { KEPT_DERIVATIVE, KEPT_SAMPLE, N_KEPT };

/* The levels of n steps; those between the first and the last are there twice. */
static sf_status begin(sf_sampler *sampler) {
    sf_context *ctx = sampler->ctx;
    SF_TRY(sf_flow_begin(sampler));
    int n = sampler->n_steps;
    double *timesteps = SF_NEW_ARRAY(ctx, double, 2 * (size_t)n);
    double *sigmas = SF_NEW_ARRAY(ctx, double, 2 * (size_t)n);
    if (!timesteps || !sigmas) {
        sf_free(ctx, timesteps);
        sf_free(ctx, sigmas);
        return SF_ERROR_MEMORY;
    }
    for (int k = 0; k < 2 * n - 1; k++) {
        timesteps[k] = sampler->timesteps[(k + 1) / 2];
        sigmas[k] = sampler->sigmas[(k + 1) / 2];
    }
    sigmas[2 * n - 1] = 0;
    sf_free(ctx, sampler->timesteps);
    sf_free(ctx, sampler->sigmas);
    sampler->timesteps = timesteps;
    sampler->sigmas = sigmas;
    sampler->n_timesteps = 2 * n - 1;
    sampler->n_sigmas = 2 * n;
    return SF_OK;
}

/* (x - (x - sigma m)) / sigma, into out. */
static sf_status derivative_at(sf_sampler *sampler, float sigma,
                               const sf_device_tensor *model_output, sf_device_tensor *out) {
    const sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    SF_TRY(sf_sampler_add_scaled(sampler, out, x, -sigma, model_output));
    SF_TRY(sf_sampler_add_scaled(sampler, out, x, -1, out));
    return sf_sampler_divide(sampler, out, out, sigma);
}

static sf_status predict(sf_sampler *sampler, int evaluation,
                         const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *derivative = sampler->kept[KEPT_DERIVATIVE];
    float sigma = (float)sampler->sigmas[evaluation];
    float next = (float)sampler->sigmas[evaluation + 1];
    SF_TRY(derivative_at(sampler, sigma, model_output, derivative));
    SF_TRY(sf_sampler_scale(sampler, sampler->kept[KEPT_SAMPLE], 1, x));
    return sf_sampler_add_scaled(sampler, x, x, next - sigma, derivative);
}

static sf_status correct(sf_sampler *sampler, int evaluation,
                         const sf_device_tensor *model_output) {
    sf_device_tensor *derivative = sampler->work[SF_WORK_DENOISED];
    float sigma = (float)sampler->sigmas[evaluation - 1];
    float next = (float)sampler->sigmas[evaluation];
    SF_TRY(derivative_at(sampler, next, model_output, derivative));
    SF_TRY(
        sf_sampler_add_scaled(sampler, derivative, sampler->kept[KEPT_DERIVATIVE], 1, derivative));
    SF_TRY(sf_sampler_scale(sampler, derivative, 0.5f, derivative));
    return sf_sampler_add_scaled(sampler, sampler->work[SF_WORK_SAMPLE], sampler->kept[KEPT_SAMPLE],
                                 next - sigma, derivative);
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    return evaluation % 2 == 0 ? predict(sampler, evaluation, model_output)
                               : correct(sampler, evaluation, model_output);
}

static const char *const aliases[] = {"flow match heun", NULL};

const sf_sampler_class sf_sampler_flow_heun = {
    .info =
        {
            .name = "flow_heun",
            .title = "Flow Heun",
            .class_name = "FlowMatchHeunDiscreteScheduler",
            .description = "models of flow matching; two evaluations a step, half the steps",
            .order = 2,
            .evaluations_per_step = 2,
            .stochastic = 0,
            .kind = SF_SAMPLER_FLOW,
            .least_steps = 10,
            .most_steps = 25,
        },
    .options = SF_OPTION(num_train_timesteps) | SF_OPTION(shift),
    .n_kept = N_KEPT,
    .aliases = aliases,
    .begin = begin,
    .step = step,
};
