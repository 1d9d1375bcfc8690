/*
 * Outputs that take over the memory of an input: which do, which must not, and that results do not
 * change. check_plan_memory() follows what each place holds.
 */
#include <stdlib.h>
#include <string.h>

#include "core/plan/internal.h"
#include "tests/support/plans.h"
#include "tests/support/random_graph.h"
#include "tests/support/support.h"

Suite *suite_core_plan_in_place(void);

#define N 60 /* elements of x, an image [1, 3, 5, 4] */

static sf_context *ctx;
static sf_backend *reference;
static sf_graph *graph; /* of the test at hand; the plan takes it over */

static void setup(void) {
    ctx = test_context();
    reference = open_reference(ctx);
}

static void teardown(void) {
    test_context_free(ctx);
}

/* ---- parts ---- */

static sf_value weight(int n_dims, const int64_t *dims) {
    float data[512];
    for (int i = 0; i < 512; i++)
        data[i] = 0.1f * (float)(i % 23 - 11);
    return sf_constant_f32(graph, "w", n_dims, dims, data);
}

/* Memory of its own that nothing else reads. */
static sf_value fresh(sf_value x) {
    return sf_softmax(graph, sf_copy(graph, x));
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

/* ---- graphs, x -> y; the last op of each is copied out ---- */

static sf_value chain(sf_value x) {
    x = fresh(x);
    for (int i = 0; i < 5; i++)
        x = sf_unary(graph, SF_OP_tanh, x);
    return x;
}

static sf_value norms(sf_value x) {
    x = sf_layer_norm(graph, norm(fresh(x)), weight(SF_DIMS(4)), SF_NO_VALUE, 0.1f);
    return sf_rms_norm(graph, x, weight(SF_DIMS(4)), 0.1f);
}

static sf_value conv_residual(sf_value x) {
    sf_value r = fresh(x);
    return sf_add(graph, conv(fresh(x)), r);
}

static sf_value linear_residual(sf_value x) {
    sf_value r = fresh(x);
    return sf_add(graph, r, linear(fresh(x)));
}

/* The residual is the convolution's own input, whose pixels it reads more than once. */
static sf_value residual_that_is_x(sf_value x) {
    sf_value r = fresh(x);
    return sf_add(graph, conv(r), r);
}

static sf_value read_again_later(sf_value x) {
    sf_value a = fresh(x);
    sf_value b = sf_unary(graph, SF_OP_tanh, a);
    return sf_matmul(graph, b, sf_permute(graph, a, (const int[]){0, 1, 3, 2}), false, 1);
}

static sf_value plan_input(sf_value x) {
    return sf_unary(graph, SF_OP_tanh, x);
}

static sf_value part(sf_value x) {
    return sf_unary(graph, SF_OP_tanh, sf_slice(graph, fresh(x), 1, 0, 2));
}

static sf_value turned(sf_value x) {
    return sf_unary(graph, SF_OP_tanh, sf_permute(graph, fresh(x), (const int[]){0, 2, 1, 3}));
}

/* a + a turned: one operand lies as the output does, the other does not. */
static sf_value itself_turned(sf_value x) {
    sf_value a = sf_reshape(graph, sf_slice(graph, fresh(x), 1, 0, 2), SF_DIMS(1, 2, 5, 4));
    a = sf_copy(graph, sf_reshape(graph, sf_slice(graph, a, 2, 0, 4), SF_DIMS(2, 4, 4)));
    a = sf_softmax(graph, a);
    return sf_add(graph, a, sf_permute(graph, a, (const int[]){0, 2, 1}));
}

static sf_value twice_itself(sf_value x) {
    sf_value a = fresh(x);
    return sf_multiply(graph, a, a);
}

static sf_value reshaped(sf_value x) {
    return sf_unary(graph, SF_OP_tanh, sf_reshape(graph, fresh(x), SF_DIMS(15, 4)));
}

static sf_value broadcast(sf_value x) {
    sf_value row = sf_softmax(graph, sf_slice(graph, sf_slice(graph, x, 1, 0, 1), 2, 0, 1));
    return sf_add(graph, row, fresh(x));
}

static sf_value other_type(sf_value x) {
    return sf_cast(graph, sf_cast(graph, fresh(x), SF_F16), SF_F32);
}

static sf_value constant(sf_value x) {
    (void)x;
    return sf_unary(graph, SF_OP_tanh, weight(SF_DIMS(4, 4)));
}

static const struct {
    const char *name;
    sf_value (*build)(sf_value x);
    size_t n_in_place; /* with that of fresh(): softmax where the copy is */
} cases[] = {
    {"chain", chain, 1 + 5},
    {"norms", norms, 1 + 3},
    {"conv_residual", conv_residual, 2 + 1},
    {"linear_residual", linear_residual, 2 + 1},
    {"residual_that_is_x", residual_that_is_x, 1},
    {"read_again_later", read_again_later, 1},
    {"plan_input", plan_input, 0},
    {"part", part, 1},
    {"turned", turned, 1},
    {"itself_turned", itself_turned, 1 + 1}, /* the second softmax, not the sum */
    {"twice_itself", twice_itself, 1 + 1},
    {"reshaped", reshaped, 1 + 1},
    {"broadcast", broadcast, 1 + 1},
    {"other_type", other_type, 1},
    {"constant", constant, 0},
};

#define N_CASES ((int)(sizeof cases / sizeof *cases))

/* The case's graph; a copy of y is the output, so that y's own memory is free to be shared. */
static void build_case(int index) {
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    sf_value x = sf_input(graph, "x", SF_F32, SF_DIMS(1, 3, 5, 4));
    sf_output(graph, "y", sf_copy(graph, cases[index].build(x)));
    ck_ok(ctx, sf_graph_status(graph));
}

START_TEST(what_works_in_place_gives_the_same) {
    float data[N];
    test_random random = {.state = 5};
    random_floats(&random, data, N);
    const void *inputs[] = {data};
    build_case(_i);
    void **values = calloc(graph->n_nodes, sizeof *values);
    void *output = NULL;
    sf_value y = graph->outputs[0].value;
    evaluate_graph(ctx, reference, graph, inputs, values);
    sf_graph *evaluated = graph;

    build_case(_i);
    sf_plan *plan = make_plan(ctx, graph, reference, NULL, false);
    check_plan_memory(plan);
    ck_assert_msg(sf_plan_get_stats(plan)->n_in_place == cases[_i].n_in_place,
                  "%s: %zu in place, not %zu", cases[_i].name, sf_plan_get_stats(plan)->n_in_place,
                  cases[_i].n_in_place);
    for (int run = 0; run < 2; run++) {
        run_plan(ctx, plan, inputs, &output);
        ck_assert_mem_eq(output, values[y], sf_spec_bytes(sf_value_spec(evaluated, y)));
        free(output);
    }
    sf_plan_free(plan);
    free_values(evaluated, values);
    free(values);
    sf_graph_free(evaluated);
}
END_TEST

/* A residual block without projection keeps two tensors beside its input, not three. */
START_TEST(a_residual_block_keeps_three_tensors) {
    const int64_t n = 64;
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    sf_value x = sf_input(graph, "x", SF_F32, SF_DIMS(1, n, n, 4));
    x = conv(x);
    for (int i = 0; i < 3; i++) {
        sf_value h = conv(sf_activate(graph, norm(x), SF_ACTIVATION_SILU));
        h = conv(sf_activate(graph, norm(h), SF_ACTIVATION_SILU));
        x = sf_add(graph, h, x);
    }
    sf_output(graph, "y", x);
    sf_plan_options options = {.backend = reference, .no_memory = true};
    sf_plan *plan = NULL;
    ck_ok(ctx, sf_plan_new(ctx, graph, &options, &plan));
    uint64_t image = (uint64_t)(n * n * 4 * 4), scratch = 0;
    for (size_t s = 0; s < plan->n_steps; s++)
        if (plan->steps[s].call.workspace_bytes > scratch)
            scratch = plan->steps[s].call.workspace_bytes;
    /* the plan's input stays for the next run, and each step's scratch lies beside */
    ck_assert_uint_le(sf_plan_get_stats(plan)->arena_bytes, 4 * image + scratch + 1024);
    sf_plan_free(plan);
}
END_TEST

Suite *suite_core_plan_in_place(void) {
    Suite *suite = suite_create("core_plan_in_place");
    TCase *tcase = tcase_create("plan");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, what_works_in_place_gives_the_same, 0, N_CASES);
    tcase_add_test(tcase, a_residual_block_keeps_three_tensors);
    suite_add_tcase(suite, tcase);
    return suite;
}
