/*
 * Seed sequences against numpy 2.4's numpy.random.SeedSequence: the last words of some states.
 */
#include "core/seed_sequence.h"

#include "tests/support/support.h"

Suite *suite_core_seed_sequence(void);

static const struct {
    uint64_t entropy;
    size_t n_keys;
    uint64_t keys[SF_SEED_MOST_KEYS];
    size_t n_pool, n_state;
    uint32_t last[2]; /* of the state */
} sequences[] = {
    /* clang-format off */
    {0, 0, {0}, 4, 4, {0x2c71ba49, 0xabf4641a}},
    {42, 0, {0}, 4, 6, {0x64d420b7, 0x7d282a1b}}, /* more words than the pool has */
    {42, 0, {0}, 24, 3, {0x97323715, 0xf31e2760}},
    {42, 2, {0, 0}, 24, 4, {0x7fcc8743, 0x169f9cea}}, /* keys of 0 are not none */
    {7, 1, {0}, 4, 2, {0x4797b856, 0x2efe612d}},
    {1, 1, {5}, 8, 12, {0x39bd8beb, 0x4abd8d21}},
    {4294967301, 2, {3, 2}, 24, 4, {0xc3ea1b42, 0xfea59659}}, /* numbers of two words */
    {UINT64_MAX, 2, {1099511627783, 41}, 24, 4, {0x5563c3e2, 0x9cefe5a5}},
    {123456789, 4, {1, 2, 3, 8589934592}, 32, 40, {0xe155e8f5, 0x38e7c79e}},
    /* clang-format on */
};

START_TEST(states_are_numpys) {
    uint32_t state[40];
    size_t n = sequences[_i].n_state;
    sf_seed_sequence(sequences[_i].entropy, sequences[_i].keys, sequences[_i].n_keys,
                     sequences[_i].n_pool, state, n);
    ck_assert_uint_eq(state[n - 2], sequences[_i].last[0]);
    ck_assert_uint_eq(state[n - 1], sequences[_i].last[1]);
}
END_TEST

Suite *suite_core_seed_sequence(void) {
    Suite *suite = suite_create("core_seed_sequence");
    TCase *tcase = tcase_create("numpy");
    tcase_add_loop_test(tcase, states_are_numpys, 0, (int)(sizeof sequences / sizeof *sequences));
    suite_add_tcase(suite, tcase);
    return suite;
}
