/*
 * Matrix products of the cpu plugin, on every instruction set, against the reference: sizes around those
 * of its blocks, batches that broadcast, all types and layouts.
 */
#include "tests/backends/cpu/cpu_test.h"

Suite *suite_backends_cpu_matmul(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

/* Sums of a few hundred products in another order, relative to the largest. */
#define TOLERANCE 1e-5

static const sf_dtype types[] = {SF_F32, SF_F16, SF_BF16};

typedef struct shape {
    int64_t batch_a[3], batch_b[3]; /* of the n_batch first dimensions */
    int n_batch;
    int64_t M, N, K;
} shape;

static sf_tensor *operand(const int64_t *batch, int n_batch, int64_t rows, int64_t columns,
                          sf_dtype dtype, uint64_t seed) {
    sf_spec spec = {.dtype = dtype, .n_dims = n_batch + 2, .dims = {1, 1, 1, 1, 1}};
    for (int i = 0; i < n_batch; i++)
        spec.dims[i] = batch[i];
    spec.dims[n_batch] = rows;
    spec.dims[n_batch + 1] = columns;
    return op_tensor(ctx, &spec, seed);
}

/* Normal numbers; a and b have the types from number `type` on. */
static op_call call_of(const shape *s, bool transpose_b, int type) {
    int64_t K = s->K, N = s->N;
    sf_tensor *a = operand(s->batch_a, s->n_batch, s->M, K, types[type % 3], 1);
    sf_tensor *b = operand(s->batch_b, s->n_batch, transpose_b ? N : K, transpose_b ? K : N,
                           types[type / 3 % 3], 2);
    return (op_call){
        .op = "matmul",
        .inputs = {a, b},
        .n_inputs = 2,
        .attributes.matmul = {.scale = type % 2 ? 1 : -0.3f, .transpose_b = transpose_b}};
}

static const shape shapes[] = {
    {{0}, {0}, 0, 1, 1, 1},
    {{0}, {0}, 0, 3, 5, 7},
    {{0}, {0}, 0, 1, 33, 65},
    {{0}, {0}, 0, 49, 1, 17},
    {{0}, {0}, 0, 25, 49, 16},
    {{0}, {0}, 0, 30, 40, 0},     /* sums of nothing */
    {{0}, {0}, 0, 530, 200, 300}, /* more than a block each way */
    {{2}, {2}, 1, 13, 11, 6},
    {{3}, {1}, 1, 13, 11, 6},
    {{1}, {3}, 1, 4, 50, 90},
    {{2, 1}, {1, 3}, 2, 5, 7, 8},
    {{2, 3, 1}, {2, 1, 2}, 3, 5, 3, 4},
    {{1, 12}, {1, 12}, 2, 77, 77, 64},
};
#define N_SHAPES (int)(sizeof shapes / sizeof *shapes)

START_TEST(all_shapes_types_and_layouts_agree_with_the_reference) {
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    for (int i = 0; i < N_SHAPES * 2 * 9; i++) {
        op_call call = call_of(&shapes[i % N_SHAPES], i / N_SHAPES % 2, i / N_SHAPES / 2);
        call.layout = i % 3 ? OP_CONTIGUOUS : OP_PADDED;
        cpu_test_compare(&test, ctx, &call, TOLERANCE);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

START_TEST(the_number_of_threads_changes_no_bit) {
    op_call call = call_of(&(shape){{3}, {3}, 1, 100, 250, 300}, true, 0);
    cpu_test_on_threads(ctx, &call, _i);
    cpu_test_free_inputs(&call);
}
END_TEST

Suite *suite_backends_cpu_matmul(void) {
    Suite *suite = suite_create("backends_cpu_matmul");
    TCase *cases = tcase_create("matmul");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, all_shapes_types_and_layouts_agree_with_the_reference, 0,
                        CPU_TEST_SETS);
    tcase_add_loop_test(cases, the_number_of_threads_changes_no_bit, 0, CPU_TEST_SETS);
    suite_add_tcase(suite, cases);
    return suite;
}
