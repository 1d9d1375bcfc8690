/*
 * What steps cost: as the backend says, or by the rule for those that say nothing; and the time of a
 * roofline.
 */
#include "core/plan/internal.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/plans.h"
#include "tests/support/support.h"

Suite *suite_core_plan_cost(void);

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

static sf_value input(int n_dims, const int64_t *dims) {
    return sf_input(graph, "x", SF_F32, n_dims, dims);
}

static sf_value weight(int n_dims, const int64_t *dims) {
    static const float data[1024];
    return sf_constant_f32(graph, "w", n_dims, dims, data);
}

/* A plan of the graph with the output y, without memory; it counts all the same. */
static sf_plan *plan_of(sf_value y, sf_backend *backend, sf_backend *fallback) {
    sf_plan *plan = NULL;
    sf_plan_options options = {.backend = backend, .fallback = fallback, .no_memory = true};
    sf_output(graph, "y", y);
    ck_ok(ctx, sf_plan_new(ctx, graph, &options, &plan));
    return plan;
}

/* The cost of the only step of an op. */
static sf_step_cost cost_of(const sf_plan *plan, sf_op_id op, bool is_copy) {
    sf_step_cost cost = {0};
    int found = 0;
    for (size_t s = 0; s < sf_plan_step_count(plan); s++) {
        sf_plan_step step;
        sf_plan_get_step(plan, s, &step);
        if (step.op != op || step.is_copy != is_copy)
            continue;
        ck_ok(ctx, sf_plan_step_cost(plan, s, &cost));
        found++;
    }
    ck_assert_int_eq(found, 1);
    return cost;
}

static sf_value linear(void) {
    return sf_linear(graph, input(SF_DIMS(3, 4)), weight(SF_DIMS(5, 4)), weight(SF_DIMS(5)));
}

static sf_value look_up(void) {
    return sf_embedding(graph, weight(SF_DIMS(100, 4)), sf_input(graph, "ids", SF_I64, SF_DIMS(7)));
}

static sf_value part(void) {
    return sf_unary(graph, SF_OP_tanh, sf_slice(graph, input(SF_DIMS(6, 4)), 1, 0, 2));
}

static sf_value nothing(void) {
    return sf_unary(graph, SF_OP_tanh, input(SF_DIMS(0, 4)));
}

static const struct {
    const char *name;
    sf_value (*build)(void);
    sf_op_id op;
    uint32_t n_launches;
    uint64_t n_bytes;
    double flops;
} rules[] = {
    {"linear", linear, SF_OP_linear, 1, 4 * (12 + 20 + 5 + 15), 2 * 3 * 4 * 5},
    {"a table counts as what is looked up", look_up, SF_OP_embedding, 1, 4 * (28 + 28) + 8 * 7, 0},
    {"a slice counts as what is in it", part, SF_OP_tanh, 1, 4 * (12 + 12), 0},
    {"an op without elements is not run", nothing, SF_OP_tanh, 0, 0, 0},
};

START_TEST(a_backend_that_says_nothing) {
    sf_plan *plan = plan_of(rules[_i].build(), reference, NULL);
    sf_step_cost cost = cost_of(plan, rules[_i].op, false);
    ck_assert_msg(cost.n_launches == rules[_i].n_launches && cost.n_bytes == rules[_i].n_bytes &&
                      cost.flops == rules[_i].flops,
                  "%s: %u launches, %d bytes, %g operations", rules[_i].name, cost.n_launches,
                  (int)cost.n_bytes, cost.flops);
    sf_plan_free(plan);
}
END_TEST

/* Sees a whole call; buffers are not set. */
static sf_status three_launches(const sf_op_call *call, sf_op_cost *cost) {
    ck_assert_str_eq(call->op, "linear");
    ck_assert_uint_eq(call->n_inputs, 3);
    ck_assert_int_eq(call->output->dims[1], 5);
    ck_assert_ptr_null(call->output->buffer);
    ck_assert_uint_ge(cost->struct_size, sizeof(sf_op_cost));
    ck_assert_int_eq(cost->compute_dtype, call->output->dtype);
    cost->compute_dtype = SF_BF16;
    cost->n_launches = 3;
    cost->n_bytes = 1000;
    return SF_OK;
}

static bool has_all(sf_op_id op) {
    (void)op;
    return true;
}

START_TEST(a_backend_that_says_it) {
    sf_backend *telling = limit_backend(reference, "telling", has_all);
    telling->entries[SF_OP_linear].cost = three_launches;
    sf_plan *plan = plan_of(linear(), telling, NULL);
    sf_step_cost cost = cost_of(plan, SF_OP_linear, false);
    ck_assert_uint_eq(cost.n_launches, 3);
    ck_assert_uint_eq(cost.n_bytes, 1000);
    ck_assert(cost.flops == 2 * 3 * 4 * 5);
    ck_assert(!cost.is_in_f32); /* as the output is, had it not been said */
    sf_plan_free(plan);
    free(telling);
}
END_TEST

static sf_status no_cost(const sf_op_call *call, sf_op_cost *cost) {
    (void)call;
    (void)cost;
    return SF_ERROR_UNSUPPORTED;
}

START_TEST(a_backend_that_fails_to_say_it) {
    sf_backend *silent = limit_backend(reference, "silent", has_all);
    sf_step_cost cost = {.n_launches = 77};
    silent->entries[SF_OP_linear].cost = no_cost;
    sf_plan *plan = plan_of(linear(), silent, NULL);
    ck_assert_int_eq(sf_plan_step_cost(plan, 0, &cost), SF_ERROR_UNSUPPORTED);
    ck_assert_uint_eq(cost.n_launches, 77);
    ck_assert_ptr_nonnull(strstr(ctx->error, "linear \"\": silent tells no cost"));
    sf_plan_free(plan);
    free(silent);
}
END_TEST

static bool has_no_linear(sf_op_id op) {
    return op != SF_OP_linear && op != SF_OP_matmul;
}

/* What runs elsewhere takes no launches of the backend; what it takes to get there is bytes. */
START_TEST(ops_on_the_fallback) {
    sf_backend *whole = device_backend(reference, "device");
    sf_backend *limited = limit_backend(whole, "limited", has_no_linear);
    sf_plan *plan = plan_of(linear(), limited, reference);
    sf_step_cost cost = cost_of(plan, SF_OP_linear, false);
    ck_assert_uint_eq(cost.n_launches, 0);
    ck_assert_uint_eq(cost.n_bytes, 4 * (12 + 20 + 5 + 15));
    double copied = 0;
    for (size_t s = 0; s < sf_plan_step_count(plan); s++) {
        sf_plan_step step;
        sf_plan_get_step(plan, s, &step);
        if (!step.is_copy)
            continue;
        ck_ok(ctx, sf_plan_step_cost(plan, s, &cost));
        ck_assert_uint_eq(cost.n_launches, 0);
        ck_assert(cost.flops == 0);
        copied += (double)cost.n_bytes;
    }
    ck_assert(copied == 2 * 4 * (12 + 15)); /* x there and y back, each read and written */
    sf_plan_free(plan);
    free(limited);
    free(whole);
}
END_TEST

START_TEST(settled_steps_say_so) {
    sf_value x = sf_settled_input(graph, "x", SF_F32, SF_DIMS(2, 4));
    sf_value k = sf_unary(graph, SF_OP_tanh, x);
    sf_plan *plan = plan_of(sf_multiply(graph, sf_input(graph, "z", SF_F32, SF_DIMS(2, 4)), k),
                            reference, NULL);
    sf_plan_step step;
    sf_plan_get_step(plan, 0, &step);
    ck_assert(step.op == SF_OP_tanh && step.is_settled);
    sf_plan_get_step(plan, 1, &step);
    ck_assert(step.op == SF_OP_multiply && !step.is_settled);
    sf_plan_free(plan);
}
END_TEST

/*
 * On a device of 100 operations, 50 in f32, and 10 bytes a second that takes half a second to launch
 * something.
 */
static const struct {
    sf_step_cost cost;
    double seconds;
    sf_limit limit;
} times[] = {
    {{.n_launches = 1, .n_bytes = 10, .flops = 300}, 0.5 + 3, SF_LIMIT_COMPUTE},
    {{.n_launches = 1, .n_bytes = 40, .flops = 300}, 0.5 + 4, SF_LIMIT_MEMORY},
    {{.n_launches = 1, .n_bytes = 40, .flops = 300, .is_in_f32 = true}, 0.5 + 6, SF_LIMIT_COMPUTE},
    {{.n_launches = 9, .n_bytes = 40, .flops = 300}, 4.5 + 4, SF_LIMIT_LAUNCH},
    {{.n_launches = 0, .n_bytes = 30, .flops = 300}, 3, SF_LIMIT_MEMORY},
    {{.n_launches = 2, .n_bytes = 0, .flops = 0}, 1, SF_LIMIT_LAUNCH},
    {{.n_launches = 0, .n_bytes = 0, .flops = 0}, 0, SF_LIMIT_MEMORY},
};

START_TEST(the_roofline) {
    const sf_device_speed speed = {.flops_per_second = 100,
                                   .f32_flops_per_second = 50,
                                   .bytes_per_second = 10,
                                   .seconds_per_launch = 0.5};
    sf_limit limit;
    sf_graph_free(graph);
    ck_assert_double_eq_tol(sf_cost_seconds(&times[_i].cost, &speed, &limit), times[_i].seconds,
                            1e-12);
    ck_assert_int_eq((int)limit, (int)times[_i].limit);
}
END_TEST

START_TEST(a_plan_with_assumed_weights_only_counts) {
    sf_plan *plan = NULL;
    sf_plan_options options = {.backend = reference};
    graph->assumed = SF_F16;
    sf_value w = sf_weight_shaped(graph, "w", SF_DIMS(5, 4));
    sf_output(graph, "y", sf_linear(graph, input(SF_DIMS(3, 4)), w, SF_NO_VALUE));
    ck_assert_int_eq(sf_plan_new(ctx, graph, &options, &plan), SF_ERROR_ARGUMENT);
    ck_assert_ptr_null(plan);

    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    graph->assumed = SF_F16;
    w = sf_weight_shaped(graph, "w", SF_DIMS(5, 4));
    plan = plan_of(sf_linear(graph, input(SF_DIMS(3, 4)), w, SF_NO_VALUE), reference, NULL);
    ck_assert_uint_eq(cost_of(plan, SF_OP_linear, false).n_bytes, 4 * (12 + 15) + 2 * 20);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->weight_bytes, 40);
    sf_plan_free(plan);
}
END_TEST

Suite *suite_core_plan_cost(void) {
    Suite *suite = suite_create("core_plan_cost");
    TCase *tcase = tcase_create("plan");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_backend_that_says_nothing, 0, sizeof rules / sizeof *rules);
    tcase_add_test(tcase, a_backend_that_says_it);
    tcase_add_test(tcase, a_backend_that_fails_to_say_it);
    tcase_add_test(tcase, ops_on_the_fallback);
    tcase_add_test(tcase, settled_steps_say_so);
    tcase_add_loop_test(tcase, the_roofline, 0, sizeof times / sizeof *times);
    tcase_add_test(tcase, a_plan_with_assumed_weights_only_counts);
    suite_add_tcase(suite, tcase);
    return suite;
}
