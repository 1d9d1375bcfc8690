/*
 * Watching a plan's run: each step between its two calls, in order, with everything done; what a
 * step is told to be; copies to and from a fallback.
 */
#include "core/plan/internal.h"

#include <stdlib.h>

#include "plugins/registry.h"
#include "tests/plugins/plugins.h"
#include "tests/support/plans.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_core_plan_observer(void);

static sf_context *ctx;
static sf_plan_options options;
static sf_graph *graph;
static fake_state *state;

static const float weight_data[9] = {1, 2, 3, -1, 0, 2, 1, 1, 1};

/* The fake device lacks softmax, so that there is a fallback. */
static void setup(void) {
    scratch_setup();
    ctx = plugin_context(test_plugins("fake lazy"), "fake", 0);
    ck_ok(ctx, sf_plan_options_for(ctx, &options));
    options.fallback = open_reference(ctx);
    state = fake();
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
}

static void teardown(void) {
    ck_assert_int_eq(state->live_buffers, 0);
    ck_assert_int_eq(state->n_errors, 0);
    sf_context_free(ctx);
    scratch_teardown();
}

/* softmax(x W^T) + x */
static sf_plan *make_observed_plan(void) {
    sf_plan *plan = NULL;
    sf_value x = sf_input(graph, "x", SF_F32, SF_DIMS(2, 3));
    sf_value w = sf_constant_f32(graph, "w", SF_DIMS(3, 3), weight_data);
    sf_value y = sf_softmax(graph, sf_linear(graph, x, w, SF_NO_VALUE));
    sf_output(graph, "y", sf_add(graph, y, x));
    ck_ok(ctx, sf_plan_new(ctx, graph, &options, &plan));
    return plan;
}

/* What the observer saw: step s is 2 s before it ran, 2 s + 1 after. */
enum { MOST_CALLS = 64 };
typedef struct record {
    size_t calls[MOST_CALLS];
    int n_calls;
} record;

static void before(void *user, size_t step) {
    record *seen = user;
    ck_assert_int_lt(seen->n_calls, MOST_CALLS);
    seen->calls[seen->n_calls++] = 2 * step;
}

static void after(void *user, size_t step) {
    record *seen = user;
    ck_assert_int_lt(seen->n_calls, MOST_CALLS);
    seen->calls[seen->n_calls++] = 2 * step + 1;
}

static const float x_data[6] = {1, -2, 3, 0.5f, 0, -1};

static void run_and_compare(sf_plan *plan, const float *wanted) {
    void *outputs[1];
    run_plan(ctx, plan, (const void *const[]){x_data}, outputs);
    ck_assert_mem_eq(outputs[0], wanted, 6 * sizeof(float));
    free(outputs[0]);
}

START_TEST(every_step_is_seen_in_order) {
    sf_plan *plan = make_observed_plan();
    record seen = {.n_calls = 0};
    void *outputs[1];
    run_plan(ctx, plan, (const void *const[]){x_data}, outputs);
    ck_assert_int_eq(seen.n_calls, 0);
    sf_plan_observe(plan, &(const sf_plan_observer){before, after, &seen});
    run_and_compare(plan, outputs[0]);
    size_t n_steps = sf_plan_step_count(plan);
    ck_assert_uint_ge(n_steps, 5);
    ck_assert_int_eq(seen.n_calls, 2 * (int)n_steps);
    for (int i = 0; i < seen.n_calls; i++)
        ck_assert_uint_eq(seen.calls[i], (size_t)i);
    run_and_compare(plan, outputs[0]);
    ck_assert_int_eq(seen.n_calls, 4 * (int)n_steps);
    sf_plan_observe(plan, NULL);
    run_and_compare(plan, outputs[0]);
    ck_assert_int_eq(seen.n_calls, 4 * (int)n_steps);
    free(outputs[0]);
    sf_plan_free(plan);
}
END_TEST

/* linear, its result to the host, softmax there, back, add. */
START_TEST(steps_are_described) {
    static const struct {
        sf_op_id op;
        bool is_copy, on_fallback;
        int n_inputs;
    } wanted[] = {
        {SF_OP_linear, false, false, 2}, {SF_OP_softmax, true, false, 1},
        {SF_OP_softmax, false, true, 1}, {SF_OP_softmax, true, false, 1},
        {SF_OP_add, false, false, 2},
    };
    sf_plan *plan = make_observed_plan();
    sf_plan_step step;
    ck_assert_uint_eq(sf_plan_step_count(plan), 5);
    for (size_t s = 0; s < 5; s++) {
        sf_plan_get_step(plan, s, &step);
        ck_assert_int_eq(step.op, wanted[s].op);
        ck_assert_int_eq(step.is_copy, wanted[s].is_copy);
        ck_assert_int_eq(step.on_fallback, wanted[s].on_fallback);
        ck_assert_int_eq(step.n_inputs, wanted[s].n_inputs);
        ck_assert_ptr_nonnull(step.name);
        ck_assert_int_eq(step.output.n_dims, 2);
        ck_assert_int_eq(step.inputs[0].dims[0], 2);
        ck_assert_int_eq(step.inputs[0].dims[1], 3);
    }
    sf_plan_get_step(plan, 0, &step);
    ck_assert_int_eq(step.inputs[1].dims[0], 3);
    ck_assert_int_eq(step.attributes->linear.activation, SF_ACTIVATION_NONE);
    ck_assert(sf_plan_get_stats(plan)->flops == 2.0 * 6 * 3);
    sf_plan_free(plan);
}
END_TEST

/* A step that fails is not said to be done. */
START_TEST(failure_ends_it) {
    sf_plan *plan = make_observed_plan();
    record seen = {.n_calls = 0};
    sf_plan_observe(plan, &(const sf_plan_observer){before, after, &seen});
    write_inputs(ctx, plan, (const void *const[]){x_data});
    state->fail_run = 1;
    ck_assert_int_ne(sf_plan_run(plan), SF_OK);
    state->fail_run = 0;
    ck_assert_int_eq(seen.n_calls, 1);
    sf_plan_free(plan);
}
END_TEST

Suite *suite_core_plan_observer(void) {
    Suite *suite = suite_create("core_plan_observer");
    TCase *tcase = tcase_create("observer");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_step_is_seen_in_order);
    tcase_add_test(tcase, steps_are_described);
    tcase_add_test(tcase, failure_ends_it);
    suite_add_tcase(suite, tcase);
    return suite;
}
