/*
 * The kinds of random generators by number and name. The generators are in rng_torch.c and
 * rng_philox.c.
 */
#include "core/rng.h"

#include <assert.h>
#include <string.h>

typedef struct rng_descriptor {
    const char *name;
    void (*seed)(sf_rng *rng, uint64_t seed);
    void (*normal)(sf_rng *rng, float *out, size_t n);
    void (*uniform)(sf_rng *rng, float *out, size_t n);
} rng_descriptor;

static const rng_descriptor descriptors[SF_RNG_COUNT] = {
#define RNG_DESCRIPTOR(upper, lower)                                                               \
    [SF_RNG_##upper] = {                                                                           \
        .name = #lower,                                                                            \
        .seed = sf_rng_##lower##_seed,                                                             \
        .normal = sf_rng_##lower##_normal,                                                         \
        .uniform = sf_rng_##lower##_uniform,                                                       \
    },
    SF_RNG_LIST(RNG_DESCRIPTOR)
#undef RNG_DESCRIPTOR
};

const char *sf_rng_kind_name(sf_rng_kind kind) {
    return (unsigned)kind < SF_RNG_COUNT ? descriptors[kind].name : NULL;
}

bool sf_rng_kind_from_name(const char *name, sf_rng_kind *kind) {
    for (unsigned i = 0; i < SF_RNG_COUNT; i++) {
        if (strcmp(descriptors[i].name, name) == 0) {
            *kind = (sf_rng_kind)i;
            return true;
        }
    }
    return false;
}

void sf_rng_seed(sf_rng *rng, sf_rng_kind kind, uint64_t seed) {
    assert((unsigned)kind < SF_RNG_COUNT);
    memset(rng, 0, sizeof(*rng));
    rng->kind = kind;
    descriptors[kind].seed(rng, seed);
}

void sf_rng_normal(sf_rng *rng, float *out, size_t n) {
    descriptors[rng->kind].normal(rng, out, n);
}

void sf_rng_uniform(sf_rng *rng, float *out, size_t n) {
    descriptors[rng->kind].uniform(rng, out, n);
}
