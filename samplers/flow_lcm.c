/*
 * Consistency sampling along a flow: LCM's step (Luo et al. 2023, algorithm 3) where
 * x = (1 - sigma) x_0 + sigma z.
 *
 *   x_0 = x - sigma m,   x' = (1 - sigma') x_0 + sigma' z
 *
 * As FlowMatchLCMScheduler of diffusers 0.42.1, which draws in the last step too. Its scale_factors make
 * the sample larger from step to step; here a sample keeps its shape, so that they are an error.
 */
#include "samplers/flow.h"

static sf_status begin(sf_sampler *sampler) {
    if (sampler->settings.scale_factors.count)
        SF_FAIL(sampler->ctx, ERROR_UNSUPPORTED,
                "scale_factors: flow_lcm can't change the sample's size from step to step");
    return sf_flow_begin(sampler);
}

const sf_sampler_class sf_sampler_flow_lcm = {
    .info =
        {
            .name = "flow_lcm",
            .title = "Flow LCM",
            .class_name = "FlowMatchLCMScheduler",
            .description = "distilled models of flow matching: 1 to 8 steps with noise between",
            .order = 1,
            .evaluations_per_step = 1,
            .stochastic = 1,
            .kind = SF_SAMPLER_FLOW,
            .least_steps = 1,
            .most_steps = 8,
        },
    .options = SF_FLOW_OPTIONS | SF_OPTION(scale_factors),
    .takes = SF_FLOW_TAKES,
    .begin = begin,
    .step = sf_flow_renoise,
};
