/*
 * Ops that move data, on views that the conformance grid does not have: slices that begin anywhere, of
 * every size of element, so that units of several elements are met and missed; and rows of a table that
 * are not there.
 */
#include <math.h>
#include <stdlib.h>

#include "core/context.h"
#include "core/graph.h"
#include "tests/backends/gpu/opencl_test.h"
#include "tests/support/plans.h"
#include "tests/support/random_graph.h"
#include "tests/support/support.h"

Suite *suite_backends_gpu_opencl_moving(void);

/* ---- views ---- */

#define N_GRAPHS 60
#define N_DIMS   4

static const sf_dtype types[] = {SF_U8, SF_F16, SF_BF16, SF_F32, SF_I32, SF_I64};
#define N_TYPES ((int)(sizeof types / sizeof *types))

/* Some of x along the axis, at least one step. */
static sf_value some_of(sf_graph *g, test_random *random, sf_value x, int axis) {
    int64_t size = sf_value_dim(g, x, axis), start = random_below(random, size);
    return sf_slice(g, x, axis, start, 1 + random_below(random, size - start));
}

static sf_value reordered(sf_graph *g, test_random *random, sf_value x) {
    int order[N_DIMS] = {0, 1, 2, 3};
    for (int i = N_DIMS - 1; i > 0; i--) {
        int other = (int)random_below(random, i + 1), kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
    return sf_permute(g, x, order);
}

/* A copy of a view, and up to nine parts of it put together. */
static sf_graph *build(sf_context *ctx, sf_dtype dtype, uint64_t seed) {
    test_random random = {.state = seed};
    int64_t dims[N_DIMS];
    sf_graph *g = NULL;
    sf_value parts[9];
    ck_ok(ctx, sf_graph_new(ctx, NULL, &g));
    for (int axis = 0; axis < N_DIMS; axis++)
        dims[axis] = 1 + random_below(&random, 8);
    if (random_below(&random, 2))
        dims[3] = 16; /* rows of whole units */
    sf_value x = sf_input(g, "x", dtype, N_DIMS, dims);
    for (int i = 0; i < 2; i++)
        x = some_of(g, &random, x, (int)random_below(&random, N_DIMS));
    if (random_below(&random, 2))
        x = reordered(g, &random, x);
    int n_parts = 1 + (int)random_below(&random, 9), along = (int)random_below(&random, N_DIMS);
    for (int i = 0; i < n_parts; i++)
        parts[i] = some_of(g, &random, x, along);
    sf_output(g, "copy", sf_copy(g, x));
    sf_output(g, "concat", sf_concat(g, parts, n_parts, along));
    return g;
}

START_TEST(views_are_moved_as_on_the_reference) {
    sf_context *ctx = opencl_context(1);
    sf_backend *backends[2] = {open_reference(ctx), ctx->backend};
    for (uint64_t seed = 0; seed < N_GRAPHS; seed++) {
        void *outputs[2][2], *x = NULL;
        for (int b = 0; b < 2; b++) {
            sf_plan *plan = make_plan(ctx, build(ctx, types[_i], seed), backends[b], NULL, false);
            size_t bytes = sf_spec_bytes(sf_plan_input_spec(plan, 0));
            if (!x)
                x = malloc(bytes);
            for (size_t i = 0; i < bytes; i++)
                ((unsigned char *)x)[i] = (unsigned char)(i * 7 + i / 251);
            run_plan(ctx, plan, (const void *const[]){x}, outputs[b]);
            for (int k = 0; b == 1 && k < 2; k++)
                ck_assert_mem_eq(outputs[1][k], outputs[0][k],
                                 sf_spec_bytes(sf_plan_output_spec(plan, k)));
            sf_plan_free(plan);
        }
        for (int i = 0; i < 4; i++)
            free(outputs[i / 2][i % 2]);
        free(x);
    }
    sf_context_free(ctx);
}
END_TEST

/* ---- rows that are not there ---- */

/* The op can't fail on a device: such rows are NaN, the others as they should be. */
START_TEST(rows_that_are_not_there_are_nan) {
    static const int64_t ids[] = {2, -1, 5, 0, INT64_MAX, INT64_MIN, INT64_C(1) << 32, 4};
    enum { N_IDS = sizeof ids / sizeof *ids, N_ROWS = 5, WIDTH = 3 };
    sf_context *ctx = opencl_context(1);
    sf_graph *g = NULL;
    float table[N_ROWS * WIDTH];
    void *y;
    ck_ok(ctx, sf_graph_new(ctx, NULL, &g));
    sf_value rows = sf_input(g, "table", SF_F32, SF_DIMS(N_ROWS, WIDTH));
    sf_output(g, "y", sf_embedding(g, rows, sf_input(g, "ids", SF_I64, SF_DIMS(N_IDS))));
    for (int i = 0; i < N_ROWS * WIDTH; i++)
        table[i] = (float)i;
    sf_plan *plan = make_plan(ctx, g, ctx->backend, NULL, false);
    run_plan(ctx, plan, (const void *const[]){table, ids}, &y);
    for (int i = 0; i < N_IDS * WIDTH; i++) {
        int64_t id = ids[i / WIDTH];
        float found = ((const float *)y)[i];
        if (id < 0 || id >= N_ROWS)
            ck_assert_float_nan(found);
        else
            ck_assert_float_eq(found, table[id * WIDTH + i % WIDTH]);
    }
    free(y);
    sf_plan_free(plan);
    sf_context_free(ctx);
}
END_TEST

Suite *suite_backends_gpu_opencl_moving(void) {
    Suite *suite = suite_create("backends_gpu_opencl_moving");
    TCase *tcase = tcase_create("moving");
    opencl_add_test(tcase, views_are_moved_as_on_the_reference, N_TYPES);
    opencl_add_test(tcase, rows_that_are_not_there_are_nan, 1);
    suite_add_tcase(suite, tcase);
    return suite;
}
