/*
 * PyTorch's CUDA generator on the host: Philox 4x32-10, one block of four words an element.
 *
 * Sources: J. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011 (Philox);
 * ATen/native/cuda/DistributionTemplates.h of PyTorch (which thread draws which element);
 * modules/rng_philox.py of stable-diffusion-webui (this form of it, whose numbers are taken over).
 *
 * The block of element i in call k since seeding has the counter (k, i) and the key (seed). PyTorch
 * runs 256 threads a block and as many blocks as the GPU holds at once, at most n / 256 rounded up,
 * and takes a thread's further words only when there are more elements than threads. So the element
 * is the thread, and what is computed here is PyTorch's noise, up to n = 2048 (1536 or 1024 on some
 * models) times the number of multiprocessors; beyond that PyTorch's noise depends on the GPU.
 *
 * Accuracy: the words are exact. The normals are computed in double, with the constants in float,
 * as webui does it, and rounded; CUDA computes in float with fast intrinsics, so its values are
 * near, not equal. Checked: Philox against the known answers of Random123; the normals bit for bit
 * against webui's formula in numpy, and against what PyTorch printed of three successive draws on a
 * GPU, to its four decimals. The uniforms follow cuRAND's documentation and have been compared with
 * no GPU's.
 */
#include <math.h>

#include "core/rng.h"

#define ROUNDS 10

/* The words of a 64-bit number, low first. */
static void split(uint64_t number, uint32_t words[2]) {
    words[0] = (uint32_t)number;
    words[1] = (uint32_t)(number >> 32);
}

void sf_rng_philox_block(uint32_t counter[4], const uint32_t key[2]) {
    uint32_t key0 = key[0], key1 = key[1];
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t product0 = (uint64_t)counter[0] * 0xd2511f53u;
        uint64_t product1 = (uint64_t)counter[2] * 0xcd9e8d57u;
        counter[0] = (uint32_t)(product1 >> 32) ^ counter[1] ^ key0;
        counter[1] = (uint32_t)product1;
        counter[2] = (uint32_t)(product0 >> 32) ^ counter[3] ^ key1;
        counter[3] = (uint32_t)product0;
        key0 += 0x9e3779b9u; /* the golden ratio, and sqrt(3) - 1, as 32-bit fractions */
        key1 += 0xbb67ae85u;
    }
}

/* The four words of one element of the current call. */
static void element_words(const sf_rng_philox *philox, uint64_t element, uint32_t words[4]) {
    uint32_t key[2];
    split(philox->seed, key);
    split(philox->n_calls, words);
    split(element, words + 2);
    sf_rng_philox_block(words, key);
}

/*
 * The first normal of a Box-Muller pair. u is in (0, 1), so the logarithm is finite. The product is
 * volatile so that it is rounded on its own, whatever the compiler would fuse.
 */
static float normal_from_words(uint32_t word0, uint32_t word1) {
    const double unit = 0x1p-32;
    const double turn = 2.3283064e-10 * 6.2831855; /* 2 pi / 2^32, rounded to float below */
    const double angle_unit = (float)turn;
    double u = word0 * unit + unit / 2;
    volatile double product = word1 * angle_unit;
    double angle = product + angle_unit / 2;
    return (float)(sqrt(-2.0 * log(u)) * sin(angle));
}

void sf_rng_philox_seed(sf_rng *rng, uint64_t seed) {
    rng->state.philox = (sf_rng_philox){.seed = seed};
}

void sf_rng_philox_normal(sf_rng *rng, float *out, size_t n) {
    sf_rng_philox *philox = &rng->state.philox;
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        uint32_t words[4];
        element_words(philox, i, words);
        out[i] = normal_from_words(words[0], words[1]);
    }
    philox->n_calls++;
}

/* cuRAND's uniform is in (0, 1]; PyTorch makes 0 of 1. */
void sf_rng_philox_uniform(sf_rng *rng, float *out, size_t n) {
    sf_rng_philox *philox = &rng->state.philox;
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        uint32_t words[4];
        element_words(philox, i, words);
        float value = (float)words[0] * 0x1p-32f + 0x1p-33f;
        out[i] = value < 1.0f ? value : 0.0f;
    }
    philox->n_calls++;
}
