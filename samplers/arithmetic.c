/*
 * The arithmetic that steps are written in, on the sample's backend. See class.h for the rounding.
 */
#include "samplers/class.h"

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

sf_status sf_sampler_apply(sf_sampler *sampler, sf_op_id op, const sf_attributes *attributes,
                           sf_device_tensor *out, const sf_device_tensor *x) {
    return sf_eager_run(sampler->eager, op, &x, 1, attributes, out);
}

sf_status sf_sampler_draw(sf_sampler *sampler, sf_device_tensor *out) {
    return sampler->source.draw(sampler->source.user, out);
}
