/*
 * Adams-Bashforth's weights for even steps, in which PNDM and iPNDM sum the answers that they
 * remember: Liu et al. 2022, "Pseudo numerical methods for diffusion models on manifolds", eq. 12
 * and, for fewer than four, its appendix.
 *
 *   1  e_0
 *   2  (3 e_0 - e_1) / 2
 *   3  (23 e_0 - 16 e_1 + 5 e_2) / 12
 *   4  (55 e_0 - 59 e_1 + 37 e_2 - 9 e_3) / 24
 */
#ifndef SF_SAMPLERS_ADAMS_H
#define SF_SAMPLERS_ADAMS_H

#include "samplers/class.h"

#define SF_ADAMS_MOST 4

/* out = the sum over the first n of the answers kept[0], kept[1] ..., n of 1 to SF_ADAMS_MOST. */
sf_status sf_adams_sum(sf_sampler *sampler, int n, sf_device_tensor *out);

#endif
