/*
 * The two 16-bit float formats to f32 and back, as inline functions for inner loops. Header only,
 * so that a plugin can use it without a symbol of the core. core/tensor.h has the same as
 * functions.
 *
 * Widening is exact. Narrowing rounds to nearest, ties to even, as IEEE 754 asks and as PyTorch
 * does. A NaN keeps its sign and the upper bits of its payload; it stays a NaN if those are all
 * zero. Every branch is a choice between two computed values, so compilers turn it into a select.
 */
#ifndef SF_CORE_HALF_H
#define SF_CORE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float sf_float_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t sf_float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/*
 * IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits.
 *
 * Shifted by 13 the fields lie where f32 has them, and the exponent is rebiased by 127 - 15. Inf
 * and NaN need the rest of the way to exponent 255. A subnormal h * 2^-24 is read as 2^-14 * (1 +
 * h/1024), from which 2^-14 is taken away: exact, and no f32 subnormal is met (so flush-to-zero
 * does no harm).
 */
static inline float sf_half_widen(uint16_t half) {
    uint32_t magnitude = (uint32_t)(half & 0x7fffu) << 13;
    uint32_t normal = magnitude + ((127u - 15u) << 23);
    uint32_t special = magnitude + ((255u - 31u) << 23);
    uint32_t subnormal =
        sf_float_bits(sf_float_from_bits(magnitude + ((127u - 14u) << 23)) - 0x1p-14f);
    uint32_t bits = magnitude >= 0x1fu << 23 ? special : normal;
    uint32_t is_small = 0u - (magnitude < 1u << 23); /* a mask: the subtraction is no branch */
    bits = (subnormal & is_small) | (bits & ~is_small);
    return sf_float_from_bits(bits | (uint32_t)(half & 0x8000u) << 16);
}

/*
 * Normal results: rebias, then add half of the last kept bit less one, plus the last kept bit
 * itself (ties to even), and cut; a carry runs into the exponent and at the top gives Inf, as it
 * should. Subnormal results (below 2^-14): the last bit of value + 0.5 is worth 2^-24, that of a
 * subnormal half, so the addition itself rounds.
 */
static inline uint16_t sf_half_narrow(float value) {
    uint32_t sign = sf_float_bits(value) >> 16 & 0x8000u;
    uint32_t bits = sf_float_bits(value) & 0x7fffffffu;
    uint32_t normal = (bits - ((127u - 15u) << 23) + 0xfffu + (bits >> 13 & 1u)) >> 13;
    uint32_t subnormal = sf_float_bits(sf_float_from_bits(bits < 0x38800000u ? bits : 0u) + 0.5f);
    uint32_t payload = bits >> 13 & 0x3ffu;
    uint32_t special = 0x7c00u | (bits <= 0x7f800000u ? 0u : payload ? payload : 0x200u);
    uint32_t half = bits < 0x38800000u ? subnormal - 0x3f000000u : normal; /* 2^-14 */
    half = bits >= 0x47800000u ? special : half;                           /* 2^16 */
    return (uint16_t)(sign | half);
}

/* bfloat16 is the upper half of an f32. */
static inline float sf_bfloat_widen(uint16_t bf16) {
    return sf_float_from_bits((uint32_t)bf16 << 16);
}

static inline uint16_t sf_bfloat_narrow(float value) {
    uint32_t bits = sf_float_bits(value);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    uint32_t quiet = bits & 0x007f0000u ? 0u : 0x40u; /* a payload that would be cut off */
    uint32_t nan = bits >> 16 | quiet;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

#endif
