/*
 * Consistency sampling along a flow: LCM's step (Luo et al. 2023, algorithm 3) where
 * x = (1 - sigma) x_0 + sigma z.
 *
 *   x_0 = x - sigma m,   x' = (1 - sigma') x_0 + sigma' z
 *
 * As FlowMatchLCMScheduler of diffusers 0.42.1 without scale_factors; it draws in the last step too.
 */
#include "samplers/flow.h"

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
    .options = SF_FLOW_OPTIONS,
    .takes = SF_FLOW_TAKES,
    .begin = sf_flow_begin,
    .step = sf_flow_renoise,
};
