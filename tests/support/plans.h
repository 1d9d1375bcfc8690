/*
 * What tests of plans share: backends with some ops taken away, plans with data in and out, and a
 * look at how a plan uses its memory.
 */
#ifndef SF_TESTS_SUPPORT_PLANS_H
#define SF_TESTS_SUPPORT_PLANS_H

#include "core/plan.h"

/* The reference backend of the context. */
sf_backend *open_reference(sf_context *ctx);

/* Closes all plugins, as freeing the context would: for contexts that count their memory. */
void close_backends(sf_context *ctx);

/*
 * A backend that has only those ops of another one for which has(op) is true. It shares the
 * instance; freed with free().
 */
sf_backend *limit_backend(const sf_backend *backend, const char *name, bool (*has)(sf_op_id op));

/*
 * The backend as a device with memory of its own would be: its buffers are not what the host's data
 * lies in. Freed with free(). device_uploads counts what goes there.
 */
sf_backend *device_backend(const sf_backend *backend, const char *name);

typedef struct device_traffic {
    long n_uploads, live_buffers;
    uint64_t upload_bytes;
} device_traffic;

extern device_traffic device_uploads;

/* A plan of the graph, which it takes over. It must succeed. */
sf_plan *make_plan(sf_context *ctx, sf_graph *graph, sf_backend *backend, sf_backend *fallback,
                   bool no_fusion);

/* Writes the inputs in order, runs, and reads the outputs into new blocks, freed with free(). */
void write_inputs(sf_context *ctx, sf_plan *plan, const void *const *inputs);
void read_outputs(sf_context *ctx, sf_plan *plan, void **outputs);
void run_plan(sf_context *ctx, sf_plan *plan, const void *const *inputs, void **outputs);

/*
 * No two places of an arena that are alive at the same time overlap, none reaches past the arena,
 * every operand lies in a place that is alive, and sharing takes no more than not sharing.
 */
void check_plan_memory(const sf_plan *plan);

#endif
