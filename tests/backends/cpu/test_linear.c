/*
 * linear and linear_geglu of the cpu plugin against the reference: sizes around those of vectors, panels,
 * stretches and blocks, in all mixtures of types, on every instruction set and several numbers of
 * threads. The cases are drawn from all there are, the same ones in every run.
 */
#include "tests/backends/cpu/cpu_test.h"

Suite *suite_backends_cpu_linear(void);

#define N_DRAWN 180

/* Sums of a few hundred products in another order, relative to the largest. */
#define TOLERANCE 4e-6

/* Most multiplications of a case, for the time that the reference takes. */
#define MOST_WORK (INT64_C(1) << 22)

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

typedef struct sizes {
    int64_t M, N, K;
} sizes;

/* The longest of each kind, which are more than a block of rows, columns and a stretch. */
static const sizes large[] = {{5000, 17, 49}, {4100, 3, 385}, {520, 200, 390}, {25, 400, 800}};
#define N_LARGE (int)(sizeof large / sizeof *large)

static sizes draw_sizes(uint64_t *state) {
    static const int64_t M[] = {1, 2, 3, 4, 5, 23, 24, 25, 511, 512, 513, 5000};
    static const int64_t NK[] = {1,  3,  15,  16,  17,  47,  48,  49, 63,
                                 95, 97, 191, 192, 193, 383, 384, 385};
    sizes s;
    do
        s = (sizes){CPU_TEST_PICK(state, M), CPU_TEST_PICK(state, NK), CPU_TEST_PICK(state, NK)};
    while (s.M * s.N * s.K > MOST_WORK);
    return s;
}

static sf_tensor *operand(uint64_t *state, int64_t rows, int64_t columns) {
    static const sf_dtype types[] = {SF_F32, SF_F16, SF_BF16};
    sf_spec spec = {.dtype = CPU_TEST_PICK(state, types),
                    .n_dims = rows ? 2 : 1,
                    .dims = {rows ? rows : columns, rows ? columns : 1, 1, 1, 1}};
    return op_tensor(ctx, &spec, *state);
}

static op_call draw_call(uint64_t *state, sizes s) {
    bool geglu = cpu_test_draw(state, 3) == 0;
    int64_t rows = geglu ? 2 * s.N : s.N;
    op_call call = {.op = geglu ? "linear_geglu" : "linear", .n_inputs = geglu ? 3 : 4};
    call.inputs[0] = operand(state, s.M, s.K);
    call.inputs[1] = operand(state, rows, s.K);
    cpu_test_round_weight(&call);
    if (cpu_test_draw(state, 4) > 0)
        call.inputs[2] = operand(state, 0, rows);
    if (!geglu && cpu_test_draw(state, 2))
        call.inputs[3] = operand(state, s.M, s.N);
    if (!geglu)
        call.attributes.linear.activation = (int32_t)cpu_test_draw(state, 7);
    return call;
}

static void check_case(uint64_t seed, const sizes *given) {
    uint64_t state = seed;
    sizes s = given ? *given : draw_sizes(&state);
    op_call call = draw_call(&state, s);
    sf_tensor *wanted = op_compute(ctx, &call);
    cpu_test_on_all(ctx, &call, wanted, TOLERANCE);
    sf_tensor_free(wanted);
    cpu_test_free_inputs(&call);
}

START_TEST(agrees_with_the_reference) {
    check_case((uint64_t)_i, NULL);
}
END_TEST

START_TEST(agrees_in_several_blocks) {
    for (uint64_t seed = 0; seed < 2; seed++)
        check_case(1000 + seed, &large[_i]);
}
END_TEST

Suite *suite_backends_cpu_linear(void) {
    Suite *suite = suite_create("backends_cpu_linear");
    TCase *cases = tcase_create("linear");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, agrees_with_the_reference, 0, N_DRAWN);
    tcase_add_loop_test(cases, agrees_in_several_blocks, 0, N_LARGE);
    suite_add_tcase(suite, cases);
    return suite;
}
