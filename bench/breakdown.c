/*
 * Where in a plan the time goes: an observer of the plan adds up the seconds of each step, and the
 * steps are put together by kind. See bench.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "core/memory.h"
#include "core/tensor.h"

/* Steps of one kind. */
typedef struct row {
    char kind[512];
    int n_steps;
    double seconds, flops, bytes;
} row;

typedef struct watch {
    double *seconds; /* by step, of all runs */
    double begun;    /* of the step at hand */
} watch;

static void before_step(void *user, size_t step) {
    (void)step;
    ((watch *)user)->begun = sf_bench_now();
}

static void after_step(void *user, size_t step) {
    watch *w = user;
    w->seconds[step] += sf_bench_now() - w->begun;
}

/* ---- kinds ---- */

static const char *convolution_kind(const sf_plan_step *step) {
    const int64_t *weight = step->inputs[1].dims;
    const sf_conv2d_attributes *a = &step->attributes->conv2d;
    bool is_3x3 = weight[2] == 3 && weight[3] == 3, is_1x1 = weight[2] == 1 && weight[3] == 1;
    int strides = a->stride[0] == a->stride[1] ? a->stride[0] : 0;
    bool plain = a->groups == 1 && a->dilation[0] == 1 && a->dilation[1] == 1;
    if (plain && is_3x3 && strides == 1)
        return "conv2d_3x3";
    if (plain && is_3x3 && strides == 2)
        return "conv2d_3x3_stride2";
    return plain && is_1x1 && strides == 1 ? "conv2d_1x1" : "conv2d_other";
}

static const char *kind_of(const sf_plan_step *step) {
    const sf_op *op = sf_op_get(step->op);
    if (step->is_copy)
        return "between_backends";
    if (step->op == SF_OP_conv2d)
        return convolution_kind(step);
    if ((op->flags & SF_OP_ELEMENTWISE) || step->op == SF_OP_geglu)
        return "elementwise";
    if ((op->flags & SF_OP_EXACT) || step->op == SF_OP_cast)
        return "moving_data";
    return op->name;
}

void sf_bench_kind(const sf_plan_step *step, bool by_shapes, char *text, size_t bytes) {
    char shape[SF_SHAPE_TEXT];
    size_t used = (size_t)snprintf(text, bytes, "%s%s%s", kind_of(step),
                                   step->on_fallback ? "_on_fallback" : "", by_shapes ? " " : "");
    for (int i = 0; by_shapes && i < step->n_inputs && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%s", i ? ", " : "",
                                 sf_spec_text(&step->inputs[i], shape));
}

/* ---- rows ---- */

static row *find_row(row *rows, size_t *n_rows, const char *kind) {
    size_t i = 0;
    while (i < *n_rows && strcmp(rows[i].kind, kind) != 0)
        i++;
    if (i == *n_rows)
        snprintf(rows[(*n_rows)++].kind, sizeof rows[i].kind, "%s", kind);
    return &rows[i];
}

static size_t add_up(const sf_plan *plan, const watch *w, int n_runs, bool by_shapes, row *rows) {
    size_t n_rows = 0;
    for (size_t s = 0; s < sf_plan_step_count(plan); s++) {
        sf_plan_step step;
        char kind[sizeof rows->kind];
        sf_plan_get_step(plan, s, &step);
        sf_bench_kind(&step, by_shapes, kind, sizeof kind);
        row *r = find_row(rows, &n_rows, kind);
        r->n_steps++;
        r->seconds += w->seconds[s] / n_runs;
        r->bytes += sf_bench_bytes(step.op, step.inputs, step.n_inputs, &step.output);
        if (!step.is_copy)
            r->flops +=
                sf_op_flops(step.op, step.inputs, step.n_inputs, step.attributes, &step.output);
    }
    return n_rows;
}

static int by_time(const void *a, const void *b) {
    double x = ((const row *)a)->seconds, y = ((const row *)b)->seconds;
    return (x < y) - (x > y);
}

static json_t *rows_json(const row *rows, size_t n_rows) {
    json_t *list = json_array();
    double whole = 0;
    int failed = 0;
    for (size_t i = 0; i < n_rows; i++)
        whole += rows[i].seconds;
    for (size_t i = 0; i < n_rows; i++) {
        const row *r = &rows[i];
        failed |= json_array_append_new(
            list, json_pack("{s:s, s:i, s:f, s:f, s:f, s:f, s:f, s:f}", "op", r->kind, "n_steps",
                            r->n_steps, "seconds", r->seconds, "share",
                            whole > 0 ? r->seconds / whole : 0.0, "flop", r->flops, "gflop_per_s",
                            sf_bench_rate(r->flops, r->seconds), "bytes", r->bytes, "gb_per_s",
                            sf_bench_rate(r->bytes, r->seconds)));
    }
    if (!failed)
        return list;
    json_decref(list);
    return NULL;
}

sf_status sf_bench_breakdown(sf_context *ctx, sf_plan *plan, int n_runs, bool by_shapes,
                             sf_bench_progress *progress, sf_status (*run)(void *user), void *user,
                             json_t **list) {
    size_t n_steps = sf_plan_step_count(plan), n_rows;
    watch w = {.seconds = SF_NEW_ARRAY(ctx, double, n_steps)};
    row *rows = SF_NEW_ARRAY(ctx, row, n_steps);
    const sf_plan_observer observer = {before_step, after_step, &w};
    sf_status status = w.seconds && rows ? SF_OK : SF_ERROR_MEMORY;
    sf_plan_observe(plan, &observer);
    for (int i = 0; i < n_runs && status == SF_OK; i++) {
        status = run(user);
        if (status == SF_OK)
            status = sf_bench_tick(ctx, progress);
    }
    sf_plan_observe(plan, NULL);
    if (status == SF_OK) {
        n_rows = add_up(plan, &w, n_runs, by_shapes, rows);
        qsort(rows, n_rows, sizeof *rows, by_time);
        *list = rows_json(rows, n_rows);
    }
    sf_free(ctx, rows);
    sf_free(ctx, w.seconds);
    return status;
}
