/*
 * What a run takes, by the plugin's own counters: one launch an op, no memory, no compiler, no waiting,
 * and nothing is uploaded but the scalars that change. Nor in a step of a whole drawing.
 */
#include <stdlib.h>

#include "core/backend.h"
#include "core/context.h"
#include "core/graph.h"
#include "tests/backends/gpu/opencl_test.h"
#include "tests/support/support.h"

Suite *suite_backends_gpu_opencl_counters(void);

#define CHANGE(after, before, member) ((after).member - (before).member)

/* ---- a plan of all kinds of ops ---- */

/* y [2, 8, 8, 6] f32 of x [2, 8, 8, 3] and a scalar; as many ops as the number in n_ops. */
static sf_graph *build(sf_context *ctx, uint64_t *n_ops) {
    sf_graph *g = NULL;
    ck_ok(ctx, sf_graph_new(ctx, NULL, &g));
    sf_value x = sf_input(g, "x", SF_F32, SF_DIMS(2, 8, 8, 3));
    sf_value scale = sf_input(g, "scale", SF_F32, SF_DIMS(1));
    sf_value coefficients = sf_input(g, "coefficients", SF_F32, SF_DIMS(2));
    sf_value scaled = sf_multiply(g, x, scale);
    sf_value half = sf_unary(g, SF_OP_silu, sf_cast(g, scaled, SF_F16));
    sf_value other = sf_resize(g, sf_cast(g, half, SF_F32), 8, 8, SF_RESIZE_NEAREST);
    sf_value mixed = sf_linear_combination(g, coefficients, (sf_value[]){scaled, other}, 2);
    sf_output(g, "y", sf_concat(g, (sf_value[]){mixed, other}, 2, 3));
    *n_ops = 7;
    return g;
}

static void write_scalars(sf_context *ctx, sf_plan *plan, float scale) {
    const float coefficients[2] = {scale, 1 - scale};
    ck_ok(ctx, sf_plan_write(plan, sf_plan_find_input(plan, "scale"), &scale, sizeof scale));
    ck_ok(ctx, sf_plan_write(plan, sf_plan_find_input(plan, "coefficients"), coefficients,
                             sizeof coefficients));
}

START_TEST(a_run_only_launches) {
    uint64_t n_ops;
    sf_context *ctx = opencl_context(1);
    const sf_plan_options options = {.backend = ctx->backend};
    sf_plan *plan = NULL;
    static const float x[2 * 8 * 8 * 3];
    ck_ok(ctx, sf_plan_new(ctx, build(ctx, &n_ops), &options, &plan));
    ck_ok(ctx, sf_plan_write(plan, sf_plan_find_input(plan, "x"), x, sizeof x));
    for (int step = 0; step < 5; step++) {
        sf_backend_counters before = opencl_counters(ctx);
        write_scalars(ctx, plan, 0.1f * (float)step);
        ck_ok(ctx, sf_plan_run(plan));
        sf_backend_counters after = opencl_counters(ctx);
        ck_assert_uint_eq(CHANGE(after, before, n_launches), n_ops);
        ck_assert_uint_eq(CHANGE(after, before, n_products), 0);
        ck_assert_uint_eq(CHANGE(after, before, n_synchronizations), 0);
        ck_assert_uint_eq(CHANGE(after, before, n_allocations), 0);
        ck_assert_uint_eq(CHANGE(after, before, n_builds), 0);
        ck_assert_uint_eq(CHANGE(after, before, bytes_uploaded), 3 * sizeof(float));
        ck_assert_uint_eq(CHANGE(after, before, bytes_downloaded), 0);
    }
    sf_plan_free(plan);
    sf_context_free(ctx);
}
END_TEST

/* Uploads of scalars without end: the staging memory is used again, after waiting. */
START_TEST(many_scalars_wait_seldom) {
    enum { N_STEPS = 20000 };
    sf_context *ctx = opencl_context(1);
    sf_plan *plan = opencl_silu_plan(ctx, 2);
    float y[2];
    sf_backend_counters before = opencl_counters(ctx);
    for (int step = 0; step < N_STEPS; step++) {
        const float x[2] = {(float)step, -1};
        ck_ok(ctx, sf_plan_write(plan, 0, x, sizeof x));
    }
    ck_ok(ctx, sf_plan_run(plan));
    sf_backend_counters after = opencl_counters(ctx);
    ck_assert_uint_ge(CHANGE(after, before, n_synchronizations), 1);
    ck_assert_uint_le(CHANGE(after, before, n_synchronizations), N_STEPS / 100);
    ck_ok(ctx, sf_plan_read(plan, 0, y, sizeof y));
    ck_assert_float_eq_tol(y[0], (float)(N_STEPS - 1), 1e-2f);
    sf_plan_free(plan);
    sf_context_free(ctx);
}
END_TEST

/* ---- a drawing ---- */

#define N_STEPS     6
#define CHECK_BYTES 4 /* how many numbers of a step's result are not finite */

/* What the steps of a drawing took. */
static struct {
    sf_context *ctx;
    int n_steps;
    bool alone; /* all ops ran on the plugin */
    sf_backend_counters after[N_STEPS];
} seen;

/* Until the drawing's end, where the counts start again. */
static bool ran_alone(const sf_context *ctx) {
    for (int op = 0; op < SF_OP_COUNT; op++)
        if (ctx->backend->fallbacks[op].n_runs)
            return false;
    return true;
}

static int look(void *user, const sf_progress *progress) {
    (void)user;
    (void)progress;
    if (seen.ctx && seen.ctx->backend && strcmp(progress->stage, "denoise") == 0 &&
        progress->step >= 1 && progress->step <= N_STEPS) {
        seen.after[progress->step - 1] = opencl_counters(seen.ctx);
        seen.n_steps = progress->step;
        seen.alone = ran_alone(seen.ctx);
    }
    return 0;
}

static void check_steps(void) {
    ck_assert_int_eq(seen.n_steps, N_STEPS);
    for (int i = 2; i < N_STEPS; i++) { /* the first step does what is done once */
        const sf_backend_counters *after = &seen.after[i], *before = &seen.after[i - 1];
        ck_assert_uint_eq(CHANGE(*after, *before, n_allocations), 0);
        ck_assert_uint_eq(CHANGE(*after, *before, n_builds), 0);
        ck_assert_uint_eq(CHANGE(*after, *before, n_launches),
                          CHANGE(seen.after[2], seen.after[1], n_launches));
        ck_assert_uint_eq(CHANGE(*after, *before, n_synchronizations),
                          CHANGE(seen.after[2], seen.after[1], n_synchronizations));
        if (!seen.alone) /* what the plugin lacks goes to the host and back */
            continue;
        ck_assert_uint_le(CHANGE(*after, *before, n_synchronizations), 1);
        ck_assert_uint_le(CHANGE(*after, *before, bytes_uploaded), 256);
        ck_assert_uint_eq(CHANGE(*after, *before, bytes_downloaded), CHECK_BYTES);
    }
}

START_TEST(a_step_of_a_drawing_only_launches) {
    sf_context_options options;
    sf_generate_options wanted;
    sf_pipeline *pipeline;
    sf_image *image = NULL;
    sf_context_options_init(&options);
    sf_generate_options_init(&wanted);
    options.log = NULL;
    options.backend = "opencl";
    options.progress = look;
    wanted.prompt = "a red apple";
    wanted.steps = N_STEPS;
    ck_assert_int_eq(sf_context_new(&options, &seen.ctx), SF_OK);
    ck_ok(seen.ctx, sf_pipeline_load(seen.ctx, test_model(""), &pipeline));
    ck_ok(seen.ctx, sf_pipeline_generate(pipeline, &wanted, &image));
    check_steps();
    sf_image_free(image);
    sf_pipeline_free(pipeline);
    sf_context_free(seen.ctx);
}
END_TEST

Suite *suite_backends_gpu_opencl_counters(void) {
    Suite *suite = suite_create("backends_gpu_opencl_counters");
    TCase *tcase = tcase_create("counters");
    tcase_set_timeout(tcase, 120);
    opencl_add_test(tcase, a_run_only_launches, 1);
    opencl_add_test(tcase, many_scalars_wait_seldom, 1);
    opencl_add_test(tcase, a_step_of_a_drawing_only_launches, 1);
    suite_add_tcase(suite, tcase);
    return suite;
}
