/*
 * Random graphs: however a plan is made (fused or not, on a backend that lacks ops, with or without
 * a memory of its own), its results are those of the graph computed one op at a time, each into
 * memory of its own.
 */
#include "core/plan/internal.h"

#include <math.h>
#include <stdlib.h>

#include "plugins/registry.h"
#include "tests/backends/gpu/opencl_test.h"
#include "tests/plugins/fake.h"
#include "tests/plugins/plugins.h"
#include "tests/support/plans.h"
#include "tests/support/random_graph.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_core_plan_random(void);

#define N_SEEDS     400
#define SEEDS_A_RUN 50 /* a test is so many */
#define MOST        16 /* inputs, outputs */

/* One graph, its inputs, and what its outputs should be. */
typedef struct sample {
    sf_context *ctx;
    sf_backend *reference;
    uint64_t seed;
    sf_graph *graph;
    void **values; /* of graph's nodes */
    void *inputs[MOST];
    int n_inputs;
} sample;

/* A new graph from the seed: plans take theirs over. About half of the inputs are settled. */
static sf_graph *graph_of(const sample *s) {
    sf_graph *graph;
    test_random random = {.state = s->seed + 2000000};
    random_graph(s->ctx, s->seed, &graph);
    for (size_t i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i].kind == SF_NODE_INPUT)
            graph->nodes[i].settled = random_below(&random, 2);
    return graph;
}

static void sample_setup(sample *s, sf_context *ctx, uint64_t seed) {
    *s = (sample){.ctx = ctx, .seed = seed, .reference = open_reference(ctx)};
    s->graph = graph_of(s);
    test_random random = {.state = seed + 1000000};
    for (size_t i = 0; i < s->graph->n_nodes; i++) {
        if (s->graph->nodes[i].kind != SF_NODE_INPUT)
            continue;
        int64_t n = sf_spec_elements(&s->graph->nodes[i].spec);
        s->inputs[s->n_inputs] = calloc((size_t)n + 1, sizeof(float));
        random_floats(&random, s->inputs[s->n_inputs++], n);
    }
    s->values = calloc(s->graph->n_nodes, sizeof *s->values);
    evaluate_graph(ctx, s->reference, s->graph, (const void *const *)s->inputs, s->values);
}

static void sample_teardown(sample *s) {
    free_values(s->graph, s->values);
    free(s->values);
    for (int i = 0; i < s->n_inputs; i++)
        free(s->inputs[i]);
    sf_graph_free(s->graph);
}

/*
 * tolerance 0: bit for bit. Otherwise |a - b| <= tolerance (1 + |b|): sums in another order and
 * functions written in simpler ones differ in their last bits, and values are below some tens.
 */
static void check_outputs(const sample *s, void *const *outputs, const char *how, float tolerance) {
    for (size_t k = 0; k < s->graph->n_outputs; k++) {
        sf_value value = s->graph->outputs[k].value;
        const sf_spec *spec = sf_value_spec(s->graph, value);
        const float *got = outputs[k], *wanted = s->values[value];
        ck_assert_int_eq(spec->dtype, SF_F32);
        for (int64_t i = 0; i < sf_spec_elements(spec); i++)
            ck_assert_msg(memcmp(&got[i], &wanted[i], sizeof(float)) == 0 ||
                              fabsf(got[i] - wanted[i]) <= tolerance * (1 + fabsf(wanted[i])),
                          "seed %d, %s: element %d of output %d is %.9g, not %.9g", (int)s->seed,
                          how, (int)i, (int)k, (double)got[i], (double)wanted[i]);
    }
}

static void free_outputs(const sample *s, void **outputs) {
    for (size_t i = 0; i < s->graph->n_outputs; i++)
        free(outputs[i]);
}

static void run_and_check(const sample *s, sf_plan *plan, const char *how, float tolerance) {
    void *outputs[MOST];
    ck_ok(s->ctx, sf_plan_run(plan));
    read_outputs(s->ctx, plan, outputs);
    check_outputs(s, outputs, how, tolerance);
    free_outputs(s, outputs);
}

static bool is_settled(const sf_plan *plan, int input) {
    return plan->graph->nodes[plan->inputs[input]].settled;
}

/* Writes the inputs that are not settled, with their values or with zeros. */
static void write_unsettled(const sample *s, sf_plan *plan, bool zeros) {
    for (int i = 0; i < s->n_inputs; i++) {
        size_t bytes = sf_spec_bytes(sf_plan_input_spec(plan, i));
        void *nothing = calloc(1, bytes + 1);
        if (!is_settled(plan, i))
            ck_ok(s->ctx, sf_plan_write(plan, i, zeros ? nothing : s->inputs[i], bytes));
        free(nothing);
    }
}

/*
 * Runs, runs again, again after the inputs were written in another order, and again after a run in
 * which those that are not settled were zero.
 */
static void check_plan(const sample *s, sf_plan *plan, const char *how, float tolerance) {
    check_plan_memory(plan);
    ck_assert_int_eq(sf_plan_n_inputs(plan), s->n_inputs);
    write_inputs(s->ctx, plan, (const void *const *)s->inputs);
    run_and_check(s, plan, how, tolerance);
    run_and_check(s, plan, how, tolerance);
    for (int i = s->n_inputs - 1; i >= 0; i--)
        ck_ok(s->ctx,
              sf_plan_write(plan, i, s->inputs[i], sf_spec_bytes(sf_plan_input_spec(plan, i))));
    run_and_check(s, plan, how, tolerance);
    write_unsettled(s, plan, true);
    ck_ok(s->ctx, sf_plan_run(plan));
    write_unsettled(s, plan, false);
    run_and_check(s, plan, how, tolerance);
}

static void check_new_plan(const sample *s, sf_backend *backend, sf_backend *fallback,
                           bool no_fusion, const char *how, float tolerance) {
    sf_plan *plan = make_plan(s->ctx, graph_of(s), backend, fallback, no_fusion);
    check_plan(s, plan, how, tolerance);
    sf_plan_free(plan);
}

/* ---- on the reference ---- */

/* New memory is NaN, so that what was never written shows. */
static void *poisoned_resize(void *user, void *block, size_t bytes) {
    (void)user;
    if (bytes == 0) {
        free(block);
        return NULL;
    }
    if (block)
        return realloc(block, bytes);
    block = malloc(bytes);
    return block ? memset(block, 0xff, bytes) : NULL;
}

static sf_context *poisoned_context(const char *backend, const char *path) {
    sf_context_options options;
    sf_context *ctx = NULL;
    sf_context_options_init(&options);
    options.allocator = (sf_allocator){.resize = poisoned_resize};
    options.backend = backend;
    options.plugin_path = path;
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    return ctx;
}

START_TEST(plans_give_what_single_ops_give) {
    sf_context *ctx = poisoned_context(NULL, NULL);
    size_t n_fused = 0, n_steps = 0;
    for (int i = 0; i < SEEDS_A_RUN; i++) {
        sample s;
        sample_setup(&s, ctx, (uint64_t)(_i * SEEDS_A_RUN + i));
        check_new_plan(&s, s.reference, NULL, true, "as written", 0);
        sf_plan *plan = make_plan(ctx, graph_of(&s), s.reference, NULL, false);
        check_plan(&s, plan, "fused", 1e-5f);
        n_fused += sf_plan_get_stats(plan)->n_fused;
        n_steps += sf_plan_get_stats(plan)->n_steps;
        sf_plan_free(plan);
        sample_teardown(&s);
    }
    ck_assert_msg(n_fused >= 3 && n_steps > 4 * SEEDS_A_RUN, "%zu fused, %zu steps: too dull",
                  n_fused, n_steps);
    sf_context_free(ctx);
}
END_TEST

/* ---- with ops taken away ---- */

static test_random choice;

static bool has_some(sf_op_id op) {
    (void)op;
    return random_below(&choice, 3) > 0;
}

/* What is left of some backends: sums, products, and functions of one number. */
static bool has_primitives(sf_op_id op) {
    static const sf_op_id simple[] = {
        SF_OP_add,  SF_OP_multiply, SF_OP_divide, SF_OP_affine, SF_OP_clamp,  SF_OP_sigmoid,
        SF_OP_exp,  SF_OP_sqrt,     SF_OP_tanh,   SF_OP_matmul, SF_OP_conv2d, SF_OP_sum,
        SF_OP_copy, SF_OP_concat,   SF_OP_cast,   SF_OP_square,
    };
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
        if (simple[i] == op)
            return true;
    return false;
}

START_TEST(ops_that_are_lacking_run_elsewhere_or_in_parts) {
    sf_context *ctx = poisoned_context(NULL, NULL);
    size_t n_lowered = 0;
    int n_fallbacks = 0, count;
    for (int i = 0; i < SEEDS_A_RUN; i++) {
        sample s;
        sample_setup(&s, ctx, (uint64_t)(_i * SEEDS_A_RUN + i));
        choice.state = s.seed;
        sf_backend *some = limit_backend(s.reference, "some", has_some);
        sf_plan *plan = make_plan(ctx, graph_of(&s), some, s.reference, _i % 2);
        check_plan(&s, plan, "on a backend that has some ops", 2e-4f);
        n_lowered += sf_plan_get_stats(plan)->n_lowered;
        sf_plan_fallbacks(plan, &count);
        n_fallbacks += count;
        sf_plan_free(plan);

        sf_backend *primitive = limit_backend(s.reference, "primitive", has_primitives);
        check_new_plan(&s, primitive, s.reference, false, "on primitives", 2e-4f);
        free(primitive);
        free(some);
        sample_teardown(&s);
    }
    ck_assert_msg(n_lowered > 0 && n_fallbacks > 0, "%zu lowered, %d fallbacks: too dull",
                  n_lowered, n_fallbacks);
    sf_context_free(ctx);
}
END_TEST

/* ---- on plugins with few ops ---- */

static void check_on_plugin(const char *name, int first_seed) {
    sf_context *ctx = poisoned_context(name, test_plugins("fake lazy"));
    fake_state *state = fake();
    for (int i = 0; i < SEEDS_A_RUN; i++) {
        sample s;
        sf_plan_options options;
        sample_setup(&s, ctx, (uint64_t)(first_seed + i));
        ck_ok(ctx, sf_plan_options_for(ctx, &options));
        ck_assert_str_eq(options.backend->name, name);
        ck_assert_ptr_nonnull(options.fallback);
        options.fallback = s.reference; /* lazy is another one with host memory */
        check_new_plan(&s, options.backend, options.fallback, i % 2, name, 2e-4f);
        ck_assert_int_eq(state->live_buffers, 0);
        ck_assert_int_eq(state->live_prepared, 0);
        ck_assert_int_eq(state->n_errors, 0);
        sample_teardown(&s);
    }
    ck_assert_int_gt(state->n_runs, 0);
    sf_context_free(ctx);
    ck_assert_int_eq(state->live_backends, 0);
}

START_TEST(a_device_with_memory_of_its_own) {
    check_on_plugin("fake", _i * SEEDS_A_RUN);
}
END_TEST

START_TEST(host_memory_and_runs_that_return_early) {
    check_on_plugin("lazy", _i * SEEDS_A_RUN);
}
END_TEST

/* ---- on a device ---- */

START_TEST(on_opencl_they_give_it_too) {
    sf_context *ctx = opencl_context(0);
    for (int i = 0; i < SEEDS_A_RUN; i++) {
        sample s;
        sample_setup(&s, ctx, (uint64_t)(1000 + _i * SEEDS_A_RUN + i));
        check_new_plan(&s, ctx->backend, ctx->fallback, i % 2, "on opencl", 1e-4f);
        sample_teardown(&s);
    }
    sf_context_free(ctx);
}
END_TEST

Suite *suite_core_plan_random(void) {
    Suite *suite = suite_create("core_plan_random");
    TCase *tcase = tcase_create("random graphs");
    tcase_add_checked_fixture(tcase, scratch_setup, scratch_teardown);
    tcase_add_loop_test(tcase, plans_give_what_single_ops_give, 0, N_SEEDS / SEEDS_A_RUN);
    tcase_add_loop_test(tcase, ops_that_are_lacking_run_elsewhere_or_in_parts, 0,
                        N_SEEDS / SEEDS_A_RUN);
    tcase_add_loop_test(tcase, a_device_with_memory_of_its_own, 0, N_SEEDS / SEEDS_A_RUN);
    tcase_add_loop_test(tcase, host_memory_and_runs_that_return_early, 0, N_SEEDS / SEEDS_A_RUN);
    opencl_add_test(tcase, on_opencl_they_give_it_too, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}
