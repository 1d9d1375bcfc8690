/*
 * What the tests of the opencl plugin share. They take device 0: PoCL where there is no GPU. Where the
 * plugin is not built or has no device its tests are left out, and counted.
 */
#ifndef SF_TESTS_BACKENDS_GPU_OPENCL_TEST_H
#define SF_TESTS_BACKENDS_GPU_OPENCL_TEST_H

#include <check.h>
#include <stdbool.h>

#include "core/plan.h"
#include "sfumato_plugin.h"

/* Whether there is a device. It is looked for once, in a process of its own. */
bool opencl_is_there(void);

/* Adds the test n_times, or counts as many as left out. */
#define opencl_add_test(tcase, test, n_times)                                                      \
    do {                                                                                           \
        if (opencl_is_there())                                                                     \
            tcase_add_loop_test((tcase), test, 0, (n_times));                                      \
        else                                                                                       \
            opencl_leave_out(n_times);                                                             \
    } while (0)

void opencl_leave_out(int n_tests);

/* How many of the suites that this process has made. */
int opencl_n_left_out(void);

/* A line on stdout: the device, or how many tests were left out and why. */
void opencl_tell(int n_left_out);

/* A context on device 0 which logs nothing; strict: nothing runs elsewhere. */
sf_context *opencl_context(int strict);

sf_backend_counters opencl_counters(const sf_context *ctx);

/* A plan of y = silu(x [n]) on the context's backend, and its run, whose result is looked at. */
sf_plan *opencl_silu_plan(sf_context *ctx, int64_t n);
void opencl_check_silu(sf_context *ctx, sf_plan *plan);

#endif
