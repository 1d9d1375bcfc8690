/*
 * The cpu plugin's backend for tests. See cpu_test.h.
 */
#include "tests/backends/cpu/cpu_test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/backends.h"

static sf_status host_fail(const sf_host *host, sf_status status, const char *format, ...) {
    cpu_test *test = host->user;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(test->message, sizeof test->message, format, arguments);
    va_end(arguments);
    return status;
}

bool cpu_test_open(cpu_test *test, int set, int n_threads) {
    const cpu_kernels *kernels = test_usable_kernels(set);
    if (!kernels)
        return false;
    *test = (cpu_test){.host = {.struct_size = sizeof test->host, .user = test, .fail = host_fail},
                       .scratch = aligned_alloc(64, CPU_SCRATCH_BYTES)};
    ck_assert_ptr_nonnull(test->scratch);
    test->backend = (cpu_backend){
        .host = &test->host, .kernels = kernels, .caller.scratch = (char *)test->scratch};
    ck_assert_int_eq(cpu_pool_acquire(&test->host, n_threads, &test->backend.pool), SF_OK);
    ck_assert_int_eq(cpu_n_threads(&test->backend), n_threads);
    return true;
}

void cpu_test_close(cpu_test *test) {
    cpu_pool_release(test->backend.pool);
    free(test->scratch);
}

sf_tensor *cpu_test_compute(cpu_test *test, sf_context *ctx, op_call *call) {
    for (int i = 0; i < CPU_N_ENTRIES; i++)
        if (strcmp(cpu_entries[i]->op, call->op) == 0)
            call->entry = cpu_entries[i];
    call->backend = &test->backend;
    sf_tensor *result = op_compute(ctx, call);
    call->entry = NULL;
    call->backend = NULL;
    return result;
}

static void describe(const op_call *call, char *text, size_t bytes) {
    size_t used = 0;
    for (int i = 0; i < call->n_inputs && used < bytes; i++) {
        char shape[SF_SHAPE_TEXT] = "-";
        if (call->inputs[i]) {
            sf_spec spec = op_spec_of(call->inputs[i]);
            sf_spec_text(&spec, shape);
        }
        used += (size_t)snprintf(text + used, bytes - used, "%s%s", i ? ", " : "", shape);
    }
}

static void check(const cpu_test *test, const op_call *call, const sf_tensor *y,
                  const sf_tensor *wanted, double tolerance) {
    char text[256] = "";
    double step = y->dtype == SF_F16 ? 0x1p-10 : y->dtype == SF_BF16 ? 0x1p-7 : 0;
    describe(call, text, sizeof text);
    if (tolerance == 0)
        ck_assert_msg(memcmp(y->data, wanted->data, y->bytes) == 0, "%s of %s, %s", call->op, text,
                      test->backend.kernels->name);
    double worst = tolerance == 0 ? 0 : op_distance(y, wanted, tolerance, step);
    ck_assert_msg(worst <= 1, "%s of %s, %s: %g of the tolerance", call->op, text,
                  test->backend.kernels->name, worst);
}

void cpu_test_compare(cpu_test *test, sf_context *ctx, op_call *call, double tolerance) {
    bool in_place = call->in_place;
    sf_tensor *y = cpu_test_compute(test, ctx, call);
    call->in_place = false;
    sf_tensor *wanted = op_compute(ctx, call);
    call->in_place = in_place;
    check(test, call, y, wanted, tolerance);
    sf_tensor_free(y);
    sf_tensor_free(wanted);
}

/* The same bits as on one thread, whose result is *first: NULL at first. */
static void check_threads(sf_context *ctx, op_call *call, int set, int n_threads,
                          const sf_tensor *wanted, double tolerance, sf_tensor **first) {
    cpu_test test;
    char text[256] = "";
    if (!cpu_test_open(&test, set, n_threads))
        return;
    sf_tensor *y = cpu_test_compute(&test, ctx, call);
    describe(call, text, sizeof text);
    if (*first) {
        ck_assert_msg(memcmp(y->data, (*first)->data, y->bytes) == 0,
                      "%s of %s, %s: other bits on %d threads", call->op, text,
                      test.backend.kernels->name, n_threads);
        sf_tensor_free(y);
    } else {
        check(&test, call, y, wanted, tolerance);
        *first = y;
    }
    cpu_test_close(&test);
}

void cpu_test_on_all(sf_context *ctx, op_call *call, const sf_tensor *wanted, double tolerance) {
    static const int n_threads[] = {1, 2, 3, 7};
    for (int set = 0; set < CPU_TEST_SETS; set++) {
        sf_tensor *first = NULL;
        for (int i = 0; i < 4; i++)
            check_threads(ctx, call, set, n_threads[i], wanted, tolerance, &first);
        sf_tensor_free(first);
    }
}

void cpu_test_on_threads(sf_context *ctx, op_call *call, int set) {
    sf_tensor *results[4];
    for (int n_threads = 1; n_threads <= 4; n_threads++) {
        cpu_test test;
        if (!cpu_test_open(&test, set, n_threads))
            return;
        results[n_threads - 1] = cpu_test_compute(&test, ctx, call);
        cpu_test_close(&test);
    }
    for (int i = 1; i < 4; i++)
        ck_assert_mem_eq(results[i]->data, results[0]->data, results[0]->bytes);
    for (int i = 0; i < 4; i++)
        sf_tensor_free(results[i]);
}

/* bf16 has 7 bits of fraction, f16 has 10. */
void cpu_test_round_weight(op_call *call) {
    const sf_tensor *x = call->inputs[0], *weight = call->inputs[1];
    if (x->dtype != SF_BF16 || weight->dtype != SF_F16)
        return;
    uint16_t *bits = weight->data;
    for (size_t i = 0; i < weight->bytes / sizeof *bits; i++)
        bits[i] &= (uint16_t)~7u;
}

/* splitmix64 (Steele, Lea, Flood 2014) */
int64_t cpu_test_draw(uint64_t *state, int64_t n) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (int64_t)((z ^ (z >> 31)) % (uint64_t)n);
}

void cpu_test_free_inputs(op_call *call) {
    for (int i = 0; i < call->n_inputs; i++)
        sf_tensor_free((sf_tensor *)call->inputs[i]);
}
