#include "tests/backends/gpu/opencl_test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/backend.h"
#include "core/context.h"
#include "core/graph.h"
#include "plugins/registry.h"
#include "tests/support/support.h"

/* ---- is there a device? ---- */

static char device[600], lack[600]; /* one of them is "" */
static int n_left_out;

/* In the child, which is no test: '+' and the device's name, or '-' and why there is none. */
static void look(int to) {
    char answer[600] = "-the plugin is not built";
    const sf_backend_info *infos;
    sf_context_options options;
    sf_context *ctx = NULL;
    int n = 0;
    sf_context_options_init(&options);
    options.log = NULL;
    if (sf_context_new(&options, &ctx) != SF_OK || sf_backend_list(ctx, &infos, &n) != SF_OK)
        _exit(1);
    for (int i = 0; i < n; i++)
        if (strcmp(infos[i].name, "opencl") == 0)
            snprintf(answer, sizeof answer, "%c%s", infos[i].reason[0] ? '-' : '+',
                     infos[i].reason[0] ? infos[i].reason : infos[i].device);
    ssize_t written = write(to, answer, strlen(answer));
    _exit(written < 0);
}

static void read_answer(int from, char *answer, size_t bytes) {
    size_t used = 0;
    for (ssize_t n; (n = read(from, answer + used, bytes - 1 - used)) > 0;)
        used += (size_t)n;
    answer[used] = '\0';
}

/* A driver starts threads, which do not live through the fork of a test: hence another process. */
static void look_once(void) {
    char answer[600];
    int ends[2], status = 0;
    if (device[0] || lack[0])
        return;
    snprintf(lack, sizeof lack, "looking for a device failed");
    if (pipe(ends) != 0)
        return;
    pid_t child = fork();
    if (child == 0)
        look(ends[1]);
    close(ends[1]);
    read_answer(ends[0], answer, sizeof answer);
    close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || !answer[0])
        return;
    snprintf(device, sizeof device, "%s", answer[0] == '+' ? answer + 1 : "");
    snprintf(lack, sizeof lack, "%s", answer[0] == '-' ? answer + 1 : "");
}

bool opencl_is_there(void) {
    look_once();
    return device[0] != '\0';
}

void opencl_leave_out(int n_tests) {
    n_left_out += n_tests;
}

int opencl_n_left_out(void) {
    return n_left_out;
}

void opencl_tell(int n) {
    if (opencl_is_there())
        printf("opencl device: %s\n", device);
    else
        printf("opencl: %d tests left out: %s\n", n, lack);
}

/* ---- contexts, counters ---- */

sf_context *opencl_context(int strict) {
    sf_context_options options;
    sf_context *ctx = NULL;
    sf_context_options_init(&options);
    options.log = NULL;
    options.backend = "opencl";
    options.strict = strict;
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    ck_ok(ctx, sf_context_open_backend(ctx));
    return ctx;
}

sf_backend_counters opencl_counters(const sf_context *ctx) {
    sf_backend_counters counters = {.struct_size = sizeof counters};
    ck_assert_ptr_nonnull(ctx->backend->plugin.read_counters);
    ctx->backend->plugin.read_counters(ctx->backend->instance, &counters);
    return counters;
}

/* ---- a plan ---- */

sf_plan *opencl_silu_plan(sf_context *ctx, int64_t n) {
    sf_graph *graph = NULL;
    sf_plan *plan = NULL;
    const sf_plan_options options = {.backend = ctx->backend};
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    sf_output(graph, "y", sf_unary(graph, SF_OP_silu, sf_input(graph, "x", SF_F32, SF_DIMS(n))));
    ck_ok(ctx, sf_plan_new(ctx, graph, &options, &plan));
    return plan;
}

void opencl_check_silu(sf_context *ctx, sf_plan *plan) {
    size_t bytes = sf_spec_bytes(sf_plan_input_spec(plan, 0)), n = bytes / sizeof(float);
    float *x = malloc(bytes), *y = malloc(bytes);
    ck_assert(x && y);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)i / (float)n * 8 - 4;
    ck_ok(ctx, sf_plan_write(plan, 0, x, bytes));
    ck_ok(ctx, sf_plan_run(plan));
    ck_ok(ctx, sf_plan_read(plan, 0, y, bytes));
    for (size_t i = 0; i < n; i++)
        ck_assert_float_eq_tol(y[i], x[i] / (1 + expf(-x[i])), 1e-5f);
    free(x);
    free(y);
}
