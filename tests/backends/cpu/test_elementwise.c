/*
 * Element by element ops of the cpu plugin, on every instruction set: functions of one number against
 * double, over all magnitudes; arithmetic of tensors that broadcast; linear combinations to the bit.
 */
#include <math.h>

#include "core/graph.h"
#include "core/half.h"
#include "tests/backends/cpu/cpu_test.h"

Suite *suite_backends_cpu_elementwise(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

static const sf_dtype types[] = {SF_F32, SF_F16, SF_BF16};

/* ---- functions of one number ---- */

static double silu(double x) {
    return x / (1 + exp(-x));
}

static double gelu(double x) {
    return 0.5 * x * erfc(-x * 0.70710678118654752440);
}

static double gelu_tanh(double x) {
    return x / (1 + exp(-1.59576912160573071176 * (x + 0.044715 * x * x * x)));
}

static double quick_gelu(double x) {
    return x / (1 + exp(-1.702 * x));
}

static double relu(double x) {
    return x < 0 ? 0 : x;
}

static double mish(double x) {
    return x * tanh(log1p(exp(x)));
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double square(double x) {
    return x * x;
}

static const struct {
    const char *op;
    double (*exact)(double x);
} functions[] = {
    {"silu", silu}, {"gelu", gelu}, {"gelu_tanh", gelu_tanh}, {"quick_gelu", quick_gelu},
    {"relu", relu}, {"mish", mish}, {"sigmoid", sigmoid},     {"tanh", tanh},
    {"exp", exp},   {"log", log},   {"sqrt", sqrt},           {"square", square},
    {"sin", sin},   {"cos", cos},
};
#define N_FUNCTIONS (int)(sizeof functions / sizeof *functions)

#define N_BITS   (1 << 14) /* numbers of all magnitudes, by their bits */
#define N_NEAR   (1 << 14) /* numbers evenly in -110 .. 110 */
#define N_VALUES (N_BITS + N_NEAR + 3)

static sf_tensor *all_magnitudes(void) {
    sf_tensor *x;
    ck_ok(ctx, sf_tensor_new(ctx, SF_F32, SF_DIMS(N_VALUES), &x));
    float *values = x->data;
    for (uint32_t i = 0; i < N_BITS; i++)
        values[i] = sf_float_from_bits(i * (UINT32_MAX / N_BITS) + (i * 40503u & 0xffffu));
    for (int i = 0; i < N_NEAR; i++)
        values[N_BITS + i] = (float)(-110 + 220.0 * i / N_NEAR);
    values[N_VALUES - 3] = INFINITY;
    values[N_VALUES - 2] = -INFINITY;
    values[N_VALUES - 1] = NAN;
    return x;
}

/* In units of what is allowed: 1e-6 relative, or 1e-7. */
static double error_of(float y, double exact) {
    if (y == (float)exact || (isnan(y) && isnan(exact)))
        return 0;
    double error = fabs((double)y - exact);
    double unit = fmax(1e-6 * fabs(exact), 1e-7);
    return isfinite(error) ? error / unit : HUGE_VAL;
}

/* As near to the exact value as is allowed, or as the reference is: near the largest numbers f32 gets no
 * nearer. NaN stays NaN. */
static bool is_good(float x, float y, float reference, double exact) {
    if (isnan(x) || isnan(y))
        return isnan(y) && (isnan(x) || isnan(reference));
    return y == reference || error_of(y, exact) <= fmax(1, error_of(reference, exact));
}

static void check_function(cpu_test *test, int f, const sf_tensor *x) {
    op_call call = {.op = functions[f].op, .inputs = {x}, .n_inputs = 1};
    sf_tensor *y = cpu_test_compute(test, ctx, &call), *reference = op_compute(ctx, &call);
    for (int64_t i = 0; i < N_VALUES; i++) {
        float at = ((float *)x->data)[i], result = ((float *)y->data)[i];
        double exact = functions[f].exact((double)at);
        if (!is_good(at, result, ((float *)reference->data)[i], exact))
            ck_abort_msg("%s(%.9g) is %.9g, not %.9g, %s", call.op, (double)at, (double)result,
                         exact, test->backend.kernels->name);
    }
    sf_tensor_free(y);
    sf_tensor_free(reference);
}

START_TEST(functions_are_exact_to_f32) {
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    sf_tensor *x = all_magnitudes();
    for (int f = 0; f < N_FUNCTIONS; f++)
        check_function(&test, f, x);
    sf_tensor_free(x);
    cpu_test_close(&test);
}
END_TEST

/* affine and clamp too; in halves; sizes around a vector and around an item; in place. */
START_TEST(functions_are_those_of_the_reference) {
    static const int64_t sizes[] = {1, 3, 15, 17, 31, 33, 100, 3 * 16384 + 5};
    cpu_test test;
    if (!cpu_test_open(&test, _i, 3))
        return;
    for (int i = 0; i < (N_FUNCTIONS + 2) * 8 * 3; i++) {
        int f = i / 24;
        sf_spec spec = {.dtype = types[i % 3], .n_dims = 1, .dims = {sizes[i / 3 % 8], 1, 1, 1, 1}};
        op_call call = {.op = f < N_FUNCTIONS    ? functions[f].op
                              : f == N_FUNCTIONS ? "affine"
                                                 : "clamp",
                        .n_inputs = 1,
                        .in_place = i / 3 % 2 == 1,
                        .attributes.affine = {-0.7f, 0.4f}};
        call.inputs[0] = op_tensor(ctx, &spec, 10);
        cpu_test_compare(&test, ctx, &call, 1e-6);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

/* What is not a number stays as it is where it is only compared, and in conversions. */
START_TEST(clamp_and_cast_keep_what_is_no_number) {
    static const float values[] = {NAN, -NAN, INFINITY, -INFINITY, 1e-40f, -1e-40f, 65519, 65520};
    cpu_test test;
    if (!cpu_test_open(&test, _i, 1))
        return;
    sf_tensor *x;
    ck_ok(ctx, sf_tensor_borrow(ctx, SF_F32, SF_DIMS(8), values, &x));
    op_call clamp = {
        .op = "clamp", .inputs = {x}, .n_inputs = 1, .attributes.range = {-1, INFINITY}};
    cpu_test_compare(&test, ctx, &clamp, 0);
    for (int t = 0; t < 3; t++) {
        op_call cast = {
            .op = "cast", .inputs = {x}, .n_inputs = 1, .attributes.type.dtype = (int32_t)types[t]};
        cpu_test_compare(&test, ctx, &cast, 0);
    }
    sf_tensor_free(x);
    cpu_test_close(&test);
}
END_TEST

/* Every bit pattern of a half to f32 and back, and f32 numbers that round to halves. */
START_TEST(casts_are_exact) {
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    for (int t = 1; t < 3; t++) {
        sf_tensor *halves, *floats;
        ck_ok(ctx, sf_tensor_new(ctx, types[t], SF_DIMS(1 << 16), &halves));
        ck_ok(ctx, sf_tensor_new(ctx, SF_F32, SF_DIMS(1 << 18), &floats));
        for (uint32_t i = 0; i < 1 << 16; i++)
            ((uint16_t *)halves->data)[i] = (uint16_t)i;
        for (uint32_t i = 0; i < 1 << 18; i++)
            ((float *)floats->data)[i] = sf_float_from_bits(i << 14 | (i * 2654435761u >> 18));
        op_call widen = {
            .op = "cast", .inputs = {halves}, .n_inputs = 1, .attributes.type.dtype = SF_F32};
        op_call narrow = {.op = "cast",
                          .inputs = {floats},
                          .n_inputs = 1,
                          .attributes.type.dtype = (int32_t)types[t]};
        /* numbers to the bit; two NaN may differ in their payload */
        sf_tensor *wide = cpu_test_compute(&test, ctx, &widen), *wanted = op_compute(ctx, &widen);
        ck_assert_double_eq(op_distance(wide, wanted, 1e-300, 0), 0);
        sf_tensor *half = cpu_test_compute(&test, ctx, &narrow);
        sf_tensor *wanted_half = op_compute(ctx, &narrow);
        ck_assert_double_eq(op_distance(half, wanted_half, 1e-300, 0), 0);
        sf_tensor *all[] = {halves, floats, wide, wanted, half, wanted_half};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            sf_tensor_free(all[i]);
    }
    cpu_test_close(&test);
}
END_TEST

/* ---- two tensors ---- */

static const sf_spec pairs[][2] = {
    {SF_SPEC(F32, 17), SF_SPEC(F32, 17)},
    {SF_SPEC(F32, 17), SF_SPEC(F32, 1)},
    {SF_SPEC(F32, 1), SF_SPEC(F32, 33)},
    {SF_SPEC(F32, 3, 31), SF_SPEC(F32, 31)},
    {SF_SPEC(F32, 31), SF_SPEC(F32, 5, 31)},
    {SF_SPEC(F32, 5, 31), SF_SPEC(F32, 5, 1)},
    {SF_SPEC(F32, 7, 1), SF_SPEC(F32, 1, 15)},
    {SF_SPEC(F32, 2, 1, 3, 1, 33), SF_SPEC(F32, 1, 4, 1, 2, 1)},
    {SF_SPEC(F32, 2, 5, 3, 7), SF_SPEC(F32, 2, 1, 1, 7)},
    {SF_SPEC(F32, 40000), SF_SPEC(F32, 40000)},
    {SF_SPEC(F32, 3, 40001), SF_SPEC(F32, 3, 1)},
    {SF_SPEC(F32, 2, 500, 64), SF_SPEC(F32, 2, 1, 64)},
};
#define N_PAIRS (int)(sizeof pairs / sizeof *pairs)

/* In f32 the same operation, so the same bits; into halves the same rounding. */
START_TEST(arithmetic_is_that_of_the_reference) {
    static const char *const ops[] = {"add", "subtract", "multiply", "divide"};
    cpu_test test;
    if (!cpu_test_open(&test, _i, 3))
        return;
    for (int i = 0; i < N_PAIRS * 4 * 9; i++) {
        sf_spec a = pairs[i / 36][0], b = pairs[i / 36][1];
        if (i / 36 >= 9 && i % 9 != i / 36 - 9)
            continue; /* the large ones in one mixture of types each */
        a.dtype = types[i % 3];
        b.dtype = types[i / 3 % 3];
        sf_spec_normalize(&a);
        sf_spec_normalize(&b);
        op_call call = {.op = ops[i / 9 % 4],
                        .n_inputs = 2,
                        .layout = a.n_dims > 1 && i % 2 ? OP_PADDED : OP_CONTIGUOUS};
        call.inputs[0] = op_tensor(ctx, &a, 11);
        call.inputs[1] = op_tensor(ctx, &b, 12);
        call.in_place = call.layout == OP_CONTIGUOUS && i / 36 == 9;
        cpu_test_compare(&test, ctx, &call, 0);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

START_TEST(combinations_are_those_of_the_reference) {
    static const int64_t sizes[] = {1, 3, 15, 17, 33, 1025, 40000};
    cpu_test test;
    if (!cpu_test_open(&test, _i, 3))
        return;
    for (int i = 0; i < 7 * 8 * 3; i++) {
        sf_spec spec = {.dtype = types[i % 3], .n_dims = 1, .dims = {sizes[i / 24], 1, 1, 1, 1}};
        op_call call = {.op = "linear_combination", .n_inputs = 2 + i / 3 % 8};
        sf_spec coefficients = {.n_dims = 1, .dims = {call.n_inputs - 1, 1, 1, 1, 1}};
        coefficients.dtype = SF_F32;
        call.inputs[0] = op_tensor(ctx, &coefficients, 13);
        for (int k = 1; k < call.n_inputs; k++)
            call.inputs[k] = op_tensor(ctx, &spec, 13 + (uint64_t)k);
        cpu_test_compare(&test, ctx, &call, 0);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

Suite *suite_backends_cpu_elementwise(void) {
    Suite *suite = suite_create("backends_cpu_elementwise");
    TCase *tests = tcase_create("elementwise");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, functions_are_exact_to_f32, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, functions_are_those_of_the_reference, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, clamp_and_cast_keep_what_is_no_number, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, casts_are_exact, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, arithmetic_is_that_of_the_reference, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, combinations_are_those_of_the_reference, 0, CPU_TEST_SETS);
    suite_add_tcase(suite, tests);
    return suite;
}
