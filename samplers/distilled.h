/*
 * What the samplers of distilled models share.
 */
#ifndef SF_SAMPLERS_DISTILLED_H
#define SF_SAMPLERS_DISTILLED_H

#include "samplers/class.h"

/* Sets the timesteps of a run: n of original_inference_steps, or those that the user lists. */
sf_status sf_distilled_timesteps(sf_sampler *sampler);

#endif
