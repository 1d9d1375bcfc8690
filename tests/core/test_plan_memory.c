/*
 * What a plan takes of memory and when, that each allocation may fail, and the search for NaN in what
 * it holds.
 */
#include <math.h>
#include <stdlib.h>

#include "plugins/registry.h"
#include "tests/support/failing.h"
#include "tests/support/plans.h"
#include "tests/support/support.h"

Suite *suite_core_plan_memory(void);

static sf_context *ctx;
static sf_backend *reference;
static sf_graph *graph; /* of the test at hand; the plan takes it over */

static void setup(void) {
    ctx = test_context();
    reference = open_reference(ctx);
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
}

static void teardown(void) {
    test_context_free(ctx);
}

static sf_value input(const char *name, int n_dims, const int64_t *dims) {
    return sf_input(graph, name, SF_F32, n_dims, dims);
}

/* A weight 0.1, 0.2, 0.3, ... */
static sf_value weight(int n_dims, const int64_t *dims) {
    float data[512];
    for (int i = 0; i < 512; i++)
        data[i] = 0.1f * (float)(i % 23 + 1);
    return sf_constant_f32(graph, "w", n_dims, dims, data);
}

static sf_plan *plan_of(bool no_fusion) {
    return make_plan(ctx, graph, reference, NULL, no_fusion);
}

/* silu(conv2d(silu(group_norm(x)))) + x with x [1, H, W, 4]. */
static sf_value two_layers(sf_value x) {
    sf_conv2d_attributes attributes = {
        .stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .padding = {1, 1, 1, 1}};
    sf_value y = sf_group_norm(graph, x, weight(SF_DIMS(4)), SF_NO_VALUE, 2, 0.1f);
    y = sf_activate(graph, y, SF_ACTIVATION_SILU);
    y = sf_conv2d(graph, y, weight(SF_DIMS(4, 4, 3, 3)), weight(SF_DIMS(4)), attributes);
    return sf_add(graph, sf_activate(graph, y, SF_ACTIVATION_SILU), x);
}

START_TEST(a_plan_without_memory_only_counts) {
    for (int no_memory = 0; no_memory < 2; no_memory++) {
        if (no_memory)
            ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
        sf_output(graph, "y", two_layers(input("x", SF_DIMS(1, 8, 8, 4))));
        sf_plan *plan;
        sf_plan_options options = {.backend = reference, .no_memory = no_memory};
        ck_ok(ctx, sf_plan_new(ctx, graph, &options, &plan));
        static sf_plan_stats counted;
        if (!no_memory) {
            counted = *sf_plan_get_stats(plan);
            sf_plan_free(plan);
            continue;
        }
        ck_assert_mem_eq(&counted, sf_plan_get_stats(plan), sizeof counted);
        float data[256] = {0};
        ck_fails(ctx, sf_plan_run(plan), SF_ERROR_ARGUMENT, "without memory");
        ck_fails(ctx, sf_plan_write(plan, 0, data, sizeof data), SF_ERROR_ARGUMENT,
                 "without memory");
        ck_fails(ctx, sf_plan_read(plan, 0, data, sizeof data), SF_ERROR_ARGUMENT,
                 "without memory");
        char text[100];
        ck_fails(ctx, sf_plan_find_nonfinite(plan, text, sizeof text), SF_ERROR_ARGUMENT,
                 "without memory");
        sf_plan_free(plan);
    }
}
END_TEST

START_TEST(a_long_chain_takes_the_memory_of_two) {
    const int64_t n = 1000;
    sf_value x = input("x", SF_DIMS(n));
    for (int i = 0; i < 40; i++)
        x = sf_unary(graph, SF_OP_tanh, x);
    sf_output(graph, "y", x);
    sf_plan *plan = plan_of(false);
    check_plan_memory(plan);
    const sf_plan_stats *stats = sf_plan_get_stats(plan);
    uint64_t one = 4096; /* 1000 f32, rounded up to 256 bytes */
    ck_assert_uint_ge(stats->unshared_bytes, 41 * one);
    ck_assert_uint_le(stats->arena_bytes, 4 * one); /* the input and two, scratch at the most */
    ck_assert_uint_eq(stats->n_steps, 40);
    sf_plan_free(plan);
}
END_TEST

START_TEST(a_run_allocates_nothing) {
    struct failing_allocator allocator = {.fail_at = 0};
    sf_context *counted = failing_context(&allocator);
    sf_backend *backend = open_reference(counted);
    sf_graph_free(graph);
    ck_ok(counted, sf_graph_new(counted, NULL, &graph));
    const int order[] = {0, 3, 1, 2};
    sf_value x = input("x", SF_DIMS(1, 4, 4, 4));
    sf_value y = sf_softmax(graph, sf_permute(graph, two_layers(x), order));
    sf_output(graph, "y", sf_cast(graph, y, SF_F16));
    sf_plan *plan = make_plan(counted, graph, backend, NULL, false);
    float data[64] = {1};
    uint16_t result[64];
    ck_ok(counted, sf_plan_write(plan, 0, data, sizeof data));
    long calls = allocator.calls;
    for (int i = 0; i < 3; i++)
        ck_ok(counted, sf_plan_run(plan));
    ck_ok(counted, sf_plan_read(plan, 0, result, sizeof result));
    ck_assert_int_eq(allocator.calls, calls);
    sf_plan_free(plan);
    close_backends(counted);
    ck_assert_int_eq(allocator.live, 0);
    sf_context_free(counted);
}
END_TEST

/* At rest a plan has no arena; afterwards it gives the same again, on what is written anew. */
START_TEST(a_plan_that_rests_gives_its_memory_back) {
    struct failing_allocator allocator = {.fail_at = 0};
    sf_context *counted = failing_context(&allocator);
    sf_backend *backend = open_reference(counted);
    sf_graph_free(graph);
    ck_ok(counted, sf_graph_new(counted, NULL, &graph));
    sf_value text = sf_settled_input(graph, "text", SF_F32, SF_DIMS(1, 8, 8, 4));
    sf_value y = sf_add(graph, two_layers(input("x", SF_DIMS(1, 8, 8, 4))), two_layers(text));
    sf_output(graph, "y", y);
    sf_plan *plan = make_plan(counted, graph, backend, NULL, false);
    float data[256] = {1, -1, 2}, first[256], second[256] = {0};
    ck_ok(counted, sf_plan_write(plan, 0, data, sizeof data));
    ck_ok(counted, sf_plan_write(plan, 1, data, sizeof data));
    ck_ok(counted, sf_plan_run(plan));
    ck_ok(counted, sf_plan_read(plan, 0, first, sizeof first));
    for (int i = 0; i < 2; i++) {
        long live = allocator.live;
        sf_plan_rest(plan);
        ck_assert_int_eq(allocator.live, live - 1);
        sf_plan_rest(plan); /* does nothing */
        ck_assert(!sf_plan_holds(plan, 0) && !sf_plan_holds(plan, 1));
        ck_fails(counted, sf_plan_read(plan, 0, second, sizeof second), SF_ERROR_ARGUMENT,
                 "that rests holds no \"y\"");
        ck_ok(counted, sf_plan_write(plan, 0, data, sizeof data));
        ck_ok(counted, sf_plan_write(plan, 1, data, sizeof data));
        ck_ok(counted, sf_plan_run(plan));
        ck_ok(counted, sf_plan_read(plan, 0, second, sizeof second));
        ck_assert_mem_eq(first, second, sizeof first);
        ck_assert_int_eq(allocator.live, live);
    }
    sf_plan_rest(plan);
    sf_plan_free(plan);
    sf_plan_rest(NULL);
    close_backends(counted);
    ck_assert_int_eq(allocator.live, 0);
    sf_context_free(counted);
}
END_TEST

/* The memory that a plan gave back may be gone when it wakes. */
START_TEST(waking_can_fail_and_be_tried_again) {
    struct failing_allocator allocator = {.fail_at = 0};
    sf_context *failing = failing_context(&allocator);
    sf_backend *backend = open_reference(failing);
    sf_graph_free(graph);
    ck_ok(failing, sf_graph_new(failing, NULL, &graph));
    sf_output(graph, "y", two_layers(input("x", SF_DIMS(1, 8, 8, 4))));
    sf_plan *plan = make_plan(failing, graph, backend, NULL, false);
    float data[256] = {1};
    sf_plan_rest(plan);
    allocator.fail_at = allocator.calls + 1;
    ck_fails(failing, sf_plan_write(plan, 0, data, sizeof data), SF_ERROR_MEMORY, "a buffer of");
    ck_ok(failing, sf_plan_write(plan, 0, data, sizeof data));
    ck_ok(failing, sf_plan_run(plan));
    sf_plan_free(plan);
    close_backends(failing);
    sf_context_free(failing);
}
END_TEST

static sf_status make_and_run(sf_context *failing, void *user) {
    (void)user;
    sf_backend *backend = NULL;
    sf_plan_options options = {.backend = NULL};
    sf_plan *plan = NULL;
    sf_status status = sf_registry_open_reference(failing, &backend);
    if (status == SF_OK)
        status = sf_graph_new(failing, NULL, &graph);
    if (status == SF_OK) {
        sf_value x = input("x", SF_DIMS(1, 2, 3, 4));
        const int order[] = {0, 3, 1, 2};
        sf_output(graph, "y", two_layers(x));
        sf_output(graph, "x", sf_softmax(graph, sf_permute(graph, x, order)));
        options.backend = backend;
        status = sf_plan_new(failing, graph, &options, &plan);
    }
    if (status == SF_OK)
        status = sf_plan_write(plan, 0, (const float[24]){1, 2, 3}, 24 * sizeof(float));
    if (status == SF_OK)
        status = sf_plan_run(plan);
    sf_plan_free(plan);
    close_backends(failing);
    return status;
}

START_TEST(each_allocation_can_fail) {
    sf_graph_free(graph);
    check_each_allocation(make_and_run, NULL, 0);
}
END_TEST

/* ---- NaN ---- */

static sf_plan *nan_plan(float weight_value) {
    const float w[] = {1, weight_value, 1, 1};
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    sf_value x = input("x", SF_DIMS(4));
    sf_scope mark = sf_scope_enter(graph, "first");
    sf_value y = sf_multiply(graph, x, sf_constant_f32(graph, "scale", SF_DIMS(4), w));
    sf_scope_leave(graph, mark);
    mark = sf_scope_enter(graph, "second");
    y = sf_unary(graph, SF_OP_sqrt, y);
    sf_scope_leave(graph, mark);
    sf_output(graph, "y", sf_cast(graph, sf_affine(graph, y, 1, 1), SF_F16));
    return plan_of(false);
}

START_TEST(the_first_op_that_gives_nan_is_named) {
    sf_graph_free(graph);
    const struct {
        float x, weight;
        const char *wanted;
    } cases[] = {
        {1, 1, ""},
        {-1, 1, "sqrt \"second\""},
        {NAN, 1, "multiply \"first\", whose input \"x\" holds NaN or infinity"},
        {1, INFINITY, "multiply \"first\", whose weight \"first.scale\" holds NaN or infinity"},
        {100, 100, ""},
        {1e30f, 1e30f, "multiply \"first\""},
        {1e12f, 1, "cast \"\""}, /* past the range of f16 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sf_plan *plan = nan_plan(cases[i].weight);
        const float x[] = {1, cases[i].x, 1, 1};
        char text[200];
        ck_ok(ctx, sf_plan_write(plan, 0, x, sizeof x));
        ck_ok(ctx, sf_plan_run(plan));
        ck_ok(ctx, sf_plan_find_nonfinite(plan, text, sizeof text));
        ck_assert_str_eq(text, cases[i].wanted);
        sf_plan_free(plan);
    }
}
END_TEST

START_TEST(the_name_is_cut_to_the_room_there_is) {
    sf_graph_free(graph);
    sf_plan *plan = nan_plan(NAN);
    char text[12];
    memset(text, 'x', sizeof text);
    ck_ok(ctx, sf_plan_write(plan, 0, (const float[]){1, 1, 1, 1}, 16));
    ck_ok(ctx, sf_plan_find_nonfinite(plan, text, 8));
    ck_assert_str_eq(text, "multipl");
    ck_assert_int_eq(text[8], 'x');
    sf_plan_free(plan);
}
END_TEST

Suite *suite_core_plan_memory(void) {
    Suite *suite = suite_create("core_plan_memory");
    TCase *tcase = tcase_create("plan");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_plan_without_memory_only_counts);
    tcase_add_test(tcase, a_long_chain_takes_the_memory_of_two);
    tcase_add_test(tcase, a_run_allocates_nothing);
    tcase_add_test(tcase, a_plan_that_rests_gives_its_memory_back);
    tcase_add_test(tcase, waking_can_fail_and_be_tried_again);
    tcase_add_test(tcase, each_allocation_can_fail);
    tcase_add_test(tcase, the_first_op_that_gives_nan_is_named);
    tcase_add_test(tcase, the_name_is_cut_to_the_room_there_is);
    suite_add_tcase(suite, tcase);
    return suite;
}
