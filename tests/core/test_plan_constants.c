/*
 * Weights on a device with memory of its own, the plugin `fake` of tests/plugins/fake.c: uploaded once
 * for all plans, told apart, freed with the last plan.
 */
#include "plugins/registry.h"
#include "tests/plugins/plugins.h"
#include "tests/support/plans.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_core_plan_constants(void);

static sf_context *ctx;
static sf_plan_options options;
static sf_graph *graph;
static fake_state *state;

static void setup(void) {
    scratch_setup();
    ctx = plugin_context(test_plugins("fake"), "fake", 0);
    ck_ok(ctx, sf_plan_options_for(ctx, &options));
    state = fake();
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
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

START_TEST(constants_are_uploaded_once_for_all_plans) {
    sf_tensors *weights;
    sf_tensor *tensor;
    sf_graph_free(graph);
    ck_ok(ctx, sf_tensors_new(ctx, &weights));
    ck_ok(ctx, sf_tensor_new(ctx, SF_F32, SF_DIMS(64, 4), &tensor));
    ck_ok(ctx, sf_tensors_add(weights, "w", tensor));
    sf_plan *plans[3];
    fake_state before = *state;
    for (int i = 0; i < 3; i++) {
        ck_ok(ctx, sf_graph_new(ctx, weights, &graph));
        sf_value w = sf_weight(graph, "w"), same = sf_weight(graph, "w");
        sf_value y = sf_linear(graph, input(SF_DIMS(1, 4)), w, SF_NO_VALUE);
        sf_output(graph, "y", y);
        sf_output(graph, "z", sf_linear(graph, sf_slice(graph, y, 1, 0, 4), same, SF_NO_VALUE));
        plans[i] = new_plan();
    }
    ck_assert_int_eq(state->n_uploads - before.n_uploads, 1);
    ck_assert_uint_eq(state->upload_bytes - before.upload_bytes, 64 * 4 * sizeof(float));
    ck_assert_int_eq(state->live_prepared, 6);
    ck_assert_int_eq(state->live_buffers, 3 + 1); /* arenas and the weight */
    sf_plan_free(plans[1]);
    sf_plan_free(plans[0]);
    ck_assert_int_eq(state->live_buffers, 1 + 1);
    ck_ok(ctx, sf_plan_write(plans[2], 0, (const float[]){1, 2, 3, 4}, 16));
    ck_ok(ctx, sf_plan_run(plans[2]));
    sf_plan_free(plans[2]);
    ck_assert_int_eq(state->live_buffers, 0);
    sf_tensors_free(weights);
}
END_TEST

/* In a file, a tensor without bytes begins where the next one does. */
START_TEST(constants_at_one_address_are_told_apart_by_size) {
    sf_tensors *weights;
    sf_tensor *empty, *full, *half;
    sf_graph_free(graph);
    ck_ok(ctx, sf_tensors_new(ctx, &weights));
    ck_ok(ctx, sf_tensor_borrow(ctx, SF_F32, SF_DIMS(0), weight_data, &empty));
    ck_ok(ctx, sf_tensor_borrow(ctx, SF_F32, SF_DIMS(12), weight_data, &full));
    ck_ok(ctx, sf_tensor_borrow(ctx, SF_F32, SF_DIMS(6), weight_data, &half));
    ck_ok(ctx, sf_tensors_add(weights, "empty", empty));
    ck_ok(ctx, sf_tensors_add(weights, "full", full));
    ck_ok(ctx, sf_tensors_add(weights, "half", half));
    ck_ok(ctx, sf_graph_new(ctx, weights, &graph));
    sf_value parts[] = {sf_weight(graph, "empty"), sf_weight(graph, "full"),
                        sf_weight(graph, "half")};
    sf_output(graph, "y", sf_copy(graph, parts[0]));
    sf_output(graph, "z", sf_copy(graph, parts[1]));
    sf_output(graph, "half", sf_copy(graph, parts[2]));
    sf_plan *plan = new_plan();
    float result[12];
    ck_ok(ctx, sf_plan_run(plan));
    ck_ok(ctx, sf_plan_read(plan, 1, result, sizeof result));
    ck_assert_mem_eq(result, weight_data, sizeof result);
    sf_plan_free(plan);
    sf_tensors_free(weights);
}
END_TEST

/* More constants than the table of them has room for at first, freed in another order. */
START_TEST(many_constants) {
    sf_plan *plans[40];
    sf_graph_free(graph);
    for (int i = 0; i < 40; i++) {
        ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
        sf_value y = input(SF_DIMS(3));
        for (int k = 0; k < 5; k++)
            y = sf_add(graph, y, weight(SF_DIMS(3)));
        sf_output(graph, "y", y);
        plans[i] = new_plan();
    }
    ck_assert_int_eq(state->live_buffers, 40 * 6);
    for (int i = 0; i < 40; i++) {
        sf_plan *plan = plans[(7 * i) % 40];
        float result[3];
        ck_ok(ctx, sf_plan_write(plan, 0, (const float[]){0, 0, 0}, 12));
        ck_ok(ctx, sf_plan_run(plan));
        ck_ok(ctx, sf_plan_read(plan, 0, result, sizeof result));
        ck_assert(result[0] == 5 && result[2] == 15);
        sf_plan_free(plan);
        ck_assert_int_eq(state->live_buffers, (39 - i) * 6);
    }
}
END_TEST

START_TEST(a_plan_without_memory_asks_for_none) {
    fake_state before = *state;
    options.no_memory = true;
    sf_value y = sf_linear(graph, input(SF_DIMS(1, 4)), weight(SF_DIMS(3, 4)), SF_NO_VALUE);
    sf_output(graph, "y", sf_softmax(graph, y));
    sf_plan *plan = new_plan();
    ck_assert_mem_eq(&before, state, sizeof before);
    ck_assert_uint_gt(sf_plan_get_stats(plan)->arena_bytes, 0);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->weight_bytes, sizeof weight_data);
    sf_plan_free(plan);
}
END_TEST

Suite *suite_core_plan_constants(void) {
    Suite *suite = suite_create("core_plan_constants");
    TCase *tcase = tcase_create("plan");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, constants_are_uploaded_once_for_all_plans);
    tcase_add_test(tcase, constants_at_one_address_are_told_apart_by_size);
    tcase_add_test(tcase, many_constants);
    tcase_add_test(tcase, a_plan_without_memory_asks_for_none);
    suite_add_tcase(suite, tcase);
    return suite;
}
