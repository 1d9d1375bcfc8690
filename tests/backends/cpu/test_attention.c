/*
 * Attention of the cpu plugin, on every instruction set, against the reference: sizes around those of
 * its blocks, all types, masks, causality; and scores that tempt an exponential to overflow.
 */
#include <float.h>
#include <math.h>

#include "core/graph.h"
#include "tests/backends/cpu/cpu_test.h"

Suite *suite_backends_cpu_attention(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

/* Scores are sums in another order, of a few units at most: weights differ by some 1e-6 of them. */
#define TOLERANCE 1e-5

/*
 * Where both products are in bf16 each weight is off by at most 2^-9 of itself, so is the result of the
 * largest value, which may be some times the largest result.
 */
#define TOLERANCE_BF16 0x1p-8

static double tolerance_of(const cpu_test *test, const op_call *call) {
    bool in_bf16 = test->backend.kernels->attend_bf16 != NULL;
    for (int i = 0; i < 3; i++)
        in_bf16 &= call->inputs[i]->dtype == SF_BF16;
    return in_bf16 ? TOLERANCE_BF16 : TOLERANCE;
}

static const sf_dtype types[] = {SF_F32, SF_F16, SF_BF16};

/* ---- calls ---- */

typedef struct shape {
    int64_t B, heads, T, S, D, E;
} shape;

static sf_tensor *normal(sf_dtype dtype, int64_t a, int64_t b, int64_t c, uint64_t seed) {
    sf_spec spec = {.dtype = dtype, .n_dims = 3, .dims = {a, b, c, 1, 1}};
    return op_tensor(ctx, &spec, seed);
}

/* Normal numbers; q, k and v have the types from number `type` on. */
static op_call call_of(shape s, int type) {
    return (op_call){.op = "attention",
                     .inputs = {normal(types[type % 3], s.B, s.T, s.heads * s.D, 1),
                                normal(types[type / 3 % 3], s.B, s.S, s.heads * s.D, 2),
                                normal(types[type / 9 % 3], s.B, s.S, s.heads * s.E, 3)},
                     .n_inputs = 3,
                     .attributes.attention = {.n_heads = (int32_t)s.heads,
                                              .scale = s.D ? 1 / sqrtf((float)s.D) : 1}};
}

/* A mask that is broadcast along B, heads and T as the bits of kind say; a third of it is -inf. */
static sf_tensor *mask_of(shape s, sf_dtype dtype, int kind) {
    sf_spec spec = {
        .dtype = SF_F32,
        .n_dims = 4,
        .dims = {kind & 1 ? 1 : s.B, kind & 2 ? 1 : s.heads, kind & 4 ? 1 : s.T, s.S, 1}};
    sf_tensor *mask = op_tensor(ctx, &spec, 4);
    float *values = mask->data;
    for (int64_t i = 0; i < sf_tensor_n_elements(mask); i++)
        if (values[i] > 0.4f)
            values[i] = -INFINITY;
    op_call cast = {
        .op = "cast", .inputs = {mask}, .n_inputs = 1, .attributes.type.dtype = (int32_t)dtype};
    sf_tensor *result = op_compute(ctx, &cast);
    sf_tensor_free(mask);
    return result;
}

static void add_mask(op_call *call, sf_tensor *mask) {
    call->inputs[3] = mask;
    call->n_inputs = 4;
}

static float *floats(const op_call *call, int input) {
    return call->inputs[input]->data;
}

/* ---- sizes, types, masks ---- */

/* Around a vector, a panel of queries, a block and an item of keys, a stretch of channels. */
static const int64_t query_counts[] = {1, 7, 16, 17, 47, 49, 101};
static const int64_t key_counts[] = {1, 3, 8, 15, 33, 128, 129, 300};
static const struct {
    int64_t D, E;
} widths[] = {{1, 1}, {8, 8}, {5, 13}, {40, 40}, {17, 3}, {129, 24}};
#define N_QUERY_COUNTS (int)(sizeof query_counts / sizeof *query_counts)
#define N_KEY_COUNTS   (int)(sizeof key_counts / sizeof *key_counts)
#define N_WIDTHS       (int)(sizeof widths / sizeof *widths)

/* Every count with every other; the rest goes round at paces of its own, so that all meet. */
START_TEST(all_sizes_types_and_masks_agree_with_the_reference) {
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    for (int i = 0; i < N_QUERY_COUNTS * N_KEY_COUNTS * 3; i++) {
        shape s = {.B = 1 + i % 2, .heads = 1 + i % 3};
        s.T = query_counts[i % N_QUERY_COUNTS];
        s.S = key_counts[i / N_QUERY_COUNTS % N_KEY_COUNTS];
        s.D = widths[(i + i / N_QUERY_COUNTS) % N_WIDTHS].D;
        s.E = widths[(i + i / N_QUERY_COUNTS) % N_WIDTHS].E;
        op_call call = call_of(s, i);
        call.layout = i % 5 == 0 ? OP_PADDED : OP_CONTIGUOUS;
        call.attributes.attention.causal = i % 4 == 3;
        if (i % 2)
            add_mask(&call, mask_of(s, types[i / 2 % 3], i / 2 % 8));
        cpu_test_compare(&test, ctx, &call, tolerance_of(&test, &call));
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

START_TEST(unusual_sizes_agree_with_the_reference) {
    static const struct {
        shape s;
        int type;
        int32_t causal;
    } cases[] = {
        {{1, 2, 5, 0, 8, 8}, 0, 0},       /* no keys */
        {{1, 2, 5, 0, 8, 8}, 1, 0},       /* no keys, a half type */
        {{1, 2, 3, 5, 0, 4}, 0, 0},       /* no channels: the mean of the values */
        {{1, 1, 20, 1100, 16, 16}, 0, 0}, /* several items of keys */
        {{2, 12, 77, 77, 64, 64}, 0, 1},  /* CLIP */
        {{1, 1, 65, 200, 512, 512}, 0, 0},  {{1, 1, 33, 150, 390, 7}, 4, 1},
        {{1, 2, 3, 4200, 256, 256}, 13, 0}, /* one head at a time fits in the workspace */
        {{1, 2, 3, 5, 0, 4}, 26, 0},        {{1, 2, 65, 1101, 301, 9}, 26, 0},
    };
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        op_call call = call_of(cases[i].s, cases[i].type);
        call.attributes.attention.causal = cases[i].causal;
        cpu_test_compare(&test, ctx, &call, tolerance_of(&test, &call));
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

/* ---- scores of all magnitudes ---- */

/*
 * Whole numbers of which products and sums are exact in f32, so that the reference's scores are ours:
 * up to +-3e4, and within a query from the smallest to the largest (rise 1) or back (-1).
 */
static op_call large_scores(int rise) {
    shape s = {.B = 1, .heads = 2, .T = 50, .S = 270, .D = 1, .E = 5};
    op_call call = call_of(s, 0);
    for (int64_t i = 0; i < s.T * s.heads; i++)
        floats(&call, 0)[i] = (float)(i % 7 - 3) * 100;
    for (int64_t i = 0; i < s.S * s.heads; i++)
        floats(&call, 1)[i] = rise ? (float)(rise * (i - 270)) / 4 : (float)(i * 37 % 100 - 50);
    return call;
}

START_TEST(large_scores_do_not_overflow) {
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    for (int rise = -1; rise <= 1; rise++) {
        op_call call = large_scores(rise);
        cpu_test_compare(&test, ctx, &call, TOLERANCE);
        sf_tensor *y = cpu_test_compute(&test, ctx, &call);
        for (int64_t i = 0; i < sf_tensor_n_elements(y); i++)
            ck_assert(isfinite(sf_tensor_get(y, i)));
        sf_tensor_free(y);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

/* Scores that grow by 0.5 from key to key: references are raised again and again, by little. */
START_TEST(slowly_rising_scores_agree_with_the_reference) {
    cpu_test test;
    if (!cpu_test_open(&test, _i, 1))
        return;
    op_call call = call_of((shape){.B = 1, .heads = 1, .T = 20, .S = 300, .D = 1, .E = 9}, 0);
    for (int i = 0; i < 20; i++)
        floats(&call, 0)[i] = (float)(i - 10) / 8;
    for (int i = 0; i < 300; i++)
        floats(&call, 1)[i] = (float)i / 2;
    cpu_test_compare(&test, ctx, &call, TOLERANCE);
    cpu_test_free_inputs(&call);
    cpu_test_close(&test);
}
END_TEST

/*
 * Queries that see nothing give NaN and disturb no others: rows 0, 3, 6, ... of the mask are -inf. The
 * others begin with a block of keys that they do not see.
 */
START_TEST(a_query_that_sees_no_key_gives_nan) {
    shape s = {.B = 1, .heads = 1, .T = 40, .S = 200, .D = 8, .E = 8};
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    op_call call = call_of(s, 0);
    sf_tensor *mask = mask_of(s, SF_F32, 0);
    for (int64_t t = 0; t < s.T; t++)
        for (int64_t j = 0; j < (t % 3 ? 150 : s.S); j++)
            ((float *)mask->data)[t * s.S + j] = -INFINITY;
    add_mask(&call, mask);
    cpu_test_compare(&test, ctx, &call, TOLERANCE);
    sf_tensor *y = cpu_test_compute(&test, ctx, &call);
    for (int64_t i = 0; i < s.T * s.E; i++)
        ck_assert_int_eq(isnan(sf_tensor_get(y, i)) != 0, i / s.E % 3 == 0);
    sf_tensor_free(y);
    cpu_test_free_inputs(&call);
    cpu_test_close(&test);
}
END_TEST

/* Masks with the least finite number instead of -inf: a query for which all are that sees all. */
START_TEST(the_least_number_in_a_mask_is_no_infinity) {
    shape s = {.B = 1, .heads = 2, .T = 9, .S = 140, .D = 8, .E = 8};
    cpu_test test;
    if (!cpu_test_open(&test, _i, 1))
        return;
    op_call call = call_of(s, 0);
    sf_tensor *mask = mask_of(s, SF_F32, 0);
    for (int64_t i = 0; i < sf_tensor_n_elements(mask); i++)
        ((float *)mask->data)[i] = i / s.S % 2 || i % 5 ? -FLT_MAX : 0;
    add_mask(&call, mask);
    cpu_test_compare(&test, ctx, &call, TOLERANCE);
    cpu_test_free_inputs(&call);
    cpu_test_close(&test);
}
END_TEST

/* What is no number in a query or a key comes out where it does in the reference. */
START_TEST(numbers_that_are_none_are_not_hidden) {
    cpu_test test;
    if (!cpu_test_open(&test, _i, 1))
        return;
    for (int i = 0; i < 3; i++) {
        op_call call = call_of((shape){.B = 1, .heads = 1, .T = 20, .S = 150, .D = 1, .E = 9}, 0);
        static const float values[] = {NAN, INFINITY, -INFINITY};
        floats(&call, 0)[4] = values[i];
        if (i > 0)
            floats(&call, 1)[140] = values[i];
        cpu_test_compare(&test, ctx, &call, TOLERANCE);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

/* ---- threads ---- */

START_TEST(the_number_of_threads_changes_no_bit) {
    shape s = {.B = 2, .heads = 3, .T = 150, .S = 333, .D = 40, .E = 36};
    op_call call = call_of(s, 0);
    cpu_test_on_threads(ctx, &call, _i);
    cpu_test_free_inputs(&call);
}
END_TEST

Suite *suite_backends_cpu_attention(void) {
    Suite *suite = suite_create("backends_cpu_attention");
    TCase *cases = tcase_create("attention");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, all_sizes_types_and_masks_agree_with_the_reference, 0,
                        CPU_TEST_SETS);
    tcase_add_loop_test(cases, unusual_sizes_agree_with_the_reference, 0, CPU_TEST_SETS);
    tcase_add_loop_test(cases, large_scores_do_not_overflow, 0, CPU_TEST_SETS);
    tcase_add_loop_test(cases, slowly_rising_scores_agree_with_the_reference, 0, CPU_TEST_SETS);
    tcase_add_loop_test(cases, a_query_that_sees_no_key_gives_nan, 0, CPU_TEST_SETS);
    tcase_add_loop_test(cases, the_least_number_in_a_mask_is_no_infinity, 0, CPU_TEST_SETS);
    tcase_add_loop_test(cases, numbers_that_are_none_are_not_hidden, 0, CPU_TEST_SETS);
    tcase_add_loop_test(cases, the_number_of_threads_changes_no_bit, 0, CPU_TEST_SETS);
    suite_add_tcase(suite, cases);
    return suite;
}
