/*
 * A stage of drawing (text, denoise, decode): a graph that is planned once and run many times,
 * whose result is looked at for NaN and infinity after each run.
 *
 * Where activations are kept in half precision and the result is not finite, the stage is planned
 * again in f32 and the run repeated; it stays in f32 from then on. Where f32 gives it too, the
 * error names stage, step and the first op.
 */
#ifndef SF_PIPELINES_STAGE_H
#define SF_PIPELINES_STAGE_H

#include "core/plan.h"

/* The output that every stage's graph has: how many values of the result are not finite. */
#define SF_STAGE_CHECK "nonfinite"

typedef struct sf_stage sf_stage;

struct sf_stage {
    sf_context *ctx;  /* borrowed */
    const char *name; /* static */
    void *user;       /* handed to build and feed */
    /* Adds the stage's nodes to graph, with activations of type compute, and all outputs. */
    sf_status (*build)(void *user, sf_graph *graph, sf_dtype compute);
    /* Writes or binds the plan's inputs and outputs. */
    sf_status (*feed)(void *user, sf_plan *plan);
    const sf_tensors *weights; /* borrowed */
    sf_dtype compute;
    sf_plan *plan;          /* owned */
    uint64_t beside;        /* bytes that the process has while the stage runs, beside its plan's */
    uint64_t device_beside; /* bytes of device memory that the drawing has beside it */
};

/* Plans the stage if it is not planned yet. no_memory: only to look at (--dry-run). */
sf_status sf_stage_plan(sf_stage *stage, bool no_memory);

/* Fits the plan into the context's limit of memory, with `beside` set. */
sf_status sf_stage_fit(sf_stage *stage);

/*
 * Feeds and runs. step counts from 1 and n_steps is their number, for messages; n_steps 0: the
 * stage has no steps.
 */
sf_status sf_stage_run(sf_stage *stage, int step, int n_steps);

/*
 * Between runs: gives the arena back and lets the weights' pages go, so that a stage takes memory
 * only while it is at work. The next run brings both back.
 */
void sf_stage_rest(sf_stage *stage);

void sf_stage_clear(sf_stage *stage); /* and rests */

/* Adds the check of `result` to the graph's outputs. */
void sf_stage_add_check(sf_graph *graph, sf_value result);

#endif
