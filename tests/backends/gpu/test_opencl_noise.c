/*
 * random_normal in f32 on the device against the reference, which computes in double: many numbers, so
 * that words near 0 and 2^32 are met, and seeds and offsets of more than 32 bits.
 *
 * Tolerance: the largest value is 6.7, whose rounding in f32 is 2.4e-7, and so is each step's; 2e-6 are
 * some of these.
 */
#include <math.h>
#include <stdlib.h>

#include "core/context.h"
#include "core/graph.h"
#include "tests/backends/gpu/opencl_test.h"
#include "tests/support/plans.h"
#include "tests/support/support.h"

Suite *suite_backends_gpu_opencl_noise(void);

#define N         (1 << 18)
#define TOLERANCE 2e-6f

static float *draw(sf_context *ctx, sf_backend *backend, const int64_t key[2]) {
    void *y;
    sf_graph *g = NULL;
    ck_ok(ctx, sf_graph_new(ctx, NULL, &g));
    sf_output(g, "y", sf_random_normal(g, sf_input(g, "key", SF_I64, SF_DIMS(2)), SF_DIMS(N)));
    sf_plan *plan = make_plan(ctx, g, backend, NULL, false);
    run_plan(ctx, plan, (const void *const[]){key}, &y);
    sf_plan_free(plan);
    return y;
}

START_TEST(draws_as_the_reference) {
    static const int64_t keys[][2] = {
        {0, 0}, {42, 7}, {-1, INT64_C(0x123456789a)}, {INT64_MIN, INT64_MAX}};
    sf_context *ctx = opencl_context(1);
    float *found = draw(ctx, ctx->backend, keys[_i]);
    float *wanted = draw(ctx, open_reference(ctx), keys[_i]);
    int far = 0;
    while (far < N && fabsf(found[far] - wanted[far]) <= TOLERANCE)
        far++;
    ck_assert_msg(far == N, "number %d is %.9g, not %.9g", far, (double)found[far % N],
                  (double)wanted[far % N]);
    free(found);
    free(wanted);
    sf_context_free(ctx);
}
END_TEST

Suite *suite_backends_gpu_opencl_noise(void) {
    Suite *suite = suite_create("backends_gpu_opencl_noise");
    TCase *tcase = tcase_create("noise");
    opencl_add_test(tcase, draws_as_the_reference, 4);
    suite_add_tcase(suite, tcase);
    return suite;
}
