/*
 * The clock, values for inputs, and the statistics of runs. See bench.h.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"
#include "core/memory.h"
#include "core/tensor.h"

double sf_bench_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- options ---- */

#define MOST_RUNS 1000000

sf_status sf_bench_float_type(sf_context *ctx, const char *name, sf_dtype *dtype) {
    static const sf_dtype types[] = {SF_F32, SF_F16, SF_BF16};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(name ? name : "f32", sf_dtype_name(types[i])) == 0) {
            *dtype = types[i];
            return SF_OK;
        }
    SF_FAIL(ctx, ERROR_ARGUMENT, "the type \"%.32s\" is none of f32, f16, bf16", name);
}

sf_status sf_bench_check(sf_context *ctx, const sf_bench_options *options, sf_dtype *compute) {
    if (options->struct_size < sizeof *options)
        SF_FAIL(ctx, ERROR_ARGUMENT,
                "the options' struct_size is %zu; sf_bench_options_init() fills it in",
                options->struct_size);
    if (options->warmup < 0 || options->warmup > MOST_RUNS || options->repeat < 1 ||
        options->repeat > MOST_RUNS)
        SF_FAIL(ctx, ERROR_ARGUMENT, "%d runs after %d are asked for; 1 to %d after 0 to %d",
                options->repeat, options->warmup, MOST_RUNS, MOST_RUNS);
    return sf_bench_float_type(ctx, options->precision, compute);
}

/* ---- values ---- */

static void store(const sf_spec *spec, int64_t limit, float uniform, void *data, int64_t i) {
    float value = (2 * uniform - 1) * 1.7320508f;
    if (spec->dtype == SF_F32)
        ((float *)data)[i] = value;
    else if (spec->dtype == SF_F16)
        ((uint16_t *)data)[i] = sf_f32_to_f16(value);
    else if (spec->dtype == SF_BF16)
        ((uint16_t *)data)[i] = sf_f32_to_bf16(value);
    else if (spec->dtype == SF_I64)
        ((int64_t *)data)[i] = (int64_t)((double)uniform * (double)limit);
    else if (spec->dtype == SF_I32)
        ((int32_t *)data)[i] = (int32_t)((double)uniform * (double)limit);
    else
        ((uint8_t *)data)[i] = (uint8_t)(uniform * 255);
}

void sf_bench_fill(sf_rng *rng, const sf_spec *spec, int64_t limit, void *data) {
    float uniform[256];
    int64_t n = sf_spec_elements(spec);
    for (int64_t i = 0; i < n; i++) {
        if (i % 256 == 0)
            sf_rng_uniform(rng, uniform, 256);
        store(spec, limit, uniform[i % 256], data, i);
    }
}

/* ---- amounts ---- */

double sf_bench_bytes(sf_op_id op, const sf_spec *inputs, int n_inputs, const sf_spec *output) {
    double bytes = (double)sf_spec_bytes(output);
    for (int i = 0; i < n_inputs; i++) {
        bool is_table = op == SF_OP_embedding && i == 0;
        bytes += (double)sf_spec_bytes(is_table ? output : &inputs[i]);
    }
    return bytes;
}

/* ---- runs ---- */

double sf_bench_rate(double amount, double seconds) {
    return seconds > 0 ? amount / seconds * 1e-9 : 0;
}

sf_bench_progress sf_bench_begin(int n_runs) {
    return (sf_bench_progress){.begun = sf_bench_now(), .n_runs = n_runs};
}

sf_status sf_bench_tick(sf_context *ctx, sf_bench_progress *progress) {
    const sf_progress report = {.stage = "bench",
                                .step = ++progress->n_done,
                                .n_steps = progress->n_runs,
                                .seconds = sf_bench_now() - progress->begun};
    return sf_report_progress(ctx, &report);
}

static sf_status time_runs(sf_context *ctx, const sf_bench_options *options,
                           sf_bench_progress *progress, sf_status (*run)(void *user), void *user,
                           double *seconds) {
    int n_runs = options->warmup + options->repeat;
    for (int i = 0; i < n_runs; i++) {
        double before = sf_bench_now();
        SF_TRY(run(user));
        double after = sf_bench_now();
        if (i >= options->warmup)
            seconds[i - options->warmup] = after - before;
        SF_TRY(sf_bench_tick(ctx, progress));
    }
    return SF_OK;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The second half of seconds becomes the first one, sorted. */
static void summarize(sf_bench_times *times, int n_runs, double *seconds) {
    double *sorted = seconds + n_runs;
    memcpy(sorted, seconds, (size_t)n_runs * sizeof *seconds);
    qsort(sorted, (size_t)n_runs, sizeof *sorted, by_size);
    *times = (sf_bench_times){
        .n_runs = n_runs,
        .seconds = seconds,
        .min = sorted[0],
        .median = (sorted[(n_runs - 1) / 2] + sorted[n_runs / 2]) / 2,
        .max = sorted[n_runs - 1],
    };
}

sf_status sf_bench_time(sf_context *ctx, const sf_bench_options *options,
                        sf_bench_progress *progress, sf_status (*run)(void *user), void *user,
                        sf_bench_times *times) {
    double *seconds = SF_NEW_ARRAY(ctx, double, 2 * (size_t)options->repeat);
    if (!seconds)
        return SF_ERROR_MEMORY;
    sf_status status = time_runs(ctx, options, progress, run, user, seconds);
    if (status == SF_OK)
        summarize(times, options->repeat, seconds);
    else
        sf_free(ctx, seconds);
    return status;
}

json_t *sf_bench_times_json(const sf_bench_times *times) {
    json_t *runs = json_array();
    for (int i = 0; i < times->n_runs; i++)
        if (json_array_append_new(runs, json_real(times->seconds[i])) != 0) {
            json_decref(runs);
            return NULL;
        }
    return json_pack("{s:f, s:f, s:f, s:o}", "min", times->min, "median", times->median, "max",
                     times->max, "runs", runs);
}
