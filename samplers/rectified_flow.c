/*
 * Rectified flow as it was published: Liu, Gong and Liu 2022, "Flow straight and fast", algorithm 1.
 *
 *   x' = x + (sigma' - sigma) m at sigma = 1, 1 - 1/n, ..., 1/n, 0; no shift
 *
 * FlowMatchEulerDiscreteScheduler of diffusers with shift 1 and these sigmas.
 */
#include "samplers/flow.h"

static sf_status begin(sf_sampler *sampler) {
    int n = sampler->n_steps;
    sampler->settings.shift = 1;
    sampler->settings.use_dynamic_shifting = false;
    SF_TRY(sf_flow_begin(sampler));
    if (sampler->settings.custom_sigmas.values || sampler->settings.custom_timesteps.values)
        return SF_OK;
    for (int i = 0; i < n; i++) {
        float sigma = (float)sf_linspace_f64(1, 1.0 / n, n, i);
        sampler->sigmas[i] = (double)sigma;
        sampler->timesteps[i] = (double)(sigma * (float)sampler->settings.num_train_timesteps);
    }
    return SF_OK;
}

static const char *const aliases[] = {"rf", NULL};

const sf_sampler_class sf_sampler_rectified_flow = {
    .info =
        {
            .name = "rectified_flow",
            .title = "Rectified flow",
            .class_name = "FlowMatchEulerDiscreteScheduler",
            .description = "flow_euler at even levels without any shift",
            .order = 1,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .kind = SF_SAMPLER_FLOW,
            .least_steps = 1,
            .most_steps = 50,
        },
    .options = SF_OPTION(num_train_timesteps),
    .takes = SF_TAKES_TIMESTEPS | SF_TAKES_SIGMAS,
    .aliases = aliases,
    .begin = begin,
    .step = sf_flow_step,
};
