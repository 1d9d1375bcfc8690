/*
 * Plans on a backend that lacks ops: where each op runs, what is copied and counted, errors of the
 * plugin. The backends are those of tests/plugins/fake.c.
 */
#include "core/plan/internal.h"

#include <math.h>
#include <stdlib.h>

#include "plugins/registry.h"
#include "tests/plugins/plugins.h"
#include "tests/support/failing.h"
#include "tests/support/plans.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_core_plan_fallback(void);

static sf_context *ctx;
static sf_plan_options options;
static sf_graph *graph;
static fake_state *state;

static void open_backend(const char *name, int strict) {
    ctx = plugin_context(test_plugins("fake lazy"), name, strict);
    ck_ok(ctx, sf_plan_options_for(ctx, &options));
    if (!strict)
        options.fallback = open_reference(ctx);
    state = fake();
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
}

static void setup(void) {
    scratch_setup();
    open_backend("fake", 0);
}

/* The device is left as it was found. */
static void teardown(void) {
    ck_assert_int_eq(state->live_buffers, 0);
    ck_assert_int_eq(state->live_prepared, 0);
    ck_assert_int_eq(state->n_errors, 0);
    sf_context_free(ctx);
    ck_assert_int_eq(state->live_backends, 0);
    scratch_teardown();
}

static sf_value input(int n_dims, const int64_t *dims) {
    return sf_input(graph, "x", SF_F32, n_dims, dims);
}

static const float weight_data[12] = {1, 2, 3, -1, 0, 2, 1, 1, 1, 0.5f, 0.5f, 0.5f};

static sf_value weight(int n_dims, const int64_t *dims) {
    return sf_constant_f32(graph, "w", n_dims, dims, weight_data);
}

static sf_plan *new_plan(void) {
    sf_plan *plan = NULL;
    ck_ok(ctx, sf_plan_new(ctx, graph, &options, &plan));
    check_plan_memory(plan);
    return plan;
}

static const sf_fallback_count *find_count(const sf_plan *plan, sf_op_id op) {
    int n;
    const sf_fallback_count *counts = sf_plan_fallbacks(plan, &n);
    for (int i = 0; i < n; i++)
        if (counts[i].op == op)
            return &counts[i];
    return NULL;
}

static void check_count(const sf_plan *plan, sf_op_id op, uint64_t n_runs, uint64_t bytes) {
    const sf_fallback_count *count = find_count(plan, op);
    ck_assert_ptr_nonnull(count);
    ck_assert_uint_eq(count->n_runs, n_runs);
    ck_assert_uint_eq(count->bytes_copied, bytes);
}

/* ---- placement and counts ---- */

/* linear and add on the device, softmax between them elsewhere. */
START_TEST(what_is_lacking_runs_on_the_fallback_and_is_counted) {
    sf_value x = input(SF_DIMS(2, 3));
    sf_value y = sf_softmax(graph, sf_linear(graph, x, weight(SF_DIMS(3, 3)), SF_NO_VALUE));
    sf_output(graph, "y", sf_add(graph, y, x));
    sf_plan *plan = new_plan();
    int on_backend[SF_OP_COUNT], on_fallback[SF_OP_COUNT], n;
    sf_plan_count_ops(plan, on_backend, on_fallback);
    ck_assert_int_eq(on_backend[SF_OP_linear], 1);
    ck_assert_int_eq(on_backend[SF_OP_add], 1);
    ck_assert_int_eq(on_backend[SF_OP_softmax], 0);
    ck_assert_int_eq(on_fallback[SF_OP_softmax], 1);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->n_steps, 3);
    ck_assert_uint_gt(sf_plan_get_stats(plan)->staging_bytes, 0);
    sf_plan_fallbacks(plan, &n);
    ck_assert_int_eq(n, 0); /* nothing has run yet */

    const float data[] = {1, 2, 3, 0, 0, 0};
    float result[6];
    ck_ok(ctx, sf_plan_write(plan, 0, data, sizeof data));
    fake_state before = *state;
    ck_ok(ctx, sf_plan_run(plan));
    ck_ok(ctx, sf_plan_run(plan));
    ck_assert_int_eq(state->n_runs - before.n_runs, 4);
    ck_assert_uint_eq(state->download_bytes - before.download_bytes, 2 * sizeof data);
    ck_assert_uint_eq(state->upload_bytes - before.upload_bytes, 2 * sizeof data);
    check_count(plan, SF_OP_softmax, 2, 4 * sizeof data);
    sf_plan_fallbacks(plan, &n);
    ck_assert_int_eq(n, 1);
    ck_ok(ctx, sf_plan_read(plan, 0, result, sizeof result));
    for (int i = 3; i < 6; i++)
        ck_assert(fabsf(result[i] - 1.f / 3) < 1e-6f);
    sf_plan_free(plan);
}
END_TEST

/* An input that only the fallback reads, and a result that only it has. */
START_TEST(copies_at_both_ends) {
    sf_output(graph, "y", sf_unary(graph, SF_OP_relu, input(SF_DIMS(4))));
    sf_plan *plan = new_plan();
    const float data[] = {-1, 1, -2, 2};
    float result[4];
    ck_ok(ctx, sf_plan_write(plan, 0, data, sizeof data));
    fake_state before = *state;
    ck_ok(ctx, sf_plan_run(plan));
    ck_assert_int_eq(state->n_runs, before.n_runs); /* no op, no needless copy on the device */
    ck_assert_int_eq(state->n_uploads - before.n_uploads, 1);
    ck_assert_int_eq(state->n_downloads - before.n_downloads, 1);
    check_count(plan, SF_OP_relu, 1, 2 * sizeof data);
    ck_ok(ctx, sf_plan_read(plan, 0, result, sizeof result));
    ck_assert(result[0] == 0 && result[1] == 1 && result[2] == 0 && result[3] == 2);
    sf_plan_free(plan);
}
END_TEST

/* A value goes over once, however many ops there need it. */
START_TEST(a_value_is_copied_once) {
    sf_value x = input(SF_DIMS(2, 4));
    sf_value y = sf_affine(graph, x, 2, 0);
    const int order[] = {1, 0};
    sf_value a = sf_unary(graph, SF_OP_relu, y), b = sf_unary(graph, SF_OP_tanh, y);
    sf_value c = sf_unary(graph, SF_OP_exp, sf_permute(graph, y, order));
    c = sf_permute(graph, c, order);
    sf_output(graph, "y", sf_subtract(graph, sf_divide(graph, a, c), b));
    sf_plan *plan = new_plan();
    float data[8] = {1};
    ck_ok(ctx, sf_plan_write(plan, 0, data, sizeof data));
    fake_state before = *state;
    ck_ok(ctx, sf_plan_run(plan));
    ck_assert_int_eq(state->n_downloads - before.n_downloads, 1);
    sf_plan_free(plan);
}
END_TEST

START_TEST(ops_are_written_in_parts_before_they_move) {
    sf_value x = input(SF_DIMS(4));
    sf_value y = sf_subtract(graph, sf_unary(graph, SF_OP_silu, x), x);
    sf_output(graph, "y", y);
    sf_plan *plan = new_plan();
    const float data[] = {-1, 0, 1, 2};
    float result[4];
    int n;
    ck_ok(ctx, sf_plan_write(plan, 0, data, sizeof data));
    ck_ok(ctx, sf_plan_run(plan));
    sf_plan_fallbacks(plan, &n);
    ck_assert_int_eq(n, 0);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->n_lowered, 2);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->staging_bytes, 0);
    ck_ok(ctx, sf_plan_read(plan, 0, result, sizeof result));
    for (int i = 0; i < 4; i++)
        ck_assert(fabsf(result[i] - (data[i] / (1 + expf(-data[i])) - data[i])) < 1e-6f);
    sf_plan_free(plan);
}
END_TEST

/* linear wants contiguous inputs: a view is copied for it, on the device. */
START_TEST(views_are_copied_for_ops_that_want_them_whole) {
    const int order[] = {1, 0};
    sf_value x = input(SF_DIMS(3, 2));
    sf_output(graph, "y",
              sf_linear(graph, sf_permute(graph, x, order), weight(SF_DIMS(4, 3)), SF_NO_VALUE));
    sf_plan *plan = new_plan();
    int on_backend[SF_OP_COUNT], on_fallback[SF_OP_COUNT];
    sf_plan_count_ops(plan, on_backend, on_fallback);
    ck_assert_int_eq(on_backend[SF_OP_linear], 1);
    ck_assert_int_eq(on_backend[SF_OP_copy], 1);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->n_steps, 2);
    const float data[] = {1, 10, 2, 20, 3, 30};
    float result[8];
    ck_ok(ctx, sf_plan_write(plan, 0, data, sizeof data));
    ck_ok(ctx, sf_plan_run(plan));
    ck_ok(ctx, sf_plan_read(plan, 0, result, sizeof result));
    ck_assert(result[0] == 14 && result[4] == 140 && result[2] == 6 && result[7] == 30);
    sf_plan_free(plan);
}
END_TEST

/* Both sides see the host's memory: counted, but nothing is copied. */
START_TEST(with_host_memory_nothing_is_copied) {
    sf_graph_free(graph);
    teardown();
    scratch_setup();
    open_backend("lazy", 0);
    sf_value x = input(SF_DIMS(4));
    sf_value y = sf_add(graph, sf_unary(graph, SF_OP_relu, sf_affine(graph, x, 2, 0)), x);
    sf_output(graph, "y", y);
    sf_plan *plan = new_plan();
    const float data[] = {-1, 1, -2, 2};
    float result[4];
    ck_ok(ctx, sf_plan_write(plan, 0, data, sizeof data));
    ck_ok(ctx, sf_plan_run(plan));
    check_count(plan, SF_OP_relu, 1, 0);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->staging_bytes, 0);

    /* What was asked for is done with the old input, though it is still in the queue. */
    const float other[] = {100, 100, 100, 100};
    ck_ok(ctx, sf_plan_write(plan, 0, other, sizeof other));
    ck_ok(ctx, sf_plan_read(plan, 0, result, sizeof result));
    ck_assert(result[0] == -1 && result[1] == 3 && result[2] == -2 && result[3] == 6);
    ck_ok(ctx, sf_plan_run(plan));
    sf_plan_free(plan); /* with ops in the queue */
}
END_TEST

static bool has_no_affine(sf_op_id op) {
    return op != SF_OP_affine;
}

/* A fallback whose runs return early: its results are waited for before they go to the device. */
START_TEST(a_fallback_that_returns_early_is_waited_for) {
    sf_plan_options pair;
    ck_ok(ctx, sf_plan_options_for(ctx, &pair));
    ck_assert_str_eq(pair.fallback->name, "lazy");
    sf_backend *limited = limit_backend(options.backend, "limited", has_no_affine);
    options = (sf_plan_options){.backend = limited, .fallback = pair.fallback};
    sf_value x = input(SF_DIMS(3)), y = x;
    for (int i = 0; i < 4; i++)
        y = sf_add(graph, sf_affine(graph, y, 2, 1), x);
    sf_output(graph, "y", y);
    sf_plan *plan = new_plan();
    float result[3];
    ck_ok(ctx, sf_plan_write(plan, 0, (const float[]){0, 1, 2}, sizeof result));
    for (int i = 0; i < 2; i++) {
        ck_ok(ctx, sf_plan_run(plan));
        ck_ok(ctx, sf_plan_read(plan, 0, result, sizeof result));
        ck_assert(result[0] == 15 && result[1] == 46 && result[2] == 77);
    }
    check_count(plan, SF_OP_affine, 8, 2 * 4 * 2 * sizeof result);
    sf_plan_free(plan);
    free(limited);
}
END_TEST

START_TEST(strict_is_an_error_that_names_op_node_and_backend) {
    sf_graph_free(graph);
    teardown();
    scratch_setup();
    open_backend("fake", 1);
    ck_assert_ptr_null(options.fallback);
    sf_plan *plan = NULL;
    sf_value x = input(SF_DIMS(2, 3));
    sf_scope_enter(graph, "mid_block.norm");
    sf_output(graph, "y", sf_softmax(graph, x));
    ck_fails(ctx, sf_plan_new(ctx, graph, &options, &plan), SF_ERROR_UNSUPPORTED,
             "softmax \"mid_block.norm\" on f32 [2, 3]: backend fake lacks it");

    /* What it can do in parts is no fallback. */
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    sf_output(graph, "y", sf_unary(graph, SF_OP_silu, input(SF_DIMS(2, 3))));
    sf_plan_free(new_plan());
}
END_TEST

static bool has_relu(sf_op_id op) {
    return op == SF_OP_relu;
}

START_TEST(what_nobody_has_is_an_error_that_names_both) {
    sf_backend *limited = limit_backend(options.fallback, "limited", has_relu);
    sf_plan *plan = NULL;
    options.fallback = limited;
    sf_scope_enter(graph, "top");
    sf_output(graph, "y", sf_unary(graph, SF_OP_tanh, input(SF_DIMS(2))));
    ck_fails(ctx, sf_plan_new(ctx, graph, &options, &plan), SF_ERROR_UNSUPPORTED,
             "tanh \"top\" on f32 [2]: neither fake nor limited has it");
    free(limited);
}
END_TEST

/* Without copy, an op whose only fault is a view input is what the message is about. */
START_TEST(a_copy_that_can_not_be_had_does_not_hide_the_op) {
    sf_backend *limited = limit_backend(options.fallback, "limited", has_relu);
    sf_plan *plan = NULL;
    const int order[] = {1, 0};
    options = (sf_plan_options){.backend = limited};
    sf_value x = input(SF_DIMS(2, 3));
    sf_output(graph, "y", sf_unary(graph, SF_OP_tanh, sf_permute(graph, x, order)));
    ck_fails(ctx, sf_plan_new(ctx, graph, &options, &plan), SF_ERROR_UNSUPPORTED, "tanh");

    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    x = sf_permute(graph, input(SF_DIMS(2, 3)), order);
    sf_output(graph, "y", sf_unary(graph, SF_OP_relu, sf_reshape(graph, x, SF_DIMS(6))));
    ck_fails(ctx, sf_plan_new(ctx, graph, &options, &plan), SF_ERROR_UNSUPPORTED,
             "copy \"\" on f32 [3, 2]: backend limited lacks it");
    free(limited);
}
END_TEST

START_TEST(a_device_is_no_fallback) {
    sf_plan *plan = NULL;
    sf_plan_options swapped = {.backend = options.fallback, .fallback = options.backend};
    ck_fails(ctx, sf_plan_new(ctx, graph, &swapped, &plan), SF_ERROR_BACKEND,
             "fake can't be a fallback");
}
END_TEST

/* ---- a plugin that fails ---- */

static sf_plan *layer_plan(sf_status status, const char *part) {
    sf_plan *plan = NULL;
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    sf_value x = input(SF_DIMS(1, 4));
    sf_scope_enter(graph, "layer");
    sf_output(graph, "y", sf_linear(graph, x, weight(SF_DIMS(3, 4)), SF_NO_VALUE));
    sf_fail(ctx, SF_ERROR_IO, "stale");
    if (status == SF_OK)
        ck_ok(ctx, sf_plan_new(ctx, graph, &options, &plan));
    else
        ck_fails(ctx, sf_plan_new(ctx, graph, &options, &plan), status, part);
    if (plan == NULL) {
        ck_assert_ptr_null(strstr(sf_error_message(ctx), "stale"));
        ck_assert_int_eq(state->live_buffers, 0);
        ck_assert_int_eq(state->live_prepared, 0);
    }
    return plan;
}

START_TEST(failures_of_the_plugin_are_told) {
    sf_graph_free(graph);
    for (fake_failure how = FAKE_MESSAGE; how <= FAKE_ODD_STATUS; how++) {
        const char *generic = sf_status_text(SF_ERROR_BACKEND);
        float data[4] = {0};
        state->fail_buffer = how;
        layer_plan(SF_ERROR_BACKEND, how == FAKE_MESSAGE ? "the fake memory broke" : generic);
        state->fail_upload = how;
        layer_plan(SF_ERROR_BACKEND, how == FAKE_MESSAGE ? "the fake bus broke" : generic);
        state->fail_prepare = how;
        layer_plan(SF_ERROR_BACKEND, "linear \"layer\" on fake: ");

        sf_plan *plan = layer_plan(SF_OK, NULL);
        state->fail_upload = how;
        ck_fails(ctx, sf_plan_write(plan, 0, data, sizeof data), SF_ERROR_BACKEND, "");
        ck_ok(ctx, sf_plan_write(plan, 0, data, sizeof data));
        state->fail_run = how;
        ck_fails(ctx, sf_plan_run(plan), SF_ERROR_BACKEND, "linear \"layer\" on fake: ");
        ck_ok(ctx, sf_plan_run(plan));
        sf_plan_free(plan);
    }
}
END_TEST

START_TEST(scratch_memory_that_nobody_has_is_refused) {
    sf_graph_free(graph);
    state->workspace = UINT64_MAX - 3;
    layer_plan(SF_ERROR_MEMORY,
               "linear \"layer\" would take 18446744073709551612 bytes of scratch");
    state->workspace = UINT64_C(1) << 47; /* no absurd number, but the device has not so much */
    layer_plan(SF_ERROR_MEMORY, "TB too few");
    state->workspace = 0;
    sf_plan_free(layer_plan(SF_OK, NULL));
}
END_TEST

START_TEST(nan_is_found_on_either_side) {
    const float w[] = {1, NAN};
    for (int lacking = 0; lacking < 2; lacking++) {
        char text[200];
        if (lacking)
            ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
        sf_value x = input(SF_DIMS(2)), scale = sf_constant_f32(graph, "scale", SF_DIMS(2), w);
        sf_value y = lacking ? sf_divide(graph, x, scale) : sf_multiply(graph, x, scale);
        sf_output(graph, "y", sf_add(graph, y, x));
        sf_plan *plan = new_plan();
        ck_ok(ctx, sf_plan_write(plan, 0, (const float[]){1, 1}, 8));
        ck_ok(ctx, sf_plan_find_nonfinite(plan, text, sizeof text));
        ck_assert_ptr_nonnull(strstr(text, lacking ? "divide" : "multiply"));
        ck_assert_ptr_nonnull(strstr(text, "whose weight \"scale\" holds NaN"));
        sf_plan_free(plan);
    }
}
END_TEST

/* ---- memory ---- */

static sf_status make_and_run(sf_context *failing, void *user) {
    sf_backend *fallback = NULL;
    sf_plan_options both;
    sf_plan *plan = NULL;
    failing->options.plugin_path = user;
    failing->options.backend = "fake";
    sf_status status = sf_plan_options_for(failing, &both);
    if (status == SF_OK)
        status = sf_registry_open_reference(failing, &fallback);
    if (status == SF_OK)
        status = sf_graph_new(failing, NULL, &graph);
    if (status == SF_OK) {
        both.fallback = fallback;
        sf_value x = input(SF_DIMS(2, 3));
        sf_value y = sf_softmax(graph, sf_linear(graph, x, weight(SF_DIMS(3, 3)), SF_NO_VALUE));
        sf_output(graph, "y", sf_unary(graph, SF_OP_silu, sf_add(graph, y, x)));
        status = sf_plan_new(failing, graph, &both, &plan);
    }
    if (status == SF_OK)
        status = sf_plan_write(plan, 0, weight_data, 6 * sizeof(float));
    if (status == SF_OK)
        status = sf_plan_run(plan);
    sf_plan_free(plan);
    close_backends(failing);
    failing->options.backend = failing->options.plugin_path = NULL;
    ck_assert_int_eq(state->live_buffers, 0);
    ck_assert_int_eq(state->live_prepared, 0);
    ck_assert_int_eq(state->live_backends, 2); /* those of the fixture */
    return status;
}

START_TEST(each_allocation_can_fail) {
    sf_graph_free(graph);
    check_each_allocation(make_and_run, (void *)test_plugins("fake"), 0);
}
END_TEST

Suite *suite_core_plan_fallback(void) {
    Suite *suite = suite_create("core_plan_fallback");
    TCase *tcase = tcase_create("fallback");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_is_lacking_runs_on_the_fallback_and_is_counted);
    tcase_add_test(tcase, copies_at_both_ends);
    tcase_add_test(tcase, a_value_is_copied_once);
    tcase_add_test(tcase, ops_are_written_in_parts_before_they_move);
    tcase_add_test(tcase, views_are_copied_for_ops_that_want_them_whole);
    tcase_add_test(tcase, with_host_memory_nothing_is_copied);
    tcase_add_test(tcase, a_fallback_that_returns_early_is_waited_for);
    tcase_add_test(tcase, strict_is_an_error_that_names_op_node_and_backend);
    tcase_add_test(tcase, what_nobody_has_is_an_error_that_names_both);
    tcase_add_test(tcase, a_copy_that_can_not_be_had_does_not_hide_the_op);
    tcase_add_test(tcase, a_device_is_no_fallback);
    tcase_add_test(tcase, failures_of_the_plugin_are_told);
    tcase_add_test(tcase, scratch_memory_that_nobody_has_is_refused);
    tcase_add_test(tcase, nan_is_found_on_either_side);
    tcase_add_test(tcase, each_allocation_can_fail);
    suite_add_tcase(suite, tcase);
    return suite;
}
