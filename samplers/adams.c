/*
 * See adams.h. Fewer than four are divided at the end and four multiplied by 1/24, as in diffusers.
 */
#include "samplers/adams.h"

sf_status sf_adams_sum(sf_sampler *sampler, int n, sf_device_tensor *out) {
    static const float weights[SF_ADAMS_MOST][SF_ADAMS_MOST] = {
        {1}, {3, -1}, {23, -16, 5}, {55, -59, 37, -9}};
    static const float divisors[] = {1, 2, 12};
    sf_term terms[SF_ADAMS_MOST];
    for (int k = 0; k < n; k++)
        terms[k] = (sf_term){weights[n - 1][k], sampler->kept[k]};
    SF_TRY(sf_sampler_sum(sampler, out, n, terms));
    return n == SF_ADAMS_MOST ? sf_sampler_scale(sampler, out, (float)(1.0 / 24), out)
                              : sf_sampler_divide(sampler, out, out, divisors[n - 1]);
}
