/*
 * The ops' counts of operations: by hand, and the same for an op and for what it is lowered to.
 */
#include "core/plan.h"
#include "tests/support/plans.h"
#include "tests/support/support.h"

#include <stdlib.h>

Suite *suite_ops_flops(void);

static sf_context *ctx;
static sf_backend *reference;

static void setup(void) {
    ctx = test_context();
    reference = open_reference(ctx);
}

static void teardown(void) {
    test_context_free(ctx);
}

static const struct count {
    sf_op_id op;
    sf_spec inputs[3];
    sf_attributes attributes;
    double flops;
} counts[] = {
    /* 2 x outputs x terms of each */
    {SF_OP_conv2d,
     {SF_SPEC(F32, 1, 64, 64, 320), SF_SPEC(F16, 640, 320, 3, 3), SF_SPEC(F16, 640)},
     {.conv2d = {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1, 0}},
     2.0 * 64 * 64 * 640 * 320 * 9},
    {SF_OP_conv2d,
     {SF_SPEC(F32, 2, 8, 8, 6), SF_SPEC(F32, 9, 2, 3, 5)},
     {.conv2d = {{2, 1}, {1, 1}, {1, 1, 2, 2}, 3, SF_ACTIVATION_SILU}},
     2.0 * (2 * 4 * 8 * 9) * 2 * 15},
    {SF_OP_linear,
     {SF_SPEC(F32, 2, 77, 768), SF_SPEC(F32, 3072, 768)},
     {{0}},
     2.0 * 154 * 3072 * 768},
    {SF_OP_linear, {SF_SPEC(F32, 7), SF_SPEC(F32, 5, 7)}, {{0}}, 2.0 * 5 * 7},
    {SF_OP_linear_geglu,
     {SF_SPEC(F32, 2, 64, 320), SF_SPEC(F16, 2560, 320), SF_SPEC(F16, 2560)},
     {{0}},
     2.0 * 128 * 2560 * 320},
    {SF_OP_matmul, {SF_SPEC(F32, 3, 5), SF_SPEC(F32, 5, 7)}, {.matmul = {1, 0}}, 2.0 * 3 * 7 * 5},
    {SF_OP_matmul,
     {SF_SPEC(F32, 2, 1, 5, 8), SF_SPEC(F32, 1, 3, 7, 8)},
     {.matmul = {1, 1}},
     2.0 * 6 * 5 * 7 * 8},
    /* scores and the sum over v: values may be of another width */
    {SF_OP_attention,
     {SF_SPEC(F32, 2, 4096, 320), SF_SPEC(F32, 2, 77, 320), SF_SPEC(F32, 2, 77, 320)},
     {.attention = {8, 0, 1}},
     2.0 * 2 * (2.0 * 4096 * 77 * 320)},
    {SF_OP_attention,
     {SF_SPEC(F32, 1, 3, 8), SF_SPEC(F32, 1, 5, 8), SF_SPEC(F32, 1, 5, 6)},
     {.attention = {2, 1, 1}},
     2.0 * 3 * 5 * (8 + 6)},
    /* past 2^53 a count is still a number */
    {SF_OP_linear, {SF_SPEC(F32, 1 << 30, 1 << 20), SF_SPEC(F32, 1 << 30, 1 << 20)}, {{0}}, 0x1p81},
    /* nothing to sum */
    {SF_OP_linear, {SF_SPEC(F32, 3, 0), SF_SPEC(F32, 5, 0)}, {{0}}, 0},
    {SF_OP_add, {SF_SPEC(F32, 3, 4), SF_SPEC(F32, 3, 4)}, {{0}}, 0},
    {SF_OP_softmax, {SF_SPEC(F32, 3, 4)}, {{0}}, 0},
};
enum { N_COUNTS = sizeof counts / sizeof *counts };

START_TEST(counts_by_hand) {
    const struct count *count = &counts[_i];
    sf_spec inputs[3], output;
    int n_inputs = 0;
    for (int i = 0; i < 3; i++) {
        inputs[i] = count->inputs[i];
        sf_spec_normalize(&inputs[i]);
        n_inputs += inputs[i].dtype != SF_NONE;
    }
    ck_ok(ctx, sf_op_get(count->op)->infer(ctx, inputs, n_inputs, &count->attributes, &output));
    double flops = sf_op_flops(count->op, inputs, n_inputs, &count->attributes, &output);
    ck_assert_msg(flops == count->flops, "%s: %.17g, not %.17g", sf_op_get(count->op)->name, flops,
                  count->flops);
}
END_TEST

/* ---- an op and its parts ---- */

static sf_op_id lacking;

static bool is_there(sf_op_id op) {
    return op != lacking;
}

static double flops_of_case(const sf_op *op, const sf_op_case *op_case, sf_backend *backend,
                            bool *lowered) {
    static const char *const names[] = {"0", "1", "2", "3"};
    sf_graph *graph;
    sf_value inputs[4];
    int n_inputs = 0;
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    for (int i = 0; i < 4; i++) {
        const sf_spec *spec = &op_case->inputs[i];
        inputs[i] = SF_NO_VALUE;
        if (spec->dtype == SF_NONE)
            continue;
        inputs[i] = sf_input(graph, names[i], spec->dtype, spec->n_dims, spec->dims);
        n_inputs = i + 1;
    }
    sf_output(graph, "y",
              sf_node_add(graph, sf_op_id_of(op), inputs, n_inputs, &op_case->attributes));
    sf_plan *plan = make_plan(ctx, graph, backend, reference, true);
    double flops = sf_plan_get_stats(plan)->flops;
    *lowered = sf_plan_get_stats(plan)->n_lowered > 0;
    sf_plan_free(plan);
    return flops;
}

/* A backend that has not the op itself plans its parts: other steps, the same sums. */
START_TEST(lowering_keeps_the_count) {
    static const sf_op_id products[] = {SF_OP_attention, SF_OP_linear, SF_OP_conv2d};
    const sf_op *op = sf_op_get(products[_i]);
    int n_lowered = 0;
    lacking = products[_i];
    sf_backend *backend = limit_backend(reference, "without", is_there);
    for (int c = 0; c < op->n_cases; c++) {
        bool whole_lowered, parts_lowered;
        double whole = flops_of_case(op, &op->cases[c], reference, &whole_lowered);
        double parts = flops_of_case(op, &op->cases[c], backend, &parts_lowered);
        ck_assert(!whole_lowered);
        ck_assert_msg(whole == parts, "%s, case %d: %g, in parts %g", op->name, c, whole, parts);
        n_lowered += parts_lowered;
    }
    ck_assert_int_gt(n_lowered, 2);
    free(backend);
}
END_TEST

Suite *suite_ops_flops(void) {
    Suite *suite = suite_create("ops_flops");
    TCase *tcase = tcase_create("flops");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, counts_by_hand, 0, N_COUNTS);
    tcase_add_loop_test(tcase, lowering_keeps_the_count, 0, 3);
    suite_add_tcase(suite, tcase);
    return suite;
}
