/*
 * Measuring, for `sfumato bench`: component.c times a component, op.c one op; timing.c has the
 * clock, the values that inputs are filled with and the statistics of runs, breakdown.c says where
 * in a plan the time goes, roofline.c how long it would take elsewhere, shapes.c which shapes occur in practice, attributes.c reads "padding=1".
 *
 * JSON values are NULL where jansson has no memory, and so is what they are packed into:
 * sf_json_write() says it in the end.
 */
#ifndef SF_BENCH_BENCH_H
#define SF_BENCH_BENCH_H

#include <jansson.h>

#include "core/plan.h"
#include "core/rng.h"

/* Seconds since some moment. */
double sf_bench_now(void);

/* Checks what every kind of measuring uses; the precision's type in *compute. */
sf_status sf_bench_check(sf_context *ctx, const sf_bench_options *options, sf_dtype *compute);

/* A type by name, which must be f32, f16 or bf16 (NULL: f32). */
sf_status sf_bench_float_type(sf_context *ctx, const char *name, sf_dtype *dtype);

/* Fills a tensor: floats uniform with mean 0 and variance 1, integers within 0 .. limit - 1. */
void sf_bench_fill(sf_rng *rng, const sf_spec *spec, int64_t limit, void *data);

/* How far a call has come, over all that it runs. */
typedef struct sf_bench_progress {
    double begun;
    int n_done, n_runs;
} sf_bench_progress;

sf_bench_progress sf_bench_begin(int n_runs);

/* One more run is done: reports it; SF_ERROR_CANCELLED if the caller wants no more. */
sf_status sf_bench_tick(sf_context *ctx, sf_bench_progress *progress);

/* Seconds of runs. */
typedef struct sf_bench_times {
    int n_runs;
    double *seconds; /* in the order of the runs; freed with sf_free() */
    double min, median, max;
} sf_bench_times;

/* Runs something warmup + repeat times; the last `repeat` are timed. */
sf_status sf_bench_time(sf_context *ctx, const sf_bench_options *options,
                        sf_bench_progress *progress, sf_status (*run)(void *user), void *user,
                        sf_bench_times *times);

/* {min, median, max, runs} */
json_t *sf_bench_times_json(const sf_bench_times *times);

/* Billions a second; 0 for no time. */
double sf_bench_rate(double amount, double seconds);

/* Bytes of a call's operands, each read or written once; of a table only what is looked up. */
double sf_bench_bytes(sf_op_id op, const sf_spec *inputs, int n_inputs, const sf_spec *output);

/*
 * Times each step of a plan over n_runs runs of run(), which must run the plan: a list of {op,
 * n_steps, seconds, share, flop, gflop_per_s, bytes, gb_per_s} of one run, the slowest first, by
 * kind of op or, with by_shapes, by kind and shapes.
 */
sf_status sf_bench_breakdown(sf_context *ctx, sf_plan *plan, int n_runs, bool by_shapes,
                             sf_bench_progress *progress, sf_status (*run)(void *user), void *user,
                             json_t **list);

/* "conv2d_3x3", or with shapes "conv2d_3x3 f32 [1, 64, 64, 320], f16 [320, 320, 3, 3]". */
void sf_bench_kind(const sf_plan_step *step, bool by_shapes, char *text, size_t bytes);

/* A device that need not be there. */
typedef struct sf_bench_device {
    const char *name, *source; /* static */
    sf_device_speed speed;
} sf_bench_device;

/* Reads "rtx-4090", "a100,launch=5u" or "peak=80T,bandwidth=1000G,launch=3u"; names: sheets.def. */
sf_status sf_bench_find_device(sf_context *ctx, const char *text, sf_dtype compute,
                               sf_bench_device *device);

/*
 * What one run of a plan would take on a device at best, settled steps left out: {device {name,
 * source, flop_per_s, bytes_per_s, launch_seconds}, seconds, share_bound_by {launch, memory,
 * compute}, n_launches, flop, bytes, ops}, where ops is a list of {op, n_steps, seconds, share,
 * bound, n_launches, flop, bytes}, the longest first.
 */
sf_status sf_bench_roofline(sf_context *ctx, const sf_plan *plan, const sf_bench_device *device,
                            bool by_shapes, json_t **result);

/* Reads "NAME=VALUE" into the attributes of an op, or "NAME=VALUExVALUE" for several numbers. */
sf_status sf_bench_read_attribute(sf_context *ctx, sf_op_id op, const char *text,
                                  sf_attributes *attributes);
/* What an attribute is that is not given. */
void sf_bench_default_attributes(sf_op_id op, sf_attributes *attributes);

/* An op as sf_bench_options has it. */
#define SF_BENCH_MAX_ATTRIBUTES 4
typedef struct sf_bench_shape {
    sf_op_id op;
    const char *inputs[SF_MAX_INPUTS];               /* NULL ends */
    const char *attributes[SF_BENCH_MAX_ATTRIBUTES]; /* NULL ends */
} sf_bench_shape;

/* Calls that occur in Stable Diffusion 1.5 at 512x512, by op; *n_shapes of them. Static. */
const sf_bench_shape *sf_bench_shapes(int *n_shapes);

#endif
