/*
 * Seeds out of one seed, as numpy.random.SeedSequence makes them: M. O'Neill's seed_seq_fe ("Developing a
 * seed_seq alternative", 2015), with numpy's spawn keys, which name the members of a tree of generators.
 */
#ifndef SF_CORE_SEED_SEQUENCE_H
#define SF_CORE_SEED_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

#define SF_SEED_MOST_POOL 32
#define SF_SEED_MOST_KEYS 4

/*
 * SeedSequence(entropy, spawn_key=keys, pool_size=n_pool).generate_state(n_state): n_pool 4 to
 * SF_SEED_MOST_POOL, n_keys up to SF_SEED_MOST_KEYS. Nothing allocates or fails.
 */
void sf_seed_sequence(uint64_t entropy, const uint64_t *keys, size_t n_keys, size_t n_pool,
                      uint32_t *state, size_t n_state);

#endif
