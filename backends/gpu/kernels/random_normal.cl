/*
 * Standard normal numbers: Philox4x32-10 and Box and Muller's formula, as core/rng_philox.c draws them.
 * Work-item i draws number i. The words are exact; the normals are computed in f32, which not every
 * device surpasses, in a way that is good to some 1e-6: nothing is rounded near u = 1 or at sin(pi).
 */
#include "backends/gpu/kernels/random_normal.h"

#define PHILOX_ROUNDS 10

/* The first two words of the block of `element` in call `offset`. */
FUNCTION void philox(gpu_ulong seed, gpu_ulong offset, gpu_uint element, gpu_uint *word0,
                     gpu_uint *word1) {
    gpu_uint c0 = (gpu_uint)offset, c1 = (gpu_uint)(offset >> 32), c2 = element, c3 = 0;
    gpu_uint key0 = (gpu_uint)seed, key1 = (gpu_uint)(seed >> 32);
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        gpu_uint high0 = mul_high(c0, 0xd2511f53u), low0 = c0 * 0xd2511f53u;
        gpu_uint high2 = mul_high(c2, 0xcd9e8d57u), low2 = c2 * 0xcd9e8d57u;
        c0 = high2 ^ c1 ^ key0;
        c1 = low2;
        c2 = high0 ^ c3 ^ key1;
        c3 = low0;
        key0 += 0x9e3779b9u;
        key1 += 0xbb67ae85u;
    }
    *word0 = c0;
    *word1 = c1;
}

/* log u of u = (word + 1/2) / 2^32; in the upper half from 1 - u, which keeps the digits. */
FUNCTION float log_uniform(gpu_uint word) {
    if (word < 0x80000000u)
        return f_log((float)word * 2.3283064365386963e-10f + 1.1641532182693481e-10f);
    return f_log1p(-((float)~word * 2.3283064365386963e-10f + 1.1641532182693481e-10f));
}

/*
 * sin(unit (word + 1/2)) of unit = 2 pi / 2^32 (1 + d), d = 2.78e-8, which is what the generator's
 * constant was rounded to. From the nearest multiple of pi on, counted in whole numbers.
 */
FUNCTION float sin_of_word(gpu_uint word) {
    gpu_uint is_odd = (word + 0x40000000u) >> 31;
    gpu_int rest = (gpu_int)(word - (is_odd << 31));
    float angle = (float)rest * 1.4629180792671596e-9f + 7.314590396335798e-10f;
    float sine = f_sin(angle + (float)word * 4.0709342e-17f);
    return is_odd ? -sine : sine;
}

KERNEL(random_normal)(INPUT(key), OUTPUT(y), gpu_random_normal_arguments a) {
    LOCATE(key);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    gpu_uint word0, word1;
    if (i >= a.n)
        return;
    GLOBAL const gpu_ulong *words = (GLOBAL const gpu_ulong *)key;
    philox(words[0], words[a.key_stride], i, &word0, &word1);
    ((GLOBAL float *)y)[i] = f_sqrt(-2.0f * log_uniform(word0)) * sin_of_word(word1);
}
