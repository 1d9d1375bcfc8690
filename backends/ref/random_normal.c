/*
 * random_normal: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011)
 * and Box and Muller's formula, with the constants that PyTorch's CUDA generator has. The same
 * numbers as core/rng_philox.c, which a plugin can't call.
 */
#include "backends/ref/ref.h"

#include <math.h>

#define ROUNDS 10

/* counter: four words that become random. */
static void philox(uint32_t counter[4], uint32_t key0, uint32_t key1) {
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t even = (uint64_t)counter[0] * 0xd2511f53u;
        uint64_t odd = (uint64_t)counter[2] * 0xcd9e8d57u;
        uint32_t mixed[4] = {(uint32_t)(odd >> 32) ^ counter[1] ^ key0, (uint32_t)odd,
                             (uint32_t)(even >> 32) ^ counter[3] ^ key1, (uint32_t)even};
        for (int k = 0; k < 4; k++)
            counter[k] = mixed[k];
        key0 += 0x9e3779b9u;
        key1 += 0xbb67ae85u;
    }
}

/*
 * sqrt(-2 log u) sin(angle): u in (0, 1) from the first word, the angle from the second. In double
 * but for the unit of the angle; the product is rounded before the sum (volatile), whatever the
 * compiler would fuse.
 */
static float box_muller(uint32_t word0, uint32_t word1) {
    const double angle_unit = (float)(2.3283064e-10 * 6.2831855); /* 2 pi / 2^32 */
    double u = word0 * 0x1p-32 + 0x1p-33;
    volatile double angle = word1 * angle_unit;
    return (float)(sqrt(-2.0 * log(u)) * sin(angle + angle_unit / 2));
}

static int supports(const sf_op_call *call) {
    return ref_input(call, 0)->dtype == SF_I64 && call->output->dtype == SF_F32;
}

static sf_status run(void *backend, const sf_op_call *call) {
    (void)backend;
    const sf_tensor_desc *key = ref_input(call, 0);
    const int64_t *words = ref_address(key);
    uint64_t seed = (uint64_t)words[0], offset = (uint64_t)words[key->strides[0]];
    float *y = ref_address(call->output);
    for (int64_t i = 0; i < ref_elements(call->output); i++) {
        uint32_t counter[4] = {(uint32_t)offset, (uint32_t)(offset >> 32), (uint32_t)i,
                               (uint32_t)((uint64_t)i >> 32)};
        philox(counter, (uint32_t)seed, (uint32_t)(seed >> 32));
        y[i] = box_muller(counter[0], counter[1]);
    }
    return SF_OK;
}

const sf_op_entry ref_random_normal = {
    .struct_size = sizeof(sf_op_entry),
    .op = "random_normal",
    .supports = supports,
    .run = run,
};
