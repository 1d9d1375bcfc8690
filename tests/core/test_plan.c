/*
 * Plans on the reference backend: results by hand, outputs and views of all kinds, binding, errors.
 * test_plan_*.c: fusion, memory, random graphs, other backends, constants on a device.
 */
#include "core/plan/internal.h"

#include <math.h>
#include <stdlib.h>

#include "tests/support/plans.h"
#include "tests/support/support.h"

Suite *suite_core_plan(void);

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

static void check_floats(const float *got, const float *wanted, int n) {
    for (int i = 0; i < n; i++)
        ck_assert_msg(fabsf(got[i] - wanted[i]) <= 1e-5f * (1 + fabsf(wanted[i])),
                      "element %d is %g, not %g", i, (double)got[i], (double)wanted[i]);
}

/* Writes the one input, runs, and compares the one output. */
static void check_result(sf_plan *plan, const float *x, const float *wanted, int n) {
    void *outputs[8];
    run_plan(ctx, plan, (const void *const[]){x}, outputs);
    ck_assert_uint_eq(sf_spec_bytes(sf_plan_output_spec(plan, 0)), (size_t)n * sizeof(float));
    check_floats(outputs[0], wanted, n);
    for (int i = 0; i < sf_plan_n_outputs(plan); i++)
        free(outputs[i]);
    check_plan_memory(plan);
}

/* ---- results ---- */

/* silu(x W^T + b) + x with x [2, 3], in double from the formula. */
START_TEST(a_layer_gives_what_its_formula_gives) {
    const float x[] = {1, -2, 3, 0.5f, 0, -1}, b[] = {0.1f, -0.2f, 0.3f};
    const float w[] = {0.1f, 0.2f, 0.3f, -0.4f, 0.5f, -0.6f, 0.7f, 0.8f, -0.9f};
    float wanted[6];
    for (int i = 0; i < 2; i++)
        for (int n = 0; n < 3; n++) {
            double sum = b[n];
            for (int k = 0; k < 3; k++)
                sum += (double)x[3 * i + k] * (double)w[3 * n + k];
            wanted[3 * i + n] = (float)(sum / (1 + exp(-sum)) + (double)x[3 * i + n]);
        }
    for (int no_fusion = 0; no_fusion < 2; no_fusion++) {
        if (no_fusion)
            ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
        sf_value v = input("x", SF_DIMS(2, 3));
        sf_value y = sf_linear(graph, v, sf_constant_f32(graph, "w", SF_DIMS(3, 3), w),
                               sf_constant_f32(graph, "b", SF_DIMS(3), b));
        sf_output(graph, "y", sf_add(graph, sf_activate(graph, y, SF_ACTIVATION_SILU), v));
        sf_plan *plan = plan_of(no_fusion);
        ck_assert_uint_eq(sf_plan_get_stats(plan)->n_steps, no_fusion ? 3 : 1);
        ck_assert_uint_eq(sf_plan_get_stats(plan)->n_fused, no_fusion ? 0 : 2);
        ck_assert_uint_eq(sf_plan_get_stats(plan)->weight_bytes, sizeof w + sizeof b);
        check_result(plan, x, wanted, 6);
        check_result(plan, x, wanted, 6);
        sf_plan_free(plan);
    }
}
END_TEST

/* ---- inputs and outputs ---- */

/* An input, a weight, views of both, and one value twice: each output has memory of its own. */
START_TEST(outputs_of_all_kinds) {
    sf_value x = input("x", SF_DIMS(2, 3)), w = weight(SF_DIMS(2));
    sf_value y = sf_affine(graph, x, 2, 1);
    const int transposed[] = {1, 0};
    sf_output(graph, "input", x);
    sf_output(graph, "weight", w);
    sf_output(graph, "transposed input", sf_permute(graph, x, transposed));
    sf_output(graph, "y", y);
    sf_output(graph, "y again", y);
    sf_output(graph, "y reshaped", sf_reshape(graph, y, SF_DIMS(6)));
    sf_output(graph, "row of y", sf_slice(graph, y, 0, 1, 1));
    sf_output(graph, "expanded",
              sf_expand(graph, sf_reshape(graph, w, SF_DIMS(2, 1)), SF_DIMS(2, 2)));
    sf_plan *plan = plan_of(false);
    check_plan_memory(plan);
    const float data[] = {1, 2, 3, 4, 5, 6};
    const float affine[] = {3, 5, 7, 9, 11, 13};
    const float turned[] = {1, 4, 2, 5, 3, 6}, repeated[] = {0.1f, 0.1f, 0.2f, 0.2f};
    const struct {
        const char *name;
        const float *wanted;
        int n;
    } wanted[] = {{"input", data, 6},
                  {"weight", repeated + 1, 2},
                  {"transposed input", turned, 6},
                  {"y", affine, 6},
                  {"y again", affine, 6},
                  {"y reshaped", affine, 6},
                  {"row of y", affine + 3, 3},
                  {"expanded", repeated, 4}};
    void *outputs[8];
    run_plan(ctx, plan, (const void *const[]){data}, outputs);
    ck_assert_int_eq(sf_plan_n_outputs(plan), 8);
    for (int i = 0; i < 8; i++) {
        ck_assert_str_eq(sf_plan_output_name(plan, i), wanted[i].name);
        ck_assert_int_eq(sf_plan_find_output(plan, wanted[i].name), i);
        check_floats(outputs[i], wanted[i].wanted, wanted[i].n);
        free(outputs[i]);
    }
    ck_assert_int_eq(sf_plan_find_output(plan, "x"), -1);
    sf_plan_free(plan);
}
END_TEST

START_TEST(unused_inputs_stay_inputs_and_unused_ops_do_not_run) {
    input("unused", SF_DIMS(100));
    sf_value x = input("x", SF_DIMS(2));
    sf_unary(graph, SF_OP_exp, x);
    sf_output(graph, "y", sf_unary(graph, SF_OP_square, x));
    sf_plan *plan = plan_of(false);
    ck_assert_int_eq(sf_plan_n_inputs(plan), 2);
    ck_assert_int_eq(sf_plan_find_input(plan, "unused"), 0);
    ck_assert_int_eq(sf_plan_find_input(plan, "x"), 1);
    ck_assert_int_eq(sf_plan_find_input(plan, "y"), -1);
    ck_assert_str_eq(sf_plan_input_name(plan, 1), "x");
    ck_assert_int_eq(sf_plan_input_spec(plan, 0)->dims[0], 100);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->n_steps, 1);

    const float data[100] = {3, 4};
    void *outputs[1];
    run_plan(ctx, plan, (const void *const[]){data, data}, outputs);
    check_floats(outputs[0], (const float[]){9, 16}, 2);
    free(outputs[0]);
    sf_plan_free(plan);
}
END_TEST

START_TEST(a_graph_of_nothing_is_a_plan_of_nothing) {
    sf_plan *plan = plan_of(false);
    ck_assert_int_eq(sf_plan_n_inputs(plan), 0);
    ck_assert_int_eq(sf_plan_n_outputs(plan), 0);
    ck_ok(ctx, sf_plan_run(plan));
    ck_assert_uint_eq(sf_plan_get_stats(plan)->arena_bytes, 0);
    sf_plan_free(plan);
    sf_plan_free(NULL);
}
END_TEST

START_TEST(wrong_sizes_and_numbers_are_errors) {
    sf_output(graph, "y", sf_unary(graph, SF_OP_relu, input("x", SF_DIMS(2, 3))));
    sf_plan *plan = plan_of(false);
    float data[6] = {0};
    sf_tensor_desc desc = {.buffer = data,
                           .dtype = SF_F32,
                           .n_dims = 2,
                           .dims = {2, 3, 1, 1, 1},
                           .strides = {3, 1, 1, 1, 1}};
    ck_fails(ctx, sf_plan_write(plan, 0, data, 20), SF_ERROR_SHAPE,
             "\"x\" is f32 [2, 3], 24 bytes, not 20");
    ck_fails(ctx, sf_plan_read(plan, 0, data, 28), SF_ERROR_SHAPE, "\"y\"");
    for (int bad = -1; bad < 2; bad += 2) {
        ck_fails(ctx, sf_plan_write(plan, bad, data, 24), SF_ERROR_ARGUMENT, "no input");
        ck_fails(ctx, sf_plan_read(plan, bad, data, 24), SF_ERROR_ARGUMENT, "no output");
        ck_fails(ctx, sf_plan_bind_input(plan, bad, &desc), SF_ERROR_ARGUMENT, "no input");
        ck_fails(ctx, sf_plan_bind_output(plan, bad, &desc), SF_ERROR_ARGUMENT, "no output");
    }
    sf_plan_free(plan);
}
END_TEST

/* ---- empty tensors ---- */

START_TEST(tensors_without_elements) {
    sf_value x = input("x", SF_DIMS(2, 0, 4)), z = input("z", SF_DIMS(3));
    sf_value y = sf_linear(graph, x, weight(SF_DIMS(5, 4)), SF_NO_VALUE);
    const int order[] = {2, 0, 1};
    sf_output(graph, "linear", y);
    sf_output(graph, "sum", sf_sum(graph, x, 1)); /* sums of nothing */
    sf_output(graph, "turned", sf_permute(graph, sf_unary(graph, SF_OP_silu, y), order));
    sf_output(graph, "joined", sf_concat(graph, (sf_value[]){x, sf_affine(graph, x, 2, 1)}, 2, 1));
    sf_output(graph, "none of z", sf_slice(graph, z, 0, 3, 0));
    sf_output(graph, "z and none",
              sf_concat(graph, (sf_value[]){z, sf_slice(graph, z, 0, 1, 0)}, 2, 0));
    sf_plan *plan = plan_of(false);
    check_plan_memory(plan);
    const float data[] = {1, 2, 3};
    void *outputs[6];
    run_plan(ctx, plan, (const void *const[]){NULL, data}, outputs);
    const size_t bytes[] = {0, 2 * 4 * sizeof(float), 0, 0, 0, sizeof data};
    for (int i = 0; i < 6; i++)
        ck_assert_uint_eq(sf_spec_bytes(sf_plan_output_spec(plan, i)), bytes[i]);
    check_floats(outputs[1], (const float[8]){0}, 8);
    check_floats(outputs[5], data, 3);
    for (int i = 0; i < 6; i++)
        free(outputs[i]);
    sf_plan_free(plan);
}
END_TEST

/* ---- views ---- */

/* A view of a view of a view, then ops that read it where it lies and one that must not. */
START_TEST(views_of_views) {
    float data[2 * 3 * 4], wanted[3 * 2];
    for (int i = 0; i < 24; i++)
        data[i] = (float)i;
    sf_value x = input("x", SF_DIMS(2, 3, 4));
    const int order[] = {2, 0, 1};
    sf_value v = sf_permute(graph, x, order);      /* [4, 2, 3] */
    v = sf_slice(graph, v, 0, 1, 2);               /* columns 1 and 2 */
    v = sf_slice(graph, v, 1, 1, 1);               /* second of the two: [2, 1, 3] */
    v = sf_reshape(graph, v, SF_DIMS(2, 3));       /* needs a copy */
    v = sf_permute(graph, v, (const int[]){1, 0}); /* [3, 2] */
    v = sf_expand(graph, v, SF_DIMS(2, 3, 2));
    sf_output(graph, "sum", sf_reshape(graph, sf_sum(graph, v, 0), SF_DIMS(3, 2)));
    sf_plan *plan = plan_of(false);
    for (int row = 0; row < 3; row++)
        for (int column = 0; column < 2; column++)
            wanted[2 * row + column] = 2 * data[12 + 4 * row + 1 + column];
    check_result(plan, data, wanted, 6);
    sf_plan_free(plan);
}
END_TEST

/* ---- binding ---- */

static sf_tensor_desc describe(void *buffer, int64_t n) {
    return (sf_tensor_desc){.buffer = buffer,
                            .dtype = SF_F32,
                            .n_dims = 1,
                            .dims = {n, 1, 1, 1, 1},
                            .strides = {1, 1, 1, 1, 1}};
}

START_TEST(bound_tensors_are_used_where_they_are) {
    sf_value x = input("x", SF_DIMS(4));
    sf_output(graph, "y", sf_add(graph, sf_affine(graph, x, 2, 0), x));
    sf_plan *plan = plan_of(false);
    float in[] = {9, 9, 1, 2, 3, 4}, out[4] = {0}, again[4] = {0};
    sf_tensor_desc from = describe(in, 4), to = describe(out, 4);
    from.offset = 2 * sizeof(float);
    ck_ok(ctx, sf_plan_bind_input(plan, 0, &from));
    ck_ok(ctx, sf_plan_bind_output(plan, 0, &to));
    ck_ok(ctx, sf_plan_run(plan));
    check_floats(out, (const float[]){3, 6, 9, 12}, 4);
    in[2] = 10; /* looked at in each run */
    ck_ok(ctx, sf_plan_run(plan));
    ck_assert(out[0] == 30);
    ck_ok(ctx, sf_plan_read(plan, 0, again, sizeof again));
    ck_assert(again[0] == 30);
    ck_ok(ctx, sf_plan_write(plan, 0, (const float[]){5, 5, 5, 5}, 16));
    ck_assert(in[2] == 5 && in[1] == 9);

    float other[4] = {0};
    to = describe(other, 4);
    ck_ok(ctx, sf_plan_bind_output(plan, 0, &to));
    ck_ok(ctx, sf_plan_run(plan));
    ck_assert(other[0] == 15 && out[0] == 30);
    sf_plan_free(plan);
}
END_TEST

START_TEST(an_output_may_be_bound_onto_an_input) {
    sf_value x = input("x", SF_DIMS(4)), z = input("z", SF_DIMS(4));
    sf_output(graph, "y", sf_add(graph, z, x));
    sf_plan *plan = plan_of(false);
    float in[] = {1, 2, 3, 4}, step[] = {10, 10, 10, 10};
    sf_tensor_desc place = describe(in, 4), other = describe(step, 4);
    ck_ok(ctx, sf_plan_bind_input(plan, 0, &place));
    ck_ok(ctx, sf_plan_bind_input(plan, 1, &other));
    ck_ok(ctx, sf_plan_bind_output(plan, 0, &place));
    for (int i = 0; i < 3; i++)
        ck_ok(ctx, sf_plan_run(plan));
    check_floats(in, (const float[]){31, 32, 33, 34}, 4);
    sf_plan_free(plan);
}
END_TEST

START_TEST(what_does_not_fit_is_not_bound) {
    sf_output(graph, "y", sf_unary(graph, SF_OP_relu, input("x", SF_DIMS(4))));
    sf_plan *plan = plan_of(false);
    float data[8] = {0};
    sf_tensor_desc bad[5];
    for (int i = 0; i < 5; i++)
        bad[i] = describe(data, 4);
    bad[0].dtype = SF_F16;
    bad[1].dims[0] = 3;
    bad[2].n_dims = 2;
    bad[3].strides[0] = 2;
    bad[4].buffer = NULL;
    for (int i = 0; i < 5; i++) {
        ck_fails(ctx, sf_plan_bind_input(plan, 0, &bad[i]), SF_ERROR_SHAPE, "\"x\"");
        ck_fails(ctx, sf_plan_bind_output(plan, 0, &bad[i]), SF_ERROR_SHAPE, "\"y\"");
    }
    check_result(plan, (const float[]){-1, 2, -3, 4}, (const float[]){0, 2, 0, 4}, 4);
    sf_plan_free(plan);
}
END_TEST

/* ---- errors ---- */

START_TEST(a_graph_that_failed_makes_no_plan) {
    sf_plan *plan = (sf_plan *)graph;
    sf_plan_options options = {.backend = reference};
    sf_add(graph, input("a", SF_DIMS(2)), input("b", SF_DIMS(3)));
    ck_fails(ctx, sf_plan_new(ctx, graph, &options, &plan), SF_ERROR_SHAPE, "add");
    ck_assert_ptr_eq(plan, (sf_plan *)graph); /* untouched */
}
END_TEST

START_TEST(a_failing_op_names_itself_and_its_node) {
    sf_value ids = sf_input(graph, "ids", SF_I64, SF_DIMS(2));
    sf_scope_enter(graph, "text.embedding");
    sf_output(graph, "y", sf_embedding(graph, weight(SF_DIMS(3, 4)), ids));
    sf_plan *plan = plan_of(false);
    const int64_t good[] = {0, 2}, bad[] = {1, 3};
    ck_ok(ctx, sf_plan_write(plan, 0, bad, sizeof bad));
    ck_fails(ctx, sf_plan_run(plan), SF_ERROR_ARGUMENT,
             "embedding \"text.embedding\" on reference");
    ck_ok(ctx, sf_plan_write(plan, 0, good, sizeof good));
    ck_ok(ctx, sf_plan_run(plan));
    sf_plan_free(plan);
}
END_TEST

static bool has_all(sf_op_id op) {
    (void)op;
    return true;
}

static sf_status run_silently(void *backend, const sf_op_call *call) {
    (void)backend;
    (void)call;
    return (sf_status)99;
}

/* A plugin that forgets host->fail(): the message is not that of an earlier failure. */
START_TEST(a_silent_failure_gets_a_message) {
    sf_backend *limited = limit_backend(reference, "limited", has_all);
    limited->entries[SF_OP_relu].run = run_silently;
    sf_output(graph, "y", sf_unary(graph, SF_OP_relu, input("x", SF_DIMS(4))));
    sf_plan *plan = make_plan(ctx, graph, limited, NULL, false);
    sf_fail(ctx, SF_ERROR_IO, "something else");
    ck_fails(ctx, sf_plan_run(plan), SF_ERROR_BACKEND, "relu \"\" on limited: ");
    ck_assert_ptr_null(strstr(sf_error_message(ctx), "something else"));
    sf_plan_free(plan);
    free(limited);
}
END_TEST

/* What can't be counted is refused by the graph, what no machine has by the plan: no allocation is
 * tried. */
START_TEST(absurd_sizes_are_refused) {
    sf_value x = input("x", SF_DIMS(1, 1));
    sf_value large = sf_expand(graph, x, SF_DIMS(INT64_C(1) << 30, INT64_C(1) << 24));
    sf_scope_enter(graph, "giant");
    sf_output(graph, "y", sf_unary(graph, SF_OP_silu, large));
    sf_plan *plan = NULL;
    sf_plan_options options = {.backend = reference};
    ck_fails(ctx, sf_plan_new(ctx, graph, &options, &plan), SF_ERROR_MEMORY, "\"giant\"");
}
END_TEST

Suite *suite_core_plan(void) {
    Suite *suite = suite_create("core_plan");
    TCase *tcase = tcase_create("plan");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_layer_gives_what_its_formula_gives);
    tcase_add_test(tcase, outputs_of_all_kinds);
    tcase_add_test(tcase, unused_inputs_stay_inputs_and_unused_ops_do_not_run);
    tcase_add_test(tcase, a_graph_of_nothing_is_a_plan_of_nothing);
    tcase_add_test(tcase, wrong_sizes_and_numbers_are_errors);
    tcase_add_test(tcase, tensors_without_elements);
    tcase_add_test(tcase, views_of_views);
    tcase_add_test(tcase, bound_tensors_are_used_where_they_are);
    tcase_add_test(tcase, an_output_may_be_bound_onto_an_input);
    tcase_add_test(tcase, what_does_not_fit_is_not_bound);
    tcase_add_test(tcase, a_graph_that_failed_makes_no_plan);
    tcase_add_test(tcase, a_failing_op_names_itself_and_its_node);
    tcase_add_test(tcase, a_silent_failure_gets_a_message);
    tcase_add_test(tcase, absurd_sizes_are_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
