/*
 * What a plan joins and what it leaves apart, and that it makes no difference to the results.
 */
#include <math.h>
#include <stdlib.h>

#include "tests/support/plans.h"
#include "tests/support/support.h"

Suite *suite_core_plan_fusion(void);

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

static sf_value conv(sf_value x) {
    sf_conv2d_attributes attributes = {
        .stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .padding = {1, 1, 1, 1}};
    return sf_conv2d(graph, x, weight(SF_DIMS(4, 4, 3, 3)), weight(SF_DIMS(4)), attributes);
}

static sf_value linear(sf_value x) {
    return sf_linear(graph, x, weight(SF_DIMS(4, 4)), SF_NO_VALUE);
}

static sf_value norm(sf_value x) {
    return sf_group_norm(graph, x, weight(SF_DIMS(4)), SF_NO_VALUE, 2, 0.1f);
}

static sf_value act(sf_value x) {
    return sf_activate(graph, x, SF_ACTIVATION_SILU);
}

static sf_value conv_act(sf_value x) {
    return act(conv(x));
}

static sf_value linear_gelu(sf_value x) {
    return sf_activate(graph, linear(x), SF_ACTIVATION_GELU);
}

static sf_value norm_act(sf_value x) {
    return act(norm(x));
}

static sf_value conv_add(sf_value x) {
    return sf_add(graph, x, conv(x));
}

static sf_value add_linear(sf_value x) {
    return sf_add(graph, linear(x), x);
}

static sf_value linear_act_add(sf_value x) {
    return sf_add(graph, act(linear(x)), x);
}

static sf_value linear_add_act(sf_value x) {
    return act(sf_add(graph, linear(x), x));
}

static sf_value act_twice(sf_value x) {
    return act(act(linear(x)));
}

static sf_value add_two_products(sf_value x) {
    return sf_add(graph, linear(x), linear(x));
}

static sf_value add_to_itself(sf_value x) {
    sf_value y = linear(x);
    return sf_add(graph, y, y);
}

static sf_value used_twice(sf_value x) {
    sf_value y = linear(x);
    return sf_multiply(graph, act(y), y);
}

static sf_value also_output(sf_value x) {
    sf_value y = linear(x);
    sf_output(graph, "between", y);
    return act(y);
}

static sf_value add_vector(sf_value x) {
    return sf_add(graph, linear(x), weight(SF_DIMS(4)));
}

static sf_value add_to_larger(sf_value x) {
    return sf_add(graph, linear(sf_slice(graph, x, 1, 0, 1)), x);
}

static sf_value subtract_linear(sf_value x) {
    return sf_subtract(graph, linear(x), x);
}

static sf_value unary_act(sf_value x) {
    return act(sf_unary(graph, SF_OP_tanh, x));
}

static sf_value linear_sigmoid(sf_value x) {
    return sf_unary(graph, SF_OP_sigmoid, linear(x));
}

static sf_value act_of_view(sf_value x) {
    return act(sf_reshape(graph, linear(x), SF_DIMS(24)));
}

static sf_value two_layers(sf_value x) {
    return sf_add(graph, conv_act(norm_act(x)), x);
}

static sf_value residual_is_late(sf_value x) {
    sf_value y = linear(x);
    return sf_add(graph, y, sf_unary(graph, SF_OP_tanh, x));
}

static sf_value chain_of_residuals(sf_value x) {
    sf_value y = linear(x);
    y = sf_add(graph, y, x);
    return sf_add(graph, y, x);
}

static sf_value gated(sf_value x) {
    return sf_geglu(graph, linear(x));
}

static sf_value gated_after_act(sf_value x) {
    return sf_geglu(graph, act(linear(x)));
}

static sf_value gated_and_more(sf_value x) {
    sf_value y = linear(x);
    return sf_multiply(graph, sf_geglu(graph, y), sf_slice(graph, y, 3, 0, 2));
}

static const struct {
    const char *name;
    sf_value (*build)(sf_value x); /* x is [1, 2, 3, 4] */
    size_t n_steps, n_fused;
} fusions[] = {
    {"conv2d + silu", conv_act, 1, 1},
    {"linear + gelu", linear_gelu, 1, 1},
    {"group_norm + silu", norm_act, 1, 1},
    {"x + conv2d", conv_add, 1, 1},
    {"linear + x", add_linear, 1, 1},
    {"silu(linear) + x", linear_act_add, 1, 2},
    {"silu(linear + x): the residual comes after the activation", linear_add_act, 2, 1},
    {"silu(silu(linear)): one activation has room", act_twice, 2, 1},
    {"linear + linear", add_two_products, 2, 1},
    {"y + y with y = linear", add_to_itself, 2, 0},
    {"silu(y) * y", used_twice, 3, 0},
    {"y is an output, too", also_output, 2, 0},
    {"linear + vector: a broadcast", add_vector, 2, 0},
    {"linear + something larger", add_to_larger, 2, 0},
    {"linear - x", subtract_linear, 2, 0},
    {"silu(tanh(x))", unary_act, 2, 0},
    {"sigmoid is no activation", linear_sigmoid, 2, 0},
    {"silu of a view", act_of_view, 2, 0},
    {"silu(conv2d(silu(group_norm))) + x", two_layers, 2, 3},
    {"the residual is computed after the product", residual_is_late, 2, 1},
    {"linear + x + x", chain_of_residuals, 2, 1},
    {"geglu(linear)", gated, 1, 1},
    {"geglu(silu(linear)): the gate has no room for an activation", gated_after_act, 2, 1},
    {"geglu(y) * part of y", gated_and_more, 3, 0},
};

static sf_plan *fusion_plan(int i, bool no_fusion) {
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    sf_output(graph, "y", fusions[i].build(input("x", SF_DIMS(1, 2, 3, 4))));
    return plan_of(no_fusion);
}

START_TEST(what_is_fused) {
    float x[24];
    sf_graph_free(graph);
    for (int i = 0; i < 24; i++)
        x[i] = 0.3f * (float)(i % 7) - 1;
    sf_plan *fused = fusion_plan(_i, false), *plain = fusion_plan(_i, true);
    const sf_plan_stats *stats = sf_plan_get_stats(fused);
    ck_assert_msg(stats->n_steps == fusions[_i].n_steps && stats->n_fused == fusions[_i].n_fused,
                  "%s: %zu steps, %zu fused", fusions[_i].name, stats->n_steps, stats->n_fused);
    ck_assert_uint_eq(sf_plan_get_stats(plain)->n_fused, 0);
    ck_assert_uint_eq(sf_plan_get_stats(plain)->n_steps, stats->n_steps + stats->n_fused);

    void *wanted[2], *got[2];
    run_plan(ctx, plain, (const void *const[]){x}, wanted);
    run_plan(ctx, fused, (const void *const[]){x}, got);
    for (int k = 0; k < sf_plan_n_outputs(plain); k++) {
        size_t bytes = sf_spec_bytes(sf_plan_output_spec(plain, k));
        check_floats(got[k], wanted[k], (int)(bytes / sizeof(float)));
        free(wanted[k]);
        free(got[k]);
    }
    check_plan_memory(fused);
    sf_plan_free(fused);
    sf_plan_free(plain);
}
END_TEST

/* ---- a residual through a reshape, on a device with memory of its own ---- */

static sf_value tokens(sf_value x) {
    return sf_reshape(graph, x, SF_DIMS(1, 6, 4));
}

static sf_value image(sf_value x) {
    return sf_reshape(graph, x, SF_DIMS(1, 2, 3, 4));
}

static sf_value tokens_and_image(sf_value x) {
    return sf_add(graph, image(linear(tokens(x))), x);
}

static sf_value activated_tokens(sf_value x) {
    return sf_add(graph, image(act(linear(tokens(x)))), x);
}

static sf_value image_first(sf_value x) {
    return sf_add(graph, x, image(linear(tokens(x))));
}

static sf_value late_image(sf_value x) {
    sf_value y = image(linear(tokens(x)));
    return sf_add(graph, y, sf_unary(graph, SF_OP_tanh, x));
}

static sf_value turned_image(sf_value x) {
    sf_value turned = sf_permute(graph, sf_unary(graph, SF_OP_tanh, x), (const int[]){0, 1, 2, 3});
    return sf_add(graph, image(linear(tokens(x))), turned);
}

static sf_value tokens_twice(sf_value x) {
    sf_value y = linear(tokens(x));
    return sf_multiply(graph, sf_add(graph, image(y), x), image(y));
}

static sf_value smaller_residual(sf_value x) {
    return sf_add(graph, image(linear(tokens(x))), sf_slice(graph, x, 1, 0, 1));
}

static const struct {
    const char *name;
    sf_value (*build)(sf_value x);
    size_t n_steps, n_fused;
} view_fusions[] = {
    {"reshape(linear) + x", tokens_and_image, 1, 1},
    {"reshape(silu(linear)) + x", activated_tokens, 1, 2},
    {"x + reshape(linear)", image_first, 2, 0},
    {"the residual is computed after the product", late_image, 3, 0},
    {"the residual is a view", turned_image, 3, 0},
    {"the product is used twice", tokens_twice, 3, 0},
    {"a broadcast", smaller_residual, 2, 0},
};

static sf_plan *view_plan(int i, sf_backend *backend) {
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    sf_output(graph, "y", view_fusions[i].build(input("x", SF_DIMS(1, 2, 3, 4))));
    return make_plan(ctx, graph, backend, NULL, false);
}

START_TEST(what_is_fused_through_a_reshape) {
    float x[24];
    void *wanted, *got;
    sf_backend *device = device_backend(reference, "device");
    sf_graph_free(graph);
    for (int i = 0; i < 24; i++)
        x[i] = 0.3f * (float)(i % 7) - 1;
    sf_plan *fused = view_plan(_i, device), *plain = view_plan(_i, reference);
    const sf_plan_stats *stats = sf_plan_get_stats(fused);
    ck_assert_msg(
        stats->n_steps == view_fusions[_i].n_steps && stats->n_fused == view_fusions[_i].n_fused,
        "%s: %zu steps, %zu fused", view_fusions[_i].name, stats->n_steps, stats->n_fused);
    run_plan(ctx, plain, (const void *const[]){x}, &wanted);
    run_plan(ctx, fused, (const void *const[]){x}, &got);
    check_floats(got, wanted, 24);
    free(wanted);
    free(got);
    check_plan_memory(fused);
    sf_plan_free(fused);
    sf_plan_free(plain);
    free(device);
}
END_TEST

/* ---- what a backend lacks ---- */

static int supports_no_activation(const sf_op_call *call) {
    return ((const sf_linear_attributes *)call->attributes)->activation == SF_ACTIVATION_NONE;
}

static int supports_no_residual(const sf_op_call *call) {
    return call->n_inputs < 4 || call->inputs[3].dtype == SF_NONE;
}

static bool has_all(sf_op_id op) {
    (void)op;
    return true;
}

START_TEST(only_what_the_backend_has_is_fused) {
    int (*const supports[])(const sf_op_call *) = {supports_no_activation, supports_no_residual};
    const size_t n_fused[] = {0, 1}, n_steps[] = {3, 2};
    sf_graph_free(graph);
    for (int i = 0; i < 2; i++) {
        sf_backend *limited = limit_backend(reference, "limited", has_all);
        limited->entries[SF_OP_linear].supports = supports[i];
        ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
        sf_output(graph, "y", linear_act_add(input("x", SF_DIMS(2, 4))));
        sf_plan *plan = make_plan(ctx, graph, limited, NULL, false);
        ck_assert_uint_eq(sf_plan_get_stats(plan)->n_fused, n_fused[i]);
        ck_assert_uint_eq(sf_plan_get_stats(plan)->n_steps, n_steps[i]);
        sf_plan_free(plan);
        free(limited);
    }
}
END_TEST

Suite *suite_core_plan_fusion(void) {
    Suite *suite = suite_create("core_plan_fusion");
    TCase *tcase = tcase_create("plan");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, what_is_fused, 0, sizeof fusions / sizeof *fusions);
    tcase_add_loop_test(tcase, what_is_fused_through_a_reshape, 0,
                        sizeof view_fusions / sizeof *view_fusions);
    tcase_add_test(tcase, only_what_the_backend_has_is_fused);
    suite_add_tcase(suite, tcase);
    return suite;
}
