/*
 * The arithmetic that steps are written in, on the sample's backend. See class.h for the rounding.
 */
#include "samplers/brownian.h"

sf_status sf_sampler_scale(sf_sampler *sampler, sf_device_tensor *out, float factor,
                           const sf_device_tensor *x) {
    const double coefficient = (double)factor;
    return sf_eager_combine(sampler->eager, out, 1, &coefficient, &x);
}

sf_status sf_sampler_add_scaled(sf_sampler *sampler, sf_device_tensor *out,
                                const sf_device_tensor *x, float factor,
                                const sf_device_tensor *y) {
    static const double ones[] = {1, 1};
    sf_device_tensor *product = sampler->work[SF_WORK_PRODUCT];
    SF_TRY(sf_sampler_scale(sampler, product, factor, y));
    const sf_device_tensor *terms[] = {x, product};
    return sf_eager_combine(sampler->eager, out, 2, ones, terms);
}

sf_status sf_sampler_combine(sf_sampler *sampler, sf_device_tensor *out, float a,
                             const sf_device_tensor *x, float b, const sf_device_tensor *y) {
    SF_TRY(sf_sampler_scale(sampler, out, a, x));
    return sf_sampler_add_scaled(sampler, out, out, b, y);
}

sf_status sf_sampler_divide(sf_sampler *sampler, sf_device_tensor *out, const sf_device_tensor *x,
                            float divisor) {
    const sf_device_tensor *inputs[] = {x, sampler->scalar};
    SF_TRY(sf_device_tensor_write(sampler->scalar, &divisor, sizeof divisor));
    return sf_eager_run(sampler->eager, SF_OP_divide, inputs, 2, NULL, out);
}

sf_status sf_sampler_multiply(sf_sampler *sampler, sf_device_tensor *out, const sf_device_tensor *x,
                              const sf_device_tensor *y) {
    const sf_device_tensor *inputs[] = {x, y};
    return sf_eager_run(sampler->eager, SF_OP_multiply, inputs, 2, NULL, out);
}

sf_status sf_sampler_sum(sf_sampler *sampler, sf_device_tensor *out, int n_terms,
                         const sf_term *terms) {
    SF_TRY(sf_sampler_scale(sampler, out, terms[0].factor, terms[0].tensor));
    for (int i = 1; i < n_terms; i++)
        if (terms[i].tensor)
            SF_TRY(sf_sampler_add_scaled(sampler, out, out, terms[i].factor, terms[i].tensor));
    return SF_OK;
}

sf_status sf_sampler_difference(sf_sampler *sampler, sf_device_tensor *out, float factor,
                                const sf_device_tensor *x, const sf_device_tensor *y) {
    SF_TRY(sf_sampler_add_scaled(sampler, out, x, -1, y));
    return sf_sampler_scale(sampler, out, factor, out);
}

sf_status sf_sampler_apply(sf_sampler *sampler, sf_op_id op, const sf_attributes *attributes,
                           sf_device_tensor *out, const sf_device_tensor *x) {
    return sf_eager_run(sampler->eager, op, &x, 1, attributes, out);
}

void sf_sampler_remember(sf_sampler *sampler, int n) {
    sf_device_tensor *oldest = sampler->kept[n - 1];
    for (int i = n - 1; i > 0; i--)
        sampler->kept[i] = sampler->kept[i - 1];
    sampler->kept[0] = oldest;
}

sf_status sf_sampler_draw(sf_sampler *sampler, sf_device_tensor *out) {
    return sampler->source.draw(sampler->source.user, out);
}

sf_status sf_sampler_draw_between(sf_sampler *sampler, float from, float to,
                                  sf_device_tensor *out) {
    return sampler->path ? sf_brownian_draw(sampler, sampler->path, from, to, out)
                         : sf_sampler_draw(sampler, out);
}
