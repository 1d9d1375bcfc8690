/*
 * The list of ops and their descriptors: look-ups, and what must hold for every op.
 */
#include "tests/ops/op_call.h"

#include "core/graph.h"

Suite *suite_ops_list(void);

START_TEST(ops_are_found) {
    for (int id = 0; id < SF_OP_COUNT; id++) {
        const sf_op *op = sf_op_get((sf_op_id)id);
        ck_assert_int_eq(sf_op_find(op->name), id);
        ck_assert_int_eq(sf_op_id_of(op), id);
    }
    ck_assert_str_eq(sf_op_get(SF_OP_conv2d)->name, "conv2d");
    ck_assert_int_eq(sf_op_find("no_such_op"), SF_OP_COUNT);
    ck_assert_int_eq(sf_op_find(""), SF_OP_COUNT);
    ck_assert_ptr_null(sf_op_get(SF_OP_COUNT));
    ck_assert_int_eq(sf_op_id_of(NULL), SF_OP_COUNT);
}
END_TEST

START_TEST(activations_are_ops) {
    ck_assert_int_eq(sf_activation_op(SF_ACTIVATION_SILU), SF_OP_silu);
    ck_assert_int_eq(sf_activation_op(SF_ACTIVATION_GELU_TANH), SF_OP_gelu_tanh);
    ck_assert_int_eq(sf_activation_op(SF_ACTIVATION_NONE), SF_OP_COUNT);
    ck_assert_int_eq(sf_activation_op((sf_activation)99), SF_OP_COUNT);
    ck_assert_int_eq(sf_op_activation(SF_OP_mish), SF_ACTIVATION_MISH);
    ck_assert_int_eq(sf_op_activation(SF_OP_tanh), SF_ACTIVATION_NONE);
    ck_assert_int_eq(sf_op_activation(SF_OP_COUNT), SF_ACTIVATION_NONE);
}
END_TEST

START_TEST(descriptors_are_whole) {
    const sf_op *op = sf_op_get((sf_op_id)_i);
    int n_names = 0;
    while (op->inputs[n_names])
        n_names++;
    ck_assert_msg(op->summary && op->summary[0], "%s has no summary", op->name);
    ck_assert_msg(op->infer != NULL, "%s has no shape rule", op->name);
    ck_assert_msg(n_names >= 1 && n_names <= SF_MAX_INPUTS, "%s has %d inputs", op->name, n_names);
    ck_assert_msg(op->n_required >= 1 && op->n_required <= n_names, "%s needs %d of %d inputs",
                  op->name, op->n_required, n_names);
    ck_assert_msg(op->attribute_bytes <= SF_MAX_ATTRIBUTE_BYTES, "%s", op->name);
    ck_assert_msg(op->n_cases >= 4, "%s has %d cases", op->name, op->n_cases);
}
END_TEST

/* The shape rule takes every case, a graph too, and the lowered form has the same type and shape. */
START_TEST(cases_are_valid) {
    const sf_op *op = sf_op_get((sf_op_id)_i);
    sf_context *ctx = test_context();
    int n_lowered = 0;
    for (int c = 0; c < op->n_cases; c++) {
        const sf_op_case *op_case = &op->cases[c];
        sf_graph *graph;
        sf_value inputs[SF_MAX_INPUTS];
        int n_inputs = 0;
        ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
        for (int i = 0; i < SF_MAX_INPUTS; i++) {
            const sf_spec *spec = &op_case->inputs[i];
            inputs[i] = SF_NO_VALUE;
            if (spec->dtype == SF_NONE)
                continue;
            inputs[i] = sf_input(graph, "x", spec->dtype, spec->n_dims, spec->dims);
            n_inputs = i + 1;
        }
        sf_value y = sf_node_add(graph, (sf_op_id)_i, inputs, n_inputs, &op_case->attributes);
        ck_ok(ctx, sf_graph_status(graph));
        sf_value lowered =
            op->lower ? op->lower(graph, inputs, n_inputs, &op_case->attributes) : SF_NO_VALUE;
        ck_ok(ctx, sf_graph_status(graph));
        n_lowered += lowered != SF_NO_VALUE;
        if (lowered != SF_NO_VALUE)
            ck_assert_msg(sf_spec_equal(sf_value_spec(graph, y), sf_value_spec(graph, lowered)),
                          "%s case %d: lowered to another type or shape", op->name, c);
        sf_graph_free(graph);
    }
    ck_assert_msg(!op->lower || n_lowered > 0, "%s is never lowered", op->name);
    test_context_free(ctx);
}
END_TEST

/* What a plan never asks for, but a workspace of 2^64 bytes must not look like a small one. */
START_TEST(workspace_does_not_wrap) {
    sf_tensor_desc x = {
        .dtype = SF_F16, .n_dims = 2, .dims = {INT64_C(1) << 31, INT64_C(1) << 31, 1, 1, 1}};
    x.strides[0] = INT64_C(1) << 31;
    x.strides[1] = 1;
    sf_op_call call = {
        .struct_size = sizeof call, .n_inputs = 1, .op = "silu", .inputs = &x, .output = &x};
    ck_assert_uint_eq(op_entry("silu")->workspace(&call), UINT64_MAX);
}
END_TEST

Suite *suite_ops_list(void) {
    Suite *suite = suite_create("ops_list");
    TCase *tests = tcase_create("list");
    tcase_add_test(tests, ops_are_found);
    tcase_add_test(tests, activations_are_ops);
    tcase_add_loop_test(tests, descriptors_are_whole, 0, SF_OP_COUNT);
    tcase_add_loop_test(tests, cases_are_valid, 0, SF_OP_COUNT);
    tcase_add_test(tests, workspace_does_not_wrap);
    suite_add_tcase(suite, tests);
    return suite;
}
