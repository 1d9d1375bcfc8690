/*
 * A Brownian path over noise levels that follows from one seed, whatever the steps are: what a run with 20
 * steps draws between two levels is the sum of what one with 40 draws between them.
 */
#ifndef SF_SAMPLERS_BROWNIAN_H
#define SF_SAMPLERS_BROWNIAN_H

#include "samplers/class.h"

/*
 * Makes the path of a sampler that is started and whose source has seeds, between two levels,
 * low <= high.
 */
sf_status sf_brownian_new(sf_sampler *sampler, double low, double high, uint64_t seed,
                          sf_brownian **path);
void sf_brownian_free(sf_brownian *path);

/* Tensors of the sample's shape that it has: 76 for Stable Diffusion's levels. */
int sf_brownian_n_tensors(double low, double high);

/*
 * out = (W(to) - W(from)) / sqrt |to - from|, unit noise; levels that differ by less than a millionth
 * have none, nor has the path outside low..high.
 */
sf_status sf_brownian_draw(sf_sampler *sampler, sf_brownian *path, float from, float to,
                           sf_device_tensor *out);

#endif
