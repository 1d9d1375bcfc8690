/*
 * Norms, softmax and geglu of the cpu plugin: every instruction set, odd numbers of columns, every mixture
 * of types, in place, in as many threads as there are not; and numbers that are far from 0 or from 1.
 */
#include <math.h>

#include "tests/backends/cpu/cpu_test.h"

Suite *suite_backends_cpu_norms(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

static const sf_dtype types[] = {SF_F32, SF_F16, SF_BF16};

/* One vector more or less than whole ones, of every length. */
static const int64_t columns[] = {1, 3, 15, 17, 31, 33, 48, 64, 100, 320};
#define N_COLUMNS (int)(sizeof columns / sizeof *columns)

static sf_tensor *matrix(sf_dtype dtype, int64_t rows, int64_t n, uint64_t seed) {
    sf_spec spec = {.dtype = dtype, .n_dims = 2, .dims = {rows, n, 1, 1, 1}};
    return op_tensor(ctx, &spec, seed);
}

static sf_tensor *vector(sf_dtype dtype, int64_t n, uint64_t seed) {
    sf_spec spec = {.dtype = dtype, .n_dims = 1, .dims = {n, 1, 1, 1, 1}};
    return op_tensor(ctx, &spec, seed);
}

/* ---- rows ---- */

/* A few f32 roundings of numbers near 1. */
#define TOLERANCE 2e-6

static void check_rows(cpu_test *test, const char *op, int64_t rows, int64_t n, int variant) {
    bool with_factors = strstr(op, "norm") != NULL;
    op_call call = {.op = op,
                    .n_inputs = with_factors ? 2 + (strcmp(op, "layer_norm") == 0) : 1,
                    .in_place = variant % 2 == 1 && strcmp(op, "geglu") != 0,
                    .attributes.norm = {.epsilon = 1e-5f, .activation = variant % 7}};
    call.inputs[0] = matrix(types[variant % 3], rows, strcmp(op, "geglu") == 0 ? 2 * n : n, 1);
    for (int i = 1; i < call.n_inputs; i++)
        call.inputs[i] = (variant + i) % 4 == 3 ? NULL : vector(types[(variant + i) % 3], n, 2);
    cpu_test_compare(test, ctx, &call, TOLERANCE);
    cpu_test_free_inputs(&call);
}

START_TEST(rows_are_those_of_the_reference) {
    static const char *const ops[] = {"layer_norm", "rms_norm", "softmax", "geglu"};
    static const int64_t rows[] = {1, 5, 130};
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    for (int i = 0; i < 4 * 3 * N_COLUMNS; i++)
        check_rows(&test, ops[i % 4], rows[i / 4 % 3], columns[i / 12], i / 4 + i % 4);
    cpu_test_close(&test);
}
END_TEST

/* ---- groups ---- */

static void check_groups(cpu_test *test, int64_t N, int64_t P, int64_t groups, int64_t size,
                         int variant) {
    sf_spec spec = {.dtype = types[variant % 3], .n_dims = 3, .dims = {N, P, groups * size, 1, 1}};
    op_call call = {.op = "group_norm",
                    .n_inputs = 3,
                    .in_place = variant % 2 == 1,
                    .attributes.norm = {
                        .groups = (int32_t)groups, .epsilon = 1e-5f, .activation = variant % 7}};
    call.inputs[0] = op_tensor(ctx, &spec, 3);
    for (int i = 1; i < 3; i++)
        call.inputs[i] =
            (variant + i) % 5 == 4 ? NULL : vector(types[(variant + i) % 3], groups * size, 4);
    cpu_test_compare(test, ctx, &call, TOLERANCE);
    cpu_test_free_inputs(&call);
}

START_TEST(groups_are_those_of_the_reference) {
    static const int64_t sizes[][4] = {/* N, P, groups, channels of a group */
                                       {1, 1, 1, 1},     {2, 7, 1, 5},    {1, 40, 3, 1},
                                       {3, 33, 5, 3},    {2, 65, 2, 16},  {1, 300, 32, 10},
                                       {2, 2100, 1, 17}, {1, 5, 2, 3000}, {1, 37, 1, 5001},
                                       {2, 70, 11, 190}, {1, 20, 2500, 1}};
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    for (int i = 0; i < (int)(sizeof sizes / sizeof *sizes); i++)
        for (int variant = 0; variant < 3; variant++)
            check_groups(&test, sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3],
                         3 * i + variant + i % 2);
    cpu_test_close(&test);
}
END_TEST

/* ---- numbers in odd places ---- */

/*
 * Far from 0, and so large or small that their squares are not f32: where a sum of squares, or one in
 * f32, is of no use. Roundings of x itself count as much as its distance from 0: allowed is what they
 * come to.
 */
static const struct {
    double centre, width;
    float epsilon;
} places[] = {{1000, 1, 1e-5f},    {-30, 0.01, 1e-6f}, {0, 1e25, 1e-5f},
              {1e30, 1e28, 1e-5f}, {0, 1e-25, 0},      {0, 3e-4, 1e-8f}};
#define N_PLACES (int)(sizeof places / sizeof *places)

static void check_place(cpu_test *test, const char *op, int place, int64_t n) {
    double low = places[place].centre - places[place].width;
    sf_spec spec = {.dtype = SF_F32, .n_dims = 3, .dims = {2, 50, n, 1, 1}};
    op_call call = {.op = op,
                    .n_inputs = 1,
                    .attributes.norm = {.groups = 1, .epsilon = places[place].epsilon}};
    call.inputs[0] =
        op_tensor_between(ctx, &spec, 5, low, places[place].centre + places[place].width);
    cpu_test_compare(test, ctx, &call, TOLERANCE);
    cpu_test_free_inputs(&call);
}

START_TEST(norms_of_numbers_in_odd_places) {
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    for (int place = 0; place < N_PLACES; place++) {
        check_place(&test, "group_norm", place, 35);
        check_place(&test, "layer_norm", place, 35);
        check_place(&test, "rms_norm", place, 35);
    }
    cpu_test_close(&test);
}
END_TEST

/* One NaN or infinity spoils its row or its group, and no other. */
START_TEST(norms_of_what_is_no_number) {
    static const char *const ops[] = {"group_norm", "layer_norm", "rms_norm", "softmax"};
    static const float values[] = {NAN, INFINITY, -INFINITY};
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    for (int i = 0; i < 12; i++) {
        sf_tensor *x = matrix(SF_F32, 3, 40, 6);
        op_call call = {.op = ops[i % 4],
                        .inputs = {x},
                        .n_inputs = 1,
                        .attributes.norm = {.groups = 4, .epsilon = 1e-5f}};
        ((float *)x->data)[40 + 17] = values[i / 4];
        cpu_test_compare(&test, ctx, &call, TOLERANCE);
        sf_tensor_free(x);
    }
    cpu_test_close(&test);
}
END_TEST

/* Rows of the same number, and of none but -inf. */
START_TEST(norms_of_constant_rows) {
    static const char *const ops[] = {"group_norm", "layer_norm", "rms_norm", "softmax"};
    static const float values[] = {0, 7.1f, -INFINITY, 1e-30f};
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    for (int i = 0; i < 16; i++) {
        sf_tensor *x = matrix(SF_F32, 3, 40, 6);
        op_call call = {.op = ops[i % 4],
                        .inputs = {x},
                        .n_inputs = 1,
                        .attributes.norm = {.groups = 4, .epsilon = 1e-5f}};
        for (int k = 0; k < 120; k++)
            ((float *)x->data)[k] = values[i / 4];
        cpu_test_compare(&test, ctx, &call, 1e-4); /* 1/sqrt(1e-5) times a rounding of 7.1 */
        sf_tensor_free(x);
    }
    cpu_test_close(&test);
}
END_TEST

/* ---- threads ---- */

/* The same bits, however many threads there are. */
START_TEST(threads_change_nothing) {
    static const char *const ops[] = {"group_norm", "layer_norm", "rms_norm", "softmax"};
    sf_spec spec = {.dtype = SF_F32, .n_dims = 3, .dims = {2, 700, 160, 1, 1}};
    sf_tensor *x = op_tensor(ctx, &spec, 7);
    for (int i = 0; i < 4; i++) {
        op_call call = {.op = ops[i],
                        .inputs = {x},
                        .n_inputs = 1,
                        .attributes.norm = {.groups = 8, .epsilon = 1e-5f, .activation = 1}};
        sf_tensor *first = NULL;
        for (int n_threads = 1; n_threads <= 5; n_threads++) {
            cpu_test test;
            if (!cpu_test_open(&test, _i, n_threads))
                break;
            sf_tensor *y = cpu_test_compute(&test, ctx, &call);
            if (first)
                ck_assert_msg(memcmp(first->data, y->data, y->bytes) == 0, "%s in %d threads",
                              ops[i], n_threads);
            sf_tensor_free(first);
            first = y;
            cpu_test_close(&test);
        }
        sf_tensor_free(first);
    }
    sf_tensor_free(x);
}
END_TEST

Suite *suite_backends_cpu_norms(void) {
    Suite *suite = suite_create("backends_cpu_norms");
    TCase *tests = tcase_create("norms");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, rows_are_those_of_the_reference, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, groups_are_those_of_the_reference, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, norms_of_numbers_in_odd_places, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, norms_of_what_is_no_number, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, norms_of_constant_rows, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, threads_change_nothing, 0, CPU_TEST_SETS);
    suite_add_tcase(suite, tests);
    return suite;
}
