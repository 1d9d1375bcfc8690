/*
 * Tensors on a backend and single ops on them.
 */
#include "core/eager.h"

#include <math.h>
#include <stdlib.h>

#include "plugins/registry.h"
#include "tests/plugins/plugins.h"
#include "tests/support/failing.h"
#include "tests/support/plans.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_core_eager(void);

static const char *const backends[] = {"reference", "fake", "lazy"};

#define N_BACKENDS ((int)(sizeof backends / sizeof *backends))

static sf_context *ctx;
static sf_plan_options options;
static sf_eager *eager;

static void setup(void) {
    scratch_setup();
}

static void teardown(void) {
    ck_assert_int_eq(fake()->n_errors, 0);
    ck_assert_int_eq(fake()->live_buffers, 0);
    scratch_teardown();
}

/* The loop tests: once a backend. */
static void open_backend(int i) {
    ctx = plugin_context(test_plugins(i ? backends[i] : ""), backends[i], 0);
    ck_ok(ctx, sf_plan_options_for(ctx, &options));
    ck_ok(ctx, sf_eager_new(ctx, &options, &eager));
}

static void close_backend(void) {
    sf_eager_free(eager);
    sf_context_free(ctx);
}

static sf_device_tensor *tensor_of(int64_t n, const float *data) {
    sf_device_tensor *tensor;
    sf_spec spec = {.dtype = SF_F32, .n_dims = 1, .dims = {n}};
    ck_ok(ctx, sf_device_tensor_new(options.backend, &spec, &tensor));
    if (data)
        ck_ok(ctx, sf_device_tensor_write(tensor, data, (size_t)n * sizeof *data));
    return tensor;
}

static void check_tensor(const sf_device_tensor *tensor, int64_t n, const float *wanted) {
    float got[16];
    ck_ok(ctx, sf_device_tensor_read(tensor, got, (size_t)n * sizeof *got));
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabsf(got[i] - wanted[i]) <= 1e-5f, "element %d is %g, not %g", (int)i,
                      (double)got[i], (double)wanted[i]);
}

START_TEST(tensors_hold_what_was_written) {
    open_backend(_i);
    const float data[] = {1, 2, 3};
    sf_device_tensor *tensor = tensor_of(3, data), *empty = tensor_of(0, NULL);
    check_tensor(tensor, 3, data);
    ck_fails(ctx, sf_device_tensor_write(tensor, data, 8), SF_ERROR_SHAPE, "f32 [3] has 12 bytes");
    ck_fails(ctx, sf_device_tensor_read(tensor, (void *)data, 16), SF_ERROR_SHAPE, "not 16");
    ck_ok(ctx, sf_device_tensor_write(empty, NULL, 0));
    ck_ok(ctx, sf_device_tensor_read(empty, NULL, 0));
    sf_device_tensor *none = NULL;
    sf_spec negative = {.dtype = SF_F32, .n_dims = 1, .dims = {-1}};
    ck_fails(ctx, sf_device_tensor_new(options.backend, &negative, &none), SF_ERROR_SHAPE,
             "negative");
    sf_device_tensor_free(tensor);
    sf_device_tensor_free(empty);
    sf_device_tensor_free(NULL);
    close_backend();
}
END_TEST

/* On backends that have the op, write it in parts, or leave it to the fallback. */
START_TEST(single_ops) {
    open_backend(_i);
    const float data[] = {-1, 0, 2}, other[] = {1, 2, 4};
    sf_device_tensor *x = tensor_of(3, data), *z = tensor_of(3, other), *y = tensor_of(3, NULL);
    const sf_device_tensor *both[] = {x, z};
    const sf_attributes twice = {.affine = {.scale = 2, .shift = 1}};
    const sf_attributes half = {.affine = {.scale = 0.5f, .shift = 0}};
    ck_ok(ctx, sf_eager_run(eager, SF_OP_add, both, 2, NULL, y));
    check_tensor(y, 3, (const float[]){0, 2, 6});
    ck_ok(ctx, sf_eager_run(eager, SF_OP_subtract, both, 2, NULL, y));
    check_tensor(y, 3, (const float[]){-2, -2, -2});
    ck_ok(ctx, sf_eager_run(eager, SF_OP_divide, both, 2, NULL, y));
    check_tensor(y, 3, (const float[]){-1, 0, 0.5f});
    for (int i = 0; i < 2; i++) { /* attributes tell kept plans apart */
        ck_ok(ctx, sf_eager_run(eager, SF_OP_affine, both, 1, &twice, y));
        check_tensor(y, 3, (const float[]){-1, 1, 5});
        ck_ok(ctx, sf_eager_run(eager, SF_OP_affine, both, 1, &half, y));
        check_tensor(y, 3, (const float[]){-0.5f, 0, 1});
    }
    sf_device_tensor_free(x);
    sf_device_tensor_free(y);
    sf_device_tensor_free(z);
    close_backend();
}
END_TEST

START_TEST(the_output_may_be_an_input_of_elementwise_ops) {
    static const sf_op_id ops[] = {SF_OP_add, SF_OP_multiply, SF_OP_subtract, SF_OP_divide};
    const float data[] = {-1, 0, 2}, other[] = {1, 2, 4};
    open_backend(_i);
    for (size_t k = 0; k < 2 * sizeof ops / sizeof *ops; k++) {
        float wanted[3];
        sf_device_tensor *x = tensor_of(3, data), *z = tensor_of(3, other), *y = tensor_of(3, NULL);
        const sf_device_tensor *both[] = {x, z};
        ck_ok(ctx, sf_eager_run(eager, ops[k / 2], both, 2, NULL, y));
        ck_ok(ctx, sf_device_tensor_read(y, wanted, sizeof wanted));
        ck_ok(ctx, sf_eager_run(eager, ops[k / 2], both, 2, NULL, k % 2 ? x : z));
        check_tensor(k % 2 ? x : z, 3, wanted);
        check_tensor(k % 2 ? z : x, 3, k % 2 ? other : data);
        sf_device_tensor_free(x);
        sf_device_tensor_free(y);
        sf_device_tensor_free(z);
    }
    sf_device_tensor *x = tensor_of(3, data);
    const sf_device_tensor *one[] = {x};
    ck_ok(ctx, sf_eager_run(eager, SF_OP_silu, one, 1, NULL, x));
    check_tensor(x, 3, (const float[]){-0.26894142f, 0, 1.76159416f});
    ck_fails(ctx, sf_eager_run(eager, SF_OP_softmax, one, 1, NULL, x), SF_ERROR_ARGUMENT,
             "softmax can't put its output where its input is");
    sf_device_tensor_free(x);
    close_backend();
}
END_TEST

START_TEST(linear_combinations) {
    open_backend(_i);
    const float data[] = {1, 2, 3}, other[] = {10, 20, 30};
    sf_device_tensor *x = tensor_of(3, data), *z = tensor_of(3, other), *y = tensor_of(3, NULL);
    const sf_device_tensor *terms[9] = {x, z, x, x, x, x, x, x, x};
    ck_ok(ctx, sf_eager_combine(eager, y, 2, (const double[]){2, 0.5}, terms));
    check_tensor(y, 3, (const float[]){7, 14, 21});
    ck_ok(ctx, sf_eager_combine(eager, y, 2, (const double[]){1, -1}, terms));
    check_tensor(y, 3, (const float[]){-9, -18, -27});
    ck_ok(ctx, sf_eager_combine(eager, y, 1, (const double[]){3}, terms));
    check_tensor(y, 3, (const float[]){3, 6, 9});
    const double ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    ck_ok(ctx, sf_eager_combine(eager, y, 8, ones, terms));
    check_tensor(y, 3, (const float[]){17, 34, 51});
    ck_ok(ctx, sf_eager_combine(eager, x, 8, ones, terms)); /* onto one of the terms */
    check_tensor(x, 3, (const float[]){17, 34, 51});
    ck_fails(ctx, sf_eager_combine(eager, y, 9, ones, terms), SF_ERROR_ARGUMENT, "9 terms");
    ck_fails(ctx, sf_eager_combine(eager, y, 0, ones, terms), SF_ERROR_ARGUMENT, "0 terms");
    sf_device_tensor_free(x);
    sf_device_tensor_free(y);
    sf_device_tensor_free(z);
    close_backend();
}
END_TEST

START_TEST(absent_inputs_are_null) {
    open_backend(_i);
    sf_spec spec = {.dtype = SF_F32, .n_dims = 2, .dims = {2, 2}};
    sf_device_tensor *x, *y;
    const float ones[] = {1, 2, 3, 4};
    ck_ok(ctx, sf_device_tensor_new(options.backend, &spec, &x));
    ck_ok(ctx, sf_device_tensor_new(options.backend, &spec, &y));
    ck_ok(ctx, sf_device_tensor_write(x, ones, sizeof ones));
    const sf_device_tensor *inputs[] = {x, x, NULL, x}; /* x x^T + x */
    ck_ok(ctx, sf_eager_run(eager, SF_OP_linear, inputs, 4, NULL, y));
    check_tensor(y, 4, (const float[]){6, 13, 14, 29});
    ck_ok(ctx, sf_eager_run(eager, SF_OP_linear, inputs, 3, NULL, y));
    check_tensor(y, 4, (const float[]){5, 11, 11, 25});
    sf_device_tensor_free(x);
    sf_device_tensor_free(y);
    close_backend();
}
END_TEST

START_TEST(what_does_not_fit_is_an_error) {
    open_backend(_i);
    sf_device_tensor *x = tensor_of(3, (const float[]){1, 2, 3}), *y = tensor_of(4, NULL);
    const sf_device_tensor *inputs[] = {x, y, x, x, x, x, x, x, x, x};
    ck_fails(ctx, sf_eager_run(eager, SF_OP_add, inputs, 2, NULL, x), SF_ERROR_SHAPE, "add");
    ck_fails(ctx, sf_eager_run(eager, SF_OP_silu, inputs, 1, NULL, y), SF_ERROR_SHAPE,
             "\"y\" is not a contiguous f32 [3]");
    ck_fails(ctx, sf_eager_run(eager, SF_OP_concat, inputs, 10, NULL, y), SF_ERROR_ARGUMENT,
             "at most 9");
    ck_ok(ctx, sf_eager_run(eager, SF_OP_silu, inputs, 1, NULL, x)); /* none of it stays */
    sf_device_tensor_free(x);
    sf_device_tensor_free(y);
    close_backend();
}
END_TEST

START_TEST(tensors_of_another_backend_are_refused) {
    open_backend(1);
    sf_backend *device = options.backend;
    sf_device_tensor *x = tensor_of(2, (const float[]){1, 2}), *there;
    options.backend = open_reference(ctx);
    there = tensor_of(2, (const float[]){1, 2});
    options.backend = device;
    const sf_device_tensor *inputs[] = {x, there};
    ck_fails(ctx, sf_eager_run(eager, SF_OP_add, inputs, 2, NULL, x), SF_ERROR_ARGUMENT,
             "add: a tensor is not on fake");
    ck_fails(ctx, sf_eager_run(eager, SF_OP_silu, inputs, 1, NULL, there), SF_ERROR_ARGUMENT,
             "not on fake");
    sf_device_tensor_free(x);
    sf_device_tensor_free(there);
    close_backend();
}
END_TEST

START_TEST(repeated_steps_allocate_nothing) {
    struct failing_allocator allocator = {.fail_at = 0};
    sf_context *counted = failing_context(&allocator);
    ctx = counted;
    options = (sf_plan_options){.backend = open_reference(ctx)};
    ck_ok(ctx, sf_eager_new(ctx, &options, &eager));
    sf_device_tensor *x = tensor_of(4, (const float[]){1, 2, 3, 4}), *y = tensor_of(4, NULL);
    const sf_device_tensor *terms[] = {x, y};
    long calls = 0;
    for (int i = 0; i < 5; i++) {
        ck_ok(ctx, sf_eager_combine(eager, y, 1, (const double[]){i}, terms));
        ck_ok(ctx, sf_eager_combine(eager, y, 2, (const double[]){i, 0.1}, terms));
        ck_ok(ctx, sf_eager_run(eager, SF_OP_silu, terms, 1, NULL, x));
        if (i == 0)
            calls = allocator.calls;
    }
    ck_assert_int_eq(allocator.calls, calls);
    sf_device_tensor_free(x);
    sf_device_tensor_free(y);
    sf_eager_free(eager);
    sf_eager_free(NULL);
    close_backends(ctx);
    ck_assert_int_eq(allocator.live, 0);
    sf_context_free(ctx);
}
END_TEST

static sf_status combine(sf_context *failing, void *user) {
    (void)user;
    sf_backend *backend = NULL;
    sf_device_tensor *x = NULL, *y = NULL;
    sf_eager *made = NULL;
    sf_spec spec = {.dtype = SF_F32, .n_dims = 1, .dims = {4}};
    sf_status status = sf_registry_open_reference(failing, &backend);
    sf_plan_options on = {.backend = backend};
    if (status == SF_OK)
        status = sf_device_tensor_new(backend, &spec, &x);
    if (status == SF_OK)
        status = sf_device_tensor_new(backend, &spec, &y);
    if (status == SF_OK)
        status = sf_eager_new(failing, &on, &made);
    for (int n = 1; n <= 2 && status == SF_OK; n++)
        status = sf_eager_combine(made, y, n, (const double[]){1, 2},
                                  (const sf_device_tensor *const[]){x, x});
    sf_eager_free(made);
    sf_device_tensor_free(x);
    sf_device_tensor_free(y);
    close_backends(failing);
    return status;
}

START_TEST(each_allocation_can_fail) {
    check_each_allocation(combine, NULL, 0);
}
END_TEST

Suite *suite_core_eager(void) {
    Suite *suite = suite_create("core_eager");
    TCase *tcase = tcase_create("eager");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, tensors_hold_what_was_written, 0, N_BACKENDS);
    tcase_add_loop_test(tcase, single_ops, 0, N_BACKENDS);
    tcase_add_loop_test(tcase, the_output_may_be_an_input_of_elementwise_ops, 0, N_BACKENDS);
    tcase_add_loop_test(tcase, linear_combinations, 0, N_BACKENDS);
    tcase_add_loop_test(tcase, absent_inputs_are_null, 0, N_BACKENDS);
    tcase_add_loop_test(tcase, what_does_not_fit_is_an_error, 0, N_BACKENDS);
    tcase_add_test(tcase, tensors_of_another_backend_are_refused);
    tcase_add_test(tcase, repeated_steps_allocate_nothing);
    tcase_add_test(tcase, each_allocation_can_fail);
    suite_add_tcase(suite, tcase);
    return suite;
}
