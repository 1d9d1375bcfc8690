/*
 * The schedule: one step an op, in the graph's order, and before it the copies that bring its
 * inputs to its side. Values never change once computed, so each is copied at most once. Where both
 * backends use host memory there is one side as far as memory goes, and no copies.
 */
#include "core/plan/internal.h"

#include "core/memory.h"

static sf_side memory_side(const sf_plan *plan, sf_side side) {
    return plan->shared_memory ? SF_SIDE_BACKEND : side;
}

static sf_status add_place(sf_plan *plan, sf_place place, int *index) {
    SF_TRY(sf_grow(plan->ctx, (void **)&plan->places, &plan->places_capacity, plan->n_places + 1,
                   sizeof *plan->places));
    *index = (int)plan->n_places;
    plan->places[plan->n_places++] = place;
    return SF_OK;
}

/* Memory for a whole root on one side. */
static sf_status add_root_place(sf_plan *plan, sf_value root, sf_side side, int *index) {
    const sf_node *node = &plan->graph->nodes[root];
    sf_place place = {
        .kind = node->kind == SF_NODE_CONSTANT ? SF_PLACE_CONSTANT : SF_PLACE_ARENA,
        .side = side,
        .root = root,
        .bytes = sf_spec_bytes(&node->spec),
        .shares = SF_NO_PLACE,
    };
    SF_TRY(add_place(plan, place, index));
    plan->place_of[side][root] = *index;
    return SF_OK;
}

static sf_step empty_step(sf_step_kind kind, sf_side side, sf_value node, sf_op_id op) {
    sf_step step = {.kind = kind, .side = side, .node = node, .op = op, .scratch = SF_NO_PLACE};
    step.output.place = SF_NO_PLACE;
    for (int i = 0; i < SF_MAX_INPUTS; i++)
        step.inputs[i].place = SF_NO_PLACE;
    return step;
}

static sf_status add_step(sf_plan *plan, const sf_step *step) {
    SF_TRY(sf_grow(plan->ctx, (void **)&plan->steps, &plan->steps_capacity, plan->n_steps + 1,
                   sizeof *plan->steps));
    plan->steps[plan->n_steps++] = *step;
    return SF_OK;
}

/*
 * The root's place on a side; adds a copy from the other side where it is only there. The copy is on
 * account of the op that is not on the backend: the one that reads it, or the one that made it.
 */
static sf_status need_root(sf_plan *plan, sf_value root, sf_side side, sf_op_id for_op,
                           int *place) {
    side = memory_side(plan, side);
    *place = plan->place_of[side][root];
    if (*place != SF_NO_PLACE)
        return SF_OK;
    sf_side other = side == SF_SIDE_BACKEND ? SF_SIDE_FALLBACK : SF_SIDE_BACKEND;
    int from = plan->place_of[other][root];
    SF_TRY(add_root_place(plan, root, side, place));
    if (from == SF_NO_PLACE || plan->places[*place].kind == SF_PLACE_CONSTANT)
        return SF_OK;
    sf_op_id op = side == SF_SIDE_FALLBACK ? for_op : plan->graph->nodes[root].op;
    sf_step copy = empty_step(SF_STEP_COPY, side, root, op);
    copy.inputs[0].place = from;
    copy.output.place = *place;
    return add_step(plan, &copy);
}

static uint64_t view_offset(const sf_plan *plan, sf_value value) {
    const sf_layout *layout = &plan->layouts[value];
    const sf_dtype_info *dtype = sf_dtype_get(plan->graph->nodes[value].spec.dtype);
    return (uint64_t)layout->offset * (uint64_t)dtype->block_bytes;
}

static sf_status add_op_step(sf_plan *plan, sf_value value) {
    const sf_node *node = &plan->graph->nodes[value];
    sf_side side = plan->sides[value];
    sf_step step = empty_step(SF_STEP_OP, side, value, node->op);
    for (int i = 0; i < node->n_inputs; i++) {
        if (node->inputs[i] == SF_NO_VALUE)
            continue;
        SF_TRY(need_root(plan, plan->layouts[node->inputs[i]].root, side, node->op,
                         &step.inputs[i].place));
        step.inputs[i].view_offset = view_offset(plan, node->inputs[i]);
    }
    SF_TRY(add_root_place(plan, value, memory_side(plan, side), &step.output.place));
    return add_step(plan, &step);
}

/* Plan inputs lie on the backend's side from the start. */
static sf_status add_inputs(sf_plan *plan) {
    for (size_t i = 0; i < plan->graph->n_nodes; i++)
        plan->n_inputs += plan->graph->nodes[i].kind == SF_NODE_INPUT;
    plan->inputs = SF_NEW_ARRAY(plan->ctx, sf_value, (size_t)plan->n_inputs);
    plan->held = SF_NEW_ARRAY(plan->ctx, bool, (size_t)plan->n_inputs);
    if (!plan->inputs || !plan->held)
        return SF_ERROR_MEMORY;
    int count = 0;
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        int place;
        if (plan->graph->nodes[i].kind != SF_NODE_INPUT)
            continue;
        plan->inputs[count++] = (sf_value)i;
        SF_TRY(add_root_place(plan, (sf_value)i, SF_SIDE_BACKEND, &place));
    }
    return SF_OK;
}

sf_place *sf_plan_operand_place(const sf_plan *plan, const sf_step *step, int input) {
    int place = step->inputs[input].place;
    for (int i = 0; i < input; i++)
        if (step->inputs[i].place == place)
            return NULL;
    return place == SF_NO_PLACE ? NULL : &plan->places[place];
}

sf_status sf_plan_schedule(sf_plan *plan) {
    for (int side = 0; side < SF_N_SIDES; side++) {
        plan->place_of[side] = SF_NEW_ARRAY(plan->ctx, int, plan->graph->n_nodes);
        if (!plan->place_of[side])
            return SF_ERROR_MEMORY;
        for (size_t i = 0; i < plan->graph->n_nodes; i++)
            plan->place_of[side][i] = SF_NO_PLACE;
    }
    SF_TRY(add_inputs(plan));
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const sf_node *node = &plan->graph->nodes[i];
        if (node->kind == SF_NODE_OP && !(sf_op_get(node->op)->flags & SF_OP_VIEW))
            SF_TRY(add_op_step(plan, (sf_value)i));
    }
    for (size_t i = 0; i < plan->graph->n_outputs; i++) {
        sf_value root = plan->layouts[plan->graph->outputs[i].value].root;
        int place;
        SF_TRY(need_root(plan, root, SF_SIDE_BACKEND, plan->graph->nodes[root].op, &place));
    }
    return SF_OK;
}
