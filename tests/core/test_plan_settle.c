/*
 * Steps that depend on weights and settled inputs alone: how often they run, that results are those
 * of a plan that runs everything each time, and what makes them run again.
 */
#include <math.h>
#include <stdlib.h>

#include "core/plan/internal.h"
#include "tests/support/plans.h"
#include "tests/support/support.h"

Suite *suite_core_plan_settle(void);

static sf_context *ctx;
static sf_backend *reference, *counting;
static sf_graph *graph;               /* of the test at hand; the plan takes it over */
static int n_linear, n_affine, n_add; /* runs */
static bool add_fails;

static sf_status count_linear(void *backend, const sf_op_call *call) {
    n_linear++;
    return reference->entries[SF_OP_linear].run(backend, call);
}

static sf_status count_affine(void *backend, const sf_op_call *call) {
    n_affine++;
    return reference->entries[SF_OP_affine].run(backend, call);
}

static sf_status count_add(void *backend, const sf_op_call *call) {
    n_add++;
    if (add_fails)
        return SF_ERROR_BACKEND;
    return reference->entries[SF_OP_add].run(backend, call);
}

static bool has_all(sf_op_id op) {
    (void)op;
    return true;
}

static void setup(void) {
    ctx = test_context();
    reference = open_reference(ctx);
    counting = limit_backend(reference, "counting", has_all);
    counting->entries[SF_OP_linear].run = count_linear;
    counting->entries[SF_OP_affine].run = count_affine;
    counting->entries[SF_OP_add].run = count_add;
    n_linear = n_affine = n_add = 0;
    add_fails = false;
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
}

static void teardown(void) {
    free(counting);
    test_context_free(ctx);
}

static void check_runs(int linear, int affine, int add) {
    ck_assert_int_eq(n_linear, linear);
    ck_assert_int_eq(n_affine, affine);
    ck_assert_int_eq(n_add, add);
    n_linear = n_affine = n_add = 0;
}

/* ---- one layer of each kind ---- */

static const float weights[] = {1, 2, 3, 4};

/* y = x + w' (tanh(text) w), with w' = 2 w: affine reads a weight alone, linear the text. */
static sf_plan *layer_plan(bool settled) {
    sf_value text = (settled ? sf_settled_input : sf_input)(graph, "text", SF_F32, SF_DIMS(1, 2));
    sf_value x = sf_input(graph, "x", SF_F32, SF_DIMS(1, 2));
    sf_value w = sf_constant_f32(graph, "w", SF_DIMS(2, 2), weights);
    sf_value scaled = sf_reshape(graph, sf_affine(graph, w, 2, 0), SF_DIMS(4));
    sf_value key = sf_linear(graph, sf_unary(graph, SF_OP_tanh, text), w, SF_NO_VALUE);
    key = sf_multiply(graph, key, sf_slice(graph, scaled, 0, 1, 2));
    sf_output(graph, "y", sf_unary(graph, SF_OP_tanh, sf_add(graph, x, key)));
    return make_plan(ctx, graph, counting, NULL, true);
}

static void write(sf_plan *plan, const char *name, float a, float b) {
    ck_ok(ctx, sf_plan_write(plan, sf_plan_find_input(plan, name), (const float[]){a, b}, 8));
}

static void check_y(sf_plan *plan, const float text[2], const float x[2]) {
    float y[2];
    ck_ok(ctx, sf_plan_read(plan, 0, y, sizeof y));
    for (int i = 0; i < 2; i++) {
        float key = tanhf(text[0]) * weights[2 * i] + tanhf(text[1]) * weights[2 * i + 1];
        ck_assert_float_eq_tol(y[i], tanhf(x[i] + 2 * weights[1 + i] * key), 1e-6f);
    }
}

START_TEST(each_step_runs_as_often_as_its_inputs_change) {
    sf_plan *plan = layer_plan(true);
    check_plan_memory(plan);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->n_settled, 4);
    write(plan, "text", 0.1f, -0.2f);
    write(plan, "x", 0.3f, 0.1f);
    ck_ok(ctx, sf_plan_run(plan));
    check_runs(1, 1, 1);
    check_y(plan, (float[]){0.1f, -0.2f}, (float[]){0.3f, 0.1f});

    write(plan, "x", -0.5f, 0.2f);
    ck_ok(ctx, sf_plan_run(plan));
    check_runs(0, 0, 1);
    check_y(plan, (float[]){0.1f, -0.2f}, (float[]){-0.5f, 0.2f});

    write(plan, "text", 0.4f, 0);
    ck_ok(ctx, sf_plan_run(plan));
    check_runs(1, 0, 1);
    check_y(plan, (float[]){0.4f, 0}, (float[]){-0.5f, 0.2f});
    ck_ok(ctx, sf_plan_run(plan));
    check_runs(0, 0, 1);
    check_y(plan, (float[]){0.4f, 0}, (float[]){-0.5f, 0.2f});
    sf_plan_free(plan);
}
END_TEST

START_TEST(what_is_not_settled_runs_each_time) {
    sf_plan *plan = layer_plan(false);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->n_settled, 1); /* the weight's affine */
    write(plan, "text", 0.1f, -0.2f);
    write(plan, "x", 0.3f, 0.1f);
    for (int run = 0; run < 3; run++) {
        ck_ok(ctx, sf_plan_run(plan));
        check_runs(1, run == 0, 1);
        check_y(plan, (float[]){0.1f, -0.2f}, (float[]){0.3f, 0.1f});
    }
    sf_plan_free(plan);
}
END_TEST

START_TEST(a_run_that_failed_is_made_up_for) {
    sf_plan *plan = layer_plan(true);
    write(plan, "text", 0.1f, -0.2f);
    write(plan, "x", 0.3f, 0.1f);
    add_fails = true;
    ck_fails(ctx, sf_plan_run(plan), SF_ERROR_BACKEND, "add");
    add_fails = false;
    check_runs(1, 1, 1);
    ck_ok(ctx, sf_plan_run(plan));
    check_runs(1, 1, 1);
    check_y(plan, (float[]){0.1f, -0.2f}, (float[]){0.3f, 0.1f});
    sf_plan_free(plan);
}
END_TEST

START_TEST(nan_is_found_in_settled_steps) {
    sf_plan *plan = layer_plan(true);
    char text[200];
    write(plan, "text", NAN, 0);
    write(plan, "x", 0.3f, 0.1f);
    ck_ok(ctx, sf_plan_run(plan));
    ck_ok(ctx, sf_plan_find_nonfinite(plan, text, sizeof text));
    ck_assert_str_eq(text, "tanh \"\", whose input \"text\" holds NaN or infinity");
    write(plan, "text", 0.1f, -0.2f);
    ck_ok(ctx, sf_plan_find_nonfinite(plan, text, sizeof text));
    ck_assert_str_eq(text, "");
    ck_ok(ctx, sf_plan_run(plan));
    check_y(plan, (float[]){0.1f, -0.2f}, (float[]){0.3f, 0.1f});
    sf_plan_free(plan);
}
END_TEST

START_TEST(settled_inputs_are_held_and_not_bound) {
    sf_plan *plan = layer_plan(true);
    float data[2] = {0};
    int text = sf_plan_find_input(plan, "text");
    sf_tensor_desc desc = {.buffer = data,
                           .dtype = SF_F32,
                           .n_dims = 2,
                           .dims = {1, 2, 1, 1, 1},
                           .strides = {2, 1, 1, 1, 1}};
    ck_assert(!sf_plan_holds(plan, text));
    ck_fails(ctx, sf_plan_bind_input(plan, text, &desc), SF_ERROR_ARGUMENT,
             "\"text\" is a settled");
    write(plan, "text", 0.1f, -0.2f);
    ck_assert(sf_plan_holds(plan, text));
    int x = sf_plan_find_input(plan, "x");
    write(plan, "x", 0.1f, -0.2f);
    ck_assert(sf_plan_holds(plan, x));
    ck_ok(ctx, sf_plan_bind_input(plan, x, &desc));
    ck_assert(!sf_plan_holds(plan, x));
    ck_assert(!sf_plan_holds(plan, -1) && !sf_plan_holds(plan, 2));
    sf_plan_free(plan);
}
END_TEST

/* An output may be bound to other memory from run to run, so it is computed each time. */
START_TEST(outputs_are_computed_each_time) {
    float first[2] = {0}, second[2] = {0};
    sf_value text = sf_settled_input(graph, "text", SF_F32, SF_DIMS(1, 2));
    sf_value w = sf_constant_f32(graph, "w", SF_DIMS(2, 2), weights);
    sf_value y = sf_linear(graph, text, w, SF_NO_VALUE);
    sf_output(graph, "y", y);
    sf_output(graph, "z", sf_affine(graph, y, 2, 0));
    sf_plan *plan = make_plan(ctx, graph, counting, NULL, true);
    check_plan_memory(plan);
    write(plan, "text", 1, 1);
    float *const memory[] = {first, second};
    for (int run = 0; run < 2; run++) {
        sf_tensor_desc desc = {.buffer = memory[run],
                               .dtype = SF_F32,
                               .n_dims = 2,
                               .dims = {1, 2, 1, 1, 1},
                               .strides = {2, 1, 1, 1, 1}};
        ck_ok(ctx, sf_plan_bind_output(plan, 0, &desc));
        ck_ok(ctx, sf_plan_run(plan));
        check_runs(1, 1, 0);
        ck_assert_float_eq(memory[run][0], 3);
        ck_assert_float_eq(memory[run][1], 7);
    }
    sf_plan_free(plan);
}
END_TEST

Suite *suite_core_plan_settle(void) {
    Suite *suite = suite_create("core_plan_settle");
    TCase *tcase = tcase_create("plan");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, each_step_runs_as_often_as_its_inputs_change);
    tcase_add_test(tcase, what_is_not_settled_runs_each_time);
    tcase_add_test(tcase, a_run_that_failed_is_made_up_for);
    tcase_add_test(tcase, nan_is_found_in_settled_steps);
    tcase_add_test(tcase, settled_inputs_are_held_and_not_bound);
    tcase_add_test(tcase, outputs_are_computed_each_time);
    suite_add_tcase(suite, tcase);
    return suite;
}
