/*
 * Offloading, on the device `fake` of tests/plugins/fake.c: plans that are larger than the device's
 * memory give the same numbers, whenever uploads beside the runs take place; what does not fit is
 * refused with how much is lacking.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/plan/internal.h"
#include "plugins/registry.h"
#include "tests/plugins/plugins.h"
#include "tests/support/plans.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_core_plan_offload(void);

#define WIDTH    8
#define N_LAYERS 7

static sf_context *ctx;
static sf_plan_options options;
static fake_state *state;
static sf_tensors *weights;

/* Layer i's weight is a matrix of its own; bias has some of a layer's room left over. */
static void add_weight(const char *name, int n_dims, const int64_t *dims, int seed) {
    sf_tensor *tensor;
    ck_ok(ctx, sf_tensor_new(ctx, SF_F32, n_dims, dims, &tensor));
    float *data = sf_tensor_data(tensor);
    for (int64_t i = 0; i < sf_tensor_n_elements(tensor); i++)
        data[i] = (float)((i * 7 + seed * 5) % 11 - 5) / 8;
    ck_ok(ctx, sf_tensors_add(weights, name, tensor));
}

static void setup(void) {
    scratch_setup();
    ctx = plugin_context(test_plugins("fake"), "fake", 1);
    ck_ok(ctx, sf_plan_options_for(ctx, &options));
    state = fake();
    state->late_uploads = 0;
    state->fail_upload = FAKE_FINE;
    ck_ok(ctx, sf_tensors_new(ctx, &weights));
    for (int i = 0; i < N_LAYERS; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%d", i);
        add_weight(name, 2, (const int64_t[]){WIDTH, WIDTH}, i);
        snprintf(name, sizeof name, "b%d", i);
        add_weight(name, 1, (const int64_t[]){WIDTH}, i + 100);
    }
}

static void teardown(void) {
    sf_tensors_free(weights);
    ck_assert_int_eq(state->live_buffers, 0);
    ck_assert_int_eq(state->live_prepared, 0);
    ck_assert_int_eq(state->n_errors, 0);
    sf_context_free(ctx);
    ck_assert_int_eq(state->live_backends, 0);
    scratch_teardown();
}

/* x through all layers; each time also plus a settled input's layer, so that runs differ in steps. */
static sf_graph *make_graph(void) {
    sf_graph *graph;
    ck_ok(ctx, sf_graph_new(ctx, weights, &graph));
    sf_value x = sf_input(graph, "x", SF_F32, SF_DIMS(2, WIDTH));
    sf_value c = sf_settled_input(graph, "c", SF_F32, SF_DIMS(2, WIDTH));
    for (int i = 0; i < N_LAYERS; i++) {
        char w[16], b[16];
        snprintf(w, sizeof w, "w%d", i);
        snprintf(b, sizeof b, "b%d", i);
        bool settled = i % 3 == 1;
        sf_value y = sf_linear(graph, settled ? c : x, sf_weight(graph, w), sf_weight(graph, b));
        x = settled ? sf_add(graph, x, y) : sf_unary(graph, SF_OP_sigmoid, y);
    }
    sf_output(graph, "y", x);
    return graph;
}

static sf_plan *new_plan(bool offload, uint64_t most) {
    sf_plan *plan = NULL;
    options.offload = offload;
    options.most_device_bytes = most;
    ck_ok(ctx, sf_plan_new(ctx, make_graph(), &options, &plan));
    return plan;
}

static void fill(float *data, float first) {
    for (int i = 0; i < 2 * WIDTH; i++)
        data[i] = first + (float)i / 4;
}

/* Three runs, the settled input written before the first and the third. */
static void run_thrice(sf_plan *plan, float *results) {
    float x[2 * WIDTH], c[2 * WIDTH];
    for (int run = 0; run < 3; run++) {
        fill(x, (float)run);
        fill(c, (float)run - 2);
        ck_ok(ctx, sf_plan_write(plan, sf_plan_find_input(plan, "x"), x, sizeof x));
        if (run != 1)
            ck_ok(ctx, sf_plan_write(plan, sf_plan_find_input(plan, "c"), c, sizeof c));
        ck_ok(ctx, sf_plan_run(plan));
        ck_ok(ctx, sf_plan_read(plan, 0, results + run * 2 * WIDTH, sizeof x));
    }
}

static uint64_t whole_bytes(void) {
    sf_plan *plan = new_plan(false, 0);
    uint64_t bytes = sf_plan_get_stats(plan)->device_bytes;
    sf_plan_free(plan);
    return bytes;
}

/* The loop's number: steps of 256 bytes below what the whole plan takes, and when uploads happen. */
START_TEST(a_smaller_device_gives_the_same_numbers) {
    float wanted[6 * WIDTH], given[6 * WIDTH];
    uint64_t whole = whole_bytes(), most = whole - 256 * (uint64_t)(_i / 2);
    sf_plan *plan = new_plan(false, 0);
    run_thrice(plan, wanted);
    sf_plan_free(plan);
    state->late_uploads = _i % 2;
    long before = state->n_background_uploads;
    plan = new_plan(true, most);
    ck_assert_uint_le(sf_plan_get_stats(plan)->device_bytes, most);
    run_thrice(plan, given);
    ck_assert_mem_eq(given, wanted, sizeof given);
    sf_plan_rest(plan);
    ck_assert_int_eq(state->live_buffers, 0);
    run_thrice(plan, given);
    ck_assert_mem_eq(given, wanted, sizeof given);
    ck_assert_int_eq(state->n_background_uploads > before, _i >= 2);
    ck_assert_int_eq(sf_plan_get_stats(plan)->offloaded_bytes > 0, _i >= 2);
    sf_plan_free(plan);
}
END_TEST

/* What lies beside the plan, and what the backend takes for itself, is left free. */
START_TEST(what_lies_beside_has_its_room) {
    uint64_t whole = whole_bytes();
    sf_plan *plan = new_plan(true, whole);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->offloaded_bytes, 0);
    sf_plan_free(plan);
    state->library_bytes = 512;
    options.beside_device_bytes = 256;
    plan = new_plan(true, whole + 768);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->offloaded_bytes, 0);
    sf_plan_free(plan);
    plan = new_plan(true, whole);
    ck_assert_uint_gt(sf_plan_get_stats(plan)->offloaded_bytes, 0);
    ck_assert_uint_le(sf_plan_get_stats(plan)->device_bytes, whole - 768);
    sf_plan_free(plan);
    options.offload = false;
    options.most_device_bytes = whole + 700;
    ck_assert_int_eq(sf_plan_new(ctx, make_graph(), &options, &plan), SF_ERROR_MEMORY);
    ck_assert_msg(strstr(ctx->error, "beside them 768 bytes") &&
                      strstr(ctx->error, "68 bytes too few"),
                  "%s", ctx->error);
    state->library_bytes = 0;
    options.beside_device_bytes = 0;
}
END_TEST

START_TEST(what_does_not_fit_is_refused_with_how_much_is_lacking) {
    sf_plan *plan = NULL;
    uint64_t whole = whole_bytes();
    options.offload = false;
    options.most_device_bytes = whole - 100;
    ck_assert_int_eq(sf_plan_new(ctx, make_graph(), &options, &plan), SF_ERROR_MEMORY);
    ck_assert_ptr_null(plan);
    ck_assert_msg(strstr(ctx->error, "100 bytes too few"), "%s", ctx->error);
    ck_assert_msg(strstr(ctx->error, "--offload"), "%s", ctx->error);
    options.offload = true;
    options.most_device_bytes = 512;
    ck_assert_int_eq(sf_plan_new(ctx, make_graph(), &options, &plan), SF_ERROR_MEMORY);
    ck_assert_msg(strstr(ctx->error, "smaller size"), "%s", ctx->error);
}
END_TEST

/* Weights are on the device only while the plan is at work. */
START_TEST(a_resting_plan_has_nothing_on_the_device) {
    sf_plan *plan = new_plan(true, 0);
    float results[6 * WIDTH];
    ck_assert_int_eq(state->live_buffers, 0);
    run_thrice(plan, results);
    ck_assert_int_gt(state->live_buffers, N_LAYERS);
    sf_plan_rest(plan);
    ck_assert_int_eq(state->live_buffers, 0);
    sf_plan_free(plan);
}
END_TEST

START_TEST(a_failed_upload_leaves_the_plan_usable) {
    float wanted[6 * WIDTH], given[6 * WIDTH], x[2 * WIDTH];
    sf_plan *plan = new_plan(true, whole_bytes() - 1024);
    run_thrice(plan, wanted);
    fill(x, 0);
    ck_ok(ctx, sf_plan_write(plan, sf_plan_find_input(plan, "x"), x, sizeof x));
    state->fail_upload = FAKE_MESSAGE;
    ck_assert_int_eq(sf_plan_run(plan), SF_ERROR_BACKEND);
    ck_assert_msg(strstr(ctx->error, "the fake bus broke"), "%s", ctx->error);
    run_thrice(plan, given);
    ck_assert_mem_eq(given, wanted, sizeof given);
    sf_plan_free(plan);
}
END_TEST

START_TEST(a_plan_that_can_not_wake_gives_all_back) {
    float wanted[6 * WIDTH], given[6 * WIDTH], x[2 * WIDTH];
    sf_plan *plan = new_plan(true, 0);
    run_thrice(plan, wanted);
    sf_plan_rest(plan);
    fill(x, 0);
    state->fail_upload = FAKE_MESSAGE;
    ck_assert_int_eq(sf_plan_write(plan, sf_plan_find_input(plan, "x"), x, sizeof x),
                     SF_ERROR_BACKEND);
    ck_assert_msg(strstr(ctx->error, "the fake bus broke"), "%s", ctx->error);
    ck_assert_int_eq(state->live_buffers, 0);
    run_thrice(plan, given);
    ck_assert_mem_eq(given, wanted, sizeof given);
    sf_plan_free(plan);
}
END_TEST

/* The last layer's weight, which is not on the device when it is looked at. */
START_TEST(a_bad_weight_is_named_wherever_it_is) {
    float x[2 * WIDTH] = {0};
    char text[200];
    float *data = sf_tensor_data(sf_tensors_find(weights, "w6"));
    data[3] = NAN;
    uint64_t most = whole_bytes() - 1024 * (uint64_t)_i;
    sf_plan *plan = new_plan(true, most);
    ck_assert_int_eq(sf_plan_get_stats(plan)->offloaded_bytes > 0, _i > 0);
    ck_ok(ctx, sf_plan_write(plan, sf_plan_find_input(plan, "x"), x, sizeof x));
    ck_ok(ctx, sf_plan_write(plan, sf_plan_find_input(plan, "c"), x, sizeof x));
    ck_ok(ctx, sf_plan_find_nonfinite(plan, text, sizeof text));
    ck_assert_msg(strstr(text, "whose weight \"w6\" holds NaN"), "%s", text);
    sf_plan_free(plan);
}
END_TEST

Suite *suite_core_plan_offload(void) {
    Suite *suite = suite_create("core_plan_offload");
    TCase *cases = tcase_create("fake");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, a_smaller_device_gives_the_same_numbers, 0, 20);
    tcase_add_test(cases, what_lies_beside_has_its_room);
    tcase_add_test(cases, what_does_not_fit_is_refused_with_how_much_is_lacking);
    tcase_add_test(cases, a_resting_plan_has_nothing_on_the_device);
    tcase_add_test(cases, a_failed_upload_leaves_the_plan_usable);
    tcase_add_test(cases, a_plan_that_can_not_wake_gives_all_back);
    tcase_add_loop_test(cases, a_bad_weight_is_named_wherever_it_is, 0, 2);
    suite_add_tcase(suite, cases);
    return suite;
}
