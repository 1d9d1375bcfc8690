/*
 * Sums, means, pools and counts of the cpu plugin, on every instruction set.
 */
#include <math.h>

#include "tests/backends/cpu/cpu_test.h"

Suite *suite_backends_cpu_sums(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

static const sf_dtype types[] = {SF_F32, SF_F16, SF_BF16};

static sf_tensor *tensor(sf_spec spec, sf_dtype dtype, uint64_t seed) {
    spec.dtype = dtype;
    sf_spec_normalize(&spec);
    return op_tensor(ctx, &spec, seed);
}

/* In double, so that the order of a sum shows in no f32 but by one rounding. */
START_TEST(sums_are_those_of_the_reference) {
    static const sf_spec shapes[] = {
        SF_SPEC(F32, 1, 1, 1),     SF_SPEC(F32, 3, 17, 5),  SF_SPEC(F32, 2, 3, 31),
        SF_SPEC(F32, 33, 15, 1),   SF_SPEC(F32, 5, 4, 300), SF_SPEC(F32, 1, 700, 33),
        SF_SPEC(F32, 200, 3, 100), SF_SPEC(F32, 2, 0, 3),
    };
    cpu_test test;
    if (!cpu_test_open(&test, _i, 3))
        return;
    for (int i = 0; i < 8 * 3 * 3 * 2; i++) {
        op_call call = {.op = i % 2 ? "sum" : "mean",
                        .n_inputs = 1,
                        .attributes.axis.axis = i / 18 == 7 ? 1 : i / 2 % 3};
        call.inputs[0] = tensor(shapes[i / 18], types[i / 6 % 3], 20);
        cpu_test_compare(&test, ctx, &call, 1e-7);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

START_TEST(pools_are_those_of_the_reference) {
    static const struct {
        sf_spec x;
        sf_pool2d_attributes a;
    } cases[] = {
        {SF_SPEC(F32, 1, 1, 1, 1), {{1, 1}, {1, 1}}},
        {SF_SPEC(F32, 2, 5, 7, 17), {{2, 2}, {2, 2}}},
        {SF_SPEC(F32, 1, 9, 8, 3), {{3, 2}, {1, 3}}},
        {SF_SPEC(F32, 1, 30, 31, 300), {{2, 3}, {2, 1}}},
    };
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    for (int i = 0; i < 4 * 3; i++) {
        op_call call = {.op = "avg_pool2d", .n_inputs = 1, .attributes.pool2d = cases[i / 3].a};
        call.inputs[0] = tensor(cases[i / 3].x, types[i % 3], 21);
        cpu_test_compare(&test, ctx, &call, 1e-6); /* the reference sums in f32 */
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

/* Each kind of what is no number, at every place of a vector, and many. */
START_TEST(what_is_no_number_is_counted) {
    static const uint16_t kinds[][4] = {{0x7f80, 0xff80, 0x7fc0, 0xffff},
                                        {0x7c00, 0xfc00, 0x7e00, 0xffff}};
    static const int64_t sizes[] = {1, 3, 15, 17, 33, 70000};
    cpu_test test;
    if (!cpu_test_open(&test, _i, 3))
        return;
    for (int i = 0; i < 6 * 3; i++) {
        sf_dtype dtype = types[i % 3];
        sf_tensor *x = tensor((sf_spec)SF_SPEC(F32, sizes[i / 3]), dtype, 22);
        op_call call = {.op = "count_nonfinite", .inputs = {x}, .n_inputs = 1};
        int32_t wanted = 0;
        for (int64_t k = sizes[i / 3] - 1; k >= 0; k -= 1 + k % 5) {
            uint16_t kind = kinds[dtype == SF_F16][k % 4];
            if (dtype == SF_F32)
                ((uint32_t *)x->data)[k] = (uint32_t)kind << 16;
            else
                ((uint16_t *)x->data)[k] = kind;
            wanted++;
        }
        sf_tensor *y = cpu_test_compute(&test, ctx, &call);
        ck_assert_int_eq(*(int32_t *)y->data, wanted);
        sf_tensor_free(y);
        sf_tensor_free(x);
    }
    cpu_test_close(&test);
}
END_TEST

Suite *suite_backends_cpu_sums(void) {
    Suite *suite = suite_create("backends_cpu_sums");
    TCase *tests = tcase_create("sums");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, sums_are_those_of_the_reference, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, pools_are_those_of_the_reference, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, what_is_no_number_is_counted, 0, CPU_TEST_SETS);
    suite_add_tcase(suite, tests);
    return suite;
}
