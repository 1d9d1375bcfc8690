/*
 * Vectors of VECTOR floats in the compiler's own notation: +, -, *, comparisons and choices are
 * written as for numbers, and each instruction set gets its own code. What the notation lacks (half
 * floats, parts of a vector) is here, with intrinsics where they pay.
 *
 * Comparisons give masks of all ones or zeros, as integers.
 */
#ifndef SF_BACKENDS_CPU_ISA_VECTOR_H
#define SF_BACKENDS_CPU_ISA_VECTOR_H

#include <stdint.h>
#include <string.h>

#include "core/half.h"
#include "sfumato_plugin.h"

#if defined(__AVX512F__) && defined(__AVX512BW__)
#define VECTOR 16
#elif defined(__AVX2__)
#define VECTOR 8
#else
#define VECTOR 4
#endif

#if VECTOR > 4
#include <immintrin.h>
#endif

typedef float vec __attribute__((vector_size(4 * VECTOR)));
typedef int32_t ivec __attribute__((vector_size(4 * VECTOR)));
typedef uint32_t uvec __attribute__((vector_size(4 * VECTOR)));
typedef uint16_t hvec __attribute__((vector_size(2 * VECTOR))); /* halves, in memory alone */

typedef float vec_unaligned __attribute__((vector_size(4 * VECTOR), aligned(4), may_alias));
typedef uint16_t hvec_unaligned __attribute__((vector_size(2 * VECTOR), aligned(2), may_alias));

#define INLINE static inline __attribute__((always_inline))

/*
 * Before a short loop with constant bounds: written out, so that arrays of vectors are registers. Not under
 * a sanitizer, whose checks of each access would make minutes of the compilation.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CPU_SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CPU_SANITIZED 1
#endif
#if defined(CPU_SANITIZED)
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 36")
#endif

/* ---- whole vectors ---- */

INLINE vec vec_load(const float *p) {
    return *(const vec_unaligned *)p;
}

INLINE void vec_store(float *p, vec x) {
    *(vec_unaligned *)p = x;
}

INLINE vec vec_zero(void) {
    return (vec){0};
}

INLINE vec vec_of(float x) {
    return x - vec_zero();
}

INLINE ivec vec_bits(vec x) {
    return (ivec)x;
}

/* mask ? a : b, by element */
INLINE vec vec_choose(ivec mask, vec a, vec b) {
#if VECTOR == 16
    return (vec)_mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)mask), (__m512)b, (__m512)a);
#elif VECTOR == 8
    return (vec)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)mask);
#else
    return (vec)((mask & (ivec)a) | (~mask & (ivec)b));
#endif
}

/* The larger; NaN if a is NaN. The instruction gives its second operand where one is NaN. */
INLINE vec vec_max(vec a, vec b) {
#if VECTOR == 16
    return (vec)_mm512_max_ps((__m512)b, (__m512)a);
#elif VECTOR == 8
    return (vec)_mm256_max_ps((__m256)b, (__m256)a);
#else
    return vec_choose(a < b, b, a);
#endif
}

INLINE vec vec_min(vec a, vec b) {
#if VECTOR == 16
    return (vec)_mm512_min_ps((__m512)b, (__m512)a);
#elif VECTOR == 8
    return (vec)_mm256_min_ps((__m256)b, (__m256)a);
#else
    return vec_choose(a > b, b, a);
#endif
}

INLINE float vec_sum(vec x) {
    float sum = 0;
    for (int i = 0; i < VECTOR; i++)
        sum += x[i];
    return sum;
}

INLINE float vec_largest(vec x) {
    float largest = x[0];
    for (int i = 1; i < VECTOR; i++)
        largest = x[i] > largest ? x[i] : largest;
    return largest;
}

/* ---- the first n elements, 0 < n < VECTOR; the others are 0 and are not touched in memory ---- */

INLINE vec vec_load_part(const float *p, int64_t n) {
#if VECTOR == 16
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    vec x = vec_zero();
    memcpy(&x, p, (size_t)n * sizeof *p);
    return x;
#endif
}

INLINE void vec_store_part(float *p, vec x, int64_t n) {
#if VECTOR == 16
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)x);
#else
    memcpy(p, &x, (size_t)n * sizeof *p);
#endif
}

/* ---- half floats ---- */

INLINE vec vec_widen_f16(hvec half) {
#if VECTOR == 16
    return (vec)_mm512_cvtph_ps((__m256i)half);
#elif VECTOR == 8
    return (vec)_mm256_cvtph_ps((__m128i)half);
#else
    float x[VECTOR];
    for (int i = 0; i < VECTOR; i++)
        x[i] = sf_half_widen(half[i]);
    return vec_load(x);
#endif
}

INLINE hvec vec_narrow_f16(vec x) {
#if VECTOR == 16
    return (hvec)_mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif VECTOR == 8
    return (hvec)_mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    uint16_t half[VECTOR];
    for (int i = 0; i < VECTOR; i++)
        half[i] = sf_half_narrow(x[i]);
    return *(const hvec_unaligned *)half;
#endif
}

INLINE vec vec_widen_bf16(hvec half) {
#if VECTOR == 16
    return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)half), 16);
#elif VECTOR == 8
    return (vec)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)half), 16);
#else
    float x[VECTOR];
    for (int i = 0; i < VECTOR; i++)
        x[i] = sf_bfloat_widen(half[i]);
    return vec_load(x);
#endif
}

/* As sf_bfloat_narrow(): half of the last kept bit is added, a carry may run into the exponent. */
INLINE hvec vec_narrow_bf16(vec x) {
    uvec bits = (uvec)x, payload = bits & 0x7fffffff;
    uvec rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    uvec quiet = (bits >> 16) | ((uvec)((bits & 0x007f0000) == 0) & 0x40);
    uvec is_nan = (uvec)(payload > 0x7f800000);
    return __builtin_convertvector((quiet & is_nan) | (rounded & ~is_nan), hvec);
}

/* Whether there are units for products of bf16: see vec_add_pairs(). */
#if VECTOR == 16 && defined(__AVX512BF16__)
#define VECTOR_BF16 1
#else
#define VECTOR_BF16 0
#endif

/* VECTOR elements of a float type at element i of data. */
INLINE vec vec_load_as(int32_t dtype, const void *data, int64_t i) {
    if (dtype == SF_F32)
        return vec_load((const float *)data + i);
    hvec half = *(const hvec_unaligned *)((const uint16_t *)data + i);
    return dtype == SF_F16 ? vec_widen_f16(half) : vec_widen_bf16(half);
}

INLINE void vec_store_as(int32_t dtype, void *data, int64_t i, vec x) {
    if (dtype == SF_F32)
        vec_store((float *)data + i, x);
    else
        *(hvec_unaligned *)((uint16_t *)data + i) =
            dtype == SF_F16 ? vec_narrow_f16(x) : vec_narrow_bf16(x);
}

/* Element i will be wanted soon; it need not be there. */
INLINE void vec_prefetch(int32_t dtype, const void *data, int64_t i) {
    uintptr_t bytes = (uintptr_t)i * (dtype == SF_F32 ? 4 : 2);
    __builtin_prefetch((const void *)((uintptr_t)data + bytes));
}

/* The same for the first n elements, 0 < n < VECTOR. */
INLINE vec vec_load_part_as(int32_t dtype, const void *data, int64_t i, int64_t n) {
    if (dtype == SF_F32)
        return vec_load_part((const float *)data + i, n);
    hvec half = {0};
    memcpy(&half, (const uint16_t *)data + i, (size_t)n * 2);
    return dtype == SF_F16 ? vec_widen_f16(half) : vec_widen_bf16(half);
}

INLINE void vec_store_part_as(int32_t dtype, void *data, int64_t i, vec x, int64_t n) {
    if (dtype == SF_F32) {
        vec_store_part((float *)data + i, x, n);
        return;
    }
    hvec half = dtype == SF_F16 ? vec_narrow_f16(x) : vec_narrow_bf16(x);
    memcpy((uint16_t *)data + i, &half, (size_t)n * 2);
}

/* The same for n >= 1 elements, no more than a vector of them. */
INLINE vec vec_load_up_to(int32_t dtype, const void *data, int64_t i, int64_t n) {
    return n >= VECTOR ? vec_load_as(dtype, data, i) : vec_load_part_as(dtype, data, i, n);
}

INLINE void vec_store_up_to(int32_t dtype, void *data, int64_t i, vec x, int64_t n) {
    if (n >= VECTOR)
        vec_store_as(dtype, data, i, x);
    else
        vec_store_part_as(dtype, data, i, x, n);
}

/* ---- pairs of bf16: lanes of 32 bits, the first of a pair in the lower half ---- */

#if VECTOR_BF16

/* sum + a[0] b[0] + a[1] b[1] by lane, in f32. Subnormal numbers count as 0. */
INLINE vec vec_add_pairs(vec sum, vec a, vec b) {
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

/* Rounded as by vec_narrow_bf16(), but that subnormal numbers become 0. */
INLINE vec vec_join_pairs(vec first, vec second) {
    __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)first));
    __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)second));
    return (vec)_mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

/* VECTOR pairs from element i of data on. */
INLINE vec vec_load_pairs(int32_t dtype, const void *data, int64_t i) {
    if (dtype == SF_BF16)
        return (vec)_mm512_loadu_si512((const uint16_t *)data + i);
    vec low = vec_load_as(dtype, data, i), high = vec_load_as(dtype, data, i + VECTOR);
    return (vec)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

/* The same of the first n elements, 0 < n < 2 VECTOR; the others are 0 and are not touched in memory. */
INLINE vec vec_load_part_pairs(int32_t dtype, const void *data, int64_t i, int64_t n) {
    if (dtype == SF_BF16)
        return (vec)_mm512_maskz_loadu_epi16((__mmask32)((UINT64_C(1) << n) - 1),
                                             (const uint16_t *)data + i);
    vec low, high = vec_zero();
    low = n >= VECTOR ? vec_load_as(dtype, data, i) : vec_load_part_as(dtype, data, i, n);
    if (n > VECTOR)
        high = vec_load_part_as(dtype, data, i + VECTOR, n - VECTOR);
    return (vec)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

#endif

#endif
