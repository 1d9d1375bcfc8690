/*
 * Products of bf16 of the cpu plugin, where the processor has units for them, against the reference.
 * With both operands in bf16 each product is exact in f32, so that only the order of the sums and the
 * last rounding differ. Weights in f16 are rounded to bf16 first, and nothing else is.
 */
#include <math.h>
#include <stdio.h>

#include "tests/backends/cpu/cpu_test.h"

Suite *suite_backends_cpu_bf16(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

/* Sums of up to some thousand products in another order, relative to the largest. */
#define TOLERANCE 2e-5

/* ---- calls ---- */

static sf_tensor *normal(sf_dtype dtype, int n_dims, const int64_t *dims, uint64_t seed) {
    sf_spec spec = {.dtype = dtype, .n_dims = n_dims, .dims = {1, 1, 1, 1, 1}};
    for (int i = 0; i < n_dims; i++)
        spec.dims[i] = dims[i];
    return op_tensor(ctx, &spec, seed);
}

/* The same numbers in bf16, rounded. */
static sf_tensor *rounded(const sf_tensor *x) {
    sf_spec spec = op_spec_of(x);
    spec.dtype = SF_BF16;
    sf_tensor *y = op_tensor(ctx, &spec, 1);
    for (int64_t i = 0; i < sf_tensor_n_elements(x); i++)
        ((uint16_t *)y->data)[i] = sf_f32_to_bf16((float)sf_tensor_get(x, i));
    return y;
}

typedef struct size {
    int64_t M, N, K;
} size;

/* Around rows, vectors, panels, items and stretches, with inner sizes of an odd number too. */
static const size sizes[] = {
    {5, 1, 1},     {8, 15, 2},    {9, 16, 3},     {24, 48, 33},    {25, 64, 65},
    {49, 65, 384}, {7, 113, 769}, {530, 200, 30}, {513, 31, 1601}, {6, 400, 1600},
};
#define N_SIZES (int)(sizeof sizes / sizeof *sizes)

/* linear and linear_geglu with a bias; the former with all else that may follow a product. */
static op_call linear_of(size s, bool gated, sf_dtype x_type, sf_dtype weight_type) {
    int64_t N = gated ? 2 * s.N : s.N;
    op_call call = {.op = gated ? "linear_geglu" : "linear", .n_inputs = gated ? 3 : 4};
    call.inputs[0] = normal(x_type, 2, (int64_t[]){s.M, s.K}, 1);
    call.inputs[1] = normal(weight_type, 2, (int64_t[]){N, s.K}, 2);
    call.inputs[2] = normal(weight_type, 1, &N, 3);
    if (!gated) {
        call.inputs[3] = normal(x_type, 2, (int64_t[]){s.M, s.N}, 4);
        call.attributes.linear.activation = SF_ACTIVATION_SILU;
    }
    return call;
}

typedef struct picture {
    int64_t N, H, W, C, O, K; /* K x K */
    int stride, dilation, padding, groups;
} picture;

/* None of them for Winograd's filtering but the last, which has too few pixels. */
static const picture pictures[] = {
    {1, 9, 7, 5, 6, 3, 2, 1, 1, 1},    {2, 8, 8, 12, 20, 1, 1, 1, 0, 1},
    {1, 6, 11, 30, 33, 3, 1, 2, 2, 1}, {1, 7, 7, 15, 9, 2, 1, 1, 1, 3},
    {1, 9, 9, 100, 17, 3, 2, 1, 0, 1}, {1, 4, 4, 40, 50, 3, 1, 1, 1, 1},
};
#define N_PICTURES (int)(sizeof pictures / sizeof *pictures)

static op_call conv2d_of(const picture *p, sf_dtype x_type, sf_dtype weight_type) {
    op_call call = {.op = "conv2d", .n_inputs = 3};
    call.inputs[0] = normal(x_type, 4, (int64_t[]){p->N, p->H, p->W, p->C}, 1);
    call.inputs[1] = normal(weight_type, 4, (int64_t[]){p->O, p->C / p->groups, p->K, p->K}, 2);
    call.inputs[2] = normal(weight_type, 1, &p->O, 3);
    sf_conv2d_attributes *a = &call.attributes.conv2d;
    a->stride[0] = a->stride[1] = p->stride;
    a->dilation[0] = a->dilation[1] = p->dilation;
    for (int i = 0; i < 4; i++)
        a->padding[i] = p->padding;
    a->groups = p->groups;
    return call;
}

static op_call matmul_of(size s, bool transpose_b) {
    op_call call = {.op = "matmul", .n_inputs = 2};
    call.inputs[0] = normal(SF_BF16, 3, (int64_t[]){2, s.M, s.K}, 1);
    call.inputs[1] = transpose_b ? normal(SF_BF16, 3, (int64_t[]){2, s.N, s.K}, 2)
                                 : normal(SF_BF16, 3, (int64_t[]){2, s.K, s.N}, 2);
    call.attributes.matmul.scale = -0.3f;
    call.attributes.matmul.transpose_b = transpose_b;
    return call;
}

/* Calls with a weight, numbered: linear, linear_geglu, conv2d. */
#define N_WITH_WEIGHT (2 * N_SIZES + N_PICTURES)

static op_call with_weight(int i, sf_dtype x_type, sf_dtype weight_type) {
    if (i < 2 * N_SIZES)
        return linear_of(sizes[i / 2], i % 2, x_type, weight_type);
    return conv2d_of(&pictures[i - 2 * N_SIZES], x_type, weight_type);
}

/* The instruction set with units for bf16; false, and it is told, where the processor has none. */
static bool open_bf16(cpu_test *test, int n_threads) {
    for (int set = 0; set < CPU_TEST_SETS; set++) {
        if (!cpu_test_open(test, set, n_threads))
            continue;
        if (test->backend.kernels->multiply_bf16)
            return true;
        cpu_test_close(test);
    }
    printf("skipped: this processor has no dot products of bf16\n");
    return false;
}

/* ---- tests ---- */

START_TEST(products_agree_with_the_reference) {
    cpu_test test;
    if (!open_bf16(&test, 2))
        return;
    for (int i = 0; i < N_WITH_WEIGHT; i++) {
        op_call call = with_weight(i, SF_BF16, SF_BF16);
        cpu_test_compare(&test, ctx, &call, TOLERANCE);
        cpu_test_free_inputs(&call);
    }
    for (int i = 0; i < 2 * N_SIZES; i++) {
        op_call call = matmul_of(sizes[i / 2], i % 2);
        call.layout = i % 3 ? OP_CONTIGUOUS : OP_PADDED;
        cpu_test_compare(&test, ctx, &call, TOLERANCE);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

/* So it is known, too, that the units for bf16 are used. */
START_TEST(weights_in_f16_are_rounded_to_bf16) {
    cpu_test test;
    if (!open_bf16(&test, 2))
        return;
    for (int i = 0; i < N_WITH_WEIGHT; i++) {
        op_call call = with_weight(i, SF_BF16, SF_F16);
        sf_tensor *y = cpu_test_compute(&test, ctx, &call);
        const sf_tensor *weight = call.inputs[1];
        call.inputs[1] = rounded(weight);
        sf_tensor *wanted = cpu_test_compute(&test, ctx, &call);
        ck_assert_msg(memcmp(y->data, wanted->data, y->bytes) == 0, "%s, case %d", call.op, i);
        sf_tensor_free((sf_tensor *)weight);
        sf_tensor_free(y);
        sf_tensor_free(wanted);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

START_TEST(nothing_else_is_rounded) {
    static const sf_dtype types[][2] = {
        {SF_F32, SF_F32}, {SF_F32, SF_F16}, {SF_F32, SF_BF16}, {SF_F16, SF_F16}, {SF_BF16, SF_F32}};
    cpu_test test;
    if (!open_bf16(&test, 2))
        return;
    for (int i = 0; i < N_WITH_WEIGHT * 5; i++) {
        op_call call = with_weight(i / 5, types[i % 5][0], types[i % 5][1]);
        cpu_test_compare(&test, ctx, &call, TOLERANCE);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

/* An odd row's last number is half a pair, of which the next row's first is the other half. */
START_TEST(a_row_of_nan_does_not_leak_into_others) {
    cpu_test test;
    if (!open_bf16(&test, 1))
        return;
    op_call call = linear_of((size){6, 20, 35}, false, SF_BF16, SF_BF16);
    uint16_t *x = call.inputs[0]->data;
    for (int k = 0; k < 35; k++)
        x[2 * 35 + k] = 0x7fc0;
    sf_tensor *y = cpu_test_compute(&test, ctx, &call);
    for (int i = 0; i < 6 * 20; i++)
        ck_assert_msg(isnan(sf_tensor_get(y, i)) == (i / 20 == 2), "element %d", i);
    sf_tensor_free(y);
    cpu_test_free_inputs(&call);
    cpu_test_close(&test);
}
END_TEST

static op_call attention_of(int64_t T, int64_t S, int64_t D, int64_t E) {
    op_call call = {.op = "attention", .n_inputs = 3};
    call.inputs[0] = normal(SF_BF16, 3, (int64_t[]){1, T, 2 * D}, 1);
    call.inputs[1] = normal(SF_BF16, 3, (int64_t[]){1, S, 2 * D}, 2);
    call.inputs[2] = normal(SF_BF16, 3, (int64_t[]){1, S, 2 * E}, 3);
    call.attributes.attention = (sf_attention_attributes){.n_heads = 2, .scale = 1};
    return call;
}

/*
 * Scores that are whole multiples of 40: all weights but those of the largest are lost, and these are 1
 * and exact in bf16. So the result is, too.
 */
START_TEST(attention_picks_values_exactly) {
    static const int64_t key_counts[] = {1, 2, 7, 127, 129, 300};
    cpu_test test;
    if (!open_bf16(&test, 2))
        return;
    for (int i = 0; i < 6; i++) {
        op_call call = attention_of(50, key_counts[i], 5, 11);
        for (int input = 0; input < 2; input++) {
            uint16_t *numbers = call.inputs[input]->data;
            for (int64_t n = 0; n < sf_tensor_n_elements(call.inputs[input]); n++)
                numbers[n] = sf_f32_to_bf16((float)(n * 31 % 7 - 3) * (input ? 1 : 40));
        }
        call.attributes.attention.causal = i % 2;
        cpu_test_compare(&test, ctx, &call, TOLERANCE);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

/* The reference's are not rounded to bf16; that ours are is seen. */
START_TEST(attention_rounds_weights_to_bf16) {
    cpu_test test;
    if (!open_bf16(&test, 1))
        return;
    op_call call = attention_of(40, 100, 8, 8);
    sf_tensor *y = cpu_test_compute(&test, ctx, &call), *wanted = op_compute(ctx, &call);
    double worst = op_distance(y, wanted, TOLERANCE, 0x1p-7);
    ck_assert_double_gt(worst, 1);
    sf_tensor_free(y);
    sf_tensor_free(wanted);
    cpu_test_free_inputs(&call);
    cpu_test_close(&test);
}
END_TEST

START_TEST(the_number_of_threads_changes_no_bit) {
    for (int i = 0; i < N_WITH_WEIGHT + 1; i++) {
        sf_tensor *results[3];
        for (int n_threads = 1; n_threads <= 3; n_threads++) {
            cpu_test test;
            if (!open_bf16(&test, n_threads))
                return;
            op_call call = i < N_WITH_WEIGHT ? with_weight(i, SF_BF16, SF_F16)
                                             : attention_of(150, 201, 40, 40);
            results[n_threads - 1] = cpu_test_compute(&test, ctx, &call);
            cpu_test_free_inputs(&call);
            cpu_test_close(&test);
        }
        for (int n = 1; n < 3; n++)
            ck_assert_mem_eq(results[n]->data, results[0]->data, results[0]->bytes);
        for (int n = 0; n < 3; n++)
            sf_tensor_free(results[n]);
    }
}
END_TEST

Suite *suite_backends_cpu_bf16(void) {
    Suite *suite = suite_create("backends_cpu_bf16");
    TCase *cases = tcase_create("bf16");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, products_agree_with_the_reference);
    tcase_add_test(cases, weights_in_f16_are_rounded_to_bf16);
    tcase_add_test(cases, nothing_else_is_rounded);
    tcase_add_test(cases, a_row_of_nan_does_not_leak_into_others);
    tcase_add_test(cases, attention_picks_values_exactly);
    tcase_add_test(cases, attention_rounds_weights_to_bf16);
    tcase_add_test(cases, the_number_of_threads_changes_no_bit);
    suite_add_tcase(suite, cases);
    return suite;
}
