/*
 * Fusion: an activation or an addition goes into the op before it, where nobody else uses that op's
 * result and the backend has the joined op. Saves writing and reading the tensor between the two.
 *
 *   silu(group_norm(x))  ->  group_norm with activation
 *   silu(conv2d(x))      ->  conv2d with activation        (likewise linear)
 *   conv2d(x) + r        ->  conv2d with residual r        (likewise linear)
 *   geglu(linear(x))     ->  linear_geglu(x)
 *   reshape(linear(x)) + r -> reshape(linear(x) with residual reshape(r)), where a launch is saved
 *
 * The joined op takes the place of the second, so that all its inputs are there; the first is left
 * without users and is not placed.
 */
#include "core/plan/internal.h"

#include "core/memory.h"

#define RESIDUAL_INPUT 3 /* of conv2d and linear */

static bool is_product(sf_op_id op) {
    return op == SF_OP_conv2d || op == SF_OP_linear;
}

static int32_t *activation_of(sf_node *node) {
    switch (node->op) {
    case SF_OP_conv2d:
        return &node->attributes.conv2d.activation;
    case SF_OP_linear:
        return &node->attributes.linear.activation;
    case SF_OP_group_norm:
        return &node->attributes.norm.activation;
    default:
        return NULL;
    }
}

static sf_status count_uses(const sf_graph *graph, int **uses) {
    int *counts = SF_NEW_ARRAY(graph->ctx, int, graph->n_nodes);
    if (!counts)
        return SF_ERROR_MEMORY;
    for (size_t i = 0; i < graph->n_nodes; i++)
        for (int k = 0; k < graph->nodes[i].n_inputs; k++)
            if (graph->nodes[i].inputs[k] != SF_NO_VALUE)
                counts[graph->nodes[i].inputs[k]]++;
    for (size_t i = 0; i < graph->n_outputs; i++)
        counts[graph->outputs[i].value]++;
    *uses = counts;
    return SF_OK;
}

static bool backend_has(const sf_plan *plan, const sf_node *node) {
    sf_tensor_desc inputs[SF_MAX_INPUTS];
    sf_tensor_desc output;
    sf_layout layout;
    for (int i = 0; i < node->n_inputs; i++) {
        const sf_spec *spec = sf_value_spec(plan->source, node->inputs[i]);
        sf_layout_contiguous(spec, node->inputs[i], &layout);
        bool constant = node->inputs[i] != SF_NO_VALUE &&
                        plan->source->nodes[node->inputs[i]].kind == SF_NODE_CONSTANT;
        sf_describe(spec, &layout, constant, &inputs[i]);
    }
    sf_layout_contiguous(&node->spec, SF_NO_VALUE, &layout);
    sf_describe(&node->spec, &layout, false, &output);
    sf_op_call call = sf_describe_call(node, inputs, &output);
    return sf_backend_supports(plan->backends[SF_SIDE_BACKEND], node->op, &call);
}

/* node = activation(first): true if node became first with the activation in it. */
static bool fuse_activation(const sf_plan *plan, sf_node *node, const int *uses) {
    sf_activation activation = sf_op_activation(node->op);
    if (activation == SF_ACTIVATION_NONE || uses[node->inputs[0]] != 1)
        return false;
    sf_node joined = plan->source->nodes[node->inputs[0]];
    if (joined.kind != SF_NODE_OP)
        return false;
    int32_t *slot = activation_of(&joined);
    if (!slot || *slot != SF_ACTIVATION_NONE ||
        (is_product(joined.op) && joined.n_inputs > RESIDUAL_INPUT))
        return false;
    *slot = (int32_t)activation;
    if (!backend_has(plan, &joined))
        return false;
    *node = joined;
    return true;
}

/* node = product + residual: true if node became the product with the residual in it. */
static bool fuse_residual(const sf_plan *plan, sf_node *node, const int *uses) {
    if (node->op != SF_OP_add)
        return false;
    for (int side = 0; side < 2; side++) {
        sf_node joined = plan->source->nodes[node->inputs[side]];
        sf_value residual = node->inputs[1 - side];
        if (uses[node->inputs[side]] != 1 || joined.kind != SF_NODE_OP || !is_product(joined.op) ||
            joined.n_inputs > RESIDUAL_INPUT || !sf_spec_equal(&joined.spec, &node->spec) ||
            !sf_spec_same_shape(sf_value_spec(plan->source, residual), &node->spec))
            continue;
        for (int i = joined.n_inputs; i < RESIDUAL_INPUT; i++)
            joined.inputs[i] = SF_NO_VALUE;
        joined.inputs[RESIDUAL_INPUT] = residual;
        joined.n_inputs = RESIDUAL_INPUT + 1;
        if (!backend_has(plan, &joined))
            continue;
        *node = joined;
        return true;
    }
    return false;
}

static bool is_view(const sf_node *node) {
    return node->kind == SF_NODE_OP && (sf_op_get(node->op)->flags & SF_OP_VIEW) != 0;
}

/*
 * node = reshape(product) + residual: true if the sum became one of the product's shape. The three
 * nodes are written anew where they are: the reshaped residual, the product, the reshaped sum. Only
 * for devices with their own memory: elsewhere passing over the tensor once more costs little, and
 * results stay what they are.
 */
static bool fuse_residual_of_view(const sf_plan *plan, sf_node *node, const int *uses) {
    sf_value view = node->inputs[0], residual = node->inputs[1];
    sf_node *nodes = plan->source->nodes;
    if (node->op != SF_OP_add || sf_backend_has_host_memory(plan->backends[SF_SIDE_BACKEND]) ||
        uses[view] != 1 || nodes[view].kind != SF_NODE_OP || nodes[view].op != SF_OP_reshape)
        return false;
    sf_value product = nodes[view].inputs[0];
    if (uses[product] != 1 || nodes[product].kind != SF_NODE_OP || !is_product(nodes[product].op) ||
        nodes[product].n_inputs > RESIDUAL_INPUT || residual > product ||
        is_view(&nodes[residual]) || !sf_spec_equal(&nodes[residual].spec, &node->spec) ||
        !sf_spec_equal(&nodes[view].spec, &node->spec))
        return false;
    sf_node joined = nodes[product], reshaped = nodes[view];
    for (int i = joined.n_inputs; i < RESIDUAL_INPUT; i++)
        joined.inputs[i] = SF_NO_VALUE;
    joined.inputs[RESIDUAL_INPUT] = product;
    joined.n_inputs = RESIDUAL_INPUT + 1;
    if (!backend_has(plan, &joined))
        return false;
    reshaped.inputs[0] = view;
    *node = reshaped;
    nodes[view] = joined;
    reshaped.inputs[0] = residual;
    reshaped.spec = joined.spec;
    reshaped.attributes.shape.n_dims = joined.spec.n_dims;
    for (int axis = 0; axis < SF_MAX_DIMS; axis++)
        reshaped.attributes.shape.dims[axis] = joined.spec.dims[axis];
    nodes[product] = reshaped;
    return true;
}

/* node = geglu(linear): true if node became both. */
static bool fuse_gate(const sf_plan *plan, sf_node *node, const int *uses) {
    if (node->op != SF_OP_geglu || uses[node->inputs[0]] != 1)
        return false;
    const sf_node *linear = &plan->source->nodes[node->inputs[0]];
    if (linear->kind != SF_NODE_OP || linear->op != SF_OP_linear ||
        linear->n_inputs > RESIDUAL_INPUT ||
        linear->attributes.linear.activation != SF_ACTIVATION_NONE)
        return false;
    sf_node joined = *linear;
    joined.op = SF_OP_linear_geglu;
    joined.attributes = (sf_attributes){{0}};
    joined.spec = node->spec;
    if (!backend_has(plan, &joined))
        return false;
    *node = joined;
    return true;
}

sf_status sf_plan_fuse(sf_plan *plan) {
    int *uses = NULL;
    SF_TRY(count_uses(plan->source, &uses));
    for (size_t i = 0; i < plan->source->n_nodes; i++) {
        sf_node *node = &plan->source->nodes[i];
        if (node->kind != SF_NODE_OP)
            continue;
        if (fuse_activation(plan, node, uses) || fuse_residual(plan, node, uses) ||
            fuse_residual_of_view(plan, node, uses) || fuse_gate(plan, node, uses))
            plan->stats.n_fused++;
    }
    sf_free(plan->ctx, uses);
    return SF_OK;
}
