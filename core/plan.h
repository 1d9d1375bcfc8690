/*
 * A plan: a graph compiled for a backend. Made once, run many times; a run allocates nothing.
 *
 * sf_plan_new() fuses neighbours, writes ops that the backend lacks in simpler ones or places them
 * on the fallback backend, gives every tensor a place in one arena (tensors whose lives do not
 * overlap share memory), lets the plugin pack weights, and resolves every operand to an address.
 */
#ifndef SF_CORE_PLAN_H
#define SF_CORE_PLAN_H

#include "core/backend.h"
#include "core/graph.h"

typedef struct sf_plan sf_plan;

typedef struct sf_plan_options {
    sf_backend *backend;          /* where to run */
    sf_backend *fallback;         /* for what it lacks; NULL: lacking an op is an error */
    bool no_fusion;               /* leave the graph as it was written */
    bool no_memory;               /* only count: no arena, no weights, can't be run (--dry-run) */
    bool offload;                 /* weights are in device memory only while they are needed */
    uint64_t most_device_bytes;   /* of device memory; 0: as many as the device says that it has */
    uint64_t beside_device_bytes; /* of these, what tensors take that lie beside the plan's */
} sf_plan_options;

/* What a plan costs. Bytes of activations only: weights are counted apart. */
typedef struct sf_plan_stats {
    uint64_t arena_bytes;    /* planned, on the backend */
    uint64_t unshared_bytes; /* what the same tensors would take without sharing */
    uint64_t staging_bytes;  /* on the fallback backend */
    uint64_t weight_bytes;
    uint64_t host_bytes;            /* of arenas in host memory, and what the backends take */
    uint64_t resident_weight_bytes; /* of weights in mapped files, there at a time */
    uint64_t least_weight_bytes;    /* the same where as few are there as can be */
    uint64_t device_bytes;          /* all that it takes of a device without host memory */
    uint64_t offloaded_bytes;       /* of weights that come in for each use */
    size_t n_steps;                 /* ops that run */
    size_t n_fused;                 /* ops that went into a neighbour */
    size_t n_merged;                /* linear layers that went into another beside them */
    size_t n_lowered;               /* ops that were written in simpler ones */
    size_t n_in_place;              /* outputs that take the memory of an input */
    size_t n_settled;               /* ops that do not run each time */
    double flops;                   /* of one run, by the ops' rules */
} sf_plan_stats;

/* Takes the graph over (also when it fails). An error of the graph's building is passed on. */
sf_status sf_plan_new(sf_context *ctx, sf_graph *graph, const sf_plan_options *options,
                      sf_plan **plan);
void sf_plan_free(sf_plan *plan);

/* "cuda:1"; lives as long as the backend. */
const char *sf_plan_backend_name(const sf_plan *plan);
const sf_plan_stats *sf_plan_get_stats(const sf_plan *plan);
/* SF_OP_COUNT numbers: steps of each op on the backend, and those on the fallback. */
void sf_plan_count_ops(const sf_plan *plan, int *on_backend, int *on_fallback);
/* What ran off the backend, over the plan's life so far. */
const sf_fallback_count *sf_plan_fallbacks(const sf_plan *plan, int *n_counts);

/* Inputs and outputs by name; -1: none of that name. */
int sf_plan_n_inputs(const sf_plan *plan);
int sf_plan_find_input(const sf_plan *plan, const char *name);
const char *sf_plan_input_name(const sf_plan *plan, int input);
const sf_spec *sf_plan_input_spec(const sf_plan *plan, int input);
int sf_plan_n_outputs(const sf_plan *plan);
int sf_plan_find_output(const sf_plan *plan, const char *name);
const char *sf_plan_output_name(const sf_plan *plan, int output);
const sf_spec *sf_plan_output_spec(const sf_plan *plan, int output);

/* Copies contiguous host data in (before a run) and out (after it). bytes must be the tensor's. */
sf_status sf_plan_write(sf_plan *plan, int input, const void *data, size_t bytes);
/* Whether the plan still has what was last written; for settled inputs, to write them only once. */
bool sf_plan_holds(const sf_plan *plan, int input);
sf_status sf_plan_read(sf_plan *plan, int output, void *data, size_t bytes);

/*
 * Uses memory of the plan's backend as an input or output instead of the arena's, without a copy.
 * desc must be contiguous and of the right type and shape. It stays bound until the next bind.
 */
sf_status sf_plan_bind_input(sf_plan *plan, int input, const sf_tensor_desc *desc);
sf_status sf_plan_bind_output(sf_plan *plan, int output, const sf_tensor_desc *desc);

/*
 * Runs all steps that are due (graph.h, sf_settled_input()). Allocates nothing but after a rest.
 * Errors name op and node.
 */
sf_status sf_plan_run(sf_plan *plan);

/* A step of a plan as an observer sees it. Pointers live as long as the plan. */
typedef struct sf_plan_step {
    sf_op_id op;      /* of a copy: the op on whose account it is */
    bool is_copy;     /* between the backend and the fallback */
    bool on_fallback; /* an op that runs there */
    bool is_settled;  /* it does not run each time */
    const char *name; /* the node's: "down_blocks.0.resnets.0.conv1" */
    int n_inputs;
    sf_spec inputs[SF_MAX_INPUTS]; /* dtype SF_NONE: absent */
    sf_spec output;
    const sf_attributes *attributes;
} sf_plan_step;

/*
 * Who watches a run, step by step, to time it. Both sides have done all earlier work when before()
 * is called, and the step's when after() is, so runs are slower than without an observer. Neither
 * may use the plan otherwise.
 */
typedef struct sf_plan_observer {
    void (*before)(void *user, size_t step);
    void (*after)(void *user, size_t step);
    void *user;
} sf_plan_observer;

/* observer is copied; NULL takes it away. */
void sf_plan_observe(sf_plan *plan, const sf_plan_observer *observer);

/* Steps are numbered 0 .. count - 1 in the order in which they run, copies included. */
size_t sf_plan_step_count(const sf_plan *plan);
void sf_plan_get_step(const sf_plan *plan, size_t index, sf_plan_step *step);

/*
 * What one run of a step takes of the backend. An op on the fallback takes no launches, a copy
 * between the two is the bytes that are copied. Known for plans without memory, too.
 */
typedef struct sf_step_cost {
    uint32_t n_launches; /* as the backend's plugin says; 1 where it says nothing */
    uint64_t n_bytes;    /* likewise; else all that is read and written, once */
    double flops;        /* by the op's rule */
    bool is_in_f32; /* the plugin says that they are computed so, whatever the tensors' types */
} sf_step_cost;

sf_status sf_plan_step_cost(const sf_plan *plan, size_t index, sf_step_cost *cost);

/* A device by its data sheet. */
typedef struct sf_device_speed {
    double flops_per_second;
    double f32_flops_per_second; /* for what is computed in f32; 0: the same */
    double bytes_per_second;
    double seconds_per_launch;
} sf_device_speed;

typedef enum sf_limit { SF_LIMIT_LAUNCH, SF_LIMIT_MEMORY, SF_LIMIT_COMPUTE, SF_N_LIMITS } sf_limit;

/*
 * The least time that a device takes for such a step: launches * seconds + the longer one of
 * arithmetic and memory traffic. *limit is what takes most of it.
 */
double sf_cost_seconds(const sf_step_cost *cost, const sf_device_speed *speed, sf_limit *limit);

/*
 * Makes the plan run within `most` bytes of the process' memory (0: no limit), of which `beside` are
 * not the plan's: where its weights are too large, the pages of some go after each use, which costs
 * time. Fails where that is not enough; the message says what is. stats->host_bytes and
 * resident_weight_bytes are then what the plan takes.
 */
sf_status sf_plan_fit(sf_plan *plan, uint64_t most, uint64_t beside);

/*
 * Gives the arena back until the next write or run, which then allocates it. What was written and
 * computed is lost, so inputs that are not bound are written again. Weights stay.
 */
void sf_plan_rest(sf_plan *plan);

/*
 * Finds where NaN or infinity first appeared: runs again, looking at every step's output. Fills
 * text with "group_norm \"mid_block.resnets.0.norm1\"", or "" if all is finite. Slow; for messages.
 */
sf_status sf_plan_find_nonfinite(sf_plan *plan, char *text, size_t text_bytes);

#endif
