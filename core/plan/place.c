/*
 * Placement: writes the source graph anew, so that each op of the new one has a backend that runs it.
 *
 * For each op, the first of these that holds:
 *   1. the backend supports it as it is;
 *   2. ... with contiguous copies of those inputs that are views;
 *   3. ... written in simpler ops, all of which it supports (op->lower, of their parts too);
 *   4. the fallback supports it (the same three ways).
 * Views get a layout; a reshape that strides can't express gets a copy first.
 */
#include "core/plan/internal.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"

/* A lowered op's parts may be lowered again; deeper than this is a cycle. */
#define MAX_LOWERING_DEPTH 4

static sf_status place_node(sf_plan *plan, const sf_node *node, sf_side side, int depth,
                            sf_value *placed);

/* ---- appending to the new graph ---- */

static sf_status set_layout(sf_plan *plan, sf_value value, const sf_layout *layout, sf_side side) {
    size_t count = (size_t)value + 1;
    SF_TRY(sf_grow(plan->ctx, (void **)&plan->layouts, &plan->layouts_capacity, count,
                   sizeof *plan->layouts));
    SF_TRY(sf_grow(plan->ctx, (void **)&plan->sides, &plan->sides_capacity, count,
                   sizeof *plan->sides));
    plan->layouts[value] = *layout;
    plan->sides[value] = side;
    return SF_OK;
}

/* Appends a node as it is (its inputs are values of the new graph). */
static sf_status append(sf_plan *plan, const sf_node *node, const sf_layout *layout, sf_side side,
                        sf_value *value) {
    sf_graph *graph = plan->graph;
    SF_TRY(sf_grow(plan->ctx, (void **)&graph->nodes, &graph->nodes_capacity, graph->n_nodes + 1,
                   sizeof *graph->nodes));
    sf_value added = (sf_value)graph->n_nodes;
    sf_layout own;
    if (!layout)
        sf_layout_contiguous(&node->spec, added, &own);
    SF_TRY(set_layout(plan, added, layout ? layout : &own, side));
    graph->nodes[graph->n_nodes++] = *node;
    *value = added;
    return SF_OK;
}

static bool is_view(const sf_node *node) {
    return node->kind == SF_NODE_OP && (sf_op_get(node->op)->flags & SF_OP_VIEW) != 0;
}

static bool is_contiguous(const sf_plan *plan, sf_value value) {
    return value == SF_NO_VALUE ||
           sf_layout_is_contiguous(sf_value_spec(plan->graph, value), &plan->layouts[value]);
}

static bool is_constant(const sf_plan *plan, sf_value value) {
    return value != SF_NO_VALUE &&
           plan->graph->nodes[plan->layouts[value].root].kind == SF_NODE_CONSTANT;
}

/* ---- what a backend supports ---- */

static bool side_supports(const sf_plan *plan, const sf_node *node, sf_side side) {
    sf_tensor_desc inputs[SF_MAX_INPUTS];
    sf_tensor_desc output;
    sf_layout contiguous;
    for (int i = 0; i < node->n_inputs; i++) {
        sf_value value = node->inputs[i];
        const sf_spec *spec = sf_value_spec(plan->graph, value);
        sf_layout_contiguous(spec, value, &contiguous);
        sf_describe(spec, value == SF_NO_VALUE ? &contiguous : &plan->layouts[value],
                    is_constant(plan, value), &inputs[i]);
    }
    sf_layout_contiguous(&node->spec, SF_NO_VALUE, &contiguous);
    sf_describe(&node->spec, &contiguous, false, &output);
    sf_op_call call = sf_describe_call(node, inputs, &output);
    return sf_backend_supports(plan->backends[side], node->op, &call);
}

static bool side_has(const sf_plan *plan, sf_op_id op, sf_side side) {
    return plan->backends[side]->entries[op].run != NULL;
}

/* "add \"name\" on f32 [2, 3]: neither cpu nor reference has it" */
static sf_status fail_unplaced(sf_plan *plan, const sf_node *node) {
    char shape[SF_SHAPE_TEXT];
    const char *input = node->n_inputs
                            ? sf_spec_text(sf_value_spec(plan->graph, node->inputs[0]), shape)
                            : "no input";
    const char *op = sf_op_get(node->op)->name;
    if (plan->backends[SF_SIDE_FALLBACK])
        SF_FAIL(plan->ctx, ERROR_UNSUPPORTED, "%s \"%s\" on %s: neither %s nor %s has it", op,
                node->name, input, plan->backends[SF_SIDE_BACKEND]->name,
                plan->backends[SF_SIDE_FALLBACK]->name);
    SF_FAIL(
        plan->ctx, ERROR_UNSUPPORTED,
        "%s \"%s\" on %s: backend %s lacks it, and there is none to fall back to (strict, or no "
        "other plugin)",
        op, node->name, input, plan->backends[SF_SIDE_BACKEND]->name);
}

/* A copy op of `value`, on the side or wherever it can be had; SF_ERROR_UNSUPPORTED: nowhere. */
static sf_status copy_value(sf_plan *plan, sf_value value, sf_side side, sf_value *copied) {
    sf_node copy = {.kind = SF_NODE_OP,
                    .op = SF_OP_copy,
                    .n_inputs = 1,
                    .inputs = {value},
                    .spec = *sf_value_spec(plan->graph, value),
                    .name = plan->graph->nodes[value].name};
    if (!side_supports(plan, &copy, side)) {
        sf_side other = side == SF_SIDE_BACKEND ? SF_SIDE_FALLBACK : SF_SIDE_BACKEND;
        if (!plan->backends[other] || !side_supports(plan, &copy, other))
            return fail_unplaced(plan, &copy);
        side = other;
    }
    return append(plan, &copy, NULL, side, copied);
}

/* Copies those inputs that are not contiguous; *changed tells if there were any. */
static sf_status make_contiguous(sf_plan *plan, sf_node *node, sf_side side, bool *changed) {
    *changed = false;
    for (int i = 0; i < node->n_inputs; i++) {
        if (is_contiguous(plan, node->inputs[i]))
            continue;
        SF_TRY(copy_value(plan, node->inputs[i], side, &node->inputs[i]));
        *changed = true;
    }
    return SF_OK;
}

/* ---- the ways to place an op ---- */

static sf_status place_view(sf_plan *plan, const sf_node *view, sf_value *placed) {
    sf_node node = *view;
    sf_layout layout;
    sf_side side = plan->sides[node.inputs[0]];
    bool copied;
    const sf_spec spec = *sf_value_spec(plan->graph, node.inputs[0]);
    if (!sf_layout_of_view(&node, &spec, &plan->layouts[node.inputs[0]], &layout)) {
        SF_TRY(make_contiguous(plan, &node, side, &copied));
        sf_layout_of_view(&node, &spec, &plan->layouts[node.inputs[0]], &layout);
    }
    return append(plan, &node, &layout, plan->sides[node.inputs[0]], placed);
}

/* Places the nodes that op->lower adds; *placed is SF_NO_VALUE if that can't be done. */
static sf_status place_lowered(sf_plan *plan, const sf_node *node, sf_side side, int depth,
                               sf_value *placed) {
    const sf_op *op = sf_op_get(node->op);
    *placed = SF_NO_VALUE;
    if (!op->lower || depth >= MAX_LOWERING_DEPTH)
        return SF_OK;

    /* The lowered nodes are built behind the new graph's nodes, taken out again and placed one by
     * one. */
    sf_graph *graph = plan->graph;
    size_t start = graph->n_nodes;
    int n_inputs = node->n_inputs;
    snprintf(graph->scope, sizeof graph->scope, "%s", node->name ? node->name : "");
    sf_value result = op->lower(graph, node->inputs, n_inputs, &node->attributes);
    graph->scope[0] = '\0';
    SF_TRY(sf_graph_status(graph));
    if (result == SF_NO_VALUE) {
        graph->n_nodes = start;
        return SF_OK;
    }
    if (!sf_spec_equal(sf_value_spec(graph, result), &node->spec))
        SF_FAIL(plan->ctx, ERROR_INTERNAL, "%s \"%s\" in simpler ops has another type or shape",
                op->name, node->name);

    size_t n_lowered = graph->n_nodes - start;
    sf_node *lowered = SF_NEW_ARRAY(plan->ctx, sf_node, n_lowered);
    sf_value *renamed = SF_NEW_ARRAY(plan->ctx, sf_value, n_lowered);
    sf_status status = lowered && renamed ? SF_OK : SF_ERROR_MEMORY;
    graph->n_nodes = start;
    if (status == SF_OK)
        memcpy(lowered, graph->nodes + start, n_lowered * sizeof *lowered);
    bool possible = status == SF_OK;
    for (size_t i = 0; possible && i < n_lowered; i++) {
        for (int k = 0; k < lowered[i].n_inputs; k++)
            if (lowered[i].inputs[k] >= (sf_value)start)
                lowered[i].inputs[k] = renamed[(size_t)lowered[i].inputs[k] - start];
        status = place_node(plan, &lowered[i], side, depth + 1, &renamed[i]);
        possible = status == SF_OK && renamed[i] != SF_NO_VALUE;
    }
    if (status == SF_ERROR_UNSUPPORTED) /* a copy that can't be had */
        status = SF_OK;
    if (possible)
        *placed = result >= (sf_value)start ? renamed[(size_t)result - start] : result;
    else
        graph->n_nodes = start;
    sf_free(plan->ctx, lowered);
    sf_free(plan->ctx, renamed);
    return status;
}

/* Places an op (whose inputs are values of the new graph) on one side; SF_NO_VALUE if it can't be.
 */
static sf_status place_node(sf_plan *plan, const sf_node *node, sf_side side, int depth,
                            sf_value *placed) {
    if (node->kind != SF_NODE_OP)
        return append(plan, node, NULL, SF_SIDE_BACKEND, placed);
    if (is_view(node))
        return place_view(plan, node, placed);
    if (side_supports(plan, node, side))
        return append(plan, node, NULL, side, placed);

    size_t start = plan->graph->n_nodes;
    sf_node contiguous = *node;
    bool changed = false;
    if (side_has(plan, node->op, side)) {
        sf_status status = make_contiguous(plan, &contiguous, side, &changed);
        if (status != SF_OK && status != SF_ERROR_UNSUPPORTED)
            return status;
        if (status == SF_OK && changed && side_supports(plan, &contiguous, side))
            return append(plan, &contiguous, NULL, side, placed);
    }
    plan->graph->n_nodes = start;

    SF_TRY(place_lowered(plan, node, side, depth, placed));
    if (*placed != SF_NO_VALUE && depth == 0)
        plan->stats.n_lowered++;
    return SF_OK;
}

static sf_status place_somewhere(sf_plan *plan, const sf_node *node, sf_value *placed) {
    *placed = SF_NO_VALUE;
    for (int side = 0; side < SF_N_SIDES && *placed == SF_NO_VALUE; side++)
        if (plan->backends[side])
            SF_TRY(place_node(plan, node, (sf_side)side, 0, placed));
    return *placed == SF_NO_VALUE ? fail_unplaced(plan, node) : SF_OK;
}

/* ---- the whole graph ---- */

void sf_plan_mark_needed(const sf_graph *graph, bool *needed) {
    for (size_t i = 0; i < graph->n_outputs; i++)
        needed[graph->outputs[i].value] = true;
    for (size_t i = graph->n_nodes; i-- > 0;) {
        const sf_node *node = &graph->nodes[i];
        needed[i] = needed[i] || node->kind == SF_NODE_INPUT;
        for (int k = 0; needed[i] && k < node->n_inputs; k++)
            if (node->inputs[k] != SF_NO_VALUE)
                needed[node->inputs[k]] = true;
    }
}

/*
 * An output must be a contiguous place of its own: not a view of a part, an input, a weight, or
 * what another output is already.
 */
static sf_status place_output(sf_plan *plan, size_t index, const sf_value *renamed) {
    sf_graph *graph = plan->graph;
    sf_value value = renamed[plan->source->outputs[index].value];
    const sf_layout *layout = &plan->layouts[value];
    const sf_node *root = &graph->nodes[layout->root];
    bool own = root->kind == SF_NODE_OP && is_contiguous(plan, value) &&
               sf_spec_bytes(&root->spec) == sf_spec_bytes(sf_value_spec(graph, value));
    for (size_t i = 0; i < graph->n_outputs; i++)
        own = own && plan->layouts[graph->outputs[i].value].root != layout->root;
    if (!own)
        SF_TRY(copy_value(plan, value, SF_SIDE_BACKEND, &value));
    SF_TRY(sf_grow(plan->ctx, (void **)&graph->outputs, &graph->outputs_capacity,
                   graph->n_outputs + 1, sizeof *graph->outputs));
    graph->outputs[graph->n_outputs++] =
        (sf_graph_output){.name = plan->source->outputs[index].name, .value = value};
    return SF_OK;
}

static sf_status place_all(sf_plan *plan, const bool *needed, sf_value *renamed) {
    for (size_t i = 0; i < plan->source->n_nodes; i++) {
        renamed[i] = SF_NO_VALUE;
        if (!needed[i])
            continue;
        sf_node node = plan->source->nodes[i];
        for (int k = 0; k < node.n_inputs; k++)
            if (node.inputs[k] != SF_NO_VALUE)
                node.inputs[k] = renamed[node.inputs[k]];
        SF_TRY(place_somewhere(plan, &node, &renamed[i]));
    }
    for (size_t i = 0; i < plan->source->n_outputs; i++)
        SF_TRY(place_output(plan, i, renamed));
    return SF_OK;
}

sf_status sf_plan_place(sf_plan *plan) {
    size_t n_nodes = plan->source->n_nodes;
    SF_TRY(sf_graph_new(plan->ctx, NULL, &plan->graph));
    bool *needed = SF_NEW_ARRAY(plan->ctx, bool, n_nodes);
    sf_value *renamed = SF_NEW_ARRAY(plan->ctx, sf_value, n_nodes);
    sf_status status = SF_ERROR_MEMORY;
    if (needed && renamed) {
        sf_plan_mark_needed(plan->source, needed);
        status = place_all(plan, needed, renamed);
    }
    sf_free(plan->ctx, needed);
    sf_free(plan->ctx, renamed);
    return status;
}
