/*
 * Euler's method along the flow: Esser et al. 2024, "Scaling rectified flow transformers".
 *
 *   x' = x + (sigma' - sigma) m                       m the velocity z - x_0
 *   x' = (1 - sigma') x_0 + sigma' z                  with stochastic_sampling; x_0 = x - sigma m
 *
 * As FlowMatchEulerDiscreteScheduler of diffusers 0.42.1; the levels are flow.c's.
 */
#include "samplers/flow.h"

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    return sampler->settings.stochastic_sampling
               ? sf_flow_renoise(sampler, evaluation, model_output)
               : sf_flow_step(sampler, evaluation, model_output);
}

static const char *const aliases[] = {"flow match euler", "flow", NULL};

const sf_sampler_class sf_sampler_flow_euler = {
    .info =
        {
            .name = "flow_euler",
            .title = "Flow Euler",
            .class_name = "FlowMatchEulerDiscreteScheduler",
            .description = "models of flow matching (SD3, Flux): 20 to 30 steps, distilled 1 to 4",
            .order = 1,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .kind = SF_SAMPLER_FLOW,
            .least_steps = 20,
            .most_steps = 50,
        },
    .options = SF_FLOW_OPTIONS | SF_OPTION(stochastic_sampling),
    .takes = SF_FLOW_TAKES,
    .aliases = aliases,
    .begin = sf_flow_begin,
    .step = step,
};
