/*
 * Random generators: the noise that a seed stands for, the same in every program and on every
 * machine. rng.c dispatches over the kinds; rng_torch.c and rng_philox.c are the generators.
 *
 * A generator is a plain struct of about 2.5 KB: it can be copied, it owns nothing, and no function
 * here allocates or fails. One generator belongs to one thread at a time.
 */
#ifndef SF_CORE_RNG_H
#define SF_CORE_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(NAME, name): every kind, once; the name is what the command line takes. */
#define SF_RNG_LIST(X)                                                                             \
    X(TORCH, torch)   /* PyTorch's CPU generator: torch.Generator("cpu").manual_seed(seed) */      \
    X(PHILOX, philox) /* PyTorch's CUDA generator, as stable-diffusion-webui computes it */

typedef enum sf_rng_kind {
#define SF_RNG_ENUM(upper, lower) SF_RNG_##upper,
    SF_RNG_LIST(SF_RNG_ENUM)
#undef SF_RNG_ENUM
        SF_RNG_COUNT
} sf_rng_kind;

/* Mersenne twister 19937 and the second half of a Box-Muller pair that is still to be handed out.
 */
#define SF_RNG_TORCH_WORDS 624
typedef struct sf_rng_torch {
    uint32_t state[SF_RNG_TORCH_WORDS];
    int next;       /* the word of state that is read next; SF_RNG_TORCH_WORDS: none is left */
    bool has_spare; /* spare holds a value */
    double spare;
} sf_rng_torch;

typedef struct sf_rng_philox {
    uint64_t seed;
    uint64_t n_calls; /* draws of a tensor since seeding */
} sf_rng_philox;

typedef struct sf_rng {
    sf_rng_kind kind;
    union {
        sf_rng_torch torch;
        sf_rng_philox philox;
    } state;
} sf_rng;

/* "torch" and so on; NULL for an unknown kind. */
const char *sf_rng_kind_name(sf_rng_kind kind);

/* The kind of that name in *kind; false, and *kind untouched, if there is none. */
bool sf_rng_kind_from_name(const char *name, sf_rng_kind *kind);

/*
 * Starts a generator of a valid kind over. torch uses the low 32 bits of the seed, as PyTorch does;
 * philox all 64. Python's negative seeds are those of two's complement: -1 is 2^64 - 1.
 */
void sf_rng_seed(sf_rng *rng, sf_rng_kind kind, uint64_t seed);

/*
 * n independent values of the standard normal distribution: one call of torch.randn(shape,
 * generator=g, dtype=torch.float32) for a shape of n elements, in row-major order. How a draw is
 * split into calls matters: PyTorch draws n < 16 in another way than n >= 16, and the last 16 of an
 * n that is no multiple of 16 anew. n 0 draws nothing.
 *
 * Accuracy: see rng_torch.c and rng_philox.c. A draw in float16 or bfloat16 of a multiple of 16
 * elements is this one rounded; of other sizes PyTorch's differs from it.
 */
void sf_rng_normal(sf_rng *rng, float *out, size_t n);

/* n values uniform in [0, 1): one call of torch.rand(shape, generator=g, dtype=torch.float32). */
void sf_rng_uniform(sf_rng *rng, float *out, size_t n);

/* The generators themselves, which the functions above call. */
void sf_rng_torch_seed(sf_rng *rng, uint64_t seed);
void sf_rng_torch_normal(sf_rng *rng, float *out, size_t n);
void sf_rng_torch_uniform(sf_rng *rng, float *out, size_t n);
void sf_rng_philox_seed(sf_rng *rng, uint64_t seed);
void sf_rng_philox_normal(sf_rng *rng, float *out, size_t n);
void sf_rng_philox_uniform(sf_rng *rng, float *out, size_t n);

/* Philox 4x32 with 10 rounds: counter becomes four random words. */
void sf_rng_philox_block(uint32_t counter[4], const uint32_t key[2]);

#endif
