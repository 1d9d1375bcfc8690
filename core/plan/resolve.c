/*
 * Resolving: allocates the arenas, brings the weights to their backends, writes every operand's
 * address and lets the plugin prepare each op.
 */
#include "core/plan/internal.h"

/* ---- calls ---- */

static void describe_operand(const sf_plan *plan, sf_value value, sf_tensor_desc *desc) {
    const sf_spec *spec = sf_value_spec(plan->graph, value);
    sf_layout absent;
    const sf_layout *layout = &absent;
    bool constant = false;
    if (value == SF_NO_VALUE) {
        sf_layout_contiguous(spec, value, &absent);
    } else {
        layout = &plan->layouts[value];
        constant = plan->graph->nodes[layout->root].kind == SF_NODE_CONSTANT;
    }
    sf_describe(spec, layout, constant, desc);
}

void sf_plan_describe_steps(sf_plan *plan) {
    for (size_t s = 0; s < plan->n_steps; s++) {
        sf_step *step = &plan->steps[s];
        if (step->kind != SF_STEP_OP)
            continue;
        const sf_node *node = &plan->graph->nodes[step->node];
        for (int i = 0; i < node->n_inputs; i++)
            describe_operand(plan, node->inputs[i], &step->input_descs[i]);
        describe_operand(plan, step->node, &step->output_desc);
        step->call = sf_describe_call(node, step->input_descs, &step->output_desc);
    }
}

/* ---- addresses ---- */

/* Whether weights on that side are there only while the plan is at work. */
static bool offloads(const sf_plan *plan, sf_side side) {
    return plan->options.offload && !sf_backend_has_host_memory(plan->backends[side]);
}

/* With offloading no weight has its place for good, so none is shown as a constant. */
static void point(const sf_plan *plan, const sf_operand *operand, sf_tensor_desc *desc) {
    const sf_place *place = &plan->places[operand->place];
    desc->buffer = place->offloaded ? plan->slots : place->buffer;
    desc->offset = (place->offloaded ? operand->slot_offset : place->offset) + operand->view_offset;
    if (offloads(plan, place->side))
        desc->flags &= ~SF_TENSOR_CONSTANT;
}

void sf_plan_point_operands(sf_plan *plan, int place) {
    for (size_t s = 0; s < plan->n_steps; s++) {
        sf_step *step = &plan->steps[s];
        for (int i = 0; i < SF_MAX_INPUTS; i++)
            if (step->inputs[i].place == place)
                point(plan, &step->inputs[i], &step->input_descs[i]);
        if (step->output.place == place)
            point(plan, &step->output, &step->output_desc);
        if (step->scratch == place) {
            step->call.workspace_buffer = plan->places[place].buffer;
            step->call.workspace_offset = plan->places[place].offset;
        }
    }
}

/* The same for all places at once. */
static void point_all(sf_plan *plan) {
    for (size_t s = 0; s < plan->n_steps; s++) {
        sf_step *step = &plan->steps[s];
        for (int i = 0; i < SF_MAX_INPUTS; i++)
            if (step->inputs[i].place != SF_NO_PLACE)
                point(plan, &step->inputs[i], &step->input_descs[i]);
        point(plan, &step->output, &step->output_desc);
        if (step->scratch != SF_NO_PLACE) {
            step->call.workspace_buffer = plan->places[step->scratch].buffer;
            step->call.workspace_offset = plan->places[step->scratch].offset;
        }
    }
}

/* ---- memory ---- */

/* A side's arena, made when first wanted: tensors without elements need a buffer as well. */
static sf_status get_arena(sf_plan *plan, sf_side side, void **buffer) {
    uint64_t bytes = plan->arena_bytes[side] ? plan->arena_bytes[side] : 1;
    if (!plan->arenas[side])
        SF_TRY(sf_backend_buffer_new(plan->backends[side], bytes, &plan->arenas[side]));
    *buffer = plan->arenas[side];
    return SF_OK;
}

/* Waits for the copy, so that the pages of the weight's file can go. */
static sf_status bring_constant(sf_plan *plan, int index) {
    sf_place *place = &plan->places[index];
    const sf_part *parts;
    sf_part one;
    size_t n_parts = sf_node_parts(&plan->graph->nodes[place->root], &one, &parts);
    SF_TRY(
        sf_backend_acquire_constant(plan->backends[place->side], parts, n_parts, &place->buffer));
    if (!sf_backend_has_host_memory(plan->backends[place->side]))
        sf_plan_let_constant_go(plan, index);
    return SF_OK;
}

/* All memory that is not there: everything at first, later what went while the plan rested. */
static sf_status allocate(sf_plan *plan) {
    for (size_t i = 0; i < plan->n_places; i++) {
        sf_place *place = &plan->places[i];
        if (place->kind == SF_PLACE_ARENA)
            SF_TRY(get_arena(plan, place->side, &place->buffer));
        else if (place->kind == SF_PLACE_CONSTANT && !place->buffer && !place->offloaded)
            SF_TRY(bring_constant(plan, (int)i));
    }
    if (plan->slot_bytes && !plan->slots)
        SF_TRY(sf_backend_buffer_new(plan->backends[SF_SIDE_BACKEND], 2 * plan->slot_bytes,
                                     &plan->slots));
    return SF_OK;
}

/* prepare() may have read all of them, whether run() will or not. */
static void let_weights_go(const sf_plan *plan, const sf_step *step) {
    for (int i = 0; i < SF_MAX_INPUTS; i++) {
        int place = step->inputs[i].place;
        if (place != SF_NO_PLACE && plan->places[place].mapped)
            sf_plan_let_constant_go(plan, place);
    }
}

static sf_status prepare(sf_plan *plan) {
    for (size_t s = 0; s < plan->n_steps; s++) {
        sf_step *step = &plan->steps[s];
        if (step->kind != SF_STEP_OP)
            continue;
        sf_backend *backend = plan->backends[step->side];
        const sf_op_entry *entry = &backend->entries[step->op];
        if (!entry->prepare)
            continue;
        sf_backend_mark mark = sf_backend_enter(backend);
        sf_status status = sf_backend_leave(
            backend, mark, entry->prepare(backend->instance, &step->call, &step->prepared));
        if (status != SF_OK)
            return sf_fail_in(plan->ctx, status, "%s \"%s\" on %s", step->call.op,
                              plan->graph->nodes[step->node].name, backend->name);
        step->call.prepared = step->prepared;
        step->is_prepared = true;
        let_weights_go(plan, step);
    }
    return SF_OK;
}

/* With offloading the plan rests from the start: its weights come when it is first at work. */
sf_status sf_plan_resolve(sf_plan *plan) {
    plan->rests = offloads(plan, SF_SIDE_BACKEND);
    if (!plan->rests)
        SF_TRY(allocate(plan));
    point_all(plan);
    return prepare(plan);
}

/* ---- rest ---- */

static void wait_for_backends(sf_plan *plan) {
    for (int side = 0; side < SF_N_SIDES; side++) {
        if (plan->busy[side])
            sf_backend_synchronize(plan->backends[side]);
        plan->busy[side] = false;
    }
}

static void free_arenas(sf_plan *plan) {
    for (int side = 0; side < SF_N_SIDES; side++) {
        if (plan->arenas[side])
            sf_backend_buffer_free(plan->backends[side], plan->arenas[side]);
        plan->arenas[side] = NULL;
    }
}

/* On one side; with host memory there is nothing to give back. */
static void release_constants(sf_plan *plan, sf_side side) {
    for (size_t i = 0; i < plan->n_places; i++) {
        sf_place *place = &plan->places[i];
        const sf_part *parts;
        sf_part one;
        if (place->kind != SF_PLACE_CONSTANT || place->side != side || !place->buffer)
            continue;
        size_t n_parts = sf_node_parts(&plan->graph->nodes[place->root], &one, &parts);
        sf_backend_release_constant(plan->backends[side], parts, n_parts);
        place->buffer = NULL;
    }
}

static void free_slots(sf_plan *plan) {
    if (plan->slots)
        sf_backend_buffer_free(plan->backends[SF_SIDE_BACKEND], plan->slots);
    plan->slots = NULL;
}

/* All that sf_plan_wake() brings. */
static void give_back(sf_plan *plan) {
    free_arenas(plan);
    free_slots(plan);
    if (offloads(plan, SF_SIDE_BACKEND))
        release_constants(plan, SF_SIDE_BACKEND);
}

void sf_plan_rest(sf_plan *plan) {
    if (!plan || plan->options.no_memory || plan->rests)
        return;
    wait_for_backends(plan);
    give_back(plan);
    for (int i = 0; i < plan->n_inputs; i++)
        plan->held[i] = false;
    plan->due = SF_PACE_ONCE;
    plan->rests = true;
}

sf_status sf_plan_wake(sf_plan *plan) {
    if (!plan->rests)
        return SF_OK;
    sf_status status = allocate(plan);
    if (status != SF_OK) {
        give_back(plan);
        return status;
    }
    point_all(plan);
    plan->rests = false;
    return SF_OK;
}

/* ---- the end ---- */

void sf_plan_release(sf_plan *plan) {
    wait_for_backends(plan);
    for (size_t s = 0; s < plan->n_steps; s++) {
        sf_step *step = &plan->steps[s];
        if (!step->is_prepared)
            continue;
        const sf_op_entry *entry = &plan->backends[step->side]->entries[step->op];
        if (entry->release)
            entry->release(plan->backends[step->side]->instance, step->prepared);
    }
    for (int side = 0; side < SF_N_SIDES; side++)
        release_constants(plan, (sf_side)side);
    free_slots(plan);
    free_arenas(plan);
}
