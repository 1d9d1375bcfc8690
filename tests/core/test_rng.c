/*
 * The random generators against PyTorch's draws bit by bit, against published answers, and against
 * the distributions that they are to have. Goldens: tests/oracle/make_rng_goldens.py.
 */
#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "tests/support/support.h"

Suite *suite_core_rng(void);

#define MAX_CALLS 16
#define BLOCK     16384 /* values in the largest single draw here */

static float values[BLOCK + 2];

static uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static uint64_t hash_floats(uint64_t hash, const float *data, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (int shift = 0; shift < 32; shift += 8)
            hash = (hash ^ (float_bits(data[i]) >> shift & 0xff)) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* One line of draws.txt. */
typedef struct golden {
    sf_rng_kind kind;
    uint64_t seed;
    int n_calls;
    char call[MAX_CALLS]; /* 'n' normal, 'u' uniform */
    size_t size[MAX_CALLS];
    uint64_t hash;
    int n_shown;
    uint32_t shown[4];
} golden;

/* False at the end of the file. */
static bool read_golden(FILE *file, golden *g) {
    char name[16];
    int n_read = fscanf(file, "%15s %" SCNu64 " %d", name, &g->seed, &g->n_calls);
    if (n_read == EOF)
        return false;
    ck_assert_int_eq(n_read, 3);
    ck_assert(sf_rng_kind_from_name(name, &g->kind));
    ck_assert_int_le(g->n_calls, MAX_CALLS);
    for (int i = 0; i < g->n_calls; i++)
        ck_assert_int_eq(fscanf(file, " %c%zu", &g->call[i], &g->size[i]), 2);
    ck_assert_int_eq(fscanf(file, "%" SCNx64 " %d", &g->hash, &g->n_shown), 2);
    ck_assert_int_le(g->n_shown, 4);
    for (int i = 0; i < g->n_shown; i++)
        ck_assert_int_eq(fscanf(file, "%" SCNx32, &g->shown[i]), 1);
    return true;
}

/* Draws between two sentinels and checks them. */
static float *draw(sf_rng *rng, char call, size_t n) {
    ck_assert_uint_le(n, BLOCK);
    values[0] = values[n + 1] = 12345.0f;
    if (call == 'n')
        sf_rng_normal(rng, values + 1, n);
    else
        sf_rng_uniform(rng, values + 1, n);
    ck_assert(values[0] == 12345.0f && values[n + 1] == 12345.0f);
    return values + 1;
}

static void check_golden(const golden *g) {
    sf_rng rng;
    sf_rng_seed(&rng, g->kind, g->seed);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int n_compared = 0;
    for (int i = 0; i < g->n_calls; i++) {
        const float *drawn = draw(&rng, g->call[i], g->size[i]);
        for (size_t j = 0; j < g->size[i] && n_compared < g->n_shown; j++) {
            ck_assert_msg(float_bits(drawn[j]) == g->shown[n_compared],
                          "%s seed %" PRIu64 ", value %d: %08" PRIx32 ", expected %08" PRIx32,
                          sf_rng_kind_name(g->kind), g->seed, n_compared, float_bits(drawn[j]),
                          g->shown[n_compared]);
            n_compared++;
        }
        hash = hash_floats(hash, drawn, g->size[i]);
    }
    ck_assert_int_eq(n_compared, g->n_shown);
    ck_assert_msg(hash == g->hash,
                  "%s seed %" PRIu64 ", %d calls, the first %c%zu: the values differ",
                  sf_rng_kind_name(g->kind), g->seed, g->n_calls, g->call[0], g->size[0]);
}

START_TEST(draws_are_those_of_the_oracle) {
    FILE *file = fopen(test_data("rng/draws.txt"), "r");
    ck_assert_ptr_nonnull(file);
    int n_lines[SF_RNG_COUNT] = {0};
    for (golden g; read_golden(file, &g); n_lines[g.kind]++)
        check_golden(&g);
    fclose(file);
    ck_assert_int_eq(n_lines[SF_RNG_TORCH], 8 * 12 + 3 * 5);
    ck_assert_int_eq(n_lines[SF_RNG_PHILOX], 8 * 3 + 5);
}
END_TEST

START_TEST(names_and_kinds_agree) {
    sf_rng_kind kind = SF_RNG_COUNT;
    ck_assert(sf_rng_kind_from_name("torch", &kind) && kind == SF_RNG_TORCH);
    ck_assert(sf_rng_kind_from_name("philox", &kind) && kind == SF_RNG_PHILOX);
    ck_assert_str_eq(sf_rng_kind_name(SF_RNG_TORCH), "torch");
    ck_assert_str_eq(sf_rng_kind_name(SF_RNG_PHILOX), "philox");
    ck_assert(!sf_rng_kind_from_name("", &kind));
    ck_assert(!sf_rng_kind_from_name("Torch", &kind));
    ck_assert_int_eq(kind, SF_RNG_PHILOX);
    ck_assert_ptr_null(sf_rng_kind_name(SF_RNG_COUNT));
}
END_TEST

/* The known answers that come with Random123 (kat_vectors), philox4x32 with 10 rounds. */
START_TEST(philox_gives_the_known_answers) {
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        uint32_t counter[4];
        memcpy(counter, vectors[i].counter, sizeof(counter));
        sf_rng_philox_block(counter, vectors[i].key);
        ck_assert_mem_eq(counter, vectors[i].answer, sizeof(counter));
    }
}
END_TEST

/*
 * What PyTorch 2.2 printed of three calls in a row on an NVIDIA GPU: torch.manual_seed(0), then
 * torch.randn(80), randn(10), randn(80) with device="cuda". Four decimals: half a unit of the last
 * one, and 1e-6 for the GPU's arithmetic in float.
 */
START_TEST(philox_agrees_with_a_gpu) {
    static const struct {
        size_t n;
        float printed[10];
    } calls[] = {
        {80,
         {-0.9247f, -0.4253f, -2.6438f, 0.1452f, -0.1209f, -0.5797f, -0.6229f, -0.3284f, -1.0745f,
          -0.3631f}},
        {10,
         {0.1808f, -0.5523f, 0.9238f, -0.7350f, 1.3800f, 0.8676f, 0.1297f, -0.9406f, 0.8109f,
          0.8821f}},
        {80,
         {2.5441f, -0.7163f, -0.4934f, 0.1267f, 0.1014f, -0.4035f, 0.9023f, 0.8099f, -0.6884f,
          0.1372f}},
    };
    sf_rng rng;
    sf_rng_seed(&rng, SF_RNG_PHILOX, 0);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        const float *drawn = draw(&rng, 'n', calls[i].n);
        for (int j = 0; j < 10; j++)
            ck_assert_float_eq_tol(drawn[j], calls[i].printed[j], 5.1e-5f);
    }
}
END_TEST

/* The example in modules/rng_philox.py of stable-diffusion-webui: seed 0, twelve values. */
START_TEST(philox_agrees_with_webui) {
    static const float published[] = {-0.92466259f, -0.42534415f, -2.6438457f,  0.14518388f,
                                      -0.12086647f, -0.57972564f, -0.62285122f, -0.32838709f,
                                      -1.07454231f, -0.36314407f, -1.67105067f, 2.26550497f};
    sf_rng rng;
    sf_rng_seed(&rng, SF_RNG_PHILOX, 0);
    const float *drawn = draw(&rng, 'n', 12);
    for (int i = 0; i < 12; i++) /* a few units in the last place: they were computed in float */
        ck_assert_float_eq_tol(drawn[i], published[i], 1e-6f);
}
END_TEST

START_TEST(torch_uses_the_low_half_of_the_seed_and_philox_all) {
    float first[16], second[16];
    for (int kind = 0; kind < SF_RNG_COUNT; kind++) {
        sf_rng rng;
        sf_rng_seed(&rng, (sf_rng_kind)kind, 5);
        sf_rng_normal(&rng, first, 16);
        sf_rng_seed(&rng, (sf_rng_kind)kind, (UINT64_C(1) << 32) + 5);
        sf_rng_normal(&rng, second, 16);
        ck_assert_int_eq(memcmp(first, second, sizeof(first)) == 0, kind == SF_RNG_TORCH);
    }
}
END_TEST

/* A copy goes on as the original does, the value that waits included; seeding forgets that one. */
START_TEST(the_state_is_the_struct) {
    for (int kind = 0; kind < SF_RNG_COUNT; kind++) {
        sf_rng rng, copy;
        float first[33], second[33];
        sf_rng_seed(&rng, (sf_rng_kind)kind, 9);
        sf_rng_normal(&rng, first, 3);
        copy = rng;
        sf_rng_normal(&rng, first, 3);
        sf_rng_normal(&rng, first + 3, 30);
        sf_rng_normal(&copy, second, 3);
        sf_rng_normal(&copy, second + 3, 30);
        ck_assert_mem_eq(first, second, sizeof(first));
        sf_rng_normal(&rng, first, 1);
        sf_rng_seed(&rng, (sf_rng_kind)kind, 9);
        sf_rng_seed(&copy, (sf_rng_kind)kind, 9);
        sf_rng_normal(&rng, first, 3);
        sf_rng_normal(&copy, second, 3);
        ck_assert_mem_eq(first, second, 3 * sizeof(float));
    }
}
END_TEST

/* The state word that the twister's output function (the tempering) maps to `word`. */
static uint32_t state_for_word(uint32_t word) {
    word ^= word >> 18;
    word ^= (word << 15) & 0xefc60000u;
    uint32_t partial = word;
    for (int i = 0; i < 4; i++)
        partial = word ^ ((partial << 7) & 0x9d2c5680u);
    word = partial;
    for (int i = 0; i < 2; i++)
        partial = word ^ (partial >> 11);
    return partial;
}

/* A generator whose next words are all that one. */
static sf_rng constant_rng(uint32_t word) {
    sf_rng rng;
    sf_rng_seed(&rng, SF_RNG_TORCH, 0);
    for (int i = 0; i < SF_RNG_TORCH_WORDS; i++)
        rng.state.torch.state[i] = state_for_word(word);
    rng.state.torch.next = 0;
    return rng;
}

START_TEST(the_ends_of_the_uniform_range_are_finite) {
    sf_rng rng = constant_rng(0);
    const float *drawn = draw(&rng, 'u', 1);
    ck_assert(drawn[0] == 0.0f);
    for (size_t n = 2; n <= 17; n += 15) { /* the logarithm of 1: zeros without a sign */
        rng = constant_rng(0);
        drawn = draw(&rng, 'n', n);
        for (size_t i = 0; i < n; i++)
            ck_assert_uint_eq(float_bits(drawn[i]), 0);
    }
    rng = constant_rng(0xffffffffu);
    drawn = draw(&rng, 'u', 1);
    ck_assert(drawn[0] == 1.0f - 0x1p-24f);
    rng = constant_rng(0xffffffffu);
    drawn = draw(&rng, 'n', 16); /* the largest float normal: sqrt(-2 ln 2^-24) */
    ck_assert_float_eq_tol(drawn[0], 5.7681f, 1e-3f);
    rng = constant_rng(0xffffffffu);
    drawn = draw(&rng, 'n', 1); /* and by way of double: sqrt(-2 ln 2^-53) */
    ck_assert_float_eq_tol(drawn[0], 8.5717f, 1e-3f);
}
END_TEST

/* The first word of this seed is 0xffffffb3, which is 2^32 in float: uniform 1, which becomes 0. */
START_TEST(the_end_of_the_philox_range_is_not_reached) {
    sf_rng rng;
    sf_rng_seed(&rng, SF_RNG_PHILOX, 16390493);
    ck_assert_uint_eq(float_bits(*draw(&rng, 'u', 1)), 0);
    sf_rng_seed(&rng, SF_RNG_PHILOX, 16390493);
    ck_assert_float_le(fabsf(*draw(&rng, 'n', 1)), 2e-4f); /* ln u = -1.8e-8 */
}
END_TEST

/*
 * The float normals are Box and Muller's of the uniforms. The angle is rounded to float (2.4e-7)
 * after a product with 2 pi in float (1.7e-7 off); times the radius (at most 5.77) that
 * makes 2.4e-6, and a few units in the last place of the result come on top.
 */
START_TEST(torch_normals_are_box_muller_of_the_uniforms) {
    static float uniforms[BLOCK];
    const double two_pi = 2.0 * acos(-1.0);
    sf_rng rng;
    sf_rng_seed(&rng, SF_RNG_TORCH, 2026);
    sf_rng copy = rng;
    sf_rng_uniform(&copy, uniforms, BLOCK);
    const float *drawn = draw(&rng, 'n', BLOCK);
    for (int i = 0; i < BLOCK; i += 16) {
        for (int j = i; j < i + 8; j++) {
            double radius = sqrt(-2.0 * log(1.0 - (double)uniforms[j]));
            double angle = two_pi * (double)uniforms[j + 8];
            ck_assert_double_eq_tol(drawn[j], radius * cos(angle), 4e-6);
            ck_assert_double_eq_tol(drawn[j + 8], radius * sin(angle), 4e-6);
        }
    }
}
END_TEST

/* Moments of N draws; each has a known standard deviation, of which five are allowed. */
static void check_normal_moments(sf_rng_kind kind, size_t n_draw, size_t n_draws) {
    const double n = (double)n_draw * (double)n_draws;
    double sums[5] = {0}, products = 0;
    sf_rng rng;
    sf_rng_seed(&rng, kind, 11);
    for (size_t i = 0; i < n_draws; i++) {
        const float *drawn = draw(&rng, 'n', n_draw);
        for (size_t j = 0; j < n_draw; j++) {
            double x = drawn[j];
            sums[1] += x;
            sums[2] += x * x;
            sums[3] += x * x * x;
            sums[4] += x * x * x * x;
            products += x * (double)drawn[(j + 8) % n_draw]; /* 8: the other one of a pair */
        }
    }
    ck_assert_double_le(fabs(sums[1] / n), 5 / sqrt(n)); /* false for NaN and infinity, too */
    ck_assert_double_le(fabs(sums[2] / n - 1), 5 * sqrt(2 / n));
    ck_assert_double_le(fabs(sums[3] / n), 5 * sqrt(15 / n));
    ck_assert_double_le(fabs(sums[4] / n - 3), 5 * sqrt(96 / n));
    ck_assert_double_le(fabs(products / n), 5 / sqrt(n));
}

START_TEST(ten_million_torch_normals_are_normal) {
    check_normal_moments(SF_RNG_TORCH, 16384, 611);
}
END_TEST

START_TEST(torch_normals_of_small_draws_are_normal) {
    check_normal_moments(SF_RNG_TORCH, 15, 20000);
}
END_TEST

START_TEST(philox_normals_are_normal) {
    check_normal_moments(SF_RNG_PHILOX, 16384, 61);
}
END_TEST

START_TEST(uniforms_are_uniform) {
    for (int kind = 0; kind < SF_RNG_COUNT; kind++) {
        const double n = 61.0 * BLOCK;
        double sum = 0, squares = 0;
        int n_outside = 0;
        sf_rng rng;
        sf_rng_seed(&rng, (sf_rng_kind)kind, 12);
        for (int i = 0; i < 61; i++) {
            const float *drawn = draw(&rng, 'u', BLOCK);
            for (int j = 0; j < BLOCK; j++) {
                n_outside += !(drawn[j] >= 0.0f && drawn[j] < 1.0f);
                sum += drawn[j];
                squares += (double)drawn[j] * (double)drawn[j];
            }
        }
        ck_assert_int_eq(n_outside, 0);
        ck_assert_double_le(fabs(sum / n - 0.5), 5 * sqrt(1.0 / 12 / n));
        ck_assert_double_le(fabs(squares / n - 1.0 / 3), 5 * sqrt(4.0 / 45 / n));
    }
}
END_TEST

Suite *suite_core_rng(void) {
    Suite *suite = suite_create("core_rng");
    TCase *draws = tcase_create("draws");
    tcase_add_test(draws, draws_are_those_of_the_oracle);
    tcase_add_test(draws, names_and_kinds_agree);
    tcase_add_test(draws, philox_gives_the_known_answers);
    tcase_add_test(draws, philox_agrees_with_a_gpu);
    tcase_add_test(draws, philox_agrees_with_webui);
    tcase_add_test(draws, torch_uses_the_low_half_of_the_seed_and_philox_all);
    tcase_add_test(draws, the_state_is_the_struct);
    tcase_add_test(draws, the_ends_of_the_uniform_range_are_finite);
    tcase_add_test(draws, the_end_of_the_philox_range_is_not_reached);
    tcase_add_test(draws, torch_normals_are_box_muller_of_the_uniforms);
    suite_add_tcase(suite, draws);

    TCase *moments = tcase_create("moments");
    tcase_set_timeout(moments, 120); /* seconds: under valgrind, or without fused arithmetic */
    tcase_add_test(moments, ten_million_torch_normals_are_normal);
    tcase_add_test(moments, torch_normals_of_small_draws_are_normal);
    tcase_add_test(moments, philox_normals_are_normal);
    tcase_add_test(moments, uniforms_are_uniform);
    suite_add_tcase(suite, moments);
    return suite;
}
