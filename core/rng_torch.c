/*
 * PyTorch's CPU generator, bit for bit: the Mersenne twister and PyTorch's two ways to a normal.
 *
 * Sources, in PyTorch's tree: aten/src/ATen/core/MT19937RNGEngine.h (the twister),
 * core/TransformationHelper.h (uniform_real), core/DistributionsHelper.h (normal_distribution: n <
 * 16), native/cpu/DistributionTemplates.h (normal_fill, NormalFill16: n >= 16) and
 * native/cpu/avx_mathfun.h (its logarithm, sine and cosine: Cephes' logf and sinf by S. L. Moshier,
 * with the multiplications and additions that PyTorch's build fuses). Those are the paths on x86-64
 * with AVX2 or AVX-512, which agree with each other. PyTorch without AVX2 calls the C library for n
 * >= 16 instead: 38 % of its values differ, by at most 2.4e-6 (mostly in the last place; relatively
 * more near 0).
 *
 * fmaf() stands where that build rounds once; any other product that is added to something is
 * exact, or 0 is what is added. So it does not matter whether a compiler fuses, nor whether the
 * processor can. (Float arithmetic must be in float: FLT_EVAL_METHOD 0, unlike the x87's.) For n <
 * 16 the C library's double functions are used, as in PyTorch; another C library's last bit shows
 * in about one float of 2^28.
 */
#include <math.h>
#include <string.h>

#include "core/rng.h"

#define MIDDLE 397 /* the twister's second tap */
#define GROUP  16  /* n >= GROUP is drawn in groups of GROUP */

static const double two_pi = 6.283185307179586476925286766559;

/* Matsumoto and Nishimura, "Mersenne Twister", 1998, with the seeding of their 2002 code. */
void sf_rng_torch_seed(sf_rng *rng, uint64_t seed) {
    sf_rng_torch *torch = &rng->state.torch;
    torch->state[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < SF_RNG_TORCH_WORDS; i++) {
        uint32_t last = torch->state[i - 1];
        torch->state[i] = 1812433253u * (last ^ (last >> 30)) + i;
    }
    torch->next = SF_RNG_TORCH_WORDS;
    torch->has_spare = false;
}

static void twist(uint32_t *state) {
    for (int i = 0; i < SF_RNG_TORCH_WORDS; i++) {
        uint32_t high = state[i];
        uint32_t low = state[(i + 1) % SF_RNG_TORCH_WORDS];
        uint32_t mixed = (high & 0x80000000u) | (low & 0x7fffffffu);
        uint32_t matrix = (low & 1u) ? 0x9908b0dfu : 0u;
        state[i] = state[(i + MIDDLE) % SF_RNG_TORCH_WORDS] ^ (mixed >> 1) ^ matrix;
    }
}

static uint32_t next_word(sf_rng_torch *torch) {
    if (torch->next == SF_RNG_TORCH_WORDS) {
        twist(torch->state);
        torch->next = 0;
    }
    uint32_t word = torch->state[torch->next++];
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c5680u;
    word ^= (word << 15) & 0xefc60000u;
    return word ^ (word >> 18);
}

/* A float in [0, 1) from the low 24 bits of a word: exact. */
static float next_float(sf_rng_torch *torch) {
    return (float)(next_word(torch) & 0xffffffu) * 0x1p-24f;
}

/* A double in [0, 1) from the low 53 bits of two words, the first the higher one: exact. */
static double next_double(sf_rng_torch *torch) {
    uint64_t high = next_word(torch);
    uint64_t bits = (high << 32) | next_word(torch);
    return (double)(bits & 0x1fffffffffffffu) * 0x1p-53;
}

/*
 * ln(x) for a normal x > 0: x = m 2^e with m in [sqrt(1/2), sqrt(2)), then
 * ln(1 + t) = t - t^2/2 + t^3 P(t), and e ln 2 as a short and a small part.
 */
static float natural_log(float x) {
    static const float p[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                              -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                              2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
    static const float ln2_small = -2.12194440e-4f;
    static const float ln2_short = 0.693359375f; /* ten bits: exponent * ln2_short is exact */
    int exponent;
    float t = frexpf(x, &exponent);
    if (t < 0.707106781186547524f) {
        exponent--;
        t = (t - 1.0f) + t;
    } else {
        t = t - 1.0f;
    }
    float e = (float)exponent;
    float square = t * t;
    float y = p[0];
    for (size_t i = 1; i < sizeof(p) / sizeof(p[0]); i++)
        y = fmaf(y, t, p[i]);
    y = fmaf(y * t, square, e * ln2_small);
    y = y - 0.5f * square;
    return (t + y) + e * ln2_short;
}

/*
 * The sine and cosine of 0 <= x <= 2 pi: x less the nearest even multiple j of pi/4, subtracted in
 * three parts, then a polynomial each; j says which of them is which, with what sign.
 */
static void sine_cosine(float x, float *sine, float *cosine) {
    int j = ((int)(x * 1.27323954473516f) + 1) & ~1; /* 4/pi */
    float multiple = (float)j;
    x = fmaf(multiple, -0.78515625f, x);
    x = fmaf(multiple, -2.4187564849853515625e-4f, x);
    x = fmaf(multiple, -3.77489497744594108e-8f, x);
    float square = x * x;

    float c = fmaf(2.443315711809948e-5f, square, -1.388731625493765e-3f);
    c = fmaf(c, square, 4.166664568298827e-2f);
    c = fmaf(c * square, square, -0.5f * square) + 1.0f;

    float s = fmaf(-1.9515295891e-4f, square, 8.3321608736e-3f);
    s = fmaf(s, square, -1.6666654611e-1f);
    s = fmaf(s * square, x, x);

    bool swapped = (j & 2) != 0;
    float sine_size = swapped ? c : s;
    float cosine_size = swapped ? s : c;
    *sine = (j & 4) ? -sine_size : sine_size;
    *cosine = ((j + 2) & 4) ? -cosine_size : cosine_size;
}

/*
 * Box and Muller, 1958, on 16 uniforms in place: u[i] and u[i + 8] make the normals i and i + 8.
 * 1 - u is in (0, 1], so the logarithm is finite. Adding 0 (PyTorch's mean) turns -0 into 0.
 */
static void normals_from_uniforms(float *values) {
    for (int i = 0; i < GROUP / 2; i++) {
        float radius = sqrtf(-2.0f * natural_log(1.0f - values[i]));
        float sine, cosine;
        sine_cosine((float)two_pi * values[i + GROUP / 2], &sine, &cosine);
        values[i] = radius * cosine + 0.0f;
        values[i + GROUP / 2] = radius * sine + 0.0f;
    }
}

/* Whole groups in place of the uniforms; what is left over is overwritten by a group of its own. */
static void normal_groups(sf_rng *rng, float *out, size_t n) {
    sf_rng_torch_uniform(rng, out, n);
    for (size_t i = 0; i + GROUP <= n; i += GROUP)
        normals_from_uniforms(out + i);
    if (n % GROUP != 0) {
        sf_rng_torch_uniform(rng, out + n - GROUP, GROUP);
        normals_from_uniforms(out + n - GROUP);
    }
}

/* Normals in pairs; the second of a pair waits, over calls, for the next value that is wanted. */
static double next_normal(sf_rng_torch *torch) {
    if (torch->has_spare) {
        torch->has_spare = false;
        return torch->spare;
    }
    double u1 = next_double(torch);
    double u2 = next_double(torch);
    double radius = sqrt(-2.0 * log1p(-u2));
    double angle = two_pi * u1;
    torch->spare = radius * sin(angle);
    torch->has_spare = true;
    return radius * cos(angle);
}

void sf_rng_torch_normal(sf_rng *rng, float *out, size_t n) {
    if (n >= GROUP) {
        normal_groups(rng, out, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(next_normal(&rng->state.torch) + 0.0);
}

void sf_rng_torch_uniform(sf_rng *rng, float *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = next_float(&rng->state.torch);
}
