/*
 * What the samplers of flow matching share: x = (1 - sigma) x_0 + sigma z, and the model's answer is
 * the velocity z - x_0. Its input is x itself, asked at timestep sigma T.
 */
#ifndef SF_SAMPLERS_FLOW_H
#define SF_SAMPLERS_FLOW_H

#include "samplers/class.h"

#define SF_FLOW_OPTIONS                                                                            \
    (SF_OPTION(num_train_timesteps) | SF_OPTION(shift) | SF_OPTION(use_dynamic_shifting) |         \
     SF_OPTION(base_shift) | SF_OPTION(max_shift) | SF_OPTION(base_image_seq_len) |                \
     SF_OPTION(max_image_seq_len) | SF_OPTION(invert_sigmas) | SF_OPTION(shift_terminal) |         \
     SF_OPTION(use_karras_sigmas) | SF_OPTION(use_exponential_sigmas) |                            \
     SF_OPTION(use_beta_sigmas) | SF_OPTION(time_shift_type))

#define SF_FLOW_TAKES (SF_TAKES_TIMESTEPS | SF_TAKES_SIGMAS | SF_TAKES_MU)

/*
 * Sets timesteps and sigmas: n_steps levels, shifted as the options say, and the end. See flow.c.
 */
sf_status sf_flow_begin(sf_sampler *sampler);

/* x' = x + (sigma' - sigma) m */
sf_status sf_flow_step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output);

/* x' = (1 - sigma') x_0 + sigma' z with x_0 = x - sigma m */
sf_status sf_flow_renoise(sf_sampler *sampler, int evaluation,
                          const sf_device_tensor *model_output);

#endif
