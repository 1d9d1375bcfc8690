/*
 * exp and the activations on vectors, to a few units in the last place of f32.
 */
#ifndef SF_BACKENDS_CPU_ISA_FUNCTIONS_H
#define SF_BACKENDS_CPU_ISA_FUNCTIONS_H

#include "backends/cpu/isa/vector.h"

/* Nearest integers of |x| < 2^22, in f32: adding 1.5 * 2^23 leaves no room for a fraction. */
INLINE vec vec_round(vec x) {
    vec magic = vec_of(0x1.8p23f);
    return (x + magic) - magic;
}

/* x 2^n for whole n between -252 and 254; in two factors, so that the result may be subnormal. */
INLINE vec vec_scale(vec x, vec n) {
#if VECTOR == 16
    return (vec)_mm512_scalef_ps((__m512)x, (__m512)n);
#else
    ivec whole = __builtin_convertvector(n, ivec), half = whole >> 1;
    vec first = (vec)((half + 127) << 23), second = (vec)((whole - half + 127) << 23);
    return x * first * second;
#endif
}

/*
 * exp x = 2^n exp r with n = round(x / ln 2), |r| <= ln 2 / 2. ln 2 is taken off in two parts, the
 * first with trailing zeros, so that r is exact (Cody and Waite 1980); exp r by a polynomial with the
 * coefficients of Cephes' expf. Overflow gives infinity, NaN stays NaN.
 */
INLINE vec vec_exp(vec x) {
    vec clamped = vec_max(vec_min(x, vec_of(89.0f)), vec_of(-104.0f));
    vec n = vec_round(clamped * 1.44269504088896341f);
    vec r = clamped - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vec p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return vec_scale(p, n);
}

INLINE vec vec_sigmoid(vec x) {
    return 1.0f / (1.0f + vec_exp(-x));
}

INLINE vec vec_absolute(vec x) {
    return (vec)(vec_bits(x) & 0x7fffffff);
}

/* a with the sign of b */
INLINE vec vec_copy_sign(vec a, vec b) {
    return (vec)((vec_bits(a) & 0x7fffffff) | (vec_bits(b) & (int32_t)0x80000000));
}

/*
 * x (1 + erf(x / sqrt 2)) / 2. erfc z exp(z^2) is t times a polynomial in t = 1 / (1 + 0.44 z), made
 * to meet it at Chebyshev's points for z from 0 to 9.5 (relative error 2.2e-7); beyond, exp(-z^2) is 0
 * to f32. Here with half of it and z = |x| / sqrt 2.
 */
INLINE vec vec_gelu(vec x) {
    vec t = 1.0f / (1.0f + 0.311126984f * vec_absolute(x));
    vec p = 0.0358136421f * t - 0.139881023f;
    p = p * t + 0.150019847f;
    p = p * t - 0.0117320747f;
    p = p * t + 0.108820302f;
    p = p * t + 0.108369574f;
    p = p * t + 0.124482369f;
    p = p * t + 0.124107447f;
    vec half_erfc = p * t * vec_exp(-0.5f * x * x);
    return x * vec_choose(x < 0.0f, half_erfc, 1.0f - half_erfc);
}

/* tanh z = (1 - e) / (1 + e) with e = exp(-2|z|); for small z the series, which keeps its digits. */
INLINE vec vec_tanh(vec z) {
    vec magnitude = vec_absolute(z), square = z * z;
    vec e = vec_exp(-2.0f * magnitude);
    vec large = vec_copy_sign((1.0f - e) / (1.0f + e), z);
    vec p = -0.00886323552990219656f * square + 0.0218694885361552028f;
    p = p * square - 0.0539682539682539683f;
    p = p * square + 0.133333333333333333f;
    p = p * square - 0.333333333333333333f;
    vec small = z + z * square * p;
    return vec_choose(magnitude < 0.3f, small, large);
}

/*
 * x tanh(log(1 + e)) with e = exp x is x n / (n + 2), n = e (e + 2); from 20 on it is x to the last
 * place.
 */
INLINE vec vec_mish(vec x) {
    vec e = vec_exp(vec_min(x, vec_of(20.0f)));
    vec n = e * (e + 2.0f);
    return vec_choose(x > 20.0f, x, x * (n / (n + 2.0f)));
}

/* One of sf_activation. Call it with a constant, so that nothing is left of the choice. */
INLINE vec vec_activation(int32_t activation, vec x) {
    switch (activation) {
    case SF_ACTIVATION_SILU:
        return x / (1.0f + vec_exp(-x));
    case SF_ACTIVATION_GELU:
        return vec_gelu(x);
    case SF_ACTIVATION_GELU_TANH:
        return x / (1.0f + vec_exp(-1.5957691216057308f * (x + 0.044715f * x * x * x)));
    case SF_ACTIVATION_QUICK_GELU:
        return x / (1.0f + vec_exp(-1.702f * x));
    case SF_ACTIVATION_RELU:
        return vec_choose(x < 0.0f, vec_zero(), x);
    case SF_ACTIVATION_MISH:
        return vec_mish(x);
    default:
        return x;
    }
}

#endif
