/*
 * What the phases of planning hand to each other. A graph becomes a plan in this order:
 *
 *   fuse.c      joins neighbours (conv2d + silu, linear + add) where the backend has the joined op
 *   merge.c     makes one linear layer of those that read the same, on devices with their own memory
 *   place.c     writes the graph anew: per op the backend, simpler ops, or the fallback
 *   schedule.c  the list of steps with the copies between the two backends
 *   settle.c    which steps do not run each time
 *   in_place.c  outputs that take the memory of an input that is read for the last time
 *   memory.c    lifetimes and offsets in the arenas
 *   stream.c    weights whose pages go after each use, to fit into a limit
 *   offload.c   weights that come into device memory for each use, to fit into the device
 *   resolve.c   allocates, resolves operands to addresses, lets the plugin prepare
 *   run.c       runs
 *   observe.c   tells what the steps are, and lets somebody watch them
 *   cost.c      what they cost on a device that is known by its data sheet alone
 */
#ifndef SF_CORE_PLAN_INTERNAL_H
#define SF_CORE_PLAN_INTERNAL_H

#include "core/plan.h"

/* The two backends of a plan. */
typedef enum sf_side { SF_SIDE_BACKEND, SF_SIDE_FALLBACK, SF_N_SIDES } sf_side;

/* When a step runs. A step has the largest of what it reads. */
typedef enum sf_pace {
    SF_PACE_ONCE,         /* it reads weights alone: in the first run */
    SF_PACE_WHEN_WRITTEN, /* and settled inputs: in the first run after one was written */
    SF_PACE_EACH_RUN,
} sf_pace;

/* How a value lies in the memory of its root: the node that it is a view of, or itself. */
typedef struct sf_layout {
    sf_value root;
    int64_t offset; /* elements from the root's start */
    int64_t strides[SF_MAX_DIMS];
} sf_layout;

typedef enum sf_place_kind {
    SF_PLACE_ARENA,
    SF_PLACE_CONSTANT, /* a weight: memory of its own, shared by plans */
    SF_PLACE_BOUND,    /* the caller's memory */
} sf_place_kind;

/* Memory of one root on one side, or a step's scratch. */
typedef struct sf_place {
    sf_place_kind kind;
    sf_side side;
    sf_value root; /* SF_NO_VALUE: scratch */
    uint64_t bytes;
    uint64_t offset; /* in the arena, or of the bound memory */
    void *buffer;    /* resolved */
    int first, last; /* steps between which it is alive, both included */
    int shares;      /* the place whose memory it takes over, SF_NO_PLACE: none */
    int shared_last; /* of a place whose memory is taken over: the last step of all that have it */
    sf_pace pace;    /* of the step that writes it */
    bool kept;       /* read by steps that run more often: alive between runs */
    bool mapped;     /* a weight that is read in a mapped file */
    bool streamed;   /* and whose pages go after each use */
    bool offloaded;  /* a weight that is not in device memory but while a step reads it */
} sf_place;

#define SF_NO_PLACE (-1)

typedef enum sf_step_kind { SF_STEP_OP, SF_STEP_COPY } sf_step_kind;

typedef struct sf_operand {
    int place;            /* SF_NO_PLACE: absent */
    uint64_t view_offset; /* bytes from the place's start */
    uint64_t slot_offset; /* of an offloaded weight: where in the slots it lies for this step */
} sf_operand;

typedef struct sf_step {
    sf_step_kind kind;
    sf_side side;  /* op: where it runs. copy: where it goes to */
    sf_value node; /* op: the node. copy: the root that is copied */
    sf_op_id op;   /* copy: the op that is not on the backend */
    sf_operand inputs[SF_MAX_INPUTS];
    sf_operand output;
    int scratch; /* place of the workspace, SF_NO_PLACE: none */
    sf_op_call call;
    sf_tensor_desc input_descs[SF_MAX_INPUTS];
    sf_tensor_desc output_desc;
    void *prepared;
    bool is_prepared;
    bool streams; /* some of its weights are streamed */
    bool uploads; /* some of its weights are offloaded, and come into this slot: */
    uint32_t slot;
    sf_pace pace;
} sf_step;

struct sf_plan {
    sf_context *ctx;
    sf_plan_options options;
    sf_backend *backends[SF_N_SIDES]; /* [1] NULL: no fallback */
    bool shared_memory;               /* both sides use host addresses: no copies */
    sf_graph *source;                 /* as given, then fused; owns names and constants */
    sf_graph *graph;                  /* as placed */
    sf_layout *layouts;               /* of graph's nodes */
    size_t layouts_capacity;
    sf_side *sides; /* of graph's nodes */
    size_t sides_capacity;
    int *place_of[SF_N_SIDES]; /* of graph's roots */
    sf_place *places;
    size_t n_places, places_capacity;
    sf_step *steps;
    size_t n_steps, steps_capacity;
    sf_value *inputs; /* nodes of graph */
    bool *held;       /* of inputs: the arena has what was written last */
    int n_inputs;
    sf_pace due; /* the next run leaves out steps of a smaller pace */
    uint64_t arena_bytes[SF_N_SIDES];
    void *arenas[SF_N_SIDES];
    uint64_t slot_bytes;   /* of each of the two slots of offloaded weights, 0: none */
    void *slots;           /* in the backend's memory */
    bool rests;            /* the arenas are given back */
    bool busy[SF_N_SIDES]; /* ops may still be working since the last synchronize */
    sf_plan_stats stats;
    sf_fallback_count fallbacks[SF_OP_COUNT];
    int n_fallbacks;
    sf_plan_observer observer; /* before NULL: nobody watches */
};

sf_status sf_plan_fuse(sf_plan *plan);
sf_status sf_plan_merge(sf_plan *plan);
sf_status sf_plan_place(sf_plan *plan);
sf_status sf_plan_schedule(sf_plan *plan);
void sf_plan_settle(sf_plan *plan);
void sf_plan_find_streamed(sf_plan *plan);
sf_status sf_plan_offload(sf_plan *plan);   /* fails where the device is too small */
void sf_plan_describe_steps(sf_plan *plan); /* calls without buffers */
sf_status sf_plan_assign_memory(sf_plan *plan);
void sf_plan_share_places(sf_plan *plan); /* between lifetimes and offsets */
sf_status sf_plan_resolve(sf_plan *plan);
sf_status sf_plan_wake(sf_plan *plan); /* from rest */
void sf_plan_release(sf_plan *plan);   /* undoes resolve, also where it stopped half-way */

/* Marks what a graph's outputs need, and its inputs in any case. */
void sf_plan_mark_needed(const sf_graph *graph, bool *needed);

/* After step s: the pages of its streamed weights go, those of the next such step are fetched. */
void sf_plan_let_weights_go(const sf_plan *plan, size_t s);
/* The same for one weight, streamed or not, after the backend made a copy of it. */
void sf_plan_let_constant_go(const sf_plan *plan, int place);

/*
 * Offloaded weights, in a run of steps first .. end - 1: starts to bring in those of the first; then
 * before and after each step that uploads.
 */
sf_status sf_plan_begin_uploads(sf_plan *plan, size_t first, size_t end, sf_pace due);
sf_status sf_plan_before_step(sf_plan *plan, size_t s, size_t end, sf_pace due);
sf_status sf_plan_after_step(sf_plan *plan, size_t s, size_t end, sf_pace due);

/* Writes a place's address into all operands that lie in it. */
void sf_plan_point_operands(sf_plan *plan, int place);

/* Waits until both sides have done all that was asked of them. */
sf_status sf_plan_synchronize(sf_plan *plan);

/* The place that operand `input` lies in, once a step; NULL: none, or an operand before it lies there. */
sf_place *sf_plan_operand_place(const sf_plan *plan, const sf_step *step, int input);

/* The sum of the steps' operations. */
double sf_plan_count_flops(const sf_plan *plan);

/* ---- layouts (layout.c) ---- */

void sf_layout_contiguous(const sf_spec *spec, sf_value root, sf_layout *layout);
bool sf_layout_is_contiguous(const sf_spec *spec, const sf_layout *layout);

/* The layout of a view op's output. false: a reshape that needs a contiguous input. */
bool sf_layout_of_view(const sf_node *node, const sf_spec *input, const sf_layout *input_layout,
                       sf_layout *layout);

/* A tensor description without a buffer; spec SF_NONE gives that of an absent input. */
void sf_describe(const sf_spec *spec, const sf_layout *layout, bool constant, sf_tensor_desc *desc);

/* A call of the node's op; inputs and output must live as long as the call. */
sf_op_call sf_describe_call(const sf_node *node, const sf_tensor_desc *inputs,
                            const sf_tensor_desc *output);

#endif
