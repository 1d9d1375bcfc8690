/*
 * A graph: nodes in the order in which they were added, which is an order in which they can run.
 *
 * Building reads like the mathematics: each function adds a node and returns its value, and errors
 * are sticky. The first failure is kept (message in the context, with op, node and shapes), later
 * calls return SF_NO_VALUE and do nothing, and sf_graph_status() tells at the end.
 */
#ifndef SF_CORE_GRAPH_H
#define SF_CORE_GRAPH_H

#include "core/op.h"
#include "core/tensor.h"

typedef enum sf_node_kind { SF_NODE_INPUT, SF_NODE_CONSTANT, SF_NODE_OP } sf_node_kind;

typedef struct sf_node {
    sf_node_kind kind;
    sf_op_id op;
    int n_inputs;
    sf_value inputs[SF_MAX_INPUTS]; /* SF_NO_VALUE: absent */
    sf_attributes attributes;
    sf_spec spec;     /* of the output */
    const char *name; /* owned by the graph: "down_blocks.0.resnets.1.norm1", or an input's name */
    const void *data; /* of a constant; borrowed (weights) or owned by the graph */
    const sf_part *parts; /* of a constant that is several, one below the other: instead of data;
                             owned by the graph */
    size_t n_parts;       /* 0: it is one */
    bool settled;         /* an input that changes rarely */
} sf_node;

/* An output: a value with the name that it has outside. */
typedef struct sf_graph_output {
    const char *name; /* owned by the graph */
    sf_value value;
} sf_graph_output;

struct sf_graph {
    sf_context *ctx; /* borrowed */
    sf_status status;
    sf_node *nodes;
    size_t n_nodes, nodes_capacity;
    sf_graph_output *outputs;
    size_t n_outputs, outputs_capacity;
    void **owned; /* names and constant data */
    size_t n_owned, owned_capacity;
    const sf_tensors *weights; /* borrowed; where sf_weight() looks */
    sf_dtype assumed;          /* type of weights that are taken to be there; SF_NONE: look */
    char scope[512];           /* "down_blocks.0.resnets.1": prefix of weights and node names */
};

sf_status sf_graph_new(sf_context *ctx, const sf_tensors *weights, sf_graph **graph);
void sf_graph_free(sf_graph *graph);

/* SF_OK, or the first failure of a builder call. */
sf_status sf_graph_status(const sf_graph *graph);

/* Records a failure of a model's own check; returns SF_NO_VALUE. */
sf_value sf_graph_fail(sf_graph *graph, sf_status status, const char *format, ...) SF_PRINTF(3, 4);

/* Keeps block (not NULL) until the graph is freed; frees it at once and gives NULL where that fails. */
void *sf_graph_own(sf_graph *graph, void *block);

/* A constant's bytes; *one is for a constant that is a single part. Gives their number. */
size_t sf_node_parts(const sf_node *node, sf_part *one, const sf_part **parts);

/* The type and shape of a value; that of a failed value is an empty scalar of type SF_NONE. */
const sf_spec *sf_value_spec(const sf_graph *graph, sf_value value);
int64_t sf_value_dim(const sf_graph *graph, sf_value value, int axis);

/*
 * Scopes: sf_scope_enter(g, "resnets.%d", i) ... sf_scope_leave(g, mark). Weight names and node
 * names are the scope, a dot and the own name.
 */
typedef size_t sf_scope;
sf_scope sf_scope_enter(sf_graph *graph, const char *format, ...) SF_PRINTF(2, 3);
void sf_scope_leave(sf_graph *graph, sf_scope mark);

/* Leaves. */
sf_value sf_input(sf_graph *graph, const char *name, sf_dtype dtype, int n_dims,
                  const int64_t *dims);

/*
 * An input that changes rarely: what depends on it and on weights alone is computed again only in
 * the first run after it was written. It can't be bound.
 */
sf_value sf_settled_input(sf_graph *graph, const char *name, sf_dtype dtype, int n_dims,
                          const int64_t *dims);

/* The weight SCOPE.name. Missing: an error that names it; or, optional, SF_NO_VALUE. */
sf_value sf_weight(sf_graph *graph, const char *name);
sf_value sf_weight_optional(sf_graph *graph, const char *name);
/*
 * sf_weight(); in a graph that assumes its weights one of this shape without bytes, with which only
 * plans without memory can be made.
 */
sf_value sf_weight_shaped(sf_graph *graph, const char *name, int n_dims, const int64_t *dims);
/* A constant of the graph's own; data is copied. */
sf_value sf_constant_f32(sf_graph *graph, const char *name, int n_dims, const int64_t *dims,
                         const float *data);
void sf_output(sf_graph *graph, const char *name, sf_value value);

/*
 * Adds an op node: checks inputs, infers the shape. All builder functions end here. Optional inputs
 * at the end may be left out or be SF_NO_VALUE.
 */
sf_value sf_node_add(sf_graph *graph, sf_op_id op, const sf_value *inputs, int n_inputs,
                     const sf_attributes *attributes);

/* ---- the ops, as functions; formulas and shapes are in core/ops/NAME.c ---- */

sf_value sf_unary(sf_graph *graph, sf_op_id op, sf_value x);
sf_value sf_activate(sf_graph *graph, sf_value x, sf_activation activation); /* NONE: x itself */
sf_value sf_affine(sf_graph *graph, sf_value x, float scale, float shift);
sf_value sf_clamp(sf_graph *graph, sf_value x, float low, float high);
sf_value sf_add(sf_graph *graph, sf_value a, sf_value b);
sf_value sf_subtract(sf_graph *graph, sf_value a, sf_value b);
sf_value sf_multiply(sf_graph *graph, sf_value a, sf_value b);
sf_value sf_divide(sf_graph *graph, sf_value a, sf_value b);
sf_value sf_linear(sf_graph *graph, sf_value x, sf_value weight, sf_value bias);
sf_value sf_matmul(sf_graph *graph, sf_value a, sf_value b, bool transpose_b, float scale);
sf_value sf_conv2d(sf_graph *graph, sf_value x, sf_value weight, sf_value bias,
                   sf_conv2d_attributes attributes);
sf_value sf_attention(sf_graph *graph, sf_value q, sf_value k, sf_value v, sf_value mask,
                      sf_attention_attributes attributes);
sf_value sf_linear_combination(sf_graph *graph, sf_value coefficients, const sf_value *tensors,
                               int n_tensors);
sf_value sf_softmax(sf_graph *graph, sf_value x);
sf_value sf_group_norm(sf_graph *graph, sf_value x, sf_value scale, sf_value shift, int groups,
                       float epsilon);
sf_value sf_layer_norm(sf_graph *graph, sf_value x, sf_value scale, sf_value shift, float epsilon);
sf_value sf_rms_norm(sf_graph *graph, sf_value x, sf_value scale, float epsilon);
sf_value sf_sum(sf_graph *graph, sf_value x, int axis);
sf_value sf_mean(sf_graph *graph, sf_value x, int axis);
sf_value sf_count_nonfinite(sf_graph *graph, sf_value x);
sf_value sf_resize(sf_graph *graph, sf_value x, int height, int width, sf_resize_mode mode);
sf_value sf_avg_pool2d(sf_graph *graph, sf_value x, sf_pool2d_attributes attributes);
sf_value sf_copy(sf_graph *graph, sf_value x);
sf_value sf_cast(sf_graph *graph, sf_value x, sf_dtype dtype); /* x itself if it has the type */
sf_value sf_concat(sf_graph *graph, const sf_value *tensors, int n_tensors, int axis);
sf_value sf_embedding(sf_graph *graph, sf_value table, sf_value ids);
sf_value sf_geglu(sf_graph *graph, sf_value x);
sf_value sf_linear_geglu(sf_graph *graph, sf_value x, sf_value weight, sf_value bias);
sf_value sf_random_normal(sf_graph *graph, sf_value key, int n_dims, const int64_t *dims);
sf_value sf_reshape(sf_graph *graph, sf_value x, int n_dims, const int64_t *dims);
sf_value sf_permute(sf_graph *graph, sf_value x, const int *order); /* order: n_dims numbers */
sf_value sf_slice(sf_graph *graph, sf_value x, int axis, int64_t start, int64_t count);
sf_value sf_expand(sf_graph *graph, sf_value x, int n_dims, const int64_t *dims);

/* shape lists in place: sf_reshape(g, x, SF_DIMS(n, h * w, c)) */
#define SF_DIMS(...)                                                                               \
    SF_COUNT_(__VA_ARGS__), (const int64_t[]) {                                                    \
        __VA_ARGS__                                                                                \
    }

#endif
