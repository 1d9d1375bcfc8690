/*
 * Entropy is hashed into a pool of words, each of which then depends on all; the state is hashed out of the
 * pool. The hash's constant changes with each word. See seed_sequence.h.
 */
#include "core/seed_sequence.h"

#include <assert.h>

#define MOST_WORDS (SF_SEED_MOST_POOL + 2 * SF_SEED_MOST_KEYS)

/* A hash and the constant of its next word: times `multiplier` after each. */
typedef struct hash {
    uint32_t constant, multiplier;
} hash;

static uint32_t hash_word(hash *h, uint32_t word) {
    word ^= h->constant;
    h->constant *= h->multiplier;
    word *= h->constant;
    return word ^ (word >> 16);
}

static uint32_t mix(uint32_t x, uint32_t y) {
    uint32_t mixed = 0xca01f9ddu * x - 0x4973f715u * y;
    return mixed ^ (mixed >> 16);
}

/* A number as words, the low one first; one word where the high one is 0. */
static size_t put_number(uint64_t number, uint32_t *words) {
    words[0] = (uint32_t)number;
    words[1] = (uint32_t)(number >> 32);
    return words[1] ? 2 : 1;
}

/* All words that go in. Those of keys come after the pool's size, so that zeros do not hide them. */
static size_t gather(uint64_t entropy, const uint64_t *keys, size_t n_keys, size_t n_pool,
                     uint32_t *words) {
    size_t n_words = put_number(entropy, words);
    if (n_keys > 0 && n_words < n_pool)
        n_words = n_pool;
    for (size_t i = 0; i < n_keys; i++)
        n_words += put_number(keys[i], words + n_words);
    return n_words;
}

void sf_seed_sequence(uint64_t entropy, const uint64_t *keys, size_t n_keys, size_t n_pool,
                      uint32_t *state, size_t n_state) {
    uint32_t pool[SF_SEED_MOST_POOL] = {0}, words[MOST_WORDS] = {0};
    hash in = {0x43b0d7e5u, 0x931e8875u}, out = {0x8b51f9ddu, 0x58f38dedu};
    assert(n_pool >= 4 && n_pool <= SF_SEED_MOST_POOL && n_keys <= SF_SEED_MOST_KEYS);
    size_t n_words = gather(entropy, keys, n_keys, n_pool, words);
    for (size_t i = 0; i < n_pool; i++)
        pool[i] = hash_word(&in, words[i]);
    for (size_t from = 0; from < n_pool; from++)
        for (size_t to = 0; to < n_pool; to++)
            if (from != to)
                pool[to] = mix(pool[to], hash_word(&in, pool[from]));
    for (size_t from = n_pool; from < n_words; from++)
        for (size_t to = 0; to < n_pool; to++)
            pool[to] = mix(pool[to], hash_word(&in, words[from]));
    for (size_t i = 0; i < n_state; i++)
        state[i] = hash_word(&out, pool[i % n_pool]);
}
